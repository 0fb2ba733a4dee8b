"""Who is around as rows the page can draw: where, which way, and whether the unit believes it. Sans-IO.

Peers come with what is thought of them. Names that refused packets carry are rows of their own, never mixed with the peer of that
name: anybody may use a name, and a peer must not look like a liar for what others say under it. What is drawn is what each claims
of itself. A row is made anew only when its peer was heard again, so a look at hundreds that mostly stand still costs little.
"""

from collections.abc import Iterable
from enum import Enum
from itertools import islice
from typing import NamedTuple

from rsu_agent.peers import Glimpse
from rsu_agent.refused_senders import RefusedSender
from shared.core.clock import NS_PER_S, Instant
from shared.core.geo import GeoPoint, metres_per_degree
from shared.trust.suspicion import Standing

MAX_VEHICLES = 1_024
"""Peers shown; a table of peers has no more."""

MAX_REFUSED_SHOWN = 256
"""Names of refused packets shown."""

SILENT_AFTER_NS = 3 * NS_PER_S
"""Not heard for so long, a vehicle is drawn as one that may have gone."""

REFUSED_PREFIX = "refused "
"""Before the name of a ticket that refused packets carry."""


class Trust(Enum):
    """How far somebody is believed; the page has a colour, a shape and a word for each."""

    TRUSTED = "trusted"
    DOUBTED = "doubted"
    DISTRUSTED = "distrusted"
    REFUSED = "refused"
    """Nothing it says was accepted; even its name is only claimed."""


_TRUST = {Standing.BELIEVED: Trust.TRUSTED, Standing.DOUBTED: Trust.DOUBTED, Standing.IGNORED: Trust.DISTRUSTED}


class Vehicle(NamedTuple):
    """One row, as it stands in an event: an array.

    Attributes:
        station_id: what it calls itself; None where that is not known.
        east_m: from the plan's middle; None where no position was heard.
        north_m: likewise.
        heading_deg: whole degrees from north, or None.
        speed_mps: or None.
        trust: a value of `Trust`.
        why: what is held against it, as sentences; empty where nothing is.
        is_silent: whether it was not heard lately.
        refused: its packets that were refused, as `reason number, reason number`.
    """

    station_id: int | None
    east_m: float | None
    north_m: float | None
    heading_deg: int | None
    speed_mps: float | None
    trust: str
    why: str
    is_silent: bool
    refused: str


Heard = Glimpse | RefusedSender


class VehicleRows:
    """Makes rows and remembers them.

    Args:
        middle: of the plan.
    """

    def __init__(self, middle: GeoPoint) -> None:
        self._middle = middle
        self._metres_per_degree = metres_per_degree(middle.lat_deg)  # once: over a radio's range the error is some decimetres
        self._made: dict[str, tuple[Heard, Vehicle]] = {}

    def rows(self, peers: Iterable[Glimpse], refused: Iterable[RefusedSender], now: Instant) -> dict[str, Vehicle]:
        """Return a row for every peer by its ticket's name in hexadecimal digits, and one for every name refused packets carry."""
        made: dict[str, tuple[Heard, Vehicle]] = {}
        for peer in islice(peers, MAX_VEHICLES):
            key = peer.ticket.hex()
            made[key] = self._entry(key, peer, now)
        for sender in islice(refused, MAX_REFUSED_SHOWN):
            key = REFUSED_PREFIX + sender.ticket.hex()
            made[key] = self._entry(key, sender, now)
        self._made = made
        return {key: row for key, (_, row) in made.items()}

    def _entry(self, key: str, heard: Heard, now: Instant) -> tuple[Heard, Vehicle]:
        is_silent = now.monotonic - heard.last_seen.monotonic > SILENT_AFTER_NS
        known = self._made.get(key)
        if known is not None and known[0] is heard and known[1].is_silent is is_silent:
            return known
        row = self._peer(heard, is_silent=is_silent) if isinstance(heard, Glimpse) else self._refused(heard, is_silent=is_silent)
        return heard, row

    def _peer(self, peer: Glimpse, *, is_silent: bool) -> Vehicle:
        east_m, north_m = self._place(peer.position)
        finding = peer.last_finding
        trust = _TRUST[peer.standing]
        return Vehicle(
            station_id=peer.station_id,
            east_m=east_m,
            north_m=north_m,
            heading_deg=_heading(peer.heading_deg),
            speed_mps=_tenth(peer.speed_mps),
            trust=trust.value,
            why="" if finding is None or trust is Trust.TRUSTED else f"{finding.check}: {finding.sentence}",
            is_silent=is_silent,
            refused=_counts(peer.refused),
        )

    def _refused(self, sender: RefusedSender, *, is_silent: bool) -> Vehicle:
        source = sender.source
        east_m, north_m = self._place(None if source is None else source.position)
        return Vehicle(
            station_id=None,
            east_m=east_m,
            north_m=north_m,
            heading_deg=None if source is None else _heading(source.heading_deg),
            speed_mps=None if source is None else _tenth(source.speed_mps),
            trust=Trust.REFUSED.value,
            why=sender.sentence,
            is_silent=is_silent,
            refused=_counts(sender.refused),
        )

    def _place(self, position: GeoPoint | None) -> tuple[float | None, float | None]:
        if position is None:
            return None, None
        per_lat, per_lon = self._metres_per_degree
        d_lon = (position.lon_deg - self._middle.lon_deg + 180.0) % 360.0 - 180.0
        return round(d_lon * per_lon, 1), round((position.lat_deg - self._middle.lat_deg) * per_lat, 1)


def _heading(heading_deg: float | None) -> int | None:
    return None if heading_deg is None else round(heading_deg) % 360


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _counts(refused: tuple[tuple[str, int], ...]) -> str:
    if not refused:
        return ""
    return ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in refused)
