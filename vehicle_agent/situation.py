"""What an operator wants to see of a running vehicle beside its counters: who it is and which hazards are live, as JSON values.

Left out: the counters (`VehicleAgent.status`), and places on the globe, which a status does not tell.
"""

from collections.abc import Iterable

from shared.core.clock import NS_PER_S, Instant
from shared.core.geo import distance_m
from shared.core.itstime import utc_of, utc_text
from shared.facilities.hazard_words import hazard_words
from shared.facilities.originated_events import LiveEvent
from shared.security.sign import TicketCredential
from shared.stack.station import EgoPosition
from vehicle_agent.hazards import Hazards

MAX_HAZARDS_SHOWN = 100
"""Hazards of others in one status, the nearest first."""


def ticket_status(ticket: TicketCredential | None) -> dict[str, object]:
    """Return until when the present ticket lasts; it is not named, for who reads a status may not know the pseudonym."""
    return {
        "in_use": ticket is not None,
        "ends": None if ticket is None else utc_text(utc_of(ticket.certificate.validity.end_time64)),
    }


def hazards_heard(hazards: Hazards, here: EgoPosition | None, now: Instant) -> list[dict[str, object]]:
    """Return every live hazard others tell of, and of those that lie ahead how far it is to drive."""
    ahead = {} if here is None else {hazard.action_id: hazard for hazard in hazards.ahead(now, here)}
    hazards.events.expire(now.monotonic)
    rows: list[tuple[float, dict[str, object]]] = []
    for event in hazards.events:
        denm = event.denm
        coming = ahead.get(denm.action_id)
        away_m = None if here is None or event.position is None else distance_m(here.point, event.position)
        row: dict[str, object] = {
            "station_id": denm.action_id.originating_station_id,
            "sequence_number": denm.action_id.sequence_number,
            "cause_code": denm.cause_code,
            "sub_cause_code": denm.sub_cause_code,
            "cause": hazard_words(denm.cause_code or 0, denm.sub_cause_code),
            "distance_m": None if away_m is None else round(away_m, 1),
            "ahead_m": None if coming is None else round(coming.distance_m, 1),
            "expires_s": round((event.expires - now.monotonic) / NS_PER_S, 1),
            "disputed": event.is_disputed,
        }
        rows.append((float("inf") if away_m is None else away_m, row))
    return [row for _, row in sorted(rows, key=lambda each: each[0])[:MAX_HAZARDS_SHOWN]]


def hazards_told(live: Iterable[LiveEvent], now: Instant) -> list[dict[str, object]]:
    """Return every live hazard the vehicle itself tells of."""
    return [
        {
            "station_id": event.action_id.originating_station_id,
            "sequence_number": event.action_id.sequence_number,
            "use_case": event.report.name,
            "cause_code": event.report.cause_code,
            "cause": hazard_words(event.report.cause_code, event.report.sub_cause_code),
            "expires_s": round((event.expires - now.monotonic) / NS_PER_S, 1),
        }
        for event in live
    ]
