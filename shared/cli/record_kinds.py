"""`v2x record kinds`: what a record of each kind may state, in which units, and who may issue it; from the tables themselves."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.cli.claim_words import units_of
from shared.cli.issuer_options import kind_named
from shared.core.errors import ConfigError
from shared.records.fields import Field
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from shared.records.kind import KindSpec, RecordKind
from shared.records.kinds import KINDS


def kinds(
    kind: Annotated[str | None, typer.Argument(help="Of this kind, every claim; default: a line for each kind.")] = None,
    role: Annotated[str | None, typer.Option(help="Only what this role may issue.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """List the kinds of records, what each may state, in which units, and who may issue it."""
    wanted = [KINDS[each] for each in RecordKind] if kind is None else [KINDS[kind_named(kind, "KIND")]]
    if role is not None:
        allowed = ISSUER_KINDS[_role(role)]
        wanted = [spec for spec in wanted if spec.kind in allowed]
    if as_json:
        typer.echo(json.dumps({"kinds": [_as_json(spec) for spec in wanted]}, ensure_ascii=False))
        return
    console = Console()
    if kind is None:
        table = Table("kind", "issued by", "what it states", title="Kinds of records", title_justify="left")
        for spec in wanted:
            table.add_row(spec.kind.value, ", ".join(issuers_of(spec.kind)), spec.meaning)
        console.print(table)
        console.print("`v2x record kinds KIND` lists the claims of one.")
        return
    for spec in wanted:
        table = Table(title=f"{spec.claim}: {escape(spec.meaning)}", title_justify="left")
        for title in ("claim", "unit", "may be", "meaning"):
            table.add_column(title, overflow="fold")
        for field in spec.fields:
            table.add_row(field.name, _units(field), escape(field.words()), escape(field.meaning))
        console.print(table)
        console.print(f"issued by: {', '.join(issuers_of(spec.kind))}")
    if not wanted:
        raise ConfigError("--role", f"{role} may not issue records of this kind")


def issuers_of(kind: RecordKind) -> list[str]:
    """Return the names of the roles that may issue a kind."""
    return [role.value for role in IssuerRole if kind in ISSUER_KINDS[role]]


def _role(name: str) -> IssuerRole:
    try:
        return IssuerRole(name)
    except ValueError:
        there_are = ", ".join(role.value for role in IssuerRole)
        raise ConfigError("--role", f"{name[:32]!r} is no role; there are {there_are}") from None


def _units(field: Field) -> str:
    return ", ".join(unit if name == field.name else f"{name}: {unit}" for name, unit in units_of(field).items())


def _as_json(spec: KindSpec) -> dict[str, object]:
    return {
        "kind": spec.kind.value,
        "version": spec.version,
        "meaning": spec.meaning,
        "issued_by": issuers_of(spec.kind),
        "claims": [
            {
                "name": field.name,
                "units": units_of(field),
                "may_be": field.type.words(),
                "is_optional": field.is_optional,
                "meaning": field.meaning,
            }
            for field in spec.fields
        ],
    }
