"""`rsu-agent evidence`: what the unit said at a moment, as one file that proves it to others."""

from pathlib import Path
from typing import Annotated

import typer

from rsu_agent.config import RsuConfig
from rsu_agent.evidence_proof import Question, gather, left_out
from rsu_agent.evidence_reader import read_evidence
from shared.cli.moments import moment_of
from shared.core.errors import ConfigError
from shared.records.evidence import MAX_GROUP
from shared.service.config import load
from shared.service.keystore import write_new_file

DEFAULT_CONFIG = Path("/etc/v2x-trust/rsu-agent.toml")
FILE_MODE = 0o640


def evidence(
    at: Annotated[str, typer.Option(help="The moment, ISO 8601 with offset (2026-11-29T10:00:03.25Z).", metavar="TIME")],
    out: Annotated[Path, typer.Option(help="File to write; it must not exist.", metavar="FILE")],
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")] = DEFAULT_CONFIG,
    store_file: Annotated[
        Path | None, typer.Option("--store", help="The store itself (a copy, say), instead of a configuration.", metavar="FILE")
    ] = None,
    group: Annotated[int | None, typer.Option(help="One signal group; all without it.", min=0, max=MAX_GROUP)] = None,
    *,
    warnings: Annotated[bool, typer.Option("--warnings", help="Also what the unit warned of in the seconds before.")] = False,
    refusals: Annotated[bool, typer.Option("--refusals", help="Also what it refused or doubted around the moment.")] = False,
) -> None:
    """Write a file that proves what the unit said at a moment: `v2x passport verify` checks it anywhere, offline.

    Everything in it is in the ledger already; of the last minute or two the unit has nothing to prove yet. Refused packets are of
    others and may say where they were: hand them out with care.
    """
    if store_file is None:
        settings = load(config, RsuConfig).evidence
        if settings is None:
            raise ConfigError(f"{config}: evidence", "is needed: this unit keeps none")
        store_file = settings.file
    question = Question(at=moment_of(at), group=group, warnings=warnings, refusals=refusals)
    with read_evidence(store_file) as store, store.unchanging():
        found = gather(store, question)
        more = left_out(store, question)
    encoded = found.encode()
    write_new_file(out, encoded, mode=FILE_MODE)
    typer.echo(f"{out}: {len(encoded)} octets; records: {len(found.pieces)}, batches: {len(found.batches)}")
    if more:
        typer.echo(f"left out, for there is no room: {more} further warnings, refusals or notices", err=True)
