"""A real car's drive as the witnesses of its odometer saw it, with a cluster laid into the log, honest or behind a blocker.

Six files of one drive (43.3 km, 47 minutes): the speed by OBD-II, and a GNSS logger with positions, speed and an odometer of its
own. The car's cluster is not on that bus. So a frame of a cluster is laid into the log once a second, in steps of 100 m or of a
kilometre, which counts what the GNSS logger's odometer counted, guarded by a counter and a checksum as the simulator's car does it.
Everything is decoded by a signal map, as an agent would. For longer ways the drive is driven twice.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.records.odometer import OdometerFlag, Verdict
from shared.transport.can_frame import CanFrame
from shared.transport.can_log import CanLog
from simulator.adversaries.mileage_blocker import MileageBlocker, Shown
from tests.helpers.data import data_file
from vehicle_agent.odometer import OdometerPolicy, OdometerWatch, RecordDue
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.checksums import crc8_j1850
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map
from vehicle_agent.vehicle_memory import KnownFactor
from vehicle_agent.vehicle_state import SignalUpdate

CAR_LOGS = tuple(f"can/css/car-obd2-gnssodo-2021-00000165-{part}.log.gz" for part in range(1, 7))

CLUSTER_ID = 0x6B2
CLUSTER_PERIOD_NS = NS_PER_S
CLUSTER_STARTS_AT_M = 83_456_700.0
"""An odometer of 83,456.7 km before the drive."""

PAUSE_NS = 60 * NS_PER_S
"""Between the end of a drive and its beginning again."""

OBD_FIELDS = frozenset({"obd_speed_mps"})
GNSS_FIELDS = frozenset({"position", "position_accuracy_m", "gnss_speed_mps"})
COUNT_FIELDS = frozenset({"gnss_odometer_m"})
ALL_FIELDS = OBD_FIELDS | GNSS_FIELDS

DBC = """\
VERSION ""
BO_ 3 gnss_pos: 8 Logger
 SG_ PositionAccuracy : 58|6@1+ (1,0) [0|63] "m" Car
 SG_ PositionValid : 0|1@1+ (1,0) [0|1] "" Car
 SG_ Latitude : 1|28@1+ (1E-006,-90) [-90|90] "deg" Car
 SG_ Longitude : 29|29@1+ (1E-006,-180) [-180|180] "deg" Car
BO_ 6 gnss_odo: 8 Logger
 SG_ DistanceTrip : 1|22@1+ (1,0) [0|4194303] "m" Car
BO_ 7 gnss_speed: 5 Logger
 SG_ Speed : 1|20@1+ (0.001,0) [0|1048.575] "m/s" Car
BO_ 2024 obd_answer: 8 Engine
 SG_ pid M : 16|8@1+ (1,0) [0|255] "" Car
 SG_ speed m13 : 24|8@1+ (1,0) [0|255] "km/h" Car
BO_ 1714 cluster: 6 Cluster
 SG_ TOTAL_DISTANCE : 0|32@1+ (0.1,0) [0|429496729] "km" Car
 SG_ COUNTER : 32|4@1+ (1,0) [0|15] "" Car
 SG_ CHECKSUM : 40|8@1+ (1,0) [0|255] "" Car
"""
"""The logger's frames by its DBC file, the answers of OBD-II PID 0D, and the cluster that is laid into the log."""

MAP = """\
name = "a car with a GNSS logger"
dbc = "car.dbc"

[fields.position]
latitude = "gnss_pos.Latitude"
longitude = "gnss_pos.Longitude"
unit = "deg"
only_if = { PositionValid = 1 }
max_age_ms = 2500

[fields.position_accuracy_m]
signal = "gnss_pos.PositionAccuracy"
unit = "m"
max_age_ms = 2500

[fields.gnss_odometer_m]
signal = "gnss_odo.DistanceTrip"
unit = "m"
max_age_ms = 2500

[fields.gnss_speed_mps]
signal = "gnss_speed.Speed"
unit = "m/s"
max_age_ms = 2500

[fields.obd_speed_mps]
signal = "obd_answer.speed"
unit = "km/h"
max_age_ms = 1500

[fields.odometer_m]
signal = "cluster.TOTAL_DISTANCE"
unit = "km"
max_age_ms = 3000

[messages.cluster]
checksum = { rule = "crc8_j1850", signal = "CHECKSUM" }
counter = { signal = "COUNTER" }
"""

News = tuple[MonotonicNs, tuple[SignalUpdate, ...]]


@cache
def signal_map() -> SignalMap:
    """Return the map of the drive."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "car.dbc").write_text(DBC)
        (Path(folder) / "map.toml").write_text(MAP)
        return load_signal_map(Path(folder) / "map.toml")


@cache
def recorded() -> tuple[News, ...]:
    """Return what the log says, decoded; skips the test where it is absent."""
    can_input = CanInput(signal_map())
    news = []
    for part in CAR_LOGS:
        for frame in CanLog(data_file(part)).frames():
            updates = can_input.on_frame(frame)
            if updates:
                news.append((frame.received, updates))
    return tuple(news)


@dataclass(frozen=True, slots=True)
class Truth:
    """How far the car had gone by the GNSS logger's odometer, at the moments it said so."""

    at: tuple[MonotonicNs, ...]
    metres: tuple[float, ...]

    def metres_at(self, at: int) -> float:
        """Return how far it had gone, with a straight line between two moments."""
        after = bisect_left(self.at, at)
        if after == 0:
            return self.metres[0]
        if after == len(self.at):
            return self.metres[-1]
        before = after - 1
        share = (at - self.at[before]) / (self.at[after] - self.at[before])
        return self.metres[before] + share * (self.metres[after] - self.metres[before])


@cache
def drive(rounds: int) -> tuple[tuple[News, ...], Truth]:
    """Return the drive, made `rounds` times in a row, and how far it went; the logger's odometer counts on."""
    news: list[News] = []
    once = recorded()
    began, ended = once[0][0], once[-1][0]
    base_m = 0.0
    moments: list[MonotonicNs] = []
    metres: list[float] = []
    for number in range(rounds):
        later = number * (ended - began + PAUSE_NS)
        last_m = base_m
        for at, updates in once:
            moved = tuple(_moved(update, later, base_m) for update in updates)
            news.append((MonotonicNs(at + later), moved))
            for update in moved:
                if update.field == "gnss_odometer_m":
                    assert isinstance(update.value, float)
                    moments.append(update.at)
                    metres.append(update.value)
                    last_m = update.value
        base_m = last_m
    return tuple(news), Truth(tuple(moments), tuple(metres))


def _moved(update: SignalUpdate, later_ns: int, base_m: float) -> SignalUpdate:
    value = update.value
    if update.field == "gnss_odometer_m":
        assert isinstance(value, float)
        value += base_m
    return replace(update, at=MonotonicNs(update.at + later_ns), value=value)


def cluster_frames(truth: Truth, began: int, ended: int, *, step_m: float) -> Iterator[CanFrame]:
    """Yield what an honest cluster would send once a second."""
    for counter, at in enumerate(range(began, ended, CLUSTER_PERIOD_NS)):
        metres = (CLUSTER_STARTS_AT_M + truth.metres_at(at)) // step_m * step_m
        body = round(metres / 100).to_bytes(4, "little") + bytes((counter % 16,))
        yield CanFrame(CLUSTER_ID, False, body + bytes((crc8_j1850(body),)), "can0", MonotonicNs(at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A record that was made on the way.

    Attributes:
        due: the record.
        driven_m: how far the car had gone by then.
    """

    due: RecordDue
    driven_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What came of a drive: the records that were made, and the watch at its end."""

    told: tuple[Told, ...]
    watch: OdometerWatch

    def first(self, flag: OdometerFlag) -> Told | None:
        """Return the first record with a flag."""
        return next((told for told in self.told if flag in told.due.flags), None)

    @property
    def flags(self) -> set[OdometerFlag]:
        """Everything that was told."""
        return {flag for told in self.told for flag in told.due.flags}

    @property
    def verdict(self) -> Verdict:
        """The verdict at the end."""
        return self.watch.judgement.verdict


def watch_drive(
    shown: Shown | None,
    *,
    step_m: float = 100.0,
    fields: frozenset[str] = ALL_FIELDS,
    rounds: int = 1,
    factors: tuple[KnownFactor, ...] = (),
    until: OdometerFlag | None = None,
) -> Watched:
    """Drive, and let the odometer be watched; every record that is due is kept.

    Args:
        shown: what a blocker makes of the odometer; None for none.
        step_m: what the cluster counts in.
        fields: what is heard beside the cluster.
        rounds: how often the drive is made.
        factors: what is remembered from before.
        until: the flag at which the drive may end.
    """
    news, truth = drive(rounds)
    began, ended = news[0][0], news[-1][0]
    can_input = CanInput(signal_map())
    blocker = None if shown is None else MileageBlocker(signal_map(), shown)
    frames = cluster_frames(truth, began, ended, step_m=step_m)
    behind = (frame if blocker is None else blocker.pass_on(frame) for frame in frames)
    cluster: Iterable[News] = ((frame.received, can_input.on_frame(frame)) for frame in behind)
    watch = OdometerWatch(OdometerPolicy(every_m=10_000, every_s=86_400), None, factors)
    told = []
    for at, updates in merge(news, cluster, key=lambda each: each[0]):
        for update in updates:
            if update.field in fields or update.field == "odometer_m":
                watch.take(update)
        is_cluster = updates != () and updates[0].field == "odometer_m"
        due = watch.due(at) if watch.has_reading else watch.poll(at) if is_cluster else None
        if due is not None:
            watch.note_recorded(due)
            told.append(Told(due=due, driven_m=truth.metres_at(at)))
            if until in due.flags:
                break
    return Watched(told=tuple(told), watch=watch)
