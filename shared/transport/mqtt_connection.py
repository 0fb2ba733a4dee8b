"""One connection to an MQTT 5 broker: aiomqtt's client, told what it otherwise would not tell.

What this adds to `aiomqtt.Client` (2.5, on paho-mqtt 2), by overriding its callbacks:

- the broker's limits from CONNACK, and the reasons it gives in PUBACK and DISCONNECT, reach us;
- a connection that is refused or broken while it is made says so at once, not when a time is over; one given up while a thread
  makes it leaves no socket behind;
- the socket is read in large pieces, and what was published in one turn of the loop is written in one, without a thread's wake-up;
- a packet larger than we said we take ends the connection before it is stored.

The socket is made here too. TCP_NODELAY is set: small packets would wait for the acknowledgement of the last. Left out: what is
published and when (`mqtt_session`).
"""

import asyncio
import logging
import socket
import ssl
import threading
from typing import Any, Protocol

import aiomqtt
from aiomqtt.exceptions import MqttCodeError
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from shared.core.errors import TransportError
from shared.transport.mqtt_broker import Broker, BrokerLimits, PublishProperties

CONNECT_TIMEOUT_S = 5.0
"""Seconds for TCP and TLS, and again for the broker's answer."""

ANSWER_TIMEOUT_S = 10.0
"""Seconds a broker has to answer a subscription."""

KEEPALIVE_S = 10
"""Seconds of silence after which the broker is asked whether it is there."""

UNACKNOWLEDGED_MS = 10_000
"""Milliseconds after which the kernel gives up a connection on which nothing is acknowledged."""

RECEIVE_MAXIMUM = 256
"""Unacknowledged messages the broker may have under way to us."""

MAX_IN_FLIGHT = 256
"""Messages we have under way to the broker; fewer where it takes fewer."""

MAX_PACKET_OCTETS = 8_192
"""Octets of an MQTT packet we take: a V2X packet with a long topic has below 3,000."""

MAX_ALIASES = 64
"""Topic aliases we use of those the broker offers."""

FAILURE = 0x80
"""Reason codes from here on are refusals."""

_CONNACK = 0x20
"""First octet of the first packet a broker sends."""

_READ_OCTETS = 65_536
_NEVER_WARN = 1 << 30
_SILENT = logging.Logger("mqtt", logging.CRITICAL + 1)  # noqa: LOG001 - counted and said by us, not logged by a library


class ConnectionListener(Protocol):
    """Is told, in the loop's thread, what comes."""

    def heard(self, message: paho.MQTTMessage) -> None:
        """A message arrived."""
        ...

    def published(self, number: int, refusal: str | None) -> None:
        """A publication arrived at the broker (at QoS 0: was written), or the broker refuses it for a reason."""
        ...

    def ended(self, reason: str) -> None:
        """The connection is over; told once, for connections that were made."""
        ...


class MqttConnection(aiomqtt.Client):
    """A connection that is made once, used, and thrown away.

    Args:
        broker: whom to call.
        listener: told what comes.
        client_id: our name there: whatever the broker keeps under it is ours. (A clean start is never asked for: who calls himself
            something new needs none, and some brokers do not write to disk the sessions that began with one.)
        session_expiry_s: how long it keeps our subscriptions and what comes for us after the connection broke.
        acknowledges_itself: what is heard is acknowledged by `acknowledge`, not by itself.
    """

    def __init__(
        self,
        broker: Broker,
        listener: ConnectionListener,
        *,
        client_id: str,
        session_expiry_s: int,
        acknowledges_itself: bool = False,
    ) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session_expiry_s
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = MAX_PACKET_OCTETS
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            logger=_SILENT,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=ANSWER_TIMEOUT_S,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            max_inflight_messages=0,  # bounded by the session, whose order would suffer from a second queue
            properties=properties,
        )
        self.pending_calls_threshold = _NEVER_WARN
        self.limits = BrokerLimits(
            in_flight=MAX_IN_FLIGHT, aliases=0, packet_octets=1 << 28, qos=1, can_retain=True, session_present=False
        )
        self._broker = broker
        self._listener = listener
        self._is_up = False
        self._end_reason: str | None = None
        self._thread = threading.get_ident()
        self._lock_making = threading.Lock()
        self._is_making = False
        self._is_abandoned = False
        self._tls_trouble: str | None = None
        self._no_way: str | None = None
        self._inbound = b""
        self._inbound_at = 0
        self._has_spoken = False
        self._is_flush_due = False
        self._writer_of: int | None = None
        self._connected.add_done_callback(_look_at)
        self._client.disable_logger()
        self._client.manual_ack_set(acknowledges_itself)
        # paho's only ways to its socket: see the module.
        setattr(self._client, "_create_socket", self._make_socket)  # noqa: B010
        setattr(self._client, "_sock_recv", self._take_inbound)  # noqa: B010

    async def connect(self) -> BrokerLimits:
        """Make the connection.

        Raises:
            TransportError: nobody there, no trust in whom is there, or a refusal, with its reason.
        """
        self._is_making = True
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S * 3):
                await self.__aenter__()
        except (aiomqtt.MqttError, OSError, ValueError, TimeoutError) as error:
            is_refusal = isinstance(error, MqttCodeError) and isinstance(error.rc, ReasonCode)
            reason = _words(error) if is_refusal else self._no_way or self._tls_trouble or self._end_reason or _words(error)
            self.abandon()
            raise TransportError("broker", reason) from None
        except BaseException:
            self.abandon()
            raise
        self._is_up = self._end_reason is None
        if not self._is_up:
            raise TransportError("broker", self._end_reason or "the connection broke")
        return self.limits

    def hand_over(self, topic: str, payload: bytes, *, qos: int, retain: bool, properties: PublishProperties) -> int:
        """Publish, and return the number `published` will be told; raises `TransportError` on a broken connection."""
        info = self._client.publish(topic, payload, qos, retain, properties)  # type: ignore[arg-type]  # packs itself
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise TransportError("broker", paho.error_string(info.rc))
        return info.mid

    def acknowledge(self, message: paho.MQTTMessage) -> None:
        """Tell the broker that a message is dealt with."""
        self._client.ack(message.mid, message.qos)

    async def listen(self, filters: list[tuple[str, int]], *, no_local: bool, retain_as_published: bool = False) -> list[str]:
        """Subscribe to filters with the highest quality of service wanted of each.

        Returns:
            The broker's words for each filter that it refuses.

        Raises:
            TransportError: the connection broke, or the broker does not answer.
        """
        options = [
            (topic, SubscribeOptions(qos=qos, noLocal=no_local, retainAsPublished=retain_as_published, retainHandling=1))
            for topic, qos in filters
        ]
        try:
            answers = await self.subscribe(options)
        except (aiomqtt.MqttError, ValueError) as error:
            raise TransportError("broker", self._end_reason or _words(error)) from None
        return [str(answer) for answer in answers if isinstance(answer, ReasonCode) and answer.is_failure]

    async def forget(self, filters: list[str]) -> None:
        """Unsubscribe; raises `TransportError`."""
        try:
            await self.unsubscribe(filters)
        except (aiomqtt.MqttError, ValueError) as error:
            raise TransportError("broker", self._end_reason or _words(error)) from None

    def fail(self, reason: str) -> None:
        """Break the connection off."""
        self._end(reason)
        self._shut()

    def leave(self) -> None:
        """Write what was published, as far as the socket takes it now, have the broker forget the session, and close."""
        if self._is_up and self._end_reason is None:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0
            try:
                self._client.disconnect(properties=properties)
                self._client.loop_write()
            except (OSError, ssl.SSLError):
                pass  # it ends either way
        self.abandon()

    def abandon(self) -> None:
        """Close, also a connection that a thread is making at this moment; harmless when closed."""
        if self._end_reason is None:
            self._end_reason = "closed"
        with self._lock_making:
            self._is_abandoned = True
            if self._is_making:
                return  # the thread closes what it makes
        self._shut()

    def _client_connect(self) -> None:
        """Connect, in a thread."""
        try:
            super()._client_connect()
        finally:
            with self._lock_making:
                self._is_making = False
                is_abandoned = self._is_abandoned
            if is_abandoned:
                self._call(self._shut)

    def _make_socket(self) -> socket.socket:
        """Reach the broker and make sure that it is the one, in a thread; what fails leaves no socket behind."""
        try:
            sock = socket.create_connection((self._broker.host, self._broker.port), timeout=CONNECT_TIMEOUT_S)
        except OSError as error:  # told here, for what comes out of the library is a number and a text
            self._no_way = _words(error)
            raise
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
            if self._broker.tls is None:
                return sock
            protected = self._broker.tls.wrap_socket(sock, server_hostname=self._broker.host, do_handshake_on_connect=False)
        except BaseException:
            sock.close()
            raise
        try:
            protected.do_handshake()
        except BaseException as error:
            if isinstance(error, ssl.SSLError):
                self._tls_trouble = _words(error)
            protected.close()
            raise
        return protected

    def _call(self, function: Any, *args: Any) -> None:  # noqa: ANN401 - a callback with its arguments
        """Have the loop's thread do something."""
        if threading.get_ident() == self._thread:
            function(*args)
            return
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed, so its callbacks are gone too
            self._client._sock_close()  # noqa: SLF001 - there is no other way to close it

    def _shut(self) -> None:
        self._client._sock_close()  # noqa: SLF001 - there is no other way to close without a farewell

    def _end(self, reason: str) -> None:
        if self._end_reason is not None:
            return
        self._end_reason = reason
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(reason))
        for confirmed in self._pending_unsubscribes.values():
            confirmed.set()
        for waiting in self._pending_subscribes.values():
            if not waiting.done():
                waiting.set_exception(aiomqtt.MqttError(reason))
        if self._is_up:
            self._listener.ended(reason)

    # What paho calls.

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,  # noqa: ANN401
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            stated = vars(properties) if properties is not None else {}
            self.limits = BrokerLimits(
                in_flight=min(MAX_IN_FLIGHT, stated.get("ReceiveMaximum", MAX_IN_FLIGHT)),
                aliases=min(MAX_ALIASES, stated.get("TopicAliasMaximum", 0)),
                packet_octets=stated.get("MaximumPacketSize", 1 << 28),
                qos=min(1, stated.get("MaximumQoS", 1)),
                can_retain=bool(stated.get("RetainAvailable", 1)),
                session_present=flags.session_present,
            )
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,  # noqa: ARG002 - paho's signature
        userdata: Any,  # noqa: ANN401, ARG002
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,  # noqa: ARG002
    ) -> None:
        by_broker = "the broker ended the connection" if flags.is_disconnect_packet_from_server else "the connection broke"
        self._call(self._end, f"{by_broker}: {reason_code}")

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:  # noqa: ANN401, ARG002
        self._listener.heard(message)

    def _on_publish(
        self,
        client: paho.Client,  # noqa: ARG002 - paho's signature
        userdata: Any,  # noqa: ANN401, ARG002
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,  # noqa: ARG002
    ) -> None:
        self._listener.published(mid, str(reason_code) if reason_code.value >= FAILURE else None)

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ANN401, ARG002
        self._call(self._attach, sock)

    def _on_socket_close(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ANN401, ARG002
        if self._loop.is_closed():
            return
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
        self._writer_of = None
        if self._misc_task is not None:
            self._misc_task.cancel()

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ANN401, ARG002
        self._call(self._schedule_flush)

    def _on_socket_unregister_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ANN401, ARG002
        if self._writer_of is not None:
            self._loop.remove_writer(self._writer_of)
            self._writer_of = None

    # Reading and writing, in the loop's thread.

    def _attach(self, sock: socket.socket) -> None:
        if self._is_abandoned or sock.fileno() < 0:
            return
        self._loop.add_reader(sock.fileno(), self._on_readable)
        self._misc_task = self._loop.create_task(self._misc_loop())

    def _schedule_flush(self) -> None:
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        sock = self._client.socket()
        if sock is None or self._is_abandoned:
            return
        try:
            self._client.loop_write()
        except Exception as error:  # noqa: BLE001 - whatever a library makes of a broken connection
            self.fail(f"the connection broke: {_words(error)}")
            return
        if self._client.want_write() and self._writer_of is None and self._client.socket() is sock:
            self._writer_of = sock.fileno()
            self._loop.add_writer(self._writer_of, self._flush)

    def _on_readable(self) -> None:
        sock = self._client.socket()
        if sock is None:
            return
        try:
            while self._fill(sock):
                while self._client.socket() is sock:
                    self._client.loop_read()
                    if self._announced_octets() > MAX_PACKET_OCTETS:
                        self.fail(f"the broker sends a packet of more than {MAX_PACKET_OCTETS} octets")
                        return
                    if self._inbound_at >= len(self._inbound):
                        break
                if self._client.socket() is not sock or not _has_more(sock):
                    return
        except Exception as error:  # noqa: BLE001 - whatever a library makes of rubbish
            self.fail(f"the broker sends what is no MQTT: {_words(error)}")

    def _fill(self, sock: Any) -> bool:  # noqa: ANN401 - plain or TLS
        """Read what has come; return False where nothing has, and end the connection where it has ended."""
        try:
            self._inbound, self._inbound_at = sock.recv(_READ_OCTETS), 0
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            self.fail(f"the connection broke: {_words(error)}")
            return False
        if not self._inbound:
            self.fail("the broker closed the connection")
            return False
        if not self._has_spoken and self._inbound[0] != _CONNACK:
            self.fail("what answers is no MQTT broker")
            return False
        self._has_spoken = True
        return True

    def _take_inbound(self, octets: int) -> bytes:
        """Give paho what it would read from the socket."""
        taken = self._inbound[self._inbound_at : self._inbound_at + octets]
        if not taken:
            raise BlockingIOError
        self._inbound_at += len(taken)
        return taken

    def _announced_octets(self) -> int:
        return int(self._client._in_packet["remaining_length"])  # noqa: SLF001 - the only place it is known before the octets come


def _look_at(future: asyncio.Future[None]) -> None:
    """Have an error looked at that nobody may be waiting for any more."""
    if not future.cancelled():
        future.exception()


def _has_more(sock: Any) -> bool:  # noqa: ANN401 - plain or TLS
    """Say whether TLS holds octets of which the kernel knows nothing any more."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _words(error: BaseException) -> str:
    """Return the sentence of a library's error."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, MqttCodeError) and isinstance(error.rc, ReasonCode):
        return f"the broker refuses: {error.rc}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return "nobody answers there: the connection was refused"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be reached: {error.strerror}"
    text = str(error).split("\n", 1)[0]
    return text or type(error).__name__
