"""What `check-config` says of where the odometer comes from."""

import pytest

from simulator.ecu import SIM_CAR_MAP
from vehicle_agent.odometer.describe import describe_odometer
from vehicle_agent.requests.config import OdometerConfig, RequestsConfig, UnitConfig
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map

SILENT = SignalMap(name="", path="", messages=())
CLUSTER = OdometerConfig(unit="cluster", request=0x714, response=0x77E, identifier=0x2203, octets=3, metres_per_bit=1_000)
ABS = UnitConfig(unit="abs", request=0x713, response=0x77D)
NONE = "no signal and no [requests] gives the odometer: nothing will be recorded"


@pytest.mark.parametrize(
    ("requests", "line"),
    [
        (None, NONE),
        (RequestsConfig(bus="can0", obd=False, unit=(ABS,)), NONE),
        (RequestsConfig(bus="can0"), "odometer: obd"),
        (RequestsConfig(bus="can0", obd=False, odometer=(CLUSTER,)), "odometer: uds"),
        (RequestsConfig(bus="can0", odometer=(CLUSTER,)), "odometer: obd, uds"),
    ],
)
def test_a_bus_that_says_no_odometer_leaves_it_to_questions_and_without_them_nothing_is_recorded(
    requests: RequestsConfig | None, line: str
) -> None:
    assert list(describe_odometer(SILENT, requests)) == [line]


def test_an_odometer_on_the_bus_is_named_as_records_name_it() -> None:
    assert list(describe_odometer(load_signal_map(SIM_CAR_MAP), None)) == ["odometer: cluster"]
