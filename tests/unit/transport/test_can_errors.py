"""What an error frame says about the controller."""

from collections import Counter

import pytest

from shared.transport.can_errors import CLASSES, HARDWARE_OVERFLOW, note_error
from shared.transport.can_link import ControllerState

ACTIVE, WARNING, PASSIVE, OFF = ControllerState


@pytest.mark.parametrize(
    ("identifier", "data", "before", "after"),
    [
        (0x040, b"", ACTIVE, OFF),
        (0x100, bytes(8), OFF, ACTIVE),
        (0x004, b"\0\x04", ACTIVE, WARNING),
        (0x004, b"\0\x08", ACTIVE, WARNING),
        (0x004, b"\0\x10", WARNING, PASSIVE),
        (0x004, b"\0\x20", WARNING, PASSIVE),
        (0x004, b"\0\x2c", ACTIVE, PASSIVE),
        (0x004, b"\0\x40", PASSIVE, ACTIVE),
        (0x004, b"\0\x01", WARNING, WARNING),
        (0x004, b"\0", PASSIVE, PASSIVE),
        (0x004, b"", PASSIVE, PASSIVE),
        (0x008, b"\0\x40", PASSIVE, PASSIVE),
        (0x044, b"\0\x10", ACTIVE, OFF),
        (0x400, bytes(8), WARNING, WARNING),
    ],
)
def test_the_state_follows_the_class_and_its_detail(
    identifier: int, data: bytes, before: ControllerState, after: ControllerState
) -> None:
    assert note_error(identifier, data, Counter(), before) is after


def test_every_class_of_a_frame_is_counted_by_its_name() -> None:
    errors: Counter[str] = Counter()
    note_error(0x008 | 0x080, bytes(8), errors, ACTIVE)
    note_error(0x080, bytes(8), errors, ACTIVE)
    note_error(0x1FF, b"\0\x01", errors, ACTIVE)
    assert errors == {**dict.fromkeys(CLASSES.values(), 1), "protocol": 2, "bus_error": 3}
    note_error(0x004, b"\0\x01", errors, ACTIVE)
    assert errors[HARDWARE_OVERFLOW] == 1
