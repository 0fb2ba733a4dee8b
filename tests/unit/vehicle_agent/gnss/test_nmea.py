"""NMEA 0183, sentence by sentence: what each says, what is refused of it, and when a moment is complete."""

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import DecodeError
from shared.core.geo import GeoPoint
from shared.core.itstime import utc_from_text, utc_text
from tests.helpers.gnss_track import as_nmea, drive, sentence, without_fix
from vehicle_agent.gnss.fix import Fix
from vehicle_agent.gnss.nmea import MALFORMED, NONSENSE_OCTETS, QUIET_NS, TOO_LONG, NmeaParser
from vehicle_agent.gnss.nmea_fields import KNOT_MPS, midnight_ns, place, time_of_day_ns
from vehicle_agent.gnss.nmea_sentence import CHECKSUM, MAX_SENTENCE_OCTETS, Sentence, parse_sentence
from vehicle_agent.vehicle_state import FixQuality

GGA = "GPGGA,120000.00,4808.2200,N,01134.5000,E,{quality},09,0.9,519.0,M,47.0,M,,"
RMC = "GNRMC,120000.00,A,4808.2200,N,01134.5000,E,29.16,60.0,291126,,,{mode}"
GNS = "GNGNS,120000.00,4808.2200,N,01134.5000,E,{modes},14,0.7,519.0,47.0,,"
GSA = "GPGSA,A,{mode},01,02,03,04,,,,,,,,,1.8,0.9,1.5"
GST = "GPGST,120000.00,2.0,,,,3.0,4.0,5.0"
PLACE = GeoPoint(48 + 8.22 / 60, 11 + 34.5 / 60)
T0 = MonotonicNs(5 * NS_PER_S)


def heard(*bodies: str, at: MonotonicNs = T0) -> tuple[NmeaParser, list[Fix]]:
    """Hear sentences of one moment and the silence after it."""
    parser = NmeaParser()
    fixes = parser.receive(b"".join(map(sentence, bodies)), at)
    return parser, [*fixes, *parser.poll(MonotonicNs(at + QUIET_NS))]


def fix_of(*bodies: str) -> Fix:
    parser, (fix,) = heard(*bodies)
    assert not parser.faults
    return fix


def test_a_sentence_is_talker_kind_and_fields() -> None:
    assert parse_sentence(sentence("GNVTG,60.0,T,,M").rstrip()) == Sentence("GN", "VTG", ("60.0", "T", "", "M"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"$GPGGA,120000.00,,,,,0,,,,,,,,", "without a checksum"),
        (b"$GPGGA,1*", "without a checksum"),
        (b"$GPGGA,1*5", "without a checksum"),
        (b"$GPGGA,1*GG", "without a checksum"),
        (b"$GPGGA,1*FF", "the sentence gives"),
        (sentence("GPGGA,1").rstrip() + b"0", "without a checksum"),
    ],
)
def test_a_checksum_is_mandatory(line: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why) as refused:
        parse_sentence(line)
    assert refused.value.field == CHECKSUM


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xb5\x62\x01\x07",
        b"!AIVDM,1",
        sentence("PUBX,00,120000.00").rstrip(),
        sentence("HCHDG,98.3,,,12.6,W").rstrip(),
        sentence("GPgga,1").rstrip(),
    ],
)
def test_what_is_no_sentence_of_a_receiver_is_passed_over(line: bytes) -> None:
    assert parse_sentence(line) is None


def test_another_protocol_on_the_wire_costs_no_sentence() -> None:
    parser = NmeaParser()
    parser.receive(b"\xb5\x62\x01\x07\x00$" + sentence(RMC.format(mode="A")), T0)
    (fix,) = parser.poll(MonotonicNs(T0 + QUIET_NS))
    assert fix.position == PLACE
    assert not parser.faults


def test_a_line_without_an_end_is_bounded_and_counted() -> None:
    parser = NmeaParser()
    for _ in range(4):
        parser.receive(b"$GPGGA," + b"1" * MAX_SENTENCE_OCTETS, T0)
    parser.receive(b"\r\n" + sentence(RMC.format(mode="A")), T0)
    assert len(parser.poll(MonotonicNs(T0 + QUIET_NS))) == 1
    assert parser.faults == {TOO_LONG: 1}


@pytest.mark.parametrize(
    ("fields", "lat_deg", "lon_deg"),
    [
        (("4808.2200", "N", "01134.5000", "E"), 48.137, 11.575),
        (("3351.0", "S", "15112.6", "E"), -33.85, 151.21),
        (("0000.00", "N", "00000.00", "W"), 0.0, 0.0),
        (("9000.000", "S", "18000.000", "W"), -90.0, -180.0),
        (("4808", "N", "01134", "E"), 48 + 8 / 60, 11 + 34 / 60),
    ],
)
def test_a_place_is_degrees_and_minutes(fields: tuple[str, ...], lat_deg: float, lon_deg: float) -> None:
    found = place(Sentence("GP", "GGA", fields), 0)
    assert found is not None
    assert (found.lat_deg, found.lon_deg) == pytest.approx((lat_deg, lon_deg))


def test_an_empty_place_is_none() -> None:
    assert place(Sentence("GP", "GGA", ("",) * 4), 0) is None


@pytest.mark.parametrize(
    "fields",
    [
        ("4860.0", "N", "01134.5", "E"),  # sixty minutes
        ("4808.2", "N", "1134.5", "E"),  # two digits of longitude
        ("04808.2", "N", "01134.5", "E"),  # three digits of latitude
        ("48.137", "N", "11.575", "E"),  # decimal degrees
        ("4808.2", "E", "01134.5", "N"),
        ("4808.2", "", "01134.5", "E"),
        ("4808.2", "N", "", ""),
        ("-808.2", "N", "01134.5", "E"),
        ("9000.1", "N", "01134.5", "E"),
        ("4808.2", "N", "18000.1", "E"),
        ("4808.", "N", "01134.5", "E"),
        ("\u0664808.2", "N", "01134.5", "E"),
    ],
)
def test_a_malformed_place_is_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(DecodeError):
        place(Sentence("GP", "GGA", fields), 0)


@pytest.mark.parametrize(("text", "seconds"), [("000000", 0), ("235959.5", 86_399.5), ("120000.123456789", 43_200.123456789)])
def test_a_time_is_hours_minutes_seconds(text: str, seconds: float) -> None:
    assert time_of_day_ns(text, "t") == pytest.approx(seconds * 1e9, abs=1)


@pytest.mark.parametrize("text", ["240000", "126000", "120061", "12000", "12:00:00", "120000.", "120000,5", "-10000"])
def test_a_time_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        time_of_day_ns(text, "t")


@pytest.mark.parametrize(("text", "day"), [("291126", "2026-11-29"), ("060180", "1980-01-06"), ("290228", "2028-02-29")])
def test_a_date_has_two_digits_of_its_year(text: str, day: str) -> None:
    assert midnight_ns(text, "d") == utc_from_text(f"{day}T00:00:00Z")


@pytest.mark.parametrize("text", ["300226", "000126", "011326", "29112026", "2911"])
def test_a_date_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        midnight_ns(text, "d")


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (0, FixQuality.NONE),
        (1, FixQuality.FIX_3D),
        (2, FixQuality.DIFFERENTIAL),
        (3, FixQuality.FIX_3D),
        (4, FixQuality.RTK_FIXED),
        (5, FixQuality.RTK_FLOAT),
        (6, FixQuality.ESTIMATED),
        (7, FixQuality.NONE),
        (8, FixQuality.NONE),
        (9, FixQuality.NONE),
    ],
)
def test_gga_says_how_good_a_fix_is(quality: int, expected: FixQuality) -> None:
    fix = fix_of(GGA.format(quality=quality))
    assert fix.quality is expected
    assert (fix.position is None) is (expected is FixQuality.NONE)
    assert (fix.satellites, fix.hdop) == (9, 0.9)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("A", FixQuality.FIX_2D),
        ("D", FixQuality.DIFFERENTIAL),
        ("E", FixQuality.ESTIMATED),
        ("F", FixQuality.RTK_FLOAT),
        ("R", FixQuality.RTK_FIXED),
        ("M", FixQuality.NONE),
        ("N", FixQuality.NONE),
        ("S", FixQuality.NONE),
        ("", FixQuality.FIX_2D),
    ],
)
def test_rmc_says_so_too_by_its_mode(mode: str, expected: FixQuality) -> None:
    fix = fix_of(RMC.format(mode=mode))
    assert fix.quality is expected
    if expected is not FixQuality.NONE:
        assert fix.utc == utc_from_text("2026-11-29T12:00:00Z")
        assert fix.speed_mps == pytest.approx(29.16 * KNOT_MPS)
        assert fix.course_deg == 60.0


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ("AN", FixQuality.FIX_3D),
        ("AD", FixQuality.DIFFERENTIAL),
        ("RRNN", FixQuality.RTK_FIXED),
        ("NN", FixQuality.NONE),
        ("", FixQuality.NONE),
    ],
)
def test_gns_has_a_mode_for_each_system(modes: str, expected: FixQuality) -> None:
    fix = fix_of(GNS.format(modes=modes))
    assert (fix.quality, fix.satellites) == (expected, 14)
    assert fix.altitude_m == (None if expected is FixQuality.NONE else 566.0)


@pytest.mark.parametrize(("mode", "expected"), [(1, FixQuality.NONE), (2, FixQuality.FIX_2D), (3, FixQuality.FIX_3D)])
def test_gsa_says_how_many_dimensions_a_fix_has(mode: int, expected: FixQuality) -> None:
    fix = fix_of(GGA.format(quality=1), GSA.format(mode=mode))
    assert fix.quality is expected
    assert fix.altitude_m == (566.0 if expected is FixQuality.FIX_3D else None)


def test_the_best_system_counts_where_each_has_a_gsa_of_its_own() -> None:
    assert fix_of(GGA.format(quality=1), GSA.format(mode=3), GSA.format(mode=1).replace("GP", "GL")).quality is FixQuality.FIX_3D


def test_any_sentence_can_say_that_there_is_no_fix() -> None:
    for void in (RMC.format(mode="N"), RMC.format(mode="A").replace(",A,", ",V,", 1), "GPVTG,60.0,T,,M,29.16,N,54.0,K,N"):
        fix = fix_of(GGA.format(quality=1), void)
        assert (fix.quality, fix.position) == (FixQuality.NONE, None)


def test_gst_gives_the_circle_that_holds_95_percent() -> None:
    assert fix_of(GGA.format(quality=1), GST).accuracy_m == 10.0
    assert fix_of(GGA.format(quality=1)).accuracy_m is None


def test_a_height_above_the_geoid_alone_is_no_altitude() -> None:
    assert fix_of(GGA.format(quality=2).replace("47.0", "")).altitude_m is None


def test_vtg_gives_speed_and_course_where_rmc_is_off() -> None:
    fix = fix_of(GGA.format(quality=1), "GPVTG,60.0,T,,M,29.16,N,54.0,K,A")
    assert fix.speed_mps == pytest.approx(29.16 * KNOT_MPS)
    assert fix.course_deg == 60.0


def test_zda_dates_a_moment_and_the_hour_after_it() -> None:
    parser = NmeaParser()
    parser.receive(sentence("GPZDA,235959.00,31,12,2026,,") + sentence(GGA.format(quality=1).replace("120000", "235959")), T0)
    (first,) = parser.poll(MonotonicNs(T0 + QUIET_NS))
    (second,) = parser.receive(sentence(GGA.format(quality=1).replace("120000", "000000")), MonotonicNs(T0 + NS_PER_S))
    assert first.utc is not None
    assert second.utc is not None
    assert (utc_text(first.utc), utc_text(second.utc)) == ("2026-12-31T23:59:59.000Z", "2027-01-01T00:00:00.000Z")


def test_without_a_date_a_fix_has_its_time_of_day() -> None:
    fix = fix_of(GGA.format(quality=1))
    assert (fix.utc, fix.time_of_day_ns) == (None, 43_200 * NS_PER_S)


@pytest.mark.parametrize(
    "body",
    [
        GGA.format(quality="x"),
        GGA.format(quality=1).replace("0.9", "good"),
        GGA.format(quality=1).replace("09", "-9"),
        RMC.format(mode="Q"),
        RMC.format(mode="A").replace(",A,", ",X,", 1),
        RMC.format(mode="A").replace("60.0", "361.0"),
        RMC.format(mode="A").replace("29.16", "1e5"),
        GNS.format(modes="AAAAAAA"),
        GNS.format(modes="AX"),
        GSA.format(mode=4),
        GST.replace("3.0", "nan"),
        "GPZDA,120000.00,31,2,2026,,",
        "GPGGA" + "," * 60,
    ],
)
def test_a_malformed_sentence_is_counted_and_the_rest_is_kept(body: str) -> None:
    parser, (fix,) = heard(GGA.format(quality=2), body)
    assert parser.faults == {MALFORMED: 1}
    assert fix.quality is FixQuality.DIFFERENTIAL


def test_once_the_last_sentence_is_known_a_fix_does_not_wait() -> None:
    parser = NmeaParser()
    told = []
    for second, moment in enumerate(drive(5)):
        at = MonotonicNs(T0 + second * NS_PER_S)
        told.append((len(parser.receive(as_nmea(moment), at)), parser.next_due() is None))
    assert told == [(0, False), (2, True), (1, True), (1, True), (1, True)]


def test_at_ten_a_second_nothing_waits_for_a_silence_there_is_not() -> None:
    parser = NmeaParser()
    count = 0
    for tenth in range(20):
        body = GGA.format(quality=1).replace("120000.00", f"1200{tenth // 10:02d}.{tenth % 10}0")
        count += len(parser.receive(sentence(body), MonotonicNs(T0 + tenth * 100 * NS_PER_MS)))
    assert count == 20


def test_a_receiver_that_stops_telling_its_time_has_lost_its_fix() -> None:
    parser = NmeaParser()
    parser.receive(as_nmea(next(drive(1))), T0)
    void = sentence("GPGGA,,,,,,0,00,99.99,,,,,,") + sentence("GPRMC,,V,,,,,,,,,,N")
    fixes = parser.receive(void, MonotonicNs(T0 + NS_PER_S))
    fixes += parser.receive(void, MonotonicNs(T0 + 2 * NS_PER_S))
    fixes += parser.receive(as_nmea(next(drive(1))), MonotonicNs(T0 + 3 * NS_PER_S))
    fixes += parser.poll(MonotonicNs(T0 + 3 * NS_PER_S + QUIET_NS))
    qualities = [fix.quality for fix in fixes]
    assert qualities[0] is qualities[-1] is FixQuality.FIX_3D
    assert set(qualities[1:-1]) == {FixQuality.NONE}


def test_a_tunnel_is_told_in_every_moment() -> None:
    parser = NmeaParser()
    fixes: list[Fix] = []
    for second, moment in enumerate(map(without_fix, drive(5))):
        fixes += parser.receive(as_nmea(moment), MonotonicNs(T0 + second * NS_PER_S))
    assert [fix.position for fix in fixes] == [None] * 5


def test_another_baud_rate_is_told_after_a_while() -> None:
    parser = NmeaParser()
    for _ in range(NONSENSE_OCTETS // 64):
        parser.receive(bytes(range(128, 192)), T0)
    with pytest.raises(DecodeError, match="baud rate"):
        parser.receive(b"\x80", T0)
    parser.restart()
    assert parser.receive(as_nmea(next(drive(1))), T0) == ()
    assert len(parser.poll(MonotonicNs(T0 + QUIET_NS))) == 1
