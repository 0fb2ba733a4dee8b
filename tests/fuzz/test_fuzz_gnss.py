"""Whatever octets a receiver's line brings, what comes of them is fixes or `DecodeError`, and memory stays bounded."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, MonotonicNs, UtcNs
from shared.core.errors import DecodeError
from tests.helpers.gnss_track import GPSD_INTRODUCTION, START_UTC, as_gpsd, as_nmea, drive, sentence, without_fix
from vehicle_agent.gnss.fields import HEADING_FIELD, POSITION_FIELDS
from vehicle_agent.gnss.fix import Fix
from vehicle_agent.gnss.gnss_input import GnssInput
from vehicle_agent.gnss.gpsd import GpsdParser
from vehicle_agent.gnss.nmea import NmeaParser
from vehicle_agent.gnss.report_parser import ReportParser
from vehicle_agent.vehicle_state import FIELDS, FixQuality

MOMENTS = [*drive(3), *map(without_fix, drive(2))]
SAMPLES = {
    "nmea": [as_nmea(moment) for moment in MOMENTS],
    "gpsd": [as_gpsd(moment) for moment in MOMENTS],
}
STEP = st.integers(0, 2_000)
KINDS = ("GPGGA", "GNRMC", "GPGSA", "GNGNS", "GPGST", "GPVTG", "GPZDA")
FIELD_TEXT = st.one_of(
    st.sampled_from(("", "A", "V", "N", "E", "1", "3", "120000.00", "4808.22", "01134.5", "291126", "AAN", "999999", "-1")),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
)


def parser_of(language: str) -> ReportParser:
    if language == "nmea":
        return NmeaParser()
    parser = GpsdParser()
    parser.receive(GPSD_INTRODUCTION, MonotonicNs(0))
    return parser


def listen(parser: ReportParser, pieces: list[tuple[bytes, int]]) -> None:
    """Hear pieces at their moments and judge every fix."""
    judge = GnssInput(fields=POSITION_FIELDS | {HEADING_FIELD}, not_before=START_UTC)
    now = MonotonicNs(0)
    for piece, step_ms in pieces:
        now = MonotonicNs(now + step_ms * NS_PER_MS)
        fixes: list[Fix] = []
        with suppress(DecodeError):
            fixes += parser.poll(now)
            fixes += parser.receive(piece, now)
        for fix in fixes:
            assert (fix.quality is not FixQuality.NONE) or fix.position is None
            news = judge.on_fix(fix)
            for update in news.updates:
                spec = FIELDS[update.field]
                assert not isinstance(update.value, float) or spec.minimum <= update.value <= spec.maximum
            assert news.date is None or news.date[0] >= UtcNs(START_UTC)
    assert sum(parser.faults.values()) >= 0


@pytest.mark.parametrize("language", SAMPLES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_stream_is_fixes_or_a_decode_error(language: str, data: st.DataObject) -> None:
    pieces = []
    for _ in range(data.draw(st.integers(1, 6))):
        octets = bytearray(data.draw(st.sampled_from(SAMPLES[language])))
        for _ in range(data.draw(st.integers(0, 6))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(octets)))
        pieces += [(bytes(octets[:cut]), data.draw(STEP)), (bytes(octets[cut:]), 0)]
    listen(parser_of(language), pieces)


@pytest.mark.parametrize("language", SAMPLES)
@given(pieces=st.lists(st.tuples(st.binary(max_size=200), STEP), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_octets_are_fixes_or_a_decode_error(language: str, pieces: list[tuple[bytes, int]]) -> None:
    listen(parser_of(language), pieces)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.lists(FIELD_TEXT, max_size=20), STEP), max_size=12))
@settings(max_examples=80, deadline=None)
def test_sentences_with_any_fields_are_fixes(bodies: list[tuple[str, list[str], int]]) -> None:
    listen(NmeaParser(), [(sentence(",".join((kind, *fields))), step) for kind, fields, step in bodies])
