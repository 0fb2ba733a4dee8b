"""What the kinds of stationary vehicle share: the waiting time, since when it stands, and how they are told of (C2CCC RS 2006).

A driver who stops with the hazard lights on may be delivering a parcel: the published waiting time of 30 s shrinks by 10 s with the
parking brake, and to nothing when a door opens, for then somebody is on the road. (Seat belts and a lever in park, which shorten it
too, are not among our signals.)

A car at a red light has no hazard lights on, so it never gets here; neither does one that is parked with its ignition off, for the
begin needs it on. Once told of, it may be switched off: it still stands there.

A car on a lorry, or towed with its wheels lifted, has wheels that stand and its hazard lights on: whose positions move does not
stand (`Carried`; ours).
"""

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint, distance_m
from shared.messages.denm_alacarte import StationarySince
from vehicle_agent.triggers.conditions import MOVES, STANDS, Condition, all_of, is_off, is_on, no
from vehicle_agent.triggers.latch import Row
from vehicle_agent.vehicle_state import VehicleState, fresh

WAIT_MS = 30_000
PARKING_BRAKE_SHORTENS_MS = 10_000
MOVED_FOR_MS = 5_000

CARRIED_M = 30.0
CARRIED_WITHIN_NS = 5 * NS_PER_S
"""Positions that move by `CARRIED_M` in this time, while the wheels stand, are those of a car that is carried along; a receiver
between houses wanders less."""

CARRIED_FOR_MS = 6_000
"""More than one stretch of `CARRIED_WITHIN_NS`: a receiver that jumps once ends nothing."""

VALIDITY_S = 30
REPETITION_INTERVAL_MS = 1_000
REPETITION_DURATION_S = 15.0
UPDATE_MS = 15_000
REACH_M = 1_000.0

STANDS_WITH_HAZARD_LIGHTS = all_of(is_on("ignition_on"), is_on("hazard_lights"), STANDS)
HAZARD_LIGHTS_OFF = Row(is_off("hazard_lights"))
MOVED = Row(MOVES, for_ms=MOVED_FOR_MS)


def wait_ms(state: VehicleState, now: MonotonicNs) -> int:
    """Return how long the car has to stand with its hazard lights on before it is told of."""
    if fresh(state.doors_open, now):
        return 0
    return WAIT_MS - (PARKING_BRAKE_SHORTENS_MS if fresh(state.parking_brake, now) else 0)


def quality(state: VehicleState, now: MonotonicNs) -> int:
    """Return the information quality: hazard lights and a standstill are one hint, the parking brake and a door are more."""
    return 1 + bool(fresh(state.parking_brake, now)) + bool(fresh(state.doors_open, now))


class Carried:
    """Whether a car is taken along whose wheels stand."""

    def __init__(self) -> None:
        self._from: tuple[MonotonicNs, GeoPoint] | None = None
        self._is_carried = False
        is_carried = Condition("the car is carried along", lambda _state, _now: self._is_carried)
        self.stays_put = no(is_carried)
        """The condition for a begin."""
        self.ended = Row(is_carried, for_ms=CARRIED_FOR_MS)

    def observe(self, state: VehicleState, now: MonotonicNs) -> None:
        """Look at the car; a position that is not known changes nothing."""
        if STANDS.test(state, now) is False:
            self._from, self._is_carried = None, False
            return
        here = fresh(state.position, now)
        if here is None:
            return
        if self._from is None:
            self._from = now, here
        elif now - self._from[0] >= CARRIED_WITHIN_NS:
            self._is_carried = distance_m(self._from[1], here) >= CARRIED_M
            self._from = now, here


class StandsSince:
    """How long the car has been standing."""

    def __init__(self) -> None:
        self._since: MonotonicNs | None = None

    def observe(self, state: VehicleState, now: MonotonicNs) -> None:
        """Look at the car; a speed that is not known changes nothing."""
        match STANDS.test(state, now):
            case True if self._since is None:
                self._since = now
            case False:
                self._since = None
            case _:
                pass

    def at(self, now: MonotonicNs) -> StationarySince | None:
        """Return it as the container says it; None while the car moves."""
        if self._since is None:
            return None
        minutes = (now - self._since) / (60 * NS_PER_S)
        if minutes < 1:
            return StationarySince.LESS_THAN_1_MINUTE
        if minutes < 2:
            return StationarySince.LESS_THAN_2_MINUTES
        return StationarySince.LESS_THAN_15_MINUTES if minutes < 15 else StationarySince.EQUAL_OR_GREATER_15_MINUTES
