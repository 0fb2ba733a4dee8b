"""`[http]`: where the unit is seen with a browser, and where an operator gives it orders.

    [http]
    listen = "127.0.0.1:8480"                   # in the clear
    token = "operator.token"                    # without it nothing can be ordered, only looked at

Elsewhere than on this machine's loopback a token is taken over TLS only, for whoever reads it on its way has it.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.service.listen_address import ListeningConfig
from shared.transport.mqtt_broker import is_loopback

MAX_NAMES = 16
"""Names under which one unit is called."""

HostName = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z")]


class HttpConfig(ListeningConfig, frozen=True, kw_only=True):
    """The unit's HTTP interface.

    Attributes:
        token: file with the operator's bearer token in its first line, closed to others; without it the interface is read-only.
        certificate: PEM file of the server's certificate and its chain; with it, TLS is spoken and nothing else.
        key: PEM file of its unencrypted key, closed to others.
        names: names of this machine that browsers may call it by, besides its addresses and `localhost`.
    """

    token: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    names: Annotated[tuple[HostName, ...], msgspec.Meta(max_length=MAX_NAMES)] = ()

    def __post_init__(self) -> None:
        """Refuse halves, an address that is none, and a token that others could read on its way."""
        super().__post_init__()
        host, _ = self.address
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.token is not None and self.certificate is None and not is_loopback(host):
            raise ValueError("token needs certificate and key: elsewhere than on loopback orders are taken over TLS only")
