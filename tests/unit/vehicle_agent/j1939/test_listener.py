"""What is asked of a truck's units and what is learnt of them, with the units on the other side."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import DecodeError
from shared.stack.effects import SendCan
from shared.transport.can_frame import CanFrame
from tests.helpers.j1939_unit import EVERYBODY, Unit, broadcast, frame
from vehicle_agent.j1939.groups import CLAIMED_ADDRESS, ParameterGroup
from vehicle_agent.j1939.identification import IDENTIFICATION_GROUPS, identifiers_in
from vehicle_agent.j1939.listener import J1939Bus, J1939Listener, UnitSurvey
from vehicle_agent.j1939.requests import ANSWER_WAIT_NS, MAX_UNITS, ROUND_INTERVAL_NS, SERVICE_TOOL_ADDRESS, GroupRequests

VIN, COMPONENT, SOFTWARE, DISTANCE, FINE_DISTANCE = 65_260, 65_259, 65_242, 65_248, 65_217
ENGINE, TACHOGRAPH = 0x00, 0xEE
NAME = bytes.fromhex("0102030405060708")
ENGINE_GROUPS = {
    VIN: b"YV2RT40A5KB123456*",
    COMPONENT: b"VOLVO*D13K500*A1234567**",
    SOFTWARE: b"\x0222345678P01*CAL77*",
    CLAIMED_ADDRESS: NAME,
}


class Network:
    """A bus with units on it that speak up twice a second, and a listener; time is counted."""

    def __init__(
        self,
        *units: Unit,
        address: int | None = SERVICE_TOOL_ADDRESS,
        groups: Iterable[int] = (),
        gives_back: bool = False,
    ) -> None:
        self.units = units
        self.gives_back = gives_back
        self.listener = J1939Listener([J1939Bus(name="can0", groups=frozenset(groups), address=address)], started=MonotonicNs(0))
        self.now = 0
        self.sent: list[tuple[int, SendCan]] = []
        self.groups: list[ParameterGroup] = []
        self.surveys: list[UnitSurvey] = []

    def run(self, seconds: float, *, quiet: bool = False, others: Iterable[CanFrame] = ()) -> None:
        """Let time pass in steps of a tenth of a second."""
        for each in others:
            self._hear(CanFrame(each.arbitration_id, True, each.data, "can0", MonotonicNs(self.now)))
        for step in range(round(seconds * 10)):
            self.now += 100 * NS_PER_MS
            if not quiet and step % 5 == 0:
                for unit in self.units:
                    self._hear(frame(0xF004, unit.address, EVERYBODY, bytes(8), at=self.now, priority=3))
            self._say(self.listener.poll(MonotonicNs(self.now)))
            survey = self.listener.take_survey(MonotonicNs(self.now))
            self.surveys += [] if survey is None else [survey]

    def _say(self, frames: Iterable[SendCan]) -> None:
        for sent in frames:
            self.sent.append((self.now, sent))
            on_bus = CanFrame(sent.arbitration_id, sent.is_extended, sent.data, sent.bus, MonotonicNs(self.now))
            if self.gives_back:
                self._hear(on_bus)
            for unit in self.units:
                for answer in unit.receive(on_bus, at=self.now):
                    self._hear(answer)

    def _hear(self, heard: CanFrame) -> None:
        result = self.listener.receive(heard)
        self.groups += [] if result.group is None else [result.group]
        self._say(result.answers)

    def requests(self) -> list[tuple[int, int, int]]:
        """Return when what was asked of whom."""
        return [
            (at, int.from_bytes(sent.data, "little"), sent.arbitration_id >> 8 & 0xFF)
            for at, sent in self.sent
            if sent.arbitration_id >> 16 & 0xFF == 0xEA
        ]


class TestRound:
    def test_units_say_who_they_are_when_asked(self) -> None:
        tachograph = Unit(TACHOGRAPH, {COMPONENT: b"VDO*DTCO1381*0012345*TCO1*", CLAIMED_ADDRESS: NAME[::-1]})
        network = Network(Unit(ENGINE, ENGINE_GROUPS), tachograph)
        network.run(30)
        (survey,) = network.surveys
        assert survey.vins == ("YV2RT40A5KB123456",)
        assert survey.units == {
            "can0:j1939:00": {
                "vin": "YV2RT40A5KB123456",
                "supplier": "VOLVO",
                "part_number": "D13K500",
                "serial_number": "A1234567",
                "software_number": "22345678P01*CAL77",
                "j1939_name": "0807060504030201",
            },
            "can0:j1939:ee": {
                "supplier": "VDO",
                "part_number": "DTCO1381",
                "serial_number": "0012345",
                "unit_number": "TCO1",
                "j1939_name": "0102030405060708",
            },
        }

    def test_requests_are_politely_spaced_and_under_the_address_of_a_service_tool(self) -> None:
        network = Network(*(Unit(address, ENGINE_GROUPS) for address in range(5)))
        network.run(60)
        times = [at for at, _, _ in network.requests()]
        assert len(times) == 2 + 5 * 2
        assert times[0] >= 5 * NS_PER_S
        assert all(later - earlier >= ANSWER_WAIT_NS for earlier, later in pairwise(times))
        assert {sent.arbitration_id & 0xFF for _, sent in network.sent} == {SERVICE_TOOL_ADDRESS}
        assert {sent.arbitration_id >> 26 for _, sent in network.sent} <= {6, 7}

    def test_the_next_round_comes_after_ten_minutes(self) -> None:
        network = Network(Unit(ENGINE, ENGINE_GROUPS))
        network.run(620)
        assert len(network.surveys) == 2
        assert network.surveys[0] == network.surveys[1]

    def test_another_tester_is_no_unit_of_the_vehicle(self) -> None:
        tester = Unit(250, {})
        network = Network(Unit(ENGINE, ENGINE_GROUPS), tester)
        network.run(60)
        assert {to for _, _, to in network.requests()} == {ENGINE, EVERYBODY}

    def test_a_unit_that_refuses_is_asked_once_and_one_that_is_silent_twice(self) -> None:
        refusing, silent = Unit(ENGINE, {}), Unit(1, {})
        silent.receive = lambda request, *, at=0: []  # type: ignore[method-assign] # noqa: ARG005 - it has no ears
        network = Network(refusing, silent)
        network.run(60)
        asked = [(pgn, to) for _, pgn, to in network.requests() if to != EVERYBODY]
        assert sorted(asked) == sorted([(COMPONENT, 0), (SOFTWARE, 0), *[(COMPONENT, 1)] * 2, *[(SOFTWARE, 1)] * 2])
        assert network.surveys == []

    def test_of_two_vins_the_engines_comes_first(self) -> None:
        network = Network(Unit(3, {VIN: b"WDB9634031L123456*"}), Unit(0, ENGINE_GROUPS))
        network.run(30)
        assert network.surveys[0].vins == ("YV2RT40A5KB123456", "WDB9634031L123456")


class TestSilence:
    def test_a_sleeping_bus_is_left_asleep(self) -> None:
        network = Network(Unit(ENGINE, ENGINE_GROUPS))
        network.run(60, quiet=True)
        assert network.sent == []
        network.run(10)
        assert len(network.requests()) > 2

    def test_a_testers_own_requests_silence_ours_for_ten_minutes(self) -> None:
        network = Network(Unit(ENGINE, ENGINE_GROUPS))
        tester = frame(0xEA00, SERVICE_TOOL_ADDRESS, ENGINE, VIN.to_bytes(3, "little"))
        network.run(2)
        network.run(590, others=[tester])
        assert network.sent == []
        network.run(20)
        assert network.requests()

    def test_our_own_frames_that_come_back_are_nobody_elses(self) -> None:
        network = Network(Unit(ENGINE, ENGINE_GROUPS), gives_back=True)
        network.run(30)
        assert network.surveys[0].vins == ("YV2RT40A5KB123456",)
        assert len(network.requests()) == 4

    def test_who_only_listens_never_speaks_and_still_learns(self) -> None:
        network = Network(Unit(ENGINE, ENGINE_GROUPS), address=None)
        network.run(10, others=broadcast(VIN, ENGINE, ENGINE_GROUPS[VIN]))
        network.run(ROUND_INTERVAL_NS / NS_PER_S)
        assert network.sent == []
        assert [survey.vins for survey in network.surveys] == [("YV2RT40A5KB123456",)]
        assert [group.pgn for group in network.groups] == [VIN]

    @pytest.mark.parametrize("address", [254, 255, -1])
    def test_nobody_asks_without_an_address(self, address: int) -> None:
        with pytest.raises(ValueError, match="address"):
            GroupRequests("can0", address=address, distances=(), started=MonotonicNs(0))


class TestDistances:
    def test_a_distance_that_the_bus_does_not_carry_is_asked_for_every_ten_seconds(self) -> None:
        unit = Unit(ENGINE, {DISTANCE: bytes.fromhex("ffffffff47b00100")})
        network = Network(unit, groups={DISTANCE, 65_265})
        network.run(60)
        assert 5 <= unit.asked.count((DISTANCE, EVERYBODY)) <= 6

    def test_one_that_comes_by_itself_is_not_asked_for(self) -> None:
        unit = Unit(ENGINE, {DISTANCE: bytes(8)})
        network = Network(unit, groups={DISTANCE})
        for _ in range(20):
            network.run(3, others=[frame(DISTANCE, ENGINE, EVERYBODY, bytes(8), priority=6)])
        assert (DISTANCE, EVERYBODY) not in unit.asked


def _group(pgn: int, data: bytes) -> ParameterGroup:
    return ParameterGroup(pgn=pgn, source=0, destination=255, data=data, channel="can0", received=MonotonicNs(0))


class TestIdentification:
    def test_all_ones_is_not_available(self) -> None:
        for pgn in IDENTIFICATION_GROUPS:
            assert identifiers_in(_group(pgn, b"\xff" * 8)) == {}

    def test_parts_that_are_empty_are_not_said(self) -> None:
        assert identifiers_in(_group(COMPONENT, b"**77*\xff\xff")) == {"serial_number": "77"}
        assert identifiers_in(_group(VIN, b"*")) == {}
        assert identifiers_in(_group(SOFTWARE, b"")) == {}
        assert identifiers_in(_group(SOFTWARE, b"\x01**")) == {}

    @pytest.mark.parametrize(
        ("pgn", "data"), [(VIN, b"YV2\x07*"), (VIN, b"x" * 201), (SOFTWARE, b"\x01\x00\x07*"), (CLAIMED_ADDRESS, b"\0" * 7)]
    )
    def test_what_is_no_text_is_refused(self, pgn: int, data: bytes) -> None:
        with pytest.raises(DecodeError):
            identifiers_in(_group(pgn, data))

    @given(st.sampled_from(IDENTIFICATION_GROUPS), st.binary(max_size=300))
    def test_any_content_gives_texts_or_a_refusal(self, pgn: int, data: bytes) -> None:
        try:
            identifiers = identifiers_in(_group(pgn, data))
        except DecodeError:
            return
        assert all(text and text.isprintable() for text in identifiers.values())


def test_units_beyond_the_bound_are_neither_asked_nor_kept() -> None:
    network = Network(*(Unit(address, {CLAIMED_ADDRESS: NAME}) for address in range(60)))
    network.run(120)
    assert len({to for _, _, to in network.requests() if to != EVERYBODY}) == MAX_UNITS
    assert all(len(survey.units) <= MAX_UNITS for survey in network.surveys)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0xEC00, 0xEB00, 0xE800, 0xEA00, 0xEE00, VIN, COMPONENT, SOFTWARE, DISTANCE, 0xF004]),
            st.sampled_from([0, 1, SERVICE_TOOL_ADDRESS, 254, 255]),
            st.sampled_from([0, SERVICE_TOOL_ADDRESS, 255]),
            st.binary(max_size=8),
        ),
        max_size=30,
    )
)
def test_hostile_traffic_makes_nobody_speak_more_often_than_it_may(script: list[tuple[int, int, int, bytes]]) -> None:
    network = Network(groups={DISTANCE})
    for pgn, source, destination, data in script:
        network.run(1, others=[frame(pgn, source, destination, data)])
    times = [at for at, _, _ in network.requests()]
    assert all(later - earlier >= ANSWER_WAIT_NS for earlier, later in pairwise(times))
    for _ in range(40):
        due = network.listener.next_due()
        network.listener.poll(due)
        network.listener.take_survey(due)
        assert network.listener.next_due() > due, "what was due is done, not due for ever"
    assert all(len(survey.units) <= MAX_UNITS for survey in network.surveys)
