"""The vehicle agent's configuration file: TOML into frozen structs; unknown keys are refused, the error names the path.

Relative paths are taken from the folder of the configuration file. There are no default keys and no switches that turn a check off;
what has a default here is a matter of taste or of physics, not of trust. `systemd/vehicle-agent.toml` is a commented example.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.core.ids import StationType
from shared.service.config import ConfigStruct
from shared.service.network_config import NetworkConfig
from shared.service.online_log import check_origin, check_places
from shared.service.pki_config import PkiConfig, TrustConfig
from shared.service.radio_config import DEFAULT_RADIOS, CaptureConfig, RadioConfigs, require_distinct
from shared.service.spool_room import DEFAULT_LIMIT_MIB
from shared.service.verification_pool import VerificationConfig
from shared.transport.ledger_places import MAX_PLACES
from vehicle_agent.denm_config import HazardsConfig
from vehicle_agent.driver_config import DriverConfig
from vehicle_agent.j1939.identifier import MAX_ADDRESS
from vehicle_agent.position_config import CanPosition, PositionConfig, ReceiverPosition
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.role_config import RoleConfig

Metres = Annotated[float, msgspec.Meta(ge=0.1, le=100.0)]
"""What an outline can measure; wider than any vehicle."""

DEFAULT_SUBMIT_DELAY_S = 60.0
"""The longest a submission to a log on a network waits."""

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class StationConfig(RoleConfig, frozen=True, kw_only=True):
    """What the vehicle is: type and outline in metres (both are sent in every CAM), and its role."""

    length_m: Metres
    width_m: Metres
    type: Literal[
        "cyclist",
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
    """Folders with the authorization ticket, the enrolment credential and the trusted roots and authorities.

    Ticket and credential are what an operator brought; with `[pki]` the vehicle gets its own and needs neither.
    """

    trust: Path
    ticket: Path | None = None
    enrolment: Path | None = None


class TimeConfig(ConfigStruct, frozen=True, kw_only=True):
    """What makes UTC trusted: the kernel's synchronised state, the receiver of `[position]`, or, said loudly at start, nothing."""

    source: Literal["synchronised", "gnss", "assume_trusted"]


class CanConfig(ConfigStruct, frozen=True, kw_only=True):
    """A bus: a `[[can]]` table; `interface` is `socketcan` or one of python-can's (`udp_multicast`, `virtual` ...).

    Attributes:
        interface: how the bus is reached.
        channel: which bus, in the words of the interface.
        map: the signal map of what is said there, a path or `package:vehicle_agent/maps/NAME.toml` for one that comes with the
            agent; None for a bus on which only questions are asked.
        name: what maps and `[requests]` call the bus; by default can0, can1 ... in the order of the file.
        j1939_address: under which units of J1939 are asked who they are (249: a service tool); None only listens.
        options: further arguments of that interface.
    """

    interface: str
    channel: str
    map: Path | None = None
    name: str | None = None
    j1939_address: Annotated[int, msgspec.Meta(ge=0, le=MAX_ADDRESS)] | None = None
    options: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)


MAX_BUSES = 8

UDP_MULTICAST_PORT = 43_113
"""Where python-can's multicast buses are by default."""


def no_such_bus(name: str, buses: Iterable[tuple[str, CanConfig]]) -> str:
    """Say which buses there are instead, and how one gets the name that was meant."""
    named = tuple(buses)
    meant = any(bus.channel == name for _, bus in named)
    which = f"of channel {name}" if meant else "that is meant"
    return f'{name}; there is {", ".join(other for other, _ in named)}; give the [[can]] {which} name = "{name}"'


def _medium(bus: CanConfig) -> tuple[object, ...]:
    """Return what makes a bus another one: of an adapter any option may, of a multicast group its port."""
    match bus.interface:
        case "socketcan" | "virtual":
            told_apart: object = None
        case "udp_multicast":
            told_apart = bus.options.get("port", UDP_MULTICAST_PORT)
        case _:
            told_apart = tuple(sorted(bus.options.items()))
    return (bus.interface, bus.channel, told_apart)


def _repeated(words: Sequence[str]) -> str:
    return next(word for word in words if words.count(word) > 1)


class OdometerConfig(ConfigStruct, frozen=True, kw_only=True):
    """When a reading is recorded besides ignition on and off."""

    every_m: AtLeastOne = 10_000
    every_s: AtLeastOne = 86_400


class LedgerConfig(ConfigStruct, frozen=True, kw_only=True):
    """The log the records are anchored in: the embedded one (`log`, `key`), or one on a network (`url`).

    Attributes:
        policy: the tlog-policy that names the log's public key and the witnesses' quorum; whoever verifies a passport needs it. For
            the embedded log it is made with the key.
        origin: the first line of the log's checkpoints, a name nobody else uses.
        log: SQLite file of the embedded log.
        key: its key file, made at first start with mode 0600.
        url: where a log on a network is reached, the preferred place first: mirrors, a roadside unit's relay, the log itself.
        pinned: file with a checkpoint note that log must stand by; without it the first one that meets the quorum is trusted.
        token: file with the bearer token its operator asks for, closed to others.
        submit_delay_s: each submission waits a random while up to this, so that its moment does not tell of the vehicle.
    """

    policy: Path
    origin: str
    log: Path | None = None
    key: Path | None = None
    url: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_PLACES)] = ()
    pinned: Path | None = None
    token: Path | None = None
    submit_delay_s: Annotated[float, msgspec.Meta(ge=0.0, le=86_400.0)] | None = None

    def __post_init__(self) -> None:
        """Refuse a name that no signed note can carry, both kinds of log or neither, and what belongs to the other kind."""
        check_origin(self.origin)
        if self.url:
            if self.log is not None or self.key is not None:
                raise ValueError("url names a log on a network, log and key an embedded one; one is enough")
            check_places(self.url)
            return
        if self.log is None or self.key is None:
            raise ValueError("an embedded log needs log and key, one on a network needs url")
        if not (self.pinned is None and self.token is None and self.submit_delay_s is None):
            raise ValueError("pinned, token and submit_delay_s belong to a log on a network, which is named by url")

    @property
    def delay_s(self) -> float:
        """The longest a submission waits."""
        return DEFAULT_SUBMIT_DELAY_S if self.submit_delay_s is None else self.submit_delay_s


class StateConfig(ConfigStruct, frozen=True, kw_only=True):
    """Files the agent keeps: the spool of records and proofs, and where `status` listens."""

    spool: Path
    status_socket: Path
    spool_limit_mib: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = DEFAULT_LIMIT_MIB
    """How large the spool may become, with the proofs to come; what is refused first is in `docs/spool.md`."""
    notices: Path | None = None
    """JSON lines for the driver; standard output where no file is named."""
    hazards: Path | None = None
    """What it takes to cancel own hazards after a restart; `hazards.json` beside the spool where no file is named."""
    counter: str | None = None
    """Counts records where an old copy of the disk does not take it back: `file:PATH` on another medium, or `tpm:nv=0x...`.
    The entries of an embedded log are counted beside it, in `PATH.log-entries` or two NV indexes above."""
    command_socket: Path | None = None
    """Where orders come in (`vehicle-agent ledger`, the holder's), from the agent's own user and root; None: nowhere."""

    @property
    def hazards_file(self) -> Path:
        """Where its own hazards are kept."""
        return self.spool.with_name("hazards.json") if self.hazards is None else self.hazards

    @property
    def vehicle_file(self) -> Path:
        """Where is kept what is known of the vehicle beside its records."""
        return self.spool.with_name("vehicle.json")


class VehicleConfig(ConfigStruct, frozen=True, kw_only=True):
    """The whole file."""

    station: StationConfig
    identity: IdentityConfig
    time: TimeConfig
    can: Annotated[tuple[CanConfig, ...], msgspec.Meta(min_length=1, max_length=MAX_BUSES)]
    ledger: LedgerConfig
    state: StateConfig
    position: PositionConfig = CanPosition()
    radio: RadioConfigs = DEFAULT_RADIOS
    capture: CaptureConfig | None = None
    network: NetworkConfig = NetworkConfig()
    hazards: HazardsConfig = HazardsConfig()
    driver: DriverConfig = DriverConfig()
    odometer: OdometerConfig = OdometerConfig()
    requests: RequestsConfig | None = None
    verification: VerificationConfig = VerificationConfig()
    trust: TrustConfig | None = None
    pki: PkiConfig | None = None

    @property
    def buses(self) -> tuple[tuple[str, CanConfig], ...]:
        """Each bus with its name."""
        return tuple((bus.name or f"can{number}", bus) for number, bus in enumerate(self.can))

    def __post_init__(self) -> None:
        """Refuse a vehicle that would have no identity, or two, and radios that cannot be told apart."""
        require_distinct(self.radio)
        if all(bus.map is None for bus in self.can):
            raise ValueError("no [[can]] names a signal map, so nothing would be known of the vehicle")
        if self.time.source == "gnss" and not isinstance(self.position, ReceiverPosition):
            raise ValueError('time.source "gnss" needs a receiver: position.source "gpsd" or "nmea"')
        names = [name for name, _ in self.buses]
        if len(set(names)) < len(names):
            raise ValueError(f"two [[can]] are called {_repeated(names)}; give each a `name = ...` of its own ({', '.join(names)})")
        media = [_medium(bus) for bus in self.can]
        for medium, bus in zip(media, self.can, strict=True):
            if media.count(medium) > 1:
                raise ValueError(f"two [[can]] are the same bus, {bus.interface} {bus.channel}: one is enough")
        if self.requests is not None and self.requests.bus not in names:
            raise ValueError(f"requests.bus is {no_such_bus(self.requests.bus, self.buses)}")
        brought = (self.identity.ticket, self.identity.enrolment)
        if self.pki is None and None in brought:
            raise ValueError("without [pki], identity.ticket and identity.enrolment are needed")
        if self.pki is not None and self.trust is None:
            raise ValueError("[pki] needs [trust]: its lists say who the authorities are and where")
        if self.pki is not None and self.identity.enrolment is not None:
            raise ValueError("identity.enrolment and [pki] are two long-term identities; one is enough")
