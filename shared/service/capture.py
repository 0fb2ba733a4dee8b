"""The capture of an agent: what it sent, and if asked what it heard, in a file that stops growing at a bound.

A disk that fails costs the capture, nothing else: it is told once, and once more when it works again.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Instant
from shared.core.errors import ConfigError, StorageError
from shared.service.log import Availability
from shared.service.radio_config import CaptureConfig
from shared.transport.capture import CaptureWriter, open_capture
from shared.transport.link_frames import UNKNOWN_MAC
from shared.transport.radio import ReceivedPacket

MAX_CAPTURE_OCTETS = 1 << 30
"""A capture stops growing here; of what is sent alone that is some three days of driving, or four of a junction with one hazard."""


class Capture:
    """One open capture file.

    Args:
        writer: closed with it.
        records_heard: whether what is heard is recorded too.
        log: told of changes only.
    """

    def __init__(self, writer: CaptureWriter, *, records_heard: bool, log: FilteringBoundLogger) -> None:
        self._writer = writer
        self._records_heard = records_heard
        self._state = Availability(log, "capture")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()

    def sent(self, packet: bytes, now: Instant, *, source_mac: bytes, links: frozenset[str]) -> None:
        """Record a packet once for each radio that took it; without UTC nothing can be recorded."""
        for link in sorted(links):
            self._write(packet, now, source_mac=source_mac, link=link, is_outbound=True)

    def heard(self, link: str, packet: ReceivedPacket) -> None:
        """Record what a radio heard, if that is asked for."""
        if self._records_heard:
            source_mac = UNKNOWN_MAC if packet.sender_mac is None else packet.sender_mac
            self._write(packet.packet, packet.received, source_mac=source_mac, link=link, is_outbound=False)

    def status(self) -> dict[str, object]:
        """Return JSON values: packets recorded, and left out because the file is full."""
        return {"written": self._writer.written, "skipped": self._writer.skipped, "works": self._state.is_available}

    def _write(self, packet: bytes, at: Instant, *, source_mac: bytes, link: str, is_outbound: bool) -> None:
        if at.utc is None:
            return
        try:
            self._writer.write(packet, utc=at.utc, source_mac=source_mac, link=link, is_outbound=is_outbound)
            self._state.works()
        except StorageError as failure:
            self._state.lost(str(failure))


def describe_capture(config: CaptureConfig | None) -> Iterator[str]:
    """Describe the capture in a line, nothing where none is asked for; raises `ConfigError` where the name stands for no file."""
    if config is None:
        return
    if config.file.exists() and not config.file.is_file():
        raise ConfigError("capture.file", f"{config.file} exists and is no file")
    yield f"capture: {config.file}, what is sent{' and heard' if config.heard else ''}"


def capture_of(config: CaptureConfig | None, log: FilteringBoundLogger) -> AbstractContextManager[Capture | None]:
    """Return the capture that `[capture]` asks for, or nothing; raises `StorageError` for a file that is something else."""
    if config is None:
        return nullcontext()
    return Capture(open_capture(config.file, max_octets=MAX_CAPTURE_OCTETS), records_heard=config.heard, log=log)
