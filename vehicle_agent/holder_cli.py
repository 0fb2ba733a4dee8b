"""What a vehicle's holder orders: `vehicle-agent slot`, `admit`, `consent grant|withdraw|list`, `answer`, and `passport`.

Orders go to the running agent (`[state] command_socket`); where none runs, the same is done on the vehicle's files
(`vehicle_agent.holder`). `passport` only reads, beside the agent. What is refused is refused with the vehicle's own sentence.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from shared.cli.issuer_options import check_new_file, listed
from shared.cli.tree_view import visible
from shared.core.clock import Instant, TimeSource
from shared.core.errors import ConfigError, DecodeError, RecordError, StorageError, TransportError
from shared.records.data_request import MAX_REQUEST_BYTES, SignedRequest, parse_request, verify_request
from shared.records.exchange import MAX_ISSUED_BYTES
from shared.security.certificate import decode_certificate
from shared.service.config import load
from shared.service.keystore import read_bounded, write_new_file
from shared.service.record_issuers import issuer_of
from shared.service.system_clock import SystemClock
from vehicle_agent.config import VehicleConfig
from vehicle_agent.holder import carry_out, read_passport_of
from vehicle_agent.orders import (
    AdmitRecord,
    AnswerRequest,
    AnyOrder,
    ConsentGrant,
    ConsentList,
    ConsentWithdraw,
    TellSlot,
)

DEFAULT_CONFIG = Path("/etc/v2x-trust/vehicle-agent.toml")
PUBLIC_MODE = 0o644

_T = TypeVar("_T")

consent_app = typer.Typer(
    name="consent", help="Who may have which of the vehicle's records.", no_args_is_help=True, rich_markup_mode=None
)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")]
OutOption = Annotated[Path, typer.Option(help="New file.", metavar="FILE")]


def slot(out: OutOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Tell the next slot of the vehicle's records, for who issues one: it is good until the vehicle makes a record of its own."""
    check_new_file(out, "--out")
    done = _carried_out(TellSlot(), config)
    write_new_file(out, _told(done, "slot", str).encode(), mode=PUBLIC_MODE)
    typer.echo(f"{out}: the next slot; a record signed for it is taken with `vehicle-agent admit`")


def admit(
    file: Annotated[Path, typer.Argument(help="What the issuer signed (`v2x record issue`).", metavar="FILE")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take a record that somebody issued into the vehicle's own, or say why not."""
    done = _carried_out(AdmitRecord(record=_text(file, MAX_ISSUED_BYTES)), config)
    kind = _told(done, "kind", str).replace("_", " ")
    typer.echo(f"admitted as record {done.get('seq')}: {kind}, issued by {_told(done, 'issuer', str)}")


def answer(
    request: Annotated[Path, typer.Argument(help="What somebody asks (`v2x data request`).", metavar="REQUEST")],
    out: OutOption,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    again: Annotated[bool, typer.Option("--again", help="It was answered before: give the same records once more.")] = False,
) -> None:
    """Answer a request for data as far as a live grant covers it; the answer is encrypted to who asks, and on record."""
    check_new_file(out, "--out")
    done = _carried_out(AnswerRequest(request=_text(request, MAX_REQUEST_BYTES), again=again), config)
    try:
        write_new_file(out, _told(done, "answer", str).encode(), mode=PUBLIC_MODE)
    except StorageError as error:
        raise StorageError(error.path, f"{error.reason}; the answer is on record, and --again gives it once more") from None
    left_out = [
        f"{count} {words}"
        for name, words in (("unproven", "wait for the ledger"), ("undated", "without a date"))
        if isinstance(count := done.get(name), int) and count
    ]
    rest = f"; not in it: {', '.join(left_out)}" if left_out else ""
    typer.echo(f"{out}: {done.get('records')} record(s) under grant {done.get('grant')}, on record as {done.get('seq')}{rest}")


def passport(out: OutOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Write the vehicle's passport: every record that is proven by now, with its proof; the agent may run meanwhile."""
    check_new_file(out, "--out")
    made, unproven = read_passport_of(load(config, VehicleConfig).state.spool)
    if not made.records:
        waits = f"; {unproven} wait for the ledger" if unproven else ""
        raise RecordError("passport", f"{out} is not written: the vehicle has no record that is proven by its log{waits}")
    write_new_file(out, made.encode(), mode=PUBLIC_MODE)
    rest = f"; not in it: {unproven} wait for the ledger" if unproven else ""
    typer.echo(f"{out}: {len(made.records)} record(s){rest}")


@consent_app.command("grant")
def grant(
    valid_until: Annotated[str, typer.Option(help="After this nothing is given, ISO 8601 with offset.", metavar="UTC")],
    request: Annotated[
        Path | None,
        typer.Option(help="Grant what this request asks for (`v2x data show` prints it); options below change it.", metavar="FILE"),
    ] = None,
    grantee: Annotated[str | None, typer.Option(help="Who may ask: the `kid` of a credential.", metavar="KID")] = None,
    name: Annotated[str | None, typer.Option(help="Who that is, for people.")] = None,
    kinds: Annotated[str | None, typer.Option(help="Kinds of records, with commas: odometer,trip.")] = None,
    fields: Annotated[str | None, typer.Option(help="Claims of them, with commas: occurred,odometer_m.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What for, in the words of who asks.")] = None,
    data_from: Annotated[str | None, typer.Option(help="Only records dated from then on.", metavar="UTC")] = None,
    data_until: Annotated[str | None, typer.Option(help="And only before then.", metavar="UTC")] = None,
    replaces: Annotated[int | None, typer.Option(help="Number of an earlier grant that this one takes the place of.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let somebody have certain claims of certain records, for a purpose, until a day; this goes on record."""
    terms = {} if request is None else _terms(parse_request(read_bounded(request, MAX_REQUEST_BYTES)), _now(config))
    changed: dict[str, object] = {
        "grantee": grantee,
        "kinds": None if kinds is None else [*listed(kinds)],
        "fields": None if fields is None else [*listed(fields)],
        "purpose": purpose,
        "data_from": data_from,
        "data_until": data_until,
    }
    terms |= {key: value for key, value in changed.items() if value is not None}
    lacking = [f"--{key}" for key in ("grantee", "kinds", "fields", "purpose") if not terms.get(key)]
    if lacking:
        raise ConfigError(lacking[0], "is needed where no --request says it")
    order = ConsentGrant(**terms, valid_until=valid_until, grantee_name=name, replaces=replaces)  # type: ignore[arg-type]
    seq = _told(_carried_out(order, config), "granted", int)
    typer.echo(f"granted with record {seq}; `vehicle-agent consent withdraw {seq}` takes it back")


def _terms(asked: SignedRequest, now: Instant) -> dict[str, object]:
    """Return what a grant of just what is asked for would say, once it is sure that who is named in it did ask that.

    Whether a root stands behind who asks is looked at when the vehicle answers.
    """
    try:
        issuer = issuer_of(decode_certificate(asked.credential.certificate))
    except DecodeError as error:
        raise RecordError("certificate", f"the credential of who asks is damaged: {error}") from None
    verify_request(asked, issuer=issuer, vehicle=(asked.request.subject,), now=now)
    claims = asked.request.claims()
    return {
        "grantee": asked.credential.id,
        "kinds": claims["kinds"],
        "fields": claims["fields"],
        "purpose": claims["purpose"],
        "data_from": claims["from"],
        "data_until": claims["until"],
    }


@consent_app.command("withdraw")
def withdraw(
    number: Annotated[int, typer.Argument(help="Of the grant.", metavar="GRANT")],
    note: Annotated[str | None, typer.Option(help="Why, if you want to say; it goes on record.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take a grant back: nothing is given under it from now on; this goes on record."""
    done = _carried_out(ConsentWithdraw(grant=number, note=note), config)
    typer.echo(f"grant {done.get('withdrawn')} is withdrawn (record {done.get('seq')})")


@consent_app.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List every grant and how it stands, and how the vehicle is called in requests."""
    done = _carried_out(ConsentList(), config)
    if as_json:
        typer.echo(json.dumps(done, ensure_ascii=False))
        return
    console = Console()
    console.print(f"this vehicle is asked as {_told(done, 'vehicle', str)}", highlight=False, soft_wrap=True)
    grants = [each for each in _told(done, "grants", list) if isinstance(each, dict)]
    if not grants:
        console.print("nothing was ever granted to anybody")
        return
    for each in grants:
        table = Table(title=f"grant {escape(visible(str(each.get('seq'))))}", title_justify="left", show_header=False)
        table.add_column()
        table.add_column(overflow="fold")
        for name, words in _rows(each):
            table.add_row(name, Text(words))
        console.print(table)


def _rows(standing: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    def words(name: str) -> str:
        value = standing.get(name)
        return ", ".join(map(str, value)) if isinstance(value, list) else visible(str(value))

    begin, end = (str(standing.get(name) or "")[:10] for name in ("data_from", "data_until"))
    dated = f"{begin or '...'} to {end or '...'}" if begin or end else "all"
    named = f"{words('grantee_name')}, credential " if standing.get("grantee_name") else "credential "
    over = standing.get("over")
    return (
        ("to", named + words("grantee")),
        ("records", words("kinds")),
        ("claims", words("fields")),
        ("dated", dated),
        ("what for", words("purpose")),
        ("until", str(standing.get("valid_until"))[:16]),
        ("stands", "live" if over is None else visible(str(over))),
        ("answers given", words("answers")),
    )


def _carried_out(order: AnyOrder, config: Path) -> Mapping[str, object]:
    settings = load(config, VehicleConfig)
    return carry_out(order, settings, base=config.parent, environment=os.environ, now=_now(config))


def _now(config: Path) -> Instant:
    return SystemClock(TimeSource(load(config, VehicleConfig).time.source)).now()


def _text(file: Path, maximum: int) -> str:
    try:
        return read_bounded(file, maximum).decode()
    except UnicodeDecodeError:
        raise ConfigError(str(file), "is not UTF-8") from None


def _told(done: Mapping[str, object], name: str, kind: type[_T]) -> _T:
    """Return what an agent answered; raises `TransportError` where it answered something else."""
    value = done.get(name)
    if not isinstance(value, kind):
        raise TransportError("agent", f"the answer does not say its {name}: another version runs")
    return value
