"""Basic Transport Protocol, type B (EN 302 636-5-1 V2.2.1 clause 7.3): which facility a packet is for.

    destination port u16 | destination port info u16

BTP-A (interactive, with a source port) is not used by any service of ours and is refused by `shared.network.packet`.
"""

from dataclasses import dataclass
from struct import Struct

from shared.network.octets import require_length, require_unsigned

BTP_OCTETS = 4

_LAYOUT = Struct(">HH")


@dataclass(frozen=True, slots=True, kw_only=True)
class BtpB:
    """A BTP-B header.

    Attributes:
        destination_port: `shared.core.ids.BtpPort`, or any other number 0..65535.
        destination_port_info: 0 for the well-known ports.
    """

    destination_port: int
    destination_port_info: int = 0


def encode_btp_b(header: BtpB) -> bytes:
    """Return four octets; raises `EncodeError` for a number beyond 65535."""
    return _LAYOUT.pack(
        require_unsigned(header.destination_port, 16, "btp.destination_port"),
        require_unsigned(header.destination_port_info, 16, "btp.destination_port_info"),
    )


def decode_btp_b(data: bytes) -> BtpB:
    """Read four octets; raises `DecodeError` on any other length."""
    require_length(data, BTP_OCTETS, "btp")
    port, info = _LAYOUT.unpack(data)
    return BtpB(destination_port=port, destination_port_info=info)
