"""Drives the agent with a recorded bus (and, beside it, a recorded GNSS track) instead of a live one.

Time is the log's: the manual clock moves to each frame's stamp, and the agent's timers fire in between exactly as they would have
on the road, as fast as the machine can. The same log gives the same messages, but for the randomness that signatures need.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.stack.effects import Effect
from shared.transport.can_bus import CanFrame
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.vehicle_state import SignalUpdate

Fix = tuple[MonotonicNs, tuple[SignalUpdate, ...]]
Perform = Callable[[Effect, Instant], None]

SETTLE_NS = 5 * NS_PER_S
"""Time the agent is given after the last frame, so that the last record still reaches the ledger."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was replayed.

    Attributes:
        frames: frames given to the agent.
        fixes: positions given to the agent.
        duration_s: time from the first event of the log to the last.
    """

    frames: int
    fixes: int
    duration_s: float


def first_event(frames: Iterator[CanFrame]) -> tuple[CanFrame | None, Iterator[CanFrame]]:
    """Return the first frame, and the frames with it still in front: the clock starts there."""
    first = next(frames, None)
    return first, iter(()) if first is None else _again(first, frames)


def replay(
    make_agent: Callable[[Instant], VehicleAgent],
    *,
    frames: Iterator[CanFrame],
    track: Iterable[Fix],
    start_utc: UtcNs,
    perform: Perform,
) -> tuple[VehicleAgent, Replayed]:
    """Run an agent through a log to its end.

    Args:
        make_agent: builds the agent at the moment of the first frame.
        frames: the log in the order of time; errors it raises end the replay after the good part was used.
        track: fixes on the log's time base; those before the first frame are skipped.
        start_utc: UTC at the first frame.
        perform: carries out effects.

    Returns:
        The agent as it is after the last frame, and what was replayed. Errors of `frames` and `track` pass through.
    """
    first, frames = first_event(frames)
    began = first.received if first is not None else MonotonicNs(0)
    clock = ManualClock(start_utc, began)
    agent = make_agent(clock.now())
    seen_frames = seen_fixes = 0
    last = began
    try:
        for at, event in heapq.merge(_frames(frames), _fixes(track, began), key=_moment):
            _fire_timers(agent, clock, at, perform)
            now = clock.advance_to(at)
            last = at
            if isinstance(event, CanFrame):
                seen_frames += 1
                effects = agent.on_can_frame(event, now)
            else:
                seen_fixes += 1
                effects = agent.on_signals(event, now)
            _perform_all(effects, now, perform)
    finally:
        _fire_timers(agent, clock, MonotonicNs(last + SETTLE_NS), perform)
    return agent, Replayed(seen_frames, seen_fixes, (last - began) / NS_PER_S)


def _fire_timers(agent: VehicleAgent, clock: ManualClock, until: MonotonicNs, perform: Perform) -> None:
    while (due := agent.next_due()) <= until:
        now = clock.advance_to(max(due, clock.now().monotonic))
        _perform_all(agent.on_timer(now), now, perform)


def _perform_all(effects: tuple[Effect, ...], now: Instant, perform: Perform) -> None:
    for effect in effects:
        perform(effect, now)


def _again(first: CanFrame, rest: Iterator[CanFrame]) -> Iterator[CanFrame]:
    yield first
    yield from rest


Event = tuple[MonotonicNs, CanFrame | tuple[SignalUpdate, ...]]


def _frames(frames: Iterator[CanFrame]) -> Iterator[Event]:
    for frame in frames:
        yield frame.received, frame


def _fixes(track: Iterable[Fix], began: MonotonicNs) -> Iterator[Event]:
    for at, updates in track:
        if at >= began:
            yield at, updates


def _moment(event: Event) -> MonotonicNs:
    return event[0]
