"""Who is around: one row per verified ticket, bounded and aged, with what was refused of each and what is thought of it.

A row's key is the ticket's HashedId8, which only the holder of the ticket's key can speak for; the station id is what the sender
claims inside its messages. Rows come only from messages whose signature held, so a stranger cannot fill the table, and what is held
against a row was signed by its holder. Refusals of packets whose senders are not shown are counted by reason alone
(`rsu_agent.refused_senders` keeps the names they claim).

When the table is full, tickets that were hardly heard give way first, then those heard longest ago, so that whoever has ten
thousand new ones pushes out its own and no neighbour that goes on speaking. Left out: anything on disk.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.core.clock import NS_PER_S, Instant
from shared.core.errors import Sender, V2xError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, MessageId, StationId
from shared.trust.claims import Claim
from shared.trust.detectors import DetectorMaker, Finding
from shared.trust.opinion import Opinion
from shared.trust.suspicion import DETECTORS, Standing, Suspicion

MAX_PEERS = 1_024
"""Most tickets remembered; beyond it one hardly heard gives way, or the one heard longest ago."""

PEER_LIFETIME_NS = 60 * NS_PER_S
"""A peer not heard for this long is gone."""

KNOWN_FROM_MESSAGES = 3
"""A ticket is a newcomer until so many messages came under it."""

NEWCOMERS_SHARE = 4
"""Newcomers hold the part of a full table that is one by this; a known peer gives way only where they hold less."""

MAX_REASONS = 64
"""Most refusal reasons counted apart; reasons are words of our own, so this is never reached in practice."""

OTHER_REASONS = "other"
"""Where refusals are counted once `MAX_REASONS` reasons are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One ticket's holder as last heard.

    Attributes:
        ticket: HashedId8 of the ticket.
        station_id: what it calls itself in its last message.
        station_type: what it says it is (TS 102 894-2 `StationType`), or None.
        first_seen: when the row began.
        last_seen: when it was last heard.
        position: its last claimed position, or None.
        speed_mps: its last claimed speed in m/s, or None.
        heading_deg: its last claimed heading in degrees from north, or None.
        messages: how many verified messages of each type were heard.
        refused: how many messages signed by it were refused, by reason.
        standing: how it is treated.
        score: points held against it, 0 to 10.
        opinion: what speaks for and against it.
        found: how often each check of its claims failed.
        last_finding: what was found last, or None.
        is_reportable: whether checks of two independent classes agree that it is to be ignored.
    """

    ticket: HashedId8
    station_id: StationId
    station_type: int | None
    first_seen: Instant
    last_seen: Instant
    position: GeoPoint | None
    speed_mps: float | None
    heading_deg: float | None
    messages: tuple[tuple[MessageId, int], ...]
    refused: tuple[tuple[str, int], ...]
    standing: Standing
    score: float
    opinion: Opinion
    found: tuple[tuple[str, int], ...]
    last_finding: Finding | None
    is_reportable: bool


class Glimpse(NamedTuple):
    """What a live view of the street needs of one peer, ten times a second and for hundreds; attributes as in `Peer`."""

    ticket: HashedId8
    station_id: StationId
    last_seen: Instant
    position: GeoPoint | None
    speed_mps: float | None
    heading_deg: float | None
    refused: tuple[tuple[str, int], ...]
    standing: Standing
    last_finding: Finding | None


class _Row:
    """A peer while it is kept up; others see a `Peer` or a `Glimpse` of it, each the same object until it is heard again."""

    __slots__ = (
        "claim",
        "first_seen",
        "glimpsed",
        "heard",
        "last_seen",
        "messages",
        "refused",
        "shown",
        "station_id",
        "station_type",
        "suspicion",
        "ticket",
    )

    def __init__(self, ticket: HashedId8, station_id: StationId, now: Instant, suspicion: Suspicion) -> None:
        self.ticket = ticket
        self.station_id = station_id
        self.station_type: int | None = None
        self.first_seen = now
        self.last_seen = now
        self.claim: Claim | None = None
        self.heard = 0
        self.messages: dict[MessageId, int] = {}
        self.refused: dict[str, int] = {}
        self.suspicion = suspicion
        self.shown: Peer | None = None
        self.glimpsed: Glimpse | None = None

    def changed(self) -> None:
        """Forget what was shown of it."""
        self.shown = self.glimpsed = None

    def glimpse(self) -> Glimpse:
        if self.glimpsed is None:
            claim = self.claim
            self.glimpsed = Glimpse(
                self.ticket,
                self.station_id,
                self.last_seen,
                None if claim is None else claim.position,
                None if claim is None else claim.speed_mps,
                None if claim is None else claim.heading_deg,
                tuple(sorted(self.refused.items())) if self.refused else (),
                self.suspicion.standing,
                self.suspicion.last_finding,
            )
        return self.glimpsed

    def seen(self) -> Peer:
        if self.shown is None:
            self.shown = self._peer()
        return self.shown

    def _peer(self) -> Peer:
        suspicion, claim = self.suspicion, self.claim
        return Peer(
            ticket=self.ticket,
            station_id=self.station_id,
            station_type=self.station_type,
            first_seen=self.first_seen,
            last_seen=self.last_seen,
            position=None if claim is None else claim.position,
            speed_mps=None if claim is None else claim.speed_mps,
            heading_deg=None if claim is None else claim.heading_deg,
            messages=tuple(sorted(self.messages.items())),
            refused=tuple(sorted(self.refused.items())),
            standing=suspicion.standing,
            score=suspicion.score,
            opinion=suspicion.opinion,
            found=tuple(sorted(suspicion.found.items())),
            last_finding=suspicion.last_finding,
            is_reportable=suspicion.is_reportable,
        )


class PeerTable:
    """The rows.

    Args:
        capacity: most rows kept.
        lifetime_ns: how long an unheard row lives.
        detectors: make the checks of what each peer claims.
    """

    def __init__(
        self,
        capacity: int = MAX_PEERS,
        lifetime_ns: int = PEER_LIFETIME_NS,
        *,
        detectors: Sequence[DetectorMaker] = DETECTORS,
    ) -> None:
        if capacity < 1 or lifetime_ns < 1:
            raise ValueError("a peer table holds at least one row for at least a moment")
        self._capacity = capacity
        self._lifetime_ns = lifetime_ns
        self._detectors = detectors
        self._newcomers: OrderedDict[HashedId8, _Row] = OrderedDict()
        self._known: OrderedDict[HashedId8, _Row] = OrderedDict()
        self._refused: dict[str, int] = {}
        self._evicted = 0
        self._begun = 0

    def __len__(self) -> int:
        return len(self._newcomers) + len(self._known)

    def __iter__(self) -> Iterator[Peer]:
        """Yield the rows, the one heard longest ago first."""
        rows = sorted((*self._known.values(), *self._newcomers.values()), key=_last_heard)
        return (row.seen() for row in rows)

    def glimpses(self) -> Iterator[Glimpse]:
        """Yield a glimpse of every row, in no order."""
        for rows in (self._known, self._newcomers):
            for row in rows.values():
                yield row.glimpse()

    @property
    def evicted(self) -> int:
        """How many living rows gave way because the table was full."""
        return self._evicted

    @property
    def begun(self) -> int:
        """How many rows were ever begun: new tickets, and those forgotten meanwhile."""
        return self._begun

    @property
    def refused(self) -> dict[str, int]:
        """How many packets were refused, by reason."""
        return dict(self._refused)

    def heard(
        self,
        ticket: HashedId8,
        station_id: StationId,
        message_id: MessageId,
        now: Instant,
        *,
        claim: Claim | None = None,
        station_type: int | None = None,
    ) -> bool:
        """Account for one verified message; what it does not say stays as last heard. Returns True for a new peer.

        Args:
            ticket: who signed it.
            station_id: what it calls itself in it.
            message_id: what it is.
            now: the present.
            claim: what it says of itself; one overtaken by a later one moves nobody back.
            station_type: what it says it is.
        """
        begun = self._begun
        row = self._row(ticket, station_id, now)
        row.messages[message_id] = row.messages.get(message_id, 0) + 1
        if claim is not None and (row.claim is None or claim.taken_at >= row.claim.taken_at):
            row.claim = claim
        if station_type is not None:
            row.station_type = station_type
        return self._begun != begun

    def judge(self, ticket: HashedId8, claim: Claim) -> tuple[Finding, ...]:
        """Hold what a peer just claimed against physics and its claim before; return what cannot be."""
        row = self._find(ticket)
        if row is None:
            return ()
        row.changed()
        return row.suspicion.hear(claim)

    def standing(self, ticket: HashedId8) -> Standing:
        """Return how a ticket's holder is treated; nothing is held against one who was never heard."""
        row = self._find(ticket)
        return Standing.BELIEVED if row is None else row.suspicion.standing

    @property
    def standings(self) -> dict[Standing, int]:
        """How many peers are treated how."""
        counts = dict.fromkeys(Standing, 0)
        for rows in (self._newcomers, self._known):
            for row in rows.values():
                counts[row.suspicion.standing] += 1
        return counts

    def find(self, ticket: HashedId8) -> Peer | None:
        """Return a peer as last heard, None where it is not known (any more)."""
        row = self._find(ticket)
        return None if row is None else row.seen()

    def refuse(self, reason: str) -> None:
        """Account for one refused packet."""
        if reason not in self._refused and len(self._refused) >= MAX_REASONS:
            reason = OTHER_REASONS
        self._refused[reason] = self._refused.get(reason, 0) + 1

    def refuse_signed(self, sender: Sender, reason: str, now: Instant) -> bool:
        """Account for a refused message that this sender is shown to have signed. Returns True for a new peer."""
        self.refuse(reason)
        begun = self._begun
        row = self._row(sender.ticket, sender.station_id, now)
        row.refused[reason] = row.refused.get(reason, 0) + 1
        return self._begun != begun

    def hold_refusal(self, ticket: HashedId8, refusal: V2xError) -> tuple[Finding, ...]:
        """Hold against a holder that it signed what it had no right to say; what could not be read is nobody's fault."""
        row = self._find(ticket)
        if row is None or not isinstance(refusal, VerificationError):
            return ()
        row.changed()
        return (row.suspicion.refused(f"{refusal.code}: {refusal.detail}"),)

    def expire(self, now: Instant) -> None:
        """Forget who was not heard for the table's lifetime."""
        for rows in (self._newcomers, self._known):
            while rows:
                oldest = next(iter(rows.values()))
                if now.monotonic - oldest.last_seen.monotonic <= self._lifetime_ns:
                    break
                del rows[oldest.ticket]

    def _find(self, ticket: HashedId8) -> _Row | None:
        return self._known.get(ticket) or self._newcomers.get(ticket)

    def _row(self, ticket: HashedId8, station_id: StationId, now: Instant) -> _Row:
        """Return the row of a ticket that was heard now, moved to where it belongs; begin one where there is none."""
        self.expire(now)
        row = self._known.get(ticket)
        if row is None:
            row = self._newcomers.pop(ticket, None)
            if row is None:
                row = self._begin(ticket, station_id, now)
            row.heard += 1
            rows = self._newcomers if row.heard < KNOWN_FROM_MESSAGES else self._known
            rows[ticket] = row
        else:
            self._known.move_to_end(ticket)
        row.station_id, row.last_seen = station_id, now
        row.changed()
        return row

    def _begin(self, ticket: HashedId8, station_id: StationId, now: Instant) -> _Row:
        if len(self) >= self._capacity:
            enough = len(self._newcomers) > self._capacity // NEWCOMERS_SHARE or not self._known
            (self._newcomers if enough else self._known).popitem(last=False)
            self._evicted += 1
        self._begun += 1
        return _Row(ticket, station_id, now, Suspicion(self._detectors))


def _last_heard(row: _Row) -> int:
    return row.last_seen.monotonic
