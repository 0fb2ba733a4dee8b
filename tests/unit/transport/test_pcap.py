from pathlib import Path
from struct import pack

import pytest

from shared.core.clock import UtcNs
from shared.core.errors import DecodeError, StorageError
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.link_frames import BROADCAST_MAC, UNKNOWN_MAC
from shared.transport.pcap import CapturedPacket, PcapWriter, read_pcap

UTC = UtcNs(1_800_000_000_123_456_789)
MAC = bytes.fromhex("02000000002a")
PACKET = bytes.fromhex("12001a01") + b"signed"
RECORD_OCTETS = 16 + 14 + len(PACKET)


def written(path: Path, packets: int) -> bytes:
    with PcapWriter(path) as writer:
        for number in range(packets):
            writer.write(PACKET, utc=UtcNs(UTC + number), source_mac=MAC)
    return path.read_bytes()


HELLO = BROADCAST_MAC + MAC + b"\x89\x47hello"


def foreign(order: str, magic: int, fraction: int, *, link_type: int = 1, frame: bytes = HELLO) -> bytes:
    header = pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65_535, link_type)
    return header + pack(order + "IIII", 1_800_000_000, fraction, len(frame), len(frame)) + frame


def test_a_packet_reads_back_with_its_time_and_its_sender(tmp_path: Path) -> None:
    path = tmp_path / "radio.pcap"
    written(path, 2)
    first, second = read_pcap(path)
    assert first == CapturedPacket(packet=PACKET, utc=UTC, source_mac=MAC, destination_mac=BROADCAST_MAC, frame_number=1)
    assert (second.utc, second.frame_number) == (UTC + 1, 2)


def test_a_file_is_written_as_the_format_lays_it_out(tmp_path: Path) -> None:
    data = written(tmp_path / "radio.pcap", 1)
    assert data[:24].hex() == "a1b23c4d" + "00020004" + "00000000" + "00000000" + "0000ffff" + "00000001"
    assert data[24:40] == pack(">IIII", 1_800_000_000, 123_456_789, 24, 24)
    assert data[40:] == b"\xff" * 6 + MAC + b"\x89\x47" + PACKET


def test_a_second_writer_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    path = tmp_path / "radio.pcap"
    written(path, 1)
    written(path, 2)
    assert [p.utc - UTC for p in read_pcap(path)] == [0, 0, 1]


def test_a_file_cut_at_any_octet_yields_what_was_whole_and_then_says_where_it_is_cut(tmp_path: Path) -> None:
    whole = written(tmp_path / "radio.pcap", 3)
    path = tmp_path / "cut.pcap"
    for octets in range(len(whole)):
        path.write_bytes(whole[:octets])
        reader = read_pcap(path)
        for _ in range(max(0, octets - 24) // RECORD_OCTETS):
            assert next(reader).packet == PACKET
        if octets >= 24 and (octets - 24) % RECORD_OCTETS == 0:
            assert list(reader) == []
        else:
            with pytest.raises(DecodeError, match="cut short" if octets >= 4 else "not a pcap capture"):
                next(reader)


def test_a_file_cut_at_any_octet_is_continued_behind_its_last_whole_record(tmp_path: Path) -> None:
    whole = written(tmp_path / "radio.pcap", 2)
    path = tmp_path / "cut.pcap"
    for octets in range(len(whole)):
        path.write_bytes(whole[:octets])
        written(path, 1)
        assert len(list(read_pcap(path))) == max(0, octets - 24) // RECORD_OCTETS + 1


def test_a_bounded_file_stops_growing_and_counts_what_it_left_out(tmp_path: Path) -> None:
    path = tmp_path / "radio.pcap"
    bound = 24 + 2 * RECORD_OCTETS
    with PcapWriter(path, max_octets=bound) as writer:
        for _ in range(5):
            writer.write(PACKET, utc=UTC)
        assert (writer.written, writer.skipped) == (2, 3)
    assert path.stat().st_size == bound
    assert [p.source_mac for p in read_pcap(path)] == [UNKNOWN_MAC] * 2


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction", "ns"), [(0xA1B2C3D4, 999_999, 999_999_000), (0xA1B23C4D, 999_999_999, 999_999_999)])
def test_captures_of_other_tools_are_read_and_continued(tmp_path: Path, order: str, magic: int, fraction: int, ns: int) -> None:
    path = tmp_path / "tcpdump.pcap"
    path.write_bytes(foreign(order, magic, fraction))
    (captured,) = read_pcap(path)
    assert (captured.packet, captured.utc) == (b"hello", 1_800_000_000_000_000_000 + ns)
    written(path, 1)
    assert [p.packet for p in read_pcap(path)] == [b"hello", PACKET]


def test_frames_of_other_protocols_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "mixed.pcap"
    path.write_bytes(foreign(">", 0xA1B23C4D, 0, frame=BROADCAST_MAC + MAC + b"\x08\x00ip"))
    written(path, 1)
    assert [p.frame_number for p in read_pcap(path)] == [2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a capture at all, but text", "not a pcap capture"),
        (bytes.fromhex("0a0d0d0a1c0000004d3c2b1a"), "not a pcap capture"),
        (foreign("<", 0xA1B2C3D4, 0, link_type=195), r"link type 195 \(IEEE 802.15.4\) cannot be read"),
        (foreign("<", 0xA1B2C3D4, 1_000_000), "more than a second"),
        (foreign(">", 0xA1B23C4D, 1_000_000_000), "more than a second"),
        (foreign(">", 0xA1B23C4D, 0)[:32] + b"\xff" * 8, "no frame"),
        (foreign(">", 0xA1B23C4D, 0)[:36] + b"\x00\x00\x00\xff" + HELLO, "captured only 19 of 255"),
        (foreign(">", 0xA1B23C4D, 0)[:4] + b"\x00\x01" + foreign(">", 0xA1B23C4D, 0)[6:], "version 1.4"),
    ],
)
def test_what_is_no_ethernet_capture_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=reason):
        list(read_pcap(path))


def test_a_capture_of_another_link_type_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "monitor.pcap"
    path.write_bytes(foreign("<", 0xA1B2C3D4, 0, link_type=127))
    with pytest.raises(StorageError, match="not a capture to continue: link type 127"):
        PcapWriter(path)


def test_a_file_that_is_no_capture_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("something else, long enough to be a header")
    with pytest.raises(StorageError, match="not a capture to continue"):
        PcapWriter(path)
    assert path.read_text() == "something else, long enough to be a header"


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        PcapWriter(tmp_path / "absent" / "radio.pcap")
    with pytest.raises(StorageError, match="cannot be read"):
        list(read_pcap(tmp_path / "absent.pcap"))


def test_a_full_disk_is_a_typed_error() -> None:
    with pytest.raises(StorageError, match="/dev/full: cannot be written"):
        PcapWriter(Path("/dev/full"))


@pytest.mark.parametrize(
    ("packet", "utc", "mac"),
    [(b"", UTC, MAC), (bytes(MAX_PACKET_OCTETS + 1), UTC, MAC), (PACKET, UtcNs(-1), MAC), (PACKET, UTC, b"\x02")],
)
def test_what_cannot_be_recorded_is_refused_and_the_file_stays_whole(tmp_path: Path, packet: bytes, utc: UtcNs, mac: bytes) -> None:
    path = tmp_path / "radio.pcap"
    with PcapWriter(path) as writer, pytest.raises(StorageError, match="no record"):
        writer.write(packet, utc=utc, source_mac=mac)
    assert list(read_pcap(path)) == []


def test_a_closed_writer_says_so(tmp_path: Path) -> None:
    writer = PcapWriter(tmp_path / "radio.pcap")
    writer.close()
    writer.close()
    with pytest.raises(StorageError, match="cannot be written"):
        writer.write(PACKET, utc=UTC)
