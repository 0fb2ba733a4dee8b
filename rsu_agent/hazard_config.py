"""A hazard as people write it: a table of the configuration, an order, a traffic centre's document; checked when it is read."""

from typing import Annotated, Literal

import msgspec

from rsu_agent.hazard import Hazard
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceTrafficDirection
from shared.service.config import ConfigStruct

Direction = Literal["all", "upstream", "downstream", "opposite"]
"""For whom an event matters, seen from the event."""

SpeedLimitKmh = Annotated[int, msgspec.Meta(ge=2, le=250)]

_DIRECTIONS = {
    "all": RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS,
    "upstream": RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    "downstream": RelevanceTrafficDirection.DOWNSTREAM_TRAFFIC,
    "opposite": RelevanceTrafficDirection.OPPOSITE_TRAFFIC,
}


class HazardConfig(ConfigStruct, frozen=True):
    """`[[hazard]]`, and what an order or a traffic centre says of a hazard; see `hazard.Hazard`."""

    cause: str
    lat_deg: float
    lon_deg: float
    relevance_distance_m: float
    radius_m: float
    sub_cause_code: int = 0
    relevance_traffic_direction: Direction = "upstream"
    validity_s: int = 600
    repetition_s: float = 1.0
    heading_deg: float | None = None
    speed_limit_kmh: SpeedLimitKmh | None = None
    traces_deg: tuple[tuple[tuple[float, float], ...], ...] = ()
    cancel_at_stop: bool = True


def hazard_of(origin: str, hazard: HazardConfig) -> Hazard:
    """Return a hazard, checked; raises `ConfigError` that begins with `origin` and names the key."""
    return Hazard(
        origin=origin,
        cause_code=cause_of(origin, hazard.cause),
        sub_cause_code=hazard.sub_cause_code,
        position=point_of(origin, hazard.lat_deg, hazard.lon_deg),
        relevance_distance_m=hazard.relevance_distance_m,
        relevance_traffic_direction=_DIRECTIONS[hazard.relevance_traffic_direction],
        radius_m=hazard.radius_m,
        validity_s=hazard.validity_s,
        repetition_s=hazard.repetition_s,
        heading_deg=hazard.heading_deg,
        speed_limit_mps=None if hazard.speed_limit_kmh is None else hazard.speed_limit_kmh / 3.6,
        traces=tuple(
            tuple(point_of(f"{origin}: traces_deg[{n}][{i}]", *point) for i, point in enumerate(trace))
            for n, trace in enumerate(hazard.traces_deg)
        ),
        cancel_at_stop=hazard.cancel_at_stop,
    )


def cause_of(origin: str, name: str) -> CauseCode:
    """Return a cause by its name in lower case; raises `ConfigError`."""
    try:
        cause = CauseCode[name.upper()]
    except KeyError:
        cause = CauseCode.RESERVED
    if not cause:
        known = ", ".join(each.name.lower() for each in CauseCode if each)
        raise ConfigError(f"{origin}: cause", f"{name[:64]!r} is not one of {known}")
    return cause


def point_of(key: str, lat_deg: float, lon_deg: float) -> GeoPoint:
    """Return a place; raises `ConfigError` for none."""
    try:
        return GeoPoint(lat_deg, lon_deg)
    except ValueError as error:
        raise ConfigError(key, str(error)) from None
