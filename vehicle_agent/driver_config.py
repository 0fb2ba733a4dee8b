"""The `[driver]` table of the vehicle agent's configuration: where the driver's display gets its view from. All of it is optional.

[driver]
socket = "driver.sock"          # JSON lines
town_limit_kmh = 50             # the limit where no map gives one

[driver.mqtt]                   # a broker on this machine
[driver.can]                    # frames by vehicle_agent/driver.dbc
interface = "socketcan"
channel = "can1"
"""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.core.units import KMH_PER_MPS
from shared.service.config import ConfigStruct
from shared.service.local_mqtt import LocalMqttConfig
from vehicle_agent.speed_plan import GlosaSettings

Kmh = Annotated[int, msgspec.Meta(ge=10, le=130)]


class DriverCanConfig(ConfigStruct, frozen=True, kw_only=True):
    """The bus of the display; `interface` and `options` are those of a `[[can]]` table.

    Attributes:
        interface: `socketcan`, `udp_multicast`, `virtual` ...
        channel: of that interface.
        options: further arguments of it.
        dbc: a description of one's own; the one that ships with the agent where none is named.
    """

    interface: str
    channel: str
    options: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)
    dbc: Path | None = None


class DriverConfig(ConfigStruct, frozen=True, kw_only=True):
    """Where the view goes.

    Attributes:
        socket: where the Unix socket is, or None.
        mqtt: the local broker, or None.
        can: the display's bus, or None.
        town_limit_kmh: the limit where no map gives one.
    """

    socket: Path | None = None
    mqtt: LocalMqttConfig | None = None
    can: DriverCanConfig | None = None
    town_limit_kmh: Kmh = 50

    @property
    def glosa(self) -> GlosaSettings:
        """What speed advice reckons with."""
        return GlosaSettings(default_limit_mps=self.town_limit_kmh / KMH_PER_MPS)
