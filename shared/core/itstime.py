"""ITS time: TAI counted from 2004-01-01T00:00:00 UTC (EN 302 636-4-1, TS 102 894-2 `TimestampIts`, IEEE 1609.2 `Time64`).

ITS = UTC - 2004-01-01 + leap seconds inserted since 2004. During an inserted leap second POSIX time repeats; the repeated
second maps to the later ITS second, so ITS time never runs backwards by more than the operating system itself does.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import NewType

from shared.core.clock import NS_PER_S, UtcNs

Time64 = NewType("Time64", int)
"""IEEE 1609.2 `Time64`: TAI microseconds since 2004-01-01T00:00:00 UTC."""

Time32 = NewType("Time32", int)
"""IEEE 1609.2 `Time32`: TAI seconds since 2004-01-01T00:00:00 UTC."""

TimestampIts = NewType("TimestampIts", int)
"""TS 102 894-2 `TimestampIts`: TAI milliseconds since 2004-01-01T00:00:00 UTC."""

ITS_EPOCH_UNIX_S = 1_072_915_200
"""2004-01-01T00:00:00 UTC in POSIX seconds."""

LEAP_SECONDS_UNIX_S = (
    1_136_073_600,  # 2006-01-01
    1_230_768_000,  # 2009-01-01
    1_341_100_800,  # 2012-07-01
    1_435_708_800,  # 2015-07-01
    1_483_228_800,  # 2017-01-01
)
"""POSIX seconds at which TAI - UTC grew by one since 2004 (IERS Bulletin C)."""

_US_PER_S = 1_000_000
LAST_LEAP_NS = LEAP_SECONDS_UNIX_S[-1] * NS_PER_S
"""UTC from which on every `UtcNs` has a `Time64`, and all leap seconds we know of are behind."""

EPOCH_AFTER_LEAPS_US = (ITS_EPOCH_UNIX_S - len(LEAP_SECONDS_UNIX_S)) * _US_PER_S
"""What separates UTC from ITS time after the last leap second, which is nearly every time there is."""

_LEAPS_TIME64 = tuple((at - ITS_EPOCH_UNIX_S + n + 1) * _US_PER_S for n, at in enumerate(LEAP_SECONDS_UNIX_S))
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CALENDAR_S = range(-62_135_596_800, 253_402_300_800)
"""POSIX seconds of the years 1 to 9999, which `datetime` can print."""


def leap_seconds_at(utc: UtcNs) -> int:
    """Return how many leap seconds were inserted between 2004 and `utc`."""
    return bisect_right(LEAP_SECONDS_UNIX_S, utc // NS_PER_S)


def time64_of(utc: UtcNs) -> Time64:
    """Convert UTC to `Time64`; raises ValueError before 2004."""
    if utc >= LAST_LEAP_NS:
        return Time64(utc // 1_000 - EPOCH_AFTER_LEAPS_US)
    time64 = (utc - ITS_EPOCH_UNIX_S * NS_PER_S) // 1_000 + leap_seconds_at(utc) * _US_PER_S
    if time64 < 0:
        raise ValueError("ITS time begins in 2004")
    return Time64(time64)


def utc_of(time64: Time64) -> UtcNs:
    """Convert `Time64` to UTC; inverse of `time64_of` but for inserted leap seconds."""
    leaps = bisect_right(_LEAPS_TIME64, time64)
    return UtcNs((time64 - leaps * _US_PER_S) * 1_000 + ITS_EPOCH_UNIX_S * NS_PER_S)


def timestamp_its(time64: Time64) -> TimestampIts:
    """Milliseconds since the ITS epoch."""
    return TimestampIts(time64 // 1_000)


def time32_of(time64: Time64) -> Time32:
    """Seconds since the ITS epoch."""
    return Time32(time64 // _US_PER_S)


def gn_timestamp(time64: Time64) -> int:
    """EN 302 636-4-1 TST: milliseconds since the ITS epoch modulo 2^32."""
    return (time64 // 1_000) & 0xFFFFFFFF


def gn_timestamp_at(utc: UtcNs) -> int:
    """Return the `gn_timestamp` of a UTC; raises ValueError before 2004."""
    if utc >= LAST_LEAP_NS:
        return (utc // 1_000_000 - EPOCH_AFTER_LEAPS_US // 1_000) & 0xFFFFFFFF
    return gn_timestamp(time64_of(utc))


def generation_delta_time(time64: Time64) -> int:
    """EN 302 637-2 `generationDeltaTime`: milliseconds since the ITS epoch modulo 65,536."""
    return (time64 // 1_000) & 0xFFFF


def utc_text(utc: UtcNs) -> str:
    """Return RFC 3339 text with milliseconds, e.g. `2026-11-22T09:30:00.250Z`; beyond year 9999 (a peer's `Time64`), seconds."""
    seconds, ns = divmod(utc, NS_PER_S)
    if seconds not in _CALENDAR_S:
        return f"{seconds} s after 1970"
    return f"{_UNIX_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{ns // 1_000_000:03d}Z"


def utc_from_text(text: str) -> UtcNs:
    """Parse ISO 8601 text that names its offset (`Z` or `+hh:mm`); raises ValueError otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; write Z for UTC")
    return UtcNs((moment - _UNIX_EPOCH) // timedelta(microseconds=1) * 1_000)
