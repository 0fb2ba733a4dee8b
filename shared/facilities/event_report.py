"""What is said of one event (EN 302 637-3 V1.3.1 clause 7): a report without ids and times, and the DENMs made of it.

`EventReport` is what a trigger or an operator knows; `OriginatedEvents` adds who says it, under which action id, and when. A DENM
that ends an event is the management container alone.

Left out: how somebody comes to know of an event, and what a report of each cause should contain; the codec refuses what cannot be
said.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.clock import MonotonicNs
from shared.core.errors import EncodeError, V2xError
from shared.core.geo import GeoPoint
from shared.core.ids import ActionId, StationId
from shared.core.itstime import TimestampIts
from shared.messages.cdd import PathPoint
from shared.messages.denm import (
    MAX_TRACES,
    Alacarte,
    Denm,
    EventPoint,
    RelevanceDistance,
    RelevanceTrafficDirection,
    RoadType,
    Termination,
)
from shared.network.area import MAX_AREA_KM2, Area

MAX_VALIDITY_S = 86_400
"""`ValidityDuration`."""

MIN_REPETITION_INTERVAL_MS, MAX_REPETITION_INTERVAL_MS = 50, 10_000
"""`TransmissionInterval` ends at 10 s; faster than twenty times a second serves nobody."""

MAX_NAME_LENGTH = 128
"""Of what a report is called by who made it."""

MAX_EVENT_POINTS = 23
"""`EventHistory`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    """Everything a DENM says of an event that lasts, but ids and times; fields not described here are as in `Denm`.

    Attributes:
        cause_code: TS 102 894-2 `CauseCodeType`, 1..255.
        sub_cause_code: 0..255, 0 where nothing finer is known.
        position: where the event is.
        area: where it should be heard (geo-broadcast).
        validity_s: how long, from its detection, a receiver that hears nothing more believes it; 1..86,400.
        name: what its reporter knows it by; kept over a restart and never sent.
        repetition_interval_ms: from one repetition to the next, 50..10,000; None says it once.
        repetition_duration_s: how long it is repeated, from the trigger or update; None for as long as it is valid.
        traces: ways that lead to the event, each from the event backwards; None where none is known.

    Raises:
        EncodeError: a value is out of range.
    """

    cause_code: int
    sub_cause_code: int
    position: GeoPoint
    area: Area
    validity_s: int
    name: str = ""
    repetition_interval_ms: int | None = None
    repetition_duration_s: float | None = None
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    semi_major_orientation_deg: float | None = None
    altitude_m: float | None = None
    altitude_confidence_m: float | None = None
    information_quality: int | None = None
    relevance_distance: RelevanceDistance | None = None
    relevance_traffic_direction: RelevanceTrafficDirection | None = None
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

    def __post_init__(self) -> None:
        _check("cause_code", self.cause_code, 1, 255)
        _check("sub_cause_code", self.sub_cause_code, 0, 255)
        _check("validity_s", self.validity_s, 1, MAX_VALIDITY_S)
        _check("name", len(self.name), 0, MAX_NAME_LENGTH)
        _check("event_history", len(self.event_history), 0, MAX_EVENT_POINTS)
        _check("area", self.area.size_km2, 0, MAX_AREA_KM2)
        _check("traces", len(self.traces or ((),)), 1, MAX_TRACES)
        if self.repetition_interval_ms is not None:
            _check("repetition_interval_ms", self.repetition_interval_ms, MIN_REPETITION_INTERVAL_MS, MAX_REPETITION_INTERVAL_MS)
        if self.repetition_duration_s is not None:
            _check("repetition_duration_s", self.repetition_duration_s, 0, MAX_VALIDITY_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A DENM that is due, where it should be heard, and which event it is about."""

    denm: Denm
    area: Area
    action_id: ActionId


class NoSuchEventError(V2xError):
    """An update for an event that is not live: never triggered, cancelled, or run out. Trigger it anew."""

    def __init__(self, action_id: ActionId) -> None:
        super().__init__(f"event {action_id.sequence_number} of station {action_id.originating_station_id} is not live")

    @property
    def code(self) -> str:
        """`no_such_event`."""
        return "no_such_event"


class EventsFullError(V2xError):
    """There are as many live events as this station tells of."""

    def __init__(self, capacity: int) -> None:
        super().__init__(f"{capacity} events are live already, and no more are told of")

    @property
    def code(self) -> str:
        """`events_full`."""
        return "events_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEvent:
    """One event that lasts.

    Attributes:
        action_id: under which it is said now.
        report: what is said of it.
        expires: when it runs out by itself.
        denm: what was last said; None until UTC is known.
    """

    action_id: ActionId
    report: EventReport
    expires: MonotonicNs
    denm: Denm | None


def announcing_denm(
    report: EventReport,
    *,
    station_id: StationId,
    station_type: int,
    action_id: ActionId,
    detection_time: TimestampIts,
    reference_time: TimestampIts,
) -> Denm:
    """Say that an event is there: new, or an update of what was said under its action id before."""
    has_location = any(
        value is not None for value in (report.traces, report.event_speed_mps, report.event_heading_deg, report.road_type)
    )
    return Denm(
        station_id=station_id,
        action_id=action_id,
        detection_time=detection_time,
        reference_time=reference_time,
        station_type=station_type,
        lat_deg=report.position.lat_deg,
        lon_deg=report.position.lon_deg,
        semi_major_m=report.semi_major_m,
        semi_minor_m=report.semi_minor_m,
        semi_major_orientation_deg=report.semi_major_orientation_deg,
        altitude_m=report.altitude_m,
        altitude_confidence_m=report.altitude_confidence_m,
        relevance_distance=report.relevance_distance,
        relevance_traffic_direction=report.relevance_traffic_direction,
        validity_duration_s=report.validity_s,
        transmission_interval_ms=report.repetition_interval_ms,
        information_quality=report.information_quality,
        cause_code=report.cause_code,
        sub_cause_code=report.sub_cause_code,
        linked_cause_code=report.linked_cause_code,
        linked_sub_cause_code=report.linked_sub_cause_code,
        event_history=report.event_history,
        event_speed_mps=report.event_speed_mps,
        event_speed_confidence_mps=report.event_speed_confidence_mps,
        event_heading_deg=report.event_heading_deg,
        event_heading_confidence_deg=report.event_heading_confidence_deg,
        traces=(report.traces or ((),)) if has_location else None,
        road_type=report.road_type,
        alacarte=report.alacarte,
    )


def terminating_denm(
    latest: Denm,
    termination: Termination,
    *,
    station_id: StationId,
    station_type: int,
    detection_time: TimestampIts,
    reference_time: TimestampIts,
    validity_s: int,
    interval_ms: int | None,
) -> Denm:
    """Say that an event is over (its originator) or never was (anybody else): the management container alone.

    Args:
        latest: what was last heard or said of the event; its action id, place and relevance are kept.
        termination: which of the two.
        station_id: who says so.
        station_type: likewise.
        detection_time: when the end was noticed.
        reference_time: later than that of `latest` for a cancellation, the same for a negation (8.2.1.3).
        validity_s: from `detection_time`; long enough for the event to have run out by then.
        interval_ms: between repetitions; without it nobody keeps the message alive.
    """
    return Denm(
        station_id=station_id,
        action_id=latest.action_id,
        detection_time=detection_time,
        reference_time=reference_time,
        station_type=station_type,
        lat_deg=latest.lat_deg,
        lon_deg=latest.lon_deg,
        semi_major_m=latest.semi_major_m,
        semi_minor_m=latest.semi_minor_m,
        semi_major_orientation_deg=latest.semi_major_orientation_deg,
        altitude_m=latest.altitude_m,
        altitude_confidence_m=latest.altitude_confidence_m,
        termination=termination,
        relevance_distance=latest.relevance_distance,
        relevance_traffic_direction=latest.relevance_traffic_direction,
        validity_duration_s=validity_s,
        transmission_interval_ms=interval_ms,
    )


def report_of(denm: Denm, area: Area, *, name: str, repetition_interval_ms: int | None) -> EventReport:
    """Return the report an announcing DENM was made of; its repetition lasts as long as it is valid.

    Raises:
        EncodeError: the DENM ends an event, or no report of ours says that.
    """
    if denm.cause_code is None or denm.lat_deg is None or denm.lon_deg is None:
        raise EncodeError("cause_code", "a DENM without cause or place reports no event")
    return EventReport(
        cause_code=denm.cause_code,
        sub_cause_code=denm.sub_cause_code,
        position=GeoPoint(denm.lat_deg, denm.lon_deg),
        area=area,
        validity_s=denm.validity_duration_s,
        name=name,
        repetition_interval_ms=repetition_interval_ms,
        semi_major_m=denm.semi_major_m,
        semi_minor_m=denm.semi_minor_m,
        semi_major_orientation_deg=denm.semi_major_orientation_deg,
        altitude_m=denm.altitude_m,
        altitude_confidence_m=denm.altitude_confidence_m,
        information_quality=denm.information_quality,
        relevance_distance=denm.relevance_distance,
        relevance_traffic_direction=denm.relevance_traffic_direction,
        linked_cause_code=denm.linked_cause_code,
        linked_sub_cause_code=denm.linked_sub_cause_code,
        event_history=denm.event_history,
        event_speed_mps=denm.event_speed_mps,
        event_speed_confidence_mps=denm.event_speed_confidence_mps,
        event_heading_deg=denm.event_heading_deg,
        event_heading_confidence_deg=denm.event_heading_confidence_deg,
        traces=denm.traces,
        road_type=denm.road_type,
        alacarte=denm.alacarte,
    )


def _check(field: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise EncodeError(f"event.{field}", f"{value} is not within {least} to {most}")
