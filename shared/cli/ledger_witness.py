"""`v2x ledger witness`: cosign the checkpoints of logs, and never two histories of one.

On standard output two lines say who it is and that it serves: `vkey witness.example+...`, `ready http://127.0.0.1:8481`. Events are
logged on standard error. `--vkey` prints the first line and ends: what the policies of others need before it serves.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.listen import ListenOption, listen_option
from shared.core.clock import TimeSource
from shared.core.errors import ConfigError, DecodeError
from shared.ledger.log_list import parse_log_list
from shared.ledger.note import check_name
from shared.ledger.policy import MAX_POLICY_BYTES, Policy
from shared.service.keystore import read_bounded
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.run import run_service
from shared.service.system_clock import SystemClock

DEFAULT_LISTEN = "127.0.0.1:8481"
DEFAULT_REQUESTS_PER_S = 20.0


def witness(
    directory: Annotated[Path, typer.Argument(help="The witness's key and what it has cosigned; made if absent.", metavar="DIR")],
    *,
    name: Annotated[str, typer.Option(help="Name of its key, as policies write it.", metavar="NAME")],
    logs: Annotated[
        Path | None, typer.Option(help="Logs it cosigns for: a tlog-policy, or one vkey a line.", metavar="FILE")
    ] = None,
    listen: ListenOption = DEFAULT_LISTEN,
    requests_per_s: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="Requests from one client address.")
    ] = DEFAULT_REQUESTS_PER_S,
    time_source: Annotated[
        TimeSource, typer.Option(help="What vouches for the time; until something does, nothing is cosigned.")
    ] = TimeSource.SYNCHRONISED,
    vkey: Annotated[bool, typer.Option("--vkey", help="Make the key if there is none, print its vkey, and end.")] = False,
) -> None:
    """Cosign checkpoints of logs until stopped."""
    from shared.operator.witness_node import (  # noqa: PLC0415 - a server's libraries are for those who serve
        WitnessNode,
        WitnessOptions,
        open_witness_key,
        witness_vkey,
    )

    if time_source is TimeSource.GNSS:
        raise ConfigError("--time-source", "a witness has no GNSS receiver; synchronised and assume_trusted are understood")
    _check(name)
    if vkey:
        _say("vkey", witness_vkey(name, open_witness_key(directory)).text)
        return
    if logs is None:
        raise ConfigError("--logs", "which logs is it to cosign for?")
    host, port = listen_option(listen)
    node = WitnessNode(
        WitnessOptions(directory=directory, name=name, logs=_read_logs(logs), host=host, port=port, requests_per_s=requests_per_s),
        clock=SystemClock(time_source),
        log=make_logger(sys.stderr),
        on_key=lambda text: _say("vkey", text),
        on_ready=lambda url: _say("ready", url),
    )
    notifier = Notifier.from_environment(os.environ)
    code = run_service(node.run, notifier=notifier, watchdog=Watchdog.from_environment(notifier, os.environ))
    raise typer.Exit(code)


def _say(word: str, text: str) -> None:
    sys.stdout.write(f"{word} {text}\n")
    sys.stdout.flush()


def _check(name: str) -> None:
    try:
        check_name(name, "--name")
    except DecodeError as error:
        raise ConfigError("--name", error.reason) from None


def _read_logs(path: Path) -> Policy:
    try:
        return parse_log_list(read_bounded(path, MAX_POLICY_BYTES))
    except DecodeError as error:
        raise ConfigError(str(path), str(error)) from None
