"""A log put back from a backup learns from witnesses and mirrors what it showed last, gets it, and only then goes on."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.errors import ConfigError, ProofError, SplitViewError, StorageError, TransportError, UntrustedTimeError
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.note import Ed25519NoteSigner, VerifierKey, sign_note
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.verify import check_quorum, verify_signed
from shared.ledger.witness import Witness
from shared.operator.auditor_source import DirectorySource
from shared.operator.log_restore import LogRestore, Mirror, Restored
from shared.service.database import Connect, connect_sqlite
from shared.service.log_backup import back_up_log, copy_marked
from shared.service.log_export import export_log
from shared.service.log_reader import open_log_reader
from shared.service.log_store import LogStore, open_log_store
from shared.service.witness_store import WitnessFile, open_witness_file
from simulator.witnesses import WITNESSES, WitnessedLedger, draw_witness_keys, policy_text
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import ORIGIN, ed25519_key, log_signer

ENTRIES = [b"entry %d" % n for n in range(1_000)]
NOON = UtcNs(1_700_000_000 * NS_PER_S)
CLUB, INSPECTION, INSURANCE = WITNESSES


class Line:
    """The way to a real witness, which can be cut."""

    def __init__(self, witness: Witness, store: WitnessFile, clock: ManualClock) -> None:
        self.witness, self.store, self.clock = witness, store, clock
        self.is_cut = False
        self.shows_notes = True

    @property
    def key(self) -> VerifierKey:
        return self.witness.key

    async def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        if self.is_cut:
            raise TransportError("witness", "does not answer")
        answer = self.witness.add_checkpoint(body, self.clock.now())
        return answer.status, answer.body

    async def newest(self, origin: str) -> bytes | None:
        if self.is_cut:
            raise TransportError("witness", "does not answer")
        cosigned = self.store.cosigned(origin) if self.shows_notes else None
        return None if cosigned is None else cosigned.note


class World:
    """A log with three witnesses, a backup of it from some while ago, and exports of it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.clock = ManualClock(NOON)
        keys = draw_witness_keys(Random(1))
        self.words = policy_text(log_signer().key, keys)
        self.log = stack.enter_context(open_log_store(folder / "log.db", log_signer()))
        self.lines: dict[str, Line] = {}
        for name, key in keys.items():
            store = stack.enter_context(open_witness_file(folder / f"{name}.db"))
            witness = Witness(name=name, private_key=key, logs=self.policy(), store=store)
            self.lines[name] = Line(witness, store, self.clock)

    def policy(self, quorum: str | None = None) -> Policy:
        words = self.words if quorum is None else self.words.replace("quorum witnesses", f"quorum {quorum}")
        return parse_policy(words.encode())

    def publish(self, *names: str) -> bytes:
        """Have the log's newest checkpoint cosigned by some witnesses, by all where none is named, and handed out."""
        wanted = tuple(self.lines[name].witness for name in names or WITNESSES)
        note = WitnessedLedger(self.log, wanted, self.clock.now).read("checkpoint")
        self.log.publish(note)
        return note

    def append(self, size: int) -> None:
        self.log.append(ENTRIES[self.log.size : size])

    def back_up(self) -> None:
        back_up_log(self.folder / "log.db", self.folder / "backup.db")

    def export(self, name: str = "export") -> Path:
        with open_log_reader(self.folder / "log.db") as reader:
            export_log(reader, self.folder / name)
        return self.folder / name

    def copy(
        self,
        signer: Ed25519NoteSigner | None = None,
        following: Ed25519NoteSigner | None = None,
        *,
        at: Path | None = None,
        connect: Connect = connect_sqlite,
    ) -> LogStore:
        """Return the backup, put back into a file of its own, as it is left by what was tried before."""
        path = at or self.folder / "restored.db"
        if not path.exists():
            copy_marked(self.folder / "backup.db", path)
        return self.stack.enter_context(open_log_store(path, signer or log_signer(), connect, next_signer=following))

    def restore(
        self,
        store: LogStore,
        *mirrors: Path,
        notes: Mapping[str, bytes] | None = None,
        quorum: str | None = None,
        word: bool = False,
        clock: ManualClock | None = None,
    ) -> Restored:
        restore = LogRestore(
            store,
            folder=self.folder,
            policy=self.policy(quorum),
            witnesses=self.lines,
            mirrors=[Mirror(name=path.name, source=DirectorySource(path)) for path in mirrors],
            notes=notes or {},
            clock=clock or self.clock,
            has_operators_word=word,
        )
        return asyncio.run(restore.run())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


@pytest.fixture
def lost(world: World) -> World:
    """The log had 300 entries when it was backed up, and handed out 700 before it was lost."""
    world.append(300)
    world.publish()
    world.back_up()
    world.append(700)
    world.publish()
    return world


def refuses(store: LogStore) -> bool:
    with pytest.raises(StorageError, match="was put back from a backup"):
        store.submit(b"a second history")
    return store.is_restored


def test_a_backup_that_is_behind_catches_up_from_a_mirror_and_goes_on(lost: World) -> None:
    store = lost.copy()
    refuses(store)
    done = lost.restore(store, lost.export())
    assert (done.old_size, done.tree_size, done.heard, done.not_heard) == (300, 700, WITNESSES, {})
    assert done.is_published
    assert store.published_note is not None
    check_quorum(verify_signed(store.published_note, lost.policy()), lost.policy())
    assert store.root_at(700) == lost.log.root_at(700)
    assert store.append([b"new", ENTRIES[650]]) == (700, 650)
    ledger = WitnessedLedger(store, tuple(line.witness for line in lost.lines.values()), lost.clock.now)
    assert len(verify_signed(ledger.read("checkpoint"), lost.policy()).witnesses) == 3
    assert all(line.store.forks() == () for line in lost.lines.values())


def test_a_backup_that_has_everything_needs_no_mirror(world: World) -> None:
    world.append(300)
    world.publish()
    world.back_up()
    store = world.copy()
    assert (world.restore(store).tree_size, store.submit(b"new")) == (300, 300)


def test_without_the_entries_it_is_refused_and_told_what_to_do(lost: World) -> None:
    store = lost.copy()
    sentence = "700 entries that this log has signed, and the last 400 of them are not to be had: no mirror was named.*new origin"
    with pytest.raises(ProofError, match=sentence):
        lost.restore(store)
    assert refuses(store)
    assert lost.restore(store, lost.export()).tree_size == 700


def test_a_witness_that_only_tells_a_size_is_believed_and_its_checkpoint_asked_for(lost: World) -> None:
    for line in lost.lines.values():
        line.shows_notes = False
    store = lost.copy()
    with pytest.raises(ProofError, match=rf"{CLUB} has cosigned 700 entries already.*--newest"):
        lost.restore(store)
    assert refuses(store)
    newest = lost.log.checkpoint_note
    with pytest.raises(ProofError, match=r"^the operator's note has a checkpoint of 700 entries.*no mirror was named"):
        lost.restore(store, notes={"the operator's note": newest})
    assert lost.restore(store, lost.export(), notes={"the operator's note": newest}).tree_size == 700


@pytest.mark.parametrize(
    ("quorum", "cut", "is_enough"),
    [
        ("witnesses", (CLUB,), True),  # 2 of 3: whatever was shown, one of the two that answer cosigned it
        ("witnesses", (CLUB, INSPECTION), False),  # these two could have
        (CLUB, (INSPECTION, INSURANCE), True),
        (CLUB, (CLUB,), False),
    ],
)
def test_it_goes_on_when_those_not_heard_could_be_no_quorum(
    lost: World, quorum: str, cut: tuple[str, ...], *, is_enough: bool
) -> None:
    for name in cut:
        lost.lines[name].is_cut = True
    store = lost.copy()
    if is_enough:
        done = lost.restore(store, lost.export(), quorum=quorum)
        assert (done.tree_size, dict(done.not_heard)) == (700, dict.fromkeys(cut, "does not answer"))
        assert store.submit(b"new") == 700
        return
    with pytest.raises(ProofError, match=rf"not heard: {cut[0]} \(does not answer\).*could be the quorum"):
        lost.restore(store, lost.export(), quorum=quorum)
    assert refuses(store)
    for name in cut:
        lost.lines[name].is_cut = False
    assert lost.restore(store, quorum=quorum).tree_size == 700


def test_one_witness_that_was_shown_more_than_the_mirror_has_holds_everything_up(lost: World) -> None:
    export = lost.export()
    lost.append(900)
    lost.publish(INSURANCE)
    store = lost.copy()
    with pytest.raises(ProofError, match=f"witness {INSURANCE} has a checkpoint of 900 entries.*export: .*is not there"):
        lost.restore(store, export)
    assert refuses(store)
    lost.log.publish(lost.log.checkpoint_note)
    assert lost.restore(store, export, lost.export("newer")).tree_size == 900


def test_without_a_quorum_only_the_operators_word_counts_and_not_against_a_witness(lost: World) -> None:
    store = lost.copy()
    with pytest.raises(ProofError, match=r"700 entries.*not to be had"):
        lost.restore(store, quorum="none", word=True)
    with pytest.raises(ProofError, match=r"only you can.*--on-my-word"):
        lost.restore(store, lost.export(), quorum="none")
    assert refuses(store)
    done = lost.restore(store, quorum="none", word=True)
    assert (done.tree_size, done.is_published, store.submit(b"new")) == (700, True, 700)


@pytest.mark.parametrize("damage", ["other", "short", "nonsense", "gone", "directory", "unreadable"])
def test_a_mirror_that_has_something_else_moves_nothing_and_the_next_one_is_asked(lost: World, damage: str) -> None:
    good, bad = lost.export(), lost.export("bad")
    file = bad / "tile/entries/001"
    whole = file.read_bytes()
    file.unlink()
    if damage == "directory":
        file.mkdir()
    elif damage == "unreadable":
        file.symlink_to(file)
    elif damage != "gone":
        replaced = {"other": whole.replace(b"entry 400", b"entry 401"), "short": whole[:-4], "nonsense": b"\xff" * 999}
        file.write_bytes(replaced[damage])
    store = lost.copy()
    with pytest.raises(ProofError, match="not to be had: bad: "):
        lost.restore(store, bad)
    assert (store.size, refuses(store)) == (300, True)
    assert lost.restore(store, bad, good).tree_size == 700


def test_two_histories_end_a_log_whoever_shows_them(lost: World) -> None:
    with open_log_store(lost.folder / "second.db", log_signer()) as second:
        second.append([b"another", *ENTRIES[1:200]])
        shown = second.checkpoint_note
    store = lost.copy()
    with pytest.raises(SplitViewError, match="two histories and must not sign again") as caught:
        lost.restore(store, lost.export(), notes={"a vehicle": shown})
    assert caught.value.conflicting_note == shown
    assert refuses(store)


def test_a_note_that_is_not_the_logs_binds_it_to_nothing(lost: World) -> None:
    body = Checkpoint(origin=ORIGIN, tree_size=5_000, root=lost.log.root_at(0)).encode()
    forged = sign_note(body, Ed25519NoteSigner(ORIGIN, ed25519_key("somebody else")))
    store = lost.copy()
    with pytest.raises(ConfigError, match="is no checkpoint of"):
        lost.restore(store, lost.export(), notes={"a forged note": forged})
    mirror = lost.export("forging")
    (mirror / "checkpoint").write_bytes(forged)
    assert lost.restore(store, mirror).tree_size == 700


def test_an_old_cosignature_played_again_is_not_heard(lost: World) -> None:
    line, later = lost.lines[CLUB], ManualClock(UtcNs(NOON + 3_600 * NS_PER_S))
    for each in lost.lines.values():
        each.clock = later
    line.clock = lost.clock  # as somebody on the way would answer, who has only what the witness said then
    store = lost.copy()
    with pytest.raises(ProofError, match=rf"not heard: {CLUB} \(dates its cosignature 3600 s before the present\)"):
        lost.restore(store, lost.export(), quorum=CLUB, clock=later)
    assert refuses(store)


def test_without_the_time_nothing_is_known(lost: World) -> None:
    store = lost.copy()
    with pytest.raises(UntrustedTimeError):
        lost.restore(store, lost.export(), clock=ManualClock(None))
    assert refuses(store)


def test_a_log_that_changed_its_key_since_the_backup_is_put_back_with_both(lost: World) -> None:
    lost.log.close()
    following = Ed25519NoteSigner(ORIGIN, ed25519_key("the next key"))
    lost.words = f"log {following.key.text}\n{lost.words}"
    for line in lost.lines.values():
        line.witness = Witness(
            name=line.key.name, private_key=draw_witness_keys(Random(1))[line.key.name], logs=lost.policy(), store=line.store
        )
    lost.log = lost.stack.enter_context(open_log_store(lost.folder / "log.db", log_signer(), next_signer=following))
    lost.log.close()
    lost.log = lost.stack.enter_context(open_log_store(lost.folder / "log.db", following))
    lost.append(900)
    lost.publish()
    store = lost.copy(log_signer(), following)
    assert lost.restore(store, lost.export()).tree_size == 900
    store.take_keys()
    assert set(store.stored_keys) == {log_signer().key.text, following.key.text}
    assert store.submit(b"new") == 900


@pytest.mark.parametrize("persists", [False, True])
def test_a_disk_that_fails_at_any_statement_leaves_a_copy_or_the_whole_log_and_nothing_between(
    lost: World, *, persists: bool
) -> None:
    mirror, faults = lost.export(), Faults()
    lost.restore(lost.copy(connect=faults.connect(), at=lost.folder / "whole.db"), mirror)
    writing = [number for number, verb in enumerate(faults.executed) if verb in ("UPDATE", "INSERT", "DELETE", "COMMIT")]
    assert len(writing) > 8
    sizes: set[tuple[int, bool]] = set()
    for step in writing:
        path = lost.folder / f"failing {step}.db"
        copy_marked(lost.folder / "backup.db", path)
        faults.arm(step, persists=persists)
        with suppress(StorageError):
            lost.restore(lost.copy(connect=faults.connect(), at=path), mirror)
        faults.arm(None, persists=False)
        store = lost.copy(at=path)
        sizes.add((store.size, store.is_restored))
        if store.is_restored:
            lost.restore(store, mirror)
        assert store.append([b"new", ENTRIES[650]]) == (700, 650)
        store.close()
    assert sizes <= {(300, True), (700, True), (700, False)}
    assert {(300, True), (700, True)} <= sizes


def test_an_unknown_log_and_one_that_is_no_copy_are_not_touched(lost: World) -> None:
    with pytest.raises(ConfigError, match="is not a copy"):
        lost.restore(lost.log)
    with open_log_store(lost.folder / "other.db", log_signer("other.example/log")) as other:
        other.mark_restored(is_restored=True)
        with pytest.raises(ConfigError, match="knows no log"):
            lost.restore(other)
