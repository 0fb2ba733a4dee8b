"""Whom refused packets name as their sender: named and counted, and never believed.

A packet under an expired ticket, or one whose root nobody here trusts, is refused before its signature is looked at, so anybody may
have sent it under that name. An operator still wants to see who is being turned away, and where it says it is; so the name is kept
apart from the peers, whose standing it does not touch. What says nothing about its sender (a copy, a late packet, noise, a ticket
that has not shown its certificate yet) is not kept here.

Bounded: rows, their age, and how many refused packets are looked at in a second; beyond that they are counted by reason alone.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from shared.core.clock import NS_PER_S, Instant
from shared.core.errors import DecodeError, V2xError, VerificationError
from shared.core.ids import HashedId8
from shared.core.report import VerificationReport
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.network.packet import decode_gn_pdu
from shared.network.position_vector import LongPositionVector
from shared.security.chain import UnknownSignerError
from shared.security.peek import peek_claims, peek_payload

MAX_REFUSED_SENDERS = 256
"""Names kept; beyond it the one heard longest ago gives way."""

REFUSED_SENDER_LIFETIME_NS = 60 * NS_PER_S
"""A name not heard for this long is gone."""

MAX_LOOKS_PER_S = 500
"""Refused packets looked at in one second."""

ABOUT_THE_SENDER = frozenset(
    (
        VerificationReport.FALSE_SIGNATURE,
        VerificationReport.INVALID_CERTIFICATE,
        VerificationReport.REVOKED_CERTIFICATE,
        VerificationReport.INCONSISTENT_CHAIN,
        VerificationReport.SIGNER_CERTIFICATE_NOT_FOUND,
        VerificationReport.UNTRUSTED_ROOT,
        VerificationReport.NOT_LOGGED,
        VerificationReport.OUTDATED_TRUST_LIST,
        VerificationReport.EXPIRED_CERTIFICATE,
        VerificationReport.OUTSIDE_REGION,
        VerificationReport.PERMISSION_DENIED,
        VerificationReport.HEADER_PROFILE,
        VerificationReport.CONTENT_MISMATCH,
    )
)
"""Reasons that say something about whoever the packet names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedSender:
    """One name that refused packets carry.

    Attributes:
        ticket: the ticket they name.
        first_seen: when the first one came.
        last_seen: when the last one came.
        source: where the last one that could be read says its sender is; None where none could.
        refused: how many were refused, by reason.
        sentence: why the last one was.
    """

    ticket: HashedId8
    first_seen: Instant
    last_seen: Instant
    source: LongPositionVector | None
    refused: tuple[tuple[str, int], ...]
    sentence: str


class RefusedSenders:
    """The names.

    Args:
        capacity: most names kept.
        lifetime_ns: how long one lives that is not heard.
    """

    def __init__(self, capacity: int = MAX_REFUSED_SENDERS, lifetime_ns: int = REFUSED_SENDER_LIFETIME_NS) -> None:
        if capacity < 1 or lifetime_ns < 1:
            raise ValueError("at least one name is kept for at least a moment")
        self._capacity = capacity
        self._lifetime_ns = lifetime_ns
        self._rows: OrderedDict[HashedId8, RefusedSender] = OrderedDict()
        self._second = 0
        self._looks = 0
        self._not_looked_at = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RefusedSender]:
        """Yield the names, the one heard longest ago first."""
        return iter(tuple(self._rows.values()))

    @property
    def not_looked_at(self) -> int:
        """Refused packets that came too thick to be looked at."""
        return self._not_looked_at

    def note(self, refusal: V2xError, packet: bytes, now: Instant) -> None:
        """Keep whom a refused packet names, where the refusal is about that."""
        if not isinstance(refusal, VerificationError) or refusal.report not in ABOUT_THE_SENDER or not self._may_look(now):
            return
        claims = peek_claims(packet, BASIC_HEADER_OCTETS)
        if claims is None or (isinstance(refusal, UnknownSignerError) and refusal.hashed_id8 == claims.signer):
            return
        self.expire(now)
        row = self._rows.pop(claims.signer, None)
        if row is None and len(self._rows) >= self._capacity:
            self._rows.popitem(last=False)
        counts = {} if row is None else dict(row.refused)
        counts[refusal.code] = counts.get(refusal.code, 0) + 1
        self._rows[claims.signer] = RefusedSender(
            ticket=claims.signer,
            first_seen=now if row is None else row.first_seen,
            last_seen=now,
            source=_claimed_source(packet) or (None if row is None else row.source),
            refused=tuple(sorted(counts.items())),
            sentence=refusal.detail,
        )

    def expire(self, now: Instant) -> None:
        """Forget names not heard for their lifetime."""
        while self._rows:
            oldest = next(iter(self._rows.values()))
            if now.monotonic - oldest.last_seen.monotonic <= self._lifetime_ns:
                return
            del self._rows[oldest.ticket]

    def _may_look(self, now: Instant) -> bool:
        second = now.monotonic // NS_PER_S
        if second != self._second:
            self._second, self._looks = second, 0
        self._looks += 1
        if self._looks <= MAX_LOOKS_PER_S:
            return True
        self._not_looked_at += 1
        return False


def _claimed_source(packet: bytes) -> LongPositionVector | None:
    payload = peek_payload(packet, BASIC_HEADER_OCTETS)
    if payload is None:
        return None
    try:
        return decode_gn_pdu(payload).source
    except DecodeError:
        return None
