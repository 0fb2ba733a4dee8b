"""An inspector's order to a running vehicle: read the odometer now, and put my challenge into the record of it.

    {"order": "inspect", "challenge": "V2X1-..."}      answered with the record, as a file that can be verified at once

The reading is taken by the working loop between two steps. A challenge is answered once, and only so many in an hour: each is a
record for good. What was answered before the agent was started anew is not remembered; an old challenge then gets a new reading
under a new date, which harms nobody. Other orders are somebody else's (`vehicle_agent.orders`).
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Protocol

import msgspec

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import ConfigError, RecordError, V2xError
from shared.core.itstime import utc_text
from shared.records.challenge import MAX_CHALLENGE_CHARACTERS, parse_challenge
from shared.records.exchange import IssuedRecord
from shared.records.kind import OCCURRED
from shared.records.odometer import verdict_of
from shared.records.record import SignedRecord
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.command_socket import Obey, Order
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect
from vehicle_agent.mileage import Inspected

MAX_ANSWERS = 6
"""So many challenges are answered in `ANSWERS_NS`."""

ANSWERS_NS = 3_600 * NS_PER_S

MAX_REMEMBERED = 1_024
"""Challenges that are known to have been answered; at `MAX_ANSWERS` an hour, those of a week."""

SHOWN = ("odometer_m", OCCURRED, "reason", "sources", "judgement", "bound_to")
"""What an inspector gets to see of the record; the time since the computer's start is nobody's business."""


class Inspect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="inspect"):
    """Answer a challenge."""

    challenge: str


class Reader(Protocol):
    """Reads the odometer at once and records it: `vehicle_agent.agent.VehicleAgent`."""

    def inspect(self, nonce: bytes, now: Instant) -> Inspected:
        """Record the odometer with an inspector's nonce; raises `V2xError`."""
        ...


class InspectionDesk:
    """Answers challenges for one vehicle.

    Args:
        reader: reads and records.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._nonces: deque[bytes] = deque(maxlen=MAX_REMEMBERED)
        self._moments: deque[MonotonicNs] = deque(maxlen=MAX_ANSWERS)

    def answer(self, challenge: str, now: Instant) -> Inspected:
        """Record the odometer for whoever drew a challenge.

        Raises:
            DecodeError: it is none, or mistyped.
            RecordError: `challenge`: it was answered before, or too many were.
            V2xError: there is no reading, or it could not be recorded.
        """
        nonce = parse_challenge(challenge[: MAX_CHALLENGE_CHARACTERS + 1])
        if nonce in self._nonces:
            raise RecordError("challenge", "it was answered before: draw a fresh one")
        if len(self._moments) == MAX_ANSWERS and now.monotonic - self._moments[0] < ANSWERS_NS:
            wait_s = -(-(self._moments[0] + ANSWERS_NS - now.monotonic) // NS_PER_S)
            raise RecordError("challenge", f"{MAX_ANSWERS} were answered within the hour; the next one in {wait_s} s")
        inspected = self._reader.inspect(nonce, now)
        self._nonces.append(nonce)
        self._moments.append(now.monotonic)
        return inspected


def read_inspection_order(order: Order) -> Inspect:
    """Return an order as a value; raises `ConfigError` for anything else."""
    try:
        return msgspec.convert(order, Inspect)
    except msgspec.ValidationError as error:
        raise ConfigError("order", str(error)) from None


def obeying_inspector(desk: InspectionDesk, loop: WorkingLoop, *, otherwise: Obey) -> Obey:
    """Return what carries orders out.

    Args:
        desk: answers challenges.
        loop: the only one that touches the agent.
        otherwise: carries out all other orders.
    """

    async def obey(order: Order) -> Mapping[str, object]:
        if order.get("order") != "inspect":
            return await otherwise(order)
        wanted = read_inspection_order(order)
        done: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        await loop.post(partial(_carry_out, desk, wanted, done))
        return await done

    return obey


def inspected_json(signed: SignedRecord) -> dict[str, object]:
    """Return what an inspector is given, as JSON values: what was read, and `record`, the text of a file that proves it."""
    record = signed.record
    shown = parse_sd_jwt(signed.sd_jwt).showing(SHOWN)
    verdict = verdict_of(record.fields)
    return {
        "seq": record.seq,
        "odometer_m": record.odometer_m,
        "occurred": None if record.occurred is None else utc_text(record.occurred),
        "flags": [flag.value for flag in record.flags],
        "verdict": None if verdict is None else verdict.value,
        "record": IssuedRecord(token=shown, credential=signed.credential).encode().decode(),
    }


def _carry_out(
    desk: InspectionDesk, order: Inspect, done: asyncio.Future[Mapping[str, object]], now: Instant
) -> tuple[Effect, ...]:
    if done.cancelled():  # whoever ordered it has gone: a record would be for nobody
        return ()
    try:
        inspected = desk.answer(order.challenge, now)
    except V2xError as refusal:
        done.set_exception(refusal)
        return ()
    done.set_result(inspected_json(inspected.signed))
    return inspected.notices
