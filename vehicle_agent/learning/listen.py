"""What was heard of each message while a bus was listened to, in bounded memory.

Of every message the number of frames, their lengths and times are kept, the first frames in a row (a running counter shows there),
and samples spread over the whole time: where there are too many, every second one is dropped and they are taken half as often.
"""

from collections import Counter
from dataclasses import dataclass, field

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.transport.can_frame import CanFrame

MAX_MESSAGES = 1_024
"""Messages kept apart; frames of further identifiers are counted alone."""

MAX_SAMPLES = 1_024
"""Samples of one message over the whole time."""

MAX_OPENING = 512
"""Frames in a row from its beginning."""

Sample = tuple[MonotonicNs, bytes]


@dataclass(slots=True, kw_only=True)
class HeardMessage:
    """One identifier on one bus.

    Attributes:
        arbitration_id: its identifier.
        is_extended: whether that has 29 bits.
        channel: the bus.
        frames: how many came.
        first: when the first came.
        last: when the last came.
        longest_gap_ns: between two of them.
        lengths: how many had how many bytes.
        opening: the first in a row.
        samples: some of the whole time, in order.
    """

    arbitration_id: int
    is_extended: bool
    channel: str
    frames: int = 0
    first: MonotonicNs
    last: MonotonicNs
    longest_gap_ns: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    opening: list[bytes] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    _stride: int = 1

    def add(self, frame: CanFrame) -> None:
        """Take a frame in."""
        self.longest_gap_ns = max(self.longest_gap_ns, frame.received - self.last)
        self.last = frame.received
        self.lengths[len(frame.data)] += 1
        if len(self.opening) < MAX_OPENING:
            self.opening.append(frame.data)
        if self.frames % self._stride == 0:
            self.samples.append((frame.received, frame.data))
            if len(self.samples) >= MAX_SAMPLES:
                self.samples = self.samples[::2]
                self._stride *= 2
        self.frames += 1

    @property
    def length(self) -> int:
        """The length most frames have."""
        return self.lengths.most_common(1)[0][0]

    @property
    def period_ns(self) -> int | None:
        """Mean time between frames; None of a single one."""
        return (self.last - self.first) // (self.frames - 1) if self.frames > 1 else None

    @property
    def rate_hz(self) -> float:
        """Frames a second."""
        period = self.period_ns
        return NS_PER_S / period if period else 0.0

    def payloads(self, length: int) -> list[bytes]:
        """Return the different payloads kept that have at least `length` bytes."""
        kept = [*self.opening, *(data for _, data in self.samples)]
        return list(dict.fromkeys(data for data in kept if len(data) >= length))


class Listener:
    """Keeps what is heard.

    Attributes:
        frames: how many there were.
        not_kept: frames of identifiers beyond `MAX_MESSAGES`.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.not_kept = 0
        self._messages: dict[tuple[int, bool, str], HeardMessage] = {}

    def on_frame(self, frame: CanFrame) -> None:
        """Take a frame in."""
        self.frames += 1
        key = (frame.arbitration_id, frame.is_extended, frame.channel)
        message = self._messages.get(key)
        if message is None:
            if len(self._messages) >= MAX_MESSAGES:
                self.not_kept += 1
                return
            message = HeardMessage(
                arbitration_id=frame.arbitration_id,
                is_extended=frame.is_extended,
                channel=frame.channel,
                first=frame.received,
                last=frame.received,
            )
            self._messages[key] = message
        message.add(frame)

    def heard(self) -> tuple[HeardMessage, ...]:
        """Return what was heard, by identifier and bus."""
        return tuple(self._messages[key] for key in sorted(self._messages))

    def duration_s(self) -> float:
        """Return the time from the first frame kept to the last."""
        if not self._messages:
            return 0.0
        first = min(message.first for message in self._messages.values())
        return (max(message.last for message in self._messages.values()) - first) / NS_PER_S
