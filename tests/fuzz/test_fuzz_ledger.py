"""Every parser of the ledger and of records, on noise and on damaged good input: a value that encodes back, or a typed error."""

from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import DecodeError, ProofError, RecordError
from shared.ledger.add_checkpoint import AddCheckpoint, parse_add_checkpoint
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.cosignature import find_cosignature
from shared.ledger.ed25519 import check_public_key
from shared.ledger.light_client import LightClient
from shared.ledger.log_list import parse_log_list
from shared.ledger.merkle import Hash, consistency_proof, inclusion_proof
from shared.ledger.note import add_signatures, encode_note, parse_note, parse_vkey
from shared.ledger.policy import parse_policy
from shared.ledger.proof import TlogProof, parse_proof, verify_proof
from shared.ledger.tiles import EntryBundle, decode_bundle, encode_bundle, parse_tile_path
from shared.ledger.verify import verify_signed
from shared.ledger.witness import Witness
from shared.ledger.witnessing import Cosigning, NotCosigned, WitnessRound
from shared.records.issuers import Issuer, IssuerRole
from shared.records.passport import parse_passport, read_passport, verify_passport
from shared.records.record import verify_record
from shared.records.sd_jwt import certificate_id, parse_sd_jwt
from shared.records.strict_json import encode_json, parse_json
from tests.fuzz.mutations import mutated
from tests.helpers.ledger import ORIGIN, MemoryLog, NodesOf, Vehicle, ed25519_key, log_signer, policy_of, witness_key
from tests.unit.ledger.test_witness import NOW, Memory
from tests.unit.records.test_passport import passport_of

POLICY = policy_of()
KEY = Vehicle().public_key
KEYS = {certificate_id(Vehicle().certificate): Issuer(key=KEY, role=IssuerRole.VEHICLE)}
WITNESSES = ("w1", "w2", "w3")
WITNESSED = policy_of(witnesses=WITNESSES, quorum="2")
EXAMPLES, MUTATED = 60, 260
LARGEST = 70_000
"""Octets; a note has at most 65,536."""


@cache
def corpus() -> dict[str, bytes]:
    """One good input of every kind."""
    passport = passport_of((10, 20))
    log = MemoryLog(witnesses=("w",))
    log.entries = [b"a", b"b", b"c"]
    note = log.publish()
    return {
        "note": note,
        "checkpoint": parse_note(note).body,
        "vkey": log_signer().key.text.encode(),
        "policy": f"log {log_signer().key.text}\nwitness w {witness_key('w').text}\ngroup g any w\nquorum g\n".encode(),
        "proof": passport.records[1].proof.encode(),
        "bundle": encode_bundle([b"a", b"bc", b""]),
        "tile path": b"tile/0/x001/x234/067.p/8",
        "sd-jwt": passport.records[0].token.encode().encode(),
        "json": b'{"a":[1,2.5,{"b":null}],"c":"\xc3\xa9"}',
        "passport": passport.encode(),
        "key": log_signer().key.public_key,
        "answer": note,
        "add-checkpoint": AddCheckpoint(old_size=2, proof=consistency_proof(2, 3, NodesOf(log.entries)), note=note).encode(),
        "log list": f"# logs\n{log_signer().key.text}\n{log_signer('log.example/other').key.text}\n".encode(),
        "cosigned note": witnessed_proof()[0].note,
        "witnessed proof": witnessed_proof()[0].encode(),
        "witness's answer": b"".join(line for line in note.splitlines(keepends=True) if line.startswith("— w ".encode())),
    }


@cache
def witnessed_proof() -> tuple[TlogProof, bytes]:
    """A proof with three witnesses, and its entry."""
    log = MemoryLog(witnesses=WITNESSES)
    log.entries = [b"entry %d" % number for number in range(21)]
    note = log.publish()
    return TlogProof(
        index=13, hashes=inclusion_proof(13, 21, NodesOf(log.entries)), signed_note=parse_note(note), extra=b"extra"
    ), log.entries[13]


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def run_note(data: bytes) -> None:
    assert parse_note(data).encoded == data


def run_checkpoint(data: bytes) -> None:
    assert parse_checkpoint(data).encode() == data


def run_vkey(data: bytes) -> None:
    assert parse_vkey(text(data)).text == text(data)


def run_policy(data: bytes) -> None:
    parse_policy(data).is_quorum(("w",))


def run_proof(data: bytes) -> None:
    proof = parse_proof(data)
    assert proof.encode() == data
    verify_proof(proof, b"entry", POLICY)


def run_bundle(data: bytes) -> None:
    assert encode_bundle(decode_bundle(EntryBundle(0, 3), data)) == data


def run_tile_path(data: bytes) -> None:
    assert parse_tile_path(text(data)).path == text(data)


def run_sd_jwt(data: bytes) -> None:
    token = parse_sd_jwt(text(data))
    assert token.encode() == text(data)
    verify_record(token, Issuer(key=KEY, role=IssuerRole.VEHICLE))


def run_json(data: bytes) -> None:
    value = parse_json(data, "fuzz", 10_000)
    assert parse_json(encode_json(value).encode(), "fuzz", 20_000) == value


def run_passport(data: bytes) -> None:
    passport = parse_passport(data)
    assert passport.encode() == data
    read_passport(passport)
    verify_passport(passport, policy=POLICY, issuers=KEYS)


def run_add_checkpoint(data: bytes) -> None:
    assert parse_add_checkpoint(data).encode() == data
    witness = Witness(name="w", private_key=ed25519_key("w"), logs=POLICY, store=Memory())
    answer = witness.add_checkpoint(data, NOW)
    assert answer.status in (200, 400, 403, 404, 409, 422)


def run_log_list(data: bytes) -> None:
    logs = parse_log_list(data)
    assert all(parse_vkey(log.key.text) == log.key for log in logs.logs)


def run_cosigned(data: bytes) -> None:
    note = parse_note(data)
    for name in WITNESSES:
        find_cosignature(note, witness_key(name))
    signed = verify_signed(note, WITNESSED)
    assert encode_note(note.body, note.signatures) == data
    assert signed.checkpoint == parse_checkpoint(witnessed_body())


def witnessed_body() -> bytes:
    return parse_note(witnessed_proof()[0].note).body


def run_witnessed(data: bytes) -> None:
    """Whatever is still accepted proves the same entry at the same place of the same tree."""
    proof, entry = witnessed_proof()
    found = parse_proof(data)
    assert found.encode() == data
    included = verify_proof(found, entry, WITNESSED)
    assert (included.index, included.hashes) == (proof.index, proof.hashes)
    assert included.trusted.checkpoint == parse_checkpoint(witnessed_body())
    assert len(included.trusted.witnesses) >= 2


def run_witness_answer(data: bytes) -> None:
    """What a witness answers makes an outcome, whatever it is; a cosignature only where it holds."""
    note, key = corpus()["note"], witness_key("w")
    for status in (200, 409, 500):
        outcome = outcome_of(status, data)
        if isinstance(outcome, Cosigning):
            assert status == 200
            assert find_cosignature(parse_note(add_signatures(parse_note(note), (outcome.line,))), key) is not None


def outcome_of(status: int, data: bytes) -> Cosigning | NotCosigned | None:
    asked = WitnessRound(note=corpus()["note"], key=witness_key("w"), known_size=0, consistency=no_proof)
    asked.request()
    asked.answered(status, data, Instant(MonotonicNs(0), None))
    return asked.outcome


def no_proof(old: int, new: int) -> tuple[Hash, ...]:
    raise AssertionError((old, new))


def run_answer(data: bytes) -> None:
    """Whatever a log answers, the light client either takes it or ends its round."""
    client = LightClient(origin=ORIGIN, policy=POLICY, trusted_note=None)
    client.prove(b"a", 0)
    client.begin()
    try:
        while wanted := client.wants():
            client.give(wanted[0], data)
    finally:
        assert client.wants() == ()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "note": run_note,
    "checkpoint": run_checkpoint,
    "vkey": run_vkey,
    "policy": run_policy,
    "proof": run_proof,
    "bundle": run_bundle,
    "tile path": run_tile_path,
    "sd-jwt": run_sd_jwt,
    "json": run_json,
    "passport": run_passport,
    "key": check_public_key,
    "answer": run_answer,
    "add-checkpoint": run_add_checkpoint,
    "log list": run_log_list,
    "cosigned note": run_cosigned,
    "witnessed proof": run_witnessed,
    "witness's answer": run_witness_answer,
}


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Good input with a few pieces replaced, cut out, doubled or moved."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 12))
        match draw(st.sampled_from(("replace", "cut", "double", "truncate", "flip"))):
            case "replace":
                data[at : at + length] = draw(st.binary(max_size=12))
            case "cut":
                del data[at : at + length]
            case "double":
                data[at:at] = data[at : at + length]
            case "truncate":
                del data[at:]
            case _:
                if at < len(data):
                    data[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(data)


def check(name: str, data: bytes) -> None:
    try:
        TARGETS[name](data)
    except (DecodeError, ProofError, RecordError):
        return


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_ends_in_a_value_or_a_typed_error(name: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(damaged(corpus()[name]))
    def run(data: bytes) -> None:
        check(name, data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_damaged_on_purpose_ends_in_a_value_or_a_typed_error(name: str) -> None:
    for data in mutated(corpus()[name], MUTATED):
        check(name, data)


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_of_the_largest_size_end_too(name: str) -> None:
    """What needs time that grows with the square of the length would still be at it tomorrow."""
    for piece in (b"\n", b"\n\n", b"A", b"=", b"9", b" ", b"+", b'"', b'\\"', b"[", b"~", b".", "— a A\n".encode(), b"log a+b+c\n"):
        check(name, (piece * LARGEST)[:LARGEST])
        check(name, corpus()[name] + (piece * LARGEST)[:LARGEST])


@pytest.mark.parametrize("name", ["witnessed proof", "cosigned note", "vkey"])
def test_what_has_one_spelling_is_taken_in_no_other(name: str) -> None:
    good = corpus()[name]
    for other in (
        good + b"\n", good + b" ", b" " + good, b"\n" + good, b"\xef\xbb\xbf" + good, good.replace(b"\n", b"\r\n"), good + b"\x00",
        good.replace(b"=", b""), good.replace(b"=", b"=="), good.replace(b" ", "\u00a0".encode()), good + good,
    ):  # fmt: skip
        if other != good:
            with pytest.raises((DecodeError, ProofError)):
                TARGETS[name](other)


@pytest.mark.parametrize("name", TARGETS)
def test_noise_ends_in_a_value_or_a_typed_error(name: str) -> None:
    @settings(max_examples=EXAMPLES // 2)
    @given(st.binary(max_size=200))
    @example(b"")
    @example(b"\n")
    @example(b"\x00" * 33)
    @example(b"[" * 5_000)
    @example(b'{"a":' * 5_000)
    @example(b"9" * 5_000)
    @example("\u2028".encode())
    def run(data: bytes) -> None:
        check(name, data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_the_good_input_is_good(name: str) -> None:
    if name in ("proof", "answer"):
        with pytest.raises((ProofError, DecodeError)):
            TARGETS[name](corpus()[name])
    else:
        TARGETS[name](corpus()[name])


def test_the_answer_that_is_damaged_here_is_a_cosignature() -> None:
    assert isinstance(outcome_of(200, corpus()["witness's answer"]), Cosigning)
