"""Keccak-256 and signatures on secp256k1: the two primitives of an EVM chain that Python and OpenSSL lack.

They come from the libraries of the optional part `evm` (eth-hash with pycryptodome, eth-keys; all under MIT and BSD licences),
which are loaded at the first use, so that everything else of this project works without them.
"""

from collections.abc import Callable
from functools import cache
from typing import NewType

from shared.core.errors import ConfigError, ProofError

Address = NewType("Address", bytes)
"""An account's or contract's address, 20 octets."""

Hash32 = NewType("Hash32", bytes)
"""A Keccak-256 hash, 32 octets."""

ADDRESS_OCTETS = 20
HASH_OCTETS = 32
SEAL_OCTETS = 65
"""r || s || v, v being 0 or 1."""


def keccak256(data: bytes) -> Hash32:
    """Return the Keccak-256 hash; raise `ConfigError` where the extra `evm` is not installed."""
    return Hash32(_keccak()(data))


def recover_signer(digest: bytes, signature: bytes) -> Address:
    """Return the address whose key made a recoverable signature (r || s || v) over a hash.

    Raises:
        ProofError: it is no such signature.
        ConfigError: the extra `evm` is not installed.
    """
    if len(signature) != SEAL_OCTETS or signature[64] > 1:
        raise ProofError("a seal is not 65 octets r || s || v with v 0 or 1")
    return _recover()(digest, signature)


def missing_extra(error: ImportError) -> ConfigError:
    """Return what to say where a library of the extra is not there."""
    return ConfigError("v2x-trust[evm]", f"checkpoints on an EVM chain need it: pip install 'v2x-trust[evm]' ({error})")


@cache
def _keccak() -> Callable[[bytes], bytes]:
    try:
        from eth_hash.auto import keccak  # noqa: PLC0415 - an optional part
    except ImportError as error:
        raise missing_extra(error) from error
    return keccak


@cache
def _recover() -> Callable[[bytes, bytes], Address]:
    try:
        from eth_keys.datatypes import Signature  # noqa: PLC0415 - an optional part
        from eth_keys.exceptions import BadSignature  # noqa: PLC0415
        from eth_utils.exceptions import ValidationError  # noqa: PLC0415
    except ImportError as error:
        raise missing_extra(error) from error

    def recover(digest: bytes, signature: bytes) -> Address:
        try:
            key = Signature(signature_bytes=signature).recover_public_key_from_msg_hash(digest)
        except (BadSignature, ValidationError, ValueError) as error:
            raise ProofError("a seal is no signature on secp256k1") from error
        return Address(key.to_canonical_address())

    return recover
