"""The odometer of one vehicle and its witnesses: news about the car in, readings that are to be recorded out.

Everything arrives as `SignalUpdate`s, several hundred a second, most of them about nothing that matters here. What a witness saw is
added up at once; judged is once a second and at each reading. Of several odometers the cluster's is recorded, another where the
car's cluster says nothing; which one, is settled for a start of the program.
"""

from collections.abc import Callable, Mapping
from typing import Any

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint
from shared.records.odometer import MAX_SOURCES, OdometerFlag, OdometerSource, RecordReason
from vehicle_agent.odometer.calibration import Calibration
from vehicle_agent.odometer.comparison import Comparison
from vehicle_agent.odometer.distance import Counted, Distance, PathLength, SpeedIntegral
from vehicle_agent.odometer.frame_watch import FrameWatch
from vehicle_agent.odometer.judgement import NOT_JUDGED, Judgement, judge
from vehicle_agent.odometer.motion import Motion
from vehicle_agent.odometer.policy import OdometerPolicy, RecordDue, RecordPolicy
from vehicle_agent.odometer.readings import CONFIRMING_READINGS, Awaited, Believed, Need, Readings
from vehicle_agent.odometer.witnesses import BESIDE_THE_BUS, COUNTERS, OUTSIDE, OWN_INTEGRALS, Witness
from vehicle_agent.vehicle_memory import KnownFactor
from vehicle_agent.vehicle_state import FixQuality, SignalUpdate

SETTLE_NS = 20 * NS_PER_S
"""How long an odometer waits for a better one to speak up before it is the one that is recorded."""

CURRENT_WITHIN_NS = 5 * NS_PER_S
"""An odometer that sends by itself is current for so long; one that is asked, for as long as its answer lives."""

NO_FIX = frozenset({FixQuality.NONE, FixQuality.ESTIMATED})
"""Positions that are none, or reckoned from the very speed they would have to confirm."""

Take = Callable[[Any, MonotonicNs, int], None]


class OdometerWatch:
    """Watches the odometer of one vehicle.

    Args:
        policy: when to record.
        last_recorded_m: the last odometer value this vehicle ever recorded, from the spool; None for a new vehicle.
        factors: what is remembered of its witnesses.
    """

    def __init__(self, policy: OdometerPolicy, last_recorded_m: int | None, factors: tuple[KnownFactor, ...] = ()) -> None:
        known_m = None if last_recorded_m is None else float(last_recorded_m)
        self._records = RecordPolicy(policy, last_recorded_m)
        self._believe_after_s = policy.believe_after_s
        self._motion = Motion()
        self._frames = FrameWatch()
        self._known = {factor.source: factor for factor in factors}
        self._readings = {witness: Readings(known_m, believe_after_s=policy.believe_after_s) for witness in COUNTERS.values()}
        driven = self._motion.was_driven
        self._path = PathLength(driven)
        self._gnss_count = Counted(driven)
        self._speeds = {
            Witness.WHEELS: SpeedIntegral(),
            Witness.OBD_SPEED: SpeedIntegral(),
            Witness.GNSS_SPEED: SpeedIntegral(driven),
        }
        self._counted = {witness: Counted() for witness in COUNTERS.values()}
        self._seen: Mapping[Witness, Distance] = {
            **self._counted,
            **self._speeds,
            Witness.GNSS: self._path,
            Witness.GNSS_ODOMETER: self._gnss_count,
        }
        self._comparisons: dict[Witness, Comparison] = {}
        self._recorded: Witness | None = None
        self._first_heard_at: MonotonicNs | None = None
        self._current_until = MonotonicNs(0)
        self._fix: FixQuality | None = None
        self._accuracy_m: float | None = None
        self._is_other_vehicle = False
        self._judgement = NOT_JUDGED
        self._judged_at = MonotonicNs(0)
        self._ready: list[Believed] = []
        self._ended: set[OdometerFlag] = set()
        self.has_learnt = False
        """Whether something is to be remembered that was not before; whoever keeps it puts it back."""
        self._takes: Mapping[str, Take] = {
            **{field: self._counter(witness) for field, witness in COUNTERS.items()},
            "speed_mps": self._take_wheels,
            "obd_speed_mps": self._take_obd_speed,
            "gnss_speed_mps": self._take_gnss_speed,
            "gnss_odometer_m": self._take_gnss_count,
            "fix_quality": self._take_fix,
            "position_accuracy_m": self._take_accuracy,
            "position": self._take_position,
            "gas_pedal_pressed": self._take_accelerator,
        }

    @property
    def last_recorded_m(self) -> int | None:
        """The last recorded value in metres."""
        return self._records.last_recorded_m

    @property
    def judgement(self) -> Judgement:
        """What the witnesses say now."""
        return self._judgement

    @property
    def has_reading(self) -> bool:
        """Whether a reading has come that `due` is to look at."""
        return bool(self._ready)

    def take(self, update: SignalUpdate) -> None:
        """Take a piece of news about the car."""
        field = update.field
        if field not in BESIDE_THE_BUS:
            self._motion.hear(update.at)
        take = self._takes.get(field)
        if take is None:
            return
        if update.value is None:
            self._lost(field)
        else:
            take(update.value, update.at, update.max_age_ns)

    def due(self, now: MonotonicNs) -> RecordDue | None:
        """Judge, and return a record that is due."""
        ready, self._ready = self._ready, []
        for believed in ready:
            self._judge(now)
            self._records.notice(believed.flags)
            reason = self._records.reason(believed)
            if reason is not None:
                # What follows is asked for again by the next reading.
                return self._record(believed, reason, now)
        return None

    def poll(self, now: MonotonicNs) -> RecordDue | None:
        """Judge, and return a record of something odd that no reading brings up: readings that do not come, above all."""
        self._judge(now)
        believed = self._believed()
        if believed is None or not self._records.is_awake or self._records.reason(believed) is not RecordReason.FLAG:
            return None
        return self._record(believed, RecordReason.FLAG, now)

    def inspect(self, now: MonotonicNs) -> RecordDue | None:
        """Return a record of the reading there is, however old (`stale_since`); None where there is none to be believed."""
        self._judge(now)
        believed = self._believed()
        return None if believed is None else self._record(believed, RecordReason.INSPECTION, now)

    def stale_since(self, now: MonotonicNs) -> MonotonicNs | None:
        """Return when the last reading was taken, where the odometer has not been heard since as it should; None where it has."""
        recorded, believed = self._recorded, self._believed()
        if recorded is None or believed is None or self._is_current(recorded, now):
            return None
        return believed.at

    def ignition_off(self, now: MonotonicNs) -> RecordDue | None:
        """The vehicle goes to sleep: record the last believed reading, if one was recorded since it woke up."""
        believed = self._believed()
        due = None
        if believed is not None and self._records.is_awake:
            self._judge(now)
            due = self._record(believed, RecordReason.IGNITION_OFF, now)
        for readings in self._readings.values():
            readings.sleep()
        self._records.sleep()
        self._frames.sleep()
        self._ready.clear()
        self.has_learnt = True
        return due

    def switched(self, *, is_off: bool) -> None:
        """The ignition is known to be off, or not to be."""
        self._motion.is_off = is_off

    def other_vehicle(self, *, is_other: bool) -> None:
        """The vehicle says to be another than the one its records are of, or that one again."""
        self._is_other_vehicle = is_other

    def unknown_part(self) -> None:
        """A control unit answered that was never introduced: the next record says so."""
        self._records.notice((OdometerFlag.UNKNOWN_PART,))

    def note_recorded(self, due: RecordDue) -> None:
        """Take note that `due` is safely in the spool; until then it is asked for again."""
        self._records.note_recorded(due)

    def take_ended(self) -> tuple[OdometerFlag, ...]:
        """Return, once, what had been told as odd and has ended."""
        ended = tuple(flag for flag in OdometerFlag if flag in self._ended)
        self._ended.clear()
        return ended

    def waiting(self) -> dict[str, object] | None:
        """Return, as JSON values, which reading is heard and not believed yet, and what it waits for; None where none is."""
        for witness in COUNTERS.values() if self._recorded is None else (self._recorded,):
            readings = self._readings[witness]
            awaited, believed = readings.awaited, readings.believed
            if awaited is None and believed is not None and self._recorded is None:
                awaited = Awaited(
                    believed.odometer_m, CONFIRMING_READINGS, believed.at - (self._first_heard_at or believed.at), Need.BETTER
                )
            if awaited is not None:
                return {
                    "odometer": witness.value,
                    "odometer_m": round(awaited.odometer_m),
                    "readings": awaited.count,
                    "heard_s": round(awaited.for_ns / NS_PER_S, 1),
                    "waits_for": awaited.need.value,
                    "believed_after_s": self._believe_after_s if awaited.need is Need.COUNTING else None,
                }
        return None

    def factors(self) -> tuple[KnownFactor, ...]:
        """Return what is to be remembered of the witnesses."""
        heard = {c.calibration.source: c.calibration.kept(c.short_m, c.share) for c in self._comparisons.values()}
        return tuple({**self._known, **heard}.values())

    def status(self) -> dict[str, object]:
        """Return what each witness says, as JSON values."""
        return {
            "verdict": self._judgement.verdict.value,
            "missing_permille": self._judgement.missing_permille,
            "lasting_flags": sorted(flag.value for flag in self._judgement.flags),
            "carried_m": round(max(self._seen[witness].carried_m for witness in OUTSIDE)),
            "witnesses": {
                witness.value: {
                    "odometer_m": None if (expected := self._says(witness)) is None else round(expected),
                    "sees": comparison.seen.sees(self._judged_at),
                    "factor": round(comparison.calibration.factor, 5),
                    "factor_settled": comparison.calibration.is_settled,
                    "judged_m": round(comparison.judged_m),
                    "short_m": round(comparison.short_m),
                }
                for witness, comparison in self._comparisons.items()
            },
        }

    def _counter(self, witness: Witness) -> Take:
        readings, counted = self._readings[witness], self._counted[witness]

        def take(odometer_m: float, at: MonotonicNs, max_age_ns: int) -> None:
            odometer_m = float(round(odometer_m))  # as records state it: what was recorded last is what the next is compared with
            if witness is Witness.CLUSTER:
                self._frames.take(odometer_m, at)
            if self._motion.is_off:
                return
            others = tuple(
                other.last_said_m for name, other in self._readings.items() if name is not witness and other.last_said_m is not None
            )
            believed = readings.take(odometer_m, at, others)
            if not believed:
                return
            counted.take(odometer_m, at)
            if self._is_recorded(witness, at):
                is_asked = witness in (Witness.OBD, Witness.UDS)
                self._current_until = MonotonicNs(at + (max_age_ns if is_asked else CURRENT_WITHIN_NS))
                for each in believed:
                    self._compare(each)
                self._ready += believed
            else:
                self._compared(witness)

        return take

    def _is_recorded(self, witness: Witness, at: MonotonicNs) -> bool:
        """Whether this is the odometer that is recorded; settled once, in favour of the first in `COUNTERS` that speaks."""
        if self._recorded is not None:
            return witness is self._recorded
        if self._first_heard_at is None:
            self._first_heard_at = at
        if witness is not Witness.CLUSTER and at - self._first_heard_at < SETTLE_NS:
            return False
        self._recorded = witness
        self._comparisons.pop(witness, None)
        return True

    def _compare(self, believed: Believed) -> None:
        """Hold every witness to a reading of the odometer that is recorded."""
        recorded = self._recorded
        assert recorded is not None
        is_odd = bool(believed.flags)
        may_learn = not self._judgement.flags and not any(c.is_doubtful for c in self._comparisons.values())
        was_frozen = OdometerFlag.FROZEN_WHILE_MOVING in self._judgement.flags
        for comparison in self._comparisons.values():
            if is_odd:
                comparison.begin(believed.odometer_m)
            elif comparison.take(
                believed.odometer_m,
                step_m=self._readings[recorded].step_m,
                sees=comparison.seen.sees(believed.at),
                may_learn=may_learn,
                was_frozen=was_frozen,
            ):
                self.has_learnt = True

    def _compared(self, witness: Witness) -> None:
        """Hold a witness to the odometer from now on, if that is not done yet."""
        if witness in self._comparisons or witness is self._recorded:
            return
        name = witness.value
        known = self._known.get(name)
        calibration = Calibration(name, known, learns=witness in OWN_INTEGRALS)
        comparison = Comparison(self._seen[witness], calibration, known)
        self._comparisons[witness] = comparison
        believed = self._believed()
        if believed is not None:
            comparison.begin(believed.odometer_m)

    def _judge(self, now: MonotonicNs) -> None:
        self._judged_at = now
        recorded, believed = self._recorded, self._believed()
        if recorded is None or believed is None:
            return  # what is odd lasts over a sleep
        others = (readings.believed for witness, readings in self._readings.items() if witness is not recorded)
        judgement = judge(
            self._comparisons,
            now=now,
            step_m=self._readings[recorded].step_m,
            is_current=self._is_current(recorded, now),
            odometer_m=believed.odometer_m,
            others_m=[other.odometer_m for other in others if other is not None],
        )
        flags = set(judgement.flags)
        if not self._motion.is_off:
            if self._motion.drives_without_bus(self._driven_without_bus_m, now):
                flags.add(OdometerFlag.BUS_SILENT_WHILE_MOVING)
            heard_at = self._motion.heard_at
            if heard_at is not None and not self._motion.is_silent(now):
                flags |= self._frames.flags(awake_since=self._motion.awake_since, heard_at=heard_at)
        if self._is_other_vehicle:
            flags.add(OdometerFlag.OTHER_VEHICLE)
        self._judgement = Judgement(judgement.verdict, frozenset(flags), judgement.missing_permille)
        ended = self._records.last(self._judgement.flags)
        if ended:
            self._ended |= ended
            self.has_learnt = True

    def _is_current(self, recorded: Witness, now: MonotonicNs) -> bool:
        """Whether an odometer that stands still says something by it; a cluster that sends on change says it by its silence."""
        if self._motion.is_off:
            return False
        if recorded is Witness.CLUSTER and self._frames.period_ns is None and not self._motion.is_silent(now):
            return True
        return now <= self._current_until

    def _driven_without_bus_m(self) -> float:
        """The most any witness beside the bus has seen the vehicle drive."""
        return max(self._seen[witness].metres for witness in (*OUTSIDE, Witness.OBD_SPEED))

    def _believed(self) -> Believed | None:
        return None if self._recorded is None else self._readings[self._recorded].believed

    def _record(self, believed: Believed, reason: RecordReason, now: MonotonicNs) -> RecordDue:
        recorded = self._recorded
        assert recorded is not None
        odometer_m = round(believed.odometer_m)
        sources = [_source(recorded, odometer_m, believed.at, now)]
        for witness, comparison in self._comparisons.items():
            said_m, at = self._says(witness), comparison.seen.at
            if said_m is not None and at is not None and said_m >= 0 and len(sources) < MAX_SOURCES:
                sources.append(_source(witness, round(said_m), at, now))
        return RecordDue(
            odometer_m=odometer_m,
            read_at=believed.at,
            reason=reason,
            flags=self._records.flags,
            sources=tuple(sources),
            verdict=self._judgement.verdict,
            missing_permille=self._judgement.missing_permille,
        )

    def _says(self, witness: Witness) -> float | None:
        """Return what the odometer is by a witness, metres; None where it says nothing."""
        readings = self._readings.get(witness)
        if readings is not None:
            return None if readings.believed is None else readings.believed.odometer_m
        return self._comparisons[witness].expected_m()

    def _take_wheels(self, speed_mps: float, at: MonotonicNs, max_age_ns: int) -> None:
        self._motion.roll(speed_mps, at)
        self._speeds[Witness.WHEELS].take(speed_mps, at, max_age_ns)
        self._compared(Witness.WHEELS)

    def _take_obd_speed(self, speed_mps: float, at: MonotonicNs, max_age_ns: int) -> None:
        self._motion.answer(speed_mps, at)
        self._speeds[Witness.OBD_SPEED].take(speed_mps, at, max_age_ns)
        self._compared(Witness.OBD_SPEED)

    def _take_gnss_speed(self, speed_mps: float, at: MonotonicNs, max_age_ns: int) -> None:
        if self._fix in NO_FIX:
            self._speeds[Witness.GNSS_SPEED].lose()
            return
        self._speeds[Witness.GNSS_SPEED].take(speed_mps, at, max_age_ns)
        self._compared(Witness.GNSS_SPEED)

    def _take_gnss_count(self, count_m: float, at: MonotonicNs, _max_age_ns: int) -> None:
        self._gnss_count.take(count_m, at)
        self._compared(Witness.GNSS_ODOMETER)

    def _take_fix(self, quality: FixQuality, _at: MonotonicNs, _max_age_ns: int) -> None:
        self._fix = quality

    def _take_accuracy(self, accuracy_m: float, _at: MonotonicNs, _max_age_ns: int) -> None:
        self._accuracy_m = accuracy_m

    def _take_position(self, place: GeoPoint, at: MonotonicNs, max_age_ns: int) -> None:
        if self._fix in NO_FIX:
            self._path.lose()
            return
        self._path.take(place, self._accuracy_m, at, max_age_ns)
        self._compared(Witness.GNSS)

    def _take_accelerator(self, is_pressed: bool, at: MonotonicNs, _max_age_ns: int) -> None:  # noqa: FBT001
        if is_pressed:
            self._motion.accelerate(at)

    def _lost(self, field: str) -> None:
        """The car says itself that it does not know."""
        match field:
            case "speed_mps":
                self._speeds[Witness.WHEELS].lose()
            case "obd_speed_mps":
                self._speeds[Witness.OBD_SPEED].lose()
            case "gnss_speed_mps":
                self._speeds[Witness.GNSS_SPEED].lose()
            case "position":
                self._path.lose()
            case "fix_quality":
                self._fix = None
            case "position_accuracy_m":
                self._accuracy_m = None
            case _:
                pass


def _source(witness: Witness, odometer_m: int, at: MonotonicNs, now: MonotonicNs) -> OdometerSource:
    return OdometerSource(name=witness.value, odometer_m=odometer_m, age_ms=max(0, now - at) // NS_PER_MS)
