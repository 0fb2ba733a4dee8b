"""`v2x data open`: decrypt a vehicle's answer with the key of its request, and verify every signature, proof and certificate in it.

What is verified: that the answer opens under this request and no other; that grant and receipt are the vehicle's own records; that
the grant is to who asked; that the records are those of the receipt, of the kinds asked for, and show no claim beyond; and of every
record what `v2x passport verify` checks. Not verified: that the grant had not been withdrawn when the answer was made, which only
the vehicle's later records tell. Where the dates of records were not asked for, certificates are judged by the day of the answer.
"""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.cli.claim_words import claim_rows, moment_text
from shared.cli.issuer_options import TrustFolder, check_new_file, present
from shared.cli.passport import verify_with_trust
from shared.core.clock import UtcNs
from shared.core.errors import RecordError
from shared.core.itstime import utc_text
from shared.records.data_answer import AnsweredRequest, DataAnswer, parse_answer, verify_answer
from shared.records.data_request import MAX_REQUEST_BYTES, SignedRequest, parse_request
from shared.records.issuers import Issuer
from shared.records.kind import OCCURRED
from shared.records.record import DisclosedRecord, read_record
from shared.security.trust_store import TrustStore
from shared.service.keystore import read_bounded, read_key, write_new_file
from shared.service.online_log import read_policy
from shared.service.record_issuers import trusted_issuer
from shared.service.sealed_answer import MAX_SEALED_BYTES, open_answer
from shared.service.trust_directory import read_trust_directory

REQUEST_FILE = "request.json"
RESPONSE_KEY_FILE = "response-key.pem"
PRIVATE_MODE = 0o600


def open_(
    file: Annotated[Path, typer.Argument(help="The answer, as `vehicle-agent answer` wrote it.", metavar="FILE")],
    request: Annotated[Path, typer.Option(help="Folder that `v2x data request` made.", metavar="DIR")],
    trust: TrustFolder,
    policy: Annotated[Path, typer.Option(help="Ledgers and witnesses that count (tlog-policy).", metavar="FILE")],
    passport: Annotated[
        Path | None, typer.Option(help="Write the records with their proofs to this new file, a passport.", metavar="FILE")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Decrypt an answer and verify everything in it, offline."""
    if passport is not None:
        check_new_file(passport, "--passport")
    asked = parse_request(read_bounded(request / REQUEST_FILE, MAX_REQUEST_BYTES))
    private_key = read_key(request / RESPONSE_KEY_FILE)
    store = read_trust_directory(trust)
    counting = read_policy(policy)
    try:
        data = open_answer(read_bounded(file, MAX_SEALED_BYTES), request_hash=asked.hash, private_key=private_key)
        answer = parse_answer(data)
        at = None if OCCURRED in asked.request.fields else read_record(answer.receipt.token).occurred
        verify = partial(verify_with_trust, store=store, policy=counting, at=at)
        verified = verify_answer(answer, asked, issuers=_issuers(answer, store), verify=verify)
    except RecordError as error:
        if as_json:
            typer.echo(json.dumps({"verified": False, "check": error.check, "reason": error.reason}, ensure_ascii=False))
            raise typer.Exit(1) from None
        raise
    if passport is not None:
        write_new_file(passport, answer.passport.encode(), mode=PRIVATE_MODE)
    records = [read_record(each.token) for each in answer.passport.records]
    if as_json:
        typer.echo(json.dumps(_as_json(verified, records, asked), ensure_ascii=False))
        return
    _print(verified, records)


def _issuers(answer: DataAnswer, store: TrustStore) -> dict[str, Issuer]:
    """Chain the credentials of grant and receipt, each at the date of what it signed."""
    known = {credential.id: credential for credential in answer.credentials}
    issuers = {}
    for lone in (answer.grant, answer.receipt):
        credential = known.get(lone.credential)
        if credential is not None:
            dated = read_record(lone.token).occurred
            at = present().require_utc() if dated is None else dated
            issuers[credential.id] = trusted_issuer(credential, roots=store, at=at)
    return issuers


def _print(verified: AnsweredRequest, records: list[DisclosedRecord]) -> None:
    console = Console()
    table = Table(title="Records of the vehicle", title_justify="left")
    table.add_column("No.", justify="right")
    table.add_column("Kind")
    table.add_column("Signed by")
    table.add_column("What it says", overflow="fold")
    for record, reading in zip(records, verified.passport.readings, strict=True):
        says = "\n".join(f"{name}: {words}" for name, words in claim_rows(record))
        signer = "not verified" if reading.role is None else reading.role.value
        table.add_row(str(record.seq), record.kind.value.replace("_", " "), signer, Text(says))
    console.print(table)
    for finding in verified.passport.findings:
        mark, style = ("! ", "bold red") if finding.is_serious else ("- ", "yellow")
        console.print(mark + finding.text, style=style, markup=False)
    grant, receipt = verified.grant, verified.receipt
    count = "1 record is genuine" if len(records) == 1 else f"All {len(records)} records are genuine"
    logs = ", ".join(sorted({reading.log for reading in verified.passport.readings}))
    console.print(f"{count}: signed, unchanged, and held by {logs}.", style="green", markup=False)
    console.print(
        f"Given{_day(' on', receipt.answered)} with record {receipt.seq} under grant {grant.seq}{_day(' of', grant.granted)}, "
        f"until {utc_text(grant.valid_until)}: {grant.purpose}",
        markup=False,
    )


def _day(word: str, utc: UtcNs | None) -> str:
    return "" if utc is None else f"{word} {utc_text(utc)[:10]}"


def _as_json(verified: AnsweredRequest, records: list[DisclosedRecord], asked: SignedRequest) -> dict[str, object]:
    grant, receipt = verified.grant, verified.receipt
    return {
        "verified": True,
        "vehicle": asked.request.subject,
        "grant": {
            "seq": grant.seq,
            "granted": moment_text(grant.granted),
            "valid_until": utc_text(grant.valid_until),
            "purpose": grant.purpose,
        },
        "receipt": {
            "seq": receipt.seq,
            "answered": moment_text(receipt.answered),
            "given": [[run.first_seq, run.last_seq] for run in receipt.given],
        },
        "records": [
            {
                "seq": record.seq,
                "kind": record.kind.value,
                "signed_by": None if reading.role is None else reading.role.value,
                "claims": _claims(record),
                "log": reading.log,
                "log_index": reading.log_index,
                "witnesses": list(reading.witnesses),
            }
            for record, reading in zip(records, verified.passport.readings, strict=True)
        ],
        "findings": [
            {"kind": finding.kind.value, "seq": finding.seq, "text": finding.text} for finding in verified.passport.findings
        ],
    }


def _claims(record: DisclosedRecord) -> dict[str, object]:
    occurred = {} if record.occurred is None else {"occurred": utc_text(record.occurred)}
    return {**occurred, **record.fields}
