"""Many packets at once: judged as they would be one by one, whoever checks the signatures and in whatever order."""

from collections.abc import Sequence
from random import Random

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant
from shared.core.errors import V2xError
from shared.pki.permission_sets import StationRole
from shared.security.chain import UnknownSignerError
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.security.verify import Claim
from shared.stack.batch import Outcome, SequentialChecker, Verdict, receive_batch, verdict_of
from shared.stack.inbound import Inbound
from shared.stack.indication import Copy
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import cam_of, denm_of, ego, make_peer

HIERARCHY = Hierarchy(1)
LISTENER = HIERARCHY.ticket()


class BackwardChecker:
    """Checks the last signature first, and counts batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def check_all(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        self.batches.append(len(claims))
        return list(reversed([verdict_of(claim) for claim in reversed(claims)]))


def listener() -> Station:
    return make_peer(HIERARCHY, 99, ticket=LISTENER)


def say(station: Station, now: Instant) -> bytes:
    return station.send(cam_of(station, now), position=ego(now), now=now)


def word(outcome: Outcome) -> str:
    if isinstance(outcome, V2xError):
        return outcome.code
    return "echo" if outcome is None else type(outcome.message).__name__


def broken(packet: bytes) -> bytes:
    return packet[:-1] + bytes((packet[-1] ^ 1,))


def one_by_one(station: Station, packets: Sequence[bytes], now: Instant) -> list[str]:
    words = []
    for packet in packets:
        try:
            words.append(word(station.receive(packet, now)))
        except V2xError as refusal:
            words.append(refusal.code)
    return words


def mixture(random: Random, count: int) -> tuple[list[bytes], Instant]:
    """Return what a street says within a moment: strangers first by certificate, then by digest, copies, damage, echoes."""
    clock = clock_at()
    cars = [make_peer(HIERARCHY, number) for number in range(1, 7)]
    unit = make_peer(HIERARCHY, 50, StationRole.RSU)
    packets: list[bytes] = []
    for _ in range(count):
        now = clock.advance(NS_PER_MS)
        packet = say(random.choice(cars), now)
        if random.random() < 0.1:
            packet = unit.send(denm_of(unit, now, sequence_number=random.randrange(9)), position=ego(now), now=now)
        packets.append(packet)
        if random.random() < 0.2:
            packets.append(random.choice(packets))
        if random.random() < 0.2:
            packets[-1:] = random.sample([broken(packet), packet], k=2)
        if random.random() < 0.1:
            packets.append(packet[: random.randrange(len(packet))])
    random.shuffle(packets[: count // 4])
    return packets, clock.now()


@pytest.mark.parametrize("seed", range(6))
def test_a_batch_is_judged_as_its_packets_would_be_one_by_one(seed: int) -> None:
    packets, now = mixture(Random(seed), 40)
    expected = one_by_one(listener(), packets, now)
    assert {"Cam", "false_signature", "duplicate_message", "malformed"} <= set(expected)
    for checker in (SequentialChecker(), BackwardChecker()):
        assert [word(outcome) for outcome in receive_batch(listener(), packets, now, checker)] == expected
    station = listener()
    in_parts = [
        word(outcome) for at in range(0, len(packets), 7) for outcome in receive_batch(station, packets[at : at + 7], now, checker)
    ]
    assert in_parts == expected


def test_of_two_copies_in_one_batch_exactly_one_is_accepted() -> None:
    clock, car, station = clock_at(), make_peer(HIERARCHY, 1), listener()
    packet = say(car, clock.now())
    checker = BackwardChecker()
    assert [word(o) for o in receive_batch(station, [packet] * 3, clock.now(), checker)] == [
        "Cam", "duplicate_message", "duplicate_message"
    ]  # fmt: skip
    assert checker.batches == [3]


def test_a_copy_with_a_broken_signature_in_front_does_not_cost_us_the_real_one() -> None:
    clock, car = clock_at(), make_peer(HIERARCHY, 1)
    packet = say(car, clock.now())
    outcomes = receive_batch(listener(), [broken(packet), packet, broken(packet)], clock.now(), SequentialChecker())
    assert [word(outcome) for outcome in outcomes] == ["false_signature", "Cam", "duplicate_message"]


def test_a_digest_behind_its_certificate_in_one_batch_is_believed_and_asks_for_nothing() -> None:
    clock, car, station = clock_at(), make_peer(HIERARCHY, 1), listener()
    shown = say(car, clock.now())
    by_digest = [say(car, clock.advance(100 * NS_PER_MS)) for _ in range(2)]
    own = say(station, clock.now())
    checker = BackwardChecker()
    outcomes = receive_batch(station, [shown, *by_digest], clock.now(), checker)
    assert [word(outcome) for outcome in outcomes] == ["Cam"] * 3
    assert checker.batches == [1, 2]
    later = say(station, clock.advance(100 * NS_PER_MS))
    assert len(later) < len(own), "nobody unknown was heard, so our certificate need not be shown again"


def test_a_digest_in_front_of_its_certificate_is_unknown_and_asked_for() -> None:
    clock, car, station = clock_at(), make_peer(HIERARCHY, 1), listener()
    own = say(station, clock.now())
    shown, by_digest = say(car, clock.now()), say(car, clock.advance(100 * NS_PER_MS))
    outcomes = receive_batch(station, [by_digest, shown], clock.now(), SequentialChecker())
    assert isinstance(outcomes[0], UnknownSignerError)
    assert word(outcomes[1]) == "Cam"
    assert len(say(station, clock.advance(100 * NS_PER_MS))) >= len(own), "our certificate is shown to who may not know us"


def test_a_certificate_whose_message_does_not_verify_introduces_nobody() -> None:
    clock, car = clock_at(), make_peer(HIERARCHY, 1)
    shown, by_digest = say(car, clock.now()), say(car, clock.advance(100 * NS_PER_MS))
    outcomes = receive_batch(listener(), [broken(shown), by_digest], clock.now(), SequentialChecker())
    assert [word(outcome) for outcome in outcomes] == ["false_signature", "signer_certificate_not_found"]


def test_an_authority_passed_on_in_a_batch_is_known_to_the_packets_behind_it() -> None:
    clock = clock_at()
    second = HIERARCHY.root.create_authorization_authority(
        name="second AA", validity=HIERARCHY.root.certificate.validity, keys=HIERARCHY.keys
    )
    key = HIERARCHY.keys.generate(Curve.NIST_P256)
    model = LISTENER.certificate.tbs
    certificate = second.issue_ticket(public_key=key.public_key, validity=model.validity, permissions=model.app_permissions or ())
    stranger = make_peer(HIERARCHY, 5, ticket=TicketCredential(certificate=certificate, signer=key))
    store = type(HIERARCHY.trust_store).of_operator((HIERARCHY.root.certificate,), (HIERARCHY.aa.certificate, second.certificate))
    knower = make_peer(HIERARCHY, 6, trust_store=store)
    station = listener()
    introduction = say(knower, clock.now())
    station.receive(introduction, clock.now())
    with pytest.raises(UnknownSignerError):
        station.receive(say(stranger, clock.now()), clock.now())
    now = clock.advance(100 * NS_PER_MS)
    request = say(station, now)
    knower.receive(request, now)
    now = clock.advance(NS_PER_S)
    say(knower, now)
    now = clock.advance(100 * NS_PER_MS)
    passing_on, speaking = say(knower, now), say(stranger, now)
    outcomes = receive_batch(station, [passing_on, speaking], now, SequentialChecker())
    assert [word(outcome) for outcome in outcomes] == ["Cam", "Cam"]


def test_an_empty_batch_has_no_outcomes() -> None:
    assert receive_batch(listener(), [], clock_at().now(), SequentialChecker()) == []


def test_the_account_of_a_batch_is_that_of_its_packets() -> None:
    packets, now = mixture(Random(3), 30)
    alone, together = Inbound(listener()), Inbound(listener())
    for packet in packets:
        alone.receive(packet, now)
    together.receive_batch(packets, now, SequentialChecker())
    assert together.verified == alone.verified
    assert together.refused == alone.refused
    assert together.echoes == alone.echoes
    assert str(together.last_refusal) == str(alone.last_refusal)


class CountingStation:
    """Counts what a station weighs."""

    def __init__(self, station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
        self.weighed = 0
        weigh_all = station.weigh_all

        def counted(packets: Sequence[bytes], now: Instant) -> Sequence[Claim | Copy | V2xError | None]:
            self.weighed += len(packets)
            return weigh_all(packets, now)

        monkeypatch.setattr(station, "weigh_all", counted)


def test_no_packet_is_weighed_more_than_twice_whatever_is_shown_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = clock_at()
    speaker = make_peer(HIERARCHY, 1, ticket=HIERARCHY.ticket())
    shown = say(speaker, clock.now())
    packets = []
    for _ in range(32):
        packets += [broken(shown), broken(say(speaker, clock.advance(20 * NS_PER_MS)))]
    station = listener()
    counting = CountingStation(station, monkeypatch)
    outcomes = receive_batch(station, packets, clock.now(), SequentialChecker())
    assert [word(outcome) for outcome in outcomes] == ["false_signature", "signer_certificate_not_found"] * 32
    assert counting.weighed <= 2 * len(packets)


def test_a_certificate_that_arrives_makes_room_for_the_next_request_in_the_order_of_the_packets() -> None:
    clock = clock_at()
    speakers = [make_peer(HIERARCHY, 200 + number, ticket=HIERARCHY.ticket()) for number in range(9)]
    first = [say(speaker, clock.now()) for speaker in speakers]
    now = clock.advance(100 * NS_PER_MS)
    by_digest = [say(speaker, now) for speaker in speakers]
    together, apart = listener(), listener()
    for station in (together, apart):
        one_by_one(station, by_digest[:8], now)
    one_by_one(apart, [first[7], by_digest[8]], now)
    receive_batch(together, [first[7], by_digest[8]], now, SequentialChecker())
    assert together._signing.asked_for == apart._signing.asked_for
    assert len(together._signing.asked_for) == 8
