"""What a holder may order a running vehicle to do; how orders get in is `shared.service.command_socket`.

    {"order": "consent_grant", "grantee": kid, "kinds": [...], "fields": [...], "purpose": "...", "valid_until": "...Z", ...}
    {"order": "consent_withdraw", "grant": 12}
    {"order": "consent_list"}
    {"order": "answer", "request": "...", "again": false}                  the text of a request file; the answer is one too
    {"order": "slot"}                                                      the text of a slot file, for who issues a record
    {"order": "admit", "record": "..."}                                    the text of a record that somebody issued

Whatever makes a record is done by the working loop between two steps, for nobody else touches the agent; finding the records of an
answer and encrypting it is not, for that may take seconds.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec

from shared.core.clock import Instant, UtcNs
from shared.core.errors import ConfigError, V2xError
from shared.core.itstime import utc_from_text, utc_text
from shared.records.consent import Standing
from shared.records.data_request import MAX_REQUEST_BYTES, parse_request
from shared.records.exchange import MAX_ISSUED_BYTES
from shared.records.kind import RecordKind
from shared.records.record import SignedRecord
from shared.service.admission_desk import AdmissionDesk
from shared.service.command_socket import Obey, Order
from shared.service.consent_desk import Answer, ConsentDesk, NewGrant
from shared.service.run import WorkingLoop
from shared.service.sealed_answer import MAX_SEALED_BYTES
from shared.stack.effects import Effect

MAX_ORDER_OCTETS = 2 * max(MAX_REQUEST_BYTES, MAX_ISSUED_BYTES) + 256
"""A request for data or a record to be admitted, with every quote and line end escaped, and what stands around it."""

MAX_DONE_OCTETS = MAX_SEALED_BYTES + 65_536
"""What comes of an order: at most an answer with what is said of it."""

PATIENCE_S = 60.0
"""How long an order may take: an answer of a few thousand records on a small processor."""

_T = TypeVar("_T")


class ConsentGrant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="consent_grant"):
    """Let somebody have records; dates as text with their offset."""

    grantee: str
    kinds: list[str]
    fields: list[str]
    purpose: str
    valid_until: str
    grantee_name: str | None = None
    data_from: str | None = None
    data_until: str | None = None
    replaces: int | None = None


class ConsentWithdraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="consent_withdraw"):
    """Take a grant back."""

    grant: int
    note: str | None = None


class ConsentList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="consent_list"):
    """Tell how every grant stands."""


class AnswerRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="answer"):
    """Answer a request for data; `request` is the text of its file, `again` asks for an answer that was given before."""

    request: str
    again: bool = False


class TellSlot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="slot"):
    """Tell the next slot of the vehicle's sequence."""


class AdmitRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="order", tag="admit"):
    """Let a record of somebody else in; `record` is the text of its file."""

    record: str


ShortOrder = ConsentGrant | ConsentWithdraw | ConsentList | TellSlot | AdmitRecord
"""What takes no time."""

AnyOrder = ShortOrder | AnswerRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """Who carries orders out: grants, withdraws and answers; and lets records of others in."""

    consent: ConsentDesk
    admission: AdmissionDesk


def read_order(order: Order) -> AnyOrder:
    """Return an order as a value; raises `ConfigError` for anything else."""
    try:
        value: AnyOrder = msgspec.convert(order, AnyOrder)
    except msgspec.ValidationError as error:
        raise ConfigError("order", str(error)) from None
    return value


def obeying(desks: Desks, loop: WorkingLoop) -> Obey:
    """Return what carries orders out.

    Args:
        desks: of the vehicle.
        loop: of the agent.
    """
    desk = desks.consent

    async def obey(order: Order) -> Mapping[str, object]:
        match read_order(order):
            case AnswerRequest(request=text, again=again):
                signed = parse_request(text.encode())
                granted = await _in_turn(loop, lambda now: desk.admit(signed, now, again=again))
                gathered = await asyncio.to_thread(desk.gather, granted)
                recorded = await _in_turn(loop, lambda now: desk.record(gathered, now))
                return answered(await asyncio.to_thread(desk.finish, recorded))
            case wanted:
                return await _in_turn(loop, lambda now: obey_at_once(desks, wanted, now))

    return obey


def obey_alone(desks: Desks, order: AnyOrder, now: Instant) -> Mapping[str, object]:
    """Carry an order out where no agent runs; raises a `V2xError` that says why not."""
    if isinstance(order, AnswerRequest):
        return answered(desks.consent.answer(parse_request(order.request.encode()), now, again=order.again))
    return obey_at_once(desks, order, now)


def obey_at_once(desks: Desks, order: ShortOrder, now: Instant) -> Mapping[str, object]:
    """Carry out an order that takes no time; raises a `V2xError` that says why not."""
    desk = desks.consent
    match order:
        case ConsentGrant():
            return {"granted": desk.grant(new_grant(order), now)}
        case ConsentWithdraw(grant=grant, note=note):
            return {"withdrawn": grant, "seq": desk.withdraw(grant, now, note=note)}
        case ConsentList():
            grants = [standing_json(standing, now) for standing in desk.standings()]
            return {"vehicle": desks.admission.slot().subject, "grants": grants}
        case TellSlot():
            return {"slot": desks.admission.slot().encode().decode()}
        case AdmitRecord(record=text):
            return admitted(desks.admission.admit(text.encode(), now))


def new_grant(order: ConsentGrant) -> NewGrant:
    """Return what an order grants; raises `ConfigError` for what is no kind of record or no moment."""
    return NewGrant(
        grantee=order.grantee,
        grantee_name=order.grantee_name,
        kinds=tuple(_kind(name) for name in order.kinds),
        fields=tuple(order.fields),
        data_from=None if order.data_from is None else moment(order.data_from, "data_from"),
        data_until=None if order.data_until is None else moment(order.data_until, "data_until"),
        purpose=order.purpose,
        valid_until=moment(order.valid_until, "valid_until"),
        replaces=order.replaces,
    )


def _kind(name: str) -> RecordKind:
    try:
        return RecordKind(name)
    except ValueError:
        known = ", ".join(kind.value for kind in RecordKind)
        raise ConfigError("kinds", f"{name[:32]!r} is no kind of record; there are {known}") from None


def moment(text: str, name: str) -> UtcNs:
    """Return a moment that names its offset; raises `ConfigError`."""
    try:
        return utc_from_text(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(name, f"{text[:32]!r} is no moment with its offset: {error}") from None


def standing_json(standing: Standing, now: Instant) -> dict[str, object]:
    """Return how a grant stands, as JSON values; while the date is not known nobody says whether it has ended."""
    grant = standing.grant
    return {
        "seq": grant.seq,
        "granted": _text(grant.granted),
        "grantee": grant.grantee,
        "grantee_name": grant.grantee_name,
        "kinds": [kind.value for kind in grant.kinds],
        "fields": [*grant.fields],
        "data_from": _text(grant.data_from),
        "data_until": _text(grant.data_until),
        "purpose": grant.purpose,
        "valid_until": _text(grant.valid_until),
        "over": standing.fault(UtcNs(0) if now.utc is None else now.utc),
        "answers": standing.answers,
    }


def _text(utc: UtcNs | None) -> str | None:
    return None if utc is None else utc_text(utc)


def answered(answer: Answer) -> dict[str, object]:
    """Return an answer, as JSON values."""
    return {
        "answer": answer.file.decode(),
        "seq": answer.seq,
        "grant": answer.grant_seq,
        "records": answer.records,
        "unproven": answer.unproven,
        "undated": answer.undated,
    }


def admitted(signed: SignedRecord) -> dict[str, object]:
    """Return what was let in, as JSON values."""
    record = signed.record
    return {"seq": record.seq, "kind": record.kind.value, "issuer": signed.role.value, "corrects": record.corrects}


async def _in_turn(loop: WorkingLoop, do: Callable[[Instant], _T]) -> _T:
    """Have the working loop do something between two steps; raises what it raises."""
    done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
    await loop.post(partial(_do, do, done))
    return await done


def _do(do: Callable[[Instant], _T], done: "asyncio.Future[_T]", now: Instant) -> tuple[Effect, ...]:
    if done.cancelled():  # whoever ordered it has gone, and does not know that it would be done
        return ()
    try:
        result = do(now)
    except V2xError as refusal:
        done.set_exception(refusal)
        return ()
    done.set_result(result)
    return ()
