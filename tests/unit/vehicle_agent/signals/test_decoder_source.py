"""Generated decoders against cantools, on every way a signal is laid out in the public DBC files of `opendbc`."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from random import Random

import pytest
from cantools import database
from cantools.database.can import Message, Signal

from shared.core.clock import MonotonicNs
from shared.core.errors import FrameError
from tests.helpers.data import REPOSITORY
from vehicle_agent.signals.dbc import Dbc, MessageLayout, Raw
from vehicle_agent.signals.decoder_source import fields_decoder, signals_decoder
from vehicle_agent.signals.mapped import Combination, MappedField, MappedMessage
from vehicle_agent.signals.signal_map import load_signal_map
from vehicle_agent.vehicle_state import FieldKind, Value

AT = MonotonicNs(7)
SIGNALS_AT_ONCE = 60
EXHAUSTIVE_BITS = 8

_NUMBER = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"
"""A number as cantools reads it; a file that writes one otherwise does not load."""

_FILE = re.compile(
    r"^BO_ +(?P<id>\d+) +(?P<message>\w+) *: *(?P<length>\d+)"
    r"|^ *SG_ +(?P<signal>\w+) *(?P<multiplex>[Mm\d]*) *: *(?P<place>\d+\|\d+@[01][+-]) *\( *(?P<scale>N) *, *(?P<offset>N) *\)"
    r"|^SIG_VALTYPE_ +(?P<float_id>\d+) +(?P<float_signal>\w+)".replace("N", _NUMBER),
    re.MULTILINE,
)


@cache
def _opendbc() -> Path:
    spec = find_spec("opendbc")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("opendbc is not installed")
    return Path(spec.submodule_search_locations[0]) / "dbc"


@cache
def _written() -> tuple[str, ...]:
    """Return the text of each DBC."""
    return tuple(path.read_bytes().decode("cp1252", "replace") for path in sorted(_opendbc().rglob("*.dbc")))


def _dbc(text: str) -> Dbc:
    content = database.load_string(f'VERSION ""\n\nBU_: X\n\n{text}', database_format="dbc", strict=False)
    assert isinstance(content, database.Database)
    return Dbc("trial.dbc", content.messages)


@cache
def _layouts() -> tuple[MessageLayout, ...]:
    """Return each way a signal stands in a message and is scaled, once, many to a message."""
    found: dict[int, dict[tuple[str, str, str, bool], None]] = {}
    for text in _written():
        floats = {(m["float_id"], m["float_signal"]) for m in _FILE.finditer(text) if m["float_id"]}
        number, length = "", 0
        for match in _FILE.finditer(text):
            if match["id"]:
                number, length = match["id"], int(match["length"])
            elif match["signal"] and length:
                is_float = (number, match["signal"]) in floats
                found.setdefault(length, {})[match["place"], match["scale"], match["offset"], is_float] = None
    lines, numbers = [], iter(range(1, 2_000))
    for length, ways in found.items():
        for start in range(0, len(ways), SIGNALS_AT_ONCE):
            some = list(ways)[start : start + SIGNALS_AT_ONCE]
            number = str(next(numbers))
            lines.append(f"BO_ {number} M{number}: {length} X")
            lines += [f' SG_ S{i} : {place} ({scale},{offset}) [0|0] "" X' for i, (place, scale, offset, _) in enumerate(some)]
            lines.append("")
            lines += [f"SIG_VALTYPE_ {number} S{i} : 1;" for i, (*_, is_float) in enumerate(some) if is_float]
    dbc = _dbc("\n".join([*(line for line in lines if "VALTYPE" not in line), *(line for line in lines if "VALTYPE" in line)]))
    return tuple(dbc.message(name) for name in dbc.message_names())


def _fits(layout: MessageLayout, name: str) -> bool:
    try:
        layout.signal(name)
    except ValueError:
        return False
    return True


def _alone(layout: MessageLayout, *signals: Signal) -> Message:
    """Return a message of these signals alone: cantools cannot decode one in which signals overlap."""
    return Message(frame_id=1, name="M", length=layout.length, signals=list(signals), strict=False)


def _theirs(message: Message, data: bytes) -> dict[str, Raw]:
    decoded = message.decode(data, decode_choices=False)
    assert isinstance(decoded, dict)
    return {name: value for name, value in decoded.items() if isinstance(value, int | float)}


def _same(ours: Raw, theirs: Raw) -> bool:
    return ours == theirs or (isnan(ours) and isnan(theirs))


def _payloads(layout: MessageLayout, rng: Random) -> Iterator[bytes]:
    length = layout.length
    yield bytes(length)
    yield b"\xff" * length
    yield b"\x55" * length
    yield bytes(range(1, 256))[:length].ljust(length, b"\x80")
    for _ in range(3):
        yield rng.randbytes(length)


def _edges(layout: MessageLayout, name: str) -> Iterator[bytes]:
    """Yield the signal's bits alone, their neighbours alone, and its highest and lowest bit alone."""
    length, bits = layout.length, layout.signal(name).bits()
    mask = sum(1 << bit for bit in bits)
    everything = (1 << 8 * length) - 1
    for number in (mask, everything ^ mask, 1 << min(bits), 1 << max(bits)):
        yield number.to_bytes(length, "little")


def test_every_signal_of_every_public_dbc_has_cantools_value() -> None:
    rng = Random(2017)
    compared = 0
    for layout in _layouts():
        names = [name for name in layout.signal_names() if _fits(layout, name)]
        decode = signals_decoder(layout, names)
        common = [(data, decode(data)) for data in _payloads(layout, rng)]
        for name in names:
            theirs = _alone(layout, layout.source.get_signal_by_name(name))
            one = signals_decoder(layout, [name]) if compared % 16 == 0 else decode
            for data, ours in (*common, *((data, one(data)) for data in _edges(layout, name))):
                assert _same(ours[name], _theirs(theirs, data)[name]), (layout.source.get_signal_by_name(name), data.hex())
            compared += 1
    assert compared > 4_000


def test_every_value_of_every_short_signal_of_a_car_is_cantools_value() -> None:
    content = database.load_file(_opendbc() / "generator" / "toyota" / "_toyota_2017.dbc", strict=False)
    assert isinstance(content, database.Database)
    dbc, rng, compared = Dbc("toyota", content.messages), Random(4), 0
    for layout in map(dbc.message, dbc.message_names()):
        for signal in map(layout.signal, layout.signal_names()):
            if signal.length_bits > EXHAUSTIVE_BITS or signal.conditions:
                continue
            decode = signals_decoder(layout, [signal.name])
            theirs = _alone(layout, layout.source.get_signal_by_name(signal.name))
            mask = sum(1 << bit for bit in signal.bits())
            rest = rng.getrandbits(8 * layout.length) & ~mask
            for value in range(1 << signal.length_bits):
                data = (rest | _deposit(value, sorted(signal.bits()))).to_bytes(layout.length, "little")
                assert _same(decode(data)[signal.name], _theirs(theirs, data)[signal.name])
                compared += 1
    assert compared > 10_000


def _deposit(value: int, bits: list[int]) -> int:
    """Return `value` spread over these bits, whichever of them counts most."""
    return sum(1 << bit for i, bit in enumerate(bits) if value >> i & 1)


def test_multiplexed_signals_are_there_when_cantools_says_so() -> None:
    rng, present, absent = Random(8), 0, 0
    seen: set[str] = set()
    for text in _written():
        blocks = re.findall(r"^BO_ .*\n(?:[ \t]*SG_ .*\n?)+", text, re.MULTILINE)
        for block in blocks:
            if not re.search(r"SG_ +\w+ +m\d+ *:", block) or block in seen:
                continue
            seen.add(block)
            dbc = _dbc(re.sub(r'"[^"]*"', '""', block))
            (layout,) = map(dbc.message, dbc.message_names())
            if not all(_fits(layout, name) for name in layout.signal_names()):
                continue
            decode = signals_decoder(layout)
            for data in _payloads(layout, rng):
                ours = decode(data)
                for name in layout.signal_names():
                    signal = layout.signal(name)
                    needed = [layout.source.get_signal_by_name(each.name) for each, _ in signal.conditions]
                    try:
                        theirs = _theirs(_alone(layout, *needed, layout.source.get_signal_by_name(name)), data)
                    except database.DecodeError:
                        theirs = {}  # the multiplexer has a value of which the file says nothing
                    assert (name in ours) == (name in theirs)
                    if name in ours:
                        assert _same(ours[name], theirs[name])
                        present += bool(signal.conditions)
                    else:
                        absent += 1
    assert present > 100
    assert absent > 100


RAV4 = load_signal_map(REPOSITORY / "vehicle_agent" / "maps" / "toyota_rav4_2017.toml")


def _expected(mapped: MappedField, message: MappedMessage, data: bytes) -> tuple[bool, Value | None]:
    """Return what a field is by cantools' values and the map's words, and whether it is believed."""
    source = message.layout.source
    raw = [signal.reader()(data) for signal in mapped.signals]
    if any(number in mapped.not_available for number in raw):
        return True, None
    if mapped.spec.kind is not FieldKind.QUANTITY:
        meanings = [mapped.choices.get(int(number), "?") for number in raw]
        return "?" not in meanings, True in meanings if len(meanings) > 1 else meanings[0]  # type: ignore[return-value]
    physical = [_theirs(_alone(message.layout, source.get_signal_by_name(each.name)), data)[each.name] for each in mapped.signals]
    total = sum(physical) / (len(physical) if mapped.combination is Combination.MEAN else 1)
    unit = mapped.unit
    if mapped.selector is not None:
        unit = mapped.selector.units.get(int(mapped.selector.signal.reader()(data)))
        if unit is None:
            return False, None
    assert unit is not None
    value = unit.to_si(total * mapped.factor + mapped.offset)
    return mapped.minimum <= value <= mapped.maximum, value


@pytest.mark.parametrize("message", RAV4.messages, ids=lambda message: message.layout.name)
def test_fields_are_cantools_values_in_si(message: MappedMessage) -> None:
    decode, rng = fields_decoder(message, message.fields), Random(3)
    for data in (*_payloads(message.layout, rng), *(rng.randbytes(message.layout.length) for _ in range(60))):
        faults: list[FrameError] = []
        news = {update.field: update.value for update in decode(data, AT, faults)}
        expected = {mapped.field: _expected(mapped, message, data) for mapped in message.fields}
        assert set(news) == {field for field, (is_believed, _) in expected.items() if is_believed}
        assert len(news) + len(faults) == len(message.fields)
        for field, value in news.items():
            theirs = expected[field][1]
            assert value == (pytest.approx(theirs, rel=1e-12) if isinstance(theirs, float) else theirs), field


def test_a_message_of_which_no_field_is_wanted_says_nothing() -> None:
    message = RAV4.messages[0]
    assert fields_decoder(message, ())(bytes(message.layout.length), AT, []) == ()


def test_names_of_a_dbc_never_become_code() -> None:
    evil = 'a"]; raise SystemExit  #'
    signal = Signal(evil, 0, 8)
    message = Message(1, "m\n\nraise SystemExit", 1, [signal], strict=False)
    layout = MessageLayout(name=message.name, arbitration_id=1, is_extended=False, length=1, source=message)
    assert signals_decoder(layout)(b"\x2a") == {evil: 42}
