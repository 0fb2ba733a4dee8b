"""Odometer records: one reading of one vehicle, signed, chained to the record before it, and committed to without being told.

The token always shows the record's kind, its number, the commitment of the record before it and what was odd about the reading;
distance, date, reason, sources and boot time can each be left out. What enters the log is the commitment alone,

    SHA-256("v2x-trust record commitment v1" || 0x0A || salt || issuer-signed JWT)

with a fresh salt of 128 bits for every record, so the log can neither be searched nor two records of one vehicle be linked, and a
record whose salt is destroyed is erased. A record with which a credential hands over to the next one names that one, for all to
see: `next_credential`, the `kid` of every record after it. When a reading becomes a record is `vehicle_agent.odometer`'s business;
what a series of records says about a vehicle is `shared.records.sequence`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from shared.core.clock import NS_PER_MS, NS_PER_S, UtcNs
from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.core.itstime import utc_from_text, utc_text
from shared.records.credential import VehicleCredential, credential_of
from shared.records.sd_jwt import (
    Entropy,
    Es256PublicKey,
    RecordSigner,
    SdJwt,
    decode_base64url,
    encode_base64url,
    issue_sd_jwt,
    verify_sd_jwt,
)
from shared.records.strict_json import MAX_SAFE_INTEGER, Json

RECORD_TYPE = "v2x-record+sd-jwt"
ODOMETER_KIND = "odometer/1"
COMMITMENT_BYTES = 32
COMMITMENT_SALT_BYTES = 16
BOOT_ID_BYTES = 16
MAX_ODOMETER_M = 10_000_000_000
"""Ten million kilometres."""
HASH_CHARACTERS = 43
"""A SHA-256 hash in base64url."""
MAX_SOURCES = 8
MAX_SOURCE_NAME_CHARACTERS = 64
MAX_OCCURRED_NS = 253_402_300_800 * NS_PER_S
"""The year 10,000."""

HIDEABLE = ("odometer_m", "occurred", "reason", "sources", "boot")
"""Claims a holder may leave out."""

_COMMITMENT_DOMAIN = b"v2x-trust record commitment v1\n"


class RecordReason(Enum):
    """Why a record was made."""

    IGNITION_ON = "ignition_on"
    IGNITION_OFF = "ignition_off"
    DISTANCE = "distance"
    TIME = "time"
    FLAG = "flag"
    CREDENTIAL_RENEWED = "credential_renewed"
    """The last one under a credential; the next is signed under the one it names."""


class OdometerFlag(Enum):
    """What was odd about a reading; always visible."""

    ROLLBACK = "rollback"
    """Lower than the reading recorded before."""
    STEP = "step"
    """Higher than the time since the last record allows."""
    SOURCES_DISAGREE = "sources_disagree"
    """Sources differ by more than their resolution explains."""
    CLOCK_NOT_SET = "clock_not_set"
    """The vehicle did not know the date; the boot time orders the record."""
    SEQUENCE_RESUMED = "sequence_resumed"
    """The store of earlier records was lost or damaged; numbering went on knowingly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OdometerSource:
    """One source of a reading: its name, what it said in metres, and how old that was in milliseconds."""

    name: str
    odometer_m: int
    age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BootTime:
    """Time since a start of the vehicle's computer: which start (16 random bytes), and milliseconds since."""

    boot_id: bytes
    elapsed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OdometerRecord:
    """What a vehicle states about its odometer.

    Attributes:
        seq: number of the record, from 0 without gaps.
        prev: commitment of record `seq` - 1; None for the first.
        odometer_m: distance in metres.
        occurred: when it was read, to the millisecond; None if the clock was not set.
        reason: why it was recorded.
        sources: where the reading came from, the one recorded first.
        flags: what was odd.
        boot: boot time of the reading.
        successor: the credential that signs from the next record on; with `RecordReason.CREDENTIAL_RENEWED`, else None.
    """

    seq: int
    prev: bytes | None
    odometer_m: int
    occurred: UtcNs | None
    reason: RecordReason
    sources: tuple[OdometerSource, ...]
    flags: tuple[OdometerFlag, ...]
    boot: BootTime
    successor: VehicleCredential | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRecord:
    """A record as it is stored: the token with every disclosure, the salt of its commitment, and the commitment.

    Attributes:
        record: what it states.
        sd_jwt: compact form.
        salt: 16 bytes; whoever has them can show that the log holds this record.
        commitment: 32 bytes, the log entry.
        credential: under which it is signed.
    """

    record: OdometerRecord
    sd_jwt: str
    salt: bytes
    commitment: bytes
    credential: VehicleCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosedRecord:
    """What a verified token shows; `hidden` names what its holder left out, and those attributes are None.

    `occurred` is also None where the vehicle itself did not know the date. `next_credential` is the `kid` of the credential this
    record hands over to, None where the next one goes on under its own.
    """

    seq: int
    prev: bytes | None
    flags: tuple[OdometerFlag, ...]
    odometer_m: int | None
    occurred: UtcNs | None
    reason: RecordReason | None
    sources: tuple[OdometerSource, ...]
    boot: BootTime | None
    next_credential: str | None
    hidden: tuple[str, ...]


def commitment_of(jwt: str, salt: bytes) -> bytes:
    """Return the commitment to an issuer-signed JWT; it does not depend on what is disclosed."""
    return sha256(_COMMITMENT_DOMAIN + salt + jwt.encode()).digest()


def sign_record(record: OdometerRecord, signer: RecordSigner, entropy: Entropy) -> SignedRecord:
    """Sign a record and commit to it.

    Raises:
        EncodeError: a value is impossible.
    """
    _check_record(record)
    credential = credential_of(signer)
    if record.successor is not None and record.successor.id == credential.id:
        raise EncodeError("record.successor", "a credential does not hand over to itself")
    visible: dict[str, Json] = {"kind": ODOMETER_KIND, "seq": record.seq}
    if record.prev is not None:
        visible["prev"] = encode_base64url(record.prev)
    visible["flags"] = [flag.value for flag in record.flags]
    if record.successor is not None:
        visible["next_credential"] = record.successor.id
    hidden: dict[str, Json] = {
        "odometer_m": record.odometer_m,
        "occurred": None if record.occurred is None else utc_text(record.occurred),
        "reason": record.reason.value,
        "sources": [{"name": s.name, "odometer_m": s.odometer_m, "age_ms": s.age_ms} for s in record.sources],
        "boot": {"id": record.boot.boot_id.hex(), "elapsed_ms": record.boot.elapsed_ms},
    }
    token = issue_sd_jwt(typ=RECORD_TYPE, visible=visible, hidden=hidden, signer=signer, entropy=entropy)
    salt = entropy(COMMITMENT_SALT_BYTES)
    if len(salt) != COMMITMENT_SALT_BYTES:
        raise EncodeError("record.salt", f"the entropy source gave {len(salt)} bytes, not {COMMITMENT_SALT_BYTES}")
    commitment = commitment_of(token.jwt, salt)
    return SignedRecord(record=record, sd_jwt=token.encode(), salt=salt, commitment=commitment, credential=credential)


def _check_record(record: OdometerRecord) -> None:
    if not 0 <= record.seq <= MAX_SAFE_INTEGER or (record.prev is None) is not (record.seq == 0):
        raise EncodeError("record.seq", "numbered from 0, and every record but the first names the one before it")
    if record.prev is not None and len(record.prev) != COMMITMENT_BYTES:
        raise EncodeError("record.prev", f"a commitment has {COMMITMENT_BYTES} bytes")
    if not 0 <= record.odometer_m <= MAX_ODOMETER_M:
        raise EncodeError("record.odometer_m", f"{record.odometer_m} m is no odometer reading")
    if record.occurred is not None and (not 0 <= record.occurred < MAX_OCCURRED_NS or record.occurred % NS_PER_MS):
        raise EncodeError("record.occurred", "outside 1970 to 9999, or not a whole millisecond")
    if not 1 <= len(record.sources) <= MAX_SOURCES:
        raise EncodeError("record.sources", f"{len(record.sources)} sources; a record has 1 to {MAX_SOURCES}")
    for source in record.sources:
        if not 1 <= len(source.name) <= MAX_SOURCE_NAME_CHARACTERS or not source.name.isprintable():
            raise EncodeError("record.sources.name", f"{source.name!r} is no name")
        if not (0 <= source.odometer_m <= MAX_ODOMETER_M and 0 <= source.age_ms <= MAX_SAFE_INTEGER):
            raise EncodeError("record.sources", f"{source.name}: impossible distance or age")
    if len(record.boot.boot_id) != BOOT_ID_BYTES or not 0 <= record.boot.elapsed_ms <= MAX_SAFE_INTEGER:
        raise EncodeError("record.boot", "16 bytes name a start, and time since then is not negative")
    if len(set(record.flags)) != len(record.flags):
        raise EncodeError("record.flags", "a flag appears twice")
    if (record.successor is not None) is not (record.reason is RecordReason.CREDENTIAL_RENEWED):
        raise EncodeError("record.successor", "a record names the next credential if, and only if, that is why it is made")


def verify_record(token: SdJwt, key: Es256PublicKey) -> DisclosedRecord:
    """Verify a token as an odometer record and return what it shows.

    Raises:
        RecordError: `signature`, `type`, `disclosure` or `content`: what does not hold, in a sentence.
    """
    return _Claims(verify_sd_jwt(token, typ=RECORD_TYPE, key=key)).record()


def read_record(token: SdJwt) -> DisclosedRecord:
    """Return what a token shows *without verifying its signature*: for display that says so.

    Raises:
        RecordError: not an odometer record.
    """
    claims: dict[str, Json] = {name: value for name, value in token.payload.items() if not name.startswith("_sd")}
    claims.update({d.name: d.value for d in token.disclosures if d.name is not None})
    return _Claims(claims).record()


def _wrong(claim: str) -> RecordError:
    return RecordError("content", f"{claim} is not what an odometer record may say there")


class _Claims:
    """Reads the claims of an odometer record strictly."""

    def __init__(self, claims: Mapping[str, Json]) -> None:
        self._claims = claims
        unknown = sorted(set(claims) - {"kind", "seq", "prev", "flags", "next_credential", *HIDEABLE})
        if unknown or claims.get("kind") != ODOMETER_KIND:
            raise RecordError("content", f"not an odometer record of version 1{': ' + unknown[0][:32] if unknown else ''}")

    def record(self) -> DisclosedRecord:
        seq = _integer(self._claims.get("seq"), "seq", MAX_SAFE_INTEGER)
        prev = self._prev()
        if (prev is None) is not (seq == 0):
            raise _wrong("prev")
        reason, next_credential = self._reason(), self._next_credential()
        if reason is not None and (reason is RecordReason.CREDENTIAL_RENEWED) is not (next_credential is not None):
            raise _wrong("next_credential")
        return DisclosedRecord(
            seq=seq,
            prev=prev,
            flags=self._flags(),
            odometer_m=self._odometer_m(),
            occurred=self._occurred(),
            reason=reason,
            sources=self._sources(),
            boot=self._boot(),
            next_credential=next_credential,
            hidden=tuple(name for name in HIDEABLE if name not in self._claims),
        )

    def _prev(self) -> bytes | None:
        return None if "prev" not in self._claims else self._hash("prev")

    def _next_credential(self) -> str | None:
        return None if "next_credential" not in self._claims else encode_base64url(self._hash("next_credential"))

    def _hash(self, claim: str) -> bytes:
        text = self._claims[claim]
        if not isinstance(text, str) or len(text) != HASH_CHARACTERS:
            raise _wrong(claim)
        try:
            return decode_base64url(text, claim)
        except DecodeError:
            raise _wrong(claim) from None

    def _flags(self) -> tuple[OdometerFlag, ...]:
        names = self._claims.get("flags")
        known = {flag.value: flag for flag in OdometerFlag}
        if not isinstance(names, list) or len(names) > len(known):
            raise _wrong("flags")
        flags = tuple(known[name] for name in names if isinstance(name, str) and name in known)
        if len(set(flags)) != len(names):
            raise _wrong("flags")
        return flags

    def _odometer_m(self) -> int | None:
        return None if "odometer_m" not in self._claims else _integer(self._claims["odometer_m"], "odometer_m", MAX_ODOMETER_M)

    def _occurred(self) -> UtcNs | None:
        text = self._claims.get("occurred")
        if text is None:
            return None
        if not isinstance(text, str) or len(text) != 24:
            raise _wrong("occurred")
        try:
            occurred = utc_from_text(text)
        except (ValueError, OverflowError):
            raise _wrong("occurred") from None
        if not 0 <= occurred < MAX_OCCURRED_NS or utc_text(occurred) != text:
            raise _wrong("occurred")
        return occurred

    def _reason(self) -> RecordReason | None:
        if "reason" not in self._claims:
            return None
        for reason in RecordReason:
            if reason.value == self._claims["reason"]:
                return reason
        raise _wrong("reason")

    def _sources(self) -> tuple[OdometerSource, ...]:
        if "sources" not in self._claims:
            return ()
        items = self._claims["sources"]
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_SOURCES:
            raise _wrong("sources")
        sources = []
        for item in items:
            if not isinstance(item, dict) or set(item) != {"name", "odometer_m", "age_ms"}:
                raise _wrong("sources")
            name = item["name"]
            if not isinstance(name, str) or not 1 <= len(name) <= MAX_SOURCE_NAME_CHARACTERS or not name.isprintable():
                raise _wrong("sources")
            odometer_m = _integer(item["odometer_m"], "sources", MAX_ODOMETER_M)
            age_ms = _integer(item["age_ms"], "sources", MAX_SAFE_INTEGER)
            sources.append(OdometerSource(name=name, odometer_m=odometer_m, age_ms=age_ms))
        return tuple(sources)

    def _boot(self) -> BootTime | None:
        if "boot" not in self._claims:
            return None
        boot = self._claims["boot"]
        if not isinstance(boot, dict) or set(boot) != {"id", "elapsed_ms"}:
            raise _wrong("boot")
        text = boot["id"]
        if not isinstance(text, str) or len(text) != 2 * BOOT_ID_BYTES or not set(text) <= set("0123456789abcdef"):
            raise _wrong("boot")
        return BootTime(boot_id=bytes.fromhex(text), elapsed_ms=_integer(boot["elapsed_ms"], "boot", MAX_SAFE_INTEGER))


def _integer(value: Json, claim: str, maximum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise _wrong(claim)
    return value
