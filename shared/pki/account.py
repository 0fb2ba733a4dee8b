"""What the upkeep of an identity stands on: long-term keys and credentials, keys of tickets, and who the authorities are.

Protocols: files, tokens and lists implement them elsewhere.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.core.clock import Instant
from shared.core.itstime import Time64
from shared.pki.key_source import KeySource
from shared.security.certificate import Certificate
from shared.security.ecdsa import Signer
from shared.security.sign import TicketCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPoint:
    """An authority whose chain held, and where stations reach it."""

    certificate: Certificate
    url: str


class Authorities(Protocol):
    """Which authorities serve this station: from the trust lists."""

    def enrolment_authority(self, now: Instant, *, issued: Certificate | None) -> AccessPoint | None:
        """Return the EA that issued a credential (None: the one to ask for the first), or None while no list names it."""
        ...

    def successor(self, now: Instant, *, issued: Certificate) -> AccessPoint | None:
        """Return the EA to go over to where no list names the one that issued a credential any more; None while one does."""
        ...

    def authorization_authority(self, now: Instant) -> AccessPoint | None:
        """Return the AA, or None while no list names one."""
        ...


class Account(Protocol):
    """The station's long-term identity and its keys."""

    @property
    def current(self) -> TicketCredential | None:
        """The enrolment credential in use."""
        ...

    def canonical(self) -> Signer:
        """Return the key the enrolment authority knows before it issued anything."""
        ...

    def next_key(self) -> Signer:
        """Return the key for the next credential."""
        ...

    def keep(self, certificate: Certificate, *, authority: Certificate) -> TicketCredential:
        """Keep a credential for `next_key`, and who issued it, and use it from now on."""
        ...


class TicketKeys(Protocol):
    """Keys of tickets: kept before they are asked about, with the ticket once it came."""

    def prepare(self, keys: KeySource, at: Time64) -> Signer:
        """Return a key for a ticket: one whose ticket never came, or a fresh one, which is kept when this returns."""
        ...

    def grant(self, certificate: Certificate) -> TicketCredential:
        """Keep the ticket beside its key."""
        ...
