"""The air between stations: range, loss and delay from one seed, deliveries in one order, every frame on record.

A frame reaches each other antenna within `range_m`; near the edge of the range more and more are lost. It arrives after its airtime
at 6 Mbit/s (ITS-G5 default rate), its way at the speed of light, and a receiver's own latency. Chance is drawn per receiver in the
order the antennas were put up, so the same seed gives the same air. Left out: collisions, shadowing by buildings, channel access.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import hypot
from random import Random

from shared.core.clock import NS_PER_S, NS_PER_US, MonotonicNs
from shared.core.errors import TransportError
from simulator.options import AttackerKind

DEFAULT_RANGE_M = 300.0
DEFAULT_LOSS = 0.01
EDGE_SHARE = 0.8
"""From this share of the range on, loss grows linearly to one at the range itself."""

BITS_PER_S = 6_000_000
PREAMBLE_US = 40
LIGHT_MPS = 299_792_458.0
MIN_LATENCY_US, MAX_LATENCY_US = 100, 900
"""A receiver's own latency from antenna to program."""

MAX_IN_FLIGHT = 100_000
"""More deliveries than this under way at once mean a station that floods the air; the next frame is an error."""

MAX_ANTENNAS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame on the air.

    Attributes:
        number: counts frames from 0.
        sender: the antenna that sent it.
        packet: from the GeoNetworking Basic Header on.
        sent: when its first bit left.
        source_mac: link-layer address it is sent from, None for whoever hides it.
        attack: what it is if an attacker sent it, else None. Ground truth: no station sees it.
        copy_of: number of the frame of which it is a verbatim copy, or None.
    """

    number: int
    sender: int
    packet: bytes
    sent: MonotonicNs
    source_mac: bytes | None = None
    attack: AttackerKind | None = None
    copy_of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A frame that arrives at one antenna."""

    at: MonotonicNs
    receiver: int
    frame: Frame


class Medium:
    """The air.

    Args:
        rng: the only source of chance.
        on_frame: told of every frame once, at the moment it is sent (records, counters).
        range_m: how far a frame reaches.
        loss: share of frames lost well within range, 0..1.
    """

    def __init__(
        self,
        rng: Random,
        *,
        on_frame: Callable[[Frame], None],
        range_m: float = DEFAULT_RANGE_M,
        loss: float = DEFAULT_LOSS,
    ) -> None:
        if not (0.0 <= loss <= 1.0 and range_m > 0.0):
            raise ValueError(f"no such air: range {range_m} m, loss {loss}")
        self._rng = rng
        self._on_frame = on_frame
        self._range_m = range_m
        self._loss = loss
        self._antennas: list[tuple[float, float]] = []
        self._ranges_m: list[float] = []
        self._arrivals: list[tuple[MonotonicNs, int, Delivery]] = []
        self._frames = 0
        self._drawn = 0
        self.lost = 0

    def put_up(self, east_m: float, north_m: float, *, range_m: float | None = None) -> int:
        """Add an antenna and return its number; `range_m` is how far it reaches if not as far as all."""
        if len(self._antennas) >= MAX_ANTENNAS:
            raise TransportError("medium", f"more than {MAX_ANTENNAS} antennas")
        self._antennas.append((east_m, north_m))
        self._ranges_m.append(self._range_m if range_m is None else range_m)
        return len(self._antennas) - 1

    def move(self, antenna: int, east_m: float, north_m: float) -> None:
        """Say where an antenna is now."""
        self._antennas[antenna] = (east_m, north_m)

    def position(self, antenna: int) -> tuple[float, float]:
        """Return where an antenna is, metres east and north."""
        return self._antennas[antenna]

    def send(
        self,
        sender: int,
        packet: bytes,
        now: MonotonicNs,
        *,
        source_mac: bytes | None = None,
        attack: AttackerKind | None = None,
        copy_of: int | None = None,
    ) -> Frame:
        """Put a packet on the air.

        Raises:
            TransportError: more than `MAX_IN_FLIGHT` deliveries are under way.
        """
        frame = Frame(
            number=self._frames, sender=sender, packet=packet, sent=now, source_mac=source_mac, attack=attack, copy_of=copy_of
        )
        self._frames += 1
        self._on_frame(frame)
        airtime_ns = PREAMBLE_US * NS_PER_US + len(packet) * 8 * NS_PER_S // BITS_PER_S
        here, range_m = self._antennas[sender], self._ranges_m[sender]
        for receiver, there in enumerate(self._antennas):
            if receiver == sender:
                continue
            distance = hypot(there[0] - here[0], there[1] - here[1])
            if distance >= range_m:
                continue
            lost = self._rng.random() < self._loss_at(distance / range_m)
            latency_us = self._rng.uniform(MIN_LATENCY_US, MAX_LATENCY_US)
            if lost:
                self.lost += 1
                continue
            if len(self._arrivals) >= MAX_IN_FLIGHT:
                raise TransportError("medium", f"more than {MAX_IN_FLIGHT} deliveries under way")
            way_ns = round(distance / LIGHT_MPS * NS_PER_S) + round(latency_us * NS_PER_US)
            at = MonotonicNs(now + airtime_ns + way_ns)
            heappush(self._arrivals, (at, self._drawn, Delivery(at=at, receiver=receiver, frame=frame)))
            self._drawn += 1
        return frame

    def next_arrival(self) -> MonotonicNs | None:
        """Return when the next delivery is due, or None if the air is empty."""
        return self._arrivals[0][0] if self._arrivals else None

    def arrived(self, now: MonotonicNs) -> Delivery | None:
        """Return the earliest delivery due by `now`, or None; ties arrive in the order they were sent."""
        if self._arrivals and self._arrivals[0][0] <= now:
            return heappop(self._arrivals)[2]
        return None

    def reaches(self, antenna: int, other: int) -> bool:
        """Whether `other` lies within the range of `antenna`."""
        (a_east, a_north), (b_east, b_north) = self._antennas[antenna], self._antennas[other]
        return hypot(a_east - b_east, a_north - b_north) < self._ranges_m[antenna]

    def _loss_at(self, share_of_range: float) -> float:
        beyond = (share_of_range - EDGE_SHARE) / (1.0 - EDGE_SHARE)
        return self._loss + (1.0 - self._loss) * min(max(beyond, 0.0), 1.0)
