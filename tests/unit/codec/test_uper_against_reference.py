from random import Random

import pytest

from shared.codec.asn1 import message_codec
from shared.codec.bits import MAX_ENCODED_OCTETS
from shared.core.errors import DecodeError
from shared.core.ids import MessageId
from tests.unit.codec.uper_values import random_value, reference_type

VALUES = 60


def random_encoding(random: Random, message_id: MessageId) -> bytes:
    reference = reference_type(message_id)
    while True:
        reference.set_val(random_value(random, reference, depth=9).reference)
        encoded: bytes = reference.to_uper()
        if len(encoded) <= MAX_ENCODED_OCTETS:
            return encoded


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("message_id", MessageId)
def test_random_values_encode_and_decode_as_the_reference_does(message_id: MessageId, seed: int) -> None:
    random = Random(1000 * seed + message_id)
    reference = reference_type(message_id)
    codec = message_codec(message_id)
    compared = 0
    for _ in range(VALUES):
        value = random_value(random, reference)
        reference.set_val(value.reference)
        expected = reference.to_uper()
        if len(expected) > MAX_ENCODED_OCTETS:
            continue
        assert codec.encode(value.tree) == expected
        assert codec.decode(expected) == value.tree
        reference.from_uper(codec.encode(value.tree))
        assert reference.get_val() == value.decoded
        compared += 1
    assert compared > VALUES // 2


@pytest.mark.parametrize("message_id", MessageId)
def test_what_a_flipped_bit_leaves_is_a_value_that_encodes_back_or_a_decode_error(message_id: MessageId) -> None:
    random = Random(message_id)
    codec = message_codec(message_id)
    accepted = refused = 0
    for _ in range(25):
        encoded = random_encoding(random, message_id)
        for bit in random.sample(range(8 * len(encoded)), k=min(60, 8 * len(encoded))):
            flipped = bytearray(encoded)
            flipped[bit // 8] ^= 0x80 >> bit % 8
            error = None
            try:
                value = codec.decode(bytes(flipped))
            except DecodeError as raised:
                error = raised
            if error is None:
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
    for _ in range(10):
        encoded = random_encoding(random, message_id)
        for octets in range(len(encoded)) if len(encoded) < 300 else random.sample(range(len(encoded)), k=100):
            with pytest.raises(DecodeError):
                codec.decode(encoded[:octets])
        for trailing in (b"\0", b"\xff"):
            with pytest.raises(DecodeError, match="left over"):
                codec.decode(encoded + trailing)
