"""A whole unit under the load of 400 cars, then of twice as many: what it takes in, when it speaks, how old what it hears gets.

Every CAM is signed afresh under a ticket of its sender's own, sent over a real socket to a real unit (`load_scene`), and looked for
in the unit's own counters: verified, refused, shed by rule, or dropped on the way. What is in none of them is lost. Lights and
warnings are held against their own rhythm: the time from one to the next, less the interval. Lights that change are told at once
and the rhythm begins anew, so those do not count as early.

How much fits is for a machine that does nothing else to say. What a CAM costs is told besides, in processor time and beside bare
verifications in the same seconds, and that holds on a busy machine too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM
from tempfile import TemporaryDirectory
from time import sleep

from rsu_agent.load_scene import (
    PATIENCE_S,
    STATION_ID,
    WARNING_EVERY_S,
    Account,
    Ear,
    Heard,
    RunningSenders,
    RunningUnit,
    free_port,
    running_senders,
    running_unit,
)
from rsu_agent.load_senders import Order, Spoken
from rsu_agent.signal_service import DEFAULT_SPATEM_INTERVAL_NS
from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.limits import RawP256
from shared.bench.rounds import elapsed_ns
from shared.bench.statistics import percentile
from shared.bench.traffic import CAM_GAP_NS
from shared.cli.status_words import items, section
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.errors import TransportError
from shared.messages.denm import Denm
from shared.messages.spatem import Spatem
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.trust_directory import read_trust_directory
from shared.stack.indication import Indication, VerifiedBeacon
from shared.stack.receiver import make_receiver

LOADS: Mapping[str, int] = {"once": 1, "twice": 2}
"""How many times as many cars."""

MOST_JITTER_MS = 10.0
LEAST_VERIFIED = 0.999
"""Of all CAMs, under the load that is to fit."""

MOST_GROWTH_MS = 20.0
"""From the first third to the last, of the mean age of a CAM when its turn comes."""

MOST_GROWTH_MIB = 8.0
LONG_S = 60.0
"""From so many seconds on memory is promised to be flat: until then rows and memories of what was heard still fill."""

INTRODUCED_PER_S = 200
"""Cars that are heard for the first time in one second, before anything is counted: they come to a junction one after the other."""

LOOK_S = 1.0
CLOSES_S = 0.1
CLOSING_LOOKS = 30
"""At the account until it closes, so far apart."""

VERIFICATIONS = 100
"""Bare verifications between two looks: half of a hundredth of a core."""

_MS_PER_S = 1_000.0


Counts = Mapping[str, Mapping[str, int]]
Said = tuple[int, Indication | VerifiedBeacon]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one load showed.

    Attributes:
        name: once or twice.
        cars: how many spoke.
        spoken: what they did.
        accounts: of the unit, before the first packet, every second, and after the last.
        counts: by how much the counters of the unit's status grew (`counters`).
        heard: CAMs of each car that were verified.
        said: what was heard of the unit meanwhile, verified, and when.
        verifications_per_s: bare ones, in each of the same seconds.
    """

    name: str
    cars: int
    spoken: Spoken
    accounts: Sequence[Account]
    counts: Counts
    heard: Sequence[int]
    said: Sequence[Said]
    verifications_per_s: Sequence[float]

    @property
    def processor_us(self) -> float:
        """Processor time of the unit for each CAM, whatever became of it."""
        return (self.accounts[-1].processor_s - self.accounts[0].processor_s) / self.spoken.packets * 1e6

    @property
    def rate_per_s(self) -> float:
        """CAMs that were to come in a second."""
        return self.cars * NS_PER_S / CAM_GAP_NS

    def mean_age_ms(self, third: int) -> float:
        """Return the mean age of the messages of a third of the load, 0 to 2, when their turn came."""
        begin, end = (self.accounts[number * (len(self.accounts) - 1) // 3].metrics for number in (third, third + 1))
        count, total_s = (end[f"message_age_seconds_{part}"] - begin[f"message_age_seconds_{part}"] for part in ("count", "sum"))
        return total_s / max(count, 1) * _MS_PER_S

    @property
    def age_growth_ms(self) -> float:
        """By how much the mean age of the last third exceeds that of the first; nothing where too little was heard to say."""
        first_ms = self.mean_age_ms(0)
        return max(0.0, self.mean_age_ms(2) - first_ms) if first_ms else 0.0

    @property
    def growth_mib(self) -> float:
        """How much the unit's memory grew after the first third."""
        return (self.accounts[-1].resident_octets - self.accounts[len(self.accounts) // 3].resident_octets) / (1 << 20)


def rsu_load(effort: Effort) -> Iterable[Figure]:
    """Have hundreds of cars speak to a roadside unit, and twice as many."""
    for name, times in LOADS.items():
        yield from _figures(_measured(name, times * effort.load_cars, effort.load_s))


def _measured(name: str, cars: int, seconds: float) -> Load:
    """Put one unit under one load."""
    port = free_port(SOCK_DGRAM)
    with TemporaryDirectory(prefix="v2x-bench-") as folder, running_senders(Path(folder), cars=cars, port=port) as speaking:
        with Ear(port) as ear, running_unit(Path(folder), port=port) as unit:
            lasts_s = cars / INTRODUCED_PER_S
            introduced = speaking.spoken_by(Order(cars=cars, seconds=lasts_s, gap_ns=round(lasts_s * NS_PER_S)))
            before, said_before = _closed(unit, introduced.on_air), len(ear.heard)
            accounts = [unit.account()]
            speaking.begin(Order(cars=cars, seconds=seconds))
            verifications_per_s = _watch(speaking, unit, accounts, seconds)
            spoken, said_after = speaking.spoken(), len(ear.heard)
            after = _closed(unit, introduced.on_air + spoken.on_air)
            accounts.append(unit.account())
            heard = [section(row, "messages").get("cam", 0) for row in items(unit.status().get("peers"))]
        return Load(
            name=name,
            cars=cars,
            spoken=spoken,
            accounts=accounts,
            counts={
                member: {word: count - before[member].get(word, 0) for word, count in after[member].items()} for member in after
            },
            heard=[count for count in heard if isinstance(count, int)],
            said=_understood(ear.heard, Path(folder))[said_before:said_after],
            verifications_per_s=verifications_per_s,
        )


def _watch(speaking: RunningSenders, unit: RunningUnit, accounts: list[Account], seconds: float) -> list[float]:
    """Look at the unit every second until the cars have spoken, as its operator may; return bare verifications a second."""
    raw = RawP256()
    verifications_per_s: list[float] = []
    for _ in range(round(10 * seconds + PATIENCE_S)):
        verifications_per_s.append(VERIFICATIONS * NS_PER_S / elapsed_ns(raw.verifying(VERIFICATIONS)))
        if speaking.have_spoken(within_s=LOOK_S):
            return verifications_per_s
        unit.status()
        accounts.append(unit.account())
    raise TransportError("senders", "ten times as long as they were asked to speak they still do")


def _closed(unit: RunningUnit, packets: int) -> Counts:
    """Return the unit's counters once its account closes: what came last waits for its turn, what it said comes back to it."""
    for _ in range(CLOSING_LOOKS):
        counts = counters(unit.status())
        if lost(counts, packets) == 0:
            break
        sleep(CLOSES_S)
    return counts


def counters(status: Mapping[str, object]) -> Counts:
    """Return what a unit's status says of packets: its own that were sent and came back, and what became of all others."""
    radio = _integers(section(section(status, "radios"), "udp"))
    return {
        "sent": {"sent": radio.get("sent", 0)},
        "back": {word: count for word, count in _integers(status).items() if word in ("echoes", "copies")},
        "dropped": {word: count for word, count in radio.items() if word.startswith("dropped_")},
        **{member: _integers(section(status, member)) for member in ("verified", "refused", "shed")},
    }


def lost(counts: Counts, packets: int) -> int:
    """Return how many of the packets sent to a unit, and of its own that come back, no counter knows."""
    known = sum(sum(counts[member].values()) for member in ("back", "dropped", "verified", "refused", "shed"))
    return packets + counts["sent"]["sent"] - known


def _integers(document: Mapping[str, object]) -> dict[str, int]:
    return {word: count for word, count in document.items() if type(count) is int}


def _understood(heard: Sequence[Heard], folder: Path) -> list[Said]:
    """Verify everything heard of the unit, as a car does; raises what a car would refuse it for."""
    receiver = make_receiver(trust_store=read_trust_directory(folder / "trust"), areas=NO_IDENTIFIED_AREAS)
    return [(e.at, receiver.indicate(receiver.open(e.packet, Instant(MonotonicNs(e.at), e.at)))) for e in heard]


def _figures(load: Load) -> Iterable[Figure]:
    """Return what one load showed."""
    of, is_once = f"rsu_load.{load.name}", load.name == "once"
    spoken = load.spoken
    what = f"{spoken.packets:,} CAMs of {load.cars} cars in {spoken.seconds:.1f} s ({spoken.left_out:,} more were too late)"
    verified = load.counts["verified"].get("cam", 0)
    none_at_all = (Target(measure=Measure.MEDIAN, bound=0),)
    yield figure_of(
        f"{of}.cams",
        f"{what}, verified and accounted for",
        Unit.PER_SECOND,
        [verified / spoken.seconds],
        limit=("what was asked for", [load.rate_per_s]),
        targets=(Target(measure=Measure.MEDIAN_RATIO, bound=LEAST_VERIFIED),) if is_once else (),
    )
    unknown = abs(lost(load.counts, spoken.on_air))
    yield figure_of(f"{of}.lost", "packets that no counter of the unit knows", Unit.PACKETS, [unknown], targets=none_at_all)
    for member, says, targets in (
        ("dropped", "dropped without a rule", none_at_all),
        ("shed", "shed by rule", ()),
        ("refused", "refused", ()),
    ):
        counts = {word: count for word, count in load.counts[member].items() if count}
        yield figure_of(f"{of}.{member}", f"{says}{_words(counts)}", Unit.PACKETS, [sum(counts.values())], targets=targets)
    yield figure_of(
        f"{of}.warnings",
        f"of {spoken.warnings} DENMs of a car not heard",
        Unit.PACKETS,
        [spoken.warnings - load.counts["verified"].get("denm", 0)],
        targets=none_at_all,
    )
    yield figure_of(
        f"{of}.least_heard",
        f"CAMs verified of the car heard least, for each of the mean of {len(load.heard)} cars",
        Unit.TIMES,
        [min(load.heard, default=0) * len(load.heard) / max(sum(load.heard), 1)],
    )
    yield from _rhythms(load)
    yield figure_of(f"{of}.age", "mean age of a CAM when its turn comes, last third", Unit.MILLISECONDS, [load.mean_age_ms(2)])
    yield figure_of(
        f"{of}.age_growth",
        f"by how much that exceeds the first third's, {load.mean_age_ms(0):.1f} ms",
        Unit.MILLISECONDS,
        [load.age_growth_ms],
        targets=(Target(measure=Measure.MEDIAN, bound=MOST_GROWTH_MS),),
    )
    yield from _costs(load)
    yield figure_of(
        f"{of}.memory",
        f"growth of the unit's {load.accounts[0].resident_octets >> 20} MiB after the first third",
        Unit.MEBIBYTES,
        [max(0.0, load.growth_mib)],
        targets=(Target(measure=Measure.MEDIAN, bound=MOST_GROWTH_MIB),) if spoken.seconds >= LONG_S else (),
    )


def _rhythms(load: Load) -> Iterable[Figure]:
    """Hold lights and warnings against their rhythm."""
    messages = [(at, said.message) for at, said in load.said if not isinstance(said, VerifiedBeacon)]
    own = [(at, message) for at, message in messages if message.station_id == STATION_ID]
    lights = [(at, message) for at, message in own if isinstance(message, Spatem)]
    warnings = [at for at, message in own if isinstance(message, Denm)]
    jitter = _jitter_ms([at for at, _ in lights], DEFAULT_SPATEM_INTERVAL_NS, _changes([spatem for _, spatem in lights]))
    for name, value, bound in (
        ("p50", percentile(jitter, 50), None),
        ("p99", percentile(jitter, 99), MOST_JITTER_MS),
        ("most", max(jitter), None),
    ):
        yield figure_of(
            f"rsu_load.{load.name}.spatem.{name}",
            f"of {len(lights)} lights told ten times a second: off their rhythm",
            Unit.MILLISECONDS,
            [value],
            targets=() if bound is None else (Target(measure=Measure.MEDIAN, bound=bound),),
        )
    yield figure_of(
        f"rsu_load.{load.name}.denm.p99",
        f"of {len(warnings)} warnings, one every {WARNING_EVERY_S:g} s: off their rhythm",
        Unit.MILLISECONDS,
        [percentile(_jitter_ms(warnings, round(WARNING_EVERY_S * NS_PER_S), frozenset()), 99)],
        targets=(Target(measure=Measure.MEDIAN, bound=MOST_JITTER_MS),),
    )


def _costs(load: Load) -> Iterable[Figure]:
    """Say what processor time it took, as a share of a core's second."""
    senders_us = load.spoken.processor_s / load.spoken.packets * 1e6
    bare_us = [1e6 / rate for rate in load.verifications_per_s]
    for name, us in (("unit", load.processor_us), ("senders", senders_us)):
        yield figure_of(
            f"rsu_load.{load.name}.{name}_cam",
            f"processor time of the {name} for each CAM; beside a bare verification",
            Unit.MICROSECONDS,
            [us] * len(bare_us),
            limit=("bare", bare_us),
        )
        yield figure_of(
            f"rsu_load.{load.name}.{name}_core",
            f"the same for {load.rate_per_s:,.0f} CAMs, of the thousand of a core's second",
            Unit.MILLISECONDS,
            [us * load.rate_per_s / _MS_PER_S] * len(bare_us),
            pace=load.verifications_per_s,
        )


def _changes(lights: Sequence[Spatem]) -> frozenset[int]:
    """Return the numbers of those that tell another phase than the one before."""
    phases = [
        [(movement.signal_group, movement.events[0].phase) for each in spatem.intersections for movement in each.movements]
        for spatem in lights
    ]
    return frozenset(number for number in range(1, len(phases)) if phases[number] != phases[number - 1])


def _jitter_ms(times: Sequence[int], interval_ns: int, may_be_early: frozenset[int]) -> list[float]:
    """Return by how much each time from one to the next is off the interval."""
    off_ms = [
        abs(off_ns) / NS_PER_MS
        for number in range(1, len(times))
        if (off_ns := times[number] - times[number - 1] - interval_ns) >= 0 or number not in may_be_early
    ]
    if not off_ms:
        raise TransportError("rsu-agent", "said too little to have a rhythm")
    return off_ms


def _words(counts: Mapping[str, int]) -> str:
    return "".join(f"{', ' if number else ': '}{count:,} {word}" for number, (word, count) in enumerate(sorted(counts.items())))
