"""`[detectors]`: which detectors beside the road are listened to, over which broker, and what is a hazard to them.

[detectors]
host = "127.0.0.1"
port = 1883
topic = "v2x/detectors"                  # a detector publishes to <topic>/<its name>

[[detectors.detector]]
name = "camera-north"
lat_deg = 48.1372
lon_deg = 11.5750
reach_m = 120

[[detectors.detector.rule]]
name = "person"
kinds = ["person"]
cause = "human_presence_on_the_road"
for_s = 1.0
"""

from typing import Annotated

import msgspec

from rsu_agent.hazard import Hazard
from rsu_agent.hazard_config import HazardConfig, SpeedLimitKmh, cause_of, hazard_of, point_of
from rsu_agent.object_lists import ObjectKind
from rsu_agent.object_watch import Detector, Rule
from shared.core.geo import GeoPoint
from shared.service.config import ConfigStruct
from shared.service.local_mqtt import Topic
from shared.service.mqtt_config import BrokerConfig

MAX_DETECTORS = 16
"""Detectors of one unit."""

MAX_RULES = 16
"""Rules of one detector."""

ShortName = Annotated[str, msgspec.Meta(min_length=1, max_length=24, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z")]
Heading = Annotated[float, msgspec.Meta(ge=0.0, lt=360.0)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=600.0)]


class RuleConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[[detectors.detector.rule]]`: objects that are a hazard, and what is said of them; see `object_watch.Rule`."""

    name: ShortName
    kinds: Annotated[tuple[ObjectKind, ...], msgspec.Meta(min_length=1, max_length=10)]
    cause: str
    sub_cause_code: int = 0
    lat_deg: float | None = None
    lon_deg: float | None = None
    within_m: Annotated[float, msgspec.Meta(gt=0.0, le=2_000.0)] | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    confidence: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.7
    min_speed_mps: Annotated[float, msgspec.Meta(ge=0.0, le=120.0)] | None = None
    max_speed_mps: Annotated[float, msgspec.Meta(ge=0.0, le=120.0)] | None = None
    heading_deg: Heading | None = None
    heading_tolerance_deg: Annotated[float, msgspec.Meta(gt=0.0, le=180.0)] = 45.0
    for_s: Seconds = 1.0
    clear_s: Annotated[float, msgspec.Meta(ge=0.5, le=600.0)] = 5.0
    radius_m: float = 300.0
    relevance_distance_m: float = 300.0
    validity_s: int = 20
    repetition_s: float = 0.5
    traffic_heading_deg: Heading | None = None
    speed_limit_kmh: SpeedLimitKmh | None = None

    def __post_init__(self) -> None:
        """Refuse halves."""
        if not (self.lat_deg is None) == (self.lon_deg is None) == (self.within_m is None):
            raise ValueError("lat_deg, lon_deg and within_m belong together: they say where objects count")
        if self.min_speed_mps is not None and self.max_speed_mps is not None and self.min_speed_mps > self.max_speed_mps:
            raise ValueError("min_speed_mps is more than max_speed_mps: nothing is that fast and that slow")


class DetectorConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[[detectors.detector]]`: one detector; see `object_watch.Detector`."""

    name: ShortName
    lat_deg: float
    lon_deg: float
    reach_m: Annotated[float, msgspec.Meta(gt=0.0, le=2_000.0)] = 150.0
    stale_s: Annotated[float, msgspec.Meta(ge=0.2, le=60.0)] = 2.0
    rule: Annotated[tuple[RuleConfig, ...], msgspec.Meta(min_length=1, max_length=MAX_RULES)]

    def __post_init__(self) -> None:
        """Refuse two rules of one name."""
        if len({rule.name for rule in self.rule}) < len(self.rule):
            raise ValueError("rule: two rules have one name")


class DetectorsConfig(BrokerConfig, frozen=True, kw_only=True):
    """`[detectors]`: the broker, and who speaks there."""

    topic: Topic = "v2x/detectors"
    detector: Annotated[tuple[DetectorConfig, ...], msgspec.Meta(min_length=1, max_length=MAX_DETECTORS)]

    def __post_init__(self) -> None:
        """Refuse two detectors of one name."""
        super().__post_init__()
        if len({each.name for each in self.detector}) < len(self.detector):
            raise ValueError("detector: two detectors have one name")


def detectors_of(config: DetectorsConfig, origin: str) -> tuple[Detector, ...]:
    """Return the detectors with their rules, checked; raises `ConfigError` that begins with `origin`."""
    return tuple(_detector(f"{origin}: detectors.detector[{index}]", each) for index, each in enumerate(config.detector))


def _detector(origin: str, config: DetectorConfig) -> Detector:
    position = point_of(origin, config.lat_deg, config.lon_deg)
    return Detector(
        name=config.name,
        position=position,
        reach_m=config.reach_m,
        stale_s=config.stale_s,
        rules=tuple(_rule(f"{origin}.rule[{index}]", rule, position) for index, rule in enumerate(config.rule)),
    )


def _rule(origin: str, config: RuleConfig, detector: GeoPoint) -> Rule:
    centre = None
    if config.lat_deg is not None and config.lon_deg is not None:
        centre = point_of(origin, config.lat_deg, config.lon_deg)

    def hazard(position: GeoPoint) -> Hazard:
        table = HazardConfig(
            cause=config.cause,
            sub_cause_code=config.sub_cause_code,
            lat_deg=position.lat_deg,
            lon_deg=position.lon_deg,
            relevance_distance_m=config.relevance_distance_m,
            relevance_traffic_direction="all",
            radius_m=config.radius_m,
            validity_s=config.validity_s,
            repetition_s=config.repetition_s,
            heading_deg=config.traffic_heading_deg,
            speed_limit_kmh=config.speed_limit_kmh,
        )
        return hazard_of(origin, table)

    cause_of(origin, config.cause)
    hazard(detector)  # what is wrong with it is said before it is needed
    return Rule(
        name=config.name,
        kinds=frozenset(config.kinds),
        centre=centre,
        within_m=config.within_m,
        count=config.count,
        confidence=config.confidence,
        min_speed_mps=config.min_speed_mps,
        max_speed_mps=config.max_speed_mps,
        heading_deg=config.heading_deg,
        heading_tolerance_deg=config.heading_tolerance_deg,
        for_s=config.for_s,
        clear_s=config.clear_s,
        hazard=hazard,
    )
