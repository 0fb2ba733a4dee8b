"""Which lists should be fetched, and from where (TS 102 941 clause 6.3; paths as European points of contact have them).

    {place}/getectl/{HashedId8}                of a trust list manager
    {place}/getctl/{HashedId8}                 full, of a root
    {place}/getctl/{HashedId8}/{sequence}      the delta that follows the list of that number
    {place}/getcrl/{HashedId8}                 of a root
    {place}/getproof/{SHA-256}                 ours: what shows a list to be in the transparency log

Identifiers are written in upper case. Places are published with and without a final slash.
"""

from dataclasses import dataclass
from hashlib import sha256

from shared.core.ids import HashedId8
from shared.security.list_sequence import ListKind

_PATHS = {ListKind.ECTL: "getectl", ListKind.ROOT_CTL: "getctl", ListKind.CRL: "getcrl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedList:
    """A list to be fetched.

    Attributes:
        issuer: whose.
        places: where to try, best first, without a final slash; empty where nobody has said.
        held_sequence: number of the CTL in force, None where there is none: then only the full list helps.
    """

    kind: ListKind
    issuer: HashedId8
    places: tuple[str, ...]
    held_sequence: int | None = None

    def url(self, place: str) -> str:
        """Return where one place has the whole list."""
        return f"{place}/{_PATHS[self.kind]}/{self.issuer.hex().upper()}"

    def delta_url(self, place: str) -> str | None:
        """Return where one place has what changed since the list held; None where there can be no such list."""
        if self.kind is not ListKind.ROOT_CTL or self.held_sequence is None:
            return None
        return f"{self.url(place)}/{self.held_sequence}"


def proof_url(place: str, document: bytes) -> str:
    """Return where a place has the proof that a document is in the transparency log."""
    return f"{place.rstrip('/')}/getproof/{sha256(document).hexdigest()}"


def tidy_places(*urls: str) -> tuple[str, ...]:
    """Return each place once, in order, without a final slash."""
    return tuple(dict.fromkeys(url.rstrip("/") for url in urls))
