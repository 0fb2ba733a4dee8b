"""Hazards that came while the unit ran: who placed them, under which id, and until when; and what such a hazard is called.

    configured   in the unit's own file; there from its start to its end
    operator     over HTTP or with `rsu-agent hazard`
    centre       a traffic centre, over its broker
    detector     objects that a camera, radar or lidar sees
    vehicles     what several vehicles warn of, as policy asks

The name under which a placed hazard is kept over a restart says all of that: `operator/h1/1796000000`. The hazards of operator and
centre go on after a restart; what detectors and vehicles said is taken back, for nobody knows whether it still holds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from rsu_agent.hazard import Hazard
from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import ConfigError, V2xError

MAX_ID_LENGTH = 64
"""Characters of the id of a placed hazard."""

MIN_LASTS_S, MAX_LASTS_S = 10, 30 * 86_400
"""How long a placed hazard may be told of, whole seconds."""

DEFAULT_LASTS_S = 3_600
"""How long one is told of whose end nobody named: a forgotten warning ends by itself."""


class HazardSource(Enum):
    """Who placed a hazard."""

    OPERATOR = "operator"
    CENTRE = "centre"
    DETECTOR = "detector"
    VEHICLES = "vehicles"

    @property
    def outlasts_restart(self) -> bool:
        """Whether its hazards go on after a restart."""
        return self in (HazardSource.OPERATOR, HazardSource.CENTRE)


CONFIGURED = "configured"
"""What the source of a hazard is called that was in the unit's own file."""

MAX_PLACED: Mapping[HazardSource, int] = MappingProxyType(
    {HazardSource.OPERATOR: 32, HazardSource.CENTRE: 32, HazardSource.DETECTOR: 16, HazardSource.VEHICLES: 16}
)
"""Most hazards each may have placed at one time: no detector and no vehicle takes the operator's room away."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")
_NAME = re.compile(r"([a-z]+)/([A-Za-z0-9][A-Za-z0-9_.:-]{0,63})/(-|[0-9]{1,12})")


class NoSuchHazardError(V2xError):
    """A hazard was to be taken back that is not there: never placed, taken back, or over."""

    def __init__(self, source: HazardSource, hazard_id: str) -> None:
        super().__init__(f"there is no hazard {hazard_id!r} of {source.value}")

    @property
    def code(self) -> str:
        """`no_such_hazard`."""
        return "no_such_hazard"


class HazardsFullError(V2xError):
    """There is no room for another hazard of this source."""

    def __init__(self, source: HazardSource, own: int, of_all: int) -> None:
        super().__init__(f"there is no room for another hazard of {source.value}: {own} of its own and {of_all} in all are told of")

    @property
    def code(self) -> str:
        """`hazards_full`."""
        return "hazards_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedName:
    """Which hazard, and until when.

    Attributes:
        source: who placed it.
        hazard_id: what they call it.
        ends_utc_s: when it is over, whole seconds of UTC since 1970; None while its source says that it is there.
    """

    source: HazardSource
    hazard_id: str
    ends_utc_s: int | None = None

    @property
    def text(self) -> str:
        """As it is kept."""
        return f"{self.source.value}/{self.hazard_id}/{'-' if self.ends_utc_s is None else self.ends_utc_s}"


def parse_placed_name(text: str) -> PlacedName | None:
    """Return what a kept name says, or None for that of a configured hazard."""
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    source, hazard_id, ends = found.groups()
    try:
        return PlacedName(source=HazardSource(source), hazard_id=hazard_id, ends_utc_s=None if ends == "-" else int(ends))
    except ValueError:
        return None


def check_hazard_id(text: str) -> str:
    """Return an id, or raise `ConfigError` for what can be none."""
    if len(text) > MAX_ID_LENGTH or _ID.fullmatch(text) is None:
        raise ConfigError("id", f"an id has 1 to {MAX_ID_LENGTH} letters, digits, and of -_.: and begins with a letter or digit")
    return text


def check_lasts_s(lasts_s: int) -> int:
    """Return for how long a hazard is to be told of, or raise `ConfigError`."""
    if not MIN_LASTS_S <= lasts_s <= MAX_LASTS_S:
        raise ConfigError("lasts_s", f"{lasts_s} is not within {MIN_LASTS_S} to {MAX_LASTS_S}")
    return lasts_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A watch found that something is there, still is, or is otherwise now."""

    hazard_id: str
    hazard: Hazard


@dataclass(frozen=True, slots=True)
class Gone:
    """A watch found that something is not there any more."""

    hazard_id: str


@dataclass(frozen=True, slots=True)
class Unheeded:
    """A watch heard of something of which it does not tell, and why: fields of a notice."""

    fields: Mapping[str, object]


class HazardWatch(Protocol):
    """Looks out for hazards: by detectors, or by what vehicles say. Its hazards last while it says so."""

    @property
    def source(self) -> HazardSource:
        """In whose name it speaks."""
        ...

    def look(self, now: Instant) -> tuple[Finding | Gone | Unheeded, ...]:
        """Return what has changed since it was last asked."""
        ...

    def next_due(self) -> MonotonicNs | None:
        """Return when it is to be asked again; None while nothing can change."""
        ...

    def status(self) -> dict[str, object]:
        """Return what it knows and counted, as JSON values."""
        ...
