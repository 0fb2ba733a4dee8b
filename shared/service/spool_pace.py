"""For how long a spool will last at the pace of its last records."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import DecodeError, RecordError
from shared.records.record import read_record
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.spool_room import RecordClass, SpoolBounds
from shared.service.spool_rows import StoredRecord

PACE_RECORDS = 1_000
"""Over how many of the last records the pace is taken."""

DATED_RECORDS = 8
"""Among how many a dated one is looked for."""

NS_PER_DAY = 86_400 * NS_PER_S


class Records(Protocol):
    """A spool's records, to be read."""

    def last_seq(self) -> int | None:
        """Return the number of the last record, None where there is none."""
        ...

    def between(self, first: int, limit: int) -> Sequence[StoredRecord]:
        """Return the records from a number on, at most `limit`."""
        ...


def lasts_days(records: Records, bounds: SpoolBounds, *, count: int, octets: int) -> float | None:
    """Return for how many days there is room for ordinary readings, in octets and in numbers; None where no pace is known.

    Args:
        records: of the spool.
        bounds: how large it may become.
        count: how many records there are.
        octets: that they take.
    """
    last = records.last_seq()
    if last is None:
        return None
    early, late = _dated(records, max(0, last - PACE_RECORDS)), _dated(records, max(0, last + 1 - DATED_RECORDS))
    if early is None or late is None or late[1] <= early[1]:
        return None
    a_day = (late[0] - early[0]) * NS_PER_DAY / (late[1] - early[1])
    most_octets, most_records = (SpoolBounds.share_of(bound, RecordClass.ODOMETER) for bound in (bounds.octets, bounds.records))
    return max(0.0, min((most_octets - octets) * count / octets, most_records - last - 1) / a_day)


def _dated(records: Records, first: int) -> tuple[int, UtcNs] | None:
    """Return the number and the date of a record that bears one, among the few from a number on."""
    for stored in records.between(first, DATED_RECORDS):
        with suppress(DecodeError, RecordError):
            occurred = read_record(parse_sd_jwt(stored.sd_jwt)).occurred
            if occurred is not None:
                return stored.seq, occurred
    return None
