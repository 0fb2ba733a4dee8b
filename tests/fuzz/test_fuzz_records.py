"""Every parser of records, on real files damaged on purpose: what it takes is spelled its one way, what it refuses has a reason."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.core.errors import DecodeError, RecordError
from shared.pki.key_source import SeededKeySource
from shared.records.admission import check_admission
from shared.records.consent import check_consent
from shared.records.credential import credential_of
from shared.records.data_answer import DataAnswer, LoneRecord, answer_claims, parse_answer, select_records, verify_answer
from shared.records.data_request import DataRequest, parse_request, verify_request
from shared.records.exchange import parse_issued, parse_slot
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import OCCURRED, RecordKind
from shared.records.passport import (
    Passport,
    VerifiedPassport,
    build_passport,
    parse_passport,
    read_passport,
    verify_passport,
)
from shared.records.record import DisclosedRecord, Record, SignedRecord, commitment_of, read_record, verify_record
from shared.records.sd_jwt import Disclosure, SdJwt, certificate_id, encode_base64url, parse_sd_jwt
from shared.records.strict_json import Json, encode_json, encode_json_lines, parse_json
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.sealed_answer import open_answer, seal_answer
from tests.conformance.records.make_cases import SIGNER, pinned
from tests.fuzz.mutations import NESTINGS, mutated
from tests.fuzz.parsers import Parser, ends_well
from tests.fuzz.test_fuzz_ledger import damaged
from tests.helpers.ledger import MemoryLog, Vehicle, policy_of, seeded_entropy
from tests.helpers.requesting import NOW, Book, asking, changed, day, grant_to, signed_by, verified
from tests.unit.records.test_admission import ISSUER, RECORD, SLOT, Shelf, issued
from tests.unit.records.test_admission import NOW as ADMITTED_AT
from tests.unit.records.test_passport import WITNESSES, passport_of, proofs

CAR, INSURER = Vehicle(), Vehicle("insurer")
VEHICLE, ASKING = certificate_id(CAR.certificate), Issuer(key=INSURER.public_key, role=IssuerRole.INSURER)
ISSUERS = {VEHICLE: Issuer(key=CAR.public_key, role=IssuerRole.VEHICLE)}
POLICY = policy_of(witnesses=WITNESSES, quorum="2")
RESPONSE_KEY: SoftwareSigner = SeededKeySource(Random(3)).generate(Curve.NIST_P256)
MUTATED, DRAWN, DAMAGED_DISCLOSURES = 260, 40, 90


def request() -> DataRequest:
    return changed(asking(CAR), response_key=RESPONSE_KEY.public_key.sec1)


def run_record(role: IssuerRole) -> Callable[[bytes], DisclosedRecord]:
    """Read and verify a token as a record of somebody in a role."""

    def run(data: bytes) -> DisclosedRecord:
        text = data.decode("utf-8", "surrogateescape")
        token = parse_sd_jwt(text)
        assert token.encode() == text
        read_record(token)
        commitment_of(token.jwt, bytes(16))
        return verify_record(token, Issuer(key=SIGNER.public_key, role=role))

    return run


def run_slot(data: bytes) -> None:
    """What a slot means is in no signature: it is another slot."""
    assert parse_slot(parse_slot(data).encode()) == parse_slot(data)


def run_issued(data: bytes) -> Record:
    given = parse_issued(data)
    assert parse_issued(given.encode()) == given
    return check_admission(given, issuer=ISSUER, slot=SLOT, shelf=Shelf(), now=ADMITTED_AT).record


def run_request(data: bytes) -> DataRequest:
    signed = parse_request(data)
    assert signed.encode() == data
    return verify_request(signed, issuer=ASKING, vehicle=(VEHICLE,), now=NOW).request


def run_answer(data: bytes) -> object:
    answer = parse_answer(data)
    assert answer.encode() == data
    result = verify_answer(
        answer,
        signed_by(INSURER, request()),
        issuers=ISSUERS,
        verify=lambda passport: verify_passport(passport, policy=POLICY, issuers=ISSUERS),
    )
    return meaning(result.passport), result.grant, result.receipt


def run_passport(data: bytes) -> object:
    passport = parse_passport(data)
    assert passport.encode() == data
    read_passport(passport)
    return meaning(verify_passport(passport, policy=POLICY, issuers=ISSUERS))


def meaning(passport: VerifiedPassport) -> object:
    """What it says about the vehicle; two witnesses of three are enough, whichever."""
    assert all(len(reading.witnesses) >= 2 for reading in passport.readings)
    return tuple(replace(reading, witnesses=()) for reading in passport.readings), passport.findings


def run_json(data: bytes) -> None:
    value = parse_json(data, "fuzz", 100_000)
    assert parse_json(encode_json(value).encode(), "fuzz", 200_000) == value
    assert parse_json(encode_json_lines(value).encode(), "fuzz", 400_000) == value


def run_sealed(data: bytes) -> object:
    return run_answer(open_answer(data, request_hash=signed_by(INSURER, request()).hash, private_key=RESPONSE_KEY))


@cache
def answered() -> DataAnswer:
    """A vehicle's answer to an insurer under a grant, with everything proven to a ledger with witnesses."""
    book = Book(CAR)
    grant = book.write(RecordKind.CONSENT_GRANT, grant_to(INSURER), occurred=day(-20))
    for number in (1, 2, 3):
        book.reading(1_000 * number, day(number - 10))
    found = proofs(tuple(book.signed), MemoryLog(witnesses=WITNESSES))
    granted = check_consent(verified(INSURER, request()), book.consent(), NOW)
    selection = select_records(request(), book.candidates({seq: proof.encode() for seq, proof in enumerate(found)}))
    receipt = book.write(RecordKind.DATA_ANSWER, answer_claims(granted, selection))
    return DataAnswer(
        request_hash=granted.request.hash,
        credentials=(credential_of(CAR),),
        grant=lone(grant),
        receipt=lone(receipt),
        passport=build_passport(credentials=(credential_of(CAR),), records=selection.records),
    )


def lone(signed: SignedRecord) -> LoneRecord:
    return LoneRecord(token=parse_sd_jwt(signed.sd_jwt), salt=signed.salt)


def witnessed() -> Passport:
    return passport_of((10, 20, 35), witnesses=WITNESSES)


@cache
def parsers() -> dict[str, Parser]:
    """Everything that reads records, with a good example of what it reads."""
    sealed = seal_answer(
        answered().encode(), verified(INSURER, request()), keys=SeededKeySource(Random(1)), entropy=seeded_entropy()
    )
    tokens = {
        kind.value: Parser(
            good=pinned(kind).signed.sd_jwt.encode(), run=run_record(pinned(kind).role), errors=(DecodeError, RecordError)
        )
        for kind in RecordKind
    }
    return tokens | {
        "slot": Parser(good=SLOT.encode(), run=run_slot, errors=(RecordError,)),
        "issued record": Parser(good=issued().encode(), run=run_issued, errors=(RecordError,)),
        "data request": Parser(good=signed_by(INSURER, request()).encode(), run=run_request, errors=(RecordError,)),
        "data answer": Parser(good=answered().encode(), run=run_answer, errors=(RecordError,)),
        "sealed answer": Parser(good=sealed, run=run_sealed, errors=(RecordError,)),
        "passport": Parser(good=witnessed().encode(), run=run_passport, errors=(RecordError,)),
        "json": Parser(
            good=encode_json_lines({"a": [1, 2.5, None, "é"], "b": {"c": True}}).encode(), run=run_json, errors=(DecodeError,)
        ),
    }


KINDS_HERE = [kind.value for kind in RecordKind]
NAMES = [*KINDS_HERE, "slot", "issued record", "data request", "data answer", "sealed answer", "passport", "json"]
EVERY_PARSER = pytest.mark.parametrize("name", NAMES)


def test_every_parser_has_a_name_here() -> None:
    assert list(parsers()) == NAMES


@EVERY_PARSER
def test_the_good_example_is_accepted(name: str) -> None:
    parsers()[name].run(parsers()[name].good)


def is_part(shown: object, whole: object) -> bool:
    """Whether something says nothing but what the whole says: all of it, or a record with claims left out."""
    if not isinstance(shown, DisclosedRecord) or not isinstance(whole, DisclosedRecord):
        return shown == whole
    fields = {name: whole.fields[name] for name in shown.fields}
    occurred = None if OCCURRED in shown.hidden else whole.occurred
    return shown == replace(whole, fields=fields, occurred=occurred, hidden=shown.hidden)


@EVERY_PARSER
def test_what_was_damaged_on_purpose_is_refused_with_a_reason_or_says_the_same(name: str) -> None:
    """The same: where a claim is left out, which a holder may; or in what nobody signed, like spaces and the authority's octets."""
    parser = parsers()[name]
    good, refused = parser.run(parser.good), 0
    for data in mutated(parser.good, MUTATED):
        if ends_well(parser, data):
            assert is_part(parser.run(data), good)
        else:
            refused += 1
    assert refused > MUTATED // 3


@EVERY_PARSER
def test_what_hypothesis_makes_of_it_ends_as_well(name: str) -> None:
    parser = parsers()[name]

    @settings(max_examples=DRAWN)
    @given(st.one_of(damaged(parser.good), st.binary(max_size=100)))
    @example(b"")
    @example(b"[" * 20_000)
    @example(b'"' * 20_000)
    @example(b"~" * 5_000)
    @example(b"." * 5_000)
    def run(data: bytes) -> None:
        ends_well(parser, data)

    run()


@EVERY_PARSER
def test_every_prefix_of_it_is_refused(name: str) -> None:
    parser = parsers()[name]
    whole = parser.good.rstrip(b"\n")
    for length in range(0, len(whole), max(1, len(whole) // 150)):
        is_whole_token = name in KINDS_HERE and whole[:length].endswith(b"~")
        assert not ends_well(parser, parser.good[:length]) or is_whole_token, length


def resigned(payload: bytes, disclosures: tuple[str, ...]) -> SdJwt:
    """A token over any octets at all as its claims, truly signed: what a thief of a key could make."""
    header, _, _ = pinned(RecordKind.TRIP).signed.sd_jwt.partition(".")
    signed = f"{header}.{encode_base64url(payload)}"
    return parse_sd_jwt("~".join((f"{signed}.{encode_base64url(SIGNER.sign_es256(signed.encode()))}", *disclosures, "")))


def visible_claims(kind: RecordKind) -> dict[str, Json]:
    return dict(pinned(kind).claims)


@pytest.mark.parametrize("kind", RecordKind, ids=lambda kind: kind.value)
def test_claims_that_were_damaged_before_they_were_signed_are_read_strictly_all_the_same(kind: RecordKind) -> None:
    """With the signature out of the way, what remains is the table of the kind."""
    issuer = Issuer(key=SIGNER.public_key, role=pinned(kind).role)
    good = encode_json(visible_claims(kind)).encode()
    assert verify_record(resigned(good, ()), issuer).kind is kind
    accepted = 0
    for payload in mutated(good, 150, seed=1):
        try:
            token = resigned(payload, ())
            shown = verify_record(token, issuer)
        except (DecodeError, RecordError):
            continue
        accepted += 1
        assert shown.kind is kind
        assert shown.hidden or set(shown.fields) <= set(visible_claims(kind))
    assert accepted < 120


@pytest.mark.parametrize("kind", RecordKind, ids=lambda kind: kind.value)
def test_disclosures_that_were_damaged_before_they_were_signed_are_read_strictly_all_the_same(kind: RecordKind) -> None:
    issuer = Issuer(key=SIGNER.public_key, role=pinned(kind).role)
    disclosures = parse_sd_jwt(pinned(kind).signed.sd_jwt).disclosures
    visible = {name: value for name, value in visible_claims(kind).items() if name in ("kind", "seq", "prev", "flags", "subject")}

    def disclosing(text: bytes) -> DisclosedRecord:
        shown = encode_base64url(text)
        payload = encode_json({**visible, "_sd": [Disclosure(shown, None, None).digest], "_sd_alg": "sha-256"}).encode()
        return verify_record(resigned(payload, (shown,)), issuer)

    name, value = disclosures[0].name, disclosures[0].value
    good = encode_json(["salt", name, value]).encode()
    assert name not in disclosing(good).hidden
    refused = 0
    for text in mutated(good, DAMAGED_DISCLOSURES, seed=2):
        try:
            record = disclosing(text)
        except (DecodeError, RecordError):
            refused += 1
            continue
        assert record.kind is kind
    assert refused > DAMAGED_DISCLOSURES // 3


def foreign_spellings(token: SdJwt) -> Iterator[str]:
    """Other texts that a lenient reader would take for the same token."""
    text = token.encode()
    first = token.disclosures[0].text
    yield text[:-1]
    yield text + "~"
    yield text + text
    yield text.replace(".", "=.", 1)
    yield text.replace("~", "=~", 1)
    yield text.replace("-", "+").replace("_", "/")
    yield f"{token.jwt}~{first}~{first}~"
    yield f" {text}"
    yield f"{text}\n"
    yield text.replace("~", "\uff5e")


@pytest.mark.parametrize("kind", RecordKind, ids=lambda kind: kind.value)
def test_no_second_spelling_of_a_record_is_believed(kind: RecordKind) -> None:
    token = parse_sd_jwt(pinned(kind).signed.sd_jwt)
    parser = parsers()[kind.value]
    for text in foreign_spellings(token):
        assert text == token.encode() or not ends_well(parser, text.encode()), text
    for depth in NESTINGS:
        assert not ends_well(parser, b"~".join((token.jwt.encode(), encode_base64url(b"[" * depth).encode(), b"")))


def test_an_issued_record_that_was_damaged_is_never_admitted_as_another() -> None:
    given = issued()
    for data in mutated(given.encode(), MUTATED, seed=4):
        try:
            other = parse_issued(data)
            admitted = check_admission(other, issuer=ISSUER, slot=SLOT, shelf=Shelf(), now=ADMITTED_AT)
        except RecordError:
            continue
        assert admitted.record == RECORD
        assert other.token.jwt == given.token.jwt


def test_files_of_the_largest_size_are_read_or_refused_without_end() -> None:
    """Whatever needs time that grows with the square of a file's length would still be at it tomorrow."""
    for name, most in (
        ("slot", 1_024),
        ("issued record", 32_768),
        ("data request", 32_768),
        ("json", 100_000),
        ("passport", 2_000_000),
    ):
        for piece in (b"[", b'"', b'\\"', b"{}", b'["",', b"9", b"~", b"\xc3\xa9", b'{"a":', b"\n", b" ", b'"\\ud800"'):
            assert not ends_well(parsers()[name], (piece * (most // len(piece)))[:most]), (name, piece)
    for text in ("~" * 16_384, "." * 16_384, "A" * 16_384, "e30." * 4_096, "A.B.C~" * 2_730):
        assert not ends_well(parsers()["trip"], text.encode()), text[:10]


def test_json_that_is_read_is_the_json_that_json_means() -> None:
    for data in mutated(b'{"a":[1,-2.5,"x",null,{"b":true}],"c":"\xc3\xa9"}', 400, seed=5):
        try:
            value = parse_json(data, "fuzz", 100_000)
        except DecodeError:
            continue
        assert json.loads(data) == value
