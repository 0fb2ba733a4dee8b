"""A recorded bus: candump, Vector ASC and BLF, and ASAM MF4 as frames with time.

Candump (`.log`, `.log.gz`) is read here, line by line and strictly: a line cut inside its data is not a shorter frame. The
other formats are python-can's; MF4 is read in a process of its own. A file that is damaged or cut short yields what is good,
then raises and says where. Times are the log's own stamps in nanoseconds (a candump's count from 1970), never running
backwards. Error and remote frames are skipped and counted. Writing logs is not here.
"""

import contextlib
import gzip
import io
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.transport.can_frame import CanFrame, checked_frame
from shared.transport.python_can import can

MAX_LINE_BYTES = 1_024
"""Longest candump line; an FD frame takes 160."""

SUFFIXES = (".log", ".log.gz", ".asc", ".asc.gz", ".blf", ".mf4")
"""What `CanLog` reads."""

# (seconds.fraction) channel identifier#data; ## and one flag digit for FD, #R for remote frames, _D for a raw length code.
_CANDUMP = re.compile(
    rb"\((\d{1,12})\.(\d{1,9})\) +(\S{1,64}) +([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})#"
    rb"(?:(#[0-9A-Fa-f])?((?:[0-9A-Fa-f]{2}){0,64})(?:_[0-9A-Fa-f])?|R[0-8]?(?:_[0-9A-Fa-f])?)(?: [RTrt])?[ \t]*\r?\n"
)
_ERROR_FLAG = 0x2000_0000
_MAX_CLASSIC_BYTES = 8


class CanLog:
    """One log file.

    Args:
        path: the file; its suffix says what it is (`SUFFIXES`).

    Raises:
        ConfigError: the suffix is unknown, or a package for this format is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = _reader_for(path)
        self.clamped = 0
        """Frames whose stamp ran backwards and were given the time of the one before."""
        self.skipped = 0
        """Error and remote frames."""

    def frames(self) -> Iterator[CanFrame]:
        """Yield the frames in the order of the file.

        Raises:
            ConfigError: there is no such file, or it cannot be opened.
            DecodeError: a line or record is garbled; what was before it has been yielded.
            StorageError: the file is cut short or damaged; what was before has been yielded.
        """
        latest: MonotonicNs | None = None
        for frame in self._read(self._path):
            if frame is None:
                self.skipped += 1
            elif latest is not None and frame.received < latest:
                self.clamped += 1
                yield CanFrame(frame.arbitration_id, frame.is_extended, frame.data, frame.channel, latest)
            else:
                latest = frame.received
                yield frame


def read_log(path: Path) -> Iterator[CanFrame]:
    """Yield the frames of a log file; see `CanLog`."""
    return CanLog(path).frames()


_Reader = Callable[[Path], Iterator[CanFrame | None]]


def _reader_for(path: Path) -> _Reader:
    name = path.name.lower()
    if name.endswith((".log", ".log.gz")):
        return _read_candump
    if name.endswith(".mf4"):
        if find_spec("asammdf") is None:
            raise ConfigError(str(path), "MF4 logs need the extra mf4: pip install 'v2x-trust[mf4]'")
        return _read_mf4
    if name.endswith(SUFFIXES):
        return _read_with_python_can
    raise ConfigError(str(path), f"is no CAN log this program reads; it reads {', '.join(SUFFIXES)}")


def _read_candump(path: Path) -> Iterator[CanFrame | None]:
    number = 0
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            for frame in _candump_frames(file, path):
                number += 1
                yield frame
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StorageError(str(path), f"is cut short or damaged after line {number}: {error}") from error
    except OSError as error:
        raise _cannot_read(path, error, number) from error


def _candump_frames(lines: IO[bytes] | gzip.GzipFile, path: Path) -> Iterator[CanFrame | None]:
    number = 0
    while line := lines.readline(MAX_LINE_BYTES):
        number += 1
        if not line.endswith(b"\n"):
            if len(line) == MAX_LINE_BYTES:
                raise DecodeError(f"{path.name} line {number}", f"is longer than {MAX_LINE_BYTES} bytes")
            raise StorageError(str(path), f"is cut short in line {number}")
        yield None if line.isspace() else _candump_frame(line, path, number)


def _read_mf4(path: Path) -> Iterator[CanFrame | None]:
    """Read through a child process (`mf4_child` says why) that writes candump lines."""
    if not path.is_file():
        raise ConfigError(str(path), "No such file")
    command = [sys.executable, "-m", "shared.transport.mf4_child", os.fspath(path)]
    number = 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:  # noqa: S603 - our own module
        try:
            for frame in _candump_frames(child.stdout or io.BytesIO(), path):
                number += 1
                yield frame
            reason = (child.stderr or io.BytesIO()).read(MAX_LINE_BYTES).decode("utf-8", "replace")
            if child.wait() != 0:
                raise DecodeError(f"{path.name} after frame {number}", f"is damaged: {reason or 'the reader gave up'}")
        finally:
            child.kill()


def _candump_frame(line: bytes, path: Path, number: int) -> CanFrame | None:
    match = _CANDUMP.fullmatch(line)
    if match is None:
        raise DecodeError(f"{path.name} line {number}", f"is no candump line: {line[:40].decode('ascii', 'replace').rstrip()!r}")
    seconds, fraction, channel, identifier, fd, data = match.groups()
    is_extended = len(identifier) > 3
    arbitration_id = int(identifier, 16)
    if data is None or (is_extended and arbitration_id & _ERROR_FLAG):
        return None
    payload = bytes.fromhex(data.decode("ascii"))
    if fd is None and len(payload) > _MAX_CLASSIC_BYTES:
        raise DecodeError(f"{path.name} line {number}", f"is a classic frame of {len(payload)} bytes")
    stamp = MonotonicNs(int(seconds) * NS_PER_S + int(fraction.ljust(9, b"0")))
    try:
        return checked_frame(arbitration_id, is_extended, payload, channel.decode("utf-8"), stamp)
    except ValueError as error:  # UnicodeDecodeError is one
        raise DecodeError(f"{path.name} line {number}", str(error)) from error


def _read_with_python_can(path: Path) -> Iterator[CanFrame | None]:
    number = 0
    expected_bytes = 0
    try:
        with contextlib.ExitStack() as open_files:
            reader = _python_can_reader(path, open_files)
            if isinstance(reader, can.BLFReader):
                expected_bytes = reader.file_size
            for message in reader:
                number += 1
                yield _frame_of(message, path, number)
        size_bytes = path.stat().st_size
    except DecodeError:
        raise
    except (EOFError, zlib.error) as error:
        raise StorageError(str(path), f"is cut short or damaged after frame {number}: {error}") from error
    except OSError as error:
        raise _cannot_read(path, error, number) from error
    except Exception as error:  # what python-can raises on a damaged file is not documented
        raise DecodeError(f"{path.name} after frame {number}", f"is damaged: {str(error) or type(error).__name__}") from error
    # python-can takes a BLF that ends inside a container for a shorter one.
    if size_bytes < expected_bytes:
        raise StorageError(str(path), f"is cut short after frame {number}")


def _python_can_reader(path: Path, open_files: contextlib.ExitStack) -> Iterable[can.Message]:
    """Open a file for python-can's reader; its own opening leaks the file where the header is damaged."""
    name = path.name.lower()
    if name.endswith(".blf"):
        return can.BLFReader(open_files.enter_context(path.open("rb")))
    if name.endswith(".gz"):
        return can.ASCReader(open_files.enter_context(gzip.open(path, "rt", encoding="utf-8")))
    return can.ASCReader(open_files.enter_context(path.open(encoding="utf-8")))


def _frame_of(message: can.Message, path: Path, number: int) -> CanFrame | None:
    if message.is_error_frame or message.is_remote_frame:
        return None
    data = bytes(message.data)
    channel = f"can{message.channel}" if isinstance(message.channel, int) else str(message.channel or "can0")
    if message.dlc != len(data):
        raise DecodeError(f"{path.name} frame {number}", f"has {len(data)} of {message.dlc} bytes")
    try:
        stamp = MonotonicNs(round(message.timestamp * NS_PER_S))
        return checked_frame(message.arbitration_id, message.is_extended_id, data, channel, stamp)
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"{path.name} frame {number}", str(error)) from error


def _cannot_read(path: Path, error: OSError, number: int) -> ConfigError | StorageError:
    if number == 0:
        return ConfigError(str(path), f"cannot be read: {error.strerror or error}")
    return StorageError(str(path), f"cannot be read further after {number}: {error.strerror or error}")
