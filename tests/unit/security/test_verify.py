from collections.abc import Callable
from dataclasses import replace
from random import Random

import msgspec
import pytest

from shared.codec.coer import encode_length
from shared.core.clock import ManualClock
from shared.core.errors import DecodeError, V2xError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId3, ItsAid
from shared.core.itstime import Time64, time64_of, utc_from_text
from shared.core.report import VerificationReport as Report
from shared.pki.permission_sets import StationRole
from shared.security.certificate import decode_certificate, encode_certificate
from shared.security.certificate_cache import CertificateCache
from shared.security.chain import UnknownSignerError
from shared.security.ecdsa import Curve, Signature, encode_signature
from shared.security.hashing import HashAlgorithm, signed_digest
from shared.security.header_info import GenerationLocation, HeaderInfo, encode_header
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import (
    SignerIdentifier,
    SignerKind,
    decode_secured_data,
    encode_signed_data,
    encode_tbs_data,
    encode_unsecured,
)
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.security.verify import MAX_MESSAGE_OCTETS, Claim, VerifiedPayload, VerifyService, prove
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at, seconds, verifying

TURIN = GeoPoint(45.07, 7.68)
MILAN = GeoPoint(45.46, 9.19)
AROUND_TURIN = CircularRegion(centre=Location.of(TURIN), radius_m=10_000)
PLACE = GenerationLocation(location=Location.of(TURIN), elevation=4_095)


def seal(
    ticket: TicketCredential,
    header: HeaderInfo,
    *,
    by: SignerKind = SignerKind.CERTIFICATE,
    payload: bytes = b"payload",
    hash_algorithm: HashAlgorithm | None = None,
    certificates: int = 1,
) -> bytes:
    """Sign with a real key whatever a sender of no manners might say."""
    certificate = ticket.certificate
    algorithm = ticket.signer.curve.hash_algorithm
    tbs = encode_tbs_data(payload, header)
    signature = ticket.signer.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), certificate.canonical))
    signer = {
        SignerKind.CERTIFICATE: SignerIdentifier(kind=by, certificates=(certificate,) * certificates),
        SignerKind.DIGEST: SignerIdentifier(kind=by, digest=certificate.hashed_id8),
        SignerKind.SELF: SignerIdentifier(kind=by),
    }[by]
    return encode_signed_data(hash_algorithm=hash_algorithm or algorithm, tbs_encoded=tbs, signer=signer, signature=signature)


def cam_header(clock: ManualClock, ahead_us: int = 0) -> HeaderInfo:
    return HeaderInfo(psid=ItsAid.CAM, generation_time=Time64(time64_of(clock.now().require_utc()) + ahead_us))


def refusal(service: VerifyService, secured: bytes, clock: ManualClock) -> Report:
    with pytest.raises(VerificationError) as caught:
        service.verify(secured, now=clock.now())
    return caught.value.report


def test_what_one_station_signs_another_believes() -> None:
    hierarchy, clock = Hierarchy(1), clock_at()
    signing, service = hierarchy.signing(), hierarchy.verifying()
    verified = service.verify(signing.sign(b"payload", ItsAid.CAM, now=clock.now(), location=TURIN), now=clock.now())
    assert isinstance(verified, VerifiedPayload)
    assert (verified.payload, verified.its_aid, verified.ssp) == (b"payload", ItsAid.CAM, b"\x01\x00\x00")
    assert verified.signer.certificate == signing.ticket.certificate
    assert verified.signer.hashed_id8 == signing.ticket.certificate.hashed_id8
    assert verified.signer.hashed_id3 == verified.signer.hashed_id8[-3:]
    assert verified.generation_time == time64_of(NOON)
    assert verified.generation_location is None
    assert verified.certificate_requests == ()


def test_a_denm_brings_its_place() -> None:
    hierarchy, clock = Hierarchy(2), clock_at()
    secured = hierarchy.signing().sign(b"payload", ItsAid.DENM, now=clock.now(), location=TURIN)
    assert hierarchy.verifying().verify(secured, now=clock.now()).generation_location == TURIN


def test_a_digest_is_unknown_until_the_certificate_was_seen_and_believed_from_then_on() -> None:
    hierarchy, clock = Hierarchy(3), clock_at()
    signing, service = hierarchy.signing(), hierarchy.verifying()
    with_certificate = signing.sign(b"1", ItsAid.CAM, now=clock.now(), location=None)
    by_digest = signing.sign(b"2", ItsAid.CAM, now=clock.now(), location=None)
    with pytest.raises(UnknownSignerError) as caught:
        service.verify(by_digest, now=clock.now())
    assert caught.value.hashed_id8 == signing.ticket.certificate.hashed_id8
    assert service.verify(with_certificate, now=clock.now()).payload == b"1"
    assert service.verify(by_digest, now=clock.now()).payload == b"2"


def test_two_strangers_get_to_know_each_other_through_requests() -> None:
    hierarchy, clock = Hierarchy(4), clock_at()
    alice, bob = hierarchy.signing(), hierarchy.signing()
    alice_hears, bob_hears = hierarchy.verifying(), hierarchy.verifying()
    alice.sign(b"a0", ItsAid.CAM, now=clock.now(), location=None)
    bob.sign(b"b0", ItsAid.CAM, now=clock.now(), location=None)
    clock.advance(seconds(0.1))

    with pytest.raises(UnknownSignerError) as unknown:
        bob_hears.verify(alice.sign(b"a1", ItsAid.CAM, now=clock.now(), location=None), now=clock.now())
    bob.note_unknown_signer(unknown.value.hashed_id8)
    clock.advance(seconds(0.1))
    heard = alice_hears.verify(bob.sign(b"b1", ItsAid.CAM, now=clock.now(), location=None), now=clock.now())
    assert heard.certificate_requests == (alice.ticket.certificate.hashed_id3,)
    alice.note_requests(heard.certificate_requests)
    clock.advance(seconds(0.1))
    assert bob_hears.verify(alice.sign(b"a2", ItsAid.CAM, now=clock.now(), location=None), now=clock.now()).payload == b"a2"


def test_an_unknown_authority_is_asked_for_passed_on_and_then_believed() -> None:
    hierarchy, clock = Hierarchy(5), clock_at()
    other_aa = hierarchy.root.create_authorization_authority(
        name="other AA", validity=hierarchy.root.certificate.validity, keys=hierarchy.keys
    )
    stranger = Hierarchy.signing(hierarchy)
    key = hierarchy.keys.generate(Curve.NIST_P256)
    vehicle = hierarchy.ticket().certificate.tbs
    ticket = other_aa.issue_ticket(public_key=key.public_key, validity=vehicle.validity, permissions=vehicle.app_permissions or ())
    stranger.change_ticket(TicketCredential(certificate=ticket, signer=key))
    we_hear = hierarchy.verifying()
    with pytest.raises(UnknownSignerError) as unknown:
        we_hear.verify(stranger.sign(b"s0", ItsAid.CAM, now=clock.now(), location=None), now=clock.now())
    assert unknown.value.hashed_id8 == other_aa.certificate.hashed_id8

    knower = hierarchy.ticket()
    header = replace(cam_header(clock), requested_certificate=other_aa.certificate)
    we_hear.verify(seal(knower, cam_header(clock)), now=clock.now())
    passed_on = we_hear.verify(seal(knower, header, by=SignerKind.DIGEST, payload=b"k"), now=clock.now())
    assert passed_on.passed_on_authority == other_aa.certificate.hashed_id8
    clock.advance(seconds(1.0))
    assert we_hear.verify(stranger.sign(b"s1", ItsAid.CAM, now=clock.now(), location=None), now=clock.now()).payload == b"s1"


def test_a_false_authority_passed_on_does_not_spoil_the_message_and_is_not_believed() -> None:
    hierarchy, foreign, clock = Hierarchy(6), Hierarchy(7), clock_at()
    service, knower = hierarchy.verifying(), hierarchy.ticket()
    service.verify(seal(knower, cam_header(clock)), now=clock.now())
    header = replace(cam_header(clock), requested_certificate=foreign.aa.certificate)
    service.verify(seal(knower, header, by=SignerKind.DIGEST, payload=b"k"), now=clock.now())
    assert refusal(service, seal(foreign.ticket(), cam_header(clock)), clock) is Report.UNTRUSTED_ROOT


def test_a_message_of_a_foreign_hierarchy_is_refused() -> None:
    hierarchy, foreign, clock = Hierarchy(8), Hierarchy(9), clock_at()
    assert refusal(hierarchy.verifying(), seal(foreign.ticket(), cam_header(clock)), clock) is Report.SIGNER_CERTIFICATE_NOT_FOUND
    store = TrustStore.of_operator((hierarchy.root.certificate,), (hierarchy.aa.certificate, foreign.aa.certificate))
    assert refusal(verifying(store), seal(foreign.ticket(), cam_header(clock)), clock) is Report.UNTRUSTED_ROOT


def test_a_ticket_under_a_trusted_name_and_a_random_issuer_signature_is_refused() -> None:
    hierarchy, clock, noise = Hierarchy(10), clock_at(), Random(1)
    honest = hierarchy.ticket()
    random = Signature(curve=Curve.NIST_P256, r=noise.randbytes(32), s=noise.randbytes(32))
    forged = decode_certificate(encode_certificate(replace(honest.certificate, signature=random)))
    ticket = TicketCredential(certificate=forged, signer=honest.signer)
    service = hierarchy.verifying()
    for payload in (b"1", b"2"):
        assert refusal(service, seal(ticket, cam_header(clock), payload=payload), clock) is Report.INVALID_CERTIFICATE
    with pytest.raises(UnknownSignerError):
        service.verify(seal(ticket, cam_header(clock), by=SignerKind.DIGEST), now=clock.now())


def test_a_replayed_message_is_a_duplicate_and_later_stale() -> None:
    hierarchy, clock = Hierarchy(11), clock_at()
    service = hierarchy.verifying()
    secured = seal(hierarchy.ticket(), cam_header(clock))
    service.verify(secured, now=clock.now())
    assert refusal(service, secured, clock) is Report.DUPLICATE_MESSAGE
    clock.advance(seconds(2.0))
    assert refusal(service, secured, clock) is Report.DUPLICATE_MESSAGE
    clock.advance(1_000)
    assert refusal(service, secured, clock) is Report.INVALID_TIMESTAMP


def test_a_message_whose_signature_failed_is_not_remembered() -> None:
    hierarchy, clock = Hierarchy(12), clock_at()
    service = hierarchy.verifying()
    secured = seal(hierarchy.ticket(), cam_header(clock))
    assert refusal(service, secured[:-1] + bytes([secured[-1] ^ 1]), clock) is Report.FALSE_SIGNATURE
    service.verify(secured, now=clock.now())


def test_the_mirrored_signature_of_a_heard_message_is_still_a_duplicate() -> None:
    hierarchy, clock = Hierarchy(13), clock_at()
    service = hierarchy.verifying()
    secured = seal(hierarchy.ticket(), cam_header(clock))
    service.verify(secured, now=clock.now())
    s = int.from_bytes(secured[-32:], "big")
    mirrored = secured[:-32] + (Curve.NIST_P256.order - s).to_bytes(32, "big")
    assert refusal(service, mirrored, clock) is Report.DUPLICATE_MESSAGE


@pytest.mark.parametrize(("ahead_us", "believed"), [(-2_000_000, True), (-2_000_001, False), (50_000, True), (50_001, False)])
def test_a_cam_is_believed_within_two_seconds_and_fifty_milliseconds(ahead_us: int, believed: bool) -> None:  # noqa: FBT001 - a parameter
    hierarchy, clock = Hierarchy(14), clock_at()
    secured = seal(hierarchy.ticket(), cam_header(clock, ahead_us))
    if believed:
        hierarchy.verifying().verify(secured, now=clock.now())
    else:
        assert refusal(hierarchy.verifying(), secured, clock) is Report.INVALID_TIMESTAMP


def test_without_trusted_time_nothing_is_believed() -> None:
    hierarchy, clock = Hierarchy(15), clock_at()
    secured = seal(hierarchy.ticket(), cam_header(clock))
    assert refusal(hierarchy.verifying(), secured, ManualClock(None)) is Report.UNTRUSTED_TIME


@pytest.mark.parametrize("known", [False, True])
def test_a_ticket_past_its_end_is_refused_also_when_it_is_well_known(known: bool) -> None:  # noqa: FBT001 - a parameter
    hierarchy = Hierarchy(16)
    ticket, service = hierarchy.ticket(), hierarchy.verifying()
    clock = clock_at(utc_from_text("2026-11-29T08:59:59Z"))
    if known:
        service.verify(seal(ticket, cam_header(clock)), now=clock.now())
    clock.advance(seconds(1.0))
    for by in (SignerKind.CERTIFICATE, SignerKind.DIGEST) if known else (SignerKind.CERTIFICATE,):
        assert refusal(service, seal(ticket, cam_header(clock), by=by), clock) is Report.EXPIRED_CERTIFICATE


def test_a_ticket_without_the_service_is_denied() -> None:
    hierarchy, clock = Hierarchy(17), clock_at()
    service = hierarchy.verifying()
    generation_time = cam_header(clock).generation_time
    spat = HeaderInfo(psid=ItsAid.TLM, generation_time=generation_time)
    assert refusal(service, seal(hierarchy.ticket(), spat), clock) is Report.PERMISSION_DENIED
    service.verify(seal(hierarchy.ticket(StationRole.RSU), spat), now=clock.now())
    only_denm = hierarchy.ticket(permissions=(PsidSsp(psid=ItsAid.DENM, ssp=b"\x01\xff\xff\xff"),))
    assert refusal(service, seal(only_denm, cam_header(clock)), clock) is Report.PERMISSION_DENIED


@pytest.mark.parametrize("psid", [141, 623, 624, 999, 2**40])
def test_a_service_nobody_here_speaks_is_refused_before_anything_dear(psid: int) -> None:
    hierarchy, clock = Hierarchy(18), clock_at()
    secured = seal(hierarchy.ticket(), replace(cam_header(clock), psid=psid))
    assert refusal(hierarchy.verifying(), secured, clock) is Report.INCOMPATIBLE_PROTOCOL


def test_a_warning_generated_outside_the_tickets_region_is_refused() -> None:
    hierarchy, clock = Hierarchy(19), clock_at()
    local = hierarchy.signing(hierarchy.ticket(region=AROUND_TURIN))
    service = hierarchy.verifying()
    inside = local.sign(b"1", ItsAid.DENM, now=clock.now(), location=TURIN)
    facts = service.verify(inside, now=clock.now()).signer
    outside = local.sign(b"2", ItsAid.DENM, now=clock.now(), location=MILAN)
    assert refusal(service, outside, clock) is Report.OUTSIDE_REGION
    facts.region.check_contains(TURIN)
    with pytest.raises(VerificationError):
        facts.region.check_contains(MILAN)


CAM_FAULTS: list[tuple[str, Callable[[HeaderInfo], HeaderInfo]]] = [
    ("generationTime", lambda header: replace(header, generation_time=None)),
    ("generationLocation", lambda header: replace(header, generation_location=PLACE)),
    ("expiryTime", lambda header: replace(header, expiry_time=Time64(2**63))),
    ("p2pcdLearningRequest", lambda header: replace(header, p2pcd_learning_request=HashedId3(b"abc"))),
    ("missingCrlIdentifier", lambda header: replace(header, missing_crl=bytes(6))),
    ("encryptionKey", lambda header: replace(header, symmetric_key=bytes(16))),
    ("pduFunctionalType", lambda header: replace(header, pdu_functional_type=1)),
]


@pytest.mark.parametrize(("field", "spoil"), CAM_FAULTS)
def test_a_cam_with_a_field_its_profile_forbids_is_refused(field: str, spoil: Callable[[HeaderInfo], HeaderInfo]) -> None:
    hierarchy, clock = Hierarchy(20), clock_at()
    secured = seal(hierarchy.ticket(), spoil(cam_header(clock)))
    with pytest.raises(VerificationError, match=field) as caught:
        hierarchy.verifying().verify(secured, now=clock.now())
    assert caught.value.report is Report.HEADER_PROFILE


def test_a_cam_that_passes_a_certificate_on_is_signed_by_digest() -> None:
    hierarchy, clock = Hierarchy(21), clock_at()
    header = replace(cam_header(clock), requested_certificate=hierarchy.aa.certificate)
    assert refusal(hierarchy.verifying(), seal(hierarchy.ticket(), header), clock) is Report.HEADER_PROFILE


def test_a_denm_needs_its_place_and_its_certificate_and_asks_for_nothing() -> None:
    hierarchy, clock = Hierarchy(22), clock_at()
    ticket, service = hierarchy.ticket(), hierarchy.verifying()
    good = replace(cam_header(clock), psid=ItsAid.DENM, generation_location=PLACE)
    service.verify(seal(ticket, good), now=clock.now())
    assert refusal(service, seal(ticket, good, by=SignerKind.DIGEST, payload=b"2"), clock) is Report.HEADER_PROFILE
    nowhere = GenerationLocation(location=None, elevation=0)
    for bad in (
        replace(good, generation_location=None),
        replace(good, generation_location=nowhere),
        replace(good, inline_p2pcd_request=(HashedId3(b"abc"),)),
        replace(good, expiry_time=Time64(2**63)),
    ):
        assert refusal(service, seal(ticket, bad), clock) is Report.HEADER_PROFILE


def test_a_generic_message_may_have_an_expiry_and_is_refused_after_it() -> None:
    hierarchy, clock = Hierarchy(23), clock_at()
    rsu, service = hierarchy.ticket(StationRole.RSU), hierarchy.verifying()
    at = time64_of(NOON)
    header = HeaderInfo(psid=ItsAid.RLT, generation_time=at, expiry_time=Time64(at + 1))
    service.verify(seal(rsu, header), now=clock.now())
    assert refusal(service, seal(rsu, replace(header, expiry_time=at)), clock) is Report.INVALID_TIMESTAMP


def test_self_signed_and_crowd_signed_messages_are_refused() -> None:
    hierarchy, clock = Hierarchy(24), clock_at()
    ticket, service = hierarchy.ticket(), hierarchy.verifying()
    itself = seal(ticket, cam_header(clock), by=SignerKind.SELF)
    assert refusal(service, itself, clock) is Report.UNSUPPORTED_SIGNER_IDENTIFIER_TYPE
    crowd = seal(ticket, cam_header(clock), certificates=2)
    assert refusal(service, crowd, clock) is Report.HEADER_PROFILE


def test_unsigned_and_encrypted_messages_are_refused() -> None:
    service, clock = Hierarchy(25).verifying(), clock_at()
    assert refusal(service, encode_unsecured(b"payload"), clock) is Report.UNSIGNED_MESSAGE
    encrypted = data_file("security/bc_encrypted.coer").read_bytes()
    assert refusal(service, encrypted, clock) is Report.INCOMPATIBLE_PROTOCOL


def test_a_message_that_wraps_another_signed_message_is_refused() -> None:
    hierarchy, clock = Hierarchy(26), clock_at()
    ticket = hierarchy.ticket()
    inner = seal(ticket, cam_header(clock))
    plain = encode_unsecured(b"payload")
    outer = seal(ticket, cam_header(clock)).replace(plain, inner)
    assert decode_secured_data(outer).encoded == outer
    assert refusal(hierarchy.verifying(), outer, clock) is Report.HEADER_PROFILE


def test_a_hash_that_does_not_belong_to_the_key_is_refused() -> None:
    hierarchy, clock = Hierarchy(27), clock_at()
    secured = seal(hierarchy.ticket(), cam_header(clock), hash_algorithm=HashAlgorithm.SHA384)
    assert refusal(hierarchy.verifying(), secured, clock) is Report.FALSE_SIGNATURE


@pytest.mark.parametrize("curve", Curve)
def test_tickets_on_every_curve_are_believed(curve: Curve) -> None:
    hierarchy, clock = Hierarchy(28), clock_at()
    hierarchy.verifying().verify(seal(hierarchy.ticket(curve=curve), cam_header(clock)), now=clock.now())


def test_a_message_beyond_the_mediums_size_is_not_even_parsed() -> None:
    hierarchy, clock = Hierarchy(29), clock_at()
    secured = seal(hierarchy.ticket(), cam_header(clock), payload=bytes(MAX_MESSAGE_OCTETS))
    with pytest.raises(DecodeError, match="at most 2304"):
        hierarchy.verifying().verify(secured, now=clock.now())


def test_a_signed_message_of_another_ticket_under_our_digest_is_false() -> None:
    hierarchy, clock = Hierarchy(30), clock_at()
    alice, mallory, service = hierarchy.ticket(), hierarchy.ticket(), hierarchy.verifying()
    service.verify(seal(alice, cam_header(clock)), now=clock.now())
    stolen_name = TicketCredential(certificate=mallory.certificate, signer=mallory.signer)
    secured = seal(stolen_name, cam_header(clock), by=SignerKind.DIGEST, payload=b"2")
    renamed = secured.replace(mallory.certificate.hashed_id8, alice.certificate.hashed_id8)
    assert refusal(service, renamed, clock) is Report.FALSE_SIGNATURE


def test_a_message_that_signs_external_data_beside_its_payload_breaks_its_profile() -> None:
    hierarchy, clock = Hierarchy(33), clock_at()
    ticket = hierarchy.ticket()
    plain = encode_tbs_data(b"payload", cam_header(clock))
    head, inner = plain[:1], encode_unsecured(b"payload")
    assert (head, plain[1 : 1 + len(inner)]) == (b"\x40", inner)
    tbs = b"\x60" + inner + b"\x80" + bytes(32) + plain[1 + len(inner) :]
    digest = signed_digest(HashAlgorithm.SHA256, HashAlgorithm.SHA256.digest(tbs), ticket.certificate.canonical)
    secured = encode_signed_data(
        hash_algorithm=HashAlgorithm.SHA256,
        tbs_encoded=tbs,
        signer=SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(ticket.certificate,)),
        signature=ticket.signer.sign_digest(digest),
    )
    assert refusal(hierarchy.verifying(), secured, clock) is Report.HEADER_PROFILE


def test_a_ticket_whose_identifier_collides_with_a_known_one_is_judged_by_its_own_key() -> None:
    hierarchy, clock = Hierarchy(34), clock_at()
    known, other, service = hierarchy.ticket(), hierarchy.ticket(), hierarchy.verifying()
    service.verify(seal(known, cam_header(clock)), now=clock.now())
    trusted = service._certificates.find(known.certificate.hashed_id8, clock.now())
    assert trusted is not None
    colliding = replace(trusted.certificate, digest=bytes(24) + other.certificate.hashed_id8)
    service._certificates.remember(replace(trusted, certificate=colliding), clock.now())
    verified = service.verify(seal(other, cam_header(clock)), now=clock.now())
    assert verified.signer.certificate == other.certificate


def test_the_cache_forgets_the_silent_and_makes_room_for_the_new() -> None:
    hierarchy, clock = Hierarchy(31), clock_at()
    cache = CertificateCache(capacity=2, lifetime_ns=seconds(10.0))
    service = hierarchy.verifying()
    service._certificates = cache
    tickets = [hierarchy.ticket() for _ in range(3)]
    for ticket in tickets:
        service.verify(seal(ticket, cam_header(clock)), now=clock.now())
        clock.advance(seconds(1.0))
    assert len(cache) == 2
    with pytest.raises(UnknownSignerError):
        service.verify(seal(tickets[0], cam_header(clock), by=SignerKind.DIGEST), now=clock.now())
    service.verify(seal(tickets[2], cam_header(clock), by=SignerKind.DIGEST), now=clock.now())
    clock.advance(seconds(10.1))
    with pytest.raises(UnknownSignerError):
        service.verify(seal(tickets[2], cam_header(clock), by=SignerKind.DIGEST), now=clock.now())


def test_a_ticket_enters_the_cache_only_with_a_message_that_verified() -> None:
    hierarchy, clock = Hierarchy(32), clock_at()
    service, ticket = hierarchy.verifying(), hierarchy.ticket()
    secured = seal(ticket, cam_header(clock))
    assert refusal(service, secured[:-1] + bytes([secured[-1] ^ 1]), clock) is Report.FALSE_SIGNATURE
    with pytest.raises(UnknownSignerError):
        service.verify(seal(ticket, cam_header(clock), by=SignerKind.DIGEST), now=clock.now())


def usual_message(ticket: TicketCredential, length: bytes, body: bytes, at: Time64, *, signature: bytes | None = None) -> bytes:
    """Sign by digest with a time, as nearly every message is, with any octets for the length of the payload."""
    header = encode_header(HeaderInfo(psid=ItsAid.CAM, generation_time=at))
    tbs = b"\x40\x03\x80" + length + body + header
    if signature is None:
        digest = signed_digest(HashAlgorithm.SHA256, HashAlgorithm.SHA256.digest(tbs), ticket.certificate.canonical)
        signature = encode_signature(ticket.signer.sign_digest(digest))
    return b"\x03\x81\x00" + tbs + b"\x80" + ticket.certificate.hashed_id8 + signature


def test_a_payload_whose_length_takes_no_octets_is_malformed_and_not_remembered() -> None:
    hierarchy, clock = Hierarchy(60), clock_at()
    ticket, service = hierarchy.ticket(), hierarchy.verifying()
    service.verify(seal(ticket, cam_header(clock)), now=clock.now())
    at = Time64(time64_of(NOON) + 1)
    for length, body in (
        (b"\x80", b"\x00\x06xxxx"),
        (b"\x81\x06", b"xxxxxx"),
        (b"\x82\x00\x06", b"xxxxxx"),
        (b"\x83\x00\x00\x06", b"xxxxxx"),
    ):
        for _ in range(2):
            with pytest.raises(DecodeError, match="payload"):
                service.verify(usual_message(ticket, length, body, at), now=clock.now())
    assert service.verify(usual_message(ticket, b"\x06", b"xxxxxx", at), now=clock.now()).payload == b"xxxxxx"


def test_what_is_passed_or_refused_at_one_stroke_is_what_the_complete_check_passes_or_refuses() -> None:
    hierarchy, clock, random = Hierarchy(61), clock_at(), Random(61)
    ticket, service = hierarchy.ticket(), hierarchy.verifying()
    service.verify(seal(ticket, cam_header(clock)), now=clock.now())
    now = clock.advance(seconds(0.1))
    at = time64_of(now.require_utc())
    passed = 0
    for _ in range(3_000):
        octets = random.choice((1, 2, 0x60, 0x7F, 0x80, 0x81, 0xFF, 0x100, 0x101, 300, 2_200))
        shortest = encode_length(octets, "payload")
        length = random.choice(
            (shortest, shortest, b"\x80", b"\x81" + octets.to_bytes(2, "big")[-1:], b"\x82" + octets.to_bytes(2, "big"))
        )
        forms = random.choice((b"\x80\x80", b"\x80\x82", b"\x80\x83", b"\x80\x84", b"\x81\x80"))
        signature = forms + random.choice((random.randbytes(64), b"\0" + random.randbytes(63), b"\xff" * 64, bytes(64)))
        message = usual_message(
            ticket, length, random.randbytes(octets), Time64(at - random.choice((0, 1, 3_000_000))), signature=signature
        )
        if random.random() < 0.4:
            flipped = 1 << random.randrange(8 * len(message))
            message = (int.from_bytes(message, "big") ^ flipped).to_bytes(len(message), "big")
        (outcome,) = service.weigh_all((message,), now)
        complete = service._weigh_completely(message, now)
        if isinstance(outcome, Claim) and isinstance(complete, Claim):
            assert msgspec.structs.asdict(outcome) == msgspec.structs.asdict(complete)
            passed += 1
        elif isinstance(outcome, Claim):  # a scalar beyond the order, which is left to the proof
            with pytest.raises(VerificationError) as caught:
                prove(outcome)
            assert isinstance(complete, VerificationError)
            assert caught.value.report is complete.report is Report.FALSE_SIGNATURE
        else:
            assert isinstance(complete, V2xError)
            assert (outcome.code, str(outcome)) == (complete.code, str(complete))
    assert passed > 200
