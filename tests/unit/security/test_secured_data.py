from dataclasses import replace

import pytest

from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import HashedId3, HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.security.ecdsa import Curve, PointForm
from shared.security.encrypted_data import EncryptedData, RecipientKind
from shared.security.encryption_key import EncryptionKey
from shared.security.hashing import HashAlgorithm
from shared.security.header_info import MAX_P2PCD_REQUESTS, ContributedExtension, GenerationLocation, HeaderInfo, encode_header
from shared.security.region import Location
from shared.security.secured_data import (
    MAX_NESTING,
    SecuredData,
    SignedData,
    SignerIdentifier,
    SignerKind,
    UnsecuredData,
    decode_secured_data,
    encode_signed_data,
    encode_tbs_data,
    encode_unsecured,
)
from tests.helpers.data import data_file
from tests.helpers.hierarchy import Hierarchy

HIERARCHY = Hierarchy(1)
TICKET = HIERARCHY.ticket()
DIGEST = SignerIdentifier(kind=SignerKind.DIGEST, digest=HashedId8(b"12345678"))


def envelope(header: HeaderInfo, signer: SignerIdentifier = DIGEST, payload: bytes = b"payload") -> bytes:
    tbs = encode_tbs_data(payload, header)
    signature = TICKET.signer.sign_digest(bytes(32))
    return encode_signed_data(hash_algorithm=HashAlgorithm.SHA256, tbs_encoded=tbs, signer=signer, signature=signature)


def signed(encoded: bytes) -> SignedData:
    content = decode_secured_data(encoded).content
    assert isinstance(content, SignedData)
    return content


FULL = HeaderInfo(
    psid=ItsAid.GNSS_CORRECTION,
    generation_time=Time64(1),
    expiry_time=Time64(2**64 - 1),
    generation_location=GenerationLocation(location=Location(450_700_000, -76_800_000), elevation=4_095),
    p2pcd_learning_request=HashedId3(b"abc"),
    missing_crl=bytes.fromhex("00aabbcc0001"),
    encryption_key=EncryptionKey(curve=Curve.BRAINPOOL_P256R1, point=TICKET.signer.public_key.point),
    inline_p2pcd_request=(HashedId3(b"one"), HashedId3(b"two")),
    requested_certificate=HIERARCHY.aa.certificate,
    pdu_functional_type=1,
    contributed_extensions=(ContributedExtension(contributor=2, extensions=(b"\x01\x02\x03", b"")),),
)


def test_a_header_with_every_field_comes_back() -> None:
    assert signed(envelope(FULL)).header == FULL


@pytest.mark.parametrize(
    "header",
    [
        HeaderInfo(psid=36),
        HeaderInfo(psid=36, generation_time=Time64(7)),
        HeaderInfo(psid=36, symmetric_key=bytes(16)),
        HeaderInfo(psid=36, generation_location=GenerationLocation(location=None, elevation=0)),
        HeaderInfo(psid=36, inline_p2pcd_request=(HashedId3(b"one"),)),
        HeaderInfo(psid=36, requested_certificate=HIERARCHY.aa.certificate),
        HeaderInfo(psid=36, pdu_functional_type=3),
    ],
)
def test_headers_with_some_fields_come_back(header: HeaderInfo) -> None:
    assert signed(envelope(header)).header == header


def test_both_widths_of_the_extension_bitmap_are_read_and_each_is_hashed_as_received() -> None:
    header = HeaderInfo(psid=36, generation_time=Time64(7), inline_p2pcd_request=(HashedId3(b"one"),))
    narrow = envelope(header)
    assert narrow.count(b"\x02\x06\x80") == 1
    wide = narrow.replace(b"\x02\x06\x80", b"\x02\x04\x80")
    first, second = signed(narrow), signed(wide)
    assert first.header == second.header == header
    assert first.tbs_encoded != second.tbs_encoded
    assert first.tbs_encoded in narrow
    assert second.tbs_encoded in wide


def test_an_unknown_header_extension_is_refused() -> None:
    header = HeaderInfo(psid=36, inline_p2pcd_request=(HashedId3(b"one"),))
    encoded = envelope(header).replace(b"\x02\x06\x80", b"\x02\x02\x08")
    with pytest.raises(DecodeError, match="addition 4 is unknown"):
        decode_secured_data(encoded)


def test_to_be_signed_octets_are_those_that_were_signed() -> None:
    header = HeaderInfo(psid=36, generation_time=Time64(7))
    assert signed(envelope(header)).tbs_encoded == encode_tbs_data(b"payload", header)


def test_a_cam_header_has_the_octets_a_production_car_sends() -> None:
    header = HeaderInfo(psid=ItsAid.CAM, generation_time=Time64(0x0002_0304_0506_0708))
    assert encode_header(header).hex() == "400124" + "0002030405060708"


@pytest.mark.parametrize("kind", SignerKind)
def test_every_kind_of_signer_comes_back(kind: SignerKind) -> None:
    signer = {
        SignerKind.DIGEST: DIGEST,
        SignerKind.CERTIFICATE: SignerIdentifier(kind=kind, certificates=(TICKET.certificate,)),
        SignerKind.SELF: SignerIdentifier(kind=kind),
    }[kind]
    assert signed(envelope(HeaderInfo(psid=36), signer)).signer == signer


def test_unsecured_data_comes_back_and_allows_nothing_behind_it() -> None:
    encoded = encode_unsecured(b"x" * 300)
    assert decode_secured_data(encoded) == SecuredData(content=UnsecuredData(payload=b"x" * 300), encoded=encoded)
    with pytest.raises(DecodeError, match="1 octets follow"):
        decode_secured_data(encoded + b"\x00")


def test_every_truncation_is_refused() -> None:
    encoded = envelope(FULL, SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(TICKET.certificate,)))
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_secured_data(encoded[:length])


def test_the_published_structure_nested_150_deep_is_refused_at_the_bound() -> None:
    with pytest.raises(DecodeError, match=f"nested more than {MAX_NESTING} deep") as caught:
        decode_secured_data(data_file("security/CE4CF6C19BFED720_with_recursion_depth150.oer").read_bytes())
    assert caught.value.bit_offset is not None
    assert caught.value.bit_offset <= MAX_NESTING * 4 * 8


def test_a_published_enrolment_request_is_encrypted_to_one_certificate() -> None:
    content = decode_secured_data(data_file("security/bc_encrypted.coer").read_bytes()).content
    assert isinstance(content, EncryptedData)
    (recipient,) = content.recipients
    assert recipient.kind is RecipientKind.CERTIFICATE
    assert len(content.nonce) == 12
    assert len(content.ciphertext) == 268 + 16


def test_every_truncation_of_encrypted_data_is_refused() -> None:
    encoded = data_file("security/bc_encrypted.coer").read_bytes()
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_secured_data(encoded[:length])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("028000", "version 2"),
        ("038500", "content alternative 5"),
        ("0381022003800036", "hash algorithm 2"),
        ("0381008003800036", "extensions of the payload"),
        ("0381000003800036", "neither data nor a hash"),
        ("03820100", "0 items"),
        ("0382010185", "recipient alternative 5"),
    ],
)
def test_what_the_standard_does_not_know_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode_secured_data(bytes.fromhex(text))


def test_a_key_in_the_header_that_could_be_hashed_in_two_ways_is_refused() -> None:
    numbers = TICKET.signer.public_key.native.public_numbers()
    point = replace(TICKET.signer.public_key.point, form=PointForm.UNCOMPRESSED, y=numbers.y.to_bytes(32, "big"))
    header = HeaderInfo(psid=36, encryption_key=EncryptionKey(curve=Curve.NIST_P256, point=point))
    with pytest.raises(DecodeError, match="two ways"):
        decode_secured_data(envelope(header))


def test_too_many_requests_are_neither_sent_nor_accepted() -> None:
    requests = tuple(HashedId3(number.to_bytes(3, "big")) for number in range(MAX_P2PCD_REQUESTS + 1))
    with pytest.raises(EncodeError):
        encode_header(HeaderInfo(psid=36, inline_p2pcd_request=requests))
    with pytest.raises(EncodeError):
        encode_header(HeaderInfo(psid=36, inline_p2pcd_request=()))


def test_a_place_off_the_map_is_refused() -> None:
    header = HeaderInfo(psid=37, generation_location=GenerationLocation(location=Location(900_000_002, 0), elevation=0))
    with pytest.raises(DecodeError, match="no such place"):
        decode_secured_data(envelope(header))
