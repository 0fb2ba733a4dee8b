"""What a log node answers over HTTP: the paths of tlog-tiles, and `POST /add`.

    POST /add          the entry, raw -> 200 and its index, once it is on disk; a duplicate's is the first one's
    GET  /checkpoint   the newest checkpoint that was witnessed as the policy asks
    GET  /tile/...     tiles and entry bundles, which never change
    GET  /status       JSON

Beside what the connection refuses: 401, 403 and 429 by the operator's file, 503 with Retry-After while too much waits, the disk
fails, or the log may not sign. Everything is counted by what was asked and what was answered; errors of ours are logged once when
they begin and once when they are over, and no word of what they were goes to the client.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import DecodeError, StorageError, TransportError
from shared.ledger.tiles import parse_tile_path
from shared.operator.group_commit import GroupCommit
from shared.operator.log_access import Access
from shared.operator.log_http_answers import (
    IMMUTABLE,
    JSON_TYPE,
    NO_CACHE,
    NO_STORE,
    OCTETS_TYPE,
    TEXT_TYPE,
    encode_answer,
    encode_index,
    encode_line,
)
from shared.operator.log_http_request import Request
from shared.service.counters import Counters
from shared.service.log import Availability
from shared.service.run import error_line

BUSY_RETRY_AFTER_S = 1
DISK_RETRY_AFTER_S = 5
RESTORED_RETRY_AFTER_S = 60

Read = Callable[[str], "asyncio.Future[bytes]"]
"""Reads a path of the log in another thread; the future raises `TransportError` where there is nothing."""


class LogAnswers:
    """Answers requests; belongs to one event loop.

    Args:
        read: reads tiles and bundles.
        append: passes on to the writer what the group commit makes of entries.
        checkpoint: what is served, None while there is nothing.
        restored: why nothing may be appended, None while it may.
        status: what `/status` shows.
        access: who may append.
        counters: counts by path and status, and refusals by word.
        log: told of errors of ours.
        now_s: interval time, seconds.
    """

    def __init__(
        self,
        *,
        read: Read,
        append: Callable[[bytes], None],
        checkpoint: Callable[[], bytes | None],
        restored: Callable[[], str | None],
        status: Callable[[], Mapping[str, object]],
        access: Access,
        counters: Counters,
        log: FilteringBoundLogger,
        now_s: Callable[[], float],
    ) -> None:
        self._read = read
        self._checkpoint = checkpoint
        self._restored = restored
        self._status = status
        self._access = access
        self._counters = counters
        self._log = log
        self._now_s = now_s
        self._disk, self._reading = Availability(log, "log"), Availability(log, "log_reading")
        self.commit: GroupCommit[Request] = GroupCommit(
            append, on_committed=self._committed, on_failed=self._failed, counters=counters
        )
        self.is_held_up: Callable[[], bool] = lambda: False

    def on_request(self, request: Request) -> None:
        """Have a request answered, now or later."""
        if request.path == b"/add" and request.method == b"POST":
            self._add(request)
        else:
            request.defer(lambda: self._answer(request))

    def _answer(self, request: Request) -> None:
        """Answer what is no append, once its turn has come: so a client has one document at a time lying about."""
        path = request.path
        if path == b"/add":
            self._say(request, "/add", 405, "an entry is POSTed", headers="allow: POST\r\n")
        elif path == b"/checkpoint":
            self._document(request, "/checkpoint", self._give_checkpoint)
        elif path.startswith(b"/tile/"):
            self._document(request, "/tile", self._give_tile)
        elif path == b"/status":
            self._document(request, "/status", self._give_status)
        else:
            self._say(request, "other", 404, "there is nothing here; a log has /add, /checkpoint and /tile/")

    def _add(self, request: Request) -> None:
        access = self._access
        if not access.is_unbounded:
            now = MonotonicNs(int(self._now_s() * NS_PER_S))
            refusal = access.refusal(request.authorization, request.address, now)
            if refusal is not None:
                self._counters.add(f"refused.{refusal.word}")
                self._say(request, "/add", refusal.status, refusal.sentence, headers=refusal.headers)
                return
        if not request.body:
            self._say(request, "/add", 400, "an entry has at least one octet")
        elif (reason := self._restored()) is not None:
            self._counters.add("refused.restored")
            self._say(request, "/add", 503, f"nothing is appended: the log {reason}", headers=_retry(RESTORED_RETRY_AFTER_S))
        elif not self.commit.offer(request.body, request):
            self._counters.add("refused.busy")
            self._say(request, "/add", 503, "too many entries wait already", headers=_retry(BUSY_RETRY_AFTER_S))

    def _committed(self, requests: Sequence[Request], indexes: Sequence[int]) -> None:
        self._disk.works()
        self._counters.add("/add 200", len(requests))
        for request, index in zip(requests, indexes, strict=True):
            if request.is_closing:
                request.answer(encode_answer(200, b"%d" % index, headers=NO_STORE, is_closing=True))
            else:
                request.answer(encode_index(index))

    def _failed(self, requests: Sequence[Request], error: Exception) -> None:
        is_storage = isinstance(error, StorageError)
        if is_storage:
            self._disk.lost(str(error))
        else:
            self._log.error("append_failed", reason=error_line(error))
        for request in requests:
            if is_storage:
                words = (
                    "this log cannot keep entries now; it is not known whether it kept this one, and sending it again is harmless"
                )
                self._say(request, "/add", 503, words, headers=_retry(DISK_RETRY_AFTER_S))
            else:
                self._say(request, "/add", 500, "this log failed")

    def _document(self, request: Request, kind: str, give: Callable[[Request], None]) -> None:
        if request.method in {b"GET", b"HEAD"}:
            give(request)
        else:
            self._say(request, kind, 405, "this is to be read", headers="allow: GET, HEAD\r\n")

    def _give_checkpoint(self, request: Request) -> None:
        note = self._checkpoint()
        if note is None:
            words = "no checkpoint has been witnessed by as many as are wanted yet"
            self._say(request, "/checkpoint", 503, words, headers=_retry(BUSY_RETRY_AFTER_S))
        else:
            self._give(request, "/checkpoint", note, headers=NO_CACHE)

    def _give_status(self, request: Request) -> None:
        body = msgspec.json.encode(self._status()) + b"\n"
        self._give(request, "/status", body, content_type=JSON_TYPE, headers=NO_STORE)

    def _give_tile(self, request: Request) -> None:
        path = request.path[1:].decode("latin-1")
        try:
            parse_tile_path(path)
        except DecodeError as error:
            self._say(request, "/tile", 404, error.reason)
            return
        if self.is_held_up():
            self._say(request, "/tile", 503, "others leave too much lying that they asked for", headers=_retry(BUSY_RETRY_AFTER_S))
            return
        self._read(path).add_done_callback(lambda done: self._end_reading(request, done))

    def _end_reading(self, request: Request, done: "asyncio.Future[bytes]") -> None:
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        match error:
            case None:
                self._reading.works()
                self._give(request, "/tile", done.result(), content_type=OCTETS_TYPE, headers=IMMUTABLE)
            case TransportError():
                self._say(request, "/tile", 404, error.reason)
            case StorageError():
                self._reading.lost(str(error))
                self._say(request, "/tile", 503, "this log cannot be read now", headers=_retry(DISK_RETRY_AFTER_S))
            case _:
                self._log.error("reading_failed", reason=error_line(error))
                self._say(request, "/tile", 500, "this log failed")

    def _give(self, request: Request, kind: str, body: bytes, *, headers: str, content_type: str = TEXT_TYPE) -> None:
        self._counters.add(f"{kind} 200")
        is_head, is_closing = request.method == b"HEAD", request.is_closing
        request.answer(encode_answer(200, body, content_type=content_type, headers=headers, is_closing=is_closing, is_head=is_head))

    def _say(self, request: Request, kind: str, status: int, words: str, *, headers: str = "") -> None:
        self._counters.add(f"{kind} {status}")
        is_head = request.method == b"HEAD"
        request.answer(encode_line(status, words, headers=headers, is_closing=request.is_closing, is_head=is_head))


def _retry(seconds: int) -> str:
    return f"retry-after: {seconds}\r\n"
