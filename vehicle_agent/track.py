"""A recorded GNSS track beside a recorded bus: where the car was while the log ran.

A CSV file with the header `time_s,lat_deg,lon_deg,altitude_m,speed_mps,heading_deg` on the time base of the CAN log (a candump's
stamps). An empty field is "not available". Only position, altitude and heading are taken: a car's speed comes from its bus, so that
the two can be compared. This file is for replay; a live receiver is another source.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError, DecodeError
from shared.core.geo import GeoPoint
from vehicle_agent.vehicle_state import SignalUpdate

COLUMNS = ("time_s", "lat_deg", "lon_deg", "altitude_m", "speed_mps", "heading_deg")
MAX_AGE_NS = 1_500 * NS_PER_MS
"""A fix older than this is no position: one missed second of a 1 Hz receiver is bridged, not more."""


def read_track(path: Path) -> Iterator[tuple[MonotonicNs, tuple[SignalUpdate, ...]]]:
    """Yield each fix as the moment it was taken and what it says.

    Raises:
        ConfigError: the file cannot be read or has another header.
        DecodeError: a line is malformed, or runs backwards; the lines before it have been yielded.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if tuple(next(rows, ())) != COLUMNS:
                raise ConfigError(str(path), f"a track begins with the line {','.join(COLUMNS)}")
            last = -math.inf
            for row in rows:
                time_s, updates = _fix(row, f"{path.name} line {rows.line_num}")
                if time_s < last:
                    raise DecodeError(f"{path.name} line {rows.line_num}", "the track runs backwards in time")
                last = time_s
                yield MonotonicNs(round(time_s * NS_PER_S)), updates
    except OSError as failure:
        raise ConfigError(str(path), failure.strerror or "cannot be read") from failure
    except (UnicodeDecodeError, csv.Error) as garbled:
        raise DecodeError(path.name, f"not a CSV file: {garbled}") from garbled


def _fix(row: list[str], where: str) -> tuple[float, tuple[SignalUpdate, ...]]:
    if len(row) != len(COLUMNS):
        raise DecodeError(where, f"{len(row)} fields instead of {len(COLUMNS)}")
    values = {name: _number(text, f"{where} {name}") for name, text in zip(COLUMNS, row, strict=True)}
    time_s, lat, lon = values["time_s"], values["lat_deg"], values["lon_deg"]
    if time_s is None:
        raise DecodeError(where, "a fix without a time")
    at = MonotonicNs(round(time_s * NS_PER_S))
    updates = []
    if lat is not None and lon is not None:
        try:
            updates.append(SignalUpdate(field="position", value=GeoPoint(lat, lon), at=at, max_age_ns=MAX_AGE_NS))
        except ValueError as no_place:
            raise DecodeError(where, str(no_place)) from no_place
    heading = values["heading_deg"]
    if heading is not None:
        updates.append(SignalUpdate(field="heading_deg", value=heading % 360.0, at=at, max_age_ns=MAX_AGE_NS))
    if values["altitude_m"] is not None:
        updates.append(SignalUpdate(field="altitude_m", value=values["altitude_m"], at=at, max_age_ns=MAX_AGE_NS))
    return time_s, tuple(updates)


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
