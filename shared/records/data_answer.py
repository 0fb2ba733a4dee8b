"""The answer to a request for data: the records that a grant covers, with nothing shown beyond it, and what puts it on record.

    {"format": "v2x-data-answer/1", "request": base64url of its hash,
     "credentials": [{"credential": base64url, "authority": base64url}, ...],
     "grant": {"sd_jwt": token, "salt": base64url}, "receipt": {"sd_jwt": token, "salt": base64url}, "passport": passport}

The passport holds the records, each with its proof, and can be verified by anybody on its own. The grant is the one it was given
under, whole, and the receipt is the `data_answer` record, stored before the answer leaves: both are the vehicle's, and their salts
let the requester find them in the ledger later. Records without a date belong to no period, and records without a proof prove
nothing: neither is given. How an answer is encrypted is `shared.service.sealed_answer`'s.

An answer can be made again, of the same records: its receipt says which they are, and their hash does not cover the proofs, which
may have become better meanwhile.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from hashlib import sha256

from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.core.itstime import utc_text
from shared.records.consent import Consent, GivenAnswer, GivenRun, Grant, Granted, read_consent
from shared.records.credential import MAX_CERTIFICATE_BYTES, VehicleCredential
from shared.records.data_request import DataRequest, SignedRequest
from shared.records.issuers import Issuer
from shared.records.kind import RecordKind
from shared.records.kinds_consent import MAX_GIVEN_RUNS
from shared.records.passport import Passport, PassportRecord, VerifiedPassport, build_record, parse_passport
from shared.records.record import COMMITMENT_SALT_BYTES, DisclosedRecord, read_record, verify_record
from shared.records.sd_jwt import SdJwt, decode_base64url, encode_base64url, parse_sd_jwt
from shared.records.strict_json import Json, encode_json_lines, parse_json

ANSWER_FORMAT = "v2x-data-answer/1"

MAX_ANSWER_BYTES = 16_000_000
"""What fits one encryption (its nonce leaves 24 bits to count octets with)."""

MAX_ANSWER_RECORDS = 5_000
MAX_ANSWER_CREDENTIALS = 2
"""One under which the grant is signed, and one of the receipt."""

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A stored record that may be given: what it states, its token, its salt, and its proof, None while there is none."""

    record: DisclosedRecord
    sd_jwt: str
    salt: bytes
    proof: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What an answer holds.

    Attributes:
        records: shown as far as they were asked for.
        runs: which they are.
        unproven: records of the kinds and the period that the ledger is not shown to hold yet, and that are not given.
        undated: records of the kinds without a date, likewise.
    """

    records: tuple[PassportRecord, ...]
    runs: tuple[GivenRun, ...]
    unproven: int
    undated: int

    @property
    def hash(self) -> bytes:
        """SHA-256 of the records as they are shown, without their proofs."""
        return hash_of(self.records)


def hash_of(records: Iterable[PassportRecord]) -> bytes:
    """Return the SHA-256 of records as they are shown: each token and its salt, a line each."""
    text = "".join(f"{record.token.encode()}\n{encode_base64url(record.salt)}\n" for record in records)
    return sha256(text.encode("ascii")).digest()


def select_records(request: DataRequest, candidates: Iterable[Candidate]) -> Selection:
    """Choose what answers a request, from a vehicle's records in order.

    Raises:
        RecordError: `empty`: there is nothing to give; `size`: too much, or in too many runs, for one answer.
    """
    unproven = undated = 0
    chosen: list[tuple[Candidate, bytes]] = []
    runs: list[GivenRun] = []
    is_running = False
    for candidate in candidates:
        record = candidate.record
        if record.kind not in request.kinds:
            continue
        is_within = record.occurred is not None and request.data_from <= record.occurred < request.data_until
        undated += record.occurred is None
        unproven += is_within and candidate.proof is None
        if not is_within or candidate.proof is None:
            is_running = False
            continue
        chosen.append((candidate, candidate.proof))
        first = runs.pop().first_seq if is_running else record.seq
        runs.append(GivenRun(first_seq=first, last_seq=record.seq))
        is_running = True
        if len(chosen) > MAX_ANSWER_RECORDS or len(runs) > MAX_GIVEN_RUNS:
            raise RecordError("size", "too many records for one answer, or too many gaps between them: ask for a shorter period")
    if not chosen:
        kinds = ", ".join(kind.value for kind in request.kinds)
        missing = f"; {unproven} wait for the ledger" if unproven else ""
        period = f"{utc_text(request.data_from)[:10]} to {utc_text(request.data_until)[:10]}"
        raise RecordError("empty", f"no proven record of kind {kinds} is dated {period}{missing}")
    records = tuple(_shown(candidate, proof, request) for candidate, proof in chosen)
    return Selection(records=records, runs=tuple(runs), unproven=unproven, undated=undated)


def select_again(request: DataRequest, answer: GivenAnswer, candidates: Iterable[Candidate]) -> Selection:
    """Choose the records of an answer that was given before.

    Raises:
        RecordError: `answer`: they are not all there, or not what they were.
    """
    records = tuple(
        _shown(candidate, candidate.proof, request)
        for candidate in candidates
        if candidate.proof is not None
        and candidate.record.kind in request.kinds
        and any(run.first_seq <= candidate.record.seq <= run.last_seq for run in answer.given)
    )
    selection = Selection(records=records, runs=answer.given, unproven=0, undated=0)
    if encode_base64url(selection.hash) != answer.answer_hash:
        raise RecordError("answer", f"the records that answer {answer.seq} gave are not all there any more")
    return selection


def _shown(candidate: Candidate, proof: bytes, request: DataRequest) -> PassportRecord:
    return build_record(candidate.sd_jwt, candidate.salt, proof, request.fields)


def answer_claims(granted: Granted, selection: Selection) -> dict[str, Json]:
    """Return the claims of the record that puts an answer on record."""
    request = granted.request.request
    return {
        "request_hash": encode_base64url(granted.request.hash),
        "grant_seq": granted.grant.seq,
        "grantee": granted.request.requester,
        "kinds": [kind.value for kind in request.kinds],
        "fields": [*request.fields],
        "data_from": utc_text(request.data_from),
        "data_until": utc_text(request.data_until),
        "records": len(selection.records),
        "given": [{"first_seq": run.first_seq, "last_seq": run.last_seq} for run in selection.runs],
        "answer_hash": encode_base64url(selection.hash),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneRecord:
    """A record without a proof: its token and its salt."""

    token: SdJwt
    salt: bytes

    @property
    def credential(self) -> str:
        """The `kid` of the credential it says it is signed under; empty if it says nothing of the kind."""
        kid = self.token.header.get("kid")
        return kid if isinstance(kid, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAnswer:
    """A parsed answer; nothing about it is verified.

    Attributes:
        request_hash: which request it answers.
        credentials: under which grant and receipt are signed.
        grant: under which it was given.
        receipt: that it was given.
        passport: the records.
    """

    request_hash: bytes
    credentials: tuple[VehicleCredential, ...]
    grant: LoneRecord
    receipt: LoneRecord
    passport: Passport

    def encode(self) -> bytes:
        """Return the one spelling; raise `EncodeError` if it exceeds the bounds of an answer."""
        credentials: list[Json] = [
            {"credential": encode_base64url(c.certificate), "authority": encode_base64url(c.authority)} for c in self.credentials
        ]
        encoded = encode_json_lines(
            {
                "format": ANSWER_FORMAT,
                "request": encode_base64url(self.request_hash),
                "credentials": credentials,
                "grant": _lone_json(self.grant),
                "receipt": _lone_json(self.receipt),
                "passport": self.passport.encode().decode(),
            }
        ).encode()
        if len(encoded) > MAX_ANSWER_BYTES:
            raise EncodeError("answer", f"{len(encoded)} bytes do not fit one answer of {MAX_ANSWER_BYTES}: ask for less")
        return encoded


def _lone_json(record: LoneRecord) -> Json:
    return {"sd_jwt": record.token.encode(), "salt": encode_base64url(record.salt)}


def parse_answer(data: bytes) -> DataAnswer:
    """Parse what was encrypted.

    Raises:
        RecordError: `format`: it is no answer, or not the one spelling of one; and what `parse_passport` raises.
    """
    try:
        match parse_json(data, "the answer", MAX_ANSWER_BYTES):
            case {
                "format": str(fmt),
                "request": str(request_hash),
                "credentials": list(credentials),
                "grant": grant,
                "receipt": receipt,
                "passport": str(passport),
                **rest,
            } if not rest and fmt == ANSWER_FORMAT and len(credentials) <= MAX_ANSWER_CREDENTIALS:
                answer = DataAnswer(
                    request_hash=decode_base64url(request_hash, "request"),
                    credentials=tuple(_credential(item) for item in credentials),
                    grant=_lone(grant, "grant"),
                    receipt=_lone(receipt, "receipt"),
                    passport=parse_passport(passport.encode()),
                )
            case _:
                raise RecordError("format", f"this is not an answer of the form {ANSWER_FORMAT}")
        is_our_spelling = answer.encode() == data
    except (DecodeError, EncodeError) as error:
        raise RecordError("format", f"the answer cannot be read: {error}") from None
    if not is_our_spelling:
        raise RecordError("format", "the answer is not spelled the one way an answer is")
    return answer


def _credential(item: Json) -> VehicleCredential:
    match item:
        case {"credential": str(certificate), "authority": str(authority), **rest} if not rest:
            certificates = [decode_base64url(text, "credentials") for text in (certificate, authority)]
            if all(1 <= len(data) <= MAX_CERTIFICATE_BYTES for data in certificates):
                return VehicleCredential(certificate=certificates[0], authority=certificates[1])
    raise DecodeError("credentials", "not two certificates")


def _lone(item: Json, field: str) -> LoneRecord:
    match item:
        case {"sd_jwt": str(sd_jwt), "salt": str(salt), **rest} if not rest:
            record = LoneRecord(token=parse_sd_jwt(sd_jwt), salt=decode_base64url(salt, f"{field}.salt"))
            if len(record.salt) == COMMITMENT_SALT_BYTES:
                return record
    raise DecodeError(field, "not a record")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRequest:
    """What an answer proves; only `verify_answer` makes one.

    Attributes:
        passport: the records, verified.
        grant: under which they were given.
        receipt: that they were given.
    """

    passport: VerifiedPassport
    grant: Grant
    receipt: GivenAnswer
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only verify_answer makes an AnsweredRequest")


def verify_answer(
    answer: DataAnswer,
    request: SignedRequest,
    *,
    issuers: Mapping[str, Issuer],
    verify: Callable[[Passport], VerifiedPassport],
) -> AnsweredRequest:
    """Check that an answer is the vehicle's to this request, and everything in it.

    Args:
        answer: parsed.
        request: as it was sent.
        issuers: by `kid`, who stands behind the enclosed credentials, each of which the caller chains to a root it trusts.
        verify: verifies the passport down to roots and ledgers.

    Raises:
        RecordError: the check that failed; `answer` for those of this function.
    """
    if answer.request_hash != request.hash:
        raise _no_answer("it answers another request")
    if answer.receipt.credential != request.request.subject:
        raise _no_answer("its receipt is not signed by the vehicle that was asked")
    grant_record = _verify_lone(answer.grant, issuers, RecordKind.CONSENT_GRANT, "grant")
    receipt_record = _verify_lone(answer.receipt, issuers, RecordKind.DATA_ANSWER, "receipt")
    consent = read_consent((grant_record, receipt_record))
    grant, receipt = _checked(consent, receipt_record, request)
    passport = verify(answer.passport)
    _check_records(answer.passport.records, receipt, receipt_record, request.request)
    return AnsweredRequest(passport=passport, grant=grant, receipt=receipt, seal=_SEAL)


def _no_answer(reason: str) -> RecordError:
    return RecordError("answer", f"this does not answer the request: {reason}")


def _verify_lone(lone: LoneRecord, issuers: Mapping[str, Issuer], kind: RecordKind, name: str) -> DisclosedRecord:
    issuer = issuers.get(lone.credential)
    if issuer is None:
        raise RecordError("issuer", f"the {name} is signed under another certificate than those enclosed")
    try:
        record = verify_record(lone.token, issuer)
    except RecordError as error:
        raise RecordError(error.check, f"the {name}: {error.reason}") from None
    if record.kind is not kind:
        raise _no_answer(f"in the place of its {name} stands {record.kind.words}")
    return record


def _checked(consent: Consent, record: DisclosedRecord, request: SignedRequest) -> tuple[Grant, GivenAnswer]:
    grant, receipt, asked = consent.standings[0].grant, consent.answers[0], request.request
    if receipt.request_hash != encode_base64url(request.hash):
        raise _no_answer("its receipt names another request")
    if receipt.grant_seq != grant.seq or grant.grantee != request.credential.id:
        raise _no_answer("the grant in it is not the one it was given under, or not ours")
    expected: dict[str, Json] = {
        "grantee": request.credential.id,
        "kinds": [kind.value for kind in asked.kinds],
        "fields": [*asked.fields],
        "data_from": utc_text(asked.data_from),
        "data_until": utc_text(asked.data_until),
    }
    wrong = next((name for name, value in expected.items() if record.fields.get(name) != value), None)
    if wrong is not None:
        raise _no_answer(f"its receipt states other {wrong} than were asked for")
    return grant, receipt


def _check_records(
    records: Sequence[PassportRecord], receipt: GivenAnswer, receipt_record: DisclosedRecord, asked: DataRequest
) -> None:
    """Hold the records, whose signatures are verified, against what the vehicle says to have given."""
    if encode_base64url(hash_of(records)) != receipt.answer_hash or len(records) != receipt_record.fields.get("records"):
        raise _no_answer("the records in it are not those its receipt states")
    for each in records:
        record = read_record(each.token)
        if record.kind not in asked.kinds or not any(run.first_seq <= record.seq <= run.last_seq for run in receipt.given):
            raise _no_answer(f"record {record.seq} in it was not asked for, or its receipt does not name it")
        beyond = sorted({d.name or "" for d in each.token.disclosures} - set(asked.fields))
        if beyond:
            raise _no_answer(f"record {record.seq} in it shows {', '.join(beyond)}, which was not asked for")
