"""Requests for parameter groups (SAE J1939-21, 5.4.2, PGN 59904): what units say of themselves only when asked.

Politeness is the point. We speak only on a bus where others speak, a request every 1.25 s at most, one open at a time, each unit by
its own address; who answers "not supported" or twice not at all is not asked again for that group until the next round. The address
we use is never claimed (J1939-81): 249, the first of the off-board service tools, is what a tester at the diagnostic socket uses
without a claim. Where somebody else speaks under it we fall silent for ten minutes, a workshop's tester first of all.

Most vehicles broadcast their distances (PGN 65217, 65248). Where a map wants one and the bus does not carry it, all are asked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.stack.effects import SendCan
from vehicle_agent.j1939.groups import (
    CLAIMED_ADDRESS,
    COMPONENT_IDENTIFICATION,
    REQUEST,
    SOFTWARE_IDENTIFICATION,
    VEHICLE_IDENTIFICATION,
)
from vehicle_agent.j1939.identifier import GLOBAL_ADDRESS, MAX_ADDRESS, NULL_ADDRESS, J1939Identifier

SERVICE_TOOL_ADDRESS = 249
"""Off-board diagnostic-service tool 1 (SAE J1939 appendix B)."""

REQUEST_PRIORITY = 6
LOOK_INTERVAL_NS = NS_PER_S
"""How often it is looked whether there is something to ask."""
ANSWER_WAIT_NS = 5 * NS_PER_S // 4
"""Least time between two requests: how long an answer is waited for, T2 and T3 of the transport protocol."""
ROUND_INTERVAL_NS = 600 * NS_PER_S
"""Time between two rounds of identification."""
FIRST_ROUND_AFTER_NS = 5 * NS_PER_S
"""How long the bus is listened to before the first round."""
QUIET_AFTER_NS = 2 * NS_PER_S
"""A bus on which nobody spoke for so long is asleep."""
TAKEN_ADDRESS_NS = 600 * NS_PER_S
"""How long we are silent when somebody else speaks under our address."""
MAX_TRIES = 2
"""How often a unit is asked for the same group in a round."""
OFF_BOARD_ADDRESSES = frozenset((249, 250))
"""Service tools beside the vehicle: no units of it."""
MAX_UNITS = 32
"""Units that are asked; a truck has a dozen or two."""
DISTANCE_INTERVAL_NS = 10 * NS_PER_S
"""How old a distance may be before it is asked for, and how often."""

ASKED_OF_EACH_UNIT = (COMPONENT_IDENTIFICATION, SOFTWARE_IDENTIFICATION)
ASKED_OF_EVERYBODY = (CLAIMED_ADDRESS, VEHICLE_IDENTIFICATION)


@dataclass(frozen=True, slots=True)
class _Question:
    pgn: int
    address: int
    tries: int = 0


class GroupRequests:
    """What is asked on one bus.

    Args:
        bus: the vehicle's name for it.
        address: ours; `NULL_ADDRESS` is refused, for it may ask for addresses only.
        distances: groups of distances that a map wants.
        started: when listening begins.
    """

    def __init__(self, bus: str, *, address: int, distances: Iterable[int], started: MonotonicNs) -> None:
        if not 0 <= address <= MAX_ADDRESS:
            raise ValueError(
                f"requests go out under an address of 0..{MAX_ADDRESS}, not {address} (the null address is {NULL_ADDRESS})"
            )
        self._bus = bus
        self._address = address
        self._units: dict[int, None] = {}
        self._refused: set[tuple[int, int]] = set()
        self._waiting: list[_Question] = []
        self._open: _Question | None = None
        self._silent_until: MonotonicNs | None = None
        self._next_request = MonotonicNs(started + FIRST_ROUND_AFTER_NS)
        self._next_round = MonotonicNs(started + FIRST_ROUND_AFTER_NS)
        self._in_round = False
        self._distances = {pgn: MonotonicNs(started + DISTANCE_INTERVAL_NS) for pgn in distances}
        self.last_heard: MonotonicNs | None = None
        """When anybody else last spoke."""
        self._counters: Counter[str] = Counter()

    def is_news(self, source: int, pgn: int) -> bool:
        """Return whether `heard` wants every frame of this group, not only the first of its sender."""
        return source == self._address or pgn in self._distances

    def heard(self, source: int, pgn: int, at: MonotonicNs) -> None:
        """Somebody said something: who is there, and whether that answers a question."""
        if source == self._address:
            self._silent_until = MonotonicNs(at + TAKEN_ADDRESS_NS)
            self._counters["address_taken"] += 1
            return
        self.last_heard = at
        is_unit = source <= MAX_ADDRESS and source not in OFF_BOARD_ADDRESSES
        if is_unit and source not in self._units and len(self._units) < MAX_UNITS:
            self._units[source] = None
        if pgn in self._distances:
            self._distances[pgn] = MonotonicNs(at + DISTANCE_INTERVAL_NS)

    def answered(self, source: int, pgn: int) -> None:
        """A group that may have been asked for is here, whole."""
        question = self._open
        if question is not None and question.pgn == pgn and question.address == source:
            self._open = None
            self._counters["answered"] += 1

    def progressing(self, source: int, at: MonotonicNs) -> None:
        """Packets of an answer come: it is not over yet."""
        question = self._open
        if question is not None and question.address == source:
            self._next_request = MonotonicNs(at + ANSWER_WAIT_NS)

    def refused(self, source: int, pgn: int) -> None:
        """A unit acknowledged negatively, or says that it is busy (PGN 59392)."""
        self._refused.add((source, pgn))
        question = self._open
        if question is not None and (question.pgn, question.address) == (pgn, source):
            self._open = None
            self._counters["refused"] += 1

    def wants(self, pgn: int, source: int) -> bool:
        """Return whether we asked this unit, or everybody, for this group just now."""
        question = self._open
        return question is not None and question.pgn == pgn and question.address in {source, GLOBAL_ADDRESS}

    def next_due(self) -> MonotonicNs:
        """When `poll` wants to be called."""
        if self._open is not None or self._waiting:
            return self._next_request
        return max(self._next_request, min((self._next_round, *self._distances.values())))

    def poll(self, now: MonotonicNs) -> SendCan | None:
        """Return the next request, if one is due."""
        if now < self._next_request:
            return None
        self._next_request = MonotonicNs(now + LOOK_INTERVAL_NS)
        if self._is_silent(now):
            self._open = None
            return None
        question, self._open = self._open, None
        if question is not None and question.address != GLOBAL_ADDRESS:
            if question.tries < MAX_TRIES:
                return self._ask(question, now)
            self._counters["unanswered"] += 1
        for pgn, due in self._distances.items():
            if now >= due:
                self._distances[pgn] = MonotonicNs(now + DISTANCE_INTERVAL_NS)
                return self._ask(_Question(pgn, GLOBAL_ADDRESS), now)
        if now >= self._next_round:
            self._begin_round(now)
        while self._waiting:
            question = self._waiting.pop(0)
            if (question.address, question.pgn) not in self._refused:
                return self._ask(question, now)
        return None

    def take_finished_round(self) -> bool:
        """Return, once, whether every question of a round has had its time."""
        if not self._in_round or self._waiting or self._open is not None:
            return False
        self._in_round = False
        return True

    def status(self) -> Mapping[str, int]:
        """Return what was asked and how that ended."""
        return MappingProxyType({"units": len(self._units), **self._counters})

    def _is_silent(self, now: MonotonicNs) -> bool:
        if self.last_heard is None or now - self.last_heard > QUIET_AFTER_NS:
            return True
        return self._silent_until is not None and now < self._silent_until

    def _begin_round(self, now: MonotonicNs) -> None:
        self._next_round = MonotonicNs(now + ROUND_INTERVAL_NS)
        self._refused.clear()
        self._in_round = True
        self._waiting = [_Question(pgn, GLOBAL_ADDRESS) for pgn in ASKED_OF_EVERYBODY]
        self._waiting += [_Question(pgn, unit) for unit in self._units for pgn in ASKED_OF_EACH_UNIT]

    def _ask(self, question: _Question, now: MonotonicNs) -> SendCan:
        self._open = _Question(question.pgn, question.address, question.tries + 1)
        self._next_request = MonotonicNs(now + ANSWER_WAIT_NS)
        self._counters["requests"] += 1
        identifier = J1939Identifier(priority=REQUEST_PRIORITY, pgn=REQUEST, destination=question.address, source=self._address)
        return SendCan(
            bus=self._bus,
            arbitration_id=identifier.arbitration_id,
            is_extended=True,
            data=question.pgn.to_bytes(3, "little"),
        )
