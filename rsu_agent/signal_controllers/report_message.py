"""What a signal controller and the unit say to one another as JSON over MQTT; `docs/signal-controller-mqtt.md` is the schema.

Strict: an unknown key, a number out of range, another version are refused with the key named. Words for lamps are those of traffic
engineers (`red`, `red_amber`, `green` ...), not of messages; whether a green is protected says the unit's own file.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec

from rsu_agent.map_lanes import MAX_SIGNAL_GROUP
from shared.core.errors import DecodeError
from shared.messages.spatem import IntersectionStatus
from shared.messages.ssem import PrioritizationStatus

MAX_MESSAGE_OCTETS = 8_000
"""With its topic it fits into the largest packet our connections take."""

MAX_NEXT = 15
"""Phases to come of one group: with the running one 16, all that a SPATEM holds."""

MAX_ENABLED_LANES = 16
MAX_SECONDS = 3_599.0
"""Farthest end: what a `TimeMark` can name from any moment."""

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=MAX_SECONDS)]
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Lamp = Literal["red", "red_amber", "green", "amber", "amber_flash", "red_flash", "dark", "unknown"]
Mode = Literal[
    "manual",
    "stopped_time",
    "failure_flash",
    "preempted",
    "priority",
    "fixed_time",
    "traffic_dependent",
    "standby",
    "failure",
    "off",
]

MODES: dict[Mode, IntersectionStatus] = {
    "manual": IntersectionStatus.MANUAL_CONTROL_IS_ENABLED,
    "stopped_time": IntersectionStatus.STOP_TIME_IS_ACTIVATED,
    "failure_flash": IntersectionStatus.FAILURE_FLASH,
    "preempted": IntersectionStatus.PREEMPT_IS_ACTIVE,
    "priority": IntersectionStatus.SIGNAL_PRIORITY_IS_ACTIVE,
    "fixed_time": IntersectionStatus.FIXED_TIME_OPERATION,
    "traffic_dependent": IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION,
    "standby": IntersectionStatus.STANDBY_OPERATION,
    "failure": IntersectionStatus.FAILURE_MODE,
    "off": IntersectionStatus.OFF,
}

ANSWERS: dict[str, PrioritizationStatus] = {status.name.lower(): status for status in PrioritizationStatus}

_CONFIDENCE_PERCENT = (21, 36, 47, 56, 62, 68, 73, 77, 81, 85, 88, 91, 94, 96, 98, 100)
"""`TimeIntervalConfidence` 0..15 (SAE J2735)."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every part: no key it does not know."""


class PhaseReport(_Strict, frozen=True, kw_only=True):
    """One phase; its ends are seconds after the message's `time`.

    Attributes:
        state: what the lamps show.
        min_end_s: it ends no earlier; None where that is not known, and then nothing else is.
        max_end_s: it ends no later.
        likely_end_s: when it most probably ends.
        confidence_percent: how probable that is.
    """

    state: Lamp
    min_end_s: Seconds | None = None
    max_end_s: Seconds | None = None
    likely_end_s: Seconds | None = None
    confidence_percent: Percent | None = None

    def __post_init__(self) -> None:
        """Refuse ends without an earliest."""
        if self.min_end_s is None and (self.max_end_s is not None or self.likely_end_s is not None):
            raise ValueError("max_end_s and likely_end_s need min_end_s")


class GroupReport(PhaseReport, frozen=True, kw_only=True):
    """What one signal group shows now, and next."""

    group: Annotated[int, msgspec.Meta(ge=1, le=MAX_SIGNAL_GROUP)]
    next: Annotated[tuple[PhaseReport, ...], msgspec.Meta(max_length=MAX_NEXT)] = ()


class StateReport(_Strict, frozen=True, kw_only=True):
    """`TOPIC/state`: everything a controller shows.

    Attributes:
        version: of the schema.
        controller: which controller, as the unit's file names it.
        boot: another word each time the controller starts.
        sequence: greater with each message of one boot.
        time: when this was so, RFC 3339 with an offset.
        groups: every signal group.
        modes: how it runs.
        enabled_lanes: revocable lanes that are open.
        map_revision: of the map it was set up for.
        jumped: ends announced before no longer hold.
    """

    version: Literal[1]
    controller: Word
    boot: Word
    sequence: Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    groups: Annotated[tuple[GroupReport, ...], msgspec.Meta(min_length=1, max_length=MAX_SIGNAL_GROUP)]
    modes: Annotated[tuple[Mode, ...], msgspec.Meta(max_length=16)] = ()
    enabled_lanes: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=255)], ...], msgspec.Meta(max_length=MAX_ENABLED_LANES)
    ] = ()
    map_revision: Annotated[int, msgspec.Meta(ge=0, le=127)] | None = None
    jumped: bool = False


class PriorityReport(_Strict, frozen=True, kw_only=True):
    """`TOPIC/priority/answer`: what became of a request; `requester` and `request_id` are those of the request."""

    version: Literal[1]
    controller: Word
    requester: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
    request_id: Annotated[int, msgspec.Meta(ge=0, le=255)]
    status: Literal[
        "unknown", "requested", "processing", "watch_other_traffic", "granted", "rejected", "max_presence", "reservice_locked"
    ]
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""


class PriorityOrder(_Strict, frozen=True, kw_only=True, omit_defaults=True):
    """`TOPIC/priority/request`: what the unit asks; moments are RFC 3339 UTC."""

    version: int
    controller: str
    requester: int
    request_id: int
    sequence_number: int
    action: str
    level: str
    signal_groups: tuple[int, ...]
    arrival: str | None = None
    departure: str | None = None


def report_schema() -> dict[str, object]:
    """Return the JSON Schema of all three messages, as `docs/signal-controller-mqtt.schema.json` has it."""
    messages, parts = msgspec.json.schema_components((StateReport, PriorityReport, PriorityOrder), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A signal controller over MQTT",
        "anyOf": list(messages),
        "$defs": parts,
    }


Report = TypeVar("Report", StateReport, PriorityReport)


def read_report(payload: bytes, kind: type[Report]) -> Report:
    """Decode one message; raises `DecodeError` naming the key."""
    if len(payload) > MAX_MESSAGE_OCTETS:
        raise DecodeError("report", f"{len(payload)} octets are more than {MAX_MESSAGE_OCTETS}")
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.ValidationError as error:
        reason, _, key = str(error).rpartition(" - at `$")
        field = key.rstrip("`").lstrip(".")
        raise DecodeError(f"report.{field}" if field else "report", reason or str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("report", f"not JSON: {error}") from None


def confidence_of(percent: int) -> int:
    """Return the greatest `TimeIntervalConfidence` that promises no more than `percent` (0..100); 0 below 21 %."""
    return max((step for step, promised in enumerate(_CONFIDENCE_PERCENT) if promised <= percent), default=0)
