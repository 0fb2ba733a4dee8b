"""What `v2x bench` measures of the spool: what a record costs the medium, how many a second, and how a full one starts.

A record is made by the recorder, anchored in an embedded log and proven, one at a time, as a car makes them; what the log's own
file writes is left out. Octets are those the program hands to the system for the spool's files, to which a journalling file system
adds. A full spool is filled with rows of the size of real ones; its last records are real, and opening it looks at them.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.ledger.note import Ed25519NoteSigner
from shared.ledger.policy import Policy, parse_policy
from shared.records.kind import RecordKind
from shared.records.odometer import BOOT_ID_BYTES, OdometerSource, RecordReason
from shared.records.recorder import Recorder
from shared.service.database import open_database, transaction
from shared.service.log_store import LogStore, open_log_store
from shared.service.spool import AnchorState, Spool, open_spool
from shared.service.spool_format import COLUMNS, SPOOL_FORMAT
from shared.service.spool_room import SpoolBounds
from vehicle_agent.anchoring import Anchoring

ORIGIN = "bench.example/log"
ROUNDS = 5
MOST_RECORDS = 200
"""In one round."""

MAX_RECORD_OCTETS = 64_000
"""What a record may write, from the reading to the stored proof; three megabytes a day at fifty records."""

MAX_OPEN_MS = 2_000
PROOF_OCTETS = 1_200
REAL_RECORDS = 64
"""At the end of a full spool."""

FORCED_OCTETS = 4_096
_NOON = UtcNs(1_767_225_600 * NS_PER_S)
_SCALAR_OCTETS = 32
_IO = Path("/proc/self/io")


class _Key:
    """Signs records."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = b"certificate"
        self.authority = b"authority"

    def sign_es256(self, message: bytes) -> bytes:
        """Return r || s."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(_SCALAR_OCTETS) + s.to_bytes(_SCALAR_OCTETS)


class _Aside:
    """A log within reach, whose own writes are counted apart."""

    def __init__(self, log: LogStore) -> None:
        self._log = log
        self.octets = 0

    def submit(self, entry: bytes) -> int:
        """See `LogStore`."""
        before = written()
        try:
            return self._log.submit(entry)
        finally:
            self.octets += written() - before

    def read(self, path: str) -> bytes:
        """See `LogStore`."""
        return self._log.read(path)


def written() -> int:
    """Return how many octets this process has handed to the system to be written."""
    lines = dict(line.split(": ") for line in _IO.read_text().splitlines())
    return int(lines["wchar"])


def spool(effort: Effort) -> Iterable[Figure]:
    """Measure what a record costs and how a full spool starts."""
    octets: list[float] = []
    rates: list[float] = []
    forced: list[float] = []
    count = min(effort.calls, MOST_RECORDS)
    for _ in range(min(effort.rounds, ROUNDS)):
        with _folder() as folder:
            octets.append(_octets_of(folder, count))
            with closing(open_spool(folder / "alone.db")) as alone:
                rates.append(_rate(_recording(alone), count))
            forced.append(_forced_rate(folder / "forced", count))
    yield figure_of(
        "spool.octets",
        "octets written for a record, from the reading to the stored proof",
        Unit.OCTETS,
        octets,
        targets=(Target(measure=Measure.MEDIAN, bound=MAX_RECORD_OCTETS),),
    )
    yield figure_of(
        "spool.records",
        "sign a record and store it so that it survives a power cut",
        Unit.PER_SECOND,
        rates,
        limit=("4 KiB appended to a file and forced to disk", forced),
    )
    with _folder() as folder:
        _fill(folder / "full.db", effort.spool_records)
        opened = [_milliseconds(lambda: _start(folder / "full.db")) for _ in range(min(effort.rounds, ROUNDS))]
    yield figure_of(
        "spool.open",
        f"open a spool of {effort.spool_records} records, look at its end, find what waits for a proof, and say how full it is",
        Unit.MILLISECONDS,
        opened,
        targets=(Target(measure=Measure.MEDIAN, bound=MAX_OPEN_MS),),
    )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="v2x-spool-") as folder:
        yield Path(folder)


def _recording(store: Spool) -> Callable[[], None]:
    """Return what makes the next record."""
    recorder = Recorder(signer=_Key(), store=store, entropy=os.urandom, boot_id=bytes(BOOT_ID_BYTES))
    clock = ManualClock(_NOON)

    def record() -> None:
        head = store.head()
        metres = 0 if head is None or head.odometer_m is None else head.odometer_m + 10_000
        source = OdometerSource(name="cluster", odometer_m=metres, age_ms=0)
        recorder.record_reading(
            odometer_m=metres, reason=RecordReason.DISTANCE, sources=(source,), flags=(), at=clock.advance(600 * NS_PER_S)
        )

    return record


def _policy(signer: Ed25519NoteSigner) -> Policy:
    return parse_policy(f"log {signer.key.text}\nquorum none\n".encode())


def _octets_of(folder: Path, count: int) -> float:
    signer = Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    with closing(open_log_store(folder / "log.db", signer)) as log, closing(open_spool(folder / "spool.db")) as store:
        aside, clock = _Aside(log), ManualClock(None)
        anchoring = Anchoring(store=store, transport=aside, origin=ORIGIN, policy=_policy(signer))
        record, before = _recording(store), written()
        for number in range(1, count + 1):
            record()
            while store.counts()[AnchorState.INCLUDED] < number:
                anchoring.poll(clock.advance(NS_PER_S))
        store.close()
        return (written() - before - aside.octets) / count


def _rate(work: Callable[[], object], count: int) -> float:
    return count * 1_000 / _milliseconds(lambda: [work() for _ in range(count)])


def _forced_rate(path: Path, count: int) -> float:
    with path.open("wb", buffering=0) as file:

        def append() -> None:
            file.write(bytes(FORCED_OCTETS))
            os.fdatasync(file.fileno())

        return _rate(append, count)


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began) / 1_000_000


def _fill(path: Path, count: int) -> None:
    """Fill a spool: rows of the size of proven records, behind them real ones."""
    with closing(open_spool(path)) as store:
        _recording(store)()
        (real,) = store.records()
    lot, kind = Random(1), RecordKind.ODOMETER.value  # noqa: S311 - of a measurement
    proven = AnchorState.INCLUDED.value
    rows = (
        (seq, lot.randbytes(32), kind, 10_000 * seq, real.sd_jwt, real.salt, proven, seq, lot.randbytes(PROOF_OCTETS))
        for seq in range(1, max(2, count - REAL_RECORDS))
    )
    connection = open_database(path, SPOOL_FORMAT, is_whole=False)
    with closing(Spool(path, connection, SpoolBounds(records=2 * count, octets=1 << 40))) as store:
        with transaction(connection):
            connection.executemany(f"INSERT INTO record ({COLUMNS}) VALUES ({', '.join('?' * 9)})", rows)  # noqa: S608 - constants
        record = _recording(store)
        for _ in range(REAL_RECORDS):
            record()


def _start(path: Path) -> None:
    signer = Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    with closing(open_spool(path)) as store:
        Anchoring(store=store, transport=_Nowhere(), origin=ORIGIN, policy=_policy(signer))
        store.credentials()
        store.use()


class _Nowhere:
    """A log that is not asked."""

    def submit(self, entry: bytes) -> int:
        """Refuse."""
        raise AssertionError(entry)

    def read(self, path: str) -> bytes:
        """Refuse."""
        raise AssertionError(path)
