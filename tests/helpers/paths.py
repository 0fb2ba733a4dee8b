"""The two paths of a codec, generated and complete, held against each other."""

import os
from typing import Any

from shared.codec.cells import NOT_ENCODED
from shared.codec.message_codec import NOT_DECODED, MessageCodec
from shared.core.errors import DecodeError, EncodeError

RANDOM_VALUES = int(os.environ.get("V2X_RANDOM_VALUES", "80"))
"""Random values per message type and test. The whole set is 20,000; see tests/README.md."""


def decoded_alike(codec: MessageCodec[Any], encoded: bytes) -> bool:
    """Decode on both paths; they must agree. Return whether the generated path took it."""
    try:
        fast = codec.generated_decoder()(encoded)
    except NOT_DECODED:
        return False
    complete = codec.decode_completely(encoded)
    assert fast == complete
    assert repr(fast) == repr(complete)
    return True


def encoded_alike(codec: MessageCodec[Any], value: Any) -> bool:
    """Encode on both paths; they must agree. Return whether the generated path took it."""
    try:
        fast = codec.generated_encoder()(value)
    except NOT_ENCODED:
        return False
    assert fast == codec.encode_completely(value)
    return True


def outcome_of_decoding(codec: MessageCodec[Any], encoded: bytes) -> Any:
    """Return the value, or the error as text."""
    try:
        return codec.decode(encoded)
    except DecodeError as refused:
        return str(refused)


def outcome_of_encoding(codec: MessageCodec[Any], value: Any) -> bytes | str:
    """Return the octets, or the error as text."""
    try:
        return codec.encode(value)
    except EncodeError as refused:
        return str(refused)
