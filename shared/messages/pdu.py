"""The header every facilities message begins with: `ItsPduHeader` of TS 102 894-2 (six whole octets in UPER)."""

from typing import NamedTuple

from shared.codec.shape import Field, Fields, Fixed, Record
from shared.core.errors import DecodeError
from shared.core.ids import IntersectionId, MessageId, StationId
from shared.messages import conversions as cv

PROTOCOL_VERSION = 2
"""`protocolVersion` of every message of Release 1 in the versions this project speaks."""

INFRASTRUCTURE_VERSIONS = frozenset({1, 2})
"""Versions of TS 103 301 messages; 1 and 2 carry the same ISO/TS 19091 content."""

HEADER_OCTETS = 6


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


def header(message_id: MessageId, also: frozenset[int] = frozenset()) -> Fields:
    """Return the shape of the header of a message of ours: the station goes to `station_id`, versions `also` are accepted."""
    return Fields(
        {
            "protocolVersion": Fixed(PROTOCOL_VERSION, also),
            "messageID": Fixed(message_id.value),
            "stationID": Field("station_id"),
        }
    )


def check_header(message_id: MessageId, encoded: bytes, versions: frozenset[int] = frozenset({PROTOCOL_VERSION})) -> None:
    """Check that a message is of the type and of a version its decoder knows; raises `DecodeError`."""
    header = peek_header(encoded)
    if header.message_id is not message_id:
        raise DecodeError(f"{message_id.name}.header.messageID", f"{header.message_id.name} where {message_id.name} belongs", 8)
    if header.protocol_version not in versions:
        raise DecodeError(f"{message_id.name}.header.protocolVersion", f"version {header.protocol_version} is not known", 0)


INTERSECTION_ID = Record(IntersectionId, {"region": Field("region"), "id": Field("number")})
"""An `IntersectionReferenceID`."""

MINUTE_OF_YEAR = cv.Whole(unavailable=527_040)
"""`MinuteOfTheYear`, None where invalid."""
