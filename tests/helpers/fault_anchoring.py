"""A vehicle's anchoring, a phase at a time: in the embedded log, and in one on a network over real HTTP (`fault_machines`)."""

import asyncio
import shutil
import ssl
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import ClassVar

from shared.core.clock import NS_PER_S, Instant, ManualClock
from shared.core.errors import StorageError, TransportError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.merkle import leaf_hash
from shared.ledger.note import parse_note
from shared.ledger.proof import parse_proof, verify_proof
from shared.ledger.tree import EMPTY_TREE
from shared.service.log_store import open_log_store
from shared.service.spool import AnchorState, Spool, open_spool
from shared.transport.ledger_http import LedgerHttp
from tests.helpers.durable_steps import Steps
from tests.helpers.fault_machines import Machine, lines_of, seen
from tests.helpers.ledger import ORIGIN, MemoryLog, log_signer, policy_of
from tests.helpers.log_server import serving
from tests.helpers.recording import record
from vehicle_agent.anchor_cycle import MAX_CYCLES_WITHOUT_PROOF
from vehicle_agent.anchoring import Anchoring
from vehicle_agent.anchors import Anchors
from vehicle_agent.ledger_courier import LedgerCourier
from vehicle_agent.online_anchoring import Errands, OnlineAnchoring

POLICY = policy_of()
STEP_NS = 400 * NS_PER_S
"""Between two polls: longer than any back-off."""

RECORDS = 3
"""Made in as many phases; in the last one, that which the other history kept from being proven is proven."""

POLLS = 4 * MAX_CYCLES_WITHOUT_PROOF
PATIENCE_S = 30.0
TLS = ssl.create_default_context()

OTHERS = [b"somebody else's %d" % n for n in range(40)]
FORK = [b"another history %d" % n for n in range(60)]


class AnchorMachine(Machine):
    """A spool and its anchoring; which log it is, is told by who inherits."""

    MAY_DOUBLE: ClassVar[bool]
    """Whether the log takes an entry twice that it is handed twice."""

    PHASES: ClassVar[tuple[str, ...]] = (
        "a record is anchored for the first time",
        "a record is anchored in a log that has grown",
        "the log shows another history",
        "a person has looked at it, and the log is the true one again",
    )

    def prepare(self, phase: int, folder: Path) -> None:
        """Make the next record, and do to the log what others do."""
        if phase < RECORDS:
            with closing(open_spool(folder / "spool.db")) as spool:
                record(spool, 1_000 + phase, seed=phase)
        if phase >= 2:
            keep(folder / ("true log" if phase == 2 else "false log"), self.log_of(folder))
        self.prepare_log(phase, folder)

    @abstractmethod
    def prepare_log(self, phase: int, folder: Path) -> None:
        """Let the log grow, show another history, or be itself again."""

    @abstractmethod
    def log_of(self, folder: Path) -> Sequence[bytes]:
        """Return the log's entries as they lie on its disk."""

    def look(self, folder: Path) -> str:
        """Say how far each record is, how large the tree is that is trusted, and what the log has."""
        with seen(folder, "spool.db") as spool:
            assert spool is not None
            rows = spool.execute("SELECT state, commitment FROM record ORDER BY seq DESC LIMIT 1").fetchall()
            (proven,) = spool.execute("SELECT count(*) FROM record WHERE proof NOT NULL").fetchone()
            note = spool.execute("SELECT note FROM trusted").fetchone()
            kept, waiting = spool.execute("SELECT count(*), count(*) FILTER (WHERE NOT acknowledged) FROM evidence").fetchone()
        state, commitment = rows[0]
        trusted = "nothing" if note is None else f"a tree of {parse_checkpoint(parse_note(note[0]).body).tree_size}"
        held = self.log_of(folder).count(commitment)
        evidence = f"; contradictions: {kept}, {waiting} to be looked at" if kept else ""
        return (
            f"the last record is {AnchorState(state).name.lower()}, {'in' if held else 'not in'} the log; {proven} proven;"
            f" {trusted} is trusted{evidence}"
        )

    def check(self, phase: int, folder: Path) -> None:
        """Assert that each record has one proof that holds, that the log has it, and that trust never went back."""
        entries = list(self.log_of(folder))
        with closing(open_spool(folder / "spool.db")) as spool:
            trusted = spool.trusted_note()
            assert trusted is not None
            newest = parse_checkpoint(parse_note(trusted).body)
            stored = list(spool.records())
            made = min(phase + 1, RECORDS)
            assert [each.seq for each in stored] == list(range(made))
            assert [each.proof is None for each in stored] == [False] * (made - (phase == 2)) + [True] * (phase == 2)
            true = entries if phase != 2 else entries_in(folder / "true log")
            false = entries if phase == 2 else entries_in(folder / "false log")
            for each in stored:
                if each.proof is None:
                    continue
                proof = parse_proof(each.proof)
                included = verify_proof(proof, each.commitment, POLICY)
                assert included.index == each.log_index
                assert true[included.index] == each.commitment
                assert true.count(each.commitment) == 1 or self.MAY_DOUBLE
                proven_in = included.trusted.checkpoint
                assert proven_in.tree_size <= newest.tree_size
                check_was(true, proven_in)
            check_was(true, newest)
            evidence = spool.evidence()
            assert len(evidence) == int(phase == 2)
            with seen(folder, "spool.db") as looked:
                assert looked is not None
                kept = looked.execute("SELECT trusted_note, conflicting_note FROM evidence").fetchall()
            assert len(kept) == int(phase >= 2)
            for trusted_note, conflicting_note in kept:
                check_was(true, parse_checkpoint(parse_note(trusted_note).body))
                check_was(false, parse_checkpoint(parse_note(conflicting_note).body))

    def is_done(self, phase: int, anchoring: Anchors, spool: Spool) -> bool:
        """Tell whether a phase has come to its end."""
        counts = spool.counts()
        proven = counts[AnchorState.INCLUDED] + counts[AnchorState.WITNESSED]
        return bool(spool.evidence()) if phase == 2 else anchoring.contradiction is None and proven == min(phase + 1, RECORDS)

    def begin(self, phase: int, anchoring: Anchors, steps: Steps, now: Instant) -> None:
        """Do what a person does before anchoring goes on."""
        if phase == 3 and anchoring.contradiction is not None:
            steps.until_done(lambda: anchoring.acknowledge_evidence(now))


def check_was(entries: Sequence[bytes], checkpoint: Checkpoint) -> None:
    """Assert that a checkpoint is one of the log that has these entries."""
    tree = EMPTY_TREE.extended(map(leaf_hash, entries[: checkpoint.tree_size])).tree
    assert (tree.size, tree.root) == (checkpoint.tree_size, checkpoint.root)


def polled(anchoring: Anchors, now: Instant, steps: Steps) -> None:
    """Poll once, as an agent does: failures of the store are raised, those of the log are told."""
    try:
        notices = anchoring.poll(now)
    except StorageError as failure:
        steps.failed(failure)
        return
    for notice in notices:
        if notice.kind == "ledger_unavailable":
            steps.failed(TransportError(str(notice.fields["log"]), str(notice.fields["reason"])))
        if notice.kind == "ledger_split_view" and not notice.fields["evidence_kept"]:
            steps.failed(StorageError("spool", "the evidence was not kept"))


def keep(file: Path, entries: Sequence[bytes]) -> None:
    """Write entries down, one a line."""
    file.write_text("".join(entry.hex() + "\n" for entry in entries))


def entries_in(file: Path) -> list[bytes]:
    """Return entries that were written down."""
    return [bytes.fromhex(line) for line in lines_of(file)]


class EmbeddedMachine(AnchorMachine):
    """Spool and log in one program."""

    NAME: ClassVar = "anchoring in the embedded log"
    MAY_DOUBLE: ClassVar = False

    def prepare_log(self, phase: int, folder: Path) -> None:
        """See `AnchorMachine`."""
        if phase == 2:
            shutil.move(folder / "log.db", folder.parent / "log.db")
        if phase == 3:
            for file in folder.glob("log.db*"):
                if file.is_file():
                    file.unlink()
            shutil.move(folder.parent / "log.db", folder / "log.db")
        with closing(open_log_store(folder / "log.db", log_signer())) as log:
            log.append({1: OTHERS, 2: FORK}.get(phase, ()))

    def run(self, phase: int, folder: Path, steps: Steps) -> None:
        """Poll until it is done."""
        clock = ManualClock(None)
        with (
            closing(open_spool(folder / "spool.db", connect=steps.connect("spool"))) as spool,
            closing(open_log_store(folder / "log.db", log_signer(), steps.connect("log"))) as log,
        ):
            anchoring = Anchoring(store=spool, transport=log, origin=ORIGIN, policy=POLICY)
            self.begin(phase, anchoring, steps, clock.now())
            for _ in range(POLLS):
                if self.is_done(phase, anchoring, spool):
                    return
                polled(anchoring, clock.advance(STEP_NS), steps)
            raise AssertionError(f"not done after {POLLS} polls")

    def log_of(self, folder: Path) -> Sequence[bytes]:
        """See `AnchorMachine`."""
        with seen(folder, "log.db") as log:
            if log is None:
                return ()
            rows = log.execute("SELECT entries FROM bundle ORDER BY number").fetchall()
            octets = b"".join(row[0] for row in (*rows, *log.execute("SELECT entries FROM tail ORDER BY first")))
        entries = []
        while octets:
            octets, entry = octets[2 + int.from_bytes(octets[:2]) :], octets[2 : 2 + int.from_bytes(octets[:2])]
            entries.append(entry)
        return entries


class KeptLog(MemoryLog):
    """A log whose entries are in a file; what it is handed twice it takes twice, as a log of somebody else may."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self.entries = entries_in(file)
        self.publish()

    def submit(self, entry: bytes) -> int:
        """Take an entry."""
        self.entries.append(entry)
        keep(self._file, self.entries)
        self.publish()
        return len(self.entries) - 1


class CountedLine:
    """A client of a log whose requests are steps."""

    def __init__(self, http: LedgerHttp, steps: Steps) -> None:
        self._http, self._steps = http, steps

    async def submit(self, entry: bytes) -> int:
        """See `LedgerHttp`."""
        return await self._steps.request("line: the log is asked to take the record", partial(self._http.submit, entry))

    async def read(self, path: str) -> bytes:
        """See `LedgerHttp`."""
        return await self._steps.request(f"line: the log is asked for its {path}", partial(self._http.read, path))

    def trust(self) -> None:
        """See `LedgerHttp`."""
        self._http.trust()

    def distrust(self) -> None:
        """See `LedgerHttp`."""
        self._http.distrust()


class OnlineMachine(AnchorMachine):
    """A spool in one program, the log in another, HTTP between them."""

    NAME: ClassVar = "anchoring in a log on a network"
    MAY_DOUBLE: ClassVar = True

    def prepare_log(self, phase: int, folder: Path) -> None:
        """See `AnchorMachine`."""
        file = folder / "entries"
        entries = {0: [], 1: [*entries_in(file), *OTHERS], 2: FORK}.get(phase)
        keep(file, entries_in(folder / "true log") if entries is None else entries)

    @contextmanager
    def _served(self, folder: Path) -> Iterator[None]:
        log = KeptLog(folder / "entries")
        with serving(log) as server:
            (folder / "url").write_text(server.url)
            yield

    def surroundings(self, folder: Path) -> AbstractContextManager[None]:
        """Serve the log, which lives on while the vehicle's program dies."""
        return self._served(folder)

    def run(self, phase: int, folder: Path, steps: Steps) -> None:
        """Poll whenever an answer has come, until it is done."""
        with closing(open_spool(folder / "spool.db", connect=steps.connect("spool"))) as spool:
            asyncio.run(self._drive(phase, spool, (folder / "url").read_text(), steps))

    async def _drive(self, phase: int, spool: Spool, url: str, steps: Steps) -> None:
        clock, errands, come = ManualClock(None), Errands(), asyncio.Event()

        async def tell() -> None:
            come.set()

        anchoring = OnlineAnchoring(store=spool, errands=errands, origin=ORIGIN, policy=POLICY)
        self.begin(phase, anchoring, steps, clock.now())
        async with LedgerHttp([url], clock=clock, tls=TLS) as http:
            courier = LedgerCourier(errands, CountedLine(http, steps), submit_delay_s=0, lot=Random(1), on_answers=tell)
            running = asyncio.create_task(courier.run())
            try:
                for _ in range(POLLS):
                    if self.is_done(phase, anchoring, spool):
                        return
                    come.clear()
                    polled(anchoring, clock.advance(STEP_NS), steps)
                    if errands.waiting:
                        await asyncio.wait_for(come.wait(), PATIENCE_S)
                raise AssertionError(f"not done after {POLLS} polls")
            finally:
                running.cancel()
                await asyncio.wait((running,))
                if not running.cancelled():
                    running.result()  # what it failed of

    def log_of(self, folder: Path) -> Sequence[bytes]:
        """See `AnchorMachine`."""
        return entries_in(folder / "entries")
