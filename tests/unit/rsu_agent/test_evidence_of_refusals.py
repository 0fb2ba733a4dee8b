"""What a unit does not believe is in its evidence whoever finds it out: the security layer, a service, or what cars can do."""

from random import Random

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts, make_agent
from rsu_agent.evidence_desk import EvidenceDesk
from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from shared.core.clock import NS_PER_S, Instant
from shared.core.geo import displaced
from shared.messages.requestor import BasicVehicleRole
from shared.pki.permission_sets import StationRole
from shared.records.evidence_record import EvidenceKind, EvidenceRecord
from shared.stack.effects import Notice
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import cam_of, denm_of, ego, make_peer
from tests.helpers.ledger import seeded_entropy
from tests.helpers.pools import pool_of
from tests.helpers.priority import MAP, NEAR, PLAN, UNIT_ID, srem_of

HIERARCHY = Hierarchy(76)


def watched_unit() -> tuple[RsuAgent, EvidenceDesk]:
    """A unit at a junction, and the desk that takes down what it does not believe."""
    ticket = HIERARCHY.ticket(StationRole.RSU)
    parts = RsuParts(
        station_id=UNIT_ID,
        position=MAP.reference,
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(ticket),
        junction=JunctionParts(controller=FixedTimeController(PLAN), rules=PLAN.guard_rules, lanes=MAP),
    )
    agent = make_agent(parts, entropy=Random(3).randbytes)
    desk = EvidenceDesk(next_id=0, run=1, entropy=seeded_entropy(), chain=agent.signing_chain)
    agent.plausibility.follow(desk.refused)
    return agent, desk


def refusals(desk: EvidenceDesk) -> list[EvidenceRecord]:
    return [each.record for each in desk.take().entries if each.record.kind is EvidenceKind.REFUSED]


def cam(station: Station, now: Instant, *, north_m: float) -> bytes:
    point = displaced(MAP.reference, 0.0, north_m)
    return station.send(cam_of(station, now, point), position=ego(now, point), now=now)


def test_a_packet_of_a_stranger_is_kept_with_the_reason() -> None:
    agent, desk = watched_unit()
    now = clock_at().now()
    packet = cam(make_peer(Hierarchy(77), 7), now, north_m=40.0)
    agent.on_packet(packet, now)
    (kept,) = refusals(desk)
    assert (kept.word, kept.packet, kept.utc) == ("signer_certificate_not_found", packet, now.utc)
    assert "issuing authority" in kept.detail


def test_a_request_for_priority_that_is_refused_after_its_signature_held_is_kept_once() -> None:
    agent, desk = watched_unit()
    now = clock_at().now()
    impostor = make_peer(HIERARCHY, 2, StationRole.PUBLIC_TRANSPORT)
    srem = srem_of(impostor, now, role=BasicVehicleRole.FIRE)
    packet = impostor.send(srem, position=ego(now, NEAR), now=now)
    agent.on_packet(packet, now)
    (kept,) = refusals(desk)
    assert (kept.word, kept.packet) == ("priority_role_not_permitted", packet)
    assert "does not show a vehicle in the role fire" in kept.detail


def test_a_car_that_jumps_about_is_in_the_evidence_with_each_leap_and_with_the_warning_that_is_not_taken_up() -> None:
    agent, desk = watched_unit()
    clock, station, notices = clock_at(), make_peer(HIERARCHY, 7), []
    leaps = []
    for number in range(8):
        now = clock.advance(NS_PER_S // 5)
        leaps.append(cam(station, now, north_m=400.0 * (number % 2)))
        for effect in agent.on_packet(leaps[-1], now):
            if isinstance(effect, Notice):
                desk.noted(effect, now)
                notices.append(effect.kind)
    now = clock.advance(NS_PER_S // 5)
    warning = station.send(denm_of(station, now), position=ego(now), now=now, area=None)
    agent.on_packet(warning, now)
    assert notices == ["peer_ignored"]
    kept = refusals(desk)
    implausible = [each for each in kept if each.word.startswith("implausible_")]
    assert {each.packet for each in implausible} <= set(leaps)
    assert any("jumped by 400 m" in each.detail for each in implausible)
    (ignored,) = [each for each in kept if each.word == "ignored_sender"]
    assert ignored.packet == warning
    (told,) = [each.record for each in desk.take().entries if each.record.kind is EvidenceKind.NOTED]
    assert told.word == "peer_ignored"
