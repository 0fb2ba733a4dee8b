"""A real minute of a car's receiver (comma2k19), told in both languages: nothing of it is taken for a jump, nothing is lost."""

from dataclasses import replace

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, distance_m, heading_difference_deg
from tests.helpers.gnss_track import GPSD_INTRODUCTION, Moment, as_gpsd, as_nmea
from tests.helpers.rav4 import read_truth
from vehicle_agent.gnss.fields import HEADING_FIELD, POSITION_FIELDS
from vehicle_agent.gnss.gnss_input import COURSE_SPEED_MPS, GnssInput
from vehicle_agent.gnss.gpsd import GpsdParser
from vehicle_agent.gnss.nmea import QUIET_NS, NmeaParser
from vehicle_agent.gnss.report_parser import ReportParser
from vehicle_agent.vehicle_state import VehicleState, fold, fresh


@pytest.mark.parametrize("language", ["nmea", "gpsd"])
def test_a_real_drive_is_followed_without_a_doubt(language: str) -> None:
    truth = read_truth()
    parser: ReportParser = NmeaParser() if language == "nmea" else GpsdParser()
    if language == "gpsd":
        parser.receive(GPSD_INTRODUCTION, MonotonicNs(0))
    judge = GnssInput(fields=POSITION_FIELDS | {HEADING_FIELD}, not_before=UtcNs(0))
    state = VehicleState()
    known = 0
    for t, (lat, lon, speed_mps, utc_ms, altitude_m, bearing_deg) in zip(truth.fix_t, truth.fixes.tolist(), strict=True):
        at = MonotonicNs(round(t * NS_PER_S))
        utc = UtcNs(round(utc_ms / 10) * 10 * NS_PER_MS)
        moment = Moment(utc=utc, position=GeoPoint(lat, lon), speed_mps=speed_mps, course_deg=bearing_deg % 360.0)
        moment = replace(moment, altitude_m=altitude_m)
        told = as_nmea(moment) if language == "nmea" else as_gpsd(moment)
        for fix in (*parser.receive(told, at), *parser.poll(MonotonicNs(at + QUIET_NS))):
            state = fold(state, judge.on_fix(fix).updates)
        place, heading_deg = fresh(state.position, at), fresh(state.heading_deg, at)
        assert place is not None
        assert distance_m(place, GeoPoint(lat, lon)) < 0.05
        if speed_mps >= COURSE_SPEED_MPS:
            assert heading_deg is not None
            assert heading_difference_deg(heading_deg, bearing_deg) < 0.02
        known += 1
    status = judge.status(at)
    assert (status["fixes"], status["jumps"], status["losses"], status["refused"]) == (known, 0, 0, {})
    assert not parser.faults
