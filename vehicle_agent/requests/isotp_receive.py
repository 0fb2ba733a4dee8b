"""Puts the messages of one sender together again (ISO 15765-2:2016 clauses 9.8.3 and 9.8.4): the receiving half of ISO-TP.

A receiver may answer a first frame with flow control, or only listen to what somebody else asked for: then it follows the transfer
and says nothing. What is out of order ends the transfer and is told as a fault; the next single or first frame begins anew. A
first frame that announces more than is taken is refused with `OVERFLOW`, before anything is kept.
"""

from dataclasses import dataclass
from enum import Enum

from shared.core.clock import MonotonicNs
from shared.core.errors import FrameError
from vehicle_agent.requests.isotp import (
    MAX_PAYLOAD_OCTETS,
    N_CR_NS,
    ConsecutiveFrame,
    FirstFrame,
    FlowControl,
    FlowStatus,
    IsoTpFrame,
    SingleFrame,
    decode_frame,
)


class TransferFault(Enum):
    """Why a transfer ended without a message (clause 8.3.7, `<N_Result>`), or a frame was passed over."""

    TIMEOUT_BS = "timeout_bs"
    """No flow control in time."""
    TIMEOUT_CR = "timeout_cr"
    """No consecutive frame in time."""
    WRONG_SEQUENCE = "wrong_sequence"
    """A consecutive frame is missing or doubled."""
    UNEXPECTED = "unexpected"
    """A new message began inside another."""
    OVERFLOW = "overflow"
    """Too long for the receiver."""
    TOO_MANY_WAITS = "too_many_waits"
    """The receiver said `WAIT` too often."""
    INVALID_FLOW_STATUS = "invalid_flow_status"
    OUT_OF_PLACE = "out_of_place"
    """A consecutive frame, or one of flow control, that belongs to nothing: passed over."""
    MALFORMED = "malformed"
    """No frame of ISO-TP: passed over."""


@dataclass(frozen=True, slots=True)
class Received:
    """What one frame led to.

    Attributes:
        message: a whole message; None where there is none yet.
        reply: flow control to send at once; None where there is none.
        faults: what went wrong.
    """

    message: bytes | None = None
    reply: FlowControl | None = None
    faults: tuple[TransferFault, ...] = ()


_NOTHING = Received()


class IsoTpReceiver:
    """Receives from one sender.

    Args:
        block_size: consecutive frames that are let through between two flow controls; 0: all.
        st_min_ns: the least time between them that is asked for, in nanoseconds.
    """

    def __init__(self, *, block_size: int = 0, st_min_ns: int = 0) -> None:
        self._flow = FlowControl(FlowStatus.CONTINUE, block_size, st_min_ns)
        self._octets = bytearray()
        self._length = 0
        self._sequence = 0
        self._left_in_block = 0
        self._frame_octets = 0
        self._is_answered = False
        self._deadline: MonotonicNs | None = None

    @property
    def is_receiving(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._deadline is not None

    def next_due(self) -> MonotonicNs | None:
        """When `poll` wants to be called; None while nothing is awaited."""
        return self._deadline

    def poll(self, now: MonotonicNs) -> TransferFault | None:
        """Give up a transfer whose next frame is overdue."""
        if self._deadline is None or now < self._deadline:
            return None
        self.reset()
        return TransferFault.TIMEOUT_CR

    def reset(self) -> None:
        """Forget what has been received."""
        self._deadline = None
        self._octets.clear()

    def take(self, data: bytes, now: MonotonicNs, *, answers: bool) -> Received:
        """Take the octets of one CAN frame; never raises.

        Args:
            data: of the frame.
            now: when it came.
            answers: whether a first frame is answered with flow control, being an answer to us.
        """
        try:
            frame = decode_frame(data)
        except FrameError:
            return Received(faults=(TransferFault.MALFORMED,))
        return self.take_frame(frame, now, answers=answers)

    def take_frame(self, frame: IsoTpFrame, now: MonotonicNs, *, answers: bool) -> Received:
        """Take a frame that is decoded already."""
        late = self.poll(now)
        faults = () if late is None else (late,)
        match frame:
            case SingleFrame(payload):
                return Received(message=payload, faults=faults + self._interrupted())
            case FirstFrame():
                return self._begin(frame, now, faults + self._interrupted(), answers=answers)
            case ConsecutiveFrame():
                return self._go_on(frame, now, faults)
            case FlowControl():
                return Received(faults=(*faults, TransferFault.OUT_OF_PLACE))

    def _interrupted(self) -> tuple[TransferFault, ...]:
        if not self.is_receiving:
            return ()
        self.reset()
        return (TransferFault.UNEXPECTED,)

    def _begin(self, frame: FirstFrame, now: MonotonicNs, faults: tuple[TransferFault, ...], *, answers: bool) -> Received:
        if frame.length > MAX_PAYLOAD_OCTETS:
            refusal = FlowControl(FlowStatus.OVERFLOW) if answers else None
            return Received(reply=refusal, faults=(*faults, TransferFault.OVERFLOW))
        self._octets[:] = frame.payload
        self._length = frame.length
        self._sequence = 1
        self._is_answered = answers
        self._left_in_block = self._flow.block_size
        self._frame_octets = len(frame.payload) + 1
        self._deadline = MonotonicNs(now + N_CR_NS)
        return Received(reply=self._flow if answers else None, faults=faults)

    def _go_on(self, frame: ConsecutiveFrame, now: MonotonicNs, faults: tuple[TransferFault, ...]) -> Received:
        if not self.is_receiving:
            return Received(faults=(*faults, TransferFault.OUT_OF_PLACE))
        if frame.sequence != self._sequence:
            self.reset()
            return Received(faults=(*faults, TransferFault.WRONG_SEQUENCE))
        left = self._length - len(self._octets)
        if len(frame.payload) < min(
            left, self._frame_octets
        ):  # ignored: only the last may be shorter than the first frame (9.6.4.2)
            return Received(faults=(*faults, TransferFault.MALFORMED))
        self._octets += frame.payload[:left]
        if len(self._octets) == self._length:
            message = bytes(self._octets)
            self.reset()
            return Received(message=message, faults=faults)
        self._sequence = (self._sequence + 1) & 0x0F
        self._deadline = MonotonicNs(now + N_CR_NS)
        if self._left_in_block:
            self._left_in_block -= 1
            if not self._left_in_block:
                self._left_in_block = self._flow.block_size
                return Received(reply=self._flow if self._is_answered else None, faults=faults)
        return Received(faults=faults) if faults else _NOTHING
