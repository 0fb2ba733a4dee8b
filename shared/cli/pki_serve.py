"""`v2x pki serve`: run the authorities of a hierarchy, or some of them, until told to stop.

On standard output one line says that it serves: `ready http://127.0.0.1:8470`. Events are logged on standard error.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.listen import ListenOption, listen_option
from shared.cli.pki_stations import Directory
from shared.core.clock import TimeSource
from shared.core.errors import ConfigError
from shared.operator.pki_directory import SERVICES, PkiDirectory
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.identified_areas import read_identified_areas
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.run import run_service
from shared.service.system_clock import SystemClock

DEFAULT_LISTEN = "127.0.0.1:8470"
DEFAULT_REQUESTS_PER_S = 20.0


def serve(
    directory: Directory,
    listen: ListenOption = DEFAULT_LISTEN,
    url: Annotated[
        str | None, typer.Option(help="Public address that the lists name; default: the address listened on.", metavar="URL")
    ] = None,
    list_period_s: Annotated[
        int | None, typer.Option(help="Life of a list, seconds; default: as before, at first a day.", metavar="N")
    ] = None,
    only: Annotated[str | None, typer.Option(help=f"Some of {','.join(SERVICES)}; default: all.", metavar="LIST")] = None,
    ea_url: Annotated[str | None, typer.Option(help="Where the enrolment authority is, if not here.", metavar="URL")] = None,
    aa_url: Annotated[str | None, typer.Option(help="Where the authorization authority is, if not here.", metavar="URL")] = None,
    requests_per_s: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="Requests to authorities from one client address.")
    ] = DEFAULT_REQUESTS_PER_S,
    time_source: Annotated[TimeSource, typer.Option(help="What vouches for the date.")] = TimeSource.ASSUME_TRUSTED,
    areas: Annotated[Path | None, typer.Option(help="TOML table with the shapes of countries.", metavar="FILE")] = None,
) -> None:
    """Run the authorities of a hierarchy until stopped."""
    from shared.operator.pki_node import NodeOptions, PkiNode  # noqa: PLC0415 - a server's libraries are for those who serve

    if time_source is TimeSource.GNSS:
        raise ConfigError("--time-source", "an authority has no GNSS receiver; synchronised and assume_trusted are understood")
    host, port = listen_option(listen)
    options = NodeOptions(
        host=host,
        port=port,
        url=url,
        list_period_s=list_period_s,
        services=frozenset(SERVICES) if only is None else _services(only),
        requests_per_s=requests_per_s,
        ea_url=ea_url,
        aa_url=aa_url,
    )
    node = PkiNode(
        PkiDirectory(directory),
        options,
        areas=NO_IDENTIFIED_AREAS if areas is None else read_identified_areas(areas),
        environment=os.environ,
        clock=SystemClock(time_source),
        log=make_logger(sys.stderr),
        on_ready=_say_ready,
    )
    notifier = Notifier.from_environment(os.environ)
    code = run_service(node.run, notifier=notifier, watchdog=Watchdog.from_environment(notifier, os.environ))
    raise typer.Exit(code)


def _say_ready(url: str) -> None:
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


def _services(text: str) -> frozenset[str]:
    names = frozenset(text.split(","))
    if not names <= set(SERVICES):
        raise ConfigError("--only", f"{', '.join(sorted(names - set(SERVICES)))!s} is none of {', '.join(SERVICES)}")
    return names
