"""Who the control units of the vehicle are, and what it means when one of them is another than before.

Every survey (`vehicle_agent.requests.survey`) says what each unit that answered calls itself. A change counts once two surveys in
a row agree on it; a unit that says nothing has not changed. A unit with another serial, part or hardware number was replaced, one
with other software alone was reprogrammed: both become records of the vehicle's life. A unit that was never introduced, or that
changed otherwise, is a flag. Where the vehicle identification number is another one, or most units are, it is the agent that moved:
then nothing is recorded of the parts, and the flag stays, over restarts too, until the vehicle is the first one again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import StorageError, V2xError
from shared.records.kind import RecordKind
from shared.records.recorder import Recorder
from shared.records.strict_json import Json
from shared.stack.effects import Notice
from vehicle_agent.vehicle_memory import MAX_PARTS, KnownPart, Remembered

HARDWARE = ("serial_number", "part_number", "hardware_number")
"""What another unit would say differently."""

SOFTWARE = ("software_number", "software_version", "calibration_id", "calibration_number")
"""What the same unit says differently once somebody has put other software on it."""

LEAST_MOVED_UNITS = 2
"""Units that must have changed, and be more than half of those known, before the agent is taken to have moved without a VIN."""

RETRY_NS = 10 * NS_PER_S
"""When a record that could not be stored is tried again."""

MAX_OWED = 16
"""Records that wait for the store to work again; further ones are told, counted and lost."""

Identifiers = Mapping[str, str]
"""What a unit calls itself, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyResult:
    """What a complete survey found.

    Attributes:
        units: what each unit that answered calls itself, by unit (`can0:7e8`).
        vins: the vehicle identification numbers that units say, the one first that counts most; empty where none does.
        odometer_m: of the moment, in metres; None where it is not known.
    """

    units: Mapping[str, Identifiers]
    vins: tuple[str, ...]
    odometer_m: int | None


@dataclass(frozen=True, slots=True)
class _Owed:
    claims: Mapping[str, Json]
    at: Instant


class PartIdentity:
    """The control units of one vehicle.

    Args:
        remembered: what is known of them, and keeps it.
    """

    def __init__(self, remembered: Remembered) -> None:
        self._remembered = remembered
        self._seen: dict[str, Identifiers] = {}
        self._confirmed: dict[str, Identifiers] = {}
        self._seen_vin: str | None = None
        self._confirmed_vin: str | None = None
        self._owed: list[_Owed] = []
        self._retry_at = MonotonicNs(0)
        self._has_unknown_part = False
        self._wants_confirmation = False
        self._is_store_failing = False
        self._surveys = 0
        self._counters: Counter[str] = Counter()

    @property
    def is_other_vehicle(self) -> bool:
        """Whether the agent is in another vehicle than the one it knows."""
        return self._remembered.memory.is_other_vehicle

    def take_unknown_part(self) -> bool:
        """Return, once, whether a part is there that was never introduced: the next reading of the odometer has to say so."""
        had, self._has_unknown_part = self._has_unknown_part, False
        return had

    @property
    def wants_confirmation(self) -> bool:
        """Whether the last survey found something that the next one should confirm soon."""
        return self._wants_confirmation

    def status(self) -> dict[str, object]:
        """Return what is known and was found, as JSON values; no identifier of the vehicle is told."""
        return {
            "surveys": self._surveys,
            "units": {part.unit: sorted(part.identifiers) for part in self._remembered.memory.parts},
            "vin_known": self._remembered.memory.vin is not None,
            "other_vehicle": self.is_other_vehicle,
            "owed": len(self._owed),
            **self._counters,
        }

    def take(self, found: SurveyResult, recorder: Recorder, now: Instant) -> tuple[Notice, ...]:
        """Take the result of a survey; record and tell what it confirms."""
        self._surveys += 1
        memory = self._remembered.memory
        units = dict(list(found.units.items())[:MAX_PARTS])
        known = {part.unit: part.identifiers for part in memory.parts}
        is_new = False
        for unit, said in units.items():
            agreed = _agreed(self._seen.get(unit, {}), said)
            is_new |= said != agreed and (memory.is_other_vehicle or bool(_changes(known.get(unit, {}), said)))
            _put(self._confirmed, unit, agreed)
            _put(self._seen, unit, {**self._seen.get(unit, {}), **said})
        if found.vins:
            # While any unit says the number of the vehicle that is known, it is that vehicle: another may be a used part.
            vin = memory.vin if memory.vin in found.vins else found.vins[0]
            is_new |= vin not in (self._seen_vin, memory.vin)
            self._confirmed_vin = vin if vin == self._seen_vin else None
            self._seen_vin = vin
        self._wants_confirmation = is_new
        confirmed = {unit: said for unit, said in self._confirmed.items() if said}
        notices = self._judge(confirmed, self._confirmed_vin, found.odometer_m, now)
        return (*notices, *self.poll(recorder, now.monotonic))

    def poll(self, recorder: Recorder, now: MonotonicNs) -> tuple[Notice, ...]:
        """Record what could not be recorded before, now and then."""
        notices: list[Notice] = []
        while self._owed and now >= self._retry_at:
            owed = self._owed[0]
            try:
                signed = recorder.record(RecordKind.PART, owed.claims, at=owed.at)
            except V2xError as failure:
                if not self._is_store_failing:
                    self._is_store_failing = True
                    notices.append(Notice("part_not_recorded", {"reason": str(failure)}))
                self._counters["unrecorded"] += 1
                self._retry_at = MonotonicNs(now + RETRY_NS)
                break
            self._owed.pop(0)
            self._is_store_failing = False
            self._counters["recorded"] += 1
            fields = {"seq": signed.record.seq, "part": owed.claims["part"], "action": owed.claims["action"]}
            notices.append(Notice("part_recorded", fields))
        return tuple(notices)

    def _judge(
        self, confirmed: Mapping[str, Identifiers], vin: str | None, odometer_m: int | None, now: Instant
    ) -> tuple[Notice, ...]:
        memory = self._remembered.memory
        known = {part.unit: part.identifiers for part in memory.parts}
        changed = {unit: _changes(known[unit], said) for unit, said in confirmed.items() if unit in known}
        replaced = [unit for unit, names in changed.items() if names & set(HARDWARE)]
        if memory.vin is not None and vin is not None:
            # A unit may have come with another vehicle's number; where most are the same ones, the vehicle is too.
            is_other = vin != memory.vin and 2 * _unchanged(known, confirmed) <= len(known)
        elif confirmed:
            is_other = len(replaced) >= LEAST_MOVED_UNITS and 2 * len(replaced) > len(known)
            is_other = is_other or (memory.is_other_vehicle and not _unchanged(known, confirmed))
        else:
            is_other = memory.is_other_vehicle
        if is_other:
            return self._moved(vin, len(replaced), len(known))
        notices = [Notice("back_in_vehicle", {})] if memory.is_other_vehicle else []
        for unit, names in changed.items():
            notices += self._changed(unit, known[unit], confirmed[unit], names, odometer_m, now)
        asked_before = {_network(unit) for unit in known}
        new = [unit for unit in confirmed if unit not in known and _network(unit) in asked_before]
        notices += [self._unknown(unit, "never introduced") for unit in new]
        merged = {**known, **{unit: {**known.get(unit, {}), **said} for unit, said in confirmed.items()}}
        return (*notices, *self._keep(memory.vin or vin, merged, is_other=False))

    def _moved(self, vin: str | None, replaced: int, known: int) -> tuple[Notice, ...]:
        memory = self._remembered.memory
        if memory.is_other_vehicle:
            return ()
        reason = (
            "the vehicle identification number is another one"
            if vin is not None and memory.vin is not None
            else f"{replaced} of {known} control units are other ones"
        )
        kept = self._keep(memory.vin, {part.unit: part.identifiers for part in memory.parts}, is_other=True)
        return (Notice("other_vehicle", {"reason": reason}), *kept)

    def _changed(
        self, unit: str, before: Identifiers, after: Identifiers, names: set[str], odometer_m: int | None, now: Instant
    ) -> list[Notice]:
        if not names:
            return []
        if names & set(HARDWARE):
            claims: dict[str, Json] = {
                "action": "replaced",
                "serial_number": after.get("serial_number"),
                "replaced_serial_number": before.get("serial_number") if "serial_number" in names else None,
                "software_number": after.get("software_number"),
            }
            self._counters["replaced"] += 1
        elif names & set(SOFTWARE):
            name = next(each for each in SOFTWARE if each in names)
            claims = {
                "action": "reprogrammed",
                "serial_number": after.get("serial_number") or before.get("serial_number"),
                "software_number": after.get(name),
                "replaced_software_number": before.get(name),
            }
            self._counters["reprogrammed"] += 1
        else:
            return [self._unknown(unit, f"says another {', '.join(sorted(names))} and is the same otherwise")]
        claims |= {
            "part": f"control unit {after.get('unit_name') or before.get('unit_name') or unit}"[:64],
            "maker": after.get("supplier"),
            "part_number": after.get("part_number") or after.get("hardware_number"),
            "condition": "not_known",
            "odometer_m": odometer_m,
        }
        return self._owe(_Owed({name: value for name, value in claims.items() if value is not None}, now))

    def _owe(self, owed: _Owed) -> list[Notice]:
        if len(self._owed) < MAX_OWED:
            self._owed.append(owed)
            return []
        self._counters["lost"] += 1
        return [Notice("part_not_recorded", {"reason": f"{MAX_OWED} records wait already"})]

    def _unknown(self, unit: str, reason: str) -> Notice:
        self._has_unknown_part = True
        self._counters["unknown"] += 1
        return Notice("unknown_part", {"unit": unit, "reason": reason})

    def _keep(self, vin: str | None, units: Mapping[str, Identifiers], *, is_other: bool) -> tuple[Notice, ...]:
        parts = [KnownPart(unit=unit, identifiers=dict(said)) for unit, said in sorted(units.items())]
        try:
            self._remembered.keep_identity(vin=vin, parts=parts, is_other_vehicle=is_other)
        except StorageError as failure:
            self._counters["unkept"] += 1
            return (Notice("vehicle_memory_not_kept", {"reason": str(failure)}),)
        return ()


def _put(said: dict[str, Identifiers], unit: str, identifiers: Identifiers) -> None:
    """Remember what a unit says, of as many units as are told apart."""
    if unit in said or len(said) < MAX_PARTS:
        said[unit] = identifiers


def _network(unit: str) -> str:
    """Return where a unit was asked: `can0` of `can0:7e8`, `can0:j1939` of `can0:j1939:00`. The first there are all new."""
    return unit.rpartition(":")[0]


def _agreed(before: Identifiers, now: Identifiers) -> dict[str, str]:
    """Return what two surveys in a row say alike."""
    return {name: value for name, value in now.items() if before.get(name) == value}


def _unchanged(known: Mapping[str, Identifiers], said: Mapping[str, Identifiers]) -> int:
    """Return how many units say again what their hardware is known by, and nothing else of it."""
    both = known.keys() & said.keys()
    same = {
        unit: [known[unit][name] == said[unit][name] for name in HARDWARE if name in known[unit] and name in said[unit]]
        for unit in both
    }
    return sum(bool(names) and all(names) for names in same.values())


def _changes(known: Identifiers, said: Identifiers) -> set[str]:
    """Return the names of what is said otherwise than it is known; of a unit that is not known, of all it says."""
    return {name for name, value in said.items() if (name in known or not known) and known.get(name) != value}
