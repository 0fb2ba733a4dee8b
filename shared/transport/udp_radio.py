"""GeoNetworking packets as UDP multicast datagrams: the radio of labs, of the simulator's live mode and of one machine.

By default it stays on the loopback interface: no root, no broker, every process of the machine that opens the same group and port
hears all. Given another interface address it reaches a local network; the time to live of 1 keeps it there. One datagram is one
packet, from the Basic Header on. It authenticates nobody: that is what the signature inside is for.

The kernel forgets a membership when the interface loses its address or is made anew, and no socket is told: `InterfaceWatch` looks,
and the group is joined again. An address no interface has yet is waited for likewise.
"""

import contextlib
import socket
from ipaddress import AddressValueError, IPv4Address
from struct import Struct
from typing import Self

from shared.core.clock import Clock
from shared.core.errors import TransportError
from shared.core.geo import GeoPoint
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.net_interface import InterfaceWatch, sentence_of, usable_index_of
from shared.transport.paced_reader import PacedReader
from shared.transport.radio import (
    RECEIVE_QUEUE_PACKETS,
    RadioCounts,
    ReceivedPacket,
    ReceiveQueue,
    counts_of,
    require_sendable,
)

DEFAULT_GROUP = "239.255.89.47"
"""Administratively scoped (RFC 2365)."""

DEFAULT_PORT = 35_143
"""The ethertype of GeoNetworking, 0x8947, as a port."""

LOOPBACK_INTERFACE = "127.0.0.1"

TIME_TO_LIVE_HOPS = 1
KERNEL_BUFFER_OCTETS = 2 << 20
DATAGRAMS_PER_WAKE = 128
"""Datagrams read before the event loop may do something else: four times what it verifies meanwhile, so that more than that is shed
by the intake's rule and not by the kernel, which drops whatever comes last."""

_MEMBERSHIP = Struct("@4s4si")
"""`ip_mreqn`: group, address and index of the interface."""

# linux/sock_diag.h: SO_MEMINFO fills nine u32; the last counts what the socket dropped.
_SO_MEMINFO = 55
_SK_MEMINFO = Struct("@9I")


class UdpRadio:
    """One membership in a multicast group; opened by `UdpRadio.open`.

    Args:
        sock: bound and non-blocking.
        endpoint: `group:port`, for errors.
        local: address of the interface to use.
        clock: stamps arrivals.
        capacity_packets: how many packets wait for the reader before the oldest is dropped.
    """

    def __init__(self, sock: socket.socket, endpoint: str, local: IPv4Address, clock: Clock, capacity_packets: int) -> None:
        self._sock = sock
        self._endpoint = endpoint
        self._local = local
        self._clock = clock
        self._queue = ReceiveQueue(endpoint, capacity_packets)
        port: int = sock.getsockname()[1]
        self._group = (endpoint.rpartition(":")[0], port)
        self._sent = 0
        self._dropped_kernel = 0
        self._membership: bytes | None = None
        self._watch = InterfaceWatch(look=lambda: usable_index_of(local), attach=self._join)
        self._reader = PacedReader(sock, self._drain)

    @classmethod
    def open(
        cls,
        *,
        clock: Clock,
        group: str = DEFAULT_GROUP,
        port: int = DEFAULT_PORT,
        interface: str = LOOPBACK_INTERFACE,
        capacity_packets: int = RECEIVE_QUEUE_PACKETS,
    ) -> Self:
        """Join a group; needs a running event loop. An interface that is away is waited for: `fault` says so meanwhile.

        Args:
            clock: stamps arrivals.
            group: IPv4 multicast address.
            port: UDP port, 1..65535 (0 lets the system choose, for a radio alone).
            interface: IPv4 address of the interface to use.
            capacity_packets: how many packets wait for the reader before the oldest is dropped.

        Raises:
            TransportError: an address is none, or the system refuses to bind.
        """
        endpoint = f"{group}:{port}"
        check_addresses(group, interface, endpoint)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            _bind(sock, group, port)
            return cls(sock, endpoint, IPv4Address(interface), clock, capacity_packets)
        except (OSError, OverflowError) as error:
            sock.close()
            reason = sentence_of(error) if isinstance(error, OSError) else error
            raise TransportError(endpoint, f"cannot listen: {reason}") from error

    @property
    def port(self) -> int:
        """The UDP port the group is heard on."""
        return self._group[1]

    @property
    def counts(self) -> RadioCounts:
        """What was sent, received and dropped so far."""
        self._read_drops()
        return counts_of(self._queue, self._sent, dropped_kernel=self._dropped_kernel, interruptions=self._watch.interruptions)

    @property
    def fault(self) -> str | None:
        """Why the group cannot be reached at the moment; None while it can."""
        return self._watch.fault

    async def send(self, packet: bytes, *, source_mac: bytes) -> None:  # noqa: ARG002 - a datagram has no such address
        """Transmit one packet; raises `TransportError` when closed, when it is no packet, or when the network is down."""
        self._queue.require_open()
        require_sendable(packet, self._endpoint)
        if self._watch.fault is not None:
            raise TransportError(self._endpoint, self._watch.fault)
        try:
            self._sock.sendto(packet, self._group)
        except BlockingIOError:
            raise TransportError(self._endpoint, "cannot send: the network does not keep up") from None
        except OSError as error:
            self._watch.suspect(error)
            raise TransportError(self._endpoint, f"cannot send: {sentence_of(error)}") from error
        self._sent += 1

    async def receive(self) -> ReceivedPacket:
        """Wait for the next packet; raises `TransportError` once closed and empty."""
        return await self._queue.get()

    def attend(self, position: GeoPoint) -> None:
        """All is heard everywhere."""

    def close(self) -> None:
        """Leave the group."""
        if self._sock.fileno() >= 0:
            self._read_drops()
            self._watch.stop()
            self._reader.stop()
            self._sock.close()
        self._queue.close()

    def _drain(self) -> bool:
        """Queue what has come; return whether more may be left."""
        now = self._clock.now()
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                datagram = self._sock.recv(MAX_PACKET_OCTETS + 1)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                self._watch.suspect(error)
                return False
            self._queue.put(datagram, now)
        return True

    def _join(self, index: int) -> None:
        """Join the group on the interface that has our address now, and send there; raises OSError."""
        if self._membership is not None:
            with contextlib.suppress(OSError):  # the kernel may have forgotten it
                self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, self._membership)
            self._membership = None
        membership = _MEMBERSHIP.pack(IPv4Address(self._group[0]).packed, self._local.packed, index)
        self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership)
        self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self._membership = membership

    def _read_drops(self) -> None:
        """Remember what the kernel counts as dropped on the open socket."""
        if self._sock.fileno() >= 0:
            with contextlib.suppress(OSError):
                memory = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _SK_MEMINFO.size)
                self._dropped_kernel = _SK_MEMINFO.unpack(memory)[-1]


def check_addresses(group: str, interface: str, endpoint: str) -> None:
    """Refuse, before anything is opened, a group that is no multicast address and an interface that is no address.

    Args:
        group: IPv4 multicast address.
        interface: IPv4 address of an interface.
        endpoint: their name in the error.

    Raises:
        TransportError: `reason` says which of them is wrong.
    """
    if not _parsed(group, endpoint).is_multicast:
        raise TransportError(endpoint, f"{group} is not a multicast address")
    _parsed(interface, endpoint)


def _parsed(address: str, endpoint: str) -> IPv4Address:
    try:
        return IPv4Address(address)
    except AddressValueError:
        raise TransportError(endpoint, f"{address!r} is not an IPv4 address") from None


def _bind(sock: socket.socket, group: str, port: int) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_OCTETS)
    sock.bind((group, port))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, TIME_TO_LIVE_HOPS)
