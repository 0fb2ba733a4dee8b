"""The files of a log node and the threads that use them: one that writes, a few that read.

SQLite wants a connection used where it was opened, and every call may wait for the disk; so each has a thread of its own, and the
event loop gets futures. The loop itself reads a few tiles when a witness wants a proof, with a connection of its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import ParamSpec, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import ConfigError, StorageError
from shared.ledger.merkle import Hash
from shared.ledger.note import Ed25519NoteSigner, NoteSigner
from shared.service.database import Connect, connect_sqlite
from shared.service.log_reader import LogReader, open_log_reader
from shared.service.log_store import LogStore, load_or_create_log_key, open_log_store

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


class LogFiles:
    """A log, open in its threads; make one with `open`.

    Args:
        path: the log's file.
        signers: its keys.
        connect: opens SQLite.
    """

    def __init__(self, path: Path, signers: Sequence[NoteSigner], connect: Connect = connect_sqlite) -> None:
        self._path = path
        self._signers = tuple(signers)
        self._connect = connect
        self._writing = _Thread("log-writer")
        self._reading = [_Thread("log-reader") for _ in range(READING_THREADS)]
        self._store: LogStore | None = None
        self._readers: list[LogReader] = []
        self._own: LogReader | None = None
        self._turns = cycle(range(READING_THREADS))

    @property
    def store(self) -> LogStore:
        """The store; only `newest_note`, `vkey` and `origin` may be asked for outside its thread."""
        assert self._store is not None
        return self._store

    async def open(self) -> None:
        """Open everything; raises as `open_log_store`, with what was opened closed again."""
        try:
            signer, following = self._signers[0], (self._signers[1] if len(self._signers) > 1 else None)
            self._store = await self._writing.call(open_log_store, self._path, signer, self._connect, next_signer=following)
            self._own = open_log_reader(self._path, self._connect, is_whole=False)
            for thread in self._reading:
                self._readers.append(await thread.call(open_log_reader, self._path, self._connect, is_whole=False))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close everything, once what is under way is done."""
        if self._own is not None:
            self._own.close()
            self._own = None
        for thread, reader in zip(self._reading, self._readers, strict=False):
            await thread.call(reader.close)
        if self._store is not None:
            await self._writing.call(self._store.close)
            self._store = None
        for thread in (*self._reading, self._writing):
            thread.end()

    def append(self, entries: Sequence[bytes]) -> "asyncio.Future[tuple[int, ...]]":
        """Append as `LogStore.append`."""
        return self._writing.call(self.store.append, entries)

    def publish(self, note: bytes) -> "asyncio.Future[None]":
        """Keep a checkpoint as `LogStore.publish`."""
        return self._writing.call(self.store.publish, note)

    def mark_restored(self) -> "asyncio.Future[None]":
        """Forbid appending as `LogStore.mark_restored`."""
        return self._writing.call(self.store.mark_restored, is_restored=True)

    async def state(self) -> tuple[bytes | None, bool]:
        """Return the checkpoint handed out last, and whether the file is marked as restored."""
        store = self.store
        return await self._writing.call(lambda: (store.published_note, store.is_restored))

    def read(self, path: str) -> "asyncio.Future[bytes]":
        """Read as `LogReader.read`."""
        turn = next(self._turns)
        return self._reading[turn].call(self._readers[turn].read, path)

    async def sync_index(self) -> None:
        """Save the next start some work; a failure costs just that."""
        with suppress(StorageError, ValueError):  # ValueError: the index was just thrown away, after a failed append
            await self._reading[0].call(self.store.sync_index)

    def consistency(self, old_size: int, new_size: int) -> tuple[Hash, ...]:
        """Return a consistency proof as `LogReader.consistency`; in the thread of the event loop."""
        assert self._own is not None
        return self._own.consistency(old_size, new_size)
