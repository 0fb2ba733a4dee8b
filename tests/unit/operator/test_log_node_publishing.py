"""What a log hands out: nothing below its quorum, nothing smaller than before, and nothing once it is known to be an old copy."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared.core.errors import ConfigError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.cosignature import cosign
from shared.ledger.note import add_signatures, parse_note
from shared.ledger.policy import parse_policy
from shared.ledger.witnessing import Consistency
from shared.operator.group_commit import GroupCommit
from shared.operator.log_node_files import LogFiles
from shared.operator.log_node_publishing import LogPublishing, own_policy
from shared.service.counters import Counters
from shared.service.log import make_logger
from shared.service.log_reader import open_log_reader
from shared.transport.witness_http import WitnessAddress
from tests.helpers.ledger import ORIGIN, ed25519_key, log_signer, witness_key

NAMES = ("w0", "w1", "w2")
NOWHERE = "http://127.0.0.1:1"
POLICY = parse_policy(
    "".join(f"witness {name} {witness_key(name).text} {NOWHERE}\n" for name in NAMES).encode()
    + b"group two 2 w0 w1 w2\nquorum two\n"
)
PATIENCE_S = 30.0


@dataclass
class Line:
    """Witnesses at the other end of a line: who is there, and who claims to have seen more; those do not cosign from then on."""

    there: tuple[str, ...] = NAMES
    ahead: tuple[str, ...] = ()
    asked: list[int] = field(default_factory=list)

    async def cosign(self, note: bytes, consistency: Consistency) -> bytes:
        parsed = parse_note(note)
        self.asked.append(parse_checkpoint(parsed.body).tree_size)
        self.there = tuple(name for name in self.there if name not in self.ahead)
        return add_signatures(
            parsed,
            tuple(cosign(parsed.body, name=name, private_key=ed25519_key(name), timestamp_s=1_700_000_000) for name in self.there),
        )

    def take_ahead(self) -> tuple[WitnessAddress, ...]:
        ahead, self.ahead = self.ahead, ()
        return tuple(WitnessAddress(key=witness_key(name), url=NOWHERE) for name in ahead)


class Node:
    """A log's files and its publishing, without HTTP."""

    def __init__(self, folder: Path, line: Line) -> None:
        self.line = line
        self.said = io.StringIO()
        self.counters = Counters()
        self.files = LogFiles(folder / "log", (log_signer(),))
        self.publishing = LogPublishing(
            self.files,
            folder=folder,
            policy=own_policy(POLICY, (log_signer().key,), ()),
            pool=line,
            counters=self.counters,
            log=make_logger(self.said),
            now_s=asyncio.get_running_loop().time,
        )

    async def append(self, *entries: bytes) -> None:
        for entry in entries:
            assert self.commit.offer(entry, entry)
        await self.commit.settled()

    async def open(self) -> None:
        await self.files.open()
        self.failed: list[Exception] = []
        self.commit: GroupCommit[bytes] = GroupCommit(
            self.files.append,
            on_committed=lambda _tickets, _indexes: None,
            on_failed=lambda _tickets, error: self.failed.append(error),
            counters=Counters(),
        )
        self.files.commit = self.commit
        await self.publishing.begin()


def on_node(folder: Path, test: Callable[[Node], Awaitable[None]], line: Line | None = None) -> Node:
    async def run() -> Node:
        node = Node(folder, Line() if line is None else line)
        async with asyncio.timeout(PATIENCE_S):
            await node.open()
            try:
                await test(node)
            finally:
                await node.files.close()
        return node

    return asyncio.run(run())


def test_a_round_hands_out_the_newest_tree_with_who_cosigned_it(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        assert node.publishing.size == 0
        await node.append(b"a", b"b")
        await node.publishing.round()
        assert node.publishing.size == 2
        assert node.publishing.quorum == "two; cosigned by 3 of 3"

    node = on_node(tmp_path, test)
    with open_log_reader(tmp_path / "log") as reader:
        assert reader.published_note == node.publishing.note
    assert node.counters["published"] == 2


def test_below_the_quorum_the_last_that_had_it_is_handed_out_and_the_change_is_told_once(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.append(b"a")
        await node.publishing.round()
        node.line.there = ("w2",)
        for entry in (b"b", b"c"):
            await node.append(entry)
            await node.publishing.round()
        assert node.publishing.size == 1
        node.line.there = ("w1", "w2")
        await node.publishing.round()
        assert node.publishing.size == 3

    node = on_node(tmp_path, test)
    assert node.counters["publishing.quorum"] == 2
    assert node.said.getvalue().count('"unavailable"') == node.said.getvalue().count('"recovered"') == 1


def test_fewer_cosignatures_of_the_same_tree_do_not_replace_more(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.append(b"a")
        await node.publishing.round()
        before = node.publishing.note
        node.line.there = ("w0", "w1")
        await node.publishing.round()
        assert node.publishing.note == before
        await node.append(b"b")
        await node.publishing.round()
        assert node.publishing.size == 2

    on_node(tmp_path, test)


def test_after_a_restart_it_goes_on_from_what_it_handed_out_with_no_witness_there(tmp_path: Path) -> None:
    async def grow(node: Node) -> None:
        await node.append(b"a", b"b")
        await node.publishing.round()

    async def look(node: Node) -> None:
        assert node.publishing.size == 2

    on_node(tmp_path, grow)
    on_node(tmp_path, look, Line(there=()))


def test_one_witness_that_only_says_it_is_ahead_is_told_of_and_stops_nothing(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        assert node.publishing.restored is None
        await node.append(b"a")
        await node.publishing.round()
        assert node.publishing.size == 1

    node = on_node(tmp_path, test, Line(ahead=("w0",)))
    assert node.counters["witnesses.ahead"] == 1
    assert "does not show it" in node.said.getvalue()


def test_a_quorum_that_says_it_is_ahead_stops_the_log_for_good(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.append(b"a")
        await node.publishing.round()
        node.line.ahead = ("w0",)
        await node.publishing.round()
        assert not node.publishing.may_not_sign
        node.line.ahead = ("w1",)
        await node.publishing.round()
        assert "w0 and w1 have cosigned more of this log than its 1 entries" in str(node.publishing.restored)
        await node.append(b"b")
        assert "backup" in str(node.failed[0])
        asked = len(node.line.asked)
        await node.publishing.round()
        assert len(node.line.asked) == asked

    async def look(node: Node) -> None:
        assert node.publishing.restored == "was put back from a backup and is not known to be the newest there is"
        assert node.publishing.size == 1

    assert "appending_stopped" in on_node(tmp_path, test).said.getvalue()
    on_node(tmp_path, look)


def test_a_witness_that_said_once_that_it_is_ahead_and_cosigns_again_counts_no_longer(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        for entry, ahead in ((b"a", ("w0",)), (b"b", ()), (b"c", ("w1",)), (b"d", ("w0",)), (b"e", ())):
            await node.append(entry)
            node.line.there, node.line.ahead = NAMES, ahead
            await node.publishing.round()
            assert not node.publishing.may_not_sign
        assert node.publishing.size == 5
        for name in ("w1", "w0"):
            node.line.ahead = (name,)
            await node.publishing.round()
        assert "w0 and w1 have cosigned more of this log than its 5 entries" in str(node.publishing.restored)

    node = on_node(tmp_path, test)
    assert node.counters["witnesses.ahead"] == 5


class TestTheLogsOwnPolicy:
    def test_it_is_of_its_own_keys_whatever_logs_the_file_names(self) -> None:
        key = log_signer().key
        other = parse_policy(f"log {log_signer('other.example').key.text}\nquorum none\n".encode())
        assert [log.key for log in own_policy(other, (key,), ()).logs] == [key]
        assert own_policy(None, (key,), ()).quorum is None

    def test_a_file_that_names_this_log_with_another_key_is_refused(self) -> None:
        key = log_signer().key
        other = parse_policy(f"log {log_signer(ORIGIN).key.text}\nquorum none\n".encode())
        assert own_policy(other, (key,), ()).logs[0].key == key
        stranger = type(key)(name=ORIGIN, kind=key.kind, public_key=ed25519_key("stranger").public_key().public_bytes_raw())
        with pytest.raises(ConfigError, match="another key"):
            own_policy(other, (stranger,), ())

    def test_witnesses_named_besides_are_asked_and_count_for_no_quorum(self) -> None:
        further = WitnessAddress(key=witness_key("w9"), url=NOWHERE)
        known = WitnessAddress(key=witness_key("w0"), url=NOWHERE)
        policy = own_policy(POLICY, (log_signer().key,), (further, known))
        assert [witness.key.name for witness in policy.witnesses] == [*NAMES, "w9"]
        assert not policy.is_quorum({"w0", policy.witnesses[3].name})
