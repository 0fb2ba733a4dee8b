"""What the driver's display gets: hazards, lights, emergency vehicles and road signs as flat JSON fields, units in the names.

The same fields make a notice, told once, and an entry of the whole picture (`vehicle_agent.driver_view`).
"""

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType

from shared.core.units import kmh_from_mps
from shared.facilities.hazard_words import hazard_words
from shared.messages.ivim import IviType
from shared.messages.mapem import AllowedManeuvers
from shared.messages.spatem import MovementPhaseState
from shared.stack.effects import Notice
from vehicle_agent.emergency_vehicles import EmergencyNotice, EmergencyVehicle
from vehicle_agent.glosa import Advice
from vehicle_agent.hazards import HazardAhead, HazardNotice
from vehicle_agent.road_signs import RoadSignAhead
from vehicle_agent.signals_ahead import SignalAhead

COLOURS: Mapping[MovementPhaseState, str] = MappingProxyType(
    {
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
)
"""What a phase looks like."""

TURNS: Mapping[AllowedManeuvers, str] = MappingProxyType(
    {
        AllowedManeuvers.MANEUVER_LEFT_ALLOWED: "left",
        AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED: "straight",
        AllowedManeuvers.MANEUVER_RIGHT_ALLOWED: "right",
        AllowedManeuvers.MANEUVER_U_TURN_ALLOWED: "back",
    }
)
"""Where a light leads."""


SIGN_KINDS: Mapping[int, str] = MappingProxyType(
    {
        IviType.IMMEDIATE_DANGER_WARNING_MESSAGES: "danger",
        IviType.REGULATORY_MESSAGES: "regulatory",
        IviType.TRAFFIC_RELATED_INFORMATION_MESSAGES: "traffic",
        IviType.POLLUTION_MESSAGES: "pollution",
    }
)
"""What a sign is for; a sign of any other kind is `other`."""


def hazard_notice(told: HazardNotice) -> Notice:
    """`hazard_ahead`, `hazard_changed`, `hazard_ended` or `hazard_passed`."""
    return Notice(f"hazard_{told.change.value}", hazard_fields(told.hazard))


def signal_notice(signal: SignalAhead, advice: Advice | None = None) -> Notice:
    """`signal_ahead`: the light of the lane the vehicle is on, the time to its change and to green, and how fast to drive."""
    return Notice("signal_ahead", signal_fields(signal, advice))


def emergency_notice(told: EmergencyNotice) -> Notice:
    """`emergency_vehicle_approaching`, `..._changed`, `..._passed` or `..._gone`."""
    return Notice(f"emergency_vehicle_{told.change.value}", emergency_fields(told.vehicle))


def road_sign_notice(sign: RoadSignAhead) -> Notice:
    """`road_sign`: a sign that is approached, or begins to hold."""
    return Notice("road_sign", road_sign_fields(sign))


def hazard_fields(hazard: HazardAhead) -> dict[str, object]:
    """Return a hazard as JSON fields."""
    return {
        "originating_station_id": hazard.action_id.originating_station_id,
        "sequence_number": hazard.action_id.sequence_number,
        "cause_code": int(hazard.cause_code),
        "sub_cause_code": hazard.sub_cause_code,
        "words": hazard_words(hazard.cause_code, hazard.sub_cause_code),
        "distance_m": round(hazard.distance_m, 1),
        "time_to_reach_s": tenths(hazard.time_to_reach_s),
        "is_disputed": hazard.is_disputed,
        "speed_limit_kmh": whole_kmh(hazard.speed_limit_mps),
        "lane_position": hazard.lane_position,
    }


def signal_fields(signal: SignalAhead, advice: Advice | None) -> dict[str, object]:
    """Return a light as JSON fields."""
    return {
        "region": signal.intersection.region,
        "intersection": signal.intersection.number,
        "lane": signal.lane,
        "signal_group": signal.signal_group,
        "turns": [word for turn, word in TURNS.items() if turn in signal.turns],
        "colour": COLOURS[signal.phase],
        "phase": signal.phase.name.lower(),
        "time_to_change_s": tenths(signal.time_to_change_s),
        "earliest_change_s": tenths(signal.earliest_change_s),
        "latest_change_s": tenths(signal.latest_change_s),
        "time_to_green_s": tenths(signal.time_to_green_s),
        "distance_to_stop_m": round(signal.distance_to_stop_m, 1),
        "speed_limit_kmh": whole_kmh(signal.speed_limit_mps),
        "is_dependable": signal.is_dependable,
        "advice": None if advice is None else advice_fields(advice),
    }


def advice_fields(advice: Advice) -> dict[str, object]:
    """Return an advice as JSON fields."""
    return {
        "manoeuvre": advice.manoeuvre.value,
        "speed_kmh": advice.speed_kmh,
        "lowest_kmh": advice.lowest_kmh,
        "highest_kmh": advice.highest_kmh,
        "green_in_s": tenths(advice.green_in_s),
        "limit_kmh": advice.limit_kmh,
    }


def emergency_fields(vehicle: EmergencyVehicle) -> dict[str, object]:
    """Return an emergency vehicle as JSON fields."""
    return {
        "station_id": vehicle.station_id,
        "vehicle_kind": "rescue" if vehicle.is_rescue else "emergency",
        "light_bar": vehicle.light_bar,
        "siren": vehicle.siren,
        "side": None if vehicle.side is None else vehicle.side.value,
        "course": None if vehicle.course is None else vehicle.course.value,
        "distance_m": round(vehicle.distance_m, 1),
        "time_to_reach_s": tenths(vehicle.time_to_reach_s),
        "closest_m": tenths(vehicle.closest_m),
        "speed_kmh": None if vehicle.speed_mps is None else tenths(kmh_from_mps(vehicle.speed_mps)),
        "is_urgent": vehicle.is_urgent,
    }


def road_sign_fields(sign: RoadSignAhead) -> dict[str, object]:
    """Return a set of signs as JSON fields."""
    provider, number, _ = sign.key
    return {
        "provider": f"{provider.country_code} {provider.identifier}",
        "number": number,
        "kind_of_sign": SIGN_KINDS.get(sign.ivi_type, "other"),
        "holds": sign.holds,
        "distance_m": round(sign.distance_m, 1),
        "pictograms": [
            {"iso14823": each.iso14823, "vienna": each.vienna, "speed_kmh": whole_kmh(each.speed_mps)} for each in sign.pictograms
        ],
        "speed_limit_kmh": whole_kmh(sign.limit_mps),
        "is_for_all": sign.is_for_all,
        "lanes": list(sign.lanes),
        "text": [{"language": language, "line": line} for language, line in sign.text],
    }


def whole_kmh(speed_mps: float | None) -> int | None:
    """Return a speed limit in km/h; None for none, and for one that is no number."""
    return None if speed_mps is None or not isfinite(speed_mps) else round(kmh_from_mps(speed_mps))


def tenths(value: float | None) -> float | None:
    """JSON has no infinity: a change later than a SPATEM can say has no time that could be shown."""
    return None if value is None or not isfinite(value) else round(value, 1)
