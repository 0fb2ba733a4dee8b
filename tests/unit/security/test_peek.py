"""What a message claims, read without decoding it: the same as the decoder reads, or nothing; never an exception."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError
from shared.core.ids import HashedId3, ItsAid
from shared.core.itstime import Time64
from shared.security.ecdsa import Curve
from shared.security.hashing import signed_digest
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.peek import Claims, peek_claims, peek_payload
from shared.security.region import Location
from shared.security.secured_data import (
    SignedData,
    SignerIdentifier,
    SignerKind,
    decode_secured_data,
    encode_signed_data,
    encode_tbs_data,
    encode_unsecured,
)
from shared.security.sign import TicketCredential
from tests.helpers.hierarchy import Hierarchy

HIERARCHY = Hierarchy(1)
TICKET = HIERARCHY.ticket()
AT = Time64(700_000_000_000_000)
PLAIN = HeaderInfo(psid=ItsAid.CAM, generation_time=AT)


def seal(ticket: TicketCredential, header: HeaderInfo, kind: SignerKind, payload: bytes = bytes(180)) -> bytes:
    algorithm = ticket.signer.curve.hash_algorithm
    tbs = encode_tbs_data(payload, header)
    signature = ticket.signer.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), ticket.certificate.canonical))
    signer = (
        SignerIdentifier(kind=kind, digest=ticket.certificate.hashed_id8)
        if kind is SignerKind.DIGEST
        else SignerIdentifier(kind=kind, certificates=(ticket.certificate,))
    )
    return encode_signed_data(hash_algorithm=algorithm, tbs_encoded=tbs, signer=signer, signature=signature)


HEADERS = {
    "cam": PLAIN,
    "denm": HeaderInfo(
        psid=ItsAid.DENM,
        generation_time=AT,
        generation_location=GenerationLocation(location=Location(481_370_000, 115_750_000), elevation=4_095),
    ),
    "expiry": replace(PLAIN, psid=ItsAid.SREM, expiry_time=Time64(AT + 1)),
    "learning request": replace(PLAIN, p2pcd_learning_request=HashedId3(b"abc")),
    "missing crl": replace(PLAIN, missing_crl=b"\0" + b"abc" + b"\0\1"),
    "requests": replace(PLAIN, inline_p2pcd_request=(HashedId3(b"abc"), HashedId3(b"def"))),
    "authority passed on": replace(
        PLAIN, inline_p2pcd_request=(HashedId3(b"abc"),), requested_certificate=HIERARCHY.aa.certificate
    ),
    "long psid": replace(PLAIN, psid=ItsAid.GNSS_CORRECTION),
}


@pytest.mark.parametrize("octets", [0, 127, 128, 700])
@pytest.mark.parametrize("kind", [SignerKind.DIGEST, SignerKind.CERTIFICATE])
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_claims_are_what_the_decoder_reads(header: HeaderInfo, kind: SignerKind, octets: int) -> None:
    secured = seal(TICKET, header, kind, bytes(octets))
    decoded = decode_secured_data(secured).content
    assert isinstance(decoded, SignedData)
    expected = Claims(header.psid, AT, TICKET.certificate.hashed_id8, shows_certificate=kind is SignerKind.CERTIFICATE)
    assert decoded.header == header
    assert peek_claims(secured) == expected
    assert peek_payload(secured) == bytes(octets)
    assert peek_payload(b"1234" + secured, 4) == bytes(octets)
    assert peek_claims(b"\x12\x00\x1a\x01" + secured, 4) == expected


@pytest.mark.parametrize("curve", Curve)
def test_a_shown_certificate_is_named_as_its_curve_demands(curve: Curve) -> None:
    ticket = HIERARCHY.ticket(curve=curve)
    for kind in (SignerKind.DIGEST, SignerKind.CERTIFICATE):
        claims = peek_claims(seal(ticket, PLAIN, kind))
        assert claims is not None
        assert claims.signer == ticket.certificate.hashed_id8


def test_what_is_not_signed_or_names_no_time_claims_nothing() -> None:
    timeless = seal(TICKET, HeaderInfo(psid=ItsAid.CAM), SignerKind.DIGEST)
    two = SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(TICKET.certificate,) * 2)
    decoded = decode_secured_data(seal(TICKET, PLAIN, SignerKind.DIGEST)).content
    assert isinstance(decoded, SignedData)
    doubly_signed = encode_signed_data(
        hash_algorithm=decoded.hash_algorithm, tbs_encoded=decoded.tbs_encoded, signer=two, signature=decoded.signature
    )
    for nothing in (b"", b"\x03", encode_unsecured(b"payload"), timeless, doubly_signed):
        assert peek_claims(nothing) is None


@pytest.mark.parametrize("kind", [SignerKind.DIGEST, SignerKind.CERTIFICATE])
def test_a_message_cut_anywhere_claims_nothing_or_what_its_head_says(kind: SignerKind) -> None:
    secured = seal(TICKET, PLAIN, kind, bytes(30))
    whole = peek_claims(secured)
    assert whole is not None
    for octets in range(len(secured)):
        claims = peek_claims(secured[:octets])
        assert claims is None or (claims.psid, claims.generation_time) == (whole.psid, whole.generation_time)


@given(st.binary(max_size=300))
def test_random_octets_behind_the_head_of_a_message_raise_nothing(octets: bytes) -> None:
    for head in (b"", b"\x03\x81\x00\x40\x03\x80", b"\x03\x81\x01\x40\x03\x80"):
        peek_claims(head + octets)


def test_whatever_the_decoder_accepts_by_digest_is_claimed_alike_after_any_flipped_bit() -> None:
    secured = seal(TICKET, HEADERS["authority passed on"], SignerKind.DIGEST, bytes(20))
    random = Random(7)
    agreed = 0
    for bit in random.sample(range(8 * len(secured)), 400):
        flipped = bytearray(secured)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            decoded = decode_secured_data(bytes(flipped)).content
        except DecodeError:
            continue
        claims = peek_claims(bytes(flipped))
        if claims is None or not isinstance(decoded, SignedData):
            continue
        assert (claims.psid, claims.generation_time, claims.signer) == (
            decoded.header.psid,
            decoded.header.generation_time,
            decoded.signer.digest,
        )
        agreed += 1
    assert agreed > 100


def test_what_is_inside_is_read_from_signed_messages_only_and_at_any_length_without_an_exception() -> None:
    secured = seal(TICKET, PLAIN, SignerKind.DIGEST, bytes(range(200)))
    for length in range(len(secured)):
        inside = peek_payload(secured[:length])
        assert inside is None or bytes(range(200)).startswith(inside)
    assert peek_payload(encode_unsecured(b"anything")) is None
