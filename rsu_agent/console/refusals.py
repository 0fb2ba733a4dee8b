"""Which reasons for refusing were counted last: counters in, a list with the newest first out. Sans-IO.

The unit counts refusals by reason and keeps no packet; whoever is refused is mostly unknown, for nothing of what it says is proven.
Here the counters are looked at again and again, and a reason whose count has grown was given since the last look. The words are
for an operator; a reason without words of its own is shown as it is counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.cli.status_words import section

RADIO = "radio"
"""What refuses packets."""

PRIORITY_PREFIX = "priority_"
"""Reasons for refusing priority are counted among others under names that begin so (`PriorityRefusal`)."""

MAX_SHOWN = 40
"""Reasons listed, those given last first."""

MAX_KEPT = 512
"""Reasons remembered, over all sources; beyond it those given longest ago are let go."""

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "false_signature": "The signature does not fit the message: it was changed, or made with another key.",
        "invalid_certificate": "The sender's certificate is not one that may sign this.",
        "revoked_certificate": "An authority above the sender's ticket was revoked.",
        "inconsistent_chain": "The sender's certificates contradict one another.",
        "invalid_timestamp": "The message is too old, or from the future.",
        "duplicate_message": "The same message was accepted before: somebody plays it again.",
        "invalid_mobility_data": "Place or movement in the message cannot be.",
        "unsigned_message": "Nobody signed the message.",
        "signer_certificate_not_found": "The sender's certificate, or the authority that issued it, is not known here.",
        "unsupported_signer_identifier_type": "The sender names itself in a way that is not allowed here.",
        "incompatible_protocol": "A version of the protocol that this unit does not speak.",
        "untrusted_root": "The sender's ticket comes from authorities that this unit does not trust.",
        "not_logged": "An authority or a trust list is not shown to be in the transparency log.",
        "outdated_trust_list": "The list that vouches for the sender's authorities has run out.",
        "expired_certificate": "The sender's ticket, or one above it, is outside the time it is valid in.",
        "outside_region": "The sender is outside the region its ticket is valid in.",
        "permission_denied": "The sender's ticket does not permit it to say this.",
        "header_profile": "The message does not have the form its kind must have.",
        "content_mismatch": "Parts of the message contradict each other.",
        "untrusted_time": "This unit does not know the time well enough to judge.",
        "malformed": "What arrived cannot be read as a message.",
        "priority_role_not_permitted": "The ticket shows no emergency vehicle and no public transport: nobody else is let through.",
        "priority_in_others_name": "The request names another station than the message that carries it.",
        "priority_wrong_time": "The request is not of now, or the vehicle comes too late or too far ahead.",
        "priority_too_far": "The vehicle is too far from the junction, or does not say where it is.",
        "priority_no_such_way": "There is no such way across this junction.",
        "priority_no_lights": "No lights rule the way that is asked for.",
        "priority_too_many": "More is asked for than can be kept.",
        "no_state": "The controller gives no state of its lights.",
        "clock": "The unit's clock was set, so what the controller announced before is void.",
        "contradiction": "What the controller says contradicts itself or its setup.",
        "wrong_groups": "The controller does not tell of the signal groups of the map.",
        "no_phase": "The controller tells no phase of a signal group.",
        "conflict": "Signal groups that cross are green at once.",
        "overdue": "A phase lasts longer than was promised.",
        "ends": "The ends of phases that the controller announces contradict each other.",
        "short_green": "A green was shorter than it may be.",
        "short_amber": "An amber was shorter than it may be.",
        "intergreen": "Between two greens that cross there was too little time.",
        "map_revision": "The controller was set up for another revision of the map.",
        "enabled_lane": "The controller opens a lane that the map does not call revocable.",
        "other": "For reasons too many to count apart.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reason that was given.

    Attributes:
        source: what refused: `radio`, or a part of the unit.
        reason: the word it is counted under.
        words: the same for a person.
        count: how often since the unit started.
        last_ms: UTC of the look that found it given last, in ms; None where UTC was not known.
    """

    source: str
    reason: str
    words: str
    count: int
    last_ms: int | None


class RecentRefusals:
    """Remembers when each counter grew last."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Refusal] = {}

    def look(self, source: str, counts: Mapping[str, int], at_ms: int | None) -> bool:
        """Take the counters of one source; return whether any of them grew."""
        grew = False
        for reason, count in counts.items():
            key = (source, reason)
            before = self._known.get(key)
            if before is not None and before.count == count:
                continue
            self._known.pop(key, None)
            words = WORDS.get(reason) or plain_words(reason)
            self._known[key] = Refusal(source=source, reason=reason, words=words, count=count, last_ms=at_ms)
            grew = True
        while len(self._known) > MAX_KEPT:
            del self._known[next(iter(self._known))]
        return grew

    @property
    def latest(self) -> tuple[Refusal, ...]:
        """What was refused, the reason given last first."""
        return tuple(reversed(list(self._known.values())))[:MAX_SHOWN]


def plain_words(reason: str) -> str:
    """Return a counter's name as a sentence."""
    plain = reason.replace("_", " ").strip()
    return f"{plain[:1].upper()}{plain[1:]}." if plain else reason


def refusals_in(status: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Yield what other parts of the unit refused, as its status tells: the controller's datagrams, and what the guard doubted."""
    junction = section(status, "junction")
    yield "signal controller", _counts(section(section(junction, "controller"), "refused"))
    yield "guard", _counts(section(junction, "doubts"))
    counters = _counts(section(section(status, "priority"), "counters"))
    yield "priority", {name: count for name, count in counters.items() if name.startswith(PRIORITY_PREFIX)}


def _counts(told: Mapping[str, object]) -> Mapping[str, int]:
    return {name: count for name, count in told.items() if isinstance(count, int) and count > 0}
