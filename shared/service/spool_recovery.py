"""Going on after the record spool was damaged: on a person's word only, with the damaged file kept beside it.

The new spool is made complete first and then put in the place of the old one, so a power cut on the way leaves one or the other. A
record says itself whether it is whole; a proof in a damaged file does not. So every record saved is PENDING again and is proven
anew, which is harmless. A credential too says whether it is whole: its name is its hash. Where one is lost, records are not: only
the passport that would need it cannot be made. Files of formats 1 (which kept no credentials) and 2 (which knew one kind of record)
are recovered likewise.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import DecodeError, RecordError, StorageError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.note import parse_note
from shared.records.odometer import OdometerFlag
from shared.records.record import UNKNOWN_COMMITMENT, DisclosedRecord, commitment_of, read_record
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.database import Row, connect_sqlite, create_database, storage_errors, sync_path
from shared.service.spool_check import forget_damage
from shared.service.spool_format import (
    COLUMNS,
    COLUMNS_BEFORE,
    CREDENTIALS,
    CREDENTIALS_BEFORE,
    INSERT_CREDENTIAL,
    INSERT_RECORD,
    SPOOL_FORMAT,
)
from shared.service.spool_mark import SpoolMark
from shared.service.spool_room import RecordClass, class_of
from shared.service.spool_rows import AnchorState, StoredRecord, stored_credential, stored_record

MAX_DAMAGED_FILES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What `recover_spool` did: where the damaged file is now, how many records were saved, and the last one's number."""

    kept_as: Path
    saved: int
    last_seq: int | None


def recover_spool(path: Path) -> Recovery:
    """Put a damaged spool aside and start a new one with every record that can still be read, from the first on.

    The trusted checkpoint is saved if it still reads as one, evidence if it can be read. The next record carries the flag that the
    sequence was resumed, because records after the last one saved may be lost.

    Raises:
        StorageError: there is no such file, or the new one cannot be put in its place.
    """
    if not path.exists():
        raise StorageError(str(path), "does not exist")
    saved = _readable(path)
    recovered = path.with_name(path.name + ".recovered")
    with storage_errors(path):
        recovered.unlink(missing_ok=True)
    rows = (*_record_rows(saved), *_resumed_rows(path, saved), *_credential_rows(path), *_other_rows(path))
    create_database(recovered, SPOOL_FORMAT, rows=rows)
    kept_as = _free_name(path)
    with storage_errors(path):
        os.link(path, kept_as)
        for suffix in ("-wal", "-shm"):
            side = path.with_name(path.name + suffix)
            if side.exists():
                side.rename(kept_as.with_name(kept_as.name + suffix))
        sync_path(path.parent)
        recovered.replace(path)
        sync_path(path.parent)
        forget_damage(path)
    return Recovery(kept_as=kept_as, saved=len(saved), last_seq=saved[-1].seq if saved else None)


def _free_name(path: Path) -> Path:
    for number in range(1, MAX_DAMAGED_FILES):
        name = path.with_name(f"{path.name}.damaged-{number}")
        if not name.exists():
            return name
    raise StorageError(str(path), f"{MAX_DAMAGED_FILES} damaged files are kept beside it already")


def _record_rows(saved: list[StoredRecord]) -> Iterator[Row]:
    pending = AnchorState.PENDING.value
    for r in saved:
        is_evidence = class_of(read_record(parse_sd_jwt(r.sd_jwt))) is RecordClass.EVIDENCE
        yield INSERT_RECORD, (r.seq, r.commitment, r.kind.value, r.odometer_m, r.sd_jwt, r.salt, pending, is_evidence)


def _resumed_rows(damaged: Path, saved: list[StoredRecord]) -> Iterator[Row]:
    """The next record says that records may be lost; it takes no number that was known to be taken."""
    known = [row[0] for row in _read(damaged, "SELECT after_seq FROM resumed") if isinstance(row[0], int)]
    marked = SpoolMark(damaged).read()
    taken = [*known, *(record.seq for record in saved[-1:]), *([marked - 1] if marked else [])]
    if taken:
        yield "INSERT INTO resumed (id, after_seq) VALUES (1, ?)", (max(taken),)


def _credential_rows(damaged: Path) -> Iterator[Row]:
    seen: set[str] = set()
    credentials = CREDENTIALS if _has_column(damaged, "credential", "role") else CREDENTIALS_BEFORE
    for row in _read(damaged, f"{credentials} ORDER BY number"):
        try:
            stored = stored_credential(damaged, row)
        except StorageError:
            continue
        credential = stored.credential
        if credential.id not in seen:
            seen.add(credential.id)
            yield INSERT_CREDENTIAL, (credential.id, credential.certificate, credential.authority, stored.role.value)


def _other_rows(damaged: Path) -> Iterator[Row]:
    for row in _read(damaged, "SELECT note FROM trusted"):
        if _is_checkpoint(row[0]):
            yield "INSERT OR IGNORE INTO trusted (id, note) VALUES (1, ?)", row
    insert = "INSERT OR IGNORE INTO evidence (detail, trusted_note, conflicting_note, acknowledged) VALUES (?, ?, ?, ?)"
    for row in _read(damaged, "SELECT detail, trusted_note, conflicting_note, acknowledged FROM evidence ORDER BY id"):
        match row:
            case (str(), bytes(), bytes(), int()):
                yield insert, row
            case _:
                return


def _read(damaged: Path, statement: str) -> Iterator[tuple[object, ...]]:
    """Yield rows until the damage is met."""
    mode = "ro" if damaged.with_name(damaged.name + "-wal").exists() else "ro&immutable=1"
    try:
        with closing(connect_sqlite(f"{damaged.absolute().as_uri()}?mode={mode}")) as connection:
            yield from connection.execute(statement)
    except (sqlite3.Error, UnicodeDecodeError):
        return


def _has_column(damaged: Path, table: str, column: str) -> bool:
    return any(row[1] == column for row in _read(damaged, f"PRAGMA table_info({table})"))


def _readable(damaged: Path) -> list[StoredRecord]:
    """Return the records, from the first on, that can be read, are what they claim and follow each other."""
    saved: list[StoredRecord] = []
    columns = COLUMNS if _has_column(damaged, "record", "kind") else COLUMNS_BEFORE
    for row in _read(damaged, f"SELECT {columns} FROM record ORDER BY seq"):  # noqa: S608 - constants
        try:
            record = stored_record(damaged, row)
            token = parse_sd_jwt(record.sd_jwt)
            stated = read_record(token)
        except (StorageError, DecodeError, RecordError):
            break
        if stated.seq != record.seq or not _follows(stated, saved[-1] if saved else None):
            break
        if (stated.kind, stated.odometer_m) != (record.kind, record.odometer_m):
            break
        if commitment_of(token.jwt, record.salt) != record.commitment:
            break
        saved.append(record)
    return saved


def _follows(stated: DisclosedRecord, last: StoredRecord | None) -> bool:
    """A record follows the one before; one that says that the sequence was resumed may leave out numbers."""
    expected = 0 if last is None else last.seq + 1
    prev = (UNKNOWN_COMMITMENT if stated.seq else None) if last is None else last.commitment
    is_resumed = OdometerFlag.SEQUENCE_RESUMED in stated.flags
    return stated.prev == prev and (stated.seq == expected or (is_resumed and stated.seq > expected))


def _is_checkpoint(note: object) -> bool:
    if not isinstance(note, bytes):
        return False
    try:
        parse_checkpoint(parse_note(note).body)
    except DecodeError:
        return False
    return True
