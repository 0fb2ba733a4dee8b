"""Settings of the whole test run: property tests without deadlines, without a database, and repeatable under CI."""

from hypothesis import HealthCheck, settings

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
