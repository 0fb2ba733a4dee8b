"""How a record of somebody else joins a vehicle's sequence: the vehicle gives a slot, the issuer signs for it, the vehicle admits.

Admission is where a record is looked at with the vehicle's own store at hand: the issuer's signature and role, the vehicle it is
about, the slot (number and predecessor still next), its date, and what it corrects. A record that is admitted is the vehicle's from
then on: the salt of its commitment is the vehicle's choice, so the issuer cannot find it in the log, and it stays when the issuer
is gone. What an admitted record *says* is not judged here: a reading below the car's own is admitted and found by whoever reads
the series (`shared.records.sequence`). That the issuer's certificate chains to a root at the record's date is the caller's to know
(`shared.service.record_issuers`).
"""

from dataclasses import InitVar, dataclass
from typing import Protocol

from shared.core.clock import NS_PER_S, Instant, UtcNs
from shared.core.errors import RecordError
from shared.core.itstime import utc_text
from shared.records.credential import VehicleCredential
from shared.records.exchange import IssuedRecord, Slot
from shared.records.issuers import Issuer, IssuerRole
from shared.records.record import DisclosedRecord, Record, SignedRecord, commit_to, verify_record
from shared.records.sd_jwt import Entropy, SdJwt

MAX_AHEAD_NS = 300 * NS_PER_S
"""How far an issuer's clock may be ahead of the vehicle's."""

MAX_LATE_NS = 400 * 86_400 * NS_PER_S
"""How long ago what a record states may have happened: a yearly inspection entered with the next one, and a little more."""

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRecord:
    """A record that a vehicle has, for whoever wants to put it right.

    Attributes:
        record: what it states.
        jwt: the issuer-signed part.
        credential: `kid` of the credential it is signed under.
        role: of whoever signed it.
    """

    record: DisclosedRecord
    jwt: str
    credential: str
    role: IssuerRole


class RecordShelf(Protocol):
    """A vehicle's records by their number."""

    def earlier(self, seq: int) -> EarlierRecord | None:
        """Return the record of that number, None if it is not there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A foreign record that belongs in the slot; only `check_admission` makes one."""

    record: Record
    token: SdJwt
    credential: VehicleCredential
    role: IssuerRole
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only check_admission makes an Admitted")

    def committed(self, entropy: Entropy) -> SignedRecord:
        """Return it as it is stored, under a salt of the vehicle's choice."""
        return commit_to(self.record, self.token, self.credential, entropy, self.role)


def check_admission(issued: IssuedRecord, *, issuer: Issuer, slot: Slot, shelf: RecordShelf, now: Instant) -> Admitted:
    """Check that a record somebody issued may join a vehicle's sequence.

    Args:
        issued: as it came.
        issuer: whom its credential belongs to, chained to a root by the caller.
        slot: where the vehicle's sequence stands.
        shelf: the vehicle's records.
        now: the vehicle's time.

    Raises:
        RecordError: `signature`, `type`, `disclosure`, `content`, `role`, `subject`: as `verify_record` says; `subject`: it is
            about another vehicle; `issuer`: it names another credential; `sequence`: its place is taken, or not next; `date`: it
            cannot have happened then; `correction`: it puts right what is not its own to put right.
        UntrustedTimeError: the vehicle does not know the date.
    """
    record = verify_record(issued.token, issuer)
    _check_whole(record)
    if issuer.role is IssuerRole.VEHICLE:
        raise RecordError("role", "a vehicle's own records are made by the vehicle; only others' are admitted")
    if issued.token.header.get("kid") != issued.credential.id:
        raise RecordError("issuer", "the record names another credential than the one that came with it")
    if record.subject != slot.subject:
        raise RecordError("subject", f"the record is about another vehicle: credential {record.subject}, not {slot.subject}")
    _check_place(record, issued.token, slot, shelf)
    check_date(record.seq, record.occurred, now)
    _check_correction(record, issuer.role, shelf)
    stated = Record(
        kind=record.kind,
        seq=record.seq,
        prev=record.prev,
        occurred=record.occurred,
        fields=record.fields,
        flags=record.flags,
        subject=record.subject,
        corrects=record.corrects,
    )
    return Admitted(record=stated, token=issued.token, credential=issued.credential, role=issuer.role, seal=_SEAL)


def _check_whole(record: DisclosedRecord) -> None:
    if record.hidden:
        raise RecordError("content", f"record {record.seq} comes without its {record.hidden[0]}: a vehicle keeps records whole")


def _check_place(record: DisclosedRecord, token: SdJwt, slot: Slot, shelf: RecordShelf) -> None:
    there = shelf.earlier(record.seq)
    if there is not None and there.jwt == token.jwt:
        raise RecordError("sequence", f"record {record.seq} was admitted before: it is there already")
    if record.seq != slot.seq:
        raise RecordError("sequence", f"record {record.seq} does not follow the last one; number {slot.seq} is next")
    if record.prev != slot.prev:
        raise RecordError("sequence", f"record {record.seq} follows another record {record.seq - 1} than the vehicle's last one")
    if record.flags != slot.flags:
        stated, asked = (", ".join(flag.value for flag in flags) or "none" for flags in (record.flags, slot.flags))
        raise RecordError("sequence", f"record {record.seq} has other flags ({stated}) than its slot ({asked})")


def check_date(seq: int, occurred: UtcNs | None, now: Instant) -> None:
    """Check that what a foreign record states can have happened then, and not too long ago.

    Raises:
        RecordError: `date`: it cannot, or is too old to be entered.
        UntrustedTimeError: the date of today is not known.
    """
    utc = now.require_utc()
    if occurred is None:
        raise RecordError("date", f"record {seq} has no date; only a vehicle may not know it")
    text = utc_text(occurred)
    if occurred > utc + MAX_AHEAD_NS:
        raise RecordError("date", f"record {seq} is dated {text}, and it is {utc_text(utc)} now: it has not happened yet")
    if occurred < utc - MAX_LATE_NS:
        days = MAX_LATE_NS // (86_400 * NS_PER_S)
        raise RecordError("date", f"record {seq} is dated {text}, more than {days} days ago: too late to be entered")


def _check_correction(record: DisclosedRecord, role: IssuerRole, shelf: RecordShelf) -> None:
    if record.corrects is None:
        return
    wrong = shelf.earlier(record.corrects)
    if wrong is None:
        raise RecordError("correction", f"record {record.seq} corrects record {record.corrects}, which is not there")
    check_correction(record, wrong.record, role, wrong.role)


def check_correction(record: DisclosedRecord, wrong: DisclosedRecord, role: IssuerRole, role_of_wrong: IssuerRole) -> None:
    """Check that a record may put an earlier one right: of the same kind, and signed by the same role.

    Raises:
        RecordError: `correction`: it may not.
    """
    if record.kind is not wrong.kind:
        detail = f"record {record.seq} is {record.kind.words} and cannot correct record {wrong.seq}, {wrong.kind.words}"
        raise RecordError("correction", detail)
    if role is not role_of_wrong:
        detail = f"record {wrong.seq} was issued by {role_of_wrong.words}; {role.words} may not correct it"
        raise RecordError("correction", detail)
