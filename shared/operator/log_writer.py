"""The process that writes a log: it alone has the store open, and what it finds waiting becomes one transaction.

The node forks it before it serves anything and talks to it over a pair of sockets. What the node sends:

    frame = kind, u32 length, octets        kinds: a entry to append | p checkpoint to keep | r mark as restored | i sync the index

What it answers, in the order of what it was sent, each in MessagePack behind its length: `Opened` or `Refused` at the beginning,
then `Committed` or `Refused` for each group of appends, `Done` or `Refused` for each of the others. It ends when the node does,
however that ends: by then everything that was sent is written. Signals are the node's business. Left out: who may append, and who
is told what.
"""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from typing import NoReturn

import msgspec

from shared.core.errors import ConfigError, StorageError
from shared.service.log_store import LogStore
from shared.service.run import error_line

MAX_GROUP_ENTRIES = 1_024
"""Entries of one transaction; whoever comes next is not kept waiting for longer than that many take."""

MAX_GROUP_OCTETS = 4 << 20

_READ_OCTETS = 1 << 20
_HEAD_OCTETS = 5

APPEND, PUBLISH, RESTORED, SYNC = b"a", b"p", b"r", b"i"


class Opened(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The log is open: its newest checkpoint, the one handed out last, and whether it came out of a backup."""

    note: bytes
    published: bytes | None
    is_restored: bool


class Committed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A group is on disk: the index of each entry, and the log's newest checkpoint."""

    indexes: tuple[int, ...]
    note: bytes


class Done(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What was asked is done."""


class Refused(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """It is not done, or nobody knows: how many entries were in the group, what kind of error, its path and its sentence."""

    count: int
    kind: str
    path: str
    reason: str

    def error(self) -> Exception:
        """Return the error as it was, a bug of ours as a `RuntimeError`."""
        match self.kind:
            case "storage":
                return StorageError(self.path, self.reason)
            case "configuration":
                return ConfigError(self.path, self.reason)
            case _:
                return RuntimeError(self.reason)


Answer = Opened | Committed | Done | Refused

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Answer)


def append_frame(entry: bytes) -> bytes:
    """Return what is sent to have an entry appended."""
    return frame(APPEND, entry)


def frame(kind: bytes, octets: bytes = b"") -> bytes:
    """Return what is sent to have something else done."""
    return kind + len(octets).to_bytes(4) + octets


class AnswerReader:
    """Takes the writer's answers out of the octets it sends."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def read(self, octets: bytes) -> Iterator[Answer]:
        """Give every answer that is complete; raises `msgspec.DecodeError` for what is none."""
        self._octets += octets
        while len(self._octets) >= 4:
            end = 4 + int.from_bytes(self._octets[:4])
            if len(self._octets) < end:
                return
            answer = _decoder.decode(bytes(self._octets[4:end]))
            del self._octets[:end]
            yield answer


class LogWriter:
    """Carries out what it is sent.

    Args:
        store: the log.
        send: sends an answer.
    """

    def __init__(self, store: LogStore, send: Callable[[bytes], None]) -> None:
        self._store = store
        self._send = send
        self._octets = b""
        self._syncing: Thread | None = None

    def take(self, octets: bytes) -> None:
        """Carry out all that is complete: appends that follow one another in one transaction."""
        data = self._octets + octets if self._octets else octets
        at, group, group_octets = 0, list[bytes](), 0
        while len(data) >= (start := at + _HEAD_OCTETS):
            end = start + int.from_bytes(data[at + 1 : start])
            if len(data) < end:
                break
            kind, at, payload = data[at : at + 1], end, data[start:end]
            if kind == APPEND:
                group.append(payload)
                group_octets += len(payload)
                if len(group) < MAX_GROUP_ENTRIES and group_octets < MAX_GROUP_OCTETS:
                    continue
            self._append(group)
            group, group_octets = [], 0
            if kind != APPEND:
                self._do(kind, payload)
        self._append(group)
        self._octets = data[at:]

    def _append(self, group: list[bytes]) -> None:
        if not group:
            return
        try:
            indexes = self._store.append(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            self._answer(_refused(len(group), error))
        else:
            self._answer(Committed(indexes, self._store.newest_note))

    def _do(self, kind: bytes, payload: bytes) -> None:
        try:
            if kind == PUBLISH:
                self._store.publish(payload)
            elif kind == RESTORED:
                self._store.mark_restored(is_restored=True)
            elif kind == SYNC and (self._syncing is None or not self._syncing.is_alive()):
                self._syncing = Thread(target=self._sync_index, daemon=True)  # appends go on meanwhile
                self._syncing.start()
        except Exception as error:  # noqa: BLE001 - as above
            self._answer(_refused(0, error))
        else:
            self._answer(Done())

    def _sync_index(self) -> None:
        with suppress(StorageError, ValueError):  # ValueError: the index was just thrown away, after a failed append
            self._store.sync_index()

    def _answer(self, answer: Answer) -> None:
        self._send(_framed(answer))

    def close(self) -> None:
        """Close the store."""
        if self._syncing is not None:
            self._syncing.join()
        self._store.close()


def fork_writer(open_store: Callable[[], LogStore]) -> tuple[int, socket.socket]:
    """Begin the writing process, and return its number and the socket that reaches it; no thread may run yet.

    Args:
        open_store: opens the log; called in the new process.
    """
    ours, theirs = socket.socketpair()
    number = os.fork()
    if number == 0:
        ours.close()
        _run(open_store, theirs)
    theirs.close()
    ours.setblocking(False)
    return number, ours


def _run(open_store: Callable[[], LogStore], sock: socket.socket) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()
        _write(open_store, sock)
        status = 0
    except Exception as error:  # noqa: BLE001 - the outermost frame of this process
        sys.stderr.write(f"{error_line(error)}\n")
        sys.stderr.flush()
    finally:
        os._exit(status)  # nothing of the node's is cleaned up here


def _write(open_store: Callable[[], LogStore], sock: socket.socket) -> None:
    def send(octets: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the node is gone; what it sent is written all the same
            sock.sendall(octets)

    try:
        store = open_store()
        opened = Opened(store.newest_note, store.published_note, store.is_restored)
    except Exception as error:  # noqa: BLE001 - the node says it
        send(_framed(_refused(0, error)))
        return
    send(_framed(opened))
    writer = LogWriter(store, send)
    try:
        while octets := sock.recv(_READ_OCTETS):
            writer.take(octets)
    except ConnectionResetError:
        pass
    finally:
        writer.close()


def _refused(count: int, error: Exception) -> Refused:
    match error:
        case StorageError():
            return Refused(count, "storage", error.path, error.reason)
        case ConfigError():
            return Refused(count, "configuration", error.path, error.reason)
        case _:
            return Refused(count, "fault", "", error_line(error))


def _framed(answer: Answer) -> bytes:
    octets = _encoder.encode(answer)
    return len(octets).to_bytes(4) + octets
