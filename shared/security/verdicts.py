"""What was found out about certificates, good and bad, kept in a bounded memory so that no signature is checked twice.

The verdicts used least lately make room. Good ones are forgotten when the certificate's validity is over, and when trust changes so
that the chain no longer holds; bad ones whenever trust changes, for a reason may have gone.
"""

from collections import OrderedDict
from collections.abc import Callable

from shared.core.errors import VerificationError
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate
from shared.security.trusted_certificate import TrustedCertificate


class UnloggedAuthorityError(VerificationError):
    """An authority's chain holds up to a trusted root, and yet it is not shown to be in the transparency log.

    Either its proof has not reached us, or a root has made an authority in secret; then this error is the evidence.

    Args:
        chain: the authority first, then upwards, the trusted root last; every signature in it holds.
        ticket: the certificate that names the authority as its issuer, whose own signature was not looked at; None where the
            authority itself was judged.
    """

    __slots__ = ("chain", "ticket")

    def __init__(self, chain: tuple[Certificate, ...], ticket: Certificate | None) -> None:
        detail = f"authority {chain[0].hashed_id8.hex()} is not shown to be in the transparency log"
        super().__init__(VerificationReport.NOT_LOGGED, detail)
        self.chain = chain
        self.ticket = ticket

    @property
    def authority(self) -> Certificate:
        """The authority's certificate."""
        return self.chain[0]


class Verdicts:
    """Verdicts about certificates by their hash.

    Args:
        capacity: good verdicts kept, and as many bad ones.
    """

    __slots__ = ("_capacity", "_refused", "_trusted")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._trusted: OrderedDict[bytes, TrustedCertificate] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[VerificationReport, str, tuple[Certificate, ...]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._trusted) + len(self._refused)

    def find(self, certificate: Certificate) -> TrustedCertificate | None:
        """Return a good verdict, raise a bad one (`VerificationError`) anew, return None where there is none."""
        digest = certificate.digest
        trusted = self._trusted.get(digest)
        if trusted is not None:
            self._trusted.move_to_end(digest)
            return trusted
        refused = self._refused.get(digest)
        if refused is None:
            return None
        self._refused.move_to_end(digest)
        report, detail, chain = refused
        if chain:
            raise UnloggedAuthorityError(chain, None)
        raise VerificationError(report, detail)

    def trust(self, trusted: TrustedCertificate) -> None:
        """Remember a good verdict."""
        self._trusted[trusted.digest] = trusted
        if len(self._trusted) > self._capacity:
            self._trusted.popitem(last=False)

    def refuse(self, certificate: Certificate, error: VerificationError) -> None:
        """Remember a bad verdict."""
        chain = error.chain if isinstance(error, UnloggedAuthorityError) else ()
        self._refused[certificate.digest] = (error.report, error.detail, chain)
        if len(self._refused) > self._capacity:
            self._refused.popitem(last=False)

    def change_trust(self, holds: Callable[[TrustedCertificate], bool]) -> None:
        """Forget all bad verdicts, and the good ones whose chain does not hold any more."""
        self._refused.clear()
        for digest in [digest for digest, trusted in self._trusted.items() if not holds(trusted)]:
            del self._trusted[digest]

    def forget_expired(self, at: Time64) -> None:
        """Forget good verdicts about certificates whose validity is over."""
        for digest in [digest for digest, trusted in self._trusted.items() if trusted.valid_until <= at]:
            del self._trusted[digest]
