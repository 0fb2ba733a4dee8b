"""One session at a broker, held over any number of connections: reconnects, publishes in order, listens where it is told.

A session has one name at the broker, drawn at random, and serves one pseudonym. While it lives it is connected or about to be:
after a failure it waits, twice as long each time up to a bound and by chance shorter, and tries again. A broker that kept the
session delivers what came for it meanwhile; it is told the subscriptions anew in any case.

Publications leave the outbox when the broker acknowledged them, or, at QoS 0, when they are written. No more are under way than
the broker takes; topics it has seen are abbreviated (topic aliases). What remains of a packet's time goes with it as message expiry
interval, in whole seconds rounded up: a broker must not drop what is still valid, and who hears it judges the fraction.

What was under way when a connection broke is published under a new number, for its time has shrunk: the broker cannot know it for
the same, so a subscriber may hear it twice (at least once is what QoS 1 promises). Replay protection behind the radio drops it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from paho.mqtt import client as paho

from shared.core.clock import NS_PER_S, Clock, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import TransportError
from shared.transport.mqtt_broker import Broker, BrokerLimits, PublishProperties
from shared.transport.mqtt_connection import MqttConnection
from shared.transport.mqtt_outbox import Outbox, Parcel
from shared.transport.radio import NOT_YET

CLIENT_ID_OCTETS = 10
"""Random octets of a client identifier; in hexadecimal as many characters as every broker takes."""

SESSION_EXPIRY_S = 120
"""Seconds a broker keeps a session without a connection."""

FILTERS_PER_SUBSCRIPTION = 32
"""Topic filters of one SUBSCRIBE packet."""

MAX_FILTERS = 256
"""Topic filters of one session."""

ACKNOWLEDGE_TIMEOUT_S = 10.0
"""Seconds without any acknowledgement while some are owed; then the connection is given up."""

LOOK_S = 1.0
"""Seconds between looks at what expires."""

REFUSAL_TOLD_S = 60.0
"""Seconds for which a refused publication is a fault, unless another follows."""

STEADY_S = 5.0
"""Seconds a connection must hold before the next failure is taken for a new one."""

PUBLISH_OVERHEAD_OCTETS = 24
"""Octets of a PUBLISH packet besides topic and payload, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """How long to wait before another try: the first about `first_s`, then twice as long each time, at most `longest_s`."""

    first_s: float = 0.2
    longest_s: float = 10.0

    def delay_s(self, failures: int, random: Random) -> float:
        """Return the wait after that many failures in a row (1 or more): a bound, and by chance down to half of it."""
        bound: float = min(self.longest_s, self.first_s * 2 ** min(failures - 1, 30))
        return bound * random.uniform(0.5, 1.0)


@dataclass(slots=True, kw_only=True)
class SessionCounts:
    """What sessions have been through.

    Attributes:
        connections: made.
        failures: attempts that failed.
        interruptions: connections that broke.
        refused_filters: subscriptions the broker refused.
        redelivered: messages it marked as sent before.
    """

    connections: int = 0
    failures: int = 0
    interruptions: int = 0
    refused_filters: int = 0
    redelivered: int = 0


class Hearer(Protocol):
    """Takes what a session hears."""

    def __call__(self, message: paho.MQTTMessage) -> None:
        """Take one message, in the loop's thread."""
        ...


class MqttSession:
    """A session; needs a running event loop.

    Args:
        broker: whom to call.
        outbox: what is to be published.
        counts: kept here.
        hear: takes what comes.
        clock: says what has expired.
        entropy: draws the client identifier.
        random: jitter of the back-off.
        back_off: waits between attempts.
        no_local: the broker does not send back what the session published.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        outbox: Outbox,
        counts: SessionCounts,
        hear: Hearer,
        clock: Clock,
        entropy: Entropy,
        random: Random,
        back_off: BackOff,
        no_local: bool,
    ) -> None:
        self.outbox = outbox
        self._broker = broker
        self._counts = counts
        self._hear = hear
        self._clock = clock
        self._random = random
        self._back_off = back_off
        self._no_local = no_local
        self._client_id = entropy(CLIENT_ID_OCTETS).hex()
        self._loop = asyncio.get_running_loop()
        self._connection: MqttConnection | None = None
        self._limits: BrokerLimits | None = None
        self._end_reason: str | None = None
        self._aliases: OrderedDict[str, int] = OrderedDict()
        self._wanted: frozenset[str] = frozenset()
        self._listening: frozenset[str] = frozenset()
        self._left_behind: frozenset[str] = frozenset()
        self._may_end: Callable[[], bool] | None = None
        self._progress_s = 0.0
        self._stir = asyncio.Event()
        self._idle = asyncio.Event()
        self._settled = asyncio.Event()
        self._fault: str | None = NOT_YET
        self._refused_filter: str | None = None
        self._refused_publication: str | None = None
        self._refused_at_s = 0.0
        self._was_made = False
        self.has_ended = False
        self._task = self._loop.create_task(self._run())

    @property
    def fault(self) -> str | None:
        """Why it cannot be used: no connection, or the broker refuses a part; None while all is well."""
        return self._fault or self._refused_filter or self._refused_publication

    @property
    def is_connected(self) -> bool:
        """Whether publications go out now."""
        return self._connection is not None

    @property
    def is_settled(self) -> bool:
        """Whether it is connected and has subscribed to everything wanted."""
        return self._connection is not None and self._wanted <= self._listening

    def put(self, parcel: Parcel, now: MonotonicNs) -> None:
        """Publish a parcel, now or as soon as there is a connection."""
        self.outbox.put(parcel, now)
        self._idle.clear()
        self._pump()

    def listen_to(self, filters: frozenset[str]) -> None:
        """Subscribe to these filters and to no others: new ones are asked for before old ones are dropped."""
        self._wanted = frozenset(sorted(filters)[:MAX_FILTERS])
        if not self._wanted <= self._listening:
            self._settled.clear()
        self._stir.set()

    def retire(self, may_end: Callable[[], bool]) -> None:
        """End as soon as everything is published or has expired and `may_end` says so."""
        self._may_end = may_end
        self._stir.set()

    def look(self) -> None:
        """Look now at what has changed outside: a clock, a successor."""
        self._stir.set()

    def close(self) -> None:
        """End now; what was handed over is still written where the socket takes it."""
        self.has_ended = True
        if self._connection is not None:
            self._pump()
            self._connection.leave()
        self._disconnected()
        self._task.cancel()

    async def settled(self) -> None:
        """Wait until it is connected and listens to what it was told to."""
        await self._settled.wait()

    async def drained(self) -> None:
        """Wait until nothing is left to publish."""
        if len(self.outbox):
            self._idle.clear()
            await self._idle.wait()

    # What a connection calls.

    def heard(self, message: paho.MQTTMessage) -> None:
        """Hand a message on."""
        if message.dup:
            self._counts.redelivered += 1
        self._hear(message)

    def published(self, number: int, refusal: str | None) -> None:
        """Let go what the broker has or refuses."""
        self.outbox.acknowledge(number, is_refused=refusal is not None)
        if refusal is not None:
            self._note_refusal(f"the broker refuses a publication: {refusal}")
        self._progress_s = self._loop.time()
        if self.outbox.waiting:
            self._pump()
        elif not len(self.outbox):
            self._idle.set()
            if self._may_end is not None:
                self._stir.set()

    def ended(self, reason: str) -> None:
        """Note that the connection is over."""
        self._end_reason = reason
        self._disconnected()
        self._stir.set()

    async def _run(self) -> None:
        failures = 0
        while not self._is_over():
            began_s = self._loop.time()
            try:
                await self._hold_connection()
            except TransportError as error:
                self._fault = error.reason
            if self._is_over():
                break
            if self._was_made:
                self._counts.interruptions += 1
                failures = 0 if self._loop.time() - began_s >= STEADY_S else failures
            else:
                self._counts.failures += 1
            failures += 1
            await asyncio.sleep(self._back_off.delay_s(failures, self._random))
            self.outbox.expire(self._clock.now().monotonic)
            self._note_idle()
        self.has_ended = True

    async def _hold_connection(self) -> None:
        """Make a connection and serve it until it breaks; raises `TransportError` saying why it did."""
        self._was_made = False
        self._end_reason = None
        connection = MqttConnection(self._broker, self, client_id=self._client_id, session_expiry_s=SESSION_EXPIRY_S)
        try:
            limits = await connection.connect()
            self._counts.connections += 1
            self._was_made = True
            self._aliases.clear()
            self._limits = limits
            # What a broker says it remembers it may have lost in part: it is told everything again.
            self._left_behind |= self._listening
            self._listening = frozenset()
            self._connection = connection
            self._progress_s = self._loop.time()
            self._fault = self._refused_filter = None
            await self._serve(connection)
            connection.leave()
        finally:
            self._disconnected()
            connection.abandon()

    async def _serve(self, connection: MqttConnection) -> None:
        while self._end_reason is None and not self._is_over():
            self._stir.clear()
            await self._subscribe(connection)
            self._pump()
            if self.is_settled:
                self._settled.set()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._stir.wait()
            except TimeoutError:
                self.outbox.expire(self._clock.now().monotonic)
                self._note_idle()
                if self._loop.time() - self._refused_at_s > REFUSAL_TOLD_S:
                    self._refused_publication = None
                if self.outbox.in_flight and self._loop.time() - self._progress_s > ACKNOWLEDGE_TIMEOUT_S:
                    connection.fail(f"nothing was acknowledged for {ACKNOWLEDGE_TIMEOUT_S:g} s")
        if self._end_reason is not None:
            raise TransportError(self._broker.endpoint, self._end_reason)

    async def _subscribe(self, connection: MqttConnection) -> None:
        """Subscribe to what is wanted, then unsubscribe from what is not."""
        missing = sorted(self._wanted - self._listening)
        while missing and self._end_reason is None:
            some, missing = missing[:FILTERS_PER_SUBSCRIPTION], missing[FILTERS_PER_SUBSCRIPTION:]
            refusals = await connection.listen([(topic, 1) for topic in some], no_local=self._no_local)
            if refusals:
                self._counts.refused_filters += len(refusals)
                self._refused_filter = f"the broker refuses a subscription: {refusals[0]}"
            self._listening |= frozenset(some)
        self._left_behind -= self._wanted
        surplus = sorted((self._listening | self._left_behind) - self._wanted)
        while surplus and self._end_reason is None:
            some, surplus = surplus[:FILTERS_PER_SUBSCRIPTION], surplus[FILTERS_PER_SUBSCRIPTION:]
            await connection.forget(some)
            self._listening -= frozenset(some)
            self._left_behind -= frozenset(some)

    def _pump(self) -> None:
        """Hand over what the broker takes now, in order."""
        connection, limits = self._connection, self._limits
        if connection is None or limits is None:
            return
        outbox = self.outbox
        if not outbox.in_flight:
            self._progress_s = self._loop.time()
        while outbox.in_flight < limits.in_flight:
            now = self._clock.now().monotonic
            parcel = outbox.take(now)
            if parcel is None:
                break
            if len(parcel.payload) + len(parcel.topic) + PUBLISH_OVERHEAD_OCTETS > limits.packet_octets:
                outbox.refuse()
                self._note_refusal(f"the broker takes no more than {limits.packet_octets} octets")
                continue
            topic, alias = self._aliased(parcel.topic, limits)
            properties = PublishProperties(expiry_s=-((now - parcel.expires) // NS_PER_S), alias=alias)
            try:
                number = connection.hand_over(
                    topic,
                    parcel.payload,
                    qos=min(parcel.qos, limits.qos),
                    retain=parcel.retain and limits.can_retain,
                    properties=properties,
                )
            except TransportError as error:
                outbox.put_back(parcel)
                connection.fail(error.reason)
                return
            outbox.hand_over(parcel, number)
        self._note_idle()

    def _aliased(self, topic: str, limits: BrokerLimits) -> tuple[str, int | None]:
        """Return what stands for a topic: itself, itself with a number it has from now on, or that number alone."""
        if limits.aliases == 0:
            return topic, None
        known = self._aliases.get(topic)
        if known is not None:
            self._aliases.move_to_end(topic)
            return "", known
        number = len(self._aliases) + 1 if len(self._aliases) < limits.aliases else self._aliases.popitem(last=False)[1]
        self._aliases[topic] = number
        return topic, number

    def _disconnected(self) -> None:
        if self._connection is None:
            return
        self._connection = None
        self._limits = None
        self._settled.clear()
        self.outbox.come_back(self._clock.now().monotonic)
        self._note_idle()

    def _note_refusal(self, reason: str) -> None:
        self._refused_publication = reason
        self._refused_at_s = self._loop.time()

    def _note_idle(self) -> None:
        if not len(self.outbox):
            self._idle.set()

    def _is_over(self) -> bool:
        if self.has_ended:
            return True
        return self._may_end is not None and not len(self.outbox) and self._may_end()
