"""The files of a log node: a process that writes (`log_writer`), a few threads that read, and how the event loop reaches them.

SQLite wants a connection used where it was opened, and every call may wait for the disk; so each has a thread of its own, and the
event loop gets futures. The loop itself reads a few tiles when a witness wants a proof, with a connection of its own.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import ConfigError, StorageError
from shared.ledger.merkle import Hash
from shared.ledger.note import Ed25519NoteSigner, NoteSigner
from shared.operator.log_writer import (
    PUBLISH,
    RESTORED,
    SYNC,
    AnswerReader,
    Committed,
    Done,
    Opened,
    Refused,
    fork_writer,
    frame,
)
from shared.service.database import Connect, connect_sqlite
from shared.service.log_reader import LogReader, open_log_reader
from shared.service.log_store import load_or_create_log_key, open_log_store

KEY_FILE = "log.key"
STORE_FILE = "log.sqlite"
NEWER_FILE = "newer.note"
"""A checkpoint that this log signed and does not have, as a witness showed it."""

READING_THREADS = 2

P = ParamSpec("P")
T = TypeVar("T")


def open_log_signers(store: Path, key: Path, origin: str, *, is_new: bool) -> tuple[NoteSigner, ...]:
    """Return the keys of a log, a new one where neither key nor log is there; the second, if any, is the one it changes to.

    Args:
        store: the log's file.
        key: its key; the next one lies beside it, `KEY.next`.
        origin: of the log.
        is_new: whether an empty log may begin with a key that is there already.

    Raises:
        ConfigError: others may read a key, or it is there without its log.
        StorageError: it cannot be read or made.
    """
    if key.exists() and not store.exists() and not is_new:
        raise ConfigError(
            str(store),
            f"is not there, and without it {key.name} could sign a second history; restore it, or begin a new log with a new key"
            " (--new: this key never signed anything)",
        )
    if store.exists() and not key.exists():
        raise ConfigError(str(key), f"is not there, and {store.name} is a log whose key it was")
    following = key.with_name(key.name + ".next")
    keys: list[Ed25519PrivateKey] = [load_or_create_log_key(key)]
    if following.exists():
        keys.append(load_or_create_log_key(following))
    return tuple(Ed25519NoteSigner(origin, each) for each in keys)


class Groups(Protocol):
    """Who is told of groups: `shared.operator.group_commit.GroupCommit`."""

    def committed(self, indexes: Sequence[int]) -> None:
        """The next group is on disk."""
        ...

    def failed(self, count: int, error: Exception) -> None:
        """The next group is not, or nobody knows."""
        ...

    def lost(self, error: Exception) -> None:
        """There is no writer any more."""
        ...


class _Thread:
    """One thread, whose calls are made one after another."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Have something done in the thread."""
        return asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def end(self) -> None:
        """Let it end when what it was given is done."""
        self._executor.shutdown(wait=True)


class LogFiles(asyncio.Protocol):
    """A log, open in the process that writes and in the threads that read; make one, then `open` it.

    Args:
        path: the log's file.
        signers: its keys.
        connect: opens SQLite.

    Attributes:
        newest_note: the checkpoint over everything that is committed, signed by the log alone.
        published_note: the one handed out last, when this was opened.
        is_restored: whether the file was marked as restored then.
        commit: whoever is told of groups.
        ended: raises `StorageError` once the writing process has ended by itself.
    """

    def __init__(self, path: Path, signers: Sequence[NoteSigner], connect: Connect = connect_sqlite) -> None:
        self._path = path
        self._signers = tuple(signers)
        self._connect = connect
        self._reading = [_Thread("log-reader") for _ in range(READING_THREADS)]
        self._readers: list[LogReader] = []
        self._own: LogReader | None = None
        self._turns = cycle(range(READING_THREADS))
        self._answers = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._process: int | None = None
        self._opened: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        self._asked: deque[asyncio.Future[None]] = deque()
        self._is_closing = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.newest_note = b""
        self.published_note: bytes | None = None
        self.is_restored = False
        self.commit: Groups | None = None

    @property
    def origin(self) -> str:
        """The log's origin."""
        return self._signers[0].key.name

    @property
    def vkey(self) -> str:
        """The log's verifier key, as policies write it."""
        return self._signers[0].key.text

    async def open(self) -> None:
        """Open everything; raises as `open_log_store`, with what was opened closed again."""
        following = self._signers[1] if len(self._signers) > 1 else None
        self._process, sock = fork_writer(
            lambda: open_log_store(self._path, self._signers[0], self._connect, next_signer=following)
        )
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=sock)
            opened = await asyncio.shield(self._opened)  # whoever waits may be cancelled; the writer answers all the same
            self.newest_note, self.published_note, self.is_restored = opened.note, opened.published, opened.is_restored
            self._own = open_log_reader(self._path, self._connect, is_whole=False)
            for thread in self._reading:
                self._readers.append(await thread.call(open_log_reader, self._path, self._connect, is_whole=False))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close everything, once what is under way is done."""
        self._is_closing = True
        if self._own is not None:
            self._own.close()
            self._own = None
        for thread, reader in zip(self._reading, self._readers, strict=False):
            await thread.call(reader.close)
        if self._transport is not None:
            with suppress(RuntimeError):  # of uvloop, which has closed it where opening was cancelled
                self._transport.write_eof()
        if self._process is not None:
            process, self._process = self._process, None
            await self._reading[0].call(os.waitpid, process, 0)
        for thread in self._reading:
            thread.end()
        if self._transport is not None:
            self._transport.abort()

    def append(self, frames: bytes) -> None:
        """Send frames of `append_frame` to the writer; `commit` hears of them."""
        if self._transport is not None:
            self._transport.write(frames)

    async def publish(self, note: bytes) -> None:
        """Keep a checkpoint as `LogStore.publish`."""
        await self._ask(frame(PUBLISH, note))

    async def mark_restored(self) -> None:
        """Forbid appending as `LogStore.mark_restored`."""
        await self._ask(frame(RESTORED))

    async def sync_index(self) -> None:
        """Save the next start some work; a failure costs just that."""
        await self._ask(frame(SYNC))

    def read(self, path: str) -> "asyncio.Future[bytes]":
        """Read as `LogReader.read`, in another thread."""
        turn = next(self._turns)
        return self._reading[turn].call(self._readers[turn].read, path)

    def consistency(self, old_size: int, new_size: int) -> tuple[Hash, ...]:
        """Return a consistency proof as `LogReader.consistency`; in the thread of the event loop."""
        assert self._own is not None
        return self._own.consistency(old_size, new_size)

    # What the socket to the writer says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the writer's answers."""
        for answer in self._answers.read(data):
            match answer:
                case Committed():
                    self.newest_note = answer.note
                    assert self.commit is not None
                    self.commit.committed(answer.indexes)
                case Refused() if answer.count:
                    assert self.commit is not None
                    self.commit.failed(answer.count, answer.error())
                case Opened():
                    self._opened.set_result(answer)
                case Refused() if not self._opened.done():
                    self._opened.set_exception(answer.error())
                case Refused():
                    _settle(self._asked.popleft(), answer.error())
                case Done():
                    _settle(self._asked.popleft(), None)

    def eof_received(self) -> bool:
        """The writer has ended, or is about to: what it was asked it does not answer any more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        del exc
        self._transport = None
        error = StorageError(str(self._path), "the process that writes it has ended; whether it kept what it had is not known")
        if not self._opened.done():
            self._opened.set_exception(error)
            self._opened.exception()  # whoever opened it may be gone
        while self._asked:
            _settle(self._asked.popleft(), error)
        if self.commit is not None:
            self.commit.lost(error)
        if not self.ended.done():
            _settle(self.ended, None if self._is_closing else error)
            self.ended.exception()  # whoever could not even open it does not wait for its end

    def _ask(self, octets: bytes) -> "asyncio.Future[None]":
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            asked.set_exception(StorageError(str(self._path), "there is no process any more that writes it"))
        else:
            self._asked.append(asked)
            self._transport.write(octets)
        return asked


def _settle(asked: "asyncio.Future[None]", error: Exception | None) -> None:
    if asked.done():  # whoever asked was cancelled
        return
    if error is None:
        asked.set_result(None)
    else:
        asked.set_exception(error)
