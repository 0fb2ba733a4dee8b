"""Who asks to be let through, for the page: what the unit's status tells of requests for priority. Sans-IO."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.cli.status_words import items, section, text

MAX_ASKING = 32
"""Requests shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One request that is live.

    Attributes:
        key: no two have the same.
        station_id: who asks, as it calls itself.
        level: as what it asks.
        way: from where, and to where if it says so.
        answer: what it is told, with the reason where there is one.
    """

    key: str
    station_id: str
    level: str
    way: str
    answer: str


def asking_in(status: Mapping[str, object]) -> tuple[Asking, ...]:
    """Return who asks to be let through at the junction."""
    requests = items(section(status, "priority").get("requests"))[:MAX_ASKING]
    return tuple(_asking(request) for request in requests)


def _asking(told: Mapping[str, object]) -> Asking:
    answer, reason = text(told.get("status")).replace("_", " "), told.get("reason")
    inbound, outbound = told.get("inbound"), told.get("outbound")
    return Asking(
        key=f"{text(told.get('ticket'))}/{text(told.get('request'))}",
        station_id=text(told.get("station_id")),
        level=text(told.get("level")).replace("_", " "),
        way=text(inbound) if outbound is None else f"{text(inbound)} to {text(outbound)}",
        answer=answer if reason is None else f"{answer}: {text(reason)}",
    )
