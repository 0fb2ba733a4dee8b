"""Packets in pcapng files (draft-ietf-opsawg-pcapng): like pcap, and each packet says which radio it went or came by.

    section header | interface description, one for each link | enhanced packet ...

What we write: one section for each run, network byte order, nanoseconds, the names of links as interface names, the direction of
each packet. What we read: every section of either byte order, enhanced, simple and obsolete packet blocks, any resolution and
offset of time. Blocks and options we do not know are skipped. Packets of an interface whose link type cannot be read are passed
over while another can be; a file in which none can be is refused by name. A simple packet has no time and gets that of the one
before it.

A file may have been cut short by a crash: as in `shared.transport.pcap`, the writer goes on behind the last whole block, the reader
yields every whole packet before it raises.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from os import SEEK_END
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import BinaryIO, Self

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import DecodeError, StorageError
from shared.transport.link_frames import (
    LINK_TYPE_ETHERNET,
    UNKNOWN_MAC,
    ethernet_frame,
    gn_frame,
    is_readable,
    link_type_name,
)
from shared.transport.pcap import MAX_FRAME_OCTETS, CapturedPacket, require_recordable

MAGIC = bytes.fromhex("0a0d0d0a")
"""Type of a section header: reads the same in either byte order, and is how such a file begins."""

MAX_BLOCK_OCTETS = 16 << 20
"""Longest block that is skipped; Wireshark writes none that is longer."""

MAX_READ_OCTETS = 512 << 10
"""Longest block that is read."""

MAX_INTERFACES = 256
"""Interfaces of one section, and links a writer tells apart."""

MAX_LINK_NAME_OCTETS = 255

_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_HEAD_OCTETS = 8
_FRAME_OCTETS = 12
_SECTION_OCTETS = 16
_CHUNK_OCTETS = 64 << 10

_END_OF_OPTIONS, _USER_APPLICATION, _FLAGS, _NAME, _RESOLUTION, _FCS_LENGTH, _OFFSET = 0, 4, 2, 2, 9, 13, 14
_INBOUND, _OUTBOUND = 1, 2
_OCTET_BITS = 8
_NANOSECONDS = 9
_MICROSECONDS = 6
_BINARY = 0x80
_UTC_END_NS = 1 << 63


@dataclass(frozen=True, slots=True)
class _Interface:
    """What a section says of one interface."""

    name: str | None
    link_type: int
    snap_octets: int
    ticks_per_s: int
    offset_s: int
    fcs_octets: int


@dataclass(slots=True)
class _Section:
    """What is known of the section being read."""

    order: str
    interfaces: list[_Interface] = field(default_factory=list)


class PcapngWriter:
    """A pcapng file that packets are appended to, one write per packet.

    Args:
        path: created if absent; if it is a pcapng file, continued with a section of its own.
        max_octets: stop recording, and count in `skipped`, when the file would grow beyond this; None for no bound.

    Raises:
        StorageError: the file cannot be opened or is something else.
    """

    def __init__(self, path: Path, *, max_octets: int | None = None) -> None:
        self._path = path
        self._max_octets = max_octets
        self._links: dict[str | None, int] = {}
        self.written = 0
        self.skipped = 0
        try:
            self._file: BinaryIO = path.open("a+b", buffering=0)
        except OSError as error:
            raise StorageError(str(path), f"cannot be opened: {error.strerror}") from error
        try:
            self._begin()
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
        link: str | None = None,
        is_outbound: bool = True,
    ) -> None:
        """Append one packet.

        Args:
            packet: from the Basic Header on.
            utc: when it was sent or heard, 1970..2106.
            source_mac: the sender's link-layer address (`GnAddress.mac`).
            link: which radio it went or came by.
            is_outbound: we sent it.

        Raises:
            StorageError: the file is closed, the disk is full, or the packet cannot be recorded.
        """
        require_recordable(packet, utc, source_mac, self._path)
        introduction = b""
        number = self._links.get(link)
        if number is None:
            number = len(self._links)
            introduction = self._introduction(link)
        frame = ethernet_frame(packet, source_mac)
        body = _BIG.packet.pack(number, utc >> 32, utc & 0xFFFF_FFFF, len(frame), len(frame)) + _padded(frame)
        flags = _option(_FLAGS, (_OUTBOUND if is_outbound else _INBOUND).to_bytes(4, "big"))
        record = introduction + _block(_ENHANCED, body + flags + _option(_END_OF_OPTIONS, b""))
        if self._max_octets is not None and self._size + len(record) > self._max_octets:
            self.skipped += 1
            return
        self._append(record)
        self._links[link] = number
        self.written += 1

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()

    def _introduction(self, link: str | None) -> bytes:
        name = b"" if link is None else link.encode()
        if len(self._links) >= MAX_INTERFACES or len(name) > MAX_LINK_NAME_OCTETS:
            raise StorageError(str(self._path), f"no place for one more link, {len(name)} octets long")
        options = b"" if link is None else _option(_NAME, name)
        options += _option(_RESOLUTION, bytes((_NANOSECONDS,))) + _option(_END_OF_OPTIONS, b"")
        return _block(_INTERFACE, _BIG.interface.pack(LINK_TYPE_ETHERNET, 0, MAX_FRAME_OCTETS) + options)

    def _begin(self) -> None:
        found = self._file.seek(0, SEEK_END)
        self._file.seek(0)
        self._size = 0
        if found >= len(_OUR_SECTION) or not _OUR_SECTION.startswith(self._file.read(found)):
            try:
                self._size = _end_of_whole_blocks(self._file, str(self._path), found)
            except DecodeError as error:
                raise StorageError(str(self._path), f"not a capture to continue: {error.reason}") from error
        if self._size != found:
            self._file.truncate(self._size)
        self._append(_OUR_SECTION)

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


def read_pcapng_stream(file: BinaryIO, name: str, magic: bytes = b"") -> Iterator[CapturedPacket]:
    """Yield the GeoNetworking packets of a pcapng file that is open already.

    Args:
        file: at the beginning of the capture, or behind `magic`.
        name: for errors.
        magic: its first octets, where they were read already.

    Raises:
        DecodeError: not pcapng, without a link type that can be read, or a block is damaged or cut short; every whole packet before
            it was yielded.
    """
    section: _Section | None = None
    utc = UtcNs(0)
    frames = 0
    unread: int | None = None
    was_read = False
    for number, kind, body, order in _blocks(file, name, magic):
        where = f"{name}: block {number}"
        if kind == _SECTION:
            section = _Section(order)
            continue
        if section is None:
            raise DecodeError(where, "stands before any section")
        if kind == _INTERFACE:
            _add_interface(section, body, where)
            continue
        frames += 1
        interface, ticks, captured, original = _packet_of(kind, body, section, f"{name}: frame {frames}")
        if not is_readable(interface.link_type):
            unread = interface.link_type
            continue
        was_read = True
        if ticks is not None:
            utc = _utc_of(ticks, interface, f"{name}: frame {frames}")
        inside = gn_frame(interface.link_type, captured, fcs_octets=interface.fcs_octets)
        if inside is None:
            continue
        if len(captured) < original:
            raise DecodeError(f"{name}: frame {frames}", f"captured only {len(captured)} of {original} octets")
        yield CapturedPacket(
            packet=inside.packet,
            utc=utc,
            source_mac=inside.source_mac,
            destination_mac=inside.destination_mac,
            frame_number=frames,
            link=interface.name,
        )
    if unread is not None and not was_read:
        raise DecodeError(name, f"link type {link_type_name(unread)} cannot be read")


class _Layouts:
    """The fixed parts of blocks in one byte order."""

    def __init__(self, order: str) -> None:
        self.head = Struct(order + "II")
        self.length = Struct(order + "I")
        self.section = Struct(order + "IHHq")
        self.interface = Struct(order + "HHI")
        self.packet = Struct(order + "IIIII")
        self.obsolete_packet = Struct(order + "HHIIII")
        self.option = Struct(order + "HH")
        self.signed = Struct(order + "q")


_BIG = _Layouts(">")
_LAYOUTS = {">": _BIG, "<": _Layouts("<")}


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return _BIG.option.pack(code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    octets = _FRAME_OCTETS + len(body)
    return _BIG.head.pack(kind, octets) + body + _BIG.length.pack(octets)


_OUR_SECTION = _block(
    _SECTION,
    _BIG.section.pack(_BYTE_ORDER_MAGIC, 1, 0, -1) + _option(_USER_APPLICATION, b"v2x-trust") + _option(_END_OF_OPTIONS, b""),
)


def _blocks(file: BinaryIO, name: str, begun: bytes) -> Iterator[tuple[int, int, bytes, str]]:
    """Yield number, type, body and byte order of the blocks we know; others are skipped."""
    order = ""
    number = 0
    while head := begun + file.read(_HEAD_OCTETS - len(begun)):
        begun = b""
        number += 1
        where = f"{name}: block {number}"
        if len(head) < _HEAD_OCTETS:
            raise DecodeError(where, f"cut short: {len(head)} of the {_HEAD_OCTETS} octets of its header")
        magic = b""
        if head[:4] == MAGIC:
            magic = _exactly(file, 4, where)
            order = _order_of(magic, where)
        elif not order:
            raise DecodeError(name, "not a pcapng capture")
        layouts = _LAYOUTS[order]
        kind, octets = layouts.head.unpack(head)
        is_known = kind in {_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED}
        if octets % 4 or not _FRAME_OCTETS <= octets <= (MAX_READ_OCTETS if is_known else MAX_BLOCK_OCTETS):
            raise DecodeError(where, f"{octets} octets are no block of type {kind:#x}")
        rest = octets - _FRAME_OCTETS - len(magic)
        if rest < 0:
            raise DecodeError(where, f"{octets} octets are no section header")
        body = magic + _exactly(file, rest, where) if is_known else _skipped(file, rest, where)
        (trailer,) = layouts.length.unpack(_exactly(file, 4, where))
        if trailer != octets:
            raise DecodeError(where, f"ends with length {trailer} and begins with {octets}")
        if kind == _SECTION:
            _check_section(body, layouts, where)
        if is_known:
            yield number, kind, body, order


def _exactly(file: BinaryIO, octets: int, where: str) -> bytes:
    data = file.read(octets)
    if len(data) < octets:
        raise DecodeError(where, f"cut short: {len(data)} of {octets} octets")
    return data


def _skipped(file: BinaryIO, octets: int, where: str) -> bytes:
    while octets:
        octets -= len(_exactly(file, min(octets, _CHUNK_OCTETS), where))
    return b""


def _order_of(magic: bytes, where: str) -> str:
    for order, layouts in _LAYOUTS.items():
        if layouts.length.unpack(magic)[0] == _BYTE_ORDER_MAGIC:
            return order
    raise DecodeError(where, "no section header: its byte order is neither")


def _check_section(body: bytes, layouts: _Layouts, where: str) -> None:
    if len(body) < _SECTION_OCTETS:
        raise DecodeError(where, f"{len(body)} octets are no section header")
    _magic, major, minor, _octets = layouts.section.unpack_from(body)
    if (major, minor) not in {(1, 0), (1, 2)}:
        raise DecodeError(where, f"pcapng version {major}.{minor} is not known")


def _add_interface(section: _Section, body: bytes, where: str) -> None:
    layouts = _LAYOUTS[section.order]
    if len(body) < layouts.interface.size:
        raise DecodeError(where, f"{len(body)} octets describe no interface")
    if len(section.interfaces) == MAX_INTERFACES:
        raise DecodeError(where, f"more than {MAX_INTERFACES} interfaces")
    link_type, _reserved, snap_octets = layouts.interface.unpack_from(body)
    name, ticks_per_s, offset_s, fcs_octets = None, 10**_MICROSECONDS, 0, 0
    for code, value in _options(body[layouts.interface.size :], layouts, where):
        match code, len(value):
            case _, octets if code == _NAME and octets <= MAX_LINK_NAME_OCTETS:
                name = value.rstrip(b"\0").decode("utf-8", "replace")
            case _, 1 if code == _RESOLUTION:
                base = 2 if value[0] & _BINARY else 10
                ticks_per_s = base ** (value[0] & ~_BINARY)
            case _, 1 if code == _FCS_LENGTH:
                fcs_octets = value[0] if value[0] < _OCTET_BITS else value[0] // _OCTET_BITS  # both are written
            case _, 8 if code == _OFFSET:
                (offset_s,) = layouts.signed.unpack(value)
    section.interfaces.append(_Interface(name, link_type, snap_octets, ticks_per_s, offset_s, fcs_octets))


def _options(data: bytes, layouts: _Layouts, where: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise DecodeError(where, "an option is cut short")
        code, octets = layouts.option.unpack_from(data, at)
        if code == _END_OF_OPTIONS:
            return
        if at + 4 + octets > len(data):
            raise DecodeError(where, f"option {code} claims {octets} octets and has {len(data) - at - 4}")
        yield code, data[at + 4 : at + 4 + octets]
        at += 4 + octets + -octets % 4


def _packet_of(kind: int, body: bytes, section: _Section, where: str) -> tuple[_Interface, int | None, bytes, int]:
    """Return interface, time in its ticks, the captured octets and how many there had been."""
    layouts = _LAYOUTS[section.order]
    fixed = layouts.length if kind == _SIMPLE else layouts.packet
    if len(body) < fixed.size:
        raise DecodeError(where, f"{len(body)} octets are no packet")
    ticks: int | None = None
    if kind == _SIMPLE:
        (original,) = fixed.unpack_from(body)
        number = 0
        captured = min(original, _interface_of(section, 0, where).snap_octets or original)
    elif kind == _ENHANCED:
        number, high, low, captured, original = layouts.packet.unpack_from(body)
        ticks = high << 32 | low
    else:
        number, _drops, high, low, captured, original = layouts.obsolete_packet.unpack_from(body)
        ticks = high << 32 | low
    interface = _interface_of(section, number, where)
    if captured > len(body) - fixed.size:
        raise DecodeError(where, f"claims {captured} octets and has {len(body) - fixed.size}")
    return interface, ticks, body[fixed.size : fixed.size + captured], original


def _interface_of(section: _Section, number: int, where: str) -> _Interface:
    if number >= len(section.interfaces):
        raise DecodeError(where, f"came by interface {number}, which is not described")
    return section.interfaces[number]


def _utc_of(ticks: int, interface: _Interface, where: str) -> UtcNs:
    utc = ticks * NS_PER_S // interface.ticks_per_s + interface.offset_s * NS_PER_S
    if not 0 <= utc < _UTC_END_NS:
        raise DecodeError(where, f"{utc} ns since 1970 are no time")
    return UtcNs(utc)


def _end_of_whole_blocks(file: BinaryIO, name: str, size: int) -> int:
    """Return where the last whole block ends; raises `DecodeError` for a file that is no pcapng."""
    order = ""
    end = 0
    while end + _FRAME_OCTETS <= size:
        file.seek(end)
        head = file.read(_FRAME_OCTETS)
        if head[:4] == MAGIC:
            order = _order_of(head[_HEAD_OCTETS:], name)
        elif not order:
            raise DecodeError(name, "not a pcapng capture")
        octets = _LAYOUTS[order].head.unpack(head[:_HEAD_OCTETS])[1]
        if octets % 4 or octets < _FRAME_OCTETS or end + octets > size:
            break
        end += octets
    if not order:
        raise DecodeError(name, "not a pcapng capture")
    return end
