"""One question at a time on one bus: who answers it, several units at once, and what is nobody's answer."""

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.transport.can_frame import CanFrame
from simulator.diagnostics import CLUSTER, ENGINE, GEARBOX, CarFigures, Diagnostics, Manners, engine_unit, gearbox_unit
from tests.helpers.control_units import CHANNEL, VIN
from vehicle_agent.requests.addresses import UnitAddress
from vehicle_agent.requests.read_request import CurrentData, DataByIdentifier, ReadRequest, VehicleInformation
from vehicle_agent.requests.requester import (
    LATE_NS,
    P2_NS,
    P2_STAR_NS,
    Answer,
    Event,
    OtherTester,
    Refusal,
    Requester,
    Silence,
    Turn,
)

START = MonotonicNs(5_000_000_000)
CALIBRATIONS = VehicleInformation(0x04)


class Bench:
    """A requester and the units it asks, with a clock that the test moves."""

    def __init__(self, *units: Manners) -> None:
        made = (engine_unit(VIN, manners=units[0]), gearbox_unit(manners=units[1])) if units else ()
        if made:
            made[1].info = {**made[1].info, 0x04: made[0].info[0x04]}
        self.diagnostics = Diagnostics(made, channel=CHANNEL)
        self.requester = Requester(channel=CHANNEL, units=(CLUSTER,), obd=True, is_extended=False)
        self.now = START
        self.events: list[Event] = []
        self.sent: list[tuple[int, bytes]] = []

    def ask(self, request: ReadRequest, unit: UnitAddress | None, *expected: UnitAddress) -> None:
        self._take(self.requester.ask(request, unit, self.now, expected=frozenset(expected)))

    def hear(self, octets: str, identifier: int) -> None:
        self._take(self.requester.take(CanFrame(identifier, False, bytes.fromhex(octets), CHANNEL, self.now), self.now))

    def run(self, ms: int) -> None:
        for _ in range(ms):
            self.now = MonotonicNs(self.now + NS_PER_MS)
            for frame in self.diagnostics.poll(self.now):
                self._take(self.requester.take(frame, self.now))
            self._take(self.requester.poll(self.now))

    def _take(self, turn: Turn) -> None:
        self.events += turn.events
        for each in turn.send:
            self.sent.append((each.arbitration_id, each.data))
            frame = CanFrame(each.arbitration_id, each.is_extended, each.data, CHANNEL, self.now)
            for answer in self.diagnostics.hear(frame, CarFigures(), self.now):
                self._take(self.requester.take(answer, self.now))


def test_several_units_answer_one_question_at_once_each_in_many_frames() -> None:
    bench = Bench(Manners(), Manners())
    bench.ask(CALIBRATIONS, None)
    bench.run(700)
    answers = [event for event in bench.events if isinstance(event, Answer)]
    assert {answer.unit for answer in answers} == {ENGINE, GEARBOX}
    assert [len(answer.octets) for answer in answers] == [35, 35]
    assert all(answer.is_ours for answer in answers)
    assert [identifier for identifier, data in bench.sent if data[0] == 0x30] == [0x7E0, 0x7E1]
    assert len(bench.events) == 2
    assert not bench.requester.is_asking


def test_a_question_to_all_is_over_once_everybody_who_is_expected_has_answered() -> None:
    bench = Bench(Manners(), Manners(delay_ns=100 * NS_PER_MS))
    bench.ask(CALIBRATIONS, None, ENGINE, GEARBOX)
    bench.run(50)
    assert bench.requester.is_asking
    bench.run(150)
    assert not bench.requester.is_asking


def test_nobody_answering_is_silence_after_p2_and_not_before() -> None:
    bench = Bench()
    bench.ask(CurrentData(0x0D), None)
    assert bench.requester.next_due() == START + P2_NS
    bench.run(P2_NS // NS_PER_MS - 1)
    assert bench.events == []
    bench.run(1)
    assert bench.events == [Silence(None, CurrentData(0x0D))]
    assert bench.requester.next_due() is None


def test_response_pending_is_waited_for_as_long_as_p2_star() -> None:
    bench = Bench()
    bench.ask(CurrentData(0xA6), ENGINE)
    bench.hear("037f0178cccccccc", 0x7E8)
    assert bench.requester.next_due() == START + P2_STAR_NS
    bench.hear("0641a600000064cc", 0x7E8)
    assert bench.events == [Answer(ENGINE, bytes.fromhex("41a600000064"), is_ours=True)]


def test_an_answer_of_another_unit_or_to_another_question_is_not_ours_and_ours_still_is() -> None:
    bench = Bench()
    bench.ask(CurrentData(0xA6), ENGINE)
    bench.hear("0641a600000001", 0x7E9)
    bench.hear("03410d00", 0x7E8)
    bench.hear("037f2231", 0x7E8)
    heard = [event for event in bench.events if not isinstance(event, OtherTester)]
    assert [isinstance(event, Answer) and event.is_ours for event in heard] == [False, False]
    assert bench.requester.is_asking
    bench.hear("037f0112", 0x7E8)
    assert bench.events[-1] == Refusal(ENGINE, CurrentData(0xA6), "sub_function_not_supported")


def test_an_answer_that_comes_late_is_ours_for_a_while_and_then_somebody_elses() -> None:
    bench = Bench()
    bench.ask(DataByIdentifier(0x2203), CLUSTER)
    bench.run(P2_NS // NS_PER_MS)
    assert isinstance(bench.events.pop(), Silence)
    bench.hear("0662220301e240", 0x77E)
    assert bench.events.pop() == Answer(CLUSTER, bytes.fromhex("62220301e240"), is_ours=True)
    bench.now = MonotonicNs(bench.now + LATE_NS)
    bench.hear("0662220301e240", 0x77E)
    assert bench.events == [OtherTester(), Answer(CLUSTER, bytes.fromhex("62220301e240"), is_ours=False)]


def test_what_is_neither_question_nor_answer_is_not_wanted() -> None:
    requester = Bench().requester
    for identifier, wide, channel, wanted in (
        (0x7DF, False, CHANNEL, True),
        (0x7E0, False, CHANNEL, True),
        (0x7EF, False, CHANNEL, True),
        (0x77E, False, CHANNEL, True),
        (0x7F0, False, CHANNEL, False),
        (0x7E8, True, CHANNEL, False),
        (0x7E8, False, "can1", False),
        (0x18DAF110, True, CHANNEL, False),
    ):
        assert requester.wants(CanFrame(identifier, wide, b"", channel, START)) is wanted
