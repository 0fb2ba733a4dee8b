"""The SPATEM that says what one junction's lights show (TS 103 301 V1.3.1 on ISO/TS 19091), and the one that says nothing of them.

Of predicted phases as many are told as a packet has room for; names go first where even the running phases leave none. A green is
protected only where no way of its group gives way by the map; elsewhere it is said to be permissive, whatever the controller calls
it. `IntersectionState.revision` is the map's revision: that the two agree is how a receiver knows which lanes the groups belong to.
Left out: advisory speeds, queue lengths.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import inf

from rsu_agent.map_data import JunctionMap
from rsu_agent.signal_controllers import ControllerMode, PhaseInterval, SignalGroupState
from rsu_agent.signal_guard import Believed
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import ConfigError
from shared.core.ids import StationId
from shared.messages.spatem import (
    MAX_EVENTS,
    IntersectionState,
    IntersectionStatus,
    MovementEvent,
    MovementPhaseState,
    MovementState,
    Spatem,
)
from shared.messages.time_mark import SECONDS_PER_HOUR, minute_of_year, ms_of_minute, second_of_hour
from shared.network.btp import BTP_OCTETS
from shared.network.packet import MAX_SDU_OCTETS

MAX_SPATEM_OCTETS = MAX_SDU_OCTETS - BTP_OCTETS
"""A longer message fits no packet."""

HEAD_OCTETS, GROUP_OCTETS, PHASE_OCTETS = 48, 4, 12
"""What a SPATEM has at most: besides its groups (sixteen enabled lanes included), for a group without name, and for a phase."""

FARTHEST_NS = (SECONDS_PER_HOUR - 1) * NS_PER_S
"""What is further away has no `TimeMark` of its own, only "more than an hour" (36000)."""

NO_SPAT = IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME
NO_MAP = IntersectionStatus.NO_VALID_MAP_IS_AVAILABLE_AT_THIS_TIME

_UNPROTECTED = {
    MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED: MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED,
    MovementPhaseState.PROTECTED_CLEARANCE: MovementPhaseState.PERMISSIVE_CLEARANCE,
}


class SignalMessages:
    """Makes the SPATEMs of one junction.

    Args:
        junction: the lanes.
        station_id: the station that sends.

    Raises:
        ConfigError: the map has more signal groups than a packet has room for.
    """

    def __init__(self, junction: JunctionMap, station_id: StationId) -> None:
        groups = len(junction.signal_groups)
        if octets_at_most([(None, 1)] * groups) > MAX_SPATEM_OCTETS:
            raise ConfigError(junction.origin, f"{groups} signal groups are more than a packet has room for")
        self._junction = junction
        self._permissive = junction.permissive_groups()
        self._station_id = station_id

    def as_said(self, states: Iterable[SignalGroupState]) -> tuple[SignalGroupState, ...]:
        """Return states as they may be said: where a way of the group gives way by the map, no green of it is protected."""
        return tuple(
            replace(state, intervals=tuple(map(_unprotected, state.intervals))) if state.signal_group in self._permissive else state
            for state in states
        )

    def believed(self, believed: Believed, utc: UtcNs) -> Spatem:
        """Return the message that says what the guard found sound at `utc`, the present, `as_said`."""
        phases, is_named = _room(believed.states)
        movements = tuple(
            MovementState(
                signal_group=state.signal_group,
                name=state.name if is_named else None,
                events=tuple(
                    _event(interval, utc, is_running=index == 0) for index, interval in enumerate(state.intervals[:phases])
                ),
            )
            for state in self.as_said(believed.states)
        )
        return self._message(believed.mode, movements, utc)

    def unavailable(self, utc: UtcNs, *, is_other_map: bool) -> Spatem:
        """Return the message that says nothing of any light.

        Args:
            utc: the present.
            is_other_map: the controller was set up for another revision of the map, so that is not to be believed either.
        """
        movements = tuple(
            MovementState(signal_group=group, events=(MovementEvent(phase=MovementPhaseState.UNAVAILABLE),))
            for group in sorted(self._junction.signal_groups)
        )
        return self._message(ControllerMode(status=NO_SPAT | NO_MAP if is_other_map else NO_SPAT), movements, utc)

    def _message(self, mode: ControllerMode, movements: tuple[MovementState, ...], utc: UtcNs) -> Spatem:
        return Spatem(
            station_id=self._station_id,
            intersections=(
                IntersectionState(
                    id=self._junction.intersection_id,
                    revision=self._junction.revision,
                    status=mode.status,
                    movements=movements,
                    minute_of_year=minute_of_year(utc),
                    timestamp_ms=ms_of_minute(utc),
                    enabled_lanes=mode.enabled_lanes,
                ),
            ),
        )


def _unprotected(interval: PhaseInterval) -> PhaseInterval:
    return replace(interval, phase=_UNPROTECTED.get(interval.phase, interval.phase))


def octets_at_most(groups: Sequence[tuple[str | None, int]]) -> int:
    """Return how long a SPATEM can be at most, given the name of each group and how many phases are told of it."""
    names = (0 if name is None else 1 + len(name) for name, _ in groups)
    return HEAD_OCTETS + sum(GROUP_OCTETS + PHASE_OCTETS * phases for _, phases in groups) + sum(names)


def _room(states: tuple[SignalGroupState, ...]) -> tuple[int, bool]:
    """Return how many phases of each group a packet has room for, one at least, and whether it has any for names."""
    for phases in range(MAX_EVENTS, 0, -1):
        if octets_at_most([(state.name, min(phases, len(state.intervals))) for state in states]) <= MAX_SPATEM_OCTETS:
            return phases, True
    return 1, False


def _event(interval: PhaseInterval, utc: UtcNs, *, is_running: bool) -> MovementEvent:
    """Return a phase as a message says it; an end that should have been by now is said to be now."""
    if interval.min_end is None:
        return MovementEvent(phase=interval.phase)
    return MovementEvent(
        phase=interval.phase,
        start_time_s=None if is_running else _time_mark_s(interval.start, utc),
        min_end_time_s=_time_mark_s(interval.min_end, utc),
        max_end_time_s=_time_mark_s(interval.max_end, utc),
        likely_time_s=_time_mark_s(interval.likely_end, utc),
        confidence=None if interval.likely_end is None else interval.confidence,
    )


def _time_mark_s(moment: UtcNs | None, utc: UtcNs) -> float | None:
    """Return the time mark nearest to a moment, in steps of 0.1 s, or to the present where the moment has passed.

    The last half step of an hour belongs to the next; what is an hour away or more is infinitely far.
    """
    if moment is None:
        return None
    if moment - utc > FARTHEST_NS:
        return inf
    return round(second_of_hour(max(moment, utc)), 1) % SECONDS_PER_HOUR
