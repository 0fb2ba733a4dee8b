"""The hashes of IEEE 1609.2: over certificates, for their identifiers, and the digest that is signed (5.3.1, 6.3.3-6.3.5).

    digest to sign = H( H(to-be-signed octets) || H(canonical signer certificate) )

where the second hash is the certificate's digest, made once per certificate; the empty string stands in for the certificate when a
structure is signed by its own key. H is SHA-256 under a 256-bit key and SHA-384 under a 384-bit key. Left out: SM3.
"""

from collections.abc import Callable
from enum import Enum
from hashlib import sha256, sha384
from typing import Protocol

from shared.core.ids import HashedId3, HashedId8


class Hash(Protocol):
    """A hash over what it was begun with."""

    def digest(self) -> bytes:
        """Return it."""
        ...


class HashAlgorithm(Enum):
    """IEEE 1609.2 `HashAlgorithm`; the value is its number on the wire."""

    SHA256 = 0
    SHA384 = 1

    @property
    def octets(self) -> int:
        """Octets of a digest."""
        return 32 if self is HashAlgorithm.SHA256 else 48

    @property
    def begin(self) -> Callable[[bytes], "Hash"]:
        """The library's own constructor, for who hashes with one algorithm again and again."""
        return sha256 if self is _SHA256 else sha384

    def digest(self, octets: bytes) -> bytes:
        """Hash `octets`."""
        return sha256(octets).digest() if self is _SHA256 else sha384(octets).digest()


_SHA256 = HashAlgorithm.SHA256


def hashed_id8(certificate_digest: bytes) -> HashedId8:
    """Return the last eight octets of a certificate's hash."""
    return HashedId8(certificate_digest[-8:])


def hashed_id3(identifier: bytes) -> HashedId3:
    """Return the last three octets of a certificate's hash or of its `HashedId8`."""
    return HashedId3(identifier[-3:])


def signed_digest(algorithm: HashAlgorithm, tbs_digest: bytes, signer_certificate: bytes) -> bytes:
    """Return the digest that is signed.

    Args:
        algorithm: the hash of the signing key.
        tbs_digest: hash of the to-be-signed octets.
        signer_certificate: canonical octets of the signer's certificate, empty when signed by the key inside.
    """
    return algorithm.digest(tbs_digest + algorithm.digest(signer_certificate))
