"""A log's witnesses over HTTP: honest, away, slow, dishonest and endless ones. Only the servers are of the test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.errors import ConfigError, DecodeError, ProofError
from shared.ledger.cosignature import cosign
from shared.ledger.merkle import Hash
from shared.ledger.note import encode_note, parse_note
from shared.ledger.policy import parse_policy
from shared.ledger.witness import Witness
from shared.service.witness_store import WitnessFile, open_witness_file
from shared.transport.witness_http import FIRST_WAIT_S, MAX_WITNESSES, RENEW_AFTER_S, WitnessAddress, WitnessPool, addresses_of
from tests.helpers.ledger import ed25519_key, log_signer, policy_of, witness_key
from tests.helpers.witnesses import OTHER, is_cosigned, note_of, proof_of

NOW_S = 1_790_000_000
NAMES = ("w1.example", "w2.example", "w3.example")
SHORT_S = 0.3
"""What a test waits for a witness that will never speak."""

Answer = tuple[int, bytes, bytes]
"""A status, a body, and further header lines."""

Say = Callable[[bytes], Awaitable[Answer]]


class Server:
    """A witness that answers what `say` makes of a request.

    Attributes:
        asked: every request's body.
    """

    def __init__(self, name: str, say: Say) -> None:
        self.name = name
        self.say = say
        self.asked: list[bytes] = []
        self.url = ""

    @property
    def address(self) -> WitnessAddress:
        return WitnessAddress(key=witness_key(self.name), url=self.url)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                assert head.startswith(b"POST /prefix/add-checkpoint HTTP/1.1\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                self.asked.append(await reader.readexactly(int(length.split(b":")[1])))
                status, body, headers = await self.say(self.asked[-1])
                writer.write(b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n%s\r\n" % (status, len(body), headers) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Scene:
    """Servers, a clock, and a pool of their witnesses."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock(UtcNs(NOW_S * NS_PER_S))
        self.servers: list[Server] = []
        self.stores: dict[str, WitnessFile] = {}
        self._directory = directory

    def honest(self, name: str) -> Server:
        """Add a witness as it should be."""
        store = self.stores[name] = open_witness_file(self._directory / f"{name}.sqlite")
        witness = Witness(name=name, private_key=ed25519_key(name), logs=policy_of(), store=store)

        async def say(body: bytes) -> Answer:
            answer = witness.add_checkpoint(body, self.clock.now())
            return answer.status, answer.body, b"content-type: %s\r\n" % answer.content_type.encode()

        return self.saying(name, say)

    def saying(self, name: str, say: Say) -> Server:
        """Add a witness that is what the test makes it."""
        self.servers.append(Server(name, say))
        return self.servers[-1]

    def run(self, test: Callable[[WitnessPool], Coroutine[Any, Any, None]], *, patience_s: float = 30.0) -> None:
        """Run a test with all of them serving."""

        async def scene() -> None:
            async with self._serving():
                addresses = [server.address for server in self.servers]
                async with WitnessPool(addresses, clock=self.clock, entropy=Random(1).randbytes, patience_s=patience_s) as pool:
                    await test(pool)

        try:
            asyncio.run(scene())
        finally:
            for store in self.stores.values():
                store.close()

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        running: list[asyncio.Task[None]] = []

        async def serve(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            running.append(task)
            await server.serve(reader, writer)

        listeners = []
        for server in self.servers:
            listeners.append(await asyncio.start_server(partial(serve, server), "127.0.0.1", 0))
            server.url = f"http://127.0.0.1:{listeners[-1].sockets[0].getsockname()[1]}/prefix/"
        try:
            yield
        finally:
            for listener in listeners:
                listener.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def cosigned_by(note: bytes) -> set[str]:
    return {name for name in NAMES if is_cosigned(note, witness_key(name))}


async def always(status: int, body: bytes, headers: bytes, _request: bytes) -> Answer:
    return status, body, headers


async def never(_request: bytes) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


def failures(pool: WitnessPool, name: str) -> object:
    return pool.status()[name]["failed"]


def test_all_are_asked_and_a_growing_log_needs_one_exchange_with_each(scene: Scene) -> None:
    servers = [scene.honest(name) for name in NAMES]

    async def test(pool: WitnessPool) -> None:
        for size in (1, 2, 7, 8, 255, 300):
            assert cosigned_by(await pool.cosign(note_of(size), proof_of)) == set(NAMES)
        assert [len(server.asked) for server in servers] == [6, 6, 6]
        for status in pool.status().values():
            assert (status["size"], status["cosigned"], status["failed"]) == (300, 6, {})
            assert status["last_cosignature"] == NOW_S

    scene.run(test)


def test_one_that_has_cosigned_elsewhere_is_asked_again_at_once(scene: Scene) -> None:
    server = scene.honest(NAMES[0])

    async def test(pool: WitnessPool) -> None:
        await pool.cosign(note_of(7), proof_of)
        async with WitnessPool([server.address], clock=scene.clock, entropy=Random(2).randbytes) as another:
            assert cosigned_by(await another.cosign(note_of(12), proof_of)) == {NAMES[0]}
        assert len(server.asked) == 3
        assert cosigned_by(await pool.cosign(note_of(20), proof_of)) == {NAMES[0]}

    scene.run(test)


def test_with_one_down_the_others_cosign_and_it_is_left_alone_for_a_while(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    for name in NAMES[:2]:
        scene.honest(name)
    down = WitnessAddress(key=witness_key(NAMES[2]), url=f"http://127.0.0.1:{port}")

    async def test(_pool: WitnessPool) -> None:
        addresses = [*(server.address for server in scene.servers), down]
        async with WitnessPool(addresses, clock=scene.clock, entropy=Random(1).randbytes) as pool:
            for size in (1, 2, 3):
                assert cosigned_by(await pool.cosign(note_of(size), proof_of)) == set(NAMES[:2])
            assert failures(pool, NAMES[2]) == {"away": 1}
            waits = []
            for size in range(4, 9):
                wait_s = pool.status()[NAMES[2]]["asked_again_in_s"]
                assert isinstance(wait_s, int)
                waits.append(wait_s)
                scene.clock.advance((wait_s + 1) * NS_PER_S)
                await pool.cosign(note_of(size), proof_of)
            assert failures(pool, NAMES[2]) == {"away": 6}
            assert waits == sorted(waits)
            assert waits[-1] > FIRST_WAIT_S

    scene.run(test)


def test_one_that_comes_back_cosigns_again(scene: Scene) -> None:
    server = scene.honest(NAMES[0])
    honest = server.say

    async def test(pool: WitnessPool) -> None:
        server.say = partial(always, 500, b"", b"")
        assert not cosigned_by(await pool.cosign(note_of(3), proof_of))
        server.say = honest
        assert not cosigned_by(await pool.cosign(note_of(3), proof_of))
        scene.clock.advance(2 * NS_PER_S)
        assert cosigned_by(await pool.cosign(note_of(3), proof_of)) == {NAMES[0]}
        assert pool.status()[NAMES[0]]["failures_in_a_row"] == 0

    scene.run(test)


def test_one_that_never_answers_costs_its_time_bound_and_nothing_else(scene: Scene) -> None:
    scene.honest(NAMES[0])
    scene.saying(NAMES[1], never)

    async def test(pool: WitnessPool) -> None:
        assert cosigned_by(await pool.cosign(note_of(3), proof_of)) == {NAMES[0]}
        assert failures(pool, NAMES[1]) == {"slow": 1}

    scene.run(test, patience_s=SHORT_S)


def test_a_checkpoint_that_did_not_change_is_cosigned_anew_only_when_it_has_aged(scene: Scene) -> None:
    server = scene.honest(NAMES[0])

    async def test(pool: WitnessPool) -> None:
        first = await pool.cosign(note_of(3), proof_of)
        assert await pool.cosign(note_of(3), proof_of) == first
        assert len(server.asked) == 1
        scene.clock.advance(RENEW_AFTER_S * NS_PER_S)
        renewed = await pool.cosign(note_of(3), proof_of)
        assert pool.status()[NAMES[0]]["last_cosignature"] == NOW_S + RENEW_AFTER_S
        server.say = partial(always, 500, b"", b"")
        scene.clock.advance(RENEW_AFTER_S * NS_PER_S)
        assert await pool.cosign(note_of(3), proof_of) == renewed

    scene.run(test)


def test_what_a_witness_cosigned_before_it_went_ahead_is_handed_out_no_more(scene: Scene) -> None:
    server = scene.honest(NAMES[0])
    scene.honest(NAMES[1])

    async def test(pool: WitnessPool) -> None:
        assert cosigned_by(await pool.cosign(note_of(3), proof_of)) == {NAMES[0], NAMES[1]}
        server.say = partial(always, 409, b"5\n", b"")
        scene.clock.advance(RENEW_AFTER_S * NS_PER_S)
        assert cosigned_by(await pool.cosign(note_of(3), proof_of)) == {NAMES[1]}
        assert [witness.key.name for witness in pool.take_ahead()] == [NAMES[0]]

    scene.run(test)


def test_two_asked_for_at_once_are_cosigned_one_after_the_other(scene: Scene) -> None:
    scene.honest(NAMES[0])

    async def test(pool: WitnessPool) -> None:
        notes = await asyncio.gather(*(pool.cosign(note_of(size), proof_of) for size in (3, 5, 8)))
        assert [cosigned_by(note) for note in notes] == [{NAMES[0]}] * 3

    scene.run(test)


def line_of(size: int, *, name: str = NAMES[0], key: str = NAMES[0], timestamp_s: int = NOW_S) -> bytes:
    body = parse_note(note_of(size)).body
    line = cosign(body, name=name, private_key=ed25519_key(key), timestamp_s=timestamp_s)
    return encode_note(body, (line,)).removeprefix(body + b"\n")


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (200, b"", "nonsense"),
        (200, b"hello\n", "nonsense"),
        (200, b"\xff\xfe\n", "nonsense"),
        (200, line_of(2), "nonsense"),
        (200, line_of(3, key="another"), "nonsense"),
        (200, line_of(3, name="another.example"), "nonsense"),
        (200, line_of(3)[:-8] + b"AAAAAAA\n", "nonsense"),
        (200, line_of(3) + line_of(2), "nonsense"),
        (200, line_of(3) * 65, "nonsense"),
        (200, line_of(3) * 1_000, "away"),
        (200, line_of(3, timestamp_s=NOW_S - 3_600), "date"),
        (200, line_of(3, timestamp_s=NOW_S + 3_600), "date"),
        (200, line_of(3, timestamp_s=(1 << 63) - 1), "date"),
        (409, b"2\n" * 2, "nonsense"),
        (409, b"02\n", "nonsense"),
        (409, b"", "nonsense"),
        (409, b"0\n", "size"),
        (409, b"1\n", "size"),
        (409, b"4\n", "ahead"),
        (409, b"9223372036854775807\n", "ahead"),
        (301, b"", "status_301"),
        (403, b"who are you?\n", "status_403"),
        (404, b"", "status_404"),
        (422, b"", "status_422"),
        (503, b"no clock\n", "status_503"),
    ],
)
def test_a_witness_that_lies_is_counted_and_spoils_nothing(scene: Scene, status: int, body: bytes, word: str) -> None:
    scene.saying(NAMES[0], partial(always, status, body, b""))
    scene.honest(NAMES[1])

    async def test(pool: WitnessPool) -> None:
        note = await pool.cosign(note_of(3), proof_of)
        assert cosigned_by(note) == {NAMES[1]}
        assert len(parse_note(note).signatures) == 2
        assert failures(pool, NAMES[0]) == {word: 1}

    scene.run(test)


def test_one_that_wants_another_size_each_time_is_given_up_after_a_few(scene: Scene) -> None:
    async def say(request: bytes) -> Answer:
        old = int(request.split(b"\n", 1)[0].split()[1])
        return 409, b"%d\n" % ((old + 1) % 3), b""

    server = scene.saying(NAMES[0], say)

    async def test(pool: WitnessPool) -> None:
        assert not cosigned_by(await pool.cosign(note_of(9), proof_of))
        assert len(server.asked) == 3
        assert failures(pool, NAMES[0]) == {"size": 1}

    scene.run(test)


def test_a_good_line_among_those_of_others_is_taken_alone(scene: Scene) -> None:
    scene.saying(NAMES[0], partial(always, 200, line_of(3, name="n1") + line_of(3) + line_of(3, name="n2", key="n2"), b""))

    async def test(pool: WitnessPool) -> None:
        note = await pool.cosign(note_of(3), proof_of)
        assert note == note_of(3) + line_of(3)

    scene.run(test)


def test_one_that_asks_for_a_while_is_left_alone_for_it_within_reason(scene: Scene) -> None:
    scene.saying(NAMES[0], partial(always, 503, b"", b"retry-after: 30\r\n"))
    scene.saying(NAMES[1], partial(always, 503, b"", b"retry-after: 99999\r\n"))

    async def test(pool: WitnessPool) -> None:
        await pool.cosign(note_of(3), proof_of)
        assert [pool.status()[name]["asked_again_in_s"] for name in NAMES[:2]] == [30, 60]

    scene.run(test)


def test_a_fork_of_the_log_gets_no_cosignature_and_the_witness_keeps_both_notes(scene: Scene) -> None:
    scene.honest(NAMES[0])

    async def test(pool: WitnessPool) -> None:
        await pool.cosign(note_of(7), proof_of)
        forked = await pool.cosign(note_of(12, OTHER), partial(proof_of, entries=OTHER))
        assert forked == note_of(12, OTHER)
        assert failures(pool, NAMES[0]) == {"status_422": 1}
        ((_, fork),) = scene.stores[NAMES[0]].forks()
        assert fork.conflicting_note == note_of(12, OTHER)

    scene.run(test)


def test_a_log_that_cannot_prove_publishes_without_that_witness(scene: Scene) -> None:
    scene.honest(NAMES[0])

    def failing(_old: int, _new: int) -> tuple[Hash, ...]:
        raise ProofError("the tiles are gone")

    async def test(pool: WitnessPool) -> None:
        await pool.cosign(note_of(7), proof_of)
        assert await pool.cosign(note_of(12), failing) == note_of(12)
        assert failures(pool, NAMES[0]) == {"proof": 1}

    scene.run(test)


def test_without_witnesses_the_note_stays_as_it_is_and_without_a_checkpoint_it_is_refused(scene: Scene) -> None:
    async def test(pool: WitnessPool) -> None:
        assert await pool.cosign(note_of(7), proof_of) == note_of(7)
        assert pool.status() == {}
        with pytest.raises(DecodeError):
            await pool.cosign(b"nonsense", proof_of)

    scene.run(test)


def pool_of(*addresses: WitnessAddress) -> WitnessPool:
    return WitnessPool(addresses, clock=ManualClock(None), entropy=Random(1).randbytes)


@pytest.mark.parametrize("url", ["", "witness.example", "ftp://witness.example/", "http://", "http://w:99999/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        pool_of(WitnessAddress(key=witness_key("w"), url=url))


def test_a_key_of_another_kind_the_same_one_twice_and_too_many_are_refused() -> None:
    url = "http://witness.example/"
    address = WitnessAddress(key=witness_key("w"), url=url)
    with pytest.raises(ConfigError):
        pool_of(WitnessAddress(key=log_signer().key, url=url))
    with pytest.raises(ConfigError):
        pool_of(address, address)
    with pytest.raises(ConfigError):
        pool_of(*(WitnessAddress(key=witness_key(f"w{n}"), url=url) for n in range(MAX_WITNESSES + 1)))


def test_those_of_a_policy_that_have_an_address_are_asked() -> None:
    lines = (f"log {log_signer().key.text}", f"witness a {witness_key('a').text} http://a/", f"witness b {witness_key('b').text}")
    policy = parse_policy(("\n".join((*lines, "quorum none")) + "\n").encode())
    assert addresses_of(policy) == (WitnessAddress(key=witness_key("a"), url="http://a/"),)
