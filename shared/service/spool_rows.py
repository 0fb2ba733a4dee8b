"""What lies in the record spool's file, as values: a record with the state of its anchoring, and a credential with its role."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from shared.core.errors import EncodeError, StorageError
from shared.records.credential import VehicleCredential
from shared.records.issuers import IssuerRole
from shared.records.kind import RecordKind
from shared.service.database import blob

Row = tuple[object, ...]
"""Of the file."""


class AnchorState(IntEnum):
    """How far a record has come."""

    PENDING = 0
    """Stored; the log has not been asked."""
    SUBMITTED = 1
    """About to be sent, or sent: the log may have it."""
    SEQUENCED = 2
    """The log says it has it, at an index."""
    INCLUDED = 3
    """Proven under a policy that asks for no witness; the proof is stored."""
    WITNESSED = 4
    """Proven, and a quorum of witnesses has cosigned the checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record as it lies in the spool; `log_index` and `proof` (tlog-proof text) are None until known.

    `odometer_m` is the reading it states, in metres, whoever stated it; None if it states none.
    """

    seq: int
    commitment: bytes
    kind: RecordKind
    odometer_m: int | None
    sd_jwt: str
    salt: bytes
    state: AnchorState
    log_index: int | None
    proof: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCredential:
    """A credential under which records are signed, and the role of whoever has it."""

    credential: VehicleCredential
    role: IssuerRole


KIND_NAMES = {kind.value: kind for kind in RecordKind}
ROLE_NAMES = {role.value: role for role in IssuerRole}


def stored_record(path: Path, row: Row) -> StoredRecord:
    """Return a row of `COLUMNS` as a record; raise `StorageError` if it cannot be one."""
    match row:
        case (
            int(seq),
            bytes(commitment),
            str(kind),
            (int() | None) as odometer_m,
            str(sd_jwt),
            bytes(salt),
            int(state),
            (int() | None) as log_index,
            (bytes() | None) as proof,
        ) if kind in KIND_NAMES and 0 <= state <= AnchorState.WITNESSED:
            return StoredRecord(
                seq=seq,
                commitment=commitment,
                kind=KIND_NAMES[kind],
                odometer_m=odometer_m,
                sd_jwt=sd_jwt,
                salt=salt,
                state=AnchorState(state),
                log_index=log_index,
                proof=proof,
            )
        case _:
            raise StorageError(str(path), "is damaged: a record is not what it should be")


def stored_credential(path: Path, row: Row) -> StoredCredential:
    """Return a row (id, certificate, authority, role) as a credential; raise `StorageError` if it cannot be one."""
    try:
        credential = VehicleCredential(certificate=blob(path, row[1]), authority=blob(path, row[2]))
    except EncodeError as error:
        raise StorageError(str(path), f"is damaged: {error}") from None
    role = ROLE_NAMES.get(row[3]) if isinstance(row[3], str) else None
    if credential.id != row[0] or role is None:
        raise StorageError(str(path), "is damaged: a credential is not what it should be")
    return StoredCredential(credential=credential, role=role)
