"""The view as CAN frames: what cantools reads from them, when they come, and what they say when there is nothing to say."""

from pathlib import Path
from typing import Any

import pytest
from cantools.database.can import Database

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError
from shared.transport.can_frame import CanFrame
from vehicle_agent.driver_can import DRIVER_DBC, VIEW_LIFETIME_NS, DriverFrames, load_driver_dbc
from vehicle_agent.signals.checksums import crc8_j1850
from vehicle_agent.signals.dbc import load_dbc


def cantools_reads(path: Path) -> Database:
    database = Database()
    database.add_dbc_file(path)
    return database


DATABASE = cantools_reads(DRIVER_DBC)
NAMES = ("V2X_HAZARD", "V2X_SIGNAL", "V2X_EMERGENCY", "V2X_STATUS")

HAZARD = {
    "cause_code": 94,
    "sub_cause_code": 2,
    "distance_m": 312.4,
    "time_to_reach_s": 22.5,
    "is_disputed": False,
    "speed_limit_kmh": 60,
}
SIGNAL = {
    "is_expected": True,
    "colour": "red",
    "time_to_change_s": 14.0,
    "time_to_green_s": 15.2,
    "distance_to_stop_m": 149.6,
    "speed_limit_kmh": 50,
    "advice": {"manoeuvre": "drive", "speed_kmh": 31},
}
AMBULANCE = {"side": "behind", "distance_m": 200.4, "time_to_reach_s": 13.3, "siren": True, "light_bar": None, "is_urgent": False}


def view(**changes: Any) -> dict[str, Any]:
    return {
        "ego": {"is_positioned": True, "is_time_known": True},
        "speed_limit": {"kmh": 50},
        "neighbours_known": 7,
        "hazards": [HAZARD],
        "signals": [{**SIGNAL, "is_expected": False, "colour": "green"}, SIGNAL],
        "emergency_vehicles": [AMBULANCE],
    } | changes


def at(ms: float) -> MonotonicNs:
    return MonotonicNs(round(ms * NS_PER_MS))


def frames(shown: dict[str, Any] | None, *, now: MonotonicNs | None = None) -> dict[str, dict[str, Any]]:
    driver = DriverFrames(load_driver_dbc(None, key="test"), started=MonotonicNs(0))
    if shown is not None:
        driver.show(shown, MonotonicNs(0))
    return {message.name: values for message, values in map(read, driver.poll(now or MonotonicNs(0)))}


def read(frame: CanFrame) -> tuple[Any, dict[str, Any]]:
    message = DATABASE.get_message_by_frame_id(frame.arbitration_id)
    assert crc8_j1850(frame.data[:-1]) == frame.data[-1]
    values = message.decode(frame.data)
    assert isinstance(values, dict)
    return message, {
        name: str(v) if not isinstance(v, int | float) else v for name, v in values.items() if name not in {"COUNTER", "CHECKSUM"}
    }


def raw_values(frame: CanFrame) -> dict[str, Any]:
    message = DATABASE.get_message_by_frame_id(frame.arbitration_id)
    values = message.decode(frame.data, decode_choices=False, scaling=False)
    assert isinstance(values, dict)
    return dict(values)


def test_cantools_reads_what_the_view_says() -> None:
    assert frames(view()) == {
        "V2X_HAZARD": {"CAUSE": 94, "SUB_CAUSE": 2, "DISTANCE": 312, "TIME_TO_REACH": 22.5, "IS_DISPUTED": "no", "SPEED_LIMIT": 60},
        "V2X_SIGNAL": {
            "COLOUR": "red",
            "TIME_TO_CHANGE": 14.0,
            "TIME_TO_GREEN": pytest.approx(15.2),
            "DISTANCE": 150,
            "ADVICE": "drive",
            "ADVISED_SPEED": 31,
            "SPEED_LIMIT": 50,
        },
        "V2X_EMERGENCY": {
            "SIDE": "behind",
            "DISTANCE": 200,
            "TIME_TO_REACH": pytest.approx(13.3),
            "SIREN": "yes",
            "LIGHT_BAR": "not available",
            "IS_URGENT": "no",
            "COUNT": 1,
        },
        "V2X_STATUS": {"IS_POSITIONED": "yes", "IS_TIME_KNOWN": "yes", "NEIGHBOURS": 7, "SPEED_LIMIT": 50},
    }


def test_where_there_is_nothing_to_tell_the_frames_say_so() -> None:
    said = frames(view(hazards=[], signals=[], emergency_vehicles=[]))
    assert (said["V2X_HAZARD"]["CAUSE"], said["V2X_HAZARD"]["DISTANCE"]) == ("none", 16_383)
    assert (said["V2X_SIGNAL"]["COLOUR"], said["V2X_SIGNAL"]["ADVICE"]) == ("none", "not available")
    assert (said["V2X_EMERGENCY"]["SIDE"], said["V2X_EMERGENCY"]["COUNT"]) == ("none", 0)


@pytest.mark.parametrize("shown", [None, view(ego={"is_positioned": False, "is_time_known": False})])
def test_without_a_view_or_a_place_everything_of_the_road_is_not_available(shown: dict[str, Any] | None) -> None:
    driver = DriverFrames(load_driver_dbc(None, key="test"), started=MonotonicNs(0))
    if shown is not None:
        driver.show(shown, MonotonicNs(0))
    else:
        driver._shown_at = MonotonicNs(-2 * VIEW_LIFETIME_NS)
    for frame in driver.poll(MonotonicNs(0)):
        message = DATABASE.get_message_by_frame_id(frame.arbitration_id)
        raw = raw_values(frame)
        if message.name != "V2X_STATUS" or shown is None:
            for signal in message.signals:
                if signal.name not in {"COUNTER", "CHECKSUM"}:
                    assert raw[signal.name] == (1 << signal.length) - 1, signal.name


def test_a_view_that_is_too_old_is_no_view_and_not_before() -> None:
    assert frames(view(), now=MonotonicNs(VIEW_LIFETIME_NS))["V2X_HAZARD"]["CAUSE"] == 94
    assert frames(view(), now=MonotonicNs(VIEW_LIFETIME_NS + 1))["V2X_HAZARD"]["CAUSE"] == "not available"


def test_values_beyond_what_a_signal_holds_stop_short_of_not_available() -> None:
    far = {**HAZARD, "distance_m": 99_999.0, "time_to_reach_s": 5_000.0, "speed_limit_kmh": 900}
    crowd = view(hazards=[far], neighbours_known=5_000, emergency_vehicles=[AMBULANCE] * 9)
    said = frames(crowd)
    assert (said["V2X_HAZARD"]["DISTANCE"], said["V2X_HAZARD"]["SPEED_LIMIT"]) == (16_382, 254)
    assert said["V2X_HAZARD"]["TIME_TO_REACH"] == pytest.approx(102.2)
    assert (said["V2X_STATUS"]["NEIGHBOURS"], said["V2X_EMERGENCY"]["COUNT"]) == (254, 6)


@pytest.mark.parametrize(
    ("advice", "word", "speed"),
    [(None, "none", 255), ({"manoeuvre": "stop", "speed_kmh": None}, "stop", 255), (SIGNAL["advice"], "drive", 31)],
)
def test_every_advice_has_its_word(advice: dict[str, Any] | None, word: str, speed: int) -> None:
    said = frames(view(signals=[{**SIGNAL, "advice": advice}]))["V2X_SIGNAL"]
    assert (said["ADVICE"], said["ADVISED_SPEED"]) == (word, speed)


@pytest.mark.parametrize("colour", ["red", "red_amber", "green", "amber", "flashing_red", "flashing_amber", "dark", "unavailable"])
def test_every_colour_has_its_number(colour: str) -> None:
    said = frames(view(signals=[{**SIGNAL, "colour": colour}]))["V2X_SIGNAL"]["COLOUR"]
    assert said == ("not available" if colour == "unavailable" else colour)


@pytest.mark.parametrize(("side", "said"), [("ahead", "ahead"), ("right", "right"), ("left", "left"), (None, "somewhere")])
def test_every_side_has_its_number(side: str | None, said: str) -> None:
    assert frames(view(emergency_vehicles=[{**AMBULANCE, "side": side}]))["V2X_EMERGENCY"]["SIDE"] == said


def test_each_message_comes_at_its_cycle_time_with_a_counter_that_grows() -> None:
    driver = DriverFrames(load_driver_dbc(None, key="test"), started=MonotonicNs(0))
    driver.show(view(), MonotonicNs(0))
    moments: dict[int, list[float]] = {}
    counters: dict[int, list[int]] = {}
    for ms in range(0, 4_001, 10):
        driver.show(view(), at(ms))
        for frame in driver.poll(at(ms)):
            moments.setdefault(frame.arbitration_id, []).append(ms)
            counters.setdefault(frame.arbitration_id, []).append(raw_values(frame)["COUNTER"])
    for message in DATABASE.messages:
        assert moments[message.frame_id] == list(range(0, 4_001, message.cycle_time or 0))
        assert counters[message.frame_id] == [n % 16 for n in range(len(moments[message.frame_id]))]


def test_a_late_call_makes_no_burst() -> None:
    driver = DriverFrames(load_driver_dbc(None, key="test"), started=MonotonicNs(0))
    assert len(driver.poll(MonotonicNs(60 * NS_PER_S))) == len(NAMES)
    assert driver.poll(MonotonicNs(60 * NS_PER_S)) == ()
    assert driver.next_due() == MonotonicNs(60 * NS_PER_S + 200 * NS_PER_MS)


def own_dbc(directory: Path, change: tuple[str, str]) -> Path:
    path = directory / "own.dbc"
    path.write_text(DRIVER_DBC.read_text().replace(*change))
    return path


def test_a_makers_own_dbc_may_put_signals_elsewhere_and_in_the_other_byte_order(tmp_path: Path) -> None:
    text = DRIVER_DBC.read_text().replace("BO_ 976 V2X_HAZARD: 8", "BO_ 2566844926 V2X_HAZARD: 8").replace(" 976 ", " 2566844926 ")
    for little, big in (
        ("DISTANCE : 16|14@1+ (1,0)", "DISTANCE : 23|16@0+ (2,0)"),
        ("TIME_TO_REACH : 30|10", "TIME_TO_REACH : 32|10"),
        ("IS_DISPUTED : 40|2", "IS_DISPUTED : 42|2"),
        ("SPEED_LIMIT : 42|8", "SPEED_LIMIT : 44|8"),
    ):
        text = text.replace(little, big, 1)
    path = tmp_path / "own.dbc"
    path.write_text(text)
    driver = DriverFrames(load_dbc(path, key="test"), started=MonotonicNs(0))
    driver.show(view(), MonotonicNs(0))
    frame = driver.poll(MonotonicNs(0))[0]
    assert (frame.is_extended, driver.first_identifier) == (True, (2566844926 & 0x1FFFFFFF, True))
    decoded = cantools_reads(path).decode_message(frame.arbitration_id, frame.data, decode_choices=False, force_extended_id=True)
    assert isinstance(decoded, dict)
    assert (decoded["CAUSE"], decoded["DISTANCE"]) == (94, 312)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("V2X_STATUS:", "V2X_STATE:"), "no such message"),
        (("LIGHT_BAR", "BEACON"), "no such signal"),
        (("SG_ SIREN : 23|2", "SG_ SIREN : 22|2"), "overlaps another signal"),
        (("SG_ COUNT : 29|3", "SG_ COUNT : 29|1"), "two bits or more"),
        (("SG_ CHECKSUM : 56|8@1+", "SG_ CHECKSUM : 56|4@1+"), "one whole byte"),
        (('BA_ "GenMsgCycleTime" BO_ 979 1000;', ""), "no cycle time"),
        (
            (
                ' SG_ SIREN : 23|2@1+ (1,0) [0|1] "" IPC',
                ' SG_ SIREN : 23|2@1+ (1,0) [0|1] "" IPC\n SG_ BEACON : 40|2@1+ (1,0) [0|1] "" IPC',
            ),
            "no value for BEACON",
        ),
    ],
)
def test_a_dbc_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        DriverFrames(load_driver_dbc(own_dbc(tmp_path, change), key="driver.can.dbc"), started=MonotonicNs(0))
