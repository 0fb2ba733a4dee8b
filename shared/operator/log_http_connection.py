"""One connection of a log node: octets in, requests out; answers in, octets out (RFC 9112, read by httptools).

Requests may follow one another without waiting; answers go out in the order of the requests. An append is handed on as soon as it
is there; a document is read only when its turn has come and the client takes what it was sent before, so that no client has more
than one of them in memory beside what lies in its write buffer. What is no HTTP is answered 400, too long a head 431 or 414, too
long a body 413; then our half of the connection ends and what still comes is thrown away for a while, so that a client that is
sending gets to read the answer. Left out: how many connections there are and how time passes (`log_http`), what the answers are.
"""

import asyncio
from collections import deque
from typing import Protocol, cast

import httptools

from shared.operator.log_http_answers import CONTINUE, encode_line
from shared.operator.log_http_request import Request
from shared.service.counters import Counters

MAX_HEAD_OCTETS = 16 * 1024
"""Octets of a request line with its headers."""

MAX_URL_OCTETS = 1_024

MAX_FRAMING = 8
"""Times the octets of a body that it may take on the wire, in pieces of one octet each."""

MAX_ANSWERS_OWED = 256
"""Requests on one connection that are not answered yet; then nothing more is read from it."""

MAX_ANSWERS_BURST = 1_024
"""Requests that one read from a socket may bring beyond that; the connection of who sends more ends."""

MAX_DISCARDED_OCTETS = 1 << 20
"""Octets thrown away after the last answer, before the connection is cut."""

WRITE_BUFFER_OCTETS = 256 * 1024

REQUEST_TIMEOUT_S = 10
"""Seconds for a request from its first octet to its last."""

IDLE_TIMEOUT_S = 60
"""Seconds between two requests."""

READING_TIMEOUT_S = 30
"""Seconds for a client to take what it asked for."""

LINGERING_S = 2
"""Seconds for a client to end its half, once ours has ended."""


class Server(Protocol):
    """What a connection needs to know of all of them."""

    counters: Counters
    max_body_octets: int
    seconds: int

    def on_request(self, request: Request) -> None:
        """Have a request answered, now or later."""
        ...

    def on_fault(self, error: BaseException) -> None:
        """Take note of a bug of ours."""
        ...

    def admit(self, connection: "Connection") -> bool:
        """Count a connection in, or say that there are too many."""
        ...

    def forget(self, connection: "Connection") -> None:
        """Count it out."""
        ...

    def hold(self, octets: int) -> None:
        """Count octets that a client does not take; negative when it has."""
        ...


class Connection(asyncio.Protocol):
    """One connection.

    Args:
        server: of all connections.

    Attributes:
        address: the peer's IP address.
    """

    __slots__ = (
        "_authorization",
        "_body",
        "_body_octets",
        "_discarded",
        "_expects",
        "_has_ended",
        "_has_head",
        "_head_octets",
        "_held",
        "_is_cut",
        "_is_flushing",
        "_is_over",
        "_is_paused",
        "_is_reading",
        "_is_whole",
        "_octets",
        "_owed",
        "_parser",
        "_server",
        "_since",
        "_transport",
        "_url",
        "address",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self.address = ""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._owed: deque[Request] = deque()
        self._url = b""
        self._body: list[bytes] = []
        self._body_octets = self._head_octets = self._octets = self._discarded = self._held = 0
        self._authorization: bytes | None = None
        self._expects = self._has_head = False
        self._is_whole = True  # no request has begun that is not complete
        self._is_over = False  # no request is taken any more
        self._has_ended = False  # our half has ended
        self._is_flushing = self._is_paused = False
        self._is_cut = False  # its time was over
        self._is_reading = True
        self._since = server.seconds

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or not."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        transport.set_write_buffer_limits(high=WRITE_BUFFER_OCTETS)
        if not self._server.admit(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; what was owed to it is answered to nobody."""
        del exc
        self._is_over = True
        self._transport = None
        self._owed.clear()
        self._release()
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        """Read requests."""
        if self._is_over:
            self._discard(len(data))
            return
        self._octets += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._close_after_answers()  # the request itself is answered; another protocol is not spoken
        except httptools.HttpParserError:
            self._refuse(400, "no_http", "this is no HTTP request")
        self._look_at_length()

    def eof_received(self) -> bool:
        """The client sends no more: keep our half open while answers are owed."""
        if not self._is_whole and not self._is_over:
            self._server.counters.add("connections.cut_short")
        self._is_over = self._has_ended = True
        return bool(self._owed)

    def pause_writing(self) -> None:
        """The client does not take what it asked for."""
        assert self._transport is not None
        self._is_paused = True
        self._since = self._server.seconds
        self._held = self._transport.get_write_buffer_size()
        self._server.hold(self._held)
        if self._is_reading and not self._is_over:
            self._is_reading = False
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It takes it again."""
        self._is_paused = False
        self._since = self._server.seconds
        self._release()
        self.flush()

    # What the parser says.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_whole = self._has_head = self._expects = False
        self._since = self._server.seconds
        self._url = b""
        self._body = []
        self._body_octets = self._head_octets = 0
        self._authorization = None

    def on_url(self, url: bytes) -> None:
        """Take the target, which may come in pieces."""
        self._url += url
        if len(self._url) > MAX_URL_OCTETS:
            self._refuse(414, "too_long", "no path here is that long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take the few headers that matter."""
        self._head_octets += len(name) + len(value)
        if self._head_octets > MAX_HEAD_OCTETS:
            self._refuse(431, "too_long", f"a head has at most {MAX_HEAD_OCTETS} octets here")
            return
        match len(name):
            case 13 if name.lower() == b"authorization":
                self._authorization = value
            case 14 if name.lower() == b"content-length":
                if not value.isdigit() or len(value) > 9 or int(value) > self._server.max_body_octets:
                    self._refuse_body()
            case 6 if name.lower() == b"expect":
                if value.strip().lower() != b"100-continue":
                    self._refuse(417, "expectation", "100-continue is what may be expected here")
                self._expects = True

    def on_headers_complete(self) -> None:
        """Ask for the body where the client waits to be asked."""
        self._has_head = True
        if self._expects and not self._owed and not self._is_over and self._transport is not None:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body_octets += len(body)
        if self._body_octets > self._server.max_body_octets:
            self._refuse_body()
        elif not self._is_over:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Have the request answered."""
        if self._is_over:
            return
        self._is_whole = True
        self._octets = 0
        if len(self._owed) >= MAX_ANSWERS_OWED + MAX_ANSWERS_BURST:
            self._refuse(503, "too_many_requests", "more requests at once than are answered here")
            return
        parser, body = self._parser, self._body
        is_closing = not parser.should_keep_alive() or parser.get_http_version() == "1.0"
        request = Request(
            self,
            parser.get_method(),
            self._url.partition(b"?")[0],
            body[0] if len(body) == 1 else b"".join(body),
            authorization=self._authorization,
            is_closing=is_closing,
        )
        self._is_over = is_closing
        self._owed.append(request)
        try:
            self._server.on_request(request)
        except Exception as error:  # noqa: BLE001 - the client of a bug is answered too
            self._server.on_fault(error)
            if self._owed and self._owed[-1] is request:
                self._owed.pop()
            self._is_over = False
            self._refuse(500, "fault", "this log failed")

    # What the node and the clock say.

    def flush(self) -> None:
        """Send what is answered, in the order of the requests, and start on the next."""
        transport, owed = self._transport, self._owed
        if transport is None or self._is_flushing:
            return
        self._is_flushing = True
        while owed and not self._is_paused:
            request = owed[0]
            if request.octets is None and request.start is not None:
                start, request.start = request.start, None
                start()
            if request.octets is None:
                break
            owed.popleft()
            transport.write(request.octets)
        self._is_flushing = False
        if not owed:
            self._since = self._server.seconds if self._is_whole else self._since
            if self._is_over:
                self._end()
        if not self._is_reading and not self._is_paused and not self._is_over and len(owed) <= MAX_ANSWERS_OWED:
            self._is_reading = True
            self._since = self._server.seconds
            transport.resume_reading()

    def look(self, seconds: int) -> None:
        """End the connection if its time is over."""
        age_s, transport, counters = seconds - self._since, self._transport, self._server.counters
        if transport is None or self._is_cut:
            return
        if self._is_paused:
            if age_s > READING_TIMEOUT_S:
                self._is_cut = True
                counters.add("connections.slow_reader")
                transport.abort()
        elif self._is_over:
            if not self._owed and age_s > LINGERING_S:
                self._is_cut = True
                transport.abort()
        elif not self._is_whole and self._is_reading:
            if age_s > REQUEST_TIMEOUT_S:
                self._refuse(408, "too_slow", f"the request was not there within {REQUEST_TIMEOUT_S} s")
        elif not self._owed and age_s > IDLE_TIMEOUT_S:
            self._is_cut = True
            counters.add("connections.idle")
            transport.close()

    def stop(self) -> None:
        """Take no more requests; end once those there are have been answered."""
        self._is_over = self._has_ended = True
        if not self._owed and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def _look_at_length(self) -> None:
        """After a read: refuse a request that does not come to its end, and read no more while much is owed."""
        if self._is_over:
            return
        if not self._is_whole:
            allowed = MAX_FRAMING * self._server.max_body_octets if self._has_head else 0
            if self._octets > MAX_HEAD_OCTETS + allowed:
                self._refuse(431, "too_long", "the request goes on for too long")
        if len(self._owed) > MAX_ANSWERS_OWED and self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()

    def _refuse_body(self) -> None:
        self._refuse(413, "too_large", f"an entry has at most {self._server.max_body_octets} octets here")

    def _refuse(self, status: int, word: str, sentence: str) -> None:
        """Answer for the last time, behind what is owed, and take no more."""
        if self._is_over:
            return
        self._is_over = True
        self._body = []
        self._server.counters.add(f"connections.{word}")
        request = Request(self, b"", b"", b"", authorization=None, is_closing=True)
        self._owed.append(request)
        request.answer(encode_line(status, sentence, is_closing=True))

    def _close_after_answers(self) -> None:
        self._is_over = True
        if not self._owed:
            self._end()

    def _end(self) -> None:
        """End our half; the client ends its own, or is cut off after a while."""
        assert self._transport is not None
        self._since = self._server.seconds
        if self._has_ended or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._has_ended = True
        self._transport.write_eof()
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    def _discard(self, octets: int) -> None:
        self._discarded += octets
        if self._discarded <= MAX_DISCARDED_OCTETS or self._transport is None:
            return
        if not self._owed:
            self._transport.abort()
        elif self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _release(self) -> None:
        if self._held:
            self._server.hold(-self._held)
            self._held = 0
