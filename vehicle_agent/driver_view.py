"""The whole picture for the driver as one JSON document, `v2x-trust/driver-view/1`; `docs/driver-view.md` explains every field.

Every list is bounded and holds the nearest. Distances are metres and rounded to tenths, speeds km/h, for they go to people; a value
that is not known is null, never left out. `VIEW_SCHEMA` changes when a field goes away or changes its meaning; new fields may come.
"""

from dataclasses import dataclass

from shared.core.clock import NS_PER_S, Instant
from shared.core.ids import StationType
from shared.core.itstime import utc_text
from shared.core.units import kmh_from_mps
from shared.facilities.neighbours import Sighting
from shared.messages.cdd import ExteriorLights
from shared.messages.mapem import AllowedManeuvers
from shared.stack.station import EgoPosition
from vehicle_agent.driver_notices import (
    COLOURS,
    emergency_fields,
    hazard_fields,
    road_sign_fields,
    signal_fields,
    tenths,
    whole_kmh,
)
from vehicle_agent.emergency_vehicles import EmergencyVehicle, is_on_mission
from vehicle_agent.glosa import Advice
from vehicle_agent.hazards import HazardAhead
from vehicle_agent.road_signs import RoadSignAhead, limit_of
from vehicle_agent.signals_ahead import PhaseAhead, SignalAhead
from vehicle_agent.speed_plan import GlosaSettings
from vehicle_agent.vehicle_state import VehicleState, fresh

VIEW_SCHEMA = "v2x-trust/driver-view/1"
"""Name and version of the document."""

MAX_NEIGHBOURS_SHOWN = 32
MAX_HAZARDS_SHOWN = 16
MAX_SIGNALS_SHOWN = 8
MAX_PHASES_SHOWN = 6
MAX_EMERGENCIES_SHOWN = 4
MAX_ROAD_SIGNS_SHOWN = 8

_STRAIGHT = AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What there is to show.

    Attributes:
        sequence: number of this view since the agent started.
        now: the present.
        state: what the vehicle says of itself.
        settings: the limit where none is known.
        ego: where we are; None where that is not known, and then everything below is empty.
        neighbours: who is around, the nearest first.
        hazards: what is ahead, the nearest first.
        signals: the lights of our lane, each with its advice.
        emergencies: emergency vehicles that matter, the nearest first.
        road_signs: those that hold here, then those ahead, the nearest first.
    """

    sequence: int
    now: Instant
    state: VehicleState
    settings: GlosaSettings
    ego: EgoPosition | None = None
    neighbours: tuple[Sighting, ...] = ()
    hazards: tuple[HazardAhead, ...] = ()
    signals: tuple[tuple[SignalAhead, Advice | None], ...] = ()
    emergencies: tuple[EmergencyVehicle, ...] = ()
    road_signs: tuple[RoadSignAhead, ...] = ()


def driver_view(picture: Picture) -> dict[str, object]:
    """Return the document as JSON values."""
    now = picture.now
    expected = expected_signal(tuple(signal for signal, _ in picture.signals), picture.state, now)
    return {
        "schema": VIEW_SCHEMA,
        "sequence": picture.sequence,
        "utc": None if now.utc is None else utc_text(now.utc),
        "ego": _ego(picture),
        "speed_limit": _speed_limit(picture),
        "neighbours_known": len(picture.neighbours),
        "neighbours": [_neighbour(seen) for seen in picture.neighbours[:MAX_NEIGHBOURS_SHOWN]],
        "hazards": [hazard_fields(hazard) for hazard in picture.hazards[:MAX_HAZARDS_SHOWN]],
        "signals": [_signal(signal, advice, expected) for signal, advice in picture.signals[:MAX_SIGNALS_SHOWN]],
        "emergency_vehicles": [emergency_fields(vehicle) for vehicle in picture.emergencies[:MAX_EMERGENCIES_SHOWN]],
        "road_signs": [road_sign_fields(sign) for sign in picture.road_signs[:MAX_ROAD_SIGNS_SHOWN]],
    }


def expected_signal(signals: tuple[SignalAhead, ...], state: VehicleState, now: Instant) -> SignalAhead | None:
    """Return the light for the way the driver seems to take: by the turn signal, else straight on, else the first."""
    left, right = fresh(state.turn_left, now.monotonic), fresh(state.turn_right, now.monotonic)
    if left and not right:
        wanted = AllowedManeuvers.MANEUVER_LEFT_ALLOWED
    elif right and not left:
        wanted = AllowedManeuvers.MANEUVER_RIGHT_ALLOWED
    else:
        wanted = _STRAIGHT
    for turn in (wanted, _STRAIGHT):
        for signal in signals:
            if turn in signal.turns:
                return signal
    return signals[0] if signals else None


def _ego(picture: Picture) -> dict[str, object]:
    ego, state, at = picture.ego, picture.state, picture.now.monotonic
    speed_mps = fresh(state.speed_mps, at) if ego is None else ego.speed_mps
    heading_deg = fresh(state.heading_deg, at) if ego is None else ego.heading_deg
    return {
        "is_time_known": picture.now.utc is not None,
        "is_positioned": ego is not None,
        "lat_deg": None if ego is None else round(ego.point.lat_deg, 7),
        "lon_deg": None if ego is None else round(ego.point.lon_deg, 7),
        "fix_age_s": None if state.position is None else round(max(0, at - state.position.at) / NS_PER_S, 1),
        "heading_deg": tenths(heading_deg),
        "speed_kmh": _kmh(speed_mps),
    }


def _speed_limit(picture: Picture) -> dict[str, object]:
    """Return the lowest limit that signs or a map give for where we are; the usual one in town where none does.

    Roadworks have their own.
    """
    said = [(signal.speed_limit_mps, "map") for signal, _ in picture.signals if signal.speed_limit_mps is not None]
    if (by_sign := limit_of(picture.road_signs)) is not None:
        said.append((by_sign, "sign"))
    if said:
        limit_mps, source = min(said)
        return {"kmh": whole_kmh(limit_mps), "source": source}
    return {"kmh": whole_kmh(picture.settings.default_limit_mps), "source": "default"}


def _neighbour(seen: Sighting) -> dict[str, object]:
    one = seen.neighbour
    return {
        "station_id": one.station_id,
        "station_type": station_type_word(one.station_type),
        "role": None if one.role is None else one.role.name.lower(),
        "lat_deg": round(one.point.lat_deg, 7),
        "lon_deg": round(one.point.lon_deg, 7),
        "age_s": round(one.age_s, 1),
        "accuracy_m": None if one.accuracy_m is None else round(one.accuracy_m, 2),
        "distance_m": round(seen.distance_m, 1),
        "ahead_m": tenths(seen.ahead_m),
        "right_m": tenths(seen.right_m),
        "speed_kmh": _kmh(one.speed_mps),
        "heading_deg": tenths(one.heading_deg),
        "closing_kmh": _kmh(seen.closing_mps),
        "closest_in_s": tenths(seen.closest_in_s),
        "closest_m": tenths(seen.closest_m),
        "is_standing": one.is_standing,
        "is_on_mission": is_on_mission(one),
        "length_m": tenths(one.length_m),
        "width_m": tenths(one.width_m),
        "lights": None
        if one.lights is None
        else [lamp.name.lower() for lamp in ExteriorLights if lamp in one.lights and lamp.name],
    }


def _signal(signal: SignalAhead, advice: Advice | None, expected: SignalAhead | None) -> dict[str, object]:
    return {
        **signal_fields(signal, advice),
        "is_expected": signal is expected,
        "phases": [_phase(phase) for phase in signal.phases[:MAX_PHASES_SHOWN]],
    }


def _phase(phase: PhaseAhead) -> dict[str, object]:
    return {
        "colour": COLOURS[phase.phase],
        "starts_in_s": tenths(phase.starts_in_s),
        "earliest_end_s": tenths(phase.earliest_end_s),
        "likely_end_s": tenths(phase.likely_end_s),
        "latest_end_s": tenths(phase.latest_end_s),
        "confidence": phase.confidence,
    }


def station_type_word(station_type: int) -> str:
    """Return a `StationType` in lower case; `other` for one of a later version."""
    try:
        return StationType(station_type).name.lower()
    except ValueError:
        return "other"


def _kmh(speed_mps: float | None) -> float | None:
    return None if speed_mps is None else tenths(kmh_from_mps(speed_mps))
