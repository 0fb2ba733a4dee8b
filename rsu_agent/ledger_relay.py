"""The unit's relay of a log for passing vehicles, as `[ledger_relay]` says; what it does is `shared.operator.ledger_relay`'s."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rsu_agent.listening_config import LedgerRelayConfig
from shared.core.clock import Clock
from shared.operator.http_server import listen, serve, url_of
from shared.operator.ledger_relay import LedgerRelay
from shared.service.counters import Counters
from shared.service.ledger_token import read_ledger_token
from shared.transport.ledger_http import LedgerHttp


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRelay:
    """A relay that listens; `run` serves.

    Attributes:
        url: what reaches it from this machine.
        relay: answers.
        sock: listens.
        counters: counts by what was asked and answered.
        http: the way to the log.
    """

    url: str
    relay: LedgerRelay
    sock: socket.socket
    counters: Counters
    http: LedgerHttp

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve(self.relay, self.sock, counters=self.counters, cache_control=None)

    def status(self) -> dict[str, object]:
        """Return what was done, as JSON values."""
        return {"url": self.url, **self.relay.status(), "upstream": self.http.status()}


@asynccontextmanager
async def open_relay(config: LedgerRelayConfig, *, environment: Mapping[str, str], clock: Clock) -> AsyncIterator[OpenRelay]:
    """Open a relay.

    Args:
        config: where it listens and where the log is.
        environment: of the process, where systemd names the folder of its credentials.
        clock: for rates, and for how long a place in trouble is spared.

    Raises:
        ConfigError: the address cannot be listened on, or the token is none.
    """
    token = read_ledger_token(config.token, environment=environment)
    async with LedgerHttp(config.upstream, clock=clock, token=token) as http:
        sock = listen(*config.address)
        try:
            counters = Counters()
            relay = LedgerRelay(http, clock=clock, counters=counters)
            yield OpenRelay(url=url_of(sock), relay=relay, sock=sock, counters=counters, http=http)
        finally:
            sock.close()
