"""Authorities on the loopback interface, in this process: both desks, a distribution centre, and what answers in their stead."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from shared.security.ctl import AaEntry, CtlEntry, DcEntry, EaEntry
from shared.service.pki_config import PkiConfig, TrustConfig
from shared.service.trust_directory import ROOTS
from tests.helpers.desks import Desks
from tests.helpers.hierarchy import NOON
from tests.helpers.publishing import DAY_S, RootLists

Spoil = Callable[[BaseHTTPRequestHandler], None]
"""Answers instead of the authorities."""


class Online:
    """Desks, a root that publishes, and what came in.

    Attributes:
        desks: on their own clock, which is the stations' too.
        root: whose lists the distribution centre has.
        spoil: what answers instead, by the first part of the path (`dc`, `ea`, `aa`).
        asked: every path, in order.
    """

    def __init__(self, seed: int) -> None:
        self.desks = Desks(seed)
        self.root = RootLists(self.desks.hierarchy)
        self.spoil: dict[str, Spoil] = {}
        self.asked: list[str] = []
        self.documents: dict[str, bytes] = {}
        self.url = "http://127.0.0.1:9"

    @property
    def entries(self) -> tuple[CtlEntry, ...]:
        """What the root lists: its authorities, as this server has them."""
        hierarchy = self.desks.hierarchy
        return (
            EaEntry(certificate=hierarchy.ea.certificate, aa_access_point=f"{self.url}/ea", its_access_point=f"{self.url}/ea"),
            AaEntry(certificate=hierarchy.aa.certificate, access_point=f"{self.url}/aa"),
            DcEntry(url=f"{self.url}/dc", roots=(self.root.identifier,)),
        )

    def publish(self, *, entries: tuple[CtlEntry, ...] | None = None, life_s: int = 30 * DAY_S) -> None:
        """Publish the next full CTL and an empty CRL."""
        elapsed_s = (self.desks.now.require_utc() - NOON) / 1e9
        name = self.root.identifier.hex().upper()
        published = self.root.ctl(elapsed_s, entries=self.entries if entries is None else entries, life_s=life_s)
        self.documents[f"/dc/getctl/{name}"] = published.full
        self.documents[f"/dc/getcrl/{name}"] = self.root.crl(elapsed_s, life_s=life_s)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request as the authorities do, or as `spoil` does."""
        self.asked.append(handler.path)
        part = handler.path.split("/")[1]
        if part in self.spoil:
            self.spoil[part](handler)
            return
        if handler.command == "GET":
            document = self.documents.get(handler.path)
            respond(handler, 404 if document is None else 200, document or b"")
            return
        body = handler.rfile.read(int(handler.headers["content-length"]))
        respond(handler, 200, self.desks.ea.answer(body, self.desks.now) if part == "ea" else self.desks.authorize(body))

    def trust_config(self, directory: Path) -> TrustConfig:
        """Return `[trust]` of a station with its files in a folder."""
        return TrustConfig(lists=directory / "lists.db", evidence=directory / "evidence", distribution_centre=f"{self.url}/dc")

    def pki_config(self, directory: Path, *, target_tickets: int = 2) -> PkiConfig:
        """Return `[pki]` of the registered car with its files in a folder."""
        return PkiConfig(
            its_id="car 7",
            keys="file:keys",
            credentials=directory / "credentials",
            tickets=directory / "tickets.db",
            target_tickets=target_tickets,
        )

    def pin(self, directory: Path) -> Path:
        """Write the operator's folder, which pins the root and nothing else."""
        (directory / ROOTS).mkdir(parents=True)
        (directory / ROOTS / "root.oer").write_bytes(self.root.root.encoded)
        return directory


def respond(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def online(seed: int = 81) -> Iterator[Online]:
    """Put authorities up; they have published once."""
    authorities = Online(seed)

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            authorities.answer(self)

        def do_POST(self) -> None:
            authorities.answer(self)

        def log_message(self, *_: Any) -> None:
            """Say nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    authorities.url = f"http://127.0.0.1:{server.server_port}"
    authorities.publish()
    try:
        yield authorities
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
