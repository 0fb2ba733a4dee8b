import gc
import gzip
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import MonotonicNs
from shared.core.errors import ConfigError, DecodeError, StorageError, V2xError
from shared.transport.can_frame import CanFrame
from shared.transport.can_log import MAX_LINE_BYTES, CanLog, read_log
from tests.helpers.data import data_file

GOOD = b"(1600000000.000001) can0 123#0102030405060708\n"


def _taken(frames: Iterator[CanFrame]) -> tuple[list[CanFrame], V2xError | None]:
    """Return what a log yields and how it ends."""
    taken: list[CanFrame] = []
    try:
        taken.extend(frames)
    except V2xError as error:
        return taken, error
    return taken, None


def _read(tmp_path: Path, content: bytes, name: str = "bus.log") -> tuple[list[CanFrame], V2xError | None]:
    path = tmp_path / name
    path.write_bytes(content)
    frames: list[CanFrame] = []
    try:
        for frame in read_log(path):
            frames.append(frame)  # noqa: PERF402  # what came before the error is the point
    except V2xError as error:
        return frames, error
    return frames, None


class TestCandump:
    @pytest.mark.parametrize(
        ("line", "frame"),
        [
            ("(1.5) can0 123#", (0x123, False, b"", 1_500_000_000)),
            ("(1600000000.123456) can0 7FF#FF", (0x7FF, False, b"\xff", 1_600_000_000_123_456_000)),
            ("(0.000000001) can0 00000123#0102", (0x123, True, b"\x01\x02", 1)),
            ("(2.0) can0 1FFFFFFF#0102 R", (0x1FFFFFFF, True, b"\x01\x02", 2_000_000_000)),
            ("(2.0) can0 123##1" + "ab" * 64, (0x123, False, b"\xab" * 64, 2_000_000_000)),
            ("(2.0) can0 123##0", (0x123, False, b"", 2_000_000_000)),
            ("(2.0) can0 123#1122334455667788_E", (0x123, False, bytes.fromhex("1122334455667788"), 2_000_000_000)),
        ],
    )
    def test_a_line_is_a_frame(self, tmp_path: Path, line: str, frame: tuple[int, bool, bytes, int]) -> None:
        for end in ("\n", "\r\n"):
            frames, error = _read(tmp_path, (line + end).encode())
            assert error is None
            assert [(f.arbitration_id, f.is_extended, f.data, f.received) for f in frames] == [frame]
            assert frames[0].channel == "can0"

    @pytest.mark.parametrize("line", ["(1.0) can0 123#R", "(1.0) can0 123#R8", "(1.0) can0 20000088#0000000000000000"])
    def test_remote_and_error_frames_are_skipped_and_counted(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "bus.log"
        path.write_bytes(f"{line}\n".encode() + GOOD)
        log = CanLog(path)
        assert len(list(log.frames())) == 1
        assert log.skipped == 1

    @pytest.mark.parametrize(
        "line",
        [
            "(1.0) can0 123#0",
            "(1.0) can0 123#0102030405060708090A",
            "(1.0) can0 123##1" + "00" * 9,
            "(1.0) can0 123##1" + "00" * 65,
            "(1.0) can0 12#00",
            "(1.0) can0 800#00",
            "(1.0) can0 1234#00",
            "(1.0) can0 5FFFFFFF#00",
            "(1.0) can0 123#GG",
            "(x.0) can0 123#00",
            "(1) can0 123#00",
            "1.0 can0 123#00",
            "(1.0) can0 123",
            "(1.0) 123#00",
            "(1.0) can0 123#00 extra",
            "(1.0) can\x00\xff 123#00",
            "hello",
        ],
    )
    def test_a_garbled_line_is_named_and_what_was_before_it_is_kept(self, tmp_path: Path, line: str) -> None:
        frames, error = _read(tmp_path, GOOD * 2 + b"\n" + line.encode("latin-1") + b"\n" + GOOD)
        assert len(frames) == 2
        assert isinstance(error, DecodeError)
        assert error.field == "bus.log line 4"

    def test_a_file_cut_at_any_byte_keeps_its_whole_lines_and_says_where_it_ends(self, tmp_path: Path) -> None:
        whole = GOOD * 3
        for length in range(len(whole)):
            frames, error = _read(tmp_path, whole[:length])
            lines, rest = divmod(length, len(GOOD))
            assert len(frames) == lines
            if rest == 0:
                assert error is None
            else:
                assert isinstance(error, StorageError)
                assert f"is cut short in line {lines + 1}" in str(error)

    def test_a_compressed_file_cut_at_any_byte_keeps_what_can_be_read(self, tmp_path: Path) -> None:
        whole = gzip.compress(b"".join(f"({n}.0) can0 123#{n * 7919 % 65536:04X}\n".encode() for n in range(200)))
        for length in range(1, len(whole), 7):
            frames, error = _read(tmp_path, whole[:length], "bus.log.gz")
            assert isinstance(error, StorageError | ConfigError)
            assert [f.received for f in frames] == [n * 1_000_000_000 for n in range(len(frames))]
        assert len(_read(tmp_path, whole, "bus.log.gz")[0]) == 200

    @pytest.mark.parametrize("position", [0, 12, 300, -6, -2])
    def test_a_compressed_file_with_a_flipped_byte_is_refused_where_it_breaks(self, tmp_path: Path, position: int) -> None:
        whole = bytearray(gzip.compress(b"".join(f"({n}.0) can0 123#{n * 7919 % 65536:04X}\n".encode() for n in range(400))))
        whole[position] ^= 0xFF
        _, error = _read(tmp_path, bytes(whole), "bus.log.gz")
        assert isinstance(error, StorageError | ConfigError | DecodeError)

    def test_a_line_without_end_is_refused_in_bounded_memory(self, tmp_path: Path) -> None:
        _, error = _read(tmp_path, GOOD + b"(1.0) can0 123#" + b"0" * MAX_LINE_BYTES * 4)
        assert isinstance(error, DecodeError)
        assert error.field == "bus.log line 2"

    def test_time_never_runs_backwards(self, tmp_path: Path) -> None:
        path = tmp_path / "bus.log"
        path.write_text("".join(f"({t}.0) can0 123#\n" for t in (5, 7, 6, 1, 7, 8)), encoding="ascii")
        log = CanLog(path)
        assert [f.received // 1_000_000_000 for f in log.frames()] == [5, 7, 7, 7, 7, 8]
        assert log.clamped == 2

    @given(content=st.binary(max_size=200))
    def test_any_bytes_give_frames_or_a_typed_error(self, tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
        for name in ("any.log", "any.log.gz", "any.asc", "any.blf"):
            path = tmp_path_factory.getbasetemp() / name
            path.write_bytes(content)
            _taken(read_log(path))


FRAMES = [
    can.Message(
        timestamp=100.0 + n / 8, arbitration_id=0x100 + n, is_extended_id=n % 2 == 1, data=bytes(range(n % 9)), channel=n % 2
    )
    for n in range(40)
]
FD_FRAME = can.Message(timestamp=106.0, arbitration_id=0x7, is_extended_id=False, is_fd=True, data=bytes(range(64)), channel=0)


CONVERT = """
import can, sys
with can.LogReader(sys.argv[1]) as reader, can.Logger(sys.argv[2]) as logger:
    for message in reader:
        logger.on_message_received(message)
"""


def _write(path: Path, messages: Sequence[can.Message]) -> None:
    """Write a log by python-can; MF4 in a process of its own, as it is read."""
    if path.suffix == ".mf4":
        pytest.importorskip("asammdf")
        source = path.with_suffix(".blf")
        _write(source, messages)
        subprocess.run([sys.executable, "-c", CONVERT, source, path], check=True)
        return
    with can.Logger(path) as logger:
        for message in messages:
            logger.on_message_received(message)


@pytest.mark.parametrize("suffix", [".log", ".log.gz", ".asc", ".asc.gz", ".blf", ".mf4"])
class TestEveryFormat:
    def _written(self, tmp_path: Path, suffix: str) -> Path:
        path = tmp_path / f"bus{suffix}"
        _write(path, (*FRAMES, FD_FRAME))
        return path

    def test_what_python_can_wrote_is_read_back(self, tmp_path: Path, suffix: str) -> None:
        frames, error = _taken(read_log(self._written(tmp_path, suffix)))
        assert error is None
        expected = [(m.arbitration_id, m.is_extended_id, bytes(m.data)) for m in (*FRAMES, FD_FRAME)]
        assert [(f.arbitration_id, f.is_extended, f.data) for f in frames] == expected
        assert {f.channel.removeprefix("can") for f in frames} == {"0", "1"}
        start = frames[0].received
        assert [round((f.received - start) / 1_000_000) for f in frames] == [
            round((m.timestamp - 100.0) * 1_000) for m in (*FRAMES, FD_FRAME)
        ]

    def test_a_file_cut_short_says_so_after_what_is_good(self, tmp_path: Path, suffix: str) -> None:
        path = self._written(tmp_path, suffix)
        whole = path.read_bytes()
        for tenth in (1, 5, 9) if suffix == ".mf4" else range(1, 10):  # each MF4 file costs a process
            # Within a line or block, never at its end, where the rest of a text file could be a file of its own.
            cut = len(whole) * tenth // 10
            while whole[cut - 1 : cut] == b"\n":
                cut -= 1
            path.write_bytes(whole[: cut - 1])
            frames, error = _taken(read_log(path))
            assert len(frames) <= 40
            if suffix != ".asc":  # a line of text cut inside a number it can do without is a line
                assert isinstance(error, StorageError | DecodeError | ConfigError), tenth
                assert "bus" in str(error)
            del error
        gc.collect()


class TestDamagedMf4:
    def test_a_file_whose_index_is_bent_gives_a_sentence_and_nothing_else(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "bent.mf4"
        _write(path, FRAMES)
        whole = path.read_bytes()
        for at in (8, 56, 64, 128, 176):
            path.write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
            _, error = _taken(read_log(path))
            assert isinstance(error, DecodeError), at
            assert str(error).startswith("bent.mf4 after frame")
        assert capfd.readouterr() == ("", "")


class TestRefusals:
    @pytest.mark.parametrize("name", ["bus.txt", "bus", "bus.gz", "bus.log.xz", "bus.blf.gz"])
    def test_an_unknown_suffix_is_a_fault_of_the_configuration(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="no CAN log this program reads"):
            CanLog(tmp_path / name)

    @pytest.mark.parametrize("name", ["bus.log", "bus.log.gz", "bus.asc", "bus.blf"])
    def test_a_file_that_is_not_there_is_a_fault_of_the_configuration(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="No such file"):
            list(read_log(tmp_path / name))

    def test_mf4_without_its_extra_names_the_extra(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "asammdf", None)
        with pytest.raises(ConfigError, match=r"extra mf4: pip install 'v2x-trust\[mf4\]'"):
            CanLog(tmp_path / "bus.mf4")


@pytest.mark.parametrize(
    ("log", "frames"),
    [
        ("comma2k19/rav4-2017-60s.log.gz", 98_800),
        ("css/car-obd2-gnssodo-2021-00000165-1.log.gz", 8_212),
        ("css/truck-j1939-vd-gnss-imu-2021.log.gz", 57_849),
    ],
)
def test_recorded_drives_are_read_whole(log: str, frames: int) -> None:
    reader = CanLog(data_file(f"can/{log}"))
    last = MonotonicNs(0)
    count = 0
    for frame in reader.frames():
        count += 1
        last = frame.received
    assert (count, reader.clamped, reader.skipped) == (frames, 0, 0)
    assert last > 0
