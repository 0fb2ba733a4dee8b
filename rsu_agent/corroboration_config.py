"""`[corroboration]`: when the unit tells in its own name what vehicles warn of; without the table it never does."""

from typing import Annotated

import msgspec

from rsu_agent.corroboration import DEFAULT_CAUSES, Policy
from rsu_agent.hazard import MAX_RADIUS_M
from rsu_agent.hazard_config import cause_of
from shared.core.errors import ConfigError
from shared.service.config import ConfigStruct

Metres = Annotated[float, msgspec.Meta(gt=0.0, le=5_000.0)]


class CorroborationConfig(ConfigStruct, frozen=True, kw_only=True):
    """What is asked of witnesses; see `corroboration.Policy`. `causes` are names, all that a second vehicle can see by default."""

    witnesses: Annotated[int, msgspec.Meta(ge=2, le=16)] = 2
    apart_m: Metres = 100.0
    witness_m: Metres = 500.0
    one_car_m: Annotated[float, msgspec.Meta(ge=0.0, le=50.0)] = 3.0
    known_s: Annotated[float, msgspec.Meta(ge=0.0, le=60.0)] = 3.0
    reach_m: Metres = 1_000.0
    hold_s: Annotated[float, msgspec.Meta(ge=1.0, le=3_600.0)] = 30.0
    radius_m: Annotated[float, msgspec.Meta(ge=10.0, le=MAX_RADIUS_M)] = 500.0
    validity_s: Annotated[int, msgspec.Meta(ge=10, le=3_600)] = 30
    causes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=32)] | None = None

    def __post_init__(self) -> None:
        """Refuse causes that are none."""
        self.policy  # noqa: B018 - raises

    @property
    def policy(self) -> Policy:
        """As it is kept to; raises ValueError for a cause that is none."""
        try:
            causes = DEFAULT_CAUSES if self.causes is None else frozenset(cause_of("causes", name) for name in self.causes)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return Policy(
            witnesses=self.witnesses,
            apart_m=self.apart_m,
            witness_m=self.witness_m,
            one_car_m=self.one_car_m,
            known_s=self.known_s,
            reach_m=self.reach_m,
            hold_s=self.hold_s,
            radius_m=self.radius_m,
            validity_s=self.validity_s,
            causes=causes,
        )
