"""An inspector's challenge as text: read in any case and grouping, and refused with one character wrong."""

import re
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.records.challenge import (
    MAX_CHALLENGE_CHARACTERS,
    MAX_CLOCK_DIFFERENCE_NS,
    MAX_READING_AGE_MS,
    Answer,
    challenge_text,
    check_answer,
    draw_challenge,
    parse_challenge,
)

NONCE = bytes(range(16))
TEXT = "V2X1-000G4-0R40M-30E20-9185G-R38E1-WF29Q"
NOW = UtcNs(1_795_340_000 * NS_PER_S)
ANSWER = Answer(seq=7, nonce=NONCE, is_own=True, odometer_m=48_000_000, occurred=UtcNs(NOW - 90 * NS_PER_S), reading_age_ms=300)
OTHER = replace(ANSWER, seq=6, nonce=None)


def test_a_text_pinned_today_is_the_same_tomorrow() -> None:
    assert challenge_text(NONCE) == TEXT
    assert parse_challenge(TEXT) == NONCE


def test_every_length_survives_in_any_case_and_grouping() -> None:
    random = Random(8)
    for octets in range(16, 33):
        nonce = random.randbytes(octets)
        text = challenge_text(nonce)
        assert re.fullmatch(r"V2X1(-[0-9A-HJKMNP-TV-Z]{1,5})+", text)
        assert parse_challenge(text) == parse_challenge(text.lower().replace("-", " ") + "\n") == nonce
    assert parse_challenge(TEXT.replace("0", "o").replace("V2X1-", "V2X1").replace("E1", "El")) == NONCE, "read as digits"


def test_every_single_slip_and_every_swap_of_neighbours_is_noticed() -> None:
    characters = TEXT.removeprefix("V2X1").replace("-", "")
    for at, right in enumerate(characters):
        for wrong in "0123456789ABCDEFGHJKMNPQRSTVWXYZ":
            if wrong != right:
                with pytest.raises(DecodeError):
                    parse_challenge(f"V2X1{characters[:at]}{wrong}{characters[at + 1 :]}")
    for at, (a, b) in enumerate(pairwise(characters)):
        if a != b:
            with pytest.raises(DecodeError, match="do not fit"):
                parse_challenge(f"V2X1{characters[:at]}{b}{a}{characters[at + 2 :]}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with V2X1"),
        ("V2X2-" + TEXT[5:], "begins with V2X1"),
        (TEXT[:-1], "some are missing, or too many"),
        (TEXT + "0", "some are missing, or too many"),
        (TEXT + "00", "do not fit"),
        (TEXT[:-1] + "U", "'U' stands in no challenge"),
        (TEXT[:-1] + "É", "'É' stands in no challenge"),
        ("V2X1-0000", "some are missing, or too many"),
        ("V2X1", "some are missing, or too many"),
        (TEXT + "0" * 40, "some are missing, or too many"),
        ("V2X1" + "-" * MAX_CHALLENGE_CHARACTERS, "characters are no challenge"),
    ],
)
def test_what_is_no_challenge_is_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(DecodeError, match=re.escape(why)):
        parse_challenge(text)


@pytest.mark.parametrize("octets", [0, 15, 33])
def test_a_nonce_that_no_record_may_hold_has_no_text(octets: int) -> None:
    with pytest.raises(EncodeError, match="16 to 32 fit"):
        challenge_text(bytes(octets))


def test_a_fresh_one_is_drawn_from_the_source_it_is_given() -> None:
    assert draw_challenge(lambda count: NONCE[:count]) == NONCE
    with pytest.raises(EncodeError, match="entropy"):
        draw_challenge(lambda _count: b"x")


def test_the_record_that_answers_is_found_and_its_age_told() -> None:
    answered = check_answer((OTHER, ANSWER), NONCE, NOW)
    assert (answered.seq, answered.age_ns) == (7, 90 * NS_PER_S)
    assert answered.words.endswith("By its clock it was read 90 seconds ago.")
    undated = check_answer((replace(ANSWER, occurred=None),), NONCE, NOW)
    assert "did not know the date" in undated.words
    ahead = check_answer((replace(ANSWER, occurred=UtcNs(NOW + MAX_CLOCK_DIFFERENCE_NS)),), NONCE, NOW)
    assert "is ahead of this one, it was read 5 minutes from now" in ahead.words


def test_it_is_said_what_was_signed_after_the_challenge_and_how_old_the_reading_was_then() -> None:
    fresh = check_answer((replace(ANSWER, reading_age_ms=MAX_READING_AGE_MS),), NONCE, NOW)
    assert fresh.is_fresh
    assert "it was signed after the challenge was drawn. The vehicle says that its reading was 10.0 s old then." in fresh.words
    old = check_answer((replace(ANSWER, reading_age_ms=154_857),), NONCE, NOW)
    assert not old.is_fresh
    assert "its reading was 2 minutes old then: this is no fresh reading, compare the display." in old.words
    hidden = check_answer((replace(ANSWER, reading_age_ms=None),), NONCE, NOW)
    assert not hidden.is_fresh
    assert "it hides: it may be from before the challenge." in hidden.words
    assert not any("read its odometer after" in each.words for each in (fresh, old, hidden))


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ((), "no record shown answers this challenge"),
        ((OTHER, replace(ANSWER, nonce=bytes(16))), "no record shown answers this challenge"),
        ((ANSWER, replace(ANSWER, seq=8)), "records 7 and 8 both answer it"),
        ((replace(ANSWER, is_own=False),), "is not the vehicle's own"),
        ((replace(ANSWER, odometer_m=None),), "hides its reading"),
        ((replace(ANSWER, occurred=UtcNs(NOW + MAX_CLOCK_DIFFERENCE_NS + 1)),), "one of the clocks is wrong"),
    ],
)
def test_what_answers_no_challenge_is_refused(answers: tuple[Answer, ...], why: str) -> None:
    with pytest.raises(RecordError, match=why) as caught:
        check_answer(answers, NONCE, NOW)
    assert caught.value.check == "challenge"
