"""What the driver's display gets by CAN: the view as frames, per `vehicle_agent/driver.dbc`.

Each message goes out at its cycle time from the DBC, with a counter that grows by one per frame and a CRC-8 over the other bytes. A
signal without a value is all ones; one that is too large stops short of that. A view older than `VIEW_LIFETIME_NS` is no view: then
everything is "not available". A car maker's own DBC serves as well if it has the same messages and signals, wherever they stand.

No input or output: `poll` returns the frames, and who puts them on a bus is `vehicle_agent.driver_outputs`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError
from shared.transport.can_frame import CanFrame
from vehicle_agent.signals.checksums import CHECKSUMS
from vehicle_agent.signals.dbc import Dbc, MessageLayout, SignalLayout, load_dbc

DRIVER_DBC = Path(__file__).with_name("driver.dbc")
"""The description that ships with the agent."""

VIEW_LIFETIME_NS = NS_PER_S
"""A view older than this is no view: five were missed."""

COUNTER, CHECKSUM = "COUNTER", "CHECKSUM"

_COLOURS = ("none", "red", "red_amber", "green", "amber", "flashing_red", "flashing_amber", "dark")
_ADVICE = ("none", "drive", "stop")
_SIDES = ("none", "ahead", "right", "behind", "left", "somewhere")
_MOST_EMERGENCIES = 6
_RULE = CHECKSUMS["crc8_j1850"]

Values = Mapping[str, float | None]
"""Physical values of a message's signals; None, and a signal not named, are "not available"."""


class DriverFrames:
    """The view as frames.

    Args:
        dbc: describes them.
        started: when the first ones are due.
    """

    def __init__(self, dbc: Dbc, *, started: MonotonicNs) -> None:
        self._messages = tuple(_Message(dbc, name, signals, started) for name, (signals, _) in _MESSAGES.items())
        self._view: Mapping[str, Any] | None = None
        self._shown_at = started

    @property
    def first_identifier(self) -> tuple[int, bool]:
        """Identifier of one of the frames, and whether it has 29 bits: nobody else sends it."""
        layout = self._messages[0].layout
        return layout.arbitration_id, layout.is_extended

    def show(self, view: Mapping[str, object], now: MonotonicNs) -> None:
        """Replace the view (`vehicle_agent.driver_view`) by a newer one."""
        self._view, self._shown_at = view, now

    def next_due(self) -> MonotonicNs:
        """Return when the next frame is due."""
        return min(message.due for message in self._messages)

    def poll(self, now: MonotonicNs) -> tuple[CanFrame, ...]:
        """Return the frames that are due; each message at most once, however late the call."""
        view = self._view if now - self._shown_at <= VIEW_LIFETIME_NS else None
        frames = []
        for message in self._messages:
            if message.due <= now:
                values = {} if view is None else _MESSAGES[message.layout.name][1](view)
                frames.append(message.frame(values, now))
        return tuple(frames)


def load_driver_dbc(path: Path | None, *, key: str) -> Dbc:
    """Load a description; the one that ships with the agent where none is named.

    Raises:
        ConfigError: it cannot be read, or does not describe the messages.
    """
    return load_dbc(DRIVER_DBC if path is None else path, key=key)


class _Message:
    """One message, its clock and its counter."""

    def __init__(self, dbc: Dbc, name: str, signals: Sequence[str], started: MonotonicNs) -> None:
        where = f"{dbc.path}: {name}"
        try:
            self.layout: MessageLayout = dbc.message(name)
        except KeyError:
            raise ConfigError(where, "the DBC has no such message") from None
        self._signals = {signal: _signal(self.layout, signal, where) for signal in (*signals, COUNTER, CHECKSUM)}
        unknown = sorted(set(self.layout.signal_names()) - set(self._signals))
        if unknown:
            raise ConfigError(where, f"the agent has no value for {', '.join(unknown)}")
        taken: set[int] = set()
        for signal in self._signals.values():
            if taken & signal.bits():
                raise ConfigError(f"{where}.{signal.name}", "overlaps another signal")
            taken |= signal.bits()
        checksum = self._signals[CHECKSUM]
        if checksum.length_bits != _RULE.width_bits or checksum.shift or checksum.end_byte - checksum.first_byte != 1:
            raise ConfigError(f"{where}.{CHECKSUM}", "a CRC-8 takes one whole byte")
        cycle_ms = self.layout.source.cycle_time
        if not cycle_ms:
            raise ConfigError(where, "the DBC gives no cycle time")
        self.due = started
        self._cycle_ns = cycle_ms * NS_PER_MS
        self._counter = 0

    def frame(self, values: Values, now: MonotonicNs) -> CanFrame:
        """Return the next frame and set when the one after it is due."""
        raw = {name: _raw(signal, values.get(name)) for name, signal in self._signals.items()}
        counter = self._signals[COUNTER]
        raw[COUNTER] = self._counter
        raw[CHECKSUM] = 0
        self._counter = (self._counter + 1) % (1 << counter.length_bits)
        data = bytearray(self.layout.source.encode(raw, scaling=False, strict=False))
        index = self._signals[CHECKSUM].first_byte
        data[index] = _RULE.compute(self.layout.arbitration_id, bytes(data), index)
        late_ns = now - self.due
        self.due = MonotonicNs(self.due + self._cycle_ns if late_ns < self._cycle_ns else now + self._cycle_ns)
        return CanFrame(self.layout.arbitration_id, self.layout.is_extended, bytes(data), "", now)


def _signal(layout: MessageLayout, name: str, where: str) -> SignalLayout:
    try:
        signal = layout.signal(name)
    except KeyError:
        raise ConfigError(f"{where}.{name}", "the DBC has no such signal") from None
    except ValueError as wrong:
        raise ConfigError(f"{where}.{name}", str(wrong)) from None
    if signal.is_float or signal.conditions or not signal.scale or (signal.length_bits < 2 and name not in {COUNTER, CHECKSUM}):
        raise ConfigError(f"{where}.{name}", "the agent writes plain integers of two bits or more, one of them for 'not available'")
    return signal


def _raw(signal: SignalLayout, value: float | None) -> int:
    """Return the raw number for a value; all ones (the most negative number, where it is signed) for none."""
    if signal.is_signed:
        absent = -(1 << (signal.length_bits - 1))
        lowest, highest = absent + 1, -absent - 1
    else:
        absent = (1 << signal.length_bits) - 1
        lowest, highest = 0, absent - 1
    if value is None:
        return absent
    return min(max(round((value - signal.offset) / signal.scale), lowest), highest)


def _hazard(view: Mapping[str, Any]) -> Values:
    if not view["ego"]["is_positioned"]:
        return {}
    if not view["hazards"]:
        return {"CAUSE": 0}
    nearest = view["hazards"][0]
    return {
        "CAUSE": nearest["cause_code"],
        "SUB_CAUSE": nearest["sub_cause_code"],
        "DISTANCE": nearest["distance_m"],
        "TIME_TO_REACH": nearest["time_to_reach_s"],
        "IS_DISPUTED": nearest["is_disputed"],
        "SPEED_LIMIT": nearest["speed_limit_kmh"],
    }


def _light(view: Mapping[str, Any]) -> Values:
    if not view["ego"]["is_positioned"]:
        return {}
    shown = next((signal for signal in view["signals"] if signal["is_expected"]), None)
    if shown is None:
        return {"COLOUR": 0}
    advice = shown["advice"]
    return {
        "COLOUR": _COLOURS.index(shown["colour"]) if shown["colour"] in _COLOURS else None,
        "TIME_TO_CHANGE": shown["time_to_change_s"],
        "TIME_TO_GREEN": shown["time_to_green_s"],
        "DISTANCE": shown["distance_to_stop_m"],
        "ADVICE": _ADVICE.index("none" if advice is None else advice["manoeuvre"]),
        "ADVISED_SPEED": None if advice is None else advice["speed_kmh"],
        "SPEED_LIMIT": shown["speed_limit_kmh"],
    }


def _emergency(view: Mapping[str, Any]) -> Values:
    if not view["ego"]["is_positioned"]:
        return {}
    vehicles = view["emergency_vehicles"]
    if not vehicles:
        return {"SIDE": 0, "COUNT": 0}
    nearest = vehicles[0]
    return {
        "SIDE": _SIDES.index(nearest["side"] or "somewhere"),
        "DISTANCE": nearest["distance_m"],
        "TIME_TO_REACH": nearest["time_to_reach_s"],
        "SIREN": nearest["siren"],
        "LIGHT_BAR": nearest["light_bar"],
        "IS_URGENT": nearest["is_urgent"],
        "COUNT": min(len(vehicles), _MOST_EMERGENCIES),
    }


def _status(view: Mapping[str, Any]) -> Values:
    return {
        "IS_POSITIONED": view["ego"]["is_positioned"],
        "IS_TIME_KNOWN": view["ego"]["is_time_known"],
        "NEIGHBOURS": view["neighbours_known"],
        "SPEED_LIMIT": view["speed_limit"]["kmh"],
    }


_MESSAGES: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Values]]] = {
    "V2X_HAZARD": (("CAUSE", "SUB_CAUSE", "DISTANCE", "TIME_TO_REACH", "IS_DISPUTED", "SPEED_LIMIT"), _hazard),
    "V2X_SIGNAL": (
        ("COLOUR", "TIME_TO_CHANGE", "TIME_TO_GREEN", "DISTANCE", "ADVICE", "ADVISED_SPEED", "SPEED_LIMIT"),
        _light,
    ),
    "V2X_EMERGENCY": (("SIDE", "DISTANCE", "TIME_TO_REACH", "SIREN", "LIGHT_BAR", "IS_URGENT", "COUNT"), _emergency),
    "V2X_STATUS": (("IS_POSITIONED", "IS_TIME_KNOWN", "NEIGHBOURS", "SPEED_LIMIT"), _status),
}
"""Each message, its signals, and where their values come from."""
