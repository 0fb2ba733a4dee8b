"""`[backhaul]`: a traffic centre's broker, to which the unit tells what it verified, and from which it takes hazards.

    [backhaul]
    host = "broker.example"
    ca = "centre/ca.pem"
    certificate = "centre/unit.pem"
    key = "/run/credentials/rsu-agent.service/backhaul.key"
    unit = "crossing-4049"                   # this unit's own level of every topic; no two units have one name
    topic = "v2x/backhaul"

The broker is believed for what it hands on: its access rules say that only the centre publishes hazards, and each unit only under
its own name (`docs/hazards.md`).
"""

from typing import Annotated

import msgspec

from rsu_agent.backhaul_documents import COMMON_LEVEL
from rsu_agent.detector_config import ShortName
from shared.service.local_mqtt import Topic
from shared.service.mqtt_config import BrokerConfig


class BackhaulConfig(BrokerConfig, frozen=True, kw_only=True):
    """The centre's broker.

    Attributes:
        unit: what this unit is called there.
        topic: what all topics begin with.
        traffic_interval_s: how often the traffic is told of; 0 for never.
        reach_m: how far from the unit a hazard may be that the centre tells all units.
    """

    unit: ShortName
    topic: Topic = "v2x/backhaul"
    traffic_interval_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 1.0
    reach_m: Annotated[float, msgspec.Meta(gt=0.0, le=50_000.0)] = 5_000.0

    def __post_init__(self) -> None:
        """Refuse an interval nobody could keep to, and the name under which the centre speaks to all units."""
        super().__post_init__()
        if self.unit == COMMON_LEVEL:
            raise ValueError(f"unit: {self.unit!r} is the level of hazards for all units, and can be no unit's name")
        if 0.0 < self.traffic_interval_s < 0.2:
            raise ValueError(f"traffic_interval_s: {self.traffic_interval_s} is less than 0.2 and not 0")
