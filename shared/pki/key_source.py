"""Where fresh private keys come from: the operating system for real ones, a seed for simulations that must repeat.

Who only signs with a key does not care where it lives, so `SigningKeySource` may as well be a token; what is encrypted to a key is
opened in memory, as is a key that goes into a file, and those come from a `KeySource`.
"""

from random import Random
from typing import Protocol

from shared.security.ecdsa import Curve, Signer, SoftwareSigner


class SigningKeySource(Protocol):
    """Makes fresh private keys that sign, wherever they live."""

    def generate(self, curve: Curve) -> Signer:
        """Return a key nobody had before."""
        ...


class KeySource(Protocol):
    """Makes fresh private keys in memory; a `SigningKeySource` too."""

    def generate(self, curve: Curve) -> SoftwareSigner:
        """Return a key nobody had before."""
        ...


class SystemKeySource:
    """Keys from the operating system's random source: the one for real stations."""

    def generate(self, curve: Curve) -> SoftwareSigner:
        """Return a fresh key."""
        return SoftwareSigner.generate(curve)


class SeededKeySource:
    """Keys drawn from a seeded generator: whoever knows the seed knows them, so for simulation and tests only.

    Signing is deterministic, so the certificates come out octet for octet the same too.

    Args:
        generator: the run's source of randomness.
    """

    def __init__(self, generator: Random) -> None:
        self._generator = generator

    def generate(self, curve: Curve) -> SoftwareSigner:
        """Return the next key of the sequence."""
        return SoftwareSigner.from_scalar(curve, self._generator.randrange(1, curve.order))
