"""GeoNetworking address (EN 302 636-4-1 V1.4.1 clause 6.3): who a packet says it is from.

    M (1 bit) | station type (5) | reserved (10) | MID (48: the link-layer address)

The ten reserved bits carried a country code in older editions: they are ignored on reception and zero when we encode, so two
addresses that differ only there are equal. Nothing here configures or changes an address; with every pseudonym the station makes
a new one.
"""

from dataclasses import dataclass
from struct import Struct

from shared.core.errors import EncodeError
from shared.network.octets import require_length, require_unsigned

ADDRESS_OCTETS = 8
MAC_OCTETS = 6

_LAYOUT = Struct(">H6s")
_MANUAL = 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class GnAddress:
    """One GeoNetworking address.

    Attributes:
        station_type: `shared.core.ids.StationType`; a number it does not name (0..31) is kept as it came.
        mac: link-layer address, six octets.
        is_manual: bit M: the address was configured rather than derived.
    """

    station_type: int
    mac: bytes
    is_manual: bool = False

    def __post_init__(self) -> None:
        require_unsigned(self.station_type, 5, "gn_address.station_type")
        if len(self.mac) != MAC_OCTETS:
            raise EncodeError("gn_address.mac", f"{len(self.mac)} octets instead of {MAC_OCTETS}")

    def __str__(self) -> str:
        """Return the link-layer address as `02:00:00:00:00:2a`, for people."""
        return self.mac.hex(":")


def encode_address(address: GnAddress) -> bytes:
    """Return the eight octets of `address`, reserved bits zero."""
    return _LAYOUT.pack((_MANUAL if address.is_manual else 0) | address.station_type << 10, address.mac)


def decode_address(data: bytes) -> GnAddress:
    """Read eight octets; raises `DecodeError` on any other length."""
    require_length(data, ADDRESS_OCTETS, "gn_address")
    head, mac = _LAYOUT.unpack(data)
    return GnAddress(station_type=head >> 10 & 0x1F, mac=mac, is_manual=bool(head & _MANUAL))
