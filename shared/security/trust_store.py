"""Which roots a station trusts, which authorities it knows below them, and what it must not believe (TS 102 940, TS 103 097 6.1).

A root is trusted because an operator, or a trust list manager the operator pinned, says so; nothing heard on the air can add one.
An authority here is only known: its chain is checked like any other. The store is a value: changed trust lists make a new one
(`trust_lists_held`), and whoever judges by the old one is told with `change_trust`.

    revoked    by root: a root's list reaches only certificates whose chain ends at that root, itself included
    outdated   roots whose lists ran out: nothing new below them is believed, what is known goes on
    openness   whether an authority must be proven to be in a transparency log
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from shared.core.errors import ConfigError
from shared.core.ids import HashedId8
from shared.security.certificate import Certificate
from shared.security.hashing import hashed_id8

MAX_TRUST_STORE_CERTIFICATES = 1_024
"""Roots, and likewise authorities, in one store."""


@dataclass(frozen=True, slots=True)
class EveryAuthority:
    """The operator asks for no transparency log: an authority counts as soon as its chain holds."""

    def is_open(self, authority: Certificate) -> bool:  # noqa: ARG002 - every one is
        """Say yes."""
        return True


@dataclass(frozen=True, slots=True)
class LoggedAuthorities:
    """Only authorities proven to be in the transparency log count.

    Attributes:
        digests: hashes of their certificates.
    """

    digests: frozenset[bytes]

    def is_open(self, authority: Certificate) -> bool:
        """Say whether the authority is one of them, under either of its two signatures."""
        return authority.digest in self.digests or authority.mirror_digest in self.digests


Openness = EveryAuthority | LoggedAuthorities


class TrustStore:
    """Trusted roots and known authorities, by identifier.

    Args:
        roots: self-signed certificates that are trusted.
        authorities: certificates of enrolment and authorization authorities, and of sub-authorities.
        openness: which authorities count at all.
        revoked: identifiers of revoked certificates by the root that revoked them.
        outdated: roots below which nothing new is believed.

    Raises:
        ConfigError: a root is not self-signed or an authority is, two certificates share an identifier, or there are too many.
    """

    __slots__ = ("_authorities", "_revoked", "_roots", "openness", "outdated")

    def __init__(
        self,
        roots: tuple[Certificate, ...],
        authorities: tuple[Certificate, ...],
        *,
        openness: Openness,
        revoked: Mapping[HashedId8, frozenset[HashedId8]],
        outdated: frozenset[HashedId8],
    ) -> None:
        for root in roots:
            if not root.is_self_signed:
                raise ConfigError("trust store: roots", f"certificate {root.hashed_id8.hex()} is not self-signed")
        for authority in authorities:
            if authority.is_self_signed:
                reason = f"certificate {authority.hashed_id8.hex()} is self-signed: it belongs to the roots"
                raise ConfigError("trust store: authorities", reason)
        self._roots = _by_identifier(roots, "roots")
        self._authorities = _by_identifier(authorities, "authorities")
        self._revoked = {root: revoked[root] for root in self._roots if revoked.get(root)}
        self.openness: Openness = openness
        self.outdated = outdated.intersection(self._roots)

    @classmethod
    def of_operator(cls, roots: tuple[Certificate, ...], authorities: tuple[Certificate, ...]) -> Self:
        """Make a store of what the operator put here by hand: no list that could run out or revoke, every authority counts."""
        return cls(roots, authorities, openness=EveryAuthority(), revoked={}, outdated=frozenset())

    @property
    def roots(self) -> Mapping[HashedId8, Certificate]:
        """The trusted roots."""
        return self._roots

    @property
    def authorities(self) -> Mapping[HashedId8, Certificate]:
        """The known authorities."""
        return self._authorities

    def revoked_by(self, root: HashedId8) -> frozenset[HashedId8]:
        """Return what a root has revoked; meant for certificates whose chain ends there, and for no others."""
        return self._revoked.get(root, frozenset())

    def revokes(self, root: HashedId8, certificate: Certificate) -> bool:
        """Say whether a root has revoked a certificate whose chain ends there."""
        revoked = self._revoked.get(root)
        return revoked is not None and is_named(certificate, revoked)

    def path_to_root(self, authority: HashedId8) -> tuple[Certificate, ...]:
        """Return a known authority (or root) and those above it, the root last; empty where it leads to no known root."""
        path: dict[HashedId8, Certificate] = {}
        identifier: HashedId8 | None = authority
        while identifier is not None and identifier not in path:
            certificate = self._roots.get(identifier) or self._authorities.get(identifier)
            if certificate is None:
                break
            path[identifier] = certificate
            if identifier in self._roots:
                return tuple(path.values())
            identifier = certificate.issuer.hashed_id8
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrustStore) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    @property
    def _value(self) -> tuple[object, ...]:
        roots = frozenset(root.digest for root in self._roots.values())
        authorities = frozenset(authority.digest for authority in self._authorities.values())
        return roots, authorities, self.openness, frozenset(self._revoked.items()), self.outdated


def is_named(certificate: Certificate, identifiers: frozenset[HashedId8]) -> bool:
    """Say whether a certificate is among those named, under either of its two signatures."""
    return certificate.hashed_id8 in identifiers or hashed_id8(certificate.mirror_digest) in identifiers


def _by_identifier(certificates: tuple[Certificate, ...], kind: str) -> Mapping[HashedId8, Certificate]:
    if len(certificates) > MAX_TRUST_STORE_CERTIFICATES:
        raise ConfigError(f"trust store: {kind}", f"{len(certificates)} certificates, at most {MAX_TRUST_STORE_CERTIFICATES}")
    found: dict[HashedId8, Certificate] = {}
    for certificate in certificates:
        known = found.setdefault(certificate.hashed_id8, certificate)
        if known.digest != certificate.digest:
            raise ConfigError(f"trust store: {kind}", f"two certificates share the identifier {certificate.hashed_id8.hex()}")
    return MappingProxyType(found)
