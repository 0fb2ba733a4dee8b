"""How far a witness is off by nature: learnt, kept, and out of reach of whoever would teach it."""

import pytest

from vehicle_agent.odometer.calibration import BOUND, DRIFT_BOUND, LEARN_OVER_M, RELEARN_OVER_M, Calibration
from vehicle_agent.vehicle_memory import KnownFactor


def taught(calibration: Calibration, ratio: float, over_m: float) -> int:
    """Let it learn that the odometer counts `ratio` metres for each; return how often its factor changed."""
    return sum(calibration.learn(1_000.0, 1_000.0 / ratio) for _ in range(round(over_m / 1_000)))


def settled(ratio: float = 1.01) -> Calibration:
    calibration = Calibration("wheels")
    assert taught(calibration, ratio, LEARN_OVER_M) == 1
    return calibration


def test_a_factor_is_one_until_it_is_learnt() -> None:
    calibration = Calibration("wheels")
    taught(calibration, 1.02, LEARN_OVER_M - 1_000)
    assert (calibration.factor, calibration.is_settled) == (1.0, False)
    taught(calibration, 1.02, 1_000)
    assert calibration.is_settled
    assert calibration.factor == pytest.approx(1.02)


@pytest.mark.parametrize(("ratio", "factor"), [(0.5, 1 - BOUND), (0.93, 1 - BOUND), (1.2, 1 + BOUND)])
def test_a_factor_that_no_vehicle_has_is_not_learnt(ratio: float, factor: float) -> None:
    assert settled(ratio).factor == pytest.approx(factor)


def test_what_was_learnt_under_doubt_does_not_count() -> None:
    calibration = Calibration("wheels")
    taught(calibration, 0.97, LEARN_OVER_M - 1_000)
    calibration.forget_pieces()
    taught(calibration, 1.0, LEARN_OVER_M)
    assert calibration.factor == pytest.approx(1.0)


def test_a_settled_factor_follows_slowly() -> None:
    calibration = settled(1.0)
    assert taught(calibration, 1.005, RELEARN_OVER_M) == 1
    assert calibration.factor == pytest.approx(1.0005)


def test_a_settled_factor_cannot_be_taught_away_however_patiently() -> None:
    calibration = settled(1.0)
    for step in range(200):
        taught(calibration, 1.0 - step / 1_000, RELEARN_OVER_M)
    assert calibration.factor == pytest.approx(1.0 - DRIFT_BOUND)


def test_a_factor_is_kept_over_a_restart_with_its_doubt() -> None:
    kept = settled(1.013).kept(120.0, 0.08)
    again = Calibration("wheels", kept)
    assert again.factor == pytest.approx(1.013)
    assert again.is_settled
    assert (kept.short_m, kept.short_permille) == (120, 80)


def test_learning_goes_on_over_short_trips() -> None:
    calibration = Calibration("wheels")
    for _ in range(7):
        taught(calibration, 1.02, 3_000)
        calibration = Calibration("wheels", calibration.kept(0.0, 0.0))
    assert calibration.is_settled
    assert calibration.factor == pytest.approx(1.02, abs=1e-4)


@pytest.mark.parametrize(
    "kept",
    [
        KnownFactor(source="wheels", factor=0.5, learnt_over_m=0, settled=0.5),
        KnownFactor(source="wheels", factor=1.0, learnt_over_m=0, settled=1.039),
        KnownFactor(source="wheels", factor=-1.0, learnt_over_m=19_000),
        KnownFactor(source="wheels", factor=0.1, learnt_over_m=10**9),
    ],
)
def test_a_file_that_says_what_cannot_be_is_not_believed(kept: KnownFactor) -> None:
    calibration = Calibration("wheels", kept)
    assert (calibration.factor, calibration.is_settled, calibration.learnt_over_m) == (1.0, False, 0.0)


def test_a_factor_at_its_bound_comes_back_from_the_file() -> None:
    assert Calibration("wheels", settled(2.0).kept(0.0, 0.0)).is_settled


def test_what_is_taken_as_it_is_learns_nothing() -> None:
    calibration = Calibration("gnss", KnownFactor(source="gnss", factor=0.97, learnt_over_m=0, settled=0.97), learns=False)
    assert taught(calibration, 0.97, 10 * LEARN_OVER_M) == 0
    assert (calibration.factor, calibration.is_settled) == (1.0, True)
