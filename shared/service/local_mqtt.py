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
from shared.service.log import Availability
from shared.service.mqtt_link import PublicationLink, end_if_cancelled, hear_nothing
from shared.service.secret import SecretText
from shared.transport.mqtt_broker import Broker, PublishProperties, is_loopback
from shared.transport.mqtt_connection import MqttConnection

VIEW_EXPIRY_S = 2
"""A view older than this is no view; ten were missed."""

EVENT_EXPIRY_S = 10
"""An event that a subscriber could not be told within this is old."""

MAX_PENDING_EVENTS = 64
"""Events kept while the broker is away or slow."""

RETRY_FIRST_S, RETRY_MAX_S = 0.5, 30.0
"""The first pause before connecting again, and the longest; each is half again to twice the one before."""

ANSWER_S = 5.0
"""Seconds in which the broker takes what it is given."""

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


class LocalMqtt:
    """Publishes while `run` runs.

    Args:
        config: where the broker is.
        log: told when the broker comes and goes.
        lot: draws the client's name and the length of pauses.
        retry_first_s: the first pause before connecting again.
        answer_s: seconds in which the broker takes what it is given.

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
        self._broker = Broker(host=config.host, port=config.port, tls=None, username=config.username, password=password)
        self._topic = config.topic
        self._client_id = f"driver-{lot.getrandbits(48):012x}"
        self._availability = Availability(log, self._broker.endpoint)
        self._lot = lot
        self._retry_first_s = retry_first_s
        self._answer_s = answer_s
        self._view: bytes | None = None
        self._events: deque[_Event] = deque()
        self._news = asyncio.Event()
        self._is_connected = False
        self._published = self._refused = self._lost_views = self._lost_events = self._interruptions = 0

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
        return {
            "is_connected": self._is_connected,
            "published": self._published,
            "refused": self._refused,
            "lost_views": self._lost_views,
            "lost_events": self._lost_events,
            "interruptions": self._interruptions,
        }

    async def run(self) -> None:
        """Publish until cancelled."""
        pause_s = self._retry_first_s
        while True:
            link = PublicationLink(self._news, hear_nothing)
            connection = _Connection(self._broker, link, client_id=self._client_id, view_topic=self.view_topic)
            try:
                await connection.connect()
                self._is_connected = True
                self._availability.works()
                pause_s = self._retry_first_s
                await self._publish(connection, link)
            except TransportError as failure:
                self._interruptions += self._is_connected
                self._availability.lost(failure.reason)
            finally:
                self._is_connected = False
                connection.abandon()
            end_if_cancelled()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * self._lot.uniform(1.5, 2.0), RETRY_MAX_S)

    async def _publish(self, connection: MqttConnection, link: PublicationLink) -> None:
        """Publish what waits and what comes; raises `TransportError` when the connection ends."""
        self._news.set()  # what was kept while there was no connection
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

    async def _hand_over(
        self,
        connection: MqttConnection,
        link: PublicationLink,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        expiry_s: int,
    ) -> None:
        """Have the broker take one publication; raises `TransportError` where it does not in time."""
        properties = PublishProperties(expiry_s=expiry_s, alias=None)
        number = connection.hand_over(topic, payload, qos=qos, retain=retain, properties=properties)
        try:
            async with asyncio.timeout(self._answer_s):
                refusal = await link.outcome(number)
        except TimeoutError:
            raise TransportError("broker", f"takes nothing for {self._answer_s} s") from None
        if refusal is None:
            self._published += 1
        else:
            self._refused += 1


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
