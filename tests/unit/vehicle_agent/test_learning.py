"""Learning a map: a car that is unknown but for its DBC is driven, and the map learnt from its bus reads it truly."""

import asyncio
from collections.abc import Iterator
from gzip import compress
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from shared.core.clock import NS_PER_MS, MonotonicNs, TimeSource
from shared.core.errors import ConfigError, StorageError
from shared.messages.cdd import DriveDirection
from shared.service.system_clock import SystemClock
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.can_frame import CanFrame
from tests.helpers.unknown_car import DBC, PERIOD_MS, SIGNALLED_DEG, Moment, frames, moments, write_dbc, write_log
from vehicle_agent.cli import app
from vehicle_agent.config import CanConfig
from vehicle_agent.learn_cli import listen_to_bus
from vehicle_agent.learning.learn import Learnt, learn
from vehicle_agent.learning.listen import MAX_MESSAGES, MAX_OPENING, MAX_SAMPLES, HeardMessage, Listener
from vehicle_agent.learning.protection import MIN_DISTINCT, find_protection
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.car_maps import load_car_maps
from vehicle_agent.signals.dbc import parse_dbc
from vehicle_agent.signals.map_check import check_map
from vehicle_agent.signals.map_file import ChecksumEntry, CounterEntry
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map

DRIVE_S = 150.0
SHORT_DRIVE_S = 120.0


def listen(sent: Iterator[CanFrame]) -> Listener:
    listener = Listener()
    for frame in sent:
        listener.on_frame(frame)
    return listener


def learn_in(directory: Path, sent: Iterator[CanFrame]) -> Learnt:
    write_dbc(directory)
    return learn(listen(sent), ["unknown.dbc"], base=directory, written=["unknown.dbc"], source="a test")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learnt, SignalMap]:
    directory = tmp_path_factory.mktemp("learnt")
    result = learn_in(directory, frames(moments(DRIVE_S), step_m=100.0))
    (directory / "map.toml").write_text(result.text, encoding="utf-8")
    check_map(directory / "map.toml")
    return result, load_signal_map(directory / "map.toml")


class TestADrive:
    def test_the_map_feeds_what_was_seen_to_move(self, learnt: tuple[Learnt, SignalMap]) -> None:
        assert learnt[1].fields() == {
            "speed_mps",
            "odometer_m",
            "steering_wheel_angle_deg",
            "yaw_rate_dps",
            "longitudinal_acceleration_mps2",
            "drive_direction",
            "turn_left",
            "turn_right",
            "brake_pedal_pressed",
        }

    def test_the_map_reads_the_car_as_it_truly_moves(self, learnt: tuple[Learnt, SignalMap]) -> None:
        source = CanInput(learnt[1])
        found: dict[str, object] = {}
        truth: list[Moment] = list(moments(20.0))
        for frame in frames(iter(truth), step_m=100.0):
            decoded = source.decode(frame)
            assert decoded.faults == ()
            found |= {update.field: update.value for update in decoded.updates}
            if frame.arbitration_id == 260:
                now = truth[frame.received // (PERIOD_MS * NS_PER_MS)]
                assert found["speed_mps"] == pytest.approx(now.speed_mps, abs=0.01)
                assert found["steering_wheel_angle_deg"] == pytest.approx(now.steering_deg, abs=0.06)
                assert found["yaw_rate_dps"] == pytest.approx(now.yaw_rate_dps, abs=0.006)
                assert found["longitudinal_acceleration_mps2"] == pytest.approx(now.acceleration_mps2, abs=0.006)
                assert found["odometer_m"] == pytest.approx(now.odometer_m, abs=100.0)
                assert found["drive_direction"] is DriveDirection.FORWARD
                assert found["turn_left"] is (now.steering_deg > SIGNALLED_DEG)
                assert found["brake_pedal_pressed"] is now.is_braking

    def test_what_protects_a_message_is_checked_by_the_map(self, learnt: tuple[Learnt, SignalMap]) -> None:
        (steering,) = [m for m in learnt[1].messages if m.layout.name == "STEERING"]
        assert steering.checksum is not None
        assert steering.checksum.rule.name == "crc8_j1850"
        assert steering.counter is not None
        assert steering.counter.last == 14

    def test_the_wheels_are_taken_together_and_why_is_said(self, learnt: tuple[Learnt, SignalMap]) -> None:
        (speed,) = [proposal for proposal in learnt[0].best if proposal.field == "speed_mps"]
        assert speed.options["mean_of"] == [f"WHEELS.WHEEL_SPEED_{corner}" for corner in ("FL", "FR", "RL", "RR")]
        assert any("CLUSTER.VEHICLE_SPEED" in reason for reason in speed.evidence)
        assert "# certain: " in learnt[0].text

    def test_a_lamp_that_was_never_lit_stays_a_comment(self, learnt: tuple[Learnt, SignalMap]) -> None:
        assert '# [fields."Vehicle.Body.Lights.Beam.High.IsOn"]\n# signal = "BODY.HIGH_BEAM"' in learnt[0].text

    def test_what_was_heard_is_listed(self, learnt: tuple[Learnt, SignalMap]) -> None:
        assert "#   0x101 STEERING 10.0/s on can0: checksum crc8_j1850 holds for" in learnt[0].text
        assert "# Heard and not described (1):\n#   0x4ff 10.0/s 4 bytes on can0" in learnt[0].text
        assert "NEVER_SENT" not in learnt[0].text


def test_an_odometer_that_no_dbc_describes_is_shown_with_the_line_it_lacks(learnt: tuple[Learnt, SignalMap]) -> None:
    text = learnt[0].text
    assert "# Counts like an odometer: 0x4ff bytes 1..3, big-endian: from 450000 to" in text
    assert text.count("Counts like an odometer") == 1
    (line,) = [line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   SG_ ")]
    layout = parse_dbc(f'VERSION ""\nBO_ 1279 HIDDEN: 4 ECU\n {line}\n', path=Path("x"), key="x").message("HIDDEN")
    assert layout.signal("ODOMETER").reader()(bytes.fromhex("03 06ddd0")) == 450_000
    assert layout.signal("ODOMETER").scale == 0.01


@pytest.mark.parametrize(
    ("step_m", "unit", "factor"),
    [(100.0, "km", 0.1), (160.9344, "mile", 0.1), (1.0, "m", 1.0), (10.0, "km", 0.01), (5.0, "m", 5.0)],
)
def test_an_odometer_tells_its_unit_by_the_distance_it_advances(tmp_path: Path, step_m: float, unit: str, factor: float) -> None:
    result = learn_in(tmp_path, frames(moments(SHORT_DRIVE_S), step_m=step_m))
    (odometer,) = [proposal for proposal in result.best if proposal.field == "odometer_m"]
    assert odometer.options["signal"] == "CLUSTER.ODOMETER"
    assert (odometer.options["unit"], odometer.options.get("factor", 1.0)) == (unit, factor)
    assert odometer.confidence == "certain"


def test_an_odometer_that_two_units_fit_stays_a_comment(tmp_path: Path) -> None:
    result = learn_in(tmp_path, frames(moments(SHORT_DRIVE_S), step_m=15.625))
    assert "Vehicle.TraveledDistance" not in result.fields
    assert "a step of 0.015625 km, 0.01 mile fits" in result.text


def test_an_odometer_of_too_few_steps_stays_a_comment(tmp_path: Path) -> None:
    result = learn_in(tmp_path, frames(moments(SHORT_DRIVE_S), step_m=1_000.0))
    assert "Vehicle.TraveledDistance" not in result.fields
    assert "fewer than 5 steps do not tell the units apart" in result.text


def test_a_parked_car_teaches_nothing(tmp_path: Path) -> None:
    result = learn_in(tmp_path, frames(moments(20.0, is_parked=True), step_m=100.0))
    assert result.fields == ("Vehicle.Powertrain.Transmission.CurrentGear",)
    assert "the car was not driven" in result.text


@pytest.mark.parametrize("seed", range(4))
def test_a_bus_of_noise_gives_a_map_that_loads_or_none(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    lengths = (0, 1, 2, 7, 8, 8, 8, 8)
    noise = (
        CanFrame(random.randrange(256, 262), False, random.randbytes(random.choice(lengths)), "x", MonotonicNs(n * 10_000_000))
        for n in range(1_500)
    )
    result = learn_in(tmp_path, noise)
    assert "steering_wheel_angle_deg" not in str(result.fields)
    assert "Vehicle.TraveledDistance" not in result.fields
    (tmp_path / "map.toml").write_text(result.text, encoding="utf-8")
    if result.fields:
        check_map(tmp_path / "map.toml")


def test_names_that_break_lines_do_not_break_the_map(tmp_path: Path) -> None:
    hostile = '"D" ;'.replace('"D"', '"D\n[fields.siren_on]\nsignal = x"')
    (tmp_path / "odd.dbc").write_text(DBC.replace('4 "D" ;', f"4 {hostile}"), encoding="ascii")
    listener = listen(frames(moments(30.0), step_m=10.0))
    result = learn(listener, ["odd.dbc"], base=tmp_path, written=["odd.dbc"], source="a\nlog")
    (tmp_path / "map.toml").write_text(result.text, encoding="utf-8")
    assert "siren_on" not in load_signal_map(tmp_path / "map.toml").fields()
    assert "speed_mps" in load_signal_map(tmp_path / "map.toml").fields()


class TestProtection:
    def heard(self, payloads: list[bytes]) -> HeardMessage:
        listener = listen(CanFrame(257, False, data, "", MonotonicNs(n)) for n, data in enumerate(payloads))
        return listener.heard()[0]

    def test_a_rule_needs_enough_different_payloads(self) -> None:
        layout = parse_dbc(DBC, path=Path("x"), key="x").message("STEERING")
        payloads = [frame.data for frame in frames(moments(10.0), step_m=1.0) if frame.arbitration_id == 257]
        enough = find_protection(self.heard(payloads[:MIN_DISTINCT]), layout)
        assert enough.checksum == ChecksumEntry(rule="crc8_j1850", signal="CHECKSUM")
        assert find_protection(self.heard(payloads[: MIN_DISTINCT - 1] * 9), layout).checksum is None

    def test_one_wrong_frame_speaks_against_a_rule(self) -> None:
        layout = parse_dbc(DBC, path=Path("x"), key="x").message("STEERING")
        payloads = [frame.data for frame in frames(moments(10.0), step_m=1.0) if frame.arbitration_id == 257]
        broken = payloads[40][:7] + bytes((payloads[40][7] ^ 1,))
        assert find_protection(self.heard([*payloads[:40], broken, *payloads[41:]]), layout).checksum is None

    def test_a_counter_must_count_and_start_again(self) -> None:
        layout = parse_dbc(DBC, path=Path("x"), key="x").message("STEERING")
        payloads = [frame.data for frame in frames(moments(10.0), step_m=1.0) if frame.arbitration_id == 257]
        assert find_protection(self.heard(payloads), layout).counter == CounterEntry(signal="ALIVE_COUNTER", last=14)
        assert find_protection(self.heard(payloads[:14]), layout).counter is None
        assert find_protection(self.heard(payloads[::2]), layout).counter is None


class TestBounds:
    def test_a_bus_of_endless_identifiers_is_heard_in_bounded_memory(self) -> None:
        sent = (CanFrame(n, True, b"", "", MonotonicNs(n)) for n in range(MAX_MESSAGES + 7))
        listener = listen(sent)
        assert len(listener.heard()) == MAX_MESSAGES
        assert listener.not_kept == 7

    def test_a_long_drive_is_kept_as_samples_of_the_whole_of_it(self) -> None:
        count = 5 * MAX_SAMPLES
        (heard,) = listen(CanFrame(1, False, bytes((n % 251,)), "", MonotonicNs(n)) for n in range(count)).heard()
        assert len(heard.samples) < MAX_SAMPLES
        assert len(heard.opening) == MAX_OPENING
        gaps = {after[0] - before[0] for before, after in zip(heard.samples, heard.samples[1:], strict=False)}
        assert len(gaps) == 1
        assert heard.samples[-1][0] > count - 2 * max(gaps)
        assert heard.frames == count


class TestCommand:
    def test_a_log_becomes_a_map_that_loads(self, tmp_path: Path) -> None:
        write_log(tmp_path / "drive.log", frames(moments(60.0), step_m=100.0))
        dbc = write_dbc(tmp_path)
        arguments = ["learn", "--dbc", str(dbc), "--log", str(tmp_path / "drive.log"), "--out", str(tmp_path / "map.toml")]
        ended = CliRunner().invoke(app, arguments)
        assert ended.exit_code == 0, ended.output
        assert "6 messages heard, 5 of them described by the DBC" in " ".join(ended.output.split())
        assert "fields are in force, fed by 5 of these messages; 1 not sure, as comments" in " ".join(ended.output.split())
        assert "\N{HORIZONTAL ELLIPSIS}" not in ended.output
        assert {"speed_mps", "odometer_m", "steering_wheel_angle_deg"} <= load_signal_map(tmp_path / "map.toml").fields()
        assert 'dbc = "unknown.dbc"' in (tmp_path / "map.toml").read_text()
        again = CliRunner().invoke(app, arguments)
        assert isinstance(again.exception, ConfigError)
        assert "not overwritten" in str(again.exception)

    def test_a_map_of_two_buses_says_which_tables_it_needs_and_so_does_the_agent(self, tmp_path: Path) -> None:
        on_two = (
            CanFrame(f.arbitration_id, False, f.data, "can3" if f.arbitration_id == 257 else "can1", f.received)
            for f in frames(moments(60.0), step_m=100.0)
        )
        write_log(tmp_path / "drive.log", on_two)
        log, out = str(tmp_path / "drive.log"), tmp_path / "map.toml"
        ended = CliRunner().invoke(app, ["learn", "--dbc", str(write_dbc(tmp_path)), "--log", log, "--out", str(out)])
        assert ended.exit_code == 0, ended.output
        assert 'a [[can]] each, name = "can1" and name = "can3"' in " ".join(ended.output.split())
        (bus, other) = (CanConfig(interface="virtual", channel=channel, map=out) for channel in ("a", "b"))
        with pytest.raises(ConfigError, match=r'from 2 buses: a \[\[can\]\] each, name = "can1" and name = "can3"'):
            load_car_maps([("can0", bus)])
        assert "speed_mps" in load_car_maps([("can1", bus), ("can3", other)]).fields()

    def test_a_log_cut_short_teaches_what_is_left_of_it(self, tmp_path: Path) -> None:
        write_log(tmp_path / "drive.log", frames(moments(40.0), step_m=100.0))
        whole = (tmp_path / "drive.log").read_bytes()
        (tmp_path / "cut.log.gz").write_bytes(compress(whole)[: -len(compress(whole)) // 4])
        log, out = str(tmp_path / "cut.log.gz"), tmp_path / "map.toml"
        ended = CliRunner().invoke(app, ["learn", "--dbc", str(write_dbc(tmp_path)), "--log", log, "--out", str(out)])
        assert isinstance(ended.exception, StorageError)
        assert "speed_mps" in load_signal_map(out).fields()

    def test_a_map_of_comments_alone_is_written_and_said_to_be_none(self, tmp_path: Path) -> None:
        parked = (frame for frame in frames(moments(5.0, is_parked=True), step_m=100.0) if frame.arbitration_id == 256)
        write_log(tmp_path / "parked.log", parked)
        log, out = str(tmp_path / "parked.log"), tmp_path / "map.toml"
        ended = CliRunner().invoke(app, ["learn", "--dbc", str(write_dbc(tmp_path)), "--log", log, "--out", str(out)])
        assert isinstance(ended.exception, ConfigError)
        assert "nothing is sure" in str(ended.exception)
        assert '# [fields."Vehicle.Speed"]' in out.read_text(encoding="utf-8")
        with pytest.raises(ConfigError, match="feeds no field"):
            load_signal_map(out)

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ([], "listen to a log, or to a live bus"),
            (["--log", "x.log", "--interface", "virtual", "--channel", "a"], "listen to a log, or to a live bus"),
            (["--interface", "virtual", "--channel", "a", "--seconds", "0"], "must be more than 0"),
            (["--interface", "virtual", "--channel", "a", "--track", "t.csv"], "goes with a log"),
        ],
    )
    def test_orders_that_contradict_each_other_are_refused(self, tmp_path: Path, arguments: list[str], reason: str) -> None:
        ended = CliRunner().invoke(app, ["learn", "--dbc", "x.dbc", "--out", str(tmp_path / "m.toml"), *arguments])
        assert isinstance(ended.exception, ConfigError)
        assert reason in str(ended.exception)

    def test_a_dbc_of_another_car_is_refused(self, tmp_path: Path) -> None:
        write_dbc(tmp_path)
        other = (CanFrame(0x700, False, bytes(8), "", MonotonicNs(n)) for n in range(9))
        with pytest.raises(ConfigError, match="describes none of the 1 messages heard"):
            learn(listen(other), ["unknown.dbc"], base=tmp_path, written=["unknown.dbc"], source="x")

    def test_a_silent_bus_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="carried no frame"):
            learn(Listener(), ["unknown.dbc"], base=tmp_path, written=["unknown.dbc"], source="can9")

    def test_a_live_bus_is_listened_to(self) -> None:
        listener = Listener()
        config = CanBusConfig(interface="virtual", channel="learn-test")

        async def send() -> None:
            bus = CanBus(config, clock=SystemClock(TimeSource.ASSUME_TRUSTED))
            bus.open()
            try:
                for number in range(50):
                    bus.send(CanFrame(0x123, False, bytes((number,)), "learn-test", MonotonicNs(0)))
            finally:
                bus.close()

        async def both() -> None:
            await asyncio.gather(listen_to_bus(listener, config, 0.3), send())

        asyncio.run(both())
        assert listener.frames == 50
