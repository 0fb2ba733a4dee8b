"""Peers, and whom refused packets name, as the JSON values of a unit's status."""

from collections.abc import Iterator

from rsu_agent.peers import Peer
from rsu_agent.plausibility_service import PlausibilityService
from rsu_agent.refused_senders import RefusedSender
from shared.core.clock import NS_PER_S, Instant
from shared.core.geo import GeoPoint


def peers_status(service: PlausibilityService, now: Instant, *, brief: bool = False) -> dict[str, object]:
    """Return the members of a status document that tell of others.

    Args:
        service: knows them.
        now: the present.
        brief: leave out the rows, for whoever asks so often that hundreds of them would hold up the unit.
    """
    service.expire(now)
    peers = service.peers
    rows: dict[str, object] = {} if brief else {name: list(each) for name, each in peer_rows(service, now).items()}
    return {
        "refused": peers.refused,
        **rows,
        "standings": {standing.value: count for standing, count in peers.standings.items()},
        "names_refused": len(service.refused_senders),
        "peers_evicted": peers.evicted,
        "peers_begun": peers.begun,
        "new_tickets_a_minute": service.new_tickets(now),
        "peers_ignored": service.ignored,
        "found": dict(service.found),
        "refused_not_looked_at": service.refused_senders.not_looked_at,
    }


def peer_rows(service: PlausibilityService, now: Instant) -> dict[str, Iterator[dict[str, object]]]:
    """Return the rows that a brief status leaves out, by the member's name; each is made when it is drawn."""
    return {
        "peers": (_peer(peer, now) for peer in service.peers),
        "refused_senders": (_refused_sender(each, now) for each in service.refused_senders),
    }


def _peer(peer: Peer, now: Instant) -> dict[str, object]:
    opinion, finding = peer.opinion, peer.last_finding
    return {
        "ticket": peer.ticket.hex(),
        "station_id": peer.station_id,
        "station_type": peer.station_type,
        "known_s": _since_s(peer.first_seen, now),
        "silent_s": _since_s(peer.last_seen, now),
        **_place(peer.position),
        "speed_mps": peer.speed_mps,
        "heading_deg": peer.heading_deg,
        "messages": {message_id.name.lower(): count for message_id, count in peer.messages},
        "refused": dict(peer.refused),
        "standing": peer.standing.value,
        "points": round(peer.score, 2),
        "opinion": {
            "belief": round(opinion.belief, 3),
            "disbelief": round(opinion.disbelief, 3),
            "uncertainty": round(opinion.uncertainty, 3),
        },
        "found": dict(peer.found),
        "is_reportable": peer.is_reportable,
        "why": None if finding is None else finding.sentence,
    }


def _refused_sender(sender: RefusedSender, now: Instant) -> dict[str, object]:
    source = sender.source
    return {
        "claimed_ticket": sender.ticket.hex(),
        "known_s": _since_s(sender.first_seen, now),
        "silent_s": _since_s(sender.last_seen, now),
        **_place(None if source is None else source.position),
        "refused": dict(sender.refused),
        "why": sender.sentence,
    }


def _place(position: GeoPoint | None) -> dict[str, float | None]:
    return {
        "lat_deg": None if position is None else position.lat_deg,
        "lon_deg": None if position is None else position.lon_deg,
    }


def _since_s(then: Instant, now: Instant) -> float:
    return round((now.monotonic - then.monotonic) / NS_PER_S, 1)
