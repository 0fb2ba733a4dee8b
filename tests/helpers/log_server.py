"""A log in memory served over HTTP as Tessera's personality serves one, so that another process can be its client."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from shared.core.errors import V2xError
from tests.helpers.ledger import MemoryLog

POLL_S = 0.02
"""Between two looks at whether it is to stop."""


class ServedLog:
    """The log behind a server; `log` may be replaced while it runs.

    Args:
        log: what is served at first.
    """

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.lock = Lock()
        self.url = ""


@contextmanager
def serving(log: MemoryLog) -> Iterator[ServedLog]:
    """Serve a log while the block runs."""
    served = ServedLog(log)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            entry = self.rfile.read(int(self.headers.get("content-length", "0")))
            with served.lock:
                self._say(200, b"%d" % served.log.submit(entry))

        def do_GET(self) -> None:
            try:
                with served.lock:
                    self._say(200, served.log.read(self.path.removeprefix("/")))
            except V2xError:
                self._say(404, b"not there")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called by
            pass

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(POLL_S,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
