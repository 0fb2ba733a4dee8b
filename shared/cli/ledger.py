"""`v2x ledger`: run, watch and question a transparency log; each subcommand has a file of its own, `ledger_<name>.py`."""

import typer

from shared.cli.ledger_anchor import app as anchor
from shared.cli.ledger_audit import audit
from shared.cli.ledger_backup import backup
from shared.cli.ledger_check import check
from shared.cli.ledger_checkpoint import checkpoint
from shared.cli.ledger_export import export
from shared.cli.ledger_prove import prove
from shared.cli.ledger_restore import restore
from shared.cli.ledger_rotate import app as rotate
from shared.cli.ledger_serve import serve
from shared.cli.ledger_witness import witness

app = typer.Typer(help="Run, watch and question a transparency log.", no_args_is_help=True)
app.add_typer(anchor, name="anchor")
app.command(name="serve")(serve)
app.command(name="witness")(witness)
app.command(name="checkpoint")(checkpoint)
app.command(name="prove")(prove)
app.command(name="check")(check)
app.command(name="audit")(audit)
app.command(name="export")(export)
app.command(name="backup")(backup)
app.command(name="restore")(restore)
app.add_typer(rotate, name="rotate")
