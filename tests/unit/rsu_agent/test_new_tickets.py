"""Ten thousand new tickets in a minute: somebody pretends to be a crowd, and the unit goes on doing its work.

Everything is real but the time: tickets are issued, messages signed, chains and signatures verified. What the processor has to bear
in real time is measured by the bench (`rsu_agent.bench`), not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import msgspec

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts, make_agent
from rsu_agent.peers import MAX_PEERS
from rsu_agent.plausibility_service import MANY_NEW_TICKETS
from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.geo import displaced
from shared.core.ids import HashedId8, ItsAid, StationId
from shared.core.itstime import Time32
from shared.messages.spatem import Spatem
from shared.pki.authority import hours
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate_cache import DEFAULT_CAPACITY
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.service.status_socket import MAX_STATUS_OCTETS
from shared.stack.effects import Effect, Notice, Transmit
from shared.stack.station import Station
from shared.trust.suspicion import Standing
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, ego, make_peer
from tests.helpers.pools import pool_of
from tests.unit.rsu_agent.test_rsu_agent import MAP, PLAN

HIERARCHY = Hierarchy(1)
UNIT_TICKET = HIERARCHY.ticket(StationRole.RSU)
TICKETS = 10_000
MINUTE_S = 60


def unit() -> RsuAgent:
    """Return a unit with lights of its own; each is like the other."""
    parts = RsuParts(
        station_id=StationId(4049),
        position=HERE,
        ticket=UNIT_TICKET,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(UNIT_TICKET),
        junction=JunctionParts(controller=FixedTimeController(PLAN), rules=PLAN.guard_rules, lanes=MAP),
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


@dataclass(slots=True)
class Street:
    """A unit, and a car beside it that waits for its lights."""

    agent: RsuAgent = field(default_factory=unit)
    clock: ManualClock = field(default_factory=clock_at)
    car: Station = field(default_factory=lambda: make_peer(HIERARCHY, 7))
    notices: list[Notice] = field(default_factory=list)
    lights_ms: list[float] = field(default_factory=list)

    def carry_on(self, end: MonotonicNs) -> Instant:
        """Give the unit its timer whenever it asks, until a moment; return it."""
        while (due := max(self.agent.next_due(), self.clock.now().monotonic)) <= end:
            now = self.clock.advance_to(MonotonicNs(due))
            self.take(self.agent.on_timer(now), now)
        return self.clock.advance_to(end)

    def say(self, station: Station, now: Instant, east_m: float = 0.0) -> None:
        """Have a station send a CAM, and the unit hear it."""
        point = displaced(HERE, east_m, 0.0)
        packet = station.send(cam_of(station, now, point), position=ego(now, point), now=now)
        self.take(self.agent.on_packet(packet, now), now)

    def take(self, effects: tuple[Effect, ...], now: Instant) -> None:
        """Keep what is told, and when the car heard lights."""
        for effect in effects:
            if isinstance(effect, Notice):
                self.notices.append(effect)
            elif isinstance(effect, Transmit):
                heard = self.car.receive(effect.packet, now)
                if heard is not None and heard.of(Spatem) is not None:
                    self.lights_ms.append(now.monotonic / NS_PER_MS)


def test_ten_thousand_new_tickets_in_a_minute_push_out_each_other_and_neither_neighbours_nor_what_is_held_against_a_liar() -> None:
    street, quiet = Street(), Street()
    agent, begin = street.agent, street.clock.now().monotonic
    liar, crowd, names, said = make_peer(HIERARCHY, 8), make_peer(HIERARCHY, 9), list[HashedId8](), 0
    for number, ticket in enumerate(crowd_of(TICKETS)):
        now = street.carry_on(MonotonicNs(begin + number * MINUTE_S * NS_PER_S // TICKETS))
        if number % 100 == 0:
            street.say(street.car, now, number * 0.06)
            said += 1
        if number < 1_000 and number % 100 == 50:
            street.say(liar, now, 400.0 * (number % 200 == 50))
        crowd.assume(crowd.identity, ticket)
        names.append(ticket.certificate.hashed_id8)
        street.say(crowd, now)
    now = street.carry_on(MonotonicNs(begin + MINUTE_S * NS_PER_S))
    peers = {peer.station_id: peer for peer in agent.peers}
    assert agent.inbound.verified == {"cam": TICKETS + said + 10}, "everyone was heard"
    assert len(agent.peers) == MAX_PEERS
    assert agent.peers.begun == TICKETS + 2, "neither was forgotten and begun anew"
    assert agent.peers.evicted == TICKETS + 2 - MAX_PEERS
    assert sum(count for _, count in peers[StationId(7)].messages) == said, "a neighbour keeps its row from first to last"
    assert peers[StationId(8)].standing is Standing.IGNORED, "a crowd does not wash a liar clean"
    assert sorted(notice.kind for notice in street.notices) == ["many_new_tickets", "peer_ignored"]

    assert sum(agent.inbound.knows(name, now) for name in names) < DEFAULT_CAPACITY, "certificates are forgotten, too"
    status = agent.status(now)
    assert isinstance(rate := status["new_tickets_a_minute"], int)
    assert rate > MANY_NEW_TICKETS
    assert len(msgspec.json.encode(status)) < MAX_STATUS_OCTETS // 2

    quiet.carry_on(MonotonicNs(begin + MINUTE_S * NS_PER_S))
    assert street.lights_ms == quiet.lights_ms, "lights come when they would come in an empty street"
    assert len(street.lights_ms) >= MINUTE_S * 10
    assert max(later - earlier for earlier, later in pairwise(street.lights_ms)) < 200
    assert agent.sent == quiet.agent.sent

    later = street.clock.advance(2 * MINUTE_S * NS_PER_S)
    assert agent.status(later)["peers"] == []
    assert agent.status(later)["new_tickets_a_minute"] == 0
