"""`v2x ledger serve` as an operator runs it: used by several clients, witnessed, put back from a copy, killed under load."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.core.clock import TimeSource
from shared.ledger.merkle import leaf_hash
from shared.ledger.note import VerifierKey
from shared.operator.log_access import token_hash
from shared.operator.log_node_files import KEY_FILE, NEWER_FILE, STORE_FILE
from shared.service.log_reader import open_log_reader
from shared.service.log_store import open_log_store
from shared.service.system_clock import SystemClock
from shared.transport.bounded_http import HttpStatusError
from shared.transport.ledger_http import LedgerHttp
from tests.helpers.ledger import ORIGIN, log_signer
from tests.helpers.log_node import LogProcess, serving_log, write_log_key
from tests.helpers.witnesses import PATIENCE_S, PROGRAM, is_cosigned, witnessing

CLIENTS = 3
TOKEN = "a-secret-of-the-fleet-alone"


def numbered(count: int, what: str = "entry") -> list[bytes]:
    return [b"%s %d" % (what.encode(), n) for n in range(count)]


async def submitting(url: str, entries: list[bytes]) -> list[int]:
    """Be a client that knows no more of a log than Tessera's personality offers."""
    async with LedgerHttp((url,), clock=SystemClock(TimeSource.ASSUME_TRUSTED)) as log:
        return [await log.submit(entry) for entry in entries]


async def submitting_at_once(url: str, lots: list[list[bytes]]) -> list[list[int]]:
    return await asyncio.gather(*(submitting(url, lot) for lot in lots))


def test_clients_of_any_log_use_it_at_once_and_find_it_again_after_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    shared, own = numbered(30, "shared"), [numbered(20, f"of client {n}") for n in range(CLIENTS)]
    with ExitStack() as stack:
        manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"}
        node = stack.enter_context(serving_log(directory, environment=told))
        assert manager.recv(1_000).startswith(b"READY=1\nSTATUS=serving http://127.0.0.1:")
        assert manager.recv(1_000) == b"WATCHDOG=1"
        assert (directory / KEY_FILE).stat().st_mode & 0o777 == 0o600
        assert directory.stat().st_mode & 0o777 == 0o700
        lots = asyncio.run(submitting_at_once(node.url, [shared + mine for mine in own]))
        assert all(lot[:30] == lots[0][:30] for lot in lots)
        placed = dict(zip(shared, lots[0], strict=False))
        for mine, lot in zip(own, lots, strict=True):
            placed |= dict(zip(mine, lot[30:], strict=True))
        assert sorted(placed.values()) == list(range(30 + 20 * CLIENTS))
        note = node.published(len(placed))
        bundle = node.ask("GET", f"/tile/entries/000.p/{len(placed)}")
        octets = b"".join(len(entry).to_bytes(2) + entry for entry in sorted(placed, key=lambda entry: placed[entry]))
        assert (bundle.status, bundle.body) == (200, octets)
        _what_is_said_with_answers(node, len(placed))
        assert node.stop() == 0
        assert node.process.stdout is not None
        assert node.process.stdout.read() == b""
    with serving_log(directory) as again:
        assert again.key == node.key
        assert again.ask("GET", "/checkpoint").body == note
        assert again.ask("POST", "/add", shared[7]).body == b"%d" % placed[shared[7]]
        assert again.ask("POST", "/add", b"new").body == b"%d" % len(placed)


def _what_is_said_with_answers(node: LogProcess, size: int) -> None:
    tile, head, checkpoint = (
        node.ask(method, path)
        for method, path in (("GET", f"/tile/0/000.p/{size}"), ("HEAD", f"/tile/0/000.p/{size}"), ("GET", "/checkpoint"))
    )
    assert (len(tile.body), tile.headers["content-type"]) == (32 * size, "application/octet-stream")
    assert "immutable" in tile.headers["cache-control"]
    assert (head.body, head.headers) == (b"", tile.headers)
    assert (checkpoint.headers["content-type"], checkpoint.headers["cache-control"]) == ("text/plain; charset=utf-8", "no-cache")
    refused = {
        ("GET", "/add"): 405,
        ("POST", "/checkpoint"): 405,
        ("GET", "/"): 404,
        ("GET", f"/tile/0/000.p/{size + 1}"): 404,
        ("GET", "/tile/0/000"): 404,
        ("GET", "/tile/0/0"): 404,
        ("GET", "/tile/../../etc/passwd"): 404,
    }
    assert {asked: node.ask(*asked).status for asked in refused} == refused
    assert (node.ask("POST", "/add", b"").status, node.ask("POST", "/add", bytes(65_536)).status) == (400, 413)
    status = node.status()
    assert (status["size"], status["published_size"], status["state"]) == (size, size, "serving")
    assert status["counts"]["connections.too_large"] >= 1


def test_nothing_is_served_below_the_quorum_and_a_copy_put_back_signs_no_second_history(tmp_path: Path) -> None:
    directory, copy, policy = tmp_path / "log", tmp_path / "copy", tmp_path / "policy"
    directory.mkdir()
    open_log_store(directory / STORE_FILE, log_signer()).close()
    write_log_key(directory / KEY_FILE)
    with ExitStack() as stack:
        witnesses = [stack.enter_context(witnessing(tmp_path / f"w{n}", name=f"w{n}.example")) for n in range(2)]
        lines = [f"witness w{n} {w.address.key.text} {w.address.url}\n" for n, w in enumerate(witnesses)]
        policy.write_text("".join([*lines, "group both all w0 w1\nquorum both\n"]))
        with serving_log(directory, "--policy", policy) as node:
            asyncio.run(submitting(node.url, numbered(10)))
            assert _cosigned(node.published(10), [w.address.key for w in witnesses]) == 2
            assert node.stop() == 0
        shutil.copytree(directory, copy)
        with serving_log(directory, "--policy", policy) as node:
            asyncio.run(submitting(node.url, numbered(20)))
            node.published(20)
            witnesses[1].stop()
            assert node.ask("POST", "/add", b"one more").body == b"20"
            node.becomes("counts", "publishing.quorum")
            assert (node.status()["size"], node.published_size()) == (21, 20)
        with serving_log(copy, "--policy", policy) as restored:
            assert "w0.example shows it" in restored.becomes("state", "not appending")
            answer = restored.ask("POST", "/add", b"a second history")
            assert (answer.status, answer.headers["retry-after"]) == (503, "60")
            assert b"put back from a backup" in answer.body
            assert restored.published_size() == 10
            assert b"\n20\n" in (copy / NEWER_FILE).read_bytes() or b"\n21\n" in (copy / NEWER_FILE).read_bytes()
        with serving_log(copy) as without_witnesses:
            assert without_witnesses.ask("POST", "/add", b"a second history").status == 503


def _cosigned(note: bytes, keys: list[VerifierKey]) -> int:
    return sum(is_cosigned(note, key) for key in keys)


async def _load_until_killed(node: LogProcess, lot: int) -> tuple[dict[bytes, int], int]:
    """Append on many connections until the node is gone; return what was answered, and the last checkpoint seen."""
    answered: dict[bytes, int] = {}
    host, port = node.url.removeprefix("http://").split(":")
    seen = 0

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for n in range(100_000):
                entry = b"%d of client %d of lot %d" % (n // 2, number % 8, lot)  # half of them duplicates
                writer.write(b"POST /add HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(entry), entry))
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 ")
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                index = int(await reader.readexactly(length))
                assert answered.setdefault(entry, index) == index
        except (ConnectionResetError, asyncio.IncompleteReadError, BrokenPipeError):
            pass  # killed
        finally:
            writer.close()

    tasks = [asyncio.create_task(client(number)) for number in range(16)]
    async with asyncio.timeout(PATIENCE_S):
        while len(answered) < 300:
            seen = max(seen, await asyncio.to_thread(node.published_size))
        node.process.send_signal(signal.SIGKILL)
        await asyncio.gather(*tasks)
    node.process.wait(PATIENCE_S)
    return answered, seen


def test_killed_under_load_it_has_every_entry_it_answered_where_it_said_and_goes_on(tmp_path: Path) -> None:
    directory, access = tmp_path / "log", tmp_path / "access.toml"
    access.write_text("max_entry_octets = 64\n")
    answered: dict[bytes, int] = {}
    seen = 0
    for lot in range(2):
        with serving_log(directory, "--access", access) as node:
            assert node.published_size() >= seen
            for entry, index in list(answered.items())[:20]:
                assert node.ask("POST", "/add", entry).body == b"%d" % index
            more, seen = asyncio.run(_load_until_killed(node, lot))
            answered |= more
        with open_log_reader(directory / STORE_FILE) as reader:
            leaves = list(reader.leaves(0, reader.stored_size))
            published = reader.published_note
        assert {entry for entry, index in answered.items() if leaves[index] != leaf_hash(entry)} == set()
        assert len(set(leaves)) == len(leaves)
        assert published is not None
    access.write_text(f'append = "tokens"\n[[token]]\nname = "fleet"\nsha256 = "{token_hash(TOKEN)}"\n')
    with serving_log(directory, "--access", access) as node:
        assert node.published_size() >= seen
        _only_who_shows_a_token_appends(node, access)
        with pytest.raises(HttpStatusError, match="401"):
            asyncio.run(submitting(node.url, [b"without a token"]))


def _only_who_shows_a_token_appends(node: LogProcess, access: Path) -> None:
    entry = b"with a token"
    assert node.ask("POST", "/add", entry).status == 401
    assert node.ask("POST", "/add", entry, authorization="Bearer nonsense-of-some-length").status == 401
    assert node.ask("POST", "/add", entry, authorization=f"Bearer {TOKEN}").status == 200
    access.write_text(access.read_text() + "revoked = true\n")
    node.becomes("counts", "refused.unknown_token")
    node.answers(403, entry, authorization=f"Bearer {TOKEN}")


def test_without_its_writer_it_ends_with_a_sentence_and_two_do_not_share_a_log(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with serving_log(directory) as node:
        second = _run_briefly(directory)
        assert second[0] == 1
        assert "in use by another program" in second[1]
        children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(int(children[0]), signal.SIGKILL)
        assert node.process.wait(PATIENCE_S) == 1
    assert "the process that writes it has ended" in node.log.read_text()
    assert "Traceback" not in node.log.read_text()


def _run_briefly(directory: Path) -> tuple[int, str]:
    command = [str(word) for word in (PROGRAM, "ledger", "serve", directory, "--origin", ORIGIN, "--listen", "127.0.0.1:0")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stderr
