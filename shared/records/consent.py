"""What a vehicle's holder has consented to, read from the vehicle's own records, and whether a request is covered.

A grant is live from its record on, until its end, a withdrawal that names it, or a later grant that corrects it. It covers a
request that comes from its grantee, for its purpose in the same words, and asks for no kind, no claim and no moment beyond it.
Nothing is put together from two grants: a person read each as a whole. Only the vehicle's own records count here; that they are
its own, whoever hands them in has verified (`shared.records.record.verify_record`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from enum import IntEnum

from shared.core.clock import Instant, UtcNs
from shared.core.errors import RecordError
from shared.core.itstime import utc_from_text, utc_text
from shared.records.data_request import VerifiedRequest
from shared.records.kind import RecordKind
from shared.records.record import DisclosedRecord
from shared.records.strict_json import Json

CONSENT_KINDS = (RecordKind.CONSENT_GRANT, RecordKind.CONSENT_WITHDRAWAL, RecordKind.DATA_ANSWER)
"""What this is read from."""

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One grant, as its record states it.

    Attributes:
        seq: number of its record.
        granted: when; None where the vehicle did not know the date.
        grantee: `kid` of who may ask.
        grantee_name: who that is, for people.
        kinds: of records.
        fields: claims of them.
        data_from: records dated from then on; None for all before.
        data_until: and before then; None for all after.
        purpose: what for.
        valid_until: after this nothing is given.
    """

    seq: int
    granted: UtcNs | None
    grantee: str
    grantee_name: str | None
    kinds: tuple[RecordKind, ...]
    fields: tuple[str, ...]
    data_from: UtcNs | None
    data_until: UtcNs | None
    purpose: str
    valid_until: UtcNs

    @property
    def words(self) -> str:
        """For people: `grant 12`."""
        return f"grant {self.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRun:
    """Records that were given: those of the kinds asked for, from one number to another."""

    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """One answer that was given, as its record states it.

    Attributes:
        seq: number of its record.
        answered: when; None where the vehicle did not know the date.
        request_hash: 32 bytes in base64url.
        grant_seq: number of the grant.
        answer_hash: of the records given, in base64url.
        given: which.
    """

    seq: int
    answered: UtcNs | None
    request_hash: str
    grant_seq: int
    answer_hash: str
    given: tuple[GivenRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A grant taken back: with which record, and when (None where the vehicle did not know the date)."""

    seq: int
    withdrawn: UtcNs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one grant stands: what ended it, if anything has but time, and how often it was used."""

    grant: Grant
    withdrawal: Withdrawal | None = None
    replaced_by: int | None = None
    answers: int = 0

    def fault(self, utc: UtcNs) -> str | None:
        """Return why it is not live at a moment, as a sentence; None if it is."""
        words = self.grant.words
        if self.withdrawal is not None:
            on = "" if self.withdrawal.withdrawn is None else f" on {utc_text(self.withdrawal.withdrawn)[:10]}"
            return f"{words} was withdrawn{on} (record {self.withdrawal.seq})"
        if self.replaced_by is not None:
            return f"{words} was replaced by grant {self.replaced_by}"
        if utc >= self.grant.valid_until:
            return f"{words} ended on {utc_text(self.grant.valid_until)[:10]}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """All grants and answers of a vehicle, in order of record."""

    standings: tuple[Standing, ...]
    answers: tuple[GivenAnswer, ...]

    def standing(self, seq: int) -> Standing | None:
        """Return how the grant of a number stands; None if there is no such grant."""
        return next((each for each in self.standings if each.grant.seq == seq), None)

    def answer_to(self, request_hash: str) -> GivenAnswer | None:
        """Return the answer a request got; None if it has got none."""
        return next((each for each in self.answers if each.request_hash == request_hash), None)


def read_consent(records: Iterable[DisclosedRecord]) -> Consent:
    """Return the state of consent after a vehicle's records, given in order; those of other kinds say nothing here.

    Raises:
        RecordError: `content`: a claim of a record on consent is hidden.
    """
    grants: dict[int, Grant] = {}
    withdrawals: dict[int, Withdrawal] = {}
    replaced: dict[int, int] = {}
    answers: list[GivenAnswer] = []
    for record in records:
        match record.kind:
            case RecordKind.CONSENT_GRANT:
                grants[record.seq] = _grant(record)
                if record.corrects is not None:
                    replaced.setdefault(record.corrects, record.seq)
            case RecordKind.CONSENT_WITHDRAWAL:
                seq = _number(record, "grant_seq")
                if seq in grants:
                    withdrawals.setdefault(seq, Withdrawal(seq=record.seq, withdrawn=record.occurred))
            case RecordKind.DATA_ANSWER:
                answers.append(_answer(record))
            case _:
                pass
    standings = tuple(
        Standing(
            grant=grant,
            withdrawal=withdrawals.get(seq),
            replaced_by=replaced.get(seq),
            answers=sum(answer.grant_seq == seq for answer in answers),
        )
        for seq, grant in grants.items()
    )
    return Consent(standings=standings, answers=tuple(answers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A request and the live grant that covers it; only `check_consent` makes one."""

    request: VerifiedRequest
    grant: Grant
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only check_consent makes a Granted")


class _Lack(IntEnum):
    """How near a grant comes to covering a request: what it lacks, the nearest last."""

    PURPOSE = 0
    LIFE = 1
    KINDS = 2
    FIELDS = 3
    PERIOD = 4


_CHECKS = {
    _Lack.PURPOSE: "purpose",
    _Lack.LIFE: "grant",
    _Lack.KINDS: "kinds",
    _Lack.FIELDS: "fields",
    _Lack.PERIOD: "period",
}


def check_consent(request: VerifiedRequest, consent: Consent, now: Instant) -> Granted:
    """Find the live grant that covers a request: of several, the one recorded first.

    Raises:
        RecordError: there is none. `grant`: nobody, or somebody else, may ask, or the grant is over; `purpose`, `kinds`, `fields`
            or `period`: what the request asks beyond the grant that comes nearest.
        UntrustedTimeError: the vehicle does not know the date.
    """
    utc = now.require_utc()
    if not consent.standings:
        raise RecordError("grant", "nothing was ever granted to anybody")
    own = [each for each in consent.standings if each.grant.grantee == request.requester]
    if not own:
        raise RecordError("grant", f"nothing was granted to who asks, credential {request.requester}")
    lacks = [(_lack(each, request, utc), each.grant) for each in own]
    covering = next((grant for lack, grant in lacks if lack is None), None)
    if covering is not None:
        return Granted(request=request, grant=covering, seal=_SEAL)
    nearest, sentence = max((lack for lack, _ in lacks if lack is not None), key=lambda lack: lack[0])
    raise RecordError(_CHECKS[nearest], sentence)


def _lack(standing: Standing, request: VerifiedRequest, utc: UtcNs) -> tuple[_Lack, str] | None:
    """Return what a grant lacks to cover a request, and the sentence; None if it covers it."""
    grant, asked = standing.grant, request.request
    if asked.purpose != grant.purpose:
        return _Lack.PURPOSE, f"{grant.words} is for another purpose than {asked.purpose!r}: {grant.purpose!r}"
    ended = standing.fault(utc)
    if ended is not None:
        return _Lack.LIFE, ended
    kinds = [kind.value for kind in asked.kinds if kind not in grant.kinds]
    if kinds:
        return _Lack.KINDS, f"{grant.words} does not cover records of kind {', '.join(kinds)}"
    fields = [name for name in asked.fields if name not in grant.fields]
    if fields:
        return _Lack.FIELDS, f"{grant.words} does not cover {', '.join(fields)}"
    if grant.data_from is not None and asked.data_from < grant.data_from:
        return _Lack.PERIOD, f"{grant.words} covers no data from before {utc_text(grant.data_from)[:10]}"
    if grant.data_until is not None and asked.data_until > grant.data_until:
        return _Lack.PERIOD, f"{grant.words} covers no data from {utc_text(grant.data_until)[:10]} on"
    return None


def _grant(record: DisclosedRecord) -> Grant:
    name, purpose, valid_until = _optional_text(record, "grantee_name"), _text(record, "purpose"), _moment(record, "valid_until")
    if valid_until is None:
        raise _hidden(record, "valid_until")
    return Grant(
        seq=record.seq,
        granted=record.occurred,
        grantee=_text(record, "grantee"),
        grantee_name=name,
        kinds=tuple(RecordKind(name) for name in _texts(record, "kinds")),
        fields=_texts(record, "fields"),
        data_from=_moment(record, "data_from"),
        data_until=_moment(record, "data_until"),
        purpose=purpose,
        valid_until=valid_until,
    )


def _answer(record: DisclosedRecord) -> GivenAnswer:
    return GivenAnswer(
        seq=record.seq,
        answered=record.occurred,
        request_hash=_text(record, "request_hash"),
        grant_seq=_number(record, "grant_seq"),
        answer_hash=_text(record, "answer_hash"),
        given=given_runs(record.fields),
    )


def given_runs(fields: Mapping[str, Json]) -> tuple[GivenRun, ...]:
    """Return which records an answer gave, from the checked claims of its record."""
    items = fields.get("given")
    runs = []
    for item in items if isinstance(items, list) else ():
        match item:
            case {"first_seq": int(first), "last_seq": int(last)}:
                runs.append(GivenRun(first_seq=first, last_seq=last))
            case _:
                pass
    return tuple(runs)


def _hidden(record: DisclosedRecord, name: str) -> RecordError:
    return RecordError("content", f"record {record.seq}, {record.kind.words}, hides {name}: what it says cannot be relied on")


def _claim(record: DisclosedRecord, name: str) -> Json:
    if name not in record.fields:
        raise _hidden(record, name)
    return record.fields[name]


def _number(record: DisclosedRecord, name: str) -> int:
    value = _claim(record, name)
    if not isinstance(value, int):
        raise _hidden(record, name)
    return value


def _text(record: DisclosedRecord, name: str) -> str:
    value = _claim(record, name)
    if not isinstance(value, str):
        raise _hidden(record, name)
    return value


def _optional_text(record: DisclosedRecord, name: str) -> str | None:
    value = _claim(record, name)
    return value if isinstance(value, str) else None


def _texts(record: DisclosedRecord, name: str) -> tuple[str, ...]:
    value = _claim(record, name)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _moment(record: DisclosedRecord, name: str) -> UtcNs | None:
    text = _optional_text(record, name)
    return None if text is None else utc_from_text(text)
