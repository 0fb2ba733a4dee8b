"""Captures go both ways between us and Wireshark's programs, in either format."""

import subprocess
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_US, UtcNs
from shared.network.headers import BasicHeader, BasicNextHeader, encode_basic_header
from shared.network.packet import encode_beacon
from shared.transport.capture import open_capture, read_capture
from tests.helpers.debian import require
from tests.helpers.tshark import layers
from tests.unit.network.samples import VECTOR

UTC = UtcNs(1_800_000_000_123_456_000)
BEACON = encode_basic_header(
    BasicHeader(next_header=BasicNextHeader.COMMON, lifetime_ms=60_000, remaining_hop_limit=1)
) + encode_beacon(VECTOR, is_mobile=True)
MAC = VECTOR.address.mac
FORMATS = ("pcap", "nsecpcap", "pcapng")


def write(path: Path, packets: int = 3) -> Path:
    with open_capture(path) as writer:
        for number in range(packets):
            writer.write(
                BEACON,
                utc=UtcNs(UTC + number * NS_PER_US),
                source_mac=MAC,
                link=("its-g5", "backhaul")[number % 2],
                is_outbound=number % 2 == 0,
            )
    return path


def ended(*command: str | Path) -> str:
    run = subprocess.run([str(word) for word in command], capture_output=True, check=True, timeout=300, text=True)
    return run.stdout


@pytest.mark.parametrize("name", ["radio.pcap", "radio.pcapng"])
def test_every_packet_we_write_is_read_with_nothing_malformed(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    write(path, 1)
    wanted = ("frame.time_epoch", "eth.src", "geonw.ch.htype", "frame.interface_name", "_ws.malformed", "_ws.expert.severity")
    frames = layers(path, *(part for field in wanted for part in ("-e", field)))
    assert len(frames) == 4
    for frame in frames:
        assert frame["eth.src"] == [MAC.hex(":")]
        assert "geonw.ch.htype" in frame
        assert "_ws.malformed" not in frame
        assert "_ws.expert.severity" not in frame
    assert [frame["frame.time_epoch"] for frame in frames] == [[f"1800000000.12345{digit}000"] for digit in (6, 7, 8, 6)]
    if name.endswith("ng"):
        links = [frame["frame.interface_name"][0] for frame in frames]
        assert links == ["its-g5", "backhaul", "its-g5", "its-g5"]


@pytest.mark.parametrize("written", ["radio.pcap", "radio.pcapng"])
@pytest.mark.parametrize("form", FORMATS)
def test_what_wireshark_writes_is_read(tmp_path: Path, written: str, form: str) -> None:
    path, copy = write(tmp_path / written), tmp_path / "copy"
    ended(require("tshark", "tshark"), "-r", path, "-F", form, "-w", copy)
    ours, theirs = list(read_capture(path)), list(read_capture(copy))
    assert [(p.packet, p.utc, p.source_mac, p.frame_number) for p in theirs] == [
        (p.packet, p.utc, p.source_mac, p.frame_number) for p in ours
    ]
    if written.endswith("ng") and form == "pcapng":
        assert [p.link for p in theirs] == ["its-g5", "backhaul", "its-g5"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_padded_frame_that_was_captured_on_a_wire_is_read_without_its_padding(tmp_path: Path, form: str) -> None:
    text, copy = tmp_path / "frame.txt", tmp_path / "copy"
    frame = b"\xff" * 6 + MAC + b"\x89\x47" + BEACON + bytes(10)
    text.write_text("0000 " + frame.hex(" ") + "\n")
    ended(require("text2pcap", "wireshark-common"), "-F", form, text, copy)
    (captured,) = read_capture(copy)
    assert captured.packet == BEACON


@pytest.mark.parametrize(("link_type", "before"), [(105, b""), (127, b"\0\0\x08\0\0\0\0\0")])
def test_frames_of_its_g5_are_read_as_wireshark_reads_them(tmp_path: Path, link_type: int, before: bytes) -> None:
    text, copy = tmp_path / "frame.txt", tmp_path / "copy"
    wifi = b"\x88\0\0\0" + b"\xff" * 6 + MAC + b"\xff" * 6 + b"\0\0" + b"\x03\0" + bytes.fromhex("aaaa030000008947") + BEACON
    text.write_text("0000 " + (before + wifi).hex(" ") + "\n")
    ended(require("text2pcap", "wireshark-common"), "-l", str(link_type), text, copy)
    (captured,) = read_capture(copy)
    assert (captured.packet, captured.source_mac) == (BEACON, MAC)
    told = ended(require("tshark", "tshark"), "-r", copy, "-T", "fields", "-e", "wlan.sa", "-e", "geonw.src_pos.addr.mid")
    assert told.split() == [MAC.hex(":")] * 2
