"""`v2x record schema`: write the JSON Schemas of all kinds of records, and the page about them."""

from pathlib import Path
from typing import Annotated

import typer

from shared.core.errors import StorageError
from shared.records.schema_page import documents


def schema(
    *,
    out: Annotated[Path, typer.Option(help="Where the files go; made if it is not there.", metavar="DIR")],
) -> None:
    """Write a JSON Schema for every kind of record, and a page that explains them."""
    files = documents()
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (out / name).write_bytes(data)
    except OSError as error:
        raise StorageError(str(out), f"cannot be written: {error.strerror}") from None
    typer.echo(f"{len(files)} files written to {out}")
