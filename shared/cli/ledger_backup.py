"""`v2x ledger backup`: a copy of a log while it runs, marked as a copy.

    v2x ledger backup /var/lib/v2x-log /backup/log-2026-11-29.sqlite

The copy takes no entries until `v2x ledger restore` has found out what the log showed last. The private key stays where it is,
unless `--with-key` puts it beside the copy, as FILE.key.
"""

from pathlib import Path
from typing import Annotated

import typer

from shared.cli.ledger_files import key_of, say, store_of
from shared.service.log_backup import KEY_SUFFIX, back_up_log


def backup(
    log: Annotated[Path, typer.Argument(help="Directory of the log's node, or the log's file.", metavar="DIR")],
    file: Annotated[Path, typer.Argument(help="The copy; a new file.", metavar="FILE")],
    *,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Put the private key beside it, FILE.key. Whoever has it can be this log.")
    ] = False,
    key: Annotated[Path | None, typer.Option(help="Its key; default: DIR/log.key.", metavar="FILE")] = None,
) -> None:
    """Copy a log, whether its node runs or not."""
    copied = back_up_log(store_of(log), file, key=key_of(log, key) if with_key else None)
    say(f"{copied.origin}: {copied.tree_size:,} entries, checked, in {file} ({copied.octets:,} octets)")
    if copied.has_key:
        say(f"its private key is in {file}{KEY_SUFFIX}: keep it like the key itself")
    else:
        say("its private key is not in it: without a copy of that, no backup is of use")
