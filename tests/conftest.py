"""Settings of the whole test run: repeatable property tests, and how two workers share the work.

With `-n 2`, as `make test` runs it, one worker takes the tests that start programs (tests/integration), one after the other so
that no two of them wait for the same cores, and the other worker the files of all other rooms. Without it nothing here matters.
"""

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

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


class ProgramsApart(LoadScopeScheduling):
    """Gives all tests that start programs to one worker, and each other file to whichever worker is free."""

    def _split_scope(self, nodeid: str) -> str:
        return "programs" if nodeid.startswith("tests/integration/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ProgramsApart:
    """Say how several workers share the tests."""
    return ProgramsApart(config, log)
