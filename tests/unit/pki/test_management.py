from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from shared.core.errors import DecodeError, EncodeError
from shared.core.itstime import Time32
from shared.pki.authority import hours
from shared.pki.management import (
    MAX_ITS_ID_OCTETS,
    AuthorizationValidationRequest,
    AuthorizationValidationResponse,
    CaCertificateRequest,
    EcSignature,
    InnerAtRequest,
    InnerAtResponse,
    InnerEcRequest,
    InnerEcResponse,
    ManagementMessage,
    decode_inner_ec_request,
    decode_management,
    encode_inner_ec_request,
    encode_management,
    encode_shared_request,
)
from shared.pki.permission_sets import EC_APP_PERMISSIONS
from shared.pki.response_codes import (
    AuthorityRefusal,
    AuthorizationResponseCode,
    EnrolmentResponseCode,
    ResponseCode,
    ValidationResponseCode,
    passed_on,
)
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.certificate import CertificateId, IdKind
from shared.security.crl import Crl
from shared.security.ecdsa import Curve, EccPoint, PointForm
from shared.security.encryption_key import EncryptionKey
from shared.security.permissions import PsidSsp
from shared.security.secured_data import MAX_SECURED_OCTETS, decode_secured_data, encode_unsecured
from shared.security.trust_list import encode_trust_list
from tests.helpers.pki_messages import (
    ALL_ATTRIBUTES,
    FEW_ATTRIBUTES,
    HASH,
    HIDDEN,
    INNER,
    KEY,
    KEYS,
    MESSAGES,
    OTHER_KEY,
    PLAIN,
    SHARED,
    TICKET,
)

TABLES: tuple[type[ResponseCode], ...] = (EnrolmentResponseCode, AuthorizationResponseCode, ValidationResponseCode)
every_message = pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)


def flipped(octets: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(octets)):
        changed = bytearray(octets)
        changed[bit // 8] ^= 0x80 >> bit % 8
        yield bytes(changed)


@every_message
def test_a_message_comes_back_as_it_went(message: ManagementMessage) -> None:
    encoded = encode_management(message)
    assert decode_management(encoded) == message
    assert encode_management(decode_management(encoded)) == encoded


@every_message
def test_a_message_cut_short_or_lengthened_is_refused(message: ManagementMessage) -> None:
    encoded = encode_management(message)
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_management(encoded[:length])
    with pytest.raises(DecodeError, match="follow the value"):
        decode_management(encoded + b"\x00")


@every_message
def test_a_flipped_bit_gives_another_message_with_its_own_octets_or_an_error(message: ManagementMessage) -> None:
    for changed in flipped(encode_management(message)):
        try:
            other = decode_management(changed)
        except DecodeError:
            continue
        assert other != message
        assert encode_management(other) == changed


def test_the_inner_request_is_read_strictly_too() -> None:
    encoded = encode_inner_ec_request(INNER)
    assert decode_inner_ec_request(encoded) == INNER
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_inner_ec_request(encoded[:length])
    with pytest.raises(DecodeError, match="follow the value"):
        decode_inner_ec_request(encoded + b"\x00")
    for changed in flipped(encoded):
        try:
            other = decode_inner_ec_request(changed)
        except DecodeError:
            continue
        assert encode_inner_ec_request(other) == changed != encoded


def test_the_octets_are_those_of_the_standard() -> None:
    x = KEY.public_key.point.x.hex()
    point = f"{KEY.public_key.point.form.value | 0x80:02x}{x}"
    wanted = CertificateSubjectAttributes(
        id=CertificateId(kind=IdKind.NAME, name="car 7"),
        validity=hours(Time32(1), 168),
        assurance_level=0,
        app_permissions=EC_APP_PERMISSIONS,
    )
    attributes = "6c" + "8105" + b"car 7".hex() + "00000001" + "8400a8" + "00" + "0101" + "80" + "02026f" + "81030201c0"
    asked = InnerEcRequest(its_id=b"\xaa\xbb", keys=KEYS, attributes=wanted)
    assert encode_inner_ec_request(asked).hex() == "00" + "02aabb" + "01" + "00" + "80" + point + attributes
    assert encode_management(MESSAGES["enrolment refused"]).hex() == "0181" + "00" + HASH.hex() + "09"
    assert encode_management(MESSAGES["authorization refused"]).hex() == "0183" + "00" + HASH.hex() + "1a"
    assert encode_management(MESSAGES["validation refused"]).hex() == "0188" + "00" + HASH.hex() + "0e"
    granted = encode_management(MESSAGES["authorization response"])
    assert granted == bytes.fromhex("0183" + "40" + HASH.hex() + "00") + TICKET.encoded
    shared = encode_shared_request(SHARED)
    assert shared[:26] == b"\x00" + b"ea ea ea" + HASH + b"\x01"
    assert SHARED.digest() == sha256(shared).digest()
    asking = encode_management(MESSAGES["validation request"])
    assert asking == b"\x01\x87\x00" + shared + b"\x80" + HIDDEN.data.encoded
    in_the_open = encode_management(MESSAGES["authorization request in the open"])
    assert in_the_open.endswith(bytes(32) + shared + b"\x81" + PLAIN.data.encoded)
    assert in_the_open[:4] == b"\x01\x82\x00\x80"


def test_extension_bits_are_refused() -> None:
    for octets, name in (
        (b"\x01\x82\x80", "authorization_request"),
        (b"\x01\x87\x80", "validation_request"),
        (b"\x01\x89\x80", "ca_certificate_request"),
        (b"\x01\x81\x80", "enrolment_response"),
        (b"\x01\x83\xc0", "authorization_response"),
        (b"\x01\x88\x80", "validation_response"),
    ):
        with pytest.raises(DecodeError, match=f"{name}.*extensions are not supported"):
            decode_management(octets + bytes(64))
    with pytest.raises(DecodeError, match="extensions are not supported"):
        decode_inner_ec_request(b"\x80" + bytes(64))
    attributes_at = len(encode_inner_ec_request(INNER)) - len(encode_attributes())
    changed = bytearray(encode_inner_ec_request(INNER))
    changed[attributes_at] |= 0x80
    with pytest.raises(DecodeError, match=r"attributes.*extensions are not supported"):
        decode_inner_ec_request(bytes(changed))


def encode_attributes() -> bytes:
    with_attributes = encode_management(CaCertificateRequest(keys=KEYS, attributes=ALL_ATTRIBUTES))
    return with_attributes[2 + 1 + 1 + 1 + 33 :]


@pytest.mark.parametrize("content", [10, 11, 12, 13, 18, 40])
def test_unknown_contents_are_refused(content: int) -> None:
    with pytest.raises(DecodeError, match="alternative"):
        decode_management(bytes((1, 0x80 | content)) + bytes(64))


def test_another_version_and_a_trust_list_are_refused() -> None:
    with pytest.raises(DecodeError, match="version 2 is not 1"):
        decode_management(b"\x02" + encode_management(MESSAGES["enrolment refused"])[1:])
    with pytest.raises(DecodeError, match="crl is no request and no answer"):
        decode_management(encode_trust_list(Crl(this_update=Time32(1), next_update=Time32(2), revoked=())))


def test_another_certificate_format_is_refused() -> None:
    inner = bytearray(encode_inner_ec_request(INNER))
    inner[1 + 1 + len(INNER.its_id)] = 2
    with pytest.raises(DecodeError, match="format 2 is not 1"):
        decode_inner_ec_request(bytes(inner))
    asking = bytearray(encode_management(MESSAGES["validation request"]))
    asking[3 + 25] = 0
    with pytest.raises(DecodeError, match="format 0 is not 1"):
        decode_management(bytes(asking))


def test_absurd_sizes_are_refused_before_anything_is_built() -> None:
    with pytest.raises(DecodeError, match="at most 65536 are allowed"):
        decode_management(b"\x01\x89" + bytes(MAX_SECURED_OCTETS))
    with pytest.raises(DecodeError, match="at most 64 are allowed"):
        decode_inner_ec_request(b"\x00\x41" + bytes(200))
    with pytest.raises(DecodeError, match="length of 4 octets"):
        decode_inner_ec_request(b"\x00\x84\xff\xff\xff\xff")
    with pytest.raises(EncodeError, match="at most 64 are allowed"):
        encode_inner_ec_request(replace(INNER, its_id=bytes(MAX_ITS_ID_OCTETS + 1)))


def test_a_grant_goes_with_ok_and_a_refusal_with_nothing() -> None:
    granted = bytearray(encode_management(MESSAGES["enrolment response"]))
    granted[3 + 16] = 13
    with pytest.raises(DecodeError, match="goes with the code ok"):
        decode_management(bytes(granted))
    refused = bytearray(encode_management(MESSAGES["validation refused"]))
    refused[3 + 16] = 0
    with pytest.raises(DecodeError, match="goes with the code ok"):
        decode_management(bytes(refused))
    with pytest.raises(EncodeError, match="goes with the code ok"):
        encode_management(InnerEcResponse(request_hash=HASH, code=EnrolmentResponseCode.OK))
    with pytest.raises(EncodeError, match="goes with the code ok"):
        encode_management(InnerAtResponse(request_hash=HASH, code=AuthorizationResponseCode.CANT_PARSE, certificate=TICKET))


def test_fields_of_other_lengths_are_not_written() -> None:
    for message in (
        InnerEcResponse(request_hash=b"", code=EnrolmentResponseCode.DENIED_REQUEST),
        InnerAtRequest(keys=KEYS, hmac_key=b"", shared=SHARED, ec_signature=PLAIN),
        AuthorizationValidationRequest(shared=replace(SHARED, key_tag=b""), ec_signature=PLAIN),
    ):
        with pytest.raises(EncodeError, match="0 octets"):
            encode_management(message)
    with pytest.raises(EncodeError, match="leave it out"):
        encode_management(CaCertificateRequest(keys=KEYS, attributes=replace(FEW_ATTRIBUTES, app_permissions=())))


def test_a_signature_of_the_station_is_encrypted_or_signed_as_its_tag_says() -> None:
    in_the_open = encode_management(AuthorizationValidationRequest(shared=SHARED, ec_signature=PLAIN))
    hidden = encode_management(AuthorizationValidationRequest(shared=SHARED, ec_signature=HIDDEN))
    at = 3 + len(encode_shared_request(SHARED))
    for octets, tag, reason in (
        (in_the_open, 0x80, "not encrypted"),
        (hidden, 0x81, "not signed"),
        (hidden, 0x82, "alternative 2"),
    ):
        with pytest.raises(DecodeError, match=reason):
            decode_management(octets[:at] + bytes((tag,)) + octets[at + 1 :])
    with pytest.raises(EncodeError, match="neither encrypted nor signed"):
        EcSignature(data=decode_secured_data(encode_unsecured(b"")))


def test_an_x_only_encryption_key_is_refused() -> None:
    point = EccPoint(form=PointForm.X_ONLY, x=OTHER_KEY.public_key.point.x)
    keys = replace(KEYS, encryption_key=EncryptionKey(curve=Curve.NIST_P256, point=point))
    with pytest.raises(DecodeError, match="x-only"):
        decode_management(encode_management(CaCertificateRequest(keys=keys, attributes=FEW_ATTRIBUTES)))


def test_a_service_asked_for_twice_is_refused() -> None:
    twice = replace(FEW_ATTRIBUTES, app_permissions=(PsidSsp(psid=36), PsidSsp(psid=36)))
    with pytest.raises(DecodeError, match="occurs twice"):
        decode_management(encode_management(CaCertificateRequest(keys=KEYS, attributes=twice)))


@pytest.mark.parametrize("table", TABLES)
def test_codes_are_numbered_without_gaps_and_each_has_a_word_and_a_sentence_of_its_own(table: type[ResponseCode]) -> None:
    codes = list(table)
    assert [code.number for code in codes] == list(range(len(codes)))
    assert len({code.word for code in codes}) == len(codes)
    assert all(code.sentence and not code.sentence.endswith(".") for code in codes)


def test_a_code_outside_its_table_is_refused() -> None:
    for tag, table in ((0x81, EnrolmentResponseCode), (0x83, AuthorizationResponseCode), (0x88, ValidationResponseCode)):
        for number in (len(table), 127, 128):
            with pytest.raises(DecodeError, match=r"response code|enumeration"):
                decode_management(bytes((1, tag, 0)) + HASH + bytes((number,)))
        for code in list(table)[1:]:
            answer = decode_management(bytes((1, tag, 0)) + HASH + bytes((code.number,)))
            assert isinstance(answer, InnerEcResponse | InnerAtResponse | AuthorizationValidationResponse)
            assert answer.code is code


def test_what_the_enrolment_authority_says_is_passed_on_under_the_same_word() -> None:
    for code in ValidationResponseCode:
        told = passed_on(code)
        if code is ValidationResponseCode.DENIED_REQUEST:
            assert told.word == "deniedpermissions"
        else:
            assert told.word.removeprefix("ea-aa-") == code.word


def test_a_refusal_names_its_reason() -> None:
    refusal = AuthorityRefusal(AuthorizationResponseCode.DENIED_TOO_MANY)
    assert refusal.code == "deniedtoomanycerts"
    assert refusal.sentence in str(refusal)
