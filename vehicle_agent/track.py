"""A recorded GNSS track beside a recorded bus: where the car was while the log ran.

A CSV file with the header `time_s,lat_deg,lon_deg,altitude_m,speed_mps,heading_deg` on the time base of the CAN log (a candump's
stamps). An empty field is "not available"; every line ends with a newline, so that one cut short is not a shorter number. Only
position, altitude and heading are taken: a car's speed comes from its bus, so that the two can be compared. This file is for
replay; a live receiver is another source.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.core.geo import GeoPoint
from vehicle_agent.vehicle_state import FIELDS, SignalUpdate

COLUMNS = ("time_s", "lat_deg", "lon_deg", "altitude_m", "speed_mps", "heading_deg")
HEADER = ",".join(COLUMNS)
MAX_LINE_OCTETS = 512
MAX_TIME_S = 1e12
"""A candump's stamp has twelve digits before the point."""

MAX_AGE_NS = 1_500 * NS_PER_MS
"""A fix older than this is no position: one missed second of a 1 Hz receiver is bridged, not more."""

Fix = tuple[MonotonicNs, tuple[SignalUpdate, ...]]
"""When a fix was taken, and what it says."""


def read_track(path: Path) -> Iterator[Fix]:
    """Yield the fixes of a track in the order of time.

    Raises:
        ConfigError: the file cannot be read or has another header.
        DecodeError: a line is malformed, or runs backwards; the lines before it have been yielded.
        StorageError: the file is cut short; likewise.
    """
    latest = MonotonicNs(0)
    for number, line in _lines(path):
        where = f"{path.name} line {number}"
        at, updates = _fix(line.split(","), where)
        if at < latest:
            raise DecodeError(where, "the track runs backwards in time")
        latest = at
        yield at, updates


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines after the header with their numbers, without their ends."""
    try:
        with path.open("rb") as file:
            if file.readline(MAX_LINE_OCTETS).rstrip(b"\r\n") != HEADER.encode():
                raise ConfigError(str(path), f"a track begins with the line {HEADER}")
            number = 1
            while line := file.readline(MAX_LINE_OCTETS):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) == MAX_LINE_OCTETS:
                        raise DecodeError(f"{path.name} line {number}", f"is longer than {MAX_LINE_OCTETS} octets")
                    raise StorageError(str(path), f"is cut short in line {number}")
                yield number, line.rstrip(b"\r\n").decode("ascii", "replace")
    except OSError as failure:
        raise ConfigError(str(path), f"cannot be read: {failure.strerror or failure}") from failure


def _fix(fields: list[str], where: str) -> Fix:
    if len(fields) != len(COLUMNS):
        raise DecodeError(where, f"{len(fields)} fields instead of {len(COLUMNS)}")
    values = {name: _number(text, f"{where} {name}") for name, text in zip(COLUMNS, fields, strict=True)}
    time_s, lat_deg, lon_deg = values["time_s"], values["lat_deg"], values["lon_deg"]
    if time_s is None or not 0 <= time_s < MAX_TIME_S:
        raise DecodeError(f"{where} time_s", "a fix has a time, and not before zero")
    at = MonotonicNs(round(time_s * NS_PER_S))
    updates = []
    if lat_deg is not None and lon_deg is not None:
        try:
            updates.append(SignalUpdate(field="position", value=GeoPoint(lat_deg, lon_deg), at=at, max_age_ns=MAX_AGE_NS))
        except ValueError as no_place:
            raise DecodeError(where, str(no_place)) from no_place
    for name in ("heading_deg", "altitude_m"):
        value = values[name]
        if value is not None:
            updates.append(SignalUpdate(field=name, value=_within(name, value, where), at=at, max_age_ns=MAX_AGE_NS))
    return at, tuple(updates)


def _within(name: str, value: float, where: str) -> float:
    spec = FIELDS[name]
    if not spec.minimum <= value <= spec.maximum:
        raise DecodeError(f"{where} {name}", f"{value:g} is outside {spec.minimum:g}..{spec.maximum:g}")
    return value if spec.modulus is None else value % spec.modulus


def _number(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as not_a_number:
        raise DecodeError(where, f"{text!r} is not a number") from not_a_number
    if not math.isfinite(value):
        raise DecodeError(where, f"{text!r} is not a finite number")
    return value
