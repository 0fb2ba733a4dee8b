"""`vehicle-agent inspect`: have a running agent read the odometer now, with an inspector's challenge in the record of it."""

from pathlib import Path
from typing import Annotated

import typer

from shared.core.errors import ConfigError, TransportError, V2xError
from shared.records.challenge import challenge_text, parse_challenge
from shared.records.findings import km_text
from shared.service.command_socket import give_order
from shared.service.config import load
from shared.service.keystore import try_new_file, write_new_file
from shared.service.qr_code import check_qr_suffix, qr_file
from vehicle_agent.config import VehicleConfig

DEFAULT_CONFIG = Path("/etc/v2x-trust/vehicle-agent.toml")
PUBLIC_MODE = 0o644


def inspect(
    challenge: Annotated[str, typer.Argument(help="What the inspector drew (`v2x passport challenge`).", metavar="TEXT")],
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")] = DEFAULT_CONFIG,
    out: Annotated[Path | None, typer.Option(help="New file for the record; default: it is printed.", metavar="FILE")] = None,
    qr: Annotated[
        Path | None, typer.Option(help="New file (.svg, .png) with the record as a QR code, for a camera.", metavar="FILE")
    ] = None,
) -> None:
    """Read the odometer now and record it with an inspector's challenge: the record goes to the inspector, and into the ledger.

    `v2x record show RECORD --trust DIR --nonce TEXT` checks it at once, `v2x passport verify ... --nonce TEXT` once it is proven.
    """
    text = challenge_text(parse_challenge(challenge))
    socket = load(config, VehicleConfig).state.command_socket
    if socket is None:
        raise ConfigError(f"{config}: state.command_socket", "is needed: only a running agent reads the vehicle")
    _try_files(out, qr)
    done = give_order(socket, {"order": "inspect", "challenge": text})
    match done:
        case {"seq": int(seq), "odometer_m": int(metres), "occurred": str() | None as occurred, "record": str(record)}:
            pass
        case _:
            raise TransportError(str(socket), "the answer is no record: another version runs")
    try:
        if out is not None:
            write_new_file(out, record.encode(), mode=PUBLIC_MODE)
        if qr is not None:
            write_new_file(qr, qr_file(record, qr.suffix, "--qr"), mode=PUBLIC_MODE)
    except V2xError:
        typer.echo(record, nl=False)  # the challenge is used up: what answers it must not be lost
        raise
    if out is None:
        typer.echo(record, nl=False)
    when = "the vehicle does not know the date" if occurred is None else f"{occurred[:16].replace('T', ' ')} UTC"
    odd = done.get("flags")
    flags = f", {', '.join(map(str, odd)).replace('_', ' ')}" if isinstance(odd, list) and odd else ""
    typer.echo(f"record {seq}: {km_text(metres)}, {when}{flags}", err=out is None)


def _try_files(out: Path | None, qr: Path | None) -> None:
    """Check, before the challenge is used up, that the answer can be written; raises `ConfigError`, `StorageError`."""
    if qr is not None:
        check_qr_suffix(qr.suffix, "--qr")
        if out is not None and out.absolute() == qr.absolute():
            raise ConfigError("--qr", f"{qr} is the file of --out too")
    for path in (out, qr):
        if path is not None:
            try_new_file(path)
