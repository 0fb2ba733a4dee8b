"""Stations for tests: real ones of one hierarchy on a fake medium, and a forger that signs whatever it is told to."""

from msgspec.structs import replace

from shared.core.clock import Instant
from shared.core.geo import GeoPoint
from shared.core.ids import ActionId, IntersectionId, ItsAid, MessageId, StationId, StationType
from shared.core.itstime import Time64, generation_delta_time, time64_of, timestamp_its
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cdd import CauseCode, DriveDirection, ExteriorLights, VehicleRole
from shared.messages.denm import Denm
from shared.messages.mapem import Intersection, Mapem
from shared.messages.mapem_lanes import Connection, Lane, LaneDirection, LaneNode
from shared.messages.spatem import (
    IntersectionState,
    IntersectionStatus,
    MovementEvent,
    MovementPhaseState,
    MovementState,
    Spatem,
)
from shared.network.address import GnAddress
from shared.network.headers import BasicHeader, BasicNextHeader, encode_basic_header
from shared.pki.permission_sets import StationRole
from shared.security.hashing import signed_digest
from shared.security.header_info import HeaderInfo
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import SignerIdentifier, SignerKind, encode_signed_data, encode_tbs_data
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.stack.station import EgoPosition, Station, StationIdentity, make_station
from tests.helpers.hierarchy import Hierarchy

HERE = GeoPoint(48.137, 11.575)
JUNCTION = IntersectionId(region=276, number=7)


def make_identity(number: int, role: StationRole = StationRole.VEHICLE) -> StationIdentity:
    """Return the identity of station `number`."""
    is_vehicle = role.is_vehicle
    station_type = StationType.PASSENGER_CAR if is_vehicle else StationType.ROAD_SIDE_UNIT
    address = GnAddress(station_type=station_type, mac=bytes((2, 0, 0, 0, 0, number)))
    return StationIdentity(station_id=StationId(number), address=address, is_mobile=is_vehicle, first_sequence_number=0)


def make_peer(
    hierarchy: Hierarchy,
    number: int,
    role: StationRole = StationRole.VEHICLE,
    *,
    ticket: TicketCredential | None = None,
    trust_store: TrustStore | None = None,
) -> Station:
    """Return station `number` of a hierarchy, with a ticket of its role unless another is given."""
    return make_station(
        identity=make_identity(number, role),
        ticket=ticket or hierarchy.ticket(role),
        trust_store=trust_store or hierarchy.trust_store,
        areas=NO_IDENTIFIED_AREAS,
    )


def ego(now: Instant, point: GeoPoint = HERE) -> EgoPosition:
    """Return a position taken just now."""
    return EgoPosition(point=point, taken_at=now.require_utc(), speed_mps=13.9, heading_deg=90.0)


def cam_of(station: Station, now: Instant, point: GeoPoint | None = HERE) -> Cam:
    """Return a plain car's CAM."""
    return Cam(
        station_id=station.identity.station_id,
        generation_delta_time_ms=generation_delta_time(time64_of(now.require_utc())),
        station_type=StationType.PASSENGER_CAR,
        lat_deg=None if point is None else point.lat_deg,
        lon_deg=None if point is None else point.lon_deg,
        heading_deg=90.0,
        speed_mps=13.9,
        drive_direction=DriveDirection.FORWARD,
        vehicle_length_m=4.6,
        vehicle_width_m=1.8,
        low_frequency=LowFrequency(vehicle_role=VehicleRole.DEFAULT, exterior_lights=ExteriorLights.LOW_BEAM_HEADLIGHTS_ON),
    )


def denm_of(
    station: Station,
    now: Instant,
    *,
    cause: CauseCode = CauseCode.STATIONARY_VEHICLE,
    point: GeoPoint = HERE,
    sequence_number: int = 1,
) -> Denm:
    """Return a warning of something at `point`, detected just now."""
    detected = timestamp_its(time64_of(now.require_utc()))
    return Denm(
        station_id=station.identity.station_id,
        action_id=ActionId(station.identity.station_id, sequence_number),
        detection_time=detected,
        reference_time=detected,
        station_type=station.identity.station_type,
        lat_deg=point.lat_deg,
        lon_deg=point.lon_deg,
        validity_duration_s=600,
        information_quality=3,
        cause_code=cause,
    )


def spatem_of(station: Station, *, phase: MovementPhaseState = MovementPhaseState.STOP_AND_REMAIN) -> Spatem:
    """Return one light of one junction."""
    movement = MovementState(signal_group=1, events=(MovementEvent(phase=phase),))
    state = IntersectionState(id=JUNCTION, revision=1, status=IntersectionStatus.FIXED_TIME_OPERATION, movements=(movement,))
    return Spatem(station_id=station.identity.station_id, intersections=(state,))


def mapem_of(station: Station) -> Mapem:
    """Return one junction at `HERE` with one signalled lane that comes from the west."""
    lane = Lane(
        id=1,
        directional_use=LaneDirection.INGRESS_PATH,
        nodes=(LaneNode(dx_m=-5.0, dy_m=0.0), LaneNode(dx_m=-100.0, dy_m=0.0)),
        connects_to=(Connection(lane_id=2, signal_group=1),),
    )
    junction = Intersection(id=JUNCTION, revision=1, lat_deg=HERE.lat_deg, lon_deg=HERE.lon_deg, lanes=(lane,))
    return Mapem(station_id=station.identity.station_id, revision=1, intersections=(junction,))


def forged_packet(
    ticket: TicketCredential,
    payload: bytes,
    now: Instant,
    *,
    header: HeaderInfo | None = None,
    signer: SignerIdentifier | None = None,
    lifetime_ms: int = 1_000,
    hops: int = 1,
) -> bytes:
    """Sign with a real key whatever a sender of no manners might say, and put a Basic Header in front.

    Args:
        ticket: whose key signs.
        payload: from the Common Header on, or anything else.
        now: when it is said to be generated, unless `header` says otherwise.
        header: what the signature covers besides the payload; a CAM's by default.
        signer: how the signer is named; by certificate by default.
        lifetime_ms: of the packet.
        hops: remaining.
    """
    algorithm = ticket.signer.curve.hash_algorithm
    tbs = encode_tbs_data(payload, header or header_at(now))
    signature = ticket.signer.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), ticket.certificate.canonical))
    named = signer or SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(ticket.certificate,))
    secured = encode_signed_data(hash_algorithm=algorithm, tbs_encoded=tbs, signer=named, signature=signature)
    return secured_packet(secured, lifetime_ms=lifetime_ms, hops=hops)


def header_at(now: Instant, its_aid: int = ItsAid.CAM) -> HeaderInfo:
    """Return the least header a message has."""
    return HeaderInfo(psid=its_aid, generation_time=Time64(time64_of(now.require_utc())))


def secured_packet(secured: bytes, *, lifetime_ms: int = 1_000, hops: int = 1) -> bytes:
    """Put a Basic Header in front of secured data."""
    header = BasicHeader(next_header=BasicNextHeader.SECURED, lifetime_ms=lifetime_ms, remaining_hop_limit=hops)
    return encode_basic_header(header) + secured


def renamed(encoded: bytes, message_id: MessageId) -> bytes:
    """Return an encoded message that claims to be of another type."""
    return encoded[:1] + bytes((message_id,)) + encoded[2:]


def with_id(message: Cam, station_id: int) -> Cam:
    """Return a CAM that names another station."""
    return replace(message, station_id=StationId(station_id))
