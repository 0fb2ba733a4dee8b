"""Settings of the whole test run: repeatable property tests, and how two workers share the work.

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


class ClocksApart(LoadScopeScheduling):
    """Gives all tests of programs that live by the clock to one worker, at once; each other file to whichever worker is free."""

    def _split_scope(self, nodeid: str) -> str:
        return CLOCKED if BY_THE_CLOCK.match(nodeid) else nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        if CLOCKED in self.workqueue:  # they take longest: begun last, they would be waited for
            self.workqueue.move_to_end(CLOCKED, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ClocksApart:
    """Say how several workers share the tests."""
    return ClocksApart(config, log)
