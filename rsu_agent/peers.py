"""Who is around: one row per verified ticket, bounded and aged, and what was refused and why.

A row's key is the ticket's HashedId8, which only the holder of the ticket's key can speak for; the station id is what the sender
claims inside its messages. Rows come from verified messages only, so a stranger cannot fill the table; refusals, whose senders are
unknown, are counted by reason alone.

Left out: opinions about peers (`shared.trust`), and anything on disk.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, MessageId, StationId

MAX_PEERS = 1_024
"""Most tickets remembered; beyond it the one heard longest ago gives way."""

PEER_LIFETIME_NS = 60 * NS_PER_S
"""A peer not heard for this long is gone."""

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
        first_seen: when the row began.
        last_seen: when it was last heard.
        position: its last claimed position, or None.
        speed_mps: its last claimed speed in m/s, or None.
        heading_deg: its last claimed heading in degrees from north, or None.
        messages: how many verified messages of each type were heard.
    """

    ticket: HashedId8
    station_id: StationId
    first_seen: Instant
    last_seen: Instant
    position: GeoPoint | None
    speed_mps: float | None
    heading_deg: float | None
    messages: tuple[tuple[MessageId, int], ...]


class PeerTable:
    """The rows.

    Args:
        capacity: most rows kept.
        lifetime_ns: how long an unheard row lives.
    """

    def __init__(self, capacity: int = MAX_PEERS, lifetime_ns: int = PEER_LIFETIME_NS) -> None:
        if capacity < 1 or lifetime_ns < 1:
            raise ValueError("a peer table holds at least one row for at least a moment")
        self._capacity = capacity
        self._lifetime_ns = lifetime_ns
        self._rows: OrderedDict[HashedId8, Peer] = OrderedDict()
        self._refused: dict[str, int] = {}
        self._evicted = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Peer]:
        """Yield the rows, the one heard longest ago first."""
        return iter(tuple(self._rows.values()))

    @property
    def evicted(self) -> int:
        """How many living rows gave way because the table was full."""
        return self._evicted

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
        position: GeoPoint | None = None,
        speed_mps: float | None = None,
        heading_deg: float | None = None,
    ) -> bool:
        """Account for one verified message; what it does not say stays as last heard. Returns True for a new peer."""
        self.expire(now)
        row = self._rows.pop(ticket, None)
        is_new = row is None
        if row is None:
            if len(self._rows) >= self._capacity:
                self._rows.popitem(last=False)
                self._evicted += 1
            row = Peer(
                ticket=ticket,
                station_id=station_id,
                first_seen=now,
                last_seen=now,
                position=position,
                speed_mps=speed_mps,
                heading_deg=heading_deg,
                messages=(),
            )
        counts = dict(row.messages)
        counts[message_id] = counts.get(message_id, 0) + 1
        self._rows[ticket] = replace(
            row,
            station_id=station_id,
            last_seen=now,
            position=row.position if position is None else position,
            speed_mps=row.speed_mps if position is None else speed_mps,
            heading_deg=row.heading_deg if position is None else heading_deg,
            messages=tuple(sorted(counts.items())),
        )
        return is_new

    def refuse(self, reason: str) -> None:
        """Account for one refused packet."""
        if reason not in self._refused and len(self._refused) >= MAX_REASONS:
            reason = OTHER_REASONS
        self._refused[reason] = self._refused.get(reason, 0) + 1

    def expire(self, now: Instant) -> None:
        """Forget who was not heard for the table's lifetime."""
        while self._rows:
            oldest = next(iter(self._rows.values()))
            if now.monotonic - oldest.last_seen.monotonic <= self._lifetime_ns:
                return
            del self._rows[oldest.ticket]

    def next_expiry(self) -> MonotonicNs | None:
        """Return when the next row would be forgotten, or None for an empty table."""
        if not self._rows:
            return None
        return MonotonicNs(next(iter(self._rows.values())).last_seen.monotonic + self._lifetime_ns + 1)
