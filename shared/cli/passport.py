"""`v2x passport`: what a vehicle's passport claims (`show`) and what it proves (`verify`).

`verify` needs no network: the roots are in a trust directory, the ledgers and witnesses in a policy file. It is the one place where
records meet certificates: the enclosed enrolment credential is chained through the enclosed authority to a trusted root, at `--at`
or else at the date of the newest reading, and every dated reading must lie in the credential's time. Exit status: 0 if every check
held (whatever the readings say about the vehicle), 1 if one failed, 2 for wrong usage.
"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.core.clock import TimeSource, UtcNs
from shared.core.errors import ConfigError, DecodeError, RecordError, VerificationError
from shared.core.itstime import time64_of, utc_from_text, utc_text
from shared.ledger.policy import MAX_POLICY_BYTES, Policy, parse_policy
from shared.records.passport import (
    MAX_PASSPORT_BYTES,
    Passport,
    Reading,
    VerifiedPassport,
    parse_passport,
    read_passport,
    verify_passport,
)
from shared.records.sd_jwt import Es256PublicKey
from shared.records.sequence import Finding, day_text, km_text
from shared.security.certificate import Certificate, decode_certificate
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import TrustStore
from shared.service.keystore import read_bounded
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_trust_directory

app = typer.Typer(help="Show and verify vehicle passports.", no_args_is_help=True)

PassportFile = Annotated[Path, typer.Argument(help="A passport (.json).", metavar="FILE")]


@app.command()
def show(file: PassportFile) -> None:
    """Print what a passport claims; nothing is verified."""
    claimed = read_passport(_read(file))
    console = Console()
    console.print("Not verified: this is what the file claims. `v2x passport verify` checks it.", style="yellow")
    console.print(_table(claimed.readings))
    _print_findings(console, claimed.findings)


@app.command()
def verify(
    file: PassportFile,
    trust: Annotated[Path, typer.Option(help="Trust directory with roots/.", metavar="DIR")],
    policy: Annotated[Path, typer.Option(help="Ledgers and witnesses that count (tlog-policy).", metavar="FILE")],
    at: Annotated[
        str | None,
        typer.Option(help="When certificates must be valid, ISO 8601 with offset; default: the newest reading.", metavar="UTC"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Check every signature, proof and certificate of a passport, offline."""
    moment = None if at is None else _moment(at)
    store = read_trust_directory(trust)
    parsed_policy = _read_policy(policy)
    try:
        verified = verify_with_trust(_read(file), store=store, policy=parsed_policy, at=moment)
    except RecordError as error:
        if as_json:
            typer.echo(json.dumps({"verified": False, "check": error.check, "reason": error.reason}, ensure_ascii=False))
            raise typer.Exit(1) from None
        raise
    if as_json:
        typer.echo(json.dumps(_as_json(verified), ensure_ascii=False))
        return
    console = Console()
    console.print(_table(verified.readings))
    _print_findings(console, verified.findings)
    logs = sorted({reading.log for reading in verified.readings})
    count = len(verified.readings)
    records = "1 record is genuine" if count == 1 else f"All {count} records are genuine"
    console.print(f"{records}: signed by the vehicle, unchanged, and held by {', '.join(logs)}.", style="green", markup=False)


def verify_with_trust(passport: Passport, *, store: TrustStore, policy: Policy, at: UtcNs | None) -> VerifiedPassport:
    """Verify a passport down to the roots of a trust store.

    Args:
        passport: parsed.
        store: trusted roots.
        policy: ledgers and witnesses that count.
        at: when the certificates must have been valid; None for the date of the newest dated reading.

    Raises:
        RecordError: the check that failed; `certificate` for those of this function.
    """
    credential = _certificate(passport.enrolment_credential, "the vehicle's enrolment credential")
    authority = _certificate(passport.enrolment_authority, "the enrolment authority's certificate")
    verified = verify_passport(passport, policy=policy, issuer_key=_key_of(credential))
    dates = [reading.occurred for reading in verified.readings if reading.occurred is not None]
    moment = at
    if moment is None:
        moment = max(dates) if dates else SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc()
    _check_chain(credential, authority, store, moment)
    for date in dates:
        if not _is_valid_at(credential, date):
            detail = f"a reading is dated {day_text(date)}, when the vehicle's enrolment credential was not valid"
            raise RecordError("certificate", detail)
    return verified


def _key_of(credential: Certificate) -> Es256PublicKey:
    if credential.tbs.curve is not Curve.NIST_P256:
        raise RecordError("certificate", "the vehicle's enrolment credential holds no P-256 key; records are signed with ES256")
    try:
        return Es256PublicKey(credential.public_key().sec1)
    except DecodeError as error:
        raise RecordError("certificate", f"the vehicle's enrolment credential holds no usable key: {error}") from None


def _check_chain(credential: Certificate, authority: Certificate, store: TrustStore, moment: UtcNs) -> None:
    try:
        enclosed = TrustStore.of_operator(tuple(store.roots.values()), (authority,))
        verifier = ChainVerifier(trust_store=enclosed, areas=NO_IDENTIFIED_AREAS)
        verifier.check_enrolment_credential(credential, time64_of(moment))
    except (VerificationError, ConfigError, DecodeError) as error:
        raise RecordError("certificate", f"the vehicle's identity does not lead to a trusted root: {error}") from None
    except ValueError as error:
        raise RecordError("certificate", f"no certificate was valid at {utc_text(moment)}: {error}") from None


def _is_valid_at(credential: Certificate, date: UtcNs) -> bool:
    try:
        return credential.validity.contains(time64_of(date))
    except ValueError:
        return False


def _certificate(encoded: bytes, name: str) -> Certificate:
    try:
        return decode_certificate(encoded)
    except DecodeError as error:
        raise RecordError("certificate", f"{name} in the passport is damaged or altered: {error}") from None


def _read(file: Path) -> Passport:
    return parse_passport(read_bounded(file, MAX_PASSPORT_BYTES))


def _read_policy(file: Path) -> Policy:
    try:
        return parse_policy(read_bounded(file, MAX_POLICY_BYTES))
    except DecodeError as error:
        raise ConfigError(str(file), str(error)) from None


def _moment(text: str) -> UtcNs:
    try:
        moment = utc_from_text(text)
        time64_of(moment)
    except (ValueError, OverflowError) as error:
        raise ConfigError("--at", f"{text!r} is no moment since 2004 with its offset: {error}") from None
    return moment


def _table(readings: tuple[Reading, ...]) -> Table:
    table = Table(title="Odometer readings")
    table.add_column("No.", justify="right")
    table.add_column("Date (UTC)")
    table.add_column("Odometer", justify="right")
    table.add_column("Since the one above", justify="right")
    table.add_column("Recorded")
    table.add_column("Source")
    table.add_column("Remarks")
    for reading in readings:
        since_m = reading.since_previous_m
        remarks = ", ".join(flag.value.replace("_", " ") for flag in reading.flags)
        is_back = since_m is not None and since_m < 0
        table.add_row(
            str(reading.seq),
            "not shown" if reading.occurred is None else utc_text(reading.occurred)[:16].replace("T", " "),
            "hidden" if reading.odometer_m is None else km_text(reading.odometer_m),
            "" if since_m is None else km_text(since_m),
            "hidden" if reading.reason is None else reading.reason.value.replace("_", " "),
            escape(", ".join(source.name for source in reading.sources)) or "hidden",
            "ROLLED BACK" if is_back else remarks,
            style="bold red" if is_back or remarks else None,
        )
    return table


def _print_findings(console: Console, findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        mark, style = ("! ", "bold red") if finding.is_serious else ("- ", "yellow")
        console.print(mark + finding.text, style=style, markup=False)
    if not any(finding.is_serious for finding in findings):
        console.print("The readings shown follow each other without a gap and never fall.")


def _as_json(verified: VerifiedPassport) -> dict[str, object]:
    return {
        "verified": True,
        "clean": verified.is_clean,
        "readings": [
            {
                "seq": r.seq,
                "occurred": None if r.occurred is None else utc_text(r.occurred),
                "odometer_m": r.odometer_m,
                "since_previous_m": r.since_previous_m,
                "reason": None if r.reason is None else r.reason.value,
                "sources": [{"name": s.name, "odometer_m": s.odometer_m, "age_ms": s.age_ms} for s in r.sources],
                "flags": [flag.value for flag in r.flags],
                "log": r.log,
                "log_index": r.log_index,
                "witnesses": list(r.witnesses),
            }
            for r in verified.readings
        ],
        "findings": [{"kind": f.kind.value, "seq": f.seq, "serious": f.is_serious, "text": f.text} for f in verified.findings],
    }
