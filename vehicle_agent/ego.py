"""Where this vehicle is and how it moves, as a message says it and as hazards and lights ahead are judged by.

One place for what a position's age means: it was taken when its frame was received, not when somebody asks.
"""

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.messages.cdd import DriveDirection
from shared.stack.station import EgoPosition
from vehicle_agent.vehicle_state import VehicleState, fresh

GN_PAI_INTERVAL_M = 80.0
"""`itsGnPaiInterval` of EN 302 636-4-1: a position is accurate while it is known to less than half of it."""


def ego_position(state: VehicleState, now: Instant) -> EgoPosition | None:
    """Return position, signed speed and heading; None where the position is not known or too old.

    Raises:
        UntrustedTimeError: there is a position, but UTC is not known to date it by.
    """
    position = state.position
    point = fresh(position, now.monotonic)
    if position is None or point is None:
        return None
    return EgoPosition(
        point=point,
        taken_at=UtcNs(now.require_utc() - (now.monotonic - position.at)),
        speed_mps=_signed_speed(state, now.monotonic),
        heading_deg=fresh(state.heading_deg, now.monotonic),
        is_accurate=_is_accurate(fresh(state.position_accuracy_m, now.monotonic)),
    )


def _is_accurate(accuracy_m: float | None) -> bool:
    """Tell the position accuracy indicator; a receiver that says nothing of its accuracy is taken for a good one."""
    return accuracy_m is None or accuracy_m < GN_PAI_INTERVAL_M / 2


def _signed_speed(state: VehicleState, now: MonotonicNs) -> float | None:
    speed_mps = fresh(state.speed_mps, now)
    backwards = fresh(state.drive_direction, now) is DriveDirection.BACKWARD
    return -speed_mps if speed_mps is not None and backwards else speed_mps
