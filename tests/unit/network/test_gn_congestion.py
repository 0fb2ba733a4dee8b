"""Reactive congestion control: states and silences of the tables, the load they follow, and a gate that keeps order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_US, MonotonicNs
from shared.core.ids import HashedId8
from shared.network.channel_load import MAX_LINKS, MAX_WINDOWS, ChannelLoadMeter
from shared.network.dcc import DccState, ReactiveDcc, airtime_ns
from shared.network.gatekeeper import CLASSES, QUEUE_PACKETS, Gatekeeper, Outgoing

MAC, OTHER_MAC = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
SHORT, USUAL = 400 * NS_PER_US, 900 * NS_PER_US


def at_ms(milliseconds: float) -> MonotonicNs:
    return MonotonicNs(round(milliseconds * NS_PER_MS))


def settled(busy_ratio: float) -> ReactiveDcc:
    dcc = ReactiveDcc()
    for _ in range(5):
        dcc.update(busy_ratio)
    return dcc


@pytest.mark.parametrize(
    ("busy_ratio", "usual_ms", "short_ms"),
    [
        (0.0, 100, 50),
        (0.299, 100, 50),
        (0.30, 200, 100),
        (0.40, 400, 200),
        (0.50, 500, 250),
        (0.60, 1_000, 250),
        (0.65, 1_000, 1_000),
        (1.0, 1_000, 1_000),
    ],
)
def test_the_silences_are_those_of_the_tables(busy_ratio: float, usual_ms: int, short_ms: int) -> None:
    dcc = settled(busy_ratio)
    assert (dcc.t_off_ns(USUAL), dcc.t_off_ns(SHORT)) == (usual_ms * NS_PER_MS, short_ms * NS_PER_MS)


def test_a_state_changes_by_one_step_at_each_update() -> None:
    dcc, states = ReactiveDcc(), []
    for busy_ratio in (0.9,) * 5 + (0.0,) * 5:
        dcc.update(busy_ratio)
        states.append(dcc.state)
    assert states == [1, 2, 3, 4, 4, 3, 2, 1, 0, 0]
    assert ReactiveDcc().state is DccState.RELAXED


def test_what_is_longer_on_the_air_is_followed_by_a_silence_longer_in_proportion() -> None:
    dcc = settled(0.45)
    assert dcc.t_off_ns(2_500 * NS_PER_US) == 1_000 * NS_PER_MS
    assert dcc.t_off_ns(1_000 * NS_PER_US) == 400 * NS_PER_MS
    assert airtime_ns(300) == 440 * NS_PER_US


def test_the_load_is_the_airtime_of_what_was_heard_and_sent_meaned_over_two_windows() -> None:
    meter = ChannelLoadMeter(at_ms(0))
    for number in range(50):
        meter.heard(720, "a", at_ms(number * 2))  # a millisecond each
    assert meter.ratios(at_ms(99)) == []
    assert meter.ratios(at_ms(100)) == pytest.approx([0.25])
    meter.sent(720, ("a",), at_ms(150))
    assert meter.ratios(at_ms(200)) == pytest.approx([(0.5 + 0.01) / 2])
    assert meter.ratios(at_ms(400)) == pytest.approx([0.005, 0.0])


def test_the_busiest_link_counts_and_no_more_links_than_are_looked_at() -> None:
    meter = ChannelLoadMeter(at_ms(0))
    for _ in range(10):
        meter.heard(720, "a", at_ms(1))
    for _ in range(20):
        meter.heard(720, "b", at_ms(1))
    for number in range(2 * MAX_LINKS):
        for _ in range(90):
            meter.heard(720, f"late {number}" if number > MAX_LINKS else f"link {number}", at_ms(2))
    (ratio,) = meter.ratios(at_ms(100))
    assert ratio == pytest.approx(0.45)


def test_junk_beyond_any_frame_counts_as_one_frame_and_what_is_no_channel_counts_nothing() -> None:
    meter = ChannelLoadMeter(at_ms(0))
    meter.heard(65_507, "a", at_ms(1))
    assert meter.ratios(at_ms(100))[0] < 0.02
    meter.unshared = frozenset(("broker",))
    for _ in range(1_000):
        meter.heard(1_400, "broker", at_ms(101))
    assert meter.ratios(at_ms(200))[0] < 0.02


def test_a_long_sleep_is_an_empty_channel() -> None:
    meter = ChannelLoadMeter(at_ms(0))
    for _ in range(80):
        meter.heard(720, "a", at_ms(1))
    ratios = meter.ratios(at_ms(3_600_000))
    assert len(ratios) == MAX_WINDOWS
    assert ratios[-1] == 0.0
    assert meter.ratios(at_ms(3_600_100)) == [0.0]


def test_a_ratio_that_a_radio_measured_is_used_for_a_second() -> None:
    meter = ChannelLoadMeter(at_ms(0))
    meter.measured(0.62, at_ms(50))
    assert meter.ratios(at_ms(100)) == [0.62]
    assert meter.ratios(at_ms(1_000)) == [0.62] * 9
    assert meter.ratios(at_ms(1_100)) == [0.0]
    meter.measured(7.0, at_ms(1_100))
    assert meter.ratios(at_ms(1_200)) == [1.0]


def outgoing(
    number: int,
    priority: int = 2,
    *,
    stale_ms: int = 1_000,
    supersedes: str | None = None,
    mac: bytes | None = MAC,
    signer: int = 1,
    made_ms: int = 0,
) -> Outgoing:
    return Outgoing(
        packet=b"\x12\0\x1a\x09" + number.to_bytes(4, "big"),
        links=None if mac is not None else frozenset(("a",)),
        priority=priority,
        stale_at=at_ms(stale_ms),
        own_mac=mac,
        supersedes=supersedes,
        signer=None if mac is not None else HashedId8(signer.to_bytes(8, "big")),
        made=at_ms(made_ms),
    )


def others(number: int, signer: int = 1, priority: int = 1) -> Outgoing:
    return outgoing(number, priority, stale_ms=10**9, mac=None, signer=signer)


def drained(gate: Gatekeeper) -> list[int]:
    return [int.from_bytes(each.packet[4:], "big") for each in gate.empty(at_ms(0), MAC)]


def test_the_gate_opens_after_the_silence_and_the_most_urgent_goes_first() -> None:
    gate = Gatekeeper()
    cam, hazard, beacon = outgoing(1, 2), outgoing(2, 1), outgoing(3, 63)
    assert gate.next_due() is None
    for each in (beacon, cam, hazard):
        gate.offer(each)
    order = []
    for milliseconds in range(0, 301, 50):
        taken = gate.take(at_ms(milliseconds), MAC)
        if taken is not None:
            order.append((milliseconds, taken))
            gate.sent(at_ms(milliseconds), 100 * NS_PER_MS)
            assert gate.take(at_ms(milliseconds), MAC) is None
    assert order == [(0, hazard), (100, cam), (200, beacon)]
    assert gate.next_due() is None


def test_what_waited_too_long_is_dropped_and_counted() -> None:
    gate = Gatekeeper()
    gate.offer(outgoing(1, stale_ms=100))
    last = outgoing(2, stale_ms=101)
    gate.offer(last)
    assert gate.take(at_ms(100), MAC) is last
    assert gate.dropped == {"stale": 1}


def test_a_newer_cam_replaces_the_one_that_waits_and_nothing_else() -> None:
    gate = Gatekeeper()
    lights, newer = outgoing(2), outgoing(3, supersedes="cam")
    for each in (outgoing(1, supersedes="cam"), lights, newer):
        gate.offer(each)
    assert gate.empty(at_ms(0), MAC) == [newer, lights], "in its place, or who speaks often would never be heard"
    assert gate.dropped == {"superseded": 1}


def test_nothing_said_under_an_old_name_leaves_under_the_new_one() -> None:
    gate = Gatekeeper()
    forwarded = outgoing(2, mac=None)
    gate.offer(outgoing(1))
    gate.offer(forwarded)
    assert gate.empty(at_ms(0), OTHER_MAC) == [forwarded]
    assert gate.dropped == {"said_under_another_name": 1}


@pytest.mark.parametrize(
    ("signed", "link", "hops", "is_withdrawn"),
    [(2, "a", 9, True), (2, "a", 8, False), (2, "b", 9, False), (1, "a", 9, False), (3, "a", 9, False)],
)
def test_a_copy_heard_while_ours_waits_takes_ours_back(signed: int, link: str, hops: int, is_withdrawn: bool) -> None:  # noqa: FBT001 - a column of a table
    gate = Gatekeeper()
    gate.offer(outgoing(1))
    gate.offer(outgoing(2, mac=None))
    assert gate.withdraw(signed.to_bytes(4, "big"), link, hops, at_ms(60_000), at_ms(0)) is is_withdrawn
    assert len(gate) == 2 - is_withdrawn


def test_however_much_we_are_made_to_forward_every_other_turn_is_ours() -> None:
    gate, own, theirs = Gatekeeper(), 0, 0
    for number in range(1_000):
        for flood in range(10):
            gate.offer(others(10 * number + flood, signer=flood % 4, priority=0))
        gate.offer(outgoing(number, 2, stale_ms=10**9, supersedes="cam"))
        taken = gate.take(at_ms(number), MAC)
        assert taken is not None
        own += taken.own_mac is not None
        theirs += taken.own_mac is None
    assert (own, theirs) == (500, 500)


def test_one_signer_s_flood_costs_another_s_hazard_a_turn_and_not_its_place() -> None:
    gate = Gatekeeper()
    gate.offer(others(7, signer=7))
    for number in range(100, 1_100):
        gate.offer(others(number, signer=1, priority=0))
    assert len(gate) == QUEUE_PACKETS
    assert drained(gate)[0] == 7
    assert gate.dropped == {"queue_full": 1_001 - QUEUE_PACKETS}


def test_the_same_packet_waits_once_on_the_same_links() -> None:
    gate = Gatekeeper()
    for _ in range(3):
        gate.offer(others(7))
    assert drained(gate) == [7]
    assert gate.dropped == {"superseded": 2}


def test_many_hazards_do_not_put_the_lights_out() -> None:
    gate, lights = Gatekeeper(), []
    for number in range(100):
        for hazard in range(20):
            gate.offer(outgoing(hazard, 1, stale_ms=10**9, supersedes=f"denm {hazard}"))
        gate.offer(outgoing(1_000, 2, stale_ms=10**9, supersedes="spatem"))
        taken = gate.take(at_ms(number), MAC)
        assert taken is not None
        if taken.supersedes == "spatem":
            lights.append(number)
    assert len(lights) == 25


def test_who_speaks_often_is_heard_behind_many_who_do_not() -> None:
    gate, heard = Gatekeeper(), 0
    for number in range(200):
        gate.offer(outgoing(number, 1, stale_ms=10**9, supersedes=f"seldom {number % 20}"))
        gate.offer(outgoing(1_000, 1, stale_ms=10**9, supersedes="often"))
        taken = gate.take(at_ms(number), MAC)
        assert taken is not None
        heard += taken.supersedes == "often"
    assert heard >= 200 // 22


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("offer", "offer", "offer", "take", "rename")), st.integers(0, 63), st.integers(0, 300), st.booleans()
        ),
        max_size=300,
    )
)
def test_whatever_happens_the_gate_keeps_its_bounds_and_the_order_within_a_class(steps: list[tuple[str, int, int, bool]]) -> None:
    gate, now, mac, offered = Gatekeeper(queue_packets=4), 0, MAC, 0
    last_of_class: dict[tuple[int, bool], int] = {}
    opens = 0
    left = 0
    for number, (act, priority, elapsed_ms, is_cam) in enumerate(steps):
        now += elapsed_ms
        if act == "offer":
            gate.offer(outgoing(number, priority, stale_ms=now + 400, supersedes="cam" if is_cam else None, mac=mac))
            offered += 1
        elif act == "rename":
            mac = OTHER_MAC if mac == MAC else MAC
        elif (taken := gate.take(at_ms(now), mac)) is not None:
            assert now >= opens
            sequence, queue = int.from_bytes(taken.packet[4:], "big"), min(taken.priority, CLASSES - 1)
            kind = queue, taken.supersedes is not None
            assert sequence > last_of_class.get(kind, -1)
            assert taken.own_mac == mac
            assert taken.stale_at > at_ms(now)
            last_of_class[kind] = sequence
            opens = now + 100
            left += 1
            gate.sent(at_ms(now), 100 * NS_PER_MS)
        assert len(gate) <= 4 * CLASSES
        assert offered == left + len(gate) + gate.dropped.total(), "every packet leaves, waits, or is counted"


def test_of_a_signers_word_of_one_event_the_newest_is_passed_on_whichever_order_it_came_in() -> None:
    gate = Gatekeeper()
    braking = [outgoing(number, 1, mac=None, supersedes="denm 1 1", made_ms=made) for number, made in ((1, 10), (3, 30), (2, 20))]
    for each in (
        *braking,
        outgoing(9, 1, mac=None, supersedes="denm 1 2"),
        outgoing(8, 1, mac=None, signer=2, supersedes="denm 1 1"),
    ):
        gate.offer(each)
    assert sorted(drained(gate)) == [3, 8, 9]
    assert gate.dropped == {"superseded": 2}
