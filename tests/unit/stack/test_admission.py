"""What is verified next when there is too much, in good order and under attack."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.ids import HashedId8, ItsAid
from shared.stack.admission import (
    BATCH_PACKETS,
    LIGHT_PACKETS,
    MAX_WAIT_NS,
    PLACE_PACKETS,
    SCARCE_OCTETS,
    STRANGERS_PACKETS,
    AdmissionQueue,
)
from tests.unit.stack.waiting_traffic import Arrival, Verifier, every, instant, name_of, packet_of, showing

CAM_EVERY = 100 * NS_PER_MS
VICTIM = name_of(0)


def names(count: int) -> list[HashedId8]:
    return [name_of(number) for number in range(count)]


def cars(count: int, *, until_ns: int, first: int = 0) -> list[Iterator[Arrival]]:
    """Let cars speak ten times a second, each at its own phase."""
    return [
        every(CAM_EVERY, name_of(number), until_ns=until_ns, first_ns=number * CAM_EVERY // (first + count))
        for number in range(first, first + count)
    ]


def flood(signer: HashedId8, per_second: int, *, until_ns: int, psid: int = ItsAid.CAM) -> Iterator[Arrival]:
    return every(NS_PER_S // per_second, signer, until_ns=until_ns, psid=psid, is_genuine=False)


def queue_knowing(*known: HashedId8) -> AdmissionQueue:
    return AdmissionQueue(knows=lambda signer, _now: signer in known, lot=Random(1))


def fill(queue: AdmissionQueue, packets: list[bytes], at_ns: int = 0) -> None:
    for packet in packets:
        queue.offer(packet, instant(at_ns))


def test_up_to_a_batch_passes_in_order_of_arrival_whatever_it_is() -> None:
    queue, random = queue_knowing(), Random(2)
    packets = [random.randbytes(random.randrange(1, 300)) for _ in range(BATCH_PACKETS)]
    fill(queue, packets)
    assert len(queue) == BATCH_PACKETS
    assert queue.octets == sum(map(len, packets))
    assert [waiting.packet for waiting in queue.take(MonotonicNs(0))] == packets
    assert len(queue) == queue.octets == 0
    assert not queue.shed


def test_an_empty_queue_has_nothing_to_give() -> None:
    assert queue_knowing().take(MonotonicNs(0)) == []


def test_below_what_can_be_verified_nothing_is_lost() -> None:
    verifier = Verifier(per_second=2_000, known=names(150))
    heard = verifier.hear(*cars(150, until_ns=NS_PER_S))
    assert heard.verified == {(name, ItsAid.CAM): 10 for name in names(150)}
    assert not verifier.queue.shed


def test_at_twice_the_load_every_car_is_heard_young_and_no_warning_is_lost() -> None:
    seconds = 3
    verifier = Verifier(per_second=2_000, known=names(500))
    rsu = name_of(450)
    warnings = every(NS_PER_S, rsu, until_ns=seconds * NS_PER_S, psid=ItsAid.DENM)
    lights = every(CAM_EVERY, rsu, until_ns=seconds * NS_PER_S, psid=ItsAid.TLM)
    heard = verifier.hear(*cars(400, until_ns=seconds * NS_PER_S), warnings, lights)
    cams = [heard.verified[name, ItsAid.CAM] for name in names(400)]
    ages = sorted(age for name in names(400) for age in heard.ages_ns[name, ItsAid.CAM])
    assert min(cams) >= 0.8 * sum(cams) / 400
    assert sum(cams) > 0.9 * 2_000 * seconds - 33 * seconds
    assert ages[int(0.99 * len(ages))] < 150 * NS_PER_MS
    assert heard.verified[rsu, ItsAid.DENM] == seconds
    assert heard.verified[rsu, ItsAid.TLM] == 10 * seconds
    assert set(verifier.queue.shed) <= {"shed_superseded", "shed_stale"}


def test_under_ten_times_the_load_what_is_heard_is_no_older() -> None:
    verifier = Verifier(per_second=500, known=names(500))
    heard = verifier.hear(*cars(500, until_ns=2 * NS_PER_S))
    ages = sorted(age for each in heard.ages_ns.values() for age in each)
    assert ages[-1] < MAX_WAIT_NS[ItsAid.CAM] + BATCH_PACKETS * NS_PER_S // 500
    assert len(ages) > 0.9 * 500 * 2
    assert min(heard.verified[name, ItsAid.CAM] for name in names(500)) >= 1


def test_whoever_speaks_once_a_second_is_heard_every_time_among_those_who_speak_ten_times() -> None:
    parked = name_of(900)
    verifier = Verifier(per_second=1_000, known=[*names(300), parked])
    once = every(NS_PER_S, parked, until_ns=5 * NS_PER_S, first_ns=333 * NS_PER_MS)
    heard = verifier.hear(*cars(300, until_ns=5 * NS_PER_S), once)
    assert heard.verified[parked, ItsAid.CAM] == 5


def test_the_newest_cam_of_a_sender_comes_first_and_once_verified_the_older_are_dropped() -> None:
    queue = queue_knowing(*names(40))
    older, newer = (packet_of(VICTIM, at) for at in (0, NS_PER_MS))
    fill(queue, [older, newer, *(packet_of(name, 0) for name in names(40)[1:])])
    first = queue.take(MonotonicNs(0))[0]
    assert first.packet == newer
    queue.settle(first, MonotonicNs(0), is_verified=True)
    assert queue.shed == {"shed_superseded": 1}
    assert older not in [waiting.packet for waiting in queue.take(MonotonicNs(0))]


def test_a_newer_cam_that_does_not_verify_supersedes_nothing() -> None:
    queue = queue_knowing(*names(40))
    honest, forged = packet_of(VICTIM, 0), packet_of(VICTIM, NS_PER_MS, is_genuine=False)
    fill(queue, [honest, forged, *(packet_of(name, 0) for name in names(40)[1:])])
    first = queue.take(MonotonicNs(0))
    assert first[0].packet == forged
    queue.settle(first[0], MonotonicNs(0), is_verified=False)
    assert honest in [waiting.packet for waiting in queue.take(MonotonicNs(0))]
    assert not queue.shed


def test_an_old_cam_played_back_late_does_not_supersede_the_new_one() -> None:
    queue = queue_knowing(*names(40))
    recorded, newer = packet_of(VICTIM, 0), packet_of(VICTIM, NS_PER_MS)
    fill(queue, [newer, recorded, *(packet_of(name, 0) for name in names(40)[1:])])
    first = queue.take(MonotonicNs(0))
    assert first[0].packet == recorded
    queue.settle(first[0], MonotonicNs(0), is_verified=True)
    assert newer in [waiting.packet for waiting in queue.take(MonotonicNs(0))]


def test_a_flood_under_a_victims_name_costs_nobody_else_a_packet() -> None:
    verifier = Verifier(per_second=2_000, known=names(60))
    heard = verifier.hear(*cars(60, until_ns=2 * NS_PER_S), flood(VICTIM, 6_000, until_ns=2 * NS_PER_S))
    others = [heard.verified[name, ItsAid.CAM] for name in names(60)[1:]]
    assert min(others) == 20
    ages = [age for name in names(60)[1:] for age in heard.ages_ns[name, ItsAid.CAM]]
    assert max(ages) < 3 * BATCH_PACKETS * NS_PER_S // 2_000


def test_a_flood_under_a_victims_name_leaves_the_victim_its_share_of_what_can_be_verified() -> None:
    seconds, per_second = 10, 4_000
    verifier = Verifier(per_second=2_000, known=names(20))
    heard = verifier.hear(*cars(20, until_ns=seconds * NS_PER_S), flood(VICTIM, per_second, until_ns=seconds * NS_PER_S))
    fair = 10 * seconds * (2_000 - 200) / per_second
    assert heard.verified[VICTIM, ItsAid.CAM] > 0.6 * fair


def test_one_forgery_right_behind_each_cam_cannot_silence_its_sender_even_at_twice_the_load() -> None:
    seconds = 5
    verifier = Verifier(per_second=1_000, known=names(200))
    behind = every(CAM_EVERY, VICTIM, until_ns=seconds * NS_PER_S, first_ns=10_000, is_genuine=False)
    heard = verifier.hear(*cars(200, until_ns=seconds * NS_PER_S), behind)
    others = sum(heard.verified[name, ItsAid.CAM] for name in names(200)[1:]) / 199
    assert heard.verified[VICTIM, ItsAid.CAM] > 0.3 * others


def test_bursts_that_overrun_a_place_are_sampled_whatever_their_timing() -> None:
    survived = 0
    forged = [packet_of(VICTIM, 1, is_genuine=False, nonce=nonce) for nonce in range(4 * PLACE_PACKETS - 1)]
    for seed in range(200):
        queue = AdmissionQueue(knows=lambda _signer, _now: True, lot=Random(seed))
        honest = packet_of(VICTIM, 0)
        fill(queue, [packet_of(name, 0) for name in names(40)[1:]])
        fill(queue, [honest, *forged])
        taken = [waiting.packet for _ in range(6) for waiting in queue.take(MonotonicNs(0))]
        survived += honest in taken
        assert queue.shed["shed_crowded"] == 3 * PLACE_PACKETS
    assert abs(survived / 200 - 1 / 4) < 0.12


def test_made_up_names_cost_known_senders_nothing() -> None:
    def sybils() -> Iterator[Arrival]:
        for number in range(30_000):
            at = number * NS_PER_S // 30_000
            yield at, packet_of(name_of(10_000 + number), at, is_genuine=False)

    verifier = Verifier(per_second=2_000, known=names(100))
    heard = verifier.hear(*cars(100, until_ns=NS_PER_S), sybils())
    assert heard.verified == {(name, ItsAid.CAM): 10 for name in names(100)}
    assert set(verifier.queue.shed) <= {"shed_strangers", "shed_stale"}


def test_made_up_certificates_cost_known_senders_nothing_and_a_newcomer_a_share() -> None:
    def sybils() -> Iterator[Arrival]:
        for number in range(8_000):
            at = number * NS_PER_S // 4_000
            yield at, showing(packet_of(VICTIM, at, is_genuine=False), number.to_bytes(100, "big"))[0]

    def newcomer() -> Iterator[Arrival]:
        for number in range(200):
            at = number * NS_PER_S // 100
            yield at, showing(packet_of(VICTIM, at), b"newcomer" * 12)[0]

    verifier = Verifier(per_second=2_000, known=names(100))
    heard = verifier.hear(*cars(100, until_ns=2 * NS_PER_S), sybils(), newcomer())
    assert all(heard.verified[name, ItsAid.CAM] == 20 for name in names(100))
    assert sum(heard.verified.values()) - 2_000 > 0.5 * 200 * 1_000 / 4_000


def test_forged_warnings_under_every_known_name_leave_cams_a_quarter() -> None:
    verifier = Verifier(per_second=2_000, known=names(50))
    forged = [flood(name, 200, until_ns=NS_PER_S, psid=ItsAid.DENM) for name in names(50)]
    honest = every(CAM_EVERY, name_of(7), until_ns=NS_PER_S, psid=ItsAid.DENM)
    heard = verifier.hear(*cars(50, until_ns=NS_PER_S), *forged, honest)
    assert all(heard.verified[name, ItsAid.CAM] >= 9 for name in names(50))
    assert heard.verified[name_of(7), ItsAid.DENM] >= 1


def test_warnings_and_lights_come_before_cams_and_strangers_warnings_too() -> None:
    queue = queue_knowing(*names(80))
    strangers, _ = showing(packet_of(VICTIM, 0, psid=ItsAid.DENM), b"c" * 90)
    urgent = [
        packet_of(name_of(70), 0, psid=ItsAid.DENM),
        packet_of(name_of(71), 0, psid=ItsAid.TLM),
        strangers,
    ]
    fill(queue, [*(packet_of(name, 0) for name in names(60)), *urgent])
    assert {waiting.packet for waiting in queue.take(MonotonicNs(0))[:3]} == set(urgent)


@pytest.mark.parametrize(
    ("most", "shares"),
    [(BATCH_PACKETS, (14, 8, 3, 3, 3, 1, LIGHT_PACKETS)), (16, (7, 4, 1, 1, 1, 1, LIGHT_PACKETS // 2)), (1, (1, 1, 1, 1, 1, 1, 2))],
)
def test_every_lane_has_its_share_of_a_batch_and_a_small_batch_leaves_none_out(most: int, shares: tuple[int, ...]) -> None:
    queue = queue_knowing(*names(200))
    kinds = {
        "urgent": [packet_of(name, 0, psid=ItsAid.DENM) for name in names(100)],
        "cam": [packet_of(name, 0) for name in names(100)],
        "other": [packet_of(name, 0, psid=ItsAid.RLT) for name in names(100)],
        "strange warning": [showing(packet_of(VICTIM, 0, psid=ItsAid.DENM), bytes([n]) * 90)[0] for n in range(100)],
        "strange": [showing(packet_of(VICTIM, 0, psid=ItsAid.CAM), bytes([n]) * 90)[0] for n in range(100)],
        "unreadable": [b"\x12\x00\x1a\x01" + bytes([n]) * 50 for n in range(100)],
        "light": [packet_of(name_of(1_000 + n), 0) for n in range(100)],
    }
    fill(queue, [packet for packets in kinds.values() for packet in packets])
    taken = [waiting.packet for waiting in queue.take(MonotonicNs(0), most)]
    counts = {kind: sum(packet in packets for packet in taken) for kind, packets in kinds.items()}
    expected = dict(zip(kinds, shares, strict=True))
    expected["urgent"] += max(0, most - sum(shares[:-1]))
    assert counts == expected


def test_of_few_packets_no_more_are_taken_than_asked_for_and_the_others_wait_in_order() -> None:
    queue = queue_knowing(*names(20))
    packets = [packet_of(name, 0) for name in names(20)]
    fill(queue, packets)
    taken = [[waiting.packet for waiting in queue.take(MonotonicNs(0), 8)] for _ in range(4)]
    assert taken == [packets[:8], packets[8:16], packets[16:], []]


def test_what_one_lane_leaves_over_another_takes() -> None:
    queue = queue_knowing(*names(100))
    fill(queue, [packet_of(name, 0) for name in names(100)])
    assert len(queue.take(MonotonicNs(0))) == BATCH_PACKETS


@pytest.mark.parametrize(
    ("psid", "is_known"), [(ItsAid.CAM, True), (ItsAid.DENM, True), (ItsAid.TLM, True), (ItsAid.RLT, True), (ItsAid.CAM, False)]
)
def test_what_has_waited_too_long_is_dropped_and_counted(psid: ItsAid, is_known: bool) -> None:  # noqa: FBT001 - a case
    queue = AdmissionQueue(knows=lambda _signer, _now: is_known, lot=Random(1))
    fill(queue, [packet_of(name, 0, psid=psid) for name in names(40)])
    wait = MAX_WAIT_NS.get(psid, NS_PER_S)
    assert queue.take(MonotonicNs(wait)) == []
    assert queue.shed == {"shed_stale": 40}
    assert len(queue) == queue.octets == 0


def test_a_unit_that_repeats_all_its_hazards_at_once_loses_none() -> None:
    queue = queue_knowing(*names(100))
    fill(queue, [packet_of(name, 0) for name in names(60)])
    hazards = [packet_of(name_of(99), 0, psid=ItsAid.DENM, nonce=number) for number in range(PLACE_PACKETS)]
    fill(queue, hazards)
    taken = [waiting.packet for _ in range(6) for waiting in queue.take(MonotonicNs(0))]
    assert [packet for packet in taken if packet in hazards] == hazards


def test_memory_has_a_limit_even_when_every_name_is_flooded_with_the_longest_packets() -> None:
    senders = 1_000
    queue = queue_knowing(*names(senders))
    for nonce in range(8):
        for name in names(senders):
            queue.offer(packet_of(name, 0, psid=ItsAid.DENM, octets=2_150, nonce=nonce), instant(0))
    assert SCARCE_OCTETS < queue.octets < SCARCE_OCTETS + senders * 2_304
    assert queue.shed["shed_crowded"] > 0


def test_strangers_beyond_their_lane_are_sampled() -> None:
    queue = queue_knowing()
    packets = [showing(packet_of(VICTIM, 0), number.to_bytes(100, "big"))[0] for number in range(4 * STRANGERS_PACKETS)]
    fill(queue, packets)
    assert len(queue) == STRANGERS_PACKETS
    assert queue.shed == {"shed_strangers": 3 * STRANGERS_PACKETS}
    kept = [waiting.packet for _ in range(4) for waiting in queue.take(MonotonicNs(0))]
    assert kept == sorted(kept)
    late = sum(packets.index(packet) >= 2 * STRANGERS_PACKETS for packet in kept)
    assert 0.3 * STRANGERS_PACKETS < late < 0.7 * STRANGERS_PACKETS


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(1, 300))
def test_whatever_is_offered_is_taken_or_waits_or_is_counted_as_shed(random: Random, offered: int) -> None:
    known = set(names(5))
    queue = AdmissionQueue(knows=lambda signer, _now: signer in known, lot=random)
    at = taken = 0
    for number in range(offered):
        at += random.randrange(4 * NS_PER_MS)
        psid = random.choice([ItsAid.CAM, ItsAid.DENM, ItsAid.RLT, ItsAid.CTL])
        packet = packet_of(name_of(random.randrange(7)), at, psid=psid, nonce=number)
        if random.random() < 0.3:
            packet, _ = showing(packet, bytes([random.randrange(3)]) * 90)
        queue.offer(random.choice([packet, packet, packet, packet[:9]]), instant(at))
        if random.random() < 0.03:
            for waiting in queue.take(MonotonicNs(at)):
                taken += 1
                queue.settle(waiting, MonotonicNs(at), is_verified=random.random() < 0.7)
    assert taken + len(queue) + sum(queue.shed.values()) == offered
    while len(queue):
        taken += len(queue.take(MonotonicNs(at)))
    assert taken + sum(queue.shed.values()) == offered
    assert queue.octets == 0
