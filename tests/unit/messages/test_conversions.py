from math import inf, nan

import pytest

from shared.core.errors import EncodeError
from shared.messages import conversions as cv


@pytest.mark.parametrize(
    ("element", "value", "wire"),
    [
        (cv.LATITUDE, 48.1234567, 481_234_567),
        (cv.LATITUDE, None, 900_000_001),
        (cv.SPEED_VALUE, 0.004, 0),
        (cv.SPEED_VALUE, 500.0, 16_382),
        (cv.ACCELERATION_VALUE, -40.0, -160),
        (cv.CURVATURE_VALUE, 1.0, 1022),
        (cv.CURVATURE_VALUE, -1.0, -1023),
        (cv.YAW_RATE_VALUE, -inf, -32_766),
        (cv.HEADING_VALUE, 359.96, 0),
        (cv.HEADING_VALUE, 360.0, 0),
        (cv.HEADING_VALUE, None, 3601),
        (cv.HEADING_CONFIDENCE, 0.11, 2),
        (cv.HEADING_CONFIDENCE, 1.1, 11),
        (cv.HEADING_CONFIDENCE, 0.0, 1),
        (cv.HEADING_CONFIDENCE, 12.51, 126),
        (cv.HEADING_CONFIDENCE, 90.0, 126),
        (cv.SEMI_AXIS_LENGTH, inf, 4094),
        (cv.SEMI_AXIS_LENGTH, 40.931, 4094),
        (cv.VEHICLE_LENGTH_VALUE, 200.0, 1022),
        (cv.ALTITUDE_CONFIDENCE, 0.3, 5),
        (cv.ALTITUDE_CONFIDENCE, 200.1, 14),
        (cv.ALTITUDE_CONFIDENCE, None, 15),
        (cv.CURVATURE_CONFIDENCE, inf, 6),
        (cv.YAW_RATE_CONFIDENCE, None, 8),
        (cv.STEERING_WHEEL_ANGLE_VALUE, -766.5, -511),
        (cv.TIME_MARK, inf, 36_000),
        (cv.TIME_MARK, None, 36_001),
        (cv.TIME_MARK, 3599.9, 35_999),
        (cv.LANE_SCALE, -0.5, -1000),
    ],
)
def test_a_value_has_this_wire_number(element: cv.Quantity | cv.Heading | cv.Steps, value: float | None, wire: int) -> None:
    assert element.encode("field", value) == wire


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (cv.LATITUDE, 90.1),
        (cv.LATITUDE, nan),
        (cv.SPEED_VALUE, nan),
        (cv.HEADING_VALUE, nan),
        (cv.HEADING_VALUE, 360.1),
        (cv.ALTITUDE_CONFIDENCE, nan),
        (cv.LANE_WIDTH, None),
        (cv.LANE_WIDTH, inf),
        (cv.PATH_DELTA_TIME, 0.0),
    ],
)
def test_a_value_that_cannot_be_said_is_refused_by_name(element: cv.Quantity | cv.Heading | cv.Steps, value: float | None) -> None:
    with pytest.raises(EncodeError) as caught:
        element.encode("the.field", value)
    assert caught.value.field == "the.field"


@pytest.mark.parametrize(
    "element",
    [cv.SPEED_VALUE, cv.SEMI_AXIS_LENGTH, cv.VEHICLE_LENGTH_VALUE, cv.ACCELERATION_VALUE, cv.CURVATURE_VALUE, cv.TIME_MARK],
)
def test_every_wire_number_comes_back(element: cv.Quantity) -> None:
    specials = {n for n in (element.unavailable, element.beyond) if n is not None}
    for wire in {*range(element.lower, element.upper + 1), *specials}:
        assert element.encode("field", element.decode(wire)) == wire


@pytest.mark.parametrize("element", [cv.ALTITUDE_CONFIDENCE, cv.CURVATURE_CONFIDENCE, cv.YAW_RATE_CONFIDENCE])
def test_every_step_comes_back(element: cv.Steps) -> None:
    for wire in range(len(element.steps) + 1):
        assert element.encode("field", element.decode(wire)) == wire


def test_north_has_one_heading() -> None:
    assert cv.HEADING_VALUE.decode(3600) == 0.0
    assert cv.HEADING_VALUE.decode(0) == 0.0
