"""Tampering: genuine packets with a bit flipped in what was signed or in the signature, or cut short, sent again at once.

The attacker knows the formats: a flipped bit lies in the facilities message or in the signature's scalar, so the packet stays
well-formed and only cryptography can tell; a cut packet tests that malformed input is refused and nothing else happens.
"""

from collections import deque
from enum import Enum
from random import Random

from shared.core.clock import NS_PER_MS, Instant, MonotonicNs
from shared.core.errors import DecodeError
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.network.packet import decode_gn_payload
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data
from simulator.adversaries import AttackPacket
from simulator.options import AttackerKind

SHARE = 0.06
"""Share of the overheard packets that is tampered with."""

DELAY_NS = (15 * NS_PER_MS, 80 * NS_PER_MS)
MAX_KEPT = 128
"""Packets in work; when full, no more are taken."""


class Target(Enum):
    """Which part of a packet is changed; drawn with equal chance."""

    MESSAGE = "message"
    SIGNATURE = "signature"
    LENGTH = "length"


class Tamperer:
    """Changes what it overhears.

    Args:
        rng: the only source of chance.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._queue: deque[tuple[MonotonicNs, bytes]] = deque()

    @property
    def kind(self) -> AttackerKind:
        """Tampered."""
        return AttackerKind.TAMPERED

    def overhear(self, number: int, packet: bytes, now: Instant) -> None:  # noqa: ARG002  # a changed packet is nobody's copy
        """Take some of the packets to work on."""
        if self._rng.random() >= SHARE:
            return
        target = self._rng.choice(tuple(Target))
        chance = self._rng.random()
        bit = self._rng.randrange(8)
        wait = self._rng.randrange(*DELAY_NS)
        changed = tampered(packet, target, chance, bit)
        if changed is not None and len(self._queue) < MAX_KEPT:
            after = self._queue[-1][0] if self._queue else MonotonicNs(0)
            self._queue.append((MonotonicNs(max(now.monotonic + wait, after)), changed))

    def next_due(self) -> MonotonicNs | None:
        """Return when the next packet is due."""
        return self._queue[0][0] if self._queue else None

    def act(self, now: Instant) -> tuple[AttackPacket, ...]:
        """Return the changed packets that are due."""
        due = []
        while self._queue and self._queue[0][0] <= now.monotonic:
            due.append(AttackPacket(packet=self._queue.popleft()[1]))
        return tuple(due)


def tampered(packet: bytes, target: Target, chance: float, bit: int) -> bytes | None:
    """Return `packet` changed in one place, or None if it is no signed packet.

    Args:
        packet: a genuine packet.
        target: the part to change.
        chance: which octet of the part, as a share of its length in [0, 1).
        bit: which bit of the octet, 0..7.
    """
    try:
        content = decode_secured_data(packet[BASIC_HEADER_OCTETS:]).content
        if not isinstance(content, SignedData) or content.payload is None or not isinstance(content.payload.content, UnsecuredData):
            return None
        message = decode_gn_payload(content.payload.content.payload).message
    except DecodeError:
        return None
    match target:
        case Target.LENGTH:
            return packet[: BASIC_HEADER_OCTETS + int(chance * (len(packet) - BASIC_HEADER_OCTETS))]
        case Target.MESSAGE:
            begin, length = packet.find(message), len(message)
        case Target.SIGNATURE:
            begin, length = packet.rfind(content.signature.s), len(content.signature.s)
    changed = bytearray(packet)
    changed[begin + int(chance * length)] ^= 1 << bit
    return bytes(changed)
