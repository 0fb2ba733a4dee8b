"""Which signals are the position: a latitude and a longitude of one message that move as fast as the car does.

What a receiver says beside a bit that is called valid is taken only where that is set: without a fix it sends zeros.

Heading, altitude, accuracy and the quality of a fix are not looked for.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.core.clock import MonotonicNs
from shared.core.geo import GeoPoint
from vehicle_agent.learning.candidates import Confidence, KnownMessage, Proposal, unit_for, valid_flag
from vehicle_agent.learning.quantities import TRACK_AGREEMENT, Motion
from vehicle_agent.learning.series import correlation, physical_series, raw_series, track_of
from vehicle_agent.signals.dbc import SignalLayout

MIN_PLACE_BITS = 24
"""A coordinate of fewer bits does not tell one street from the next."""

RECEIVED = frozenset({"position", "gnss_speed_mps", "gnss_odometer_m"})
"""Fields that a satellite receiver feeds."""

MAX_LATITUDE_DEG = 90.0
MAX_LONGITUDE_DEG = 180.0

_LATITUDE = re.compile(r"(?:^|_)lat(?:itude)?(?:$|_)|latitude", re.IGNORECASE)
_LONGITUDE = re.compile(r"(?:^|_)lon(?:g|gitude)?(?:$|_)|longitude", re.IGNORECASE)
_NOT_A_PLACE = re.compile(r"acc|valid|err|std|dev|time|status", re.IGNORECASE)


def find_position(messages: Sequence[KnownMessage], motion: Motion) -> list[Proposal]:
    """Return what may be the position, the best first."""
    found = [proposal for message in messages for proposal in _position(message, motion)]
    return sorted(found, key=lambda proposal: -proposal.score)


def where_valid(proposal: Proposal) -> Proposal:
    """Return what a receiver feeds, taken only where the bit beside it that is called valid is set, if that ever was."""
    flag = valid_flag(proposal.message) if proposal.field in RECEIVED else None
    if flag is None or 1 not in raw_series(proposal.message.heard, flag).values:
        return proposal
    options = {**proposal.options, "only_if": {flag.name: 1}}
    return replace(proposal, options=options, evidence=(*proposal.evidence, f"taken where {flag.name} is 1"))


def _position(message: KnownMessage, motion: Motion) -> Iterator[Proposal]:
    latitude, longitude = _only(message, _LATITUDE), _only(message, _LONGITUDE)
    if latitude is None or longitude is None:
        return
    flag = valid_flag(message)
    if flag is not None:
        latitude, longitude = (replace(s, conditions=(*s.conditions, (flag, frozenset({1})))) for s in (latitude, longitude))
    north, east = physical_series(message.heard, latitude), physical_series(message.heard, longitude)
    if not north.values or north.times != east.times:
        return
    places = [
        (MonotonicNs(moment), GeoPoint(lat, lon))
        for moment, lat, lon in zip(north.times, north.values, east.values, strict=True)
        if abs(lat) <= MAX_LATITUDE_DEG and abs(lon) <= MAX_LONGITUDE_DEG
    ]
    evidence = [f"{len(places)} places of {len(north.times)} are on the Earth"]
    track = track_of(places)
    together = None if motion.speed_mps is None or not track.speed_mps.values else correlation(track.speed_mps, motion.speed_mps)
    confidence = Confidence.UNSURE
    if together is None:
        evidence.append("no speed to hold them to")
    else:
        evidence.append(f"their speed goes with {motion.named}: r = {together[0]:.2f}")
        confidence = Confidence.CERTAIN if together[0] >= TRACK_AGREEMENT else Confidence.UNSURE
    yield Proposal(
        field="position",
        message=message,
        options={"latitude": message.reference(latitude), "longitude": message.reference(longitude), "unit": "deg"},
        confidence=confidence,
        evidence=tuple(evidence),
        score=0.0 if together is None else together[0],
    )


def _only(message: KnownMessage, name: re.Pattern[str]) -> SignalLayout | None:
    """Return the one signal of a message that is called so; None where there is none, or a choice."""
    found = [
        signal
        for signal in message.signals()
        if name.search(signal.name)
        and not _NOT_A_PLACE.search(signal.name)
        and signal.length_bits >= MIN_PLACE_BITS
        and unit_for(signal, ("deg",)) is not None
    ]
    return found[0] if len(found) == 1 else None
