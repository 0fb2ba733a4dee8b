"""Whole packets, as a station hears them: what is signed as what, where its sender is, and what its ticket lets it say."""

from dataclasses import dataclass, replace

from msgspec import structs

from shared.core.geo import GeoPoint
from shared.core.ids import BtpPort, ItsAid, MessageId
from shared.core.itstime import gn_timestamp_at
from shared.messages.cam import encode_cam
from shared.messages.cam_special import Emergency, EmergencyPriority, PublicTransport, SafetyCar
from shared.messages.cdd import CauseCode, LightBarSirenInUse, TrafficRule
from shared.messages.denm import encode_denm
from shared.messages.mapem import encode_mapem
from shared.messages.spatem import encode_spatem
from shared.network.area import Circle
from shared.network.btp import BtpB
from shared.network.extended import ExtendedHeader, GbcHeader, ShbHeader
from shared.network.headers import BasicHeader, BasicNextHeader, TrafficClass, encode_basic_header
from shared.network.packet import encode_beacon, encode_gn_payload
from shared.network.position_vector import LongPositionVector
from shared.security.header_info import HeaderInfo
from shared.security.permissions import PsidSsp
from shared.security.secured_data import encode_unsecured
from tests.conformance.secured_messages.workshop import (
    CAM,
    DENM,
    EVERYTHING,
    IN_MILAN,
    MAPEM,
    MILAN_POINT,
    SPATEM,
    TURIN,
    TURIN_POINT,
    Case,
    Cases,
    Heard,
    Kind,
    Pen,
    Workshop,
    permission,
    seal,
)
from tests.helpers.hierarchy import NOON, clock_at
from tests.helpers.identities import cam_of, denm_of, make_identity, make_peer, mapem_of, renamed, spatem_of

PEER = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message and what belongs to it."""

    message: bytes
    header: HeaderInfo
    port: int


class _Talk:
    """Honest messages of one station in Turin, to be said under any ticket and in any wrapping."""

    def __init__(self, shop: Workshop) -> None:
        self._peer = make_peer(shop.hierarchy, PEER)
        self._now = clock_at().now()

    def cam(self, **changes: object) -> Said:
        cam = structs.replace(cam_of(self._peer, self._now, TURIN_POINT), **changes)
        return Said(message=encode_cam(cam), header=CAM, port=BtpPort.CAM)

    def denm(self, cause: CauseCode | int = CauseCode.STATIONARY_VEHICLE) -> Said:
        denm = structs.replace(denm_of(self._peer, self._now, point=TURIN_POINT), cause_code=cause)
        return Said(message=encode_denm(denm), header=DENM, port=BtpPort.DENM)

    def spatem(self) -> Said:
        return Said(message=encode_spatem(spatem_of(self._peer)), header=SPATEM, port=BtpPort.SPATEM)

    def mapem(self) -> Said:
        return Said(message=encode_mapem(mapem_of(self._peer)), header=MAPEM, port=BtpPort.MAPEM)


def _vector(point: GeoPoint | None) -> LongPositionVector:
    return LongPositionVector(
        address=make_identity(PEER).address,
        timestamp_ms=gn_timestamp_at(NOON),
        position=point,
        is_accurate=point is not None,
        speed_mps=None,
        heading_deg=None,
    )


def _payload(said: Said, *, point: GeoPoint | None = TURIN_POINT, is_geocast: bool = False) -> bytes:
    extended: ExtendedHeader = ShbHeader(source=_vector(point))
    if is_geocast:
        extended = GbcHeader(source=_vector(point), sequence_number=1, area=Circle(centre=TURIN_POINT, radius_m=500.0))
    return encode_gn_payload(
        extended=extended,
        btp=BtpB(destination_port=said.port),
        message=said.message,
        traffic_class=TrafficClass(priority=2),
        is_mobile=True,
    )


def _basic(*, is_secured: bool = True, hops: int = 1) -> bytes:
    following = BasicNextHeader.SECURED if is_secured else BasicNextHeader.COMMON
    return encode_basic_header(BasicHeader(next_header=following, lifetime_ms=1_000, remaining_hop_limit=hops))


def packet(pen: Pen, said: Said, *, point: GeoPoint | None = TURIN_POINT, hops: int = 1, is_geocast: bool = False) -> bytes:
    return _basic(hops=hops) + seal(pen, said.header, payload=_payload(said, point=point, is_geocast=is_geocast))


def refused(code: str, says: str, octets: bytes) -> Case:
    return Case(octets=octets, verdict=code, says=says, kind=Kind.PACKET)


def believed(octets: bytes) -> Case:
    return Case(octets=octets, verdict="believed", kind=Kind.PACKET)


def cases(shop: Workshop) -> Cases:
    """Return every case of this file by its sentence."""
    talk = _Talk(shop)
    return {
        **_sound(shop, talk),
        **_mismatches(shop, talk),
        **_contents(shop, talk),
        **_places(shop, talk),
        **_wrappings(shop, talk),
    }


def _sound(shop: Workshop, talk: _Talk) -> Cases:
    return {
        "a_packet_with_a_cam_is_believed": believed(packet(shop.car, talk.cam())),
        "a_packet_with_a_denm_for_an_area_is_believed": believed(packet(shop.car, talk.denm(), hops=1, is_geocast=True)),
        "a_packet_with_a_spatem_is_believed": believed(packet(shop.rsu, talk.spatem())),
        "a_packet_with_a_mapem_is_believed": believed(packet(shop.rsu, talk.mapem())),
        "a_packet_with_roadworks_of_a_roadside_unit_is_believed": believed(packet(shop.rsu, talk.denm(CauseCode.ROADWORKS))),
    }


def _mismatches(shop: Workshop, talk: _Talk) -> Cases:
    mismatch = "content_mismatch"
    cam, denm, spatem, mapem = talk.cam(), talk.denm(), talk.spatem(), talk.mapem()
    return {
        "a_cam_on_the_port_of_warnings_is_refused": refused(
            mismatch,
            "a CAM was signed as ITS-AID 36 for port 2002",
            packet(shop.car, replace(cam, port=BtpPort.DENM)),
        ),
        "a_cam_signed_as_a_map_is_refused": refused(
            mismatch, "a CAM was signed as ITS-AID 138 for port 2001", packet(shop.rsu, replace(cam, header=MAPEM))
        ),
        "a_warning_signed_as_a_cam_on_the_port_of_cams_is_refused": refused(
            mismatch,
            "a DENM was signed as ITS-AID 36 for port 2001",
            packet(shop.car, replace(denm, header=CAM, port=BtpPort.CAM)),
        ),
        "a_cam_signed_as_a_warning_on_the_port_of_warnings_is_refused": refused(
            mismatch,
            "a CAM was signed as ITS-AID 37 for port 2002",
            packet(shop.car, replace(cam, header=DENM, port=BtpPort.DENM)),
        ),
        "a_spatem_on_the_port_of_maps_is_refused": refused(
            mismatch,
            "a SPATEM was signed as ITS-AID 137 for port 2003",
            packet(shop.rsu, replace(spatem, port=BtpPort.MAPEM)),
        ),
        "a_spatem_signed_as_a_map_on_the_port_of_spatems_is_refused": refused(
            mismatch, "a SPATEM was signed as ITS-AID 138 for port 2004", packet(shop.rsu, replace(spatem, header=MAPEM))
        ),
        "a_mapem_that_calls_itself_a_spatem_is_refused": refused(
            mismatch,
            "a SPATEM was signed as ITS-AID 138 for port 2003",
            packet(shop.rsu, replace(mapem, message=renamed(mapem.message, MessageId.SPATEM))),
        ),
        "a_cam_that_calls_itself_a_denm_is_refused": refused(
            mismatch,
            "a DENM was signed as ITS-AID 36 for port 2001",
            packet(shop.car, replace(cam, message=renamed(cam.message, MessageId.DENM))),
        ),
    }


def _contents(shop: Workshop, talk: _Talk) -> Cases:
    denied = "permission_denied"
    both = LightBarSirenInUse.LIGHT_BAR_ACTIVATED | LightBarSirenInUse.SIREN_ACTIVATED
    siren = Emergency(light_bar_siren=both)
    right_of_way = Emergency(light_bar_siren=both, priority=EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY)
    no_passing = SafetyCar(light_bar_siren=both, traffic_rule=TrafficRule.NO_PASSING)
    bus = PublicTransport(embarkation_status=False)

    def ticket(*permissions: PsidSsp) -> Pen:
        return shop.ticket(app_permissions=permissions)

    ambulance = ticket(permission(ItsAid.CAM, "010200"))
    privileged = ticket(permission(ItsAid.CAM, "010240"))
    safety_car = ticket(permission(ItsAid.CAM, "010100"))
    # An authority that may issue anything, so that the permission itself is in order.
    free = shop.authority(shop.trusted_root(issues=EVERYTHING), cert_issue_permissions=EVERYTHING)

    def freely(its_aid: ItsAid, ssp: str | None) -> Pen:
        entry = PsidSsp(psid=its_aid) if ssp is None else permission(its_aid, ssp)
        return shop.ticket(free, app_permissions=(entry,))

    def siren_says(what: str) -> str:
        return f"the ticket does not allow a CAM with {what}"

    return {
        "a_cam_with_a_siren_of_an_ordinary_car_is_denied": refused(
            denied, siren_says("emergencyContainer"), packet(shop.car, talk.cam(special_vehicle=siren))
        ),
        "a_cam_with_a_siren_of_an_ambulance_is_believed": believed(packet(ambulance, talk.cam(special_vehicle=siren))),
        "a_cam_of_an_ambulance_that_may_not_ask_for_the_right_of_way_is_denied": refused(
            denied, siren_says("requestForRightOfWay"), packet(ambulance, talk.cam(special_vehicle=right_of_way))
        ),
        "a_cam_of_an_ambulance_that_may_ask_for_the_right_of_way_is_believed": believed(
            packet(privileged, talk.cam(special_vehicle=right_of_way))
        ),
        "a_cam_of_a_bus_without_the_right_to_be_one_is_denied": refused(
            denied, siren_says("publicTransportContainer"), packet(shop.car, talk.cam(special_vehicle=bus))
        ),
        "a_cam_with_a_ban_on_passing_by_a_safety_car_that_may_not_is_denied": refused(
            denied, siren_says("the traffic rule no_passing"), packet(safety_car, talk.cam(special_vehicle=no_passing))
        ),
        "a_warning_of_roadworks_by_a_car_is_denied": refused(
            denied, "the ticket does not allow a DENM of cause 3", packet(shop.car, talk.denm(CauseCode.ROADWORKS))
        ),
        "a_warning_of_an_emergency_vehicle_by_a_car_is_denied": refused(
            denied,
            "the ticket does not allow a DENM of cause 95",
            packet(shop.car, talk.denm(CauseCode.EMERGENCY_VEHICLE_APPROACHING)),
        ),
        "a_warning_of_a_cause_no_permission_covers_is_denied": refused(
            denied, "no version 1 permission covers a DENM of cause 7", packet(shop.rsu, talk.denm(7))
        ),
        "a_cam_under_permissions_of_another_version_is_denied": refused(
            denied,
            "the ticket's permissions for CAM are of version 2; this station knows 1",
            packet(freely(ItsAid.CAM, "020000"), talk.cam()),
        ),
        "a_cam_under_permissions_of_another_length_is_denied": refused(
            denied, "the ticket's permissions for CAM have 2 octets instead of 3", packet(freely(ItsAid.CAM, "0100"), talk.cam())
        ),
        "a_denm_under_a_permission_without_bits_is_denied": refused(
            denied, "the ticket names no permissions for DENM", packet(freely(ItsAid.DENM, None), talk.denm())
        ),
        "a_spatem_under_permissions_of_another_version_is_denied": refused(
            denied,
            "the ticket's permissions for Spatem are of version 2; this station knows 1",
            packet(freely(ItsAid.TLM, "02e0"), talk.spatem()),
        ),
        "a_mapem_under_a_permission_without_bits_is_denied": refused(
            denied, "the ticket names no permissions for Mapem", packet(freely(ItsAid.RLT, None), talk.mapem())
        ),
        "a_packet_with_a_spatem_of_a_car_is_denied": refused(
            denied, "the certificate has no permission for ITS-AID 137", packet(shop.car, talk.spatem())
        ),
    }


def _places(shop: Workshop, talk: _Talk) -> Cases:
    outside = "outside_region"
    says = "the message was generated outside the region its certificate is valid in"
    local = shop.ticket(region=TURIN)
    in_milan = {"lat_deg": MILAN_POINT.lat_deg, "lon_deg": MILAN_POINT.lon_deg}
    nowhere: dict[str, object] = {"lat_deg": None, "lon_deg": None}
    torn = "the sender is at two places at once"
    return {
        "a_packet_from_inside_the_region_of_its_ticket_is_believed": believed(packet(local, talk.cam())),
        "a_packet_from_outside_the_region_of_its_ticket_is_refused": refused(
            outside, says, packet(local, talk.cam(**in_milan), point=MILAN_POINT)
        ),
        "a_cam_that_claims_a_place_outside_the_region_from_inside_is_refused": refused(
            outside, says, packet(local, talk.cam(**in_milan))
        ),
        "a_packet_without_a_position_under_a_ticket_with_a_region_is_refused": refused(
            outside, "bound to a region and the sender has no position", packet(local, talk.cam(**nowhere), point=None)
        ),
        "a_packet_without_a_position_under_a_ticket_without_a_region_is_believed": believed(
            packet(shop.car, talk.cam(**nowhere), point=None)
        ),
        "a_car_in_turin_by_its_packet_and_in_milan_by_its_cam_is_refused": refused(
            "invalid_mobility_data", torn, packet(shop.car, talk.cam(**in_milan))
        ),
        "a_warner_in_turin_by_its_packet_and_in_milan_by_its_header_is_refused": refused(
            "invalid_mobility_data",
            torn,
            packet(shop.car, replace(talk.denm(), header=replace(DENM, generation_location=IN_MILAN))),
        ),
    }


def _wrappings(shop: Workshop, talk: _Talk) -> Cases:
    cam = talk.cam()
    good = packet(shop.car, cam)
    return {
        "a_packet_that_is_not_secured_is_refused": refused(
            "unsigned_message", "the packet is not secured", _basic(is_secured=False) + _payload(cam)
        ),
        "a_packet_that_is_secured_but_not_signed_is_refused": refused(
            "unsigned_message", "the message is not signed", _basic() + encode_unsecured(_payload(cam))
        ),
        "a_packet_heard_again_is_a_duplicate": Case(
            octets=good,
            verdict="duplicate_message",
            says="this message was received before",
            kind=Kind.PACKET,
            before=(Heard(good, NOON, Kind.PACKET),),
        ),
        "a_packet_with_more_hops_than_it_was_sent_with_is_malformed": refused("malformed", "hop", packet(shop.car, cam, hops=7)),
        "a_packet_cut_inside_its_basic_header_is_malformed": refused("malformed", "basic_header", good[:3]),
        "a_packet_of_geonetworking_version_0_is_malformed": refused("malformed", "version", b"\x02" + good[1:]),
        "a_signed_payload_that_is_no_packet_is_malformed": refused(
            "malformed", "common_header", _basic() + seal(shop.car, CAM, payload=b"hello")
        ),
        "a_signed_cam_that_is_none_is_malformed": refused(
            "malformed", "referencePosition.latitude", packet(shop.car, replace(cam, message=cam.message[:6] + b"\xff" * 20))
        ),
        "a_signed_cam_cut_short_is_malformed": refused(
            "malformed", "the encoding ends", packet(shop.car, replace(cam, message=cam.message[:-5]))
        ),
        "a_signed_beacon_is_none_of_our_business": refused(
            "unsupported_packet",
            "a beacon carries no message",
            _basic() + seal(shop.car, CAM, payload=encode_beacon(_vector(TURIN_POINT), is_mobile=True)),
        ),
    }
