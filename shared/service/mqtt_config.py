"""`[[radio]]` with `kind = "mqtt"`: which broker, with what proof, and how it is used.

A broker elsewhere is spoken to over TLS and in no other way; one on this machine's loopback also in the clear. Who the broker is
says `ca` (without it, the authorities this machine trusts); who we are says `certificate` with `key`, or `username` with
`password_file`, or both. Key and password files must be closed to others.
"""

import os
import ssl
from pathlib import Path
from random import Random
from typing import Annotated, Literal

import msgspec

from shared.core.clock import Clock
from shared.core.entropy import Entropy
from shared.core.errors import ConfigError
from shared.service.config import ConfigStruct
from shared.service.keystore import MAX_KEY_FILE_OCTETS, read_private_file
from shared.service.secret import SecretText
from shared.transport.mqtt_broker import Broker, is_loopback
from shared.transport.mqtt_outbox import CAPACITY_OCTETS, CAPACITY_PACKETS
from shared.transport.mqtt_radio import DEFAULT_RADIUS_M, Habits, MqttRadio
from shared.transport.mqtt_topics import IN_QUEUE, TopicGrammar
from shared.transport.packet_outline import KINDS
from shared.transport.radio import RECEIVE_QUEUE_PACKETS

MAX_RADIUS_M = 50_000.0
"""Metres around a station; farther away nothing concerns it."""

MAX_PASSWORD_OCTETS = 1_024

_KNOWN_KINDS = frozenset(KINDS.values())

RadioName = Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*\Z")]
"""What a radio is called in the status, the log and the capture."""


class BrokerConfig(ConfigStruct, frozen=True, kw_only=True):
    """Where a broker is and who talks to it.

    Attributes:
        host: name or address.
        port: 8883 is MQTT over TLS, 1883 in the clear.
        tls: speak TLS; needed only on loopback without `ca`, elsewhere it goes without saying.
        ca: PEM file of the authorities that vouch for the broker.
        certificate: PEM file of our certificate and its chain.
        key: PEM file of its unencrypted key.
        username: as the broker knows us.
        password_file: with the password in its first line.
    """

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 8883
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    password_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse halves, and what is no host."""
        if not self.host.isprintable() or any(sign.isspace() or sign in "/@[]" for sign in self.host):
            raise ValueError(f"host: {self.host!r} is neither the name of a host nor its address; the port has a key of its own")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs username")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is protected: always, but for a broker on this machine for which nothing was said."""
        return self.tls or self.ca is not None or self.certificate is not None or not is_loopback(self.host)


class MqttRadioConfig(BrokerConfig, frozen=True, kw_only=True, tag_field="kind", tag="mqtt"):
    """A radio by way of a broker.

    Attributes:
        name: of the radio, for routes and status.
        namespace: first level of every topic.
        publish_queue: second level of what is published.
        listen_queue: second level of what is listened to: another where a relay copies one to the other.
        radius_m: metres around the station within which each kind is listened to, where they differ from the usual; 0: not at all.
        qos: quality of service of each kind that is not published with 1.
        retain: kinds of which the broker keeps the last, while it is valid, for who comes later.
        hear_own: hear what this radio published itself.
        outbox_packets: packets kept while there is no broker.
        outbox_octets: octets of them.
    """

    name: RadioName = "mqtt"
    namespace: str = "v2x-trust"
    publish_queue: str = IN_QUEUE
    listen_queue: str = IN_QUEUE
    radius_m: dict[str, float] = msgspec.field(default_factory=dict)
    qos: dict[str, Literal[0, 1]] = msgspec.field(default_factory=dict)
    retain: tuple[str, ...] = ()
    hear_own: bool = False
    outbox_packets: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = CAPACITY_PACKETS
    outbox_octets: Annotated[int, msgspec.Meta(ge=4_096, le=1 << 28)] = CAPACITY_OCTETS

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        super().__post_init__()
        TopicGrammar(namespace=self.namespace, publish_queue=self.publish_queue, listen_queue=self.listen_queue)
        for key, kinds in (("radius_m", self.radius_m), ("qos", self.qos), ("retain", self.retain)):
            unknown = sorted(set(kinds) - _KNOWN_KINDS)
            if unknown:
                raise ValueError(f"{key}: {unknown[0]!r} is none of {', '.join(sorted(_KNOWN_KINDS))}")
        for kind, radius_m in self.radius_m.items():
            if not 0.0 <= radius_m <= MAX_RADIUS_M:
                raise ValueError(f"radius_m: {radius_m} m for {kind} is outside 0..{MAX_RADIUS_M:g}")
        if not any(self.radii_m().values()):
            raise ValueError("radius_m: nothing is listened to")

    def radii_m(self) -> dict[str, float]:
        """Return the kinds listened to, with their distances."""
        return {kind: radius_m for kind, radius_m in ({**DEFAULT_RADIUS_M, **self.radius_m}).items() if radius_m}

    def habits(self) -> Habits:
        """Return how the broker is used."""
        return Habits(
            grammar=TopicGrammar(namespace=self.namespace, publish_queue=self.publish_queue, listen_queue=self.listen_queue),
            radius_m_of=self.radii_m(),
            qos_of=dict(self.qos),
            retained=frozenset(self.retain),
            no_local=not self.hear_own,
            capacity_packets=self.outbox_packets,
            capacity_octets=self.outbox_octets,
        )


def broker_of(config: BrokerConfig, *, credentials_directory: Path | None = None) -> Broker:
    """Return the broker with its files read.

    Args:
        config: where it is.
        credentials_directory: the directory in which systemd passes files that its access lists show as open to the group.

    Raises:
        ConfigError: a file is absent, open to others, or not what it should be.
    """
    password = None
    if config.password_file is not None:
        may_group_read = _is_credential(config.password_file, credentials_directory)
        octets = read_private_file(config.password_file, MAX_PASSWORD_OCTETS, what="password", may_group_read=may_group_read)
        try:
            password = SecretText(bytes(octets).decode().split("\n", 1)[0])
        except UnicodeDecodeError:
            raise ConfigError(str(config.password_file), "the password is not UTF-8") from None
    tls = _tls_of(config, credentials_directory) if config.uses_tls else None
    return Broker(host=config.host, port=config.port, tls=tls, username=config.username, password=password)


def open_mqtt_radio(
    config: MqttRadioConfig,
    *,
    clock: Clock,
    entropy: Entropy = os.urandom,
    random: Random | None = None,
    capacity_packets: int = RECEIVE_QUEUE_PACKETS,
    credentials_directory: Path | None = None,
) -> MqttRadio:
    """Open the radio; needs a running event loop, and no broker yet.

    Args:
        config: which.
        clock: stamps arrivals.
        entropy: draws client identifiers.
        random: jitter between attempts to connect; the system's by default.
        capacity_packets: packets that wait for the reader.
        credentials_directory: as in `broker_of`.

    Raises:
        ConfigError: as `broker_of`.
    """
    return MqttRadio(
        broker_of(config, credentials_directory=credentials_directory),
        clock=clock,
        habits=config.habits(),
        entropy=entropy,
        random=Random(int.from_bytes(entropy(8), "big")) if random is None else random,  # noqa: S311 - jitter
        capacity_packets=capacity_packets,
    )


def _tls_of(config: BrokerConfig, credentials_directory: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if config.ca is None else str(config.ca))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(str(config.ca), f"holds no certificates in PEM: {_words(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.certificate is not None and config.key is not None:
        may_group_read = _is_credential(config.key, credentials_directory)
        read_private_file(config.key, MAX_KEY_FILE_OCTETS, what="private key", may_group_read=may_group_read)
        try:
            context.load_cert_chain(config.certificate, config.key, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                str(config.certificate), f"is no PEM certificate that belongs to the key {config.key}: {_words(error)}"
            ) from None
    return context


def _no_password() -> bytes:
    """Have an encrypted key refused, where OpenSSL would ask at the terminal."""
    return b""


def _is_credential(path: Path, credentials_directory: Path | None) -> bool:
    return credentials_directory is not None and path.parent == credentials_directory


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    return error.strerror or str(error)
