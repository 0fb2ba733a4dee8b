"""What a person may order a running vehicle about its log: to show a contradiction with both notes, and to go on after it.

    {"order": "ledger_evidence", "number": 0}       one of the contradictions nobody has acknowledged, and how many there are
    {"order": "ledger_acknowledge"}                 somebody has looked at them: anchoring goes on from the trusted checkpoint

Other orders are somebody else's (`vehicle_agent.orders`). An order is carried out by the working loop between two steps, for nobody
else touches the agent.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from shared.core.clock import Instant
from shared.core.errors import ConfigError, V2xError
from shared.service.command_socket import Obey, Order
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect
from vehicle_agent.agent import VehicleAgent

MAX_EVIDENCE_OCTETS = 1 << 20
"""Octets of an answer with two notes of the longest kind, every character escaped."""

_PREFIX = "ledger_"


class LedgerEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="ledger_evidence"):
    """Show the contradiction with this number, from 0."""

    number: int = 0


class LedgerAcknowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="ledger_acknowledge"):
    """Somebody has looked at every contradiction."""


LedgerOrder = LedgerEvidence | LedgerAcknowledge


def read_ledger_order(order: Order) -> LedgerOrder:
    """Return an order as a value; raises `ConfigError` for anything else."""
    try:
        wanted: LedgerOrder = msgspec.convert(order, LedgerOrder)
    except msgspec.ValidationError as error:
        raise ConfigError("order", str(error)) from None
    return wanted


def obeying_ledger(agent: VehicleAgent, loop: WorkingLoop, *, otherwise: Obey | None) -> Obey:
    """Return what carries orders out.

    Args:
        agent: of the vehicle.
        loop: the only one that touches it.
        otherwise: carries out orders that are not about the log; None where there are no others.
    """

    async def obey(order: Order) -> Mapping[str, object]:
        if otherwise is not None and not str(order.get("order")).startswith(_PREFIX):
            return await otherwise(order)
        wanted = read_ledger_order(order)
        done: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        await loop.post(partial(_carry_out, lambda now: obey_ledger(agent, wanted, now), done))
        return await done

    return obey


def obey_ledger(agent: VehicleAgent, order: LedgerOrder, now: Instant) -> Mapping[str, object]:
    """Carry an order out; raises a `V2xError` that says why not."""
    evidence = agent.ledger_evidence()
    match order:
        case LedgerAcknowledge():
            if not evidence:
                raise ConfigError("order", "the log has not contradicted itself: there is nothing to acknowledge")
            return {"acknowledged": agent.acknowledge_ledger_evidence(now)}
        case LedgerEvidence(number=number):
            if not evidence:
                return {"count": 0, "contradiction": None}
            if not 0 <= number < len(evidence):
                raise ConfigError("order", f"there is no contradiction {number}; they are numbered from 0 to {len(evidence) - 1}")
            return {"count": len(evidence), "contradiction": evidence[number]}


def _carry_out(
    act: Callable[[Instant], Mapping[str, object]], done: asyncio.Future[Mapping[str, object]], now: Instant
) -> tuple[Effect, ...]:
    if done.cancelled():
        return ()
    try:
        done.set_result(act(now))
    except V2xError as refusal:
        done.set_exception(refusal)
    return ()
