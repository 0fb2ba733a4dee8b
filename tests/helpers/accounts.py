"""A station's keys in memory: the long-term identity and those of tickets, as its upkeep wants them."""

from shared.core.errors import StorageError
from shared.core.itstime import Time64
from shared.pki.key_source import KeySource
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, Signer, SoftwareSigner
from shared.security.sign import TicketCredential


class Account:
    """A station's long-term identity in memory."""

    def __init__(self, canonical: SoftwareSigner, keys: KeySource) -> None:
        self._canonical = canonical
        self._keys = keys
        self._next: SoftwareSigner | None = None
        self.current: TicketCredential | None = None
        self.authority: Certificate | None = None
        self.is_full = False

    def canonical(self) -> Signer:
        """Return the canonical key."""
        return self._canonical

    def next_key(self) -> SoftwareSigner:
        """Return the key for the next credential."""
        self._next = self._next or self._keys.generate(Curve.NIST_P256)
        return self._next

    def keep(self, certificate: Certificate, *, authority: Certificate) -> TicketCredential:
        """Keep a credential, unless the disk is full."""
        if self.is_full:
            raise StorageError("credentials", "the disk is full")
        self.current = TicketCredential(certificate=certificate, signer=self.next_key())
        self.authority, self._next = authority, None
        return self.current


class TicketKeys:
    """Keys of tickets in memory."""

    def __init__(self) -> None:
        self.requested: SoftwareSigner | None = None

    def prepare(self, keys: KeySource, at: Time64) -> SoftwareSigner:
        """Return a key whose ticket never came, or a fresh one."""
        self.requested = self.requested or keys.generate(Curve.NIST_P256)
        return self.requested

    def grant(self, certificate: Certificate) -> TicketCredential:
        """Return the ticket with its key."""
        assert self.requested is not None
        signer, self.requested = self.requested, None
        return TicketCredential(certificate=certificate, signer=signer)
