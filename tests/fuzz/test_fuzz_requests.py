"""Whatever control units answer, it is news within range or a count; whatever is on the bus, questions go on and nothing grows."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS
from shared.core.errors import DecodeError
from shared.transport.can_frame import CanFrame
from tests.fuzz.parsers import Parser, ends_well
from tests.helpers.control_units import CHANNEL, SETTINGS, VIN, Car
from vehicle_agent.requests.addresses import UnitAddress
from vehicle_agent.requests.isotp import decode_frame
from vehicle_agent.requests.obd import (
    calibration_ids,
    calibration_numbers,
    current_values,
    info_supported,
    text_of,
    unit_name,
    vin,
    vin_of,
)
from vehicle_agent.requests.requester import MAX_UNITS
from vehicle_agent.requests.schedule import MAX_TASKS
from vehicle_agent.requests.uds import data_record, negative_response
from vehicle_agent.vehicle_memory import MAX_PARTS
from vehicle_agent.vehicle_state import FIELDS

MAX_FRAMES_FOR_ONE = 3
"""Frames the agent may send for one it hears: a flow control, a repeated question, a new one."""


def _all(octets: bytes) -> list[object]:
    return [(value.number, value.supported) for value in current_values(octets)]


PARSERS: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "isotp": (bytes.fromhex("1014490201574155"), decode_frame),
    "current data": (bytes.fromhex("410d320c0fa0"), _all),
    "supported": (bytes.fromhex("490055400000"), info_supported),
    "vin": (b"\x49\x02\x01" + VIN.encode(), vin),
    "vin by uds": (VIN.encode(), vin_of),
    "calibrations": (b"\x49\x04\x01" + b"37805-RBB-A530\x00\x00", calibration_ids),
    "calibration numbers": (bytes.fromhex("4906011791bc82"), calibration_numbers),
    "unit name": (b"\x49\x0a\x01" + b"ECM\x00-EngineControl\x00\x00", unit_name),
    "text": (b"5G1 920 740", text_of),
    "record": (bytes.fromhex("62f18c4142"), data_record),
    "refusal": (bytes.fromhex("7f2231"), negative_response),
}


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(data=st.data())
def test_answers_are_understood_or_refused(name: str, data: st.DataObject) -> None:
    good, run = PARSERS[name]
    parser = Parser(good=good, run=run, errors=(DecodeError,))
    assert ends_well(parser, good)
    keep = data.draw(st.integers(0, len(good)))
    ends_well(parser, good[:keep] + data.draw(st.binary(max_size=40)))


IDENTIFIERS = st.sampled_from((0x7DF, *range(0x7E0, 0x7F0), 0x714, 0x77E, 0x713, 0x77D))
BEGINNINGS = st.sampled_from(
    [
        bytes.fromhex(octets)
        for octets in (
            *("", "03410d", "0641a6", "064100", "1014490201", "1fff62", "21", "22", "2f", "30", "31", "32"),
            *("037f0178", "037f2221", "037f2231", "06622203", "0762f190"),
        )
    ]
)
FRAMES = st.tuples(IDENTIFIERS, BEGINNINGS, st.binary(max_size=8), st.integers(0, 700))


@settings(max_examples=60)
@given(frames=st.lists(FRAMES, max_size=60))
def test_questions_go_on_on_any_bus_and_nothing_grows(frames: list[tuple[int, bytes, bytes, int]]) -> None:
    car = Car(())
    for identifier, beginning, rest, step_ms in frames:
        before = len(car.asked)
        car.put(CanFrame(identifier, False, (beginning + rest)[:8], CHANNEL, car.now))
        assert len(car.asked) - before <= MAX_FRAMES_FOR_ONE
        car.run(step_ms / 1_000)
    for update in car.updates:
        spec = FIELDS[update.field]
        assert update.value is None or (isinstance(update.value, float) and spec.minimum <= update.value <= spec.maximum)
    assert car.requests.next_due() is not None
    assert len(car.requests.status()["units"]) <= MAX_UNITS  # type: ignore[arg-type]  # a list
    assert len(car.requests._schedule.tasks) <= MAX_TASKS
    assert len(car.remembered.memory.parts) <= MAX_PARTS
    assert car.shelf.records == []


@given(identifier=st.integers(0, 0x1FFF_FFFF), octets=st.binary(max_size=8), wait_ms=st.integers(0, 100))
def test_only_frames_of_questions_and_answers_are_looked_at(identifier: int, octets: bytes, wait_ms: int) -> None:
    car = Car((), SETTINGS)
    car.clock.advance(wait_ms * NS_PER_MS)
    updates, effects = car.requests.hear(CanFrame(identifier, True, octets, CHANNEL, car.now), car.now)
    assert (updates, effects) == ((), ())
    assert UnitAddress(identifier, identifier, is_extended=True) not in car.requests._requester._receivers
