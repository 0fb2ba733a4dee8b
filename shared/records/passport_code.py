"""The code on a printed sheet: one line of text, for a QR code, that ties the sheet to a passport and says what it ends with.

    v2x-passport:1?file=HASH&seq=N&last=HASH&vehicle=HASH&km=KILOMETRES&at=TIME&log=ORIGIN&size=N&root=HASH

`file` is the SHA-256 of the passport's octets. `last` is the commitment of its last record, number `seq`: it names, through the
commitment before it in each record, the whole history, whatever a passport shows of it; so a sheet fits a passport that shows more
or less of the same records, and is told apart from one of other records. `vehicle` is the `kid` under which the vehicle signed
last, `km` and `at` its last reading (empty where hidden), the rest the ledger's checkpoint of the last record. Hashes are
base64url. The code is no proof: whoever prints a sheet can print anything, and what counts is the passport that fits it.
"""

import re
from dataclasses import dataclass, fields
from enum import Enum
from hashlib import sha256
from urllib.parse import quote, unquote

from shared.core.errors import DecodeError, RecordError
from shared.ledger.checkpoint import parse_checkpoint
from shared.records.fields import HASH, MOMENT
from shared.records.passport import Passport, PassportRecord
from shared.records.record import DisclosedRecord, commitment_of, read_record
from shared.records.sd_jwt import encode_base64url

CODE_SCHEME = "v2x-passport:1?"
MAX_CODE_CHARACTERS = 1_024

_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_KM = re.compile(r"(?:0|[1-9][0-9]{0,7})\.[0-9]")


class Fit(Enum):
    """How a passport fits a code."""

    SAME_FILE = "same_file"
    SAME_RECORDS = "same_records"
    """The same history; the file shows more or less of it."""
    LONGER = "longer"
    """The same history, gone on since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassportCode:
    """What a code says, each as text: that of the code itself, spelled as there, so that what is equal is spelled alike."""

    file: str
    seq: str
    last: str
    vehicle: str
    km: str
    at: str
    log: str
    size: str
    root: str

    @property
    def text(self) -> str:
        """The line."""
        return CODE_SCHEME + "&".join(f"{each.name}={quote(getattr(self, each.name), safe=':/.')}" for each in fields(self))


def code_of(passport: Passport, data: bytes) -> PassportCode:
    """Return the code of a passport and its octets.

    Raises:
        RecordError: it holds no record, one that cannot be read, or a ledger with a name too long for a code.
    """
    records = [read_record(item.token) for item in passport.records]
    code = _code(passport, records, sha256(data).digest(), len(records))
    if len(code.text) > MAX_CODE_CHARACTERS:
        raise RecordError("sheet", f"the name of the ledger is too long: a code has at most {MAX_CODE_CHARACTERS} characters")
    return code


def _code(passport: Passport, records: list[DisclosedRecord], digest: bytes, until: int) -> PassportCode:
    """Return the code of the first `until` records."""
    if until == 0:
        raise RecordError("empty", "the passport holds no record; there is nothing to print")
    place = until - 1
    own = next((n for n in range(place, -1, -1) if records[n].subject is None), None)
    read = next((n for n in range(place, -1, -1) if records[n].odometer_m is not None and records[n].subject is None), None)
    vehicle = records[place].subject or "" if own is None else passport.records[own].credential
    if vehicle and HASH.fault(vehicle) is not None:
        raise RecordError("issuer", "the vehicle's last record names no credential under which it could be signed")
    return PassportCode(
        file=encode_base64url(digest),
        seq=str(records[place].seq),
        last=_commitment(passport.records[place]),
        vehicle=vehicle,
        km="" if read is None else f"{(records[read].odometer_m or 0) / 1000:.1f}",
        at="" if read is None else _moment(passport.records[read]),
        **_checkpoint(passport.records[place]),
    )


def _commitment(item: PassportRecord) -> str:
    return encode_base64url(commitment_of(item.token.jwt, item.salt))


def _moment(item: PassportRecord) -> str:
    shown = next((each.value for each in item.token.disclosures if each.name == "occurred"), None)
    return shown if isinstance(shown, str) else ""


def _checkpoint(item: PassportRecord) -> dict[str, str]:
    try:
        checkpoint = parse_checkpoint(item.proof.signed_note.body)
    except DecodeError as error:
        raise RecordError("ledger", f"the ledger's checkpoint cannot be read: {error}") from None
    return {"log": checkpoint.origin, "size": str(checkpoint.tree_size), "root": encode_base64url(checkpoint.root)}


def parse_code(text: str) -> PassportCode:
    """Parse the line strictly.

    Raises:
        DecodeError: it is no such code; the sentence says where.
    """
    if len(text) > MAX_CODE_CHARACTERS:
        raise DecodeError("code", f"{len(text)} characters; at most {MAX_CODE_CHARACTERS} are read")
    if not text.startswith(CODE_SCHEME):
        raise DecodeError("code", f"does not begin with {CODE_SCHEME}")
    parts = [part.partition("=") for part in text.removeprefix(CODE_SCHEME).split("&")]
    names = [each.name for each in fields(PassportCode)]
    if [name for name, _, _ in parts] != names:
        raise DecodeError("code", f"does not say, in this order: {', '.join(names)}")
    code = PassportCode(**{name: unquote(value) for name, _, value in parts})
    for name in ("file", "last", "root", "vehicle"):
        if HASH.fault(getattr(code, name)) is not None and not (name == "vehicle" and code.vehicle == ""):
            raise DecodeError(f"code.{name}", "not a SHA-256 hash in base64url")
    for name in ("seq", "size"):
        if _NUMBER.fullmatch(getattr(code, name)) is None:
            raise DecodeError(f"code.{name}", "not a number")
    if code.km and _KM.fullmatch(code.km) is None:
        raise DecodeError("code.km", "not kilometres with one decimal")
    if code.at and MOMENT.fault(code.at) is not None:
        raise DecodeError("code.at", "not a time in UTC")
    if code.text != text:
        raise DecodeError("code", "not spelled the one way a code is")
    return code


def check_code(code: PassportCode, passport: Passport, data: bytes) -> Fit:
    """Check that a sheet's code and a passport belong together; what the passport itself is worth, this does not say.

    Raises:
        RecordError: `sheet`: they do not, and why.
    """
    records = [read_record(item.token) for item in passport.records]
    digest = sha256(data).digest()
    ends = [n for n, item in enumerate(passport.records, 1) if _commitment(item) == code.last]
    if not ends:
        raise RecordError("sheet", "the sheet is of other records than this passport: its last record is not among them")
    is_same = encode_base64url(digest) == code.file
    of_file = _code(passport, records, digest, len(records) if is_same else ends[-1])
    if is_same:
        compared = [each.name for each in fields(PassportCode)]
        fit = Fit.SAME_FILE
    else:
        compared = ["seq", "vehicle"] + [
            name for name in ("km", "at") if of_file.km and code.km and getattr(of_file, name) and getattr(code, name)
        ]
        fit = Fit.SAME_RECORDS if ends[-1] == len(records) else Fit.LONGER
    for name in compared:
        of_sheet, there = getattr(code, name), getattr(of_file, name)
        if of_sheet != there:
            raise RecordError(
                "sheet", f"the sheet was altered: it says {name} {of_sheet or 'nothing'}, the passport {there or 'nothing'}"
            )
    return fit
