"""However hard an encoding is made, looking at it takes less than 20 ms and 8 MB."""

import tracemalloc
from time import process_time
from typing import Any

import pytest

from shared.codec.asn1 import message_codec, message_type
from shared.codec.message_codec import MessageCodec
from shared.core.ids import MessageId
from shared.messages.typed import TYPED_CODECS
from tests.helpers.paths import outcome_of_decoding
from tests.unit.codec.hard_inputs import hard_encodings

MOST_S = 0.020
MOST_OCTETS = 8_000_000


def hardest(message_id: MessageId) -> list[bytes]:
    """Return long messages the generated path reads to their end before it finds that a bit of the padding is set."""
    full = hard_encodings(message_type(message_id))
    return [bytes((2, message_id)) + encoded[2:-1] + bytes((encoded[-1] | 1,)) for encoded in full]


def seconds(codec: MessageCodec[Any], encoded: bytes) -> float:
    """Return what decoding takes of the processor, which others may keep busy: the least of a few tries."""

    def once() -> float:
        begun = process_time()
        outcome_of_decoding(codec, encoded)
        return process_time() - begun

    return min(once() for _ in range(3))


@pytest.mark.parametrize("message_id", MessageId)
def test_a_message_of_full_lists_is_little_work(message_id: MessageId) -> None:
    encodings = hardest(message_id)
    assert encodings
    codecs = [codec for codec in (message_codec(message_id), TYPED_CODECS.get(message_id)) if codec is not None]
    for codec in codecs:
        codec.prepare()
        taken = [(seconds(codec, encoded), encoded) for encoded in encodings]
        most, encoded = max(taken)
        assert most < MOST_S
        tracemalloc.start()
        outcome_of_decoding(codec, encoded)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_OCTETS
