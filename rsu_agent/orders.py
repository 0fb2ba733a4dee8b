"""What an operator may order a running unit to do; orders come in by `shared.service.command_socket` and over HTTP.

    {"order": "negate", "station_id": 4711, "sequence_number": 3}        an event that others tell of is not there
    {"order": "place_hazard", "id": "h1", "lasts_s": 3600, "hazard": {"cause": "roadworks", "lat_deg": ...}}
                                                                         warn of something, or say how it is now
    {"order": "withdraw_hazard", "id": "h1"}                             it is over
    {"order": "read_signs"}                                              the file of road signs was edited: say what it says now

A hazard is written as in the configuration (`hazard_config`). Without an id it gets one, which the answer says. The same order
given twice is harmless. An order is carried out by the working loop between two steps, for nobody else touches the agent.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from rsu_agent.agent import RsuAgent
from rsu_agent.hazard_config import HazardConfig, hazard_of
from rsu_agent.placed_hazards import DEFAULT_LASTS_S, HazardSource, PlacedName
from rsu_agent.sign_files import Sign, load_signs
from shared.core.clock import Instant
from shared.core.errors import ConfigError, V2xError
from shared.core.ids import ActionId, StationId
from shared.service.command_socket import Obey, Order
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect, Notice

Done = Mapping[str, object]
"""What came of an order, as JSON values."""


class Negate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="negate"):
    """Say that an event is not there; `station_id` and `sequence_number` are those the unit's status shows."""

    station_id: int
    sequence_number: int


class PlaceHazard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="order", tag="place_hazard"):
    """Warn of something for `lasts_s` seconds, under an id of the operator's."""

    hazard: HazardConfig
    id: str | None = None
    lasts_s: int = DEFAULT_LASTS_S


class WithdrawHazard(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="order", tag="withdraw_hazard"
):
    """Say that a hazard is over; who is at the junction may say so of the traffic centre's too."""

    id: str
    source: Literal["operator", "centre"] = "operator"


class ReadSigns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="read_signs"):
    """Say the road signs as the configured file has them now; what is gone from it is cancelled."""


AnyOrder = Negate | PlaceHazard | WithdrawHazard | ReadSigns


def obeying(agent: RsuAgent, loop: WorkingLoop, *, signs: Path | None = None) -> Obey:
    """Return what carries orders out.

    Args:
        agent: who is ordered.
        loop: which alone touches it.
        signs: the file of road signs; None where none is configured.
    """

    async def obey(order: Order) -> Done:
        read = read_order(order)
        if isinstance(read, ReadSigns):
            if signs is None:
                raise ConfigError("signs", "the unit's configuration names no file of road signs")
            return await between_steps(loop, partial(_say, agent, await asyncio.to_thread(load_signs, signs)))
        return await between_steps(loop, partial(_carry_out, agent, read))

    return obey


async def between_steps(loop: WorkingLoop, act: Callable[[Instant], tuple[Done, tuple[Effect, ...]]]) -> Done:
    """Have the working loop do something between two steps, and return what came of it; raises the `V2xError` it raised."""
    done: asyncio.Future[Done] = asyncio.get_running_loop().create_future()

    def step(now: Instant) -> tuple[Effect, ...]:
        try:
            answer, effects = act(now)
        except V2xError as refusal:
            if not done.done():
                done.set_exception(refusal)
            return ()
        if not done.done():
            done.set_result(answer)
        return effects

    await loop.post(step)
    return await done


def read_order(order: Order) -> AnyOrder:
    """Return an order as a value; raises `ConfigError` for anything else."""
    try:
        read: AnyOrder = msgspec.convert(order, AnyOrder)
    except msgspec.ValidationError as error:
        raise ConfigError("order", str(error)) from None
    return read


def _say(agent: RsuAgent, signs: tuple[Sign, ...], now: Instant) -> tuple[Done, tuple[Effect, ...]]:  # noqa: ARG001 - as every act
    agent.signs.change(signs)
    numbers = sorted(sign.number for sign in signs)
    return {"signs": numbers}, (Notice("signs_read", {"signs": numbers}),)


def _carry_out(agent: RsuAgent, order: Negate | PlaceHazard | WithdrawHazard, now: Instant) -> tuple[Done, tuple[Effect, ...]]:
    match order:
        case Negate(station_id=station_id, sequence_number=number):
            effects = agent.negate(ActionId(StationId(station_id), number), now)
            return {"negated": {"station_id": station_id, "sequence_number": number}}, effects
        case PlaceHazard():
            hazard = hazard_of("order: hazard", order.hazard)
            hazard_id = agent.hazards.free_id(HazardSource.OPERATOR) if order.id is None else order.id
            name = agent.hazards.place(HazardSource.OPERATOR, hazard_id, hazard, now, lasts_s=order.lasts_s)
            return {"placed": _fields(name)}, (Notice("hazard_placed", {**_fields(name), "cause_code": hazard.cause_code}),)
        case WithdrawHazard():
            source = HazardSource(order.source)
            agent.hazards.withdraw(source, order.id, now)
            fields: dict[str, object] = {"source": source.value, "id": order.id}
            return {"withdrawn": fields}, (Notice("hazard_withdrawn", fields),)


def _fields(name: PlacedName) -> dict[str, object]:
    return {"source": name.source.value, "id": name.hazard_id, "ends_utc_s": name.ends_utc_s}
