"""How the times in a SPATEM relate to UTC: `MinuteOfTheYear`, `DSecond` and `TimeMark` of ISO/TS 19091.

A `TimeMark` is seconds within the present or the next UTC hour. Leap seconds are not counted within the hour, as in POSIX time.
"""

from datetime import UTC, datetime

from shared.core.clock import NS_PER_MS, NS_PER_S, UtcNs

SECONDS_PER_HOUR = 3_600
_NS_PER_MINUTE = 60 * NS_PER_S


def minute_of_year(utc: UtcNs) -> int:
    """Return whole minutes since the year began, 0..527,039."""
    now = datetime.fromtimestamp(utc // NS_PER_S, UTC)
    return (now.timetuple().tm_yday - 1) * 1_440 + now.hour * 60 + now.minute


def ms_of_minute(utc: UtcNs) -> int:
    """Return milliseconds within the minute, 0..59,999 (`DSecond`)."""
    return utc % _NS_PER_MINUTE // NS_PER_MS


def utc_near(minute: int, ms: int, utc: UtcNs) -> UtcNs:
    """Return the moment that a `MinuteOfTheYear` and a `DSecond` name: the nearest to `utc` of the years around it.

    Args:
        minute: whole minutes since the year began, 0..527,040.
        ms: milliseconds within that minute, 0..60,999.
        utc: the present, so that the turn of the year is no trouble.
    """
    year = datetime.fromtimestamp(utc // NS_PER_S, UTC).year
    begins = (int(datetime(each, 1, 1, tzinfo=UTC).timestamp()) for each in (year - 1, year, year + 1))
    moments = [UtcNs(begin * NS_PER_S + minute * _NS_PER_MINUTE + ms * NS_PER_MS) for begin in begins]
    return min(moments, key=lambda moment: abs(moment - utc))


def second_of_hour(utc: UtcNs) -> float:
    """Return seconds within the hour as a `TimeMark` counts them, [0, 3600)."""
    return utc % (SECONDS_PER_HOUR * NS_PER_S) / NS_PER_S


def seconds_until(time_mark_s: float, utc: UtcNs) -> float:
    """Return how far a time mark (seconds within the hour, `inf` allowed) is ahead of `utc`; negative when it has just passed.

    A mark is taken as the nearest moment that fits: from half an hour ago to half an hour ahead.
    """
    if time_mark_s == float("inf"):
        return time_mark_s
    ahead = (time_mark_s - second_of_hour(utc)) % SECONDS_PER_HOUR
    return ahead if ahead < SECONDS_PER_HOUR / 2 else ahead - SECONDS_PER_HOUR
