"""Decentralised environmental notification messages (EN 302 637-3 V1.3.1): an event, where it is, what it is, until when.

The a la carte container, details for some kinds of event, is in `denm_alacarte.py`.
"""

from collections.abc import Sequence
from enum import IntEnum
from functools import partial

from shared.codec.asn1 import message_type
from shared.codec.message_codec import MessageCodec
from shared.codec.shape import Field, Fields, Items, Record
from shared.core.ids import ActionId, MessageId, StationId
from shared.core.itstime import TimestampIts
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.cdd import PathPoint
from shared.messages.denm_alacarte import ALACARTE, Alacarte, RoadWorks, StationaryVehicle
from shared.messages.pdu import check_header, header
from shared.messages.positions import (
    ACTION_ID,
    DELTA_POSITION,
    DELTA_TIME,
    PATH,
    REFERENCE_POSITION,
    STATION_TYPE,
    cause,
)

__all__ = [
    "Alacarte",
    "Denm",
    "EventPoint",
    "RelevanceDistance",
    "RelevanceTrafficDirection",
    "RoadType",
    "RoadWorks",
    "StationaryVehicle",
    "Termination",
    "decode_denm",
    "encode_denm",
]

DEFAULT_VALIDITY_DURATION_S = 600
MAX_TRACES = 7


class Termination(IntEnum):
    """`Termination`: the event is over (its detector says so), or never was (another station says so)."""

    IS_CANCELLATION = 0
    IS_NEGATION = 1


class RelevanceDistance(IntEnum):
    """`RelevanceDistance`."""

    LESS_THAN_50M = 0
    LESS_THAN_100M = 1
    LESS_THAN_200M = 2
    LESS_THAN_500M = 3
    LESS_THAN_1000M = 4
    LESS_THAN_5KM = 5
    LESS_THAN_10KM = 6
    OVER_10KM = 7


class RelevanceTrafficDirection(IntEnum):
    """`RelevanceTrafficDirection`."""

    ALL_TRAFFIC_DIRECTIONS = 0
    UPSTREAM_TRAFFIC = 1
    DOWNSTREAM_TRAFFIC = 2
    OPPOSITE_TRAFFIC = 3


class RoadType(IntEnum):
    """`RoadType`."""

    URBAN_NO_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES = 0
    URBAN_WITH_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES = 1
    NON_URBAN_NO_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES = 2
    NON_URBAN_WITH_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES = 3


class EventPoint(Value):
    """`EventPoint`: where else the event was seen, relative to the place before (the first to the event position).

    Attributes:
        delta_lat_deg: as in a `PathPoint`.
        delta_lon_deg: likewise.
        delta_altitude_m: likewise.
        delta_time_s: likewise.
        information_quality: 1..7, or None.
    """

    delta_lat_deg: float | None
    delta_lon_deg: float | None
    delta_altitude_m: float | None = None
    delta_time_s: float | None = None
    information_quality: int | None = None


class Denm(Value):
    """One DENM, flat. `cause_code is None` means no situation container, `traces is None` no location container.

    Attributes:
        station_id: who sends this (a forwarder keeps the detector's `action_id`).
        action_id: who detected the event, and its running number there.
        detection_time: when the event was detected or ended.
        reference_time: when this version of the DENM was made.
        termination: None while the event lasts.
        lat_deg: event position, in [-90, 90].
        lon_deg: event position, in [-180, 180].
        semi_major_m: half axis of the 95 % ellipse, 0.01..40.93, inf.
        semi_minor_m: likewise, across.
        semi_major_orientation_deg: [0, 360).
        altitude_m: -1000..8000.
        altitude_confidence_m: a step of 0.01 ... 200, inf.
        relevance_distance: how far it matters.
        relevance_traffic_direction: to whom.
        validity_duration_s: 0..86,400 after `detection_time`.
        transmission_interval_ms: 1..10,000 between repetitions.
        station_type: a `StationType` where the number has one.
        information_quality: 1..7, or None.
        cause_code: a `CauseCode` where the number has one.
        sub_cause_code: 0..255, 0 where unknown.
        linked_cause_code: another cause behind this one.
        linked_sub_cause_code: 0..255.
        event_history: where else it was seen, at most 23, each place relative to the one before.
        event_speed_mps: 0..163.82.
        event_speed_confidence_mps: 0.01..1.25, inf.
        event_heading_deg: [0, 360).
        event_heading_confidence_deg: 0.1..12.5, inf.
        traces: 1..`MAX_TRACES` ways that lead to the event, each from the event backwards.
        road_type: kind of road.
        alacarte: further details.
    """

    station_id: StationId
    action_id: ActionId
    detection_time: TimestampIts
    reference_time: TimestampIts
    station_type: int
    lat_deg: float | None
    lon_deg: float | None
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    semi_major_orientation_deg: float | None = None
    altitude_m: float | None = None
    altitude_confidence_m: float | None = None
    termination: Termination | None = None
    relevance_distance: RelevanceDistance | None = None
    relevance_traffic_direction: RelevanceTrafficDirection | None = None
    validity_duration_s: int = DEFAULT_VALIDITY_DURATION_S
    transmission_interval_ms: int | None = None
    information_quality: int | None = None
    cause_code: int | None = None
    sub_cause_code: int = 0
    linked_cause_code: int | None = None
    linked_sub_cause_code: int = 0
    event_history: tuple[EventPoint, ...] = ()
    event_speed_mps: float | None = None
    event_speed_confidence_mps: float | None = None
    event_heading_deg: float | None = None
    event_heading_confidence_deg: float | None = None
    traces: tuple[Sequence[PathPoint], ...] | None = None
    road_type: RoadType | None = None
    alacarte: Alacarte | None = None


def encode_denm(denm: Denm) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    return CODEC.encode(denm)


def decode_denm(encoded: bytes) -> Denm:
    """Decode a whole DENM; raises `DecodeError` and nothing else."""
    return CODEC.decode(encoded)


_QUALITY = Field("information_quality", cv.Whole(unavailable=0))

_MANAGEMENT = Fields(
    {
        "actionID": Field("action_id", ACTION_ID),
        "detectionTime": Field("detection_time"),
        "referenceTime": Field("reference_time"),
        "termination": Field("termination", cv.Members(Termination)),
        "eventPosition": Fields(REFERENCE_POSITION),
        "relevanceDistance": Field("relevance_distance", cv.Members(RelevanceDistance)),
        "relevanceTrafficDirection": Field("relevance_traffic_direction", cv.Members(RelevanceTrafficDirection)),
        "validityDuration": Field("validity_duration_s"),
        "transmissionInterval": Field("transmission_interval_ms"),
        "stationType": Field("station_type", STATION_TYPE),
    }
)

_EVENT_POINT = Record(
    EventPoint,
    {"eventPosition": Fields(DELTA_POSITION), "eventDeltaTime": DELTA_TIME, "informationQuality": _QUALITY},
)

_SITUATION = Fields(
    {
        "informationQuality": _QUALITY,
        "eventType": cause("cause_code", Field("sub_cause_code", absent=0)),
        "linkedCause": cause("linked_cause_code", Field("linked_sub_cause_code", absent=0)),
        "eventHistory": Field("event_history", Items(_EVENT_POINT), absent=()),
    },
    key="cause_code",
)

_LOCATION = Fields(
    {
        "eventSpeed": Fields(
            {
                "speedValue": Field("event_speed_mps", cv.SPEED_VALUE),
                "speedConfidence": Field("event_speed_confidence_mps", cv.SPEED_CONFIDENCE),
            }
        ),
        "eventPositionHeading": Fields(
            {
                "headingValue": Field("event_heading_deg", cv.HEADING_VALUE),
                "headingConfidence": Field("event_heading_confidence_deg", cv.HEADING_CONFIDENCE),
            }
        ),
        "traces": Field("traces", Items(PATH)),
        "roadType": Field("road_type", cv.Members(RoadType)),
    },
    key="traces",
)

_DENM = Record(
    Denm,
    {
        "header": header(MessageId.DENM),
        "denm": Fields(
            {
                "management": _MANAGEMENT,
                "situation": _SITUATION,
                "location": _LOCATION,
                "alacarte": Field("alacarte", ALACARTE),
            }
        ),
    },
)

CODEC: MessageCodec[Denm] = MessageCodec(
    "DENM", partial(message_type, MessageId.DENM), _DENM, partial(check_header, MessageId.DENM)
)
"""What `encode_denm` and `decode_denm` use."""
