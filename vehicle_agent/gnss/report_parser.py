"""What the language of a receiver is to the shell: octets in, fixes out; one parser for each, gpsd's and NMEA 0183."""

from collections.abc import Mapping
from typing import Protocol

from shared.core.clock import MonotonicNs
from vehicle_agent.gnss.fix import Fix


class ReportParser(Protocol):
    """Reads what a receiver says; lives longer than a connection to it."""

    @property
    def greeting(self) -> bytes:
        """What is said first on every new connection; may be empty."""
        ...

    @property
    def faults(self) -> Mapping[str, int]:
        """What could not be read so far, by kind."""
        ...

    def restart(self) -> None:
        """Begin anew: a connection has been opened."""
        ...

    def receive(self, octets: bytes, now: MonotonicNs) -> tuple[Fix, ...]:
        """Take what came and return the fixes it completes.

        Raises:
            DecodeError: whoever speaks there does not speak this language; the connection is of no use.
        """
        ...

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` wants to be called, or None."""
        ...

    def poll(self, now: MonotonicNs) -> tuple[Fix, ...]:
        """Return the fixes that a silence completes."""
        ...

    def status(self) -> dict[str, object]:
        """Return what is known of the receiver, as JSON values."""
        ...
