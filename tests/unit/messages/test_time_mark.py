from math import inf

import pytest

from shared.core.itstime import utc_from_text
from shared.messages.time_mark import minute_of_year, ms_of_minute, second_of_hour, seconds_until, utc_near


@pytest.mark.parametrize(
    ("text", "minute", "ms", "second"),
    [
        ("2026-01-01T00:00:00Z", 0, 0, 0.0),
        ("2026-11-22T17:46:12.345Z", 325 * 1440 + 17 * 60 + 46, 12_345, 46 * 60 + 12.345),
        ("2024-12-31T23:59:59.900Z", 527_039, 59_900, 3599.9),
    ],
)
def test_utc_is_told_as_a_junction_tells_it(text: str, minute: int, ms: int, second: float) -> None:
    utc = utc_from_text(text)
    assert minute_of_year(utc) == minute
    assert ms_of_minute(utc) == ms
    assert second_of_hour(utc) == pytest.approx(second)


@pytest.mark.parametrize(
    ("text", "now"),
    [
        ("2026-11-22T17:46:12.345Z", "2026-11-22T17:46:12Z"),
        ("2026-11-22T17:48:00Z", "2026-11-22T17:45:59Z"),
        ("2026-12-31T23:59:30Z", "2027-01-01T00:00:10Z"),
        ("2027-01-01T00:01:00Z", "2026-12-31T23:59:50Z"),
        ("2024-12-31T23:59:59Z", "2025-01-01T00:00:01Z"),
    ],
)
def test_a_minute_and_its_milliseconds_are_the_nearest_moment_even_across_the_year(text: str, now: str) -> None:
    utc = utc_from_text(text)
    assert utc_near(minute_of_year(utc), ms_of_minute(utc), utc_from_text(now)) == utc


@pytest.mark.parametrize(
    ("mark", "ahead"),
    [(3500.0, 100.0), (3390.0, -10.0), (0.0, 200.0), (100.0, 300.0), (inf, inf)],
)
def test_a_mark_is_the_nearest_moment_that_fits_even_across_the_hour(mark: float, ahead: float) -> None:
    assert seconds_until(mark, utc_from_text("2026-11-22T17:56:40Z")) == pytest.approx(ahead)
