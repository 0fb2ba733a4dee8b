"""OBD-II answers (SAE J1979, ISO 15031-5): octets of services 41 and 49 -> values with units, "not available" as None.

An answer may hold several PIDs one after another; they are read as long as their lengths are known. Which PIDs a unit supports it
says itself (00, 20 ... C0). A6 is the vehicle's odometer. D3 is the *engine's*: two public descriptions agree on name, length and
scale; it is the vehicle's only as long as nobody changed the engine, and few units have it. A count that stands at its largest
value may have stopped there, so it is None. Trouble codes, freeze frames and monitors are not read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.core.errors import DecodeError
from shared.core.units import KMH_PER_MPS

ENGINE_SPEED = 0x0C
VEHICLE_SPEED = 0x0D
SINCE_START = 0x1F
SINCE_CLEARED = 0x31
ODOMETER = 0xA6
ENGINE_ODOMETER = 0xD3

SUPPORT_PIDS = (0x00, 0x20, 0x40, 0x60, 0x80, 0xA0, 0xC0)
"""Each tells of the 32 after it; the last of those is the next one of these."""

VIN_INFO = 0x02
CALIBRATION_IDS = 0x04
CALIBRATION_NUMBERS = 0x06
UNIT_NAME = 0x0A

VIN_CHARACTERS = 17
CALIBRATION_ID_OCTETS = 16
CALIBRATION_NUMBER_OCTETS = 4
UNIT_NAME_OCTETS = 20
MAX_ITEMS = 16
"""Calibrations of one unit that are read."""

_VIN_ALPHABET = frozenset("0123456789ABCDEFGHJKLMNPRSTUVWXYZ")

PID_OCTETS: Mapping[int, int] = MappingProxyType(
    dict.fromkeys(SUPPORT_PIDS, 4)
    | dict.fromkeys((0x01, 0x41, ODOMETER, ENGINE_ODOMETER, 0x4F, 0x50), 4)
    | dict.fromkeys((0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x11, 0x12, 0x13, 0x1C, 0x1D, 0x1E), 1)
    | dict.fromkeys((0x2C, 0x2D, 0x2E, 0x2F, 0x30, 0x33, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x51, 0x52), 1)
    | dict.fromkeys((0x5A, 0x5B, 0x5C, 0x61, 0x62), 1)
    | dict.fromkeys((0x02, 0x03, 0x0C, 0x10, 0x1F, 0x21, 0x22, 0x23, 0x31, 0x32, 0x3C, 0x3D, 0x3E, 0x3F, 0x42, 0x43, 0x44), 2)
    | dict.fromkeys((0x4D, 0x4E, 0x53, 0x54, 0x59, 0x5D, 0x5E, 0x63), 2)
)
"""Octets of the value of each PID that is known by its length."""


@dataclass(frozen=True, slots=True)
class CurrentValue:
    """What one PID says.

    Attributes:
        pid: which.
        octets: its value as it came.
    """

    pid: int
    octets: bytes

    @property
    def raw(self) -> int:
        """The octets as one number, the first the highest."""
        return int.from_bytes(self.octets, "big")

    @property
    def number(self) -> float | None:
        """The value in SI units (`UNITS`); None for what has none here, and where the count stands at its largest value."""
        factor = _FACTORS.get(self.pid)
        if factor is None or self.raw == (1 << 8 * len(self.octets)) - 1:
            return None
        return self.raw * factor

    @property
    def supported(self) -> frozenset[int]:
        """The PIDs that a value of `SUPPORT_PIDS` names; empty for another PID."""
        return _named_by(self.pid, self.octets) if self.pid in SUPPORT_PIDS else frozenset()


_FACTORS: Mapping[int, float] = MappingProxyType(
    {
        ENGINE_SPEED: 0.25,
        VEHICLE_SPEED: 1 / KMH_PER_MPS,
        SINCE_START: 1.0,
        SINCE_CLEARED: 1_000.0,
        ODOMETER: 100.0,
        ENGINE_ODOMETER: 100.0,
    }
)

UNITS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        ENGINE_SPEED: ("engine_speed", "1/min"),
        VEHICLE_SPEED: ("speed_mps", "m/s"),
        SINCE_START: ("since_start", "s"),
        SINCE_CLEARED: ("distance_since_cleared_m", "m"),
        ODOMETER: ("odometer_m", "m"),
        ENGINE_ODOMETER: ("engine_odometer_m", "m"),
    }
)
"""Name and unit of `CurrentValue.number`."""


def current_values(answer: bytes) -> Iterator[CurrentValue]:
    """Yield the values in an answer to service 01, up to the first PID whose length is not known.

    Raises:
        DecodeError: it is no such answer, or cut short.
    """
    if len(answer) < 3 or answer[0] != 0x41:
        raise DecodeError("obd", f"{answer[:3].hex()} is no answer to service 01")
    position = 1
    while position < len(answer):
        pid = answer[position]
        length = PID_OCTETS.get(pid)
        if length is None:
            return
        octets = answer[position + 1 : position + 1 + length]
        if len(octets) < length:
            raise DecodeError(f"obd.pid_{pid:02x}", f"has {len(octets)} octets, not {length}")
        yield CurrentValue(pid, octets)
        position += 1 + length


def info_supported(answer: bytes) -> frozenset[int]:
    """Return the InfoTypes that an answer to service 09, InfoType 00 names.

    Raises:
        DecodeError: it is no such answer, or cut short.
    """
    return _named_by(0, _info(answer, 0x00, 4))


def vin(answer: bytes) -> str | None:
    """Return the vehicle identification number of an answer to service 09, InfoType 02; None where none is stored.

    Raises:
        DecodeError: it is no such answer, or holds what no VIN can hold (ISO 3779).
    """
    return vin_of(_items(answer, VIN_INFO, VIN_CHARACTERS)[0])


def vin_of(octets: bytes) -> str | None:
    """Return the VIN that octets spell, without the padding units put around it; None for an empty one; raises `DecodeError`."""
    stripped = octets.strip(b"\x00\xff ")
    if not stripped.strip(b"0"):
        return None
    text = stripped.decode("ascii", "replace").upper()
    if len(text) != VIN_CHARACTERS or not _VIN_ALPHABET.issuperset(text):
        raise DecodeError("vin", "is not spelled as ISO 3779 says")
    return text


def calibration_ids(answer: bytes) -> tuple[str, ...]:
    """Return the calibration identifications (CALID) of an answer to service 09, InfoType 04; raises `DecodeError`."""
    return tuple(text for item in _items(answer, CALIBRATION_IDS, CALIBRATION_ID_OCTETS) if (text := text_of(item)) is not None)


def calibration_numbers(answer: bytes) -> tuple[str, ...]:
    """Return the calibration verification numbers (CVN) of an answer to service 09, InfoType 06, as hex digits; `DecodeError`."""
    return tuple(item.hex() for item in _items(answer, CALIBRATION_NUMBERS, CALIBRATION_NUMBER_OCTETS))


def unit_name(answer: bytes) -> str | None:
    """Return the name of the unit in an answer to service 09, InfoType 0A: `ECM EngineControl`; raises `DecodeError`."""
    return text_of(_items(answer, UNIT_NAME, UNIT_NAME_OCTETS)[0].replace(b"\x00", b" "))


def text_of(octets: bytes) -> str | None:
    """Return printable ASCII without padding, with single blanks; hex digits of anything else; None where nothing is left."""
    stripped = octets.strip(b"\x00\xff ")
    if not stripped:
        return None
    text = " ".join(stripped.decode("ascii", "replace").replace("\x00", " ").split())
    return text if text.isascii() and text.isprintable() else stripped.hex()


def _info(answer: bytes, info_type: int, least: int) -> bytes:
    if len(answer) < 2 or answer[0] != 0x49 or answer[1] != info_type:
        raise DecodeError("obd", f"{answer[:2].hex()} is no answer to service 09, InfoType {info_type:02x}")
    if len(answer) - 2 < least:
        raise DecodeError(f"obd.info_{info_type:02x}", f"has {len(answer) - 2} octets, not {least}")
    return answer[2:]


def _items(answer: bytes, info_type: int, octets: int) -> tuple[bytes, ...]:
    """Return the items of an answer; how many there are is its first octet."""
    body = _info(answer, info_type, 1 + octets)
    count = body[0]
    if not 1 <= count <= MAX_ITEMS or len(body) - 1 < count * octets:
        raise DecodeError(f"obd.info_{info_type:02x}", f"announces {count} items in {len(body) - 1} octets")
    return tuple(body[1 + n * octets : 1 + (n + 1) * octets] for n in range(count))


def _named_by(first: int, octets: bytes) -> frozenset[int]:
    """Return the numbers whose bits are set: the highest bit stands for the number after `first`."""
    bits = int.from_bytes(octets[:4], "big")
    return frozenset(first + n for n in range(1, 33) if bits >> (32 - n) & 1)
