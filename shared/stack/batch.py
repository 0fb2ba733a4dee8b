"""Many packets at once: every check in order on the one thread that owns the station, only the signatures elsewhere. Sans-IO.

    examine, examine, examine ...  ->  prove, in any order, on any thread  ->  accept, read, accept, read, accept, read ...

A batch is judged as its packets would be one by one. Where a packet needs what an earlier one of the batch teaches (its sender's
certificate, an authority passed on), the earlier ones are finished first. Of two copies both are proved, for the first may be the
one whose signature is broken, and one is accepted.
"""

from collections.abc import Sequence
from typing import Protocol

from shared.core.clock import Instant
from shared.core.errors import V2xError, VerificationError
from shared.core.ids import HashedId8
from shared.security.chain import UnknownSignerError
from shared.security.verify import Claim, ProvenClaim, prove, teaches
from shared.stack.indication import Indication
from shared.stack.station import Station

Outcome = Indication | V2xError | None
"""What became of a packet: what it says, why it was refused, or None for an echo of our own."""

Verdict = ProvenClaim | VerificationError


class SignatureChecker(Protocol):
    """Checks signatures: one after the other, or on several threads at once."""

    def check_all(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Return one verdict for each, in the same order."""
        ...


class SequentialChecker:
    """Checks signatures one after the other on the thread that asks."""

    def check_all(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Return one verdict for each, in the same order."""
        return [verdict_of(claim) for claim in claims]


def verdict_of(claim: Claim) -> Verdict:
    """Check one signature; safe on any thread."""
    try:
        return prove(claim)
    except VerificationError as refusal:
        return refusal


def receive_batch(station: Station, packets: Sequence[bytes], now: Instant, checker: SignatureChecker) -> list[Outcome]:
    """Judge packets in order; a refusal is returned, not raised.

    Args:
        station: judges; nobody else may use it meanwhile.
        packets: in order of arrival.
        now: the present for all of them.
        checker: checks the signatures.
    """
    batch = _Batch(station, len(packets), now, checker)
    for index, packet in enumerate(packets):
        batch.add(index, packet)
    batch.finish()
    return batch.outcomes


class _Batch:
    """Packets examined and not finished, and the outcomes of the others."""

    def __init__(self, station: Station, packets: int, now: Instant, checker: SignatureChecker) -> None:
        self.outcomes: list[Outcome] = [None] * packets
        self._station = station
        self._now = now
        self._checker = checker
        self._examined: list[tuple[int, Claim]] = []
        self._taught: set[HashedId8] = set()

    def add(self, index: int, packet: bytes) -> None:
        """Examine one packet."""
        outcome: Claim | V2xError | None
        try:
            outcome = self._station.weigh(packet, self._now)
        except V2xError as refusal:
            outcome = refusal
        if isinstance(outcome, Claim):
            self._examined.append((index, outcome))
            self._taught.update(teaches(outcome))
            return
        if isinstance(outcome, UnknownSignerError):
            if outcome.hashed_id8 in self._taught:
                self.finish()
                self.add(index, packet)
                return
            self._station.note_unknown_signer(outcome)
        self.outcomes[index] = outcome

    def finish(self) -> None:
        """Have the signatures checked and finish what was examined, in order."""
        verdicts = self._checker.check_all([claim for _, claim in self._examined])
        for (index, claim), verdict in zip(self._examined, verdicts, strict=True):
            self.outcomes[index] = self._finished(claim, verdict)
        self._examined.clear()
        self._taught.clear()

    def _finished(self, claim: Claim, verdict: Verdict) -> Outcome:
        try:
            if isinstance(verdict, VerificationError):
                self._station.check_new(claim)
                return verdict
            return self._station.accept(verdict).read()
        except V2xError as refusal:
            return refusal
