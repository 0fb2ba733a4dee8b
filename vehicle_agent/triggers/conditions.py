"""Conditions on what the car says about itself, in three values: it holds, it does not, or nobody knows.

A signal that is stale or unavailable makes a condition unknown, never true and never false (Kleene's logic): what begins needs a
condition that holds, what ends likewise. A condition carries the sentence a person would say it in, so that a trigger is a table
that can be read, and printed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.core.clock import MonotonicNs
from shared.core.units import kmh_from_mps
from shared.messages.cdd import DriveDirection
from vehicle_agent.vehicle_state import FIELDS, FieldKind, VehicleState, fresh

STANDING_MPS = 0.3
"""A slower car stands: sensors of wheels creep. Ours."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is true of the car, is not, or is not known.

    Attributes:
        sentence: what it says, for a person.
        test: the answer for a state at a moment; None where a signal it needs is not there.
    """

    sentence: str
    test: Callable[[VehicleState, MonotonicNs], bool | None]

    def __call__(self, state: VehicleState, now: MonotonicNs) -> bool | None:
        """Return whether it holds now."""
        return self.test(state, now)


def value_of(state: VehicleState, field: str, now: MonotonicNs) -> Any:  # noqa: ANN401  # as many types as fields
    """Return the value of a field that may be used now, else None."""
    return fresh(getattr(state, field), now)


def is_on(field: str) -> Condition:
    """Return the condition that a flag is set."""
    _require(field, FieldKind.FLAG)
    return Condition(f"{field} is on", lambda state, now: value_of(state, field, now))


def is_off(field: str) -> Condition:
    """Return the condition that a flag is known not to be set."""
    return no(is_on(field))


def at_least(field: str, least: float) -> Condition:
    """Return the condition that a quantity is `least` or more."""
    return Condition(f"{field} is at least {_shown(field, least)}", _compared(field, lambda value: value >= least))


def at_most(field: str, most: float) -> Condition:
    """Return the condition that a quantity is `most` or less."""
    return Condition(f"{field} is at most {_shown(field, most)}", _compared(field, lambda value: value <= most))


def magnitude_at_most(field: str, most: float) -> Condition:
    """Return the condition that a quantity is within `most` of zero."""
    return Condition(f"{field} is within {_shown(field, most)} of zero", _compared(field, lambda value: abs(value) <= most))


def all_of(*conditions: Condition) -> Condition:
    """Return the condition that every one holds; one that does not makes it false whatever the others are."""

    def test(state: VehicleState, now: MonotonicNs) -> bool | None:
        is_known = True
        for condition in conditions:
            answer = condition.test(state, now)
            if answer is False:
                return False
            is_known &= answer is not None
        return True if is_known else None

    return Condition(" and ".join(condition.sentence for condition in conditions), test)


def any_of(*conditions: Condition) -> Condition:
    """Return the condition that at least one holds, whatever the others are."""
    neither = all_of(*(no(condition) for condition in conditions))
    return Condition(f"({' or '.join(condition.sentence for condition in conditions)})", no(neither).test)


def no(condition: Condition) -> Condition:
    """Return the condition that another is known not to hold."""

    def test(state: VehicleState, now: MonotonicNs) -> bool | None:
        answer = condition.test(state, now)
        return None if answer is None else not answer

    return Condition(f"not ({condition.sentence})", test)


def unless_known(condition: Condition) -> Condition:
    """Return the condition that another is not known to hold: false where it holds, true where it does not or cannot be told.

    For what only some cars report, such as a light bar: a car without the signal is not to be silenced by its absence.
    """
    return Condition(f"not known that {condition.sentence}", lambda state, now: condition.test(state, now) is not True)


def _compared(field: str, test: Callable[[float], bool]) -> Callable[[VehicleState, MonotonicNs], bool | None]:
    _require(field, FieldKind.QUANTITY)

    def compare(state: VehicleState, now: MonotonicNs) -> bool | None:
        value = value_of(state, field, now)
        return None if value is None else test(value)

    return compare


def _require(field: str, kind: FieldKind) -> None:
    if FIELDS[field].kind is not kind:
        raise ValueError(f"{field} is no {kind.value}")


def _shown(field: str, value: float) -> str:
    dimension = FIELDS[field].dimension
    return f"{kmh_from_mps(value):.0f} km/h" if dimension == "m/s" else f"{value:g} {dimension}"


BACKWARDS = Condition("the car is in reverse", lambda state, now: fresh(state.drive_direction, now) is DriveDirection.BACKWARD)
NOT_BACKWARDS = unless_known(BACKWARDS)
"""A lever in neutral or park gives no direction; only reverse excludes."""
STANDS = at_most("speed_mps", STANDING_MPS)
MOVES = no(STANDS)
