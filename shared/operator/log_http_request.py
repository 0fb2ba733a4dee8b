"""A request to a log node, whole, and where its answer goes."""

from collections.abc import Callable
from typing import Protocol


class Connected(Protocol):
    """The connection it came on: `shared.operator.log_http_connection.Connection`."""

    address: str

    def flush(self) -> None:
        """Send what is answered, and start on the next."""
        ...


class Request:
    """A request whose last octet has come, and where its answer goes.

    Attributes:
        method: `POST`.
        path: without the query.
        body: all of it.
        authorization: that header, None without it.
        is_closing: the connection ends after the answer, and the answer must say so.
        address: the peer's IP address.
    """

    __slots__ = ("_connection", "authorization", "body", "is_closing", "method", "octets", "path", "start")

    def __init__(
        self, connection: Connected, method: bytes, path: bytes, body: bytes, *, authorization: bytes | None, is_closing: bool
    ) -> None:
        self._connection = connection
        self.method = method
        self.path = path
        self.body = body
        self.authorization = authorization
        self.is_closing = is_closing
        self.octets: bytes | None = None
        self.start: Callable[[], None] | None = None

    @property
    def address(self) -> str:
        """The peer's IP address."""
        return self._connection.address

    def answer(self, octets: bytes) -> None:
        """Send the answer, once; it goes out after those to earlier requests."""
        self.octets = octets
        self._connection.flush()

    def defer(self, start: Callable[[], None]) -> None:
        """Have `start` called, which sees to the answer, when the turn of this request has come."""
        self.start = start
        self._connection.flush()
