"""What `v2x bench` measures of the roadside unit: from the state of a junction's lights to signed packets."""

from collections.abc import Iterable
from pathlib import Path

import rsu_agent.junctions
from rsu_agent.console.bench import console
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from rsu_agent.signal_service import DEFAULT_SPATEM_INTERVAL_NS, SignalService
from shared.bench.figure import Effort, Figure, Unit, figure_of
from shared.bench.limits import RAW_SIGN, RawP256
from shared.bench.rounds import Side, Work, measure_rates
from shared.bench.traffic import NOON, Hierarchy, position_at
from shared.core.clock import ManualClock
from shared.pki.permission_sets import StationRole
from shared.stack.effects import Evidence, Notice

_JUNCTIONS = Path(rsu_agent.junctions.__file__).parent


class _Junction:
    """The crossing that comes with the unit."""

    def __init__(self) -> None:
        plan = load_plan(_JUNCTIONS / "crossing.plan.toml")
        self._clock = ManualClock(NOON)
        self._station = Hierarchy().station(1, StationRole.RSU)
        self._signals = SignalService(
            controller=FixedTimeController(plan),
            rules=plan.guard_rules,
            junction=load_map(_JUNCTIONS / "crossing.map.toml", plan.signal_groups),
            station_id=self._station.identity.station_id,
        )

    def speaking(self, calls: int) -> Work:
        """Prepare moments at which the lights are told, and the work of telling them."""
        moments = [self._clock.advance(DEFAULT_SPATEM_INTERVAL_NS) for _ in range(calls)]

        def work() -> None:
            for now in moments:
                for message in self._signals.poll(now):
                    if not isinstance(message, Notice | Evidence):
                        self._station.send(message, position=position_at(now), now=now)

        return work


def rsu(effort: Effort) -> Iterable[Figure]:
    """Tell a junction's lights, and once a second its map; show it on the console."""
    junction, raw = _Junction(), RawP256()
    sides = {"spatem": Side(junction.speaking), RAW_SIGN: Side(raw.signing)}
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    yield figure_of(
        "rsu.spatem",
        "read the controller, judge its state, sign and pack a SPATEM, and every tenth time a MAPEM",
        Unit.PER_SECOND,
        rates["spatem"],
        limit=(RAW_SIGN, rates[RAW_SIGN]),
    )
    yield from console(effort)
