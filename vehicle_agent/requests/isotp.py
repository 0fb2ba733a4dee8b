"""The frames of ISO-TP (ISO 15765-2:2016 clause 9.6), normal addressing: octets of one CAN frame <-> what they mean.

Classic frames are written; those of CAN FD (escape lengths) are read too. A frame the standard says to ignore raises `FrameError`
with the reason as its kind; whoever reads a bus counts it and goes on. The state of a transfer is `isotp_receive`'s and
`isotp_send`'s business; extended and mixed addressing are left out, nothing legislated uses them.
"""

from dataclasses import dataclass
from enum import IntEnum

from shared.core.clock import NS_PER_MS, NS_PER_S, NS_PER_US
from shared.core.errors import EncodeError, FrameError

FRAME_OCTETS = 8
"""Length of every classic frame we write: ISO 15765-4 wants all eight octets used."""

PADDING = 0xCC
"""Fills a frame up (ISO 15765-2 10.4.2.1): alternating bits keep stuff bits few."""

MAX_SINGLE_OCTETS = 7
"""What a classic single frame carries."""

MAX_PAYLOAD_OCTETS = 4_095
"""The longest message that is taken or sent: what 12 bits of length can say. Longer ones are answered with `OVERFLOW`."""

FIRST_FRAME_OCTETS = 6
"""Payload of a classic first frame."""

CONSECUTIVE_OCTETS = 7
"""Payload of a full classic consecutive frame."""

N_BS_NS = 1_000 * NS_PER_MS
"""The longest a sender waits for a flow control frame (N_Bs)."""

N_CR_NS = 1_000 * NS_PER_MS
"""The longest a receiver waits for the next consecutive frame (N_Cr)."""

RESERVED_ST_MIN_NS = 127 * NS_PER_MS
"""What a reserved separation time counts as: the longest there is (9.6.5.5)."""

MALFORMED = "malformed"
UNKNOWN_TYPE = "unknown_type"
BAD_LENGTH = "bad_length"
INVALID_FLOW_STATUS = "invalid_flow_status"
FRAME_FAULTS = (MALFORMED, UNKNOWN_TYPE, BAD_LENGTH, INVALID_FLOW_STATUS)
"""Every `FrameError.kind` of this module."""


class FlowStatus(IntEnum):
    """What a receiver tells a sender (Table 18)."""

    CONTINUE = 0
    WAIT = 1
    OVERFLOW = 2


@dataclass(frozen=True, slots=True)
class SingleFrame:
    """A whole message."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """The beginning of a longer message, and the length of all of it in octets."""

    length: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ConsecutiveFrame:
    """A further piece: its number modulo 16, and octets that may end in padding."""

    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class FlowControl:
    """How to go on.

    Attributes:
        status: whether at all.
        block_size: consecutive frames until the next flow control; 0: no further one.
        st_min_ns: least time between two consecutive frames, in nanoseconds.
    """

    status: FlowStatus
    block_size: int = 0
    st_min_ns: int = 0


IsoTpFrame = SingleFrame | FirstFrame | ConsecutiveFrame | FlowControl


def decode_frame(data: bytes) -> IsoTpFrame:
    """Return what the octets of a CAN frame mean.

    Raises:
        FrameError: nothing that this part of the standard lets through; the kind is one of `FRAME_FAULTS`.
    """
    if not data:
        raise FrameError("isotp", "is empty", MALFORMED)
    match data[0] >> 4:
        case 0:
            return _single(data)
        case 1:
            return _first(data)
        case 2:
            if len(data) < 2:
                raise FrameError("isotp.consecutive", "carries nothing", MALFORMED)
            return ConsecutiveFrame(data[0] & 0x0F, data[1:])
        case 3:
            return _flow_control(data)
        case reserved:
            raise FrameError("isotp.type", f"{reserved} is reserved", UNKNOWN_TYPE)


def encode_frame(frame: IsoTpFrame) -> bytes:
    """Return the eight octets of a classic CAN frame.

    Raises:
        EncodeError: it does not fit one.
    """
    match frame:
        case SingleFrame(payload):
            if not 1 <= len(payload) <= MAX_SINGLE_OCTETS:
                raise EncodeError("isotp.single", f"{len(payload)} octets do not fit a single frame")
            octets = bytes((len(payload),)) + payload
        case FirstFrame(length, payload):
            if not MAX_SINGLE_OCTETS < length <= MAX_PAYLOAD_OCTETS or len(payload) != FIRST_FRAME_OCTETS:
                raise EncodeError("isotp.first", f"{length} octets, {len(payload)} of them here, are no classic first frame")
            octets = (0x1000 | length).to_bytes(2, "big") + payload
        case ConsecutiveFrame(sequence, payload):
            if not 0 <= sequence <= 0x0F or not 1 <= len(payload) <= CONSECUTIVE_OCTETS:
                raise EncodeError("isotp.consecutive", f"number {sequence} with {len(payload)} octets")
            octets = bytes((0x20 | sequence,)) + payload
        case FlowControl(status, block_size, st_min_ns):
            if not 0 <= block_size <= 0xFF:
                raise EncodeError("isotp.block_size", f"{block_size} is no octet")
            octets = bytes((0x30 | status, block_size, encode_st_min(st_min_ns)))
    return octets.ljust(FRAME_OCTETS, bytes((PADDING,)))


def decode_st_min(octet: int) -> int:
    """Return a separation time in nanoseconds (Table 20): 0..127 ms, 100..900 us; what is reserved counts as 127 ms."""
    if octet <= 0x7F:
        return octet * NS_PER_MS
    if 0xF1 <= octet <= 0xF9:
        return (octet - 0xF0) * 100 * NS_PER_US
    return RESERVED_ST_MIN_NS


def encode_st_min(st_min_ns: int) -> int:
    """Return the octet of a separation time, rounded up to the next that can be said; raises `EncodeError` beyond 127 ms."""
    if not 0 <= st_min_ns <= RESERVED_ST_MIN_NS:
        raise EncodeError("isotp.st_min", f"{st_min_ns / NS_PER_S} s cannot be said")
    if 0 < st_min_ns <= 900 * NS_PER_US:
        return 0xF0 - -st_min_ns // (100 * NS_PER_US)
    return -(-st_min_ns // NS_PER_MS)


def _single(data: bytes) -> SingleFrame:
    length, begin = data[0] & 0x0F, 1
    if len(data) > FRAME_OCTETS:
        if length:
            raise FrameError("isotp.single.length", "is not escaped in a frame of CAN FD", BAD_LENGTH)
        length, begin = data[1], 2
    if not 1 <= length <= len(data) - begin:
        raise FrameError("isotp.single.length", f"{length} octets in a frame of {len(data)}", BAD_LENGTH)
    return SingleFrame(data[begin : begin + length])


def _first(data: bytes) -> FirstFrame:
    if len(data) < FRAME_OCTETS:
        raise FrameError("isotp.first", f"has {len(data)} octets; a first frame is full", MALFORMED)
    length, begin = int.from_bytes(data[:2], "big") & 0x0FFF, 2
    least = FRAME_OCTETS if len(data) == FRAME_OCTETS else len(data) - 1
    if length == 0:
        length, begin, least = int.from_bytes(data[2:6], "big"), 6, MAX_PAYLOAD_OCTETS + 1
    if length < least:
        raise FrameError("isotp.first.length", f"{length} octets would fit a shorter form", BAD_LENGTH)
    return FirstFrame(length, data[begin:])


def _flow_control(data: bytes) -> FlowControl:
    if len(data) < 3:
        raise FrameError("isotp.flow_control", f"has {len(data)} octets, not 3", MALFORMED)
    try:
        status = FlowStatus(data[0] & 0x0F)
    except ValueError:
        raise FrameError("isotp.flow_status", f"{data[0] & 0x0F} is reserved", INVALID_FLOW_STATUS) from None
    return FlowControl(status, data[1], decode_st_min(data[2]))
