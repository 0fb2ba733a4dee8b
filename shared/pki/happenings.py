"""What comes of a station's upkeep, told to its agent: as values, each complete in itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from shared.security.certificate import Certificate
from shared.security.sign import TicketCredential
from shared.security.trust_lists_held import TrustChange
from shared.security.trust_store import TrustStore


class Subject(Enum):
    """What an errand is about; the value is the word in the status."""

    LISTS = "lists"
    ENROLMENT = "enrolment"
    TICKETS = "tickets"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialGranted:
    """A new enrolment credential is in use, and who issued it."""

    credential: TicketCredential
    authority: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketGranted:
    """A new ticket is in the pool."""

    ticket: TicketCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustChanged:
    """Lists, or the passing of time, changed whom to trust.

    Attributes:
        store: whom to trust from now on.
        change: what a list changed; None where a list ran out.
    """

    store: TrustStore
    change: TrustChange | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something did not work, told when it begins and when its reason changes.

    Attributes:
        code: a stable word.
        sentence: for a person.
    """

    subject: Subject
    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was in trouble works again."""

    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFound:
    """Somebody signed what must not have been signed.

    Attributes:
        kind: the report's word: `not_logged`, `list_fork`.
        subject: identifier of who signed, as hex digits.
        sentence: for a person.
        documents: the octets that prove it, by name.
    """

    kind: str
    subject: str
    sentence: str
    documents: Mapping[str, bytes]


Happening = CredentialGranted | TicketGranted | TrustChanged | Trouble | Recovered | EvidenceFound
