"""Every DENM a vehicle tells of its own accord, begun, renewed and ended, signed and geocast: what tshark makes of it."""

from pathlib import Path
from random import Random

import pytest

from shared.core.clock import Instant
from shared.core.ids import ItsAid, StationType
from shared.facilities.event_report import Announcement
from shared.facilities.originated_events import OriginatedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm import DEFAULT_VALIDITY_DURATION_S, Denm
from shared.security.permissions import PsidSsp
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition, Station, StationIdentity, make_station
from shared.transport.pcap import PcapWriter
from tests.helpers.driving import EVERYTHING, HOME, KMH, Drive
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.tshark import complaints, fields, protocols

HIERARCHY = Hierarchy(5)


def _station(seed: int) -> Station:
    """A car whose ticket allows every cause."""
    identity = StationIdentity.drawn(StationType.PASSENGER_CAR, Random(seed).randbytes)
    permissions = (PsidSsp(psid=ItsAid.DENM, ssp=EVERYTHING),)
    return make_station(
        identity=identity,
        ticket=HIERARCHY.ticket(permissions=permissions),
        trust_store=HIERARCHY.trust_store,
        areas=NO_IDENTIFIED_AREAS,
    )


def _said_on(drive: Drive) -> list[tuple[Announcement, Instant]]:
    """Return everything told on a drive, and when."""
    return [(said.announcement, drive.moment(said)) for said in drive.said]


def _every_use_case(station: Station) -> list[tuple[Announcement, Instant]]:
    def drive(**changes: object) -> Drive:
        events = OriginatedEvents(station.identity.station_id, StationType.PASSENGER_CAR, 7)
        return Drive(events=events, **changes)  # type: ignore[arg-type]

    jam = drive(speed_mps=100 * KMH).drive(60)
    jam.others.reports = {CauseCode.TRAFFIC_CONDITION: 5}
    drives = [
        drive(speed_mps=80 * KMH).drive(2).brake_to(0.0, 8.0).drive(2),
        drive(speed_mps=50 * KMH).drive(2).drive(0.6, acceleration_mps2=-9.0, automatic_emergency_braking=True),
        drive().drive(2).drive(62, airbag_deployed=True, hazard_lights=True).drive(6, airbag_deployed=False),
        drive(hazard_lights=True, breakdown=True, doors_open=True).drive(17).drive(3, hazard_lights=False),
        drive(hazard_lights=True, parking_brake=True).drive(37).drive(3, hazard_lights=False),
        drive(speed_mps=80 * KMH, light_bar_on=True, siren_on=True).drive(3).drive(3, light_bar_on=False),
        drive(light_bar_on=True).drive(32).drive(3, light_bar_on=False),
        drive(speed_mps=20 * KMH, hazard_lights=True).drive(17).drive(5, hazard_lights=False),
        drive(speed_mps=60 * KMH, gas_pedal_pressed=True)
        .drive(1, traction_control_active=True)
        .drive(20, traction_control_active=False)
        .drive(1, traction_control_active=True),
        jam.brake_to(15 * KMH, 5.0).drive(125),
        drive(speed_mps=50 * KMH, rear_fog_light=True).drive(85),
        drive(speed_mps=70 * KMH, wipers_on=True, wipers_fast=True).drive(95),
    ]
    return [each for one in drives for each in _said_on(one)]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Denm]]:
    station, doubter = _station(1), _station(2)
    path = tmp_path_factory.mktemp("denm") / "denm.pcap"
    said: list[Denm] = []
    with PcapWriter(path) as writer:

        def send(speaker: Station, announcement: Announcement, now: Instant) -> bytes:
            position = EgoPosition(point=HOME, taken_at=now.require_utc(), speed_mps=10.0, heading_deg=90.0)
            packet = speaker.send(announcement.denm, position=position, now=now, area=announcement.area)
            writer.write(packet, utc=now.require_utc())
            said.append(announcement.denm)
            return packet

        for announcement, now in _every_use_case(station):
            send(station, announcement, now)
        drive = Drive(
            events=OriginatedEvents(station.identity.station_id, StationType.PASSENGER_CAR, 40_000),
            hazard_lights=True,
            doors_open=True,
        ).drive(1)
        heard = doubter.receive(send(station, drive.said[0].announcement, drive.clock.now()), drive.clock.now())
        assert heard is not None
        verified = heard.of(Denm)
        assert isinstance(verified, Verified)
        doubts = OriginatedEvents(doubter.identity.station_id, StationType.PASSENGER_CAR, 1)
        doubts.negate(verified, drive.clock.now())
        for announcement in doubts.poll(drive.clock.now()):
            send(doubter, announcement, drive.clock.now())
    return path, said


def test_nothing_is_malformed_and_every_frame_is_a_geocast_denm(capture: tuple[Path, list[Denm]]) -> None:
    path, said = capture
    assert not complaints(path)
    (stack,) = protocols(path)
    assert stack.endswith(":its")
    assert sum(protocols(path).values()) == len(said)


def test_it_reads_every_cause_and_every_end_as_we_meant_them(capture: tuple[Path, list[Denm]]) -> None:
    path, said = capture
    names = ("its.causeCode", "its.subCauseCode", "denm.termination", "its.sequenceNumber", "denm.validityDuration")
    rows = fields(path, *names)
    expected = [
        [
            "" if denm.cause_code is None else str(int(denm.cause_code)),
            "" if denm.cause_code is None else str(denm.sub_cause_code),
            "" if denm.termination is None else str(int(denm.termination)),
            str(denm.action_id.sequence_number),
            "" if denm.validity_duration_s == DEFAULT_VALIDITY_DURATION_S else str(denm.validity_duration_s),
        ]
        for denm in said
    ]
    assert [[cell.split("\x1f")[0] for cell in row] for row in rows] == expected
    told = {(row[0], row[1]) for row in expected}
    causes = {(1, 0), (6, 0), (15, 1), (18, 1), (19, 1), (26, 0), (27, 0), (94, 0), (94, 2), (94, 3), (95, 1), (99, 1), (99, 5)}
    assert told == {("", "")} | {(str(cause), str(sub)) for cause, sub in causes}
    assert {row[2] for row in expected} == {"", "0", "1"}


def test_it_finds_those_where_a_second_counts_in_the_most_urgent_class_and_none_that_outlives_its_event(
    capture: tuple[Path, list[Denm]],
) -> None:
    path, said = capture
    rows = fields(path, "geonw.ch.tc.id", "geonw.bh.lt.mult", "geonw.bh.lt.base")
    assert {(denm.cause_code, denm.sub_cause_code) for denm, row in zip(said, rows, strict=True) if row[0] == "0"} == {
        (CauseCode.DANGEROUS_SITUATION, 1),
        (CauseCode.DANGEROUS_SITUATION, 5),
        (CauseCode.STATIONARY_VEHICLE, 3),
    }
    assert {row[0] for row in rows} == {"0", "1"}
    for denm, (_, multiplier, base) in zip(said, rows, strict=True):
        assert int(multiplier) * (0.05, 1.0, 10.0, 100.0)[int(base)] <= max(1, denm.validity_duration_s)
