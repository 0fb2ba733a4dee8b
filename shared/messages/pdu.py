"""The header every facilities message begins with: `ItsPduHeader` of TS 102 894-2 (six whole octets in UPER)."""

from typing import NamedTuple

from shared.codec.uper import Tree
from shared.core.errors import DecodeError
from shared.core.ids import IntersectionId, MessageId, StationId

PROTOCOL_VERSION = 2
"""`protocolVersion` of every message of Release 1 in the versions this project speaks."""

INFRASTRUCTURE_VERSIONS = frozenset({1, 2})
"""Versions of TS 103 301 messages; 1 and 2 carry the same ISO/TS 19091 content."""

HEADER_OCTETS = 6

_MINUTE_OF_YEAR_INVALID = 527_040


class PduHeader(NamedTuple):
    """`ItsPduHeader`."""

    protocol_version: int
    message_id: MessageId
    station_id: StationId


def peek_header(encoded: bytes) -> PduHeader:
    """Read the header without decoding the rest; raises `DecodeError` for a short message or an unknown `messageID`."""
    if len(encoded) < HEADER_OCTETS:
        raise DecodeError("header", f"{len(encoded)} octets are too few for a header of {HEADER_OCTETS}", 8 * len(encoded))
    try:
        message_id = MessageId(encoded[1])
    except ValueError:
        raise DecodeError("header.messageID", f"{encoded[1]} is no message this station knows", 8) from None
    return PduHeader(encoded[0], message_id, StationId(int.from_bytes(encoded[2:6], "big")))


def header_tree(message_id: MessageId, station_id: StationId) -> Tree:
    """Return the header of a message of ours as a plain tree."""
    return {"protocolVersion": PROTOCOL_VERSION, "messageID": message_id, "stationID": station_id}


def check_header(message_id: MessageId, encoded: bytes, versions: frozenset[int] = frozenset({PROTOCOL_VERSION})) -> None:
    """Check that a message is of the type and of a version its decoder knows; raises `DecodeError`."""
    header = peek_header(encoded)
    if header.message_id is not message_id:
        raise DecodeError(f"{message_id.name}.header.messageID", f"{header.message_id.name} where {message_id.name} belongs", 8)
    if header.protocol_version not in versions:
        raise DecodeError(f"{message_id.name}.header.protocolVersion", f"version {header.protocol_version} is not known", 0)


def encode_intersection_id(id_: IntersectionId) -> Tree:
    """Return the tree of an `IntersectionReferenceID`."""
    return {"id": id_.number} if id_.region is None else {"region": id_.region, "id": id_.number}


def decode_intersection_id(tree: Tree) -> IntersectionId:
    """Return the identifier in an `IntersectionReferenceID`."""
    return IntersectionId(tree.get("region"), tree["id"])


def decode_minute_of_year(minute: int | None) -> int | None:
    """Return a `MinuteOfTheYear`, None where absent or invalid."""
    return None if minute == _MINUTE_OF_YEAR_INVALID else minute
