"""What is said of the buses, running and before."""

from collections.abc import Iterator

import pytest
from structlog import get_logger
from structlog.testing import capture_logs

from shared.core.clock import TimeSource
from shared.core.errors import ConfigError
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.can_link import RECEIVE_BUFFER_BYTES
from vehicle_agent.bus_status import bus_status, describe_buses, warn_of_small_buffer
from vehicle_agent.config import CanConfig

CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)


@pytest.fixture
def bus() -> Iterator[CanBus]:
    bus = CanBus(CanBusConfig(interface="virtual", channel="told of"), clock=CLOCK)
    yield bus
    bus.close()


def test_a_bus_tells_everything_that_is_counted_of_it(bus: CanBus) -> None:
    closed = bus_status(bus)
    bus.open()
    assert bus_status(bus) == {**closed, "is_up": True}
    assert closed == {
        "endpoint": "virtual:told of",
        "is_up": False,
        "controller": "error_active",
        "received": 0,
        "lost": 0,
        "malformed": 0,
        "error_frames": 0,
        "errors": {},
        "interruptions": 0,
        "last_fault": None,
        "receive_buffer_bytes": None,
        "warning": None,
    }


def test_a_buffer_that_is_smaller_than_asked_for_is_told_and_logged_and_any_other_is_not(bus: CanBus) -> None:
    bus.open()
    for granted, is_small in ((65_536, True), (RECEIVE_BUFFER_BYTES, False), (None, False)):
        bus._buffer_bytes = granted
        with capture_logs() as lines:
            warn_of_small_buffer(bus, get_logger())
        assert (bus_status(bus)["warning"] is not None) is is_small
        assert [line["event"] for line in lines] == ["small receive buffer"] * is_small


def test_check_config_names_the_buses_and_refuses_what_can_never_be_opened() -> None:
    good = CanConfig(interface="socketcan", channel="can0", options={"fd": True})
    other = CanConfig(interface="udp_multicast", channel="239.74.163.2", options={"port": 43_113})
    lines = list(describe_buses((("body", good), ("can1", other))))
    assert lines[:2] == ["bus body: socketcan:can0", "bus can1: udp_multicast:239.74.163.2"]
    with pytest.raises(ConfigError, match="bitrate"):
        list(describe_buses((("can0", CanConfig(interface="socketcan", channel="can0", options={"bitrate": 500_000})),)))
    with pytest.raises(ConfigError, match=r"multicast address, such as 239\.74\.163\.2"):
        list(describe_buses((("can0", CanConfig(interface="udp_multicast", channel="can0")),)))
