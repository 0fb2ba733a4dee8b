"""Odometers that no DBC describes: bytes of a message that count up as far as the car was driven.

Every run of two, three or four bytes is read in both byte orders. One that never falls, takes at least `MIN_STEPS` steps and
advances by what the speed amounts to in one of the units odometers count by is shown, with the line of a DBC that would describe
it. Nothing is believed of it: a trip meter counts alike.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from vehicle_agent.learning.listen import HeardMessage, Sample
from vehicle_agent.learning.odometers import MIN_STEPS, units_that_fit
from vehicle_agent.learning.quantities import Motion
from vehicle_agent.learning.series import distance_m

WIDTHS = (4, 3, 2)
MAX_SCANNED_BYTES = 64
MAX_FOUND = 20
"""Findings shown; more would mean that the car was not driven far enough to tell."""

MAX_JUMP_SHARE = 0.2
"""An odometer advances evenly: no single step is a larger share of its advance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingBytes:
    """Bytes that count like an odometer.

    Attributes:
        heard: the message.
        first_byte: where they begin.
        octets: how many.
        order: their byte order.
        first: the raw value at the beginning.
        last: the raw value at the end.
        units: what a step may be, as (unit, factor).
    """

    heard: HeardMessage
    first_byte: int
    octets: int
    order: Literal["big", "little"]
    first: int
    last: int
    units: tuple[tuple[str, float], ...]

    def sentence(self) -> str:
        """Return what was found."""
        steps = ", ".join(f"{factor:g} {unit}" for unit, factor in self.units)
        where = f"bytes {self.first_byte}..{self.first_byte + self.octets - 1}, {self.order}-endian"
        return f"{self.heard.arbitration_id:#05x} {where}: from {self.first} to {self.last}, in steps of {steps}"

    def dbc_line(self) -> str:
        """Return the signal as a DBC describes it, in the first unit that fits."""
        unit, factor = self.units[0]
        bit = 8 * self.first_byte + (7 if self.order == "big" else 0)
        return f'SG_ ODOMETER : {bit}|{8 * self.octets}@{0 if self.order == "big" else 1}+ ({factor:g},0) [0|0] "{unit}" XXX'


def find_counting_bytes(undescribed: Iterable[HeardMessage], motion: Motion) -> list[CountingBytes]:
    """Return what counts like an odometer in messages that no DBC describes; the widest reading of the same bytes alone."""
    found: list[CountingBytes] = []
    for heard in undescribed:
        taken: set[int] = set()
        for counting in _counting(heard, motion):
            last_byte = counting.first_byte + (counting.octets - 1 if counting.order == "big" else 0)
            if last_byte not in taken:
                taken.add(last_byte)
                found.append(counting)
        if len(found) >= MAX_FOUND:
            break
    return found[:MAX_FOUND]


def _counting(heard: HeardMessage, motion: Motion) -> Iterator[CountingBytes]:
    length = min(heard.length, MAX_SCANNED_BYTES)
    samples = [(moment, data) for moment, data in heard.samples if len(data) >= length]
    if motion.speed_mps is None or len(samples) <= MIN_STEPS:
        return
    driven = distance_m(motion.speed_mps, samples[0][0], samples[-1][0])
    orders: tuple[Literal["big", "little"], ...] = ("big", "little")
    for octets in WIDTHS:
        for first_byte in range(length - octets + 1):
            for order in orders:
                values = _rising(samples, first_byte, octets, order)
                if values is None:
                    continue
                steps = [after - before for before, after in pairwise(values) if after != before]
                advance = values[-1] - values[0]
                if len(steps) < MIN_STEPS or max(steps) > MAX_JUMP_SHARE * advance + 1:
                    continue
                units = tuple(units_that_fit(advance, advance / len(steps), driven))
                if units:
                    yield CountingBytes(
                        heard=heard,
                        first_byte=first_byte,
                        octets=octets,
                        order=order,
                        first=values[0],
                        last=values[-1],
                        units=units,
                    )


def _rising(samples: list[Sample], first_byte: int, octets: int, order: Literal["big", "little"]) -> list[int] | None:
    """Return the values of some bytes, or None as soon as one falls."""
    values: list[int] = []
    for _, data in samples:
        value = int.from_bytes(data[first_byte : first_byte + octets], order)
        if values and value < values[-1]:
            return None
        values.append(value)
    return values
