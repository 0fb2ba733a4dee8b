"""Decentralised environmental notification messages (EN 302 637-3 V1.3.1): an event, where it is, what it is, until when.

The a la carte container, details for some kinds of event, is in `denm_alacarte.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from shared.codec.asn1 import message_codec
from shared.codec.uper import Tree
from shared.core.errors import EncodeError
from shared.core.ids import ActionId, MessageId, StationId
from shared.core.itstime import TimestampIts
from shared.messages import conversions as cv
from shared.messages.cdd import PathPoint
from shared.messages.denm_alacarte import Alacarte, RoadWorks, StationaryVehicle, decode_alacarte, encode_alacarte
from shared.messages.pdu import check_header, header_tree
from shared.messages.positions import (
    STATION_TYPES,
    decode_action_id,
    decode_cause,
    decode_delta_position,
    decode_path,
    decode_reference_position,
    encode_action_id,
    encode_cause,
    encode_delta_position,
    encode_path,
    encode_reference_position,
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


_TERMINATIONS: Mapping[int | None, Termination] = {member.value: member for member in Termination}
_DISTANCES: Mapping[int | None, RelevanceDistance] = {member.value: member for member in RelevanceDistance}
_DIRECTIONS: Mapping[int | None, RelevanceTrafficDirection] = {member.value: member for member in RelevanceTrafficDirection}
_ROAD_TYPES: Mapping[int | None, RoadType] = {member.value: member for member in RoadType}
_NO_SPEED: Mapping[str, int] = {
    "speedValue": cv.SPEED_VALUE.encode("speed", None),
    "speedConfidence": cv.SPEED_CONFIDENCE.encode("speed", None),
}
_NO_HEADING: Mapping[str, int] = {
    "headingValue": cv.HEADING_VALUE.encode("heading", None),
    "headingConfidence": cv.HEADING_CONFIDENCE.encode("heading", None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPoint:
    """`EventPoint`: where else the event was seen.

    Attributes:
        point: place relative to the one before (the first to the event position) and time since.
        information_quality: 1..7, or None.
    """

    point: PathPoint
    information_quality: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denm:
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
    traces: tuple[tuple[PathPoint, ...], ...] | None = None
    road_type: RoadType | None = None
    alacarte: Alacarte | None = None


def encode_denm(denm: Denm) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    body = cv.present(
        management=_encode_management(denm),
        situation=_encode_situation(denm),
        location=_encode_location(denm),
        alacarte=None if denm.alacarte is None else encode_alacarte(denm.alacarte),
    )
    return message_codec(MessageId.DENM).encode({"header": header_tree(MessageId.DENM, denm.station_id), "denm": body})


def decode_denm(encoded: bytes) -> Denm:
    """Decode a whole DENM; raises `DecodeError` and nothing else."""
    check_header(MessageId.DENM, encoded)
    tree = message_codec(MessageId.DENM).decode(encoded)
    body = tree["denm"]
    management = body["management"]
    situation = body.get("situation", {})
    location = body.get("location", {})
    position = decode_reference_position(management["eventPosition"])
    cause_code, sub_cause_code = decode_cause(situation.get("eventType"))
    linked_cause_code, linked_sub_cause_code = decode_cause(situation.get("linkedCause"))
    speed = location.get("eventSpeed", _NO_SPEED)
    heading = location.get("eventPositionHeading", _NO_HEADING)
    return Denm(
        station_id=StationId(tree["header"]["stationID"]),
        action_id=decode_action_id(management["actionID"]),
        detection_time=TimestampIts(management["detectionTime"]),
        reference_time=TimestampIts(management["referenceTime"]),
        station_type=cv.member_or_int(STATION_TYPES, management["stationType"]),
        lat_deg=position.lat_deg,
        lon_deg=position.lon_deg,
        semi_major_m=position.semi_major_m,
        semi_minor_m=position.semi_minor_m,
        semi_major_orientation_deg=position.semi_major_orientation_deg,
        altitude_m=position.altitude_m,
        altitude_confidence_m=position.altitude_confidence_m,
        termination=_TERMINATIONS.get(management.get("termination")),
        relevance_distance=_DISTANCES.get(management.get("relevanceDistance")),
        relevance_traffic_direction=_DIRECTIONS.get(management.get("relevanceTrafficDirection")),
        validity_duration_s=management["validityDuration"],
        transmission_interval_ms=management.get("transmissionInterval"),
        information_quality=situation.get("informationQuality") or None,
        cause_code=cause_code,
        sub_cause_code=sub_cause_code,
        linked_cause_code=linked_cause_code,
        linked_sub_cause_code=linked_sub_cause_code,
        event_history=tuple([_decode_event_point(point) for point in situation.get("eventHistory", ())]),
        event_speed_mps=cv.SPEED_VALUE.decode(speed["speedValue"]),
        event_speed_confidence_mps=cv.SPEED_CONFIDENCE.decode(speed["speedConfidence"]),
        event_heading_deg=cv.HEADING_VALUE.decode(heading["headingValue"]),
        event_heading_confidence_deg=cv.HEADING_CONFIDENCE.decode(heading["headingConfidence"]),
        traces=tuple([decode_path(trace) for trace in location["traces"]]) if location else None,
        road_type=_ROAD_TYPES.get(location.get("roadType")),
        alacarte=decode_alacarte(body["alacarte"]) if "alacarte" in body else None,
    )


def _encode_management(denm: Denm) -> Tree:
    return cv.present(
        actionID=encode_action_id(denm.action_id),
        detectionTime=denm.detection_time,
        referenceTime=denm.reference_time,
        termination=denm.termination,
        eventPosition=encode_reference_position(denm),
        relevanceDistance=denm.relevance_distance,
        relevanceTrafficDirection=denm.relevance_traffic_direction,
        validityDuration=denm.validity_duration_s,
        transmissionInterval=denm.transmission_interval_ms,
        stationType=denm.station_type,
    )


def _encode_situation(denm: Denm) -> Tree | None:
    if denm.cause_code is None:
        if denm.information_quality is not None or denm.linked_cause_code is not None or denm.event_history or denm.sub_cause_code:
            raise EncodeError("cause_code", "must be known when anything else of the situation is")
        return None
    return cv.present(
        informationQuality=denm.information_quality or 0,
        eventType=encode_cause("cause_code", denm.cause_code, denm.sub_cause_code),
        linkedCause=encode_cause("linked_cause_code", denm.linked_cause_code, denm.linked_sub_cause_code),
        eventHistory=tuple(_encode_event_point(f"event_history[{i}]", p) for i, p in enumerate(denm.event_history)) or None,
    )


def _encode_event_point(field: str, value: EventPoint) -> Tree:
    tree: dict[str, Tree] = {"eventPosition": encode_delta_position(field, value.point)}
    if value.point.delta_time_s is not None:
        tree["eventDeltaTime"] = cv.PATH_DELTA_TIME.encode(f"{field}.delta_time_s", value.point.delta_time_s)
    tree["informationQuality"] = value.information_quality or 0
    return tree


def _decode_event_point(tree: Tree) -> EventPoint:
    return EventPoint(
        point=decode_delta_position(tree["eventPosition"], tree.get("eventDeltaTime")),
        information_quality=tree["informationQuality"] or None,
    )


def _encode_location(denm: Denm) -> Tree | None:
    has_speed = denm.event_speed_mps is not None or denm.event_speed_confidence_mps is not None
    has_heading = denm.event_heading_deg is not None or denm.event_heading_confidence_deg is not None
    if denm.traces is None:
        if has_speed or has_heading or denm.road_type is not None:
            raise EncodeError("traces", "must be known when anything else of the location is")
        return None
    tree = cv.present(
        traces=tuple(encode_path(f"traces[{i}]", trace) for i, trace in enumerate(denm.traces)),
        roadType=denm.road_type,
    )
    if has_speed:
        tree["eventSpeed"] = {
            "speedValue": cv.SPEED_VALUE.encode("event_speed_mps", denm.event_speed_mps),
            "speedConfidence": cv.SPEED_CONFIDENCE.encode("event_speed_confidence_mps", denm.event_speed_confidence_mps),
        }
    if has_heading:
        tree["eventPositionHeading"] = {
            "headingValue": cv.HEADING_VALUE.encode("event_heading_deg", denm.event_heading_deg),
            "headingConfidence": cv.HEADING_CONFIDENCE.encode("event_heading_confidence_deg", denm.event_heading_confidence_deg),
        }
    return tree
