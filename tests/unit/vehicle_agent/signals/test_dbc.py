from math import isnan
from pathlib import Path

import pytest
from cantools.database.can import Message, Signal
from cantools.database.conversion import BaseConversion
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import ConfigError
from vehicle_agent.signals.dbc import Dbc, MessageLayout, resolve_reference


def _layout(signal: Signal, length: int) -> MessageLayout:
    message = Message(frame_id=1, name="M", length=length, signals=[signal], strict=False)
    return Dbc("test", [message]).message("M")


@st.composite
def _signals(draw: st.DrawFn) -> tuple[Signal, int]:
    """A signal that fits its message, of either byte order."""
    length = draw(st.sampled_from([1, 2, 3, 8, 12, 64]))
    is_float = draw(st.booleans()) and length >= 2
    width = (
        draw(st.sampled_from([w for w in (16, 32, 64) if w <= 8 * length]))
        if is_float
        else draw(st.integers(1, min(64, 8 * length)))
    )
    first_bit = draw(st.integers(0, 8 * length - width))
    is_big_endian = draw(st.booleans())
    # In Motorola order a start bit names the most significant bit, counted from the right within its byte.
    start = 8 * (first_bit // 8) + 7 - first_bit % 8 if is_big_endian else first_bit
    conversion = BaseConversion.factory(
        scale=draw(st.sampled_from([1, 0.1, -2, 0.03125])), offset=draw(st.sampled_from([0, -40, 12.5])), is_float=is_float
    )
    signal = Signal(
        "S",
        start,
        width,
        "big_endian" if is_big_endian else "little_endian",
        is_signed=not is_float and draw(st.booleans()),
        conversion=conversion,
    )
    return signal, length


@given(case=_signals(), data=st.data())
def test_every_signal_reads_as_cantools_reads_it(case: tuple[Signal, int], data: st.DataObject) -> None:
    signal, length = case
    message = _layout(signal, length)
    payload = data.draw(st.binary(min_size=length, max_size=length))
    layout = message.signal("S")
    decoded = message.source.decode(payload, decode_choices=False)
    assert isinstance(decoded, dict)
    theirs = decoded["S"]
    assert isinstance(theirs, int | float)
    ours = layout.reader()(payload) * layout.scale + layout.offset
    assert ours == theirs or (isnan(ours) and isnan(theirs))


@given(case=_signals())
def test_the_bits_of_a_signal_are_those_whose_change_changes_it(case: tuple[Signal, int]) -> None:
    signal, length = case
    layout = _layout(signal, length).signal("S")
    assert len(layout.bits()) == signal.length
    if layout.is_float:
        return
    read = layout.reader()
    zero = read(bytes(length))
    for bit in range(8 * length):
        changed = read((1 << bit).to_bytes(length, "little")) != zero
        assert changed is (bit in layout.bits())


@given(first=st.integers(0, 70), width=st.integers(1, 64), is_big_endian=st.booleans())
def test_a_signal_fits_its_message_or_is_refused(first: int, width: int, is_big_endian: bool) -> None:  # noqa: FBT001
    signal = Signal("S", first, width, "big_endian" if is_big_endian else "little_endian")
    message = _layout(signal, 8)
    start = 8 * (first // 8) + 7 - first % 8 if is_big_endian else first
    if start + width <= 64:
        layout = message.signal("S")
        assert 0 <= layout.first_byte < layout.end_byte <= 8
    else:
        with pytest.raises(ValueError, match="does not fit the 8 bytes"):
            message.signal("S")


@pytest.mark.parametrize("reference", ["package:/etc/passwd", "package:", "package:.hidden/x", "package:no such/x"])
def test_a_reference_to_no_package_is_a_fault_of_the_configuration(reference: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        resolve_reference(reference, relative_to=Path(), key="car.toml: dbc")
    assert refusal.value.path == "car.toml: dbc"
