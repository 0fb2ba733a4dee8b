"""P3 and C1: what no vehicle does, at the bound and just beyond it."""

import pytest

from shared.core.geo import GeoPoint, displaced
from shared.core.itstime import Time64
from shared.trust.claims import Claim, ClaimSource
from shared.trust.detectors import CheckClass
from shared.trust.detectors.jump import PositionJump
from shared.trust.detectors.limits import MotionLimits

HERE = GeoPoint(44.49, 11.34)
BEGIN_US = 700_000_000_000_000


def claim(at_s: float = 0.0, *, east_m: float = 0.0, speed_mps: float | None = 10.0) -> Claim:
    return Claim(
        source=ClaimSource.MESSAGE,
        taken_at=Time64(BEGIN_US + round(at_s * 1_000_000)),
        position=displaced(HERE, east_m, 0.0),
        speed_mps=speed_mps,
    )


@pytest.mark.parametrize("speed_mps", [0.0, 60.0, -10.0, None])
def test_a_speed_that_a_car_can_have_is_believed(speed_mps: float | None) -> None:
    assert MotionLimits().judge(claim(speed_mps=speed_mps), None) is None


@pytest.mark.parametrize("speed_mps", [60.1, 163.8, -60.1])
def test_nobody_drives_at_more_than_sixty_metres_a_second_in_either_direction(speed_mps: float) -> None:
    finding = MotionLimits().judge(claim(speed_mps=speed_mps), None)
    assert finding is not None
    assert (finding.check, finding.of) == ("P3", CheckClass.PLAUSIBILITY)
    assert finding.residual == pytest.approx(abs(speed_mps) - 60.0)
    assert f"{abs(speed_mps):.1f} m/s" in finding.sentence


@pytest.mark.parametrize(("before_mps", "after_mps"), [(20.0, 15.5), (10.0, 12.5), (10.0, 10.0), (2.0, -2.0)])
def test_braking_at_nine_and_speeding_up_at_five_are_believed(before_mps: float, after_mps: float) -> None:
    assert MotionLimits().judge(claim(0.5, speed_mps=after_mps), claim(speed_mps=before_mps)) is None


@pytest.mark.parametrize(("before_mps", "after_mps", "beyond"), [(20.0, 15.0, 1.0), (10.0, 13.0, 1.0), (30.0, 0.0, 51.0)])
def test_braking_or_speeding_up_harder_is_not(before_mps: float, after_mps: float, beyond: float) -> None:
    finding = MotionLimits().judge(claim(0.5, speed_mps=after_mps), claim(speed_mps=before_mps))
    assert finding is not None
    assert finding.residual == pytest.approx(beyond)
    assert f"from {before_mps:.1f} to {after_mps:.1f} m/s within 0.50 s" in finding.sentence


def test_a_speed_that_is_not_said_can_be_neither_too_high_nor_changed_too_fast() -> None:
    assert MotionLimits().judge(claim(0.5, speed_mps=None), claim(speed_mps=50.0)) is None
    assert MotionLimits().judge(claim(0.5, speed_mps=50.0), claim(speed_mps=None)) is None


def test_whoever_covers_sixty_metres_in_a_second_is_believed_and_sixty_one_is_a_jump() -> None:
    assert PositionJump().judge(claim(1.0, east_m=59.9), claim()) is None
    finding = PositionJump().judge(claim(1.0, east_m=61.0), claim())
    assert finding is not None
    assert (finding.check, finding.of) == ("C1", CheckClass.CONSISTENCY)
    assert finding.residual == pytest.approx(1.0, abs=0.1)
    assert finding.sentence == "the position jumped by 61 m within 1.00 s"


def test_a_jump_is_one_however_slow_the_sender_says_it_is() -> None:
    assert PositionJump().judge(claim(0.1, east_m=200.0, speed_mps=0.0), claim(speed_mps=0.0)) is not None


def test_a_first_place_is_no_jump() -> None:
    assert PositionJump().judge(claim(east_m=10_000.0), None) is None


@pytest.mark.parametrize("at_s", [-1.0, -0.02, 0.0, 0.02])
def test_a_claim_that_comes_late_or_hard_upon_another_is_a_jump_where_it_is_out_of_reach_and_else_none(at_s: float) -> None:
    assert PositionJump().judge(claim(at_s, east_m=4.7), claim()) is None, "less than 4.8 m in at least 80 ms"
    assert PositionJump().judge(claim(at_s, east_m=100.0), claim()) is not None


@pytest.mark.parametrize("at_s", [-1.0, 0.0, 0.05])
def test_a_speed_changes_too_fast_only_in_a_claim_that_follows_but_is_too_high_in_any(at_s: float) -> None:
    assert MotionLimits().judge(claim(at_s, speed_mps=0.0), claim(speed_mps=30.0)) is None
    assert MotionLimits().judge(claim(at_s, speed_mps=61.0), claim(speed_mps=30.0)) is not None


def test_a_long_silence_covers_a_long_way() -> None:
    assert PositionJump().judge(claim(30.0, east_m=1_500.0), claim()) is None
