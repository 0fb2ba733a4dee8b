"""Where control units are asked and where they answer: the identifiers of ISO 15765-4 (legislated OBD), and makers' own pairs.

With 11 bits, all units are asked on 7DF, each on 7E0..7E7, and they answer on 7E8..7EF. With 29 bits, all are asked on 18DB33F1,
unit xx on 18DAxxF1, and it answers on 18DAF1xx. Makers' units have pairs of their own (714 and 77E), which a configuration names.
"""

from dataclasses import dataclass

from shared.transport.can_frame import CanFilter

FUNCTIONAL_11 = 0x7DF
FUNCTIONAL_29 = 0x18DB_33F1
FIRST_REQUEST_11, LAST_REQUEST_11 = 0x7E0, 0x7E7
FIRST_RESPONSE_11, LAST_RESPONSE_11 = 0x7E8, 0x7EF

_PHYSICAL_29 = 0x18DA_0000
_TESTER = 0xF1
"""Address of the external test equipment."""


@dataclass(frozen=True, slots=True, order=True)
class UnitAddress:
    """One control unit: the identifier on which it is asked, that on which it answers, and whether both have 29 bits."""

    request_id: int
    response_id: int
    is_extended: bool = False

    @property
    def name(self) -> str:
        """How it is named beside its bus: the identifier of its answers, `7e8`."""
        return f"{self.response_id:x}"


def all_units(*, is_extended: bool) -> int:
    """Return the identifier on which all units are asked at once."""
    return FUNCTIONAL_29 if is_extended else FUNCTIONAL_11


def answering_unit(arbitration_id: int, *, is_extended: bool) -> UnitAddress | None:
    """Return the unit that answers on an identifier of ISO 15765-4; None for any other."""
    if not is_extended:
        if FIRST_RESPONSE_11 <= arbitration_id <= LAST_RESPONSE_11:
            return UnitAddress(arbitration_id - 8, arbitration_id)
        return None
    if arbitration_id & 0x1FFF_FF00 == _PHYSICAL_29 | _TESTER << 8 and arbitration_id & 0xFF != _TESTER:
        return UnitAddress(_PHYSICAL_29 | (arbitration_id & 0xFF) << 8 | _TESTER, arbitration_id, is_extended=True)
    return None


def is_question(arbitration_id: int, *, is_extended: bool) -> bool:
    """Whether a tester asks on an identifier: all units, or one of them."""
    if not is_extended:
        return arbitration_id == FUNCTIONAL_11 or FIRST_REQUEST_11 <= arbitration_id <= LAST_REQUEST_11
    return arbitration_id == FUNCTIONAL_29 or arbitration_id & 0x1FFF_00FF == _PHYSICAL_29 | _TESTER


LEGISLATED_11 = range(FUNCTIONAL_11, LAST_RESPONSE_11 + 1)
"""Every identifier of legislated OBD with 11 bits, questions and answers."""

LEGISLATED_29 = frozenset(
    (
        FUNCTIONAL_29,
        *(_PHYSICAL_29 | unit << 8 | _TESTER for unit in range(0x100)),
        *(_PHYSICAL_29 | _TESTER << 8 | unit for unit in range(0x100)),
    )
)
"""Those with 29 bits."""

_FILTERS_29 = (
    CanFilter(FUNCTIONAL_29, is_extended=True),
    CanFilter(_PHYSICAL_29 | _TESTER, is_extended=True, mask=0x1FFF_00FF),
    CanFilter(_PHYSICAL_29 | _TESTER << 8, is_extended=True, mask=0x1FFF_FF00),
)


def filters_for(units: tuple[UnitAddress, ...], *, obd: bool, is_extended: bool) -> tuple[CanFilter, ...]:
    """Return what a bus has to let through: legislated identifiers where `obd`, and both of each named unit."""
    legislated: tuple[CanFilter, ...] = ()
    if obd:
        legislated = _FILTERS_29 if is_extended else tuple(CanFilter(each, is_extended=False) for each in LEGISLATED_11)
    named = {(identifier, unit.is_extended) for unit in units for identifier in (unit.request_id, unit.response_id)}
    return (*legislated, *(CanFilter(identifier, extended) for identifier, extended in sorted(named)))
