"""What a special vehicle says of its role: configured and live parts, and what its ticket allows (EN 302 637-2 V1.4.1 6.1.3).

A `Duty` is what the operator configured: the role, and the container with everything that does not change. `SpecialRole` lays over
it what the bus says just now: light bar, siren, doors. The role in a CAM is what the vehicle is used for at that moment, not what
it was built for. So an ambulance on its way home, light bar and siren off, has the role `default` and sends no container: nobody
gives way to it, and nobody can tell it from the other cars. Vehicles whose work does not show by lamps (a tram, a tanker, a heavy
load) have their role always, and so has one that is configured to.

What the ticket of the moment does not allow is left out, so that the vehicle stays heard as an ordinary one: the container, and
with it the role, or the one field in it. It is counted for every CAM, and told once for as long as the ticket lacks it.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

from msgspec.structs import replace

from shared.core.clock import MonotonicNs
from shared.messages.cam_special import (
    DangerousGoods,
    Emergency,
    EmergencyPriority,
    PublicTransport,
    RoadWorksBasic,
    SafetyCar,
    SpecialVehicle,
)
from shared.messages.cdd import LightBarSirenInUse, VehicleRole
from shared.stack.cam_permissions import CLOSED_LANES, FREE_CROSSING, RIGHT_OF_WAY, SPEED_LIMIT, special_vehicle_needs
from shared.stack.effects import Notice
from vehicle_agent.vehicle_state import VehicleState, fresh


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What a vehicle is for.

    Attributes:
        role: while it is at it.
        container: with its configured parts; None for a role that has none.
        shows_by_lamps: it is at it while light bar or siren are on; otherwise always.
        asks_for_priority: whether it asks junctions to let it through, in a role that may.
    """

    role: VehicleRole
    container: SpecialVehicle | None
    shows_by_lamps: bool
    asks_for_priority: bool = True


NO_DUTY: Final = Duty(role=VehicleRole.DEFAULT, container=None, shows_by_lamps=False)
"""An ordinary vehicle."""


class RoleClaim(NamedTuple):
    """What a CAM says of the role.

    Attributes:
        role: for the low-frequency container.
        container: the special-vehicle container, None where there is none.
    """

    role: VehicleRole
    container: SpecialVehicle | None


ORDINARY: Final = RoleClaim(VehicleRole.DEFAULT, None)


class SpecialRole:
    """The role of one vehicle under one ticket after another.

    Args:
        duty: as configured.
        granted: octets 1 and 2 of the CAM SSP of the ticket to begin with (`shared.stack.cam_permissions.ticket_flags`).
    """

    def __init__(self, duty: Duty, *, granted: int) -> None:
        self._duty = duty
        self._withheld: Counter[str] = Counter()
        self._is_told = False
        self._notices: list[Notice] = []
        self.assume(granted)

    def assume(self, granted: int) -> None:
        """Speak under another ticket; it allows `granted`."""
        self._container = self._duty.container
        self._lacking: tuple[str, ...] = ()
        if self._container is not None:
            self._container, self._lacking = _allowed(self._container, granted)
        self._is_told = self._is_told and bool(self._lacking)

    def status(self) -> dict[str, object]:
        """Return the role and what of it the present ticket lets the CAMs say, as JSON values."""
        container = self._duty.container
        return {
            "name": self._duty.role.name.lower(),
            "has_container": container is not None,
            "container_is_allowed": container is None or self._container is not None,
            "lacking": list(self._lacking),
            "shows_by_lamps": self._duty.shows_by_lamps,
        }

    @property
    def withheld(self) -> dict[str, int]:
        """How many CAMs lacked what the ticket does not allow, by what it is."""
        return dict(self._withheld)

    def claim(self, state: VehicleState, now: MonotonicNs) -> RoleClaim:
        """Return what the next CAM may say of the role."""
        duty = self._duty
        if duty is NO_DUTY:
            return ORDINARY
        lamps = lamps_of(state, now)
        if duty.shows_by_lamps and not lamps:
            return ORDINARY
        if self._lacking:
            self._withheld.update(self._lacking)
            self._tell()
        if duty.container is None:
            return RoleClaim(duty.role, None)
        if self._container is None:
            return ORDINARY
        return RoleClaim(duty.role, _live(self._container, lamps, are_doors_open=fresh(state.doors_open, now) is True))

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what there is to tell, once."""
        told, self._notices = tuple(self._notices), []
        return told

    def _tell(self) -> None:
        if not self._is_told:
            self._is_told = True
            fields = {
                "role": self._duty.role.name.lower(),
                "withheld": list(self._lacking),
                "reason": "the authorization ticket does not allow it: the CAMs leave it out",
            }
            self._notices.append(Notice("role_withheld", fields))


def lacking(duty: Duty, granted: int) -> tuple[str, ...]:
    """Return what of a duty a ticket does not allow, in words; `granted` as for `SpecialRole`."""
    return () if duty.container is None else _allowed(duty.container, granted)[1]


def lamps_of(state: VehicleState, now: MonotonicNs) -> LightBarSirenInUse:
    """Return which of light bar and siren are on; one the bus does not give is off."""
    lamps = LightBarSirenInUse(0)
    if fresh(state.light_bar_on, now):
        lamps |= LightBarSirenInUse.LIGHT_BAR_ACTIVATED
    if fresh(state.siren_on, now):
        lamps |= LightBarSirenInUse.SIREN_ACTIVATED
    return lamps


def _live(container: SpecialVehicle, lamps: LightBarSirenInUse, *, are_doors_open: bool) -> SpecialVehicle:
    """Return the container as it is now; the right of way is asked for while the siren sounds, for silence obliges nobody."""
    match container:
        case PublicTransport():
            return replace(container, embarkation_status=are_doors_open)
        case DangerousGoods():
            return container
        case Emergency() if not lamps & LightBarSirenInUse.SIREN_ACTIVATED:
            return replace(container, light_bar_siren=lamps, priority=None)
        case _:
            return replace(container, light_bar_siren=lamps)


def _allowed(container: SpecialVehicle, granted: int) -> tuple[SpecialVehicle | None, tuple[str, ...]]:
    """Return as much of a container as a ticket allows, and what it does not."""
    whole, *parts = special_vehicle_needs(container)
    if whole.flag & ~granted:
        return None, (whole.what,)
    lacking = [part for part in parts if part.flag & ~granted]
    for part in lacking:
        container = _without(container, part.flag)
    return container, tuple(part.what for part in lacking)


def _without(container: SpecialVehicle, flag: int) -> SpecialVehicle:
    match container:
        case RoadWorksBasic() if flag == CLOSED_LANES:
            return replace(container, closed_lanes=None)
        case Emergency(priority=EmergencyPriority() as priority) if flag in (RIGHT_OF_WAY, FREE_CROSSING):
            asked = EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT
            if flag == RIGHT_OF_WAY:
                asked = EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY
            return replace(container, priority=priority & ~asked or None)
        case SafetyCar() if flag == SPEED_LIMIT:
            return replace(container, speed_limit_mps=None)
        case SafetyCar():
            return replace(container, traffic_rule=None)
        case _:
            raise AssertionError(f"{type(container).__name__} needs no flag {flag:#x}")
