import pytest

from shared.core import errors
from shared.core.errors import (
    ConfigError,
    DecodeError,
    EncodeError,
    FrameError,
    ProofError,
    RecordError,
    SplitViewError,
    StorageError,
    TransportError,
    UntrustedTimeError,
    V2xError,
    VerificationError,
)
from shared.core.report import VerificationReport

EXAMPLES = [
    (ConfigError("agent.toml: radio.port", "must be a number"), "configuration", "agent.toml: radio.port: must be a number"),
    (EncodeError("cam.speed", "below zero"), "encode", "cam.speed: below zero"),
    (DecodeError("cam.speed", "is cut short", 17), "malformed", "cam.speed (bit 17): is cut short"),
    (DecodeError("packet", "is empty", 0), "malformed", "packet (bit 0): is empty"),
    (DecodeError("packet", "is empty"), "malformed", "packet: is empty"),
    (FrameError("0x0B4", "checksum is wrong", "checksum"), "checksum", "0x0B4: checksum is wrong"),
    (VerificationError(VerificationReport.UNTRUSTED_ROOT, "ends elsewhere"), "untrusted_root", "ends elsewhere"),
    (ProofError("hashes disagree"), "proof", "hashes disagree"),
    (SplitViewError("two roots of size 7", b"ours", b"theirs"), "split_view", "two roots of size 7"),
    (RecordError("sequence", "goes back"), "record", "sequence: goes back"),
    (UntrustedTimeError(), "untrusted_time", "the clock is not set: no trusted source of UTC yet"),
    (StorageError("spool.db", "is cut short"), "storage", "spool.db: is cut short"),
    (TransportError("socketcan:can0", "is down"), "transport", "socketcan:can0: is down"),
]


@pytest.mark.parametrize(
    ("error", "code", "sentence"), EXAMPLES, ids=lambda value: value.code if isinstance(value, V2xError) else ""
)
def test_an_error_has_a_word_for_counters_and_a_sentence_for_people(error: V2xError, code: str, sentence: str) -> None:
    assert error.code == code
    assert str(error) == sentence


def test_every_error_of_the_tree_is_among_the_examples() -> None:
    declared = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, V2xError)}
    assert declared - {V2xError} == {type(error) for error, _, _ in EXAMPLES}


def test_no_two_kinds_of_error_share_a_word() -> None:
    words = {type(error): code for error, code, _ in EXAMPLES}
    assert len(set(words.values())) == len(words)


def test_a_bad_frame_is_malformed_input_and_a_split_view_a_failed_proof() -> None:
    assert issubclass(FrameError, DecodeError)
    assert issubclass(SplitViewError, ProofError)


def test_a_split_view_keeps_both_notes_as_evidence() -> None:
    error = SplitViewError("two roots", b"ours", b"theirs")
    assert (error.trusted_note, error.conflicting_note) == (b"ours", b"theirs")


def test_a_reason_for_refusal_is_a_lower_case_word_of_its_own() -> None:
    words = [report.value for report in VerificationReport]
    assert len(set(words)) == len(words)
    assert all(word == report.name.lower() for word, report in zip(words, VerificationReport, strict=True))
