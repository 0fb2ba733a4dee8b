"""The driver's view and events on a local MQTT 5 broker, for displays and apps that know MQTT.

    <topic>/view           the view, retained, so that whoever subscribes sees it at once; it expires with `VIEW_EXPIRY_S`
    <topic>/event/<kind>   each event, not retained

The broker is on loopback and spoken to in the clear. It may come and go: `run` connects again with growing pauses; meanwhile the
latest view and the last `MAX_PENDING_EVENTS` events are kept, these for `EVENT_EXPIRY_S`, and the rest is counted. When the agent
ends or is lost, the broker forgets the view. Whoever publishes never waits.
"""

import asyncio
import logging
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from random import Random
from typing import Annotated

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.typing import FilteringBoundLogger

from shared.core.errors import ConfigError
from shared.service.config import ConfigStruct
from shared.service.keystore import read_private_file
from shared.service.log import Availability
from shared.service.secret import SecretText
from shared.transport.mqtt_connection import is_loopback

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

FAREWELL_S = 1.0
"""Seconds for the broker to be told that the view is gone, when the agent ends."""

KEEPALIVE_S = 10
MAX_PASSWORD_OCTETS = 1_024

_SILENT = logging.Logger("driver-mqtt", logging.CRITICAL + 1)  # noqa: LOG001  # said by us, once, not by a library at every try

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
        lot: draws the length of pauses.
        retry_first_s: the first pause before connecting again.
    """

    def __init__(
        self, config: LocalMqttConfig, *, log: FilteringBoundLogger, lot: Random, retry_first_s: float = RETRY_FIRST_S
    ) -> None:
        self._config = config
        self._password = None if config.password_file is None else _password(config.password_file)
        self._availability = Availability(log, f"mqtt {config.host}:{config.port}")
        self._lot = lot
        self._retry_first_s = retry_first_s
        self._view: bytes | None = None
        self._events: deque[_Event] = deque()
        self._news = asyncio.Event()
        self._is_connected = False
        self._published = self._lost_views = self._lost_events = self._interruptions = 0

    @property
    def view_topic(self) -> str:
        """Where the view is."""
        return f"{self._config.topic}/view"

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
            "lost_views": self._lost_views,
            "lost_events": self._lost_events,
            "interruptions": self._interruptions,
        }

    async def run(self) -> None:
        """Publish until cancelled."""
        pause_s = self._retry_first_s
        while True:
            try:
                async with self._client() as client:
                    self._is_connected = True
                    self._availability.works()
                    pause_s = self._retry_first_s
                    await self._publish(client)
            except (aiomqtt.MqttError, OSError) as failure:
                self._interruptions += self._is_connected
                self._availability.lost(str(failure) or type(failure).__name__)
            finally:
                self._is_connected = False
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * self._lot.uniform(1.5, 2.0), RETRY_MAX_S)

    def _client(self) -> aiomqtt.Client:
        config = self._config
        return aiomqtt.Client(
            config.host,
            config.port,
            username=config.username,
            password=self._password,
            protocol=aiomqtt.ProtocolVersion.V5,
            logger=_SILENT,
            will=aiomqtt.Will(self.view_topic, payload=b"", qos=0, retain=True),
            timeout=ANSWER_S,
            keepalive=KEEPALIVE_S,
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )

    async def _publish(self, client: aiomqtt.Client) -> None:
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._events:
                    await self._publish_event(client, self._events[0])
                view, self._view = self._view, None
                if view is not None:
                    await client.publish(self.view_topic, view, qos=0, retain=True, properties=_expiry(VIEW_EXPIRY_S))
                    self._published += 1
        except asyncio.CancelledError:
            with suppress(aiomqtt.MqttError, OSError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await client.publish(self.view_topic, b"", qos=1, retain=True)
            raise

    async def _publish_event(self, client: aiomqtt.Client, event: _Event) -> None:
        """Publish the first event that waits; it goes on waiting until the broker has it."""
        remaining_s = ceil(event.until_s - asyncio.get_running_loop().time())
        if remaining_s > 0:
            topic = f"{self._config.topic}/event/{event.kind}"
            await client.publish(topic, event.document, qos=1, properties=_expiry(remaining_s))
            self._published += 1
        else:
            self._lost_events += 1
        if self._events and self._events[0] is event:
            self._events.popleft()


def _expiry(seconds: int) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho says no types here
    properties.MessageExpiryInterval = seconds
    return properties


def _password(path: Path) -> SecretText:
    octets = read_private_file(path, MAX_PASSWORD_OCTETS, what="password", may_group_read=False)
    try:
        return SecretText(octets.decode().splitlines()[0])
    except (UnicodeDecodeError, IndexError):
        raise ConfigError(str(path), "is no password: its first line is not UTF-8 text, or absent") from None
