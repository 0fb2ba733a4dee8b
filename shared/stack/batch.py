"""Many packets at once: every check in order on the one thread that owns the station, only the signatures elsewhere. Sans-IO.

    weigh, weigh, weigh ...  ->  prove, in any order, on any thread  ->  accept, accept, accept ...  ->  read, read, read ...

A batch is judged as its packets would be one by one. Where a packet needs what an earlier one of the batch teaches (its sender's
certificate, an authority passed on), the earlier ones are finished first. Of two copies both are proved, for the first may be the
one whose signature is broken, and one is accepted. Step by step costs less than packet by packet: between two signatures the
processor forgets everything else.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from shared.core.clock import Instant
from shared.core.errors import V2xError, VerificationError
from shared.core.ids import HashedId8
from shared.security.chain import UnknownSignerError
from shared.security.verify import Claim, ProvenClaim, prove, teaches
from shared.stack.indication import Indication, VerifiedPacket
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
        verdicts: list[Verdict] = []
        for claim in claims:
            try:
                verdicts.append(prove(claim))
            except VerificationError as refusal:
                verdicts.append(refusal)
        return verdicts


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
    return [
        _read(unread) if isinstance(unread, VerifiedPacket) else unread
        for unread in receive_batch_unread(station, packets, now, checker)
    ]


def receive_batch_unread(
    station: Station, packets: Sequence[bytes], now: Instant, checker: SignatureChecker
) -> list[VerifiedPacket | V2xError | None]:
    """Do what `receive_batch` does, but leave the messages inside unread, as `Station.receive_unread` does."""
    outcomes: list[VerifiedPacket | V2xError | None] = [None] * len(packets)
    weighed: dict[int, Claim] = {}
    taught: set[HashedId8] = set()
    for index, packet in enumerate(packets):
        try:
            outcome: Claim | V2xError | None = station.weigh(packet, now)
        except V2xError as refusal:
            outcome = refusal
        if isinstance(outcome, UnknownSignerError):
            if outcome.hashed_id8 in taught:
                _finish(station, weighed, checker, outcomes)
                weighed.clear()
                taught.clear()
                outcome = _weighed_again(station, packet, now)
            else:
                station.note_unknown_signer(outcome)
        if isinstance(outcome, Claim):
            weighed[index] = outcome
            if outcome.is_new or outcome.passed_on_authority is not None:
                taught.update(teaches(outcome))
        else:
            outcomes[index] = outcome
    _finish(station, weighed, checker, outcomes)
    return outcomes


def _weighed_again(station: Station, packet: bytes, now: Instant) -> Claim | V2xError | None:
    """Weigh a packet whose signer was unknown until the packets before it were finished."""
    try:
        outcome = station.weigh(packet, now)
    except V2xError as refusal:
        return refusal
    if isinstance(outcome, UnknownSignerError):
        station.note_unknown_signer(outcome)
    return outcome


def _finish(
    station: Station,
    weighed: Mapping[int, Claim],
    checker: SignatureChecker,
    outcomes: list[VerifiedPacket | V2xError | None],
) -> None:
    """Have the signatures checked and accept what was weighed, in order."""
    for index, verdict in zip(weighed, checker.check_all(tuple(weighed.values())), strict=True):
        try:
            if isinstance(verdict, VerificationError):
                station.check_new(weighed[index])
                outcomes[index] = verdict
            else:
                outcomes[index] = station.accept(verdict)
        except V2xError as refusal:
            outcomes[index] = refusal


def _read(unread: VerifiedPacket) -> Indication | V2xError:
    try:
        return unread.read()
    except V2xError as refusal:
        return refusal
