"""What a station calls itself, and where it is: what it brings to every packet, apart from what it says.

All of an identity changes together with the ticket, for one part that stayed would name the station through the change.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.core.clock import UtcNs
from shared.core.geo import GeoPoint
from shared.core.ids import StationId, StationType
from shared.core.value import Value
from shared.network.address import MAC_OCTETS, GnAddress
from shared.network.sequence_number import MODULUS


@dataclass(frozen=True, slots=True, kw_only=True)
class StationIdentity:
    """What a station calls itself while it holds one ticket; all of it changes together.

    Attributes:
        station_id: in every message.
        address: in every packet.
        is_mobile: whether the station can move.
        first_sequence_number: of its first geocast; a fixed one would tell who has just changed.
    """

    station_id: StationId
    address: GnAddress
    is_mobile: bool
    first_sequence_number: int

    @classmethod
    def drawn(cls, station_type: StationType, entropy: Callable[[int], bytes]) -> "StationIdentity":
        """Draw a fresh identity: nothing in it says who had the last one.

        Args:
            station_type: of the station; a roadside unit does not move, all others do.
            entropy: returns that many random octets.
        """
        mac = drawn_mac(entropy)
        return cls(
            station_id=StationId(int.from_bytes(entropy(4), "big")),
            address=GnAddress(station_type=station_type, mac=mac),
            is_mobile=station_type is not StationType.ROAD_SIDE_UNIT,
            first_sequence_number=int.from_bytes(entropy(2), "big") % MODULUS,
        )

    @property
    def station_type(self) -> StationType:
        """The station type of the address."""
        return StationType(self.address.station_type)


class EgoPosition(Value):
    """Where this station is.

    Attributes:
        point: the place.
        taken_at: when it was measured, UTC.
        speed_mps: over ground, negative in reverse, or None.
        heading_deg: clockwise from north, [0, 360), or None.
        is_accurate: whether it is good enough to be relied on for forwarding.
    """

    point: GeoPoint
    taken_at: UtcNs
    speed_mps: float | None = None
    heading_deg: float | None = None
    is_accurate: bool = True


def drawn_mac(entropy: Callable[[int], bytes]) -> bytes:
    """Draw a link-layer address: unicast, locally administered."""
    mac = entropy(MAC_OCTETS)
    return bytes([mac[0] & 0xFC | 0x02]) + mac[1:]
