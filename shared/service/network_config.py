"""`[network]` of an agent's configuration: where it repeats what others say to an area."""

from typing import Literal

from shared.network.forwarding import Forwarding
from shared.service.config import ConfigStruct


class NetworkConfig(ConfigStruct, frozen=True, kw_only=True):
    """How the station takes part in GeoNetworking.

    Attributes:
        forward: `none`; `same_radio`, on the radio a packet was heard by; `all_radios`, which joins the networks they are on. Where
            nothing is said, a vehicle does the second and a roadside unit the third.
    """

    forward: Literal["none", "same_radio", "all_radios"] | None = None

    def forwarding(self, default: Forwarding) -> Forwarding:
        """Return the policy; `default` where the operator leaves it open."""
        match self.forward:
            case None:
                return default
            case "none":
                return Forwarding.NONE
            case "same_radio":
                return Forwarding.SAME_LINK
            case "all_radios":
                return Forwarding.ALL_LINKS
