"""Whether what lies in a spool is what was written there: the end of it at each start, all of it bit by bit while the agent runs.

To look through a file of a gigabyte takes longer than a start may (2 s), so a large one is opened after a look at its header, its
schema and its last records, which the next one builds on. The rest is checked in slices, once round, from a place that follows from
the last commitment: short drives look at another part each time. What is checked of a record is what its octets say for themselves:
its token hashes to its commitment, its disclosures to the digests in it, it names the commitment before it, and the columns beside
it say what it says. Its signature and proof are checked by whoever is shown a passport.

Damage that is found is remembered in a file beside the spool, so that the next start checks everything at once and refuses too.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from shared.core.errors import StorageError
from shared.records.odometer import OdometerFlag
from shared.records.record import COMMITMENT_BYTES, UNKNOWN_COMMITMENT, commitment_of
from shared.service.spool_rows import AnchorState, StoredRecord

MAX_CHECKED_OCTETS = 16 << 20
"""A file up to this size is looked through whole at the start."""

TAIL_RECORDS = 32
"""Looked at whenever a spool is opened."""

SLICE_RECORDS = 50
"""Looked at in one slice: some five milliseconds."""

SUFFIX = "-damaged"
"""Of the file that says that damage was found."""


class Records(Protocol):
    """A spool's records, to be read."""

    def last_seq(self) -> int | None:
        """Return the number of the last record, None where there is none."""
        ...

    def between(self, first: int, limit: int) -> Sequence[StoredRecord]:
        """Return the records from a number on, at most `limit`."""
        ...


class SpoolCheck:
    """Looks through a spool once round.

    Args:
        path: the file, for error messages.
        records: what is in it.
    """

    def __init__(self, path: Path, records: Records) -> None:
        self._path = path
        self._records = records
        self._next: int | None = None
        self._start = 0
        self._is_round = False
        self.checked = 0

    @property
    def is_done(self) -> bool:
        """Whether everything was looked at."""
        return self._is_round

    def check_tail(self) -> None:
        """Look at the last records; raises `StorageError`."""
        last = self._records.last_seq()
        if last is not None:
            check_records(self._path, self._records.between(max(0, last + 1 - TAIL_RECORDS), TAIL_RECORDS))

    def _begin(self) -> int:
        """Return where the round begins."""
        last = self._records.last_seq()
        for record in () if last is None else self._records.between(last, 1):
            self._start = int.from_bytes(record.commitment[:8]) % (record.seq + 1)
        return self._start

    def check_some(self) -> None:
        """Look at the next few; raises `StorageError`."""
        if self._is_round:
            return
        if self._next is None:
            self._next = self._begin()
        found = self._records.between(self._next, SLICE_RECORDS + 1)
        check_records(self._path, found)
        self.checked += min(len(found), SLICE_RECORDS)
        wraps = len(found) <= SLICE_RECORDS
        after = 0 if wraps else found[-1].seq
        passed = (wraps and self._next < self._start) or (wraps and self._start == 0) or (self._next < self._start <= after)
        self._next, self._is_round = after, passed

    def check_all(self) -> None:
        """Look at everything; raises `StorageError`."""
        first, found = 0, self._records.between(0, SLICE_RECORDS)
        while found:
            check_records(self._path, found)
            self.checked += len(found)
            first = found[-1].seq
            found = self._records.between(first, SLICE_RECORDS) if len(found) == SLICE_RECORDS else ()
        self._is_round = True


def check_records(path: Path, records: Sequence[StoredRecord]) -> None:
    """Look at records that stand one after another in a file; raises `StorageError` naming the first that is not whole."""
    for record in records:
        _check_record(path, record)
    for before, after in pairwise(records):
        payload = _payload(path, after)
        flags = payload.get("flags")
        is_resumed = isinstance(flags, list) and OdometerFlag.SEQUENCE_RESUMED.value in flags
        if _prev(payload) != before.commitment or (after.seq != before.seq + 1 and not is_resumed):
            raise _damaged(path, after, f"it does not follow record {before.seq}")


def _check_record(path: Path, record: StoredRecord) -> None:
    payload = _payload(path, record)
    if commitment_of(record.sd_jwt.partition("~")[0], record.salt) != record.commitment:
        raise _damaged(path, record, "it is not what was committed to")
    if payload.get("seq") != record.seq or str(payload.get("kind")).partition("/")[0] != record.kind.value:
        raise _damaged(path, record, "its number or kind is another than it says")
    if record.seq == 0 and payload.get("prev") is not None and _prev(payload) != UNKNOWN_COMMITMENT:
        raise _damaged(path, record, "the first record follows none")
    _check_disclosures(path, record)
    has_proof = record.state >= AnchorState.INCLUDED
    has_index = record.state >= AnchorState.SEQUENCED
    if (record.proof is None) is has_proof or (record.log_index is None) is has_index:
        raise _damaged(path, record, "its state is not what lies beside it")


def _check_disclosures(path: Path, record: StoredRecord) -> None:
    """Each disclosure is one of those the token, or another disclosure, has the digest of; a reading is the one in its column."""
    token, *disclosures = record.sd_jwt.split("~")
    try:
        shown = [urlsafe_b64decode(each + "==") for each in disclosures[:-1]]
        digested = b"".join((urlsafe_b64decode(token.split(".")[1] + "=="), *shown))
        claims = [json.loads(each) for each in shown]
    except (ValueError, IndexError):
        raise _damaged(path, record, "a disclosure is none") from None
    for each in disclosures[:-1]:
        if b'"' + urlsafe_b64encode(sha256(each.encode()).digest()).rstrip(b"=") + b'"' not in digested:
            raise _damaged(path, record, "a disclosure is not of this record")
    readings = [claim[2] for claim in claims if isinstance(claim, list) and len(claim) == 3 and claim[1] == "odometer_m"]
    if readings[:1] != ([] if record.odometer_m is None and not readings else [record.odometer_m]):
        raise _damaged(path, record, "the reading beside it is another")


def _payload(path: Path, record: StoredRecord) -> dict[str, object]:
    try:
        payload = json.loads(urlsafe_b64decode(record.sd_jwt.partition("~")[0].split(".")[1] + "=="))
    except (ValueError, IndexError):
        raise _damaged(path, record, "it is no token") from None
    if not isinstance(payload, dict):
        raise _damaged(path, record, "it is no token")
    return payload


def _prev(payload: dict[str, object]) -> bytes | None:
    prev = payload.get("prev")
    if not isinstance(prev, str):
        return None
    with suppress(ValueError):
        octets = urlsafe_b64decode(prev + "==")
        return octets if len(octets) == COMMITMENT_BYTES else None
    return None


def _damaged(path: Path, record: StoredRecord, why: str) -> StorageError:
    return StorageError(str(path), f"is damaged: record {record.seq}: {why}")


def remember_damage(path: Path, damage: StorageError) -> None:
    """Say beside a spool that damage was found; where that cannot be written, the next round finds it again."""
    with suppress(OSError):
        path.with_name(path.name + SUFFIX).write_text(f"{damage}\n", encoding="utf-8")


def is_damage_known(path: Path) -> bool:
    """Tell whether damage was found in a spool before."""
    return path.with_name(path.name + SUFFIX).exists()


def forget_damage(path: Path) -> None:
    """The spool was found whole, or was replaced; raises `OSError`."""
    path.with_name(path.name + SUFFIX).unlink(missing_ok=True)
