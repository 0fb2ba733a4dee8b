"""Every parser of the ledger and of records, on noise and on damaged good input: a value that encodes back, or a typed error."""

from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.core.errors import DecodeError, ProofError, RecordError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.ed25519 import check_public_key
from shared.ledger.light_client import LightClient
from shared.ledger.note import parse_note, parse_vkey
from shared.ledger.policy import parse_policy
from shared.ledger.proof import parse_proof, verify_proof
from shared.ledger.tiles import EntryBundle, decode_bundle, encode_bundle, parse_tile_path
from shared.records.issuers import Issuer, IssuerRole
from shared.records.passport import parse_passport, read_passport, verify_passport
from shared.records.record import verify_record
from shared.records.sd_jwt import certificate_id, parse_sd_jwt
from shared.records.strict_json import encode_json, parse_json
from tests.helpers.ledger import ORIGIN, MemoryLog, Vehicle, log_signer, policy_of, witness_key
from tests.unit.records.test_passport import passport_of

POLICY = policy_of()
KEY = Vehicle().public_key
KEYS = {certificate_id(Vehicle().certificate): Issuer(key=KEY, role=IssuerRole.VEHICLE)}
EXAMPLES = 150


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
    }


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
