"""Attackers: small sans-IO objects that overhear the air and answer with frames of their own.

An attacker has what an attacker would have: a radio, a clock and keys of its own. It never sees a key of an honest station,
and it does not know what the receivers make of its frames. `copy_of` is ground truth for the account, not part of the frame.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.core.clock import Instant, MonotonicNs
from simulator.options import AttackerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackPacket:
    """A packet an attacker sends.

    Attributes:
        packet: from the GeoNetworking Basic Header on.
        copy_of: number of the overheard frame of which it is a verbatim copy, or None.
    """

    packet: bytes
    copy_of: int | None = None


class Adversary(Protocol):
    """An attacker with a radio."""

    @property
    def kind(self) -> AttackerKind:
        """What it does."""
        ...

    def overhear(self, number: int, packet: bytes, now: Instant) -> None:
        """Take in a frame of another station; `number` is the frame's on the air."""
        ...

    def next_due(self) -> MonotonicNs | None:
        """Return when `act` next has something to send, or None."""
        ...

    def act(self, now: Instant) -> tuple[AttackPacket, ...]:
        """Return what is sent now."""
        ...
