"""From the answers of control units to news about the vehicle: which unit is believed, and what the others say beside it.

Several units may answer the same question, and they need not agree. A field of the vehicle is fed by one of them, the lowest that
said something not long ago; what the others say is kept apart as `Witness`es. Odometers of makers' identifiers are read by the byte
range and factor that the configuration names; the first of them that answers feeds the field.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.core.clock import NS_PER_S, MonotonicNs
from vehicle_agent.requests.addresses import UnitAddress
from vehicle_agent.requests.obd import (
    ENGINE_ODOMETER,
    ENGINE_SPEED,
    ODOMETER,
    SINCE_CLEARED,
    SINCE_START,
    UNITS,
    VEHICLE_SPEED,
    CurrentValue,
)
from vehicle_agent.requests.uds import DataRecord
from vehicle_agent.vehicle_state import FIELDS, SignalUpdate

SPEED_MAX_AGE_NS = 3 * NS_PER_S
"""For how long a speed that was answered may be used, or twice the time between two questions where that is longer."""

OBD_ODOMETER_MAX_AGE_NS = 60 * NS_PER_S
"""For how long an odometer reading by OBD may be used, or twice the time between two questions."""

ENGINE_MAX_AGE_NS = 30 * NS_PER_S
"""For how long the speed of the engine may be used."""

SLOW_MAX_AGE_NS = 300 * NS_PER_S
"""For how long what changes slowly stands in the status."""

MAX_WITNESSES = 64
"""Values of all units together that are kept."""

OUT_OF_RANGE = "out_of_range"
TOO_SHORT = "too_short"

_MAX_AGE_NS: Mapping[int, int] = MappingProxyType(
    {
        ENGINE_SPEED: ENGINE_MAX_AGE_NS,
        VEHICLE_SPEED: SPEED_MAX_AGE_NS,
        SINCE_START: SLOW_MAX_AGE_NS,
        SINCE_CLEARED: SLOW_MAX_AGE_NS,
        ODOMETER: OBD_ODOMETER_MAX_AGE_NS,
        ENGINE_ODOMETER: OBD_ODOMETER_MAX_AGE_NS,
    }
)
_FIELDS: Mapping[int, str] = MappingProxyType({VEHICLE_SPEED: "obd_speed_mps", ODOMETER: "obd_odometer_m"})
"""The PIDs that feed a field of the vehicle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UdsOdometer:
    """An odometer behind a maker's identifier.

    Attributes:
        name: of the unit that keeps it: `cluster`.
        unit: where it is asked.
        identifier: of ReadDataByIdentifier.
        first_octet: of the value within what the identifier holds, from 0.
        octets: of the value, 1..8.
        is_little_endian: whether its lowest octet comes first.
        metres_per_bit: its factor.
        every_ns: how often it is asked.
        at_standstill: whether only while the vehicle stands.
    """

    name: str
    unit: UnitAddress
    identifier: int
    first_octet: int
    octets: int
    is_little_endian: bool
    metres_per_bit: float
    every_ns: int
    at_standstill: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What one unit said.

    Attributes:
        source: `obd:7e9` or `uds:cluster`.
        quantity: what it is, with its unit: `odometer_m`, `distance_since_cleared_m`, `engine_odometer_m` ...
        value: in the unit of the name.
        at: when it was said.
        max_age_ns: for how long it may be used.
    """

    source: str
    quantity: str
    value: float
    at: MonotonicNs
    max_age_ns: int

    def is_fresh(self, now: MonotonicNs) -> bool:
        """Whether it may be used still."""
        return now - self.at <= self.max_age_ns


class Answers:
    """What the units of one bus said.

    Args:
        odometers: those behind makers' identifiers, the one that feeds the field first.
        every_ns: how often a PID is asked, by PID.
    """

    def __init__(self, odometers: tuple[UdsOdometer, ...], every_ns: Mapping[int, int] = MappingProxyType({})) -> None:
        self._odometers = odometers
        self._max_age_ns = {pid: max(age_ns, 2 * every_ns.get(pid, 0)) for pid, age_ns in _MAX_AGE_NS.items()}
        self._said: dict[tuple[int, UnitAddress], Witness] = {}
        self._read: dict[int, Witness] = {}
        self.faults: Counter[str] = Counter()
        """What was refused of answers, by reason."""

    def witnesses(self, now: MonotonicNs) -> tuple[Witness, ...]:
        """Return everything that units said and that is fresh, by unit; odometers of makers' identifiers behind."""
        said = [self._said[key] for key in sorted(self._said)]
        return tuple(each for each in (*said, *(self._read[n] for n in sorted(self._read))) if each.is_fresh(now))

    def latest(self, pid: int, now: MonotonicNs) -> float | None:
        """Return what the lowest unit said of a PID; None where nobody did, or not lately."""
        said = [(unit, each) for (other, unit), each in self._said.items() if other == pid and each.is_fresh(now)]
        return min(said, key=lambda each: each[0])[1].value if said else None

    def current(self, unit: UnitAddress, value: CurrentValue, now: MonotonicNs) -> Iterator[SignalUpdate]:
        """Take the value of a PID; yield the news it is."""
        if value.pid not in UNITS:
            return
        number, field = value.number, _FIELDS.get(value.pid)
        if number is not None and field is not None and number > FIELDS[field].maximum:
            self.faults[OUT_OF_RANGE] += 1
            return
        key, max_age_ns = (value.pid, unit), self._max_age_ns[value.pid]
        is_source = self._is_source(value.pid, unit, now)
        if number is None:
            had = self._said.pop(key, None)
            if field is not None and is_source and had is not None:
                yield SignalUpdate(field=field, value=None, at=now, max_age_ns=max_age_ns)
            return
        if key not in self._said and len(self._said) >= MAX_WITNESSES:
            self._said.pop(min(self._said, key=lambda each: self._said[each].at))
        quantity = UNITS[value.pid][0]
        self._said[key] = Witness(source=f"obd:{unit.name}", quantity=quantity, value=number, at=now, max_age_ns=max_age_ns)
        if field is not None and is_source:
            yield SignalUpdate(field=field, value=number, at=now, max_age_ns=max_age_ns)

    def record(self, unit: UnitAddress, record: DataRecord, now: MonotonicNs) -> Iterator[SignalUpdate]:
        """Take what an identifier holds; yield the news it is."""
        for number, odometer in enumerate(self._odometers):
            if (odometer.unit, odometer.identifier) != (unit, record.identifier):
                continue
            max_age_ns = 3 * odometer.every_ns
            metres = self._metres(odometer, record.octets)
            if metres is None:
                continue
            source = f"uds:{odometer.name}"
            self._read[number] = Witness(source=source, quantity="odometer_m", value=metres, at=now, max_age_ns=max_age_ns)
            if all(other >= number or not each.is_fresh(now) for other, each in self._read.items()):
                yield SignalUpdate(field="uds_odometer_m", value=metres, at=now, max_age_ns=max_age_ns)

    def _is_source(self, pid: int, unit: UnitAddress, now: MonotonicNs) -> bool:
        """Whether no lower unit said something of it not long ago."""
        return not any(other == pid and lower < unit and said.is_fresh(now) for (other, lower), said in self._said.items())

    def _metres(self, odometer: UdsOdometer, octets: bytes) -> float | None:
        """Return an odometer's value; None for "not available" (all ones), what is too short, and what no vehicle drives."""
        part = octets[odometer.first_octet : odometer.first_octet + odometer.octets]
        if len(part) < odometer.octets:
            self.faults[TOO_SHORT] += 1
            return None
        raw = int.from_bytes(part, "little" if odometer.is_little_endian else "big")
        if raw == (1 << 8 * odometer.octets) - 1:
            return None
        metres = raw * odometer.metres_per_bit
        if metres > FIELDS["uds_odometer_m"].maximum:
            self.faults[OUT_OF_RANGE] += 1
            return None
        return metres
