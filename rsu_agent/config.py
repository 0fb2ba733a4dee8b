"""The roadside unit's configuration file: TOML into frozen structs; unknown keys are refused, the error names the key.

Relative paths are taken from the folder of the configuration file. There are no default keys and no switches that turn a check off.
`systemd/rsu-agent.toml` is a commented example; plan and map have files of their own (`rsu_agent/junctions`).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from rsu_agent.backhaul_config import BackhaulConfig
from rsu_agent.cam_service import MAX_ZONES
from rsu_agent.console.http_config import HttpConfig
from rsu_agent.corroboration_config import CorroborationConfig
from rsu_agent.detector_config import DetectorsConfig
from rsu_agent.evidence_config import EvidenceConfig
from rsu_agent.hazard import Hazard
from rsu_agent.hazard_config import HazardConfig, hazard_of
from rsu_agent.listening_config import LedgerRelayConfig, MetricsConfig, WitnessConfig
from rsu_agent.priority_service import DEFAULT_POLICY, PriorityPolicy
from shared.core.clock import UtcNs
from shared.core.geo import GeoPoint
from shared.core.itstime import time64_of, timestamp_its
from shared.messages.cam import ProtectedZone
from shared.service.config import ConfigStruct
from shared.service.network_config import NetworkConfig
from shared.service.pki_config import PkiConfig, TrustConfig
from shared.service.radio_config import DEFAULT_RADIOS, CaptureConfig, RadioConfigs, require_distinct
from shared.service.verification_pool import VerificationConfig

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_EXPIRY = datetime(2004, 1, 1, tzinfo=UTC)
LATEST_EXPIRY = datetime(2100, 1, 1, tzinfo=UTC)
"""Bounds of what a protected zone's end can be; ITS time begins with the first."""


class StationConfig(ConfigStruct, frozen=True):
    """What the unit calls itself and where it stands; `station_id` is 0 to 4,294,967,295."""

    station_id: int
    lat_deg: float
    lon_deg: float

    def __post_init__(self) -> None:
        """Refuse what no station can have."""
        if not 0 <= self.station_id <= 0xFFFFFFFF:
            raise ValueError("station_id is not within 0 to 4294967295")
        GeoPoint(self.lat_deg, self.lon_deg)

    @property
    def position(self) -> GeoPoint:
        """Where the unit stands."""
        return GeoPoint(self.lat_deg, self.lon_deg)


class IdentityConfig(ConfigStruct, frozen=True, kw_only=True):
    """Folders with the authorization ticket an operator brought (with `[pki]` the unit gets its own), and with whom to trust."""

    trust: Path
    ticket: Path | None = None


class TimeConfig(ConfigStruct, frozen=True):
    """What makes UTC trusted: the kernel's synchronised state, or, said loudly at start, nothing (labs and simulation)."""

    source: Literal["synchronised", "assume_trusted"]


class JunctionConfig(ConfigStruct, frozen=True):
    """One junction: its map, its fixed-time plan or the file of its controller, and how often lights are told besides changes."""

    map: Path
    plan: Path | None = None
    controller: Path | None = None
    spatem_interval_ms: Annotated[int, msgspec.Meta(ge=20, le=1000)] = 100
    priority: PriorityPolicy = DEFAULT_POLICY

    def __post_init__(self) -> None:
        """Refuse a junction without lights, and one with two sets of them."""
        if (self.plan is None) is (self.controller is None):
            raise ValueError("a junction has either a plan or a controller")


class ProtectedZoneConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[[protected_zone]]`: a toll station around which transmitters take care; told of in every CAM until it expires."""

    lat_deg: float
    lon_deg: float
    radius_m: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    id: Annotated[int, msgspec.Meta(ge=0, le=134_217_727)] | None = None
    temporary: bool = False

    def __post_init__(self) -> None:
        """Refuse a place that does not exist, and an end no message can say."""
        GeoPoint(self.lat_deg, self.lon_deg)
        if self.expires is not None and not EARLIEST_EXPIRY <= self.expires < LATEST_EXPIRY:
            raise ValueError(f"expires is not between {EARLIEST_EXPIRY.year} and {LATEST_EXPIRY.year}")

    @property
    def zone(self) -> ProtectedZone:
        """As a message says it."""
        utc = None if self.expires is None else UtcNs((self.expires - _UNIX_EPOCH) // timedelta(microseconds=1) * 1_000)
        return ProtectedZone(
            is_temporary=self.temporary,
            lat_deg=self.lat_deg,
            lon_deg=self.lon_deg,
            radius_m=self.radius_m,
            expiry_time=None if utc is None else timestamp_its(time64_of(utc)),
            zone_id=self.id,
        )


class StateConfig(ConfigStruct, frozen=True):
    """Where `status` listens, and the file of the notices (JSON lines); standard output where none, or `-`, is named."""

    status_socket: Path
    notices: Path | None = None
    hazards: Path | None = None
    """What is needed to cancel the unit's hazards after a restart; nothing is kept where no file is named."""
    command_socket: Path | None = None
    """Where orders come in (`rsu-agent negate`), from the agent's own user and root; nowhere where none is named."""
    evidence: Path | None = None
    """The folder for what a controller said that was not believed, where `[trust]` names none."""


class RsuConfig(ConfigStruct, frozen=True):
    """The whole file."""

    station: StationConfig
    identity: IdentityConfig
    time: TimeConfig
    state: StateConfig
    radio: RadioConfigs = DEFAULT_RADIOS
    capture: CaptureConfig | None = None
    network: NetworkConfig = NetworkConfig()
    junction: JunctionConfig | None = None
    hazard: tuple[HazardConfig, ...] = ()
    detectors: DetectorsConfig | None = None
    corroboration: CorroborationConfig | None = None
    backhaul: BackhaulConfig | None = None
    signs: Path | None = None
    """The file of the road signs it says."""
    protected_zone: Annotated[tuple[ProtectedZoneConfig, ...], msgspec.Meta(max_length=MAX_ZONES)] = ()
    verification: VerificationConfig = VerificationConfig()
    trust: TrustConfig | None = None
    pki: PkiConfig | None = None
    ledger_relay: LedgerRelayConfig | None = None
    evidence: EvidenceConfig | None = None
    http: HttpConfig | None = None
    metrics: MetricsConfig | None = None
    witness: WitnessConfig | None = None

    def __post_init__(self) -> None:
        """Refuse a unit that could not get a ticket, and radios that cannot be told apart."""
        require_distinct(self.radio)
        if self.pki is None and self.identity.ticket is None:
            raise ValueError("without [pki], identity.ticket is needed")
        if self.pki is not None and self.trust is None:
            raise ValueError("[pki] needs [trust]: its lists say who the authorities are and where")
        if self.trust is not None and self.state.evidence is not None:
            raise ValueError("evidence goes into the folder that [trust] names, and state.evidence names another")
        has_place = self.evidence is not None or self.evidence_folder is not None
        if self.junction is not None and self.junction.controller is not None and not has_place:
            raise ValueError("what a controller says and nobody believes is kept: name a folder (state.evidence) or use [evidence]")

    @property
    def evidence_folder(self) -> Path | None:
        """Where evidence is kept file by file; None where no folder is named."""
        return self.state.evidence if self.trust is None else self.trust.evidence


def hazards_of(config: RsuConfig, path: Path) -> tuple[Hazard, ...]:
    """Return the configured hazards, checked.

    Args:
        config: the configuration.
        path: its file, for the errors.

    Raises:
        ConfigError: a hazard is impossible; the key says which and where.
    """
    return tuple(hazard_of(f"{path}: hazard[{index}]", hazard) for index, hazard in enumerate(config.hazard))
