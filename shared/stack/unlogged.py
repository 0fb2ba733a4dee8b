"""Authorities that no transparency log shows, met on the air: told once each, and kept as evidence with their whole chain.

Every packet under them is refused and counted like any other refusal; this is about the root that vouches for them.
"""

from shared.security.verdicts import UnloggedAuthorityError
from shared.stack.batch import Outcome
from shared.stack.effects import Effect, Evidence, Notice

MAX_AUTHORITIES_TOLD = 64
"""Authorities told; a root that makes more has been shown to be what it is."""


class UnloggedAuthorities:
    """Which authorities were told already."""

    def __init__(self) -> None:
        self._told: set[bytes] = set()

    def look(self, outcome: Outcome) -> tuple[Effect, ...]:
        """Return evidence and a notice where a packet was refused for an authority not told yet."""
        if not isinstance(outcome, UnloggedAuthorityError):
            return ()
        authority = outcome.authority
        if authority.digest in self._told or len(self._told) >= MAX_AUTHORITIES_TOLD:
            return ()
        self._told.add(authority.digest)
        documents = {f"chain-{number}": each.encoded for number, each in enumerate(outcome.chain)}
        if outcome.ticket is not None:
            documents["ticket"] = outcome.ticket.encoded
        name = authority.hashed_id8.hex()
        fields = {"authority": name, "root": outcome.chain[-1].hashed_id8.hex(), "detail": str(outcome)}
        return (
            Evidence(kind=outcome.code, subject=name, sentence=str(outcome), documents=documents),
            Notice(outcome.code, fields),
        )
