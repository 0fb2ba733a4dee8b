"""A car that says nothing costs its agent next to nothing, and speaks again as soon as its bus wakes."""

from pathlib import Path

from shared.core.clock import Instant
from tests.unit.vehicle_agent.agent_bench import Bench


def turns(bench: Bench, seconds: float) -> int:
    """Let time pass on a silent bus; return how often the agent wanted to be called."""
    called: list[Instant] = []
    bench.run(seconds, bus_is_on=False, each=called.append)
    return len(called)


def test_a_car_that_sleeps_is_looked_at_less_often(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(2.0)
        just_silent = turns(bench, 1.0)
        turns(bench, 60.0)  # what was known grows old
        assert turns(bench, 10.0) <= 10 * 7
        assert just_silent >= 30


def test_a_car_that_wakes_speaks_at_once(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(2.0)
        turns(bench, 60.0)
        said, woken = len(bench.packets), bench.clock.now().monotonic
        bench.run(0.5)
        assert len(bench.packets) > said
        assert bench.packets[said][1].monotonic - woken <= 200_000_000
