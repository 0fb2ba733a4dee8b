"""What a SocketCAN socket is asked for, and what is refused before one is opened."""

import struct
from pathlib import Path

import pytest

from shared.core.clock import TimeSource
from shared.core.errors import ConfigError
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.can_frame import CanFilter, checked_frame
from shared.transport.can_link import RECEIVE_BUFFER_BYTES
from shared.transport.can_socket import MAX_KERNEL_FILTERS, buffer_warning, kernel_filters
from tests.helpers.data import REPOSITORY

CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
EXTENDED, REMOTE, ERROR = 0x8000_0000, 0x4000_0000, 0x2000_0000


def passes(filters: bytes, word: int) -> bool:
    """Decide as the kernel does: a frame passes where it agrees with a filter in all bits of its mask."""
    return any(word & mask == identifier & mask for identifier, mask in struct.iter_unpack("=II", filters))


def test_an_exact_filter_lets_one_data_frame_through_and_no_other() -> None:
    packed = kernel_filters((CanFilter(0x123, is_extended=False), CanFilter(0x123, is_extended=True)))
    assert passes(packed, 0x123)
    assert passes(packed, EXTENDED | 0x123)
    assert not passes(packed, 0x124)
    assert not passes(packed, REMOTE | 0x123)
    assert not passes(packed[:8], EXTENDED | 0x123)
    assert not any(mask & ERROR for _, mask in struct.iter_unpack("=II", packed))


def test_a_masked_filter_lets_a_group_through_whatever_its_priority_and_source() -> None:
    packed = kernel_filters((CanFilter(0xFEE000, is_extended=True, mask=0x3FFFF00),))
    assert passes(packed, EXTENDED | 0x18FEE017)
    assert passes(packed, EXTENDED | 0x0CFEE000)
    assert not passes(packed, EXTENDED | 0x18FEE117)
    assert not passes(packed, 0x600)


def test_without_filters_everything_but_remote_frames_passes() -> None:
    assert passes(kernel_filters(()), 0x7FF)
    assert passes(kernel_filters(()), EXTENDED | 0x1FFFFFFF)
    assert not passes(kernel_filters(()), REMOTE | 0x7FF)


@pytest.mark.parametrize("wanted", [CanFilter(0x123, is_extended=False), CanFilter(0xFEE000, is_extended=True, mask=0x3FFFF00)])
def test_a_filter_admits_by_itself_what_the_kernel_would_let_through(wanted: CanFilter) -> None:
    for identifier in (0x0, 0x23, 0x123, 0x7FF, 0xFEE000, 0x18FEE017, 0x18FEE117):
        for is_extended in (False, True):
            word = identifier | (EXTENDED if is_extended else 0)
            if is_extended or identifier <= 0x7FF:
                assert wanted.admits(identifier, is_extended=is_extended) is passes(kernel_filters((wanted,)), word)


def test_filters_and_frames_that_no_bus_knows_are_refused() -> None:
    for make in (
        lambda: CanFilter(0x800, is_extended=False),
        lambda: CanFilter(0x1, is_extended=False, mask=0x800),
        lambda: CanFilter(-1, is_extended=True),
        lambda: checked_frame(0x800, False, b"", "", CLOCK.now().monotonic),
        lambda: checked_frame(0x1, False, bytes(9), "", CLOCK.now().monotonic),
    ):
        with pytest.raises(ValueError, match="CAN"):
            make()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (CanBusConfig(interface="socketcan", channel="can0", options={"bitrate": 500_000}), "bitrate"),
        (CanBusConfig(interface="socketcan", channel="can0", options={"fd": "yes"}), "true or false"),
        (CanBusConfig(interface="socketcan", channel="a/b"), "cannot be the name"),
        (CanBusConfig(interface="socketcan", channel=""), "cannot be the name"),
    ],
)
def test_what_can_never_be_opened_is_a_fault_of_the_configuration(config: CanBusConfig, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        CanBus(config, clock=CLOCK).open()


def test_more_filters_than_the_kernel_takes_are_refused_with_their_number() -> None:
    filters = tuple(CanFilter(number, is_extended=False) for number in range(MAX_KERNEL_FILTERS + 1))
    bus = CanBus(CanBusConfig(interface="socketcan", channel="can0"), clock=CLOCK, filters=filters)
    with pytest.raises(ConfigError, match="513 filters; the kernel takes 512"):
        bus.open()


def test_a_system_that_grants_too_small_a_buffer_is_told_with_what_helps(tmp_path: Path) -> None:
    limit = tmp_path / "rmem_max"
    limit.write_text("212992\n")
    warning = buffer_warning(limit)
    assert warning is not None
    assert "212,992 of 4,194,304 bytes" in warning
    limit.write_text(f"{RECEIVE_BUFFER_BYTES}\n")
    assert buffer_warning(limit) is None
    assert buffer_warning(tmp_path / "hidden") is None


def test_the_sysctl_that_is_shipped_grants_the_buffer_that_is_asked_for() -> None:
    (line,) = [each for each in (REPOSITORY / "systemd/sysctl.d/90-v2x-trust.conf").read_text().splitlines() if "=" in each]
    name, _, value = line.partition("=")
    assert name.strip() == "net.core.rmem_max"
    assert int(value) >= RECEIVE_BUFFER_BYTES
