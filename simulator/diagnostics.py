"""Control units that answer testers: an engine, a gearbox, an instrument cluster and brakes, over ISO-TP, as a car's do.

OBD-II on the legislated identifiers (services 01 and 09), UDS ReadDataByIdentifier on the makers' too; everything else is refused
with the negative response of the standard. `Manners` make a unit slow, busy, pending, silent or careless, for tests of who asks.
No input or output: frames and time in, frames out; the caller puts them on a bus.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.errors import EncodeError, FrameError
from shared.core.units import KMH_PER_MPS
from shared.transport.can_frame import CanFrame
from vehicle_agent.requests.addresses import UnitAddress, all_units
from vehicle_agent.requests.isotp import INVALID_FLOW_STATUS, FlowControl, decode_frame
from vehicle_agent.requests.isotp_receive import IsoTpReceiver
from vehicle_agent.requests.isotp_send import IsoTpSender
from vehicle_agent.requests.obd import (
    CALIBRATION_IDS,
    CALIBRATION_NUMBERS,
    ENGINE_ODOMETER,
    ENGINE_SPEED,
    ODOMETER,
    SINCE_CLEARED,
    SINCE_START,
    SUPPORT_PIDS,
    UNIT_NAME,
    VEHICLE_SPEED,
    VIN_INFO,
)
from vehicle_agent.requests.uds import BUSY_REPEAT_REQUEST, NEGATIVE_RESPONSE, RESPONSE_PENDING, VIN

ENGINE = UnitAddress(0x7E0, 0x7E8)
GEARBOX = UnitAddress(0x7E1, 0x7E9)
CLUSTER = UnitAddress(0x714, 0x77E)
BRAKES = UnitAddress(0x713, 0x77D)

CLUSTER_ODOMETER = 0x2203
"""Whole kilometres in three octets, the highest first."""

BRAKES_ODOMETER = 0x10E0
"""Metres in four octets, behind two of a state."""

SERVICE_NOT_SUPPORTED = 0x11
SUB_FUNCTION_NOT_SUPPORTED = 0x12
BAD_LENGTH = 0x13
REQUEST_OUT_OF_RANGE = 0x31

_UNTOLD_TO_ALL = frozenset({SERVICE_NOT_SUPPORTED, SUB_FUNCTION_NOT_SUPPORTED, REQUEST_OUT_OF_RANGE})
"""What a unit keeps to itself where all were asked (ISO 14229-1 7.5)."""

PENDING_PAUSE_NS = 100 * NS_PER_MS
"""Time between two `RESPONSE_PENDING`, and from the last to the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarFigures:
    """What the units measure; None where they do not know.

    Attributes:
        odometer_m: what the units have counted.
        speed_mps: of the car.
        engine_per_min: speed of the engine.
        running_s: since the engine was started.
        since_cleared_m: driven since trouble codes were cleared.
    """

    odometer_m: float | None = None
    speed_mps: float | None = None
    engine_per_min: float = 0.0
    running_s: float = 0.0
    since_cleared_m: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a unit behaves; by default as the standard wants it.

    Attributes:
        delay_ns: time it takes to begin an answer.
        pending: how often it says response pending first.
        busy: how many of its first questions it answers with busy, repeat request.
        is_silent: whether it says nothing at all.
        breaks_off_after: frames after which it stops in the middle of each long answer; None: never.
    """

    delay_ns: int = 5 * NS_PER_MS
    pending: int = 0
    busy: int = 0
    is_silent: bool = False
    breaks_off_after: int | None = None


GOOD_MANNERS = Manners()

Content = Callable[[CarFigures], bytes | None]
"""Octets of a value; None where the unit does not have it."""


@dataclass(slots=True, kw_only=True)
class DiagnosticUnit:
    """One control unit.

    Attributes:
        address: where it is asked and answers.
        pids: OBD service 01.
        info: OBD service 09, everything after the InfoType.
        identifiers: UDS service 22.
        is_legislated: whether it hears questions to all units.
        manners: how it behaves.
    """

    address: UnitAddress
    pids: Mapping[int, Content] = field(default_factory=dict)
    info: Mapping[int, bytes] = field(default_factory=dict)
    identifiers: Mapping[int, Content] = field(default_factory=dict)
    is_legislated: bool = True
    manners: Manners = GOOD_MANNERS
    questions: list[bytes] = field(default_factory=list)
    """Everything it was asked, for tests."""
    _receiver: IsoTpReceiver = field(default_factory=IsoTpReceiver)
    _sender: IsoTpSender = field(default_factory=IsoTpSender)
    _planned: list[tuple[MonotonicNs, bytes]] = field(default_factory=list)
    _sent_of_long: int = 0

    def next_due(self) -> MonotonicNs | None:
        """When `poll` wants to be called."""
        planned = None if self._sender.is_sending or not self._planned else self._planned[0][0]
        return min((each for each in (planned, self._sender.next_due()) if each is not None), default=None)

    def hear(self, frame: CanFrame, figures: CarFigures, now: MonotonicNs) -> tuple[bytes, ...]:
        """Take a frame of the bus; return the octets of frames to send at once."""
        is_to_all = self.is_legislated and frame.arbitration_id == all_units(is_extended=self.address.is_extended)
        if frame.is_extended is not self.address.is_extended or not (is_to_all or frame.arbitration_id == self.address.request_id):
            return ()
        try:
            decoded = decode_frame(frame.data)
        except FrameError as fault:
            if fault.kind == INVALID_FLOW_STATUS:
                self._sender.refuse()
            return ()
        if isinstance(decoded, FlowControl):
            self._sender.take(decoded, now)
            return self.poll(now)
        received = self._receiver.take_frame(decoded, now, answers=not is_to_all)
        if received.message is not None:
            self._question(received.message, figures, now, is_to_all=is_to_all)
        return self.poll(now)

    def poll(self, now: MonotonicNs) -> tuple[bytes, ...]:
        """Return the octets of the frames that are due."""
        frames, _ = self._sender.poll(now)
        frames = self._careless(frames)
        while self._planned and not self._sender.is_sending and self._planned[0][0] <= now:
            _, answer = self._planned.pop(0)
            self._sent_of_long = 1
            frames = (*frames, self._sender.begin(answer, now))
        return frames

    def _careless(self, frames: tuple[bytes, ...]) -> tuple[bytes, ...]:
        limit = self.manners.breaks_off_after
        if limit is None or not frames:
            return frames
        kept = frames[: max(0, limit - self._sent_of_long)]
        self._sent_of_long += len(frames)
        if len(kept) < len(frames):
            self._sender.reset()
        return kept

    def _question(self, question: bytes, figures: CarFigures, now: MonotonicNs, *, is_to_all: bool) -> None:
        self.questions.append(question)
        if self.manners.is_silent:
            return
        at = MonotonicNs(now + self.manners.delay_ns)
        service = question[0]
        if len(self.questions) <= self.manners.busy:
            self._planned.append((at, bytes((NEGATIVE_RESPONSE, service, BUSY_REPEAT_REQUEST))))
            return
        answer = self._answer(question, figures)
        if is_to_all and answer[0] == NEGATIVE_RESPONSE and answer[2] in _UNTOLD_TO_ALL:
            return
        for _ in range(self.manners.pending):
            self._planned.append((at, bytes((NEGATIVE_RESPONSE, service, RESPONSE_PENDING))))
            at = MonotonicNs(at + PENDING_PAUSE_NS)
        self._planned.append((at, answer))

    def _answer(self, question: bytes, figures: CarFigures) -> bytes:
        service = question[0]
        match service, len(question):
            case (0x01, 2):
                pid = question[1]
                octets = _bits(pid, self.pids) if pid in SUPPORT_PIDS and self.pids else self._value(self.pids, pid, figures)
                return _refusal(service, SUB_FUNCTION_NOT_SUPPORTED) if octets is None else bytes((0x41, pid)) + octets
            case (0x09, 2):
                info = question[1]
                known = _bits(0, self.info) if info == 0 and self.info else self.info.get(info)
                return _refusal(service, SUB_FUNCTION_NOT_SUPPORTED) if known is None else bytes((0x49, info)) + known
            case (0x22, 3):
                octets = self._value(self.identifiers, int.from_bytes(question[1:], "big"), figures)
                return _refusal(service, REQUEST_OUT_OF_RANGE) if octets is None else b"\x62" + question[1:] + octets
            case (0x01 | 0x09 | 0x22, _):
                return _refusal(service, BAD_LENGTH)
            case _:
                return _refusal(service, SERVICE_NOT_SUPPORTED)

    @staticmethod
    def _value(contents: Mapping[int, Content], number: int, figures: CarFigures) -> bytes | None:
        content = contents.get(number)
        return None if content is None else content(figures)


class Diagnostics:
    """The units of one car on one bus.

    Args:
        units: each with an address of its own.
        channel: the bus that their frames name.
    """

    def __init__(self, units: tuple[DiagnosticUnit, ...], *, channel: str) -> None:
        if len({unit.address for unit in units}) < len(units):
            raise EncodeError("diagnostics", "two units have the same address")
        self.units = units
        self._channel = channel

    def next_due(self) -> MonotonicNs | None:
        """When `poll` wants to be called."""
        return min((due for unit in self.units if (due := unit.next_due()) is not None), default=None)

    def hear(self, frame: CanFrame, figures: CarFigures, now: MonotonicNs) -> tuple[CanFrame, ...]:
        """Take a frame of the bus; return the frames to send at once."""
        return tuple(self._frame(unit, octets, now) for unit in self.units for octets in unit.hear(frame, figures, now))

    def poll(self, now: MonotonicNs) -> tuple[CanFrame, ...]:
        """Return the frames that are due."""
        return tuple(self._frame(unit, octets, now) for unit in self.units for octets in unit.poll(now))

    def _frame(self, unit: DiagnosticUnit, octets: bytes, now: MonotonicNs) -> CanFrame:
        return CanFrame(unit.address.response_id, unit.address.is_extended, octets, self._channel, now)


def engine_unit(
    vin: str, *, serial: str = "ENG-0001", software: str = "SW-0100", manners: Manners = GOOD_MANNERS
) -> DiagnosticUnit:
    """Return a unit of the engine: OBD with odometer, VIN and calibrations, UDS with who it is."""
    return DiagnosticUnit(
        address=ENGINE,
        pids={
            ENGINE_SPEED: lambda car: round(car.engine_per_min * 4).to_bytes(2, "big"),
            VEHICLE_SPEED: _kmh,
            SINCE_START: lambda car: min(0xFFFF, int(car.running_s)).to_bytes(2, "big"),
            SINCE_CLEARED: lambda car: min(0xFFFF, int(car.since_cleared_m // 1_000)).to_bytes(2, "big"),
            ODOMETER: _hectometres,
        },
        info={
            VIN_INFO: b"\x01" + vin.encode(),
            CALIBRATION_IDS: b"\x02" + b"CAL-ENGINE-01".ljust(16, b"\x00") + b"CAL-ENGINE-02".ljust(16, b"\x00"),
            CALIBRATION_NUMBERS: b"\x02" + bytes.fromhex("16E062BE98123456"),
            UNIT_NAME: b"\x01" + b"ECM\x00-EngineControl".ljust(20, b"\x00"),
        },
        identifiers=_who(vin, serial=serial, part="06K-906-071", hardware="06K-907-425", software=software),
        manners=manners,
    )


def gearbox_unit(*, serial: str = "GBX-0001", manners: Manners = GOOD_MANNERS) -> DiagnosticUnit:
    """Return a unit of the gearbox: it counts a distance of its own, and knows the odometer of its engine."""
    return DiagnosticUnit(
        address=GEARBOX,
        pids={VEHICLE_SPEED: _kmh, ODOMETER: _hectometres, ENGINE_ODOMETER: _hectometres},
        info={UNIT_NAME: b"\x01" + b"TCM\x00-Transmission".ljust(20, b"\x00")},
        identifiers=_who(None, serial=serial, part="0GC-300-012", hardware="0GC-927-711", software="SW-0007"),
        manners=manners,
    )


def cluster_unit(vin: str, *, serial: str = "CLU-0001", manners: Manners = GOOD_MANNERS) -> DiagnosticUnit:
    """Return the instrument cluster, on identifiers of its maker."""
    odometer: dict[int, Content] = {
        CLUSTER_ODOMETER: lambda car: None if car.odometer_m is None else int(car.odometer_m // 1_000).to_bytes(3, "big")
    }
    return DiagnosticUnit(
        address=CLUSTER,
        identifiers=_who(vin, serial=serial, part="5G1-920-740", hardware="5G1-920-740", software="SW-0311") | odometer,
        is_legislated=False,
        manners=manners,
    )


def brakes_unit(*, serial: str = "ABS-0001", manners: Manners = GOOD_MANNERS) -> DiagnosticUnit:
    """Return the unit of the brakes, which counts what the wheels turn, on identifiers of its maker."""
    odometer: dict[int, Content] = {
        BRAKES_ODOMETER: lambda car: None if car.odometer_m is None else b"\x00\x01" + int(car.odometer_m).to_bytes(4, "big")
    }
    return DiagnosticUnit(
        address=BRAKES,
        identifiers=_who(None, serial=serial, part="3Q0-614-517", hardware="3Q0-907-379", software="SW-0455") | odometer,
        is_legislated=False,
        manners=manners,
    )


def _who(vin: str | None, *, serial: str, part: str, hardware: str, software: str) -> dict[int, Content]:
    texts = {0xF18C: serial, 0xF187: part, 0xF191: hardware, 0xF188: software, 0xF189: "0042", 0xF18A: "Example Works"}
    if vin is not None:
        texts[VIN] = vin
    return {number: _constant(text.encode()) for number, text in texts.items()}


def _constant(octets: bytes) -> Content:
    return lambda _: octets


def _kmh(car: CarFigures) -> bytes | None:
    return None if car.speed_mps is None else bytes((min(0xFF, round(car.speed_mps * KMH_PER_MPS)),))


def _hectometres(car: CarFigures) -> bytes:
    return b"\xff\xff\xff\xff" if car.odometer_m is None else int(car.odometer_m // 100).to_bytes(4, "big")


def _bits(first: int, known: Mapping[int, object]) -> bytes | None:
    """Return the support bits of the 32 numbers after `first`; None where there is none of them."""
    if first and not any(number > first for number in known):
        return None
    bits = sum(
        1 << (32 - n) for n in range(1, 33) if first + n in known or (n == 32 and any(number > first + 32 for number in known))
    )
    return bits.to_bytes(4, "big")


def _refusal(service: int, code: int) -> bytes:
    return bytes((NEGATIVE_RESPONSE, service, code))
