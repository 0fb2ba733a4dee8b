"""`v2x passport`: what a vehicle's passport claims (`show`) and what it proves (`verify`); likewise a roadside unit's evidence.

`verify` needs no network: the roots are in a trust directory, the ledgers and witnesses in a policy file. It is the one place where
records meet certificates: every enclosed enrolment credential is chained through its authority to a trusted root, at the date of
the newest reading it signed (the one that signed last: at `--at`, if given), and every dated reading must lie in its credential's
time. Only the record that hands over to the next credential need not: whoever still has the key says which one is next, however
late, and what comes after is under a credential that is checked itself. Evidence is told from a passport by its first line; what it
proves is `shared.cli.evidence`'s. Exit status: 0 if every check held (whatever the readings
say about the vehicle), 1 if one failed, 2 for wrong usage.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.cli.evidence import judge_evidence
from shared.cli.evidence_words import answer_as_json, print_answer, print_claims
from shared.cli.moments import moment_of
from shared.cli.passport_challenge import answered_by_passport, answered_json, challenge, nonce_of_option
from shared.cli.passport_disclose import disclose_command, withheld_lines
from shared.cli.passport_page import page
from shared.cli.passport_sheet import sheet
from shared.core.clock import TimeSource, UtcNs
from shared.core.errors import ConfigError, DecodeError, RecordError, VerificationError
from shared.core.itstime import time64_of, utc_text
from shared.ledger.policy import Policy
from shared.records.disclosure import Withheld, withheld_from
from shared.records.evidence import is_evidence, parse_evidence
from shared.records.findings import Finding, FindingKind, day_text, km_text
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.passport import (
    Passport,
    Reading,
    VerifiedPassport,
    parse_passport,
    read_passport,
    verify_passport,
)
from shared.records.sd_jwt import Es256PublicKey, encode_base64url
from shared.security.certificate import Certificate, decode_certificate
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve
from shared.security.region import NO_IDENTIFIED_AREAS, IdentifiedAreas
from shared.security.trust_store import TrustStore
from shared.service.identified_areas import read_identified_areas
from shared.service.online_log import read_policy
from shared.service.passport_file import read_passport_octets
from shared.service.record_issuers import role_of
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_trust_directory

app = typer.Typer(help="Show and verify vehicle passports.", no_args_is_help=True)
app.command()(page)
app.command()(sheet)
app.command(name="disclose")(disclose_command)
app.command()(challenge)

COLUMN_GAP = 2
"""Blanks between two columns of readings."""

PassportFile = Annotated[
    Path, typer.Argument(help="A passport (.json), a page that carries one, or a unit's evidence.", metavar="FILE")
]


@app.command()
def show(file: PassportFile) -> None:
    """Print what a passport or evidence claims; nothing is verified."""
    octets = read_passport_octets(file)
    if is_evidence(octets):
        console = Console()
        console.print("Not verified: this is what the file claims. `v2x passport verify` checks it.", style="yellow")
        print_claims(console, parse_evidence(octets))
        return
    passport = parse_passport(octets)
    claimed = read_passport(passport)
    console = Console()
    console.print("Not verified: this is what the file claims. `v2x passport verify` checks it.", style="yellow")
    console.print(_table(claimed.readings, claimed.findings, width=console.width))
    _print_findings(console, claimed.findings)
    _print_withheld(console, passport)


@app.command()
def verify(
    file: PassportFile,
    trust: Annotated[Path, typer.Option(help="Trust directory with roots/.", metavar="DIR")],
    policy: Annotated[Path, typer.Option(help="Ledgers and witnesses that count (tlog-policy).", metavar="FILE")],
    at: Annotated[
        str | None,
        typer.Option(
            help="When the last credential must be valid, ISO 8601 with offset; default: the newest reading.", metavar="UTC"
        ),
    ] = None,
    areas: Annotated[
        Path | None, typer.Option(help="Shapes of identified regions (TOML), for a unit's evidence.", metavar="FILE")
    ] = None,
    nonce: Annotated[
        str | None, typer.Option(help="A challenge (`v2x passport challenge`) that a record must answer.", metavar="TEXT")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Check every signature, proof and certificate of a passport or of a roadside unit's evidence, offline."""
    moment = None if at is None else moment_of(at)
    wanted = nonce_of_option(nonce)
    store = read_trust_directory(trust)
    parsed_policy = read_policy(policy)
    table = NO_IDENTIFIED_AREAS if areas is None else read_identified_areas(areas)
    try:
        octets = read_passport_octets(file)
        if is_evidence(octets):
            if at is not None:
                raise ConfigError("--at", "is for passports: evidence is about the moment it names itself")
            if wanted is not None:
                raise ConfigError("--nonce", "is for passports: it is a vehicle that answers a challenge")
            _verify_evidence(octets, store=store, policy=parsed_policy, areas=table, as_json=as_json)
            return
        passport = parse_passport(octets)
        verified = verify_with_trust(passport, store=store, policy=parsed_policy, at=moment)
        answered = None if wanted is None else answered_by_passport(verified, wanted)
    except RecordError as error:
        if as_json:
            typer.echo(json.dumps({"verified": False, "check": error.check, "reason": error.reason}, ensure_ascii=False))
            raise typer.Exit(1) from None
        if error.check != "challenge":
            typer.echo("Not shown to be genuine: believe nothing in this file.", err=True)
        raise
    if as_json:
        value = _as_json(verified, withheld_from(passport)) | {"challenge": answered_json(answered)}
        typer.echo(json.dumps(value, ensure_ascii=False))
        return
    console = Console()
    console.print(_table(verified.readings, verified.findings, width=console.width))
    _print_findings(console, verified.findings)
    _print_withheld(console, passport)
    console.print(_end_of(verified), markup=False)
    if answered is not None:
        console.print(answered.words, style="green" if answered.is_fresh else "yellow", markup=False)
    logs = sorted({reading.log for reading in verified.readings})
    count = len(verified.readings)
    records = "1 record is genuine" if count == 1 else f"All {count} records are genuine"
    signed = _signed_by(verified)
    genuine = f"{records}: {signed}, unchanged, and held by {', '.join(logs)}."
    if not verified.is_clean:
        console.print(f"{genuine} What they show is serious: see above.", style="bold red", markup=False)
    elif any(each.hides_reading for each in withheld_from(passport)):
        console.print(f"{genuine} Not every reading is shown: see above.", style="yellow", markup=False)
    else:
        console.print(genuine, style="green", markup=False)


def _verify_evidence(octets: bytes, *, store: TrustStore, policy: Policy, areas: IdentifiedAreas, as_json: bool) -> None:
    """Say what a roadside unit's evidence proves; raises `RecordError`."""
    answer = judge_evidence(parse_evidence(octets), store=store, policy=policy, areas=areas)
    if as_json:
        typer.echo(json.dumps(answer_as_json(answer), ensure_ascii=False))
        return
    print_answer(Console(), answer)


def _end_of(verified: VerifiedPassport) -> str:
    """Say how old the records are: nothing else tells a passport of today from one of years ago."""
    last = next((reading for reading in reversed(verified.readings) if reading.is_own), None)
    if last is None or last.made is None:
        return "The vehicle's own last record shows no date: what came after it is not here."
    return f"The vehicle's own last record is of {day_text(last.made)}: what came after it is not here."


def _signed_by(verified: VerifiedPassport) -> str:
    count = len({reading.credential for reading in verified.readings if reading.is_own})
    others = ", ".join(dict.fromkeys(r.role.words for r in verified.readings if r.role is not None and not r.is_own))
    also = f" and by {others}" if others else ""
    if count > 1 and any(finding.kind is FindingKind.CREDENTIAL_NOT_INTRODUCED for finding in verified.findings):
        return f"signed under {count} trusted credentials that are not shown to be one vehicle's{also}"
    if count == 0:
        return f"signed by {others}"
    by = "signed by the vehicle" if count == 1 else f"signed by the vehicle under {count} credentials, one after the other"
    return f"{by}{also}"


def verify_with_trust(passport: Passport, *, store: TrustStore, policy: Policy, at: UtcNs | None) -> VerifiedPassport:
    """Verify a passport down to the roots of a trust store.

    Args:
        passport: parsed.
        store: trusted roots.
        policy: ledgers and witnesses that count.
        at: when the certificates of the credential that signed last must have been valid; None for the date of the newest reading.

    Raises:
        RecordError: the check that failed; `certificate` for those of this function.
    """
    enclosed = _enclosed(passport)
    verified = verify_passport(passport, policy=policy, issuers={each.kid: each.issuer for each in enclosed})
    newest = next((reading.credential for reading in reversed(verified.readings) if reading.is_own), None)
    for number, each in enumerate(enclosed, 1):
        moment = at if at is not None and number == newest else _last_signed(number, verified.readings)
        _check_chain(each, store, SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc() if moment is None else moment)
    for reading in verified.readings:
        each, date = enclosed[reading.credential - 1], reading.occurred
        if date is not None and not reading.hands_over and not _is_valid_at(each.credential, date):
            what = "a reading" if reading.is_own else reading.kind.words
            raise RecordError("certificate", f"{what} is dated {day_text(date)}, when {each.name} was not valid")
    return verified


@dataclass(frozen=True, slots=True, kw_only=True)
class _Enclosed:
    """A credential of a passport, decoded: its `kid`, what to call it, its certificate and its authority's, and whose it is."""

    kid: str
    name: str
    credential: Certificate
    authority: Certificate
    issuer: Issuer


def _enclosed(passport: Passport) -> tuple[_Enclosed, ...]:
    own = 0
    decoded = [(each, _certificate(each.certificate, _name_of(n, passport))) for n, each in enumerate(passport.credentials, 1)]
    roles = [role_of(certificate) for _, certificate in decoded]
    count = roles.count(IssuerRole.VEHICLE)
    enclosed = []
    for (each, credential), role in zip(decoded, roles, strict=True):
        own += role is IssuerRole.VEHICLE
        which = "" if count == 1 else f" number {own} of {count}"
        whose = f"the vehicle's enrolment credential{which}" if role is IssuerRole.VEHICLE else f"the credential of {role.words}"
        authority = _certificate(each.authority, f"the certificate of the authority that issued {whose}")
        issuer = Issuer(key=_key_of(credential, whose), role=role)
        enclosed.append(_Enclosed(kid=each.id, name=whose, credential=credential, authority=authority, issuer=issuer))
    return tuple(enclosed)


def _name_of(number: int, passport: Passport) -> str:
    """What a credential is called before it can be read."""
    count = len(passport.credentials)
    return "the vehicle's enrolment credential" + ("" if count == 1 else f" number {number} of {count}")


def _last_signed(number: int, readings: tuple[Reading, ...]) -> UtcNs | None:
    """Return when credential `number` signed last, as far as dates are shown; None if none is.

    A hand-over may be written late, with a key whose credential has run out: it counts only where there is no other date.
    """
    places = [place for place, reading in enumerate(readings) if reading.credential == number]
    own = [readings[place] for place in places]
    for considered in ([r for r in own if not r.hands_over], own, readings[: places[-1]]):
        dates = [reading.occurred for reading in considered if reading.occurred is not None]
        if dates:
            return max(dates)
    return min((reading.occurred for reading in readings if reading.occurred is not None), default=None)


def _key_of(credential: Certificate, name: str) -> Es256PublicKey:
    if credential.tbs.curve is not Curve.NIST_P256:
        raise RecordError("certificate", f"{name} holds no P-256 key; records are signed with ES256")
    try:
        return Es256PublicKey(credential.public_key().sec1)
    except DecodeError as error:
        raise RecordError("certificate", f"{name} holds no usable key: {error}") from None


def _check_chain(each: _Enclosed, store: TrustStore, moment: UtcNs) -> None:
    try:
        enclosed = TrustStore.of_operator(tuple(store.roots.values()), (each.authority,))
        verifier = ChainVerifier(trust_store=enclosed, areas=NO_IDENTIFIED_AREAS)
        verifier.check_enrolment_credential(each.credential, time64_of(moment))
    except (VerificationError, ConfigError, DecodeError) as error:
        raise RecordError("certificate", f"{each.name} does not lead to a trusted root: {error}") from None
    except ValueError as error:
        raise RecordError("certificate", f"{each.name} cannot have been valid at {utc_text(moment)}: {error}") from None


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


def _table(readings: tuple[Reading, ...], findings: tuple[Finding, ...], *, width: int) -> Table:
    """Return the readings as a table that fits a terminal's width, from 80 on without a date or a word in pieces."""
    title = "Records of the vehicle" if any(_is_other(reading) for reading in readings) else "Odometer readings"
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("No.", justify="right")
    table.add_column("Date (UTC)", overflow="fold")
    table.add_column("Odometer", justify="right", overflow="fold")
    table.add_column("Since the one above", justify="right", overflow="fold")
    table.add_column("Recorded", overflow="fold")
    table.add_column("Source", overflow="fold")
    table.add_column("Remarks", overflow="fold")
    fallen = {finding.seq for finding in findings if finding.kind is FindingKind.ROLLBACK}
    before = next((reading.credential for reading in readings if reading.is_own), 0)
    for reading in readings:
        since_m = reading.since_previous_m
        is_back = reading.seq in fallen
        remarks = ["ROLLED BACK"] if is_back else [flag.value.replace("_", " ") for flag in reading.flags]
        if reading.corrects is not None:
            remarks.append(f"corrects {reading.corrects}")
        if reading.is_own and reading.credential != before:
            remarks.insert(0, f"credential {reading.credential} from here")
            before = reading.credential
        table.add_row(
            str(reading.seq),
            _date(reading),
            _metres(reading),
            "" if since_m is None else km_text(since_m),
            _recorded(reading),
            Text(_source(reading)),
            ", ".join(remarks),
            style="bold red" if is_back or reading.flags else None,
        )
    _fit(table, width)
    return table


def _fit(table: Table, width: int) -> None:
    """Give each column room for its longest word, and what is left of the width to those that lack least to stay on one line."""
    cells = [[str(cell) for cell in (column.header, *column.cells)] for column in table.columns]
    least = [max(len(word) for cell in column for word in cell.split()) for column in cells]
    lacking = [max(map(len, column)) - narrow for column, narrow in zip(cells, least, strict=True)]
    spare = max(0, width - sum(least) - COLUMN_GAP * (len(least) - 1))
    for number in sorted(range(len(least)), key=lacking.__getitem__):
        more = min(spare, lacking[number])
        table.columns[number].width = least[number] + more
        spare -= more


def _date(reading: Reading) -> str:
    if reading.stamp is not None:
        return reading.stamp.words.replace(" UTC", ",")
    return "not shown" if reading.occurred is None else utc_text(reading.occurred)[:16].replace("T", " ")


def _is_other(reading: Reading) -> bool:
    return reading.kind is not RecordKind.ODOMETER


def _metres(reading: Reading) -> str:
    if reading.odometer_m is not None:
        return km_text(reading.odometer_m)
    return "hidden" if reading.has_reading else ""


def _recorded(reading: Reading) -> str:
    if _is_other(reading):
        return reading.kind.value.replace("_", " ")
    return "hidden" if reading.reason is None else reading.reason.value.replace("_", " ")


def _source(reading: Reading) -> str:
    if not reading.is_own:
        return "not verified" if reading.role is None else reading.role.value
    if _is_other(reading):
        return "the vehicle"
    return ", ".join(source.name for source in reading.sources) or "hidden"


def _print_findings(console: Console, findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        mark, style = ("! ", "bold red") if finding.is_serious else ("- ", "yellow")
        console.print(mark + finding.text, style=style, markup=False)
    if not any(finding.is_serious for finding in findings):
        console.print("The readings shown follow each other without a gap and never fall.")


def _print_withheld(console: Console, passport: Passport) -> None:
    for line in withheld_lines(withheld_from(passport)):
        console.print(line, style="yellow", markup=False)


def _as_json(verified: VerifiedPassport, withheld: tuple[Withheld, ...]) -> dict[str, object]:
    return {
        "verified": True,
        "clean": verified.is_clean,
        "readings": [
            {
                "seq": r.seq,
                "occurred": None if r.occurred is None else utc_text(r.occurred),
                "dated_later": None if r.stamp is None else {"at": utc_text(r.stamp.occurred), "by_seq": r.stamp.by_seq},
                "odometer_m": r.odometer_m,
                "since_previous_m": r.since_previous_m,
                "reason": None if r.reason is None else r.reason.value,
                "sources": [{"name": s.name, "odometer_m": s.odometer_m, "age_ms": s.age_ms} for s in r.sources],
                "flags": [flag.value for flag in r.flags],
                "verdict": None if r.verdict is None else r.verdict.value,
                "missing_permille": r.missing_permille,
                "nonce": None if r.nonce is None else encode_base64url(r.nonce),
                "counter": None if r.counter is None else {"kind": r.counter.kind.value, "value": r.counter.value},
                "log": r.log,
                "log_index": r.log_index,
                "witnesses": list(r.witnesses),
                "credential": r.credential,
                "hands_over": r.hands_over,
                "kind": r.kind.value,
                "signed_by": None if r.role is None else r.role.value,
                "corrects": r.corrects,
            }
            for r in verified.readings
        ],
        "findings": [{"kind": f.kind.value, "seq": f.seq, "serious": f.is_serious, "text": f.text} for f in verified.findings],
        "withheld": [{"kind": w.kind.value, "claim": w.claim, "records": w.records} for w in withheld],
    }
