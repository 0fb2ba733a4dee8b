"""The unit's office as a witness for logs of others, as `[witness]` says; what it does is `shared.operator.witness_node`'s.

It has a thread and an event loop of its own: what it cosigns is on the disk before it answers, and the unit's lights must not wait
for a disk. Nothing is shared with the rest of the unit but the clock and the log; what the status shows is a copy that the witness
puts out at its start and with each answer. If it ends by itself, that is told and the unit lives on.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from threading import Thread

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from rsu_agent.listening_config import WitnessConfig
from shared.core.clock import Clock
from shared.core.errors import ConfigError, DecodeError, StorageError, V2xError
from shared.ledger.log_list import parse_log_list
from shared.ledger.policy import MAX_POLICY_BYTES, Policy
from shared.operator.witness_node import OpenWitness, WitnessOptions, open_witness
from shared.service.counters import Counters
from shared.service.keystore import read_bounded
from shared.service.run import error_line

STOP_S = 10.0
"""Seconds within which the thread must have ended; more than requests under way are given."""


def read_witness_logs(config: WitnessConfig) -> Policy:
    """Return the logs a unit cosigns for; raises `ConfigError`."""
    try:
        return parse_log_list(read_bounded(config.logs, MAX_POLICY_BYTES))
    except DecodeError as error:
        raise ConfigError(str(config.logs), str(error)) from None


class RsuWitness:
    """A witness on its thread; make one with `opened_witness`.

    Args:
        options: what it is.
        clock: dates cosignatures.
        log: told of events.
    """

    def __init__(self, options: WitnessOptions, *, clock: Clock, log: FilteringBoundLogger) -> None:
        self._options = options
        self._clock = clock
        self._log = log
        self._ready: Future[str] = Future()
        self._shown: Mapping[str, object] = {}
        self._fault: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None
        self._thread = Thread(target=self._work, name="witness", daemon=True)

    async def start(self) -> str:
        """Begin to serve and return what reaches it from this machine; raises what `open_witness` raises."""
        self._thread.start()
        return await asyncio.wrap_future(self._ready)

    async def stop(self) -> None:
        """End it, and wait until its files are closed."""
        loop, serving = self._loop, self._serving
        if loop is not None and serving is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(serving.cancel)
        await asyncio.to_thread(self._thread.join, STOP_S)

    def status(self) -> dict[str, object]:
        """Return what it has cosigned and was asked, as JSON values; `fault` says why it serves no more."""
        return {**self._shown, "fault": self._fault}

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - told below, or raised where the witness was started
            if not self._ready.done():
                self._ready.set_exception(error)
                return
            self._fault = str(error) if isinstance(error, V2xError) else error_line(error)
            self._log.error("witness_ended", reason=self._fault)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        with open_witness(self._options, clock=self._clock, log=self._log, counters=Counters()) as opened:
            self._show(opened)
            noting = replace(opened, app=self._noting(opened))
            self._serving = asyncio.create_task(noting.run())
            self._ready.set_result(opened.url)
            try:
                await self._serving
            except asyncio.CancelledError:
                return

    def _show(self, opened: OpenWitness) -> None:
        """Put out a copy of the status; the other thread sees the old one or the new one."""
        with suppress(StorageError):  # a file that fails is told where it was needed
            self._shown = {"url": opened.url, **opened.status()}

    def _noting(self, opened: OpenWitness) -> ASGIApp:
        """Return the application that puts out the status before each of its answers leaves."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async def noting_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._show(opened)
                await send(message)

            await opened.app(scope, receive, noting_send)

        return app


@asynccontextmanager
async def opened_witness(config: WitnessConfig, *, clock: Clock, log: FilteringBoundLogger) -> AsyncIterator[RsuWitness]:
    """Have a witness serve while the block runs.

    Args:
        config: what it is.
        clock: dates cosignatures.
        log: told of events.

    Raises:
        ConfigError: its logs cannot be read, its address cannot be listened on, or its key is not what it should be.
        StorageError: another program has its files, or they are damaged.
    """
    host, port = config.address
    options = WitnessOptions(
        directory=config.directory,
        name=config.name,
        logs=read_witness_logs(config),
        host=host,
        port=port,
        requests_per_s=config.requests_per_s,
    )
    witness = RsuWitness(options, clock=clock, log=log)
    try:
        url = await witness.start()
        log.info("witnessing", address=url, vkey=witness.status()["witness"])
        yield witness
    finally:
        await witness.stop()
