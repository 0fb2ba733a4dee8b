"""The passport: a vehicle's records with all that is needed to check them years later, offline, in one file.

    {"format": "v2x-passport/1",
     "credentials": [{"credential": base64url, "authority": base64url}, ...],
     "records": [{"sd_jwt": token, "salt": base64url, "proof": tlog-proof@v1}, ...]}

The file has exactly one spelling; any other is refused. Its credentials are those the records are signed under, in the order of
their first use, none twice and none without a record. `verify_passport` checks for every record: that it names one of the enclosed
credentials, the signature with that one's key, that the ledger holds its commitment, and that the checkpoint is signed and
witnessed as the policy asks. Chaining the enclosed certificates to a root is the caller's (this layer knows no certificates), so
the keys come from outside. What genuine records say about the vehicle, also whether one credential handed over to the next, is in
the findings.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, replace

from shared.core.clock import UtcNs
from shared.core.errors import DecodeError, EncodeError, ProofError, RecordError
from shared.ledger.policy import Policy
from shared.ledger.proof import TlogProof, parse_proof
from shared.ledger.verify import QuorumError, TrustedCheckpoint, trust_first, verify_included, verify_signed
from shared.records.boot_dates import Stamp, stamped_later
from shared.records.corrections import counting_readings
from shared.records.credential import MAX_CERTIFICATE_BYTES, MAX_CREDENTIALS, MAX_ISSUER_CREDENTIALS, VehicleCredential
from shared.records.findings import Finding, SequenceItem
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.kinds import HIDEABLE
from shared.records.odometer import HardwareCount, OdometerFlag, OdometerSource, RecordReason, Verdict
from shared.records.record import (
    COMMITMENT_SALT_BYTES,
    HASH_CHARACTERS,
    DisclosedRecord,
    commitment_of,
    read_record,
    verify_record,
)
from shared.records.sd_jwt import (
    SdJwt,
    decode_base64url,
    encode_base64url,
    parse_sd_jwt,
)
from shared.records.sequence import check_sequence
from shared.records.strict_json import Json, encode_json_lines, parse_json

PASSPORT_FORMAT = "v2x-passport/1"
MAX_PASSPORT_BYTES = 64 * 1024 * 1024
MAX_PASSPORT_RECORDS = 30_000
MAX_PASSPORT_CREDENTIALS = MAX_CREDENTIALS + MAX_ISSUER_CREDENTIALS

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassportRecord:
    """One record with its proof; nothing about it is verified."""

    token: SdJwt
    salt: bytes
    proof: TlogProof

    @property
    def credential(self) -> str:
        """The `kid` of the credential it says it is signed under; empty if it says nothing of the kind."""
        kid = self.token.header.get("kid")
        return kid if isinstance(kid, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passport:
    """A parsed passport; nothing about it is verified.

    Attributes:
        credentials: the vehicle's and those of whoever else signed, in the order of first use.
        records: in the order shown.
    """

    credentials: tuple[VehicleCredential, ...]
    records: tuple[PassportRecord, ...]

    def encode(self) -> bytes:
        """Return the file; raise `EncodeError` if it exceeds the bounds of a passport."""
        if len(self.records) > MAX_PASSPORT_RECORDS:
            raise EncodeError("passport", f"{len(self.records)} records do not fit one passport of {MAX_PASSPORT_RECORDS}")
        if len(self.credentials) > MAX_PASSPORT_CREDENTIALS:
            detail = f"{len(self.credentials)} credentials do not fit one passport of {MAX_PASSPORT_CREDENTIALS}"
            raise EncodeError("passport", detail)
        credentials: list[Json] = [
            {"credential": encode_base64url(c.certificate), "authority": encode_base64url(c.authority)} for c in self.credentials
        ]
        records: list[Json] = [
            {"sd_jwt": r.token.encode(), "salt": encode_base64url(r.salt), "proof": r.proof.encode().decode()} for r in self.records
        ]
        encoded = encode_json_lines({"format": PASSPORT_FORMAT, "credentials": credentials, "records": records}).encode()
        if len(encoded) > MAX_PASSPORT_BYTES:
            raise EncodeError("passport", f"{len(encoded)} bytes do not fit one passport of {MAX_PASSPORT_BYTES}")
        return encoded


def build_record(sd_jwt: str, salt: bytes, proof: bytes, shown: Collection[str] = HIDEABLE) -> PassportRecord:
    """Put one stored record into a passport, showing only the claims named in `shown` (those always visible aside).

    Raises:
        DecodeError: token or proof are malformed.
    """
    return PassportRecord(token=parse_sd_jwt(sd_jwt).showing(shown), salt=salt, proof=parse_proof(proof))


def build_passport(*, credentials: Iterable[VehicleCredential], records: Sequence[PassportRecord]) -> Passport:
    """Return a passport of records in the order given, with those of the vehicle's credentials that they need.

    Raises:
        RecordError: `issuer`: a record is signed under a credential that is not among those given.
    """
    known = {credential.id: credential for credential in credentials}
    used = dict.fromkeys(record.credential for record in records)
    missing = [kid for kid in used if kid not in known]
    if missing:
        raise RecordError(
            "issuer", f"the certificate of credential {missing[0][:HASH_CHARACTERS]}, which signed records, is not there"
        )
    return Passport(credentials=tuple(known[kid] for kid in used), records=tuple(records))


def parse_passport(data: bytes) -> Passport:
    """Parse a passport file.

    Raises:
        RecordError: `format`: it is no passport, or not the one spelling of one; `credentials`: they are not those the records are
            signed under; the sentence says where.
    """
    try:
        value = parse_json(data, "the file", MAX_PASSPORT_BYTES)
        match value:
            case {
                "format": str(fmt),
                "credentials": list(credentials),
                "records": list(items),
                **rest,
            } if not rest and fmt == PASSPORT_FORMAT and len(items) <= MAX_PASSPORT_RECORDS:
                passport = Passport(
                    credentials=_parse_credentials(credentials),
                    records=tuple(_parse_record(item, n, len(items)) for n, item in enumerate(items, 1)),
                )
            case _:
                raise RecordError("format", f"this is not a passport of the form {PASSPORT_FORMAT}")
        encoded = passport.encode()
    except (DecodeError, EncodeError) as error:
        raise RecordError("format", f"the passport cannot be read: {error}") from None
    if encoded != data:
        raise RecordError("format", "the passport is not spelled the one way a passport is: the file was edited")
    _check_credentials(passport)
    return passport


def _parse_credentials(items: list[Json]) -> tuple[VehicleCredential, ...]:
    if len(items) > MAX_PASSPORT_CREDENTIALS:
        raise RecordError("credentials", f"{len(items)} credentials; a passport holds at most {MAX_PASSPORT_CREDENTIALS}")
    credentials: list[VehicleCredential] = []
    for number, item in enumerate(items, 1):
        match item:
            case {"credential": str(certificate), "authority": str(authority), **rest} if not rest:
                certificates = {
                    "certificate": _certificate(certificate, f"credentials[{number}].credential"),
                    "authority": _certificate(authority, f"credentials[{number}].authority"),
                }
                credentials.append(VehicleCredential(**certificates))
            case _:
                raise RecordError("format", f"credential {number} of {len(items)} is not two certificates")
    return tuple(credentials)


def _check_credentials(passport: Passport) -> None:
    """Refuse a credential that stands twice, that signed nothing, or that is out of order."""
    count = len(passport.credentials)
    if count > MAX_PASSPORT_CREDENTIALS:
        raise RecordError("credentials", f"{count} credentials; a passport holds at most {MAX_PASSPORT_CREDENTIALS}")
    used = tuple(dict.fromkeys(record.credential for record in passport.records))
    enclosed: list[str] = []
    for number, credential in enumerate(passport.credentials, 1):
        if credential.id in enclosed:
            raise RecordError("credentials", f"credential {number} of {count} stands in this passport twice")
        if credential.id not in used:
            raise RecordError("credentials", f"credential {number} of {count} signed none of the records: it has no place here")
        enclosed.append(credential.id)
    if enclosed != [kid for kid in used if kid in enclosed]:
        raise RecordError("credentials", "the credentials do not stand in the order in which they signed: the file was edited")


def _certificate(text: str, field: str) -> bytes:
    data = decode_base64url(text, field)
    if not 1 <= len(data) <= MAX_CERTIFICATE_BYTES:
        raise DecodeError(field, f"{len(data)} bytes are no certificate")
    return data


def _parse_record(item: Json, number: int, count: int) -> PassportRecord:
    match item:
        case {"sd_jwt": str(sd_jwt), "salt": str(salt), "proof": str(proof), **rest} if not rest:
            pass
        case _:
            raise RecordError("format", f"entry {number} of {count} is not a record")
    try:
        return _checked(build_record(sd_jwt, decode_base64url(salt, "salt"), proof.encode()))
    except DecodeError as error:
        raise RecordError("format", f"entry {number} of {count} was damaged or altered: {error}") from None


def _checked(record: PassportRecord) -> PassportRecord:
    if len(record.salt) != COMMITMENT_SALT_BYTES:
        raise DecodeError("salt", f"{len(record.salt)} bytes, not {COMMITMENT_SALT_BYTES}")
    if record.proof.extra is not None:
        raise DecodeError("proof", "carries extra data, which nothing vouches for")
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One verified record for people and machines.

    Attributes:
        seq: number of the record.
        occurred: when, None if hidden or not known.
        odometer_m: distance in metres, None if hidden.
        since_previous_m: metres since the reading shown before, None where either is hidden.
        reason: why it was recorded, None if hidden.
        sources: where it came from, empty if hidden.
        flags: what was odd.
        log: origin of the ledger that holds it.
        log_index: where.
        witnesses: who cosigned, by the policy's names.
        credential: number of the credential it is signed under, from 1, as they stand in the passport; 0 for none of them.
        hands_over: whether it hands over to another credential.
        kind: what it is about.
        role: who signed it; None where nobody has verified that.
        has_reading: whether it states a reading of the odometer, or hides one.
        corrects: number of the earlier record it puts right; None where it does not.
        counts_for: number of the record in whose place its reading counts: its own or the one it puts right; None if none counts.
        stamp: when a record was made that says no date, and which record tells; None where it has one or none tells.
        verdict: what other witnesses of the distance said, None if hidden or nobody judged.
        missing_permille: share of the distance that is not counted, None if hidden or not known.
        nonce: the challenge of an inspector that it answers, None if hidden or nobody asked.
        counter: where the counter beside the records stood, None if hidden or there is none.
    """

    seq: int
    occurred: UtcNs | None
    odometer_m: int | None
    since_previous_m: int | None
    reason: RecordReason | None
    sources: tuple[OdometerSource, ...]
    flags: tuple[OdometerFlag, ...]
    log: str
    log_index: int
    witnesses: tuple[str, ...]
    credential: int
    hands_over: bool
    kind: RecordKind
    role: IssuerRole | None
    has_reading: bool
    corrects: int | None
    counts_for: int | None = None
    stamp: Stamp | None = None
    verdict: Verdict | None = None
    missing_permille: int | None = None
    nonce: bytes | None = None
    counter: HardwareCount | None = None

    @property
    def made(self) -> UtcNs | None:
        """When it was made: as it says itself, or as another record tells; None where neither does."""
        return self.occurred if self.stamp is None else self.stamp.occurred

    @property
    def is_own(self) -> bool:
        """Whether the vehicle itself signed it, as far as that was verified."""
        return self.role is IssuerRole.VEHICLE


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPassport:
    """What a passport proves; only `verify_passport` makes one.

    Attributes:
        readings: in the order shown.
        findings: what the records say about the vehicle: rollbacks, gaps, forks ...
    """

    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only verify_passport makes a VerifiedPassport")

    @property
    def is_clean(self) -> bool:
        """Whether nothing serious was found."""
        return not any(finding.is_serious for finding in self.findings)


def verify_passport(passport: Passport, *, policy: Policy, issuers: Mapping[str, Issuer]) -> VerifiedPassport:
    """Check every record of a passport, offline.

    Args:
        passport: parsed.
        policy: the ledgers and witnesses that count.
        issuers: by `kid`, key and role of the enclosed credentials, each of which the caller chains to a root it trusts.

    Raises:
        RecordError: the check that failed (`credentials`, `issuer`, `signature`, `type`, `disclosure`, `content`, `role`,
            `subject`, `ledger`, `witnesses`, `empty`), on which record, and what that means.
    """
    if not passport.records:
        raise RecordError("empty", "the passport holds no record; it proves nothing")
    _check_credentials(passport)
    numbers = _numbers(passport)
    checkpoints: dict[bytes, TrustedCheckpoint] = {}
    readings: list[Reading] = []
    items: list[SequenceItem] = []
    previous: DisclosedRecord | None = None
    for number, item in enumerate(passport.records, 1):
        where = f"entry {number} of {len(passport.records)}"
        kid = item.credential
        if kid not in numbers or kid not in issuers:
            raise RecordError("issuer", f"{where} was signed under another certificate than those in this passport")
        try:
            record = verify_record(item.token, issuers[kid])
        except RecordError as error:
            raise RecordError(error.check, f"{where}: {_meaning(error, issuers[kid].role)}") from None
        commitment = commitment_of(item.token.jwt, item.salt)
        trusted = _check_ledger(item.proof, commitment, policy, checkpoints, f"{where} (record {record.seq})")
        role = issuers[kid].role
        readings.append(_reading(record, previous, item.proof.index, trusted, numbers[kid], role))
        items.append(SequenceItem(record=record, commitment=commitment, credential=kid, role=role))
        previous = record if _has_reading(record) else previous
    return VerifiedPassport(readings=_counted(readings, items), findings=check_sequence(items), seal=_SEAL)


def _meaning(error: RecordError, role: IssuerRole) -> str:
    """Say what an error means to who reads the passport."""
    who = "the vehicle" if role is IssuerRole.VEHICLE else role.words
    match error.check:
        case "signature":
            other = "another vehicle" if role is IssuerRole.VEHICLE else "somebody else"
            changed = "a reading, its date or another part of it was changed afterwards"
            return f"this is not what {who} signed: {changed}, or {other} signed it"
        case "disclosure":
            return f"a reading, its date or another detail was changed: what is shown is not what {who} signed"
        case _:
            return error.reason


def _check_ledger(
    proof: TlogProof, commitment: bytes, policy: Policy, checkpoints: dict[bytes, TrustedCheckpoint], where: str
) -> TrustedCheckpoint:
    try:
        trusted = checkpoints.get(proof.note)
        if trusted is None:
            trusted = checkpoints[proof.note] = trust_first(verify_signed(proof.note, policy), policy)
        verify_included(trusted, commitment, proof.index, proof.hashes)
    except QuorumError as error:
        raise RecordError("witnesses", f"{where}: not enough witnesses have seen the ledger: {error}") from None
    except ProofError as error:
        raise RecordError("ledger", f"{where}: the ledger is not shown to hold this record: {error}") from None
    except DecodeError as error:
        raise RecordError("ledger", f"{where}: the ledger's checkpoint cannot be read: {error}") from None
    return trusted


def _counted(readings: Sequence[Reading], items: Sequence[SequenceItem]) -> tuple[Reading, ...]:
    counting, stamps = counting_readings(items), stamped_later(items)
    return tuple(
        [
            replace(reading, counts_for=counting.get(position), stamp=stamps.get(position))
            for position, reading in enumerate(readings)
        ]
    )


def _has_reading(record: DisclosedRecord) -> bool:
    return record.odometer_m is not None or "odometer_m" in record.hidden


def _numbers(passport: Passport) -> dict[str, int]:
    return {credential.id: number for number, credential in enumerate(passport.credentials, 1)}


def _reading(
    record: DisclosedRecord,
    previous: DisclosedRecord | None,
    log_index: int,
    trusted: TrustedCheckpoint | None,
    credential: int,
    role: IssuerRole | None,
) -> Reading:
    before_m = None if previous is None else previous.odometer_m
    return Reading(
        seq=record.seq,
        occurred=record.occurred,
        odometer_m=record.odometer_m,
        since_previous_m=None if record.odometer_m is None or before_m is None else record.odometer_m - before_m,
        reason=record.reason,
        sources=record.sources,
        flags=record.flags,
        log="" if trusted is None else trusted.checkpoint.origin,
        log_index=log_index,
        witnesses=() if trusted is None else trusted.witnesses,
        credential=credential,
        hands_over=record.next_credential is not None,
        kind=record.kind,
        role=role,
        has_reading=_has_reading(record),
        corrects=record.corrects,
        verdict=record.verdict,
        missing_permille=record.missing_permille,
        nonce=record.nonce,
        counter=record.counter,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedPassport:
    """What a passport claims, with nothing checked: for display that says so."""

    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]


def read_passport(passport: Passport) -> UnverifiedPassport:
    """Return what a passport claims *without verifying anything*.

    Raises:
        RecordError: a record is of no kind that is known.
    """
    numbers = _numbers(passport)
    readings: list[Reading] = []
    items: list[SequenceItem] = []
    previous: DisclosedRecord | None = None
    for item in passport.records:
        record = read_record(item.token)
        role = IssuerRole.VEHICLE if record.subject is None else None
        readings.append(_reading(record, previous, item.proof.index, None, numbers.get(item.credential, 0), role))
        commitment = commitment_of(item.token.jwt, item.salt)
        items.append(SequenceItem(record=record, commitment=commitment, credential=item.credential, role=role))
        previous = record if _has_reading(record) else previous
    return UnverifiedPassport(readings=_counted(readings, items), findings=check_sequence(items))
