"""Who may be given priority: what the ticket shows of its holder, against what the request says of the vehicle (SREM `role`).

That a ticket may ask at all (ITS-AID 140) is checked before. What its bits behind the version mean is not read here, for they could
not be found in two public sources; instead the ticket has to show by its CAM permissions (EN 302 637-2 V1.4.1 clause 6.2.2) what
the vehicle is: one of public transport by its container, an emergency vehicle by its container and the right to ask for free
crossing at a traffic light. So no bus asks as an ambulance, whatever its messages say.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rsu_agent.priority_refusals import PriorityRefusal, RefusedRequestError
from rsu_agent.signal_controllers.priority import PriorityLevel
from shared.core.errors import VerificationError
from shared.core.ids import ItsAid
from shared.messages.cam_special import Emergency, PublicTransport
from shared.messages.requestor import BasicVehicleRole
from shared.security.certificate import Certificate
from shared.security.permissions import find_permission
from shared.stack.cam_permissions import CONTAINER_FLAGS, FREE_CROSSING, granted_flags

RANKS: Final[Mapping[PriorityLevel, int]] = MappingProxyType({PriorityLevel.PUBLIC_TRANSPORT: 1, PriorityLevel.EMERGENCY: 2})
"""The greater number goes first."""

ROLES: Final[Mapping[int, PriorityLevel]] = MappingProxyType(
    {
        BasicVehicleRole.PUBLIC_TRANSPORT: PriorityLevel.PUBLIC_TRANSPORT,
        BasicVehicleRole.TRANSIT: PriorityLevel.PUBLIC_TRANSPORT,
        BasicVehicleRole.EMERGENCY: PriorityLevel.EMERGENCY,
        BasicVehicleRole.POLICE: PriorityLevel.EMERGENCY,
        BasicVehicleRole.FIRE: PriorityLevel.EMERGENCY,
        BasicVehicleRole.AMBULANCE: PriorityLevel.EMERGENCY,
    }
)
"""The roles that are let through; every other one waits like everybody else."""

NEEDED_FLAGS: Final[Mapping[PriorityLevel, int]] = MappingProxyType(
    {
        PriorityLevel.PUBLIC_TRANSPORT: CONTAINER_FLAGS[PublicTransport],
        PriorityLevel.EMERGENCY: CONTAINER_FLAGS[Emergency] | FREE_CROSSING,
    }
)
"""Octets 1 and 2 of the CAM SSP that show it, all of them needed."""


def priority_level(certificate: Certificate, role: int | None) -> PriorityLevel:
    """Return as what a vehicle is let through.

    Args:
        certificate: the ticket that signed the request.
        role: what the request says the vehicle is; where it says nothing, the ticket alone tells.

    Raises:
        RefusedRequestError: `ROLE_NOT_PERMITTED`.
    """
    shown = shown_levels(certificate)
    if role is None:
        if not shown:
            raise _refused("the ticket shows neither an emergency vehicle nor one of public transport")
        return max(shown, key=RANKS.__getitem__)
    asked = ROLES.get(role)
    if asked is None:
        raise _refused(f"a vehicle in the role {_role_name(role)} is given no priority")
    if asked not in shown:
        raise _refused(f"the ticket does not show a vehicle in the role {_role_name(role)}")
    return asked


def shown_levels(certificate: Certificate) -> frozenset[PriorityLevel]:
    """Return what a ticket shows its holder to be; empty for an ordinary vehicle."""
    try:
        flags = granted_flags(find_permission(certificate.tbs.app_permissions or (), ItsAid.CAM).ssp)
    except VerificationError:
        return frozenset()
    return frozenset(each for each, needed in NEEDED_FLAGS.items() if flags & needed == needed)


def _role_name(role: int) -> str:
    return next((known.name.lower() for known in BasicVehicleRole if known == role), f"number {role}")


def _refused(sentence: str) -> RefusedRequestError:
    return RefusedRequestError(PriorityRefusal.ROLE_NOT_PERMITTED, sentence)
