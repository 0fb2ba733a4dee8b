"""GeoNetworking packets in Ethernet frames of ethertype 0x8947: the radio of real hardware, and of a cable.

The interface may be a wire, one end of a veth pair, a Wi-Fi card outside any cell (IEEE 802.11p, OCB), or a C-V2X modem whose
driver shows an Ethernet device. Frames are broadcast and bear the link-layer address of the present pseudonym. A packet socket
hears what others send: this station's own frames do not come back. It needs CAP_NET_RAW, and nothing more: neither root nor
promiscuous mode.

An interface that goes down, loses its carrier, is unplugged, or comes back under another index is waited for (`InterfaceWatch`).

Deliberately not here: channel, data rate and power of a radio; its driver and the operator set them.
"""

import socket
from struct import Struct
from typing import Self

from shared.core.clock import Clock
from shared.core.errors import ConfigError, TransportError
from shared.core.geo import GeoPoint
from shared.network.address import MAC_OCTETS
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.link_frames import ETHERNET_OCTETS, ETHERTYPE_GEONETWORKING, ethernet_frame, without_padding
from shared.transport.net_interface import InterfaceWatch, check_interface_name, sentence_of, usable_index
from shared.transport.paced_reader import PacedReader
from shared.transport.radio import (
    RECEIVE_QUEUE_PACKETS,
    RadioCounts,
    ReceivedPacket,
    ReceiveQueue,
    counts_of,
    require_sendable,
)

KERNEL_BUFFER_OCTETS = 2 << 20
FRAMES_PER_WAKE = 128
"""Frames read before the event loop may do something else; as `udp_radio.DATAGRAMS_PER_WAKE`."""

MISSING_RIGHT = (
    "may not open packet sockets: it needs CAP_NET_RAW (a service: AmbientCapabilities=CAP_NET_RAW, as in "
    "systemd/ethernet-radio.conf; elsewhere run it as root)"
)

_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_STATISTICS = Struct("@II")
_ARPHRD_ETHER = 1
_ARPHRD_LOOPBACK = 772


class EtherRadio:
    """One interface; opened by `EtherRadio.open`.

    Args:
        sock: a packet socket, non-blocking, not bound yet.
        interface: name of the interface.
        clock: stamps arrivals.
        capacity_packets: how many packets wait for the reader before the oldest is dropped.
    """

    def __init__(self, sock: socket.socket, interface: str, clock: Clock, capacity_packets: int) -> None:
        self._sock = sock
        self._interface = interface
        self._clock = clock
        self._queue = ReceiveQueue(interface, capacity_packets)
        self._sent = 0
        self._dropped_foreign = 0
        self._dropped_kernel = 0
        self._watch = InterfaceWatch(look=lambda: usable_index(interface), attach=self._attach)
        self._reader = PacedReader(sock, self._drain)

    @classmethod
    def open(cls, *, clock: Clock, interface: str, capacity_packets: int = RECEIVE_QUEUE_PACKETS) -> Self:
        """Listen on an interface; needs a running event loop. One that is away is waited for: `fault` says so meanwhile.

        Args:
            clock: stamps arrivals.
            interface: its name, such as `eth0`.
            capacity_packets: how many packets wait for the reader before the oldest is dropped.

        Raises:
            ConfigError: no interface can be called that, or this process has not the right to open packet sockets.
            TransportError: the system refuses the socket for another reason.
        """
        try:
            check_interface_name(interface)
        except ValueError as error:
            raise ConfigError("ethernet radio", str(error)) from None
        sock = open_packet_socket(interface)
        try:
            return cls(sock, interface, clock, capacity_packets)
        except BaseException:
            sock.close()
            raise

    @property
    def counts(self) -> RadioCounts:
        """What was sent, received and dropped so far."""
        self._read_statistics()
        return counts_of(
            self._queue,
            self._sent,
            dropped_foreign=self._dropped_foreign,
            dropped_kernel=self._dropped_kernel,
            interruptions=self._watch.interruptions,
        )

    @property
    def fault(self) -> str | None:
        """Why the interface cannot be used at the moment; None while it can."""
        return self._watch.fault

    async def send(self, packet: bytes, *, source_mac: bytes) -> None:
        """Transmit one packet as a broadcast frame.

        Raises:
            TransportError: the radio is closed, its interface is away or busy, or this is no packet or too long for the interface.
        """
        self._queue.require_open()
        require_sendable(packet, self._interface)
        if len(source_mac) != MAC_OCTETS:
            raise TransportError(self._interface, f"{source_mac.hex(':')} is no link-layer address")
        if self._watch.fault is not None:
            raise TransportError(self._interface, self._watch.fault)
        try:
            self._sock.send(ethernet_frame(packet, source_mac))
        except BlockingIOError:
            raise TransportError(self._interface, "cannot send: the interface does not keep up") from None
        except OSError as error:
            self._watch.suspect(error)
            raise TransportError(self._interface, f"cannot send: {sentence_of(error)}") from error
        self._sent += 1

    async def receive(self) -> ReceivedPacket:
        """Wait for the next packet; raises `TransportError` once closed and empty."""
        return await self._queue.get()

    def attend(self, position: GeoPoint) -> None:
        """The medium reaches as far as it reaches."""

    def close(self) -> None:
        """Leave the interface."""
        if self._sock.fileno() >= 0:
            self._read_statistics()
            self._watch.stop()
            self._reader.stop()
            self._sock.close()
        self._queue.close()

    def _attach(self, _index: int) -> None:
        """Bind to the interface that has the name now; raises OSError."""
        self._sock.bind((self._interface, ETHERTYPE_GEONETWORKING))
        kind: int = self._sock.getsockname()[3]
        if kind not in {_ARPHRD_ETHER, _ARPHRD_LOOPBACK}:
            raise TransportError(self._interface, f"interface {self._interface} is no Ethernet (hardware type {kind})")

    def _drain(self) -> bool:
        """Queue what has come; return whether more may be left."""
        now = self._clock.now()
        for _ in range(FRAMES_PER_WAKE):
            try:
                frame, (_name, _protocol, direction, _kind, sender) = self._sock.recvfrom(ETHERNET_OCTETS + MAX_PACKET_OCTETS + 1)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                self._watch.suspect(error)
                return False
            if direction in {socket.PACKET_OUTGOING, socket.PACKET_OTHERHOST}:
                self._dropped_foreign += 1
                continue
            self._queue.put(without_padding(frame[ETHERNET_OCTETS:]), now, sender_mac=sender)
        return True

    def _read_statistics(self) -> None:
        """Add what the kernel dropped since it was last asked."""
        if self._sock.fileno() < 0:
            return
        try:
            _packets, drops = _STATISTICS.unpack(self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size))
        except OSError:
            return
        self._dropped_kernel += drops


def open_packet_socket(endpoint: str) -> socket.socket:
    """Return a packet socket that hears nothing until it is bound.

    Args:
        endpoint: what it is for, in errors.

    Raises:
        ConfigError: this process has not the right; the sentence says what to do.
        TransportError: the system refuses for another reason.
    """
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        raise ConfigError(f"radio on {endpoint}", MISSING_RIGHT) from None
    except OSError as error:
        raise TransportError(endpoint, f"no packet socket can be opened: {sentence_of(error)}") from error
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_OCTETS)
    return sock
