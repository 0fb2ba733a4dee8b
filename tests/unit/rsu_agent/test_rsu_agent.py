import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

import rsu_agent.junctions
from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts, make_agent
from rsu_agent.hazard_service import Hazard
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from rsu_agent.status_view import status_tables
from rsu_agent.ticket_renewal import CHECK_INTERVAL_NS
from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ItsAid, StationId, StationType
from shared.core.itstime import generation_delta_time, time64_of
from shared.messages.cam import Cam
from shared.messages.denm import Denm, RelevanceTrafficDirection, Termination
from shared.messages.mapem import Mapem
from shared.messages.spatem import MovementPhaseState, Spatem
from shared.network.headers import HOP_LIMIT_OCTET, forwarded
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.sign import TicketCredential
from shared.stack.effects import Effect, Notice, Transmit
from shared.stack.station import EgoPosition, Station, StationIdentity, make_station
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.pools import pool_of
from vehicle_agent.hazards import HazardChange, Hazards
from vehicle_agent.signals_ahead import SignalsAhead

HIERARCHY = Hierarchy(1)
JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
PLAN = load_plan(JUNCTIONS / "crossing.plan.toml")
MAP = load_map(JUNCTIONS / "crossing.map.toml", PLAN.signal_groups)
CENTRE = MAP.reference
RSU_ID = StationId(4049)
ROADWORKS = Hazard(
    origin="test",
    cause_code=3,
    sub_cause_code=0,
    position=displaced(CENTRE, 400, 0),
    relevance_distance_m=500.0,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    radius_m=1_000.0,
    validity_s=60,
    repetition_s=1.0,
    heading_deg=90.0,
)


def unit(ticket: TicketCredential | None = None, seed: int = 7) -> RsuAgent:
    return make_agent(parts_of(ticket or HIERARCHY.ticket(StationRole.RSU)), entropy=Random(seed).randbytes)


def parts_of(ticket: TicketCredential) -> RsuParts:
    return RsuParts(
        station_id=RSU_ID,
        position=CENTRE,
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(ticket),
        junction=JunctionParts(controller=FixedTimeController(PLAN), rules=PLAN.guard_rules, lanes=MAP),
        hazards=(ROADWORKS,),
    )


def car(hierarchy: Hierarchy = HIERARCHY, *, seed: int = 9, ticket: TicketCredential | None = None) -> Station:
    return make_station(
        identity=StationIdentity.drawn(StationType.PASSENGER_CAR, Random(seed).randbytes),
        ticket=ticket or hierarchy.ticket(),
        trust_store=hierarchy.trust_store,
        areas=NO_IDENTIFIED_AREAS,
    )


def ego(point: GeoPoint, now: Instant, heading_deg: float = 90.0) -> EgoPosition:
    return EgoPosition(point=point, taken_at=now.require_utc(), speed_mps=10.0, heading_deg=heading_deg)


def cam(station: Station, now: Instant) -> bytes:
    message = Cam(
        station_id=station.identity.station_id,
        generation_delta_time_ms=generation_delta_time(time64_of(now.require_utc())),
        station_type=StationType.PASSENGER_CAR,
        lat_deg=CENTRE.lat_deg,
        lon_deg=CENTRE.lon_deg,
        heading_deg=90.0,
        speed_mps=10.0,
    )
    return station.send(message, position=ego(CENTRE, now), now=now)


def drive(agent: RsuAgent, clock: ManualClock, elapsed_s: float) -> list[tuple[Instant, Effect]]:
    """Call the agent exactly when it asks to be called."""
    end = clock.now().monotonic + round(elapsed_s * NS_PER_S)
    effects: list[tuple[Instant, Effect]] = []
    while True:
        due = agent.next_due()
        if max(due, clock.now().monotonic) > end:
            clock.advance_to(MonotonicNs(end))
            return effects
        now = clock.advance_to(MonotonicNs(max(due, clock.now().monotonic)))
        effects += [(now, effect) for effect in agent.on_timer(now)]


def test_a_car_verifies_lights_map_and_hazard_of_a_unit_and_knows_what_is_ahead() -> None:
    clock, listener, hazards, signals = clock_at(), car(), Hazards(), SignalsAhead()
    heard, agent = 0, unit()
    for now, effect in drive(agent, clock, 2.0):
        assert isinstance(effect, Transmit)
        indication = listener.receive(effect.packet, now)
        assert indication is not None
        heard += 1
        if (denm := indication.of(Denm)) is not None:
            hazards.hear(denm, now)
        elif (spatem := indication.of(Spatem)) is not None:
            signals.hear_signals(spatem, now)
        elif (mapem := indication.of(Mapem)) is not None:
            signals.hear_map(mapem, now)
    said = sum(agent.sent.values())
    assert said == 21 + 3 + 3 + 2, "lights ten times a second, and once a second map, hazard and, at another phase, the unit"
    channel = agent.router.status()["dcc"]
    assert isinstance(channel, dict)
    assert channel["dropped"] == {"superseded": 2}, "where the channel has time for one only, the lights of now will do"
    assert heard == said - 2 - channel["waiting"]
    now = clock.now()
    (hazard,) = hazards.ahead(now, ego(CENTRE, now))
    assert (hazard.cause_code, round(hazard.distance_m)) == (3, 400)
    (signal,) = signals.ahead(now, ego(displaced(CENTRE, -64, -5), now))
    assert (signal.signal_group, signal.phase, signal.lane) == (2, MovementPhaseState.STOP_AND_REMAIN, 42)
    assert signal.time_to_green_s == pytest.approx(28.0)
    assert signal.distance_to_stop_m == pytest.approx(50.0, abs=0.1)


def test_a_stopped_unit_ends_its_hazard_for_a_car_that_was_told_of_it() -> None:
    clock, listener, hazards, agent = clock_at(), car(), Hazards(), unit()
    for now, effect in drive(agent, clock, 1.0):
        assert isinstance(effect, Transmit)
        indication = listener.receive(effect.packet, now)
        if indication is not None and (denm := indication.of(Denm)) is not None:
            hazards.hear(denm, now)
    now = clock.advance(NS_PER_S // 2)
    assert [notice.change for notice in hazards.poll(now, ego(CENTRE, now))] == [HazardChange.AHEAD]
    for effect in agent.stop(now):
        assert isinstance(effect, Transmit)
        indication = listener.receive(effect.packet, now)
        assert indication is not None
        if (denm := indication.of(Denm)) is not None:
            hazards.hear(denm, now)
    assert [notice.change for notice in hazards.poll(now, ego(CENTRE, now))] == [HazardChange.ENDED]


def test_a_stopped_unit_cancels_again_and_again_and_says_nothing_else_until_nobody_is_left_to_be_told() -> None:
    clock, listener, agent = clock_at(), car(), unit()
    drive(agent, clock, 1.5)
    assert len(agent.stop(clock.now())) >= 1
    said: list[float] = []
    began = clock.now().monotonic
    while (due := agent.next_last_words()) is not None:
        now = clock.advance_to(MonotonicNs(max(due, clock.now().monotonic)))
        for effect in agent.last_words(now):
            assert isinstance(effect, Transmit)
            indication = listener.receive(effect.packet, now)
            assert indication is not None
            denm = indication.of(Denm)
            assert denm is not None
            assert denm.message.termination is Termination.IS_CANCELLATION
            said.append((now.monotonic - began) / NS_PER_S)
    assert said[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0], abs=0.25)
    assert len(said) == 19, "every half second of the ten for which whoever was away may come back"
    quiet = replace(ROADWORKS, cancel_at_stop=False)
    leaving = make_agent(replace(parts_of(HIERARCHY.ticket(StationRole.RSU)), hazards=(quiet,)), entropy=Random(1).randbytes)
    drive(leaving, clock_at(), 1.5)
    leaving.stop(clock.now())
    assert leaving.next_last_words() is None


def test_a_verified_neighbour_becomes_a_peer_with_its_place_and_its_count() -> None:
    agent, clock, speaker = unit(), clock_at(), car()
    for _ in range(3):
        now = clock.advance(NS_PER_S // 5)
        assert agent.on_packet(cam(speaker, now), now) == ()
    (peer,) = agent.peers
    assert peer.station_id == speaker.identity.station_id
    assert sum(count for _, count in peer.messages) == 3
    assert peer.speed_mps == pytest.approx(10.0)
    assert peer.position is not None
    assert agent.inbound.verified == {"cam": 3}


def test_strangers_tampered_and_replayed_packets_are_refused_each_for_its_reason_and_make_no_peer() -> None:
    agent, clock = unit(), clock_at()
    now = clock.now()
    agent.on_packet(cam(car(Hierarchy(2)), now), now)
    genuine = cam(car(), now)
    agent.on_packet(genuine[:-1] + bytes([genuine[-1] ^ 1]), now)
    agent.on_packet(genuine[:40], now)
    agent.on_packet(b"", now)
    assert len(agent.peers) == 0
    agent.on_packet(genuine, now)
    agent.on_packet(genuine, now)
    assert len(agent.peers) == 1
    refused = agent.peers.refused
    assert sum(refused.values()) == 5
    assert refused["malformed"] == 2
    assert refused["false_signature"] == 1
    assert refused["duplicate_message"] == 1


def test_with_a_cars_ticket_a_unit_says_nothing_but_that_it_is_there() -> None:
    agent = unit(HIERARCHY.ticket(StationRole.VEHICLE))
    effects = [effect for _, effect in drive(agent, clock_at(), 1.0)]
    assert agent.sent == {"cam": sum(isinstance(effect, Transmit) for effect in effects)} == {"cam": 1}
    notices = [effect.fields for effect in effects if isinstance(effect, Notice)]
    assert {(fields["message"], fields["reason"]) for fields in notices} == {
        ("mapem", "permission_denied"),
        ("spatem", "permission_denied"),
        ("denm", "permission_denied"),
    }
    assert len(notices) == 3


def test_our_own_packets_coming_back_are_neither_peers_nor_refusals() -> None:
    agent, clock = unit(), clock_at()
    for now, effect in drive(agent, clock, 0.3):
        assert isinstance(effect, Transmit)
        agent.on_packet(effect.packet, now)
    assert len(agent.peers) == 0
    assert agent.peers.refused == {}
    assert agent.inbound.echoes > 0


@pytest.mark.parametrize("is_started_again", [False, True])
def test_what_others_keep_alive_of_ours_is_neither_a_peer_s_nor_refused_however_long_they_do(*, is_started_again: bool) -> None:
    ticket, clock = HIERARCHY.ticket(StationRole.RSU), clock_at()
    agent = unit(ticket)
    said = [effect.packet for _, effect in drive(agent, clock, 1.0) if isinstance(effect, Transmit)]
    kept = next(packet for packet in said if packet[HOP_LIMIT_OCTET] > 1)
    if is_started_again:
        agent = unit(ticket, seed=8)
    for _ in range(40):
        drive(agent, clock, 1.0)
        agent.on_packet(forwarded(kept), clock.now())
    assert agent.inbound.echoes + agent.inbound.copies >= 39
    assert (agent.peers.refused, len(agent.peers)) == ({}, 0)


def test_a_ticket_without_the_permission_silences_that_message_only_and_says_so_once() -> None:
    permissions = tuple(p for p in TICKET_PERMISSIONS[StationRole.RSU] if p.psid != ItsAid.DENM)
    agent = unit(HIERARCHY.ticket(StationRole.RSU, permissions=permissions))
    effects = [effect for _, effect in drive(agent, clock_at(), 3.0)]
    notices = [effect for effect in effects if isinstance(effect, Notice)]
    assert [(n.kind, n.fields["message"], n.fields["reason"]) for n in notices] == [("silent", "denm", "permission_denied")]
    assert agent.sent == {"spatem": 31, "mapem": 4, "cam": 3}
    assert agent.unsent == {"permission_denied": 4}


def test_an_expired_ticket_says_nothing_and_the_unit_lives() -> None:
    agent = unit(HIERARCHY.ticket(StationRole.RSU, valid_hours=1))
    effects = [effect for _, effect in drive(agent, clock_at(), 1.0)]
    assert not any(isinstance(effect, Transmit) for effect in effects)
    assert {effect.fields["reason"] for effect in effects if isinstance(effect, Notice)} == {"expired_certificate"}
    assert set(agent.unsent) == {"expired_certificate"}


def test_without_utc_the_unit_is_silent_and_refuses_and_with_it_it_speaks() -> None:
    agent, clock, speaker = unit(), ManualClock(None), car()
    packet = cam(speaker, clock_at().now())
    agent.on_packet(packet, clock.now())
    assert agent.peers.refused == {"untrusted_time": 1}
    assert drive(agent, clock, 2.5) == []
    assert agent.unsent.keys() == {"untrusted_time"}
    assert agent.unsent["untrusted_time"] >= 2, "a CAM a second and more"
    clock.set_utc(NOON)
    assert any(isinstance(effect, Transmit) for _, effect in drive(agent, clock, 1.0))
    agent.on_packet(packet, clock.now())
    assert len(agent.peers) == 1


def test_the_same_seed_gives_the_same_octets() -> None:
    ticket = HIERARCHY.ticket(StationRole.RSU)
    first = [effect for _, effect in drive(unit(ticket), clock_at(), 1.0)]
    assert first == [effect for _, effect in drive(unit(ticket), clock_at(), 1.0)]
    assert first != [effect for _, effect in drive(unit(ticket, seed=8), clock_at(), 1.0)]


def test_the_status_is_json_and_a_table_and_forgets_peers_in_time() -> None:
    agent, clock, speaker = unit(), clock_at(), car()
    drive(agent, clock, 1.0)
    agent.on_packet(cam(speaker, clock.now()), clock.now())
    document = json.loads(json.dumps(agent.status(clock.now())))
    assert document["station_id"] == RSU_ID
    assert document["sent"]["spatem"] == 11
    assert document["junction"]["phases"] == {"1": "permissive_movement_allowed", "2": "stop_and_remain"}
    assert (document["hazards"][0]["cause_code"], document["hazards"][0]["cause"]) == (3, "roadworks")
    assert document["hazards"][0]["expires_s"] > 0
    assert [peer["messages"] for peer in document["peers"]] == [{"cam": 1}]
    status_tables(document)
    assert agent.status(clock.advance(61 * NS_PER_S))["peers"] == []


def test_a_unit_without_a_junction_or_a_hazard_listens_looks_after_its_ticket_and_says_that_it_is_there() -> None:
    ticket = HIERARCHY.ticket(StationRole.RSU)
    parts = RsuParts(station_id=RSU_ID, position=CENTRE, ticket=ticket, trust_store=HIERARCHY.trust_store, tickets=pool_of(ticket))
    agent, clock = make_agent(parts, entropy=Random(1).randbytes), clock_at()
    assert agent.on_timer(clock.now()) == ()
    drive(agent, clock, 1.0)
    assert agent.sent == {"cam": 1}
    now = clock.now()
    assert agent.next_due() <= now.monotonic + CHECK_INTERVAL_NS
    agent.on_packet(cam(car(), now), now)
    assert len(agent.peers) == 1
    assert agent.status(now)["junction"] is None
    busy = make_agent(replace(parts, hazards=(ROADWORKS,)), entropy=Random(1).randbytes)
    assert [type(effect) for effect in busy.on_timer(clock_at().now())] == [Transmit]


def test_a_unit_whose_address_another_uses_takes_another_and_keeps_its_name() -> None:
    agent, clock, twin = unit(), clock_at(), car()
    drive(agent, clock, 0.5)
    before = agent.identity
    twin.move_to(before.address.mac)
    now = clock.now()
    agent.on_packet(cam(twin, now), now)
    effects = [effect for _, effect in drive(agent, clock, 0.5)]
    assert [effect.kind for effect in effects if isinstance(effect, Notice)] == ["address_changed"]
    assert any(isinstance(effect, Transmit) for effect in effects)
    after = agent.identity
    assert after.address.mac != before.address.mac
    assert (after.station_id, after.station_type) == (before.station_id, before.station_type)
    assert [e for _, e in drive(agent, clock, 1.0) if isinstance(e, Notice)] == []
