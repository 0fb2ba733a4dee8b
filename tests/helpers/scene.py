"""Stations on fake links: real packets, real routers, a clock moved from one due moment to the next. Only the medium is made up.

A link carries a packet to everyone on it who is in range, and brings it back to its sender as a multicast loopback does.
"""

from dataclasses import dataclass, field
from random import Random

from shared.core.clock import NS_PER_MS, Instant, MonotonicNs
from shared.core.geo import GeoPoint, distance_m
from shared.messages.denm import Denm
from shared.network.area import Area
from shared.network.headers import HOP_LIMIT_OCTET
from shared.pki.permission_sets import StationRole
from shared.stack.arrival import Arrival
from shared.stack.effects import Effect, Transmit
from shared.stack.inbound import Inbound
from shared.stack.indication import Indication
from shared.stack.router import Forwarding, Router
from shared.stack.station import EgoPosition
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import cam_of, denm_of, make_peer

HIERARCHY = Hierarchy(4)
FLIGHT_NS = NS_PER_MS // 2
"""From antenna to program."""


@dataclass(frozen=True, slots=True)
class OnAir:
    """A packet that was sent."""

    at: MonotonicNs
    sender: int
    link: str
    packet: bytes

    @property
    def hops(self) -> int:
        """Hops left in it."""
        return self.packet[HOP_LIMIT_OCTET]


@dataclass(slots=True, eq=False)
class Member:
    """A station of a scene.

    Attributes:
        number: its own; the last octet of its address.
        point: where it stands; None while it does not know, and then it is in everybody's range.
        links: its radios.
        told: what it was handed up.
    """

    number: int
    point: GeoPoint | None
    links: tuple[str, ...]
    router: Router
    inbound: Inbound
    told: list[Indication] = field(default_factory=list)

    def place(self, now: Instant) -> EgoPosition | None:
        """Return its position, taken just now."""
        return None if self.point is None else EgoPosition(point=self.point, taken_at=now.require_utc(), speed_mps=0.0)

    @property
    def hazards(self) -> list[Denm]:
        """The warnings it was handed up."""
        return [each.message for each in self.told if isinstance(each.message, Denm)]


class Scene:
    """Stations, links and time.

    Args:
        range_m: how far a link carries.
    """

    def __init__(self, *, range_m: float = 600.0) -> None:
        self.clock = clock_at()
        self.air: list[OnAir] = []
        self.members: dict[int, Member] = {}
        self._range_m = range_m
        self._flying: list[tuple[MonotonicNs, int, Member, str, bytes, bytes]] = []

    def put_up(
        self,
        number: int,
        point: GeoPoint | None,
        *links: str,
        forwarding: Forwarding = Forwarding.SAME_LINK,
        role: StationRole = StationRole.VEHICLE,
    ) -> Member:
        """Add a station."""
        station = make_peer(HIERARCHY, number, role)
        router = Router(
            station=station,
            forwarding=forwarding,
            entropy=Random(number).randbytes,
            started=self.clock.now().monotonic,
            links=links,
        )
        member = self.members[number] = Member(number, point, links, router, Inbound(station, router))
        router.place(member.place(self.clock.now()))
        return member

    def introduce(self) -> None:
        """Let everybody be heard once by those in range, and a second pass."""
        for member in self.members.values():
            self.say(member, None)
            self.run(1_000)

    def say(self, member: Member, area: Area | None, *, sequence_number: int = 1) -> bytes | None:
        """Say a CAM, or a warning for an area; return the packet, if it could go out at once."""
        now = self.clock.now()
        position = member.place(now)
        assert position is not None
        station = member.inbound._station
        message = cam_of(station, now, position.point)
        if area is None:
            effects = member.router.say(message, position=position, now=now)
        else:
            warning = denm_of(station, now, point=position.point, sequence_number=sequence_number)
            effects = member.router.say(warning, position=position, now=now, area=area)
        self.carry_out(member, effects)
        return effects[0].packet if effects else None

    def carry_out(self, member: Member, effects: tuple[Effect, ...]) -> None:
        """Put what a station sends on its links."""
        mac = member.inbound._station.identity.address.mac
        for effect in effects:
            assert isinstance(effect, Transmit)
            for link in member.links:
                if effect.links is None or link in effect.links:
                    self.put_on_air(member.number, member.point, link, effect.packet, mac)

    def put_on_air(self, sender: int, point: GeoPoint | None, link: str, packet: bytes, mac: bytes) -> None:
        """Let everybody on a link in range of a place hear a packet, the sender among them."""
        now = self.clock.now().monotonic
        self.air.append(OnAir(now, sender, link, packet))
        for other in self.members.values():
            near = point is None or other.point is None or distance_m(point, other.point) <= self._range_m
            if link in other.links and near:
                self._flying.append((MonotonicNs(now + FLIGHT_NS), len(self.air), other, link, packet, mac))

    def run(self, milliseconds: float) -> None:
        """Let time pass: packets arrive, timers fall due."""
        end = MonotonicNs(self.clock.now().monotonic + round(milliseconds * NS_PER_MS))
        while True:
            arrivals = [each[0] for each in self._flying]
            timers = [due for member in self.members.values() if (due := member.router.next_due()) is not None]
            due = min([*arrivals, *timers, end])
            now = self.clock.advance_to(MonotonicNs(max(due, self.clock.now().monotonic)))
            if due >= end:
                return
            landed = sorted((each for each in self._flying if each[0] <= now.monotonic), key=lambda each: each[:2])
            self._flying = [each for each in self._flying if each[0] > now.monotonic]
            for _, _, member, link, packet, mac in landed:
                indication = member.inbound.receive(packet, now, Arrival(link, mac))
                if indication is not None:
                    member.told.append(indication)
            for member in self.members.values():
                member.router.place(member.place(now))
                self.carry_out(member, member.router.poll(now))

    def forwards(self, link: str | None = None) -> list[tuple[int, int]]:
        """Return who has passed a warning on, with how many hops left, in order."""
        return [(each.sender, each.hops) for each in self.air if 1 < each.hops < 10 and link in (None, each.link)]
