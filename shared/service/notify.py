"""What a service tells systemd (sd_notify(3)): ready, alive, reloading, stopping, and one line of status.

Datagrams to the socket NOTIFY_SOCKET names, a path or (with `@`) an abstract name. Started by hand there is no socket and every
method does nothing. A message that cannot be delivered is counted, not raised: a service does not stop because nobody listens.

`Watchdog` is fed by the loop that does the work, never by a timer of its own: when the loop starves, so does the watchdog, and
systemd restarts the service.
"""

import os
import socket
from collections.abc import Mapping
from typing import Self

from shared.core.clock import NS_PER_US, MonotonicNs

MAX_STATUS_CHARACTERS = 256
"""Longer status lines are cut."""


class Notifier:
    """The way to systemd, or to nobody.

    Args:
        address: path or `@name` of the socket; None when nobody listens.
    """

    def __init__(self, address: str | None) -> None:
        self._address: str | None = None
        self.undelivered = 0
        if address is not None and address[:1] in {"/", "@"}:
            self._address = "\0" + address[1:] if address[0] == "@" else address

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the notifier that `NOTIFY_SOCKET` of a process environment asks for."""
        return cls(environment.get("NOTIFY_SOCKET"))

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens."""
        return self._address is not None

    def ready(self, status: str = "") -> None:
        """Tell that starting, or reloading, has finished."""
        self._send(("READY=1", *_status(status)))

    def alive(self) -> None:
        """Tell the watchdog that work goes on; call it through `Watchdog`."""
        self._send(("WATCHDOG=1",))

    def status(self, status: str) -> None:
        """Show one line in `systemctl status`."""
        self._send(_status(status))

    def reloading(self, now: MonotonicNs) -> None:
        """Tell that the configuration is being read again; `ready` ends it."""
        self._send(("RELOADING=1", f"MONOTONIC_USEC={now // NS_PER_US}"))

    def stopping(self, status: str = "") -> None:
        """Tell that the service is on its way out."""
        self._send(("STOPPING=1", *_status(status)))

    def _send(self, lines: tuple[str, ...]) -> None:
        if self._address is None or not lines:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            self.undelivered += 1


class Watchdog:
    """Feeds systemd's watchdog at half its period, and only when asked to.

    Args:
        notifier: where the sign of life goes.
        period_ns: after how much silence systemd acts; None without a watchdog.
    """

    def __init__(self, notifier: Notifier, period_ns: int | None) -> None:
        self._notifier = notifier
        self._fed: MonotonicNs | None = None
        self.period_ns = period_ns

    @classmethod
    def from_environment(cls, notifier: Notifier, environment: Mapping[str, str], *, process_id: int | None = None) -> Self:
        """Return the watchdog that `WATCHDOG_USEC` asks for, if it is meant for this process (`WATCHDOG_PID`)."""
        text = environment.get("WATCHDOG_USEC", "")
        meant_for = environment.get("WATCHDOG_PID", "")
        own = str(os.getpid() if process_id is None else process_id)
        asked = text.isascii() and text.isdigit() and int(text) > 0 and meant_for in {"", own}
        return cls(notifier, int(text) * NS_PER_US if asked else None)

    @property
    def feed_every_ns(self) -> int | None:
        """How often `feed` should be called at least, or None without a watchdog."""
        return None if self.period_ns is None else self.period_ns // 2

    def feed(self, now: MonotonicNs) -> None:
        """Say that the working loop has come round; sends at most once per half period."""
        every_ns = self.feed_every_ns
        if every_ns is None or (self._fed is not None and now - self._fed < every_ns):
            return
        self._fed = now
        self._notifier.alive()


def _status(status: str) -> tuple[str, ...]:
    line = " ".join(status.split())[:MAX_STATUS_CHARACTERS]
    return (f"STATUS={line}",) if line else ()
