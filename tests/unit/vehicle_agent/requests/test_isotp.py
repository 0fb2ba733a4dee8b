"""ISO-TP: frames octet by octet, transfers of both halves against each other, and what must end or be passed over."""

from collections import deque
from random import Random

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_US, MonotonicNs
from shared.core.errors import EncodeError, FrameError
from vehicle_agent.requests.isotp import (
    FRAME_FAULTS,
    MAX_PAYLOAD_OCTETS,
    N_BS_NS,
    N_CR_NS,
    ConsecutiveFrame,
    FirstFrame,
    FlowControl,
    FlowStatus,
    SingleFrame,
    decode_frame,
    decode_st_min,
    encode_frame,
    encode_st_min,
)
from vehicle_agent.requests.isotp_receive import IsoTpReceiver, Received, TransferFault
from vehicle_agent.requests.isotp_send import MAX_FRAMES_A_POLL, MAX_WAITS, IsoTpSender

START = MonotonicNs(1_000_000)


def _at(ms: float) -> MonotonicNs:
    return MonotonicNs(START + round(ms * NS_PER_MS))


@pytest.mark.parametrize(
    ("octets", "frame"),
    [
        ("02010d5555555555", SingleFrame(bytes.fromhex("010d"))),
        ("03410d00", SingleFrame(bytes.fromhex("410d00"))),
        ("0741a600112233cc", SingleFrame(bytes.fromhex("41a600112233cc"))),
        ("1014490201574155", FirstFrame(20, bytes.fromhex("490201574155"))),
        ("2152455750325352", ConsecutiveFrame(1, bytes.fromhex("52455750325352"))),
        ("2f00", ConsecutiveFrame(15, b"\x00")),
        ("300000", FlowControl(FlowStatus.CONTINUE)),
        ("3108f3cccccccccc", FlowControl(FlowStatus.WAIT, 8, 300 * NS_PER_US)),
        ("32007f", FlowControl(FlowStatus.OVERFLOW, 0, 127 * NS_PER_MS)),
        ("000a" + "11" * 10, SingleFrame(b"\x11" * 10)),
        ("0009" + "11" * 9 + "cc", SingleFrame(b"\x11" * 9)),
        ("1040" + "22" * 62, FirstFrame(64, b"\x22" * 62)),
        ("100000001000" + "33" * 2, FirstFrame(4_096, b"\x33" * 2)),
    ],
)
def test_a_frame_is_read_as_the_standard_lays_it_out(octets: str, frame: object) -> None:
    assert decode_frame(bytes.fromhex(octets)) == frame


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        ("", "malformed"),
        ("00", "bad_length"),
        ("00cccccccccccccc", "bad_length"),
        ("08" + "11" * 7, "bad_length"),
        ("0341", "bad_length"),
        ("0f" + "11" * 7, "bad_length"),
        ("05" + "11" * 11, "bad_length"),
        ("0000" + "11" * 10, "bad_length"),
        ("000b" + "11" * 10, "bad_length"),
        ("1007" + "11" * 6, "bad_length"),
        ("1014", "malformed"),
        ("100a1122334455", "malformed"),
        ("103e" + "22" * 62, "bad_length"),
        ("100000000fff" + "33" * 2, "bad_length"),
        ("21", "malformed"),
        ("3000", "malformed"),
        ("330000", "invalid_flow_status"),
        ("3f0000", "invalid_flow_status"),
        ("4000", "unknown_type"),
        ("f00000", "unknown_type"),
    ],
)
def test_what_the_standard_says_to_ignore_is_refused_with_its_reason(octets: str, kind: str) -> None:
    with pytest.raises(FrameError) as refusal:
        decode_frame(bytes.fromhex(octets))
    assert refusal.value.kind == kind


def test_every_frame_we_write_is_eight_octets_and_reads_back() -> None:
    for frame in (
        SingleFrame(b"\x22\xf1\x90"),
        SingleFrame(b"1234567"),
        FirstFrame(8, b"123456"),
        FirstFrame(4_095, b"123456"),
        FlowControl(FlowStatus.CONTINUE, 255, 900 * NS_PER_US),
        FlowControl(FlowStatus.OVERFLOW),
    ):
        octets = encode_frame(frame)
        assert (len(octets), decode_frame(octets)) == (8, frame)
    assert encode_frame(ConsecutiveFrame(3, b"ab")) == b"\x23ab" + b"\xcc" * 5


@pytest.mark.parametrize(
    "frame",
    [
        SingleFrame(b""),
        SingleFrame(b"12345678"),
        FirstFrame(7, b"123456"),
        FirstFrame(4_096, b"123456"),
        FirstFrame(20, b"12345"),
        ConsecutiveFrame(16, b"1"),
        ConsecutiveFrame(1, b""),
        ConsecutiveFrame(1, b"12345678"),
        FlowControl(FlowStatus.CONTINUE, 256),
        FlowControl(FlowStatus.CONTINUE, 0, 128 * NS_PER_MS),
        FlowControl(FlowStatus.CONTINUE, 0, -1),
    ],
)
def test_what_no_classic_frame_can_say_is_our_mistake(frame: SingleFrame | FirstFrame | ConsecutiveFrame | FlowControl) -> None:
    with pytest.raises(EncodeError):
        encode_frame(frame)


def test_separation_times_are_read_as_table_20_says() -> None:
    expected = {n: n * NS_PER_MS for n in range(0x80)} | {0xF0 + n: n * 100 * NS_PER_US for n in range(1, 10)}
    assert {n: decode_st_min(n) for n in range(0x100)} == {n: expected.get(n, 127 * NS_PER_MS) for n in range(0x100)}


@pytest.mark.parametrize(
    ("ns", "octet"),
    [(0, 0), (1, 0xF1), (100_000, 0xF1), (100_001, 0xF2), (900_000, 0xF9), (900_001, 1), (1_000_001, 2), (127_000_000, 127)],
)
def test_a_separation_time_is_rounded_up_never_down(ns: int, octet: int) -> None:
    assert encode_st_min(ns) == octet
    assert decode_st_min(octet) >= ns


class Pair:
    """A sender and a receiver with a wire between them; `lose` says which frames the wire drops."""

    def __init__(self, receiver: IsoTpReceiver, lose: frozenset[int] = frozenset()) -> None:
        self.sender, self.receiver, self.lose = IsoTpSender(), receiver, lose
        self.now = START
        self.carried: list[bytes] = []
        self.times: list[MonotonicNs] = []
        self.messages: list[bytes] = []
        self.faults: list[TransferFault] = []

    def send(self, message: bytes) -> None:
        wire = deque([self.sender.begin(message, self.now)])
        while wire or self.sender.is_sending or self.receiver.is_receiving:
            while wire:
                self._carry(wire.popleft())
            due = [each for each in (self.sender.next_due(), self.receiver.next_due()) if each is not None]
            if due:
                self.now = max(self.now, min(due))
            frames, fault = self.sender.poll(self.now)
            wire.extend(frames)
            self.faults += [each for each in (fault, self.receiver.poll(self.now) if not frames else None) if each is not None]

    def _carry(self, octets: bytes) -> None:
        self.carried.append(octets)
        self.times.append(self.now)
        if len(self.carried) - 1 in self.lose:
            return
        received = self.receiver.take(octets, self.now, answers=True)
        self.faults += received.faults
        if received.message is not None:
            self.messages.append(received.message)
        if received.reply is not None:
            fault = self.sender.take(received.reply, self.now)
            self.faults += [] if fault is None else [fault]


@pytest.mark.parametrize("length", [1, 6, 7, 8, 13, 14, 20, 62, 63, 64, 111, 112, 113, 1_000, 4_094, 4_095])
@pytest.mark.parametrize(("block_size", "st_min_ms"), [(0, 0), (1, 0), (8, 5), (255, 0)])
def test_a_message_of_any_length_arrives_whole(length: int, block_size: int, st_min_ms: int) -> None:
    pair = Pair(IsoTpReceiver(block_size=block_size, st_min_ns=st_min_ms * NS_PER_MS))
    message = Random(length).randbytes(length)
    pair.send(message)
    assert (pair.messages, pair.faults) == ([message], [])
    assert not pair.sender.is_sending
    assert not pair.receiver.is_receiving


def test_the_separation_time_is_kept_and_without_one_a_poll_is_bounded() -> None:
    pair = Pair(IsoTpReceiver(st_min_ns=3 * NS_PER_MS))
    pair.send(bytes(50))
    assert [b - a for a, b in zip(pair.times[1:], pair.times[2:], strict=False)] == [3 * NS_PER_MS] * 6
    sender = IsoTpSender()
    sender.begin(bytes(MAX_PAYLOAD_OCTETS), START)
    sender.take(FlowControl(FlowStatus.CONTINUE), START)
    frames, _ = sender.poll(START)
    assert (len(frames), sender.next_due()) == (MAX_FRAMES_A_POLL, START)


@pytest.mark.parametrize("lost", range(12))
def test_a_frame_lost_anywhere_ends_the_transfer_and_the_next_message_comes_through(lost: int) -> None:
    pair = Pair(IsoTpReceiver(block_size=3), lose=frozenset({lost}))
    pair.send(bytes(range(80)))
    assert pair.messages == []
    assert pair.faults
    pair.send(b"next")
    assert pair.messages == [b"next"]


def _feed(receiver: IsoTpReceiver, *octets: str, answers: bool = True) -> list[Received]:
    return [receiver.take(bytes.fromhex(each), START, answers=answers) for each in octets]


def test_a_wrong_sequence_number_ends_the_transfer() -> None:
    receiver = IsoTpReceiver()
    *_, wrong = _feed(receiver, "1014" + "00" * 6, "21" + "00" * 7, "23" + "00" * 7)
    assert (wrong.faults, receiver.is_receiving) == ((TransferFault.WRONG_SEQUENCE,), False)
    assert _feed(receiver, "22" + "00" * 7)[0].faults == (TransferFault.OUT_OF_PLACE,)


def test_a_new_message_inside_another_ends_that_one_and_is_received_itself() -> None:
    receiver = IsoTpReceiver()
    _, single = _feed(receiver, "1014" + "00" * 6, "0201ff")
    assert (single.message, single.faults) == (b"\x01\xff", (TransferFault.UNEXPECTED,))
    _, first, last = _feed(receiver, "1014" + "00" * 6, "1008" + "11" * 6, "2111110000000000")
    assert first.faults == (TransferFault.UNEXPECTED,)
    assert first.reply == FlowControl(FlowStatus.CONTINUE)
    assert last.message == b"\x11" * 8


def test_flow_control_and_stray_pieces_are_passed_over() -> None:
    receiver = IsoTpReceiver()
    assert [each.faults for each in _feed(receiver, "300000", "21aa", "ff")] == [
        (TransferFault.OUT_OF_PLACE,),
        (TransferFault.OUT_OF_PLACE,),
        (TransferFault.MALFORMED,),
    ]
    _, _, last = _feed(receiver, "1008" + "11" * 6, "300000", "2111110000000000")
    assert last.message == b"\x11" * 8


def test_a_short_piece_in_the_middle_is_passed_over() -> None:
    receiver = IsoTpReceiver()
    _, short, whole = _feed(receiver, "100e" + "11" * 6, "211111", "21" + "11" * 7)
    assert short.faults == (TransferFault.MALFORMED,)
    assert whole.faults == ()
    assert _feed(receiver, "2211")[0].message == b"\x11" * 14


def test_pieces_of_can_fd_are_put_together() -> None:
    receiver = IsoTpReceiver()
    message = Random(1).randbytes(100)
    first = bytes((0x10, 100)) + message[:62]
    assert receiver.take(first, START, answers=True).reply is not None
    assert receiver.take(b"\x21" + message[62:], START, answers=True).message == message


def test_more_than_is_taken_is_refused_at_once_and_a_listener_refuses_nobody() -> None:
    receiver = IsoTpReceiver()
    refused = _feed(receiver, "10000000ffff1122")[0]
    assert (refused.reply, refused.faults) == (FlowControl(FlowStatus.OVERFLOW), (TransferFault.OVERFLOW,))
    assert not receiver.is_receiving
    assert _feed(receiver, "10000000ffff1122", answers=False)[0].reply is None
    heard, rest = _feed(receiver, "1008" + "11" * 6, "2111110000000000", answers=False)
    assert (heard.reply, rest.message) == (None, b"\x11" * 8)


def test_a_receiver_waits_a_second_for_the_next_piece_and_no_longer() -> None:
    receiver = IsoTpReceiver()
    _feed(receiver, "1014" + "00" * 6)
    assert receiver.next_due() == START + N_CR_NS
    assert receiver.poll(MonotonicNs(START + N_CR_NS - 1)) is None
    assert receiver.poll(MonotonicNs(START + N_CR_NS)) is TransferFault.TIMEOUT_CR
    assert (receiver.next_due(), receiver.is_receiving) == (None, False)
    _feed(receiver, "1014" + "00" * 6)
    late = receiver.take(bytes.fromhex("21" + "00" * 7), MonotonicNs(START + N_CR_NS), answers=True)
    assert late.faults == (TransferFault.TIMEOUT_CR, TransferFault.OUT_OF_PLACE)


def test_a_sender_waits_a_second_for_flow_control() -> None:
    sender = IsoTpSender()
    sender.begin(bytes(20), START)
    assert sender.next_due() == START + N_BS_NS
    assert sender.poll(MonotonicNs(START + N_BS_NS - 1)) == ((), None)
    assert sender.poll(MonotonicNs(START + N_BS_NS)) == ((), TransferFault.TIMEOUT_BS)
    sender.begin(bytes(20), START)
    late = FlowControl(FlowStatus.CONTINUE)
    assert sender.take(late, MonotonicNs(START + N_BS_NS)) is TransferFault.TIMEOUT_BS
    assert not sender.is_sending


def test_a_receiver_may_ask_to_wait_so_often_and_not_once_more() -> None:
    sender = IsoTpSender()
    sender.begin(bytes(20), START)
    for wait in range(MAX_WAITS):
        assert sender.take(FlowControl(FlowStatus.WAIT), _at(900 * (wait + 1))) is None
    assert sender.take(FlowControl(FlowStatus.WAIT), _at(900 * (MAX_WAITS + 1))) is TransferFault.TOO_MANY_WAITS
    sender.begin(bytes(20), START)
    sender.take(FlowControl(FlowStatus.WAIT), _at(900))
    assert sender.take(FlowControl(FlowStatus.CONTINUE), _at(1_800)) is None
    assert len(sender.poll(_at(1_800))[0]) == 2


def test_no_room_or_a_reserved_status_ends_a_transfer_and_flow_control_out_of_place_does_not() -> None:
    sender = IsoTpSender()
    assert sender.take(FlowControl(FlowStatus.CONTINUE), START) is TransferFault.OUT_OF_PLACE
    assert sender.refuse() is None
    sender.begin(bytes(20), START)
    assert sender.take(FlowControl(FlowStatus.OVERFLOW), START) is TransferFault.OVERFLOW
    sender.begin(bytes(20), START)
    assert sender.refuse() is TransferFault.INVALID_FLOW_STATUS
    assert not sender.is_sending
    sender.begin(bytes(30), START)
    sender.take(FlowControl(FlowStatus.CONTINUE, 0, 10 * NS_PER_MS), START)
    assert sender.take(FlowControl(FlowStatus.OVERFLOW), START) is TransferFault.OUT_OF_PLACE
    assert sender.is_sending


def test_what_cannot_be_sent_is_refused_before_anything_is() -> None:
    sender = IsoTpSender()
    for message, functional in ((b"", False), (bytes(4_096), False), (bytes(8), True)):
        with pytest.raises(EncodeError):
            sender.begin(message, START, is_functional=functional)
    sender.begin(bytes(20), START)
    with pytest.raises(EncodeError, match="another message"):
        sender.begin(b"1", START)


def test_any_octets_are_a_frame_or_refused_and_no_receiver_hangs_on_them() -> None:
    random = Random(15765)
    receiver, now, kinds = IsoTpReceiver(block_size=2), START, set[str | None]()
    for _ in range(20_000):
        octets = random.randbytes(random.choice((0, 1, 2, 3, 7, 8, 8, 8, 12, 64)))
        kinds.add(_kind(octets))
        received = receiver.take(octets, now, answers=random.random() < 0.5)
        assert received.message is None or len(received.message) <= MAX_PAYLOAD_OCTETS
        now = MonotonicNs(now + random.randrange(0, 400 * NS_PER_MS))
    receiver.poll(MonotonicNs(now + N_CR_NS))
    assert not receiver.is_receiving
    assert kinds == {None, *FRAME_FAULTS}


def _kind(octets: bytes) -> str | None:
    try:
        decode_frame(octets)
    except FrameError as refusal:
        return refusal.kind
    return None
