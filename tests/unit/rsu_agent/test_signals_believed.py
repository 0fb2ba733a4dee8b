"""Whatever a controller says and whenever, what goes on the air is what it showed just now, or that nothing is known."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rsu_agent.signal_controllers import GroupRule, GuardRules
from rsu_agent.signal_controllers.tscbm import Output, TscbmController, TscbmGroup, TscbmSetup
from rsu_agent.signal_service import RECOVERY_NS, SignalService
from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock, MonotonicNs, UtcNs
from shared.core.ids import StationId
from shared.core.itstime import utc_from_text
from shared.messages.spatem import IntersectionStatus, MovementPhaseState, Spatem, decode_spatem, encode_spatem
from shared.messages.tscbm import decode_tscbm, encode_tscbm
from tests.helpers.data import data_file
from tests.unit.rsu_agent.test_signal_guard import PLAIN

HEARD = decode_tscbm(data_file("messages/v2xhub_ntcip1202_tscbm_spat_1721238398773.bin").read_bytes())
SOURCE, STRANGER = "192.0.2.10", "192.0.2.66"
NEW_YEAR = utc_from_text("2027-01-01T00:00:00Z")
STALE_NS = NS_PER_S
AMBER_NS = 3 * NS_PER_S

NONE: frozenset[int] = frozenset()
LIT: Mapping[str, Mapping[str, frozenset[int]]] = {
    letter: {
        "reds": frozenset({1}) if letter == "r" else NONE,
        "yellows": frozenset({1}) if letter == "y" else NONE,
        "greens": frozenset({1}) if letter == "g" else NONE,
    }
    for letter in "rygO"
}
PHASES = {
    "r": MovementPhaseState.STOP_AND_REMAIN,
    "y": MovementPhaseState.PERMISSIVE_CLEARANCE,
    "g": MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED,
    "O": MovementPhaseState.DARK,
}
UNAVAILABLE = MovementPhaseState.UNAVAILABLE

steps = st.lists(
    st.tuples(
        st.sampled_from(("rr", "gr", "yr", "rg", "ry", "gg", "gy", "OO", "stranger", "broken", "silence", "restart", "clock")),
        st.integers(1, 25),
    ),
    max_size=16,
)


class Junction:
    """A controller of two conflicting groups over its port, its junction, and a clock near the turn of the year."""

    def __init__(self) -> None:
        self.clock = ManualClock(UtcNs(NEW_YEAR - 20 * NS_PER_S), MonotonicNs(9 * NS_PER_S))
        groups = tuple(TscbmGroup(number=number, output=Output.PHASE, output_number=number) for number in (1, 2))
        self.controller = TscbmController(TscbmSetup(source=SOURCE, groups=groups, stale_ns=STALE_NS, status_bits={}))
        rule = GroupRule(min_amber_ns=AMBER_NS)
        rules = GuardRules(groups={1: rule, 2: rule}, intergreen_ns={frozenset({1, 2}): AMBER_NS})
        self.service = SignalService(controller=self.controller, rules=rules, junction=PLAIN, station_id=StationId(1))
        self.sequence = 0
        self.shown = ""
        self.shown_at = MonotonicNs(0)
        self.said: list[tuple[MonotonicNs, list[MovementPhaseState], IntersectionStatus]] = []

    @property
    def taken(self) -> object:
        """How many datagrams were taken."""
        return self.controller.status(self.clock.now())["taken"]

    def say(self, letters: str, source: str = SOURCE) -> None:
        """Send one datagram; one that is taken is what the controller shows from now on: of a new count that is the third."""
        first, second = (LIT[letter] for letter in letters)
        lit = {name: first[name] | {2 * number for number in second[name]} for name in first}
        message = replace(HEARD, sequence=self.sequence % 256, flashing_phases=NONE, **lit)
        taken = self.taken
        self.controller.hear(encode_tscbm(message), source, self.clock.now())
        if self.taken != taken:
            assert source == SOURCE
            self.shown, self.shown_at = letters, self.clock.now().monotonic
        self.sequence += source == SOURCE

    def look(self) -> None:
        """Let the unit do what is due, and check whatever it says against what was shown last."""
        now = self.clock.now()
        self.service.look(now)
        if self.service.next_due() > now.monotonic:
            return
        for item in self.service.poll(now):
            if isinstance(item, Spatem):
                (state,) = decode_spatem(encode_spatem(item)).intersections
                phases = [movement.events[0].phase for movement in state.movements]
                self.said.append((now.monotonic, phases, state.status))
                if phases != [UNAVAILABLE, UNAVAILABLE]:
                    assert phases == [PHASES[letter] for letter in self.shown]
                    assert now.monotonic - self.shown_at <= STALE_NS
                    assert self.shown not in {"gg", "gy", "yg"}

    def step(self, what: str) -> None:
        """Let a tenth of a second pass in which this happens."""
        self.clock.advance(100 * NS_PER_MS)
        match what:
            case "silence":
                pass
            case "stranger":
                self.say("gg", STRANGER)
            case "broken":
                self.controller.hear(b"\xcd\x10", SOURCE, self.clock.now())
            case "restart":
                self.sequence += 100
            case "clock":
                self.clock.set_utc(None if self.clock.now().utc is not None else UtcNs(NEW_YEAR + 3_590 * NS_PER_S))
            case _:
                self.say(what)
        self.look()


@given(steps)
@settings(max_examples=25, deadline=None)
def test_nothing_is_broadcast_but_what_the_controller_shows_and_no_conflict_ever(acts: list[tuple[str, int]]) -> None:
    junction = Junction()
    for what, times in acts:
        for _ in range(1 if what in {"restart", "clock"} else times):
            junction.step(what)
    assert all((phases == [UNAVAILABLE] * 2) == (status == 4) for _, phases, status in junction.said)
    for (at, before, _), (_, after, _) in zip(junction.said, junction.said[1:], strict=False):
        if before != [UNAVAILABLE] * 2 and after == [UNAVAILABLE] * 2:
            back = next((then for then, phases, _ in junction.said if then > at and phases != [UNAVAILABLE] * 2), None)
            assert back is None or back - at > RECOVERY_NS, "a junction that was not believed is watched before it is believed"


def test_a_cycle_that_keeps_its_times_is_told_all_along() -> None:
    junction = Junction()
    for letters, seconds in (("rr", 6), ("gr", 6), ("yr", 3), ("rg", 6), ("ry", 3), ("gr", 6)):
        for _ in range(seconds * 10):
            junction.step(letters)
    assert [phases for _, phases, _ in junction.said].count([UNAVAILABLE, UNAVAILABLE]) == 0
    assert {tuple(phases) for _, phases, _ in junction.said} == {
        tuple(PHASES[letter] for letter in letters) for letters in ("rr", "gr", "yr", "rg", "ry")
    }
