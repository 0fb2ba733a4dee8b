"""SPATEM and MAPEM of one junction (TS 103 301 V1.3.1): the map once a second, the lights regularly and at every change.

The guard (`signal_guard`) stands between controller and air. While it does not believe a state, or the controller has none to give,
the junction is broadcast as unavailable (every group `UNAVAILABLE`, status `NO_VALID_SPAT`) until the state has been sound for
`RECOVERY_NS`; each kind of doubt is said loudly once in that time, with the evidence. While UTC is not known nothing is sent at
all, because every time in the message would be a guess; when UTC was set, what was announced before is void, a doubt like others.

What the messages say is `signal_message`'s affair.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from rsu_agent.map_data import JunctionMap, mapem_of
from rsu_agent.signal_controllers import GuardRules, SignalController, SignalGroupState
from rsu_agent.signal_guard import Believed, Distrust, Doubt, SignalGuard
from rsu_agent.signal_message import SignalMessages
from rsu_agent.signal_prediction import PhaseHistory
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, DecodeError, V2xError
from shared.core.ids import StationId
from shared.core.itstime import utc_text
from shared.messages.mapem import Mapem
from shared.messages.spatem import Spatem
from shared.messages.time_mark import minute_of_year
from shared.stack.effects import Evidence, Notice

DEFAULT_SPATEM_INTERVAL_NS = 100 * NS_PER_MS
"""10 Hz; a change is told at once besides."""

MAPEM_INTERVAL_NS = NS_PER_S
"""TS 103 301: the topology once a second."""

RECOVERY_NS = 5 * NS_PER_S
"""How long a distrusted controller has to be sound before it is believed again."""

RETRY_NS = NS_PER_S
"""How often to look again while UTC is not known."""

MIN_CHANGE_NS = 20 * NS_PER_MS
"""At least so long from one SPATEM to the next, however often the lamps change."""

MAX_STEP_NS = 500 * NS_PER_MS
"""A clock that is disciplined drifts by less between two looks; by more it was set, and what was announced before does not hold."""

MAX_EVIDENCE_OCTETS = 7_500
"""Of all documents of one evidence: as much as the evidence store keeps of one thing."""

_UNDATED: Final = "UTC is not known, so nothing is said of the lights"

SignalItem = Spatem | Mapem | Notice | Evidence
"""What the service hands out."""


class Link(Protocol):
    """The way a controller is heard."""

    @property
    def fault(self) -> str | None:
        """Why nothing can be heard just now; None while all is well."""
        ...


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
        rules: what the groups promise, for the guard.
        junction: the lanes; its signal groups must be the controller's.
        station_id: the station that sends.
        spatem_interval_ns: regular interval between SPATEMs, 20 ms to 1 s.

    Raises:
        ConfigError: the interval is out of range, map and controller name different signal groups, or so many that no packet has
            room for all of them.
    """

    def __init__(
        self,
        *,
        controller: SignalController,
        rules: GuardRules,
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
        self._guard = SignalGuard(rules, junction)
        self._history = PhaseHistory()
        self._junction = junction
        self._messages = SignalMessages(junction, station_id)
        self._station_id = station_id
        self._interval_ns = spatem_interval_ns
        self._next_spatem = MonotonicNs(0)
        self._next_mapem = MonotonicNs(0)
        self._next_change: MonotonicNs | None = None
        self._last_spatem: MonotonicNs | None = None
        self._link: Link | None = None
        self._distrust: Distrust | None = None
        self._told: set[Doubt] = set()
        self._is_undated = False
        self._utc_offset_ns: int | None = None
        self._trusted_again: MonotonicNs | None = None
        self._states: tuple[SignalGroupState, ...] = ()
        self._doubtful: tuple[SignalGroupState, ...] = ()
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
        """Why the junction is broadcast as unavailable, or not at all; None while it is believed."""
        if self._is_undated:
            return _UNDATED
        return None if self._distrust is None else self._distrust.sentence

    @property
    def controller(self) -> SignalController:
        """Where the lights' state comes from; asked for priority."""
        return self._controller

    @property
    def junction(self) -> JunctionMap:
        """The lanes."""
        return self._junction

    @property
    def phases(self) -> tuple[SignalGroupState, ...]:
        """The state last broadcast as believed, as it was said; empty before the first and while the controller is distrusted."""
        return self._states

    def attach(self, link: Link) -> None:
        """Show the state of the way to the controller in the status."""
        self._link = link

    def look(self, now: Instant) -> None:
        """Take note that the controller was heard: a change it tells of is broadcast at once."""
        if now.utc is None:
            return
        change = self._controller.next_change(now)
        if change is not None and self._last_spatem is not None:
            change = MonotonicNs(max(change, self._last_spatem + MIN_CHANGE_NS))
        self._next_change = change

    def poll(self, now: Instant) -> tuple[SignalItem, ...]:
        """Return what is due at `now`: messages, and what the controller has to tell.

        Whenever the junction becomes available or unavailable there is a notice, in the latter case also the evidence; both again
        for each other kind of doubt that comes up before it is available again.
        """
        out: list[SignalItem] = list(self._controller.take_notices())
        spatem_due = self._next_spatem <= now.monotonic or (self._next_change is not None and self._next_change <= now.monotonic)
        mapem_due = self._next_mapem <= now.monotonic
        if not (spatem_due or mapem_due):
            return tuple(out)
        self._is_undated = now.utc is None
        if now.utc is None:
            self._lose_sight()
            self._untrusted_time += 1
            self._next_spatem = self._next_mapem = MonotonicNs(now.monotonic + RETRY_NS)
            self._next_change = None
            return tuple(out)
        if mapem_due:
            out.append(mapem_of(self._junction, self._station_id, minute_of_year(now.utc)))
            self._mapem += 1
            self._next_mapem = _following(self._next_mapem, MAPEM_INTERVAL_NS, now)
        if spatem_due:
            believed = self._believed(now)
            out += self._news(now.utc)
            self._states = () if believed is None else self._messages.as_said(believed.states)
            is_other_map = self._distrust is not None and self._distrust.doubt is Doubt.MAP_REVISION
            out.append(
                self._messages.unavailable(now.utc, is_other_map=is_other_map)
                if believed is None
                else self._messages.believed(believed, now.utc)
            )
            self._spatem += 1
            self._last_spatem = now.monotonic
            due = min(self._next_spatem, now.monotonic)
            self._next_spatem = _following(MonotonicNs(due), self._interval_ns, now)
            change = self._controller.next_change(now)
            self._next_change = None if change is None else MonotonicNs(max(change, now.monotonic + MIN_CHANGE_NS))
        return tuple(out)

    def next_due(self) -> MonotonicNs:
        """Return when `poll` next has something to do."""
        due = min(self._next_spatem, self._next_mapem)
        return due if self._next_change is None else min(due, self._next_change)

    def status(self, now: Instant) -> dict[str, object]:
        """Return junction, guard and controller as JSON values."""
        utc = now.utc
        return {
            "available": self.distrust is None,
            "reason": self.distrust,
            "phases": {str(state.signal_group): state.phase.name.lower() for state in self._states},
            "groups": {} if utc is None else {str(state.signal_group): _group_status(state, utc) for state in self._states},
            "untrusted_time": self._untrusted_time,
            "distrusted": self._distrusted,
            "controller_failures": self._controller_failures,
            "doubts": dict(self._guard.doubts),
            "early_ends": self._guard.early_ends,
            "controller": self._controller.status(now),
            "link_fault": None if self._link is None else self._link.fault,
        }

    def _believed(self, now: Instant) -> Believed | None:
        """Return the controller's state, or None while it must not be broadcast."""
        if (clock_was_set := self._against_clock(now)) is not None:
            self._guard.forget()
            self._distrusts(self._guard.doubt(clock_was_set), now)
            return None
        try:
            states = self._controller.state(now)
        except V2xError as error:
            self._controller_failures += 1
            self._guard.forget()
            doubt = Doubt.CONTRADICTION if isinstance(error, DecodeError) else Doubt.NO_STATE
            self._distrusts(self._guard.doubt(Distrust(doubt, f"the controller gives no state: {error}")), now)
            return None
        judged = self._guard.judge(states, self._controller.mode, now)
        if isinstance(judged, Distrust):
            self._distrusted += 1
            self._distrusts(judged, now, states)
            return None
        if self._trusted_again is not None:
            if now.monotonic < self._trusted_again:
                return None
            self._trusted_again = self._distrust = None
            self._doubtful = ()
        return replace(judged, states=self._history.predict(judged.states, now))

    def _against_clock(self, now: Instant) -> Distrust | None:
        """Return why no time that was announced holds any more: UTC was set since it was last known."""
        before, self._utc_offset_ns = self._utc_offset_ns, now.require_utc() - now.monotonic
        step_ns = 0 if before is None else self._utc_offset_ns - before
        if abs(step_ns) <= MAX_STEP_NS:
            return None
        direction = "back" if step_ns < 0 else "forward"
        return Distrust(
            Doubt.CLOCK, f"UTC was set {direction} by {abs(step_ns) / NS_PER_S:.1f} s, and what was announced before is void"
        )

    def _distrusts(self, reason: Distrust, now: Instant, states: tuple[SignalGroupState, ...] = ()) -> None:
        self._history.lose_sight()
        self._distrust, self._doubtful = reason, states
        self._trusted_again = MonotonicNs(now.monotonic + RECOVERY_NS)

    def _lose_sight(self) -> None:
        """Nothing is looked at for a while: what was seen before says nothing of what comes."""
        self._states = ()
        self._guard.forget()
        self._history.lose_sight()

    def _news(self, utc: UtcNs) -> tuple[Notice | Evidence, ...]:
        """Say that the junction is believed again, or why it is not, with what was heard, where that was not said yet."""
        region, number = self._junction.intersection_id.region or 0, self._junction.intersection_id.number
        named = {"intersection": f"{region}/{number}"}
        reason = self._distrust
        if reason is None:
            is_back = bool(self._told)
            self._told.clear()
            return (Notice("junction_available", named),) if is_back else ()
        if reason.doubt in self._told:
            return ()
        self._told.add(reason.doubt)
        evidence = Evidence(
            kind="signals_not_believed",
            subject=f"{region:04X}{number:04X}-{reason.doubt.value}",  # each kind of doubt has room of its own
            sentence=reason.sentence,
            documents=_documents(_state_document(self._doubtful, reason, utc), self._controller.evidence()),
        )
        return Notice("junction_unavailable", {**named, "reason": reason.sentence, "doubt": reason.doubt.value}), evidence


def _group_status(state: SignalGroupState, utc: UtcNs) -> dict[str, object]:
    running = state.intervals[0]
    ends = {"min_end_s": running.min_end, "likely_end_s": running.likely_end, "max_end_s": running.max_end}
    return {
        "name": state.name,
        "phase": state.phase.name.lower(),
        **{name: None if end is None else round(max(0, end - utc) / NS_PER_S, 1) for name, end in ends.items()},
    }


def _state_document(states: tuple[SignalGroupState, ...], reason: Distrust, utc: UtcNs) -> bytes:
    """Return what was not believed as JSON, for evidence."""
    document: Mapping[str, object] = {
        "at": utc_text(utc),
        "doubt": reason.doubt.value,
        "sentence": reason.sentence,
        "groups": {str(state.signal_group): _group_status(state, utc) for state in states if state.intervals},
    }
    return json.dumps(document).encode() + b"\n"


def _documents(state: bytes, heard: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what was not believed, and of what was heard the newest that there is room for; what is too long is cut."""
    kept = {"state.json": state[:MAX_EVIDENCE_OCTETS]}
    left = MAX_EVIDENCE_OCTETS - len(kept["state.json"])
    for name, octets in reversed(list(heard.items())):
        if not left:
            break
        kept[name] = octets[:left]
        left -= len(kept[name])
    return kept


def _following(due: MonotonicNs, interval_ns: int, now: Instant) -> MonotonicNs:
    """Return the next time of a regular beat; beats that were slept through are left out."""
    following = due + interval_ns
    return MonotonicNs(following if following > now.monotonic else now.monotonic + interval_ns)
