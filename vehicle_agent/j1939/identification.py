"""What units of a J1939 network say about themselves (SAE J1939-71 and -81): VIN, component, software, NAME.

Texts are ASCII with a `*` behind each part; a group of ones alone is "not available". The words are those of
`vehicle_agent.vehicle_memory.KnownPart`. What it means that they change is `vehicle_agent.part_identity`'s.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from shared.core.errors import DecodeError
from vehicle_agent.j1939.groups import (
    CLAIMED_ADDRESS,
    COMPONENT_IDENTIFICATION,
    SOFTWARE_IDENTIFICATION,
    VEHICLE_IDENTIFICATION,
    ParameterGroup,
)

MAX_TEXT_OCTETS = 200
"""Longest part of a text that is kept; J1939-71 gives parts 200 octets at most."""

MAX_SOFTWARE_FIELDS = 32
"""Fields of a software identification that are kept."""

_DELIMITER = b"*"
_NOT_AVAILABLE = 0xFF
_NAME_OCTETS = 8
_COMPONENT = ("supplier", "part_number", "serial_number", "unit_number")
"""SPN 586 make, 587 model, 588 serial number, 233 unit number."""


def identifiers_in(group: ParameterGroup) -> Mapping[str, str]:
    """Return what a unit says about itself in this group, by name; nothing where it says "not available".

    Raises:
        DecodeError: a text holds what no text does.
        KeyError: the group is none of `IDENTIFICATION_GROUPS`.
    """
    read = _READERS[group.pgn]
    if all(octet == _NOT_AVAILABLE for octet in group.data):
        return MappingProxyType({})
    return MappingProxyType(read(group.data))


def _vehicle(data: bytes) -> dict[str, str]:
    """SPN 237."""
    (vin, *_) = _parts("vin", data)
    return {"vin": vin} if vin else {}


def _component(data: bytes) -> dict[str, str]:
    return {name: text for name, text in zip(_COMPONENT, _parts("component", data), strict=False) if text}


def _software(data: bytes) -> dict[str, str]:
    """SPN 965 says how many fields of SPN 234 follow."""
    texts = _parts("software", data[1:])[: min(data[0], MAX_SOFTWARE_FIELDS)]
    said = "*".join(text for text in texts if text)
    return {"software_number": said} if said else {}


def _name(data: bytes) -> dict[str, str]:
    """The NAME of J1939-81: industry, maker, function and identity number, the lowest octet first on the bus."""
    if len(data) != _NAME_OCTETS:
        raise DecodeError("name", f"has {len(data)} octets, not {_NAME_OCTETS}")
    return {"j1939_name": data[::-1].hex()}


_READERS: Mapping[int, Callable[[bytes], dict[str, str]]] = MappingProxyType(
    {
        VEHICLE_IDENTIFICATION: _vehicle,
        COMPONENT_IDENTIFICATION: _component,
        SOFTWARE_IDENTIFICATION: _software,
        CLAIMED_ADDRESS: _name,
    }
)

IDENTIFICATION_GROUPS = tuple(_READERS)
"""The groups that `identifiers_in` reads."""


def _parts(field: str, data: bytes) -> list[str]:
    """Split a text at its delimiters; what is filled with ones or zeros behind the last is no part."""
    parts = data.rstrip(b"\xff\0").split(_DELIMITER)
    texts = []
    for part in parts:
        text = part.strip(b" \0")
        if len(text) > MAX_TEXT_OCTETS:
            raise DecodeError(field, f"has a part of {len(text)} octets, at most {MAX_TEXT_OCTETS} are kept")
        if any(not 0x20 <= octet < 0x7F for octet in text):
            raise DecodeError(field, f"holds the octets {text[:20].hex()}, which are no text")
        texts.append(text.decode("ascii"))
    return texts
