"""The `v2x` command: mounts one file per subcommand and nothing else."""

from typing import NoReturn

import typer

from shared.cli.bench import bench
from shared.cli.data import app as data
from shared.cli.decode import decode
from shared.cli.entry import run
from shared.cli.ledger import app as ledger
from shared.cli.mqtt import app as mqtt
from shared.cli.passport import app as passport
from shared.cli.pki import app as pki
from shared.cli.record import app as record
from shared.cli.replay_radio import replay_radio
from shared.cli.verify import verify

app = typer.Typer(name="v2x", help="Tools of v2x-trust.", no_args_is_help=True, add_completion=False)
app.command()(decode)
app.command()(verify)
app.command(name="replay-radio")(replay_radio)
app.add_typer(pki, name="pki")
app.add_typer(passport, name="passport")
app.add_typer(record, name="record")
app.add_typer(data, name="data")
app.add_typer(ledger, name="ledger")
app.add_typer(mqtt, name="mqtt")
app.command(name="bench")(bench)


def main() -> NoReturn:
    """Run `v2x`."""
    run(app, "v2x")
