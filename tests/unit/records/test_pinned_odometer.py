"""One odometer record, signed once in 2026 and kept here in full: what was on record then must be read for ever.

Nothing below is computed by the code under test: if this file has to change, old passports can no longer be read.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from shared.core.clock import UtcNs
from shared.core.errors import RecordError
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import BootTime, OdometerFlag, OdometerReading, OdometerSource, RecordReason
from shared.records.record import DisclosedRecord, commitment_of, verify_record
from shared.records.sd_jwt import Es256PublicKey, parse_sd_jwt, verify_sd_jwt

PUBLIC_KEY = "03c55afa71e3134e535d037185e5b69909287a5143371a5d3f85542603f0914fee"
HEADER = (
    "eyJhbGciOiJFUzI1NiIsInR5cCI6InYyeC1yZWNvcmQrc2Qtand0Iiwia2lkIjoiVUpqZ1FHSG92dVl6NTAyTDNnckZPMlFCYXBUTFBZVVpqdmNwMGdQaUNiYyJ9"
)
PAYLOAD = (
    "eyJraW5kIjoib2RvbWV0ZXIvMSIsInNlcSI6NDEsInByZXYiOiJBQUVDQXdRRkJnY0lDUW9MREEwT0R4QVJFaE1VRlJZWEdCa2FHeHdkSGg4Ii"
    "wiZmxhZ3MiOlsic291cmNlc19kaXNhZ3JlZSJdLCJfc2QiOlsiMm90aUpjV1VyeUVHWUhWd0x6MTJhLVZ0cjdQQVNYX1JEZ1pOOFlidEVoQSIs"
    "Ik1ZalExVDgtVTF3Nllxa2ptNWJtRHpNNzBKRU15U3o4MHpWWmxRTDlJOWciLCJfcG1LM2dmRVpPNEJUSGJEdXNVRmMwa3VMakRNSVVtSEppaU"
    "d6SGdqdEVzIiwiczQ5bWlnUGpEOTNTYnNIUEpLSUtYWjNFc18wbElSVm5KZHh4ZzRoSlRwZyIsIndKa3F3TFpUNWJLQnctSTZ2eFl5dnZZVjJk"
    "WXNEbkd4Q0xfSWJXVmVzZ1UiXSwiX3NkX2FsZyI6InNoYS0yNTYifQ"
)
SIGNATURE = "XB3RoVb942eWGBDXMI5s1VCQ2HMguRbOiEcU91U0ZVvL3xZbVpau8NWv8qjn8zU3tDpZUbDHYzLrX97pMAMfww"
DISCLOSURES = (
    "WyJZWktLWWZtdURGV0FhUkE3TkJRYl9nIiwib2RvbWV0ZXJfbSIsMTIzNDU2NzAwXQ",
    "WyI1V0dCS3FIVzZlYjRfUERwV0tHNFlnIiwib2NjdXJyZWQiLCIyMDI2LTExLTIyVDA5OjMwOjAwLjI1MFoiXQ",
    "WyJ4OF96azdsSGUtVzRpS3l3NEstUVNBIiwicmVhc29uIiwiaWduaXRpb25fb2ZmIl0",
    (
        "WyJVRTZWalFkMjIwYWI4UzlpV0VZYTJnIiwic291cmNlcyIsW3sibmFtZSI6ImNsdXN0ZXIiLCJvZG9tZXRlcl9tIjoxMjM0NTY3MDAsImFnZV"
        "9tcyI6NDB9LHsibmFtZSI6IktvbWJpLcOYIDIiLCJvZG9tZXRlcl9tIjoxMjM0NTUwMDAsImFnZV9tcyI6MTAwMH1dXQ"
    ),
    (
        "WyJYTGxMdTYyU1pNTjh5SkNUUlZWakFnIiwiYm9vdCIseyJpZCI6IjAwMDEwMjAzMDQwNTA2MDcwODA5MGEwYjBjMGQwZTBmIiwiZWxhcHNlZF"
        "9tcyI6MzYwMDAwMH1d"
    ),
)
SALT = "a059fdc7981ac33fc75e5da96bb372ff"
COMMITMENT = "c61d0e906977382a5856b6a8aeec674dfb7e4c9307a0ee681761be6fc7a6c5df"

JWT = f"{HEADER}.{PAYLOAD}.{SIGNATURE}"
TOKEN = "~".join((JWT, *DISCLOSURES, ""))
KEY = Es256PublicKey(bytes.fromhex(PUBLIC_KEY))
VEHICLE = Issuer(key=KEY, role=IssuerRole.VEHICLE)
OCCURRED = UtcNs(1_795_339_800_250_000_000)
READING = OdometerReading(
    odometer_m=123_456_700,
    reason=RecordReason.IGNITION_OFF,
    sources=(
        OdometerSource(name="cluster", odometer_m=123_456_700, age_ms=40),
        OdometerSource(name="Kombi-Ø 2", odometer_m=123_455_000, age_ms=1_000),
    ),
    boot=BootTime(boot_id=bytes(range(16)), elapsed_ms=3_600_000),
)
CLAIMS = {
    "kind": "odometer/1",
    "seq": 41,
    "prev": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "flags": ["sources_disagree"],
    "odometer_m": 123_456_700,
    "occurred": "2026-11-22T09:30:00.250Z",
    "reason": "ignition_off",
    "sources": [
        {"name": "cluster", "odometer_m": 123_456_700, "age_ms": 40},
        {"name": "Kombi-Ø 2", "odometer_m": 123_455_000, "age_ms": 1_000},
    ],
    "boot": {"id": "000102030405060708090a0b0c0d0e0f", "elapsed_ms": 3_600_000},
}


def octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_token_is_read_as_what_was_signed() -> None:
    token = parse_sd_jwt(TOKEN)
    assert token.encode() == TOKEN
    assert verify_sd_jwt(token, typ="v2x-record+sd-jwt", key=KEY) == CLAIMS
    shown = verify_record(token, VEHICLE)
    assert shown == DisclosedRecord(
        kind=RecordKind.ODOMETER,
        seq=41,
        prev=bytes(range(32)),
        flags=(OdometerFlag.SOURCES_DISAGREE,),
        occurred=OCCURRED,
        fields=READING.fields(),
    )
    assert (shown.odometer_m, shown.reason, shown.sources, shown.boot) == (
        READING.odometer_m,
        READING.reason,
        READING.sources,
        READING.boot,
    )


@pytest.mark.parametrize("number", range(5))
def test_each_claim_of_the_token_can_still_be_hidden_alone(number: int) -> None:
    shown = verify_record(parse_sd_jwt("~".join((JWT, *DISCLOSURES[:number], *DISCLOSURES[number + 1 :], ""))), VEHICLE)
    assert shown.hidden == (json.loads(octets(DISCLOSURES[number]))[1],)


def test_the_entry_in_the_log_is_the_one_that_was_made() -> None:
    by_hand = sha256(b"v2x-trust record commitment v1\n" + bytes.fromhex(SALT) + JWT.encode()).hexdigest()
    assert commitment_of(JWT, bytes.fromhex(SALT)).hex() == by_hand == COMMITMENT


def test_the_signature_and_the_digests_hold_without_the_code_under_test() -> None:
    """RFC 7515 and RFC 9901 by hand, so that this file proves something about the format and not about itself."""
    key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), bytes.fromhex(PUBLIC_KEY))
    r, s = octets(SIGNATURE)[:32], octets(SIGNATURE)[32:]
    der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    key.verify(der, f"{HEADER}.{PAYLOAD}".encode(), ECDSA(SHA256()))
    payload = json.loads(octets(PAYLOAD))
    digests = {sha256(disclosure.encode()).digest() for disclosure in DISCLOSURES}
    assert {octets(digest) for digest in payload.pop("_sd")} == digests
    assert payload.pop("_sd_alg") == "sha-256"
    assert payload | {name: value for _, name, value in map(json.loads, map(octets, DISCLOSURES))} == CLAIMS


def test_another_reading_cannot_be_put_in_the_place_of_the_one_signed() -> None:
    salt, name, value = json.loads(octets(DISCLOSURES[0]))
    lower = json.dumps([salt, name, value - 50_000_000])
    with pytest.raises(RecordError) as caught:
        verify_record(parse_sd_jwt(TOKEN.replace(DISCLOSURES[0], encoded(lower))), VEHICLE)
    assert caught.value.check == "disclosure"


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
