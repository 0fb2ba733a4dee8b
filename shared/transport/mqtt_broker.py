"""Where an MQTT broker is, what it takes, and what goes with a publication: the values around a connection."""

import ssl
from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where a broker is, and how it is spoken to.

    Attributes:
        host: a name or an address.
        port: 1..65535.
        tls: what vouches for the broker, and shows who we are; None only for a broker on this machine's loopback.
        username: as the broker knows us, or None.
        password: with it, or None.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    username: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        """Refuse, with ValueError, to speak in the clear to anything but this machine."""
        if self.tls is None and not is_loopback(self.host):
            raise ValueError(f"without TLS only a broker on this machine can be used, and {self.host} may be another")

    @property
    def endpoint(self) -> str:
        """Its name in errors."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """What a broker said it takes (MQTT 5 clause 3.2.2.3).

    Attributes:
        in_flight: unacknowledged publications.
        aliases: topic aliases, 0 for none.
        packet_octets: octets of an MQTT packet.
        qos: the highest quality of service.
        can_retain: whether it keeps retained messages.
        session_present: whether it still knew our session.
    """

    in_flight: int
    aliases: int
    packet_octets: int
    qos: int
    can_retain: bool
    session_present: bool


class PublishProperties:
    """Message expiry interval and topic alias as octets, which is all that paho asks of properties."""

    __slots__ = ("_packed",)

    def __init__(self, *, expiry_s: int | None, alias: int | None) -> None:
        packed = b"" if expiry_s is None else b"\x02" + expiry_s.to_bytes(4, "big")
        if alias is not None:
            packed += b"\x23" + alias.to_bytes(2, "big")
        self._packed = bytes((len(packed),)) + packed

    def pack(self) -> bytes:
        """Return the property length and the properties."""
        return self._packed


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine and nothing else."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
