"""A drive as a GNSS receiver tells it, in NMEA 0183 and in gpsd's JSON: made from our own numbers, no recording of anybody's.

`drive` goes straight on from a place, a moment a second; `Moment`s without a position are a tunnel. What a receiver says of each is
written by `as_nmea` and `as_gpsd`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import cos, radians, sin

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.itstime import utc_from_text, utc_text
from vehicle_agent.gnss.nmea_fields import KNOT_MPS

START = GeoPoint(48.137, 11.575)
START_UTC = utc_from_text("2026-11-29T12:00:00Z")
SPEED_MPS = 15.0
COURSE_DEG = 60.0
ALTITUDE_M = 566.0
SEPARATION_M = 47.0
ERRORS_M = (1.2, 1.5)
GPSD_INTRODUCTION = b'{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}\r\n'
DEVICE = "/dev/ttyACM0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a receiver knows at one moment; without a position it has no fix."""

    utc: UtcNs
    position: GeoPoint | None
    speed_mps: float = SPEED_MPS
    course_deg: float = COURSE_DEG
    altitude_m: float = ALTITUDE_M
    satellites: int = 9
    hdop: float = 0.9


def drive(seconds: int, *, start: GeoPoint = START, start_utc: UtcNs = START_UTC, speed_mps: float = SPEED_MPS) -> Iterator[Moment]:
    """Yield a moment a second of a drive straight on."""
    east, north = sin(radians(COURSE_DEG)), cos(radians(COURSE_DEG))
    for second in range(seconds):
        driven_m = speed_mps * second
        place = displaced(start, driven_m * east, driven_m * north)
        yield Moment(utc=UtcNs(start_utc + second * NS_PER_S), position=place, speed_mps=speed_mps)


def without_fix(moment: Moment) -> Moment:
    """Return the same moment in a tunnel."""
    return replace(moment, position=None, satellites=0)


def moved(moment: Moment, north_m: float) -> Moment:
    """Return the same moment somewhere else."""
    assert moment.position is not None
    return replace(moment, position=displaced(moment.position, 0.0, north_m))


def sentence(body: str) -> bytes:
    """Put `$`, checksum and line end around the body of a sentence."""
    total = 0
    for octet in body.encode():
        total ^= octet
    return f"${body}*{total:02X}\r\n".encode()


def as_nmea(moment: Moment) -> bytes:
    """Write GGA, GSA, RMC and GST of a moment."""
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment.utc // 1_000)
    time, date = f"{utc:%H%M%S}.{utc.microsecond // 10_000:02d}", f"{utc:%d%m%y}"
    if moment.position is None:
        return b"".join(
            sentence(body)
            for body in (
                f"GPGGA,{time},,,,,0,00,,,M,,M,,",
                "GPGSA,A,1,,,,,,,,,,,,,,,",
                f"GPRMC,{time},V,,,,,,,{date},,,N",
            )
        )
    place = f"{_angle(moment.position.lat_deg, 2, 'NS')},{_angle(moment.position.lon_deg, 3, 'EW')}"
    above_geoid_m = moment.altitude_m - SEPARATION_M
    used = ",".join(f"{number:02d}" if number <= moment.satellites else "" for number in range(1, 13))
    bodies = (
        f"GPGGA,{time},{place},1,{moment.satellites:02d},{moment.hdop},{above_geoid_m:.1f},M,{SEPARATION_M:.1f},M,,",
        f"GPGSA,A,3,{used},1.8,{moment.hdop},1.5",
        f"GPRMC,{time},A,{place},{moment.speed_mps / KNOT_MPS:.3f},{moment.course_deg:.2f},{date},,,A",
        f"GPGST,{time},2.0,,,,{ERRORS_M[0]},{ERRORS_M[1]},3.0",
    )
    return b"".join(map(sentence, bodies))


def as_gpsd(moment: Moment, device: str = DEVICE) -> bytes:
    """Write SKY, TPV and GST of a moment."""
    time = utc_text(moment.utc)
    satellites = [{"PRN": number, "used": True} for number in range(1, moment.satellites + 1)]
    sky = {"class": "SKY", "device": device, "hdop": moment.hdop, "satellites": satellites}
    tpv: dict[str, object] = {"class": "TPV", "device": device, "mode": 1, "time": time}
    if moment.position is None:
        return _lines(sky, tpv)
    tpv |= {
        "mode": 3,
        "lat": moment.position.lat_deg,
        "lon": moment.position.lon_deg,
        "altHAE": moment.altitude_m,
        "eph": 17.1,
        "track": moment.course_deg,
        "speed": moment.speed_mps,
        "climb": 0.0,
        "leapseconds": 18,
    }
    gst = {"class": "GST", "device": device, "time": time, "rms": 2.0, "lat": ERRORS_M[0], "lon": ERRORS_M[1], "alt": 3.0}
    return _lines(sky, tpv, gst)


def _lines(*reports: dict[str, object]) -> bytes:
    return b"".join(json.dumps(report).encode() + b"\r\n" for report in reports)


def _angle(angle_deg: float, degree_digits: int, sides: str) -> str:
    hundred_thousandths = round(abs(angle_deg) * 60 * 100_000)
    degrees, minutes = divmod(hundred_thousandths, 60 * 100_000)
    whole, fraction = divmod(minutes, 100_000)
    return f"{degrees:0{degree_digits}d}{whole:02d}.{fraction:05d},{sides[angle_deg < 0]}"
