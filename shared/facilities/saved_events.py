"""What is kept of a station's own events over a restart, as plain values, and how strictly they are read back.

Of each event the last DENM as octets, where it was to be heard, what its reporter calls it and how it is repeated: enough to go on
repeating it, to update it, and to cancel it under its old action id. Times are dates (`TimestampIts`), for the clock that never
jumps begins anew.

Left out: the file (`shared.service.event_store`), events that were never said, and negations of others' events.
"""

from dataclasses import dataclass
from typing import Protocol

import msgspec

from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import StationId
from shared.core.itstime import TimestampIts
from shared.facilities.event_report import MAX_NAME_LENGTH, EventReport, report_of
from shared.messages.denm import Denm, Termination, decode_denm, encode_denm
from shared.network.area import Area, AreaShape, decode_area, encode_area, shape_of

MAX_SAVED_EVENTS = 512
"""Most events read back; more were never written."""

MAX_DENM_OCTETS = 1_400
"""No longer DENM fits into a packet."""


class SavedEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event of ours.

    Attributes:
        name: what its reporter calls it.
        is_ended: whether it was cancelled.
        denm: the last version said, UPER; its cancellation once that was said.
        shape: `AreaShape` of `area`.
        area: fourteen octets.
        interval_ms: from one repetition to the next, or None.
        repeat_until: `TimestampIts` at which repeating ends.
    """

    name: str
    is_ended: bool
    denm: bytes
    shape: int
    area: bytes
    interval_ms: int | None
    repeat_until: int


class SavedEvents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All events of one station under one name.

    Attributes:
        station_id: originator of every action id.
        next_sequence_number: of the next action id.
        events: live, and ended ones until they would have run out.
    """

    station_id: int
    next_sequence_number: int
    events: tuple[SavedEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredEvent:
    """A `SavedEvent` that was read: `report` is None when the event has ended, and `repeat_until` is a date.

    An event may have ended (`report` is None) although `denm` still announces it: nobody was told of the end yet.
    """

    name: str
    denm: Denm
    area: Area
    report: EventReport | None
    interval_ms: int | None
    repeat_until: TimestampIts

    @property
    def expires(self) -> TimestampIts:
        """When it runs out."""
        return TimestampIts(self.denm.detection_time + self.denm.validity_duration_s * 1_000)


class EventKeeper(Protocol):
    """Where a service keeps its events."""

    def keep(self, events: SavedEvents) -> None:
        """Keep them instead of what was kept before; when it returns they survive a power cut. Raises `StorageError`."""
        ...


class NothingKept:
    """Keeps nothing, where there is no next time: a simulation, the replay of a log."""

    def keep(self, events: SavedEvents) -> None:
        """Let them go."""


def save_event(
    *, name: str, is_ended: bool, denm: Denm, area: Area, interval_ms: int | None, repeat_until: TimestampIts
) -> SavedEvent:
    """Return what is kept of one event; raises `EncodeError` for one that could not have been said."""
    return SavedEvent(
        name=name,
        is_ended=is_ended,
        denm=encode_denm(denm),
        shape=shape_of(area),
        area=encode_area(area),
        interval_ms=interval_ms,
        repeat_until=repeat_until,
    )


def read_saved(saved: SavedEvents) -> tuple[RestoredEvent, ...]:
    """Read back what was kept.

    Raises:
        DecodeError: a value is none that we write: out of range, malformed, of another station, or twice.
    """
    _check("station_id", saved.station_id, 0, 0xFFFFFFFF)
    _check("next_sequence_number", saved.next_sequence_number, 0, 0xFFFF)
    _check("events", len(saved.events), 0, MAX_SAVED_EVENTS)
    events = tuple(_read(f"events[{index}]", event, StationId(saved.station_id)) for index, event in enumerate(saved.events))
    numbers = [event.denm.action_id.sequence_number for event in events]
    if len(set(numbers)) != len(numbers):
        raise DecodeError("events", "two events have one action id")
    return events


def _read(field: str, event: SavedEvent, station_id: StationId) -> RestoredEvent:
    _check(f"{field}.name", len(event.name), 0, MAX_NAME_LENGTH)
    _check(f"{field}.denm", len(event.denm), 1, MAX_DENM_OCTETS)
    _check(f"{field}.repeat_until", event.repeat_until, 0, (1 << 42) - 1)
    if event.interval_ms is not None:
        _check(f"{field}.interval_ms", event.interval_ms, 1, 10_000)
    try:
        shape = AreaShape(event.shape)
    except ValueError:
        raise DecodeError(f"{field}.shape", f"{event.shape} is no shape of an area") from None
    denm, area = decode_denm(event.denm), decode_area(event.area, shape)
    if denm.station_id != station_id or denm.action_id.originating_station_id != station_id:
        raise DecodeError(f"{field}.denm", "it is another station's event")
    if denm.termination is Termination.IS_NEGATION:
        raise DecodeError(f"{field}.denm", "it negates an event")
    if denm.termination is not None and not event.is_ended:
        raise DecodeError(f"{field}.is_ended", "the event was cancelled, and yet it is said to last")
    try:
        report = None if event.is_ended else report_of(denm, area, name=event.name, repetition_interval_ms=event.interval_ms)
    except EncodeError as error:
        raise DecodeError(f"{field}.denm", str(error)) from error
    return RestoredEvent(
        name=event.name,
        denm=denm,
        area=area,
        report=report,
        interval_ms=event.interval_ms,
        repeat_until=TimestampIts(event.repeat_until),
    )


def _check(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise DecodeError(field, f"{value} is not within {least} to {most}")
