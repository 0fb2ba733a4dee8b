"""`v2x passport page`: a passport as one HTML file that verifies itself in a browser, offline.

Nothing is verified here beyond what the files are: the page does that wherever it is opened, by the roots and the policy given,
until its reader loads others. It takes and refuses what `v2x passport verify` does. Without a passport it is a page to check those
of others with: the one a buyer gets from somebody else than the seller.
"""

from pathlib import Path
from typing import Annotated

import typer

from shared.cli.moments import moment_of
from shared.core.errors import ConfigError, DecodeError
from shared.ledger.policy import MAX_POLICY_BYTES, parse_policy
from shared.records.passport import parse_passport
from shared.security.trust_store import TrustStore
from shared.service.keystore import read_bounded, write_new_file
from shared.service.passport_file import read_passport_octets
from shared.service.passport_page import render_page
from shared.service.trust_directory import read_certificate_file, read_trust_directory

_PAGE_MODE = 0o644


def page(
    out: Annotated[Path, typer.Option(help="Where to write the page; an existing file is not overwritten.", metavar="FILE")],
    policy: Annotated[Path, typer.Option(help="Ledgers and witnesses that count (tlog-policy).", metavar="FILE")],
    file: Annotated[
        Path | None,
        typer.Argument(help="A passport (.json), or a page that carries one; none for a page that checks others'.", metavar="FILE"),
    ] = None,
    trust: Annotated[Path | None, typer.Option(help="Trust directory with roots/.", metavar="DIR")] = None,
    root: Annotated[list[Path] | None, typer.Option(help="A root certificate (.oer), instead; any number.", metavar="FILE")] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="When the last credential must be valid, ISO 8601 with offset; default: the newest reading.", metavar="UTC"
        ),
    ] = None,
) -> None:
    """Write a page that verifies a passport by itself, in any browser and without a network."""
    moment = None if at is None else moment_of(at)
    roots = _roots(trust, root or [])
    counted = read_bounded(policy, MAX_POLICY_BYTES)
    try:
        parse_policy(counted)
    except DecodeError as error:
        raise ConfigError(str(policy), str(error)) from None
    passport = None if file is None else read_passport_octets(file)
    if passport is not None:
        parse_passport(passport)
    write_new_file(out, render_page(passport, roots, counted, at=moment).encode(), mode=_PAGE_MODE)
    what = "the passport" if passport is not None else "any passport dropped on it"
    typer.echo(f"{out}: a page that verifies {what} by {len(roots)} root(s) and the policy given; open it in a browser.")


def _roots(directory: Path | None, files: list[Path]) -> list[bytes]:
    if (directory is None) is not bool(files):
        raise ConfigError("--trust", "give either a trust directory or root certificates with --root")
    if directory is not None:
        return [root.encoded for root in read_trust_directory(directory).roots.values()]
    store = TrustStore.of_operator(tuple(read_certificate_file(file) for file in files), ())
    return [root.encoded for root in store.roots.values()]
