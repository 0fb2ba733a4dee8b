"""Real stations of one hierarchy that talk to each other, for figures: real keys, real certificates, real packets, a clock by hand.

Every packet has its own moment, so that each is fresh and none a duplicate; moments advance as on a busy channel.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, UtcNs
from shared.core.geo import GeoPoint
from shared.core.ids import StationId, StationType
from shared.core.itstime import generation_delta_time, time32_of, time64_of, utc_from_text
from shared.messages import samples
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cdd import ExteriorLights, PathPoint, VehicleRole
from shared.messages.positions import path_led_by
from shared.network.address import GnAddress
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.pki.authority import RootCa, hours, years
from shared.pki.key_source import SystemKeySource
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.ecdsa import Curve
from shared.security.peek import peek_claims
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.stack.admission import BATCH_PACKETS
from shared.stack.station import EgoPosition, Station, StationIdentity, make_station

BEGIN = utc_from_text("2026-11-22T09:00:00Z")
NOON = utc_from_text("2026-11-22T12:00:00Z")
TICKET_HOURS = 168

BUSY_GAP_NS = 60_000
"""Between two packets on a channel that one core can just follow."""

CAM_GAP_NS = 100 * NS_PER_MS
"""Between two CAMs of one station at most."""

PLACE = GeoPoint(48.1312, 11.5498)
"""Where every station of the bench is."""

Packets = list[tuple[bytes, Instant]]


def _behind_first() -> Sequence[PathPoint]:
    assert samples.CAM.low_frequency is not None
    path: Sequence[PathPoint] = ()
    for point in reversed(samples.CAM.low_frequency.path_history[1:]):
        path = path_led_by(point, path)
    return path


_BEHIND_FIRST = _behind_first()


class Hierarchy:
    """A root and its authorities, and tickets under them.

    Args:
        begin: when their validity begins; that of tickets lasts `TICKET_HOURS`.
    """

    def __init__(self, begin: UtcNs = BEGIN) -> None:
        self._keys = SystemKeySource()
        start = time32_of(time64_of(begin))
        lifetime = years(start, 5)
        root = RootCa.create(name="bench root", validity=lifetime, keys=self._keys)
        self.enrolment_authority = root.create_enrolment_authority(name="bench EA", validity=lifetime, keys=self._keys)
        self.authorization_authority = root.create_authorization_authority(name="bench AA", validity=lifetime, keys=self._keys)
        self._validity = hours(start, TICKET_HOURS)
        self.trust_store = TrustStore.of_operator(
            (root.certificate,), (self.enrolment_authority.certificate, self.authorization_authority.certificate)
        )

    def ticket(self, role: StationRole = StationRole.VEHICLE) -> TicketCredential:
        """Issue a ticket under a fresh key."""
        signer = self._keys.generate(Curve.NIST_P256)
        certificate = self.authorization_authority.issue_ticket(
            public_key=signer.public_key, validity=self._validity, permissions=TICKET_PERMISSIONS[role]
        )
        return TicketCredential(certificate=certificate, signer=signer)

    def station(self, number: int, role: StationRole = StationRole.VEHICLE) -> Station:
        """Put up station `number` with a ticket of its own."""
        is_vehicle = role.is_vehicle
        kind = StationType.PASSENGER_CAR if is_vehicle else StationType.ROAD_SIDE_UNIT
        mac = bytes((2, 0)) + number.to_bytes(4, "big")
        identity = StationIdentity(
            station_id=StationId(number),
            address=GnAddress(station_type=kind, mac=mac),
            is_mobile=is_vehicle,
            first_sequence_number=0,
        )
        return make_station(identity=identity, ticket=self.ticket(role), trust_store=self.trust_store, areas=NO_IDENTIFIED_AREAS)


def position_at(now: Instant) -> EgoPosition:
    """Return where every station of the bench is."""
    return EgoPosition(point=PLACE, taken_at=now.require_utc(), speed_mps=13.9, heading_deg=90.0)


def cam_at(station: Station, now: Instant) -> Cam:
    """Return a station's CAM of 135 octets, built as the CAM service builds one: of the path, the first point is new each time."""
    moment = generation_delta_time(time64_of(now.require_utc()))
    first = PathPoint(moment * 1e-7, -moment * 1e-7, 0.0, 0.01 + moment % 1_000 / 100)
    path = LowFrequency(
        vehicle_role=VehicleRole.DEFAULT, exterior_lights=ExteriorLights(0), path_history=path_led_by(first, _BEHIND_FIRST)
    )
    return replace(samples.CAM, station_id=station.identity.station_id, generation_delta_time_ms=moment, low_frequency=path)


def say_cam(station: Station, now: Instant) -> bytes:
    """Build, encode, sign and pack a CAM."""
    return station.send(cam_at(station, now), position=position_at(now), now=now)


class Traffic:
    """Cars that speak in turn, and stations that hear them.

    Args:
        hierarchy: issues the cars' tickets.
        cars: how many speak.
        gap_ns: time between two packets.
    """

    def __init__(self, hierarchy: Hierarchy, *, cars: int, gap_ns: int = BUSY_GAP_NS) -> None:
        self.clock = ManualClock(NOON)
        self._cars = [hierarchy.station(number) for number in range(1, cars + 1)]
        self._gap_ns = gap_ns
        self._spoken = 0

    def next_packet(self) -> tuple[bytes, Instant]:
        """Let the next car speak."""
        now = self.clock.advance(self._gap_ns)
        car = self._cars[self._spoken % len(self._cars)]
        self._spoken += 1
        return say_cam(car, now), now

    def by_digest(self, count: int, hearers: Sequence[Station]) -> Packets:
        """Return that many packets that name their signer by digest; the others are heard at once.

        Args:
            count: packets to return.
            hearers: stations that hear the certificates in between, so that they know the senders.
        """
        packets: Packets = []
        while len(packets) < count:
            packet, now = self.next_packet()
            if shows_certificate(packet):
                for hearer in hearers:
                    hearer.receive(packet, now)
            else:
                packets.append((packet, now))
        return packets


def shows_certificate(packet: bytes) -> bool:
    """Say whether a packet carries its signer's certificate."""
    claims = peek_claims(packet, BASIC_HEADER_OCTETS)
    return claims is not None and claims.shows_certificate


def in_batches(packets: Packets) -> list[tuple[list[bytes], Instant]]:
    """Return packets as a loaded intake hands them over, each batch at the moment of its last."""
    batches = [packets[at : at + BATCH_PACKETS] for at in range(0, len(packets), BATCH_PACKETS)]
    return [([packet for packet, _ in batch], batch[-1][1]) for batch in batches]


def settled(clock: ManualClock) -> Instant:
    """Move on to where every freshness window but that of a DENM has passed."""
    return clock.advance(20 * NS_PER_S)
