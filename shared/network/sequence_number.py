"""Sequence numbers of geocast packets (EN 302 636-4-1 V1.4.1 clause 8.3 and annex A).

A station numbers the packets that others forward, modulo 2^16; source and number name a packet. The numbering restarts with every
pseudonym, at a number the caller draws, so that it does not link two of them.
"""

from shared.network.octets import require_unsigned

MODULUS = 1 << 16


class SequenceNumbers:
    """The running number of one station under one pseudonym.

    Args:
        first: the number `take` returns first, 0..65535; anything else raises `EncodeError`.
    """

    def __init__(self, first: int) -> None:
        self._next = require_unsigned(first, 16, "geocast.sequence_number")

    def take(self) -> int:
        """Return a number that is not used again for 65,535 packets."""
        taken = self._next
        self._next = (taken + 1) % MODULUS
        return taken


def follows(number: int, earlier: int) -> bool:
    """Say whether `number` is later than `earlier` on the circle of 2^16 (annex A)."""
    return 0 < (number - earlier) % MODULUS < MODULUS // 2
