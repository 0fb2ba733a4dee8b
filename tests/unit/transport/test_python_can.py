import gc
import re
import subprocess
import sys

import pytest

from shared.core.clock import TimeSource
from shared.core.errors import ConfigError, TransportError
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import CanBus, CanBusConfig

CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
PROGRAMS = ("vehicle_agent.cli", "rsu_agent.cli", "simulator.cli", "shared.cli.main")
NEEDLESS = ("asammdf", "numpy", "pandas")


def test_no_program_loads_the_library_of_a_log_format_it_may_never_read() -> None:
    script = f"import sys, {', '.join(PROGRAMS)}; print(sorted(set({NEEDLESS}) & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_who_needs_the_library_can_still_load_it() -> None:
    script = "import shared.transport.python_can, sys; assert 'asammdf' not in sys.modules; import asammdf; print(asammdf.__name__)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "asammdf\n"


@pytest.mark.parametrize("channel", ["can0", "10.0.0.1", "ff15::x", ""])
def test_a_multicast_bus_whose_channel_is_no_group_is_a_fault_of_the_configuration(channel: str) -> None:
    bus = CanBus(CanBusConfig(interface="udp_multicast", channel=channel), clock=CLOCK)
    with pytest.raises(
        ConfigError, match=re.escape(f"such as 239.74.163.2 or ff15:7079:7468:6f6e:6465:6d6f:6d63:6173; {channel!r}")
    ):
        bus.open()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # python-can leaves its socket to the collector
@pytest.mark.parametrize("options", [{"port": 99_999}, {"hop_limit": -9}])
def test_a_number_that_no_socket_takes_is_a_fault_of_the_configuration(options: dict[str, bool | int | float | str]) -> None:
    bus = CanBus(CanBusConfig(interface="udp_multicast", channel="239.74.163.2", options=options), clock=CLOCK)
    with pytest.raises(ConfigError, match="python-can refuses"):
        bus.open()
    gc.collect()


def test_a_bus_that_cannot_be_opened_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    config = CanBusConfig(interface="udp_multicast", channel="239.74.163.2", options={"hop_limit": 99_999})
    with pytest.raises(TransportError, match="cannot be opened"):
        CanBus(config, clock=CLOCK).open()
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "can.bus"] == []
