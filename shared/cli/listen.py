"""`--listen HOST:PORT` of the programs an operator runs beside the agents."""

from typing import Annotated

import typer

from shared.core.errors import ConfigError
from shared.service.listen_address import listen_address

ListenOption = Annotated[str, typer.Option(help="Address and port; port 0: a free one.", metavar="HOST:PORT")]


def listen_option(text: str) -> tuple[str, int]:
    """Return host and port; raises `ConfigError`."""
    try:
        return listen_address(text)
    except ValueError as wrong:
        raise ConfigError("--listen", str(wrong)) from None
