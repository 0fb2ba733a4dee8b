"""Drives the agent with a recorded bus (and, beside it, a recorded GNSS track) instead of a live one.

Time is the log's: the manual clock moves to each frame's stamp, and the agent's timers fire in between exactly as they would have
on the road, as fast as the machine can. The same log gives the same messages, but for the randomness that signatures need. A log
or track that is damaged is used up to the damage, and the damage is part of the answer.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, DecodeError, StorageError, V2xError
from shared.core.itstime import time64_of, utc_of, utc_text
from shared.security.validity import Validity
from shared.stack.effects import Effect
from shared.transport.can_frame import CanFrame
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.track import Fix
from vehicle_agent.vehicle_state import SignalUpdate

Perform = Callable[[Effect, Instant], None]
T = TypeVar("T")
Event = tuple[MonotonicNs, CanFrame | tuple[SignalUpdate, ...]]

SETTLE_NS = 5 * NS_PER_S
"""Time the agent is given after the last event, so that the last record still reaches the ledger."""


def length_ns(frames: Iterator[CanFrame], track: Iterator[Fix]) -> int:
    """Return how long a replay takes in the log's time, by reading log and track once, up to their damage.

    Raises:
        ConfigError: log or track cannot be read at all.
    """
    first, damage = _next(frames)
    began = last = MonotonicNs(0) if first is None else first.received
    while damage is None:
        frame, damage = _next(frames)
        if frame is None:
            break
        last = frame.received  # a log never runs backwards
    fix, damage = (None, None) if first is None else _next(track)
    while fix is not None:
        last = max(last, fix[0])
        fix, damage = _next(track)
    return last - began + SETTLE_NS


def check_enrolled(validity: Validity, *, start_utc: UtcNs, length_ns: int) -> None:
    """Check that records of a replay can be verified: each is dated while the credential that signs it is valid.

    Raises:
        ConfigError: the replay begins before that, or ends after it.
    """
    end_utc = UtcNs(start_utc + length_ns)
    if validity.contains(time64_of(start_utc)) and validity.contains(time64_of(end_utc)):
        return
    valid = f"{utc_text(utc_of(validity.start_time64))} to {utc_text(utc_of(validity.end_time64))}"
    replayed = f"the log would run from {utc_text(start_utc)} to {utc_text(end_utc)}, and nobody could verify its records"
    raise ConfigError("--start-utc", f"the enrolment credential is valid from {valid}; {replayed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What was replayed.

    Attributes:
        agent: as it is at the end.
        frames: frames given to the agent.
        fixes: positions given to the agent.
        duration_s: time from the first frame of the log to the last event.
        damage: why the replay ended before the end of log and track; None when it did not.
    """

    agent: VehicleAgent
    frames: int
    fixes: int
    duration_s: float
    damage: V2xError | None


def replay(
    make_agent: Callable[[Instant], VehicleAgent],
    *,
    frames: Iterator[CanFrame],
    track: Iterator[Fix],
    start_utc: UtcNs,
    perform: Perform,
) -> Replayed:
    """Run an agent through a log to its end, or to its damage.

    Args:
        make_agent: builds the agent at the moment of the first frame.
        frames: the log in the order of time.
        track: fixes on the log's time base; those before the first frame are skipped.
        start_utc: UTC at the first frame.
        perform: carries out effects; its errors end the replay and pass through.

    Raises:
        ConfigError: log or track cannot be read at all.
    """
    first, damage = _next(frames)
    began = MonotonicNs(0) if first is None else first.received
    clock = ManualClock(start_utc, began)
    agent = make_agent(clock.now())
    seen_frames = seen_fixes = 0
    events: Iterator[Event] = iter(())
    if first is not None:
        events = heapq.merge(_frames(chain((first,), frames)), _fixes(track, began), key=_moment)
    while damage is None:
        event, damage = _next(events)
        if event is None:
            break
        at, news = event
        _fire_timers(agent, clock, at, perform)
        now = clock.advance_to(at)
        if isinstance(news, CanFrame):
            seen_frames += 1
            effects = agent.on_can_frame(news, now)
        else:
            seen_fixes += 1
            effects = agent.on_signals(news, now)
        _perform_all(effects, now, perform)
    last = clock.now().monotonic
    _fire_timers(agent, clock, MonotonicNs(last + SETTLE_NS), perform)
    return Replayed(agent=agent, frames=seen_frames, fixes=seen_fixes, duration_s=(last - began) / NS_PER_S, damage=damage)


def _next(source: Iterator[T]) -> tuple[T | None, V2xError | None]:
    """Return what comes next, or None at the end, or None and the damage that is there instead."""
    try:
        return next(source, None), None
    except (DecodeError, StorageError) as damage:
        return None, damage


def _fire_timers(agent: VehicleAgent, clock: ManualClock, until: MonotonicNs, perform: Perform) -> None:
    while (due := agent.next_due()) <= until:
        now = clock.advance_to(max(due, clock.now().monotonic))
        _perform_all(agent.on_timer(now), now, perform)


def _perform_all(effects: tuple[Effect, ...], now: Instant, perform: Perform) -> None:
    for effect in effects:
        perform(effect, now)


def _frames(frames: Iterator[CanFrame]) -> Iterator[Event]:
    for frame in frames:
        yield frame.received, frame


def _fixes(track: Iterator[Fix], began: MonotonicNs) -> Iterator[Event]:
    for at, updates in track:
        if at >= began:
            yield at, updates


def _moment(event: Event) -> MonotonicNs:
    return event[0]
