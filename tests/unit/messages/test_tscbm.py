from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.core.errors import DecodeError, EncodeError
from shared.messages.tscbm import LONG_OCTETS, NUMBERS, SHORT_OCTETS, TimesToChange, Tscbm, decode_tscbm, encode_tscbm
from tests.helpers.data import data_file

SAMPLE = "messages/v2xhub_ntcip1202_tscbm_spat_1721238398773.bin"

NONE: frozenset[int] = frozenset()
QUIET = Tscbm(
    times=(TimesToChange(),) * 16,
    reds=frozenset(NUMBERS),
    yellows=NONE,
    greens=NONE,
    dont_walks=frozenset(NUMBERS),
    pedestrian_clears=NONE,
    walks=NONE,
    overlap_reds=frozenset(NUMBERS),
    overlap_yellows=NONE,
    overlap_greens=NONE,
    flashing_phases=NONE,
    flashing_overlaps=NONE,
    status=0,
    time_base=0,
    discontinuity=8,
    sequence=255,
    hour=23,
    minute=59,
    second=60,
    millisecond=999,
)


def test_a_datagram_of_a_real_controller_says_what_it_showed_and_goes_back_to_the_same_octets() -> None:
    datagram = data_file(SAMPLE).read_bytes()
    heard = decode_tscbm(datagram)
    assert heard.greens == {2, 6}
    assert heard.reds == frozenset(NUMBERS) - {2, 6}
    assert (heard.yellows, heard.walks, heard.dont_walks) == (NONE, NONE, frozenset(NUMBERS))
    assert (heard.sequence, heard.hour, heard.minute, heard.second, heard.millisecond) == (4, 1, 32, 33, 0)
    assert {number for number, times in zip(NUMBERS, heard.times, strict=True) if times.vehicle_min_s == 4.0} == {1, 3, 4, 5, 7, 8}
    assert {times.vehicle_max_s for times in heard.times[:8]} == {None}
    assert encode_tscbm(heard) == datagram


def test_the_longer_form_has_what_those_on_foot_asked_for() -> None:
    asked = replace(QUIET, pedestrian_calls=frozenset({2, 16}), pedestrian_detections=NONE)
    assert len(encode_tscbm(QUIET)) == SHORT_OCTETS == 241
    assert len(encode_tscbm(asked)) == LONG_OCTETS == 245
    assert encode_tscbm(asked)[-4:] == bytes.fromhex("80020000")
    assert decode_tscbm(encode_tscbm(asked)) == asked


@pytest.mark.parametrize(
    "whole", [encode_tscbm(QUIET), encode_tscbm(replace(QUIET, pedestrian_calls=NONE, pedestrian_detections=NONE))]
)
def test_a_datagram_of_another_length_is_refused(whole: bytes) -> None:
    for wrong in [*(whole[:octets] for octets in range(len(whole)) if octets != SHORT_OCTETS), whole + b"\0"]:
        with pytest.raises(DecodeError, match="octets, not 241 or 245"):
            decode_tscbm(wrong)


@pytest.mark.parametrize(
    ("at", "octet", "field", "bit"),
    [
        (0, 0xCC, "tscbm.identifier", 0),
        (1, 15, "tscbm.entries", 8),
        (2, 2, "tscbm.times[1].number", 16),
        (197, 17, "tscbm.times[16].number", 1_576),
        (236, 24, "tscbm.hour", 1_888),
        (237, 60, "tscbm.minute", 1_896),
        (238, 61, "tscbm.second", 1_904),
        (239, 4, "tscbm.millisecond", 1_912),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(at: int, octet: int, field: str, bit: int) -> None:
    datagram = bytearray(encode_tscbm(QUIET))
    datagram[at] = octet
    with pytest.raises(DecodeError) as refusal:
        decode_tscbm(bytes(datagram))
    assert (refusal.value.field, refusal.value.bit_offset) == (field, bit)


def test_every_flipped_bit_gives_another_message_or_is_refused() -> None:
    datagram = encode_tscbm(QUIET)
    for bit in range(8 * len(datagram)):
        flipped = (int.from_bytes(datagram, "big") ^ 1 << bit).to_bytes(len(datagram), "big")
        try:
            heard = decode_tscbm(flipped)
        except DecodeError:
            continue
        assert heard != QUIET
        assert encode_tscbm(heard) == flipped


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"times": ()}, "times"),
        ({"times": (TimesToChange(vehicle_max_s=6_553.5),) * 16}, r"times\[1\].vehicle_max_s"),
        ({"times": (TimesToChange(overlap_min_s=-0.1),) * 16}, r"times\[1\].overlap_min_s"),
        ({"times": (TimesToChange(vehicle_min_s=inf),) * 16}, r"times\[1\].vehicle_min_s"),
        ({"times": (TimesToChange(vehicle_min_s=nan),) * 16}, r"times\[1\].vehicle_min_s"),
        ({"reds": frozenset({17})}, "reds"),
        ({"walks": frozenset({0})}, "walks"),
        ({"hour": 24}, "hour"),
        ({"sequence": -1}, "sequence"),
        ({"pedestrian_calls": NONE}, "pedestrian_calls"),
        ({"pedestrian_calls": frozenset({99}), "pedestrian_detections": NONE}, "pedestrian_calls"),
    ],
)
def test_what_cannot_be_said_names_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(EncodeError, match=f"^{field}: "):
        encode_tscbm(replace(QUIET, **changes))


@given(content=st.binary(min_size=241, max_size=245))
def test_any_octets_give_a_message_that_goes_back_to_them_or_a_typed_error(content: bytes) -> None:
    head = bytearray(content)
    head[:2] = b"\xcd\x10"
    for number in NUMBERS:
        head[2 + 13 * (number - 1)] = number
    for datagram in (content, bytes(head)):
        try:
            heard = decode_tscbm(datagram)
        except DecodeError:
            continue
        assert encode_tscbm(heard) == datagram
