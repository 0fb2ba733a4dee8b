"""Why a well-formed packet is not believed: each reason, reached the way an attacker or a mishap would reach it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from msgspec import structs

from shared.core.clock import NS_PER_S, Instant, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import BtpPort, ItsAid, MessageId
from shared.core.itstime import Time64, time64_of
from shared.core.report import VerificationReport as Report
from shared.messages.cam import encode_cam
from shared.messages.cam_special import Emergency, SafetyCar
from shared.messages.cdd import CauseCode, LightBarSirenInUse, TrafficRule
from shared.messages.denm import encode_denm
from shared.messages.spatem import encode_spatem
from shared.network.area import Circle
from shared.network.btp import BtpB
from shared.network.extended import ShbHeader
from shared.network.headers import BasicHeader, BasicNextHeader, TrafficClass, encode_basic_header
from shared.network.packet import encode_beacon, encode_gn_payload
from shared.network.position_vector import LongPositionVector
from shared.pki.authority import hours, years
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import CertificateId, ToBeSignedCertificate, issue_certificate
from shared.security.ecdsa import Curve
from shared.security.header_info import GenerationLocation
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import SignerIdentifier, SignerKind, encode_unsecured
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.stack.inbound import Inbound
from shared.stack.station import Station
from tests.helpers.hierarchy import BEGIN, NOON, Hierarchy, clock_at
from tests.helpers.identities import (
    HERE,
    cam_of,
    denm_of,
    ego,
    forged_packet,
    header_at,
    make_identity,
    make_peer,
    renamed,
    secured_packet,
    spatem_of,
)

HIERARCHY = Hierarchy(1)
FOREIGN = Hierarchy(2)
TICKET = HIERARCHY.ticket()
RSU_TICKET = HIERARCHY.ticket(StationRole.RSU)
AREA = Circle(centre=HERE, radius_m=1_000.0)
AROUND_HERE = CircularRegion(centre=Location.of(HERE), radius_m=5_000)
MILAN = GeoPoint(45.46, 9.19)
ALL_CAM_FLAGS = b"\x01\xff\xfc"

NOT_REACHED = {
    Report.REVOKED_CERTIFICATE,
    Report.NOT_LOGGED,
    Report.OUTDATED_TRUST_LIST,
    Report.LIST_ROLLBACK,
    Report.LIST_FORK,
    Report.LIST_GAP,
}
"""These need trust lists: `tests/conformance/secured_messages` reaches them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Packets that a receiver is given one after another, and what becomes of the last.

    Attributes:
        packets: each with the moment it is received.
        receiver: who hears them.
    """

    packets: tuple[tuple[bytes, Instant], ...]
    receiver: Station


def now() -> Instant:
    return clock_at().now()


def one(packet: bytes, at: Instant | None = None, receiver: Station | None = None) -> Refusal:
    return Refusal(packets=((packet, at or now()),), receiver=receiver or make_peer(HIERARCHY, 99))


def later(seconds: float, begin: UtcNs = NOON) -> Instant:
    """Return a moment that many seconds after (or before) `begin`, on a clock of its own."""
    return clock_at(UtcNs(begin + round(seconds * NS_PER_S))).now()


def cam_packet(ticket: TicketCredential = TICKET, point: GeoPoint = HERE, at: Instant | None = None) -> bytes:
    sender = make_peer(HIERARCHY, 1, ticket=ticket)
    return sender.send(cam_of(sender, at or now(), point), position=ego(at or now(), point), now=at or now())


def denm_packet(at: Instant | None = None) -> bytes:
    sender = make_peer(HIERARCHY, 1, ticket=TICKET)
    return sender.send(denm_of(sender, at or now()), position=ego(at or now()), now=at or now(), area=AREA)


def gn_payload(message: bytes, port: int = BtpPort.CAM, point: GeoPoint | None = HERE) -> bytes:
    vector = LongPositionVector(
        address=make_identity(1).address, timestamp_ms=0, position=point, is_accurate=False, speed_mps=None, heading_deg=None
    )
    return encode_gn_payload(
        extended=ShbHeader(source=vector),
        btp=BtpB(destination_port=port),
        message=message,
        traffic_class=TrafficClass(priority=2),
        is_mobile=True,
    )


def encoded_cam(**changes: object) -> bytes:
    return encode_cam(structs.replace(cam_of(make_peer(HIERARCHY, 1), now()), **changes))


def cam_payload(**changes: object) -> bytes:
    return gn_payload(encoded_cam(**changes))


# --- the packets -----------------------------------------------------------------------------------------------------------------


def by_another_root() -> Refusal:
    """The receiver knows both authorities, but trusts only one root."""
    store = TrustStore.of_operator((HIERARCHY.root.certificate,), (HIERARCHY.aa.certificate, FOREIGN.aa.certificate))
    stranger = make_peer(FOREIGN, 1)
    packet = stranger.send(cam_of(stranger, now()), position=ego(now()), now=now())
    return one(packet, receiver=make_peer(HIERARCHY, 99, trust_store=store))


def by_an_authority_nobody_knows() -> Refusal:
    stranger = make_peer(FOREIGN, 1)
    return one(stranger.send(cam_of(stranger, now()), position=ego(now()), now=now()))


def by_a_digest_nobody_has_seen() -> Refusal:
    digest = SignerIdentifier(kind=SignerKind.DIGEST, digest=TICKET.certificate.hashed_id8)
    return one(forged_packet(TICKET, cam_payload(), now(), signer=digest))


def with_a_changed_payload() -> Refusal:
    packet = cam_packet()
    at = packet.index(encoded_cam()[:6])
    return one(packet[:at] + renamed(encoded_cam(), MessageId.DENM)[:2] + packet[at + 2 :])


def under_a_ticket_with_a_broken_signature() -> Refusal:
    packet = bytearray(cam_packet())
    s = TICKET.certificate.signature.s
    packet[packet.index(s) + 31] ^= 1
    return one(bytes(packet))


def under_a_ticket_that_outlives_its_issuer() -> Refusal:
    """What an authority of ours refuses to issue, issued all the same."""
    signer = HIERARCHY.keys.generate(Curve.NIST_P256)
    tbs = ToBeSignedCertificate(
        id=CertificateId(),
        validity=years(HIERARCHY.start, 50),
        app_permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
        curve=Curve.NIST_P256,
        verification_key=signer.public_key.point,
    )
    issued = issue_certificate(tbs, issuer=HIERARCHY.aa.certificate, signer=HIERARCHY.aa.credential.signer)
    return one(cam_packet(TicketCredential(certificate=issued, signer=signer)))


def under_a_ticket_that_has_run_out() -> Refusal:
    at = later(2 * 3_600, BEGIN)
    return one(forged_packet(HIERARCHY.ticket(valid_hours=1), cam_payload(), at), at)


def under_a_ticket_not_valid_yet() -> Refusal:
    key = HIERARCHY.keys.generate(Curve.NIST_P256)
    tomorrow = hours(type(HIERARCHY.start)(HIERARCHY.start + 86_400), 1)
    certificate = HIERARCHY.aa.issue_ticket(
        public_key=key.public_key, validity=tomorrow, permissions=TICKET_PERMISSIONS[StationRole.VEHICLE]
    )
    return one(forged_packet(TicketCredential(certificate=certificate, signer=key), cam_payload(), now()))


def two_seconds_old() -> Refusal:
    return one(cam_packet(), later(2.001))


def from_the_future() -> Refusal:
    return one(cam_packet(at=later(0.051)))


def a_warning_eleven_minutes_old() -> Refusal:
    return one(denm_packet(at=later(-660)))


def played_back_at_once() -> Refusal:
    packet = cam_packet()
    return Refusal(packets=((packet, now()), (packet, now())), receiver=make_peer(HIERARCHY, 99))


def a_warning_played_back_after_minutes() -> Refusal:
    packet, clock = denm_packet(), clock_at()
    first = clock.now()
    return Refusal(packets=((packet, first), (packet, clock.advance(500 * NS_PER_S))), receiver=make_peer(HIERARCHY, 99))


def not_secured() -> Refusal:
    basic = BasicHeader(next_header=BasicNextHeader.COMMON, lifetime_ms=1_000, remaining_hop_limit=1)
    return one(encode_basic_header(basic) + cam_payload())


def secured_but_not_signed() -> Refusal:
    return one(secured_packet(encode_unsecured(cam_payload())))


def signed_by_itself() -> Refusal:
    return one(forged_packet(TICKET, cam_payload(), now(), signer=SignerIdentifier(kind=SignerKind.SELF)))


def for_a_service_nobody_here_offers() -> Refusal:
    return one(forged_packet(TICKET, cam_payload(), now(), header=header_at(now(), ItsAid.CRL)))


def without_a_generation_time() -> Refusal:
    return one(forged_packet(TICKET, cam_payload(), now(), header=replace(header_at(now()), generation_time=None)))


def a_cam_with_a_location_in_its_header() -> Refusal:
    place = GenerationLocation(location=Location.of(HERE), elevation=4_095)
    return one(forged_packet(TICKET, cam_payload(), now(), header=replace(header_at(now()), generation_location=place)))


def a_warning_by_digest() -> Refusal:
    place = GenerationLocation(location=Location.of(HERE), elevation=4_095)
    header = replace(header_at(now(), ItsAid.DENM), generation_location=place)
    digest = SignerIdentifier(kind=SignerKind.DIGEST, digest=TICKET.certificate.hashed_id8)
    payload = gn_payload(encode_denm(denm_of(make_peer(HIERARCHY, 1), now())), BtpPort.DENM)
    return one(forged_packet(TICKET, payload, now(), header=header, signer=digest))


def a_cam_on_the_port_of_warnings() -> Refusal:
    return one(forged_packet(TICKET, gn_payload(encoded_cam(), BtpPort.DENM), now()))


def a_cam_signed_as_a_map() -> Refusal:
    return one(forged_packet(RSU_TICKET, cam_payload(), now(), header=header_at(now(), ItsAid.RLT)))


def a_warning_signed_as_a_cam_on_the_port_of_cams() -> Refusal:
    return one(forged_packet(TICKET, gn_payload(encode_denm(denm_of(make_peer(HIERARCHY, 1), now()))), now()))


def lights_signed_as_lights_on_the_port_of_maps() -> Refusal:
    payload = gn_payload(encode_spatem(spatem_of(make_peer(HIERARCHY, 1))), BtpPort.MAPEM)
    return one(forged_packet(RSU_TICKET, payload, now(), header=header_at(now(), ItsAid.TLM)))


def lights_of_a_car() -> Refusal:
    payload = gn_payload(encode_spatem(spatem_of(make_peer(HIERARCHY, 1))), BtpPort.SPATEM)
    return one(forged_packet(TICKET, payload, now(), header=header_at(now(), ItsAid.TLM)))


def roadworks_of_a_car() -> Refusal:
    denm = denm_of(make_peer(HIERARCHY, 1), now(), cause=CauseCode.ROADWORKS)
    place = GenerationLocation(location=Location.of(HERE), elevation=4_095)
    header = replace(header_at(now(), ItsAid.DENM), generation_location=place)
    return one(forged_packet(TICKET, gn_payload(encode_denm(denm), BtpPort.DENM), now(), header=header))


def blue_lights_of_an_ordinary_car() -> Refusal:
    special = Emergency(light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED | LightBarSirenInUse.SIREN_ACTIVATED)
    return one(forged_packet(TICKET, cam_payload(special_vehicle=special), now()))


def a_ban_on_passing_by_a_safety_car_that_may_not() -> Refusal:
    ticket = HIERARCHY.ticket(permissions=(PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x01\x00"),))
    special = SafetyCar(traffic_rule=TrafficRule.NO_PASSING)
    return one(forged_packet(ticket, cam_payload(special_vehicle=special), now()))


def a_cam_under_a_ticket_for_warnings_only() -> Refusal:
    ticket = HIERARCHY.ticket(permissions=(PsidSsp(psid=ItsAid.DENM, ssp=b"\x01\xff\xff\xff"),))
    return one(forged_packet(ticket, cam_payload(), now()))


def from_outside_the_ticket_s_region() -> Refusal:
    return one(cam_packet(HIERARCHY.ticket(region=AROUND_HERE), MILAN))


def a_place_outside_the_region_claimed_from_inside() -> Refusal:
    payload = cam_payload(lat_deg=MILAN.lat_deg, lon_deg=MILAN.lon_deg)
    return one(forged_packet(HIERARCHY.ticket(region=AROUND_HERE), payload, now()))


def without_a_position_under_a_ticket_with_a_region() -> Refusal:
    payload = gn_payload(encoded_cam(lat_deg=None, lon_deg=None), point=None)
    return one(forged_packet(HIERARCHY.ticket(region=AROUND_HERE), payload, now()))


def a_car_here_in_the_packet_and_in_milan_in_the_cam() -> Refusal:
    return one(forged_packet(TICKET, cam_payload(lat_deg=MILAN.lat_deg, lon_deg=MILAN.lon_deg), now()))


def a_warner_here_in_the_packet_and_in_milan_in_the_header() -> Refusal:
    place = GenerationLocation(location=Location.of(MILAN), elevation=4_095)
    header = replace(header_at(now(), ItsAid.DENM), generation_location=place)
    payload = gn_payload(encode_denm(denm_of(make_peer(HIERARCHY, 1), now())), BtpPort.DENM)
    return one(forged_packet(TICKET, payload, now(), header=header))


def heard_while_the_clock_is_not_set() -> Refusal:
    return one(cam_packet(), replace(now(), utc=None))


def a_signed_message_that_is_no_message() -> Refusal:
    return one(forged_packet(TICKET, gn_payload(b"\x02\x02" + b"\xff" * 30), now()))


def a_signed_message_of_no_octets_worth_mentioning() -> Refusal:
    return one(forged_packet(TICKET, gn_payload(b"\x02"), now()))


def a_signed_payload_that_is_no_packet() -> Refusal:
    return one(forged_packet(TICKET, b"hello", now()))


def a_signed_beacon() -> Refusal:
    vector = LongPositionVector(
        address=make_identity(1).address, timestamp_ms=0, position=HERE, is_accurate=False, speed_mps=None, heading_deg=None
    )
    return one(forged_packet(TICKET, encode_beacon(vector, is_mobile=True), now()))


def a_sign_with_the_content_of_a_cam() -> Refusal:
    payload = gn_payload(renamed(encoded_cam(), MessageId.IVIM), BtpPort.IVIM)
    return one(forged_packet(RSU_TICKET, payload, now(), header=header_at(now(), ItsAid.IVIM)))


REFUSALS: dict[Callable[[], Refusal], str] = {
    by_another_root: "untrusted_root",
    by_an_authority_nobody_knows: "signer_certificate_not_found",
    by_a_digest_nobody_has_seen: "signer_certificate_not_found",
    with_a_changed_payload: "false_signature",
    under_a_ticket_with_a_broken_signature: "invalid_certificate",
    under_a_ticket_that_outlives_its_issuer: "inconsistent_chain",
    under_a_ticket_that_has_run_out: "expired_certificate",
    under_a_ticket_not_valid_yet: "expired_certificate",
    two_seconds_old: "invalid_timestamp",
    from_the_future: "invalid_timestamp",
    a_warning_eleven_minutes_old: "invalid_timestamp",
    played_back_at_once: "duplicate_message",
    a_warning_played_back_after_minutes: "duplicate_message",
    not_secured: "unsigned_message",
    secured_but_not_signed: "unsigned_message",
    signed_by_itself: "unsupported_signer_identifier_type",
    for_a_service_nobody_here_offers: "incompatible_protocol",
    without_a_generation_time: "header_profile",
    a_cam_with_a_location_in_its_header: "header_profile",
    a_warning_by_digest: "header_profile",
    a_cam_on_the_port_of_warnings: "content_mismatch",
    a_cam_signed_as_a_map: "content_mismatch",
    a_warning_signed_as_a_cam_on_the_port_of_cams: "content_mismatch",
    lights_signed_as_lights_on_the_port_of_maps: "content_mismatch",
    lights_of_a_car: "permission_denied",
    roadworks_of_a_car: "permission_denied",
    blue_lights_of_an_ordinary_car: "permission_denied",
    a_ban_on_passing_by_a_safety_car_that_may_not: "permission_denied",
    a_cam_under_a_ticket_for_warnings_only: "permission_denied",
    from_outside_the_ticket_s_region: "outside_region",
    a_place_outside_the_region_claimed_from_inside: "outside_region",
    without_a_position_under_a_ticket_with_a_region: "outside_region",
    a_car_here_in_the_packet_and_in_milan_in_the_cam: "invalid_mobility_data",
    a_warner_here_in_the_packet_and_in_milan_in_the_header: "invalid_mobility_data",
    heard_while_the_clock_is_not_set: "untrusted_time",
    a_signed_message_that_is_no_message: "malformed",
    a_signed_message_of_no_octets_worth_mentioning: "malformed",
    a_signed_payload_that_is_no_packet: "malformed",
    a_signed_beacon: "unsupported_packet",
    a_sign_with_the_content_of_a_cam: "malformed",
}


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.__name__)
def test_a_packet_is_refused_and_counted_by_its_reason(case: Callable[[], Refusal]) -> None:
    refusal = case()
    inbound = Inbound(refusal.receiver)
    *believed, (last, at) = refusal.packets
    for packet, moment in believed:
        assert inbound.receive(packet, moment) is not None
    assert inbound.receive(last, at) is None
    assert dict(inbound.refused) == {REFUSALS[case]: 1}
    assert inbound.last_refusal is not None
    assert inbound.last_refusal.code == REFUSALS[case]


def test_every_report_that_can_be_reached_is_reached() -> None:
    assert {Report(code) for code in REFUSALS.values() if code in {report.value for report in Report}} == set(Report) - NOT_REACHED


def test_a_message_with_content_beyond_its_ticket_is_still_remembered_as_heard() -> None:
    """It was genuine, so a second copy is a copy; what it said is refused both times."""
    refusal = roadworks_of_a_car()
    inbound = Inbound(refusal.receiver)
    for packet, at in 2 * refusal.packets:
        inbound.receive(packet, at)
    assert dict(inbound.refused) == {"permission_denied": 1, "duplicate_message": 1}


def test_a_ticket_that_may_is_heard_with_the_same_content() -> None:
    special = SafetyCar(traffic_rule=TrafficRule.NO_PASSING)
    ticket = HIERARCHY.ticket(permissions=(PsidSsp(psid=ItsAid.CAM, ssp=ALL_CAM_FLAGS),))
    packet = forged_packet(ticket, cam_payload(special_vehicle=special), now())
    assert make_peer(HIERARCHY, 99).receive(packet, now()) is not None


def test_inside_its_region_a_ticket_is_believed() -> None:
    assert make_peer(HIERARCHY, 99).receive(cam_packet(HIERARCHY.ticket(region=AROUND_HERE)), now()) is not None


@pytest.mark.parametrize(("north_m", "is_heard"), [(0.0, True), (990.0, True), (-990.0, True), (1_010.0, False), (-1_010.0, False)])
def test_a_sender_may_move_a_kilometre_between_its_packet_and_its_cam(north_m: float, is_heard: bool) -> None:  # noqa: FBT001 - a column of a table
    for east_m in (0.0, 100.0):
        there = displaced(HERE, east_m, north_m)
        packet = forged_packet(TICKET, cam_payload(lat_deg=there.lat_deg, lon_deg=there.lon_deg), now())
        assert (Inbound(make_peer(HIERARCHY, 99)).receive(packet, now()) is not None) is is_heard


def test_a_packet_without_a_position_contradicts_no_cam() -> None:
    packet = forged_packet(TICKET, gn_payload(encoded_cam(), point=None), now())
    assert Inbound(make_peer(HIERARCHY, 99)).receive(packet, now()) is not None


@pytest.mark.parametrize(("late_s", "is_heard"), [(-0.05, True), (-0.051, False), (2.0, True), (2.000_001, False)])
def test_the_window_of_a_cam_is_two_seconds_and_the_error_of_two_clocks(late_s: float, is_heard: bool) -> None:  # noqa: FBT001 - a column of a table
    inbound = Inbound(make_peer(HIERARCHY, 99))
    assert (inbound.receive(cam_packet(), later(late_s)) is not None) is is_heard


def test_the_last_moment_of_a_ticket_still_counts() -> None:
    ticket = HIERARCHY.ticket(valid_hours=1)
    end = ticket.certificate.validity
    last = later(3_599.9, BEGIN)
    assert end.contains(Time64(time64_of(last.require_utc())))
    packet = forged_packet(ticket, cam_payload(), last)
    assert make_peer(HIERARCHY, 99).receive(packet, last) is not None


def test_a_forger_s_packets_do_not_make_a_receiver_deaf_to_the_real_one() -> None:
    packet, at = cam_packet(), now()
    receiver = Inbound(make_peer(HIERARCHY, 99))
    broken = bytearray(packet)
    broken[-1] ^= 1
    for _ in range(5):
        assert receiver.receive(bytes(broken), at) is None
    assert receiver.receive(packet, at) is not None
    assert dict(receiver.refused) == {"false_signature": 5}
