"""What an enrolment authority remembers: who may enrol, which credentials it issued, what it granted and what it answered.

The protocol; tables in a file implement it elsewhere. An authorization authority needs the kept answers alone, and is handed
nothing else, so that it has no place to write down whose ticket it issued.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from shared.core.ids import HashedId8
from shared.core.itstime import Time32
from shared.pki.permission_sets import StationRole
from shared.security.certificate import Certificate
from shared.security.ecdsa import PublicKey
from shared.security.validity import Validity


class StationStatus(Enum):
    """Whether a station is served; the value is the word in tables and on the command line."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    """It gets no credentials and no tickets any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredStation:
    """A station its maker registered before it first spoke.

    Attributes:
        its_id: the canonical identifier its first request names.
        canonical_key: the key built in at manufacture, which signs that request.
        role: which permissions its tickets may have.
    """

    its_id: bytes
    canonical_key: PublicKey
    role: StationRole
    status: StationStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCredential:
    """An enrolment credential this authority issued, and to whom."""

    its_id: bytes
    certificate: Certificate
    is_revoked: bool


class KeptAnswers(Protocol):
    """Answers by the hash of what was asked: a request that comes again gets the same answer and no second certificate."""

    def answer_to(self, request_hash: bytes) -> bytes | None:
        """Return the very octets answered before, or None; `request_hash` is `OpenedRequest.identity`."""
        ...

    def keep_answer(self, request_hash: bytes, answer: bytes, *, kept_until: Time32) -> None:
        """Keep an answer, durably when this returns; from `kept_until` on it may be forgotten."""
        ...


class Registry(KeptAnswers, Protocol):
    """The memory of one enrolment authority."""

    def station(self, its_id: bytes) -> RegisteredStation | None:
        """Return a station by its canonical identifier, or None."""
        ...

    def credential(self, hashed_id8: HashedId8) -> IssuedCredential | None:
        """Return a credential this authority issued, or None."""
        ...

    def keep_credential(self, its_id: bytes, certificate: Certificate) -> None:
        """Keep a credential, durably when this returns."""
        ...

    def credentials_issued(self, its_id: bytes) -> int:
        """Return how many credentials a station was ever issued."""
        ...

    def tickets_granted(self, its_id: bytes, since: Time32, until: Time32) -> int:
        """Return how many grants of a station overlap the time from `since` up to, not including, `until`."""
        ...

    def keep_grant(self, its_id: bytes, validity: Validity) -> None:
        """Count one ticket granted to a station, durably when this returns."""
        ...


def its_id_text(its_id: bytes) -> str:
    """Return a canonical identifier as people read it: itself if it is plain ASCII text, else in hexadecimal digits."""
    if its_id.isascii() and its_id.decode("ascii").isprintable():
        return its_id.decode("ascii")
    return its_id.hex()
