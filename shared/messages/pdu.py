"""The header every facilities message begins with: `ItsPduHeader` of TS 102 894-2 (six whole octets in UPER)."""

from typing import NamedTuple

from shared.core.errors import DecodeError
from shared.core.ids import MessageId, StationId

PROTOCOL_VERSION = 2
"""`protocolVersion` of every message of Release 1 in the versions this project speaks."""

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
