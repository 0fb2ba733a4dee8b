"""The sentences of one moment as one fix: each says a part of it, and any of them may say that there is none.

GGA and GNS bring place, height and quality, RMC date, speed and course, GSA whether the fix is two- or three-dimensional, GST how
large the errors are, VTG speed and course where there is no RMC, ZDA the date likewise. A position that was typed in (manual) or
made up (simulator) is not a fix, whatever its receiver calls it.
"""

from collections import Counter
from dataclasses import replace

from shared.core.clock import MonotonicNs, UtcNs
from shared.core.errors import DecodeError
from vehicle_agent.gnss.fix import DAY_NS, Fix, circle_of_95_percent
from vehicle_agent.gnss.nmea_fields import (
    KNOT_MPS,
    calendar_midnight_ns,
    count,
    letter,
    midnight_ns,
    number,
    place,
    time_of_day_ns,
)
from vehicle_agent.gnss.nmea_sentence import Sentence
from vehicle_agent.vehicle_state import FixQuality

PLACING = frozenset({"GGA", "GNS", "RMC"})
"""Kinds that say where the antenna is."""

TIMED = frozenset({*PLACING, "GST", "ZDA"})
"""Kinds whose first field is the time of the fix."""

READ = frozenset({*TIMED, "GSA", "VTG"})

_MODES = "ADEFRNMSP"
_BY_MODE = {
    "A": FixQuality.FIX_3D,
    "P": FixQuality.FIX_3D,
    "D": FixQuality.DIFFERENTIAL,
    "F": FixQuality.RTK_FLOAT,
    "R": FixQuality.RTK_FIXED,
    "E": FixQuality.ESTIMATED,
}
"""NMEA 0183 mode indicator; N (not valid), M (manual) and S (simulator) are no fix."""

_BY_GGA = {
    1: FixQuality.FIX_3D,
    2: FixQuality.DIFFERENTIAL,
    3: FixQuality.FIX_3D,
    4: FixQuality.RTK_FIXED,
    5: FixQuality.RTK_FLOAT,
    6: FixQuality.ESTIMATED,
}
"""GGA quality indicator; 0 (not valid), 7 (manual) and 8 (simulator) are no fix."""

_MODES_OF_GNS = 6
_RANK = (
    FixQuality.NONE,
    FixQuality.ESTIMATED,
    FixQuality.FIX_3D,
    FixQuality.DIFFERENTIAL,
    FixQuality.RTK_FLOAT,
    FixQuality.RTK_FIXED,
)

SentenceKey = tuple[str, int]
"""Which sentence of an epoch: its kind, and the how many-th of that kind."""


class Epoch:
    """What the sentences of one moment have said so far.

    Args:
        at: when the first of them came.
    """

    def __init__(self, at: MonotonicNs) -> None:
        self.at = at
        self.time_of_day_ns: int | None = None
        self.midnight_ns: int | None = None
        self.is_told = False
        self.last: SentenceKey | None = None
        self._seen: Counter[str] = Counter()
        self._placed: set[tuple[str, str]] = set()
        self._qualities: dict[str, FixQuality] = {}
        self._dimensions = 0
        self._fix = Fix(at=at, utc=None)

    @property
    def has_place(self) -> bool:
        """Whether a sentence said where, or that nobody knows."""
        return bool(self._placed)

    def begins_another(self, sentence: Sentence, time_ns: int | None) -> bool:
        """Whether a sentence belongs to a later moment than this."""
        if sentence.kind not in TIMED:
            return False
        if (sentence.talker, sentence.kind) in self._placed:
            return True
        return time_ns != self.time_of_day_ns and (self.time_of_day_ns is not None or self.has_place)

    def add(self, sentence: Sentence, time_ns: int | None) -> None:
        """Take what a sentence says.

        Raises:
            DecodeError: one of its fields is malformed; nothing of it is taken.
        """
        kind = sentence.kind
        match kind:
            case "GGA":
                self._fix = self._with_gga(sentence)
            case "GNS":
                self._fix = self._with_gns(sentence)
            case "RMC":
                self._fix = self._with_rmc(sentence)
            case "VTG":
                self._fix = self._with_vtg(sentence)
            case "GSA":
                self._fix = self._with_gsa(sentence)
            case "GST":
                latitude_error_m, longitude_error_m = number(sentence.field(5), "GST.lat"), number(sentence.field(6), "GST.lon")
                if latitude_error_m is not None and longitude_error_m is not None:
                    self._fix = replace(self._fix, accuracy_m=circle_of_95_percent(latitude_error_m, longitude_error_m))
            case "ZDA":
                self._date_by_zda(sentence)
        if time_ns is not None:
            self.time_of_day_ns = time_ns
        if kind in PLACING:
            self._placed.add((sentence.talker, kind))
        self._seen[kind] += 1
        self.last = (kind, self._seen[kind])

    def fix(self, utc: UtcNs | None) -> Fix:
        """Return the fix, dated; without a position where any sentence says that there is none."""
        quality = self._quality()
        time_ns = self.time_of_day_ns
        if quality is FixQuality.NONE or self._fix.position is None:
            return Fix(at=self.at, utc=utc, time_of_day_ns=time_ns, hdop=self._fix.hdop, satellites=self._fix.satellites)
        altitude_m = None if quality is FixQuality.FIX_2D else self._fix.altitude_m
        return replace(self._fix, utc=utc, time_of_day_ns=time_ns, quality=quality, altitude_m=altitude_m)

    def _quality(self) -> FixQuality:
        said = self._qualities
        if FixQuality.NONE in said.values() or self._dimensions == 1:
            return FixQuality.NONE
        best = next((said[kind] for kind in ("GGA", "GNS", "RMC", "VTG") if kind in said), FixQuality.NONE)
        if best is FixQuality.FIX_3D and (self._dimensions == 2 or (self._dimensions == 0 and self._fix.altitude_m is None)):
            return FixQuality.FIX_2D
        return best

    def _with_gga(self, said: Sentence) -> Fix:
        position = place(said, 1)
        quality = count(said.field(5), "GGA.quality")
        changed = replace(
            self._fix,
            position=position or self._fix.position,
            satellites=count(said.field(6), "GGA.satellites"),
            hdop=number(said.field(7), "GGA.hdop"),
            altitude_m=_above_ellipsoid(said.field(8), said.field(10), "GGA"),
        )
        self._qualities["GGA"] = FixQuality.NONE if quality is None else _BY_GGA.get(quality, FixQuality.NONE)
        return changed

    def _with_gns(self, said: Sentence) -> Fix:
        position = place(said, 1)
        modes = said.field(5)
        if len(modes) > _MODES_OF_GNS or not set(modes) <= set(_MODES):
            raise DecodeError("GNS.mode", f"{modes!r} is not a mode of each system")
        changed = replace(
            self._fix,
            position=position or self._fix.position,
            satellites=count(said.field(6), "GNS.satellites"),
            hdop=number(said.field(7), "GNS.hdop"),
            altitude_m=_above_ellipsoid(said.field(8), said.field(9), "GNS"),
        )
        qualities = [_BY_MODE.get(mode, FixQuality.NONE) for mode in modes]
        self._qualities["GNS"] = max(qualities, key=_RANK.index, default=FixQuality.NONE)
        return changed

    def _with_rmc(self, said: Sentence) -> Fix:
        status = letter(said.field(1), "AV", "RMC.status")
        position = place(said, 2)
        speed_kn, course_deg = number(said.field(6), "RMC.speed"), _course(said.field(7), "RMC.course")
        date_ns = midnight_ns(said.field(8), "RMC.date")
        mode = letter(said.field(11), _MODES, "RMC.mode") or "A"  # before version 2.3 there was none
        self._qualities["RMC"] = _BY_MODE.get(mode, FixQuality.NONE) if status == "A" else FixQuality.NONE
        if date_ns is not None:
            self.midnight_ns = date_ns
        return replace(
            self._fix,
            position=self._fix.position or position,
            speed_mps=None if speed_kn is None else speed_kn * KNOT_MPS,
            course_deg=course_deg,
        )

    def _with_vtg(self, said: Sentence) -> Fix:
        course_deg, speed_kn = _course(said.field(0), "VTG.course"), number(said.field(4), "VTG.speed")
        mode = letter(said.field(8), _MODES, "VTG.mode")
        if mode is not None:
            self._qualities["VTG"] = _BY_MODE.get(mode, FixQuality.NONE)
        speed_mps = None if speed_kn is None else speed_kn * KNOT_MPS
        return replace(
            self._fix,
            speed_mps=speed_mps if self._fix.speed_mps is None else self._fix.speed_mps,
            course_deg=course_deg if self._fix.course_deg is None else self._fix.course_deg,
        )

    def _with_gsa(self, said: Sentence) -> Fix:
        dimensions = letter(said.field(1), "123", "GSA.mode")
        hdop = number(said.field(15), "GSA.hdop")
        if dimensions is not None:  # one sentence for each system: the best of them is the fix
            self._dimensions = max(self._dimensions, int(dimensions))
        return self._fix if self._fix.hdop is not None else replace(self._fix, hdop=hdop)

    def _date_by_zda(self, said: Sentence) -> None:
        day, month, year = (count(said.field(1), "ZDA.day"), count(said.field(2), "ZDA.month"), number(said.field(3), "ZDA.year"))
        if day is not None and month is not None and year is not None:
            self.midnight_ns = calendar_midnight_ns(day, month, int(year), "ZDA")


def time_of(sentence: Sentence) -> int | None:
    """Return the UTC within its day that a sentence is of; None where its kind bears none; raises `DecodeError`."""
    return time_of_day_ns(sentence.field(0), f"{sentence.kind}.time") if sentence.kind in TIMED else None


def dated(time_ns: int, known: UtcNs) -> UtcNs:
    """Return the moment with that time of day that is nearest to one whose date is known."""
    return UtcNs(known + (time_ns - known % DAY_NS + DAY_NS // 2) % DAY_NS - DAY_NS // 2)


def _course(text: str, where: str) -> float | None:
    course_deg = number(text, where)
    if course_deg is not None and not 0.0 <= course_deg <= 360.0:
        raise DecodeError(where, f"{text} is no direction")
    return None if course_deg is None else course_deg % 360.0


def _above_ellipsoid(above_geoid: str, separation: str, where: str) -> float | None:
    altitude_m, separation_m = number(above_geoid, f"{where}.altitude"), number(separation, f"{where}.separation")
    return None if altitude_m is None or separation_m is None else altitude_m + separation_m
