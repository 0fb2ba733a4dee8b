"""What a unit and a traffic centre tell each other, as JSON documents; `docs/hazards.md` describes them.

    <topic>/<unit>/state            retained: whether the unit is there
    <topic>/<unit>/traffic          who was heard lately, verified; a part of at most `PEERS_PER_DOCUMENT`
    <topic>/<unit>/event/<number>   retained: what others warn of; an empty document says that it is over
    <topic>/<unit>/answer           what became of a hazard of the centre's
    <topic>/<unit>/hazard/<id>      retained, from the centre: a hazard for this unit; an empty document takes it back
    <topic>/hazard/<id>             the same for every unit that is near it

Tickets are not told: where a car was is the centre's business, who it was an hour ago is not. Left out: the broker (`backhaul`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import msgspec

from rsu_agent.hazard import Hazard
from rsu_agent.hazard_config import HazardConfig, hazard_of
from rsu_agent.peers import Peer
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import DecodeError
from shared.core.itstime import utc_from_text, utc_text
from shared.facilities.hazard_words import hazard_words
from shared.facilities.received_events import EventKey, ReceivedEvent

MAX_CENTRE_ID = 48
"""Characters of a centre's id; one of all units has a prefix here."""

ALL_UNITS = "all:"
"""Begins the id under which a hazard for every unit is known here."""

COMMON_LEVEL = "hazard"
"""The level of a topic below which hazards are."""

PEERS_PER_DOCUMENT = 24
"""Peers of one traffic document: it fits into one publication."""

MAX_EVENTS_FOLLOWED = 256
"""Events whose changes are told."""

MAX_EVENT_EXPIRY_S = 600
"""The broker forgets an event after this: what a unit was lost with is not believed for long. In half of it, it is told again."""

_FIELD = "hazard document"
_AT_ONCE = MonotonicNs(0)


class _HazardDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hazard: HazardConfig
    until: Annotated[str, msgspec.Meta(max_length=64)]


class CentreHazard(msgspec.Struct, frozen=True):
    """A hazard as the centre tells it, and when it is over (whole seconds of UTC since 1970)."""

    hazard: Hazard
    until_utc_s: int


class Topics:
    """The topics of one unit.

    Args:
        prefix: what all begin with.
        unit: the unit's name.
    """

    def __init__(self, prefix: str, unit: str) -> None:
        self._prefix = prefix
        self._unit = unit

    @property
    def filters(self) -> tuple[str, str]:
        """What the unit listens to."""
        return f"{self._prefix}/{COMMON_LEVEL}/+", f"{self._prefix}/{self._unit}/{COMMON_LEVEL}/+"

    def own(self, what: str) -> str:
        """Return where the unit tells something: `state`, `traffic`, `answer`, or `event/<number>`."""
        return f"{self._prefix}/{self._unit}/{what}"

    def hazard_id(self, topic: str) -> str:
        """Return under which id a topic's hazard is known here; raises `DecodeError` for what is none."""
        common, own = (each.removesuffix("+") for each in self.filters)
        prefix, name = (ALL_UNITS, topic.removeprefix(common)) if topic.startswith(common) else ("", topic.removeprefix(own))
        if not is_centre_id(name):
            raise DecodeError("topic", f"its last level is no id of at most {MAX_CENTRE_ID} letters, digits and of -_.")
        return f"{prefix}{name}"


def is_centre_id(text: str) -> bool:
    """Tell whether a text may be a centre's id."""
    allowed = text.replace("-", "").replace("_", "").replace(".", "")
    return 0 < len(text) <= MAX_CENTRE_ID and text[0].isalnum() and text.isascii() and allowed.isalnum()


def decode_hazard(octets: bytes) -> CentreHazard:
    """Read a hazard of the centre's.

    Raises:
        DecodeError: it is no such document.
        ConfigError: a value of the hazard is out of range.
    """
    try:
        document = msgspec.json.decode(octets, type=_HazardDocument)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(_FIELD, str(error)) from None
    try:
        until = utc_from_text(document.until)
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"{_FIELD}.until", str(error)) from None
    return CentreHazard(hazard_of(_FIELD, document.hazard), until // NS_PER_S)


def state_document(*, is_online: bool, station_id: int) -> bytes:
    """Say whether the unit is there."""
    return msgspec.json.encode({"is_online": is_online, "station_id": station_id})


def answer_document(hazard_id: str, *, refused: str | None, now: Instant) -> bytes:
    """Say what became of a hazard; `refused` is why it is not told of."""
    return msgspec.json.encode({"utc": _utc(now), "id": hazard_id, "accepted": refused is None, "reason": refused})


def traffic_documents(peers: Iterable[Peer], since: MonotonicNs, now: Instant) -> Iterator[bytes]:
    """Return who was heard at a moment or since and has a place, in parts."""
    part: list[dict[str, object]] = []
    for peer in peers:
        if peer.last_seen.monotonic < since or peer.position is None:
            continue
        part.append(
            {
                "station_id": peer.station_id,
                "station_type": peer.station_type,
                "lat_deg": peer.position.lat_deg,
                "lon_deg": peer.position.lon_deg,
                "speed_mps": peer.speed_mps,
                "heading_deg": peer.heading_deg,
                "standing": peer.standing.value,
                "age_s": round((now.monotonic - peer.last_seen.monotonic) / NS_PER_S, 2),
            }
        )
        if len(part) >= PEERS_PER_DOCUMENT:
            yield msgspec.json.encode({"utc": _utc(now), "peers": part})
            part = []
    if part:
        yield msgspec.json.encode({"utc": _utc(now), "peers": part})


@dataclass(frozen=True, slots=True)
class EventDocument:
    """What is told of one event, and for how long the broker keeps it; nothing when it is over."""

    number: int
    octets: bytes
    expiry_s: int


@dataclass(slots=True)
class _Followed:
    """An event that was told of: what of it, and when to say so again."""

    number: int
    version: tuple[int, bool] | None = None
    again: MonotonicNs = _AT_ONCE


class EventNews:
    """Notices what has changed among the events that others tell of.

    Two tickets may use one action id and make two events of it (`received_events`), so each has a number of this unit's own.
    """

    def __init__(self) -> None:
        self._followed: dict[EventKey, _Followed] = {}
        self._last_number = 0

    def repeat(self) -> None:
        """Tell everything that lasts once more."""
        for followed in self._followed.values():
            followed.version = None

    def changes(self, events: Iterable[ReceivedEvent], now: Instant) -> Iterator[EventDocument]:
        """Return a document for each event that is new, has changed, is to be told again, or is over since the last call."""
        present = {event.key: event for event in islice(events, MAX_EVENTS_FOLLOWED)}
        for key in [key for key in self._followed if key not in present]:
            yield EventDocument(self._followed.pop(key).number, b"", MAX_EVENT_EXPIRY_S)
        for key, event in present.items():
            followed = self._followed.get(key)
            if followed is None:
                self._last_number += 1
                followed = self._followed[key] = _Followed(self._last_number)
            version = int(event.denm.reference_time), event.is_disputed
            if followed.version == version and now.monotonic < followed.again:
                continue
            followed.version = version
            expiry_s = max(1, min(MAX_EVENT_EXPIRY_S, (event.expires - now.monotonic) // NS_PER_S))
            followed.again = MonotonicNs(now.monotonic + expiry_s * NS_PER_S // 2)
            yield EventDocument(followed.number, msgspec.json.encode({"utc": _utc(now), **_event(event, now)}), expiry_s)


def _event(event: ReceivedEvent, now: Instant) -> dict[str, object]:
    action_id, denm, place = event.denm.action_id, event.denm, event.position
    return {
        "station_id": action_id.originating_station_id,
        "sequence_number": action_id.sequence_number,
        "station_type": denm.station_type,
        "cause_code": denm.cause_code,
        "sub_cause_code": denm.sub_cause_code,
        "cause": hazard_words(denm.cause_code or 0, denm.sub_cause_code),
        "lat_deg": None if place is None else place.lat_deg,
        "lon_deg": None if place is None else place.lon_deg,
        "is_disputed": event.is_disputed,
        "expires_s": round((event.expires - now.monotonic) / NS_PER_S, 1),
    }


def _utc(now: Instant) -> str | None:
    return None if now.utc is None else utc_text(now.utc)
