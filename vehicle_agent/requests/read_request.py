"""The only things a control unit can be asked: three kinds of reading, and no way to say anything else.

A request to the car is a value of `ReadRequest`. Its octets begin with the service of its kind, which is written here once: OBD
services 01 (current data) and 09 (vehicle information), UDS service 22 (ReadDataByIdentifier). There is no session control, no
security access, no write, no routine, no clearing of trouble codes and no reset: whoever wants one would have to add a type here.
"""

from dataclasses import dataclass
from typing import ClassVar

from shared.core.errors import EncodeError


@dataclass(frozen=True, slots=True)
class CurrentData:
    """OBD service 01 with one PID (SAE J1979): 0..FF."""

    SERVICE: ClassVar[int] = 0x01
    pid: int

    def __post_init__(self) -> None:
        _check("pid", self.pid, 0xFF)

    @property
    def octets(self) -> bytes:
        """What is sent."""
        return bytes((self.SERVICE, self.pid))


@dataclass(frozen=True, slots=True)
class VehicleInformation:
    """OBD service 09 with one InfoType (SAE J1979): 0..FF."""

    SERVICE: ClassVar[int] = 0x09
    info_type: int

    def __post_init__(self) -> None:
        _check("info_type", self.info_type, 0xFF)

    @property
    def octets(self) -> bytes:
        """What is sent."""
        return bytes((self.SERVICE, self.info_type))


@dataclass(frozen=True, slots=True)
class DataByIdentifier:
    """UDS service 22 with one identifier (ISO 14229-1): 0..FFFF."""

    SERVICE: ClassVar[int] = 0x22
    identifier: int

    def __post_init__(self) -> None:
        _check("identifier", self.identifier, 0xFFFF)

    @property
    def octets(self) -> bytes:
        """What is sent."""
        return bytes((self.SERVICE,)) + self.identifier.to_bytes(2, "big")


ReadRequest = CurrentData | VehicleInformation | DataByIdentifier


def _check(field: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise EncodeError(field, f"{value} is not within 0..{most:#x}")
