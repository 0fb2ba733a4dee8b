"""A counter in a real TPM (swtpm): counts up, survives resets, starts where the TPM lets it, and is nobody else's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.errors import ConfigError, StorageError
from shared.records.odometer import CounterKind, counter_of
from shared.service.rollback_counter import CountedSpool, Restored, open_counter, open_log_counter
from shared.service.spool import open_spool
from tests.helpers.recording import record
from tests.helpers.tokens import SoftTpm, require_tpm_binding, soft_tpm

INDEX, LAST_INDEX = 0x0180_0100, 0x01BF_FFFE


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[SoftTpm]:
    with soft_tpm(tmp_path / "tpm") as running:
        yield running


def uri(tpm: SoftTpm, index: int = INDEX) -> str:
    return f"tpm:nv=0x{index:08x}?tcti={tpm.tcti}"


def test_a_counter_in_a_tpm_counts_up_only_and_survives_a_reset(tpm: SoftTpm, tmp_path: Path) -> None:
    counter = open_counter(uri(tpm), tmp_path)
    assert counter.read() == 0
    for value, expected in ((41, 41), (42, 42), (40, 42), (45, 45)):
        counter.advance_to(value)
        assert counter.read() == expected
    tpm.reset()
    assert open_counter(uri(tpm), tmp_path).read() == 45


def test_a_second_counter_starts_at_its_own_value_whatever_the_tpm_has_counted(tpm: SoftTpm, tmp_path: Path) -> None:
    first, second = open_counter(uri(tpm), tmp_path), open_counter(uri(tpm, INDEX + 2), tmp_path)
    for value in range(1, 9):
        first.advance_to(value)
    second.advance_to(1)
    second.advance_to(3)
    assert (first.read(), second.read()) == (8, 3)


def test_the_entries_of_a_log_are_counted_two_indexes_above_its_records(tpm: SoftTpm, tmp_path: Path) -> None:
    open_counter(uri(tpm), tmp_path).advance_to(8)
    open_log_counter(uri(tpm), tmp_path).advance_to(3)
    assert (open_counter(uri(tpm), tmp_path).read(), open_counter(uri(tpm, INDEX + 2), tmp_path).read()) == (8, 3)
    with pytest.raises(ConfigError, match="names a counter, this does not"):
        open_log_counter(uri(tpm, LAST_INDEX), tmp_path)


def test_records_say_what_the_tpm_itself_shows_so_a_counter_made_anew_cannot_pass_for_the_old_one(
    tpm: SoftTpm, tmp_path: Path
) -> None:
    from shared.service.tpm_counter import _CounterConnection

    spool = open_spool(tmp_path / "spool.db")
    counted = CountedSpool(spool, open_counter(uri(tpm), tmp_path))
    told = [counter_of(record(counted).record.fields) for _ in range(4)]
    assert told[0] is None, "a counter is put in use by the first record, which cannot know yet where the TPM lets it start"
    shown = [each.value for each in told if each is not None]
    assert {each.kind for each in told if each is not None} == {CounterKind.TPM}
    assert shown == [shown[0], shown[0] + 1, shown[0] + 2]
    with _CounterConnection(tpm.tcti, "owner", INDEX) as owner:
        for index in (INDEX, INDEX + 1):
            owner._esys.nv_undefine_space(owner._handle(index))
    anew = CountedSpool(spool, open_counter(uri(tpm), tmp_path))
    after = counter_of(record(anew).record.fields)
    assert after is not None
    assert after.value > shown[-1] + 1, "as many steps as records would look as if nothing had happened"
    spool.close()


def test_a_step_that_no_record_explains_is_refused(tpm: SoftTpm, tmp_path: Path) -> None:
    counter = open_counter(uri(tpm), tmp_path)
    counter.advance_to(1)
    with pytest.raises(StorageError, match="more than between any two records"):
        counter.advance_to(100_000)
    assert counter.read() == 1


def test_a_counter_whose_base_was_not_written_is_put_in_use_again(tpm: SoftTpm, tmp_path: Path) -> None:
    from shared.service.tpm_counter import _COUNTER, _CounterConnection

    with _CounterConnection(tpm.tcti, "half made", INDEX) as half:
        half._define(INDEX, _COUNTER)
    counter = open_counter(uri(tpm), tmp_path)
    assert counter.read() == 0
    counter.advance_to(7)
    assert counter.read() == 7


def test_an_index_of_somebody_else_is_left_alone(tpm: SoftTpm, tmp_path: Path) -> None:
    from shared.service.tpm_counter import _BASE, _CounterConnection

    with _CounterConnection(tpm.tcti, "foreign", INDEX) as other:
        other._define(INDEX, _BASE)
    with pytest.raises(StorageError, match=r"NV index 0x01800100 of the TPM is somebody else's"):
        open_counter(uri(tpm), tmp_path).read()


def test_a_tpm_that_went_away_is_an_error_of_storage(tpm: SoftTpm, tmp_path: Path) -> None:
    counter = open_counter(uri(tpm), tmp_path)
    counter.advance_to(1)
    tpm.process.kill()
    tpm.process.wait(60)
    with pytest.raises(StorageError, match=r"the counter cannot be used: .*no TPM answers"):
        counter.advance_to(2)


@pytest.mark.parametrize("location", ["", "nv=1", "nv=0x01c00000", "nv=0x01bfffff", "nv=0x81000001", "nv=0x0180 0100"])
def test_what_names_no_index_of_the_owner_is_refused(tmp_path: Path, location: str) -> None:
    require_tpm_binding()
    with pytest.raises(ConfigError, match="names a counter, this does not"):
        open_counter(f"tpm:{location}", tmp_path)


def test_a_disk_put_back_beside_a_tpm_is_noticed(tpm: SoftTpm, tmp_path: Path) -> None:
    counter = open_counter(uri(tpm), tmp_path)
    (tmp_path / "disk").mkdir()
    spool = open_spool(tmp_path / "disk/spool.db")
    counted = CountedSpool(spool, counter)
    record(counted)
    spool.close()
    image = (tmp_path / "disk/spool.db").read_bytes()
    spool = open_spool(tmp_path / "disk/spool.db")
    record(CountedSpool(spool, counter))
    spool.close()
    for file in (tmp_path / "disk").iterdir():
        file.unlink()
    (tmp_path / "disk/spool.db").write_bytes(image)
    spool = open_spool(tmp_path / "disk/spool.db")
    counted = CountedSpool(spool, counter)
    assert counted.notice == Restored(found=1, counted=2)
    assert record(counted).record.seq == 2
    spool.close()
