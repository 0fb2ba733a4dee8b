"""A mileage blocker, as it is sold to sit between harness and cluster: it rewrites the odometer in every frame that passes.

What it makes of the true distance is one of the callables here: a share swallowed, frozen, set back, another unit, or any of them
taken out again after a while. Where the odometer stands in a frame, in which unit, and which checksum guards it, comes from the
vehicle's signal map; answers to OBD-II PID A6 are rewritten as well. Checksums are put right again, counters and moments stay: the
frame is the cluster's own in everything but its number. Speeds are bent only if asked, for the cluster on the far side of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from msgspec.structs import replace

from shared.core.clock import MonotonicNs
from shared.core.units import METRES_PER_MILE
from shared.transport.can_frame import CanFrame
from vehicle_agent.signals.dbc import SignalLayout
from vehicle_agent.signals.mapped import MappedField, MappedMessage
from vehicle_agent.signals.signal_map import SignalMap

Shown = Callable[[float, MonotonicNs], float]
"""What is shown, in metres, for the true distance and the moment; the same as a simulated cluster's `OdometerTamper`."""

OBD_SPEED_PID, OBD_ODOMETER_PID = 0x0D, 0xA6
_MODE_01_ANSWER = 0x41
_A6_STEP_M = 100.0


class Swallowed:
    """A share of the distance, from where the device was put in.

    Args:
        share: of each metre, from 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._from_m: float | None = None

    def __call__(self, odometer_m: float, _now: MonotonicNs) -> float:
        """Return what is shown."""
        if self._from_m is None:
            self._from_m = odometer_m
        return self._from_m + (odometer_m - self._from_m) * (1 - self._share)


@dataclass(frozen=True, slots=True)
class SetBack:
    """Less by a distance, never below nothing."""

    by_m: float

    def __call__(self, odometer_m: float, _now: MonotonicNs) -> float:
        """Return what is shown."""
        return max(0.0, odometer_m - self.by_m)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Another unit, or another power of ten: kilometres shown as miles are 0.621 of what they were."""

    factor: float = 1_000.0 / METRES_PER_MILE

    def __call__(self, odometer_m: float, _now: MonotonicNs) -> float:
        """Return what is shown."""
        return odometer_m * self.factor


class Between:
    """Puts a device in after a while, and takes it out again.

    Args:
        shown: what it shows while it is in.
        after_m: distance driven before it is put in.
        until_m: distance driven before it is taken out; None leaves it in.
    """

    def __init__(self, shown: Shown, *, after_m: float = 0.0, until_m: float | None = None) -> None:
        self._shown = shown
        self._after_m = after_m
        self._until_m = until_m
        self._from_m: float | None = None

    def __call__(self, odometer_m: float, now: MonotonicNs) -> float:
        """Return what is shown."""
        if self._from_m is None:
            self._from_m = odometer_m
        driven_m = odometer_m - self._from_m
        if driven_m < self._after_m or (self._until_m is not None and driven_m >= self._until_m):
            return odometer_m
        return self._shown(odometer_m, now)


class _Rewriting(Protocol):
    """Finds a number in a frame and puts another one there."""

    def rewrite(self, frame: CanFrame) -> CanFrame:
        """Return the frame with the other number; the same where it holds none."""
        ...


class MileageBlocker:
    """Rewrites frames on their way.

    Args:
        signal_map: says where the odometer stands.
        shown: what to make of it.
        answers: identifiers of control units whose OBD-II answers are rewritten too.
        speed_share: share of the speed that is left, to keep needle and odometer of a cluster together; None leaves speeds alone.
    """

    def __init__(
        self, signal_map: SignalMap, shown: Shown, *, answers: tuple[int, ...] = (), speed_share: float | None = None
    ) -> None:
        self._rewritings: list[_Rewriting] = []
        for message in signal_map.messages:
            for field in message.fields:
                if field.field == "odometer_m":
                    self._rewritings.append(_SignalRewriting(message, field, shown))
                elif field.field == "speed_mps" and speed_share is not None:
                    self._rewritings.append(_SignalRewriting(message, field, _share_of(speed_share)))
        self._rewritings += [_AnswerRewriting(identifier, shown, speed_share) for identifier in answers]

    def pass_on(self, frame: CanFrame) -> CanFrame:
        """Return what comes out on the far side for a frame that goes in."""
        for rewriting in self._rewritings:
            frame = rewriting.rewrite(frame)
        return frame


def _share_of(share: float) -> Shown:
    return lambda speed_mps, _now: speed_mps * share


class _SignalRewriting:
    """The number of one field of a signal map, in each of its signals."""

    def __init__(self, message: MappedMessage, field: MappedField, shown: Shown) -> None:
        self._message = message
        self._field = field
        self._shown = shown
        self._readers = tuple(signal.reader() for signal in field.signals)
        self._read_unit = None if field.selector is None else field.selector.signal.reader()

    def rewrite(self, frame: CanFrame) -> CanFrame:
        message, field, data = self._message, self._field, frame.data
        if not message.filter.admits(frame.arbitration_id, is_extended=frame.is_extended) or len(data) < message.layout.length:
            return frame
        unit = field.unit
        if unit is None and field.selector is not None and self._read_unit is not None:
            unit = field.selector.units.get(int(self._read_unit(data)))
        to_si = (1.0, 0.0) if unit is None else (unit.factor, unit.offset)
        for read, signal in zip(self._readers, field.signals, strict=True):
            raw = read(data)
            if raw in field.not_available:
                continue
            scale = signal.scale * field.factor * to_si[0]
            offset = (signal.offset * field.factor + field.offset) * to_si[0] + to_si[1]
            value = self._shown(raw * scale + offset, frame.received)
            data = _written(data, signal, int((value - offset) / scale + _ROUNDING))
        return replace(frame, data=_with_checksum(data, message, frame.arbitration_id))


_ROUNDING = 1e-6
"""A number that was whole before it went through floating point is whole after."""


class _AnswerRewriting:
    """The odometer, and if asked the speed, in a control unit's answers of one frame."""

    def __init__(self, identifier: int, shown: Shown, speed_share: float | None) -> None:
        self._identifier = identifier
        self._shown = shown
        self._speed_share = speed_share

    def rewrite(self, frame: CanFrame) -> CanFrame:
        data = frame.data
        if frame.arbitration_id != self._identifier or len(data) < 4 or data[1] != _MODE_01_ANSWER:
            return frame
        if data[2] == OBD_ODOMETER_PID and data[0] == 6 and len(data) >= 7:
            metres = int.from_bytes(data[3:7], "big") * _A6_STEP_M
            steps = int(self._shown(metres, frame.received) / _A6_STEP_M + _ROUNDING)
            return replace(frame, data=data[:3] + steps.to_bytes(4, "big") + data[7:])
        if data[2] == OBD_SPEED_PID and self._speed_share is not None:
            return replace(frame, data=data[:3] + bytes((int(data[3] * self._speed_share),)) + data[4:])
        return frame


def _written(data: bytes, signal: SignalLayout, raw: int) -> bytes:
    """Return `data` with another whole number in a signal, as far as it fits."""
    order: Literal["big", "little"] = "big" if signal.is_big_endian else "little"
    mask = (1 << signal.length_bits) - 1
    size = signal.end_byte - signal.first_byte
    number = int.from_bytes(data[signal.first_byte : signal.end_byte], order) & ~(mask << signal.shift)
    number |= (min(max(raw, 0), mask) & mask) << signal.shift
    return data[: signal.first_byte] + number.to_bytes(size, order) + data[signal.end_byte :]


def _with_checksum(data: bytes, message: MappedMessage, identifier: int) -> bytes:
    """Return `data` with the checksum its message names put right."""
    checksum = message.checksum
    if checksum is None:
        return data
    _, expected = checksum.compare(identifier, data, message.layout.length)
    index = checksum.byte % message.layout.length
    end = index + (checksum.rule.width_bits + 7) // 8
    number = int.from_bytes(data[index:end], "little") & ~checksum.mask
    number |= expected * (checksum.mask & -checksum.mask)
    return data[:index] + number.to_bytes(end - index, "little") + data[end:]
