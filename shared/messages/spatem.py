"""Signal phase and timing messages (TS 103 301 V1.3.1 on ISO/TS 19091): what a junction's lights show, and until when.

Times are seconds within the UTC hour as ISO/TS 19091 `TimeMark` has them: 0..3599.9 in steps of 0.1; `math.inf` for "more than an
hour away"; None for unknown. `time_mark.py` relates them to UTC. Regional extensions are not typed; `tree.decode_tree` shows them.
"""

from enum import IntEnum, IntFlag
from functools import partial

from shared.codec.asn1 import message_type
from shared.codec.message_codec import MessageCodec
from shared.codec.shape import Field, Fields, Items, Record
from shared.core.ids import IntersectionId, MessageId, StationId
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.pdu import INFRASTRUCTURE_VERSIONS, INTERSECTION_ID, MINUTE_OF_YEAR, check_header, header

MAX_INTERSECTIONS = 32
MAX_MOVEMENTS = 255
MAX_EVENTS = 16


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


class AdvisorySpeed(Value):
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


class MovementEvent(Value):
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


class ManeuverAssist(Value):
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


class MovementState(Value):
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


class IntersectionState(Value):
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


class Spatem(Value):
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
    return CODEC.encode(spatem)


def decode_spatem(encoded: bytes) -> Spatem:
    """Decode a whole SPATEM; raises `DecodeError` and nothing else."""
    return CODEC.decode(encoded)


_ADVICE = Record(
    AdvisorySpeed,
    {
        "type": Field("kind", cv.Members(AdvisorySpeedType)),
        "speed": Field("speed_mps", cv.SPEED_ADVICE),
        "confidence": Field("confidence", cv.Whole(unavailable=0)),
        "distance": Field("distance_m"),
        "class": Field("restriction_class"),
    },
)

_EVENT = Record(
    MovementEvent,
    {
        "eventState": Field("phase", cv.Members(MovementPhaseState)),
        "timing": Fields(
            {
                "startTime": Field("start_time_s", cv.TIME_MARK),
                "minEndTime": Field("min_end_time_s", cv.TIME_MARK),
                "maxEndTime": Field("max_end_time_s", cv.TIME_MARK),
                "likelyTime": Field("likely_time_s", cv.TIME_MARK),
                "confidence": Field("confidence"),
                "nextTime": Field("next_time_s", cv.TIME_MARK),
            }
        ),
        "speeds": Field("speeds", Items(_ADVICE), absent=()),
    },
)

_ASSIST = Record(
    ManeuverAssist,
    {
        "connectionID": Field("connection_id"),
        "queueLength": Field("queue_length_m"),
        "availableStorageLength": Field("available_storage_length_m"),
        "waitOnStop": Field("wait_on_stop"),
        "pedBicycleDetect": Field("pedestrian_or_cyclist_detected"),
    },
)

_MOVEMENT = Record(
    MovementState,
    {
        "movementName": Field("name"),
        "signalGroup": Field("signal_group"),
        "state-time-speed": Field("events", Items(_EVENT)),
        "maneuverAssistList": Field("maneuver_assists", Items(_ASSIST), absent=()),
    },
)

_INTERSECTION = Record(
    IntersectionState,
    {
        "name": Field("name"),
        "id": Field("id", INTERSECTION_ID),
        "revision": Field("revision"),
        "status": Field("status", cv.Flags(IntersectionStatus, 16)),
        "moy": Field("minute_of_year", MINUTE_OF_YEAR),
        "timeStamp": Field("timestamp_ms", cv.Whole(unavailable=65_535)),
        "enabledLanes": Field("enabled_lanes", absent=()),
        "states": Field("movements", Items(_MOVEMENT)),
        "maneuverAssistList": Field("maneuver_assists", Items(_ASSIST), absent=()),
    },
)

_SPATEM = Record(
    Spatem,
    {
        "header": header(MessageId.SPATEM, INFRASTRUCTURE_VERSIONS),
        "spat": Fields(
            {
                "timeStamp": Field("minute_of_year", MINUTE_OF_YEAR),
                "name": Field("name"),
                "intersections": Field("intersections", Items(_INTERSECTION)),
            }
        ),
    },
)

CODEC: MessageCodec[Spatem] = MessageCodec(
    "SPATEM",
    partial(message_type, MessageId.SPATEM),
    _SPATEM,
    partial(check_header, MessageId.SPATEM, versions=INFRASTRUCTURE_VERSIONS),
)
"""What `encode_spatem` and `decode_spatem` use."""
