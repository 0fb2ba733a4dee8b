"""A log and a witness, a phase at a time: for faults to befall them at every step (see `tests.helpers.fault_machines`)."""

from contextlib import closing
from pathlib import Path
from typing import ClassVar

from shared.core.errors import StorageError
from shared.ledger.add_checkpoint import AddCheckpoint
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.cosignature import cosign, find_cosignature
from shared.ledger.merkle import leaf_hash
from shared.ledger.note import Ed25519NoteSigner, add_signatures, parse_note
from shared.ledger.policy import parse_policy
from shared.ledger.tiles import EntryBundle, decode_bundle
from shared.ledger.tree import EMPTY_TREE
from shared.ledger.verify import verify_signed
from shared.ledger.witness import Witness
from shared.operator.log_writer import PUBLISH, Answer, AnswerReader, Committed, Done, LogWriter, Refused, append_frame, frame
from shared.service.counted_log import CountedLog
from shared.service.log_reader import LogReader
from shared.service.log_store import LogStore, open_log_store
from shared.service.rollback_counter import FileCounter
from shared.service.witness_store import open_witness_file
from tests.helpers.durable_steps import Steps
from tests.helpers.fault_machines import NOW, Machine, lines_of, seen, some
from tests.helpers.ledger import ORIGIN, ed25519_key, log_signer, witness_key
from tests.helpers.witnesses import HONEST, OTHER, note_of, proof_of

SIGNER, NEXT_SIGNER = log_signer(), Ed25519NoteSigner(ORIGIN, ed25519_key("the next key of the log"))
POLICY = parse_policy(f"log {SIGNER.key.text}\nlog {NEXT_SIGNER.key.text}\nquorum none\n".encode())
BEFORE = [b"earlier %d" % n for n in range(252)]


def entries_of(log: LogReader) -> list[bytes]:
    """Return every entry, as the bundles have them."""
    size, entries = log.stored_size, list[bytes]()
    for first in range(0, size, 256):
        bundle = EntryBundle(first // 256, min(256, size - first))
        entries += decode_bundle(bundle, log.read(bundle.path))
    return entries


def signed_checkpoint(note: bytes) -> Checkpoint:
    """Return what a log has signed; raises where it has not."""
    return verify_signed(note, POLICY).checkpoint


class LogMachine(Machine):
    """A log: entries and their tree in one transaction, then the answer; a checkpoint kept, then handed out."""

    NAME = "a log"
    PHASES = (
        "the first start",
        "entries are appended",
        "entries that fill a bundle are appended",
        "a checkpoint is handed out",
        "the log begins to change its key",
        "entries are appended and counted",
    )
    BATCHES: ClassVar = {
        1: (b"one", b"two", b"one"),
        2: (b"three", b"earlier 3", b"four", b"five", b"six"),
        5: (b"seven", b"one"),
    }

    def prepare(self, phase: int, folder: Path) -> None:
        """Let others fill the first bundle nearly."""
        (folder / "medium").mkdir(exist_ok=True)
        if phase == 2:
            with closing(open_log_store(folder / "log.db", SIGNER)) as log:
                log.append(BEFORE)

    def run(self, phase: int, folder: Path, steps: Steps) -> None:
        """Open the log, do one thing, answer, close."""
        path, following = steps.path(folder / "log.db", "log"), NEXT_SIGNER if phase >= 4 else None
        connect = steps.connect("log")
        with closing(steps.until_done(lambda: open_log_store(path, SIGNER, connect, next_signer=following))) as log:
            if phase in (1, 2):
                steps.until_done(lambda: self._append(log, self.BATCHES[phase], folder, steps))
            elif phase == 3:
                steps.until_done(lambda: self._hand_out(log, folder, steps))
            elif phase == 5:
                counter = FileCounter(steps.path(folder / "medium/counter", "counter"), sync=steps.sync("counter"))
                counted = steps.until_done(lambda: CountedLog(log, counter))
                steps.until_done(lambda: self._append(counted, self.BATCHES[5], folder, steps))

    def look(self, folder: Path) -> str:
        """Say how many entries there are, for how many the log has signed, and of how many somebody has heard."""
        with seen(folder, "log.db") as log:
            if log is None:
                return "no log"
            (size, note), keys = log.execute("SELECT size, note FROM head").fetchone(), log.execute("SELECT count(*) FROM key")
            entries = 256 * log.execute("SELECT count(*) FROM bundle").fetchone()[0]
            octets = b"".join(row[0] for row in log.execute("SELECT entries FROM tail ORDER BY first"))
            while octets:
                octets, entries = octets[2 + int.from_bytes(octets[:2]) :], entries + 1
            (number_of_keys,), published = keys.fetchone(), log.execute("SELECT note FROM published").fetchone()
        assert size == entries == parse_checkpoint(parse_note(note).body).tree_size
        counted, told = FileCounter(folder / "medium/counter").read(), len(lines_of(folder / "told"))
        out = "none" if published is None else parse_checkpoint(parse_note(published[0]).body).tree_size
        return (
            f"{entries} entries, {some(number_of_keys, 'key')}; to hand out: {out}; {counted} counted; {some(told, 'answer')} heard"
        )

    def check(self, phase: int, folder: Path) -> None:
        """Assert that every answer holds, every entry is there once, and no checkpoint that anybody saw is contradicted."""
        with closing(open_log_store(folder / "log.db", SIGNER, next_signer=NEXT_SIGNER if phase >= 4 else None)) as log:
            entries = entries_of(log)
            assert len(set(entries)) == len(entries)
            asked = {entry for at, batch in self.BATCHES.items() if at <= phase for entry in batch}
            assert set(entries) == asked | set(BEFORE if phase >= 2 else ())
            tree = EMPTY_TREE.extended(map(leaf_hash, entries)).tree
            signed = signed_checkpoint(log.checkpoint_note)
            assert (signed.tree_size, signed.root) == (len(entries), tree.root)
            assert len(parse_note(log.checkpoint_note).signatures) == (2 if phase >= 4 else 1)
            for line in lines_of(folder / "told"):
                index, entry = line.split()
                assert entries[int(index)] == bytes.fromhex(entry)
                assert log.submit(bytes.fromhex(entry)) == int(index)
            for line in lines_of(folder / "handed out"):
                old = signed_checkpoint(bytes.fromhex(line))
                assert log.root_at(old.tree_size) == old.root
            if phase >= 3:
                assert log.published_note is not None
                assert lines_of(folder / "handed out")[-1] == log.published_note.hex()
            if phase >= 5:
                assert FileCounter(folder / "medium/counter").read() == log.size

    def _append(self, log: LogStore | CountedLog, batch: tuple[bytes, ...], folder: Path, steps: Steps) -> None:
        indexes = log.append(batch)
        for index, entry in dict(zip(indexes, batch, strict=True)).items():
            steps.told("the index of an entry is answered", folder / "told", f"{index} {entry.hex()}")

    def _hand_out(self, log: LogStore, folder: Path, steps: Steps) -> None:
        note = log.checkpoint_note
        log.publish(note)
        steps.told("the checkpoint is handed out", folder / "handed out", note.hex())


class NodeMachine(Machine):
    """What a log node's writing process does: a group of appends in one transaction, a cosigned checkpoint kept, then answered."""

    NAME: ClassVar = "a log node"
    PHASES: ClassVar = (
        "a group of appends is committed",
        "a cosigned checkpoint is kept and handed out",
        "a further group is committed, of which the log has some",
    )
    GROUPS: ClassVar = {0: (b"one", b"two", b"three"), 2: (b"two", b"four", b"five", b"one")}

    def prepare(self, phase: int, folder: Path) -> None:
        """Begin with an empty log."""
        if phase == 0:
            open_log_store(folder / "log.db", SIGNER).close()

    def run(self, phase: int, folder: Path, steps: Steps) -> None:
        """Open the log as the writing process does, and send it what the node sends, again where it was refused."""
        with closing(open_log_store(folder / "log.db", SIGNER, steps.connect("log"))) as log:
            answers = AnswerReader()
            writer = LogWriter(log, lambda octets: self._hear(phase, [*answers.read(octets)], log, folder, steps))
            sent = frame(PUBLISH, self._cosigned(log)) if phase == 1 else b"".join(map(append_frame, self.GROUPS[phase]))
            steps.until_done(lambda: writer.take(sent))

    def look(self, folder: Path) -> str:
        """Say how many entries there are, what is to be handed out, and what others have heard."""
        with seen(folder, "log.db") as log:
            assert log is not None
            (size,), published = (
                log.execute("SELECT size FROM head").fetchone(),
                log.execute("SELECT note FROM published").fetchone(),
            )
        out = "nothing" if published is None else f"a cosigned tree of {parse_checkpoint(parse_note(published[0]).body).tree_size}"
        told, handed = len(lines_of(folder / "told")), len(lines_of(folder / "handed out"))
        return f"{size} entries; to hand out: {out}; {some(told, 'answer')} heard; {handed} handed out"

    def check(self, phase: int, folder: Path) -> None:
        """Assert that every answer holds, every entry is there once, and what is handed out is cosigned and of this log."""
        with closing(open_log_store(folder / "log.db", SIGNER)) as log:
            entries = entries_of(log)
            assert entries == [b"one", b"two", b"three", b"four", b"five"][: 3 if phase < 2 else 5]
            for line in lines_of(folder / "told"):
                index, entry = line.split()
                assert entries[int(index)] == bytes.fromhex(entry)
            signed = signed_checkpoint(log.checkpoint_note)
            assert (signed.tree_size, signed.root) == (len(entries), EMPTY_TREE.extended(map(leaf_hash, entries)).tree.root)
            if phase:
                assert log.published_note is not None
                assert find_cosignature(parse_note(log.published_note), witness_key("w.example")) is not None
                assert lines_of(folder / "handed out")[-1] == log.published_note.hex()
                for line in lines_of(folder / "handed out"):
                    old = signed_checkpoint(bytes.fromhex(line))
                    assert log.root_at(old.tree_size) == old.root

    def _hear(self, phase: int, heard: list[Answer], log: LogStore, folder: Path, steps: Steps) -> None:
        (answer,) = heard
        match answer:
            case Refused():
                error = answer.error()
                assert isinstance(error, StorageError)
                raise error
            case Committed(indexes):
                told = "\n".join(f"{i} {e.hex()}" for i, e in zip(indexes, self.GROUPS[phase], strict=True))
                steps.told("the indexes of the group are answered", folder / "told", told)
            case Done():
                steps.told("the checkpoint is handed out", folder / "handed out", self._cosigned(log).hex())

    def _cosigned(self, log: LogStore) -> bytes:
        note = parse_note(log.newest_note)
        line = cosign(note.body, name="w.example", private_key=ed25519_key("w.example"), timestamp_s=1_700_000_000)
        return add_signatures(note, (line,))


class WitnessMachine(Machine):
    """A witness: what it cosigns is kept before anybody has the cosignature."""

    NAME = "a witness"
    PHASES = ("a log is cosigned for the first time", "the log is cosigned further on", "a fork of the log is shown to it")
    SIZES: ClassVar = ((0, 100), (100, 300))

    def prepare(self, phase: int, folder: Path) -> None:
        """Nothing happens beside it."""

    def run(self, phase: int, folder: Path, steps: Steps) -> None:
        """Open the witness's file, answer one request, close."""
        if phase == 0 and not (folder / "witness.db").exists():
            open_witness_file(folder / "witness.db").close()
        with closing(open_witness_file(folder / "witness.db", steps.connect("witness"))) as store:
            witness = Witness(name="w.example", private_key=ed25519_key("w.example"), logs=POLICY, store=store)
            steps.until_done(lambda: self._ask(witness, phase, folder, steps))

    def look(self, folder: Path) -> str:
        """Say how far it has cosigned, and what others have of it."""
        with seen(folder, "witness.db") as witness:
            if witness is None:
                return "no file"
            row, forks = witness.execute("SELECT size FROM cosigned").fetchone(), witness.execute("SELECT count(*) FROM fork")
            (kept,) = forks.fetchone()
        told = len(lines_of(folder / "told"))
        return f"cosigned up to {0 if row is None else row[0]}; {some(kept, 'fork')} kept; {some(told, 'answer')} heard"

    def check(self, phase: int, folder: Path) -> None:
        """Assert that it never cosigned two histories, that it has what it cosigned, and that it kept both notes of the fork."""
        with closing(open_witness_file(folder / "witness.db")) as store:
            witness = Witness(name="w.example", private_key=ed25519_key("w.example"), logs=POLICY, store=store)
            stands = store.cosigned(ORIGIN)
            assert stands is not None
            assert find_cosignature(parse_note(stands.note), witness.key) is not None
            assert stands.tree_size == self.SIZES[min(phase, 1)][1]
            assert stands.root == parse_checkpoint(parse_note(note_of(stands.tree_size)).body).root
            for line in lines_of(folder / "told"):
                size, cosignature = line.split()
                assert find_cosignature(parse_note(note_of(int(size)) + bytes.fromhex(cosignature)), witness.key) is not None
                assert int(size) <= stands.tree_size
            assert len(store.forks()) == int(phase == 2)
            for _, contradiction in store.forks():
                assert contradiction.conflicting_note == note_of(300, OTHER)

    def _ask(self, witness: Witness, phase: int, folder: Path, steps: Steps) -> None:
        if phase == 2:
            request = AddCheckpoint(old_size=300, proof=(), note=note_of(300, OTHER))
            assert witness.add_checkpoint(request.encode(), NOW).word == "fork"
            return
        old, new = self.SIZES[phase]
        request = AddCheckpoint(old_size=old, proof=proof_of(old, new, HONEST), note=note_of(new))
        answer = witness.add_checkpoint(request.encode(), NOW)
        if answer.status == 409:  # it has it, and the answer was not heard: asked again from there
            assert answer.body == b"%d\n" % new
            answer = witness.add_checkpoint(AddCheckpoint(old_size=new, proof=(), note=note_of(new)).encode(), NOW)
        assert answer.status == 200
        steps.told("the cosignature is answered", folder / "told", f"{new} {answer.body.hex()}")
