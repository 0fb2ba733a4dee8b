"""Real stations of one hierarchy and what they say: packets for tests of tools that read the air."""

from random import Random

from shared.core.clock import NS_PER_MS, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint
from shared.core.ids import ActionId, IntersectionId, StationType
from shared.core.itstime import generation_delta_time, time64_of, timestamp_its
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cdd import CauseCode, ExteriorLights, PathPoint, VehicleRole
from shared.messages.denm import Denm
from shared.messages.mapem import Intersection, Mapem
from shared.messages.mapem_lanes import AllowedManeuvers, Connection, Lane, LaneDirection, LaneNode
from shared.messages.spatem import IntersectionState, IntersectionStatus, MovementEvent, MovementPhaseState, MovementState, Spatem
from shared.messages.time_mark import minute_of_year, ms_of_minute, second_of_hour
from shared.network.area import Circle
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.pki.permission_sets import StationRole
from shared.security.hashing import signed_digest
from shared.security.header_info import HeaderInfo
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import (
    SignedData,
    SignerIdentifier,
    SignerKind,
    UnsecuredData,
    decode_secured_data,
    encode_signed_data,
    encode_tbs_data,
)
from shared.security.sign import TicketCredential
from shared.stack.station import EgoPosition, Station, StationIdentity, make_station
from tests.helpers.hierarchy import Hierarchy

TURIN = GeoPoint(45.07, 7.68)
JUNCTION = IntersectionId(region=380, number=12)


class Speaker:
    """A station that can say one of everything.

    Args:
        hierarchy: whose ticket it holds and whose root it trusts.
        role: vehicle or roadside unit.
        seed: of its identity.
    """

    def __init__(self, hierarchy: Hierarchy, role: StationRole = StationRole.VEHICLE, *, seed: int = 1) -> None:
        kind = StationType.PASSENGER_CAR if role.is_vehicle else StationType.ROAD_SIDE_UNIT
        self.ticket = hierarchy.ticket(role)
        self.station: Station = make_station(
            identity=StationIdentity.drawn(kind, Random(seed).randbytes),
            ticket=self.ticket,
            trust_store=hierarchy.trust_store,
            areas=NO_IDENTIFIED_AREAS,
        )
        self._kind = kind

    def cam(self, utc: UtcNs, *, path_points: int = 3) -> bytes:
        """Say a CAM at 13.9 m/s."""
        message = Cam(
            station_id=self.station.identity.station_id,
            generation_delta_time_ms=generation_delta_time(time64_of(utc)),
            station_type=self._kind,
            lat_deg=TURIN.lat_deg,
            lon_deg=TURIN.lon_deg,
            speed_mps=13.9,
            speed_confidence_mps=0.5,
            heading_deg=90.0,
            low_frequency=LowFrequency(
                vehicle_role=VehicleRole.DEFAULT,
                exterior_lights=ExteriorLights.LOW_BEAM_HEADLIGHTS_ON,
                path_history=(PathPoint(delta_lat_deg=0.0001, delta_lon_deg=-0.0002, delta_time_s=0.5),) * path_points,
            ),
        )
        return self.station.send(message, position=position(utc), now=at(utc))

    def denm(self, utc: UtcNs, *, cause: CauseCode = CauseCode.STATIONARY_VEHICLE) -> bytes:
        """Warn everybody within 300 m."""
        its_ms = timestamp_its(time64_of(utc))
        message = Denm(
            station_id=self.station.identity.station_id,
            action_id=ActionId(self.station.identity.station_id, 1),
            detection_time=its_ms,
            reference_time=its_ms,
            station_type=self._kind,
            lat_deg=TURIN.lat_deg,
            lon_deg=TURIN.lon_deg,
            cause_code=cause,
            sub_cause_code=0,
        )
        area = Circle(centre=TURIN, radius_m=300.0)
        return self.station.send(message, position=position(utc), now=at(utc), area=area)

    def spatem(self, utc: UtcNs) -> bytes:
        """Show red for ten seconds more, then green."""
        change_s = round((second_of_hour(utc) + 10.0) % 3_600, 1)
        events = (
            MovementEvent(phase=MovementPhaseState.STOP_AND_REMAIN, min_end_time_s=change_s, max_end_time_s=change_s),
            MovementEvent(phase=MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED, start_time_s=change_s, min_end_time_s=change_s),
        )
        state = IntersectionState(
            id=JUNCTION,
            revision=1,
            status=IntersectionStatus.FIXED_TIME_OPERATION,
            movements=(MovementState(signal_group=4, events=events),),
            minute_of_year=minute_of_year(utc),
            timestamp_ms=ms_of_minute(utc),
        )
        message = Spatem(station_id=self.station.identity.station_id, intersections=(state,))
        return self.station.send(message, position=position(utc), now=at(utc))

    def mapem(self, utc: UtcNs, *, name: str = "Crossing") -> bytes:
        """Say where one lane is."""
        lane = Lane(
            id=1,
            directional_use=LaneDirection.INGRESS_PATH,
            maneuvers=AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED,
            nodes=(LaneNode(dx_m=1.0, dy_m=2.0), LaneNode(dx_m=0.0, dy_m=100.0)),
            connects_to=(Connection(lane_id=2, signal_group=4),),
        )
        crossing = Intersection(id=JUNCTION, revision=1, lat_deg=TURIN.lat_deg, lon_deg=TURIN.lon_deg, lanes=(lane,), name=name)
        message = Mapem(station_id=self.station.identity.station_id, revision=1, intersections=(crossing,))
        return self.station.send(message, position=position(utc), now=at(utc))


def at(utc: UtcNs) -> Instant:
    """Return a moment on both clocks."""
    return Instant(MonotonicNs(utc), utc)


def after_ms(utc: UtcNs, elapsed_ms: int) -> UtcNs:
    """Return a moment later."""
    return UtcNs(utc + elapsed_ms * NS_PER_MS)


def position(utc: UtcNs) -> EgoPosition:
    """Stand in Turin at 13.9 m/s."""
    return EgoPosition(point=TURIN, taken_at=utc, speed_mps=13.9, heading_deg=90.0)


def payload_of(packet: bytes) -> bytes:
    """Return what a secured packet's signature covers, from the Common Header on."""
    signed = decode_secured_data(packet[BASIC_HEADER_OCTETS:]).content
    assert isinstance(signed, SignedData)
    assert signed.payload is not None
    assert isinstance(signed.payload.content, UnsecuredData)
    return signed.payload.content.payload


def sealed(ticket: TicketCredential, payload: bytes, header: HeaderInfo) -> bytes:
    """Sign with a ticket whatever a sender of no manners might say."""
    algorithm = ticket.signer.curve.hash_algorithm
    tbs = encode_tbs_data(payload, header)
    signature = ticket.signer.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), ticket.certificate.canonical))
    signer = SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(ticket.certificate,))
    return encode_signed_data(hash_algorithm=algorithm, tbs_encoded=tbs, signer=signer, signature=signature)
