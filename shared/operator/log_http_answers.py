"""What a log node says over HTTP, as octets: one function for an answer, one for a line of text."""

TEXT_TYPE = "text/plain; charset=utf-8"
OCTETS_TYPE = "application/octet-stream"
JSON_TYPE = "application/json"

NO_STORE = "cache-control: no-store\r\n"
NO_CACHE = "cache-control: no-cache\r\n"
IMMUTABLE = "cache-control: public, max-age=31536000, immutable\r\n"

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

WORDS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
"""Every status there is here (RFC 9110 15)."""


def encode_answer(
    status: int, body: bytes, *, content_type: str = TEXT_TYPE, headers: str = "", is_closing: bool = False, is_head: bool = False
) -> bytes:
    """Return an answer.

    Args:
        status: one of `WORDS`.
        body: what is sent, or with `is_head` would be.
        content_type: of the body.
        headers: whole lines, each with its end.
        is_closing: whether the connection ends after it.
        is_head: whether HEAD asked, which wants no body.
    """
    closing = "connection: close\r\n" if is_closing else ""
    first = f"HTTP/1.1 {status} {WORDS[status]}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
    return f"{first}{headers}{closing}\r\n".encode("latin-1") + (b"" if is_head else body)


def encode_line(status: int, words: str, *, headers: str = "", is_closing: bool = False, is_head: bool = False) -> bytes:
    """Return an answer that is one line of text, which nobody keeps; as `encode_answer`."""
    return encode_answer(status, words.encode() + b"\n", headers=NO_STORE + headers, is_closing=is_closing, is_head=is_head)


def encode_index(index: int) -> bytes:
    """Return the answer to an append on a connection that goes on: the index, decimal, and no newline."""
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\ncache-control: no-store\r\n\r\n%d"
        % (
            len(str(index)),
            index,
        )
    )
