"""A recorded bus drives the agent as the road did, and a log that ends in damage is used up to there."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.errors import ConfigError, DecodeError, StorageError, V2xError
from shared.core.geo import displaced
from shared.stack.effects import DriverView, Effect, Notice, Transmit
from shared.transport.can_frame import CanFrame
from tests.helpers.hierarchy import NOON
from tests.helpers.identities import HERE
from tests.unit.vehicle_agent.agent_bench import WOKEN, Bench, recorded_drive
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.replay import SETTLE_NS, Replayed, replay
from vehicle_agent.track import Fix
from vehicle_agent.vehicle_state import SignalUpdate


class Tape:
    """Replays into the agent of a bench and keeps what came of it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.effects: list[tuple[Effect, Instant]] = []
        self.made_at: list[Instant] = []

    def play(self, frames: Iterator[CanFrame], track: Iterator[Fix] | None = None) -> Replayed:
        return replay(self._make, frames=frames, track=iter(()) if track is None else track, start_utc=NOON, perform=self._perform)

    @property
    def sent_s(self) -> list[float]:
        """When each message was sent, in seconds since the log's first frame."""
        return [(at.monotonic - WOKEN) / NS_PER_S for effect, at in self.effects if isinstance(effect, Transmit)]

    def notices(self, kind: str) -> list[Notice]:
        return [effect for effect, _ in self.effects if isinstance(effect, Notice) and effect.kind == kind]

    def _make(self, started: Instant) -> VehicleAgent:
        self.made_at.append(started)
        return self.bench.agent

    def _perform(self, effect: Effect, now: Instant) -> None:
        self.effects.append((effect, now))


@pytest.fixture
def tape(tmp_path: Path) -> Iterator[Tape]:
    with Bench(tmp_path) as bench:
        yield Tape(bench)


def damaged(frames: list[CanFrame], error: V2xError) -> Iterator[CanFrame]:
    yield from frames
    raise error


def fixes(count: int, *, begin_s: float = 0.0) -> list[Fix]:
    """Return one fix a second, eastward."""
    found: list[Fix] = []
    for n in range(count):
        at = MonotonicNs(WOKEN + round((begin_s + n) * NS_PER_S))
        here = SignalUpdate(field="position", value=displaced(HERE, 15.0 * n, 0.0), at=at, max_age_ns=1_500 * NS_PER_MS)
        found.append((at, (here,)))
    return found


def broken_track(good: list[Fix]) -> Iterator[Fix]:
    yield from good
    raise DecodeError("track.csv line 5", "'x' is not a number")


def test_a_log_is_replayed_in_its_own_time(tape: Tape) -> None:
    frames = recorded_drive(8.0)
    replayed = tape.play(iter(frames))
    assert tape.made_at == [Instant(WOKEN, NOON)]
    assert (replayed.frames, replayed.fixes, replayed.damage) == (len(frames), 0, None)
    assert replayed.duration_s == pytest.approx(8.0, abs=0.1)
    assert replayed.agent is tape.bench.agent
    assert len(tape.notices("odometer_recorded")) == len(tape.notices("odometer_anchored")) == 1
    times = [at.monotonic for _, at in tape.effects]
    assert times == sorted(times)
    assert all(at.utc == NOON + at.monotonic - WOKEN for _, at in tape.effects)


def test_the_timers_fire_between_frames_as_they_would_have_on_the_road(tmp_path: Path) -> None:
    """A bus that is silent for ten seconds does not silence a vehicle that knows where it stands."""
    frames = recorded_drive(1.0)
    late = [CanFrame(f.arbitration_id, f.is_extended, f.data, f.channel, MonotonicNs(f.received + 11 * NS_PER_S)) for f in frames]
    with Bench(tmp_path, fixed_position=HERE) as bench:
        tape = Tape(bench)
        replayed = tape.play(iter([*frames, *late]))
        assert replayed.duration_s == pytest.approx(12.0, abs=0.1)
        quiet = [s for s in tape.sent_s if 2.0 < s < 11.0]
        assert len(quiet) == 9
        assert all(b - a == pytest.approx(1.0) for a, b in pairwise(quiet))


def test_after_the_last_frame_the_last_record_still_reaches_the_ledger(tape: Tape) -> None:
    frames = recorded_drive(0.6)
    tape.play(iter(frames))
    assert len(tape.notices("odometer_recorded")) == 1
    assert len(tape.notices("odometer_anchored")) == 1
    assert max(at.monotonic for _, at in tape.effects) <= frames[-1].received + SETTLE_NS


def test_after_the_last_frame_the_car_falls_silent(tape: Tape) -> None:
    tape.play(iter(recorded_drive(3.0)))
    assert max(tape.sent_s) <= 3.6


def test_an_empty_log_is_no_damage_and_makes_nothing(tape: Tape) -> None:
    replayed = tape.play(iter(()))
    assert (replayed.frames, replayed.fixes, replayed.duration_s, replayed.damage) == (0, 0, 0.0, None)
    assert [effect for effect, _ in tape.effects if not isinstance(effect, DriverView)] == []


@pytest.mark.parametrize("error", [StorageError("drive.log", "is cut short in line 9"), DecodeError("drive.log line 9", "garbled")])
def test_a_log_that_ends_in_damage_is_used_up_to_there_and_the_damage_is_told(tape: Tape, error: V2xError) -> None:
    frames = recorded_drive(4.0)
    replayed = tape.play(damaged(frames, error))
    assert replayed.damage is error
    assert replayed.frames == len(frames)
    assert len(tape.sent_s) > 10
    assert len(tape.notices("odometer_anchored")) == 1
    assert replayed.agent.status()["sent"] == {"cam": len(tape.sent_s)}


def test_a_log_damaged_in_its_first_line_gives_an_agent_that_did_nothing(tape: Tape) -> None:
    error = StorageError("drive.log", "is cut short in line 1")
    replayed = tape.play(damaged([], error))
    assert (replayed.frames, replayed.damage) == (0, error)
    assert [effect for effect, _ in tape.effects if not isinstance(effect, DriverView)] == []


def test_a_log_that_cannot_be_read_at_all_is_the_operator_s_mistake(tape: Tape) -> None:
    with pytest.raises(ConfigError):
        tape.play(damaged([], ConfigError("drive.log", "cannot be read: No such file or directory")))


def test_what_goes_wrong_while_carrying_out_effects_is_not_taken_for_damage_of_the_log(tape: Tape) -> None:
    def fail(effect: Effect, now: Instant) -> None:
        raise StorageError("radio.pcap", "cannot be written: No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        replay(lambda _: tape.bench.agent, frames=iter(recorded_drive(2.0)), track=iter(()), start_utc=NOON, perform=fail)


def test_a_track_gives_the_place_that_the_bus_does_not(tape: Tape) -> None:
    replayed = tape.play(iter(recorded_drive(6.0, has_receiver=False)), iter([]))
    assert replayed.fixes == len(tape.sent_s) == 0


def test_a_track_beside_a_bus_without_position_makes_the_car_speak(tape: Tape) -> None:
    replayed = tape.play(iter(recorded_drive(6.0, has_receiver=False)), iter(fixes(6)))
    assert replayed.fixes == 6
    assert len(tape.sent_s) >= 5


def test_fixes_before_the_first_frame_are_passed_over(tape: Tape) -> None:
    replayed = tape.play(iter(recorded_drive(2.0, has_receiver=False)), iter(fixes(8, begin_s=-5.5)))
    assert replayed.fixes == 2
    assert min(tape.sent_s) >= 0.5


def test_a_track_that_ends_in_damage_ends_the_replay_there(tape: Tape) -> None:
    replayed = tape.play(iter(recorded_drive(8.0, has_receiver=False)), broken_track(fixes(3)))
    assert isinstance(replayed.damage, DecodeError)
    assert replayed.fixes == 3
    assert replayed.duration_s == pytest.approx(2.0, abs=0.1)
    assert tape.sent_s


def test_a_track_that_goes_on_after_the_log_counts_to_its_end(tape: Tape) -> None:
    replayed = tape.play(iter(recorded_drive(2.0, has_receiver=False)), iter(fixes(6)))
    assert replayed.fixes == 6
    assert replayed.duration_s == pytest.approx(5.0)
