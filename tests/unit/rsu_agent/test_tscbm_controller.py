from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rsu_agent.signal_controllers import Movement
from rsu_agent.signal_controllers.hearing import MAX_MESSAGES_PER_S, NOTICE_PAUSE_NS
from rsu_agent.signal_controllers.tscbm import Output, TscbmController, TscbmGroup, TscbmSetup
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.errors import DecodeError, TransportError, UntrustedTimeError
from shared.core.itstime import utc_from_text
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.messages.tscbm import TimesToChange, Tscbm, decode_tscbm, encode_tscbm
from tests.helpers.data import data_file
from tests.unit.rsu_agent.test_reported_controller import REQUEST

SAMPLE = data_file("messages/v2xhub_ntcip1202_tscbm_spat_1721238398773.bin").read_bytes()
HEARD = decode_tscbm(SAMPLE)
SOURCE, STRANGER = "192.0.2.10", "192.0.2.66"
NOON = utc_from_text("2026-11-22T12:00:00Z")
TENTH_NS = 100 * NS_PER_MS

RED = MovementPhaseState.STOP_AND_REMAIN
GREEN = MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED
YIELD = MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED

GROUPS = (
    TscbmGroup(number=1, output=Output.PHASE, output_number=4, name="north-south"),
    TscbmGroup(number=2, output=Output.PHASE, output_number=2),
    TscbmGroup(number=3, output=Output.PEDESTRIAN, output_number=4),
    TscbmGroup(number=4, output=Output.OVERLAP, output_number=1, movement=Movement.PERMISSIVE),
)


class Line:
    """A controller and the port it is heard on."""

    def __init__(self, *, takes_repeats: bool = False, status_bits: dict[int, IntersectionStatus] | None = None) -> None:
        self.clock = ManualClock(NOON, MonotonicNs(9 * NS_PER_S))
        setup = TscbmSetup(source=SOURCE, groups=GROUPS, takes_repeats=takes_repeats, status_bits=status_bits or {}, map_revision=3)
        self.controller = TscbmController(setup)

    @property
    def now(self) -> Instant:
        return self.clock.now()

    def say(self, sequences: Iterable[int], message: Tscbm = HEARD, *, source: str = SOURCE) -> None:
        """Send one datagram with each sequence, a tenth of a second apart."""
        for sequence in sequences:
            self.clock.advance(TENTH_NS)
            self.controller.hear(encode_tscbm(replace(message, sequence=sequence % 256)), source, self.now)

    def phases(self) -> list[MovementPhaseState]:
        return [state.phase for state in self.controller.state(self.now)]

    def refused(self) -> object:
        return self.controller.status(self.now)["refused"]


def test_the_datagram_of_a_real_controller_shows_what_its_phases_show_and_for_how_long() -> None:
    line = Line()
    line.controller.hear(SAMPLE, SOURCE, line.now)
    line.clock.advance(TENTH_NS)
    states = line.controller.state(line.now)
    assert [state.phase for state in states] == [RED, GREEN, RED, MovementPhaseState.STOP_AND_REMAIN]
    assert states[0].name == "north-south"
    running = states[0].intervals[0]
    assert (running.min_end, running.max_end, running.likely_end) == (NOON + 4 * NS_PER_S, None, None)
    assert states[1].intervals[0].min_end == NOON
    assert line.controller.signal_groups == {1, 2, 3, 4}
    assert line.controller.mode.map_revision == 3
    assert line.controller.evidence() == {"heard-1": SAMPLE}


def test_before_the_first_datagram_and_without_utc_there_is_no_state() -> None:
    line = Line()
    with pytest.raises(TransportError, match="nothing was heard yet"):
        line.controller.state(line.now)
    line.controller.hear(SAMPLE, SOURCE, line.now)
    with pytest.raises(UntrustedTimeError):
        line.controller.state(Instant(line.now.monotonic, None))


def test_a_controller_that_falls_silent_is_stale_after_a_second_and_asks_to_be_looked_at_then() -> None:
    line = Line()
    line.say([1])
    line.phases()
    due = line.controller.next_change(line.now)
    assert due == line.now.monotonic + NS_PER_S + 1
    line.clock.advance_to(due)
    for _ in range(2):
        with pytest.raises(TransportError, match=r"nothing was heard for 1\.0 s"):
            line.controller.state(line.now)
    assert line.controller.status(line.now)["silences"] == 1
    assert line.controller.next_change(line.now) is None


@pytest.mark.parametrize(
    ("datagram", "code"),
    [
        (SAMPLE[:-1], "wrong_length"),
        (SAMPLE[:100], "wrong_length"),
        (SAMPLE + b"\0", "wrong_length"),
        (b"", "wrong_length"),
        (b"\xcc" + SAMPLE[1:], "malformed"),
        (SAMPLE[:236] + b"\x18" + SAMPLE[237:], "malformed"),
    ],
)
def test_a_truncated_long_or_foreign_datagram_is_counted_told_and_changes_nothing(datagram: bytes, code: str) -> None:
    line = Line()
    line.say([1])
    before = line.phases()
    line.controller.hear(datagram, SOURCE, line.now)
    assert line.refused() == {code: 1}
    (notice,) = line.controller.take_notices()
    assert notice.kind == f"controller_{code}"
    assert line.phases() == before
    assert line.controller.status(line.now)["taken"] == 1


def test_a_second_source_is_never_believed_and_told_once_a_minute() -> None:
    line = Line()
    line.say([1])
    all_green = replace(HEARD, reds=frozenset(), greens=frozenset(range(1, 17)))
    line.say(range(2, 12), all_green, source=STRANGER)
    assert line.phases() == [RED, GREEN, RED, RED]
    assert line.refused() == {"stranger": 10}
    assert [notice.fields["reason"] for notice in line.controller.take_notices()] == [
        f"a datagram came from {STRANGER}, and only {SOURCE} is believed"
    ]
    line.clock.advance(NOTICE_PAUSE_NS)
    line.say([12], source=STRANGER)
    assert [notice.fields["refused"] for notice in line.controller.take_notices()] == [11]


def test_a_flood_of_strangers_leaves_the_controller_its_hundred_looks_a_second() -> None:
    line = Line()
    for _ in range(5 * MAX_MESSAGES_PER_S):
        line.controller.hear(SAMPLE, STRANGER, line.now)
    line.controller.hear(SAMPLE, SOURCE, line.now)
    assert line.phases()[1] is GREEN
    for _ in range(MAX_MESSAGES_PER_S):
        line.controller.hear(b"", SOURCE, line.now)
    assert line.refused() == {"stranger": 500, "wrong_length": MAX_MESSAGES_PER_S - 1, "too_many": 1}


def test_the_sequence_runs_over_and_lost_datagrams_are_counted() -> None:
    line = Line()
    line.say([254, 255, 0, 1])
    line.clock.advance(3 * TENTH_NS)
    line.say([5])
    status = line.controller.status(line.now)
    assert (status["taken"], status["skipped"], status["restarts"], status["refused"]) == (5, 3, 0, {})


def test_a_datagram_that_comes_twice_keeps_nothing_fresh() -> None:
    line = Line()
    line.say([7])
    for _ in range(11):
        line.say([7])
    assert line.refused() == {"repeated": 11}
    with pytest.raises(TransportError, match=r"nothing was heard for 1\.1 s"):
        line.controller.state(line.now)


def test_a_controller_said_not_to_count_is_believed_although_its_sequence_stands_still() -> None:
    line = Line(takes_repeats=True)
    line.say([4] * 600)
    assert line.phases() == [RED, GREEN, RED, RED]
    assert line.controller.status(line.now)["taken"] == 600


def test_a_late_datagram_is_left_out_and_the_newer_one_stays() -> None:
    line = Line()
    green_for_one = replace(HEARD, reds=HEARD.reds - {4}, greens=HEARD.greens | {4})
    line.say([100, 101])
    line.say([99], green_for_one)
    assert line.phases()[0] is RED
    line.say([102])
    assert line.refused() == {"out_of_order": 1}
    assert line.controller.status(line.now)["restarts"] == 0


def test_a_controller_that_restarts_is_noticed_after_three_datagrams_of_its_new_count_and_distrusted_once() -> None:
    line = Line()
    line.say(range(100, 110))
    line.phases()
    line.say([0, 1])
    assert line.controller.status(line.now)["restarts"] == 0
    line.say([2])
    assert line.controller.next_change(line.now) == line.now.monotonic
    with pytest.raises(TransportError, match="the controller restarted"):
        line.controller.state(line.now)
    assert line.phases() == [RED, GREEN, RED, RED]
    line.say(range(3, 20))
    status = line.controller.status(line.now)
    assert (status["restarts"], status["refused"]) == (1, {"out_of_order": 2})
    assert "controller_restarted" in [notice.kind for notice in line.controller.take_notices()]


def test_a_controller_that_was_silent_and_counts_anew_has_restarted() -> None:
    line = Line()
    line.say([100])
    line.clock.advance(2 * NS_PER_S)
    line.say([3])
    assert line.controller.status(line.now)["restarts"] == 1


def test_two_colours_at_once_are_never_guessed_at() -> None:
    line = Line()
    line.say([1])
    line.phases()
    line.say([2], replace(HEARD, greens=HEARD.greens | {4}))
    assert line.controller.next_change(line.now) == line.now.monotonic
    with pytest.raises(DecodeError, match=r"tscbm.phase\[4\]: shows more than one colour at once"):
        line.controller.state(line.now)
    line.say([3])
    assert line.phases() == [RED, GREEN, RED, RED]
    assert line.refused() == {"contradiction": 1}


def test_a_change_is_news_at_once_and_the_same_again_is_none() -> None:
    line = Line()
    line.say([1])
    line.phases()
    line.say([2])
    assert line.controller.next_change(line.now) != line.now.monotonic
    line.say([3], replace(HEARD, greens=frozenset(), yellows=frozenset({2, 6})))
    assert line.controller.next_change(line.now) == line.now.monotonic
    assert line.phases()[1] is MovementPhaseState.PROTECTED_CLEARANCE


def test_the_discontinuity_bits_say_once_that_times_jumped_and_the_version_above_them_does_not() -> None:
    line = Line()
    line.say([1], replace(HEARD, discontinuity=0x09))
    line.say([2], replace(HEARD, discontinuity=0x08))
    jumped = []
    for _ in range(2):
        line.phases()
        jumped.append(line.controller.mode.has_jumped)
    assert jumped == [True, False]
    assert line.controller.status(line.now)["discontinuities"] == 1


@pytest.mark.parametrize("changes", [{"discontinuity": 1}, {"status": 0b100}], ids=["jump", "mode"])
def test_a_jump_and_another_mode_are_news_too(changes: dict[str, int]) -> None:
    line = Line(status_bits={2: IntersectionStatus.FAILURE_FLASH})
    line.say([1, 2])
    line.phases()
    line.say([3])
    assert line.controller.next_change(line.now) != line.now.monotonic
    line.say([4], replace(HEARD, **changes))
    assert line.controller.next_change(line.now) == line.now.monotonic
    line.phases()
    line.say([5], replace(HEARD, **{**changes, "discontinuity": 0}))
    assert line.controller.next_change(line.now) != line.now.monotonic


def test_the_status_octet_means_what_the_operator_says_it_means() -> None:
    line = Line(status_bits={2: IntersectionStatus.FAILURE_FLASH, 3: IntersectionStatus.PREEMPT_IS_ACTIVE})
    line.say([1], replace(HEARD, status=0b0101))
    line.phases()
    assert line.controller.mode.status == IntersectionStatus.FAILURE_FLASH
    assert line.controller.status(line.now)["status_octet"] == 5


NONE: frozenset[int] = frozenset()


@pytest.mark.parametrize(
    ("changes", "group", "phase"),
    [
        ({"flashing_phases": frozenset({4})}, 1, MovementPhaseState.STOP_THEN_PROCEED),
        (
            {"flashing_phases": frozenset({4}), "reds": NONE, "yellows": frozenset({4})},
            1,
            MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC,
        ),
        ({"flashing_phases": frozenset({4}), "reds": NONE}, 1, MovementPhaseState.UNAVAILABLE),
        ({"reds": NONE}, 1, MovementPhaseState.DARK),
        ({"dont_walks": NONE, "walks": frozenset({4})}, 3, GREEN),
        ({"dont_walks": NONE, "pedestrian_clears": frozenset({4})}, 3, MovementPhaseState.PROTECTED_CLEARANCE),
        ({"overlap_reds": NONE, "overlap_greens": frozenset({1})}, 4, YIELD),
        ({"overlap_reds": NONE, "overlap_yellows": frozenset({1})}, 4, MovementPhaseState.PERMISSIVE_CLEARANCE),
        ({"flashing_overlaps": frozenset({1})}, 4, MovementPhaseState.STOP_THEN_PROCEED),
    ],
)
def test_every_output_is_read_as_what_it_lights(changes: dict[str, frozenset[int]], group: int, phase: MovementPhaseState) -> None:
    line = Line()
    line.say([1], replace(HEARD, **changes))
    assert line.phases()[group - 1] is phase


def test_each_output_has_times_of_its_own() -> None:
    times = list(HEARD.times)
    times[3] = TimesToChange(vehicle_min_s=1.0, vehicle_max_s=2.0, pedestrian_min_s=3.0, pedestrian_max_s=4.0)
    times[0] = TimesToChange(overlap_min_s=5.0, overlap_max_s=6.0)
    line = Line()
    line.say([1], replace(HEARD, times=tuple(times)))
    running = [state.intervals[0] for state in line.controller.state(line.now)]
    now = line.now.require_utc()
    ends = [(each.min_end, each.max_end) for each in running]
    expected = [(1, 2), None, (3, 4), (5, 6)]
    assert [end for end, seconds in zip(ends, expected, strict=True) if seconds] == [
        (now + first * NS_PER_S, now + last * NS_PER_S) for first, last in (each for each in expected if each)
    ]


def test_it_takes_no_requests_for_priority_and_says_so() -> None:
    line = Line()
    answer = line.controller.ask_priority(REQUEST, line.now)
    assert answer.status.name == "REJECTED"
    assert "takes no requests" in answer.reason
    assert line.controller.priority(REQUEST.key) is None


@given(datagrams=st.lists(st.one_of(st.binary(max_size=300), st.binary(min_size=239, max_size=239).map(lambda b: b"\xcd\x10" + b))))
def test_whatever_the_controllers_address_sends_ends_in_a_state_or_a_typed_error(datagrams: list[bytes]) -> None:
    line = Line()
    for datagram in datagrams:
        line.clock.advance(TENTH_NS)
        line.controller.hear(datagram, SOURCE, line.now)
    with suppress(TransportError, DecodeError):
        line.controller.state(line.now)
    account = line.controller.status(line.now)
    assert isinstance(account["refused"], dict)
