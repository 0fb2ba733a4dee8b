"""Whatever a bus says within what fields can hold, at whatever moment, a watch makes records that can be kept, or none."""

from random import Random

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint
from shared.records.odometer import MAX_SOURCES
from vehicle_agent.odometer import OdometerPolicy, OdometerWatch, RecordDue
from vehicle_agent.vehicle_state import FIELDS, FieldKind, FixQuality, SignalUpdate, Value

POLICY = OdometerPolicy(every_m=1_000, every_s=100)
DRIVABLE_M = 2e7


def drawn(rng: Random, field: str) -> Value | None:
    spec = FIELDS[field]
    if rng.random() < 0.05:
        return None
    match spec.kind:
        case FieldKind.QUANTITY:
            return rng.choice([spec.minimum, spec.maximum, rng.uniform(spec.minimum, min(spec.maximum, DRIVABLE_M))])
        case FieldKind.FLAG:
            return rng.random() < 0.5
        case FieldKind.POSITION:
            return GeoPoint(rng.uniform(-90, 90), rng.uniform(-180, 180))
        case FieldKind.FIX:
            return rng.choice(list(FixQuality))
        case _:
            return None


def check(due: RecordDue) -> None:
    assert 1 <= len(due.sources) <= MAX_SOURCES
    assert due.sources[0].odometer_m == due.odometer_m
    assert all(source.odometer_m >= 0 and source.age_ms >= 0 for source in due.sources)
    assert due.missing_permille is None or 0 <= due.missing_permille <= 1_000


@pytest.mark.parametrize("seed", range(6))
def test_nonsense_at_any_moment_ends_in_records_that_can_be_kept(seed: int) -> None:
    rng = Random(seed)
    watch = OdometerWatch(POLICY, rng.choice([None, 0, 10_000_000]))
    now = 10**12
    recorded = 0
    for _ in range(1_500):
        now += round(rng.expovariate(1.0) * NS_PER_S) - rng.choice([0, 0, 0, 2 * NS_PER_S])
        at = MonotonicNs(now)
        field = rng.choice(list(FIELDS)) if rng.random() < 0.5 else "odometer_m"
        watch.take(SignalUpdate(field=field, value=drawn(rng, field), at=at, max_age_ns=rng.choice([0, NS_PER_S, 10**12])))
        due = watch.due(at) if watch.has_reading else watch.poll(at)
        if rng.random() < 0.01:
            due = watch.ignition_off(at)
        if due is not None:
            check(due)
            watch.note_recorded(due)
            recorded += 1
    assert recorded > 0
    OdometerWatch(POLICY, watch.last_recorded_m, watch.factors()).status()
