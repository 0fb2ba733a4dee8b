"""An inspector's order to a running vehicle: read the odometer now, and put my challenge into the record of it.

    {"order": "inspect", "challenge": "V2X1-..."}      answered with the record, as a file that can be verified at once

The reading is taken by the working loop between two steps. A challenge is answered once, and only so many in an hour: each is a
record for good. Both hold over a restart of the agent: what was answered before is in the spool, of which the newest evidence is
looked at when the first challenge comes. How long ago an answer was given before the restart, only its date says; one without a
date is known by its challenge alone. Other orders are somebody else's (`vehicle_agent.orders`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, DecodeError, RecordError, StorageError, V2xError
from shared.core.itstime import utc_text
from shared.records.challenge import MAX_CHALLENGE_CHARACTERS, parse_challenge
from shared.records.exchange import IssuedRecord
from shared.records.kind import OCCURRED, RecordKind
from shared.records.odometer import verdict_of
from shared.records.record import SignedRecord, read_record
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.command_socket import Obey, Order
from shared.service.run import WorkingLoop
from shared.service.spool import Spool
from shared.stack.effects import Effect
from vehicle_agent.mileage import Inspected

MAX_ANSWERS = 6
"""So many challenges are answered in `ANSWERS_NS`."""

ANSWERS_NS = 3_600 * NS_PER_S

MAX_REMEMBERED = 1_024
"""Challenges that are known to have been answered; at `MAX_ANSWERS` an hour, those of a week."""

MAX_LOOKED_AT = 256
"""Newest readings in the spool with a flag or a challenge that are looked at for what was answered before the start."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """A challenge that a record of the spool answers, and when its reading was taken; None where that was not known."""

    nonce: bytes
    occurred: UtcNs | None


def given_answers(spool: Spool) -> tuple[GivenAnswer, ...]:
    """Return which challenges the newest records of a spool answer; raises `StorageError`."""
    found = []
    for stored in spool.latest_evidence(RecordKind.ODOMETER, MAX_LOOKED_AT):
        try:
            record = read_record(parse_sd_jwt(stored.sd_jwt))
        except (DecodeError, RecordError) as error:
            raise StorageError("spool", f"is damaged: record {stored.seq}: {error}") from None
        if record.nonce is not None:
            found.append(GivenAnswer(nonce=record.nonce, occurred=record.occurred))
    return tuple(found)


class InspectionDesk:
    """Answers challenges for one vehicle.

    Args:
        reader: reads and records.
        given: tells what was answered before the start, asked when the first challenge comes; raises `StorageError`.
    """

    def __init__(self, reader: Reader, given: Callable[[], Iterable[GivenAnswer]]) -> None:
        self._reader = reader
        self._given = given
        self._dates: tuple[UtcNs, ...] | None = None
        self._nonces: deque[bytes] = deque(maxlen=MAX_REMEMBERED)
        self._moments: deque[MonotonicNs] = deque(maxlen=MAX_ANSWERS)

    def answer(self, challenge: str, now: Instant) -> Inspected:
        """Record the odometer for whoever drew a challenge.

        Raises:
            DecodeError: it is none, or mistyped.
            RecordError: `challenge`: it was answered before, or too many were.
            V2xError: there is no reading, it could not be recorded, or what was answered before cannot be read.
        """
        nonce = parse_challenge(challenge[: MAX_CHALLENGE_CHARACTERS + 1])
        dates = self._look_back()
        if nonce in self._nonces:
            raise RecordError("challenge", "it was answered before: draw a fresh one")
        ages_ns = [now.monotonic - moment for moment in self._moments]
        if now.utc is not None:
            ages_ns += [now.utc - date for date in dates]
        lately_ns = sorted(age_ns for age_ns in ages_ns if 0 <= age_ns < ANSWERS_NS)
        if len(lately_ns) >= MAX_ANSWERS:
            wait_s = -(-(ANSWERS_NS - lately_ns[MAX_ANSWERS - 1]) // NS_PER_S)
            raise RecordError("challenge", f"{MAX_ANSWERS} were answered within the hour; the next one in {wait_s} s")
        inspected = self._reader.inspect(nonce, now)
        self._nonces.append(nonce)
        self._moments.append(now.monotonic)
        return inspected

    def _look_back(self) -> tuple[UtcNs, ...]:
        """Return when the answers before the start were given, as far as they have a date."""
        if self._dates is None:
            given = tuple(self._given())
            self._nonces.extend(answer.nonce for answer in reversed(given))
            self._dates = tuple(answer.occurred for answer in given if answer.occurred is not None)
        return self._dates


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
