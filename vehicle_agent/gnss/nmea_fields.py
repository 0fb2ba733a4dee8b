"""The fields of NMEA 0183 sentences as numbers: strict, empty is None, everything else is a value or `DecodeError`."""

import re
from calendar import timegm
from datetime import date

from shared.core.clock import NS_PER_S
from shared.core.errors import DecodeError
from shared.core.geo import GeoPoint
from vehicle_agent.gnss.nmea_sentence import Sentence

KNOT_MPS = 1_852.0 / 3_600.0

_ANGLE = re.compile(r"([0-9]{2,3})([0-9]{2}(?:\.[0-9]{1,9})?)")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]{1,9}))?")
_DATE = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")
_NUMBER = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{0,9})?")
_COUNT = re.compile(r"[0-9]{1,3}")

FIRST_TWO_DIGIT_YEAR = 80
"""Of GPS: two digits from here on are of the last century."""


def number(text: str, where: str) -> float | None:
    """Return a decimal number."""
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise DecodeError(where, f"{text!r} is not a number")
    return float(text)


def count(text: str, where: str) -> int | None:
    """Return a number of things, at most three digits."""
    if not text:
        return None
    if _COUNT.fullmatch(text) is None:
        raise DecodeError(where, f"{text!r} is not a count")
    return int(text)


def letter(text: str, allowed: str, where: str) -> str | None:
    """Return one of a few letters."""
    if not text:
        return None
    if len(text) != 1 or text not in allowed:
        raise DecodeError(where, f"{text!r} is not one of {' '.join(allowed)}")
    return text


def place(said: Sentence, first: int) -> GeoPoint | None:
    """Return the place that four fields from `first` on give (`ddmm.mmmm`, N or S, `dddmm.mmmm`, E or W); None for empty ones."""
    lat, north_south, lon, east_west = (said.field(index) for index in range(first, first + 4))
    if not (lat or north_south or lon or east_west):
        return None
    south = _side(north_south, "NS", f"{said.kind}.latitude") == "S"
    west = _side(east_west, "EW", f"{said.kind}.longitude") == "W"
    lat_deg, lon_deg = _angle(lat, 2, f"{said.kind}.latitude"), _angle(lon, 3, f"{said.kind}.longitude")
    try:
        return GeoPoint(-lat_deg if south else lat_deg, -lon_deg if west else lon_deg)
    except ValueError as nowhere:
        raise DecodeError(said.kind, str(nowhere)) from nowhere


def time_of_day_ns(text: str, where: str) -> int | None:
    """Return UTC within its day, from `hhmmss.ss`; second 60 is an inserted leap second."""
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise DecodeError(where, f"{text!r} is not hhmmss.ss")
    hour, minute, second = (int(found[group]) for group in (1, 2, 3))
    if hour > 23 or minute > 59 or second > 60:
        raise DecodeError(where, f"there is no {text}")
    return (hour * 3_600 + minute * 60 + second) * NS_PER_S + int((found[4] or "").ljust(9, "0"))


def midnight_ns(text: str, where: str) -> int | None:
    """Return the POSIX nanoseconds at which a day began, from `ddmmyy`."""
    if not text:
        return None
    found = _DATE.fullmatch(text)
    if found is None:
        raise DecodeError(where, f"{text!r} is not ddmmyy")
    year = int(found[3])
    return calendar_midnight_ns(int(found[1]), int(found[2]), year + (1_900 if year >= FIRST_TWO_DIGIT_YEAR else 2_000), where)


def calendar_midnight_ns(day: int, month: int, year: int, where: str) -> int:
    """Return the POSIX nanoseconds at which a day of the calendar began."""
    try:
        return timegm(date(year, month, day).timetuple()) * NS_PER_S
    except ValueError as no_day:
        raise DecodeError(where, f"there is no {day}.{month}.{year}") from no_day


def _angle(text: str, degree_digits: int, where: str) -> float:
    found = _ANGLE.fullmatch(text)
    if found is None or len(found[1]) != degree_digits or float(found[2]) >= 60.0:
        raise DecodeError(where, f"{text!r} is not {'d' * degree_digits}mm.mmmm")
    return int(found[1]) + float(found[2]) / 60.0


def _side(text: str, allowed: str, where: str) -> str:
    if letter(text, allowed, where) is None:
        raise DecodeError(where, f"does not say which of {' and '.join(allowed)}")
    return text
