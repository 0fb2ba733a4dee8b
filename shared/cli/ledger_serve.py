"""`v2x ledger serve`: run a transparency log: take entries, serve its tree, have its checkpoints witnessed.

On standard output two lines say who it is and that it serves: `vkey log.example+...`, `ready http://127.0.0.1:8480`. While the log
changes its key there is a line for each. Events are logged on standard error. `--vkey` prints the first line and ends: what
witnesses and policies need before it serves.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.listen import ListenOption, listen_option
from shared.core.clock import TimeSource
from shared.core.errors import ConfigError, DecodeError
from shared.ledger.note import check_name, parse_vkey
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.online_log import read_policy
from shared.service.run import run_service
from shared.service.system_clock import SystemClock
from shared.transport.witness_http import WitnessAddress

DEFAULT_LISTEN = "127.0.0.1:8480"


def serve(
    directory: Annotated[Path, typer.Argument(help="The log and its key; made if absent.", metavar="DIR")],
    *,
    origin: Annotated[str, typer.Option(help="The log's origin, which is the name of its key.", metavar="NAME")],
    key: Annotated[Path | None, typer.Option(help="Its key, PKCS#8 PEM; default: DIR/log.key.", metavar="FILE")] = None,
    listen: ListenOption = DEFAULT_LISTEN,
    policy: Annotated[
        Path | None, typer.Option(help="A tlog-policy: witnesses with URLs, and the quorum below which nothing is served.")
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="A witness to ask besides; may be given again.", metavar="'VKEY URL'")
    ] = None,
    access: Annotated[Path | None, typer.Option(help="TOML: who may append, how much, how often.", metavar="FILE")] = None,
    time_source: Annotated[
        TimeSource, typer.Option(help="What vouches for the time; without it the dates of cosignatures are not judged.")
    ] = TimeSource.SYNCHRONISED,
    new: Annotated[bool, typer.Option("--new", help="Begin an empty log with a key that is there and never signed.")] = False,
    vkey: Annotated[bool, typer.Option("--vkey", help="Make key and log if there are none, print the vkey, and end.")] = False,
) -> None:
    """Run a log until stopped."""
    import uvloop  # noqa: PLC0415 - a server's libraries are for those who serve

    from shared.operator.log_access import Access  # noqa: PLC0415
    from shared.operator.log_node import LogNode, LogOptions, make_log  # noqa: PLC0415

    if time_source is TimeSource.GNSS:
        raise ConfigError("--time-source", "a log has no GNSS receiver; synchronised and assume_trusted are understood")
    _check(origin)
    host, port = listen_option(listen)
    may_append = Access(access)
    if policy is not None and may_append.quorum_policy is not None:
        raise ConfigError("--policy", f"{access} names one too")
    quorum = may_append.quorum_policy if policy is None else policy
    options = LogOptions(
        directory=directory,
        origin=origin,
        key=key,
        is_new=new,
        host=host,
        port=port,
        policy=None if quorum is None else read_policy(quorum),
        witnesses=tuple(_witness(text) for text in witness or ()),
    )
    if vkey:
        for text in make_log(options):
            _say("vkey", text)
        return
    node = LogNode(
        options,
        access=may_append,
        clock=SystemClock(time_source),
        entropy=os.urandom,
        log=make_logger(sys.stderr),
        on_key=lambda text: _say("vkey", text),
        on_ready=lambda url: _say("ready", url),
    )
    notifier = Notifier.from_environment(os.environ)
    watchdog = Watchdog.from_environment(notifier, os.environ)
    raise typer.Exit(run_service(node.run, notifier=notifier, watchdog=watchdog, new_loop=uvloop.new_event_loop))


def _say(word: str, text: str) -> None:
    sys.stdout.write(f"{word} {text}\n")
    sys.stdout.flush()


def _check(origin: str) -> None:
    try:
        check_name(origin, "--origin")
    except DecodeError as error:
        raise ConfigError("--origin", error.reason) from None


def _witness(text: str) -> WitnessAddress:
    words = text.split()
    if len(words) != 2:
        raise ConfigError("--witness", f"{text!r} is no verifier key and URL, with a space between")
    try:
        return WitnessAddress(key=parse_vkey(words[0]), url=words[1])
    except DecodeError as error:
        raise ConfigError("--witness", str(error)) from None
