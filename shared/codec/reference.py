"""The reference: pycrate's own run time, for comparison in tests and in `v2x bench` and nowhere else.

It keeps the value in the type object, so one thread at a time; it accepts more than it should. No program calls it: an import
contract lets only `shared.bench` in.
"""

from importlib import import_module
from typing import Any

from shared.core.ids import MessageId

_SCHEMAS: dict[MessageId, tuple[str, str]] = {
    MessageId.CAM: ("ITS_CAM_2", "CAM_PDU_Descriptions"),
    MessageId.DENM: ("ITS_DENM_3", "DENM_PDU_Descriptions"),
    MessageId.SPATEM: ("ITS_IS", "SPATEM_PDU_Descriptions"),
    MessageId.MAPEM: ("ITS_IS", "MAPEM_PDU_Descriptions"),
    MessageId.IVIM: ("ITS_IS", "IVIM_PDU_Descriptions"),
    MessageId.SREM: ("ITS_IS", "SREM_PDU_Descriptions"),
    MessageId.SSEM: ("ITS_IS", "SSEM_PDU_Descriptions"),
    MessageId.RTCMEM: ("ITS_IS", "RTCMEM_PDU_Descriptions"),
}

Value = Any
"""A value in the reference's own form."""


class ReferenceCodec:
    """One message type as the reference encodes and decodes it.

    Args:
        message_id: the message type.
    """

    def __init__(self, message_id: MessageId) -> None:
        schema, module = _SCHEMAS[message_id]
        self._type = getattr(getattr(import_module(f"pycrate_asn1dir.{schema}"), module), message_id.name)

    def encode(self, value: Value) -> bytes:
        """Encode a value in unaligned PER."""
        self._type.set_val(value)
        encoded: bytes = self._type.to_uper()
        return encoded

    def decode(self, encoded: bytes) -> Value:
        """Decode unaligned PER."""
        self._type.from_uper(encoded)
        return self._type.get_val()
