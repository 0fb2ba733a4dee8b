import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs, TimeSource, UtcNs
from shared.core.errors import StorageError, UntrustedTimeError
from shared.service.system_clock import (
    GNSS_HOLDOVER_NS,
    RELEASE_UTC,
    START_ID_BYTES,
    SYNCHRONISED_RECHECK_NS,
    KernelTime,
    LinuxTime,
    SystemClock,
    boot_id,
    start_id,
)

TRUE_UTC = UtcNs(RELEASE_UTC + 1_000 * NS_PER_S)
UPTIME_NS = MonotonicNs(5)


@dataclass
class BoardTime:
    """The clocks of a board whose battery, network and uptime the test decides."""

    monotonic: MonotonicNs = UPTIME_NS
    realtime: UtcNs = TRUE_UTC
    synchronised: bool = True
    asked: int = 0

    def monotonic_ns(self) -> MonotonicNs:
        return self.monotonic

    def realtime_ns(self) -> UtcNs:
        return self.realtime

    def is_synchronised(self) -> bool:
        self.asked += 1
        return self.synchronised

    def pass_ns(self, elapsed_ns: int) -> None:
        self.monotonic = MonotonicNs(self.monotonic + elapsed_ns)
        self.realtime = UtcNs(self.realtime + elapsed_ns)


def test_an_assumed_clock_is_handed_out_as_it_is() -> None:
    now = SystemClock(TimeSource.ASSUME_TRUSTED, kernel=BoardTime(synchronised=False)).now()
    assert (now.monotonic, now.utc) == (5, TRUE_UTC)


@pytest.mark.parametrize("source", [TimeSource.ASSUME_TRUSTED, TimeSource.SYNCHRONISED])
@pytest.mark.parametrize("realtime", [UtcNs(0), UtcNs(RELEASE_UTC - 1)])
def test_a_clock_that_is_not_set_is_never_trusted(source: TimeSource, realtime: UtcNs) -> None:
    now = SystemClock(source, kernel=BoardTime(realtime=realtime)).now()
    assert now.utc is None
    with pytest.raises(UntrustedTimeError):
        now.require_utc()


def test_a_synchronised_clock_is_trusted_only_while_the_kernel_says_so() -> None:
    board = BoardTime(synchronised=False)
    clock = SystemClock(TimeSource.SYNCHRONISED, kernel=board)
    assert clock.now().utc is None
    board.synchronised = True
    board.pass_ns(SYNCHRONISED_RECHECK_NS)
    assert clock.now().utc == board.realtime
    board.synchronised = False
    board.pass_ns(SYNCHRONISED_RECHECK_NS)
    assert clock.now().utc is None


def test_the_kernel_is_asked_once_a_second_not_once_a_packet() -> None:
    board = BoardTime()
    clock = SystemClock(TimeSource.SYNCHRONISED, kernel=board)
    for _ in range(100):
        clock.now()
        board.pass_ns(SYNCHRONISED_RECHECK_NS // 50)
    assert board.asked == 2


def test_without_a_fix_a_gnss_clock_knows_no_date_whatever_the_system_says() -> None:
    assert SystemClock(TimeSource.GNSS, kernel=BoardTime()).now().utc is None


def test_a_fix_is_carried_on_by_interval_time_and_not_by_the_system_clock() -> None:
    board = BoardTime(realtime=UtcNs(0))
    clock = SystemClock(TimeSource.GNSS, kernel=board)
    clock.give_fix(TRUE_UTC, board.monotonic)
    board.pass_ns(GNSS_HOLDOVER_NS)
    assert clock.now().utc == TRUE_UTC + GNSS_HOLDOVER_NS
    board.pass_ns(1)
    assert clock.now().utc is None
    clock.give_fix(UtcNs(TRUE_UTC + NS_PER_S), board.monotonic)
    assert clock.now().utc == TRUE_UTC + NS_PER_S


def test_a_receiver_that_has_not_found_the_date_is_ignored() -> None:
    board = BoardTime()
    clock = SystemClock(TimeSource.GNSS, kernel=board)
    clock.give_fix(UtcNs(315_964_800 * NS_PER_S), board.monotonic)
    assert clock.now().utc is None


def test_a_fix_of_the_future_is_not_used_yet() -> None:
    board = BoardTime()
    clock = SystemClock(TimeSource.GNSS, kernel=board)
    clock.give_fix(TRUE_UTC, MonotonicNs(board.monotonic + 1))
    assert clock.now().utc is None


def test_this_kernel_has_interval_time_a_date_and_an_opinion() -> None:
    kernel: KernelTime = LinuxTime()
    earlier = kernel.monotonic_ns()
    assert kernel.monotonic_ns() >= earlier > 0
    assert kernel.realtime_ns() > 0
    assert kernel.is_synchronised() in {True, False}


def test_interval_time_counts_from_the_start_of_the_computer_and_through_its_sleep() -> None:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    told = LinuxTime().monotonic_ns()
    assert before <= told <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_a_start_has_one_name_for_each_owner_and_tells_nothing_of_the_kernels(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("2a0c\n")
    second.write_text("2a0d\n")
    names = [start_id(owner, path) for path in (first, second) for owner in (b"one", b"two")]
    assert len(set(names)) == 4
    assert all(name is not None and len(name) == START_ID_BYTES for name in names)
    assert start_id(b"one", first) == names[0]
    assert not any(b"2a0c" in (name or b"") for name in names)
    assert start_id(b"one") == start_id(b"one") is not None, "as long as this computer runs"
    assert start_id(b"one", tmp_path / "absent") is None


def test_the_boot_id_is_read_once_per_boot(tmp_path: Path) -> None:
    assert boot_id() == boot_id() != ""
    path = tmp_path / "boot_id"
    path.write_text("2a0c\n")
    assert boot_id(path) == "2a0c"
    with pytest.raises(StorageError, match="no boot id"):
        boot_id(tmp_path / "absent")
