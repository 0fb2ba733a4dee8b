from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.stack.effects import SendCan
from shared.transport.can_frame import CanFrame
from tests.helpers.j1939_unit import CONNECTION, EVERYBODY, PACKET, Unit, announcement, broadcast, frame, packets
from vehicle_agent.j1939.groups import VEHICLE_IDENTIFICATION, ParameterGroup
from vehicle_agent.j1939.transport import (
    MAX_SESSIONS,
    MAX_SESSIONS_PER_SOURCE,
    T1_NS,
    T2_NS,
    T3_NS,
    TRANSPORT_FAULT_KINDS,
    TransportReceiver,
)

ENGINE, DASHBOARD, US = 0x00, 0x17, 0xF9
VIN = b"YV2RT40A5KB123456*"


def _listener() -> TransportReceiver:
    return TransportReceiver("can0", None, lambda _pgn, _source: False)


def _asker() -> TransportReceiver:
    return TransportReceiver("can0", US, lambda pgn, source: (pgn, source) == (VEHICLE_IDENTIFICATION, ENGINE))


def _hear(receiver: TransportReceiver, *frames: CanFrame) -> list[ParameterGroup]:
    return [group for each in frames if (group := receiver.receive(each).group) is not None]


def _on_bus(sent: SendCan, at: int) -> CanFrame:
    return CanFrame(sent.arbitration_id, sent.is_extended, sent.data, sent.bus, MonotonicNs(at))


def _converse(receiver: TransportReceiver, unit: Unit, first: list[CanFrame]) -> list[ParameterGroup]:
    """Let both talk until neither has anything to say; a pause of theirs is a second."""
    groups: list[ParameterGroup] = []
    waiting, at = list(first), 0
    for _ in range(2_000):
        if not waiting:
            at += 2 * NS_PER_S
            waiting = [each for sent in receiver.poll(MonotonicNs(at)) for each in unit.receive(_on_bus(sent, at), at=at)]
            if not waiting:
                return groups
        heard = receiver.receive(waiting.pop(0))
        groups += [heard.group] if heard.group is not None else []
        waiting += [each for sent in heard.answers for each in unit.receive(_on_bus(sent, at), at=at)]
    raise AssertionError("they never stop")


class TestBroadcast:
    @pytest.mark.parametrize("size", [9, 14, 15, 18, 1_784, 1_785])
    def test_a_group_of_any_size_comes_whole(self, size: int) -> None:
        data = Random(size).randbytes(size)
        (group,) = _hear(_listener(), *broadcast(0xFECA, ENGINE, data, at=5))
        assert (group.pgn, group.source, group.destination, group.data) == (0xFECA, ENGINE, EVERYBODY, data)
        assert group.received == 5 + len(packets(data)) * 50 * NS_PER_MS

    def test_broadcasts_of_two_units_do_not_mix(self) -> None:
        first, second = broadcast(0xFECA, ENGINE, b"a" * 20), broadcast(0xFECA, DASHBOARD, b"b" * 20)
        groups = _hear(_listener(), *(each for pair in zip(first, second, strict=True) for each in pair))
        assert {group.source: group.data for group in groups} == {ENGINE: b"a" * 20, DASHBOARD: b"b" * 20}

    @pytest.mark.parametrize("lost", [1, 2, 3])
    def test_a_lost_packet_loses_the_group_and_not_the_next(self, lost: int) -> None:
        receiver, frames = _listener(), broadcast(0xFECA, ENGINE, VIN)
        assert _hear(receiver, *(each for i, each in enumerate(frames) if i != lost)) == []
        assert _hear(receiver, *broadcast(0xFECA, ENGINE, VIN, at=NS_PER_S))[0].data == VIN

    def test_a_doubled_packet_loses_the_group(self) -> None:
        receiver, frames = _listener(), broadcast(0xFECA, ENGINE, VIN)
        assert _hear(receiver, *frames[:2], *frames[1:]) == []
        assert receiver.status()["tp_sequence"] == 1

    @pytest.mark.parametrize(("gap", "comes"), [(T1_NS, True), (T1_NS + 1, False)])
    def test_a_packet_may_be_t1_late(self, gap: int, comes: bool) -> None:  # noqa: FBT001
        receiver = _listener()
        assert bool(_hear(receiver, *broadcast(0xFECA, ENGINE, VIN, gap=gap))) is comes
        assert receiver.status().get("tp_timeout", 0) == (not comes)

    def test_a_sender_that_falls_silent_is_forgotten_after_t1(self) -> None:
        receiver = _listener()
        _hear(receiver, *broadcast(0xFECA, ENGINE, VIN)[:1])
        due = receiver.next_due()
        assert due == T1_NS + 1
        assert receiver.poll(MonotonicNs(due - 1)) == ()
        assert receiver.open_sessions == 1
        assert receiver.poll(due) == ()
        assert (receiver.open_sessions, receiver.next_due()) == (0, None)

    def test_a_new_announcement_takes_the_place_of_the_old(self) -> None:
        receiver = _listener()
        groups = _hear(receiver, *broadcast(0xFECA, ENGINE, b"old" * 9)[:2], *broadcast(0xFEEC, ENGINE, VIN))
        assert [group.data for group in groups] == [VIN]
        assert receiver.status()["tp_replaced"] == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "destination", "kind"),
        [
            (announcement(32, 0xFECA, b"x" * 8), EVERYBODY, "tp_size"),
            (bytes((32, 0xFA, 0x06, 255, 255, 0xCA, 0xFE, 0)), EVERYBODY, "tp_size"),
            (bytes((32, 18, 0, 2, 255, 0xCA, 0xFE, 0)), EVERYBODY, "tp_size"),
            (bytes((32, 18, 0, 4, 255, 0xCA, 0xFE, 0)), EVERYBODY, "tp_size"),
            (announcement(32, 0xFECA, VIN)[:7], EVERYBODY, "tp_size"),
            (announcement(32, 0xFECA, VIN), DASHBOARD, "tp_control"),
            (announcement(16, 0xFECA, VIN), EVERYBODY, "tp_control"),
            (announcement(18, 0xFECA, VIN), EVERYBODY, "tp_control"),
        ],
    )
    def test_an_announcement_that_contradicts_itself_opens_nothing(self, content: bytes, destination: int, kind: str) -> None:
        receiver = _listener()
        _hear(receiver, frame(CONNECTION, ENGINE, destination, content))
        assert (receiver.open_sessions, dict(receiver.status())) == (0, {"complete": 0, kind: 1})

    def test_packets_without_an_announcement_are_stray(self) -> None:
        receiver = _listener()
        assert _hear(receiver, *broadcast(0xFECA, ENGINE, VIN)[1:]) == []
        assert receiver.status()["tp_stray"] == 3

    def test_one_sender_has_a_few_sessions_and_a_bus_a_few_more(self) -> None:
        receiver = _listener()
        for source in range(60):
            for destination in range(100, 110):
                _hear(receiver, frame(CONNECTION, source, destination, announcement(16, 0xFECA, VIN)))
                assert receiver.open_sessions <= min(MAX_SESSIONS, (source + 1) * MAX_SESSIONS_PER_SOURCE)
        assert receiver.open_sessions == MAX_SESSIONS
        assert receiver.status()["tp_too_many"] == 600 - MAX_SESSIONS
        assert receiver.poll(MonotonicNs(10 * NS_PER_S)) == ()
        assert receiver.open_sessions == 0


class TestOverheard:
    def test_what_two_others_say_to_each_other_is_read(self) -> None:
        content = packets(VIN)
        frames = [
            frame(CONNECTION, ENGINE, DASHBOARD, announcement(16, 0xFEEC, VIN)),
            frame(CONNECTION, DASHBOARD, ENGINE, bytes((17, 2, 1, 255, 255, 0xEC, 0xFE, 0))),
            *(frame(PACKET, ENGINE, DASHBOARD, each) for each in content[:2]),
            frame(CONNECTION, DASHBOARD, ENGINE, bytes((17, 0, 255, 255, 255, 0xEC, 0xFE, 0)), at=NS_PER_S),
            frame(CONNECTION, DASHBOARD, ENGINE, bytes((17, 2, 2, 255, 255, 0xEC, 0xFE, 0)), at=2 * NS_PER_S),
            *(frame(PACKET, ENGINE, DASHBOARD, each, at=2 * NS_PER_S) for each in content[1:]),
            frame(CONNECTION, DASHBOARD, ENGINE, bytes((19, 18, 0, 3, 255, 0xEC, 0xFE, 0)), at=2 * NS_PER_S),
        ]
        receiver = _asker()
        heard = [receiver.receive(each) for each in frames]
        assert [each.group.data for each in heard if each.group is not None] == [VIN]
        assert all(each.answers == () for each in heard)
        assert dict(receiver.status()) == {"complete": 1}

    def test_an_abort_of_either_side_ends_it(self) -> None:
        for source, destination in ((ENGINE, DASHBOARD), (DASHBOARD, ENGINE)):
            receiver = _listener()
            abort = bytes((255, 2, 255, 255, 255, 0xEC, 0xFE, 0))
            _hear(receiver, frame(CONNECTION, ENGINE, DASHBOARD, announcement(16, 0xFEEC, VIN)))
            _hear(receiver, frame(CONNECTION, source, destination, abort))
            assert (receiver.open_sessions, receiver.status()["tp_aborted"]) == (0, 1)

    def test_a_receiver_that_wants_what_never_came_ends_it(self) -> None:
        receiver = _listener()
        _hear(
            receiver,
            frame(CONNECTION, ENGINE, DASHBOARD, announcement(16, 0xFEEC, VIN)),
            frame(CONNECTION, DASHBOARD, ENGINE, bytes((17, 1, 3, 255, 255, 0xEC, 0xFE, 0))),
        )
        assert (receiver.open_sessions, receiver.status()["tp_sequence"]) == (0, 1)

    def test_a_receiver_that_never_answers_is_waited_for_t3(self) -> None:
        receiver = _listener()
        _hear(receiver, frame(CONNECTION, ENGINE, DASHBOARD, announcement(16, 0xFEEC, VIN)))
        assert receiver.next_due() == T3_NS + 1


class TestAnswered:
    def _ask(self, unit: Unit) -> tuple[TransportReceiver, list[ParameterGroup]]:
        request = frame(0xEA00, US, ENGINE, VEHICLE_IDENTIFICATION.to_bytes(3, "little"))
        receiver = _asker()
        return receiver, _converse(receiver, unit, unit.receive(request))

    @pytest.mark.parametrize("window", [1, 2, 3, 16, 255])
    @pytest.mark.parametrize("size", [18, 1_785])
    def test_a_group_asked_for_is_taken_window_by_window_and_acknowledged(self, size: int, window: int) -> None:
        data = Random(size).randbytes(size)
        unit = Unit(ENGINE, {VEHICLE_IDENTIFICATION: data}, window=window)
        receiver, groups = self._ask(unit)
        assert [group.data for group in groups] == [data]
        assert (unit.acknowledged, unit.aborted) == ([VEHICLE_IDENTIFICATION], [])
        assert dict(receiver.status()) == {"complete": 1}

    @pytest.mark.parametrize("lost", [{1}, {2}, {3}, {1, 3}])
    def test_packets_that_got_lost_are_asked_for_again(self, lost: set[int]) -> None:
        unit = Unit(ENGINE, {VEHICLE_IDENTIFICATION: VIN}, loses=frozenset(lost))
        _, groups = self._ask(unit)
        assert [group.data for group in groups] == [VIN]
        assert unit.acknowledged == [VEHICLE_IDENTIFICATION]

    def test_a_sender_that_has_gone_is_asked_twice_more_and_then_told_that_it_is_over(self) -> None:
        receiver = _asker()
        sent = list(receiver.receive(frame(CONNECTION, ENGINE, US, announcement(16, VEHICLE_IDENTIFICATION, VIN))).answers)
        for turn in range(1, 6):
            sent += receiver.poll(MonotonicNs(turn * (T2_NS + 1)))
        assert [each.data[0] for each in sent] == [17, 17, 17, 255]
        assert sent[-1].data == bytes((255, 3, 255, 255, 255, 0xEC, 0xFE, 0))
        assert {each.arbitration_id for each in sent} == {0x1CEC00F9}
        assert receiver.open_sessions == 0

    @pytest.mark.parametrize(("pgn", "source"), [(0xFECA, ENGINE), (VEHICLE_IDENTIFICATION, DASHBOARD)])
    def test_what_nobody_asked_for_gets_no_word_from_us(self, pgn: int, source: int) -> None:
        receiver = _asker()
        heard = receiver.receive(frame(CONNECTION, source, US, announcement(16, pgn, VIN)))
        assert (heard.answers, receiver.open_sessions, receiver.status()["tp_unasked"]) == ((), 0, 1)

    def test_who_only_listens_never_speaks(self) -> None:
        receiver = _listener()
        heard = receiver.receive(frame(CONNECTION, ENGINE, US, announcement(16, VEHICLE_IDENTIFICATION, VIN)))
        assert heard.answers == ()
        assert receiver.poll(MonotonicNs(10 * NS_PER_S)) == ()


CONTROLS = st.sampled_from([16, 17, 19, 32, 255, 0, 18])
ADDRESSES = st.sampled_from([ENGINE, DASHBOARD, US, 254, 255])
HOSTILE = st.one_of(
    st.builds(
        lambda control, size, count, limit, pgn, source, destination: frame(
            CONNECTION,
            source,
            destination,
            bytes((control, *size.to_bytes(2, "little"), count, limit, *pgn.to_bytes(3, "little"))),
        ),
        CONTROLS,
        st.sampled_from([0, 8, 9, 14, 18, 1_785, 1_786, 65_535]),
        st.sampled_from([0, 1, 2, 3, 255]),
        st.sampled_from([0, 1, 2, 255]),
        st.sampled_from([VEHICLE_IDENTIFICATION, 0xFECA]),
        ADDRESSES,
        ADDRESSES,
    ),
    st.builds(
        lambda number, source, destination: frame(PACKET, source, destination, bytes((number,)) + b"7654321"),
        st.sampled_from([0, 1, 2, 3, 4, 255]),
        ADDRESSES,
        ADDRESSES,
    ),
    st.builds(
        frame,
        st.sampled_from([CONNECTION, PACKET]),
        ADDRESSES,
        ADDRESSES,
        st.binary(max_size=8),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(HOSTILE, st.sampled_from([0, 1, 50 * NS_PER_MS, NS_PER_S])), max_size=60))
def test_hostile_traffic_opens_little_answers_little_and_ends(script: list[tuple[CanFrame, int]]) -> None:
    receiver, at = _asker(), 0
    for hostile, wait in script:
        at += wait
        sent = CanFrame(hostile.arbitration_id, True, hostile.data, "can0", MonotonicNs(at))
        heard = receiver.receive(sent)
        assert len(heard.answers) <= 1
        assert receiver.open_sessions <= MAX_SESSIONS
        assert heard.group is None or 9 <= len(heard.group.data) <= 1_785
    for _ in range(4):
        at += 2 * NS_PER_S
        assert len(receiver.poll(MonotonicNs(at))) <= MAX_SESSIONS
    assert (receiver.open_sessions, receiver.next_due()) == (0, None)
    assert set(receiver.status()) <= {"complete", *TRANSPORT_FAULT_KINDS}
