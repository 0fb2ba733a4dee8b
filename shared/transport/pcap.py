"""Packets in capture files: what every agent sent or heard, readable by Wireshark.

Classic pcap (draft-ietf-opsawg-pcap). What we write is link type Ethernet: each record is a GeoNetworking packet behind a header of
fourteen octets, broadcast destination, the sender's link-layer address, ethertype 0x8947, in nanoseconds and the byte order of the
network. The reader takes either resolution, either byte order and every link type of `shared.transport.link_frames`; another one is
refused by name. pcapng is `shared.transport.pcapng`; `shared.transport.capture` tells the two apart.

A file may have been cut short by a crash. The writer, opening one, drops the incomplete record at its end and goes on behind the
last whole one; the reader yields every whole record before it raises.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import SEEK_END
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import BinaryIO, Self

from shared.core.clock import NS_PER_S, NS_PER_US, UtcNs
from shared.core.errors import DecodeError, StorageError
from shared.network.address import MAC_OCTETS
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.link_frames import (
    LINK_TYPE_ETHERNET,
    UNKNOWN_MAC,
    ethernet_frame,
    gn_frame,
    is_readable,
    link_type_name,
)

FILE_HEADER_OCTETS = 24
RECORD_HEADER_OCTETS = 16
MAX_FRAME_OCTETS = 65_535
"""Snapshot length we announce, and the largest record we read."""

_MAGIC_NS = 0xA1B23C4D
_MAGIC_US = 0xA1B2C3D4
_VERSION = (2, 4)
_FCS_IS_KNOWN = 0x0400_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedPacket:
    """One GeoNetworking packet of a capture.

    Attributes:
        packet: from the Basic Header on.
        utc: when it was captured.
        source_mac: link-layer sender.
        destination_mac: link-layer destination.
        frame_number: its place in the file, from 1, as Wireshark counts.
        link: name of the interface or radio it came by, where the capture says so.
    """

    packet: bytes
    utc: UtcNs
    source_mac: bytes
    destination_mac: bytes
    frame_number: int
    link: str | None = None


@dataclass(frozen=True, slots=True)
class _Format:
    """How the records of one file are written."""

    order: str
    ns_per_tick: int
    link_type: int = LINK_TYPE_ETHERNET
    fcs_octets: int = 0

    @property
    def file_header(self) -> Struct:
        return Struct(self.order + "IHHiIII")

    @property
    def record_header(self) -> Struct:
        return Struct(self.order + "IIII")


_OURS = _Format(">", 1)
_OUR_FILE_HEADER = _OURS.file_header.pack(_MAGIC_NS, *_VERSION, 0, 0, MAX_FRAME_OCTETS, LINK_TYPE_ETHERNET)


class PcapWriter:
    """A capture file that packets are appended to, one write per packet.

    Args:
        path: created if absent; if it is a capture of ours or of another Ethernet tool, continued.
        max_octets: stop recording, and count in `skipped`, when the file would grow beyond this; None for no bound.

    Raises:
        StorageError: the file cannot be opened or is something else.
    """

    def __init__(self, path: Path, *, max_octets: int | None = None) -> None:
        self._path = path
        self._max_octets = max_octets
        self.written = 0
        self.skipped = 0
        try:
            self._file: BinaryIO = path.open("a+b", buffering=0)
        except OSError as error:
            raise StorageError(str(path), f"cannot be opened: {error.strerror}") from error
        try:
            self._format = self._begin()
        except StorageError:
            self._file.close()
            raise
        except OSError as error:
            self._file.close()
            raise StorageError(str(path), f"cannot be continued: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def write(
        self,
        packet: bytes,
        *,
        utc: UtcNs,
        source_mac: bytes = UNKNOWN_MAC,
        link: str | None = None,  # noqa: ARG002 - this format has no place for it
        is_outbound: bool = True,  # noqa: ARG002 - nor for this
    ) -> None:
        """Append one packet.

        Args:
            packet: from the Basic Header on.
            utc: when it was sent or heard, 1970..2106.
            source_mac: the sender's link-layer address (`GnAddress.mac`).
            link: which radio it went or came by; not recorded.
            is_outbound: we sent it; not recorded.

        Raises:
            StorageError: the file is closed, the disk is full, or the packet cannot be recorded.
        """
        require_recordable(packet, utc, source_mac, self._path)
        frame = ethernet_frame(packet, source_mac)
        seconds, ns = divmod(utc, NS_PER_S)
        ticks = ns // self._format.ns_per_tick
        record = self._format.record_header.pack(seconds, ticks, len(frame), len(frame)) + frame
        if self._max_octets is not None and self._size + len(record) > self._max_octets:
            self.skipped += 1
            return
        self._append(record)
        self.written += 1

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()

    def _begin(self) -> _Format:
        self._size = self._file.seek(0, SEEK_END)
        self._file.seek(0)
        if self._size < FILE_HEADER_OCTETS and _OUR_FILE_HEADER.startswith(self._file.read(self._size)):
            if self._size:
                self._file.truncate(0)
                self._size = 0
            self._append(_OUR_FILE_HEADER)
            return _OURS
        self._file.seek(0)
        try:
            found = _read_file_header(self._file, str(self._path))
        except DecodeError as error:
            raise StorageError(str(self._path), f"not a capture to continue: {error.reason}") from error
        if found.link_type != LINK_TYPE_ETHERNET:
            raise StorageError(str(self._path), f"not a capture to continue: link type {link_type_name(found.link_type)}")
        self._size = _end_of_whole_records(self._file, found, self._size)
        self._file.truncate(self._size)
        return found

    def _append(self, data: bytes) -> None:
        try:
            done = self._file.write(data)
            if done != len(data):
                self._file.truncate(self._size)
        except (OSError, ValueError) as error:
            raise StorageError(str(self._path), f"cannot be written: {error}") from error
        if done != len(data):
            raise StorageError(str(self._path), f"only {done} of {len(data)} octets could be written")
        self._size += done


def read_pcap(path: Path) -> Iterator[CapturedPacket]:
    """Yield the GeoNetworking packets of a capture; frames of other ethertypes are passed over.

    Raises:
        StorageError: the file cannot be read.
        DecodeError: not a pcap, of a link type that cannot be read, or a record is damaged or cut short; every whole record before
            it was yielded.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise StorageError(str(path), f"cannot be read: {error.strerror}") from error
    with file:
        yield from read_pcap_stream(file, path.name)


def require_recordable(packet: bytes, utc: UtcNs, source_mac: bytes, path: Path) -> None:
    """Raise `StorageError` for what no capture of ours can hold."""
    if len(source_mac) != MAC_OCTETS or not 1 <= len(packet) <= MAX_PACKET_OCTETS or not 0 <= utc < NS_PER_S << 32:
        raise StorageError(str(path), f"no record for {len(packet)} octets from {source_mac.hex(':')} at {utc} ns")


def read_pcap_stream(file: BinaryIO, name: str, magic: bytes = b"") -> Iterator[CapturedPacket]:
    """Yield the GeoNetworking packets of a capture that is open already, such as standard input.

    Args:
        file: at the beginning of the capture, or behind `magic`.
        name: for errors.
        magic: its first octets, where they were read already.

    Raises:
        DecodeError: as `read_pcap`.
    """
    found = _read_file_header(file, name, magic)
    number = 0
    while head := file.read(RECORD_HEADER_OCTETS):
        number += 1
        captured = _read_record(file, head, found, name, number)
        if captured is not None:
            yield captured


def _read_file_header(file: BinaryIO, field: str, begun: bytes = b"") -> _Format:
    data = begun + file.read(FILE_HEADER_OCTETS - len(begun))
    magic = int.from_bytes(data[:4], "big")
    swapped = int.from_bytes(data[:4], "little")
    formats = {
        _MAGIC_NS: 1,
        _MAGIC_US: NS_PER_US,
    }
    if magic in formats:
        found = _Format(">", formats[magic])
    elif swapped in formats:
        found = _Format("<", formats[swapped])
    else:
        raise DecodeError(field, "not a pcap capture")
    if len(data) < FILE_HEADER_OCTETS:
        raise DecodeError(field, f"cut short: {len(data)} of the {FILE_HEADER_OCTETS} octets of the file header")
    _magic, major, minor, _zone, _accuracy, _snap, link_type = found.file_header.unpack(data)
    if (major, minor) != _VERSION:
        raise DecodeError(field, f"pcap version {major}.{minor} is not known")
    kind = link_type & 0xFFFF
    if not is_readable(kind):
        raise DecodeError(field, f"link type {link_type_name(kind)} cannot be read")
    fcs_octets = (link_type >> 28) * 2 if link_type & _FCS_IS_KNOWN else 0
    return replace(found, link_type=kind, fcs_octets=fcs_octets)


def _read_record(file: BinaryIO, head: bytes, found: _Format, name: str, number: int) -> CapturedPacket | None:
    field = f"{name}: frame {number}"
    if len(head) < RECORD_HEADER_OCTETS:
        raise DecodeError(field, f"cut short: {len(head)} of the {RECORD_HEADER_OCTETS} octets of its header")
    seconds, ticks, captured, original = found.record_header.unpack(head)
    if captured > MAX_FRAME_OCTETS:
        raise DecodeError(field, f"{captured} octets are no frame")
    if ticks * found.ns_per_tick >= NS_PER_S:
        raise DecodeError(field, f"{ticks} ticks are more than a second")
    frame = file.read(captured)
    if len(frame) < captured:
        raise DecodeError(field, f"cut short: {len(frame)} of its {captured} octets")
    inside = gn_frame(found.link_type, frame, fcs_octets=found.fcs_octets)
    if inside is None:
        return None
    if captured < original:
        raise DecodeError(field, f"captured only {captured} of {original} octets")
    return CapturedPacket(
        packet=inside.packet,
        utc=UtcNs(seconds * NS_PER_S + ticks * found.ns_per_tick),
        source_mac=inside.source_mac,
        destination_mac=inside.destination_mac,
        frame_number=number,
    )


def _end_of_whole_records(file: BinaryIO, found: _Format, size: int) -> int:
    end = FILE_HEADER_OCTETS
    while end + RECORD_HEADER_OCTETS <= size:
        file.seek(end)
        _seconds, _ticks, captured, _original = found.record_header.unpack(file.read(RECORD_HEADER_OCTETS))
        if end + RECORD_HEADER_OCTETS + captured > size:
            break
        end += RECORD_HEADER_OCTETS + captured
    return end
