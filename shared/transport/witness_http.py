"""The witnesses of a log, asked over HTTP, all at once (C2SP tlog-witness, the client's side).

    POST <url>/add-checkpoint     `shared.ledger.witnessing` says what is sent and what the answer is worth

A witness that is away, slow or talks nonsense costs the note its line, one time bound, and then nothing until its back-off is over;
it never costs the log its checkpoint. What it has cosigned last is remembered, so that one exchange does; a 409 is answered at
once. Cosignatures of a checkpoint that did not change are kept and only renewed when they have aged. Left out: how many
cosignatures are enough, which the policies of those who verify say.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from shared.core.clock import NS_PER_S, Clock, Instant, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import ConfigError, TransportError, V2xError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.note import KeyKind, VerifierKey, parse_note
from shared.ledger.policy import Policy
from shared.ledger.witnessing import AHEAD, MAX_ANSWER_BYTES, Consistency, Cosigning, NotCosigned, WitnessRound, with_cosignatures
from shared.pki.back_off import BackOff
from shared.transport.bounded_http import MAX_CONNECTIONS, BoundedHttp, checked_url

PATIENCE_S = 2.0
"""Seconds that one witness has for one checkpoint."""

FIRST_WAIT_S = 1
"""Seconds after a witness's first failure before it is asked again; then twice as long each time."""

MOST_WAIT_S = 60
"""Seconds between two attempts with a witness that has been away for long, and the most that its Retry-After counts for."""

RENEW_AFTER_S = 600
"""Seconds after which a checkpoint that did not change is cosigned anew."""

MAX_WITNESSES = MAX_CONNECTIONS
"""All are asked at once, and none has to wait for a connection."""

_NEVER = MonotonicNs(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAddress:
    """A witness: its key, and the submission prefix it is asked at."""

    key: VerifierKey
    url: str


def addresses_of(policy: Policy) -> tuple[WitnessAddress, ...]:
    """Return the witnesses of a policy that have a URL."""
    return tuple(WitnessAddress(key=w.key, url=w.url) for w in policy.witnesses if w.url is not None)


@dataclass(slots=True, kw_only=True)
class _Member:
    """One witness and what is known of it."""

    address: WitnessAddress
    back_off: BackOff
    known_size: int = 0
    cosigning: Cosigning | None = None
    cosigned_at: MonotonicNs = _NEVER
    cosigned: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    last_failure: str | None = None

    def is_due(self, now: Instant) -> bool:
        """Whether it is to be asked for the checkpoint at hand."""
        is_fresh = self.cosigning is not None and now.monotonic - self.cosigned_at < RENEW_AFTER_S * NS_PER_S
        return not is_fresh and self.back_off.allows(now)

    def take(self, outcome: Cosigning | NotCosigned, now: Instant) -> None:
        """Take note of what came of asking."""
        if isinstance(outcome, Cosigning):
            self.cosigning, self.cosigned_at = outcome, now.monotonic
            self.cosigned += 1
            self.back_off.succeeded()
        else:
            self.failures[outcome.word] += 1
            self.last_failure = outcome.reason
            self.back_off.failed(now)
            if outcome.word == AHEAD:
                self.cosigning = None  # what it said of this tree is no longer the last it has said

    def status(self, now: Instant) -> Mapping[str, object]:
        """Return what a person wants to know."""
        return {
            "url": self.address.url,
            "size": self.known_size,
            "cosigned": self.cosigned,
            "failed": dict(self.failures),
            "failures_in_a_row": self.back_off.failures,
            "last_failure": self.last_failure,
            "asked_again_in_s": max(0, self.back_off.due - now.monotonic) // NS_PER_S,
            "last_cosignature": None if self.cosigning is None else self.cosigning.timestamp_s,
        }


class WitnessPool:
    """Asks witnesses for as long as it is entered (`async with`).

    Args:
        witnesses: whom; each key once.
        clock: for back-off, and to tell a cosignature of another time.
        entropy: source of the random part of the back-off.
        patience_s: for one witness and one checkpoint.
        tls: what vouches for https servers; the certificates the machine's operator trusts by default.

    Raises:
        ConfigError: too many, one twice, one whose key does not cosign, or one whose URL is none.
    """

    def __init__(
        self,
        witnesses: Sequence[WitnessAddress],
        *,
        clock: Clock,
        entropy: Entropy,
        patience_s: float = PATIENCE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        _check(witnesses)
        self._clock = clock
        self._patience_s = patience_s
        self._http = BoundedHttp(
            exchange_timeout_s=2 * patience_s, silence_timeout_s=2 * patience_s, tls=tls, kept_connections=len(witnesses)
        )  # its bounds stand behind ours
        self._members = tuple(
            _Member(
                address=address,
                back_off=BackOff(entropy=entropy, first_ns=FIRST_WAIT_S * NS_PER_S, most_ns=MOST_WAIT_S * NS_PER_S),
            )
            for address in witnesses
        )
        self._body = b""
        self._ahead: dict[str, WitnessAddress] = {}
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Be ready; nothing is opened before the first exchange."""
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close what is open."""
        await self._http.__aexit__(kind, error, trace)

    async def cosign(self, note: bytes, consistency: Consistency) -> bytes:
        """Return a signed checkpoint with the cosignatures there are, within `patience_s`.

        Args:
            note: the log's newest checkpoint, signed by the log alone.
            consistency: makes consistency proofs between sizes of the log up to this one; where it fails, that witness does not
                cosign, which is counted as `proof`.

        Raises:
            DecodeError: the note is no checkpoint.
        """
        async with self._one_at_a_time:
            body = parse_note(note).body
            parse_checkpoint(body)
            if body != self._body:
                self._body = body
                for member in self._members:
                    member.cosigning = None
            now = self._clock.now()
            await asyncio.gather(*(self._ask(member, note, consistency) for member in self._members if member.is_due(now)))
            return with_cosignatures(note, [member.cosigning for member in self._members])

    def take_ahead(self) -> tuple[WitnessAddress, ...]:
        """Return those that have said, since this was asked last, that they have cosigned a larger tree of this log."""
        ahead = tuple(self._ahead.values())
        self._ahead.clear()
        return ahead

    def status(self) -> Mapping[str, Mapping[str, object]]:
        """Return for each witness, by the name of its key, what it has done."""
        now = self._clock.now()
        return {member.address.key.name: member.status(now) for member in self._members}

    async def _ask(self, member: _Member, note: bytes, consistency: Consistency) -> None:
        asking = WitnessRound(note=note, key=member.address.key, known_size=member.known_size, consistency=consistency)
        retry_after_s = 0
        try:
            async with asyncio.timeout(self._patience_s):
                while (request := asking.request()) is not None:
                    retry_after_s = await self._exchange(member, request, asking)
        except TimeoutError:
            asking.failed("slow", f"did not answer within {self._patience_s:g} s")
        except TransportError as error:
            asking.failed("away", error.reason)
        except V2xError as error:
            asking.failed("proof", f"no proof could be made for it: {error}")
        member.known_size = asking.known_size
        outcome = asking.outcome
        assert outcome is not None
        now = self._clock.now()
        member.take(outcome, now)
        if isinstance(outcome, NotCosigned):
            if outcome.word == AHEAD:
                self._ahead[member.address.key.text] = member.address
            wait_ns = min(retry_after_s, MOST_WAIT_S) * NS_PER_S
            member.back_off.due = MonotonicNs(max(member.back_off.due, now.monotonic + wait_ns))

    async def _exchange(self, member: _Member, request: bytes, asking: WitnessRound) -> int:
        """Carry one question and its answer; return how many seconds the witness wants to be left alone for."""
        answer = await self._http.answer(
            "POST",
            f"{member.address.url.rstrip('/')}/add-checkpoint",
            headers={"content-type": "text/plain; charset=utf-8"},
            body=request,
            maximum=MAX_ANSWER_BYTES,
        )
        asking.answered(answer.status, answer.body, self._clock.now())
        return answer.retry_after_s or 0


def _check(witnesses: Sequence[WitnessAddress]) -> None:
    if len(witnesses) > MAX_WITNESSES:
        raise ConfigError("witnesses", f"{len(witnesses)} of them; at most {MAX_WITNESSES} are asked")
    seen: set[bytes] = set()
    for address in witnesses:
        if address.key.kind is not KeyKind.COSIGNATURE:
            raise ConfigError(f"witness {address.key.name}", "its key is no key that cosigns")
        if address.key.public_key in seen:
            raise ConfigError(f"witness {address.key.name}", "its key is named twice")
        seen.add(address.key.public_key)
        try:
            checked_url(address.url)
        except TransportError as error:
            raise ConfigError(f"witness {address.key.name}", f"{error.endpoint}: {error.reason}") from None
