"""`v2x record`: a garage, an inspector, an insurer, a maker or a registrar signs a record for a vehicle; and what a record holds.

    v2x record kinds [KIND]     what may be stated, in which units, and by whom
    v2x record schema           write the JSON Schemas of all kinds, and the page about them
    v2x record key DIR          make an issuer's key where it stays
    v2x record issue            sign a record for the slot that the vehicle told (`vehicle-agent slot`)
    v2x record show FILE        what a slot or an issued record says, and whether it verifies

The vehicle takes the record with `vehicle-agent admit`. What it would refuse is refused here first; whether the slot is still the
next one, only the vehicle knows. Exit status: 0 if the record was signed, or holds; 1 if it was refused; 2 for wrong usage.
"""

import json
import os
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.cli.claim_words import claim_rows, moment_text
from shared.cli.issuer_key import key
from shared.cli.issuer_options import (
    CredentialFolder,
    KeyName,
    KeyUri,
    TrustFolder,
    check_new_file,
    kind_named,
    opened_identity,
    present,
)
from shared.cli.passport_challenge import answered_by_record, answered_json, nonce_of_option
from shared.cli.record_kinds import kinds
from shared.cli.record_schema import schema
from shared.core.errors import ConfigError, DecodeError, RecordError
from shared.records.admission import check_date
from shared.records.challenge import Answered
from shared.records.exchange import (
    ISSUED_FORMAT,
    MAX_ISSUED_BYTES,
    SLOT_FORMAT,
    IssuedRecord,
    Slot,
    parse_issued,
    parse_slot,
)
from shared.records.issuers import Issuer
from shared.records.issuing import check_issues, issue_record, read_statement
from shared.records.kind import OCCURRED
from shared.records.record import DisclosedRecord, read_record, verify_record
from shared.records.strict_json import Json, parse_json
from shared.security.certificate import decode_certificate
from shared.service.config import load_table
from shared.service.keystore import read_bounded, write_new_file
from shared.service.record_issuers import issuer_of, trusted_issuer
from shared.service.trust_directory import read_trust_directory

MAX_FIELDS_BYTES = 65_536
"""Of a file with claims: far more than fits a record."""

PUBLIC_MODE = 0o644

app = typer.Typer(help="Issue records about a vehicle for its next slot, and read them.", no_args_is_help=True)
app.command()(kinds)
app.command()(key)
app.command()(schema)


@app.command()
def issue(
    kind: Annotated[str, typer.Option(help="What the record is about; `v2x record kinds` lists them.")],
    slot: Annotated[Path, typer.Option(help="The slot that the vehicle told (`vehicle-agent slot`).", metavar="FILE")],
    credential: CredentialFolder,
    trust: TrustFolder,
    fields: Annotated[Path, typer.Option(help="What is stated: claims by name, TOML or JSON (by the name's end).", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="New file for the record; it goes to the vehicle.", metavar="FILE")],
    key: KeyUri = None,
    key_name: KeyName = None,
    corrects: Annotated[
        int | None, typer.Option(min=0, help="Number of an earlier record of the same kind that this one puts right.")
    ] = None,
) -> None:
    """Sign a record for a vehicle's next slot, under an enrolment credential whose role may issue such records."""
    of_kind = kind_named(kind, "--kind")
    check_new_file(out, "--out")
    place = parse_slot(read_bounded(slot, MAX_ISSUED_BYTES))
    now = present()
    with opened_identity(credential, keys=key, key_name=key_name, trust=trust, now=now) as identity:
        check_issues(identity.issuer.role, of_kind)
        statement = read_statement(of_kind, _claims(fields), corrects=corrects)
        check_date(place.seq, statement.occurred, now)
        identity.check_dated(statement.occurred)
        issued = issue_record(statement, slot=place, signer=identity.signer, issuer=identity.issuer, now=now, entropy=os.urandom)
    write_new_file(out, issued.encode(), mode=PUBLIC_MODE)
    typer.echo(f"{out}: {of_kind.words} by {identity.issuer.role.words}, number {place.seq} of vehicle {place.subject}")


def _claims(path: Path) -> dict[str, Json]:
    """Read the claims that somebody typed; dates of TOML become the text that records hold."""
    if path.suffix == ".toml":
        return {name: _plain(path, name, value) for name, value in load_table(path).items()}
    if path.suffix != ".json":
        raise ConfigError("--fields", f"{path} ends neither in .toml nor in .json")
    try:
        value = parse_json(read_bounded(path, MAX_FIELDS_BYTES), "the file", MAX_FIELDS_BYTES)
    except DecodeError as error:
        raise ConfigError(str(path), error.reason) from None
    if not isinstance(value, dict):
        raise ConfigError(str(path), "holds no JSON object with claims by name")
    return value


def _plain(path: Path, name: str, value: object) -> Json:
    match value:
        case datetime():
            if value.tzinfo is None:
                raise ConfigError(f"{path}: {name}", "is a time without its offset; write Z for UTC")
            return value.isoformat()
        case date():
            return value.isoformat()
        case time():
            raise ConfigError(f"{path}: {name}", "is a time of no day")
        case dict():
            return {key: _plain(path, f"{name}.{key}", each) for key, each in value.items()}
        case list():
            return [_plain(path, name, each) for each in value]
        case bool() | int() | float() | str():
            return value
        case _:
            raise ConfigError(f"{path}: {name}", "is nothing that a record could hold")


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="An issued record, or a slot.", metavar="FILE")],
    trust: Annotated[
        Path | None, typer.Option(help="Trust directory with roots/: also chain the credential of who signed.", metavar="DIR")
    ] = None,
    *,
    nonce: Annotated[
        str | None, typer.Option(help="A challenge (`v2x passport challenge`) that the record must answer.", metavar="TEXT")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Print what a record file holds, and whether it verifies: its signature, the signer's role and, with --trust, the chain."""
    wanted = nonce_of_option(nonce)
    data = read_bounded(file, MAX_ISSUED_BYTES)
    if _format_of(data) == SLOT_FORMAT:
        if wanted is not None:
            raise ConfigError("--nonce", "is for records: a slot answers nothing")
        _show_slot(parse_slot(data), as_json=as_json)
        return
    issued = parse_issued(data)
    claimed = read_record(issued.token)
    refusal: RecordError | None = None
    issuer: Issuer | None = None
    answered: Answered | None = None
    try:
        issuer = _issuer(issued, claimed, trust)
        verified = verify_record(issued.token, issuer)
        answered = None if wanted is None else answered_by_record(verified, wanted)
    except RecordError as error:
        refusal = error
    if as_json:
        value = _record_json(issued, claimed, issuer, refusal, is_chained=trust is not None)
        typer.echo(json.dumps({**value, "challenge": answered_json(answered)}, ensure_ascii=False))
        if refusal is not None:
            raise typer.Exit(1)
        return
    console = Console()
    console.print(_table(issued, claimed, issuer))
    if refusal is not None:
        raise refusal
    if answered is not None:
        console.print(answered.words, style="green" if trust is not None and answered.is_fresh else "yellow", markup=False)
    if trust is None:
        words = "The signature holds. Whether a root you trust stands behind the signer was not checked: --trust DIR does."
        console.print(words, style="yellow")
    elif issuer is not None:
        console.print(f"Genuine: signed by {issuer.role.words}, unchanged, under a credential of a trusted root.", style="green")


def _format_of(data: bytes) -> str:
    """Return the name of the format a file says to be of; empty where it says none."""
    try:
        value = parse_json(data, "the file", MAX_ISSUED_BYTES)
    except DecodeError as error:
        raise RecordError("format", f"this is neither a record nor a slot: {error.reason}") from None
    name = value.get("format") if isinstance(value, dict) else None
    if name not in (SLOT_FORMAT, ISSUED_FORMAT):
        raise RecordError("format", f"this is neither a record of the form {ISSUED_FORMAT} nor a slot of the form {SLOT_FORMAT}")
    return str(name)


def _issuer(issued: IssuedRecord, claimed: DisclosedRecord, trust: Path | None) -> Issuer:
    """Return whom the enclosed credential belongs to; with a trust directory, chained at the record's date."""
    if issued.token.header.get("kid") != issued.credential.id:
        raise RecordError("issuer", "the record names another credential than the one that came with it")
    if trust is None:
        try:
            return issuer_of(decode_certificate(issued.credential.certificate))
        except DecodeError as error:
            raise RecordError("certificate", f"the credential of whoever signed is damaged: {error}") from None
    at = present().require_utc() if claimed.occurred is None else claimed.occurred
    return trusted_issuer(issued.credential, roots=read_trust_directory(trust), at=at)


def _show_slot(slot: Slot, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(slot.claims()))
        return
    flags = "".join(f", {flag.value.replace('_', ' ')}" for flag in slot.flags)
    typer.echo(f"slot: number {slot.seq} of vehicle {slot.subject}{flags}")


def _table(issued: IssuedRecord, record: DisclosedRecord, issuer: Issuer | None) -> Table:
    table = Table(title=f"{record.kind.value.replace('_', ' ')} record", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row("number", str(record.seq))
    table.add_row("about vehicle", Text(record.subject or "whoever signed it"))
    table.add_row("signed by", f"{'not verified' if issuer is None else issuer.role.words}, credential {issued.credential.id}")
    if record.corrects is not None:
        table.add_row("corrects", f"record {record.corrects}")
    for name, words in claim_rows(record):
        table.add_row(name, Text(words))
    return table


def _record_json(
    issued: IssuedRecord, record: DisclosedRecord, issuer: Issuer | None, refusal: RecordError | None, *, is_chained: bool
) -> Mapping[str, object]:
    refused = {} if refusal is None else {"check": refusal.check, "reason": refusal.reason}
    return {
        "format": ISSUED_FORMAT,
        "kind": record.kind.value,
        "seq": record.seq,
        "subject": record.subject,
        "corrects": record.corrects,
        "flags": [flag.value for flag in record.flags],
        "credential": issued.credential.id,
        "signed_by": None if issuer is None else issuer.role.value,
        "claims": {OCCURRED: moment_text(record.occurred), **record.fields},
        "verified": refusal is None,
        "chained": is_chained and refusal is None,
        **refused,
    }
