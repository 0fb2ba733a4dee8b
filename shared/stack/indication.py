"""What a station hands up: a message that was verified, and who said it, where and when.

`Verified` is the one type that handlers accept; only `shared.stack.station.Station.receive` makes one, after the last check held.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from shared.core.clock import Instant
from shared.core.itstime import Time64
from shared.network.area import Area
from shared.network.position_vector import LongPositionVector
from shared.security.verify import SignerFacts
from shared.stack.content_permissions import Message

T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Generic[T_co]):
    """A message whose signature, chain, time, permissions and form all held.

    Attributes:
        message: the typed message.
        signer: whose ticket signed it.
        generation_time: when the signer says it was made.
        source: the sender's position vector, as signed.
        area: where it was meant to be heard; None for a single hop.
        received: when it arrived here.
    """

    message: T_co
    signer: SignerFacts
    generation_time: Time64
    source: LongPositionVector
    area: Area | None
    received: Instant

    def of(self, kind: type[M]) -> "Verified[M] | None":
        """Return the same indication as one of `kind`, or None when the message is of another kind."""
        return cast("Verified[M]", self) if isinstance(self.message, kind) else None


Indication = Verified[Message]
"""A verified message of any kind; `indication.of(Denm)` tells whether it is a DENM."""
