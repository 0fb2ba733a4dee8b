"""Ten thousand new tickets in a minute: somebody pretends to be a crowd, and the unit goes on doing its work."""

from collections.abc import Iterator
from random import Random

import msgspec

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.peers import MAX_PEERS
from rsu_agent.plausibility_service import MANY_NEW_TICKETS
from shared.core.clock import NS_PER_S, ManualClock, MonotonicNs
from shared.core.geo import displaced
from shared.core.ids import ItsAid, StationId
from shared.core.itstime import Time32
from shared.pki.authority import hours
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.service.status_socket import MAX_STATUS_OCTETS
from shared.stack.effects import Effect, Notice
from shared.trust.suspicion import Standing
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, ego, make_peer
from tests.helpers.pools import pool_of

HIERARCHY = Hierarchy(1)
TICKETS = 10_000
MINUTE_S = 60


def unit() -> RsuAgent:
    ticket = HIERARCHY.ticket(StationRole.RSU)
    parts = RsuParts(
        station_id=StationId(4049), position=HERE, ticket=ticket, trust_store=HIERARCHY.trust_store, tickets=pool_of(ticket)
    )
    return make_agent(parts, entropy=Random(3).randbytes)


def crowd_of(count: int) -> Iterator[TicketCredential]:
    """Issue that many tickets that may send CAMs, all under one key: to a receiver each is somebody else."""
    signer = HIERARCHY.keys.generate(Curve.NIST_P256)
    permissions = tuple(each for each in TICKET_PERMISSIONS[StationRole.VEHICLE] if each.psid == ItsAid.CAM)
    for number in range(count):
        validity = hours(Time32(HIERARCHY.start + number), 168)
        certificate = HIERARCHY.aa.issue_ticket(
            public_key=signer.public_key, validity=validity, permissions=permissions, region=None
        )
        yield TicketCredential(certificate=certificate, signer=signer)


def carried_on(agent: RsuAgent, clock: ManualClock, end: MonotonicNs) -> list[Effect]:
    """Give a unit its timer whenever it asks, until a moment."""
    effects: list[Effect] = []
    while (due := max(agent.next_due(), clock.now().monotonic)) <= end:
        effects += agent.on_timer(clock.advance_to(MonotonicNs(due)))
    clock.advance_to(end)
    return effects


def test_ten_thousand_new_tickets_in_a_minute_push_out_each_other_and_neither_neighbours_nor_what_is_held_against_a_liar() -> None:
    agent, clock = unit(), clock_at()
    begin = clock.now().monotonic
    neighbour, liar, crowd = make_peer(HIERARCHY, 7), make_peer(HIERARCHY, 8), make_peer(HIERARCHY, 9)
    effects: list[Effect] = []
    said = 0
    for number, ticket in enumerate(crowd_of(TICKETS)):
        effects += carried_on(agent, clock, MonotonicNs(begin + number * MINUTE_S * NS_PER_S // TICKETS))
        now = clock.now()
        if number % 100 == 0:
            east_m = number * 0.06
            point = displaced(HERE, east_m, 0.0)
            message = cam_of(neighbour, now, point)
            effects += agent.on_packet(neighbour.send(message, position=ego(now, point), now=now), now)
            said += 1
        if number < 1_000 and number % 100 == 50:
            point = displaced(HERE, 400.0 * (number % 200 == 50), 0.0)
            effects += agent.on_packet(liar.send(cam_of(liar, now, point), position=ego(now, point), now=now), now)
        crowd.assume(crowd.identity, ticket)
        effects += agent.on_packet(crowd.send(cam_of(crowd, now), position=ego(now), now=now), now)
    peers = {peer.station_id: peer for peer in agent.peers}
    assert agent.inbound.verified == {"cam": TICKETS + said + 10}, "everyone was heard"
    assert len(agent.peers) == MAX_PEERS
    assert agent.peers.begun == TICKETS + 2
    assert agent.peers.evicted == TICKETS + 2 - MAX_PEERS
    assert sum(count for _, count in peers[StationId(7)].messages) == said, "a neighbour keeps its row from first to last"
    assert peers[StationId(8)].standing is Standing.IGNORED, "a crowd does not wash a liar clean"
    assert [effect.kind for effect in effects if isinstance(effect, Notice)].count("many_new_tickets") == 1
    assert agent.sent["cam"] >= MINUTE_S - 1, "the unit says once a second that it is there, crowd or not"
    status = agent.status(clock.now())
    assert isinstance(rate := status["new_tickets_a_minute"], int)
    assert rate > MANY_NEW_TICKETS
    assert len(msgspec.json.encode(status)) < MAX_STATUS_OCTETS // 2
    assert agent.status(clock.advance(2 * MINUTE_S * NS_PER_S))["peers"] == []
    assert agent.status(clock.now())["new_tickets_a_minute"] == 0
