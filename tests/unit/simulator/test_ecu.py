from dataclasses import fields, replace
from functools import cache

import cantools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint
from shared.messages.cdd import DriveDirection
from shared.transport.can_bus import CanBus, CanBusConfig, StampSource
from shared.transport.can_frame import CanFrame
from simulator.ecu import SIM_CAR_DBC, SIM_CAR_MAP, Body, KinematicSample, Rollback, SimulatedEcu, load_sim_car
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.dbc import Dbc
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map
from vehicle_agent.vehicle_state import FIELDS, FieldKind, VehicleState, fold, fresh

START = MonotonicNs(7_000)
FLAGS = frozenset(name for name, spec in FIELDS.items() if spec.kind is FieldKind.FLAG)
BODY_FLAGS = tuple(field.name for field in fields(Body))


@cache
def _dbc() -> Dbc:
    return load_sim_car()


@cache
def _map() -> SignalMap:
    return load_signal_map(SIM_CAR_MAP)


@cache
def _cantools() -> cantools.database.Database:
    loaded = cantools.database.load_file(SIM_CAR_DBC, strict=True)
    assert isinstance(loaded, cantools.database.Database)
    return loaded


SAMPLE = KinematicSample(
    position=GeoPoint(48.123456_7, -11.543210_9),
    altitude_m=512.34,
    position_accuracy_m=1.4,
    heading_deg=271.25,
    speed_mps=13.9,
    longitudinal_acceleration_mps2=-1.25,
    lateral_acceleration_mps2=0.5,
    yaw_rate_dps=-3.5,
    steering_wheel_angle_deg=42.5,
    odometer_m=123_456_789.9,
    brake_pedal_pressed=True,
    turn_left=True,
    low_beam=True,
)


def _at(ms: float) -> MonotonicNs:
    return MonotonicNs(START + round(ms * NS_PER_MS))


def _ecu() -> SimulatedEcu:
    return SimulatedEcu(_dbc(), channel="car", start=START)


def _state(frames: tuple[CanFrame, ...], source: CanInput | None = None) -> VehicleState:
    can_input = CanInput(_map()) if source is None else source
    state = VehicleState()
    for frame in frames:
        decoded = can_input.decode(frame)
        assert decoded.faults == ()
        state = fold(state, decoded.updates)
    return state


def test_the_dbc_is_sound_by_the_strict_rules_of_cantools() -> None:
    for message in _cantools().messages:
        assert message.cycle_time
        assert {"COUNTER", "CHECKSUM"} <= set(message.signal_tree)
        assert message.get_signal_by_name("CHECKSUM").start == 8 * (message.length - 1)


def test_the_agent_reads_what_the_car_does() -> None:
    now = _at(600)
    state = _state(_ecu().poll(SAMPLE, now))
    assert fresh(state.position, now) == GeoPoint(_whole_steps(48.1234567), _whole_steps(-11.5432109))
    assert fresh(state.altitude_m, now) == pytest.approx(512.34)
    assert fresh(state.position_accuracy_m, now) == pytest.approx(1.4)
    assert fresh(state.heading_deg, now) == pytest.approx(271.25)
    assert fresh(state.speed_mps, now) == pytest.approx(13.9, abs=0.002)
    assert fresh(state.longitudinal_acceleration_mps2, now) == pytest.approx(-1.25)
    assert fresh(state.lateral_acceleration_mps2, now) == pytest.approx(0.5)
    assert fresh(state.yaw_rate_dps, now) == pytest.approx(-3.5)
    assert fresh(state.steering_wheel_angle_deg, now) == pytest.approx(42.5)
    assert fresh(state.drive_direction, now) is DriveDirection.FORWARD
    assert fresh(state.odometer_m, now) == 123_456_789.0
    flags = {name for name in FLAGS if fresh(getattr(state, name), now)}
    assert flags == {"ignition_on", "brake_pedal_pressed", "turn_left", "low_beam"}


@pytest.mark.parametrize("name", BODY_FLAGS)
def test_each_thing_that_is_switched_on_is_heard_by_itself(name: str) -> None:
    now = _at(600)
    state = _state(_ecu().poll(replace(SAMPLE, body=Body(**{name: True})), now))
    assert {flag for flag in BODY_FLAGS if fresh(getattr(state, flag), now)} == {name}


def _whole_steps(value: float) -> float:
    """The nearest multiple of 1e-7 degrees, computed as scaling does."""
    return round(value / 1e-7) * 1e-7


def test_what_the_car_does_not_know_is_not_available_to_the_agent() -> None:
    unknown = KinematicSample(position=None, heading_deg=None, speed_mps=None, odometer_m=None, drive_direction=None)
    state = _state(_ecu().poll(unknown, _at(600)))
    for field in FIELDS:
        value = getattr(state, field)
        flag = field in FLAGS
        assert (value is not None) is flag, field


def test_every_message_keeps_its_cycle_time_whatever_the_step_of_the_simulation() -> None:
    ecu = _ecu()
    frames = [frame for step in range(1, 8) for frame in ecu.poll(SAMPLE, _at(137 * step))]
    times: dict[int, list[int]] = {}
    for frame in frames:
        times.setdefault(frame.arbitration_id, []).append(frame.received)
    assert len(times) == 10
    for message in _cantools().messages:
        gaps = {b - a for a, b in zip(times[message.frame_id], times[message.frame_id][1:], strict=False)}
        assert message.cycle_time is not None
        assert gaps == {message.cycle_time * NS_PER_MS}
    assert [f.received for f in frames] == sorted(f.received for f in frames)


def test_the_next_due_time_is_that_of_the_next_frame() -> None:
    ecu = _ecu()
    assert ecu.next_due() == START
    assert ecu.poll(SAMPLE, MonotonicNs(START - 1)) == ()
    assert [f.arbitration_id for f in ecu.poll(SAMPLE, START)] == [0x100]
    assert ecu.next_due() == _at(1)


def test_counters_grow_by_one_across_polls_and_wrap() -> None:
    ecu, source = _ecu(), CanInput(_map())
    for step in range(40):
        _state(ecu.poll(SAMPLE, _at(50 * step)), source)
    assert source.fault_counts() == {}
    speed = source.statistics()[1]
    assert (speed.message, speed.frames) == ("VEHICLE_SPEED", 196)


def test_after_a_long_sleep_the_units_resume_in_the_present() -> None:
    ecu = _ecu()
    ecu.poll(SAMPLE, _at(0))
    frames = ecu.poll(SAMPLE, _at(3_600_000))
    assert len(frames) == 10
    assert min(f.received for f in frames) > _at(3_600_000 - 500)
    assert ecu.next_due() > _at(3_600_000)


def test_a_cluster_that_is_set_back_shows_less_from_that_moment_on() -> None:
    ecu = SimulatedEcu(_dbc(), channel="car", start=START, odometer_tamper=Rollback(at=_at(1_000), by_m=40_000_000.0))
    source = CanInput(_map())
    before = _state(ecu.poll(SAMPLE, _at(999)), source)
    after = _state(ecu.poll(SAMPLE, _at(1_600)), source)
    assert fresh(before.odometer_m, _at(999)) == 123_456_789.0
    assert fresh(after.odometer_m, _at(1_600)) == 83_456_789.0


def test_a_cluster_cannot_be_set_below_zero() -> None:
    assert Rollback(at=_at(0), by_m=500.0)(123.0, _at(1)) == 0.0


@given(
    sample=st.builds(
        KinematicSample,
        position=st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180)),
        altitude_m=st.none() | st.floats(-1_000, 9_000),
        heading_deg=st.floats(0, 359.999),
        speed_mps=st.floats(0, 95),
        longitudinal_acceleration_mps2=st.none() | st.floats(-20, 20),
        lateral_acceleration_mps2=st.none() | st.floats(-20, 20),
        yaw_rate_dps=st.none() | st.floats(-160, 160),
        steering_wheel_angle_deg=st.none() | st.floats(-800, 800),
        odometer_m=st.floats(0, 4e9),
        drive_direction=st.sampled_from([None, *DriveDirection]),
        turn_right=st.booleans(),
        doors_open=st.booleans(),
    )
)
def test_frames_are_what_cantools_encodes_from_the_values_they_carry(sample: KinematicSample) -> None:
    database = _cantools()
    for frame in _ecu().poll(sample, _at(10)):
        message = database.get_message_by_frame_id(frame.arbitration_id)
        raw = message.decode(frame.data, decode_choices=False, scaling=False)
        assert message.encode(raw, scaling=False, strict=False) == frame.data
    state = _state(_ecu().poll(sample, _at(10)))
    assert state.speed_mps is not None
    assert sample.speed_mps is not None
    assert state.speed_mps.value == pytest.approx(sample.speed_mps, abs=0.0015)
    assert state.heading_deg is not None
    assert sample.heading_deg is not None
    assert abs((state.heading_deg.value - sample.heading_deg + 180) % 360 - 180) <= 0.0051


@pytest.mark.parametrize("excess", [1e3, -1e3, 1e9])
def test_values_beyond_a_signals_width_saturate_and_never_read_as_not_available(excess: float) -> None:
    sample = replace(
        SAMPLE, longitudinal_acceleration_mps2=excess, yaw_rate_dps=excess, speed_mps=abs(excess), altitude_m=excess * 1e6
    )
    for frame in _ecu().poll(sample, _at(10)):
        values = _cantools().decode_message(frame.arbitration_id, frame.data, decode_choices=False)
        assert isinstance(values, dict)
        if frame.arbitration_id == 0x100:
            assert values["SPEED"] == pytest.approx(655.34)
        if frame.arbitration_id == 0x110:
            assert values["YAW_RATE"] == pytest.approx(163.82 if excess > 0 else -163.82)


def test_a_vehicle_second_goes_over_a_virtual_bus_without_loss() -> None:
    clock = ManualClock(UtcNs(0), START)
    config = CanBusConfig(interface="virtual", channel="test-ecu-vehicle-second")
    ecu_end = CanBus(config, clock=clock, stamps=StampSource.SENDER)
    agent_end = CanBus(config, clock=clock, stamps=StampSource.SENDER, filters=_map().filters())
    ecu_end.open()
    agent_end.open()
    ecu, source, state = _ecu(), CanInput(_map()), VehicleState()
    received: list[CanFrame] = []
    for _ in range(10):
        now = clock.advance(NS_PER_S // 10).monotonic
        for frame in ecu.poll(SAMPLE, now):
            ecu_end.send(frame)
        while batch := agent_end.drain():
            received += batch
            for frame in batch:
                state = fold(state, source.on_frame(frame))
    agent_end.close()
    ecu_end.close()
    assert len(received) == 101 + 50 + 10 + 20 + 10 + 2 + 20 + 10 + 10  # all but the wheel speeds, which no field needs
    assert [f.received for f in received] == sorted(f.received for f in received)
    assert source.fault_counts() == {}
    assert fresh(state.speed_mps, clock.now().monotonic) == pytest.approx(13.9, abs=0.002)
