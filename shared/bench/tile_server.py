"""A server of files for benches, as a process of its own: what it costs is not what is measured, so it does as little as it can.

`python -m shared.bench.tile_server DIR` says on standard output where it listens, on loopback, and serves until it is ended.
"""

import asyncio
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.core.errors import TransportError

START_TIMEOUT_S = 30.0


class _Connection(asyncio.Protocol):
    """Answers GET with a file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unread = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._unread += data
        while b"\r\n\r\n" in self._unread:
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            try:
                body = (self._directory / head.split(b" ", 2)[1].decode().strip("/")).read_bytes()
                status = b"200 OK"
            except OSError:
                body, status = b"", b"404 Not Found"
            self._transport.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a directory from another process; yields its URL.

    Raises:
        TransportError: the process did not start.
    """
    command = [sys.executable, "-m", "shared.bench.tile_server", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - this very module
        try:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
            url = process.stdout.readline().strip() if readable else ""
            if not url:
                raise TransportError(str(directory), "the server of files did not start")
            yield url
        finally:
            process.kill()


async def _serve(directory: Path) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(directory), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
