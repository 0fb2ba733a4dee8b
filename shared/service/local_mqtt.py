"""The driver's view and events on a local MQTT 5 broker, for displays and apps that know MQTT.

    <topic>/view           the view, retained, so that whoever subscribes sees it at once; it expires with `VIEW_EXPIRY_S`
    <topic>/event/<kind>   each event, not retained

The broker is on loopback and spoken to in the clear. It may come and go: `run` connects again with growing pauses; meanwhile the
latest view and the last `MAX_PENDING_EVENTS` events are kept, these for `EVENT_EXPIRY_S`, and the rest is counted. When the agent
ends or is lost, the broker forgets the view. Whoever publishes never waits.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from random import Random
from typing import Annotated

import msgspec
from structlog.typing import FilteringBoundLogger

from shared.core.errors import ConfigError, TransportError
from shared.service.config import ConfigStruct
from shared.service.keystore import read_private_file
from shared.service.mqtt_link import ANSWER_S, RETRY_FIRST_S, BrokerClient, PublicationLink
from shared.service.secret import SecretText
from shared.transport.mqtt_broker import Broker, PublishProperties, is_loopback
from shared.transport.mqtt_connection import MqttConnection

VIEW_EXPIRY_S = 2
"""A view older than this is no view; ten were missed."""

EVENT_EXPIRY_S = 10
"""An event that a subscriber could not be told within this is old."""

MAX_PENDING_EVENTS = 64
"""Events kept while the broker is away or slow."""

MAX_PASSWORD_OCTETS = 1_024

Topic = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=128)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class LocalMqttConfig(ConfigStruct, frozen=True, kw_only=True):
    """A broker on this machine.

    Attributes:
        host: a loopback address, or `localhost`.
        port: usually 1883.
        topic: what all topics begin with.
        username: as the broker knows the agent, or None.
        password_file: with the password in its first line, closed to others; or None.
    """

    host: str = "127.0.0.1"
    port: Port = 1_883
    topic: Topic = "v2x/driver"
    username: str | None = None
    password_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a broker elsewhere: what is said is not encrypted, and where the car is is nobody's business."""
        if not is_loopback(self.host):
            raise ValueError(f"the driver's broker is on this machine; {self.host} may be another")
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs username")


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    document: bytes
    until_s: float


class LocalMqtt(BrokerClient):
    """Publishes while `run` runs.

    Args:
        config: where the broker is; the others as in `BrokerClient`.

    Raises:
        ConfigError: the password file is absent, open to others, or holds no password.
    """

    def __init__(
        self,
        config: LocalMqttConfig,
        *,
        log: FilteringBoundLogger,
        lot: Random,
        retry_first_s: float = RETRY_FIRST_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        password = None if config.password_file is None else _password(config.password_file)
        broker = Broker(host=config.host, port=config.port, tls=None, username=config.username, password=password)
        super().__init__(broker, client_name="driver", log=log, lot=lot, retry_first_s=retry_first_s, answer_s=answer_s)
        self._topic = config.topic
        self._view: bytes | None = None
        self._events: deque[_Event] = deque()
        self._lost_views = self._lost_events = 0

    @property
    def view_topic(self) -> str:
        """Where the view is."""
        return f"{self._topic}/view"

    def show(self, view: bytes) -> None:
        """Replace the view by a newer one; never waits."""
        self._lost_views += self._view is not None
        self._view = view
        self._news.set()

    def tell(self, kind: str, event: bytes) -> None:
        """Publish one event; never waits. `kind` is one level of a topic."""
        if len(self._events) >= MAX_PENDING_EVENTS:
            self._events.popleft()
            self._lost_events += 1
        self._events.append(_Event(kind, event, asyncio.get_running_loop().time() + EVENT_EXPIRY_S))
        self._news.set()

    def status(self) -> dict[str, object]:
        """Return counts as JSON values."""
        return {**super().status(), "lost_views": self._lost_views, "lost_events": self._lost_events}

    def _connection(self, link: PublicationLink) -> MqttConnection:
        return _Connection(self._broker, link, client_id=self._client_id, view_topic=self.view_topic)

    async def _publish(self, connection: MqttConnection, link: PublicationLink) -> None:
        try:
            while True:
                await self._news.wait()
                self._news.clear()  # before what waits is looked at, so that nothing is overlooked
                link.check()
                while self._events:
                    await self._publish_event(connection, link, self._events[0])
                view = self._view
                if view is not None:
                    await self._hand_over(connection, link, self.view_topic, view, qos=0, retain=True, expiry_s=VIEW_EXPIRY_S)
                    self._view = None if self._view is view else self._view
        except asyncio.CancelledError:
            with suppress(TransportError):
                nothing = PublishProperties(expiry_s=None, alias=None)
                connection.hand_over(self.view_topic, b"", qos=0, retain=True, properties=nothing)
            connection.leave()
            raise

    async def _publish_event(self, connection: MqttConnection, link: PublicationLink, event: _Event) -> None:
        """Publish the first event that waits; it goes on waiting until the broker has it."""
        remaining_s = ceil(event.until_s - asyncio.get_running_loop().time())
        if remaining_s > 0:
            topic = f"{self._topic}/event/{event.kind}"
            await self._hand_over(connection, link, topic, event.document, qos=1, retain=False, expiry_s=remaining_s)
        else:
            self._lost_events += 1
        if self._events and self._events[0] is event:
            self._events.popleft()


class _Connection(MqttConnection):
    """A connection after whose loss the broker forgets the view."""

    def __init__(self, broker: Broker, link: PublicationLink, *, client_id: str, view_topic: str) -> None:
        super().__init__(broker, link, client_id=client_id, session_expiry_s=0)
        self._client.will_set(view_topic, b"", qos=0, retain=True)


def check_password(config: LocalMqttConfig) -> None:
    """Raise `ConfigError` where the password file cannot be used."""
    if config.password_file is not None:
        _password(config.password_file)


def _password(path: Path) -> SecretText:
    octets = read_private_file(path, MAX_PASSWORD_OCTETS, what="password", may_group_read=False)
    try:
        return SecretText(octets.decode().splitlines()[0])
    except (UnicodeDecodeError, IndexError):
        raise ConfigError(str(path), "is no password: its first line is not UTF-8 text, or absent") from None
