"""Settings of the whole test run: repeatable property tests, how two workers share the work, and what is begun before them.

With `-n 2`, as `make test` runs it, one worker takes the files whose programs live by the clock (agents on the road, buses, blocks
of a chain), one after the other so that no two of them wait for the same cores; all other files go to whichever worker is free.
Without it nothing here matters.
"""

import re

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.helpers.debian import under_ci
from tests.helpers.early import Early

settings.register_profile(
    "v2x",
    deadline=None,
    database=None,
    derandomize=under_ci(),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("v2x")


BY_THE_CLOCK = re.compile(
    r"tests/integration/test_(agents|anchoring|can_buses|driver|ethernet|fleet|glosa|hazard|hostile_logs|ledger_year|log_lost|log_node"
    r"|mqtt|pki_node|real_drives|records_and_consent|restart|services|sigsum|systemd|tessera|vcan|vehicle|witness)"
    r"|tests/unit/rsu_agent/test_rsu_program"
)
"""Files whose programs do something at its time, and whose tests wait for that."""


CLOCKED = "by the clock"

LONG = ("tests/integration/test_agent_killed.py", "tests/unit/service/test_spool_damage.py")
"""Files of few tests that take long; xdist begins those with few tests last."""


class ClocksApart(LoadScopeScheduling):
    """Gives all tests of programs that live by the clock to one worker, at once; each other file to whichever worker is free."""

    def _split_scope(self, nodeid: str) -> str:
        return CLOCKED if BY_THE_CLOCK.match(nodeid) else nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        for scope in (*LONG, CLOCKED):  # each before those named earlier: begun last, they would be waited for
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


EARLY = pytest.StashKey[Early]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin what takes long and needs no test, where several workers run the whole suite: once, in the process that leads them."""
    config = session.config
    is_whole = config.args == config.getini("testpaths") and not (config.option.keyword or config.option.markexpr)
    if is_whole and config.option.numprocesses and not hasattr(config, "workerinput") and not config.option.collectonly:
        session.stash[EARLY] = Early()
        session.stash[EARLY].begin()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what is left of it."""
    early = session.stash.get(EARLY, None)
    if early is not None:
        early.end()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ClocksApart:
    """Say how several workers share the tests."""
    return ClocksApart(config, log)
