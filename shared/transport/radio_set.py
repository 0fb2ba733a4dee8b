"""Several radios behind one object: a packet goes out by those it is meant for, and what any of them hears comes in, with its name.

Every radio stands alone: one that fails, closes or is flooded keeps nothing from the others. Of what they hear, one packet is taken
of each in turn, so that a busy link cannot silence a quiet one; behind the radios' own bounded queues at most `AHEAD_PACKETS` of
each wait here. A medium that comes and goes is told by name, once each time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Protocol, runtime_checkable

from shared.core.errors import TransportError
from shared.core.geo import GeoPoint
from shared.transport.radio import Radio, RadioCounts, ReceivedPacket

MAX_RADIOS = 8
"""Links of one station."""

AHEAD_PACKETS = 256
"""Packets of one radio that wait for their turn outside its own queue: all that a radio reads in two turns of the event loop, so
that the set is never slower than its radios. Otherwise their queues would overflow, which drop what is oldest, whatever it is."""


class RadioListener(Protocol):
    """Wants to know when a radio comes and goes, such as a log."""

    def lost(self, reason: str) -> None:
        """The medium is away, or refused a packet."""
        ...

    def works(self) -> None:
        """The medium carried a packet, or is back."""
        ...


@runtime_checkable
class TellsMore(Protocol):
    """A radio with more to say of itself than counts."""

    def status(self) -> dict[str, object]:
        """Return JSON values."""
        ...


@runtime_checkable
class HandsOverLater(Protocol):
    """A radio that takes a packet before its medium does."""

    async def drained(self) -> None:
        """Wait until the medium has all that was sent and is still of use."""
        ...


class _Link:
    """One radio of the set."""

    def __init__(self, name: str, radio: Radio, listener: RadioListener) -> None:
        self.name = name
        self.radio = radio
        self.ahead: deque[ReceivedPacket] = deque()
        self.has_space = asyncio.Event()
        self.pump: asyncio.Task[None] | None = None
        self.unsent = 0
        self.end: TransportError | None = None
        self._listener = listener
        self._told: str | None = None

    def lost(self, reason: str) -> None:
        self._told = reason
        self._listener.lost(reason)

    def look(self) -> None:
        """Tell whether the medium is away, or back."""
        fault = self.radio.fault
        if fault is not None:
            if fault != self._told:
                self.lost(fault)
        elif self.end is None:
            self._told = None
            self._listener.works()


class RadioSet:
    """The radios of one station; needs a running event loop once it is received from.

    Args:
        radios: opened, by their names, 1..`MAX_RADIOS`; closed with the set.
        listener_for: makes the one who is told of a radio of that name.
    """

    def __init__(self, radios: Mapping[str, Radio], *, listener_for: Callable[[str], RadioListener]) -> None:
        if not 1 <= len(radios) <= MAX_RADIOS:
            raise ValueError(f"{len(radios)} radios are not within 1 to {MAX_RADIOS}")
        self._links = {name: _Link(name, radio, listener_for(name)) for name, radio in radios.items()}
        self._turn: deque[_Link] = deque(self._links.values())
        self._arrived = asyncio.Event()
        self._unknown_links = 0
        self._is_closed = False

    @property
    def names(self) -> frozenset[str]:
        """What the radios are called; a link of the router is one of these."""
        return frozenset(self._links)

    @property
    def counts(self) -> dict[str, RadioCounts]:
        """What each radio has done so far."""
        return {name: link.radio.counts for name, link in self._links.items()}

    def status(self) -> dict[str, object]:
        """Return what there is to know of each radio, as JSON values by its name."""
        told: dict[str, object] = {}
        for name, link in self._links.items():
            more = link.radio.status() if isinstance(link.radio, TellsMore) else {}
            fault = link.radio.fault if link.end is None else link.end.reason
            told[name] = {**asdict(link.radio.counts), "unsent": link.unsent, "is_up": fault is None, "fault": fault, **more}
        return told

    async def send(self, packet: bytes, *, links: frozenset[str] | None = None, source_mac: bytes) -> frozenset[str]:
        """Transmit one packet by the radios of those names, or by all; what one refuses is told and counted, never raised.

        Args:
            packet: from the Basic Header on.
            links: names of radios; None for all of them.
            source_mac: our link-layer address.

        Returns:
            The names of those that took it.
        """
        took: set[str] = set()
        for name, link in self._links.items():
            if links is not None and name not in links:
                continue
            try:
                await link.radio.send(packet, source_mac=source_mac)
            except TransportError as failure:
                link.unsent += 1
                link.lost(failure.reason)
            else:
                took.add(name)
                link.look()
        return frozenset(took)

    async def receive(self) -> tuple[str, ReceivedPacket]:
        """Wait for the next packet of any radio, one of each in turn.

        Returns:
            The radio's name, and what it heard.

        Raises:
            TransportError: no radio is left that could hear, and all was taken.
        """
        for link in self._turn:
            if link.pump is None and not self._is_closed:
                link.pump = asyncio.create_task(self._take_from(link), name=f"radio {link.name}")
        while True:
            for _ in range(len(self._turn)):
                link = self._turn[0]
                self._turn.rotate(-1)
                if link.ahead:
                    link.has_space.set()
                    return link.name, link.ahead.popleft()
            if self._is_closed or all(link.end is not None for link in self._turn):
                raise next((link.end for link in self._turn if link.end is not None), TransportError("radios", "closed"))
            self._arrived.clear()
            await self._arrived.wait()

    def attend(self, position: GeoPoint | None) -> None:
        """Say where we are, None while that is not known, and look at media that came or went unasked; once a second will do."""
        for link in self._links.values():
            if position is not None:
                link.radio.attend(position)
            link.look()

    async def handed_over(self, patience_s: float) -> bool:
        """Wait until every medium has what was sent by it, at most for so many seconds; return whether all have.

        Media that take a packet when it is sent are not waited for.
        """
        radios = [link.radio for link in self._links.values()]
        waits = [asyncio.create_task(radio.drained()) for radio in radios if isinstance(radio, HandsOverLater)]
        if not waits:
            return True
        _done, pending = await asyncio.wait(waits, timeout=patience_s)
        for each in pending:
            each.cancel()
        return not pending

    def close(self) -> None:
        """Close every radio; closing twice is harmless."""
        self._is_closed = True
        for link in self._links.values():
            link.radio.close()
            if link.pump is not None:
                link.pump.cancel()
        self._arrived.set()

    async def _take_from(self, link: _Link) -> None:
        while True:
            while len(link.ahead) >= AHEAD_PACKETS:
                link.has_space.clear()
                await link.has_space.wait()
            try:
                heard = await link.radio.receive()
            except TransportError as end:
                link.end = end
                if not self._is_closed:
                    link.lost(end.reason)
                self._arrived.set()
                return
            link.ahead.append(heard)
            self._arrived.set()
