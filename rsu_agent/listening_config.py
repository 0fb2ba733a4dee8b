"""Configuration of what a roadside unit serves besides its radio: metrics, a log for passing vehicles, cosignatures for logs."""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.core.errors import DecodeError
from shared.ledger.note import check_name
from shared.service.listen_address import ListeningConfig
from shared.service.online_log import check_places
from shared.transport.ledger_places import MAX_PLACES

DEFAULT_METRICS_LISTEN = "127.0.0.1:9464"
"""Whoever is on this machine may read the metrics; others only where the operator says so."""

DEFAULT_WITNESS_REQUESTS_PER_S = 5.0
"""From one client address: a log asks once for each of its checkpoints, and a unit has better things to do than answer floods."""


class MetricsConfig(ListeningConfig, frozen=True, kw_only=True):
    """`[metrics]`: the unit's counters for a Prometheus server, over HTTP without a password: keep it on a network of your own.

    Attributes:
        listen: address and port.
    """

    listen: str = DEFAULT_METRICS_LISTEN


class LedgerRelayConfig(ListeningConfig, frozen=True, kw_only=True):
    """`[ledger_relay]`: a log carried to passing vehicles over the unit's own way to the network.

    Attributes:
        upstream: where the log is reached, the preferred place first.
        token: file with the bearer token used for vehicles that bring none, closed to others.
    """

    upstream: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_PLACES)]
    token: Path | None = None

    def __post_init__(self) -> None:
        """Refuse an address that is none, and places that are no URLs."""
        super().__post_init__()
        check_places(self.upstream, "upstream")


class WitnessConfig(ListeningConfig, frozen=True, kw_only=True):
    """`[witness]`: the unit cosigns checkpoints of others' logs (C2SP tlog-witness), and never two histories of one.

    Attributes:
        directory: its key and what it has cosigned; made if absent, never put back from a backup.
        name: of its key, as policies write it.
        logs: file with the logs it cosigns for: a tlog-policy, or one vkey a line.
        requests_per_s: from one client address.
    """

    directory: Path
    name: str
    logs: Path
    requests_per_s: Annotated[float, msgspec.Meta(ge=0.1, le=1_000)] = DEFAULT_WITNESS_REQUESTS_PER_S

    def __post_init__(self) -> None:
        """Refuse an address that is none, and a name no key can have."""
        super().__post_init__()
        try:
            check_name(self.name, "name")
        except DecodeError as error:
            raise ValueError(str(error)) from None
