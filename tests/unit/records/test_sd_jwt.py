"""SD-JWT against the examples of RFC 9901, and against whoever changes a token."""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest

from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.records.sd_jwt import (
    Es256PublicKey,
    certificate_id,
    decode_base64url,
    encode_base64url,
    issue_sd_jwt,
    parse_sd_jwt,
    verify_sd_jwt,
)
from shared.records.strict_json import Json
from tests.helpers.data import data_file
from tests.helpers.ledger import Vehicle, seeded_entropy

# RFC 9901 5.1 and A.5: issuer's key, issuer-signed JWT, disclosures.
RFC_X = "b28d4MwZMjw8-00CG4xfnn9SLMVMM19SlqZpVb_uNtQ"
RFC_Y = "Xv5zWwuoaTgdS6hV43yI6gBwTnjukmFQQnJ_kCxzqk8"
RFC_JWT = (
    "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogImV4YW1wbGUrc2Qtand0In0."
    "eyJfc2QiOiBbIkNyUWU3UzVrcUJBSHQtbk1ZWGdjNmJkdDJTSDVhVFkxc1VfTS1QZ2tqUEkiLCAiSnpZakg0c3ZsaUgwUjNQeUVNZmVadTZKdDY5dTVxZWha"
    "bzdGN0VQWWxTRSIsICJQb3JGYnBLdVZ1Nnh5bUphZ3ZrRnNGWEFiUm9jMkpHbEFVQTJCQTRvN2NJIiwgIlRHZjRvTGJnd2Q1SlFhSHlLVlFaVTlVZEdFMHc1"
    "cnREc3JaemZVYW9tTG8iLCAiWFFfM2tQS3QxWHlYN0tBTmtxVlI2eVoyVmE1TnJQSXZQWWJ5TXZSS0JNTSIsICJYekZyendzY002R242Q0pEYzZ2Vks4QmtN"
    "bmZHOHZPU0tmcFBJWmRBZmRFIiwgImdiT3NJNEVkcTJ4Mkt3LXc1d1BFemFrb2I5aFYxY1JEMEFUTjNvUUw5Sk0iLCAianN1OXlWdWx3UVFsaEZsTV8zSmx6"
    "TWFTRnpnbGhRRzBEcGZheVF3TFVLNCJdLCAiaXNzIjogImh0dHBzOi8vaXNzdWVyLmV4YW1wbGUuY29tIiwgImlhdCI6IDE2ODMwMDAwMDAsICJleHAiOiAx"
    "ODgzMDAwMDAwLCAic3ViIjogInVzZXJfNDIiLCAibmF0aW9uYWxpdGllcyI6IFt7Ii4uLiI6ICJwRm5kamtaX1ZDem15VGE2VWpsWm8zZGgta284YUlLUWM5"
    "RGxHemhhVllvIn0sIHsiLi4uIjogIjdDZjZKa1B1ZHJ5M2xjYndIZ2VaOGtoQXYxVTFPU2xlclAwVmtCSnJXWjAifV0sICJfc2RfYWxnIjogInNoYS0yNTYi"
    "LCAiY25mIjogeyJqd2siOiB7Imt0eSI6ICJFQyIsICJjcnYiOiAiUC0yNTYiLCAieCI6ICJUQ0FFUjE5WnZ1M09IRjRqNFc0dmZTVm9ISVAxSUxpbERsczd2"
    "Q2VHZW1jIiwgInkiOiAiWnhqaVdXYlpNUUdIVldLVlE0aGJTSWlyc1ZmdWVjQ0U2dDRqVDlGMkhaUSJ9fX0."
    "MczwjBFGtzf-6WMT-hIvYbkb11NrV1WMO-jTijpMPNbswNzZ87wY2uHz-CXo6R04b7jYrpj9mNRAvVssXou1iw"
)
RFC_GIVEN_NAME = "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd"
RFC_FAMILY_NAME = "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImZhbWlseV9uYW1lIiwgIkRvZSJd"
RFC_EMAIL = "WyI2SWo3dE0tYTVpVlBHYm9TNXRtdlZBIiwgImVtYWlsIiwgImpvaG5kb2VAZXhhbXBsZS5jb20iXQ"
RFC_US = "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIlVTIl0"
RFC_DE = "WyJuUHVvUW5rUkZxM0JJZUFtN0FuWEZBIiwgIkRFIl0"
RFC_TYPE = "example+sd-jwt"


def rfc_key() -> Es256PublicKey:
    return Es256PublicKey(b"\x04" + decode_base64url(RFC_X, "x") + decode_base64url(RFC_Y, "y"))


def rfc_claims(*disclosures: str) -> dict[str, Json]:
    return verify_sd_jwt(parse_sd_jwt("~".join((RFC_JWT, *disclosures, ""))), typ=RFC_TYPE, key=rfc_key())


def test_the_example_of_the_rfc_shows_what_is_disclosed() -> None:
    claims = rfc_claims(RFC_FAMILY_NAME, RFC_GIVEN_NAME, RFC_US)
    assert claims["family_name"] == "Doe"
    assert claims["given_name"] == "John"
    assert claims["nationalities"] == ["US"]
    assert claims["sub"] == "user_42"
    assert not {"email", "_sd", "_sd_alg"} & set(claims)


def test_the_example_of_the_rfc_without_disclosures_shows_the_rest() -> None:
    claims = rfc_claims()
    assert claims["nationalities"] == []
    assert claims["iss"] == "https://issuer.example.com"


def test_disclosures_of_the_rfc_have_their_published_digests() -> None:
    token = parse_sd_jwt(f"{RFC_JWT}~{RFC_GIVEN_NAME}~{RFC_US}~")
    assert token.disclosures[0].digest == "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4"
    assert token.disclosures[1].digest == "pFndjkZ_VCzmyTa6UjlZo3dh-ko8aIKQc9DlGzhaVYo"


def test_a_disclosure_the_issuer_did_not_sign_is_refused() -> None:
    altered = encode_base64url(json.dumps(["2GLC42sKQveCfGfryNRN9w", "given_name", "Jane"]).encode())
    with pytest.raises(RecordError, match="not what the issuer signed"):
        rfc_claims(altered)


def test_a_disclosure_shown_twice_is_refused() -> None:
    with pytest.raises(RecordError, match="twice"):
        rfc_claims(RFC_EMAIL, RFC_EMAIL)


def test_another_type_or_key_is_refused() -> None:
    token = parse_sd_jwt(RFC_JWT + "~")
    with pytest.raises(RecordError, match="type"):
        verify_sd_jwt(token, typ="v2x-record+sd-jwt", key=rfc_key())
    with pytest.raises(RecordError, match="signature"):
        verify_sd_jwt(token, typ=RFC_TYPE, key=Vehicle().public_key)


def test_no_signed_part_with_one_character_changed_holds() -> None:
    for at in range(0, len(RFC_JWT), 3):
        altered = RFC_JWT[:at] + ("A" if RFC_JWT[at] != "A" else "B") + RFC_JWT[at + 1 :]
        with pytest.raises((RecordError, DecodeError)):
            verify_sd_jwt(parse_sd_jwt(altered + "~"), typ=RFC_TYPE, key=rfc_key())


def test_what_is_issued_verifies_and_hides() -> None:
    vehicle = Vehicle()
    visible: dict[str, Json] = {"seq": 4, "list": [1, {"a": None}]}
    hidden: dict[str, Json] = {"odometer_m": 5, "name": "Zoë", "deep": {"x": [True, 1.5]}}
    token = issue_sd_jwt(typ="t", visible=visible, hidden=hidden, signer=vehicle, entropy=seeded_entropy())
    assert token.header == {"alg": "ES256", "typ": "t", "kid": certificate_id(vehicle.certificate)}
    assert verify_sd_jwt(parse_sd_jwt(token.encode()), typ="t", key=vehicle.public_key) == visible | hidden
    shown = token.showing(["name"])
    assert verify_sd_jwt(shown, typ="t", key=vehicle.public_key) == visible | {"name": "Zoë"}
    assert "odometer_m" not in json.dumps(shown.payload)


def test_salts_are_fresh_and_digests_do_not_tell_the_order() -> None:
    token = issue_sd_jwt(typ="t", visible={}, hidden={"a": 1, "b": 1}, signer=Vehicle(), entropy=seeded_entropy())
    digests = token.payload["_sd"]
    assert isinstance(digests, list)
    assert len(set(map(str, digests))) == 2
    assert sorted(map(str, digests)) == digests


@pytest.mark.parametrize(
    "claims", [({"_sd": 1}, {}), ({}, {"...": 1}), ({"a": 1}, {"a": 1}), ({"_sd_alg": 1}, {}), ({}, {str(n): n for n in range(65)})]
)
def test_claims_that_cannot_be_are_not_issued(claims: tuple[dict[str, Json], dict[str, Json]]) -> None:
    with pytest.raises(EncodeError):
        issue_sd_jwt(typ="t", visible=claims[0], hidden=claims[1], signer=Vehicle(), entropy=seeded_entropy())


def forged(payload: Json, *disclosures: Json, header: Json = None) -> dict[str, Json]:
    """Sign any payload and read it with the disclosures given."""
    vehicle = Vehicle()

    def part(value: Json) -> str:
        return encode_base64url(json.dumps(value).encode())

    signed = f"{part(header or {'alg': 'ES256', 'typ': 't'})}.{part(payload)}"
    text = "~".join((f"{signed}.{encode_base64url(vehicle.sign_es256(signed.encode()))}", *map(part, disclosures), ""))
    return verify_sd_jwt(parse_sd_jwt(text), typ="t", key=vehicle.public_key)


def digest(disclosure: Json) -> str:
    return encode_base64url(sha256(encode_base64url(json.dumps(disclosure).encode()).encode()).digest())


def test_even_a_signer_cannot_break_the_rules_of_disclosure() -> None:
    claim: Json = ["salt", "name", 1]
    element: Json = ["salt", 1]
    cases: list[tuple[Json, tuple[Json, ...]]] = [
        ({"_sd": [digest(claim), digest(claim)]}, (claim,)),
        ({"_sd": [digest(claim)], "name": 2}, (claim,)),
        ({"_sd": [digest(element)]}, (element,)),
        ({"list": [{"...": digest(claim)}]}, (claim,)),
        ({"list": [{"...": digest(element), "more": 1}]}, (element,)),
        ({"...": digest(element)}, (element,)),
        ({"_sd": "text"}, ()),
        ({"_sd": [7]}, ()),
        ({"_sd": [digest(claim)], "_sd_alg": "sha-512"}, (claim,)),
    ]
    for payload, disclosures in cases:
        with pytest.raises(RecordError):
            forged(payload, *disclosures)


def test_nested_disclosures_are_put_in_place() -> None:
    inner: Json = ["s1", "inner", 7]
    outer: Json = ["s2", "outer", {"_sd": [digest(inner)], "kept": 1}]
    assert forged({"_sd": [digest(outer)]}, outer, inner) == {"outer": {"kept": 1, "inner": 7}}
    assert forged({"_sd": [digest(outer)]}, outer) == {"outer": {"kept": 1}}
    with pytest.raises(RecordError, match="not what the issuer signed"):
        forged({"_sd": [digest(outer)]}, inner)


def test_unknown_algorithms_and_critical_headers_are_refused() -> None:
    headers: tuple[dict[str, Json], ...] = (
        {"alg": "none", "typ": "t"},
        {"alg": "HS256", "typ": "t"},
        {"alg": "ES256", "typ": "t", "crit": ["x"]},
    )
    for header in headers:
        with pytest.raises(RecordError, match="type"):
            forged({}, header=header)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "~",
        RFC_JWT,
        RFC_JWT + "~" + RFC_US,
        RFC_JWT + "~~",
        RFC_JWT + "~" + RFC_US + "=~",
        RFC_JWT + "~" + RFC_US + "x~",
        RFC_JWT + "~" + urlsafe_b64encode(b'["salt"]').decode().rstrip("=") + "~",
        RFC_JWT + "~" + urlsafe_b64encode(b'["s","_sd",1]').decode().rstrip("=") + "~",
        RFC_JWT + "~" + urlsafe_b64encode(b'["s","...",1]').decode().rstrip("=") + "~",
        RFC_JWT + "~" + urlsafe_b64encode(b'{"s":1}').decode().rstrip("=") + "~",
        RFC_JWT + ("~" + RFC_US) * 65 + "~",
        RFC_JWT[:-2] + "~",
        RFC_JWT.replace(".", "", 1) + "~",
        "a" * 20_000 + "~",
        "\u00e9.\u00e9.\u00e9~",
    ],
)
def test_what_is_no_sd_jwt_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_sd_jwt(text)


def test_es256_signatures_are_judged_as_wycheproof_publishes() -> None:
    suite = json.loads(data_file("ledger/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json").read_text())
    judged = 0
    for group in suite["testGroups"]:
        key = Es256PublicKey(bytes.fromhex(group["publicKey"]["uncompressed"]))
        for case in group["tests"]:
            held = key.is_signature(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert held == (case["result"] == "valid"), case["tcId"]
            judged += 1
    assert judged == suite["numberOfTests"]


def test_what_is_no_point_of_the_curve_is_no_key() -> None:
    for sec1 in (b"", b"\x04" + bytes(64), b"\x02" + b"\xff" * 32):
        with pytest.raises(DecodeError):
            Es256PublicKey(sec1)
