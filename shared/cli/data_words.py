"""Requests for data and their answers for people and machines."""

import json
from collections.abc import Mapping

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.cli.tree_view import visible
from shared.core.itstime import utc_text
from shared.records.data_request import SignedRequest
from shared.records.sd_jwt import encode_base64url


def tell(table: Table, document: Mapping[str, object], *, as_json: bool) -> None:
    """Print one of the two."""
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        Console().print(table)


def request_table(signed: SignedRequest) -> Table:
    """Return a request as a table."""
    asked = signed.request
    table = Table(title="request for data", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, words in (
        ("who asks", f"{asked.role.words}, credential {signed.credential.id}"),
        ("vehicle", asked.subject),
        ("records", ", ".join(kind.value for kind in asked.kinds)),
        ("claims", ", ".join(asked.fields)),
        ("dated from", utc_text(asked.data_from)),
        ("and before", utc_text(asked.data_until)),
        ("what for", visible(asked.purpose)),
        ("made", utc_text(asked.issued)),
        ("ends", utc_text(asked.expires)),
    ):
        table.add_row(name, Text(words))
    return table


def request_json(signed: SignedRequest) -> dict[str, object]:
    """Return a request as JSON values."""
    return {"hash": encode_base64url(signed.hash), "credential": signed.credential.id, **signed.request.claims()}
