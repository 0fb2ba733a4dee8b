"""Signed notes and verifier keys: strict parsing, and what counts as signed."""

from collections.abc import Callable

import pytest

from shared.core.errors import DecodeError, EncodeError, ProofError
from shared.ledger.note import (
    MAX_NOTE_SIGNATURES,
    KeyKind,
    NoteSignature,
    VerifierKey,
    add_signatures,
    encode_note,
    parse_note,
    parse_vkey,
    sign_note,
    verify_note,
)
from tests.helpers.data import data_file
from tests.helpers.ledger import log_signer, witness_key

BODY = b"first line\n\nthird line\n"
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


def test_a_signed_note_parses_back_and_holds() -> None:
    signer = log_signer()
    note = parse_note(sign_note(BODY, signer))
    assert note.body == BODY
    verify_note(note, signer.key)


def test_the_checkpoints_of_a_foreign_log_hold_under_its_key() -> None:
    key = parse_vkey(TESSERA_VKEY)
    assert key.text == TESSERA_VKEY
    for n in range(16):
        verify_note(parse_note(data_file(f"ledger/tessera-log/log/checkpoint.{n}").read_bytes()), key)


def test_no_note_with_one_byte_changed_is_still_signed() -> None:
    signer = log_signer()
    note = sign_note(BODY, signer)
    for at in range(len(note)):
        for flip in (0x01, 0x20, 0x80):
            altered = note[:at] + bytes([note[at] ^ flip]) + note[at + 1 :]
            with pytest.raises((DecodeError, ProofError)):
                verify_note(parse_note(altered), signer.key)


def test_no_note_cut_short_or_with_a_byte_more_is_signed() -> None:
    signer = log_signer()
    note = sign_note(BODY, signer)
    for altered in (*(note[:n] for n in range(len(note))), note + b"x", note + b"\n"):
        with pytest.raises((DecodeError, ProofError)):
            verify_note(parse_note(altered), signer.key)


@pytest.mark.parametrize(
    ("altered", "reason"),
    [
        (lambda n: n.replace(b"\n\n\xe2", b"\n\xe2"), "blank line|reads"),
        (lambda n: n.replace("— ".encode(), b"- "), "em dash"),
        (lambda n: n.replace("— ".encode(), "—  ".encode()), "name"),
        (lambda n: n.replace(b"first", b"fir\tst"), "control"),
        (lambda n: n.replace(b"first", b"fir\xffst"), "UTF-8"),
        (lambda n: n[:-2] + b"\n", "base64"),
        (lambda n: n[:-1], "newline"),
    ],
)
def test_what_is_not_canonical_is_refused(altered: Callable[[bytes], bytes], reason: str) -> None:
    note = sign_note(BODY, log_signer())
    with pytest.raises(DecodeError, match=reason):
        parse_note(altered(note))


def test_signatures_of_unknown_keys_are_ignored_and_known_ones_must_hold() -> None:
    signer, stranger = log_signer(), log_signer("stranger.example")
    note = parse_note(sign_note(BODY, signer))
    strange = parse_note(sign_note(b"something else\n", stranger)).signatures[0]
    verify_note(parse_note(add_signatures(note, (strange,))), signer.key)
    forged = NoteSignature(name=signer.key.name, key_id=signer.key.key_id, signature=bytes(64))
    with pytest.raises(ProofError, match="does not hold"):
        verify_note(parse_note(add_signatures(note, (forged,))), signer.key)


def test_a_shared_name_alone_does_not_make_a_key_known() -> None:
    signer = log_signer()
    note = parse_note(sign_note(BODY, signer))
    namesake = VerifierKey(name=signer.key.name, kind=KeyKind.ED25519, public_key=witness_key("w").public_key)
    with pytest.raises(ProofError, match="not signed by"):
        verify_note(note, namesake)


def test_a_witness_key_does_not_sign_notes() -> None:
    with pytest.raises(ProofError, match="witness"):
        verify_note(parse_note(sign_note(BODY, log_signer())), witness_key("w"))


def test_sixteen_signatures_are_read_and_too_many_are_not() -> None:
    line = parse_note(sign_note(BODY, log_signer())).signatures
    assert len(parse_note(encode_note(BODY, line * 16)).signatures) == 16
    with pytest.raises(EncodeError):
        encode_note(BODY, line * (MAX_NOTE_SIGNATURES + 1))


def test_text_that_would_be_read_as_another_text_is_not_encoded() -> None:
    line = parse_note(sign_note(BODY, log_signer())).signatures
    for body in (b"no newline", b"control \x01\n"):
        with pytest.raises(EncodeError):
            encode_note(body, line)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "reads"),
        ("name+33d7b496", "reads"),
        ("example.com/log/testdata+33d7b497+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", "make 33d7b496"),
        ("example.com/log/testdata+33D7B496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", "make 33d7b496"),
        ("example.com/other+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", "make"),
        ("exa mple+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", "space"),
        ("+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", "1 to"),
        ("name+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkS", "base64"),
        ("name+33d7b496+BeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", "supported"),
        ("name+33d7b496+BuHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx", "an ML-DSA-44 public key has 1312 bytes, not 32"),
        ("name+33d7b496+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "order"),
        ("name+33d7b496+", "supported"),
    ],
)
def test_a_verifier_key_that_is_not_one_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        parse_vkey(text)
