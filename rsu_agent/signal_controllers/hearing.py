"""What one controller was heard to say, and what was not taken from it: ages, counts, the last octets, news for the operator.

Every kind of controller that speaks for itself keeps one of these, and is a `HeardController`. What is heard is dated by the
interval clock, so a wrong or absent UTC changes no age. Bounded: so many messages a second, so many octets of evidence, one notice
of a kind a minute.
"""

from collections import Counter, deque
from collections.abc import Mapping

from rsu_agent.signal_controllers import ControllerMode
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import TransportError
from shared.stack.effects import Notice

MAX_MESSAGES_PER_S = 100
"""Messages looked at in one second: ten times what a controller says."""

MAX_EVIDENCE_MESSAGES = 8
"""Messages kept for evidence."""

MAX_EVIDENCE_OCTETS = 8_192
"""Octets kept of each of them."""

NOTICE_PAUSE_NS = 60 * NS_PER_S
"""The operator is told of one kind of thing at most so often; all are counted."""

MAX_NOTICES = 32
"""Notices that wait to be taken."""

NEVER = "nothing was heard yet"


class Hearing:
    """The account of one controller.

    Args:
        endpoint: where it speaks, for errors.
        stale_ns: how old what it said may be.

    Attributes:
        taken: messages that were believed to be the controller's and new.
        skipped: sequence numbers that were never heard.
        restarts: times it began anew.
        silences: times nothing was heard for `stale_ns`.
        refused: messages that were not taken, by reason.
    """

    def __init__(self, endpoint: str, stale_ns: int) -> None:
        self.endpoint = endpoint
        self.taken = 0
        self.skipped = 0
        self.restarts = 0
        self.silences = 0
        self.refused: Counter[str] = Counter()
        self._stale_ns = stale_ns
        self._latest: MonotonicNs | None = None
        self._is_silent = False
        self._kept: deque[bytes] = deque(maxlen=MAX_EVIDENCE_MESSAGES)
        self._notices: deque[Notice] = deque(maxlen=MAX_NOTICES)
        self._told: dict[str, MonotonicNs] = {}
        self._second: int | None = None
        self._in_second = 0

    @property
    def latest(self) -> MonotonicNs | None:
        """When a message was last taken; None before the first."""
        return self._latest

    def may_look(self, now: Instant) -> bool:
        """Say whether another message is looked at in this second; one that is not is counted."""
        second = now.monotonic // NS_PER_S
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > MAX_MESSAGES_PER_S:
            self.refused["too_many"] += 1
            return False
        return True

    def take(self, message: bytes, now: Instant, *, age_ns: int = 0) -> None:
        """Note a message that was taken, and how long it was on its way where that is known."""
        self.taken += 1
        self._latest = MonotonicNs(now.monotonic - age_ns)
        self._is_silent = False
        self._kept.append(message[:MAX_EVIDENCE_OCTETS])

    def refuse(self, code: str, sentence: str, message: bytes, now: Instant) -> None:
        """Count a message that was not taken, and tell the operator why.

        Args:
            code: the word for counters.
            sentence: what is wrong with it.
            message: its octets.
            now: the present.
        """
        self.refused[code] += 1
        fields: dict[str, object] = {"reason": sentence, "refused": self.refused[code], "octets": len(message)}
        self.tell(f"controller_{code}", fields, now)

    def restarted(self, now: Instant) -> None:
        """Note that the controller began anew."""
        self.restarts += 1
        self.tell("controller_restarted", {"restarts": self.restarts}, now)

    def tell(self, kind: str, fields: Mapping[str, object], now: Instant) -> None:
        """Have the operator told, unless the same kind of thing was told a moment ago."""
        told = self._told.get(kind)
        if told is not None and now.monotonic - told < NOTICE_PAUSE_NS:
            return
        self._told[kind] = now.monotonic
        self._notices.append(Notice(kind, {"controller": self.endpoint, **fields}))

    def require_fresh(self, now: Instant) -> int:
        """Return the age of the last message in nanoseconds.

        Raises:
            TransportError: nothing was heard for too long, or never.
        """
        if self._latest is None:
            raise TransportError(self.endpoint, NEVER)
        age_ns = now.monotonic - self._latest
        if age_ns > self._stale_ns:
            self.silences += not self._is_silent
            self._is_silent = True
            raise TransportError(self.endpoint, f"nothing was heard for {age_ns / NS_PER_S:.1f} s")
        return age_ns

    def stale_at(self, now: Instant) -> MonotonicNs | None:
        """Return when the last message will be too old; None when it is already, or there is none."""
        if self._latest is None or now.monotonic > self._latest + self._stale_ns:
            return None
        return MonotonicNs(self._latest + self._stale_ns + 1)

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what the operator should be told, once."""
        notices = tuple(self._notices)
        self._notices.clear()
        return notices

    def evidence(self) -> Mapping[str, bytes]:
        """Return the last messages taken, the newest last."""
        return {f"heard-{number}": message for number, message in enumerate(self._kept, 1)}

    def status(self, now: Instant) -> dict[str, object]:
        """Return the account as JSON values."""
        return {
            "endpoint": self.endpoint,
            "age_s": None if self._latest is None else round((now.monotonic - self._latest) / NS_PER_S, 2),
            "taken": self.taken,
            "skipped": self.skipped,
            "restarts": self.restarts,
            "silences": self.silences,
            "refused": dict(self.refused),
        }


class HeardController:
    """What every controller has that speaks for itself: an account of what was heard, and whether there is news in it.

    Args:
        hearing: the account.
        mode: how the controller runs before anything was heard.
    """

    def __init__(self, hearing: Hearing, mode: ControllerMode) -> None:
        self._hearing = hearing
        self._mode = mode
        self._has_news = False

    @property
    def mode(self) -> ControllerMode:
        """How it runs, as of the state looked at last."""
        return self._mode

    def next_change(self, now: Instant) -> MonotonicNs | None:
        """Return the present while there is news, else when what was heard will be too old."""
        return now.monotonic if self._has_news else self._hearing.stale_at(now)

    def take_notices(self) -> tuple[Notice, ...]:
        """Return, once, what the operator should be told."""
        return self._hearing.take_notices()

    def evidence(self) -> Mapping[str, bytes]:
        """Return the last messages taken."""
        return self._hearing.evidence()
