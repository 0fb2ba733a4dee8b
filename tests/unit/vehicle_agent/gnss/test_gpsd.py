"""gpsd's JSON: what each report says, what is refused, several receivers, and a gpsd that is none."""

import json

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import DecodeError
from shared.core.itstime import utc_from_text
from tests.helpers.gnss_track import GPSD_INTRODUCTION, START_UTC, as_gpsd, drive, without_fix
from vehicle_agent.gnss.fix import Fix
from vehicle_agent.gnss.gpsd import (
    DEVICE_PATIENCE_NS,
    LEAP_SECONDS,
    MALFORMED,
    MAX_LINE_OCTETS,
    MAX_NONSENSE,
    OTHER_DEVICE,
    REPORTED_ERROR,
    SKY_AGE_NS,
    TOO_LONG,
    GpsdParser,
)
from vehicle_agent.vehicle_state import FixQuality

T0 = MonotonicNs(0)
PLACED = {"class": "TPV", "mode": 3, "time": "2026-11-29T12:00:00.000Z", "lat": 48.137, "lon": 11.575}


def introduced(device: str | None = None) -> GpsdParser:
    parser = GpsdParser(device)
    assert parser.receive(GPSD_INTRODUCTION, T0) == ()
    return parser


def line(report: object) -> bytes:
    return json.dumps(report).encode() + b"\n"


def fix_of(**fields: object) -> Fix:
    (fix,) = introduced().receive(line({**PLACED, **fields}), T0)
    return fix


def test_it_asks_to_watch() -> None:
    assert GpsdParser().greeting == b'?WATCH={"enable":true,"json":true};\n'


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"mode": 0}, FixQuality.NONE),
        ({"mode": 1}, FixQuality.NONE),
        ({"mode": 4}, FixQuality.NONE),
        ({"mode": 2}, FixQuality.FIX_2D),
        ({"mode": 3}, FixQuality.FIX_3D),
        ({"mode": 3, "status": 1}, FixQuality.FIX_3D),
        ({"mode": 3, "status": 2}, FixQuality.DIFFERENTIAL),
        ({"mode": 3, "status": 3}, FixQuality.RTK_FIXED),
        ({"mode": 3, "status": 4}, FixQuality.RTK_FLOAT),
        ({"mode": 3, "status": 5}, FixQuality.ESTIMATED),
        ({"mode": 3, "status": 6}, FixQuality.ESTIMATED),
        ({"mode": 3, "status": 8}, FixQuality.NONE),
        ({"mode": 3, "status": 99}, FixQuality.FIX_3D),
    ],
)
def test_mode_and_status_say_how_good_a_fix_is(fields: dict[str, object], expected: FixQuality) -> None:
    fix = fix_of(**fields)
    assert fix.quality is expected
    assert (fix.position is None) is (expected is FixQuality.NONE)


def test_a_fix_without_a_place_is_none() -> None:
    assert fix_of(lat=None).quality is FixQuality.NONE


def test_altitude_is_above_the_ellipsoid_and_of_three_dimensions() -> None:
    assert fix_of(altHAE=566.0, altMSL=519.0).altitude_m == 566.0
    assert fix_of(altMSL=519.0, alt=519.0).altitude_m is None
    assert fix_of(altHAE=566.0, mode=2).altitude_m is None


def test_the_larger_error_counts() -> None:
    assert fix_of().accuracy_m is None
    assert fix_of(eph=4.0).accuracy_m == 4.0
    assert fix_of(eph=4.0, epx=3.0, epy=4.0).accuracy_m == 5.0
    assert fix_of(eph=9.0, epx=3.0, epy=4.0).accuracy_m == 9.0


def test_time_comes_with_and_without_a_fix() -> None:
    noon = utc_from_text("2026-11-29T12:00:00Z")
    assert fix_of().utc == fix_of(mode=1).utc == noon
    assert fix_of(time=None).utc is None


def test_a_receiver_that_does_not_know_the_leap_seconds_yet_dates_nothing() -> None:
    for leap_seconds, is_dated in ((0, False), (17, False), (18, True), (19, True)):
        parser = introduced()
        (fix,) = parser.receive(line({**PLACED, "leapseconds": leap_seconds}), T0)
        assert (fix.utc is not None, fix.position is not None) == (is_dated, True)
        assert parser.faults.get(LEAP_SECONDS, 0) == (not is_dated)


def test_the_sky_tells_dilution_and_satellites_for_a_while() -> None:
    parser = introduced()
    satellites = [{"used": True}, {"used": False}, {}]
    parser.receive(line({"class": "SKY", "hdop": 1.25, "satellites": satellites}), T0)
    (fix,) = parser.receive(line(PLACED), T0)
    assert (fix.hdop, fix.satellites) == (1.25, 1)
    parser.receive(line({"class": "SKY", "hdop": 1.5, "uSat": 7}), T0)
    (fix,) = parser.receive(line(PLACED), T0)
    assert (fix.hdop, fix.satellites) == (1.5, 7)
    (fix,) = parser.receive(line(PLACED), MonotonicNs(SKY_AGE_NS + 1))
    assert (fix.hdop, fix.satellites) == (None, None)


def test_the_receivers_own_errors_are_better_than_those_gpsd_derives() -> None:
    parser = introduced()
    *_, fix = parser.receive(as_gpsd(next(drive(1))), T0)
    assert fix.accuracy_m is not None
    assert fix.accuracy_m < 17.1
    assert parser.receive(line({"class": "GST", "time": "2026-11-29T11:00:00.000Z", "lat": 1.0, "lon": 1.0}), T0) == ()


def test_other_reports_and_unknown_fields_say_nothing() -> None:
    parser = introduced()
    for report in ({"class": "PPS", "real_sec": 1}, {"class": "WATCH", "enable": True}, {"class": "ATT"}, {"class": "DEVICE"}):
        assert parser.receive(line(report), T0) == ()
    assert parser.receive(line({**PLACED, "jam": 7}), T0)
    assert not parser.faults


def test_an_error_of_gpsd_is_counted() -> None:
    parser = introduced()
    parser.receive(line({"class": "ERROR", "message": "Unrecognized request"}), T0)
    parser.receive(line({"class": "DEVICES", "devices": [{"class": "DEVICE", "path": "/dev/ttyACM0"}]}), T0)
    assert parser.faults == {REPORTED_ERROR: 1}
    assert parser.status() == {"gpsd": "3.22", "devices": 1}


@pytest.mark.parametrize(
    "report",
    [
        b"{\n",
        b"[]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"[" * 5_000 + b"\n",
        line({"class": 1}),
        line({"class": "TPV"}),
        line({**PLACED, "mode": "3"}),
        line({**PLACED, "lat": "48"}),
        line({**PLACED, "lat": 90.1}),
        line({**PLACED, "lon": -180.5}),
        line({**PLACED, "track": 361}),
        line({**PLACED, "time": "noon"}),
        line({**PLACED, "time": "2026-11-29T12:00:00"}),
        line({**PLACED, "time": 1}),
        b'{"class":"TPV","mode":3,"lat":nan,"lon":1}\n',
        b'{"class":"TPV","mode":3,"lat":1e999,"lon":1}\n',
        line({"class": "SKY", "satellites": [1]}),
        line({"class": "DEVICES", "devices": {}}),
    ],
)
def test_a_malformed_report_is_counted_and_the_next_is_read(report: bytes) -> None:
    parser = introduced()
    assert parser.receive(report, T0) == ()
    assert parser.faults == {MALFORMED: 1}
    assert len(parser.receive(line(PLACED), T0)) == 1


def test_a_report_without_an_end_is_bounded() -> None:
    parser = introduced()
    for _ in range(8):
        parser.receive(b'{"class":"SKY","satellites":[' + b" " * MAX_LINE_OCTETS, T0)
    assert parser.faults == {TOO_LONG: 1}
    assert len(parser.receive(b"]}\n" + line(PLACED), T0)) == 1


def test_a_gpsd_that_speaks_nonsense_is_given_up() -> None:
    parser = introduced()
    with pytest.raises(DecodeError, match="not reports of gpsd"):
        parser.receive(b"hello\n" * MAX_NONSENSE, T0)
    parser.restart()
    parser.receive(GPSD_INTRODUCTION + line(PLACED), T0)


@pytest.mark.parametrize(
    "first",
    [
        line(PLACED),
        b"HTTP/1.1 400 Bad Request\r\n",
        line({"class": "VERSION", "release": "9", "proto_major": 4}),
        line({"class": "VERSION", "release": 3, "proto_major": 3}),
    ],
)
def test_whoever_does_not_introduce_himself_is_not_gpsd(first: bytes) -> None:
    with pytest.raises(DecodeError):
        GpsdParser().receive(first, T0)


def test_of_two_receivers_the_one_with_a_fix_is_kept_to() -> None:
    parser = introduced()
    one, other = (list(drive(20)), list(drive(20)))
    assert parser.receive(as_gpsd(one[0], "/dev/a"), T0)
    assert parser.receive(as_gpsd(other[0], "/dev/b"), T0) == ()
    assert parser.faults == {OTHER_DEVICE: 1}
    for second in range(1, 8):
        now = MonotonicNs(second * NS_PER_S)
        assert parser.receive(as_gpsd(without_fix(one[second]), "/dev/a"), now) != () or now > DEVICE_PATIENCE_NS
        taken = parser.receive(as_gpsd(other[second], "/dev/b"), now)
        assert bool(taken) is (now > DEVICE_PATIENCE_NS)


def test_a_named_receiver_is_the_only_one() -> None:
    parser = introduced("/dev/b")
    moment = next(drive(1))
    assert parser.receive(as_gpsd(moment, "/dev/a"), T0) == ()
    assert parser.receive(as_gpsd(moment, "/dev/b"), T0)
    late = MonotonicNs(DEVICE_PATIENCE_NS * 3)
    assert parser.receive(as_gpsd(moment, "/dev/a"), late) == ()


def test_the_helpers_track_begins_at_noon() -> None:
    assert fix_of().utc == START_UTC
