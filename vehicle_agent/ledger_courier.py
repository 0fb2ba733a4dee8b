"""Carries the requests of `OnlineAnchoring` to a log and the answers back: the one task of a vehicle that speaks to a ledger.

Every submission waits a random while of its own, so that neither the moment of a record nor the order of a batch shows in the log's
times, and a vehicle that comes home after months does not give itself away by one burst. A few requests are under way at once. Once
the network has failed one of a batch, the others of it that have not begun are not tried: the next cycle asks again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from shared.core.errors import DecodeError, TransportError
from shared.transport.bounded_http import HttpStatusError
from vehicle_agent.anchor_ports import Request, Submit
from vehicle_agent.online_anchoring import Answer, Errands, Failure

REQUESTS_AT_ONCE = 8
"""Requests under way at the same time; those that wait for their moment do not count."""


class LedgerMedium(Protocol):
    """A log somewhere: `shared.transport.ledger_http.LedgerHttp`."""

    async def submit(self, entry: bytes) -> int:
        """Submit an entry and return its index; raises `TransportError`."""
        ...

    async def read(self, path: str) -> bytes:
        """Return the bytes at a tlog-tiles path; raises `TransportError`."""
        ...

    def trust(self) -> None:
        """What was read lately was verified."""
        ...

    def distrust(self) -> None:
        """What was read lately led nowhere."""
        ...


@dataclass(slots=True)
class _Batch:
    """Requests asked for at the same time, and why the network failed one of them."""

    failure: str | None = None


class LedgerCourier:
    """Carries requests out for as long as `run` runs.

    Args:
        errands: where requests come from and answers go.
        medium: the log.
        submit_delay_s: the longest a submission waits; 0 for none.
        lot: draws how long each waits.
        on_answers: told that the first answer waits to be fetched.
    """

    def __init__(
        self,
        errands: Errands,
        medium: LedgerMedium,
        *,
        submit_delay_s: float,
        lot: Random,
        on_answers: Callable[[], Awaitable[None]],
    ) -> None:
        self._errands = errands
        self._medium = medium
        self._submit_delay_s = submit_delay_s
        self._lot = lot
        self._on_answers = on_answers
        self._turns = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._asked = asyncio.Event()
        self._asked.set()
        errands.on_asked = self._asked.set
        errands.on_judged = self._judge

    async def run(self) -> None:
        """Carry requests out until cancelled; what is then under way is asked for again after the next start."""
        async with asyncio.TaskGroup() as under_way:
            while True:
                await self._asked.wait()
                self._asked.clear()
                batch = _Batch()
                for request in self._errands.take():
                    under_way.create_task(self._carry(request, batch))

    async def _carry(self, request: Request, batch: _Batch) -> None:
        if isinstance(request, Submit) and self._submit_delay_s:
            await asyncio.sleep(self._lot.uniform(0, self._submit_delay_s))
        async with self._turns:
            answer: Answer = Failure(batch.failure) if batch.failure is not None else await self._ask(request, batch)
        if self._errands.answer(request, answer):
            await self._on_answers()

    async def _ask(self, request: Request, batch: _Batch) -> Answer:
        try:
            if isinstance(request, Submit):
                return await self._medium.submit(request.entry)
            return await self._medium.read(request.path)
        except HttpStatusError as refusal:
            return Failure(str(refusal))
        except TransportError as failure:
            batch.failure = str(failure)
            return Failure(str(failure))
        except DecodeError as error:
            return Failure(f"{request} is no request: {error}")

    def _judge(self, is_good: bool) -> None:  # noqa: FBT001 - a verdict
        if is_good:
            self._medium.trust()
        else:
            self._medium.distrust()
