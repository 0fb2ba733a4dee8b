"""How somebody who is not the vehicle issues a record: what was typed is held against the kind's table, then signed for a slot.

What the vehicle or a later reader would refuse, and can be told without the vehicle's records, is refused before anything is
signed: a kind the role may not issue, a claim that is missing, unknown or does not fit, a date at which the vehicle would not take
it. Every fault of what was typed is told at once, each with what would have fitted. Whose the key is, and whether its credential is
valid, the caller has checked (`shared.service.issuer_identity`); whether the slot is still the next one only the vehicle knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.clock import NS_PER_MS, Instant, UtcNs
from shared.core.errors import EncodeError, RecordError
from shared.core.itstime import utc_from_text
from shared.records.admission import check_date
from shared.records.credential import credential_of
from shared.records.exchange import IssuedRecord, Slot
from shared.records.fields import Field, FieldType, Group, Many
from shared.records.issuers import Issuer, IssuerRole, check_may_issue
from shared.records.kind import OCCURRED, RecordKind
from shared.records.kinds import KINDS
from shared.records.record import MAX_OCCURRED_NS, Record, disorder, sign_token, verify_record
from shared.records.sd_jwt import Entropy, RecordSigner
from shared.records.strict_json import Json

_SHOWN_CHARACTERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What an issuer states about a vehicle; every claim fits the table of its kind.

    Attributes:
        kind: what it is about.
        occurred: when it happened, to the millisecond.
        fields: the kind's other claims; what is not known is left out.
        corrects: number of the earlier record that it puts right; None where it does not.
    """

    kind: RecordKind
    occurred: UtcNs
    fields: Mapping[str, Json]
    corrects: int | None = None


def read_statement(kind: RecordKind, claims: Mapping[str, Json], *, corrects: int | None = None) -> Statement:
    """Hold claims as somebody typed them against the table of a kind.

    Args:
        kind: what the record is about.
        claims: by name; `occurred` is ISO 8601 text with its offset.
        corrects: number of an earlier record.

    Raises:
        RecordError: `fields`: one or more are missing, unknown, or do not fit; the sentence names each and what it may be.
    """
    spec = KINDS[kind]
    whole = {field.name: _whole(field.type, claims[field.name]) for field in spec.fields if field.name in claims}
    unknown = [name for name in claims if name not in spec.hideable]
    faults = [f"{name[:_SHOWN_CHARACTERS]!r} is no claim of {kind.words}" for name in unknown]
    if unknown:
        faults[-1] += f", which has {', '.join(spec.hideable)}"
    occurred: UtcNs | None = None
    for field in spec.fields:
        if field.name == OCCURRED:
            occurred, fault = _occurred(field, claims.get(OCCURRED))
        else:
            fault = _fault(field, whole)
        if fault is not None:
            faults.append(fault)
    wrong = disorder(whole, spec)
    if wrong is not None:
        faults.append(f"{wrong[0]}: {wrong[1]}")
    if faults or occurred is None:
        raise RecordError("fields", "; ".join(faults))
    fields = {name: value for name, value in whole.items() if name != OCCURRED and value is not None}
    return Statement(kind=kind, occurred=occurred, fields=fields, corrects=corrects)


def _whole(field_type: FieldType, value: Json) -> Json:
    """Return a value with those members of its objects that may be null, and were left out, as null: TOML knows no null."""
    match field_type, value:
        case Group(members), dict(given):
            known = {m.name: _whole(m.type, given.get(m.name)) for m in members if m.name in given or m.is_optional}
            return known | {name: each for name, each in given.items() if name not in known}
        case Many(item), list(items):
            return [_whole(item, each) for each in items]
        case _:
            return value


def _occurred(field: Field, value: Json) -> tuple[UtcNs | None, str | None]:
    """Return the moment and None, or None and the fault."""
    what = f"{field.meaning.rstrip('.')}: {field.type.words()}"
    if value is None:
        return None, f"{OCCURRED} is missing: {what}"
    try:
        utc = utc_from_text(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        utc = None
    if utc is None or not 0 <= utc < MAX_OCCURRED_NS:
        return None, f"{OCCURRED}: no moment with its offset (it may be {field.type.words()})"
    return UtcNs(utc - utc % NS_PER_MS), None


def _fault(field: Field, claims: Mapping[str, Json]) -> str | None:
    """Return what is wrong with a claim and what it may be; None if nothing is."""
    value = claims.get(field.name)
    fault = field.fault(value)
    if fault is None:
        return None
    if value is None:
        return f"{field.name} is missing: it may be {field.words()}"
    judged = field.type.item if isinstance(field.type, Many) else field.type
    return f"{field.name}: {fault}" if judged.words() in fault else f"{field.name}: {fault} (it may be {field.words()})"


def check_issues(role: IssuerRole, kind: RecordKind) -> None:
    """Check that a role may issue records of a kind for a vehicle that is not its own; raises `RecordError`: `role`."""
    if role is IssuerRole.VEHICLE:
        raise RecordError("role", "the credential is a vehicle's: a vehicle makes its own records, and signs none for others")
    check_may_issue(role, kind)


def issue_record(
    statement: Statement, *, slot: Slot, signer: RecordSigner, issuer: Issuer, now: Instant, entropy: Entropy
) -> IssuedRecord:
    """Sign a statement for the next place in a vehicle's sequence.

    Args:
        statement: what is stated.
        slot: what the vehicle told.
        signer: the issuer's enrolled key.
        issuer: whom its credential belongs to, chained to a root by the caller.
        now: the issuer's time.
        entropy: source of the salts of the disclosures.

    Raises:
        RecordError: `role`: it may not issue such records; `date`: the vehicle would not take it; `correction`: it would put right
            what does not come before it; `fields`: all claims together are too long for one record; `signature`: the key at hand
            signs something else than its certificate says.
        UntrustedTimeError: the issuer does not know the date.
    """
    check_issues(issuer.role, statement.kind)
    check_date(slot.seq, statement.occurred, now)
    if statement.corrects is not None and not 0 <= statement.corrects < slot.seq:
        raise RecordError("correction", f"record {slot.seq} can put right an earlier record only, not number {statement.corrects}")
    record = Record(
        kind=statement.kind,
        seq=slot.seq,
        prev=slot.prev,
        occurred=statement.occurred,
        fields=statement.fields,
        flags=slot.flags,
        subject=slot.subject,
        corrects=statement.corrects,
    )
    try:
        token = sign_token(record, signer, entropy)
    except EncodeError as error:
        raise RecordError("fields", f"they do not make a record: {error}") from None
    verify_record(token, issuer)
    return IssuedRecord(token=token, credential=credential_of(signer))
