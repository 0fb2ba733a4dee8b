"""Where in a log an entry stands, by its leaf hash: tables of 8-byte slots, open addressing, each twice as large as the one before.

A leaf hash is random, so a B-tree of them takes a page of writing for every entry and slows down as the log grows. Here an entry
costs one slot. Nothing is ever moved: a full table is left as it is and a new one begun, so the time an append takes depends on the
number of tables, which is the logarithm of the log's size. The first table is in memory and made anew at each start; the others are
files in the folder `FILE.index` beside the log, mapped into memory, 16 octets an entry when full.

All of it follows from the log and may be deleted while the log is not open. A slot is a hint: whoever asks compares the leaf hash
at the place it names. What must not happen is that an entry of the log is missing, so each file says how many entries were in it
when it was last forced to disk, and those after them are put in again at the next start. Only one program maps the files; a second
one on the same log keeps all its tables in memory.

    file = one page of header, slots;  slot = 24 bits of the hash << 40 | number + 1, or 0;  numbers in the machine's byte order
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from shared.core.errors import StorageError
from shared.ledger.merkle import HASH_BYTES
from shared.service.database import storage_errors

FIRST_TABLE_SLOTS = 1 << 16
"""Slots of the first table; half of them are used."""

MAX_PROBES = 1_024
"""Slots looked at one after another when one is filled; at half load a few are. More means the table is not what it should be."""

MAX_ENTRIES = (1 << 40) - 1
"""A slot has 40 bits for a number."""

INDEX_SUFFIX = ".index"

_SLOT_BYTES = 8
_HEADER_BYTES = 4_096
_MAGIC = b"v2xleaf\x01"
_HEADER = struct.Struct("=8sQQQ32s")
"""Magic, byte order, first number, number up to which entries are on disk, leaf hash of the last; then SHA-256 of all that."""

_BYTE_ORDER = 0x0102030405060708
_TAG_MASK = 0xFFFFFF << 40
_NUMBER_MASK = (1 << 40) - 1

ReadLeaves = Callable[[int, int], Iterable[bytes]]
"""Gives the leaf hashes of the entries from one number up to, not including, another."""


@dataclass(slots=True, kw_only=True)
class _Table:
    """One table: entries [first, end) belong into it; `newest` says up to where they are, with the leaf hash of the last."""

    first: int
    end: int
    memory: mmap.mmap
    slots: memoryview
    mask: int
    descriptor: int | None
    newest: tuple[int, bytes]
    synced: int

    def put(self, leaf: bytes, number: int, path: Path) -> None:
        slot = int.from_bytes(leaf[:8])
        at, slot = slot & self.mask, slot & _TAG_MASK | number + 1
        slots, mask = self.slots, self.mask
        for _ in range(MAX_PROBES):
            found = slots[at]
            if not found or found == slot:
                slots[at] = slot
                self.newest = (number + 1, leaf)
                return
            at = (at + 1) & mask
        raise StorageError(str(path), "the index of the log is crowded as it never should be; it is made anew")

    def close(self) -> None:
        self.slots.release()
        self.memory.close()
        if self.descriptor is not None:
            os.close(self.descriptor)


class LeafIndex:
    """The tables of one log.

    Args:
        log_path: the log's file; the folder lies beside it.
        first_slots: slots of the first table, a power of two.
    """

    def __init__(self, log_path: Path, *, first_slots: int = FIRST_TABLE_SLOTS) -> None:
        self._folder = log_path.with_name(log_path.name + INDEX_SUFFIX)
        self._first_slots = first_slots
        self._tables: list[_Table] = []
        self._probed: list[tuple[memoryview, int]] = []
        self._lock: int | None = None
        self._is_alone: bool | None = None
        self.count = 0

    def find(self, leaf: bytes) -> list[int]:
        """Return the numbers of entries that may have this leaf hash: hardly ever one that has not, never without one that has."""
        key = int.from_bytes(leaf[:8])
        tag = key & _TAG_MASK
        found: list[int] = []
        for slots, mask in self._probed:
            at = key & mask
            while slot := slots[at]:
                if slot ^ tag <= _NUMBER_MASK:
                    found.append((slot & _NUMBER_MASK) - 1)
                at = (at + 1) & mask
        return found

    def add(self, leaves: Iterable[bytes]) -> None:
        """Put in the leaf hashes of the next entries.

        Raises:
            StorageError: there is no room for a further table, or one is damaged; nothing is known any more and `catch_up` is due.
        """
        try:
            for leaf in leaves:
                if not self._tables or self.count >= self._tables[-1].end:
                    self._begin_table()
                self._tables[-1].put(leaf, self.count, self._folder)
                self.count += 1
        except BaseException:
            self.discard()
            raise

    def catch_up(self, size: int, read: ReadLeaves) -> None:
        """Have every entry of a log of `size` in the index.

        Raises:
            StorageError: as `add`, or the log failed.
        """
        if size > MAX_ENTRIES:
            raise StorageError(str(self._folder), f"a log of {size} entries has no index here")
        if self.count > size:
            self.discard()
        try:
            if not self._tables:
                self._open_tables(size, read)
            self.add(read(self.count, size))
        except BaseException:
            self.discard()
            raise

    def sync(self) -> None:
        """Force what is in the files to disk, so that the next start need not put it in again; another thread may append meanwhile.

        Raises:
            StorageError: the disk failed.
        """
        with storage_errors(self._folder):
            for table in tuple(self._tables):
                newest = table.newest
                if table.descriptor is not None and table.synced < newest[0]:
                    os.fdatasync(table.descriptor)
                    table.memory[: _HEADER.size + HASH_BYTES] = _header(table.first, *newest)
                    table.synced = newest[0]

    def discard(self) -> None:
        """Forget everything, the files too where they are ours."""
        self._close_tables()
        if self._is_alone:
            remove_index_files(self._folder)

    def close(self) -> None:
        """Close the files; what is in them is on disk then."""
        with suppress(StorageError):
            self.sync()
        self._close_tables()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._is_alone = None

    def _close_tables(self) -> None:
        self._probed.clear()
        while self._tables:
            self._tables.pop().close()
        self.count = 0

    def _span(self, generation: int) -> tuple[int, int]:
        """Return the numbers of the entries of a table; twice as many slots as entries, less two that are always free."""
        half = self._first_slots // 2
        begins = [0]
        for g in range(generation + 1):
            begins.append(begins[-1] + (half << g) - 1)
        return begins[-2], begins[-1]

    def _begin_table(self) -> None:
        generation = len(self._tables)
        first, end = self._span(generation)
        with storage_errors(self._folder):
            if generation and self._has_files():
                path = self._path(generation)
                path.unlink(missing_ok=True)
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
                try:
                    os.posix_fallocate(descriptor, 0, _HEADER_BYTES + (self._first_slots << generation) * _SLOT_BYTES)
                    self._map(generation, first, end, descriptor)
                except BaseException:
                    os.close(descriptor)
                    path.unlink(missing_ok=True)
                    raise
            else:
                self._map(generation, first, end, None)

    def _map(self, generation: int, first: int, end: int, descriptor: int | None) -> _Table:
        slots = self._first_slots << generation
        memory = mmap.mmap(-1 if descriptor is None else descriptor, _HEADER_BYTES + slots * _SLOT_BYTES)
        view = memoryview(memory)[_HEADER_BYTES:].cast("Q")
        table = _Table(
            first=first,
            end=end,
            memory=memory,
            slots=view,
            mask=slots - 1,
            descriptor=descriptor,
            newest=(first, b""),
            synced=first,
        )
        self._tables.append(table)
        self._probed.append((view, table.mask))
        return table

    def _open_tables(self, size: int, read: ReadLeaves) -> None:
        """Map the files that belong to this log as it is, and put in what they may lack, all but the last table's newest."""
        self._begin_table()
        self.add(read(0, min(size, self._tables[0].end)))
        generation = 1
        while self.count < size and self._open_table(generation, size, read):
            self.add(read(self.count, min(size, self._tables[-1].end)))
            generation += 1

    def _open_table(self, generation: int, size: int, read: ReadLeaves) -> bool:
        first, end = self._span(generation)
        if not self._has_files():
            return False
        path = self._path(generation)
        if not path.exists():
            return False
        with storage_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        stated = _stated(descriptor, first, (self._first_slots << generation) * _SLOT_BYTES)
        if stated is None or not first < stated[0] <= min(size, end) or stated[1] != next(iter(read(stated[0] - 1, stated[0]))):
            os.close(descriptor)
            return False  # of another log, or of another time of this one: made anew
        synced, leaf = stated
        table = self._map(generation, first, end, descriptor)
        self.count = table.synced = synced
        table.newest = (synced, leaf)
        return True

    def _path(self, generation: int) -> Path:
        return self._folder / f"{generation:02d}.table"

    def _has_files(self) -> bool:
        """Tell whether this program may use the folder, made if need be; asked once."""
        if self._is_alone is None:
            with storage_errors(self._folder):
                self._folder.mkdir(mode=0o700, exist_ok=True)
                descriptor = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                self._is_alone = False
            else:
                self._lock, self._is_alone = descriptor, True
        return self._is_alone


def remove_index_files(folder: Path) -> None:
    """Delete the tables of a log that no program has open; raises `StorageError` where they cannot be."""
    with storage_errors(folder):
        for path in _tables_in(folder):
            path.unlink(missing_ok=True)


def _tables_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.glob("*.table")


def _header(first: int, count: int, leaf: bytes) -> bytes:
    """Return the header that says: entries up to `count` are on disk, `leaf` is the hash of the last."""
    fields = _HEADER.pack(_MAGIC, _BYTE_ORDER, first, count, leaf)
    return fields + sha256(fields).digest()


def _stated(descriptor: int, first: int, octets: int) -> tuple[int, bytes] | None:
    """Return up to which number a file says that entries are in it, and the leaf hash of the last; None: no such file."""
    header = os.pread(descriptor, _HEADER.size + HASH_BYTES, 0)
    if os.fstat(descriptor).st_size != _HEADER_BYTES + octets:
        return None
    magic, order, its_first, synced, leaf = _HEADER.unpack_from(header)
    if header != _header(first, synced, leaf) or (magic, order, its_first) != (_MAGIC, _BYTE_ORDER, first):
        return None
    return synced, leaf
