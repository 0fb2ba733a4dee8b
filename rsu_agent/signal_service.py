"""SPATEM and MAPEM of one junction (TS 103 301 V1.3.1): the map once a second, the lights regularly and at every change.

The guard stands between controller and air. A state in which conflicting groups may move, a group is missing, or a phase's end lies
before its own earliest end is not believed: the junction is then broadcast as unavailable (every group `UNAVAILABLE`, status
`NO_VALID_SPAT`), once said loudly, until the state has been sound for `RECOVERY_NS`. While UTC is not known nothing is sent at all,
because every time in the message would be a guess.

`IntersectionState.revision` is the map's revision: that the two agree is how a receiver knows which lanes the groups belong to.
Left out: advisory speeds, queue lengths, enabled lanes.
"""

from dataclasses import dataclass

from rsu_agent.map_data import JunctionMap, mapem_of
from rsu_agent.signal_controllers import (
    ConflictingPairs,
    PhaseInterval,
    SignalController,
    SignalGroupState,
    conflicting_permissions,
)
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, V2xError
from shared.core.ids import StationId
from shared.messages.mapem import Mapem
from shared.messages.spatem import (
    IntersectionState,
    IntersectionStatus,
    MovementEvent,
    MovementPhaseState,
    MovementState,
    Spatem,
)
from shared.messages.time_mark import SECONDS_PER_HOUR, minute_of_year, ms_of_minute, second_of_hour
from shared.stack.effects import Notice

DEFAULT_SPATEM_INTERVAL_NS = 100 * NS_PER_MS
"""10 Hz; a change is told at once besides."""

MAPEM_INTERVAL_NS = NS_PER_S
"""TS 103 301: the topology once a second."""

RECOVERY_NS = 5 * NS_PER_S
"""How long a distrusted controller has to be sound before it is believed again."""

RETRY_NS = NS_PER_S
"""How often to look again while UTC is not known."""

CERTAIN = 15
"""`TimeIntervalConfidence` of a fixed-time plan: 100 %."""


@dataclass(frozen=True, slots=True)
class SignalCounters:
    """What the service did, since it began.

    Attributes:
        spatem: messages handed out.
        mapem: messages handed out.
        untrusted_time: occasions on which nothing was sent because UTC was not known.
        distrusted: states of the controller that were not believed.
        controller_failures: times the controller had no state to give.
    """

    spatem: int = 0
    mapem: int = 0
    untrusted_time: int = 0
    distrusted: int = 0
    controller_failures: int = 0


class SignalService:
    """Broadcasts one junction.

    Args:
        controller: where the lights' state comes from.
        conflicts: pairs of groups that must never be permitted together.
        junction: the lanes; its signal groups must be the controller's.
        station_id: the station that sends.
        spatem_interval_ns: regular interval between SPATEMs, 20 ms to 1 s.

    Raises:
        ConfigError: the interval is out of range, or map and controller name different signal groups.
    """

    def __init__(
        self,
        *,
        controller: SignalController,
        conflicts: ConflictingPairs,
        junction: JunctionMap,
        station_id: StationId,
        spatem_interval_ns: int = DEFAULT_SPATEM_INTERVAL_NS,
    ) -> None:
        if not 20 * NS_PER_MS <= spatem_interval_ns <= NS_PER_S:
            interval = f"{spatem_interval_ns / NS_PER_MS:g} ms"
            raise ConfigError(f"{junction.origin}: SPATEM interval", f"{interval} is not within 20 to 1000 ms")
        if junction.signal_groups != controller.signal_groups:
            differing = ", ".join(str(g) for g in sorted(junction.signal_groups ^ controller.signal_groups))
            raise ConfigError(junction.origin, f"map and controller do not have the same signal groups: {differing}")
        self._controller = controller
        self._conflicts = conflicts
        self._junction = junction
        self._station_id = station_id
        self._interval_ns = spatem_interval_ns
        self._next_spatem = MonotonicNs(0)
        self._next_mapem = MonotonicNs(0)
        self._next_change: MonotonicNs | None = None
        self._distrust: str | None = None
        self._trusted_again: MonotonicNs | None = None
        self._states: tuple[SignalGroupState, ...] = ()
        self._spatem = 0
        self._mapem = 0
        self._untrusted_time = 0
        self._distrusted = 0
        self._controller_failures = 0

    @property
    def counters(self) -> SignalCounters:
        """What was done so far."""
        return SignalCounters(
            spatem=self._spatem,
            mapem=self._mapem,
            untrusted_time=self._untrusted_time,
            distrusted=self._distrusted,
            controller_failures=self._controller_failures,
        )

    @property
    def distrust(self) -> str | None:
        """Why the junction is broadcast as unavailable; None while it is believed."""
        return self._distrust

    @property
    def phases(self) -> tuple[SignalGroupState, ...]:
        """The state last broadcast as believed; empty before the first and while the controller is distrusted."""
        return self._states

    def poll(self, now: Instant) -> tuple[Spatem | Mapem | Notice, ...]:
        """Return the messages that are due at `now`, and a notice whenever the junction becomes (un)available."""
        spatem_due = self._next_spatem <= now.monotonic or (self._next_change is not None and self._next_change <= now.monotonic)
        mapem_due = self._next_mapem <= now.monotonic
        if not (spatem_due or mapem_due):
            return ()
        if now.utc is None:
            self._untrusted_time += 1
            self._next_spatem = self._next_mapem = MonotonicNs(now.monotonic + RETRY_NS)
            self._next_change = None
            return ()
        out: list[Spatem | Mapem | Notice] = []
        if mapem_due:
            out.append(mapem_of(self._junction, self._station_id, minute_of_year(now.utc)))
            self._mapem += 1
            self._next_mapem = _following(self._next_mapem, MAPEM_INTERVAL_NS, now)
        if spatem_due:
            before = self._distrust
            states = self._believed(now)
            if self._distrust != before:
                out.append(self._notice())
            self._states = states or ()
            out.append(self._message(states, now.utc))
            self._spatem += 1
            due = min(self._next_spatem, now.monotonic)
            self._next_spatem = _following(MonotonicNs(due), self._interval_ns, now)
            self._next_change = self._controller.next_change(now)
        return tuple(out)

    def next_due(self) -> MonotonicNs:
        """Return when `poll` next has something to do."""
        due = min(self._next_spatem, self._next_mapem)
        return due if self._next_change is None else min(due, self._next_change)

    def _believed(self, now: Instant) -> tuple[SignalGroupState, ...] | None:
        """Return the controller's state, or None while it must not be broadcast."""
        try:
            states = self._controller.state(now)
        except V2xError as error:
            self._controller_failures += 1
            self._distrusts(f"the controller gives no state: {error}", now)
            return None
        reason = unsound(states, self._junction.signal_groups, self._conflicts, now.require_utc())
        if reason is not None:
            self._distrusted += 1
            self._distrusts(reason, now)
            return None
        if self._trusted_again is not None:
            if now.monotonic < self._trusted_again:
                return None
            self._trusted_again = None
            self._distrust = None
        return states

    def _distrusts(self, reason: str, now: Instant) -> None:
        self._distrust = self._distrust or reason
        self._trusted_again = MonotonicNs(now.monotonic + RECOVERY_NS)

    def _notice(self) -> Notice:
        junction = f"{self._junction.intersection_id.region or 0}/{self._junction.intersection_id.number}"
        if self._distrust is None:
            return Notice("junction_available", {"intersection": junction})
        return Notice("junction_unavailable", {"intersection": junction, "reason": self._distrust})

    def _message(self, states: tuple[SignalGroupState, ...] | None, utc: UtcNs) -> Spatem:
        status = IntersectionStatus.FIXED_TIME_OPERATION if self._controller.is_fixed_time else IntersectionStatus(0)
        if states is None:
            status = IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME
            movements = tuple(
                MovementState(signal_group=group, events=(MovementEvent(phase=MovementPhaseState.UNAVAILABLE),))
                for group in sorted(self._junction.signal_groups)
            )
        else:
            movements = tuple(
                MovementState(
                    signal_group=state.signal_group,
                    name=state.name,
                    events=tuple(_event(interval, is_running=index == 0) for index, interval in enumerate(state.intervals)),
                )
                for state in states
            )
        return Spatem(
            station_id=self._station_id,
            intersections=(
                IntersectionState(
                    id=self._junction.intersection_id,
                    revision=self._junction.revision,
                    status=status,
                    movements=movements,
                    minute_of_year=minute_of_year(utc),
                    timestamp_ms=ms_of_minute(utc),
                ),
            ),
        )


def unsound(
    states: tuple[SignalGroupState, ...], signal_groups: frozenset[int], conflicts: ConflictingPairs, utc: UtcNs
) -> str | None:
    """Return why a state must not be broadcast, as a sentence, or None if it is sound.

    Args:
        states: what a controller says.
        signal_groups: the groups it has to speak for.
        conflicts: pairs that must not be permitted together.
        utc: the present.
    """
    named = [state.signal_group for state in states]
    if len(set(named)) != len(named) or set(named) != signal_groups:
        return f"the controller speaks for signal groups {sorted(named)}, the map for {sorted(signal_groups)}"
    for state in states:
        if not state.intervals:
            return f"signal group {state.signal_group} has no phase"
    for first, second in conflicting_permissions(states, conflicts):
        return f"conflicting signal groups {first} and {second} are permitted together"
    for state in states:
        running = state.intervals[0]
        if running.max_end is not None and running.max_end < max(running.min_end, utc):
            return f"the phase of signal group {state.signal_group} should have ended, or ends before its earliest end"
    return None


def _event(interval: PhaseInterval, *, is_running: bool) -> MovementEvent:
    return MovementEvent(
        phase=interval.phase,
        start_time_s=None if is_running or interval.start is None else _time_mark_s(interval.start),
        min_end_time_s=_time_mark_s(interval.min_end),
        max_end_time_s=None if interval.max_end is None else _time_mark_s(interval.max_end),
        likely_time_s=None if interval.likely_end is None else _time_mark_s(interval.likely_end),
        confidence=CERTAIN if interval.min_end == interval.max_end else None,
    )


def _time_mark_s(utc: UtcNs) -> float:
    """Return the time mark nearest to `utc`, in steps of 0.1 s; the last half step of an hour belongs to the next."""
    return round(second_of_hour(utc), 1) % SECONDS_PER_HOUR


def _following(due: MonotonicNs, interval_ns: int, now: Instant) -> MonotonicNs:
    """Return the next time of a regular beat; beats that were slept through are left out."""
    following = due + interval_ns
    return MonotonicNs(following if following > now.monotonic else now.monotonic + interval_ns)
