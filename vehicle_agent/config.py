"""The vehicle agent's configuration file: TOML into frozen structs; unknown keys are refused, the error names the path.

Relative paths are taken from the folder of the configuration file. There are no default keys and no switches that turn a check off;
what has a default here is a matter of taste or of physics, not of trust. `systemd/vehicle-agent.toml` is a commented example.
"""

from pathlib import Path
from typing import Literal

import msgspec

from shared.core.ids import StationType
from shared.service.config import ConfigStruct


class StationConfig(ConfigStruct, frozen=True, kw_only=True):
    """What the vehicle is: type and outline in metres (both are sent in every CAM)."""

    length_m: float
    width_m: float
    type: Literal[
        "moped",
        "motorcycle",
        "passenger_car",
        "bus",
        "light_truck",
        "heavy_truck",
        "trailer",
        "special_vehicle",
        "tram",
    ] = "passenger_car"

    @property
    def station_type(self) -> StationType:
        """The TS 102 894-2 number."""
        return StationType[self.type.upper()]


class IdentityConfig(ConfigStruct, frozen=True, kw_only=True):
    """Folders with the authorization ticket, the enrolment credential and the trusted roots and authorities."""

    ticket: Path
    enrolment: Path
    trust: Path


class TimeConfig(ConfigStruct, frozen=True, kw_only=True):
    """What makes UTC trusted: the kernel's synchronised state, or, said loudly at start, nothing (labs and simulation)."""

    source: Literal["synchronised", "assume_trusted"]


class CanConfig(ConfigStruct, frozen=True, kw_only=True):
    """The bus and the signal map; `interface` and `options` are python-can's (`socketcan`, `udp_multicast`, `virtual`)."""

    interface: str
    channel: str
    map: Path
    options: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)


class PositionConfig(ConfigStruct, frozen=True, kw_only=True):
    """Where the position comes from: signals of the map, or one fixed place (a bench, a vehicle that never moves)."""

    source: Literal["can", "fixed"] = "can"
    lat_deg: float | None = None
    lon_deg: float | None = None


class RadioConfig(ConfigStruct, frozen=True, kw_only=True):
    """UDP multicast radio; every packet also goes to `pcap` when that is set."""

    group: str = "239.255.89.47"
    port: int = 35_143
    interface: str = "127.0.0.1"
    pcap: Path | None = None


class OdometerConfig(ConfigStruct, frozen=True, kw_only=True):
    """When a reading is recorded besides ignition on and off."""

    every_m: int = 10_000
    every_s: int = 86_400


class LedgerConfig(ConfigStruct, frozen=True, kw_only=True):
    """The embedded ledger.

    Attributes:
        log: its SQLite file.
        key: its key file, made at first start with mode 0600.
        policy: the tlog-policy that names the log's public key, made with the key; whoever verifies a passport needs it.
        origin: the first line of its checkpoints, a name nobody else uses.
    """

    log: Path
    key: Path
    policy: Path
    origin: str


class StateConfig(ConfigStruct, frozen=True, kw_only=True):
    """Files the agent keeps: the spool of records and proofs, and where `status` listens."""

    spool: Path
    status_socket: Path
    notices: Path | None = None
    """JSON lines for the driver; standard output where no file is named."""


class VehicleConfig(ConfigStruct, frozen=True, kw_only=True):
    """The whole file."""

    station: StationConfig
    identity: IdentityConfig
    time: TimeConfig
    can: CanConfig
    ledger: LedgerConfig
    state: StateConfig
    position: PositionConfig = PositionConfig()
    radio: RadioConfig = RadioConfig()
    odometer: OdometerConfig = OdometerConfig()
