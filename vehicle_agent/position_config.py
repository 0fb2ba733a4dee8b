"""The `[position]` table of the vehicle agent's configuration: who says where the vehicle is.

[position]                      [position]                      [position]
source = "gpsd"                 source = "nmea"                 source = "can"          # the default: signals of the map
host = "127.0.0.1"              device = "/dev/ttyACM0"
port = 2947                     baud = 115200                   [position]
                                                                source = "fixed"        # with lat_deg and lon_deg
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.core.geo import GeoPoint
from shared.service.config import ConfigStruct

GPSD_PORT = 2_947

BAUD_RATES = (9_600, 4_800, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600)
"""What a serial device may be set to; the first is the usual one."""

Baud = Literal[4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
DelayMs = Annotated[int, msgspec.Meta(ge=0, le=2_000)]
"""How long after the moment of a fix its report arrives at the earliest: what the receiver reckons and its line takes."""


class CanPosition(ConfigStruct, frozen=True, kw_only=True, tag_field="source", tag="can"):
    """Signals of the map."""


class FixedPosition(ConfigStruct, frozen=True, kw_only=True, tag_field="source", tag="fixed"):
    """One fixed place: a bench, a vehicle that never moves.

    Attributes:
        lat_deg: WGS-84.
        lon_deg: WGS-84.
        heading_deg: where it looks, from north; with it the vehicle is known to stand. A bus that says otherwise is believed.
    """

    lat_deg: Annotated[float, msgspec.Meta(ge=-90.0, le=90.0)]
    lon_deg: Annotated[float, msgspec.Meta(ge=-180.0, le=180.0)]
    heading_deg: Annotated[float, msgspec.Meta(ge=0.0, lt=360.0)] | None = None

    @property
    def point(self) -> GeoPoint:
        """The place."""
        return GeoPoint(self.lat_deg, self.lon_deg)


class GpsdPosition(ConfigStruct, frozen=True, kw_only=True, tag_field="source", tag="gpsd"):
    """A receiver by way of gpsd.

    Attributes:
        host: where gpsd is.
        port: of gpsd.
        device: which of its receivers, as gpsd calls it (`/dev/ttyACM0`); None for whichever has a fix.
        delay_ms: see `DelayMs`.
    """

    host: Host = "127.0.0.1"
    port: Port = GPSD_PORT
    device: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    delay_ms: DelayMs = 0


class NmeaPosition(ConfigStruct, frozen=True, kw_only=True, tag_field="source", tag="nmea"):
    """A receiver that speaks NMEA 0183: a serial device, a server or sender on the network, or a file recorded from one.

    Attributes:
        device: a serial device, or what is read like one: a pipe, a pseudo-terminal.
        baud: of the device; 9600 where nothing is said.
        host: of a TCP server, or for UDP the own address to listen at.
        port: of the server, or to listen at.
        transport: how `host` and `port` are meant.
        file: recorded sentences, told at the pace of their times: for laboratories.
        delay_ms: see `DelayMs`.
    """

    device: Path | None = None
    baud: Baud | None = None
    host: Host | None = None
    port: Port | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    file: Path | None = None
    delay_ms: DelayMs = 0

    def __post_init__(self) -> None:
        """Refuse a receiver that is nowhere or in two places, and what would be ignored."""
        if (self.host is None) is not (self.port is None):
            raise ValueError("host and port belong together")
        if sum(place is not None for place in (self.device, self.host, self.file)) != 1:
            raise ValueError("nmea needs one of device, host with port, and file")
        if self.baud is not None and self.device is None:
            raise ValueError("baud belongs to a device")


ReceiverPosition = GpsdPosition | NmeaPosition
PositionConfig = CanPosition | FixedPosition | GpsdPosition | NmeaPosition
