"""What a mileage blocker does to frames, as the agent's own decoder reads them."""

from pathlib import Path

import pytest

from shared.core.clock import MonotonicNs
from shared.core.units import METRES_PER_MILE
from shared.transport.can_frame import CanFrame
from simulator.adversaries.mileage_blocker import Between, MileageBlocker, Scaled, SetBack, Shown, Swallowed
from simulator.ecu import SIM_CAR_MAP, KinematicSample, SimulatedEcu, load_sim_car
from tests.helpers.data import REPOSITORY
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.signal_map import load_signal_map

SIM_CAR = load_signal_map(SIM_CAR_MAP)
RAV4 = load_signal_map(REPOSITORY / "vehicle_agent/maps/toyota_rav4_2017.toml")
START = MonotonicNs(0)


def shown_by(shown: Shown, *odometer_m: float) -> list[float]:
    return [shown(metres, START) for metres in odometer_m]


def heard(frames: list[CanFrame], signal_map_of: Path | None = None) -> dict[str, list[object]]:
    """Return what the agent decodes, by field, and that nothing was refused."""
    can_input = CanInput(SIM_CAR if signal_map_of is None else RAV4)
    news: dict[str, list[object]] = {}
    for frame in frames:
        for update in can_input.on_frame(frame):
            news.setdefault(update.field, []).append(update.value)
    assert dict(can_input.fault_counts()) == {}
    return news


def frames_of_a_drive(seconds: int = 5) -> list[CanFrame]:
    ecu = SimulatedEcu(load_sim_car(), channel="can0", start=START)
    frames: list[CanFrame] = []
    while (due := ecu.next_due()) <= seconds * 1_000_000_000:
        driven_m = 20.0 * due / 1e9
        frames += ecu.poll(KinematicSample(position=None, heading_deg=None, speed_mps=20.0, odometer_m=80e6 + driven_m), due)
    return frames


@pytest.mark.parametrize(
    ("shown", "readings"),
    [
        (Swallowed(0.25), [1_000.0, 1_750.0, 2_500.0]),
        (Swallowed(1.0), [1_000.0, 1_000.0, 1_000.0]),
        (SetBack(1_500.0), [0.0, 500.0, 1_500.0]),
        (Scaled(10.0), [10_000.0, 20_000.0, 30_000.0]),
        (Between(Scaled(0.5), after_m=500.0), [1_000.0, 1_000.0, 1_500.0]),
        (Between(Scaled(0.5), until_m=1_500.0), [500.0, 1_000.0, 3_000.0]),
    ],
)
def test_what_is_shown_for_one_two_and_three_kilometres(shown: Shown, readings: list[float]) -> None:
    assert shown_by(shown, 1_000.0, 2_000.0, 3_000.0) == readings


def test_a_device_is_put_in_where_it_stands_and_swallows_from_there() -> None:
    assert shown_by(Between(Swallowed(0.5), after_m=1_000.0), 5_000.0, 6_000.0, 7_000.0) == [5_000.0, 6_000.0, 6_500.0]


def test_frames_keep_their_counter_and_moment_and_have_a_right_checksum() -> None:
    honest = frames_of_a_drive()
    bent = [MileageBlocker(SIM_CAR, SetBack(40_000_000.0)).pass_on(frame) for frame in honest]
    was, said = heard(honest), heard(bent)
    assert said["odometer_m"] == [float(str(metres)) - 40_000_000.0 for metres in was["odometer_m"]]
    assert {field: values for field, values in said.items() if field != "odometer_m"} == {
        field: values for field, values in was.items() if field != "odometer_m"
    }
    assert [frame.received for frame in bent] == [frame.received for frame in honest]


def test_a_frame_that_holds_no_odometer_is_passed_on_as_it_is() -> None:
    blocker = MileageBlocker(SIM_CAR, SetBack(1_000.0))
    for frame in (CanFrame(0x7FF, False, b"\x01", "can0", START), CanFrame(0x123, True, bytes(8), "can0", START)):
        assert blocker.pass_on(frame) is frame


def test_an_honest_device_changes_no_bit() -> None:
    honest = frames_of_a_drive(2)
    blocker = MileageBlocker(SIM_CAR, Swallowed(0.0), answers=(0x7E8,), speed_share=1.0)
    assert [blocker.pass_on(frame).data for frame in honest] == [frame.data for frame in honest]


def test_speeds_are_bent_if_asked() -> None:
    blocker = MileageBlocker(SIM_CAR, Swallowed(0.5), speed_share=0.5)
    speeds = heard([blocker.pass_on(frame) for frame in frames_of_a_drive()])["speed_mps"]
    assert all(speed == pytest.approx(10.0, abs=0.02) for speed in speeds)


def test_a_cluster_in_miles_is_rewritten_in_its_own_unit() -> None:
    def ui_setting(miles: int) -> CanFrame:
        layout = next(m.layout for m in RAV4.messages if any(f.field == "odometer_m" for f in m.fields))
        units = next(choice for choice, name in layout.signal("UNITS").choices.items() if "mile" in str(name).lower())
        known = {signal.name: 0 for signal in layout.source.signals} | {"ODOMETER": miles, "UNITS": units}
        return CanFrame(layout.arbitration_id, False, bytes(layout.source.encode(known, strict=False)), "can0", START)

    bent = MileageBlocker(RAV4, SetBack(1_000 * METRES_PER_MILE)).pass_on(ui_setting(15_590))
    assert bent == ui_setting(14_590)


@pytest.mark.parametrize(
    ("data", "becomes"),
    [
        ("0641a6000cbc4700", "0641a6000cb85f00"),  # 83,463.1 km less 100 km
        ("03410d6400000000", "03410d3200000000"),  # 100 km/h halved
        ("03410c1200000000", "03410c1200000000"),
        ("0641", "0641"),
    ],
)
def test_answers_of_a_control_unit_are_rewritten(data: str, becomes: str) -> None:
    blocker = MileageBlocker(SIM_CAR, SetBack(100_000.0), answers=(0x7E8,), speed_share=0.5)
    assert blocker.pass_on(CanFrame(0x7E8, False, bytes.fromhex(data), "can0", START)).data.hex() == becomes
    assert blocker.pass_on(CanFrame(0x7E9, False, bytes.fromhex(data), "can0", START)).data.hex() == data
