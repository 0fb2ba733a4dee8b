"""The unit's HTTP interface as a process has it: a socket, perhaps TLS, the token, and the application behind them."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.routing import BaseRoute
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from rsu_agent.console.http_app import Door, make_http_app
from rsu_agent.console.http_config import HttpConfig
from rsu_agent.console.operator_token import OperatorToken, read_operator_token
from shared.core.clock import Clock
from shared.operator.http_server import listen, serve, url_of
from shared.service.command_socket import Obey
from shared.service.counters import Counters
from shared.service.server_tls import server_tls

Pages = Callable[[Door], Sequence[BaseRoute]]
"""Makes further routes; those that order something ask the door."""


def no_pages(_door: Door) -> Sequence[BaseRoute]:
    """Add nothing to what the application answers by itself."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What `[http]` names, read."""

    tls: ssl.SSLContext | None
    token: OperatorToken | None


def read_http(config: HttpConfig, *, environment: Mapping[str, str]) -> Credentials:
    """Read certificate, key and token; raises `ConfigError`."""
    tls = None
    if config.certificate is not None and config.key is not None:
        tls = server_tls(config.certificate, config.key, environment=environment)
    token = None if config.token is None else read_operator_token(config.token, environment=environment)
    return Credentials(tls=tls, token=token)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHttp:
    """An interface that listens; `run` serves.

    Attributes:
        url: what reaches it from this machine.
        takes_orders: whether somebody with a token may order something.
    """

    url: str
    takes_orders: bool
    app: ASGIApp
    sock: socket.socket
    tls: ssl.SSLContext | None
    counters: Counters

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve(self.app, self.sock, counters=self.counters, tls=self.tls)

    def status(self) -> dict[str, object]:
        """Return where it is and what it answered, as JSON values."""
        return {"url": self.url, "takes_orders": self.takes_orders, "requests": self.counters.snapshot()}


@contextmanager
def open_http(
    config: HttpConfig,
    *,
    status: Callable[[], Mapping[str, object]],
    obey: Obey,
    clock: Clock,
    log: FilteringBoundLogger,
    pages: Pages = no_pages,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[OpenHttp]:
    """Listen; closed again on leaving.

    Args:
        config: where, and for whom.
        status: what `/api/status` shows.
        obey: carries orders out.
        clock: for rates.
        log: told of wrong tokens and errors of ours.
        pages: further routes.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: the address cannot be listened on, or a file is not what it should be.
    """
    credentials = read_http(config, environment=environment)
    counters = Counters()
    door = Door(credentials.token, counters=counters, clock=clock, log=log)
    app = make_http_app(
        status=status,
        obey=obey,
        door=door,
        names=config.names,
        counters=counters,
        clock=clock,
        log=log,
        pages=pages(door),
    )
    sock = listen(*config.address)
    try:
        yield OpenHttp(
            url=url_of(sock, is_tls=credentials.tls is not None),
            takes_orders=door.takes_orders,
            app=app,
            sock=sock,
            tls=credentials.tls,
            counters=counters,
        )
    finally:
        sock.close()
