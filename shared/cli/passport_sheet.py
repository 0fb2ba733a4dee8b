"""`v2x passport sheet`: a summary of a passport to print, with a QR code, and the check that sheet and file belong together.

The code in the QR is in `shared.records.passport_code`. Neither command verifies the passport; both say so.
"""

from pathlib import Path
from typing import Annotated

import typer

from shared.core.errors import ConfigError, DecodeError
from shared.records.passport import parse_passport
from shared.records.passport_code import Fit, PassportCode, check_code, code_of, parse_code
from shared.service.keystore import write_new_file
from shared.service.passport_file import read_passport_octets
from shared.service.passport_sheet import qr_file, render_sheet

_SHEET_MODE = 0o644
_FIT_WORDS = {
    Fit.SAME_FILE: "The sheet was made from exactly this passport.",
    Fit.SAME_RECORDS: "The sheet is of the same records; this passport shows more or less of them than the one it was made from.",
    Fit.LONGER: "The sheet is of the same vehicle's records at an earlier time; this passport goes on after it.",
}


def sheet(
    file: Annotated[Path, typer.Argument(help="A passport (.json), or a page that carries one.", metavar="FILE")],
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write: a sheet to print (.html), or the QR code alone (.svg, .png).", metavar="FILE"),
    ] = None,
    check: Annotated[
        str | None, typer.Option(help="Compare with what the QR code of a sheet says, instead of writing one.", metavar="CODE")
    ] = None,
) -> None:
    """Write a summary sheet with a QR code, or check that a sheet belongs to a passport; the passport is not verified."""
    if (out is None) is (check is None):
        raise ConfigError("--out", "give either --out, to write a sheet, or --check, to compare with one")
    data = read_passport_octets(file)
    passport = parse_passport(data)
    if check is not None:
        try:
            code = parse_code(check)
        except DecodeError as error:
            raise ConfigError("--check", f"this is no code of a passport's sheet: {error}") from None
        fit = check_code(code, passport, data)
        typer.echo(f"{_FIT_WORDS[fit]} Nothing was verified: `v2x passport verify` does that.")
        typer.echo(f"Its code says: {_said(code)}. What is printed beside it must say the same.")
        return
    if out is not None:
        code = code_of(passport, data)
        match out.suffix:
            case ".html":
                octets = render_sheet(passport, data).encode()
            case ".svg" | ".png":
                octets = qr_file(code, out.suffix[1:])
            case _:
                raise ConfigError("--out", f"{out} ends neither in .html, for a sheet, nor in .svg or .png, for the QR code alone")
        write_new_file(out, octets, mode=_SHEET_MODE)
        typer.echo(f"{out}: what the passport claims, not verified. Its code: {code.text}")


def _said(code: PassportCode) -> str:
    """What a person reads on a sheet: the code of a genuine passport may stand beside other figures."""
    reading = f"{float(code.km):,.1f} km on {code.at[:10] or 'a date that is not shown'}" if code.km else "no reading"
    return f"{reading}, last record number {code.seq}"
