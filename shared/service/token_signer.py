"""A private key that only a token can use: each signature is asked of the key store that has it."""

from typing import Protocol

from shared.core.errors import EncodeError
from shared.security.ecdsa import Curve, PublicKey, Signature


class SigningStore(Protocol):
    """The key store of a token."""

    def sign(self, name: str, public_key: PublicKey, digest: bytes) -> Signature:
        """Sign with the key of that name, which must be the one of `public_key`; raises `TokenError`."""
        ...


class TokenSigner:
    """A private key inside a token; for one thread at a time.

    Args:
        store: where it is.
        name: its name there.
        public_key: its public half.
    """

    __slots__ = ("_name", "_store", "public_key")

    def __init__(self, store: SigningStore, name: str, public_key: PublicKey) -> None:
        self._store = store
        self._name = name
        self.public_key = public_key

    @property
    def curve(self) -> Curve:
        """The key's curve."""
        return self.public_key.curve

    def sign_digest(self, digest: bytes) -> Signature:
        """Sign `digest`, octets of the curve's hash.

        Raises:
            EncodeError: it has another length.
            TokenError: the token does not answer, is locked or went away, is another one, or has the key no longer.
        """
        if len(digest) != self.curve.hash_algorithm.octets:
            raise EncodeError("digest", f"{len(digest)} octets for {self.curve.value}")
        return self._store.sign(self._name, self.public_key, digest)

    def __repr__(self) -> str:
        return f"TokenSigner({self._name!r}, {self.public_key!r})"
