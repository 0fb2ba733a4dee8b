"""Values marked "annex" are typed from TS 102 894-2 (`TimestampIts`); the leap seconds are IERS Bulletin C's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_S, NS_PER_US, UtcNs
from shared.core.itstime import (
    ITS_EPOCH_UNIX_S,
    LEAP_SECONDS_UNIX_S,
    Time64,
    generation_delta_time,
    gn_timestamp,
    gn_timestamp_at,
    leap_seconds_at,
    time32_of,
    time64_of,
    timestamp_its,
    utc_from_text,
    utc_of,
    utc_text,
)

US_PER_S = 1_000_000
LAST_UINT64 = 2**64 - 1

dates = st.integers(ITS_EPOCH_UNIX_S * NS_PER_S, 4_102_444_800 * NS_PER_S).map(UtcNs)


def test_its_time_begins_with_2004() -> None:
    assert utc_from_text("2004-01-01T00:00:00Z") == ITS_EPOCH_UNIX_S * NS_PER_S
    assert time64_of(utc_from_text("2004-01-01T00:00:00Z")) == 0
    assert utc_of(Time64(0)) == ITS_EPOCH_UNIX_S * NS_PER_S


def test_there_is_no_its_time_before_2004() -> None:
    with pytest.raises(ValueError, match="2004"):
        time64_of(utc_from_text("2003-12-31T23:59:59.999999Z"))
    with pytest.raises(ValueError, match="2004"):
        time64_of(UtcNs(0))


def test_the_annex_example_counts_one_leap_second_by_2007() -> None:
    assert timestamp_its(time64_of(utc_from_text("2007-01-01T00:00:00.000Z"))) == 94_694_401_000


@pytest.mark.parametrize(
    ("date", "leaps"),
    [
        ("2005-12-31T23:59:59.999999Z", 0),
        ("2006-01-01T00:00:00Z", 1),
        ("2008-12-31T23:59:59.999999Z", 1),
        ("2009-01-01T00:00:00Z", 2),
        ("2012-06-30T23:59:59.999999Z", 2),
        ("2012-07-01T00:00:00Z", 3),
        ("2015-06-30T23:59:59.999999Z", 3),
        ("2015-07-01T00:00:00Z", 4),
        ("2016-12-31T23:59:59.999999Z", 4),
        ("2017-01-01T00:00:00Z", 5),
        ("2026-11-22T09:30:00Z", 5),
    ],
)
def test_leap_seconds_are_counted_from_the_midnight_they_precede(date: str, leaps: int) -> None:
    assert leap_seconds_at(utc_from_text(date)) == leaps


def test_two_its_seconds_pass_over_the_midnight_of_2017() -> None:
    before = time64_of(utc_from_text("2016-12-31T23:59:59Z"))
    after = time64_of(utc_from_text("2017-01-01T00:00:00Z"))
    assert before == 410_313_603 * US_PER_S
    assert after == 410_313_605 * US_PER_S


def test_the_inserted_second_itself_reads_as_the_first_of_2017() -> None:
    inserted = Time64(410_313_604 * US_PER_S)
    assert utc_text(utc_of(inserted)) == "2017-01-01T00:00:00.000Z"
    assert utc_text(utc_of(Time64(inserted - 1))) == "2016-12-31T23:59:59.999Z"
    assert utc_text(utc_of(Time64(inserted + US_PER_S))) == "2017-01-01T00:00:00.000Z"
    assert utc_text(utc_of(Time64(inserted + 2 * US_PER_S))) == "2017-01-01T00:00:01.000Z"


@pytest.mark.parametrize("midnight_s", LEAP_SECONDS_UNIX_S)
def test_a_date_on_either_side_of_a_leap_second_comes_back_unchanged(midnight_s: int) -> None:
    for offset_us in (-2 * US_PER_S, -US_PER_S, -1, 0, 1, US_PER_S, 2 * US_PER_S):
        utc = UtcNs(midnight_s * NS_PER_S + offset_us * NS_PER_US)
        assert utc_of(time64_of(utc)) == utc


@given(dates)
def test_a_date_comes_back_to_the_microsecond(utc: UtcNs) -> None:
    assert utc_of(time64_of(utc)) == utc // NS_PER_US * NS_PER_US


@given(dates, st.integers(0, 3 * NS_PER_S))
def test_its_time_never_runs_backwards(utc: UtcNs, elapsed_ns: int) -> None:
    assert time64_of(UtcNs(utc + elapsed_ns)) >= time64_of(utc)


def test_seconds_and_milliseconds_are_cut_not_rounded() -> None:
    time64 = Time64(7 * US_PER_S + 999_999)
    assert time32_of(time64) == 7
    assert timestamp_its(time64) == 7_999


def test_generation_delta_time_wraps_after_65536_milliseconds() -> None:
    assert generation_delta_time(Time64(65_535_999)) == 65_535
    assert generation_delta_time(Time64(65_536_000)) == 0
    assert generation_delta_time(Time64(65_537_000)) == 1


def test_the_geonetworking_timestamp_wraps_after_2_to_the_32_milliseconds() -> None:
    assert gn_timestamp(Time64((2**32 - 1) * 1_000 + 999)) == 2**32 - 1
    assert gn_timestamp(Time64(2**32 * 1_000)) == 0


@given(dates.map(time64_of))
def test_the_short_times_are_the_low_bits_of_the_long_one(time64: Time64) -> None:
    assert gn_timestamp(time64) == timestamp_its(time64) % 2**32
    assert generation_delta_time(time64) == timestamp_its(time64) % 2**16


@given(dates)
def test_the_geonetworking_timestamp_of_a_date_is_that_of_its_its_time(utc: UtcNs) -> None:
    assert gn_timestamp_at(utc) == gn_timestamp(time64_of(utc))


def test_no_geonetworking_timestamp_is_older_than_its_time() -> None:
    with pytest.raises(ValueError, match="ITS time begins in 2004"):
        gn_timestamp_at(UtcNs(0))


def test_a_date_is_written_with_milliseconds_and_cut_not_rounded() -> None:
    utc = UtcNs(utc_from_text("2026-11-22T09:30:00Z") + 250 * NS_PER_MS + 999_999)
    assert utc_text(utc) == "2026-11-22T09:30:00.250Z"


def test_a_date_before_1970_is_written_too() -> None:
    assert utc_text(UtcNs(-1)) == "1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize("time64", [Time64(LAST_UINT64), Time64(2**63), Time64(253_402_300_800 * US_PER_S)])
def test_the_furthest_time_a_peer_can_write_is_still_printed(time64: Time64) -> None:
    assert utc_text(utc_of(time64)).endswith(" s after 1970")


def test_the_last_second_of_the_calendar_is_a_date() -> None:
    assert utc_text(UtcNs(253_402_300_799 * NS_PER_S)) == "9999-12-31T23:59:59.000Z"
    assert utc_text(UtcNs(253_402_300_800 * NS_PER_S)) == "253402300800 s after 1970"


@given(dates)
def test_a_date_comes_back_from_its_text_to_the_millisecond(utc: UtcNs) -> None:
    assert utc_from_text(utc_text(utc)) == utc // NS_PER_MS * NS_PER_MS


def test_a_text_may_name_any_offset_from_utc() -> None:
    assert utc_from_text("2026-11-22T10:30:00+01:00") == utc_from_text("2026-11-22T09:30:00Z")
    assert utc_from_text("2026-11-22T04:00:00-05:30") == utc_from_text("2026-11-22T09:30:00Z")


@pytest.mark.parametrize("text", ["2026-11-22T09:30:00", "2026-11-22", "2026-11-22 09:30"])
def test_a_text_without_an_offset_is_refused_because_it_names_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="names no time zone"):
        utc_from_text(text)


@pytest.mark.parametrize("text", ["", "today", "2026-13-01T00:00:00Z", "2026-11-22T24:00:01Z", "2026-11-22T09:30:00Zulu"])
def test_a_text_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        utc_from_text(text)
