"""The whole way through a station: packets in, packets out, and what must not be believed.

Inbound is everything: GeoNetworking, certificate and chain (kept), validity, region, permission, freshness, replay, signature, BTP,
the message as a typed value and its content within the permission. Figures without "one by one" receive in batches, as an agent
under load does (`shared.stack.intake`), on one thread.
"""

from collections import deque
from collections.abc import Iterable
from random import Random

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.limits import RAW_SIGN, RAW_VERIFY, RawP256
from shared.bench.rounds import Side, Work, measure_rates
from shared.bench.traffic import CAM_GAP_NS, NOON, Hierarchy, Packets, Traffic, in_batches, say_cam
from shared.core.clock import ManualClock
from shared.core.errors import V2xError
from shared.stack.batch import SequentialChecker, receive_batch, receive_batch_unread

CARS = 32
"""Cars heard in turn."""

CHECKER = SequentialChecker()
"""One thread does everything."""

RUBBISH_SEED = 3

LISTENER, STRANGER_NUMBERS = 900_001, 500_000
"""Station numbers."""


class _Hearers:
    """One stream of packets, heard by stations that do different things with it.

    Args:
        kept_messages: typed messages that one of them keeps alive, as a map of the surroundings does.
    """

    def __init__(self, kept_messages: int) -> None:
        hierarchy = Hierarchy()
        self._traffic = Traffic(hierarchy, cars=CARS)
        self._typed, self._keeping, self._unread, self._single = (hierarchy.station(LISTENER + number) for number in range(4))
        self._kept: deque[object] = deque(maxlen=kept_messages)
        self._packets: Packets = []

    def typed(self, calls: int) -> Work:
        """Prepare packets for all of them, and the work of the one that reads them."""
        self._packets = self._traffic.by_digest(calls, (self._typed, self._keeping, self._unread, self._single))
        batches, station = in_batches(self._packets), self._typed

        def work() -> None:
            for packets, now in batches:
                receive_batch(station, packets, now, CHECKER)

        return work

    def keeping(self, _calls: int) -> Work:
        """Prepare the work of the one that keeps what it read."""
        batches, station, kept = in_batches(self._packets), self._keeping, self._kept

        def work() -> None:
            for packets, now in batches:
                kept.extend(receive_batch(station, packets, now, CHECKER))

        self._fill()
        return work

    def unread(self, _calls: int) -> Work:
        """Prepare the work of the one that leaves messages unread."""
        batches, station = in_batches(self._packets), self._unread

        def work() -> None:
            for packets, now in batches:
                receive_batch_unread(station, packets, now, CHECKER)

        return work

    def single(self, _calls: int) -> Work:
        """Prepare the work of the one that receives packets one by one, as they come where few do."""
        packets, receive = self._packets, self._single.receive

        def work() -> None:
            for packet, now in packets:
                receive(packet, now)

        return work

    def _fill(self) -> None:
        """Let the one that keeps have its messages before the first round."""
        while len(self._kept) < (self._kept.maxlen or 0):
            packet, now = self._traffic.next_packet()
            self._kept.append(self._keeping.receive(packet, now))


def inbound(effort: Effort) -> Iterable[Figure]:
    """Receive CAMs of known senders named by digest."""
    hearers, raw = _Hearers(effort.kept_messages), RawP256()
    sides = {
        "typed": Side(hearers.typed),
        RAW_VERIFY: Side(raw.verifying),
        "kept": Side(hearers.keeping),
        "lazy": Side(hearers.unread),
        "single": Side(hearers.single),
    }
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    for name, says, share in (
        ("typed", "receive a CAM, every check on, as a typed message, in batches as under load", 0.72),
        ("kept", f"the same while the last {effort.kept_messages:,} typed messages are kept alive", 0.65),
        ("lazy", "the same, the message inside left unread", 0.88),
        ("single", "receive CAMs as typed messages one by one, as where few come", None),
    ):
        yield figure_of(
            f"inbound.{name}",
            says,
            Unit.PER_SECOND,
            rates[name],
            limit=(RAW_VERIFY, rates[RAW_VERIFY]),
            targets=() if share is None else (Target(measure=Measure.MEDIAN_RATIO, bound=share),),
        )


def outbound(effort: Effort) -> Iterable[Figure]:
    """Build, encode, sign and pack CAMs."""
    station, clock, raw = Hierarchy().station(1), ManualClock(NOON), RawP256()

    def speaking(calls: int) -> Work:
        moments = [clock.advance(CAM_GAP_NS) for _ in range(calls)]

        def work() -> None:
            for now in moments:
                say_cam(station, now)

        return work

    sides = {"outbound": Side(speaking), RAW_SIGN: Side(raw.signing), RAW_VERIFY: Side(raw.verifying)}
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    yield figure_of(
        "outbound",
        "build, encode, sign and pack a fresh CAM of 135 octets",
        Unit.PER_SECOND,
        rates["outbound"],
        limit=(RAW_SIGN, rates[RAW_SIGN]),
        pace=rates[RAW_VERIFY],
        targets=(Target(measure=Measure.PACED_MEDIAN, bound=25_000), Target(measure=Measure.MEDIAN_RATIO, bound=0.5)),
    )


class _Rubbish:
    """A station, and three kinds of packets it must refuse."""

    def __init__(self) -> None:
        hierarchy = Hierarchy()
        self._station = hierarchy.station(LISTENER)
        self._known = Traffic(hierarchy, cars=CARS)
        self._strangers = Traffic(hierarchy, cars=CARS)
        self._random = Random(RUBBISH_SEED)  # noqa: S311 - where octets are cut need not be a secret

    def unknown(self, calls: int) -> Work:
        """Prepare packets of senders whose certificates were never seen."""
        return self._refusing(self._strangers.by_digest(calls, ()))

    def replayed(self, calls: int) -> Work:
        """Prepare packets that were accepted a moment ago."""
        packets = self._known.by_digest(calls, (self._station,))
        for packet, now in packets:
            self._station.receive(packet, now)
        now = self._known.clock.now()
        return self._refusing([(packet, now) for packet, _ in packets])

    def malformed(self, calls: int) -> Work:
        """Prepare packets cut short, with an octet too many, and of random octets."""
        packets = self._known.by_digest(calls, (self._station,))
        random = self._random
        damaged: Packets = []
        for number, (packet, now) in enumerate(packets):
            match number % 3:
                case 0:
                    damaged.append((packet[: random.randrange(len(packet))], now))
                case 1:
                    damaged.append((packet + b"\0", now))
                case _:
                    damaged.append((random.randbytes(len(packet)), now))
        return self._refusing(damaged)

    def _refusing(self, packets: Packets) -> Work:
        batches, station = in_batches(packets), self._station

        def work() -> None:
            for batch, now in batches:
                outcomes = receive_batch(station, batch, now, CHECKER)
                if not all(isinstance(outcome, V2xError) for outcome in outcomes):
                    raise AssertionError("a packet that must be refused was accepted")

        return work


def rubbish(effort: Effort) -> Iterable[Figure]:
    """Refuse unknown signers, replays and malformed packets."""
    scene, raw = _Rubbish(), RawP256()
    sides = {
        "unknown": Side(scene.unknown),
        "replay": Side(scene.replayed),
        "malformed": Side(scene.malformed),
        RAW_VERIFY: Side(raw.verifying),
    }
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    for name, says, bound in (
        ("unknown", "refuse a packet of a signer never heard", 500_000),
        ("replay", "refuse a packet accepted before", 200_000),
        ("malformed", "refuse a packet cut, lengthened or random", None),
    ):
        targets = () if bound is None else (Target(measure=Measure.PACED_MEDIAN, bound=bound),)
        yield figure_of(f"refuse.{name}", says, Unit.PER_SECOND, rates[name], pace=rates[RAW_VERIFY], targets=targets)
