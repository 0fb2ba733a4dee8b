"""ML-DSA-44 (FIPS 204) public keys, where the cryptographic library has them.

Witnesses begin to cosign with it (C2SP tlog-cosignature, signature type 06). A library without it costs nobody anything until a
policy names such a witness: that policy is then refused with a sentence that says what is missing, for a witness that cannot be
checked must not look like one that is away. Left out: signing with ML-DSA-44.
"""

from functools import lru_cache
from typing import Protocol

from shared.core.errors import DecodeError

try:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
except ImportError:
    HAS_ML_DSA = False
else:
    HAS_ML_DSA = True

PUBLIC_KEY_BYTES = 1_312
SIGNATURE_BYTES = 2_420

MAX_LOADED_KEYS = 128


class LoadedKey(Protocol):
    """A public key of the library, ready to verify."""

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return if the signature holds, else raise the library's `InvalidSignature`."""
        ...


@lru_cache(maxsize=MAX_LOADED_KEYS)
def load_public_key(encoded: bytes) -> LoadedKey:
    """Return the key, ready to verify; raise `DecodeError` unless it is one and this machine can use it.

    Every octet string of the right length is a key (FIPS 204, algorithm 23): there is no point of low order to refuse.
    """
    if len(encoded) != PUBLIC_KEY_BYTES:
        raise DecodeError("public_key", f"an ML-DSA-44 public key has {PUBLIC_KEY_BYTES} bytes, not {len(encoded)}")
    if not HAS_ML_DSA:
        raise DecodeError("public_key", "an ML-DSA-44 key, which the cryptographic library of this machine is too old for")
    return MLDSA44PublicKey.from_public_bytes(encoded)
