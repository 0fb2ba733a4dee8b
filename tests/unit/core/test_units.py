import math

import pytest

from shared.core.units import UNITS, Unit, kmh_from_mps, miles_from_m


@pytest.mark.parametrize(
    ("unit", "raw", "si", "dimension"),
    [
        ("km/h", 36.0, 10.0, "m/s"),
        ("mph", 60.0, 26.8224, "m/s"),
        ("knot", 1.0, 0.514444, "m/s"),
        ("mile", 15_589.0, 25_088_063.616, "m"),
        ("km", 13_832.875, 13_832_875.0, "m"),
        ("g", -1.0, -9.80665, "m/s2"),
        ("rad", math.pi, 180.0, "deg"),
        ("rad/s", -math.pi / 2, -90.0, "deg/s"),
        ("ms", 250.0, 0.25, "s"),
        ("1", 3.0, 3.0, "1"),
    ],
)
def test_a_quantity_of_a_bus_becomes_si(unit: str, raw: float, si: float, dimension: str) -> None:
    assert UNITS[unit].to_si(raw) == pytest.approx(si, rel=1e-6)
    assert UNITS[unit].dimension == dimension


@pytest.mark.parametrize("name", ["m", "m/s", "m/s2", "deg", "deg/s", "s", "1"])
def test_an_si_unit_is_itself(name: str) -> None:
    assert UNITS[name] == Unit(name, 1.0)


def test_every_unit_converts_to_one_that_is_listed_too() -> None:
    assert {unit.dimension for unit in UNITS.values()} <= set(UNITS)


def test_an_offset_is_added_after_the_factor() -> None:
    assert Unit("m", 0.5, -10.0).to_si(4.0) == -8.0


def test_people_read_kilometres_an_hour_and_miles() -> None:
    assert kmh_from_mps(10.0) == 36.0
    assert miles_from_m(UNITS["mile"].to_si(15_590.0)) == 15_590.0
