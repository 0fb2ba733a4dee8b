"""Learning a map tells who says a thing: the car or a satellite receiver, the pedal or another unit's wish."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cantools import database
from cantools.database.can import Database

from shared.core.clock import MonotonicNs
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, displaced
from shared.transport.can_frame import CanFrame
from tests.helpers.unknown_car import DBC, START_M, Moment, frames, moments
from vehicle_agent.learning.learn import Learnt, learn
from vehicle_agent.learning.listen import Listener
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map

DRIVE_S = 60.0
HOME = GeoPoint(48.2, 11.6)

RECEIVER = """VERSION ""

BU_: ECU

BO_ 3 gnss_pos: 8 ECU
 SG_ PositionValid : 0|1@1+ (1,0) [0|1] "" ECU
 SG_ Latitude : 1|28@1+ (1e-06,-90) [-90|90] "deg" ECU
 SG_ Longitude : 29|29@1+ (1e-06,-180) [-180|180] "deg" ECU

BO_ 6 gnss_odo: 8 ECU
 SG_ DistanceValid : 0|1@1+ (1,0) [0|1] "" ECU
 SG_ DistanceTotal : 8|32@1+ (1,0) [0|0] "m" ECU

BO_ 7 gnss_speed: 5 ECU
 SG_ Speed : 1|20@1+ (0.001,0) [0|1048.575] "m/s" ECU
"""

RADAR = """
BO_ 200 BRAKE_2: 1 ECU
 SG_ BRAKE_PRESSED : 0|1@1+ (1,0) [0|1] "" ECU
"""


def received(drive: Iterator[Moment]) -> Iterator[CanFrame]:
    """Yield what a satellite receiver on the bus says; it has no fix for the first five seconds."""
    dbc = database.load_string(RECEIVER, "dbc")
    assert isinstance(dbc, Database)
    for number, now in enumerate(drive):
        place = displaced(HOME, 0.0, now.odometer_m - START_M)
        has_fix = number >= 50
        lat, lon = (place.lat_deg, place.lon_deg) if has_fix else (-90.0, -180.0)
        for name, values in (
            ("gnss_pos", {"PositionValid": has_fix, "Latitude": lat, "Longitude": lon}),
            ("gnss_odo", {"DistanceValid": has_fix, "DistanceTotal": int(now.odometer_m)}),
            ("gnss_speed", {"Speed": now.speed_mps}),
        ):
            message = dbc.get_message_by_name(name)
            yield CanFrame(message.frame_id, False, message.encode(values, strict=False), "can0", now.at)


def learn_from(directory: Path, dbc: str, *sent: Iterator[CanFrame]) -> tuple[Learnt, SignalMap]:
    (directory / "car.dbc").write_text(dbc, encoding="ascii")
    listener = Listener()
    for frame in sorted((frame for source in sent for frame in source), key=lambda frame: frame.received):
        listener.on_frame(frame)
    learnt = learn(listener, ["car.dbc"], base=directory, written=["car.dbc"], source="a test")
    (directory / "map.toml").write_text(learnt.text, encoding="utf-8")
    return learnt, load_signal_map(directory / "map.toml")


def sources(signal_map: SignalMap) -> dict[str, str]:
    return {f.field: m.layout.name for m in signal_map.messages for f in m.fields}


class TestAReceiverOnTheBus:
    def test_what_it_measures_is_never_the_speed_or_the_odometer_of_the_car(self, tmp_path: Path) -> None:
        _, signal_map = learn_from(tmp_path, RECEIVER, received(moments(DRIVE_S)))
        assert sources(signal_map) == {"position": "gnss_pos", "gnss_odometer_m": "gnss_odo", "gnss_speed_mps": "gnss_speed"}

    def test_the_car_keeps_its_own_beside_it(self, tmp_path: Path) -> None:
        both = DBC.partition("BO_ ")[0] + RECEIVER[RECEIVER.index("BO_ ") :] + "\nBO_ " + DBC.partition("BO_ ")[2]
        _, signal_map = learn_from(tmp_path, both, frames(moments(DRIVE_S), step_m=10.0), received(moments(DRIVE_S)))
        found = sources(signal_map)
        assert (found["speed_mps"], found["odometer_m"]) == ("WHEELS", "CLUSTER")
        assert (found["gnss_speed_mps"], found["gnss_odometer_m"]) == ("gnss_speed", "gnss_odo")

    def test_its_place_is_taken_only_where_it_says_that_it_has_one(self, tmp_path: Path) -> None:
        learnt, signal_map = learn_from(tmp_path, RECEIVER, received(moments(DRIVE_S)))
        (position,) = [p for p in learnt.best if p.field == "position"]
        assert position.confidence == "certain"
        (mapped,) = [f for m in signal_map.messages for f in m.fields if f.field == "position"]
        assert [(flag.name, values) for flag, values in mapped.signals[0].conditions] == [("PositionValid", frozenset({1}))]

    def test_places_that_do_not_go_with_the_speed_are_a_comment(self, tmp_path: Path) -> None:
        elsewhere = (replace(now, odometer_m=START_M + 40.0 * (n % 7)) for n, now in enumerate(moments(DRIVE_S)))
        sent = (frame for frame in received(elsewhere))
        _, signal_map = learn_from(tmp_path, RECEIVER, sent)
        assert "position" not in signal_map.fields()


class TestADbcThatFitsInPart:
    def test_of_a_name_of_two_messages_the_one_heard_is_taken_and_said(self, tmp_path: Path) -> None:
        again = RECEIVER[RECEIVER.index("BO_ 3 ") : RECEIVER.index("BO_ 6 ")].replace("BO_ 3 ", "BO_ 19 ")
        learnt, signal_map = learn_from(tmp_path, RECEIVER + again, received(moments(DRIVE_S)))
        (position,) = [m for m in signal_map.messages if m.layout.name == "gnss_pos"]
        assert position.layout.arbitration_id == 3
        assert "[messages.gnss_pos]\nid = 3\n" in learnt.text

    def test_a_name_heard_under_both_its_identifiers_is_learnt_from_one(self, tmp_path: Path) -> None:
        again = RECEIVER[RECEIVER.index("BO_ 3 ") : RECEIVER.index("BO_ 6 ")].replace("BO_ 3 ", "BO_ 19 ")
        twin = (
            CanFrame(19, False, frame.data, "can0", frame.received)
            for frame in received(moments(DRIVE_S))
            if frame.arbitration_id == 3
        )
        learnt, signal_map = learn_from(tmp_path, RECEIVER + again, received(moments(DRIVE_S)), twin)
        assert [m.layout.arbitration_id for m in signal_map.messages if m.layout.name == "gnss_pos"] == [3]
        assert learnt.unreadable == ("message gnss_pos is heard as 0x3 and as 0x13: the latter is left out",)

    def test_a_truck_is_answered_with_what_it_speaks(self, tmp_path: Path) -> None:
        truck = tmp_path / "truck.dbc"
        truck.write_text(RECEIVER.replace("BO_ 3 ", f"BO_ {0x98FEF3FE} "), encoding="ascii")
        listener = Listener()
        for number in range(9):
            listener.on_frame(CanFrame(0x0CFEF327, True, bytes(8), "can0", MonotonicNs(number)))
        with pytest.raises(
            ConfigError, match=r"1 of the 1 messages heard by their parameter group alone: this looks like SAE J1939"
        ):
            learn(listener, ["truck.dbc"], base=tmp_path, written=["truck.dbc"], source="a truck")


class TestABrakePedal:
    def other_unit(self, channel: str, *, is_true: bool) -> Iterator[CanFrame]:
        """Yield what is called a pressed brake pedal: what it is, or that the car gains speed."""
        for now in moments(DRIVE_S):
            pressed = now.is_braking if is_true else now.acceleration_mps2 > 0.1
            yield CanFrame(200, False, bytes((pressed,)), channel, now.at)

    def without_pedal(self) -> Iterator[CanFrame]:
        """Yield the car's frames with a pedal that nobody presses."""
        for frame in frames(moments(DRIVE_S), step_m=10.0):
            is_body = frame.arbitration_id == 260
            data = bytes((frame.data[0] & ~0x20, frame.data[1])) if is_body else frame.data
            yield CanFrame(frame.arbitration_id, False, data, frame.channel, frame.received)

    def test_one_that_is_on_while_the_car_gains_speed_is_none(self, tmp_path: Path) -> None:
        learnt, signal_map = learn_from(tmp_path, DBC + RADAR, self.without_pedal(), self.other_unit("can1", is_true=False))
        assert "brake_pedal_pressed" not in signal_map.fields()
        assert "BRAKE_2.BRAKE_PRESSED" in learnt.text
        assert "on average while it is on: no brake does that" in learnt.text

    def test_of_two_that_tell_alike_the_one_on_the_bus_of_the_speed_is_taken(self, tmp_path: Path) -> None:
        drive = frames(moments(DRIVE_S), step_m=10.0)
        _, signal_map = learn_from(tmp_path, RADAR + DBC[DBC.index("BO_ ") :], drive, self.other_unit("can1", is_true=True))
        assert sources(signal_map)["brake_pedal_pressed"] == "BODY"
