"""Randomness as a parameter: the operating system's for real, a seeded generator's for simulations that must repeat."""

from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""Returns that many octets nobody can guess."""
