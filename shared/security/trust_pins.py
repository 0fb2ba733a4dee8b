"""What the operator decides and no list changes: whom to trust from the start, and what must be in the transparency log."""

from dataclasses import dataclass
from typing import Protocol

from shared.security.certificate import Certificate
from shared.security.trust_store import Openness


class ListAdmission(Protocol):
    """Whether documents must be in the transparency log."""

    def check(self, document: bytes, proof: bytes | None) -> None:
        """Return if a document (a signed list, or a certificate) is admitted; raise `VerificationError(NOT_LOGGED)` otherwise."""
        ...

    def openness(self, admitted: frozenset[bytes]) -> Openness:
        """Return which authorities count, given the hashes of the certificates of those in admitted documents."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedManager:
    """A trust list manager the operator trusts.

    Attributes:
        access_point: where its list is fetched first; None to learn that from the list.
    """

    certificate: Certificate
    access_point: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedAuthority:
    """An authority the operator knows, and what shows it to be in the transparency log, where the operator asks for that."""

    certificate: Certificate
    proof: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPins:
    """What the operator has decided; no list changes it.

    Attributes:
        roots: trusted whatever managers list.
        authorities: known whatever roots list; their chains are checked all the same.
        distribution_centres: where lists of roots are fetched if no list says.
    """

    managers: tuple[PinnedManager, ...] = ()
    roots: tuple[Certificate, ...] = ()
    authorities: tuple[PinnedAuthority, ...] = ()
    distribution_centres: tuple[str, ...] = ()
