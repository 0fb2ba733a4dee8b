"""Where what a signal controller says comes in: its datagrams from a UDP port, its reports from a broker.

Everything is handed to the controller at once, in the event loop's thread, and the working loop is woken to look; nothing waits
here that could grow. A port cannot be flooded past its controller, who counts strangers and looks at so many messages a second. A
broker may come and go: the session connects again, and meanwhile the controller falls silent.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Protocol

from paho.mqtt import client as paho

from rsu_agent.signal_controllers.controller_file import ControllerPlace, ReportedPlace, TscbmPlace, plain_address
from rsu_agent.signal_controllers.reported import ReportedController
from rsu_agent.signal_controllers.tscbm import TscbmController
from rsu_agent.signal_service import Link, SignalService
from shared.core.clock import NS_PER_S, Clock, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import TransportError
from shared.service.mqtt_config import broker_of
from shared.transport.mqtt_broker import Broker
from shared.transport.mqtt_outbox import Outbox, OutboxCounts, Parcel
from shared.transport.mqtt_session import BackOff, MqttSession, SessionCounts

ORDERS_LOOK_S = 0.1
"""How often to look for requests that are to be published."""

ORDER_LIFETIME_NS = 5 * NS_PER_S
"""A request the broker did not take by then is of no use."""

LEAVE_S = 1.0
"""Seconds the broker has, when the unit ends, to take what the controller is to be told last: requests that are withdrawn."""

Wake = Callable[[], None]
"""Has the working loop look at its timers."""


class ControllerFeed(Link, Protocol):
    """An open way to a controller."""

    async def run(self) -> None:
        """Serve until cancelled."""
        ...


class TscbmFeed(asyncio.DatagramProtocol):
    """The port a controller's datagrams arrive at.

    Args:
        controller: told of each.
        signals: looks whether there is news.
        clock: dates arrivals.
        wake: called after each.
    """

    def __init__(self, controller: TscbmController, signals: SignalService, *, clock: Clock, wake: Wake) -> None:
        self._controller = controller
        self._signals = signals
        self._clock = clock
        self._wake = wake
        self.port = 0

    @property
    def fault(self) -> str | None:
        """None: a port that is open stays open."""
        return None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the port, which the system may have chosen."""
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand one datagram on."""
        now = self._clock.now()
        self._controller.hear(data, plain_address(addr[0]), now)
        self._signals.look(now)
        self._wake()

    async def run(self) -> None:
        """Nothing to do but to be there."""
        await asyncio.get_running_loop().create_future()


class ReportedFeed:
    """The topics of a controller at a broker; needs a running event loop.

    Args:
        place: controller and topics.
        broker: whom to call.
        signals: looks whether there is news.
        clock: dates arrivals.
        wake: called after each.
        entropy: draws the client's name, and how long to wait before calling again.
    """

    def __init__(
        self, place: ReportedPlace, broker: Broker, signals: SignalService, *, clock: Clock, wake: Wake, entropy: Entropy
    ) -> None:
        self._controller: ReportedController = place.controller
        self._signals = signals
        self._clock = clock
        self._wake = wake
        self._state_topic = f"{place.topic}/state"
        self._answer_topic = f"{place.topic}/priority/answer"
        self._request_topic = f"{place.topic}/priority/request"
        self._session = MqttSession(
            broker,
            outbox=Outbox(OutboxCounts()),
            counts=SessionCounts(),
            hear=self._hear,
            clock=clock,
            entropy=entropy,
            random=Random(int.from_bytes(entropy(8), "big")),  # noqa: S311 - jitter
            back_off=BackOff(),
            no_local=True,
        )
        self._session.listen_to(frozenset({self._state_topic, self._answer_topic}))

    @property
    def fault(self) -> str | None:
        """Why the broker cannot be used just now; None while all is well."""
        return self._session.fault

    async def settled(self) -> None:
        """Wait until the broker delivers what the controller publishes."""
        await self._session.settled()

    async def run(self) -> None:
        """Publish requests for priority until cancelled."""
        while True:
            self.publish()
            await asyncio.sleep(ORDERS_LOOK_S)

    def publish(self) -> None:
        """Publish the requests that wait."""
        now = self._clock.now().monotonic
        for order in self._controller.take_orders():
            parcel = Parcel(
                payload=order,
                topic=self._request_topic,
                qos=1,
                retain=False,
                useful_ns=ORDER_LIFETIME_NS,
                expires=MonotonicNs(now + ORDER_LIFETIME_NS),
            )
            self._session.put(parcel, now)

    async def leave(self) -> None:
        """Publish what waits, as long as the broker takes no more than `LEAVE_S` for it, and leave the broker."""
        self.publish()
        try:
            if self._session.is_connected:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_S):
                        await self._session.drained()
        finally:
            self._session.close()

    def _hear(self, message: paho.MQTTMessage) -> None:
        now = self._clock.now()
        payload = bytes(message.payload)
        if message.topic == self._state_topic:
            self._controller.hear(payload, now, is_retained=message.retain)
        elif message.topic == self._answer_topic:
            self._controller.hear_answer(payload, now, is_retained=message.retain)
        self._signals.look(now)
        self._wake()


@asynccontextmanager
async def open_tscbm(place: TscbmPlace, signals: SignalService, *, clock: Clock, wake: Wake) -> AsyncIterator[TscbmFeed]:
    """Open the port, and close it on leaving; raises `TransportError` where the system refuses."""
    try:
        transport, feed = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: TscbmFeed(place.controller, signals, clock=clock, wake=wake), local_addr=(place.host, place.port)
        )
    except OSError as error:
        raise TransportError(f"{place.host}:{place.port}", f"cannot listen to the controller: {error.strerror or error}") from error
    try:
        yield feed
    finally:
        transport.close()


@asynccontextmanager
async def open_reported(
    place: ReportedPlace,
    signals: SignalService,
    *,
    clock: Clock,
    wake: Wake,
    entropy: Entropy,
    credentials_directory: Path | None = None,
) -> AsyncIterator[ReportedFeed]:
    """Call the broker, and on leaving publish what waits; raises `ConfigError` for unusable files, not where nobody answers."""
    broker = broker_of(place.broker, credentials_directory=credentials_directory)
    feed = ReportedFeed(place, broker, signals, clock=clock, wake=wake, entropy=entropy)
    try:
        yield feed
    finally:
        await feed.leave()


@asynccontextmanager
async def open_feed(
    place: ControllerPlace,
    signals: SignalService,
    *,
    clock: Clock,
    wake: Wake,
    entropy: Entropy,
    environment: Mapping[str, str],
) -> AsyncIterator[ControllerFeed]:
    """Open the way to a controller, whichever kind it is; closed again on leaving.

    Args:
        place: the controller and where it is heard.
        signals: looks whether there is news.
        clock: dates arrivals.
        wake: has the working loop look at its timers.
        entropy: draws a client's name.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: a file of the broker cannot be used.
        TransportError: the port cannot be opened.
    """
    if isinstance(place, TscbmPlace):
        async with open_tscbm(place, signals, clock=clock, wake=wake) as port:
            signals.attach(port)
            yield port
    else:
        folder = _credentials(environment)
        opening = open_reported(place, signals, clock=clock, wake=wake, entropy=entropy, credentials_directory=folder)
        async with opening as topics:
            signals.attach(topics)
            yield topics


def describe_feed(place: ControllerPlace, *, environment: Mapping[str, str]) -> str:
    """Return where a controller is heard, for people; raises `ConfigError` where a file of its broker cannot be used."""
    if isinstance(place, TscbmPlace):
        return f"TSCBM from {place.controller.source} on {place.host}:{place.port}"
    broker = broker_of(place.broker, credentials_directory=_credentials(environment))
    return f"reports on {place.topic}/state at {broker.endpoint}"


def _credentials(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("CREDENTIALS_DIRECTORY")
    return Path(named) if named else None
