"""Many packets at once: every check in order on the one thread that owns the station, only the signatures elsewhere. Sans-IO.

    weigh, weigh, weigh ...  ->  prove, in any order, on any thread  ->  accept, accept, accept ...  ->  read, read, read ...

A batch is judged as its packets would be one by one; but a copy of an earlier packet that has a fault of its own may be refused for
the fault. Where a packet needs what an earlier one of the batch teaches (its sender's
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
from shared.stack.indication import Copy, Indication, Unread, VerifiedPacket
from shared.stack.station import Station

Outcome = Indication | V2xError | None
"""What became of a packet: what it says, why it was refused, or None for what says nothing: an echo of our own, a beacon, a copy of
a geocast, or one that is not for this place."""

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
    return [_outcome(unread) for unread in receive_batch_unread(station, packets, now, checker)]


def receive_batch_unread(station: Station, packets: Sequence[bytes], now: Instant, checker: SignatureChecker) -> list[Unread]:
    """Do what `receive_batch` does, but leave the messages inside unread, as `Station.receive_unread` does."""
    weighed = station.weigh_all(packets, now)
    claims = [outcome for outcome in weighed if isinstance(outcome, Claim)]
    if len(claims) == len(weighed):
        return _accepted(station, claims, checker)
    outcomes: list[Unread] = []
    part: list[Claim | Copy | V2xError | None] = []
    shown: set[HashedId8] = set()
    shown_in_part: set[HashedId8] = set()
    for packet, outcome in zip(packets, weighed, strict=True):
        now_weighed = outcome
        if isinstance(outcome, UnknownSignerError) and outcome.hashed_id8 in shown:
            if outcome.hashed_id8 in shown_in_part:
                outcomes += _finished(station, part, checker)
                part.clear()
                shown_in_part.clear()
            (now_weighed,) = station.weigh_all((packet,), now)
        if isinstance(now_weighed, Claim) and (now_weighed.is_new or now_weighed.passed_on_authority is not None):
            shown_in_part.update(teaches(now_weighed))
            shown |= shown_in_part
        part.append(now_weighed)
    return outcomes + _finished(station, part, checker)


def _finished(station: Station, part: Sequence[Claim | Copy | V2xError | None], checker: SignatureChecker) -> list[Unread]:
    """Have the signatures of a part checked, then go through it in order: accept, or note an unknown signer."""
    claims = [outcome for outcome in part if isinstance(outcome, Claim)]
    verdicts = iter(checker.check_all(claims))
    outcomes: list[Unread] = []
    for outcome in part:
        if isinstance(outcome, Claim):
            outcomes.append(_settled(station, outcome, next(verdicts)))
            continue
        if isinstance(outcome, UnknownSignerError):
            station.note_unknown_signer(outcome)
        outcomes.append(outcome)
    return outcomes


def _accepted(station: Station, claims: Sequence[Claim], checker: SignatureChecker) -> list[Unread]:
    verdicts = checker.check_all(claims)
    proven = [verdict for verdict in verdicts if not isinstance(verdict, VerificationError)]
    if len(proven) == len(claims):
        return [*station.accept_all(proven)]
    return [_settled(station, claim, verdict) for claim, verdict in zip(claims, verdicts, strict=True)]


def _settled(station: Station, claim: Claim, verdict: Verdict) -> Unread:
    """Accept a claim if it was proven. One that was not, and is a copy of what was accepted meanwhile, is a duplicate."""
    if not isinstance(verdict, VerificationError):
        return station.accept_all((verdict,))[0]
    try:
        station.check_new(claim)
    except V2xError as duplicate:
        return duplicate
    return verdict


def _outcome(unread: Unread) -> Outcome:
    if isinstance(unread, VerifiedPacket):
        try:
            return unread.read()
        except V2xError as refusal:
            return refusal
    return unread if isinstance(unread, V2xError) else None
