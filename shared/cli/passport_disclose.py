"""`v2x passport disclose`: a passport that shows less, and what any passport withholds, in words.

The new file holds every record of the old one, each with its proof, so whoever reads it sees that none is left out; what is hidden
is not in it. Mileage is hidden only where `--hide-mileage` says so.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from shared.records.disclosure import Withheld, choose, disclose, withheld_from
from shared.records.kind import RecordKind
from shared.service.keystore import write_new_file
from shared.service.passport_file import read_passport_file

_PASSPORT_MODE = 0o600
"""A passport is its holder's until it is handed over."""


def disclose_command(
    file: Annotated[Path, typer.Argument(help="A passport (.json), or a page that carries one.", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="Where to write; an existing file is not overwritten.", metavar="FILE")],
    only: Annotated[
        str | None,
        typer.Option(
            help="Kinds of records to show, e.g. odometer,inspection; of others only that they are there.", metavar="KINDS"
        ),
    ] = None,
    hide: Annotated[
        str | None, typer.Option(help="Claims to leave out, e.g. position,workshop or accident.position.", metavar="CLAIMS")
    ] = None,
    hide_mileage: Annotated[  # noqa: FBT002 - a command-line flag
        bool, typer.Option("--hide-mileage", help="Leave out the readings too; whoever reads the passport is told so.")
    ] = False,
) -> None:
    """Write a passport of the same records that shows only what you choose; every proof in it still holds."""
    choice = choose(
        only=None if only is None else _words(only), hide=() if hide is None else _words(hide), may_hide_mileage=hide_mileage
    )
    passport = disclose(read_passport_file(file), choice)
    write_new_file(out, passport.encode(), mode=_PASSPORT_MODE)
    count = len(passport.records)
    typer.echo(f"{out}: {count} record{'' if count == 1 else 's'}, none left out.")
    for line in withheld_lines(withheld_from(passport)):
        typer.echo(line)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def withheld_lines(withheld: Sequence[Withheld]) -> list[str]:
    """Return what is not shown, a line for each kind and number of records, and first of all that the mileage is not."""
    hidden = sum(each.records for each in withheld if each.hides_own_reading)
    lines = [f"THE MILEAGE IS HIDDEN in {_records(hidden, RecordKind.ODOMETER)} of the vehicle itself."] if hidden else []
    others = [_records(each.records, each.kind) for each in withheld if each.hides_reading and not each.hides_own_reading]
    if others:
        lines.append(f"WHAT THE ODOMETER SHOWED IS HIDDEN in {', '.join(others)}.")
    partly: dict[tuple[RecordKind, int], list[str]] = {}
    for each in withheld:
        if each.claim is None:
            lines.append(f"Withheld: {_records(each.records, each.kind)}, of which only number, kind and proof are shown.")
        else:
            partly.setdefault((each.kind, each.records), []).append(each.claim_words)
    return lines + [f"Not shown in {_records(number, kind)}: {', '.join(claims)}." for (kind, number), claims in partly.items()]


def _records(number: int, kind: RecordKind) -> str:
    return kind.words if number == 1 else f"{number} {kind.plural}"
