"""A parameter group of SAE J1939 as it was sent: in one frame, or put together from packets of the transport protocol."""

from dataclasses import dataclass

from shared.core.clock import MonotonicNs

CLAIMED_ADDRESS = 0xEE00
ACKNOWLEDGEMENT = 0xE800
REQUEST = 0xEA00
TP_CONNECTION = 0xEC00
TP_DATA = 0xEB00
VEHICLE_IDENTIFICATION = 65_260
COMPONENT_IDENTIFICATION = 65_259
SOFTWARE_IDENTIFICATION = 65_242
VEHICLE_DISTANCE = 65_248
HIGH_RESOLUTION_VEHICLE_DISTANCE = 65_217


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterGroup:
    """One group as one unit sent it.

    Attributes:
        pgn: its number.
        source: who sent it.
        destination: to whom; `GLOBAL_ADDRESS` for everybody.
        data: at most 1,785 octets.
        channel: the bus.
        received: when its last packet came.
    """

    pgn: int
    source: int
    destination: int
    data: bytes
    channel: str
    received: MonotonicNs
