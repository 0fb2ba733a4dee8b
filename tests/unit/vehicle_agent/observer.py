"""An observer who writes down every octet a car sends, reads it at every layer, and looks for what two pseudonyms have in common.

A value that two pseudonyms of one car share links them when no other car on the same road has it: what everybody has tells nobody
apart. So the observer compares a car with a crowd that drives the same road at the same time. On top of the values it looks at what
is only there over time: the phase of the checks, the path history laid out on the ground, questions and answers that belong to the
pseudonym before, how a pseudonym begins. What no change can hide is named in `INHERENT` and not counted.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Flag
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import msgspec

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.geo import GeoPoint, distance_m
from shared.core.ids import HashedId3, ItsAid
from shared.messages.cam import Cam, decode_cam
from shared.network.headers import decode_basic_header
from shared.network.packet import GnPayload, decode_gn_payload
from shared.security.secured_data import SignedData, SignerKind, UnsecuredData, decode_secured_data
from vehicle_agent.cam_trigger import T_CHECK_CAM_GEN_NS

INHERENT = {
    "cam.lat_deg": "the car goes on from where it was",
    "cam.lon_deg": "the car goes on from where it was",
    "gn.extended.source.position.lat_deg": "the car goes on from where it was",
    "gn.extended.source.position.lon_deg": "the car goes on from where it was",
    "cam.vehicle_length_m": "the car keeps its size",
    "cam.vehicle_width_m": "the car keeps its size",
    "cam.low_frequency.path_history[].delta_lat_deg": "a straight road goes on; the places are looked at apart",
    "cam.low_frequency.path_history[].delta_lon_deg": "a straight road goes on; the places are looked at apart",
    "cam.low_frequency.path_history[].delta_time_s": "a steady speed goes on; the times are looked at apart",
}
"""Values that may be a car's own and still go over from pseudonym to pseudonym, and why nothing can be done about it."""

FIX_GRAIN_S = 0.1
"""A receiver's fixes come this often; a point of the path may be this much older than the change that it follows."""

WINDOW_OCTETS = 6
"""Octets in a row that two pseudonyms may not share: as many as an address has, more than chance repeats."""

COMMON_OCTETS = 4
"""A stretch of so many octets that others have too makes a window a matter of the format, not of the car."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One packet as it was captured.

    Attributes:
        packet: from the Basic Header on.
        utc: when.
        source_mac: the link-layer address of the frame it came in.
        epoch: how often the car had changed before: what the observer is not told, and the judge of the observer knows.
    """

    packet: bytes
    utc: UtcNs
    source_mac: bytes
    epoch: int

    @cached_property
    def signed(self) -> SignedData:
        """The signed part."""
        content = decode_secured_data(decode_basic_header(self.packet)[1]).content
        assert isinstance(content, SignedData)
        return content

    @cached_property
    def gn(self) -> GnPayload:
        """The GeoNetworking packet inside."""
        payload = self.signed.payload
        assert payload is not None
        assert isinstance(payload.content, UnsecuredData)
        return decode_gn_payload(payload.content.payload)

    @cached_property
    def cam(self) -> Cam:
        """The message inside."""
        return decode_cam(self.gn.message)

    @cached_property
    def values(self) -> frozenset[tuple[str, Hashable]]:
        """Every value at every layer, with its path."""
        return frozenset(self._values())

    def _values(self) -> Iterator[tuple[str, Hashable]]:
        signed, gn = self.signed, self.gn
        yield "frame.source_mac", self.source_mac
        yield from leaves("basic", decode_basic_header(self.packet)[0])
        yield from leaves("gn.common", gn.common)
        yield from leaves("gn.extended", gn.extended)
        yield from leaves("btp", gn.btp)
        yield from leaves("cam", self.cam)
        yield from leaves("header", signed.header)
        yield from leaves("signer", signed.signer)
        yield from leaves("signature", signed.signature)
        assert signed.header.generation_time is not None
        yield "phase.of_the_checks_us", signed.header.generation_time % (T_CHECK_CAM_GEN_NS // 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a neighbour sent that the car might react to: a signer it cannot know, or a request to pass an authority on."""

    utc: UtcNs
    unknown: HashedId3 | None = None
    asks_for: HashedId3 | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """What links two pseudonyms: the path of a value or the name of a habit, and what of it."""

    what: str
    detail: str


def leaves(path: str, value: Any) -> Iterator[tuple[str, Hashable]]:
    """Yield the plain values inside a value, each with its path; members of a sequence share one."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Flag):
        for each in value:
            yield from leaves(f"{path}[]", each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from leaves(f"{path}.{field.name}", getattr(value, field.name))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from leaves(f"{path}.{name}", getattr(value, name))
    elif value is not None:
        yield path, value


class Crowd:
    """Other cars on the same road, and everything they say.

    Args:
        cars: the packets of each.
    """

    def __init__(self, *cars: Sequence[Sighting]) -> None:
        sightings = [each for car in cars for each in car]
        self.values = {value for each in sightings for value in each.values}
        self.stretches = {stretch for each in sightings for stretch in _windows(each, COMMON_OCTETS)}

    def shares(self, window: bytes) -> bool:
        """Tell whether any stretch of a window is everybody's."""
        return any(window[at : at + COMMON_OCTETS] in self.stretches for at in range(WINDOW_OCTETS - COMMON_OCTETS + 1))


def links(car: Sequence[Sighting], crowd: Crowd, heard: Sequence[Question] = ()) -> set[Link]:
    """Return what links the pseudonyms of a car.

    Args:
        car: all its packets in order.
        crowd: what everybody says.
        heard: what neighbours said to the car.
    """
    epochs = [[each for each in car if each.epoch == epoch] for epoch in sorted({each.epoch for each in car})]
    found = _shared_values(epochs, crowd) | _shared_octets(epochs, crowd)
    for before, after in pairwise(epochs):
        found |= _trace_of_the_past(before, after) | _late_reactions(after, heard) | _no_fresh_begin(after)
    return found


def _shared_values(epochs: list[list[Sighting]], crowd: Crowd) -> set[Link]:
    own = [{value for each in epoch for value in each.values} - crowd.values for epoch in epochs]
    return {
        Link(path, f"{value!r} is in pseudonyms {one} and {other}")
        for one, other in combinations(range(len(own)), 2)
        for path, value in own[one] & own[other]
        if path not in INHERENT
    }


def _shared_octets(epochs: list[list[Sighting]], crowd: Crowd) -> set[Link]:
    """Look for octets in a row without knowing what they mean."""
    own = [{window for each in epoch for window in _windows(each, WINDOW_OCTETS)} for epoch in epochs]
    return {
        Link("octets", f"{window.hex()} is in pseudonyms {one} and {other}")
        for one, other in combinations(range(len(own)), 2)
        for window in own[one] & own[other]
        if not crowd.shares(window)
    }


def _windows(sighting: Sighting, octets: int) -> Iterator[bytes]:
    frame = sighting.source_mac + sighting.packet
    for start in range(len(frame) - octets + 1):
        yield frame[start : start + octets]


def _trace_of_the_past(before: list[Sighting], after: list[Sighting]) -> set[Link]:
    """Lay every path history of the new pseudonym out on the ground: no point may be where only the old one was."""
    began, changed_at = after[0].utc, before[-1].utc
    found: set[Link] = set()
    for each in after:
        cam = each.cam
        if cam.low_frequency is None or cam.lat_deg is None or cam.lon_deg is None:
            continue
        lat_deg, lon_deg, utc_s = cam.lat_deg, cam.lon_deg, each.utc / NS_PER_S
        for point in cam.low_frequency.path_history:
            lat_deg, lon_deg = lat_deg + (point.delta_lat_deg or 0.0), lon_deg + (point.delta_lon_deg or 0.0)
            if point.delta_time_s is not None:
                utc_s -= point.delta_time_s
                if utc_s < min(began, changed_at) / NS_PER_S - FIX_GRAIN_S:
                    found.add(Link("path_history", "a point was passed under the pseudonym before"))
            here = GeoPoint(lat_deg, lon_deg)
            is_new = _is_at(after[0], here)
            if each is after[0] or (not is_new and any(_is_at(earlier, here) for earlier in before[:-1])):
                found.add(Link("path_history", "a point lies where only the pseudonym before was heard"))
    return found


def _is_at(sighting: Sighting, place: GeoPoint) -> bool:
    cam = sighting.cam
    return cam.lat_deg is not None and cam.lon_deg is not None and distance_m(GeoPoint(cam.lat_deg, cam.lon_deg), place) < 1.0


def _late_reactions(after: list[Sighting], heard: Sequence[Question]) -> set[Link]:
    """A pseudonym may only ask and answer what it could hear itself."""
    began = after[0].utc
    found: set[Link] = set()
    for each in after:
        header = each.signed.header
        lately = [question for question in heard if began <= question.utc <= each.utc]
        if not set(header.inline_p2pcd_request or ()) <= {question.unknown for question in lately}:
            found.add(Link("inline_p2pcd_request", "asks for a signer it has not heard"))
        authority = header.requested_certificate
        if authority is not None and authority.hashed_id3 not in {question.asks_for for question in lately}:
            found.add(Link("requested_certificate", "passes an authority on that it was not asked for"))
    return found


def _no_fresh_begin(after: list[Sighting]) -> set[Link]:
    """A pseudonym begins as a station does that has just come up: with its certificate, all containers and no path."""
    first, found = after[0], set()
    assert first.signed.header.psid == ItsAid.CAM
    if first.signed.signer.kind is not SignerKind.CERTIFICATE:
        found.add(Link("signer", "does not begin with its certificate"))
    if first.cam.low_frequency is None:
        found.add(Link("low_frequency", "does not begin with the low-frequency container: its clock went on"))
    return found
