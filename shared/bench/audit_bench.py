"""How long the audit of a log takes: over HTTP from another process, and from a directory, beside the bare hashes of its tree.

The log is made in a directory that goes afterwards; its entries are as long as those a vehicle commits. A round is one audit of all
of it, by the time that passes. An audit that finds something would be no measurement and ends the bench.
"""

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.tile_server import served
from shared.core.errors import ProofError
from shared.ledger.audit_tree import AuditTree, leaf_hashes
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.merkle import HASH_BYTES
from shared.ledger.note import Ed25519NoteSigner, sign_note
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.tiles import CHECKPOINT_PATH, TILE_WIDTH, EntryBundle, encode_bundle
from shared.operator.auditor import audit_log
from shared.operator.auditor_source import DirectorySource, HttpSource

ENTRY_BYTES = 32
"""A salted commitment."""

MOST_ROUNDS = 3

AUDIT_TARGET_PER_S = 1_000_000 / 60
"""10^6 entries within 60 s."""

_BARE = "bare hashes"


def ledger_audit(effort: Effort) -> Iterable[Figure]:
    """Audit one log, over HTTP and from its files."""
    count = effort.audited_entries
    rounds = max(1, min(effort.rounds, MOST_ROUNDS))
    rates: dict[str, list[float]] = {"http": [], "files": [], _BARE: []}
    with TemporaryDirectory(prefix="v2x-bench-") as folder, ExitStack() as stack:
        directory = Path(folder)
        policy = write_log(directory, count)
        url = stack.enter_context(served(directory))
        for _ in range(rounds):
            rates["http"].append(count / _http_audit_s(url, policy, count))
            rates["files"].append(count / _files_audit_s(directory, policy, count))
            rates[_BARE].append(count / _bare_s(count))
    yield audit_figure("ledger_audit.http", f"audit {count:,} entries over HTTP", rates["http"], rates[_BARE], is_promised=True)
    yield audit_figure("ledger_audit.files", f"audit {count:,} entries in files", rates["files"], rates[_BARE], is_promised=False)


def audit_figure(name: str, says: str, rates: list[float], bare: list[float], *, is_promised: bool) -> Figure:
    """Return the figure of entries audited a second, beside hashing them and their tree alone."""
    targets = (Target(measure=Measure.MEDIAN, bound=AUDIT_TARGET_PER_S),) if is_promised else ()
    return figure_of(name, says, Unit.PER_SECOND, rates, limit=(_BARE, bare), targets=targets)


def write_log(directory: Path, count: int) -> Policy:
    """Write the files of a log of `count` entries, and return the policy that accepts it."""
    signer, tree = Ed25519NoteSigner("bench.example/log", Ed25519PrivateKey.generate()), AuditTree()
    for start in range(0, count, TILE_WIDTH):
        entries = [number.to_bytes(ENTRY_BYTES) for number in range(start, min(count, start + TILE_WIDTH))]
        _write(directory, EntryBundle(start // TILE_WIDTH, len(entries)).path, encode_bundle(entries))
        for tile, hashes in tree.take(leaf_hashes(entries)):
            _write(directory, tile.path, hashes)
    for tile, hashes in tree.unfinished():
        _write(directory, tile.path, hashes)
    checkpoint = Checkpoint(origin=signer.key.name, tree_size=count, root=tree.root)
    _write(directory, CHECKPOINT_PATH, sign_note(checkpoint.encode(), signer))
    return parse_policy(f"log {signer.key.text}\nquorum none\n".encode())


def _write(directory: Path, path: str, data: bytes) -> None:
    file = directory / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def _http_audit_s(url: str, policy: Policy, count: int) -> float:
    async def over_http() -> float:
        async with HttpSource(url) as source:
            return await _audit_s(source, policy, count)

    return asyncio.run(over_http())


def _files_audit_s(directory: Path, policy: Policy, count: int) -> float:
    return asyncio.run(_audit_s(DirectorySource(directory), policy, count))


async def _audit_s(source: HttpSource | DirectorySource, policy: Policy, count: int) -> float:
    start = perf_counter()
    report, _ = await audit_log(source, policy, state=None)
    elapsed_s = perf_counter() - start
    if not report.is_sound or report.entries != count:
        raise ProofError(f"the audit of a sound log of {count} entries found {report.found} problems in {report.entries}")
    return elapsed_s


def _bare_s(count: int) -> float:
    """Hash so many leaves and as many nodes."""
    leaf, node = b"\x00" + bytes(ENTRY_BYTES), b"\x01" + bytes(2 * HASH_BYTES)
    start = perf_counter()
    for _ in range(count):
        sha256(leaf).digest()
        sha256(node).digest()
    return perf_counter() - start
