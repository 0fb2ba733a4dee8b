"""A hazard's whole life as packets (announced, updated, kept alive, cancelled, denied, resumed after a restart), read by tshark."""

from dataclasses import replace
from pathlib import Path
from random import Random

import msgspec
import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.ids import StationType
from shared.core.itstime import utc_from_text
from shared.facilities.event_report import EventReport
from shared.facilities.keep_alive import KeepAlive
from shared.facilities.originated_events import OriginatedEvents
from shared.facilities.received_events import ReceivedEvents
from shared.facilities.saved_events import SavedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm, EventPoint, RelevanceDistance, RelevanceTrafficDirection, RoadType
from shared.network.area import Area, Circle, Ellipse, Rectangle
from shared.pki.permission_sets import StationRole
from shared.stack.indication import Verified
from shared.transport.pcap import PcapWriter
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.stations import TURIN, Speaker, position
from tests.helpers.tshark import complaints, fields

NOON = utc_from_text("2026-11-22T12:00:00Z")
HIERARCHY = Hierarchy(1)
AREAS: tuple[Area, ...] = (
    Circle(centre=TURIN, radius_m=400.0),
    Rectangle(centre=TURIN, a_m=400.0, b_m=50.0, azimuth_deg=30.0),
    Ellipse(centre=TURIN, a_m=400.0, b_m=50.0, azimuth_deg=30.0),
)
QUEUE = EventReport(
    cause_code=CauseCode.ROADWORKS,
    sub_cause_code=4,
    linked_cause_code=CauseCode.TRAFFIC_CONDITION,
    position=TURIN,
    area=AREAS[0],
    validity_s=120,
    repetition_interval_ms=1_000,
    repetition_duration_s=1.0,
    information_quality=3,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    event_speed_mps=2.0,
    event_speed_confidence_mps=0.5,
    event_heading_deg=90.0,
    event_heading_confidence_deg=10.0,
    event_history=(EventPoint(delta_lat_deg=0.0, delta_lon_deg=-0.001, delta_time_s=2.0, information_quality=3),),
    road_type=RoadType.NON_URBAN_WITH_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES,
)


def at(seconds: float) -> Instant:
    return Instant(MonotonicNs(round(seconds * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)))


def heard(speaker: Speaker, packet: bytes, seconds: float) -> Verified[Denm]:
    indication = speaker.station.receive(packet, at(seconds))
    assert indication is not None
    denm = indication.of(Denm)
    assert denm is not None
    return denm


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    unit, doubter, keeper = (Speaker(HIERARCHY, StationRole.RSU, seed=seed) for seed in (1, 2, 3))
    path = tmp_path_factory.mktemp("events") / "events.pcap"
    events = OriginatedEvents(unit.station.identity.station_id, StationType.ROAD_SIDE_UNIT, 7)
    doubts = OriginatedEvents(doubter.station.identity.station_id, StationType.ROAD_SIDE_UNIT, 7)
    received = ReceivedEvents()
    keep_alive = KeepAlive(received, entropy=Random(3).randbytes)
    with PcapWriter(path) as writer:

        def say(speaker: Speaker, told: OriginatedEvents, seconds: float) -> list[bytes]:
            utc = at(seconds).require_utc()
            packets = [
                speaker.station.send(said.denm, position=position(utc), now=at(seconds), area=said.area)
                for said in told.poll(at(seconds))
            ]
            for packet in packets:
                writer.write(packet, utc=utc)
            return packets

        for number, area in enumerate(AREAS):
            begin_s = 200.0 * number
            action_id = events.trigger(replace(QUEUE, area=area), at(begin_s))
            say(unit, events, begin_s)
            events.update(action_id, replace(QUEUE, area=area, sub_cause_code=5), at(begin_s + 1))
            (update,) = say(unit, events, begin_s + 1)
            denm = heard(keeper, update, begin_s + 1)
            received.hear(denm, at(begin_s + 1))
            keep_alive.heard(update, denm, at(begin_s + 1))
            (kept,) = keep_alive.poll(at(begin_s + 4).monotonic, TURIN)
            writer.write(kept, utc=at(begin_s + 4).require_utc())
            doubts.negate(heard(doubter, kept, begin_s + 5), at(begin_s + 5))
            say(doubter, doubts, begin_s + 5)
            saved = msgspec.json.decode(msgspec.json.encode(events.snapshot()), type=SavedEvents)
            events = OriginatedEvents.restored(saved, StationType.ROAD_SIDE_UNIT, at(begin_s + 6))
            say(unit, events, begin_s + 6)
            events.cancel(action_id, at(begin_s + 7))
            say(unit, events, begin_s + 7)
            say(unit, events, begin_s + 20)
    return path


def test_tshark_finds_nothing_wrong_with_any_of_it(capture: Path) -> None:
    assert complaints(capture) == {}


def test_tshark_reads_what_was_announced_kept_alive_denied_resumed_and_cancelled(capture: Path) -> None:
    rows = fields(capture, "denm.termination", "geonw.bh.rhl", "its.causeCode")
    terminations = [row[0] for row in rows]
    one_life = ["", "", "", "1", "", "0", "0"]
    assert terminations == one_life * len(AREAS)
    assert [row[1] for row in rows] == ["10", "10", "9", "10", "10", "10", "10"] * len(AREAS)
    assert [row[2].split("\x1f")[0] for row in rows] == ["3", "3", "3", "", "3", "", ""] * len(AREAS)
