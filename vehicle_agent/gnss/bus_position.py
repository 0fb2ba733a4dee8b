"""What a bus says of the position: left out where a receiver is asked instead, not believed while its own receiver has no fix."""

from collections.abc import Collection
from dataclasses import replace

from msgspec.structs import replace as changed

from shared.core.clock import MonotonicNs
from vehicle_agent.gnss.fields import HEADING_FIELD, POSITION_FIELDS
from vehicle_agent.position_config import PositionConfig, ReceiverPosition
from vehicle_agent.signals.signal_map import SignalMap
from vehicle_agent.vehicle_state import FixQuality, SignalUpdate, VehicleState, fresh

POSITION, FIX_QUALITY = "position", "fix_quality"


def receiver_fields(signal_map: SignalMap) -> frozenset[str]:
    """Return what a receiver feeds beside this map: where the vehicle is, and where it looks, unless a signal says that."""
    return POSITION_FIELDS if HEADING_FIELD in signal_map.fields() else POSITION_FIELDS | {HEADING_FIELD}


def signals_beside(position: PositionConfig, signal_map: SignalMap) -> SignalMap:
    """Return what of a map is used: where a receiver is asked, a bus is not asked the same."""
    return without_fields(signal_map, POSITION_FIELDS) if isinstance(position, ReceiverPosition) else signal_map


def without_fields(signal_map: SignalMap, fields: Collection[str]) -> SignalMap:
    """Return a map that does not feed some fields; a message that feeds nothing else is left out."""
    messages = []
    for message in signal_map.messages:
        kept = tuple(mapped for mapped in message.fields if mapped.field not in fields)
        if len(kept) == len(message.fields):
            messages.append(message)
        elif kept:
            messages.append(replace(message, fields=kept))
    return replace(signal_map, messages=tuple(messages))


def believed(state: VehicleState, updates: tuple[SignalUpdate, ...], now: MonotonicNs) -> tuple[SignalUpdate, ...]:
    """Return the news without a position that its own receiver denies: with a fix quality of "none" there is none.

    The two come in one frame or in different ones; what counts is the last quality, as long as it is fresh.
    """
    if not any(update.field in (POSITION, FIX_QUALITY) for update in updates):
        return updates
    quality = fresh(state.fix_quality, now)
    news = None
    for update in updates:
        if update.field == FIX_QUALITY:
            news = update
            quality = update.value if isinstance(update.value, FixQuality) else None
    if quality is not FixQuality.NONE:
        return updates
    heard = tuple(changed(update, value=None) if update.field == POSITION else update for update in updates)
    if news is None or any(update.field == POSITION for update in updates):
        return heard
    return (*heard, changed(news, field=POSITION, value=None))
