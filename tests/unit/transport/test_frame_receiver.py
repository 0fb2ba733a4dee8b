"""The loop that reads SocketCAN, over a socket every kernel has: a datagram on loopback carries what a CAN socket would deliver."""

import socket
import struct
from collections.abc import Iterator
from time import CLOCK_REALTIME, clock_gettime_ns

import pytest

from shared.core.clock import NS_PER_S, ManualClock, TimeSource
from shared.service.system_clock import SystemClock
from shared.transport.can_frame import CanFrame
from shared.transport.can_link import MAX_DRAIN, MAX_STAMP_AGE_NS, CanCounters, ControllerState, StampSource, carried_over
from shared.transport.can_socket import granted_buffer_bytes, set_up_receiving
from shared.transport.frame_receiver import ERROR_FLAG, EXTENDED_FLAG, REMOTE_FLAG, FrameReceiver
from tests.helpers.hierarchy import NOON

CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)


class Wire:
    """Two ends of a socket."""

    def __init__(self) -> None:
        self.ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ours.bind(("127.0.0.1", 0))
        set_up_receiving(self.ours)
        self._theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._theirs.connect(self.ours.getsockname())
        self.counters = CanCounters()
        self.receiver = FrameReceiver(self.ours, "can0", clock=CLOCK, stamps=StampSource.KERNEL, counters=self.counters)

    def put(self, word: int, data: bytes = b"", *, size: int = 16, length: int | None = None) -> None:
        self._theirs.send((struct.pack("=IB3x", word, len(data) if length is None else length) + data).ljust(size, b"\0"))

    def close(self) -> None:
        self.ours.close()
        self._theirs.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def bare(frames: list[CanFrame]) -> list[tuple[int, bool, bytes, str]]:
    return [(f.arbitration_id, f.is_extended, f.data, f.channel) for f in frames]


def test_frames_of_every_length_and_kind_come_out_as_they_went_in(wire: Wire) -> None:
    for length in range(9):
        wire.put(0x100 + length, bytes(range(length)))
    wire.put(EXTENDED_FLAG | 0x18FEC100, b"\xff" * 8)
    wire.put(0x7FF, bytes(range(64)), size=72)
    wire.put(EXTENDED_FLAG | 0x7FF, bytes(12), size=72)
    assert bare(wire.receiver.take()) == [
        *((0x100 + length, False, bytes(range(length)), "can0") for length in range(9)),
        (0x18FEC100, True, b"\xff" * 8, "can0"),
        (0x7FF, False, bytes(range(64)), "can0"),
        (0x7FF, True, bytes(12), "can0"),
    ]
    assert wire.counters == CanCounters(received=12)


def test_a_shorter_frame_shows_nothing_of_the_one_that_lay_in_its_place_before(wire: Wire) -> None:
    wire.put(0x1, bytes(range(1, 65)), size=72)
    wire.receiver.take()
    wire.put(0x2, b"\x07")
    wire.put(0x3, b"")
    assert [f.data for f in wire.receiver.take()] == [b"\x07", b""]


def test_what_waits_comes_in_order_and_64_at_a_time(wire: Wire) -> None:
    for number in range(150):
        wire.put(number)
    batches = [wire.receiver.take() for _ in range(4)]
    assert [len(batch) for batch in batches] == [MAX_DRAIN, MAX_DRAIN, 22, 0]
    assert [f.arbitration_id for batch in batches for f in batch] == list(range(150))


def test_no_more_is_taken_than_asked_for(wire: Wire) -> None:
    for number in range(5):
        wire.put(number)
    assert len(wire.receiver.take(2)) == 2
    assert len(wire.receiver.take(64)) == 3


def test_error_frames_are_counted_and_tell_of_the_controller(wire: Wire) -> None:
    wire.put(ERROR_FLAG | 0x004, bytes((0, 0x10, 0, 0, 0, 0, 0, 0)))
    wire.put(0x1)
    assert bare(wire.receiver.take()) == [(0x1, False, b"", "can0")]
    assert wire.counters.state.value == ControllerState.ERROR_PASSIVE.value
    wire.put(ERROR_FLAG | 0x040, bytes(8))
    assert wire.receiver.take() == []
    assert wire.counters.state.value == ControllerState.BUS_OFF.value
    assert wire.counters.error_frames == 2
    assert wire.counters.errors == {"controller": 1, "bus_off": 1}


def test_remote_frames_are_nothing_and_what_is_no_frame_is_counted(wire: Wire) -> None:
    wire.put(REMOTE_FLAG | 0x1)
    wire.put(0x1, size=15)
    wire.put(0x1, size=71)
    wire.put(0x1, length=9)
    wire.put(0x1, size=72, length=9)
    wire.put(0x1, size=72, length=65)
    wire.put(0x800)
    wire.put(0x2)
    assert bare(wire.receiver.take()) == [(0x2, False, b"", "can0")]
    assert wire.counters == CanCounters(received=1, malformed=6)


def test_frames_carry_the_kernels_time_however_late_they_are_read(wire: Wire) -> None:
    before = CLOCK.now().monotonic
    wire.put(0x1)
    after = CLOCK.now().monotonic
    while CLOCK.now().monotonic < after + NS_PER_S // 100:
        pass  # the reader is busy elsewhere
    (frame,) = wire.receiver.take()
    slack = NS_PER_S // 1_000
    assert before - slack <= frame.received <= after + slack


def test_frames_carry_the_moment_of_reading_where_that_is_asked_for(wire: Wire) -> None:
    clock = ManualClock(NOON)
    receiver = FrameReceiver(wire.ours, "can0", clock=clock, stamps=StampSource.ARRIVAL, counters=wire.counters)
    wire.put(0x1)
    now = clock.advance(5 * NS_PER_S)
    assert [f.received for f in receiver.take()] == [now.monotonic]


def test_every_frame_that_the_kernel_dropped_is_counted_with_the_next_one_and_at_the_end(wire: Wire) -> None:
    wire.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    sent = 500
    for number in range(sent):
        wire.put(number)
    received = len(wire.receiver.take())
    wire.put(0x700)  # after a loss, and carries its count
    while batch := wire.receiver.take():
        received += len(batch)
    assert wire.counters.lost == sent + 1 - received > 0
    for number in range(sent):
        wire.put(number)
    wire.receiver.count_losses()  # no frame has come since that could tell
    lost = wire.counters.lost
    while batch := wire.receiver.take():
        received += len(batch)
    assert wire.counters.lost == lost == 2 * sent + 1 - received


def test_a_closed_socket_is_an_error_not_silence(wire: Wire) -> None:
    wire.ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        wire.receiver.take()
    wire.receiver.count_losses()
    assert wire.counters == CanCounters()


def test_the_buffer_that_was_granted_is_told_in_the_terms_it_is_asked_for(wire: Wire) -> None:
    wire.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    assert granted_buffer_bytes(wire.ours) == 65_536


def test_a_stamp_of_a_clock_that_was_set_meanwhile_becomes_the_present() -> None:
    wall_ns = clock_gettime_ns(CLOCK_REALTIME)
    arrival = CLOCK.now().monotonic
    assert carried_over(wall_ns - 5, arrival, wall_ns) == arrival - 5
    assert carried_over(wall_ns + 5, arrival, wall_ns) == arrival
    assert carried_over(wall_ns - MAX_STAMP_AGE_NS - 1, arrival, wall_ns) == arrival
