"""What a log node answers where something of its own is full, failing or forbidden."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.core.errors import StorageError, TransportError
from shared.operator import group_commit
from shared.operator.log_access import Access
from shared.operator.log_http_request import Request
from shared.operator.log_node_answers import LogAnswers
from shared.service.counters import Counters
from shared.service.log import make_logger


class Line:
    """A connection whose other end is this test."""

    address = "192.0.2.1"

    def __init__(self) -> None:
        self.flushed = 0

    def flush(self) -> None:
        self.flushed += 1


class Desk:
    """A node without sockets and without a writer: what it was asked to write stays where it is."""

    def __init__(self, access: Access) -> None:
        self.sent: list[bytes] = []
        self.note: bytes | None = None
        self.restored: str | None = None
        self.counters = Counters()
        self.said = io.StringIO()
        self.reading: list[asyncio.Future[bytes]] = []
        self.answers = LogAnswers(
            read=self._read,
            append=self.sent.append,
            checkpoint=lambda: self.note,
            restored=lambda: self.restored,
            status=lambda: {"state": "serving"},
            access=access,
            counters=self.counters,
            log=make_logger(self.said),
            now_s=lambda: 1.0,
        )

    def _read(self, path: str) -> "asyncio.Future[bytes]":
        self.reading.append(asyncio.get_running_loop().create_future())
        return self.reading[-1]

    def ask(self, method: bytes, path: bytes, body: bytes = b"", *, authorization: bytes | None = None) -> Request:
        request = Request(Line(), method, path, body, authorization=authorization, is_closing=False)
        self.answers.on_request(request)
        if request.start is not None:
            request.start()
        return request


def at_desk(test: Callable[[Desk], None], access: Access | None = None) -> Desk:
    async def run() -> Desk:
        desk = Desk(Access(None) if access is None else access)
        test(desk)
        await asyncio.sleep(0)
        return desk

    return asyncio.run(run())


def head_of(request: Request) -> str:
    assert request.octets is not None
    return request.octets.decode().split("\r\n\r\n")[0]


def status_of(request: Request) -> int:
    return int(head_of(request).split()[1])


def test_an_append_is_answered_only_once_it_is_committed() -> None:
    def test(desk: Desk) -> None:
        first, second = desk.ask(b"POST", b"/add", b"a"), desk.ask(b"POST", b"/add", b"b")
        assert [request.octets for request in (first, second)] == [None, None]
        desk.answers.commit.committed((0, 12_345))
        assert (first.octets or b"").endswith(b"content-length: 1\r\ncache-control: no-store\r\n\r\n0")
        assert (second.octets or b"").endswith(b"content-length: 5\r\ncache-control: no-store\r\n\r\n12345")

    at_desk(test)


def test_more_than_may_wait_is_asked_to_come_back() -> None:
    def test(desk: Desk) -> None:
        waiting = [desk.ask(b"POST", b"/add", b"%d" % n) for n in range(group_commit.MAX_WAITING_ENTRIES)]
        assert all(request.octets is None for request in waiting)
        refused = desk.ask(b"POST", b"/add", b"one more")
        assert status_of(refused) == 503
        assert "retry-after: 1" in head_of(refused)

    assert at_desk(test).counters["refused.busy"] == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(StorageError("/var/lib/secret/log", "the database failed: disk is full"), 503), (RuntimeError("bug"), 500)],
)
def test_a_commit_that_fails_is_answered_to_all_of_its_group_without_a_word_of_ours(error: Exception, status: int) -> None:
    def test(desk: Desk) -> None:
        requests = [desk.ask(b"POST", b"/add", b"%d" % n) for n in range(3)]
        desk.answers.commit.failed(2, error)
        assert [status_of(request) for request in requests[:2]] == [status, status]
        assert ("retry-after" in head_of(requests[0])) == (status == 503)
        assert b"secret" not in (requests[0].octets or b"")
        assert requests[2].octets is None
        desk.answers.commit.committed((7,))
        assert status_of(requests[2]) == 200

    desk = at_desk(test)
    assert desk.counters["groups.failed"] == 1
    assert desk.counters[f"/add {status}"] == 2
    assert ("disk is full" in desk.said.getvalue(), "recovered" in desk.said.getvalue()) == (status == 503, status == 503)


def test_an_old_copy_takes_nothing_and_says_why() -> None:
    def test(desk: Desk) -> None:
        desk.restored = "was put back from a backup"
        refused = desk.ask(b"POST", b"/add", b"a")
        assert status_of(refused) == 503
        assert b"nothing is appended: the log was put back from a backup" in (refused.octets or b"")

    assert at_desk(test).sent == []


def test_a_checkpoint_that_was_not_witnessed_yet_is_worth_asking_for_again() -> None:
    def test(desk: Desk) -> None:
        early = desk.ask(b"GET", b"/checkpoint")
        assert (status_of(early), "retry-after: 1" in head_of(early)) == (503, True)
        desk.note = b"a note"
        assert (desk.ask(b"GET", b"/checkpoint").octets or b"").endswith(b"\r\n\r\na note")
        assert (desk.ask(b"HEAD", b"/checkpoint").octets or b"").endswith(b"\r\n\r\n")

    at_desk(test)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TransportError("tile/0/000", "the log is not that large"), 404),
        (StorageError("log", "gone"), 503),
        (ValueError("bug"), 500),
    ],
)
def test_a_tile_that_cannot_be_read_is_answered_by_what_is_wrong_with_it(error: Exception, status: int) -> None:
    asked: list[Request] = []

    def test(desk: Desk) -> None:
        asked.append(desk.ask(b"GET", b"/tile/0/000"))
        desk.reading[0].set_exception(error)

    at_desk(test)
    assert status_of(asked[0]) == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"GET", b"/checkpoint", 200),
        (b"GET", b"/status", 200),
        (b"GET", b"/tile/0/999/", 404),
        (b"GET", b"/add", 405),
        (b"POST", b"/checkpoint", 405),
        (b"GET", b"/", 404),
    ],
)
def test_what_is_no_append_is_answered_only_when_its_turn_has_come(method: bytes, path: bytes, status: int) -> None:
    def test(desk: Desk) -> None:
        desk.note = b"an old note"
        request = Request(Line(), method, path, b"", authorization=None, is_closing=False)
        desk.answers.on_request(request)
        assert (request.octets, desk.counters.snapshot()) == (None, {})
        assert request.start is not None
        desk.note = b"a note"
        request.start()
        assert status_of(request) == status
        assert b"old" not in (request.octets or b"")

    at_desk(test)


def test_no_document_is_read_while_too_much_lies_about_that_others_asked_for() -> None:
    def test(desk: Desk) -> None:
        desk.answers.is_held_up = lambda: True
        assert status_of(desk.ask(b"GET", b"/tile/0/000")) == 503
        assert desk.reading == []

    at_desk(test)


def test_what_a_token_does_not_allow_reaches_no_disk(tmp_path: Path) -> None:
    (tmp_path / "access.toml").write_text('append = "tokens"\n')

    def test(desk: Desk) -> None:
        assert status_of(desk.ask(b"POST", b"/add", b"a", authorization=b"Bearer nonsense")) == 401

    desk = at_desk(test, Access(tmp_path / "access.toml"))
    assert desk.sent == []
    assert desk.counters.snapshot() == {"/add 401": 1, "refused.unknown_token": 1}
