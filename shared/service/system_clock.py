"""The clock of a running program: the only place that reads the operating system's clocks.

Interval time is CLOCK_BOOTTIME: it goes on while the computer sleeps, and every program of one start of the computer counts it from
the same moment, so what one program measured before it ended and the next one after it are on one scale. UTC is handed out only
while something vouches for it (`TimeSource`):

    synchronised     the kernel says so: adjtimex(2) does not return TIME_ERROR (NTP, PTP or chrony keeps the clock)
    gnss             a receiver's fix, carried on by interval time for `GNSS_HOLDOVER_NS`, then no more
    assume_trusted   always: labs and simulation; programs say so loudly at start and in their status

A board without a battery boots in 1970 or at its last shutdown, so a date before this software was released is never handed out,
whatever vouches for it.
"""

import ctypes
import hmac
import os
import time
from pathlib import Path
from typing import Protocol

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, TimeSource, UtcNs
from shared.core.errors import StorageError
from shared.core.itstime import utc_from_text

RELEASE_UTC = utc_from_text("2026-11-01T00:00:00Z")
"""No true clock that runs this version shows less."""

GNSS_HOLDOVER_NS = 300 * NS_PER_S
"""How long interval time stands in for the receiver: at 50 ppm it drifts 15 ms in five minutes."""

SYNCHRONISED_RECHECK_NS = NS_PER_S
"""How long one answer of adjtimex(2) is believed."""

START_ID_BYTES = 16

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_DOMAIN = b"v2x-trust start of a computer v1\n"
_TIME_ERROR = 5
_TIMEX_OCTETS = 512


class KernelTime(Protocol):
    """What the clock asks of the operating system."""

    def monotonic_ns(self) -> MonotonicNs:
        """Return interval time."""
        ...

    def realtime_ns(self) -> UtcNs:
        """Return what the system believes UTC to be."""
        ...

    def is_synchronised(self) -> bool:
        """Say whether somebody keeps `realtime_ns` right."""
        ...


class LinuxTime:
    """The clocks of this kernel."""

    def __init__(self) -> None:
        self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex

    def monotonic_ns(self) -> MonotonicNs:
        """Return CLOCK_BOOTTIME, which counts sleep; no clock of the kernel is ever set back that counts from its start."""
        return MonotonicNs(time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def realtime_ns(self) -> UtcNs:
        """Return CLOCK_REALTIME."""
        return UtcNs(time.clock_gettime_ns(time.CLOCK_REALTIME))

    def is_synchronised(self) -> bool:
        """Ask adjtimex(2), changing nothing: a `struct timex` of zeros has `modes` 0. A refusal counts as no."""
        state = int(self._adjtimex(ctypes.create_string_buffer(_TIMEX_OCTETS)))
        return state >= 0 and state != _TIME_ERROR


class SystemClock:
    """A `Clock` that tells UTC only while `source` vouches for it.

    Args:
        source: what makes UTC trusted.
        kernel: the operating system's clocks; a test hands in its own.
        released: no earlier date is handed out.
    """

    def __init__(self, source: TimeSource, *, kernel: KernelTime | None = None, released: UtcNs = RELEASE_UTC) -> None:
        self.source = source
        self._kernel = LinuxTime() if kernel is None else kernel
        self._released = released
        self._fix: tuple[UtcNs, MonotonicNs] | None = None
        self._synchronised: tuple[bool, MonotonicNs] | None = None

    def now(self) -> Instant:
        """Return the present moment; its UTC is None while nothing vouches for it."""
        monotonic = self._kernel.monotonic_ns()
        utc = self._utc(monotonic)
        return Instant(monotonic, utc if utc is not None and utc >= self._released else None)

    def give_fix(self, utc: UtcNs, at: MonotonicNs) -> None:
        """Learn the date from a GNSS fix.

        Args:
            utc: what the receiver said; a date before the release is ignored.
            at: interval time at which that was true.
        """
        if utc >= self._released:
            self._fix = (utc, at)

    def _utc(self, monotonic: MonotonicNs) -> UtcNs | None:
        match self.source:
            case TimeSource.ASSUME_TRUSTED:
                return self._kernel.realtime_ns()
            case TimeSource.SYNCHRONISED:
                return self._kernel.realtime_ns() if self._is_synchronised(monotonic) else None
            case TimeSource.GNSS:
                if self._fix is None:
                    return None
                utc, at = self._fix
                return UtcNs(utc + monotonic - at) if 0 <= monotonic - at <= GNSS_HOLDOVER_NS else None

    def _is_synchronised(self, monotonic: MonotonicNs) -> bool:
        if self._synchronised is None or monotonic - self._synchronised[1] >= SYNCHRONISED_RECHECK_NS:
            self._synchronised = (self._kernel.is_synchronised(), monotonic)
        return self._synchronised[0]


def start_id(owner: bytes, path: Path = _BOOT_ID) -> bytes | None:
    """Return 16 bytes that name this start of the computer towards whoever gets an owner's records, and nobody else.

    They tell nothing of the kernel's own boot id, which other programs write into their logs, and two owners on one computer have
    different ones. The same owner gets the same for as long as the computer runs.

    Args:
        owner: who names it, e.g. the path of the records.
        path: where the kernel tells its boot id.

    Returns:
        None where the kernel does not tell; a caller draws bytes of its own then, which last as long as the program.
    """
    try:
        secret = boot_id(path)
    except StorageError:
        return None
    return hmac.digest(secret.encode(), _START_DOMAIN + owner, "sha256")[:START_ID_BYTES]


def boot_id(path: Path = _BOOT_ID) -> str:
    """Return what tells this boot from every other, so interval times of one boot can be compared; raises `StorageError`."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(os.fspath(path), f"no boot id: {error}") from error
