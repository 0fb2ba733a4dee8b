"""Writes the records that are pinned here. A case that exists is never written anew: old records must be read for ever.

python -m tests.conformance.records.make_cases DIRECTORY
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from shared.core.clock import UtcNs
from shared.core.itstime import utc_text
from shared.records.credential import credential_of
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from shared.records.kind import OCCURRED, RecordKind
from shared.records.kinds import KINDS
from shared.records.record import Record, SignedRecord, commit_to, sign_token
from shared.records.sd_jwt import certificate_id, encode_base64url
from shared.records.strict_json import Json, encode_json_lines
from tests.conformance.records.examples import EXAMPLES
from tests.helpers.ledger import Vehicle, seeded_entropy

RECORD, EXPECTED = "record.sd-jwt", "expected.json"
OCCURRED_AT = UtcNs(1_795_339_800_250_000_000)
SEQ = 7
PREV = bytes(range(64, 96))
SIGNER = Vehicle("pinned signer")
SIGNER_CREDENTIAL = credential_of(SIGNER)
SUBJECT = certificate_id(Vehicle("pinned vehicle").certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A record that was signed once, and what it is read as."""

    signed: SignedRecord
    claims: dict[str, Json]
    role: IssuerRole


def directory_of(kind: RecordKind) -> str:
    """Return the name of a kind's case: `odometer-1`."""
    return KINDS[kind].claim.replace("/", "-")


def pinned(kind: RecordKind) -> Pinned:
    """Sign the example of a kind, always with the same octets."""
    role = next(role for role in IssuerRole if kind in ISSUER_KINDS[role])
    subject = None if role is IssuerRole.VEHICLE else SUBJECT
    record = Record(kind=kind, seq=SEQ, prev=PREV, occurred=OCCURRED_AT, fields=EXAMPLES[kind], subject=subject)
    entropy = seeded_entropy(seed=list(RecordKind).index(kind))
    token = sign_token(record, SIGNER, entropy)
    signed = commit_to(record, token, SIGNER_CREDENTIAL, entropy, role)
    visible: dict[str, Json] = {"kind": KINDS[kind].claim, "seq": SEQ, "prev": encode_base64url(PREV)}
    visible |= {"flags": []} if kind is RecordKind.ODOMETER else {}
    visible |= {} if subject is None else {"subject": subject}
    return Pinned(signed=signed, claims={**visible, OCCURRED: utc_text(OCCURRED_AT), **EXAMPLES[kind]}, role=role)


def write_case(directory: Path, kind: RecordKind) -> None:
    """Write the case of a kind."""
    case = pinned(kind)
    folder = directory / directory_of(kind)
    folder.mkdir(parents=True)
    (folder / RECORD).write_text(case.signed.sd_jwt, encoding="ascii")
    expected: dict[str, Json] = {
        "public_key": SIGNER.sec1.hex(),
        "role": case.role.value,
        "salt": case.signed.salt.hex(),
        "commitment": case.signed.commitment.hex(),
        "claims": case.claims,
    }
    (folder / EXPECTED).write_text(encode_json_lines(expected), encoding="utf-8")


def main(directory: Path) -> None:
    """Write the cases that are not there yet."""
    for kind in RecordKind:
        if not (directory / directory_of(kind)).exists():
            write_case(directory, kind)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
