"""Traffic jam on a fast road: its dangerous end (27/0), and the jam itself (1/0), C2CCC RS 2004.

    end of queue  begins  from 80 km/h or more down to 30 km/h or less within 10 s, by 3.5 m/s2 or more on average, and
                          the hazard lights are on, or somebody stands within 100 m ahead, or others report one end of a queue, or
                          five others report a jam
                  ends    after 20 s, or faster than 50 km/h                                           (faster: ours)
    jam ahead     begins  on average over 120 s at most 30 km/h, but not standing all the time; or standing for 30 s with five
                          others that stand within 100 m ahead, or with a jam that others report
                  ends    faster than 50 km/h for 10 s                                                 (ours)

Both only on a fast road (`fast_road`): a red light in a town is nobody's news. All figures but those marked are published. An end
of queue is believed for 20 s and repeated every 500 ms; a jam for 60 s, every second, renewed every 60 s. Neither is cancelled: the
queue is still there when the car has left it.
"""

from collections import deque
from itertools import islice

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.units import KMH_PER_MPS
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance, RelevanceTrafficDirection
from vehicle_agent.triggers.conditions import STANDING_MPS
from vehicle_agent.triggers.fast_road import FAST_MPS, FastRoad
from vehicle_agent.triggers.latch import MAX_GAP_NS, Absence
from vehicle_agent.triggers.situation import Ending, Profile, Situation
from vehicle_agent.triggers.surroundings import Surroundings
from vehicle_agent.vehicle_state import VehicleState, fresh

QUEUE_MPS = 30.0 / KMH_PER_MPS
FLOWS_AGAIN_MPS = 50.0 / KMH_PER_MPS
BRAKED_WITHIN_NS = 10 * NS_PER_S
BRAKED_BY_MPS2 = 3.5
BRAKED_RECENTLY_NS = 5 * NS_PER_S
"""For this long after the braking somebody who stands ahead, or a hand on the hazard switch, still belongs to it. Ours."""

END_OF_QUEUE_LASTS_NS = 20 * NS_PER_S
ENOUGH_REPORTS_OF_A_JAM = 5

AVERAGE_OVER_S = 120
STANDS_FOR_S = 30
ENOUGH_STANDING_AHEAD = 5
FLOWS_AGAIN_FOR_NS = 10 * NS_PER_S

END_OF_QUEUE_PROFILE = Profile(
    name="end_of_queue",
    validity_s=20,
    repetition_interval_ms=500,
    repetition_duration_s=20.0,
    ending=Ending.LAPSE,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    reach_m=1_000.0,
    blocking_ms=20_000,
)

JAM_PROFILE = Profile(
    name="traffic_jam",
    validity_s=60,
    repetition_interval_ms=1_000,
    repetition_duration_s=60.0,
    update_ms=60_000,
    ending=Ending.STAY,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    reach_m=1_000.0,
    blocking_ms=60_000,
)


class EndOfQueue:
    """The car has come upon the end of a queue.

    Args:
        surroundings: what others say.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._road = FastRoad()
        self._fast: tuple[MonotonicNs, float] | None = None
        self._braked: MonotonicNs | None = None
        self._since: MonotonicNs | None = None

    @property
    def profile(self) -> Profile:
        """How it is told of."""
        return END_OF_QUEUE_PROFILE

    def resume(self, now: Instant) -> None:
        """Nothing has to be gone on with: it ends by itself within seconds."""

    def observe(self, state: VehicleState, now: Instant) -> Situation | Absence:
        """Look at the car and who is ahead of it."""
        at = now.monotonic
        is_fast_road = self._road.observe(state, at)
        speed_mps = fresh(state.speed_mps, at)
        if speed_mps is None:
            return Absence.UNKNOWN
        if speed_mps >= FAST_MPS:
            self._fast = at, speed_mps
        if self._since is not None and (at - self._since >= END_OF_QUEUE_LASTS_NS or speed_mps > FLOWS_AGAIN_MPS):
            self._since = None
        if is_fast_road and speed_mps <= QUEUE_MPS and self._fast is not None and self._has_braked(speed_mps, at):
            self._braked, self._fast = at, None
        if self._braked is not None and at - self._braked > BRAKED_RECENTLY_NS:
            self._braked = None
        hints = self._hints(state, now) if self._braked is not None else 0
        if hints:
            self._braked, self._since = None, at
        if self._since is None:
            return Absence.OVER
        return Situation(cause=CauseCode.DANGEROUS_END_OF_QUEUE, quality=max(1, hints))

    def _has_braked(self, speed_mps: float, at: MonotonicNs) -> bool:
        if self._fast is None:
            return False
        then, fast_mps = self._fast
        elapsed_ns = at - then
        return 0 < elapsed_ns <= BRAKED_WITHIN_NS and (fast_mps - speed_mps) * NS_PER_S / elapsed_ns >= BRAKED_BY_MPS2

    def _hints(self, state: VehicleState, now: Instant) -> int:
        """Count what speaks for a queue; braking hard alone does not."""
        around = self._surroundings
        return (
            bool(fresh(state.hazard_lights, now.monotonic))
            + (around.standing_ahead(state, now) > 0)
            + (around.reported_ahead(CauseCode.DANGEROUS_END_OF_QUEUE, state, now) > 0)
            + (around.reported_ahead(CauseCode.TRAFFIC_CONDITION, state, now) >= ENOUGH_REPORTS_OF_A_JAM)
        )


class TrafficJam:
    """The car is in a jam.

    Args:
        surroundings: what others say.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._road = FastRoad()
        self._speeds: deque[float] = deque(maxlen=AVERAGE_OVER_S)
        self._sampled: MonotonicNs | None = None
        self._is_active = False
        self._flows_since: MonotonicNs | None = None

    @property
    def profile(self) -> Profile:
        """How it is told of."""
        return JAM_PROFILE

    def resume(self, now: Instant) -> None:
        """Nothing has to be gone on with: the jam shows itself again, or ends by itself."""

    def observe(self, state: VehicleState, now: Instant) -> Situation | Absence:
        """Look at the car and who is ahead of it."""
        at = now.monotonic
        is_fast_road = self._road.observe(state, at)
        speed_mps = fresh(state.speed_mps, at)
        if speed_mps is None:
            self._speeds.clear()
            return Absence.UNKNOWN
        self._sample(speed_mps, at)
        if self._is_active:
            self._is_active = not self._flows(speed_mps, at)
        else:
            self._flows_since = None
            self._is_active = is_fast_road and bool(fresh(state.ignition_on, at)) and self._is_jammed(state, now)
        if not self._is_active:
            return Absence.OVER
        others = self._surroundings.standing_ahead(state, now) >= ENOUGH_STANDING_AHEAD
        return Situation(cause=CauseCode.TRAFFIC_CONDITION, quality=1 + others)

    def _sample(self, speed_mps: float, at: MonotonicNs) -> None:
        """Keep one speed a second; after a gap begin anew."""
        if self._sampled is not None and at - self._sampled < NS_PER_S:
            return
        if self._sampled is not None and at - self._sampled > NS_PER_S + MAX_GAP_NS:
            self._speeds.clear()
        self._sampled = at
        self._speeds.append(speed_mps)

    def _is_jammed(self, state: VehicleState, now: Instant) -> bool:
        speeds = self._speeds
        if len(speeds) == AVERAGE_OVER_S and max(speeds) > STANDING_MPS and sum(speeds) / AVERAGE_OVER_S <= QUEUE_MPS:
            return True
        if len(speeds) < STANDS_FOR_S or max(islice(reversed(speeds), STANDS_FOR_S)) > STANDING_MPS:
            return False
        around = self._surroundings
        is_reported = around.reported_ahead(CauseCode.TRAFFIC_CONDITION, state, now) > 0
        return is_reported or around.standing_ahead(state, now) >= ENOUGH_STANDING_AHEAD

    def _flows(self, speed_mps: float, at: MonotonicNs) -> bool:
        if speed_mps <= FLOWS_AGAIN_MPS:
            self._flows_since = None
            return False
        if self._flows_since is None:
            self._flows_since = at
        return at - self._flows_since >= FLOWS_AGAIN_FOR_NS
