"""A vehicle's desk for records of others: what it lets in is on disk, counted, and next in the sequence; what not, is nowhere."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import UtcNs
from shared.core.errors import RecordError, StorageError, UntrustedTimeError
from shared.pki.permission_sets import RecordRole
from shared.records.exchange import IssuedRecord, Slot
from shared.records.issuers import IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import BOOT_ID_BYTES
from shared.records.record import Record, sign_token
from shared.records.recorder import Recorder
from shared.service.admission_desk import AdmissionDesk
from shared.service.record_key import EnrolledSigner
from shared.service.rollback_counter import CountedSpool, FileCounter
from tests.helpers.consenting import NOW, TODAY, Owned, enrol, own
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.hierarchy import Hierarchy
from tests.unit.records.test_kinds import fields_of


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Owned]:
    made = own(tmp_path)
    yield made
    made.spool.close()


def desk_of(owned: Owned, recorder: Recorder | None = None) -> AdmissionDesk:
    return AdmissionDesk(recorder=recorder or owned.recorder, shelf=owned.spool, trust=lambda: owned.pki.trust_store)


def signed(slot: Slot, garage: EnrolledSigner, *, occurred: UtcNs = TODAY) -> bytes:
    record = Record(
        kind=RecordKind.MAINTENANCE,
        seq=slot.seq,
        prev=slot.prev,
        occurred=occurred,
        fields=fields_of(RecordKind.MAINTENANCE),
        subject=slot.subject,
    )
    return IssuedRecord(token=sign_token(record, garage, Random(3).randbytes), credential=garage.credential).encode()


def test_a_record_for_the_next_slot_is_let_in_once_and_the_vehicles_own_go_on_behind_it(owned: Owned) -> None:
    desk, garage = desk_of(owned), enrol(owned.pki, RecordRole.GARAGE)
    first = signed(desk.slot(), garage)
    kept = desk.admit(first, NOW)
    assert (kept.record.seq, kept.role) == (3, IssuerRole.GARAGE)
    with pytest.raises(RecordError, match="admitted before"):
        desk.admit(first, NOW)
    owned.read(30)
    assert desk.slot().seq == 5
    assert owned.kinds() == ["odometer"] * 3 + ["maintenance", "odometer"]
    owned.prove()
    assert all(stored.proof is not None for stored in owned.spool.records())


def test_a_slot_is_over_once_the_vehicle_made_a_record_of_its_own(owned: Owned) -> None:
    desk, garage = desk_of(owned), enrol(owned.pki, RecordRole.GARAGE)
    late = signed(desk.slot(), garage)
    owned.read(30)
    with pytest.raises(RecordError, match="record 3 does not follow the last one; number 4 is next"):
        desk.admit(late, NOW)
    assert owned.kinds() == ["odometer"] * 4


def test_a_stranger_is_refused_and_a_vehicle_without_the_date_lets_nobody_in(owned: Owned) -> None:
    desk = desk_of(owned)
    with pytest.raises(RecordError, match="does not lead to a trusted root"):
        desk.admit(signed(desk.slot(), enrol(Hierarchy(78), RecordRole.GARAGE)), NOW)
    with pytest.raises(UntrustedTimeError):
        desk.admit(signed(desk.slot(), enrol(owned.pki, RecordRole.GARAGE)), type(NOW)(NOW.monotonic, None))
    with pytest.raises(RecordError, match="cannot be read"):
        desk.admit(b"not json", NOW)
    assert owned.kinds() == ["odometer"] * 3


def test_what_is_let_in_is_counted_where_records_are(owned: Owned, tmp_path: Path) -> None:
    counter = FileCounter(tmp_path / "count")
    records = CountedSpool(owned.spool, counter)
    recorder = Recorder(signer=owned.car, store=records, entropy=Random(9).randbytes, boot_id=bytes(BOOT_ID_BYTES))
    desk = desk_of(owned, recorder)
    desk.admit(signed(desk.slot(), enrol(owned.pki, RecordRole.GARAGE)), NOW)
    assert counter.read() == 4


@pytest.mark.parametrize("persists", [False, True])
def test_wherever_the_disk_fails_a_record_is_in_once_or_not_at_all(tmp_path: Path, *, persists: bool) -> None:
    faults = Faults()
    owned = own(tmp_path, connect=faults.connect())
    desk, garage = desk_of(owned), enrol(owned.pki, RecordRole.GARAGE)
    for step in range(100):
        before, file = len(owned.kinds()), signed(desk.slot(), garage)
        faults.arm(step, persists=persists)
        try:
            desk.admit(file, NOW)
        except StorageError:
            faults.arm(None, persists=False)
            if len(owned.kinds()) == before:
                desk.admit(file, NOW)
            else:
                with pytest.raises(RecordError, match="admitted before"):
                    desk.admit(file, NOW)
        else:
            faults.arm(None, persists=False)
            assert step > 3
            owned.spool.close()
            return
        assert len(owned.kinds()) == before + 1
    pytest.fail("the table of faults has no end")
