"""`v2x ledger export`: what a log has published, as static files that any web server can hand on.

    v2x ledger export /var/lib/v2x-log /srv/www/log
    v2x ledger audit /srv/www/log --policy policy.txt

The node may run meanwhile. Doing it again writes what is new; a folder that is not an earlier state of this log is left as it is. A
copy of the folder on another machine is a mirror, from which `v2x ledger restore` catches up.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.ledger_files import say, store_of
from shared.core.errors import ConfigError
from shared.operator.log_node_files import KEY_FILE, STORE_FILE
from shared.service.log_export import export_log
from shared.service.log_reader import open_log_reader


def export(
    log: Annotated[Path, typer.Argument(help="Directory of the log's node, or the log's file.", metavar="DIR")],
    out: Annotated[Path, typer.Argument(help="Folder to bring up to date; made if absent.", metavar="OUT")],
    *,
    full: Annotated[bool, typer.Option("--full", help="Look at every file again, and put right what is gone or differs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Write the published log into a folder, as files."""
    _check_public(out)
    with open_log_reader(store_of(log)) as reader:
        done = export_log(reader, out, is_full=full)
    if as_json:
        document = {"origin": done.origin, "tree_size": done.tree_size, "old_size": done.old_size, "written": done.written}
        typer.echo(json.dumps(document))
        return
    say(f"{done.origin}: {done.tree_size:,} entries in {out}, {done.tree_size - done.old_size:,} of them new")
    say(f"{done.written:,} files written, {done.removed:,} partial ones removed")


def _check_public(out: Path) -> None:
    """Refuse a node's own directory: whoever hands on the folder would hand on the log's key."""
    for name in (KEY_FILE, STORE_FILE):
        if (out / name).exists():
            raise ConfigError(str(out), f"has {name} in it, which is not for everybody; name a folder of its own")
