"""What `v2x decode` and `v2x verify` are given: a file, hexadecimal text, or standard input, and what its first octets say it is.

Kinds are told apart by content alone, from the first two octets, which no two kinds share:

    a1b2c3d4 ...  pcap (either byte order and resolution)      11, 12      GeoNetworking packet, plain or secured
    0a0d0d0a      pcapng
    80 03 00      certificate                                  03 80..84   Ieee1609Dot2Data
    01 84..86     trust list, unsigned (TS 102 941)            01..03, 01..1f   facilities message: version, messageID
    00 12 ...     MessageFrame of SAE J2735 (12 MAP, 13 SPAT, 1d SRM, 1e SSM)
    cd 10 ...     SPaT datagram of a signal controller (NTCIP 1202)
    ff ff ff ff ff ff ... 8947   Ethernet frame with a GeoNetworking packet

Nothing is decoded here. Everything but a capture is read whole, up to a bound; captures are read packet by packet.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from shared.core.errors import ConfigError, DecodeError
from shared.transport.capture import read_capture, read_capture_stream
from shared.transport.link_frames import BROADCAST_MAC, ETHERNET_OCTETS, ETHERTYPE
from shared.transport.pcap import CapturedPacket

MAX_STRUCTURE_OCTETS = 65_536
"""Octets of anything but a capture; the longest structure a station knows."""

MAX_INPUT_OCTETS = 4 * MAX_STRUCTURE_OCTETS
"""Octets of a file that is no capture: hexadecimal text takes two to three for each."""

MAX_STREAM_OCTETS = 64 * 1024 * 1024
"""Octets taken from standard input or a pipe; a longer capture is read from a file."""

STANDARD_INPUT = "-"

_CAPTURE_MAGICS = frozenset(bytes.fromhex(magic) for magic in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "0a0d0d0a"))
"""The last is pcapng."""

_J2735_IDS = frozenset((0x12, 0x13, 0x1D, 0x1E))
_MAX_MESSAGE_ID = 0x1F
_MAX_PDU_VERSION = 3
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_HEX_SEPARATORS = b" \t\r\n:"


class Kind(Enum):
    """What octets are; the value is the name for people."""

    GN_PACKET = "GeoNetworking packet"
    ETHERNET_FRAME = "Ethernet frame with a GeoNetworking packet"
    SECURED_DATA = "IEEE 1609.2 data"
    CERTIFICATE = "certificate"
    TRUST_LIST = "trust list without its signature"
    FACILITIES_MESSAGE = "facilities message"
    MESSAGE_FRAME = "SAE J2735 MessageFrame"
    CONTROLLER_DATAGRAM = "SPaT datagram of a signal controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A capture to be read packet by packet.

    Attributes:
        name: for people.
        path: the file, or None where `octets` holds all of it.
        octets: the capture, when it came from standard input.
    """

    name: str
    path: Path | None
    octets: bytes = b""

    def packets(self) -> Iterator[CapturedPacket]:
        """Yield its GeoNetworking packets; raises `DecodeError` and `StorageError` as `read_capture`."""
        return read_capture_stream(BytesIO(self.octets), self.name) if self.path is None else read_capture(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """One thing, whole.

    Attributes:
        name: for people.
        octets: at most `MAX_STRUCTURE_OCTETS`.
        kind: what it begins like.
        was_hex: it was given as hexadecimal text.
    """

    name: str
    octets: bytes
    kind: Kind
    was_hex: bool


def open_source(text: str) -> Capture | Structure:
    """Take what the command line names: an existing file, else hexadecimal text, `-` for standard input.

    Raises:
        ConfigError: neither a file nor hexadecimal text, or the file cannot be read.
        DecodeError: empty, too long, or like nothing known.
    """
    if text == STANDARD_INPUT:
        return _from_stream(sys.stdin.buffer, "standard input")
    path = Path(text)
    if _exists(path):
        return _open_file(path)
    octets = text.encode("utf-8", "replace")
    if not is_hex(octets):
        raise ConfigError(_shortened(text), "is neither a file nor hexadecimal text")
    return _structure("the octets given", octets)


def recognise(octets: bytes) -> Kind:
    """Say what octets are by how they begin; raises `DecodeError` where they begin like nothing known."""
    head = octets[:2]
    if octets[:6] == BROADCAST_MAC and octets[12:ETHERNET_OCTETS] == ETHERTYPE:
        return Kind.ETHERNET_FRAME
    match tuple(head):
        case (0x11 | 0x12, *_):
            return Kind.GN_PACKET
        case (0x80, 0x03):
            return Kind.CERTIFICATE
        case (0x03, second) if 0x80 <= second <= 0x84:
            return Kind.SECURED_DATA
        case (0x01, 0x84 | 0x85 | 0x86):
            return Kind.TRUST_LIST
        case (first, second) if 1 <= first <= _MAX_PDU_VERSION and 1 <= second <= _MAX_MESSAGE_ID:
            return Kind.FACILITIES_MESSAGE
        case (0x00, second) if second in _J2735_IDS:
            return Kind.MESSAGE_FRAME
        case (0xCD, 0x10):
            return Kind.CONTROLLER_DATAGRAM
        case _:
            raise DecodeError(
                "input",
                f"begins with {head.hex(' ')}: no GeoNetworking packet (11, 12), IEEE 1609.2 data (03 80), certificate (80 03), "
                "trust list (01 84), facilities message (02 02), MessageFrame (00 12), controller datagram (cd 10) or capture "
                "begins like that",
            )


def _open_file(path: Path) -> Capture | Structure:
    try:
        with path.open("rb") as file:
            if not path.is_file():
                return _from_stream(file, str(path))
            octets = file.read(4)
            if octets in _CAPTURE_MAGICS:
                return Capture(name=path.name, path=path)
            octets += file.read(MAX_INPUT_OCTETS + 1 - len(octets))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror or error}") from error
    return _structure(path.name, octets)


def _from_stream(stream: BinaryIO, name: str) -> Capture | Structure:
    """Take what can be read only once: standard input, a pipe."""
    octets = stream.read(MAX_STREAM_OCTETS + 1)
    if len(octets) > MAX_STREAM_OCTETS:
        raise DecodeError("input", f"{name} gives more than {MAX_STREAM_OCTETS} octets; write them to a file first")
    return Capture(name=name, path=None, octets=octets) if octets[:4] in _CAPTURE_MAGICS else _structure(name, octets)


def _structure(name: str, octets: bytes) -> Structure:
    if len(octets) > MAX_INPUT_OCTETS:
        raise DecodeError("input", f"{name} has more than {MAX_INPUT_OCTETS} octets and is no capture")
    was_hex = is_hex(octets)
    if was_hex:
        octets = _from_hex(octets)
    if not octets:
        raise DecodeError("input", f"{name} holds nothing")
    if len(octets) > MAX_STRUCTURE_OCTETS:
        raise DecodeError("input", f"{name} holds {len(octets)} octets, at most {MAX_STRUCTURE_OCTETS} make one structure")
    try:
        kind = recognise(octets)
    except DecodeError as unknown:
        form = "is text; it " if not was_hex and is_text(octets) else ""
        raise DecodeError(name, form + unknown.reason) from None
    return Structure(name=name, octets=octets, kind=kind, was_hex=was_hex)


def is_hex(octets: bytes) -> bool:
    """Whether these octets are text that says octets; no binary structure consists of digits."""
    digits = octets.translate(None, _HEX_SEPARATORS).removeprefix(b"0x")
    return bool(digits) and _HEX_DIGITS.issuperset(digits)


def is_text(octets: bytes) -> bool:
    """Whether these octets begin like text."""
    return all(32 <= octet < 127 or octet in b"\t\r\n" for octet in octets[:64])


def _from_hex(text: bytes) -> bytes:
    digits = text.translate(None, _HEX_SEPARATORS).removeprefix(b"0x")
    if len(digits) % 2:
        raise DecodeError("input", f"{len(digits)} hexadecimal digits: one is missing or too many")
    return bytes.fromhex(digits.decode("ascii"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for a file name is hexadecimal text
        return False


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
