"""A signal controller that broadcasts its phases as NTCIP 1202 SPaT datagrams ("TSCBM"), ten times a second over UDP.

    phase (vehicles), pedestrian movement or overlap of the controller  ->  signal group of the map, as the setup says

One address is believed, whatever else reaches the port is counted. The sequence octet has to move on: it is read as a count of
messages or as the low octet of the controller's uptime in tenths of a second, which both go forward slowly. A datagram seen before
or late is not taken; one from an other count is a restart once `RESTART_DATAGRAMS` agree, and the junction is then watched anew.
The lowest three bits of the discontinuity octet say that announced times no longer hold (those above are a version).

A colour a controller shows twice at once, or a datagram that makes no sense, is never guessed at: the state is refused as a whole.
Of the status octet public sources name the bits in different order, so only the setup says what they mean here. Times of the
controller's day are not used. Left out: predictions of phases to come, which the datagram does not have, and likely ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from rsu_agent.signal_controllers import ControllerMode, Movement, PhaseInterval, SignalGroupState
from rsu_agent.signal_controllers.hearing import HeardController, Hearing
from rsu_agent.signal_controllers.priority import PriorityAnswer, PriorityKey, PriorityRequest, not_served
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, UtcNs
from shared.core.errors import DecodeError, TransportError
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.messages.tscbm import LONG_OCTETS, SHORT_OCTETS, TimesToChange, Tscbm, decode_tscbm

RESTART_DATAGRAMS = 3
"""Datagrams of another count in a row that make a restart of what might be a stray one."""

REORDERED_NS = NS_PER_S
"""After so long without a datagram one from another count is no late one but a restart."""

SLACK_STEPS = 8
"""Steps of the sequence that are taken for lost datagrams or a jerky network, besides two for each tenth of a second."""

JUMP_BITS = 0x07

_SEQUENCES = 256
_TENTH_NS = 100 * NS_PER_MS


class Output(Enum):
    """Which output of the controller drives a signal group."""

    PHASE = "phase"
    PEDESTRIAN = "pedestrian"
    OVERLAP = "overlap"


@dataclass(frozen=True, slots=True, kw_only=True)
class TscbmGroup:
    """One signal group and the output that drives it.

    Attributes:
        number: of the signal group, 1..254.
        output: what kind of output.
        output_number: its number, 1..16.
        movement: protected or permissive green.
        name: for people, or None.
    """

    number: int
    output: Output
    output_number: int
    movement: Movement = Movement.PROTECTED
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TscbmSetup:
    """How one controller is listened to.

    Attributes:
        source: the one address it is believed from.
        groups: every signal group, ordered by number.
        stale_ns: how old its last datagram may be.
        map_revision: of the map for which the groups were written, or None.
        status_bits: meaning of each bit (0 the lowest) of its status octet that the operator knows.
        takes_repeats: whether a datagram with the sequence of the one before is news: for controllers that do not count.
    """

    source: str
    groups: tuple[TscbmGroup, ...]
    stale_ns: int = NS_PER_S
    map_revision: int | None = None
    status_bits: Mapping[int, IntersectionStatus]
    takes_repeats: bool = False


@dataclass(frozen=True, slots=True)
class _Shown:
    """What one group shows, and for how long from the moment of the datagram."""

    phase: MovementPhaseState
    min_s: float | None
    max_s: float | None


class TscbmController(HeardController):
    """One controller; what its port receives goes to `hear`.

    Args:
        setup: how it is listened to.
    """

    def __init__(self, setup: TscbmSetup) -> None:
        mode = ControllerMode(status=IntersectionStatus(0), map_revision=setup.map_revision)
        super().__init__(Hearing(setup.source, setup.stale_ns), mode)
        self._setup = setup
        self._groups = tuple(sorted(setup.groups, key=lambda group: group.number))
        self._signal_groups = frozenset(group.number for group in self._groups)
        self._sequence: int | None = None
        self._candidate: tuple[int, int] | None = None
        self._shown: tuple[_Shown, ...] = ()
        self._trouble: DecodeError | None = None
        self._looked_at: tuple[_Shown, ...] = ()
        self._has_restarted = False
        self._has_jumped = False
        self._jumps = 0
        self._status = 0
        self._heard_status = IntersectionStatus(0)

    @property
    def signal_groups(self) -> frozenset[int]:
        """Numbers of the groups the setup names."""
        return self._signal_groups

    @property
    def source(self) -> str:
        """The one address it is believed from."""
        return self._setup.source

    def hear(self, datagram: bytes, source: str, now: Instant) -> None:
        """Take one datagram in; never raises for what is in it or where it comes from."""
        hearing = self._hearing
        if source != self._setup.source:
            hearing.refuse("stranger", f"a datagram came from {source}, and only {self._setup.source} is believed", datagram, now)
            return
        if not hearing.may_look(now):
            return
        try:
            message = decode_tscbm(datagram)
        except DecodeError as error:
            is_length = len(datagram) not in {SHORT_OCTETS, LONG_OCTETS}
            hearing.refuse("wrong_length" if is_length else "malformed", str(error), datagram, now)
            return
        if self._is_next(message.sequence, datagram, now):
            hearing.take(datagram, now)
            self._take(message, datagram, now)

    def state(self, now: Instant) -> tuple[SignalGroupState, ...]:
        """Return what every group showed in the last datagram.

        Raises:
            UntrustedTimeError: `now` has no UTC.
            TransportError: nothing was heard for too long, or never, or the controller has begun anew since it was last asked.
            DecodeError: the last datagram contradicts itself.
        """
        utc = now.require_utc()
        self._has_news = False
        age_ns = self._hearing.require_fresh(now)
        if self._has_restarted:
            self._has_restarted = False
            raise TransportError(self._setup.source, "the controller restarted")
        if self._trouble is not None:
            raise self._trouble
        self._looked_at = self._shown
        self._mode = replace(self._mode, status=self._heard_status, has_jumped=self._has_jumped)
        self._has_jumped = False
        heard = utc - age_ns
        return tuple(
            SignalGroupState(signal_group=group.number, name=group.name, intervals=(_interval(shown, heard),))
            for group, shown in zip(self._groups, self._shown, strict=True)
        )

    def ask_priority(self, request: PriorityRequest, now: Instant) -> PriorityAnswer:  # noqa: ARG002 - as every controller
        """Say that this controller speaks and does not listen."""
        return not_served("the controller broadcasts its phases and takes no requests")

    def priority(self, key: PriorityKey) -> PriorityAnswer | None:  # noqa: ARG002 - as every controller
        """None: a request was answered for good when it was made."""
        return None

    def status(self, now: Instant) -> dict[str, object]:
        """Return its health as JSON values."""
        return {
            "kind": "tscbm",
            **self._hearing.status(now),
            "sequence": self._sequence,
            "discontinuities": self._jumps,
            "status_octet": self._status,
        }

    def _is_next(self, sequence: int, datagram: bytes, now: Instant) -> bool:
        """Say whether a datagram is news: the next in the count, or of a count that began anew."""
        latest = self._hearing.latest
        if self._sequence is None or latest is None:
            self._sequence = sequence
            return True
        elapsed_ns = now.monotonic - latest
        step = (sequence - self._sequence) % _SEQUENCES
        if step == 0:
            self._candidate = None
            if not self._setup.takes_repeats and elapsed_ns < (_SEQUENCES - SLACK_STEPS) * _TENTH_NS:
                self._hearing.refuse("repeated", f"the datagram with sequence {sequence} came again", datagram, now)
                return False
        elif step > 2 * elapsed_ns // _TENTH_NS + SLACK_STEPS:
            if elapsed_ns < REORDERED_NS and not self._confirms_restart(sequence):
                reason = f"sequence {sequence} does not follow {self._sequence}"
                self._hearing.refuse("out_of_order", reason, datagram, now)
                return False
            self._has_restarted = True
            self._hearing.restarted(now)
        else:
            self._hearing.skipped += step - 1
        self._sequence, self._candidate = sequence, None
        return True

    def _confirms_restart(self, sequence: int) -> bool:
        """Say whether enough datagrams in a row went on from one of another count."""
        if self._candidate is not None and 0 < (sequence - self._candidate[0]) % _SEQUENCES <= SLACK_STEPS:
            self._candidate = sequence, self._candidate[1] + 1
        else:
            self._candidate = sequence, 1
        return self._candidate[1] >= RESTART_DATAGRAMS

    def _take(self, message: Tscbm, datagram: bytes, now: Instant) -> None:
        self._status = message.status
        self._heard_status = IntersectionStatus(0)
        for bit, meaning in self._setup.status_bits.items():
            self._heard_status |= meaning if message.status >> bit & 1 else IntersectionStatus(0)
        if message.discontinuity & JUMP_BITS:
            self._has_jumped = True
            self._jumps += 1
        try:
            self._shown = tuple(_shown(message, group) for group in self._groups)
            self._trouble = None
        except DecodeError as error:
            self._trouble = error
            self._hearing.refuse("contradiction", str(error), datagram, now)
        before = tuple(shown.phase for shown in self._looked_at)
        is_change = before != tuple(shown.phase for shown in self._shown) or self._mode.status != self._heard_status
        self._has_news |= is_change or self._has_jumped or self._has_restarted or self._trouble is not None


def _shown(message: Tscbm, group: TscbmGroup) -> _Shown:
    """Return what one group shows; raises `DecodeError` where a datagram says two things of it."""
    number = group.output_number
    times: TimesToChange = message.times[number - 1]
    match group.output:
        case Output.PHASE:
            lit = number in message.reds, number in message.yellows, number in message.greens
            is_flashing, least, most = number in message.flashing_phases, times.vehicle_min_s, times.vehicle_max_s
        case Output.OVERLAP:
            lit = number in message.overlap_reds, number in message.overlap_yellows, number in message.overlap_greens
            is_flashing, least, most = number in message.flashing_overlaps, times.overlap_min_s, times.overlap_max_s
        case Output.PEDESTRIAN:
            lit = number in message.dont_walks, number in message.pedestrian_clears, number in message.walks
            is_flashing, least, most = False, times.pedestrian_min_s, times.pedestrian_max_s
    if sum(lit) > 1:
        raise DecodeError(f"tscbm.{group.output.value}[{number}]", "shows more than one colour at once")
    return _Shown(_phase(lit, group.movement, is_flashing=is_flashing), least, most)


def _phase(lit: tuple[bool, bool, bool], movement: Movement, *, is_flashing: bool) -> MovementPhaseState:
    """Return the phase of three lamps; what flashes while no lamp is on is not known, for one of several may be about to light."""
    red, yellow, green = lit
    if red:
        return MovementPhaseState.STOP_THEN_PROCEED if is_flashing else MovementPhaseState.STOP_AND_REMAIN
    if yellow and is_flashing:
        return MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC
    if yellow:
        return movement.amber
    if is_flashing:
        return MovementPhaseState.UNAVAILABLE
    return movement.green if green else MovementPhaseState.DARK


def _interval(shown: _Shown, heard: int) -> PhaseInterval:
    def end(seconds: float | None) -> UtcNs | None:
        return None if seconds is None else UtcNs(heard + round(seconds * NS_PER_S))

    least = end(shown.min_s)
    most = None if least is None else end(shown.max_s)
    return PhaseInterval(phase=shown.phase, start=None, min_end=least, max_end=most, likely_end=None)
