"""Requests for data: one spelling, signed by an enrolled key, for one vehicle, for a time."""

import json
from base64 import urlsafe_b64encode

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import EncodeError, RecordError, UntrustedTimeError
from shared.records.data_request import (
    MAX_REQUEST_BYTES,
    SignedRequest,
    VerifiedRequest,
    parse_request,
    sign_request,
    verify_request,
)
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.sd_jwt import certificate_id, decode_base64url, encode_base64url
from tests.helpers.ledger import Vehicle
from tests.helpers.requesting import NOW, asking, changed, day, signed_by

INSURER = Vehicle("insurer")
CAR = Vehicle("car")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def check(signed: SignedRequest, *, key: Vehicle = INSURER, role: IssuerRole = IssuerRole.INSURER, now: Instant = NOW) -> None:
    verify_request(signed, issuer=Issuer(key=key.public_key, role=role), vehicle=(certificate_id(CAR.certificate),), now=now)


def edited(signed: SignedRequest, **members: object) -> bytes:
    """Return the file with other members, otherwise spelled as ours."""
    value = json.loads(signed.encode()) | members
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def with_claims(signed: SignedRequest, **claims: object) -> bytes:
    """Return the file with other claims in its token and the old signature."""
    header, _, signature = signed.token.jwt.split(".")
    payload = json.dumps({**signed.token.payload, **claims}, ensure_ascii=False, separators=(",", ":"))
    middle = urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    return edited(signed, request=f"{header}.{middle}.{signature}")


def test_a_request_is_read_back_as_it_was_signed() -> None:
    signed = signed_by(INSURER, asking(CAR))
    read = parse_request(signed.encode())
    assert (read.request, read.hash, read.credential.id) == (asking(CAR), signed.hash, certificate_id(INSURER.certificate))
    check(read)


def test_the_request_of_a_stranger_who_encloses_the_insurers_certificate_is_refused() -> None:
    thief = Vehicle("thief")
    thief.certificate, thief.authority = INSURER.certificate, INSURER.authority
    with pytest.raises(RecordError, match="signature does not hold"):
        check(parse_request(signed_by(thief, asking(CAR)).encode()))


def test_a_request_in_which_a_claim_was_changed_is_refused() -> None:
    forged = with_claims(signed_by(INSURER, asking(CAR)), purpose="Something else")
    with pytest.raises(RecordError, match="signature does not hold"):
        check(parse_request(forged))


def test_a_rewritten_signature_makes_no_other_request() -> None:
    signed = signed_by(INSURER, asking(CAR))
    front, _, signature = signed.token.jwt.rpartition(".")
    octets = decode_base64url(signature, "signature")
    mirrored = octets[:32] + (P256_ORDER - int.from_bytes(octets[32:])).to_bytes(32)
    again = parse_request(edited(signed, request=f"{front}.{encode_base64url(mirrored)}"))
    check(again)
    assert again.encode() != signed.encode()
    assert again.hash == signed.hash


def test_a_request_for_another_vehicle_is_refused() -> None:
    with pytest.raises(RecordError, match="another vehicle is asked"):
        check(signed_by(INSURER, asking(Vehicle("another car"))))


def test_who_says_to_be_an_insurer_and_is_enrolled_as_a_garage_is_refused() -> None:
    with pytest.raises(RecordError, match="says to be an insurer, but is enrolled as a garage"):
        check(signed_by(INSURER, asking(CAR)), role=IssuerRole.GARAGE)


def test_a_vehicle_is_given_no_data() -> None:
    with pytest.raises(RecordError, match="vehicles are given no data"):
        check(signed_by(INSURER, asking(CAR)), role=IssuerRole.VEHICLE)
    with pytest.raises(EncodeError, match="a vehicle asks no vehicle"):
        sign_request(changed(asking(CAR), role=IssuerRole.VEHICLE), CAR)


def test_a_request_is_over_at_its_end_and_not_a_moment_before() -> None:
    signed = signed_by(INSURER, asking(CAR))
    check(signed, now=Instant(MonotonicNs(0), type(day(7))(day(7) - 1)))
    with pytest.raises(RecordError, match=r"the request ended on 2026-11-29T12:00:00\.000Z"):
        check(signed, now=Instant(MonotonicNs(0), day(7)))


def test_a_request_from_the_future_is_refused() -> None:
    with pytest.raises(RecordError, match="in the future"):
        check(signed_by(INSURER, asking(CAR)), now=Instant(MonotonicNs(0), day(-1)))


def test_a_vehicle_that_does_not_know_the_date_judges_no_request() -> None:
    with pytest.raises(UntrustedTimeError):
        check(signed_by(INSURER, asking(CAR)), now=Instant(MonotonicNs(0), None))


def test_a_verified_request_is_made_by_verification_only() -> None:
    with pytest.raises(TypeError, match="only verify_request"):
        VerifiedRequest(signed=signed_by(INSURER, asking(CAR)), seal=object())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kinds": ()}, "kinds: none"),
        ({"kinds": (RecordKind.TRIP, RecordKind.ODOMETER)}, "kinds: .* not sorted"),
        ({"fields": ()}, "fields: none"),
        ({"fields": ("odometer_m", "odometer_m")}, "one twice"),
        ({"fields": ("odometer_m", "position")}, "position: no claim of the records asked for"),
        ({"data_until": day(-30)}, "until: not after the begin"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "for\u202eyou"}, "hides or turns text"),
        ({"response_key": b"\x02" * 32}, "response_key"),
        ({"nonce": b""}, "nonce"),
        ({"expires": day(31)}, "within 30 days"),
        ({"expires": day(0)}, "within 30 days"),
        ({"subject": "car"}, "subject"),
        ({"data_from": type(day(0))(day(-30) + 1)}, "from: not a whole millisecond"),
    ],
)
def test_what_cannot_be_asked_is_not_signed(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(EncodeError, match=sentence):
        sign_request(changed(asking(CAR), **changes), INSURER)


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "king"},
        {"role": "vehicle"},
        {"kinds": ["odometer", "rumour"]},
        {"kinds": ["odometer"] * 1_000},
        {"fields": ["odometer_m"] * 65},
        {"fields": [1]},
        {"from": "2026-02-30T00:00:00.000Z"},
        {"until": "yesterday"},
        {"response_key": "AAAA"},
        {"nonce": "!"},
        {"another": 1},
        {"purpose": None},
    ],
)
def test_a_file_with_claims_that_cannot_be_is_no_request(claims: dict[str, object]) -> None:
    with pytest.raises(RecordError, match="the request cannot be read"):
        parse_request(with_claims(signed_by(INSURER, asking(CAR)), **claims))


def test_a_request_has_one_spelling() -> None:
    signed = signed_by(INSURER, asking(CAR))
    data = signed.encode()
    for other in (data + b" ", data.replace(b"\n ", b"\n  "), data.replace(b'"format"', b'"\\u0066ormat"')):
        with pytest.raises(RecordError, match="format"):
            parse_request(other)


def test_a_request_that_names_another_credential_than_it_encloses_is_refused() -> None:
    signed = signed_by(INSURER, asking(CAR))
    with pytest.raises(RecordError, match="names another credential"):
        parse_request(edited(signed, credential=encode_base64url(b"another certificate")))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        b"{" + b" " * MAX_REQUEST_BYTES + b"}",
        b'{"format":"v2x-data-request/2","credential":"AA","authority":"AA","request":"a.b.c"}',
        b'{"format":"v2x-data-request/1","credential":"","authority":"AA","request":"a.b.c"}',
        b'{"format":"v2x-data-request/1","credential":"AA","authority":"AA","request":"a.b"}',
    ],
)
def test_what_is_no_request_is_told_so(data: bytes) -> None:
    with pytest.raises(RecordError, match="format"):
        parse_request(data)


def test_every_cut_and_every_altered_byte_of_a_request_is_noticed_but_for_the_authority_which_is_chained() -> None:
    signed = signed_by(INSURER, asking(CAR))
    data = signed.encode()
    start = data.index(encode_base64url(INSURER.authority).encode())
    authority = range(start, start + len(encode_base64url(INSURER.authority)))
    for position in (each for each in range(0, len(data), 7) if each not in authority):
        for damaged in (data[:position], data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]):
            with pytest.raises(RecordError):
                check(parse_request(damaged))
