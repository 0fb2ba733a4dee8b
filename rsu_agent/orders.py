"""What an operator may order a running unit to do; how orders get in is `shared.service.command_socket`.

    {"order": "negate", "station_id": 4711, "sequence_number": 3}        an event that others tell of is not there

An order is carried out by the working loop between two steps, for nobody else touches the agent.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Literal

import msgspec

from rsu_agent.agent import RsuAgent
from shared.core.clock import Instant
from shared.core.errors import ConfigError, V2xError
from shared.core.ids import ActionId, StationId
from shared.service.command_socket import Obey, Order
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect


class Negate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Say that an event is not there; `station_id` and `sequence_number` are those the unit's status shows."""

    order: Literal["negate"]
    station_id: int
    sequence_number: int


def obeying(agent: RsuAgent, loop: WorkingLoop) -> Obey:
    """Return what carries orders out."""

    async def obey(order: Order) -> Mapping[str, object]:
        negate = read_order(order)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await loop.post(partial(_negate, agent, negate, done))
        await done
        return {"negated": {"station_id": negate.station_id, "sequence_number": negate.sequence_number}}

    return obey


def read_order(order: Order) -> Negate:
    """Return an order as a value; raises `ConfigError` for anything else."""
    try:
        return msgspec.convert(order, Negate)
    except msgspec.ValidationError as error:
        raise ConfigError("order", str(error)) from None


def _negate(agent: RsuAgent, negate: Negate, done: asyncio.Future[None], now: Instant) -> tuple[Effect, ...]:
    try:
        effects = agent.negate(ActionId(StationId(negate.station_id), negate.sequence_number), now)
    except V2xError as refusal:
        if not done.done():
            done.set_exception(refusal)
        return ()
    if not done.done():
        done.set_result(None)
    return effects
