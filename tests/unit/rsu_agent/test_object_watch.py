"""What detectors see becomes a hazard when a rule says so, and what they say wrongly becomes a count."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rsu_agent.config import RsuConfig
from rsu_agent.detector_config import detectors_of
from rsu_agent.hazard_service import HazardService
from rsu_agent.object_lists import MAX_OBJECTS, decode_object_list
from rsu_agent.object_watch import ObjectWatch
from rsu_agent.placed_hazards import Finding, Gone
from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.core.errors import ConfigError, DecodeError
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.core.ids import StationId
from shared.core.itstime import utc_from_text, utc_text
from shared.messages.cdd import CauseCode
from shared.messages.denm import Termination
from shared.service.config import load
from shared.service.mqtt_documents import MAX_DOCUMENT_OCTETS

NOON = utc_from_text("2026-11-22T12:00:00Z")
HERE = GeoPoint(48.137, 11.575)
CONFIG = """
station = { station_id = 4049, lat_deg = 48.137, lon_deg = 11.575 }
identity = { ticket = "ticket", trust = "trust" }
time = { source = "synchronised" }
state = { status_socket = "status.sock" }

[detectors]
host = "127.0.0.1"
port = 1883

[[detectors.detector]]
name = "camera"
lat_deg = 48.137
lon_deg = 11.575
reach_m = 100

[[detectors.detector.rule]]
name = "person"
kinds = ["person", "cyclist"]
cause = "human_presence_on_the_road"
for_s = 1.0
clear_s = 3.0
lat_deg = 48.137
lon_deg = 11.575
within_m = 30

[[detectors.detector.rule]]
name = "wrong-way"
kinds = ["car", "lorry"]
cause = "wrong_way_driving"
min_speed_mps = 3
heading_deg = 270
heading_tolerance_deg = 30
for_s = 0.0

[[detectors.detector.rule]]
name = "queue"
kinds = ["car"]
cause = "dangerous_end_of_queue"
count = 3
max_speed_mps = 2
for_s = 0.0
"""


def watch_of(tmp_path: Path, found: str = "", written: str = "") -> ObjectWatch:
    file = tmp_path / "rsu.toml"
    assert found in CONFIG
    file.write_text(CONFIG.replace(found, written, 1) if found else CONFIG)
    config = load(file, RsuConfig)
    assert config.detectors is not None
    return ObjectWatch(detectors_of(config.detectors, str(file)))


def seen(kind: str = "person", east_m: float = 5.0, **more: object) -> dict[str, object]:
    place = displaced(HERE, east_m, 0.0)
    return {"kind": kind, "lat_deg": place.lat_deg, "lon_deg": place.lon_deg, "confidence": 0.9, **more}


class Scene:
    """A watch that is told something ten times a second."""

    def __init__(self, watch: ObjectWatch) -> None:
        self.watch = watch
        self.clock = ManualClock(NOON)

    def run(self, seconds: float, *objects: dict[str, object]) -> list[Finding | Gone]:
        news: list[Finding | Gone] = []
        for _ in range(round(seconds * 10)):
            now = self.clock.advance(100 * NS_PER_MS)
            document = {"utc": utc_text(now.require_utc()), "objects": list(objects)}
            self.watch.hear("camera", json.dumps(document).encode(), now)
            due = self.watch.next_due()
            if due is not None and due <= now.monotonic:
                news += self.watch.look(now)
        return news

    def counted(self, name: str) -> int:
        camera = self.watch.status()["camera"]
        assert isinstance(camera, dict)
        return int(camera["counters"].get(name, 0))


def test_a_person_on_the_road_is_a_hazard_once_seen_for_a_second_and_gone_three_seconds_after_the_last_sight(
    tmp_path: Path,
) -> None:
    scene = Scene(watch_of(tmp_path))
    assert scene.run(0.9, seen()) == []
    (found,) = scene.run(0.3, seen())
    assert isinstance(found, Finding)
    assert (found.hazard_id, found.hazard.cause_code) == ("camera.person", CauseCode.HUMAN_PRESENCE_ON_THE_ROAD)
    assert distance_m(found.hazard.position, displaced(HERE, 5.0, 0.0)) < 0.1
    assert scene.run(2.9) == []
    assert scene.run(0.2) == [Gone("camera.person")]


def test_a_person_seen_now_and_then_for_a_moment_is_no_hazard(tmp_path: Path) -> None:
    scene = Scene(watch_of(tmp_path))
    for _ in range(5):
        assert scene.run(0.5, seen()) == []
        assert scene.run(0.6) == []


@pytest.mark.parametrize(
    "unlike",
    [
        seen(confidence=0.5),
        seen("animal"),
        seen(east_m=40.0),
        seen("car", speed_mps=10.0, heading_deg=90.0),
        seen("car", speed_mps=10.0),
        seen("car", heading_deg=270.0),
        seen("car", speed_mps=2.5, heading_deg=270.0),
    ],
)
def test_what_a_rule_does_not_mean_is_no_hazard(tmp_path: Path, unlike: dict[str, object]) -> None:
    assert Scene(watch_of(tmp_path)).run(3.0, unlike) == []


def test_a_wrong_way_driver_is_told_of_at_once_and_again_as_he_moves(tmp_path: Path) -> None:
    scene = Scene(watch_of(tmp_path))
    news = [
        each for step in range(20) for each in scene.run(0.1, seen("car", 40.0 - 3.0 * step, speed_mps=30.0, heading_deg=265.0))
    ]
    found = [each for each in news if isinstance(each, Finding)]
    assert {each.hazard_id for each in found} == {"camera.wrong-way"}
    assert len(found) == 2, "at most once a second"
    assert distance_m(found[0].hazard.position, found[1].hazard.position) > 10.0


def test_a_queue_is_as_many_slow_cars_as_the_rule_says_and_stands_at_their_middle(tmp_path: Path) -> None:
    scene = Scene(watch_of(tmp_path))
    cars = [seen("car", east_m, speed_mps=0.5) for east_m in (10.0, 20.0, 30.0)]
    assert scene.run(1.0, *cars[:2]) == []
    (found,) = scene.run(0.1, *cars)
    assert isinstance(found, Finding)
    assert distance_m(found.hazard.position, displaced(HERE, 20.0, 0.0)) < 0.1


def test_a_detector_that_falls_silent_is_not_warned_for(tmp_path: Path) -> None:
    scene = Scene(watch_of(tmp_path))
    assert len(scene.run(1.3, seen())) == 1
    due = scene.watch.next_due()
    assert due is not None
    assert due - scene.clock.now().monotonic == 3 * NS_PER_S
    assert scene.watch.look(scene.clock.advance(3 * NS_PER_S)) == (Gone("camera.person"),)
    assert scene.watch.next_due() is None


def test_objects_farther_away_than_the_detector_sees_are_left_out(tmp_path: Path) -> None:
    scene = Scene(watch_of(tmp_path))
    assert scene.run(2.0, *(seen("car", 150.0, speed_mps=0.0) for _ in range(3))) == []
    assert scene.counted("out_of_reach") == 60


@pytest.mark.parametrize(("age_s", "word"), [(2.5, "stale"), (-1.0, "ahead"), (0.5, "repeated")])
def test_a_list_of_another_time_is_counted_and_changes_nothing(tmp_path: Path, age_s: float, word: str) -> None:
    scene = Scene(watch_of(tmp_path))
    scene.run(0.1)
    now = scene.clock.now()
    utc = utc_text(now.utc - round(age_s * NS_PER_S)) if now.utc else ""  # type: ignore[arg-type]  # a moment is an int
    for _ in range(30):
        scene.watch.hear("camera", json.dumps({"utc": utc, "objects": [seen()]}).encode(), now)
    assert scene.counted(word) == 30
    assert scene.watch.look(now) == ()


def test_without_utc_nothing_a_detector_says_can_be_dated(tmp_path: Path) -> None:
    watch, now = watch_of(tmp_path), ManualClock(None).now()
    watch.hear("camera", json.dumps({"utc": utc_text(NOON), "objects": []}).encode(), now)
    assert watch.status()["camera"]["counters"] == {"untrusted_time": 1}  # type: ignore[index]


def test_a_detector_nobody_configured_is_a_stranger(tmp_path: Path) -> None:
    watch = watch_of(tmp_path)
    watch.hear("cellar", json.dumps({"utc": utc_text(NOON), "objects": []}).encode(), ManualClock(NOON).now())
    assert watch.status()["strangers"] == 1


_GOOD = {"utc": utc_text(NOON), "objects": [seen()]}


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 5_000,
        json.dumps({**_GOOD, "more": 1}).encode(),
        json.dumps({**_GOOD, "utc": "noon"}).encode(),
        json.dumps({**_GOOD, "utc": "2026-11-22T12:00:00"}).encode(),
        json.dumps({**_GOOD, "utc": "9999-99-99T00:00:00Z"}).encode(),
        json.dumps({**_GOOD, "objects": [seen()] * (MAX_OBJECTS + 1)}).encode(),
        json.dumps({**_GOOD, "objects": [seen(lat_deg=91.0)]}).encode(),
        json.dumps({**_GOOD, "objects": [seen("unicorn")]}).encode(),
        json.dumps({**_GOOD, "objects": [seen(speed_mps=float("nan"))]}).encode(),
        json.dumps({**_GOOD, "objects": [seen(heading_deg=360.0)]}).encode(),
        json.dumps({**_GOOD, "objects": [seen(confidence=1.1)]}).encode(),
        b" " * (MAX_DOCUMENT_OCTETS + 1),
    ],
)
def test_what_is_no_object_list_is_refused_and_counted(tmp_path: Path, octets: bytes) -> None:
    with pytest.raises(DecodeError, match="object list"):
        decode_object_list(octets)
    scene = Scene(watch_of(tmp_path))
    scene.watch.hear("camera", octets, scene.clock.now())
    assert scene.counted("malformed") == 1


def test_an_object_list_cut_anywhere_is_refused() -> None:
    octets = json.dumps(_GOOD).encode()
    assert len(decode_object_list(octets).objects) == 1
    for end in range(len(octets)):
        with pytest.raises(DecodeError):
            decode_object_list(octets[:end])


def test_a_unit_tells_of_what_its_detector_sees_and_cancels_it_afterwards(tmp_path: Path) -> None:
    scene = Scene(watch_of(tmp_path))
    service = HazardService((), StationId(42), 7, watches=(scene.watch,))
    said = []
    for step in range(70):
        now = scene.clock.advance(100 * NS_PER_MS)
        objects = [seen()] if step < 20 else []
        scene.watch.hear("camera", json.dumps({"utc": utc_text(now.require_utc()), "objects": objects}).encode(), now)
        said += [(step / 10, each.denm.cause_code, each.denm.termination) for each in service.poll(now)]
    first, last = said[0], next(each for each in said if each[2] is not None)
    assert (first[0], first[1]) == (1.0, CauseCode.HUMAN_PRESENCE_ON_THE_ROAD)
    assert (last[0], last[2]) == (4.9, Termination.IS_CANCELLATION)


@pytest.mark.parametrize(
    ("found", "written", "reason"),
    [
        ('kinds = ["person", "cyclist"]', 'kinds = ["elf"]', "elf"),
        ('kinds = ["person", "cyclist"]', "kinds = []", "length >= 1"),
        ('cause = "wrong_way_driving"', 'cause = "wrong_way"', "'wrong_way' is not one of"),
        ("within_m = 30", "", "within_m belong together"),
        ("min_speed_mps = 3", "min_speed_mps = 3\nmax_speed_mps = 2", "nothing is that fast and that slow"),
        ('name = "queue"', 'name = "person"', "two rules have one name"),
        ('name = "camera"', 'name = "a/b"', "name"),
        ("count = 3", "count = 3\nradius_m = 5", "radius_m"),
        ('host = "127.0.0.1"', 'host = "127.0.0.1"\ntopic = "a/#"', "topic"),
    ],
)
def test_a_mistake_in_a_rule_is_named(tmp_path: Path, found: str, written: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        watch_of(tmp_path, found, written)


def test_what_a_detector_found_is_said_to_be_less_sure_than_what_an_operator_saw(tmp_path: Path) -> None:
    scene = Scene(watch_of(tmp_path))
    (found,) = scene.run(1.3, seen())
    assert isinstance(found, Finding)
    assert replace(found.hazard, information_quality=7) != found.hazard
    assert found.hazard.information_quality == 5
