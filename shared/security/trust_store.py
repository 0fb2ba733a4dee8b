"""Which roots a station trusts, and the authorities it knows below them (TS 102 940, TS 103 097 clause 6.1).

A root is trusted because an operator put it here; nothing received can add one. An authority here is only known: its chain is
checked like any other. The store is a value; a changed trust list makes a new store. Left out: CTL and CRL, which will fill it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from shared.core.errors import ConfigError
from shared.core.ids import HashedId8
from shared.security.certificate import Certificate

MAX_TRUST_STORE_CERTIFICATES = 1_024
"""Roots, and likewise authorities, in one store."""


class TrustStore:
    """Trusted roots and known authorities, by identifier.

    Args:
        roots: self-signed certificates the operator trusts.
        authorities: certificates of enrolment and authorization authorities, and of sub-authorities.

    Raises:
        ConfigError: a root is not self-signed or an authority is, two certificates share an identifier, or there are too many.
    """

    __slots__ = ("_authorities", "_roots")

    def __init__(self, roots: tuple[Certificate, ...], authorities: tuple[Certificate, ...]) -> None:
        for root in roots:
            if not root.is_self_signed:
                raise ConfigError("trust store: roots", f"certificate {root.hashed_id8.hex()} is not self-signed")
        for authority in authorities:
            if authority.is_self_signed:
                reason = f"certificate {authority.hashed_id8.hex()} is self-signed: it belongs to the roots"
                raise ConfigError("trust store: authorities", reason)
        self._roots = _by_identifier(roots, "roots")
        self._authorities = _by_identifier(authorities, "authorities")

    @property
    def roots(self) -> Mapping[HashedId8, Certificate]:
        """The trusted roots."""
        return self._roots

    @property
    def authorities(self) -> Mapping[HashedId8, Certificate]:
        """The known authorities."""
        return self._authorities


def _by_identifier(certificates: tuple[Certificate, ...], kind: str) -> Mapping[HashedId8, Certificate]:
    if len(certificates) > MAX_TRUST_STORE_CERTIFICATES:
        raise ConfigError(f"trust store: {kind}", f"{len(certificates)} certificates, at most {MAX_TRUST_STORE_CERTIFICATES}")
    found: dict[HashedId8, Certificate] = {}
    for certificate in certificates:
        known = found.setdefault(certificate.hashed_id8, certificate)
        if known.digest != certificate.digest:
            raise ConfigError(f"trust store: {kind}", f"two certificates share the identifier {certificate.hashed_id8.hex()}")
    return MappingProxyType(found)
