"""Capture files of either format, told apart by content when read and by name when written.

FILE.pcap     shared.transport.pcap      the packets
FILE.pcapng   shared.transport.pcapng    the packets, by which radio each went or came, and in which direction
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from shared.core.clock import UtcNs
from shared.core.errors import StorageError
from shared.transport.link_frames import UNKNOWN_MAC
from shared.transport.pcap import CapturedPacket, PcapWriter, read_pcap_stream
from shared.transport.pcapng import MAGIC, PcapngWriter, read_pcapng_stream

PCAP_SUFFIX = ".pcap"
PCAPNG_SUFFIX = ".pcapng"
CAPTURE_SUFFIXES = (PCAP_SUFFIX, PCAPNG_SUFFIX)


class CaptureWriter(Protocol):
    """An open capture file of either format."""

    written: int
    skipped: int

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def write(
        self,
        packet: bytes,
        *,
        utc: UtcNs,
        source_mac: bytes = UNKNOWN_MAC,
        link: str | None = None,
        is_outbound: bool = True,
    ) -> None:
        """Append one packet; raises `StorageError`."""
        ...

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        ...


def open_capture(path: Path, *, max_octets: int | None = None) -> CaptureWriter:
    """Return a writer of the format the file's name says: pcapng by `.pcapng`, else pcap.

    Args:
        path: created if absent, continued if it is such a capture.
        max_octets: where it stops growing; None for no bound.

    Raises:
        StorageError: the file cannot be opened or is something else.
    """
    if path.suffix == PCAPNG_SUFFIX:
        return PcapngWriter(path, max_octets=max_octets)
    return PcapWriter(path, max_octets=max_octets)


def read_capture(path: Path) -> Iterator[CapturedPacket]:
    """Yield the GeoNetworking packets of a capture; frames of other protocols are passed over.

    Raises:
        StorageError: the file cannot be read.
        DecodeError: neither pcap nor pcapng, of a link type that cannot be read, or damaged or cut short; every whole packet before
            that was yielded.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise StorageError(str(path), f"cannot be read: {error.strerror}") from error
    with file:
        yield from read_capture_stream(file, path.name)


def read_capture_stream(file: BinaryIO, name: str) -> Iterator[CapturedPacket]:
    """Yield the GeoNetworking packets of a capture that is open already, such as standard input.

    Args:
        file: at the beginning of the capture.
        name: for errors.

    Raises:
        DecodeError: as `read_capture`.
    """
    magic = file.read(len(MAGIC))
    yield from read_pcapng_stream(file, name, magic) if magic == MAGIC else read_pcap_stream(file, name, magic)
