"""Why a request for priority is refused: one word for counters and the status, one sentence for a person.

A request that is refused was signed by a ticket that may ask at all; who may not is refused before, with `permission_denied`
(`shared.security.verify`). What may be told to the sender is told in an SSEM (`priority_service`); the reason itself has no place
in that message, so it is kept for the operator.
"""

from enum import Enum

from shared.core.errors import V2xError


class PriorityRefusal(Enum):
    """The reason; the value is the stable word used in counters and in the status."""

    ROLE_NOT_PERMITTED = "priority_role_not_permitted"
    """The ticket does not show that its holder is an emergency vehicle or one of public transport, or it asks as what it is not."""
    OTHERS_NAME = "priority_in_others_name"
    """The request names another station than the message that carries it."""
    WRONG_TIME = "priority_wrong_time"
    """The message's own date is not the present, or the vehicle comes too late or too far ahead."""
    TOO_FAR = "priority_too_far"
    """The vehicle is too far from the junction, or does not say where it is."""
    NO_SUCH_WAY = "priority_no_such_way"
    """There is no such lane, approach or connection on the junction's map, or no way from one to the other."""
    NO_LIGHTS = "priority_no_lights"
    """No lights rule the way that is asked for."""
    UNKNOWN_KIND = "priority_unknown_kind"
    """It is neither a request nor an update nor a cancellation."""
    TOO_MANY = "priority_too_many"
    """The ticket, or everybody together, asks for more than can be kept."""


class RefusedRequestError(V2xError):
    """A request for priority that is not let through.

    Args:
        refusal: the reason.
        sentence: for a person.
    """

    def __init__(self, refusal: PriorityRefusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal

    @property
    def code(self) -> str:
        """The reason's word."""
        return self.refusal.value
