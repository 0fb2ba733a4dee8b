"""Signal phase and timing messages (TS 103 301 V1.3.1 on ISO/TS 19091): what a junction's lights show, and until when.

Times are seconds within the UTC hour as ISO/TS 19091 `TimeMark` has them: 0..3599.9 in steps of 0.1; `math.inf` for "more than an
hour away"; None for unknown. `time_mark.py` relates them to UTC. Regional extensions are not typed; `tree.decode_tree` shows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from shared.codec.asn1 import message_codec
from shared.codec.uper import Tree
from shared.core.errors import EncodeError
from shared.core.ids import IntersectionId, MessageId, StationId
from shared.messages import conversions as cv
from shared.messages.pdu import (
    INFRASTRUCTURE_VERSIONS,
    check_header,
    decode_intersection_id,
    decode_minute_of_year,
    encode_intersection_id,
    header_tree,
)

MAX_INTERSECTIONS = 32
MAX_MOVEMENTS = 255
MAX_EVENTS = 16

_DSECOND_UNAVAILABLE = 65_535


class MovementPhaseState(IntEnum):
    """`MovementPhaseState` (what SAE J2735 calls it, with the European colours)."""

    UNAVAILABLE = 0
    DARK = 1
    STOP_THEN_PROCEED = 2
    """Flashing red."""
    STOP_AND_REMAIN = 3
    """Red."""
    PRE_MOVEMENT = 4
    """Red and amber."""
    PERMISSIVE_MOVEMENT_ALLOWED = 5
    """Green; conflicting traffic may have green too."""
    PROTECTED_MOVEMENT_ALLOWED = 6
    """Green without conflict (arrow)."""
    PERMISSIVE_CLEARANCE = 7
    """Amber."""
    PROTECTED_CLEARANCE = 8
    """Amber arrow."""
    CAUTION_CONFLICTING_TRAFFIC = 9
    """Flashing amber."""


class IntersectionStatus(IntFlag):
    """`IntersectionStatusObject`."""

    MANUAL_CONTROL_IS_ENABLED = 0x8000
    STOP_TIME_IS_ACTIVATED = 0x4000
    FAILURE_FLASH = 0x2000
    PREEMPT_IS_ACTIVE = 0x1000
    SIGNAL_PRIORITY_IS_ACTIVE = 0x0800
    FIXED_TIME_OPERATION = 0x0400
    TRAFFIC_DEPENDENT_OPERATION = 0x0200
    STANDBY_OPERATION = 0x0100
    FAILURE_MODE = 0x0080
    OFF = 0x0040
    RECENT_MAP_MESSAGE_UPDATE = 0x0020
    RECENT_CHANGE_IN_MAP_ASSIGNED_LANES_IDS_USED = 0x0010
    NO_VALID_MAP_IS_AVAILABLE_AT_THIS_TIME = 0x0008
    NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME = 0x0004
    RESERVED_14 = 0x0002
    RESERVED_15 = 0x0001


class AdvisorySpeedType(IntEnum):
    """`AdvisorySpeedType`."""

    NONE = 0
    GREENWAVE = 1
    ECO_DRIVE = 2
    TRANSIT = 3


_PHASES: Mapping[int, MovementPhaseState] = cv.members(MovementPhaseState)
_ADVICE_TYPES: Mapping[int | str, AdvisorySpeedType] = {kind.value: kind for kind in AdvisorySpeedType}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorySpeed:
    """`AdvisorySpeed`: how fast to drive to make best use of the phase.

    Attributes:
        kind: what the advice aims at; None for a kind of a later version.
        speed_mps: 0..49.9.
        confidence: `SpeedConfidence` step 1..7 (100, 10, 5, 1, 0.1, 0.05, 0.01 m/s), None where not stated.
        distance_m: length of the zone upstream of the stop line, 0..10,000.
        restriction_class: users it applies to, 0..255.
    """

    kind: AdvisorySpeedType | None
    speed_mps: float | None = None
    confidence: int | None = None
    distance_m: int | None = None
    restriction_class: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementEvent:
    """`MovementEvent`: one phase of a signal group, now or to come.

    Attributes:
        phase: what the light shows.
        start_time_s: when the phase begins, within the hour; None where it is on already or unknown.
        min_end_time_s: earliest end. Without it, no other time is sent.
        max_end_time_s: latest end.
        likely_time_s: best guess of the end.
        confidence: `TimeIntervalConfidence` 0..15 of `likely_time_s` (21 % ... 100 %).
        next_time_s: when the phase comes again.
        speeds: advice, at most 16.
    """

    phase: MovementPhaseState
    start_time_s: float | None = None
    min_end_time_s: float | None = None
    max_end_time_s: float | None = None
    likely_time_s: float | None = None
    confidence: int | None = None
    next_time_s: float | None = None
    speeds: tuple[AdvisorySpeed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManeuverAssist:
    """`ConnectionManeuverAssist`: what waits on one connection.

    Attributes:
        connection_id: 0..255, as in the MAPEM.
        queue_length_m: 0..10,000.
        available_storage_length_m: 0..10,000.
        wait_on_stop: whether to stop at the stop line although green.
        pedestrian_or_cyclist_detected: whether somebody is in the way.
    """

    connection_id: int
    queue_length_m: int | None = None
    available_storage_length_m: int | None = None
    wait_on_stop: bool | None = None
    pedestrian_or_cyclist_detected: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementState:
    """`MovementState`: the phases of one signal group.

    Attributes:
        signal_group: 0..255 (0: unknown, 255: permanent green).
        events: 1..`MAX_EVENTS`, the present phase first.
        name: 1..63 characters of ASCII.
        maneuver_assists: at most 16.
    """

    signal_group: int
    events: tuple[MovementEvent, ...]
    name: str | None = None
    maneuver_assists: tuple[ManeuverAssist, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntersectionState:
    """`IntersectionState`: all signal groups of one junction.

    Attributes:
        id: region and number, as in the MAPEM.
        revision: 0..127; changes with the content.
        status: how the controller runs.
        movements: 1..`MAX_MOVEMENTS`, one per signal group.
        minute_of_year: minutes since the year began, UTC, 0..527,039.
        timestamp_ms: milliseconds within that minute, 0..60,999 (a leap second counts).
        enabled_lanes: lanes open just now although revocable, at most 16.
        name: 1..63 characters of ASCII.
        maneuver_assists: at most 16.
    """

    id: IntersectionId
    revision: int
    status: IntersectionStatus
    movements: tuple[MovementState, ...]
    minute_of_year: int | None = None
    timestamp_ms: int | None = None
    enabled_lanes: tuple[int, ...] = ()
    name: str | None = None
    maneuver_assists: tuple[ManeuverAssist, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spatem:
    """One SPATEM.

    Attributes:
        station_id: the roadside unit.
        intersections: 1..`MAX_INTERSECTIONS`.
        minute_of_year: minutes since the year began, UTC.
        name: 1..63 characters of ASCII.
    """

    station_id: StationId
    intersections: tuple[IntersectionState, ...]
    minute_of_year: int | None = None
    name: str | None = None


def encode_spatem(spatem: Spatem) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    body = cv.present(
        timeStamp=spatem.minute_of_year,
        name=spatem.name,
        intersections=tuple(_encode_intersection(f"intersections[{i}]", state) for i, state in enumerate(spatem.intersections)),
    )
    return message_codec(MessageId.SPATEM).encode({"header": header_tree(MessageId.SPATEM, spatem.station_id), "spat": body})


def decode_spatem(encoded: bytes) -> Spatem:
    """Decode a whole SPATEM; raises `DecodeError` and nothing else."""
    check_header(MessageId.SPATEM, encoded, INFRASTRUCTURE_VERSIONS)
    tree = message_codec(MessageId.SPATEM).decode(encoded)
    body = tree["spat"]
    return Spatem(
        station_id=StationId(tree["header"]["stationID"]),
        intersections=tuple([_decode_intersection(state) for state in body["intersections"]]),
        minute_of_year=decode_minute_of_year(body.get("timeStamp")),
        name=body.get("name"),
    )


def _encode_intersection(field: str, state: IntersectionState) -> Tree:
    return cv.present(
        name=state.name,
        id=encode_intersection_id(state.id),
        revision=state.revision,
        status=(int(state.status), 16),
        moy=state.minute_of_year,
        timeStamp=state.timestamp_ms,
        enabledLanes=tuple(state.enabled_lanes) or None,
        states=tuple(_encode_movement(f"{field}.movements[{i}]", movement) for i, movement in enumerate(state.movements)),
        maneuverAssistList=_encode_assists(state.maneuver_assists),
    )


def _decode_intersection(tree: Tree) -> IntersectionState:
    timestamp_ms = tree.get("timeStamp")
    return IntersectionState(
        id=decode_intersection_id(tree["id"]),
        revision=tree["revision"],
        status=IntersectionStatus(tree["status"][0]),
        movements=tuple([_decode_movement(movement) for movement in tree["states"]]),
        minute_of_year=decode_minute_of_year(tree.get("moy")),
        timestamp_ms=None if timestamp_ms == _DSECOND_UNAVAILABLE else timestamp_ms,
        enabled_lanes=tree.get("enabledLanes", ()),
        name=tree.get("name"),
        maneuver_assists=_decode_assists(tree.get("maneuverAssistList", ())),
    )


def _encode_movement(field: str, movement: MovementState) -> Tree:
    events = tuple(_encode_event(f"{field}.events[{i}]", event) for i, event in enumerate(movement.events))
    tree = cv.present(
        movementName=movement.name,
        signalGroup=movement.signal_group,
        maneuverAssistList=_encode_assists(movement.maneuver_assists),
    )
    tree["state-time-speed"] = events
    return tree


def _decode_movement(tree: Tree) -> MovementState:
    return MovementState(
        signal_group=tree["signalGroup"],
        events=tuple([_decode_event(event) for event in tree["state-time-speed"]]),
        name=tree.get("movementName"),
        maneuver_assists=_decode_assists(tree.get("maneuverAssistList", ())),
    )


def _encode_event(field: str, event: MovementEvent) -> Tree:
    tree: dict[str, Tree] = {"eventState": event.phase}
    others = cv.present(
        startTime=_optional_time(f"{field}.start_time_s", event.start_time_s),
        maxEndTime=_optional_time(f"{field}.max_end_time_s", event.max_end_time_s),
        likelyTime=_optional_time(f"{field}.likely_time_s", event.likely_time_s),
        confidence=event.confidence,
        nextTime=_optional_time(f"{field}.next_time_s", event.next_time_s),
    )
    if others or event.min_end_time_s is not None:
        tree["timing"] = {"minEndTime": cv.TIME_MARK.encode(f"{field}.min_end_time_s", event.min_end_time_s), **others}
    if event.speeds:
        tree["speeds"] = tuple(_encode_advice(f"{field}.speeds[{i}]", advice) for i, advice in enumerate(event.speeds))
    return tree


def _optional_time(field: str, time_s: float | None) -> int | None:
    return None if time_s is None else cv.TIME_MARK.encode(field, time_s)


def _decode_event(tree: Tree) -> MovementEvent:
    phase = _PHASES[tree["eventState"]]
    timing = tree.get("timing")
    speeds = tuple([_decode_advice(advice) for advice in tree["speeds"]]) if "speeds" in tree else ()
    if timing is None:
        return MovementEvent(phase=phase, speeds=speeds)
    decode, unknown = cv.TIME_MARK.decode, cv.TIME_MARK_UNKNOWN
    return MovementEvent(
        phase=phase,
        start_time_s=decode(timing.get("startTime", unknown)),
        min_end_time_s=decode(timing["minEndTime"]),
        max_end_time_s=decode(timing.get("maxEndTime", unknown)),
        likely_time_s=decode(timing.get("likelyTime", unknown)),
        confidence=timing.get("confidence"),
        next_time_s=decode(timing.get("nextTime", unknown)),
        speeds=speeds,
    )


def _encode_advice(field: str, advice: AdvisorySpeed) -> Tree:
    if advice.kind is None:
        raise EncodeError(f"{field}.kind", "must be known")
    tree = cv.present(
        type=advice.kind,
        speed=None if advice.speed_mps is None else cv.SPEED_ADVICE.encode(f"{field}.speed_mps", advice.speed_mps),
        confidence=advice.confidence,
        distance=advice.distance_m,
    )
    if advice.restriction_class is not None:
        tree["class"] = advice.restriction_class
    return tree


def _decode_advice(tree: Tree) -> AdvisorySpeed:
    speed = tree.get("speed")
    return AdvisorySpeed(
        kind=_ADVICE_TYPES.get(tree["type"]),
        speed_mps=None if speed is None else cv.SPEED_ADVICE.decode(speed),
        confidence=tree.get("confidence") or None,
        distance_m=tree.get("distance"),
        restriction_class=tree.get("class"),
    )


def _encode_assists(assists: tuple[ManeuverAssist, ...]) -> Tree | None:
    if not assists:
        return None
    return tuple(
        cv.present(
            connectionID=assist.connection_id,
            queueLength=assist.queue_length_m,
            availableStorageLength=assist.available_storage_length_m,
            waitOnStop=assist.wait_on_stop,
            pedBicycleDetect=assist.pedestrian_or_cyclist_detected,
        )
        for assist in assists
    )


def _decode_assists(tree: Tree) -> tuple[ManeuverAssist, ...]:
    return tuple(
        [
            ManeuverAssist(
                connection_id=assist["connectionID"],
                queue_length_m=assist.get("queueLength"),
                available_storage_length_m=assist.get("availableStorageLength"),
                wait_on_stop=assist.get("waitOnStop"),
                pedestrian_or_cyclist_detected=assist.get("pedBicycleDetect"),
            )
            for assist in tree
        ]
    )
