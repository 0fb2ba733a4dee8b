"""Many packets at once: every check in order on the one thread that owns the station, only the signatures elsewhere. Sans-IO.

    weigh, weigh, weigh ...  ->  prove, in any order, on any thread  ->  accept, accept, accept ...  ->  read, read, read ...

A batch is judged as its packets would be one by one. Where a packet needs what an earlier one of the batch teaches (its sender's
certificate, an authority passed on), the earlier ones are finished first. Of two copies both are proved, for the first may be the
one whose signature is broken, and one is accepted. Step by step costs less than packet by packet: between two signatures the
processor forgets everything else.
"""

from collections.abc import Sequence
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
    return [
        _read(unread) if isinstance(unread, VerifiedPacket) else unread
        for unread in receive_batch_unread(station, packets, now, checker)
    ]


def receive_batch_unread(
    station: Station, packets: Sequence[bytes], now: Instant, checker: SignatureChecker
) -> list[VerifiedPacket | V2xError | None]:
    """Do what `receive_batch` does, but leave the messages inside unread, as `Station.receive_unread` does."""
    outcomes: list[VerifiedPacket | V2xError | None] = []
    while len(outcomes) < len(packets):
        weighed = station.weigh_all(packets[len(outcomes) :] if outcomes else packets, now)
        claims = [outcome for outcome in weighed if isinstance(outcome, Claim)]
        if len(claims) == len(weighed):
            outcomes += _accepted(station, claims, checker)
        else:
            outcomes += _finished(station, weighed[: _first_taught(weighed)], checker)
    return outcomes


def _first_taught(weighed: Sequence[Claim | V2xError | None]) -> int | None:
    """Return where the first packet is whose signer is unknown but shown by a packet before it; None where there is none."""
    taught: set[HashedId8] = set()
    for place, outcome in enumerate(weighed):
        if isinstance(outcome, Claim):
            if outcome.is_new or outcome.passed_on_authority is not None:
                taught.update(teaches(outcome))
        elif taught and isinstance(outcome, UnknownSignerError) and outcome.hashed_id8 in taught:
            return place
    return None


def _finished(
    station: Station, weighed: Sequence[Claim | V2xError | None], checker: SignatureChecker
) -> list[VerifiedPacket | V2xError | None]:
    """Note unknown signers, have the signatures of the others checked, and accept those."""
    for outcome in weighed:
        if isinstance(outcome, UnknownSignerError):
            station.note_unknown_signer(outcome)
    accepted = iter(_accepted(station, [outcome for outcome in weighed if isinstance(outcome, Claim)], checker))
    return [next(accepted) if isinstance(outcome, Claim) else outcome for outcome in weighed]


def _accepted(station: Station, claims: Sequence[Claim], checker: SignatureChecker) -> list[VerifiedPacket | V2xError]:
    verdicts = checker.check_all(claims)
    proven = [verdict for verdict in verdicts if not isinstance(verdict, VerificationError)]
    if len(proven) == len(claims):
        return station.accept_all(proven)
    outcomes: list[VerifiedPacket | V2xError] = []
    for claim, verdict in zip(claims, verdicts, strict=True):
        if isinstance(verdict, VerificationError):
            outcomes.append(_refused(station, claim, verdict))
        else:
            outcomes += station.accept_all((verdict,))
    return outcomes


def _refused(station: Station, claim: Claim, refusal: VerificationError) -> V2xError:
    """Return why a claim that was not proven is refused; a copy of what was accepted meanwhile is a duplicate, as one by one."""
    try:
        station.check_new(claim)
    except V2xError as duplicate:
        return duplicate
    return refusal


def _read(unread: VerifiedPacket) -> Indication | V2xError:
    try:
        return unread.read()
    except V2xError as refusal:
        return refusal
