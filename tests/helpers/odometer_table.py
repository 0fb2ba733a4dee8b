"""What each case of a mileage blocker comes to on the recorded buses, as the table of `docs/odometer.md`.

`python -m tests.helpers.odometer_table` writes the table into the page anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.units import METRES_PER_MILE
from shared.records.odometer import OdometerFlag
from simulator.adversaries.mileage_blocker import Between, Scaled, SetBack, Shown, Swallowed
from simulator.ecu import Rollback
from tests.helpers.data import REPOSITORY
from tests.helpers.odometer_drive import ALL_FIELDS, CLUSTER_STARTS_AT_M, COUNT_FIELDS, GNSS_FIELDS, OBD_FIELDS, watch_drive
from tests.helpers.rav4 import ODOMETER_MILES
from tests.helpers.recorded_bus import TRUCK_M, rav4_frames, rav4_map, rav4_receiver, truck_frames, truck_map, watch_bus

PAGE = REPOSITORY / "docs/odometer.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

PUT_IN_AFTER_M = 2_000.0
TAKEN_OUT_AFTER_M = 8_000.0
SET_BACK_M = 40_000_000.0

WITNESSES = {
    ALL_FIELDS: "OBD speed, GNSS",
    OBD_FIELDS: "OBD speed",
    GNSS_FIELDS: "GNSS",
    COUNT_FIELDS: "the receiver's own odometer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table; metres are None where nothing was flagged, or nothing is driven until it is."""

    case: str
    log: str
    witnesses: str
    counts_in: str
    flag: str
    until_flagged: str
    share: str

    def line(self) -> str:
        """Return it in Markdown."""
        cells = (self.case, self.log, self.witnesses, self.counts_in, self.flag, self.until_flagged, self.share)
        return f"| {' | '.join(cells)} |"


HEAD = Row(
    case="Device",
    log="Log",
    witnesses="Other witnesses",
    counts_in="Cluster counts in",
    flag="Flag",
    until_flagged="Driven until flagged",
    share="Share estimated",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A device on the car's drive.

    Attributes:
        name: in the table.
        shown: makes the device.
        flag: what has to be told.
        begins_m: how far the car has gone when it begins to lie.
        rounds: how often the drive is made.
    """

    name: str
    shown: Callable[[], Shown]
    flag: OdometerFlag
    begins_m: float = 0.0
    rounds: int = 1


SHARES = tuple(
    Case(
        name=f"swallows {permille / 10:.0f} %",
        shown=lambda permille=permille: Swallowed(permille / 1_000),  # type: ignore[misc]
        flag=OdometerFlag.BLOCKER_SUSPECTED,
    )
    for permille in (100, 250, 500)
)
FROZEN = Case(
    name="frozen",
    shown=lambda: Between(Swallowed(1.0), after_m=PUT_IN_AFTER_M),
    flag=OdometerFlag.FROZEN_WHILE_MOVING,
    begins_m=PUT_IN_AFTER_M,
)
SUDDEN = (
    Case(
        name="set back by 40,000 km",
        shown=lambda: Between(SetBack(SET_BACK_M), after_m=PUT_IN_AFTER_M),
        flag=OdometerFlag.ROLLBACK,
        begins_m=PUT_IN_AFTER_M,
    ),
    Case(
        name="25 %, taken out after 8 km",
        shown=lambda: Between(Swallowed(0.25), until_m=TAKEN_OUT_AFTER_M),
        flag=OdometerFlag.STEP,
        begins_m=TAKEN_OUT_AFTER_M,
    ),
    Case(
        name="kilometres become miles",
        shown=lambda: Between(Scaled(), after_m=PUT_IN_AFTER_M),
        flag=OdometerFlag.UNIT_ERROR,
        begins_m=PUT_IN_AFTER_M,
    ),
)
LATER = Case(
    name="swallows 10 %, put in after 45 km",
    shown=lambda: Between(Swallowed(0.1), after_m=45_000.0),
    flag=OdometerFlag.BLOCKER_SUSPECTED,
    begins_m=45_000.0,
    rounds=2,
)

CAR = "car, 43 km"
CAR_TWICE = "car, twice"
RAV4 = "RAV4, 1 minute"
TRUCK = "lorry, 2 minutes, standing"


def rows() -> tuple[Row, ...]:
    """Measure everything."""
    return (
        *(_honest(step_m) for step_m in (100.0, 1_000.0)),
        *(_case(case, step_m, ALL_FIELDS) for step_m in (100.0, 1_000.0) for case in (*SHARES, FROZEN, *SUDDEN)),
        *(_case(case, 100.0, fields) for fields in (OBD_FIELDS, GNSS_FIELDS, COUNT_FIELDS) for case in (SHARES[0], SHARES[2])),
        _case(LATER, 100.0, OBD_FIELDS),
        *_rav4(),
        *_truck(),
    )


def table() -> str:
    """Return the table in Markdown."""
    rule = "|---" * HEAD.line().count(" | ") + "|---|"
    return "\n".join((HEAD.line(), rule, *(row.line() for row in rows()))) + "\n"


def _honest(step_m: float) -> Row:
    watched = watch_drive(None, step_m=step_m, rounds=2)
    told = ", ".join(sorted(flag.value for flag in watched.flags)) or "none"
    return Row(
        case="none",
        log=CAR_TWICE,
        witnesses=WITNESSES[ALL_FIELDS],
        counts_in=_metres(step_m),
        flag=told,
        until_flagged="-",
        share="-",
    )


def _case(case: Case, step_m: float, fields: frozenset[str]) -> Row:
    watched = watch_drive(case.shown(), step_m=step_m, fields=fields, rounds=case.rounds, until=case.flag)
    told = watched.first(case.flag)
    permille = None if told is None else told.due.missing_permille
    return Row(
        case=case.name,
        log=CAR if case.rounds == 1 else CAR_TWICE,
        witnesses=WITNESSES[fields],
        counts_in=_metres(step_m),
        flag="none" if told is None else f"`{case.flag.value}`",
        until_flagged="-" if told is None else f"{(told.driven_m - _begins_m(case, step_m)) / 1_000:.1f} km",
        share="-" if permille is None or case.flag is not OdometerFlag.BLOCKER_SUSPECTED else f"{permille / 10:.0f} %",
    )


def _begins_m(case: Case, step_m: float) -> float:
    """Return where a device begins to lie that goes by what a cluster shows, which is behind by part of a step at the start."""
    return case.begins_m and case.begins_m - CLUSTER_STARTS_AT_M % step_m


def _rav4() -> tuple[Row, ...]:
    frames, beside = rav4_frames(), rav4_receiver()
    known_m = round(ODOMETER_MILES[0] * METRES_PER_MILE)
    later = MonotonicNs(frames[0].received + 20 * NS_PER_S)
    cases: tuple[tuple[str, Shown | None, OdometerFlag | None], ...] = (
        ("none", None, None),
        ("set back by 40,000 km on the way", Rollback(at=later, by_m=SET_BACK_M), OdometerFlag.ROLLBACK),
        ("miles shown as kilometres", _From(later, Scaled(METRES_PER_MILE / 1_000)), OdometerFlag.UNIT_ERROR),
    )
    found = []
    for name, shown, flag in cases:
        _, due = watch_bus(frames, rav4_map(), known_m=known_m, shown=shown, beside=beside)
        found.append(_short(name, RAV4, "wheels, GNSS", "whole miles", [f for d in due for f in d.flags], flag))
    return tuple(found)


def _truck() -> tuple[Row, ...]:
    frames = truck_frames()
    later = MonotonicNs(frames[0].received + 30 * NS_PER_S)
    cases: tuple[tuple[str, Shown | None, OdometerFlag | None], ...] = (
        ("none", None, None),
        ("set back by 10,000 km", Rollback(at=later, by_m=10_000_000.0), OdometerFlag.ROLLBACK),
        ("kilometres become miles", _From(later, Scaled()), OdometerFlag.UNIT_ERROR),
    )
    found = []
    for name, shown, flag in cases:
        _, due = watch_bus(frames, truck_map(), known_m=TRUCK_M, shown=shown)
        found.append(_short(name, TRUCK, "wheels", "125 m", [f for d in due for f in d.flags], flag))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _From:
    """A device that begins at a moment."""

    at: MonotonicNs
    shown: Shown

    def __call__(self, odometer_m: float, now: MonotonicNs) -> float:
        return odometer_m if now < self.at else self.shown(odometer_m, now)


def _short(name: str, log: str, witnesses: str, counts_in: str, told: list[OdometerFlag], flag: OdometerFlag | None) -> Row:
    """Return the row of a log on which next to nothing is driven."""
    if flag is None:
        said = ", ".join(sorted({each.value for each in told})) or "none"
    else:
        said = f"`{flag.value}`" if flag in told else "none"
    return Row(
        case=name,
        log=log,
        witnesses=witnesses,
        counts_in=counts_in,
        flag=said,
        until_flagged="-" if said == "none" else "within 5 readings",
        share="-",
    )


def _metres(step_m: float) -> str:
    return f"{step_m / 1_000:g} km"


def main(page: Path = PAGE) -> None:
    """Write the table into the page."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table()}{END}{after}")


if __name__ == "__main__":
    main()
