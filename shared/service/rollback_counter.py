"""A count that an old disk image does not take back with it, and what it tells when one was restored.

The value is the number of records a vehicle has ever made. It lives somewhere else than the records: in a file on another medium
(`file:PATH`), or in a TPM (`tpm:nv=0x01800100`, which `shared.service.tpm_counter` keeps). A file on the same disk comes back with
the image and tells nothing.

Each record of the odometer says where the counter stands once it is counted (`count_of`): so who reads the records sees a counter
that went on for a copy of them, or was made anew (`shared.records.counter_steps`).

Order: a record is stored first, counted second, and acted on only after both. So wherever the power goes, the store has as many
records as were counted, or one more, which nobody has seen yet; the next start counts it. A store with fewer records than were
counted can only be an older one: the sequence goes on after the gap, never a second time from the same number. Were the count made
first, a power cut between the two would look like a restored image.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.core.errors import ConfigError, DecodeError, EncodeError, StorageError
from shared.ledger.text import decode_decimal
from shared.records.credential import VehicleCredential
from shared.records.odometer import CounterKind, HardwareCount
from shared.records.record import SignedRecord
from shared.records.recorder import RecordHead, RecordStore
from shared.service.database import storage_errors, sync_path
from shared.service.key_uri import KeyUri, split_key_uri

MAX_COUNT = (1 << 53) - 1
"""As many as a record can be numbered."""

MAX_COUNTER_BYTES = 64
"""Of a counter's file."""

_HEADER = "v2x-trust counter 1\n"


class RollbackCounter(Protocol):
    """Counts up and never down."""

    @property
    def name(self) -> str:
        """Its URI, for people."""
        ...

    @property
    def kind(self) -> CounterKind:
        """What keeps it, for who reads a record."""
        ...

    def read(self) -> int:
        """Return the value; 0 for a counter that never counted. Raises `StorageError`."""
        ...

    def shown_at(self, value: int) -> int | None:
        """Return what its medium itself shows once the value is `value`; None for a counter that never counted.

        A counter made anew shows something else than the one before for the same value, wherever its medium allows that.
        Raises `StorageError`.
        """
        ...

    def advance_to(self, value: int) -> None:
        """Count up to `value`; when this returns it survives a power cut. At or below the value there is nothing to do.

        Raises:
            EncodeError: no count.
            StorageError: not counted, or not known whether; counting again is harmless.
        """
        ...

    def close(self) -> None:
        """Let go of what it is kept in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """There are fewer than were counted: what holds them was put back from an older copy.

    Attributes:
        found: how many are there.
        counted: how many there were.
    """

    found: int
    counted: int

    def __str__(self) -> str:
        missing = self.counted - self.found
        what = "1 record that was made is" if missing == 1 else f"{missing} records that were made are"
        return f"the store of records was put back from an older copy, or replaced: {what} not in it (it has {self.found})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterIsNew:
    """A counter that never counted stands beside a store that is not empty: put in use just now, or its medium is not there.

    Attributes:
        found: how many are there.
    """

    found: int

    def __str__(self) -> str:
        return f"the counter is new, though {self.found} records were made: right once; else its medium is missing or was replaced"


def check_restored(found: int, counted: int) -> Restored | CounterIsNew | None:
    """Compare how many records a store has with how many were counted; None where nothing is wrong."""
    if found < counted:
        return Restored(found=found, counted=counted)
    return CounterIsNew(found=found) if counted == 0 < found else None


class ResumableStore(RecordStore, Protocol):
    """A store of records whose sequence can go on at a later number."""

    def resume_at(self, next_seq: int) -> None:
        """Let the next record take `next_seq`, and say that the sequence was resumed. Raises `StorageError`."""
        ...


class CountedSpool:
    """A store of records with a counter beside it; a `RecordStore` for the recorder.

    Args:
        store: keeps the records.
        counter: counts them.

    Raises:
        StorageError: either failed; opening again is harmless.
    """

    def __init__(self, store: ResumableStore, counter: RollbackCounter) -> None:
        self._store = store
        self._counter = counter
        counted = counter.read()
        self._notice = check_restored(self._found, counted)
        if self._found < counted:
            store.resume_at(counted)
        else:
            counter.advance_to(self._found)

    @property
    def notice(self) -> Restored | CounterIsNew | None:
        """What was odd when the store was opened, for whoever must be told."""
        return self._notice

    def head(self) -> RecordHead | None:
        """Return where the sequence stands, None before the first record."""
        return self._store.head()

    def credentials(self) -> tuple[VehicleCredential, ...]:
        """Return every credential of the vehicle in the order they took over; the last one signs the next record."""
        return self._store.credentials()

    def count_of(self, seq: int) -> HardwareCount | None:
        """Return where the counter stands once record `seq` is counted; None before it ever counted. Raises `StorageError`."""
        shown = self._counter.shown_at(seq + 1)
        return None if shown is None or shown > MAX_COUNT else HardwareCount(kind=self._counter.kind, value=shown)

    def append(self, record: SignedRecord) -> None:
        """Store the next record and count it.

        Raises:
            StorageError: not stored, or stored and not counted; then no further record is taken until it is counted.
        """
        self._counter.advance_to(self._found)
        self._store.append(record)
        self._counter.advance_to(self._found)

    @property
    def _found(self) -> int:
        head = self._store.head()
        return 0 if head is None else head.seq + 1


class FileCounter:
    """A counter in a small file, which belongs on another medium than what it counts.

    Args:
        path: the file; its folder must be there, for one that is not may be a medium that is not mounted.
        sync: forces a file or a folder to disk; handed in so that tests can put a failing medium between.
    """

    def __init__(self, path: Path, *, sync: Callable[[Path], None] = sync_path) -> None:
        self._path = path
        self._sync = sync

    @property
    def name(self) -> str:
        """Its URI, for people."""
        return f"file:{self._path}"

    @property
    def kind(self) -> CounterKind:
        """What keeps it."""
        return CounterKind.FILE

    def shown_at(self, value: int) -> int | None:
        """Return the value itself: a file starts at nothing."""
        return value

    def read(self) -> int:
        """Return the value; 0 if there is no such file. Raises `StorageError` where it is no counter or its folder is missing."""
        with storage_errors(self._path):
            if not self._path.parent.is_dir():
                raise StorageError(str(self._path), "its folder is not there; is its medium mounted?")
            try:
                with self._path.open("rb") as file:
                    content = file.read(MAX_COUNTER_BYTES + 1)
            except FileNotFoundError:
                return 0
        text = content.decode("ascii", "replace")
        if not text.startswith(_HEADER) or not text.endswith("\n"):
            raise StorageError(str(self._path), "is no counter, or damaged; it was left as it is")
        try:
            return decode_decimal(text.removeprefix(_HEADER).removesuffix("\n"), "counter", MAX_COUNT)
        except DecodeError as error:
            raise StorageError(str(self._path), f"is no counter, or damaged ({error.reason}); it was left as it is") from None

    def advance_to(self, value: int) -> None:
        """Count up to `value`; raises as `RollbackCounter.advance_to`."""
        if not 0 <= value <= MAX_COUNT:
            raise EncodeError("counter", f"{value} is no count")
        if value <= self.read():
            return
        fresh = self._path.with_name(self._path.name + ".new")
        with storage_errors(self._path):
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(f"{_HEADER}{value}\n".encode())
            self._sync(fresh)
            fresh.rename(self._path)
            self._sync(self._path.parent)

    def close(self) -> None:
        """Nothing is held between two calls."""


LOG_SUFFIX = ".log-entries"
"""Of the file that counts the entries of a vehicle's own log, beside the one that counts its records."""

LOG_NV_STEP = 2
"""From the NV index of the counter of records to that of the counter of log entries: each takes two."""


def open_log_counter(uri: str, base: Path) -> RollbackCounter:
    """Open the counter of log entries that belongs to the counter of records a URI names.

    A log has entries that are no records and may be begun anew, so it has a count of its own: the file beside, or the NV index two
    above. Raises as `open_counter`.
    """
    return _open(uri, base, suffix=LOG_SUFFIX, step=LOG_NV_STEP)


def open_counter(uri: str, base: Path) -> RollbackCounter:
    """Open the counter that a URI names: `file:PATH`, or `tpm:nv=0x01800100[?tcti=...]`.

    Args:
        uri: see above.
        base: the folder a relative path starts from.

    Raises:
        ConfigError: the URI is none of ours, or an extra is not installed.
    """
    return _open(uri, base, suffix="", step=0)


def _open(uri: str, base: Path, *, suffix: str, step: int) -> RollbackCounter:
    parts = split_key_uri(uri)
    match parts.scheme:
        case "file":
            parts.check_attributes(path=(), query=())
            if not parts.location:
                raise ConfigError("file", "a path follows the colon, of a file on another medium than the records")
            return FileCounter(base / (parts.location + suffix))
        case "tpm":
            return _tpm(parts, step)
    raise ConfigError(f"{parts.scheme[:64]}", "is no counter; file: and tpm: are")


def _tpm(uri: KeyUri, step: int) -> RollbackCounter:
    uri.check_attributes(path=(), query=("tcti",))
    try:
        from shared.service.tpm_counter import DEFAULT_TCTI, TpmCounter, parse_nv_index  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError("tpm", "a counter in a TPM needs tpm2-pytss, which is not installed: v2x-trust[tpm]") from error
    index = parse_nv_index(uri.location)
    if step:
        index = parse_nv_index(f"nv=0x{index + step:08x}")
    return TpmCounter(index, tcti=uri.query.get("tcti", DEFAULT_TCTI))
