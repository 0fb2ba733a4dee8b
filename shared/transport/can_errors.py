"""Error frames of SocketCAN: what the driver tells of its controller and of the bus (Linux `linux/can/error.h`).

They are no frames of the bus: the kernel makes them up, and delivers them to whoever asks. A class in the identifier says what it
is about, bytes of the payload say more. Where on the bus an error was seen (bytes 2 to 4) is left out.
"""

from collections import Counter
from types import MappingProxyType

from shared.transport.can_link import ControllerState

ALL_ERRORS = 0x1FFF_FFFF
"""The mask that asks for every class."""

CLASSES = MappingProxyType(
    {
        0x001: "transmit_timeout",
        0x002: "arbitration_lost",
        0x004: "controller",
        0x008: "protocol",
        0x010: "transceiver",
        0x020: "no_acknowledgement",
        0x040: "bus_off",
        0x080: "bus_error",
        0x100: "restarted",
    }
)
"""Names of the classes."""

HARDWARE_OVERFLOW = "hardware_overflow"
"""The controller's own memory ran over: frames are lost, nobody knows how many."""

_CONTROLLER, _BUS_OFF, _RESTARTED = 0x004, 0x040, 0x100

# Byte 1 of class "controller".
_RECEIVE_OVERFLOW, _WARNING, _PASSIVE, _ACTIVE = 0x01, 0x04 | 0x08, 0x10 | 0x20, 0x40


def note_error(identifier: int, data: bytes, errors: Counter[str], state: ControllerState) -> ControllerState:
    """Count what one error frame tells of, and return how the controller stands after it.

    Args:
        identifier: the classes, without flags.
        data: the payload; what a driver left out counts as zero.
        errors: counts by name; gains.
        state: how the controller stood.
    """
    errors.update(name for bit, name in CLASSES.items() if identifier & bit)
    if identifier & _BUS_OFF:
        return ControllerState.BUS_OFF
    if identifier & _RESTARTED:
        return ControllerState.ERROR_ACTIVE
    if identifier & _CONTROLLER and len(data) > 1:
        if data[1] & _RECEIVE_OVERFLOW:
            errors[HARDWARE_OVERFLOW] += 1
        if data[1] & _PASSIVE:
            return ControllerState.ERROR_PASSIVE
        if data[1] & _WARNING:
            return ControllerState.ERROR_WARNING
        if data[1] & _ACTIVE:
            return ControllerState.ERROR_ACTIVE
    return state
