"""pcapng files: what we write reads back, what others write is understood, what is damaged is said."""

from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import UtcNs
from shared.core.errors import DecodeError, StorageError
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.capture import open_capture, read_capture
from shared.transport.link_frames import BROADCAST_MAC, UNKNOWN_MAC, ethernet_frame
from shared.transport.pcap import CapturedPacket, PcapWriter
from shared.transport.pcapng import MAX_BLOCK_OCTETS, MAX_INTERFACES, MAX_LINK_NAME_OCTETS, PcapngWriter

UTC = UtcNs(1_800_000_000_123_456_789)
MAC = bytes.fromhex("02000000002a")
PACKET = bytes.fromhex("12001a01") + b"signed"
FRAME = ethernet_frame(PACKET, MAC)
SECTION, INTERFACE, OBSOLETE, SIMPLE, NAMES, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 4, 6


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class Foreign:
    """Blocks as another program might write them."""

    def __init__(self, order: str) -> None:
        self.order = order

    def block(self, kind: int, body: bytes) -> bytes:
        octets = pack(self.order + "I", 12 + len(body))
        return pack(self.order + "I", kind) + octets + body + octets

    def section(self, *, version: tuple[int, int] = (1, 0)) -> bytes:
        return self.block(SECTION, pack(self.order + "IHHq", 0x1A2B3C4D, *version, -1))

    def option(self, code: int, value: bytes) -> bytes:
        return pack(self.order + "HH", code, len(value)) + padded(value)

    def interface(self, *options: bytes, link_type: int = 1, snap: int = 0) -> bytes:
        return self.block(INTERFACE, pack(self.order + "HHI", link_type, 0, snap) + b"".join(options))

    def packet(self, ticks: int = 0, *, frame: bytes = FRAME, interface: int = 0, original: int | None = None) -> bytes:
        whole = len(frame) if original is None else original
        return self.block(
            ENHANCED, pack(self.order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), whole) + padded(frame)
        )

    def begin(self) -> bytes:
        return self.section() + self.interface()


def written(path: Path, packets: int, link: str | None = "its-g5") -> bytes:
    with PcapngWriter(path) as writer:
        for number in range(packets):
            writer.write(PACKET, utc=UtcNs(UTC + number), source_mac=MAC, link=link)
    return path.read_bytes()


def read(path: Path, content: bytes) -> list[CapturedPacket]:
    path.write_bytes(content)
    return list(read_capture(path))


def whole_blocks(data: bytes) -> list[int]:
    """Return where each block of ours ends."""
    ends, at = [], 0
    while at < len(data):
        at += int.from_bytes(data[at + 4 : at + 8], "big")
        ends.append(at)
    return ends


def test_a_packet_reads_back_with_its_time_its_sender_and_its_link(tmp_path: Path) -> None:
    path = tmp_path / "radio.pcapng"
    with open_capture(path) as writer:
        writer.write(PACKET, utc=UTC, source_mac=MAC, link="its-g5")
        writer.write(PACKET, utc=UTC, link="backhaul", is_outbound=False)
        writer.write(PACKET, utc=UTC)
        writer.write(PACKET, utc=UTC, source_mac=MAC, link="its-g5")
    packets = list(read_capture(path))
    assert packets[0] == CapturedPacket(
        packet=PACKET, utc=UTC, source_mac=MAC, destination_mac=BROADCAST_MAC, frame_number=1, link="its-g5"
    )
    assert [(p.link, p.source_mac, p.frame_number) for p in packets[1:]] == [
        ("backhaul", UNKNOWN_MAC, 2),
        (None, UNKNOWN_MAC, 3),
        ("its-g5", MAC, 4),
    ]


def test_the_name_says_which_format_is_written_and_the_content_which_is_read(tmp_path: Path) -> None:
    for name, magic in (("radio.pcap", "a1b23c4d"), ("radio.pcapng", "0a0d0d0a"), ("radio", "a1b23c4d")):
        with open_capture(tmp_path / name) as writer:
            writer.write(PACKET, utc=UTC, link="its-g5")
        path = (tmp_path / name).rename(tmp_path / "renamed.bin")
        assert path.read_bytes()[:4].hex() == magic
        assert [p.packet for p in read_capture(path)] == [PACKET]


def test_a_second_writer_goes_on_behind_the_first_in_a_section_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "radio.pcapng"
    written(path, 1)
    written(path, 2, link="mqtt")
    assert [(p.utc - UTC, p.link) for p in read_capture(path)] == [(0, "its-g5"), (0, "mqtt"), (1, "mqtt")]


def test_a_file_cut_at_any_octet_yields_what_was_whole_and_then_says_where_it_is_cut(tmp_path: Path) -> None:
    whole = written(tmp_path / "radio.pcapng", 3)
    ends = whole_blocks(whole)
    path = tmp_path / "cut.pcapng"
    for octets in range(4, len(whole)):
        path.write_bytes(whole[:octets])
        reader = read_capture(path)
        for _ in range(sum(end <= octets for end in ends[2:])):
            assert next(reader).packet == PACKET
        if octets in ends:
            assert list(reader) == []
        else:
            with pytest.raises(DecodeError, match="cut short"):
                next(reader)


def test_a_file_cut_at_any_octet_is_continued_behind_its_last_whole_block(tmp_path: Path) -> None:
    whole = written(tmp_path / "radio.pcapng", 2)
    ends = whole_blocks(whole)
    path = tmp_path / "cut.pcapng"
    for octets in range(len(whole)):
        path.write_bytes(whole[:octets])
        written(path, 1)
        assert len(list(read_capture(path))) == sum(end <= octets for end in ends[2:]) + 1


def test_a_bounded_file_stops_growing_and_counts_what_it_left_out(tmp_path: Path) -> None:
    path = tmp_path / "radio.pcapng"
    bound = len(written(tmp_path / "two.pcapng", 2))
    with PcapngWriter(path, max_octets=bound) as writer:
        for _ in range(5):
            writer.write(PACKET, utc=UTC, source_mac=MAC, link="its-g5")
        assert (writer.written, writer.skipped) == (2, 3)
    assert path.stat().st_size == bound


@pytest.mark.parametrize("order", ["<", ">"])
class TestForeignFiles:
    """Whatever the byte order."""

    @pytest.mark.parametrize(
        ("options", "ticks", "utc"),
        [
            ((), 1_800_000_000_000_001, 1_800_000_000_000_001_000),
            (((9, b"\x09"),), 1_800_000_000_000_000_001, 1_800_000_000_000_000_001),
            (((9, b"\x00"),), 1_800_000_000, 1_800_000_000_000_000_000),
            (((9, b"\x8a"),), 1_800_000_000 * 1024 + 512, 1_800_000_000_500_000_000),
            (((9, b"\x0c"),), 1_000_999, 1_000),
            (((14, None),), 7, 1_000_000_007_000),
            (((9, b"\x7f"), (0, b""), (9, b"\x00")), 1, 0),
        ],
    )
    def test_time_is_read_in_any_resolution(
        self, tmp_path: Path, order: str, options: tuple[tuple[int, bytes | None], ...], ticks: int, utc: int
    ) -> None:
        by = Foreign(order)
        written_options = [by.option(code, pack(order + "q", 1_000) if value is None else value) for code, value in options]
        (packet,) = read(tmp_path / "x", by.section() + by.interface(*written_options) + by.packet(ticks))
        assert packet.utc == utc

    def test_blocks_and_options_nobody_here_knows_are_skipped(self, tmp_path: Path, order: str) -> None:
        by = Foreign(order)
        content = by.begin() + by.block(NAMES, bytes(1_000)) + by.block(0x0BAD, bytes(600_000)) + by.packet()
        assert [p.packet for p in read(tmp_path / "x", content)] == [PACKET]
        options = by.option(1, b"a comment") + by.option(11, b"\0port 1") + by.option(2, b"wlan0")
        (packet,) = read(tmp_path / "x", by.section() + by.interface(options) + by.packet())
        assert packet.link == "wlan0"

    def test_simple_and_obsolete_packets_are_read(self, tmp_path: Path, order: str) -> None:
        by = Foreign(order)
        obsolete = by.block(OBSOLETE, pack(order + "HHIIII", 0, 0xFFFF, 0, 5, len(FRAME), len(FRAME)) + padded(FRAME))
        simple = by.block(SIMPLE, pack(order + "I", len(FRAME)) + padded(FRAME))
        packets = read(tmp_path / "x", by.begin() + simple + obsolete + simple)
        assert [(p.packet, p.utc, p.frame_number) for p in packets] == [(PACKET, 0, 1), (PACKET, 5_000, 2), (PACKET, 5_000, 3)]

    def test_a_simple_packet_is_as_long_as_its_interface_takes(self, tmp_path: Path, order: str) -> None:
        by = Foreign(order)
        cut = by.block(SIMPLE, pack(order + "I", len(FRAME)) + FRAME[:20])
        with pytest.raises(DecodeError, match="frame 1: captured only 20 of 24 octets"):
            read(tmp_path / "x", by.section() + by.interface(snap=20) + cut)

    def test_each_section_has_its_own_byte_order_and_interfaces(self, tmp_path: Path, order: str) -> None:
        by, other = Foreign(order), Foreign("<" if order == ">" else ">")
        content = by.section() + by.interface(by.option(2, b"one")) + by.packet()
        content += other.section() + other.interface(other.option(2, b"two")) + other.packet()
        assert [p.link for p in read(tmp_path / "x", content)] == ["one", "two"]
        with pytest.raises(DecodeError, match="frame 2: came by interface 0, which is not described"):
            read(tmp_path / "x", by.begin() + by.packet() + other.section() + other.packet())

    def test_interfaces_that_cannot_be_read_are_passed_over_unless_there_is_no_other(self, tmp_path: Path, order: str) -> None:
        by = Foreign(order)
        usb = by.section() + by.interface(link_type=220)
        packets = read(tmp_path / "x", usb + by.interface() + by.packet() + by.packet(interface=1))
        assert [p.frame_number for p in packets] == [2]
        with pytest.raises(DecodeError, match=r"x: link type 220 \(USB\) cannot be read"):
            read(tmp_path / "x", usb + by.packet())

    @pytest.mark.parametrize(
        ("damage", "reason"),
        [
            (lambda by: by.section(version=(2, 0)), "version 2.0 is not known"),
            (lambda by: by.section()[:8] + b"\0\0\0\0" + by.section()[12:], "its byte order is neither"),
            (lambda by: by.block(SECTION, pack(by.order + "I", 0x1A2B3C4D)), "4 octets are no section header"),
            (lambda by: by.section() + by.block(INTERFACE, b"\0\0\0\0"), "4 octets describe no interface"),
            (lambda by: by.section() + by.interface(pack(by.order + "HH", 2, 40)), "option 2 claims 40 octets and has 0"),
            (lambda by: by.section() + by.interface() * (MAX_INTERFACES + 1), f"more than {MAX_INTERFACES} interfaces"),
            (lambda by: by.section() + by.packet(), "came by interface 0, which is not described"),
            (lambda by: by.begin() + by.packet(interface=7), "came by interface 7"),
            (lambda by: by.begin() + by.packet(original=255), "captured only 24 of 255"),
            (lambda by: by.begin() + by.packet((1 << 64) - 1), "are no time"),
            (lambda by: by.begin() + by.block(ENHANCED, bytes(8)), "8 octets are no packet"),
            (lambda by: by.begin() + by.block(ENHANCED, pack(by.order + "IIIII", 0, 0, 0, 99, 99)), "claims 99 octets and has 0"),
            (lambda by: by.begin() + pack(by.order + "II", ENHANCED, 1 << 30), "1073741824 octets are no block of type 0x6"),
            (lambda by: by.begin() + pack(by.order + "II", NAMES, MAX_BLOCK_OCTETS + 4), "are no block of type 0x4"),
            (lambda by: by.begin() + pack(by.order + "II", ENHANCED, 33), "33 octets are no block"),
            (lambda by: by.begin() + pack(by.order + "II", ENHANCED, 8), "8 octets are no block"),
            (lambda by: by.begin() + by.packet()[:-4] + pack(by.order + "I", 60), "ends with length 60 and begins with 56"),
        ],
    )
    def test_what_is_damaged_is_said(self, tmp_path: Path, order: str, damage: object, reason: str) -> None:
        assert callable(damage)
        with pytest.raises(DecodeError, match=reason):
            read(tmp_path / "x", damage(Foreign(order)))

    def test_packets_before_the_damage_are_yielded(self, tmp_path: Path, order: str) -> None:
        by = Foreign(order)
        path = tmp_path / "x"
        path.write_bytes(by.begin() + by.packet() + by.packet(interface=3))
        reader = read_capture(path)
        assert next(reader).packet == PACKET
        with pytest.raises(DecodeError):
            next(reader)


@given(content=st.binary(max_size=300))
def test_any_octets_behind_a_section_give_packets_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pcapng"
    for begin in (b"\x0a\x0d\x0d\x0a", Foreign("<").section(), Foreign(">").begin()):
        try:
            read(path, begin + content)
        except DecodeError as error:
            assert str(error).startswith("any.pcapng")  # noqa: PT017 - both ends are fine


def test_a_file_that_is_no_pcapng_is_not_written_to(tmp_path: Path) -> None:
    classic = tmp_path / "classic.pcapng"
    with PcapWriter(classic) as writer:
        writer.write(PACKET, utc=UTC)
    for path, content in ((classic, classic.read_bytes()), (tmp_path / "short.pcapng", b"text")):
        path.write_bytes(content)
        with pytest.raises(StorageError, match="not a capture to continue"):
            PcapngWriter(path)
        assert path.read_bytes() == content


def test_a_file_that_cannot_be_opened_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        PcapngWriter(tmp_path / "absent" / "radio.pcapng")
    with pytest.raises(StorageError, match="cannot be read"):
        list(read_capture(tmp_path / "absent.pcapng"))
    with pytest.raises(StorageError, match="/dev/full: cannot be written"):
        PcapngWriter(Path("/dev/full"))


def test_what_cannot_be_recorded_is_refused_and_the_file_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "radio.pcapng"
    with PcapngWriter(path) as writer:
        for packet, utc, mac, link in (
            (b"", UTC, MAC, "a"),
            (bytes(MAX_PACKET_OCTETS + 1), UTC, MAC, "a"),
            (PACKET, UtcNs(-1), MAC, "a"),
            (PACKET, UTC, b"\x02", "a"),
            (PACKET, UTC, MAC, "a" * (MAX_LINK_NAME_OCTETS + 1)),
        ):
            with pytest.raises(StorageError, match=r"no record|no place"):
                writer.write(packet, utc=utc, source_mac=mac, link=link)
        for number in range(MAX_INTERFACES):
            writer.write(PACKET, utc=UTC, link=str(number))
        with pytest.raises(StorageError, match="no place for one more link"):
            writer.write(PACKET, utc=UTC, link="one more")
    assert len(list(read_capture(path))) == MAX_INTERFACES
    writer.close()
    with pytest.raises(StorageError, match="cannot be written"):
        writer.write(PACKET, utc=UTC, link="1")
