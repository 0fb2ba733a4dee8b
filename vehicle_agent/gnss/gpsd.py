"""The client's side of gpsd's JSON protocol: what gpsd says becomes fixes.

gpsd may tell one fix twice, first in part and then in full, and its errors (`GST`) after that; each of these is a fix with the same
time, and the last is the best. Where it listens to several receivers, the one that has a fix is kept to until it has had none for
`DEVICE_PATIENCE_NS`: two antennas are two places. A time is taken only with a fix, and not while the receiver still counts fewer
leap seconds than there are (before it has heard the almanac).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import hypot

from shared.core.clock import NS_PER_S, MonotonicNs, UtcNs
from shared.core.errors import DecodeError
from shared.core.geo import GeoPoint
from shared.core.itstime import leap_seconds_at, utc_from_text
from vehicle_agent.gnss.fix import Fix, circle_of_95_percent
from vehicle_agent.gnss.gpsd_reports import Devices, ErrorReport, Gst, Sky, Tpv, Version, class_of, read_report
from vehicle_agent.gnss.lines import LineSplitter
from vehicle_agent.vehicle_state import FixQuality

PROTOCOL = 3
"""The only major version there is."""

MAX_LINE_OCTETS = 16_384
"""A report of gpsd has at most 10,240."""

MAX_NONSENSE = 20
"""Lines in a row that are no report; then it is not gpsd that speaks there."""

DEVICE_PATIENCE_NS = 5 * NS_PER_S
"""How long a receiver without a fix is waited for while another has one."""

SKY_AGE_NS = 10 * NS_PER_S
"""For how long a view of the sky belongs to the fixes after it."""

MAX_DEVICE_CHARACTERS = 128

LEAP_SECONDS_IN_2004 = 13
"""GPS - UTC when ITS time began."""

_BY_STATUS = {
    2: FixQuality.DIFFERENTIAL,
    3: FixQuality.RTK_FIXED,
    4: FixQuality.RTK_FLOAT,
    5: FixQuality.ESTIMATED,
    6: FixQuality.ESTIMATED,
}
"""`status` of `TPV`: 5 and 6 are dead reckoning, alone and with satellites. 8 is a simulator."""

_SIMULATED = 8
_MODE_2D, _MODE_3D = 2, 3

MALFORMED = "malformed"
TOO_LONG = "too_long"
OTHER_DEVICE = "other_device"
LEAP_SECONDS = "leap_seconds"
REPORTED_ERROR = "gpsd_error"


class GpsdParser:
    """The `ReportParser` of gpsd.

    Args:
        device: the receiver to listen to, as gpsd calls it; None for whichever has a fix.
    """

    def __init__(self, device: str | None = None) -> None:
        self._wanted = device
        self._lines = LineSplitter(MAX_LINE_OCTETS)
        self._faults: Counter[str] = Counter()
        self._nonsense = 0
        self._release: str | None = None
        self._devices = 0
        self._device: str | None = None
        self._fixed_at = MonotonicNs(0)
        self._sky: tuple[Sky, MonotonicNs] | None = None
        self._last: tuple[str | None, Fix] | None = None

    @property
    def greeting(self) -> bytes:
        """`?WATCH`: all reports as JSON."""
        return b'?WATCH={"enable":true,"json":true};\n'

    @property
    def faults(self) -> Mapping[str, int]:
        """What could not be used so far: `malformed`, `too_long`, `other_device`, `leap_seconds`, `gpsd_error`."""
        overlong = {TOO_LONG: self._lines.overlong} if self._lines.overlong else {}
        return {**self._faults, **overlong}

    def restart(self) -> None:
        """Begin anew: gpsd introduces itself again."""
        self._lines.restart()
        self._nonsense = self._devices = 0
        self._release = self._device = self._sky = self._last = None

    def receive(self, octets: bytes, now: MonotonicNs) -> tuple[Fix, ...]:
        """Take what came and return the fixes it completes; raises `DecodeError` when it is not gpsd of our protocol."""
        fixes: list[Fix] = []
        overlong = self._lines.overlong
        for line in self._lines.feed(octets):
            try:
                fixes += self._report(line, now)
                self._nonsense = 0
            except DecodeError as refused:
                if self._release is None:
                    raise DecodeError("gpsd", f"does not introduce itself as gpsd does: {refused}") from refused
                self._faults[MALFORMED] += 1
                self._nonsense += 1
        self._nonsense += self._lines.overlong - overlong
        if self._nonsense >= MAX_NONSENSE:
            raise DecodeError("gpsd", f"{self._nonsense} lines in a row are not reports of gpsd")
        return tuple(fixes)

    def next_due(self) -> MonotonicNs | None:
        """Never: gpsd says by itself when a fix is complete."""
        return None

    def poll(self, now: MonotonicNs) -> tuple[Fix, ...]:  # noqa: ARG002 - as every parser
        """Nothing, as `next_due` says."""
        return ()

    def status(self) -> dict[str, object]:
        """Return what gpsd is and how many receivers it has, as JSON values."""
        return {"gpsd": self._release, "devices": self._devices}

    def _report(self, line: bytes, now: MonotonicNs) -> tuple[Fix, ...]:
        kind = class_of(line)
        if self._release is None and kind != "VERSION":
            raise DecodeError("gpsd", f"{kind[:16]!r} comes before VERSION")
        match kind:
            case "VERSION":
                self._introduced(read_report(line, Version, kind))
            case "DEVICES":
                self._devices = len(read_report(line, Devices, kind).devices)
            case "ERROR":
                read_report(line, ErrorReport, kind)
                self._faults[REPORTED_ERROR] += 1
            case "SKY":
                sky = read_report(line, Sky, kind)
                if self._is_ours(sky.device):
                    self._sky = (sky, now)
            case "GST":
                return self._with_errors(read_report(line, Gst, kind))
            case "TPV":
                return self._fixed(read_report(line, Tpv, kind), now)
        return ()

    def _introduced(self, version: Version) -> None:
        if version.proto_major != PROTOCOL:
            raise DecodeError("VERSION.proto_major", f"is {version.proto_major}, not {PROTOCOL}")
        self._release = version.release[:MAX_DEVICE_CHARACTERS]

    def _is_ours(self, device: str | None) -> bool:
        if self._wanted is not None:
            return device == self._wanted
        return self._device is None or device == self._device

    def _fixed(self, tpv: Tpv, now: MonotonicNs) -> tuple[Fix, ...]:
        device = None if tpv.device is None else tpv.device[:MAX_DEVICE_CHARACTERS]
        fix = self._fix(tpv, now)
        has_fix = fix.quality is not FixQuality.NONE
        if not self._is_ours(device):
            is_free = self._wanted is None and has_fix and now - self._fixed_at > DEVICE_PATIENCE_NS
            if not is_free:
                self._faults[OTHER_DEVICE] += 1
                return ()
            self._sky = None
        self._device = device
        if has_fix:
            self._fixed_at = now
        fix = self._with_sky(fix, now)
        self._last = (tpv.time, fix)
        return (fix,)

    def _fix(self, tpv: Tpv, now: MonotonicNs) -> Fix:
        quality = _quality(tpv)
        utc = self._utc(tpv)
        if quality is FixQuality.NONE or tpv.lat is None or tpv.lon is None:
            return Fix(at=now, utc=utc)
        try:
            position = GeoPoint(tpv.lat, tpv.lon)
        except ValueError as nowhere:
            raise DecodeError("TPV", str(nowhere)) from nowhere
        if tpv.track is not None and not 0.0 <= tpv.track <= 360.0:
            raise DecodeError("TPV.track", f"{tpv.track:g} is no direction")
        return Fix(
            at=now,
            utc=utc,
            quality=quality,
            position=position,
            altitude_m=tpv.altHAE if tpv.mode == _MODE_3D else None,
            speed_mps=tpv.speed,
            course_deg=None if tpv.track is None else tpv.track % 360.0,
            accuracy_m=_accuracy_m(tpv),
        )

    def _utc(self, tpv: Tpv) -> UtcNs | None:
        if tpv.time is None:
            return None
        try:
            utc = utc_from_text(tpv.time)
        except ValueError as malformed:
            raise DecodeError("TPV.time", f"{tpv.time[:40]!r} is no time") from malformed
        if tpv.leapseconds is not None and tpv.leapseconds < LEAP_SECONDS_IN_2004 + leap_seconds_at(utc):
            self._faults[LEAP_SECONDS] += 1
            return None
        return utc

    def _with_sky(self, fix: Fix, now: MonotonicNs) -> Fix:
        if self._sky is None or now - self._sky[1] > SKY_AGE_NS:
            return fix
        sky = self._sky[0]
        return replace(fix, hdop=sky.hdop, satellites=sky.used)

    def _with_errors(self, gst: Gst) -> tuple[Fix, ...]:
        """Tell the last fix once more, with the errors the receiver itself states: what gpsd derives from the sky is rougher."""
        if self._last is None or gst.time is None or gst.lat is None or gst.lon is None or not self._is_ours(gst.device):
            return ()
        time, fix = self._last
        if time != gst.time or fix.quality is FixQuality.NONE:
            return ()
        fix = replace(fix, accuracy_m=circle_of_95_percent(gst.lat, gst.lon))
        self._last = (time, fix)
        return (fix,)


def _quality(tpv: Tpv) -> FixQuality:
    if tpv.mode not in (_MODE_2D, _MODE_3D) or tpv.status == _SIMULATED:
        return FixQuality.NONE
    better = None if tpv.status is None else _BY_STATUS.get(tpv.status)
    if better is not None:
        return better
    return FixQuality.FIX_3D if tpv.mode == _MODE_3D else FixQuality.FIX_2D


def _accuracy_m(tpv: Tpv) -> float | None:
    """Return the larger of what gpsd says of the circle and of its two axes."""
    circles = [] if tpv.eph is None else [tpv.eph]
    if tpv.epx is not None and tpv.epy is not None:
        circles.append(hypot(tpv.epx, tpv.epy))
    return max(circles, default=None)
