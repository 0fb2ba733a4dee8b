"""Packets are found in the frames of every link that carries them."""

from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.transport.capture import read_capture
from shared.transport.link_frames import (
    BROADCAST_MAC,
    LINK_TYPE_ETHERNET,
    LINK_TYPE_IEEE80211,
    LINK_TYPE_LINUX_SLL,
    LINK_TYPE_LINUX_SLL2,
    LINK_TYPE_RADIOTAP,
    ethernet_frame,
    gn_frame,
)

PACKET = bytes.fromhex("12001a01") + b"signed" * 10
CAR, CELL, OTHER = (bytes.fromhex(f"0200000000{last}") for last in ("0a", "0b", "0c"))
SNAP = bytes.fromhex("aaaa03000000") + b"\x89\x47"
ANYBODY = b"\xff" * 6
FCS = b"\xde\xad\xbe\xef"


def wifi(control: bytes, first: bytes, second: bytes, third: bytes, *between: bytes, snap: bytes = SNAP) -> bytes:
    return control + b"\0\0" + first + second + third + b"\0\0" + b"".join(between) + snap + PACKET


OCB = wifi(b"\x88\x00", BROADCAST_MAC, CAR, ANYBODY, b"\x03\x00")
"""As ITS-G5 sends: QoS data, neither to nor from a distribution system, wildcard cell."""


def radiotap(frame: bytes, *, flags: int | None = None, clock: bool = False, more: int = 0) -> bytes:
    present = (1 if clock else 0) | (2 if flags is not None else 0)
    words = [present | 0x8000_0000] + [0x8000_0000] * (more - 1) + [0] if more else [present]
    fields = b"".join(pack("<I", word) for word in words)
    if clock:
        fields += bytes(-(4 + len(fields)) % 8) + bytes(8)
    if flags is not None:
        fields += bytes((flags,))
    return b"\0\0" + pack("<H", 4 + len(fields)) + fields + frame


@pytest.mark.parametrize(
    ("link_type", "frame", "source", "destination"),
    [
        (LINK_TYPE_ETHERNET, ethernet_frame(PACKET, CAR), CAR, BROADCAST_MAC),
        (LINK_TYPE_IEEE80211, OCB, CAR, BROADCAST_MAC),
        (LINK_TYPE_IEEE80211, wifi(b"\x08\x00", OTHER, CAR, CELL), CAR, OTHER),
        (LINK_TYPE_IEEE80211, wifi(b"\x08\x01", CELL, CAR, OTHER), CAR, OTHER),
        (LINK_TYPE_IEEE80211, wifi(b"\x08\x02", OTHER, CELL, CAR), CAR, OTHER),
        (LINK_TYPE_IEEE80211, wifi(b"\x88\x03", CELL, CELL, OTHER, CAR, b"\0\0"), CAR, OTHER),
        (LINK_TYPE_IEEE80211, wifi(b"\x88\x80", BROADCAST_MAC, CAR, ANYBODY, b"\0\0", bytes(4)), CAR, BROADCAST_MAC),
        (LINK_TYPE_RADIOTAP, radiotap(OCB), CAR, BROADCAST_MAC),
        (LINK_TYPE_RADIOTAP, radiotap(OCB, flags=0, clock=True), CAR, BROADCAST_MAC),
        (LINK_TYPE_RADIOTAP, radiotap(OCB + FCS, flags=0x10, clock=True), CAR, BROADCAST_MAC),
        (LINK_TYPE_RADIOTAP, radiotap(OCB + FCS, flags=0x10, clock=True, more=3), CAR, BROADCAST_MAC),
        (LINK_TYPE_RADIOTAP, radiotap(OCB[:26] + b"\0\0" + OCB[26:], flags=0x20), CAR, BROADCAST_MAC),
        (LINK_TYPE_LINUX_SLL, pack(">HHH", 1, 1, 6) + CAR + b"\0\0\x89\x47" + PACKET, CAR, BROADCAST_MAC),
        (LINK_TYPE_LINUX_SLL2, b"\x89\x47\0\0" + pack(">IHBB", 2, 1, 1, 6) + CAR + b"\0\0" + PACKET, CAR, BROADCAST_MAC),
    ],
)
def test_a_packet_is_found_with_who_sent_it_to_whom(link_type: int, frame: bytes, source: bytes, destination: bytes) -> None:
    found = gn_frame(link_type, frame)
    assert found is not None
    assert (found.packet, found.source_mac, found.destination_mac) == (PACKET, source, destination)


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        (LINK_TYPE_ETHERNET, BROADCAST_MAC + CAR + b"\x08\x00" + PACKET),
        (LINK_TYPE_ETHERNET, b""),
        (LINK_TYPE_IEEE80211, b"\x80\x00" + OCB[2:]),
        (LINK_TYPE_IEEE80211, b"\xc8\x00" + OCB[2:]),
        (LINK_TYPE_IEEE80211, b"\x88\x40" + OCB[2:]),
        (LINK_TYPE_IEEE80211, OCB[:24] + b"\x83" + OCB[25:]),
        (LINK_TYPE_IEEE80211, wifi(b"\x08\x00", OTHER, CAR, CELL, snap=bytes.fromhex("aaaa030000000800"))),
        (LINK_TYPE_IEEE80211, OCB[:25]),
        (LINK_TYPE_RADIOTAP, radiotap(OCB, flags=0x40)),
        (LINK_TYPE_RADIOTAP, b"\x01" + radiotap(OCB)[1:]),
        (LINK_TYPE_RADIOTAP, b"\0\0\xff\xff" + radiotap(OCB)[4:]),
        (LINK_TYPE_RADIOTAP, b"\0\0\x08\0" + pack("<I", 0x8000_0000) + OCB),
        (LINK_TYPE_LINUX_SLL, pack(">HHH", 1, 280, 0) + CAR + b"\0\0\x89\x47" + PACKET),
    ],
    ids=[
        "ip",
        "empty",
        "beacon",
        "null",
        "encrypted",
        "aggregate",
        "ip in wifi",
        "cut",
        "bad fcs",
        "version",
        "longer",
        "endless",
        "can",
    ],
)
def test_a_frame_of_something_else_is_no_error(link_type: int, frame: bytes) -> None:
    assert gn_frame(link_type, frame) is None


@pytest.mark.parametrize("fcs", [b"", FCS])
def test_a_wifi_capture_is_read_and_its_check_sequence_left_out_where_the_file_says_so(tmp_path: Path, fcs: bytes) -> None:
    link_type = LINK_TYPE_IEEE80211 | (0x2400_0000 if fcs else 0)
    frame = OCB + fcs
    path = tmp_path / "its-g5.pcap"
    header = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, link_type)
    path.write_bytes(header + pack("<IIII", 1_800_000_000, 0, len(frame), len(frame)) + frame)
    (captured,) = read_capture(path)
    assert (captured.packet, captured.source_mac) == (PACKET, CAR)


@given(frame=st.binary(max_size=120))
def test_any_octets_are_a_frame_or_none(frame: bytes) -> None:
    for link_type in (LINK_TYPE_ETHERNET, LINK_TYPE_IEEE80211, LINK_TYPE_RADIOTAP, LINK_TYPE_LINUX_SLL, LINK_TYPE_LINUX_SLL2):
        gn_frame(link_type, frame)
