"""How many entries a second a log node takes: over HTTP from a compiled client on this machine, and its store alone.

The node is a process of its own, `v2x ledger serve`, with its log in a directory that goes afterwards. The client is wrk, with
`CONNECTIONS` connections and entries of 32 to 200 octets of which no two are alike; where it is not installed, that is said on
standard error and its figures are left out, for a client in Python would be what is measured. What a disk allows is probed beside
every round: writes into a file that is there already, each forced to disk (`fdatasync`), as a write-ahead log is written once it
has its length. The log's own has it after the warm-up.

The store alone appends groups of `GROUP_ENTRIES`; the last fifth of all appends is compared with the first. Three million are
promised not to get slower (`v2x bench ledger_append --appends 3000000`).
"""

import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.core.errors import TransportError
from shared.ledger.note import Ed25519NoteSigner
from shared.service.log_store import open_log_store

CONNECTIONS = 64
GROUP_ENTRIES = 32
"""Half of the connections wait for the disk while the other half is being answered."""

MOST_ROUNDS = 7
WARM_UP_SHARE = 0.5
"""Of a round's seconds, before the first."""

FAST_DISK_MS = 0.5
TARGET_PER_S = 15_000.0
"""Where one fdatasync takes no longer than `FAST_DISK_MS`."""

TARGET_SHARE = 0.7
"""Elsewhere, of `GROUP_ENTRIES` in every fdatasync and `WORK_MS`."""

WORK_MS = 2.0
FLAT_SHARE = 0.9
"""Of the first fifth's rate that the last fifth reaches at least: less than that would be a trend."""

STORE_ENTRY_OCTETS = 32
_PARTS = 25
"""Parts whose rates are taken one by one, five to a fifth."""

_PROBES = 60
_PROBE_OCTETS = 24 * 1024
_START_TIMEOUT_S = 60.0
_MORE_THAN_THE_LOAD_S = 60.0

_LOAD = """\
local count, threads = 0, 0
local padding = string.rep("x", 200)
function setup(thread) threads = threads + 1; thread:set("number", threads) end
function init(arguments) salt = arguments[1] .. number end
function request()
  count = count + 1
  local entry = string.format("%s%014d", salt, count) .. padding
  return wrk.format("POST", "/add", nil, entry:sub(1, 32 + count * 7919 % 169))
end
"""
"""For wrk: the salt has 17 characters, so that an entry's 32 first octets are its own."""


def ledger_append(effort: Effort) -> Iterable[Figure]:
    """Append to a log over HTTP, and to the file of a long one."""
    rounds = max(1, min(effort.rounds, MOST_ROUNDS))
    with TemporaryDirectory(prefix="v2x-bench-") as folder:
        directory = Path(folder)
        if (wrk := shutil.which("wrk")) is None:
            sys.stderr.write(
                "ledger_append: appends over HTTP are not measured, for there is no wrk on this machine (apt install wrk)\n"
            )
        else:
            yield from _over_http(wrk, directory, rounds, effort.append_s)
        first, last = store_rates(directory / "store", effort.stored_appends)
        yield figure_of(
            "ledger_append.flat",
            f"append {effort.stored_appends:,} entries to a file, {GROUP_ENTRIES} at a time: the last fifth of them",
            Unit.PER_SECOND,
            last,
            limit=("the first fifth", first),
            targets=(Target(measure=Measure.MEDIAN_RATIO, bound=FLAT_SHARE),),
        )


def append_target(fdatasync_ms: float) -> Target:
    """Return what appends over HTTP should reach on a disk that takes so long."""
    if fdatasync_ms <= FAST_DISK_MS:
        return Target(measure=Measure.MEDIAN, bound=TARGET_PER_S)
    return Target(measure=Measure.MEDIAN_RATIO, bound=TARGET_SHARE)


def _over_http(wrk: str, directory: Path, rounds: int, seconds: float) -> Iterable[Figure]:
    load = directory / "load.lua"
    load.write_text(_LOAD)
    rates: list[float] = []
    waits_ms: list[float] = []
    with _node(directory / "log") as url:
        _load_rate(wrk, load, url, seconds * WARM_UP_SHARE)
        for _ in range(rounds):
            before_ms = fdatasync_ms(directory / "probe")
            rates.append(_load_rate(wrk, load, url, seconds))
            waits_ms.append((before_ms + fdatasync_ms(directory / "probe")) / 2)
    allowed = [GROUP_ENTRIES * 1_000 / (wait_ms + WORK_MS) for wait_ms in waits_ms]
    yield figure_of(
        "ledger_append.http",
        f"append over HTTP, durable, {CONNECTIONS} connections",
        Unit.PER_SECOND,
        rates,
        limit=(f"{GROUP_ENTRIES} in every fdatasync and {WORK_MS:g} ms", allowed),
        targets=(append_target(median(waits_ms)),),
    )
    yield figure_of("ledger_append.fdatasync", "fdatasync, probed beside it", Unit.MILLISECONDS, waits_ms)


def fdatasync_ms(path: Path) -> float:
    """Return how long the disk takes to keep a write into a file that is there: the median."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        octets = os.urandom(_PROBE_OCTETS)
        if os.fstat(descriptor).st_size == 0:
            os.write(descriptor, octets * _PROBES)
            os.fsync(descriptor)
        durations: list[float] = []
        for number in range(_PROBES):
            os.pwrite(descriptor, octets, number * _PROBE_OCTETS)
            start = perf_counter()
            os.fdatasync(descriptor)
            durations.append((perf_counter() - start) * 1_000)
    finally:
        os.close(descriptor)
    return median(durations)


def store_rates(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Append to a log's file without a node, and return the rates of parts of the first fifth and of the last."""
    folder.mkdir()
    signer = Ed25519NoteSigner("bench.example/log", Ed25519PrivateKey.generate())
    groups = max(1, count // GROUP_ENTRIES // _PARTS)
    rates: list[float] = []
    with open_log_store(folder / "log.sqlite", signer) as store:
        for _ in range(_PARTS):
            start = perf_counter()
            for _ in range(groups):
                store.append([os.urandom(STORE_ENTRY_OCTETS) for _ in range(GROUP_ENTRIES)])
            rates.append(groups * GROUP_ENTRIES / (perf_counter() - start))
    shutil.rmtree(folder)
    return rates[: _PARTS // 5], rates[-(_PARTS // 5) :]


def _load_rate(wrk: str, load: Path, url: str, seconds: float) -> float:
    """Return how many appends a second were answered with an index; raises `TransportError` where any was not."""
    whole_s = max(1, round(seconds))
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{whole_s}s", "-s", str(load), url, "--", token_hex(8)]
    result = subprocess.run(  # noqa: S603 - found on the path, with our own words
        command, capture_output=True, text=True, timeout=whole_s + _MORE_THAN_THE_LOAD_S, check=False
    )
    rate = re.search(r"Requests/sec: +([0-9.]+)", result.stdout)
    if result.returncode or rate is None or "Non-2xx" in result.stdout or "Socket errors" in result.stdout:
        raise TransportError(url, f"not every append was answered: {' '.join((result.stdout + result.stderr).split())}")
    return float(rate[1])


@contextmanager
def _node(directory: Path) -> Iterator[str]:
    """Run a log node; yields its URL.

    Raises:
        TransportError: it did not start.
    """
    program = "from shared.cli.command import main; main()"
    arguments = ["ledger", "serve", str(directory), "--origin", "bench.example/log", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        try:
            assert process.stdout is not None
            words: list[str] = []
            while len(words) < 4 and select.select([process.stdout], [], [], _START_TIMEOUT_S)[0]:
                line = process.stdout.readline().decode()
                if not line:
                    break
                words += line.split()
            if len(words) < 4:
                raise TransportError(str(directory), "the log node did not start")
            yield words[3]
        finally:
            process.terminate()
            process.wait()
