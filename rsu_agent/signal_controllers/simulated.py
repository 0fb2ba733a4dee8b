"""The lights of a simulator: one letter for each link, as SUMO writes them (`GGrryyrr`), shown to the unit at every step.

    G, g   green with and without right of way     y, Y   amber        u   red and amber        r   red
    s      stop, then turn right                   o      flashing     O   off

A signal group is a set of links; its lamps have one colour, so links of one group that differ contradict the setup. When the next
switch comes the simulator may say; for a static programme that is certain. Requests for priority wait for the simulator, which
takes and answers them. Left out: reading a network or a programme: whoever simulates does that.
"""

from collections import deque
from collections.abc import Mapping

from rsu_agent.signal_controllers import ControllerMode, PhaseInterval, SignalGroupState
from rsu_agent.signal_controllers.fixed_time import CERTAIN
from rsu_agent.signal_controllers.hearing import HeardController, Hearing
from rsu_agent.signal_controllers.priority import (
    MAX_REQUESTS,
    PriorityAction,
    PriorityAnswer,
    PriorityDesk,
    PriorityKey,
    PriorityRequest,
)
from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import DecodeError
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.messages.ssem import PrioritizationStatus

STALE_NS = 2 * NS_PER_S
"""A simulator that shows nothing for so long stands still."""

PHASES: dict[str, MovementPhaseState] = {
    "r": MovementPhaseState.STOP_AND_REMAIN,
    "u": MovementPhaseState.PRE_MOVEMENT,
    "G": MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED,
    "g": MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED,
    "Y": MovementPhaseState.PROTECTED_CLEARANCE,
    "y": MovementPhaseState.PERMISSIVE_CLEARANCE,
    "s": MovementPhaseState.STOP_THEN_PROCEED,
    "o": MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC,
    "O": MovementPhaseState.DARK,
}


class SimulatedController(HeardController):
    """The lights of one simulated junction.

    Args:
        links: for each signal group the positions of its links in the letters; none is empty.
        name: of the junction in the simulator.
        is_static: whether switches come when they are announced: a programme that does not react to traffic.
    """

    def __init__(self, links: Mapping[int, tuple[int, ...]], *, name: str = "simulator", is_static: bool = True) -> None:
        status = IntersectionStatus.FIXED_TIME_OPERATION if is_static else IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION
        super().__init__(Hearing(name, STALE_NS), ControllerMode(status=status))
        self._links = dict(sorted(links.items()))
        self._is_static = is_static
        self._shown: tuple[MovementPhaseState, ...] = ()
        self._looked_at: tuple[MovementPhaseState, ...] = ()
        self._next_switch: MonotonicNs | None = None
        self._trouble: DecodeError | None = None
        self._desk = PriorityDesk()
        self._requests: deque[PriorityRequest] = deque(maxlen=MAX_REQUESTS)

    @property
    def signal_groups(self) -> frozenset[int]:
        """Numbers of the groups that have links."""
        return frozenset(self._links)

    def show(self, letters: str, now: Instant, *, next_switch: MonotonicNs | None = None) -> None:
        """Take in what the lights show now; never raises for it.

        Args:
            letters: one for each link.
            now: the present.
            next_switch: when any of them changes next, as the simulator knows it; None where it does not.
        """
        self._hearing.take(letters.encode(errors="replace"), now)
        self._next_switch = next_switch
        try:
            self._shown = tuple(_phase(group, positions, letters) for group, positions in self._links.items())
            self._trouble = None
        except DecodeError as error:
            self._trouble = error
            self._hearing.refuse("contradiction", str(error), letters.encode(errors="replace"), now)
        self._has_news |= self._trouble is not None or self._shown != self._looked_at

    def state(self, now: Instant) -> tuple[SignalGroupState, ...]:
        """Return what every group shows.

        Raises:
            UntrustedTimeError: `now` has no UTC.
            TransportError: the simulator has shown nothing for too long, or never.
            DecodeError: the lights contradict the setup.
        """
        utc = now.require_utc()
        self._has_news = False
        self._hearing.require_fresh(now)
        if self._trouble is not None:
            raise self._trouble
        self._looked_at = self._shown
        switch = None if self._next_switch is None else UtcNs(utc + max(0, self._next_switch - now.monotonic))
        is_certain = self._is_static and switch is not None
        return tuple(
            SignalGroupState(
                signal_group=group,
                name=None,
                intervals=(
                    PhaseInterval(
                        phase=phase,
                        start=None,
                        min_end=switch,
                        max_end=None,
                        likely_end=switch if is_certain else None,
                        confidence=CERTAIN if is_certain else None,
                    ),
                ),
            )
            for group, phase in zip(self._links, self._shown, strict=True)
        )

    def ask_priority(self, request: PriorityRequest, now: Instant) -> PriorityAnswer:  # noqa: ARG002 - as every controller
        """Let a request wait for the simulator."""
        self._requests.append(request)
        if request.action is PriorityAction.CANCEL:
            self._desk.forget(request.key)
            return PriorityAnswer(status=PrioritizationStatus.UNKNOWN, reason="the request was withdrawn")
        asked = PriorityAnswer(status=PrioritizationStatus.REQUESTED, reason="the simulator was asked")
        return self._desk.status(request.key) or self._desk.note(request.key, asked)

    def priority(self, key: PriorityKey) -> PriorityAnswer | None:
        """Return what the simulator answered; None for a request that is not known (any more)."""
        return self._desk.status(key)

    def take_requests(self) -> tuple[PriorityRequest, ...]:
        """Return, once, what the simulator is asked."""
        requests = tuple(self._requests)
        self._requests.clear()
        return requests

    def answer(self, key: PriorityKey, answer: PriorityAnswer) -> None:
        """Take the simulator's answer in; one to a request that is not known changes nothing."""
        if key in self._desk:
            self._desk.note(key, answer)

    def status(self, now: Instant) -> dict[str, object]:
        """Return its health as JSON values."""
        return {"kind": "simulated", **self._hearing.status(now)}


def _phase(group: int, positions: tuple[int, ...], letters: str) -> MovementPhaseState:
    """Return what a group shows; where only some of its links must yield, the group must. Raises `DecodeError`."""
    shown = {letters[position] for position in positions if position < len(letters)}
    if max(positions) >= len(letters):
        raise DecodeError(f"lights[{max(positions)}]", f"signal group {group} has a link beyond the {len(letters)} letters")
    unknown = sorted(shown - PHASES.keys())
    if unknown:
        raise DecodeError("lights", f"{unknown[0]!r} of signal group {group} is no light")
    if len({letter.lower() if letter in "GgYy" else letter for letter in shown}) > 1:
        raise DecodeError("lights", f"the links of signal group {group} show {' and '.join(sorted(shown))} at once")
    return PHASES[min(shown, key=str.isupper) if len(shown) > 1 else next(iter(shown))]
