"""Makes one odometer record of a vehicle in any store of records."""

from shared.core.clock import ManualClock, UtcNs
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.record import SignedRecord
from shared.records.recorder import Recorder, RecordStore, uncounted
from shared.service.rollback_counter import CountedSpool
from tests.helpers.ledger import Vehicle, seeded_entropy

VEHICLE = Vehicle()


def record(store: RecordStore, odometer_m: int = 1000, *, seed: int = 1) -> SignedRecord:
    """Record a reading in metres; raises as the store does."""
    counts = store.count_of if isinstance(store, CountedSpool) else uncounted
    recorder = Recorder(signer=VEHICLE, store=store, entropy=seeded_entropy(seed), boot_id=bytes(16), count_of=counts)
    source = OdometerSource(name="cluster", odometer_m=odometer_m, age_ms=0)
    at = ManualClock(UtcNs(1_700_000_000_000_000_000)).now()
    return recorder.record_reading(odometer_m=odometer_m, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)
