"""Takes a message apart into frames (ISO 15765-2:2016 clauses 9.8.2 and 9.8.3): the sending half of ISO-TP.

What fits goes out as one single frame. The rest waits for flow control, keeps the separation time and the block size it asks for,
and gives up when none comes in time, when too many ask to wait, or when the receiver has no room. One message at a time.
"""

from shared.core.clock import MonotonicNs
from shared.core.errors import EncodeError
from vehicle_agent.requests.isotp import (
    CONSECUTIVE_OCTETS,
    FIRST_FRAME_OCTETS,
    MAX_PAYLOAD_OCTETS,
    MAX_SINGLE_OCTETS,
    N_BS_NS,
    ConsecutiveFrame,
    FirstFrame,
    FlowControl,
    FlowStatus,
    SingleFrame,
    encode_frame,
)
from vehicle_agent.requests.isotp_receive import TransferFault

MAX_WAITS = 10
"""How often a receiver may ask to wait in a row (N_WFTmax)."""

MAX_FRAMES_A_POLL = 64
"""Frames that `poll` returns at once where no separation time holds them apart; the rest is due at once."""


class IsoTpSender:
    """Sends to one receiver."""

    def __init__(self) -> None:
        self._octets = b""
        self._sent = 0
        self._sequence = 0
        self._waits = 0
        self._left_in_block: int | None = None
        self._st_min_ns = 0
        self._flow_deadline: MonotonicNs | None = None
        self._next_frame: MonotonicNs | None = None

    @property
    def is_sending(self) -> bool:
        """Whether a message is not out yet."""
        return self._flow_deadline is not None or self._next_frame is not None

    def next_due(self) -> MonotonicNs | None:
        """When `poll` wants to be called; None while nothing is to be done."""
        return self._flow_deadline if self._next_frame is None else self._next_frame

    def begin(self, message: bytes, now: MonotonicNs, *, is_functional: bool = False) -> bytes:
        """Return the first frame of a message, as octets; the rest comes from `poll` once flow control allows it.

        Args:
            message: 1..4095 octets; functionally addressed (to all units), what a single frame carries.
            now: when it goes out.
            is_functional: whether all units are addressed: then there is no flow control.

        Raises:
            EncodeError: it is too long or empty, or another message is not out yet.
        """
        if self.is_sending:
            raise EncodeError("isotp", "another message is being sent")
        if len(message) <= MAX_SINGLE_OCTETS:
            return encode_frame(SingleFrame(message))
        if is_functional or len(message) > MAX_PAYLOAD_OCTETS:
            limit = MAX_SINGLE_OCTETS if is_functional else MAX_PAYLOAD_OCTETS
            raise EncodeError("isotp", f"{len(message)} octets; at most {limit} can be sent so")
        self._octets = message
        self._sent = FIRST_FRAME_OCTETS
        self._sequence = 1
        self._waits = 0
        self._flow_deadline = MonotonicNs(now + N_BS_NS)
        return encode_frame(FirstFrame(len(message), message[:FIRST_FRAME_OCTETS]))

    def reset(self) -> None:
        """Give up what is not out yet."""
        self._flow_deadline = self._next_frame = None
        self._octets = b""

    def take(self, flow: FlowControl, now: MonotonicNs) -> TransferFault | None:
        """Take a flow control frame; return why the transfer ends, or None."""
        if self._flow_deadline is None:
            return TransferFault.OUT_OF_PLACE
        if now >= self._flow_deadline:
            self.reset()
            return TransferFault.TIMEOUT_BS
        match flow.status:
            case FlowStatus.OVERFLOW:
                self.reset()
                return TransferFault.OVERFLOW
            case FlowStatus.WAIT:
                self._waits += 1
                if self._waits > MAX_WAITS:
                    self.reset()
                    return TransferFault.TOO_MANY_WAITS
                self._flow_deadline = MonotonicNs(now + N_BS_NS)
                return None
            case FlowStatus.CONTINUE:
                self._waits = 0
                self._flow_deadline = None
                self._left_in_block = flow.block_size or None
                self._st_min_ns = flow.st_min_ns
                self._next_frame = now
                return None

    def refuse(self) -> TransferFault | None:
        """Take note of flow control with a status that is reserved: it ends the transfer that waits for one (9.6.5.2)."""
        if self._flow_deadline is None:
            return None
        self.reset()
        return TransferFault.INVALID_FLOW_STATUS

    def poll(self, now: MonotonicNs) -> tuple[tuple[bytes, ...], TransferFault | None]:
        """Return the frames that are due, as octets, and why the transfer ends early, if it does."""
        if self._flow_deadline is not None and now >= self._flow_deadline:
            self.reset()
            return (), TransferFault.TIMEOUT_BS
        frames: list[bytes] = []
        while self._next_frame is not None and self._next_frame <= now and len(frames) < MAX_FRAMES_A_POLL:
            frames.append(self._consecutive(now))
        return tuple(frames), None

    def _consecutive(self, now: MonotonicNs) -> bytes:
        piece = self._octets[self._sent : self._sent + CONSECUTIVE_OCTETS]
        frame = encode_frame(ConsecutiveFrame(self._sequence, piece))
        self._sent += len(piece)
        self._sequence = (self._sequence + 1) & 0x0F
        if self._sent == len(self._octets):
            self.reset()
            return frame
        self._next_frame = MonotonicNs(now + self._st_min_ns)
        if self._left_in_block is not None:
            self._left_in_block -= 1
            if not self._left_in_block:
                self._next_frame = None
                self._flow_deadline = MonotonicNs(now + N_BS_NS)
        return frame
