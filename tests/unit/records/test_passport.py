"""The passport: every byte counts, and every refusal says what is wrong."""

import json
from dataclasses import replace
from functools import cache

import pytest
from msgspec import structs

from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.errors import EncodeError, RecordError
from shared.ledger.light_client import MAX_ROUND_PROOFS, LightClient
from shared.ledger.note import add_signatures, parse_note
from shared.ledger.proof import TlogProof, proof_of
from shared.ledger.verify import Included
from shared.records.credential import credential_of
from shared.records.findings import FindingKind
from shared.records.issuers import Issuer, IssuerRole
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.passport import (
    MAX_PASSPORT_RECORDS,
    Passport,
    VerifiedPassport,
    build_passport,
    build_record,
    parse_passport,
    read_passport,
    verify_passport,
)
from shared.records.record import SignedRecord
from shared.records.recorder import Recorder
from shared.records.sd_jwt import SdJwt, certificate_id, decode_base64url, encode_base64url, parse_sd_jwt
from tests.helpers.ledger import ORIGIN, MemoryLog, Vehicle, policy_of, seeded_entropy
from tests.unit.records.test_odometer_record import Shelf

POLICY = policy_of()
KEYS = {certificate_id(Vehicle().certificate): Issuer(key=Vehicle().public_key, role=IssuerRole.VEHICLE)}
WITNESSES = ("w1.example", "w2.example", "w3.example")


@cache
def recorded(name: str, readings_km: tuple[int, ...]) -> tuple[SignedRecord, ...]:
    """One record a day by one vehicle."""
    shelf, clock = Shelf(), ManualClock(UtcNs(1_767_225_600 * NS_PER_S))
    recorder = Recorder(signer=Vehicle(name), store=shelf, entropy=seeded_entropy(), boot_id=bytes(16))
    for km in readings_km:
        source = OdometerSource(name="cluster", odometer_m=km * 1000, age_ms=20)
        at = clock.advance(86_400 * NS_PER_S)
        recorder.record_reading(odometer_m=km * 1000, reason=RecordReason.DISTANCE, sources=(source,), flags=(), at=at)
    return tuple(shelf.records)


def proofs(records: tuple[SignedRecord, ...], log: MemoryLog) -> list[TlogProof]:
    """Have a log take records and a light client prove them."""
    client = LightClient(origin=ORIGIN, policy=policy_of(), trusted_note=None)
    for record in records:
        client.prove(record.commitment, log.submit(record.commitment))
    found: dict[bytes, TlogProof] = {}
    for _ in range(0, len(records), MAX_ROUND_PROOFS):
        client.begin()
        while wanted := client.wants():
            for path in wanted:
                found |= {e.entry: proof_of(e) for e in client.give(path, log.read(path)) if isinstance(e, Included)}
    return [found[record.commitment] for record in records]


def passport_of(
    readings_km: tuple[int, ...] = (10, 20, 35),
    *,
    name: str = "vehicle",
    witnesses: tuple[str, ...] = (),
    shown: tuple[str, ...] | None = None,
) -> Passport:
    records = recorded(name, readings_km)
    found = proofs(records, MemoryLog(witnesses=witnesses))
    parts = [
        build_record(r.sd_jwt, r.salt, p.encode()) if shown is None else build_record(r.sd_jwt, r.salt, p.encode(), shown)
        for r, p in zip(records, found, strict=True)
    ]
    return build_passport(credentials=(credential_of(Vehicle(name)),), records=parts)


def verified(passport: Passport) -> VerifiedPassport:
    return verify_passport(parse_passport(passport.encode()), policy=POLICY, issuers=KEYS)


def refusal(passport: Passport) -> RecordError:
    with pytest.raises(RecordError) as caught:
        verified(passport)
    return caught.value


def test_a_genuine_passport_verifies_with_its_readings() -> None:
    result = verified(passport_of())
    assert [r.odometer_m for r in result.readings] == [10_000, 20_000, 35_000]
    assert [r.since_previous_m for r in result.readings] == [None, 10_000, 15_000]
    assert [r.log for r in result.readings] == [ORIGIN] * 3
    assert [r.log_index for r in result.readings] == [0, 1, 2]
    assert result.readings[0].occurred == 1_767_312_000 * NS_PER_S
    assert result.findings == ()
    assert result.is_clean


def test_a_rollback_is_genuine_and_told() -> None:
    result = verified(passport_of((100, 40, 50)))
    assert [f.kind for f in result.findings] == [FindingKind.ROLLBACK]
    assert not result.is_clean


def test_no_byte_of_a_passport_can_be_altered() -> None:
    """Every byte: refused, or in the authority's certificate, which the caller gets to see and chains."""
    passport = passport_of((10,))
    data = passport.encode()
    (credential,) = passport.credentials
    accepted = 0
    for at in range(len(data)):
        altered = data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]
        try:
            parsed = parse_passport(altered)
            verify_passport(parsed, policy=POLICY, issuers=KEYS)
        except RecordError:
            continue
        accepted += 1
        assert parsed.credentials[0].authority != credential.authority
        assert replace(parsed, credentials=passport.credentials) == passport
        assert parsed.credentials[0].certificate == credential.certificate
    assert 0 < accepted <= len(credential.authority) * 4 // 3


def test_every_digit_of_every_reading_is_bound() -> None:
    """Someone who knows the format edits the claims themselves and spells the file properly."""
    passport = passport_of((12_345, 23_456))
    for number, record in enumerate(passport.records):
        for n, disclosure in enumerate(record.token.disclosures):
            if disclosure.name != "odometer_m":
                continue
            digits = str(disclosure.value)
            for at in range(len(digits)):
                lower = digits[:at] + str((int(digits[at]) + 9) % 10) + digits[at + 1 :]
                altered = parse_token_with(record.token.encode(), n, int(lower))
                records = list(passport.records)
                records[number] = build_record(altered, record.salt, record.proof.encode())
                error = refusal(replace(passport, records=tuple(records)))
                assert error.check == "disclosure"
                assert f"entry {number + 1} of 2" in error.reason
                assert "changed" in error.reason


def parse_token_with(sd_jwt: str, n: int, value: int) -> str:
    parts = sd_jwt.split("~")
    salt, name, _ = json.loads(decode_base64url(parts[n + 1], "test"))
    parts[n + 1] = encode_base64url(json.dumps([salt, name, value], separators=(",", ":")).encode())
    return "~".join(parts)


def replaced_signature(token: SdJwt) -> SdJwt:
    head, _, _ = token.jwt.rpartition(".")
    return parse_sd_jwt(replace(token, jwt=f"{head}.{encode_base64url(bytes(range(64)))}").encode())


def test_each_failing_check_is_named_and_explained() -> None:
    passport, other = passport_of(), passport_of(name="other")
    first, second, third = passport.records
    cases: dict[str, tuple[Passport, str]] = {
        "issuer": (replace(passport, records=(first, other.records[1])), "another certificate"),
        "ledger": (replace(passport, records=(first, replace(second, proof=third.proof))), "not shown to hold"),
        "signature": (replace(passport, records=(replace(first, token=replaced_signature(first.token)),)), "changed afterwards"),
        "empty": (Passport(credentials=(), records=()), "proves nothing"),
    }
    for check, (altered, words) in cases.items():
        error = refusal(altered)
        assert error.check == check
        assert words in error.reason
    assert "entry 2 of 2" in refusal(cases["ledger"][0]).reason
    salted = replace(passport, records=(replace(first, salt=bytes(16)),))
    assert refusal(salted).check == "ledger"


def test_a_proof_from_an_unknown_or_unwitnessed_ledger_is_refused() -> None:
    passport = passport_of(witnesses=WITNESSES[:1])
    with pytest.raises(RecordError) as caught:
        verify_passport(passport, policy=policy_of(witnesses=WITNESSES, quorum="2"), issuers=KEYS)
    assert caught.value.check == "witnesses"
    with pytest.raises(RecordError, match="ledger"):
        verify_passport(passport, policy=policy_of(origin="other.example"), issuers=KEYS)
    result = verify_passport(passport, policy=policy_of(witnesses=WITNESSES, quorum="1"), issuers=KEYS)
    assert result.readings[0].witnesses == WITNESSES[:1]


def test_records_left_out_or_put_in_another_order_are_told() -> None:
    passport = passport_of((10, 20, 30, 40))
    a, b, c, d = passport.records
    assert [f.kind for f in verified(replace(passport, records=(a, b, d))).findings] == [FindingKind.GAP]
    assert [f.kind for f in verified(replace(passport, records=(b, c))).findings] == [FindingKind.GAP]
    assert FindingKind.FORK in [f.kind for f in verified(replace(passport, records=(a, c, b, d))).findings]
    assert FindingKind.FORK in [f.kind for f in verified(replace(passport, records=(a, a))).findings]


def test_a_hidden_reading_is_not_in_the_file_and_the_rest_still_verifies() -> None:
    passport = passport_of(shown=("occurred",))
    assert b"odometer_m" not in b"".join(d.value.__repr__().encode() for r in passport.records for d in r.token.disclosures)
    result = verified(passport)
    assert [r.odometer_m for r in result.readings] == [None] * 3
    assert {f.kind for f in result.findings} == {FindingKind.HIDDEN}


def test_what_a_file_claims_can_be_read_without_trust() -> None:
    claimed = read_passport(passport_of((100, 40)))
    assert [r.odometer_m for r in claimed.readings] == [100_000, 40_000]
    assert [f.kind for f in claimed.findings] == [FindingKind.ROLLBACK]


def test_only_the_one_spelling_of_a_passport_is_read() -> None:
    data = passport_of((10,)).encode()
    value = json.loads(data)
    assert parse_passport(data).encode() == data
    for other in (
        json.dumps(value).encode(),
        data.replace(b"\n", b"\r\n"),
        data + b"\n",
        data[:-1],
        b" " + data,
        json.dumps(value, indent=1, sort_keys=True).encode() + b"\n",
        json.dumps(value | {"more": 1}, indent=1).encode() + b"\n",
        json.dumps(value | {"format": "v2x-passport/2"}, indent=1).encode() + b"\n",
        json.dumps(value | {"records": [1]}, indent=1).encode() + b"\n",
        json.dumps(value | {"records": {}}, indent=1).encode() + b"\n",
        json.dumps(value | {"credentials": {}}, indent=1).encode() + b"\n",
        json.dumps(value | {"credentials": [1]}, indent=1).encode() + b"\n",
        json.dumps(value | {"credentials": [value["credentials"][0] | {"credential": ""}]}, indent=1).encode() + b"\n",
        json.dumps(value | {"credentials": [value["credentials"][0] | {"authority": "A" * 6000}]}, indent=1).encode() + b"\n",
        json.dumps(value | {"credentials": [value["credentials"][0] | {"more": ""}]}, indent=1).encode() + b"\n",
        b"",
        b"[]\n",
        b"\xff",
    ):
        with pytest.raises(RecordError) as caught:
            parse_passport(other)
        assert caught.value.check == "format"


def test_a_passport_cut_anywhere_is_refused() -> None:
    data = passport_of((10,)).encode()
    for cut in range(0, len(data), 7):
        with pytest.raises(RecordError, match="format"):
            parse_passport(data[:cut])


def test_extra_data_in_a_proof_is_refused() -> None:
    passport = passport_of((10,))
    (record,) = passport.records
    altered = replace(passport, records=(replace(record, proof=structs.replace(record.proof, extra=b"trust me")),))
    assert "nothing vouches" in refusal(altered).reason


def test_a_line_by_an_unknown_witness_changes_nothing() -> None:
    passport = passport_of((10,))
    (record,) = passport.records
    note = parse_note(record.proof.note)
    strange = parse_note(MemoryLog("strange.example").note).signatures
    signed = parse_note(add_signatures(note, strange))
    altered = replace(passport, records=(replace(record, proof=structs.replace(record.proof, signed_note=signed)),))
    assert verified(altered) == verified(passport)


def test_only_verification_makes_a_verified_passport() -> None:
    with pytest.raises(TypeError, match="only"):
        VerifiedPassport(readings=(), findings=(), seal=None)


def test_too_many_records_do_not_fit() -> None:
    passport = passport_of((10,))
    with pytest.raises(EncodeError, match="do not fit"):
        replace(passport, records=passport.records * (MAX_PASSPORT_RECORDS + 1)).encode()
