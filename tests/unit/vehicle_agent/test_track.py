"""A recorded GNSS track: strict lines, times that never run backwards, and a sentence for everything else."""

from pathlib import Path

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.core.geo import GeoPoint
from vehicle_agent.track import HEADER, MAX_AGE_NS, MAX_LINE_OCTETS, Fix, read_track
from vehicle_agent.vehicle_state import SignalUpdate

GOOD = "100.5,48.1,11.5,519.3,13.9,271.3"


def track(tmp_path: Path, *lines: str, end: str = "\n", header: str = HEADER) -> Path:
    path = tmp_path / "track.csv"
    path.write_bytes((end.join([header, *lines]) + end).encode())
    return path


def read(tmp_path: Path, *lines: str) -> list[Fix]:
    return list(read_track(track(tmp_path, *lines)))


def update(field: str, value: float | GeoPoint) -> SignalUpdate:
    return SignalUpdate(field=field, value=value, at=MonotonicNs(100_500 * NS_PER_MS), max_age_ns=MAX_AGE_NS)


def test_a_fix_says_place_heading_and_height_and_leaves_speed_to_the_bus(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == [
        (
            MonotonicNs(100_500 * NS_PER_MS),
            (update("position", GeoPoint(48.1, 11.5)), update("heading_deg", 271.3), update("altitude_m", 519.3)),
        )
    ]


def test_a_track_of_another_system_s_line_ends_is_read_alike(tmp_path: Path) -> None:
    assert list(read_track(track(tmp_path, GOOD, end="\r\n"))) == read(tmp_path, GOOD)


def test_an_empty_field_is_not_available(tmp_path: Path) -> None:
    ((_, updates),) = read(tmp_path, "100.5,48.1,11.5,,,")
    assert updates == (update("position", GeoPoint(48.1, 11.5)),)
    ((_, nothing),) = read(tmp_path, "100.5,48.1,,,13.9,")
    assert nothing == ()


def test_due_north_has_one_name(tmp_path: Path) -> None:
    for text in ("0", "360", "-0.0"):
        ((_, updates),) = read(tmp_path, f"100.5,,,,,{text}")
        assert updates == (update("heading_deg", 0.0),)


def test_a_track_without_a_fix_is_a_track(tmp_path: Path) -> None:
    assert read(tmp_path) == []


def test_two_fixes_of_one_moment_are_both_told(tmp_path: Path) -> None:
    assert len(read(tmp_path, GOOD, GOOD)) == 2


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "1 fields instead of 6"),
        ("100.5,48.1,11.5,519.3,13.9", "5 fields instead of 6"),
        (GOOD + ",1", "7 fields instead of 6"),
        (",48.1,11.5,519.3,13.9,271.3", "time_s: a fix has a time"),
        ("-1,48.1,11.5,519.3,13.9,271.3", "time_s: a fix has a time, and not before zero"),
        ("1e300,48.1,11.5,519.3,13.9,271.3", "time_s: a fix has a time"),
        ("nan,48.1,11.5,519.3,13.9,271.3", "time_s: 'nan' is not a finite number"),
        ("100.5,inf,11.5,519.3,13.9,271.3", "lat_deg: 'inf' is not a finite number"),
        ("100.5,forty,11.5,519.3,13.9,271.3", "lat_deg: 'forty' is not a number"),
        ("100.5,91,11.5,519.3,13.9,271.3", "no such place"),
        ("100.5,48.1,180.1,519.3,13.9,271.3", "no such place"),
        ("100.5,48.1,11.5,10000,13.9,271.3", "altitude_m: 10000 is outside -1000..9000"),
        ("100.5,48.1,11.5,519.3,13.9,361", "heading_deg: 361 is outside 0..360"),
        ("100.5,48.1,11.5,519.3,13.9,-1e-20", "heading_deg: -1e-20 is outside"),
        ("99,48.1,11.5,519.3,13.9,271.3", "runs backwards in time"),
        ("\xe4", "1 fields instead of 6"),
        ("1" * MAX_LINE_OCTETS, "is longer than 512 octets"),
    ],
)
def test_a_bad_line_is_named_and_those_before_it_are_kept(tmp_path: Path, line: str, sentence: str) -> None:
    fixes = read_track(track(tmp_path, GOOD, line))
    assert next(fixes)[0] == 100_500 * NS_PER_MS
    with pytest.raises(DecodeError, match=r"^track\.csv line 3") as caught:
        next(fixes)
    assert sentence in str(caught.value)


def test_a_line_cut_short_is_not_a_shorter_number(tmp_path: Path) -> None:
    path = track(tmp_path, GOOD, GOOD)
    whole = path.read_bytes()
    for cut in range(1, len(GOOD) + 1):
        path.write_bytes(whole[:-cut])
        with pytest.raises(StorageError, match="is cut short in line 3"):
            list(read_track(path))


@pytest.mark.parametrize("header", ["", "time_s,lat_deg", HEADER.upper(), HEADER + ",x", "\xff"])
def test_a_file_that_begins_otherwise_is_no_track(tmp_path: Path, header: str) -> None:
    with pytest.raises(ConfigError, match="a track begins with the line time_s,lat_deg"):
        list(read_track(track(tmp_path, GOOD, header=header)))


def test_an_empty_file_is_no_track(tmp_path: Path) -> None:
    path = tmp_path / "track.csv"
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match="a track begins with"):
        list(read_track(path))


def test_a_file_that_is_not_there_and_a_folder_are_the_operator_s_mistakes(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            list(read_track(path))


def test_a_second_is_a_thousand_million_nanoseconds(tmp_path: Path) -> None:
    ((at, _),) = read(tmp_path, "46408.654976041,,,,,")
    assert at == 46_408 * NS_PER_S + 654_976_041
