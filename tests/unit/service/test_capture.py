"""A capture records what it is asked to, and a disk that fails costs the capture alone."""

import io
from pathlib import Path

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import StorageError
from shared.service.capture import Capture, capture_of
from shared.service.log import make_logger
from shared.service.radio_config import CaptureConfig
from shared.transport.capture import open_capture, read_capture
from shared.transport.link_frames import UNKNOWN_MAC
from shared.transport.radio import ReceivedPacket
from tests.helpers.hierarchy import NOON, clock_at

MAC = bytes.fromhex("020000000001")
NOW = clock_at(NOON).now()


@pytest.mark.parametrize(("heard", "packets"), [(False, [b"said"]), (True, [b"said", b"heard", b"heard"])])
def test_what_is_heard_is_recorded_where_that_is_asked_for(tmp_path: Path, heard: bool, packets: list[bytes]) -> None:  # noqa: FBT001
    file = tmp_path / "radio.pcapng"
    with capture_of(CaptureConfig(file=file, heard=heard), make_logger(io.StringIO())) as capture:
        assert capture is not None
        capture.sent(b"said", NOW, source_mac=MAC, links=frozenset({"air"}))
        for mac in (MAC, None):
            capture.heard("net", ReceivedPacket(b"heard", NOW, mac))
    recorded = list(read_capture(file))
    assert [each.packet for each in recorded] == packets
    assert [each.source_mac for each in recorded[1:]] == [MAC, UNKNOWN_MAC][: len(packets) - 1]
    assert {each.utc for each in recorded} == {NOON}


def test_without_a_trusted_time_nothing_is_recorded(tmp_path: Path) -> None:
    with capture_of(CaptureConfig(file=tmp_path / "x.pcap"), make_logger(io.StringIO())) as capture:
        assert capture is not None
        capture.sent(b"said", ManualClock(None).now(), source_mac=MAC, links=frozenset({"air"}))
    assert list(read_capture(tmp_path / "x.pcap")) == []


def test_a_capture_that_cannot_be_written_is_told_once_and_nothing_is_raised(tmp_path: Path) -> None:
    log = io.StringIO()
    writer = open_capture(tmp_path / "x.pcap")
    writer.close()
    with Capture(writer, records_heard=True, log=make_logger(log)) as capture:
        for _ in range(3):
            capture.sent(b"said", NOW, source_mac=MAC, links=frozenset({"air"}))
        assert capture.status() == {"written": 0, "skipped": 0, "works": False}
    assert log.getvalue().count("cannot be written") == 1


def test_a_file_that_is_something_else_is_refused_and_no_section_is_no_capture(tmp_path: Path) -> None:
    precious = tmp_path / "precious.pcap"
    precious.write_text("something else, long enough to be a header")
    log = make_logger(io.StringIO())
    with pytest.raises(StorageError, match="not a capture to continue"):
        capture_of(CaptureConfig(file=precious), log)
    with capture_of(None, log) as nothing:
        assert nothing is None
