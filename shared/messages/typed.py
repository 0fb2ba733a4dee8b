"""The message types that have typed values, in one table; all others are reached as trees (`tree.py`)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from shared.codec.message_codec import MessageCodec
from shared.core.ids import MessageId
from shared.messages import cam, denm, ivim, mapem, spatem, srem, ssem

TYPED_CODECS: Final[Mapping[MessageId, MessageCodec[Any]]] = MappingProxyType(
    {
        MessageId.CAM: cam.CODEC,
        MessageId.DENM: denm.CODEC,
        MessageId.SPATEM: spatem.CODEC,
        MessageId.MAPEM: mapem.CODEC,
        MessageId.IVIM: ivim.CODEC,
        MessageId.SREM: srem.CODEC,
        MessageId.SSEM: ssem.CODEC,
    }
)


def prepare_codecs(*message_ids: MessageId) -> None:
    """Generate the code of these messages, or of all, so that the first of them on the air does not wait a tenth of a second."""
    for message_id in message_ids or TYPED_CODECS:
        TYPED_CODECS[message_id].prepare()
