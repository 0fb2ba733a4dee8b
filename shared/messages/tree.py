"""Any facilities message as a plain tree: for messages without a type of their own, and for what typed messages leave out.

`shared.codec.uper` describes the trees. Nothing here knows units or special values.
"""

from shared.codec.asn1 import message_codec
from shared.codec.uper import Tree
from shared.core.ids import MessageId
from shared.messages.pdu import peek_header


def decode_tree(encoded: bytes) -> tuple[MessageId, Tree]:
    """Decode a whole message of whatever type its header names; raises `DecodeError` and nothing else."""
    message_id = peek_header(encoded).message_id
    return message_id, message_codec(message_id).decode(encoded)


def encode_tree(message_id: MessageId, tree: Tree) -> bytes:
    """Encode a tree with its header; raises `EncodeError` naming the field that does not fit."""
    return message_codec(message_id).encode(tree)
