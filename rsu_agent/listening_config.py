"""Configuration of what a roadside unit serves besides its radio: its metrics, and its office as a witness for logs of others."""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.core.errors import DecodeError
from shared.ledger.note import check_name
from shared.service.config import ConfigStruct

DEFAULT_METRICS_LISTEN = "127.0.0.1:9464"
"""Whoever is on this machine may read the metrics; others only where the operator says so."""

MAX_PORT = 65_535
MAX_PORT_DIGITS = 5

DEFAULT_WITNESS_REQUESTS_PER_S = 5.0
"""From one client address: a log asks once for each of its checkpoints, and a unit has better things to do than answer floods."""


def listen_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, as in `127.0.0.1:8481` or `[::1]:0`; raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= MAX_PORT_DIGITS and int(port) <= MAX_PORT):
        raise ValueError(f"listen: {text!r} is no address with a port, as in 127.0.0.1:8481")
    return host.removeprefix("[").removesuffix("]"), int(port)


class MetricsConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[metrics]`: the unit's counters for a Prometheus server, over HTTP without a password: keep it on a network of your own.

    Attributes:
        listen: address and port; port 0: a free one.
    """

    listen: str = DEFAULT_METRICS_LISTEN

    def __post_init__(self) -> None:
        """Refuse an address that is none."""
        self.address  # noqa: B018 - raises

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return listen_address(self.listen)


class WitnessConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[witness]`: the unit cosigns checkpoints of others' logs (C2SP tlog-witness), and never two histories of one.

    Attributes:
        directory: its key and what it has cosigned; made if absent, never put back from a backup.
        name: of its key, as policies write it.
        logs: file with the logs it cosigns for: a tlog-policy, or one vkey a line.
        listen: address and port (port 0: a free one).
        requests_per_s: from one client address.
    """

    directory: Path
    name: str
    logs: Path
    listen: str
    requests_per_s: Annotated[float, msgspec.Meta(ge=0.1, le=1_000)] = DEFAULT_WITNESS_REQUESTS_PER_S

    def __post_init__(self) -> None:
        """Refuse an address that is none, and a name no key can have."""
        self.address  # noqa: B018 - raises
        try:
            check_name(self.name, "name")
        except DecodeError as error:
            raise ValueError(str(error)) from None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return listen_address(self.listen)
