from random import Random

import pytest

from shared.codec.asn1 import message_codec
from shared.core.errors import DecodeError
from shared.core.ids import MessageId
from tests.helpers.paths import RANDOM_VALUES, decoded_alike, encoded_alike
from tests.unit.codec.uper_values import Draw, reference_type


def draws(random: Random) -> list[Draw]:
    """Return ways to draw values: large and small, as the schema is and as it has been extended."""
    return [Draw(random, likelihood=likelihood, extended=extended) for likelihood in (0.6, 0.25) for extended in (True, False)]


@pytest.mark.parametrize("message_id", MessageId)
def test_random_values_encode_and_decode_as_the_reference_does_on_both_paths(message_id: MessageId) -> None:
    reference = reference_type(message_id)
    codec = message_codec(message_id)
    ways = draws(Random(message_id))
    taken = 0
    for n in range(RANDOM_VALUES):
        value, expected = ways[n % len(ways)].message(message_id)
        assert codec.encode_completely(value.tree) == expected
        assert codec.decode_completely(expected) == value.tree
        taken += decoded_alike(codec, expected)
        encoded_alike(codec, value.tree)
        reference.from_uper(codec.encode(value.tree))
        assert reference.get_val() == value.decoded
    assert taken >= RANDOM_VALUES // 2


@pytest.mark.parametrize("message_id", MessageId)
def test_what_uses_no_extension_takes_the_generated_path(message_id: MessageId) -> None:
    codec = message_codec(message_id)
    draw = Draw(Random(message_id), extended=False)
    for _ in range(40):
        value, encoded = draw.message(message_id)
        assert decoded_alike(codec, encoded)
        assert encoded_alike(codec, value.tree)


@pytest.mark.parametrize("message_id", MessageId)
def test_what_a_flipped_bit_leaves_is_a_value_that_encodes_back_or_a_decode_error(message_id: MessageId) -> None:
    random = Random(message_id)
    codec = message_codec(message_id)
    accepted = refused = 0
    for way in 6 * draws(random):
        _, encoded = way.message(message_id)
        for bit in random.sample(range(8 * len(encoded)), k=min(60, 8 * len(encoded))):
            flipped = bytearray(encoded)
            flipped[bit // 8] ^= 0x80 >> bit % 8
            decoded_alike(codec, bytes(flipped))
            error = None
            try:
                value = codec.decode(bytes(flipped))
            except DecodeError as raised:
                error = raised
            if error is None:
                encoded_alike(codec, value)
                assert codec.encode(value) == flipped
                accepted += 1
            else:
                assert error.field.startswith(message_id.name)
                assert error.bit_offset is not None
                assert 0 <= error.bit_offset <= 8 * len(encoded)
                refused += 1
    assert accepted
    assert refused


@pytest.mark.parametrize("message_id", MessageId)
def test_every_truncation_and_any_trailing_octet_is_refused(message_id: MessageId) -> None:
    random = Random(message_id)
    codec = message_codec(message_id)
    for way in 2 * draws(random):
        _, encoded = way.message(message_id)
        for octets in range(len(encoded)) if len(encoded) < 200 else random.sample(range(len(encoded)), k=60):
            with pytest.raises(DecodeError):
                codec.decode(encoded[:octets])
        for trailing in (b"\0", b"\xff"):
            with pytest.raises(DecodeError, match=r"left over|more than"):
                codec.decode(encoded + trailing)
