"""What the driver's display gets: hazards and lights ahead as flat JSON fields, units in the names."""

from math import isfinite

from shared.core.units import kmh_from_mps
from shared.messages.spatem import MovementPhaseState
from shared.stack.effects import Notice
from vehicle_agent.hazards import HazardNotice
from vehicle_agent.signals_ahead import SignalAhead

_COLOURS: dict[MovementPhaseState, str] = {
    MovementPhaseState.STOP_THEN_PROCEED: "flashing_red",
    MovementPhaseState.STOP_AND_REMAIN: "red",
    MovementPhaseState.PRE_MOVEMENT: "red_amber",
    MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED: "green",
    MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED: "green",
    MovementPhaseState.PERMISSIVE_CLEARANCE: "amber",
    MovementPhaseState.PROTECTED_CLEARANCE: "amber",
    MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC: "flashing_amber",
    MovementPhaseState.DARK: "dark",
    MovementPhaseState.UNAVAILABLE: "unavailable",
}


def hazard_notice(told: HazardNotice) -> Notice:
    """`hazard_ahead`, `hazard_changed`, `hazard_ended` or `hazard_passed`."""
    hazard = told.hazard
    return Notice(
        f"hazard_{told.change.value}",
        {
            "originating_station_id": hazard.action_id.originating_station_id,
            "sequence_number": hazard.action_id.sequence_number,
            "cause_code": hazard.cause_code,
            "sub_cause_code": hazard.sub_cause_code,
            "distance_m": round(hazard.distance_m, 1),
            "time_to_reach_s": _tenths(hazard.time_to_reach_s),
            "is_disputed": hazard.is_disputed,
            "speed_limit_kmh": None if hazard.speed_limit_mps is None else round(kmh_from_mps(hazard.speed_limit_mps)),
        },
    )


def signal_notice(signal: SignalAhead) -> Notice:
    """`signal_ahead`: the light of the lane the vehicle is on, and the time to its change and to green."""
    return Notice(
        "signal_ahead",
        {
            "region": signal.intersection.region,
            "intersection": signal.intersection.number,
            "lane": signal.lane,
            "signal_group": signal.signal_group,
            "colour": _COLOURS[signal.phase],
            "phase": signal.phase.name.lower(),
            "time_to_change_s": _tenths(signal.time_to_change_s),
            "earliest_change_s": _tenths(signal.earliest_change_s),
            "latest_change_s": _tenths(signal.latest_change_s),
            "time_to_green_s": _tenths(signal.time_to_green_s),
            "distance_to_stop_m": round(signal.distance_to_stop_m, 1),
        },
    )


def _tenths(value: float | None) -> float | None:
    """JSON has no infinity: a change later than a SPATEM can say has no time that could be shown."""
    return None if value is None or not isfinite(value) else round(value, 1)
