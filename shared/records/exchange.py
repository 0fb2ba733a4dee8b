"""What a vehicle and an issuer of records give each other, as files: a slot one way, an issued record back.

    {"format": "v2x-record-slot/1", "seq": 58, "prev": base64url, "subject": kid, "flags": []}
    {"format": "v2x-issued-record/1", "sd_jwt": token, "credential": base64url, "authority": base64url}

A slot is the next place in the vehicle's one sequence: whoever signs a record for it signs its number, the record before it and the
vehicle it is about. Nothing in a slot is secret, and it says nothing else about the vehicle; it is good for one record, and only
until the vehicle makes one of its own. Neither file is signed as such: a wrong slot gives a record that does not fit, and an issued
record carries its issuer's signature. Whether the vehicle takes it is `shared.records.admission`'s business.
"""

from dataclasses import dataclass

from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.records.credential import VehicleCredential
from shared.records.fields import HASH, Choice, Field, Many, Whole
from shared.records.odometer import OdometerFlag
from shared.records.record import FLAGS_OF_ANY_KIND
from shared.records.sd_jwt import SdJwt, decode_base64url, encode_base64url, parse_sd_jwt
from shared.records.strict_json import MAX_SAFE_INTEGER, Json, encode_json_lines, parse_json

SLOT_FORMAT = "v2x-record-slot/1"
ISSUED_FORMAT = "v2x-issued-record/1"
MAX_SLOT_BYTES = 1_024
MAX_ISSUED_BYTES = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The next place in a vehicle's sequence.

    Attributes:
        seq: number of the record that belongs there.
        prev: commitment of the record before it; None for the first.
        subject: `kid` of the credential that signs for the vehicle.
        flags: what the record must say was odd: that the sequence was resumed, or nothing.
    """

    seq: int
    prev: bytes | None
    subject: str
    flags: tuple[OdometerFlag, ...] = ()

    def encode(self) -> bytes:
        """Return the file."""
        return encode_json_lines(self.claims()).encode()

    def claims(self) -> dict[str, Json]:
        """Return it as JSON values."""
        prev: dict[str, Json] = {} if self.prev is None else {"prev": encode_base64url(self.prev)}
        flags: list[Json] = [flag.value for flag in self.flags]
        return {"format": SLOT_FORMAT, "seq": self.seq, **prev, "subject": self.subject, "flags": flags}


def parse_slot(data: bytes) -> Slot:
    """Read a slot.

    Raises:
        RecordError: `format`: it is none.
    """
    try:
        value = parse_json(data, "the slot", MAX_SLOT_BYTES)
    except DecodeError as error:
        raise RecordError("format", str(error)) from None
    if not isinstance(value, dict) or value.get("format") != SLOT_FORMAT:
        raise RecordError("format", f"this is not a slot of the form {SLOT_FORMAT}")
    seq = value.get("seq")
    names = {"format", "seq", "subject", "flags"} | ({"prev"} if seq else set())
    fields = _SLOT_FIELDS[: len(names) - 1]
    faults = [f"{field.name}: {fault}" for field in fields if (fault := field.fault(value.get(field.name))) is not None]
    if set(value) != names or faults:
        raise RecordError("format", f"the slot cannot be used: {faults[0] if faults else 'other claims than those of a slot'}")
    return _slot(value)


_SLOT_FIELDS = (
    Field(name="seq", type=Whole(MAX_SAFE_INTEGER), meaning="Number of the record."),
    Field(name="subject", type=HASH, meaning="The vehicle's `kid`."),
    Field(name="flags", type=Many(Choice(tuple(flag.value for flag in FLAGS_OF_ANY_KIND)), 2), meaning="What is odd."),
    Field(name="prev", type=HASH, meaning="Commitment of the record before; from the second on."),
)


def _slot(value: dict[str, Json]) -> Slot:
    match value:
        case {"seq": int(seq), "subject": str(subject), "flags": list(names), **rest}:
            prev = rest.get("prev")
            return Slot(
                seq=seq,
                prev=decode_base64url(prev, "prev") if isinstance(prev, str) else None,
                subject=subject,
                flags=tuple(flag for flag in FLAGS_OF_ANY_KIND if flag.value in names),
            )
        case _:
            raise AssertionError(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedRecord:
    """A record somebody signed for a vehicle, with what it takes to chain the signature; nothing about it is verified."""

    token: SdJwt
    credential: VehicleCredential

    def encode(self) -> bytes:
        """Return the file."""
        claims: dict[str, Json] = {
            "format": ISSUED_FORMAT,
            "sd_jwt": self.token.encode(),
            "credential": encode_base64url(self.credential.certificate),
            "authority": encode_base64url(self.credential.authority),
        }
        return encode_json_lines(claims).encode()


def parse_issued(data: bytes) -> IssuedRecord:
    """Read an issued record.

    Raises:
        RecordError: `format`: it is none.
    """
    try:
        match parse_json(data, "the record", MAX_ISSUED_BYTES):
            case {"format": fmt, "sd_jwt": str(sd_jwt), "credential": str(certificate), "authority": str(authority), **rest} if (
                fmt == ISSUED_FORMAT and not rest
            ):
                certificates = decode_base64url(certificate, "credential"), decode_base64url(authority, "authority")
                credential = VehicleCredential(certificate=certificates[0], authority=certificates[1])
                return IssuedRecord(token=parse_sd_jwt(sd_jwt), credential=credential)
            case _:
                raise RecordError("format", f"this is not a record of the form {ISSUED_FORMAT}")
    except (DecodeError, EncodeError) as error:
        raise RecordError("format", f"the record cannot be read: {error}") from None
