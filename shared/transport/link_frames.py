"""Frames of the link layer around GeoNetworking packets: written as Ethernet, read as whatever a capture holds.

Ethernet (IEEE 802.3 with an ethertype), IEEE 802.11 data frames as ITS-G5 sends them outside any cell (LLC/SNAP inside), those
behind a radiotap header, and the two headers of Linux's "any" device. A frame of another protocol is no error: `gn_frame` gives
None.

A short Ethernet frame is filled up to sixty octets, and nothing in the link layer says by how much. A packet that is secured is
longer than that, always: its signature alone has 64 octets. One that is not says its own length, and is cut there
(`without_padding`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.core.errors import DecodeError
from shared.network.address import MAC_OCTETS
from shared.network.headers import (
    BASIC_HEADER_OCTETS,
    COMMON_HEADER_OCTETS,
    BasicNextHeader,
    HeaderType,
    decode_basic_header,
    decode_common_header,
)

ETHERTYPE_GEONETWORKING = 0x8947
ETHERTYPE = ETHERTYPE_GEONETWORKING.to_bytes(2, "big")
ETHERNET_OCTETS = 14
MIN_ETHERNET_FRAME_OCTETS = 60
"""Shorter frames are padded (IEEE 802.3 clause 4.2.8, without the check sequence)."""

BROADCAST_MAC = b"\xff" * MAC_OCTETS
UNKNOWN_MAC = bytes(MAC_OCTETS)
"""Source of a packet whose sender is not known; a capture needs some address."""

LINK_TYPE_ETHERNET = 1
LINK_TYPE_IEEE80211 = 105
LINK_TYPE_LINUX_SLL = 113
LINK_TYPE_RADIOTAP = 127
LINK_TYPE_LINUX_SLL2 = 276

_LINK_TYPE_NAMES = {
    0: "BSD loopback",
    9: "PPP",
    101: "raw IP",
    119: "Prism",
    163: "AVS",
    192: "PPI",
    195: "IEEE 802.15.4",
    220: "USB",
    227: "SocketCAN",
    252: "Wireshark upper PDU",
}

_EXTENDED_OCTETS = {
    HeaderType.BEACON: 24,
    HeaderType.GUC: 48,
    HeaderType.GAC_CIRCLE: 44,
    HeaderType.GAC_RECTANGLE: 44,
    HeaderType.GAC_ELLIPSE: 44,
    HeaderType.GBC_CIRCLE: 44,
    HeaderType.GBC_RECTANGLE: 44,
    HeaderType.GBC_ELLIPSE: 44,
    HeaderType.SHB: 28,
    HeaderType.TSB: 28,
    HeaderType.LS_REQUEST: 36,
    HeaderType.LS_REPLY: 48,
}
"""EN 302 636-4-1 V1.4.1 clause 9.8."""

_SNAP = b"\xaa\xaa\x03\x00\x00\x00" + ETHERTYPE
_IEEE80211_OCTETS = 24
_QOS_OCTETS = 2
_HT_CONTROL_OCTETS = 4
_RADIOTAP_OCTETS = 8
_RADIOTAP_TSFT = 1
_RADIOTAP_FLAGS = 2
_RADIOTAP_MORE = 0x8000_0000
_FLAG_FCS = 0x10
_FLAG_PADDED = 0x20
_FLAG_BAD_FCS = 0x40
_FCS_OCTETS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GnFrame:
    """One GeoNetworking packet as its link carried it.

    Attributes:
        packet: from the Basic Header on, without padding.
        source_mac: link-layer sender.
        destination_mac: link-layer destination; broadcast where the capture does not say.
    """

    packet: bytes
    source_mac: bytes
    destination_mac: bytes


def ethernet_frame(packet: bytes, source_mac: bytes) -> bytes:
    """Return a broadcast frame around a packet."""
    return BROADCAST_MAC + source_mac + ETHERTYPE + packet


def without_padding(packet: bytes) -> bytes:
    """Cut what a short Ethernet frame was filled up with; a packet that is too long for that, or unreadable, stays as it is."""
    if len(packet) > MIN_ETHERNET_FRAME_OCTETS - ETHERNET_OCTETS:
        return packet
    try:
        basic, rest = decode_basic_header(packet)
        if basic.next_header is not BasicNextHeader.COMMON:
            return packet
        common = decode_common_header(rest[:COMMON_HEADER_OCTETS])
    except DecodeError:
        return packet
    octets = BASIC_HEADER_OCTETS + COMMON_HEADER_OCTETS + _EXTENDED_OCTETS[common.header_type] + common.payload_octets
    return packet if any(packet[octets:]) else packet[:octets]


def gn_frame(link_type: int, frame: bytes, *, fcs_octets: int = 0) -> GnFrame | None:
    """Return the packet in a captured frame, or None where it holds another protocol or is cut before its end of headers.

    Args:
        link_type: one that `is_readable`.
        frame: as captured.
        fcs_octets: length of the check sequence at its end, where the capture says so; radiotap says it itself.
    """
    return _READERS[link_type](frame[: len(frame) - fcs_octets] if fcs_octets else frame)


def is_readable(link_type: int) -> bool:
    """Whether frames of a link type can be read."""
    return link_type in _READERS


def link_type_name(link_type: int) -> str:
    """Return number and, where known, name of a link type, for people."""
    name = _LINK_TYPE_NAMES.get(link_type)
    return f"{link_type} ({name})" if name else str(link_type)


def _of_ethernet(frame: bytes) -> GnFrame | None:
    if frame[2 * MAC_OCTETS : ETHERNET_OCTETS] != ETHERTYPE:
        return None
    return _found(frame[ETHERNET_OCTETS:], source=frame[MAC_OCTETS : 2 * MAC_OCTETS], destination=frame[:MAC_OCTETS])


def _of_ieee80211(frame: bytes, *, is_padded: bool = False) -> GnFrame | None:
    """Read a data frame of IEEE 802.11 clause 9.3.2; encrypted and aggregated ones are passed over."""
    if len(frame) < _IEEE80211_OCTETS or frame[0] & 0x0F != 0x08 or frame[0] & 0x40 or frame[1] & 0x40:
        return None  # management, control, no data inside, or protected
    to_ds, from_ds = bool(frame[1] & 1), bool(frame[1] & 2)
    octets = _IEEE80211_OCTETS + (MAC_OCTETS if to_ds and from_ds else 0)
    if frame[0] & 0x80:
        if frame[octets : octets + 1] and frame[octets] & 0x80:
            return None  # an aggregate
        octets += _QOS_OCTETS + (_HT_CONTROL_OCTETS if frame[1] & 0x80 else 0)
    if is_padded:
        octets += -octets % 4
    if frame[octets : octets + len(_SNAP)] != _SNAP:
        return None
    first, second, third = (frame[start : start + MAC_OCTETS] for start in (4, 10, 16))
    destination = third if to_ds else first
    source = frame[_IEEE80211_OCTETS : _IEEE80211_OCTETS + MAC_OCTETS] if to_ds and from_ds else third if from_ds else second
    return _found(frame[octets + len(_SNAP) :], source=source, destination=destination)


def _of_radiotap(frame: bytes) -> GnFrame | None:
    if len(frame) < _RADIOTAP_OCTETS or frame[0] != 0:
        return None
    octets = int.from_bytes(frame[2:4], "little")
    if not _RADIOTAP_OCTETS <= octets <= len(frame):
        return None
    present = word = int.from_bytes(frame[4:8], "little")
    start = _RADIOTAP_OCTETS
    while word & _RADIOTAP_MORE:
        if start + 4 > octets:
            return None
        word = int.from_bytes(frame[start : start + 4], "little")
        start += 4
    if present & _RADIOTAP_TSFT:
        start += -start % 8 + 8
    flags = frame[start] if present & _RADIOTAP_FLAGS and start < octets else 0
    if flags & _FLAG_BAD_FCS:
        return None
    inner = frame[octets : len(frame) - _FCS_OCTETS] if flags & _FLAG_FCS else frame[octets:]
    return _of_ieee80211(inner, is_padded=bool(flags & _FLAG_PADDED))


def _of_linux_sll(frame: bytes) -> GnFrame | None:
    if frame[14:16] != ETHERTYPE or frame[4:6] != b"\x00\x06":
        return None
    return _found(frame[16:], source=frame[6:12], destination=BROADCAST_MAC)


def _of_linux_sll2(frame: bytes) -> GnFrame | None:
    if frame[:2] != ETHERTYPE or frame[11:12] != b"\x06":
        return None
    return _found(frame[20:], source=frame[12:18], destination=BROADCAST_MAC)


def _found(packet: bytes, *, source: bytes, destination: bytes) -> GnFrame:
    return GnFrame(packet=without_padding(packet), source_mac=source, destination_mac=destination)


_READERS: Mapping[int, Callable[[bytes], GnFrame | None]] = MappingProxyType(
    {
        LINK_TYPE_ETHERNET: _of_ethernet,
        LINK_TYPE_IEEE80211: _of_ieee80211,
        LINK_TYPE_LINUX_SLL: _of_linux_sll,
        LINK_TYPE_RADIOTAP: _of_radiotap,
        LINK_TYPE_LINUX_SLL2: _of_linux_sll2,
    }
)
