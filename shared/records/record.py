"""Records: one statement about one vehicle, signed, chained to the record before it, and committed to without being told.

A token always shows which kind of record it is, its number, the commitment of the record before it, and what was odd about it;
where somebody else than the vehicle signs, also the vehicle's credential it is about (`subject`), and where an earlier record is
put right, that one's number (`corrects`). A record with which a credential hands over to the next one names that one, for all to
see: `next_credential`, the `kid` of the vehicle's records after it. Everything else is the kind's own table of claims
(`shared.records.kinds`), each of which can be left out. What enters the log is the commitment alone,

    SHA-256("v2x-trust record commitment v1" || 0x0A || salt || issuer-signed JWT)

with a fresh salt of 128 bits for every record, so the log can neither be searched nor two records of one vehicle be linked, and a
record whose salt is destroyed is erased. Nothing is ever overwritten: a correction is a new record. What a series of records says
about a vehicle is `shared.records.sequence`'s business; whether a foreign record may join it, `shared.records.admission`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from shared.core.clock import NS_PER_MS, NS_PER_S, UtcNs
from shared.core.errors import EncodeError, RecordError
from shared.core.itstime import utc_from_text, utc_text
from shared.records.credential import VehicleCredential, credential_of
from shared.records.fields import HASH
from shared.records.issuers import Issuer, IssuerRole, check_may_issue
from shared.records.kind import OCCURRED, KindSpec, RecordKind
from shared.records.kinds import KINDS, spec_of
from shared.records.odometer import (
    BootTime,
    HardwareCount,
    OdometerFlag,
    OdometerSource,
    RecordReason,
    Verdict,
    boot_of,
    counter_of,
    missing_permille_of,
    nonce_of,
    reason_of,
    sources_of,
    verdict_of,
)
from shared.records.sd_jwt import (
    Entropy,
    RecordSigner,
    SdJwt,
    decode_base64url,
    encode_base64url,
    issue_sd_jwt,
    read_sd_jwt,
    verify_sd_jwt,
)
from shared.records.strict_json import MAX_SAFE_INTEGER, Json

RECORD_TYPE = "v2x-record+sd-jwt"
COMMITMENT_BYTES = 32
COMMITMENT_SALT_BYTES = 16
MAX_OCCURRED_NS = 253_402_300_800 * NS_PER_S
"""The year 10,000."""

HASH_CHARACTERS = 43
"""A SHA-256 hash in base64url."""

UNKNOWN_COMMITMENT = bytes(COMMITMENT_BYTES)
"""What a vehicle that has lost every record, but knows how many there were, names as the one before."""

VISIBLE = ("kind", "seq", "prev", "flags", "next_credential", "subject", "corrects")
"""Claims nobody can leave out."""

FLAGS_OF_ANY_KIND = (OdometerFlag.CLOCK_NOT_SET, OdometerFlag.SEQUENCE_RESUMED)

_COMMITMENT_DOMAIN = b"v2x-trust record commitment v1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is stated about a vehicle.

    Attributes:
        kind: what it is about; the newest version of its table says what may be stated.
        seq: number of the record, from 0 without gaps.
        prev: commitment of record `seq` - 1; None for the first.
        occurred: when it happened, to the millisecond; None if the clock was not set.
        fields: the kind's own claims, as JSON values; what is not known is None or left out.
        flags: what was odd; those of `FLAGS_OF_ANY_KIND`, and those the kind's own table knows.
        successor: the credential that signs for the vehicle from the next record on; with `RecordReason.CREDENTIAL_RENEWED`.
        subject: `kid` of the vehicle's credential; with, and only with, a signer that is not the vehicle.
        corrects: number of the earlier record that this one puts right; None where it does not.
    """

    kind: RecordKind
    seq: int
    prev: bytes | None
    occurred: UtcNs | None
    fields: Mapping[str, Json]
    flags: tuple[OdometerFlag, ...] = ()
    successor: VehicleCredential | None = None
    subject: str | None = None
    corrects: int | None = None

    @property
    def odometer_m(self) -> int | None:
        """The reading in metres that it states, if it states one."""
        return _integer_or_none(self.fields.get("odometer_m"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRecord:
    """A record as it is stored: the token with every disclosure, the salt of its commitment, and the commitment.

    Attributes:
        record: what it states.
        sd_jwt: compact form.
        salt: 16 bytes; whoever has them can show that the log holds this record.
        commitment: 32 bytes, the log entry.
        credential: under which it is signed.
        role: of whoever signed it.
    """

    record: Record
    sd_jwt: str
    salt: bytes
    commitment: bytes
    credential: VehicleCredential
    role: IssuerRole = IssuerRole.VEHICLE


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosedRecord:
    """What a verified token shows; `hidden` names what its holder left out, `version` is that of the kind's table.

    `occurred` is also None where the vehicle itself did not know the date. `fields` are the kind's other claims that are shown,
    each checked against its table. `next_credential` is the `kid` of the credential this record hands over to, `subject` that of
    the vehicle where somebody else signed, `corrects` the number of the record it puts right; None where there is none.
    """

    kind: RecordKind
    version: int = 1
    seq: int
    prev: bytes | None
    flags: tuple[OdometerFlag, ...] = ()
    occurred: UtcNs | None = None
    fields: Mapping[str, Json]
    next_credential: str | None = None
    subject: str | None = None
    corrects: int | None = None
    hidden: tuple[str, ...] = ()

    @property
    def odometer_m(self) -> int | None:
        """The reading in metres, None if it is hidden or there is none."""
        return _integer_or_none(self.fields.get("odometer_m"))

    @property
    def reason(self) -> RecordReason | None:
        """Why an odometer reading was recorded, None if hidden."""
        return reason_of(self.fields) if self.kind is RecordKind.ODOMETER else None

    @property
    def sources(self) -> tuple[OdometerSource, ...]:
        """Where an odometer reading came from, empty if hidden."""
        return sources_of(self.fields) if self.kind is RecordKind.ODOMETER else ()

    @property
    def boot(self) -> BootTime | None:
        """Boot time of an odometer reading, None if hidden."""
        return boot_of(self.fields) if self.kind is RecordKind.ODOMETER else None

    @property
    def verdict(self) -> Verdict | None:
        """What other witnesses said about an odometer reading, None if hidden or nobody judged."""
        return verdict_of(self.fields) if self.kind is RecordKind.ODOMETER else None

    @property
    def missing_permille(self) -> int | None:
        """Share of the distance that an odometer does not count, None if hidden or not known."""
        return missing_permille_of(self.fields) if self.kind is RecordKind.ODOMETER else None

    @property
    def nonce(self) -> bytes | None:
        """Challenge of an inspector that an odometer reading answers, None if hidden or nobody asked."""
        return nonce_of(self.fields) if self.kind is RecordKind.ODOMETER else None

    @property
    def counter(self) -> HardwareCount | None:
        """Where the counter beside the records stood with an odometer reading, None if hidden or there is none."""
        return counter_of(self.fields) if self.kind is RecordKind.ODOMETER else None


def commitment_of(jwt: str, salt: bytes) -> bytes:
    """Return the commitment to an issuer-signed JWT; it does not depend on what is disclosed."""
    return sha256(_COMMITMENT_DOMAIN + salt + jwt.encode()).digest()


def sign_record(record: Record, signer: RecordSigner, entropy: Entropy) -> SignedRecord:
    """Sign a record of the vehicle's own and commit to it.

    Raises:
        EncodeError: a value is impossible.
    """
    if record.subject is not None:
        raise EncodeError("record.subject", "a vehicle is itself the subject of what it signs")
    token = sign_token(record, signer, entropy)
    return commit_to(record, token, credential_of(signer), entropy)


def sign_token(record: Record, signer: RecordSigner, entropy: Entropy) -> SdJwt:
    """Sign a record without committing to it: what a foreign issuer hands to the vehicle.

    Raises:
        EncodeError: a value is impossible.
    """
    spec = KINDS[record.kind]
    _check_record(record, spec)
    credential = credential_of(signer)
    if record.successor is not None and record.successor.id == credential.id:
        raise EncodeError("record.successor", "a credential does not hand over to itself")
    visible: dict[str, Json] = {"kind": spec.claim, "seq": record.seq}
    if record.prev is not None:
        visible["prev"] = encode_base64url(record.prev)
    if record.flags or record.kind is RecordKind.ODOMETER:
        visible["flags"] = [flag.value for flag in record.flags]
    if record.successor is not None:
        visible["next_credential"] = record.successor.id
    if record.subject is not None:
        visible["subject"] = record.subject
    if record.corrects is not None:
        visible["corrects"] = record.corrects
    moment = None if record.occurred is None else utc_text(record.occurred)
    hidden = {name: moment if name == OCCURRED else record.fields.get(name) for name in spec.hideable}
    return issue_sd_jwt(typ=RECORD_TYPE, visible=visible, hidden=hidden, signer=signer, entropy=entropy)


def commit_to(
    record: Record, token: SdJwt, credential: VehicleCredential, entropy: Entropy, role: IssuerRole = IssuerRole.VEHICLE
) -> SignedRecord:
    """Commit to a signed token; the salt is the vehicle's, whoever signed.

    Raises:
        EncodeError: the source of entropy ran dry.
    """
    salt = entropy(COMMITMENT_SALT_BYTES)
    if len(salt) != COMMITMENT_SALT_BYTES:
        raise EncodeError("record.salt", f"the entropy source gave {len(salt)} bytes, not {COMMITMENT_SALT_BYTES}")
    commitment = commitment_of(token.jwt, salt)
    return SignedRecord(record=record, sd_jwt=token.encode(), salt=salt, commitment=commitment, credential=credential, role=role)


def _check_record(record: Record, spec: KindSpec) -> None:
    if not 0 <= record.seq <= MAX_SAFE_INTEGER or (record.prev is None) is not (record.seq == 0):
        raise EncodeError("record.seq", "numbered from 0, and every record but the first names the one before it")
    if record.prev is not None and len(record.prev) != COMMITMENT_BYTES:
        raise EncodeError("record.prev", f"a commitment has {COMMITMENT_BYTES} bytes")
    if record.occurred is not None and (not 0 <= record.occurred < MAX_OCCURRED_NS or record.occurred % NS_PER_MS):
        raise EncodeError("record.occurred", "outside 1970 to 9999, or not a whole millisecond")
    if len(set(record.flags)) != len(record.flags) or not set(record.flags) <= set(flags_of(spec)):
        raise EncodeError("record.flags", "a flag appears twice, or is one of odometer records only")
    if record.subject is not None and HASH.fault(record.subject) is not None:
        raise EncodeError("record.subject", "not the kid of a credential")
    if record.corrects is not None and not 0 <= record.corrects < record.seq:
        raise EncodeError("record.corrects", f"record {record.seq} can put right an earlier record only")
    unknown = sorted(set(record.fields) - (set(spec.hideable) - {OCCURRED}))
    if unknown:
        raise EncodeError(f"record.{unknown[0]}", f"{record.kind.words} has no such claim")
    for field in spec.fields:
        fault = None if field.name == OCCURRED else field.fault(record.fields.get(field.name))
        if fault is not None:
            raise EncodeError(f"record.{field.name}", fault)
    _check_order(record.fields, spec)
    renews = reason_of(record.fields) is RecordReason.CREDENTIAL_RENEWED
    if (record.successor is not None) is not (renews and record.kind is RecordKind.ODOMETER):
        raise EncodeError("record.successor", "a record names the next credential if, and only if, that is why it is made")


def _check_order(fields: Mapping[str, Json], spec: KindSpec) -> None:
    fault = disorder(fields, spec)
    if fault is not None:
        raise EncodeError(f"record.{fault[0]}", fault[1])


def disorder(fields: Mapping[str, Json], spec: KindSpec) -> tuple[str, str] | None:
    """Return the first time that stands before the one it follows, and why not; None if all are in order, or hidden."""
    for first, second in spec.in_order:
        begin, end = fields.get(first), fields.get(second)
        if isinstance(begin, str) and isinstance(end, str) and end < begin:
            return second, f"before {first}"
    return None


def flags_of(spec: KindSpec) -> tuple[OdometerFlag, ...]:
    """Return what may be odd about a record of one version of a kind."""
    return tuple(flag for flag in OdometerFlag if flag in FLAGS_OF_ANY_KIND or flag.value in spec.flags)


def verify_record(token: SdJwt, issuer: Issuer) -> DisclosedRecord:
    """Verify a token as a record of an issuer and return what it shows.

    Raises:
        RecordError: `signature`, `type`, `disclosure`, `content`, `role` or `subject`: what does not hold, in a sentence.
    """
    record = _Claims(verify_sd_jwt(token, typ=RECORD_TYPE, key=issuer.key)).record()
    check_may_issue(issuer.role, record.kind)
    if (record.subject is None) is not (issuer.role is IssuerRole.VEHICLE):
        reason = (
            f"{issuer.role.words} signed it, and it does not say about which vehicle"
            if record.subject is None
            else "the vehicle signed it, and it says to be about another one"
        )
        raise RecordError("subject", reason)
    return record


def read_record(token: SdJwt) -> DisclosedRecord:
    """Return what a token shows *without verifying its signature*: for display that says so.

    Raises:
        RecordError: `disclosure`: it shows a claim that is not its own; `content`: not a record.
    """
    return _Claims(read_sd_jwt(token)).record()


class _Claims:
    """Reads the claims of a record strictly."""

    def __init__(self, claims: Mapping[str, Json]) -> None:
        self._claims = claims
        self._spec = spec_of(claims.get("kind"))
        unknown = sorted(set(claims) - {*VISIBLE, *self._spec.hideable})
        if unknown:
            raise RecordError("content", f"{unknown[0][:32]!r} is no claim of {self._spec.kind.words}")

    def record(self) -> DisclosedRecord:
        kind = self._spec.kind
        seq = _integer_or_none(self._claims.get("seq"))
        if seq is None or not 0 <= seq <= MAX_SAFE_INTEGER:
            raise self._wrong("seq")
        prev = None if "prev" not in self._claims else decode_base64url(self._hash("prev"), "prev")
        if (prev is None) is not (seq == 0):
            raise self._wrong("prev")
        fields = self._fields()
        next_credential = None if "next_credential" not in self._claims else self._hash("next_credential")
        reason = reason_of(fields) if kind is RecordKind.ODOMETER else None
        hands_over = next_credential is not None
        if hands_over and kind is not RecordKind.ODOMETER:
            raise self._wrong("next_credential")
        if reason is not None and (reason is RecordReason.CREDENTIAL_RENEWED) is not hands_over:
            raise self._wrong("next_credential")
        subject = None if "subject" not in self._claims else self._hash("subject")
        return DisclosedRecord(
            kind=kind,
            version=self._spec.version,
            seq=seq,
            prev=prev,
            flags=self._flags(),
            occurred=self._occurred(),
            fields=fields,
            next_credential=next_credential,
            subject=subject,
            corrects=self._corrects(seq),
            hidden=tuple(name for name in self._spec.hideable if name not in self._claims),
        )

    def _wrong(self, claim: str, fault: str | None = None) -> RecordError:
        why = "" if fault is None else f": {fault}"
        return RecordError("content", f"{claim} is not what {self._spec.kind.words} may say there{why}")

    def _fields(self) -> dict[str, Json]:
        fields: dict[str, Json] = {}
        for field in self._spec.fields:
            if field.name not in self._claims:
                continue
            value = self._claims[field.name]
            fault = field.fault(value)
            if fault is not None:
                raise self._wrong(field.name, fault)
            if field.name != OCCURRED:
                fields[field.name] = value
        fault_of_order = disorder(fields, self._spec)
        if fault_of_order is not None:
            raise self._wrong(*fault_of_order)
        return fields

    def _hash(self, claim: str) -> str:
        text = self._claims[claim]
        fault = HASH.fault(text)
        if fault is not None or not isinstance(text, str):
            raise self._wrong(claim, fault)
        return text

    def _flags(self) -> tuple[OdometerFlag, ...]:
        if "flags" not in self._claims and self._spec.kind is not RecordKind.ODOMETER:
            return ()
        names = self._claims.get("flags")
        known = {flag.value: flag for flag in flags_of(self._spec)}
        if not isinstance(names, list) or len(names) > len(known):
            raise self._wrong("flags")
        flags = tuple(known[name] for name in names if isinstance(name, str) and name in known)
        if len(set(flags)) != len(names):
            raise self._wrong("flags")
        if not flags and self._spec.kind is not RecordKind.ODOMETER:
            raise self._wrong("flags", "left out where there is none")
        return flags

    def _corrects(self, seq: int) -> int | None:
        if "corrects" not in self._claims:
            return None
        corrects = _integer_or_none(self._claims["corrects"])
        if corrects is None or not 0 <= corrects < seq:
            raise self._wrong("corrects", "not the number of an earlier record")
        return corrects

    def _occurred(self) -> UtcNs | None:
        text = self._claims.get(OCCURRED)
        return utc_from_text(text) if isinstance(text, str) else None


def _integer_or_none(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
