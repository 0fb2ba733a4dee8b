"""What is peculiar to raw Ethernet: padding, foreign frames, interfaces that come and go, missing rights."""

import asyncio
import contextlib
import fcntl
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import ConfigError, TransportError
from shared.network.packet import MAX_PACKET_OCTETS, encode_beacon
from shared.transport.ether_radio import EtherRadio
from shared.transport.link_frames import BROADCAST_MAC, ethernet_frame, without_padding
from shared.transport.udp_radio import UdpRadio
from tests.helpers.debian import require
from tests.helpers.namespaces import NetworkNamespace, ip, lay_cable, network_namespaces
from tests.unit.network.samples import VECTOR

MAC = bytes.fromhex("020000000001")
CAR = bytes.fromhex("0200000000aa")
BEACON = bytes.fromhex("11000501") + encode_beacon(VECTOR, is_mobile=True)
NOBODY = 65_534

# linux/if_tun.h: makes a device that carries bare IP packets.
TUNSETIFF = 0x400454CA
IFF_TUN = 0x1001


@pytest.fixture(name="cable")
def _cable() -> Iterator[NetworkNamespace]:
    """A namespace with `near0` and `far0`, the two ends of a cable; the test's thread is inside."""
    with network_namespaces(1) as (namespace,):
        lay_cable(namespace, "near0", namespace, "far0")
        with namespace.inside():
            yield namespace


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(60):
            await scene()

    asyncio.run(guarded_scene())


def opened(interface: str) -> EtherRadio:
    return EtherRadio.open(clock=ManualClock(None), interface=interface)


def stranger(interface: str = "far0") -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((interface, 0))
    return sock


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until something is so."""
    while not condition():  # noqa: ASYNC110 - turns of the loop
        await asyncio.sleep(0)


async def carried(mouth: EtherRadio | UdpRadio, ear: EtherRadio | UdpRadio) -> bool:
    """Say something until it is heard: right after an interface is up the kernel may still lose a frame."""
    received = ear.counts.received
    while ear.counts.received == received:
        with contextlib.suppress(TransportError):
            await mouth.send(b"hello", source_mac=MAC)
        await asyncio.sleep(0)
    return (await ear.receive()).packet == b"hello"


def test_a_frame_on_the_wire_is_a_broadcast_of_the_pseudonyms_address(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        radio = opened("near0")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x8947)) as ear:
            ear.bind(("far0", 0x8947))
            await radio.send(b"\x12packet", source_mac=CAR)
            assert ear.recv(100) == BROADCAST_MAC + CAR + b"\x89\x47" + b"\x12packet"
        radio.close()

    run(scene)


def test_padding_of_a_short_frame_is_cut_and_what_ends_in_zeros_by_itself_is_not(cable: NetworkNamespace) -> None:
    long_with_zeros = b"\x12\x00\x05\x01" + bytes(80)

    async def scene() -> None:
        radio = opened("near0")
        with stranger() as sock:
            sock.send(ethernet_frame(BEACON, MAC) + bytes(60 - 14 - len(BEACON)))
            sock.send(ethernet_frame(long_with_zeros, MAC))
        assert (await radio.receive()).packet == BEACON
        assert (await radio.receive()).packet == long_with_zeros
        radio.close()

    run(scene)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x11",
        BEACON[:20],
        b"\x21" + bytes(45),
        b"\x12\x00\x05\x01" + bytes(42),
        BEACON + b"\x00\x01",
        b"\x11\x00\x05\x01\xf0" + bytes(41),
    ],
    ids=["empty", "one octet", "cut short", "another version", "secured", "more than zeros", "no such header"],
)
def test_what_may_not_be_padding_stays(packet: bytes) -> None:
    assert without_padding(packet) == packet


def test_frames_that_are_no_packets_for_us_are_counted_and_the_radio_lives(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        radio = opened("near0")
        with stranger() as sock:
            sock.send(BROADCAST_MAC + MAC + b"\x08\x00ip packet")  # the kernel keeps it from us
            sock.send(bytes.fromhex("02deadbeef00") + MAC + b"\x89\x47for another")
            sock.send(ethernet_frame(b"", MAC))
            sock.send(ethernet_frame(bytes(MAX_PACKET_OCTETS + 1), MAC))
            sock.send(ethernet_frame(b"good", MAC))
        heard = await radio.receive()
        assert (heard.packet, heard.sender_mac) == (b"good", MAC)
        counts = radio.counts
        assert (counts.received, counts.dropped_foreign, counts.dropped_empty, counts.dropped_oversize) == (1, 1, 1, 1)
        radio.close()

    run(scene)


def test_what_the_kernel_drops_for_a_reader_that_is_late_is_counted(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        radio = opened("near0")
        with stranger() as sock:
            for _ in range(8_000):
                sock.send(ethernet_frame(bytes(MAX_PACKET_OCTETS), MAC))
        dropped = radio.counts.dropped_kernel
        assert dropped > 0
        await until(lambda: radio.counts.received + radio.counts.dropped_kernel == 8_000)
        assert radio.counts.dropped_kernel == dropped
        radio.close()

    run(scene)


def test_an_interface_that_goes_down_is_told_counted_and_used_again_when_it_is_back(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        near, far = opened("near0"), opened("far0")
        ip("link", "set", "near0", "down")
        with pytest.raises(TransportError, match=r"near0: (cannot send: Network is down|interface)"):
            await near.send(b"lost", source_mac=MAC)
        await until(lambda: near.fault == "interface near0 is down" and far.fault == "interface far0 has no carrier")
        with pytest.raises(TransportError, match="near0: interface near0 is down"):
            await near.send(b"lost", source_mac=MAC)
        ip("link", "set", "near0", "up")
        await until(lambda: near.fault is None and far.fault is None)
        assert await carried(near, far)
        assert await carried(far, near)
        assert near.counts.interruptions >= 1  # the kernel may see a carrier come, go and come again
        assert far.counts.interruptions >= 1
        near.close()
        far.close()

    run(scene)


def test_an_interface_that_is_removed_and_made_anew_is_heard_again(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        near = opened("near0")
        index = socket.if_nametoindex("near0")
        ip("link", "del", "near0")
        await until(lambda: near.fault == "there is no interface near0")
        lay_cable(cable, "spacer0", cable, "spacer1")
        lay_cable(cable, "near0", cable, "far0")
        assert socket.if_nametoindex("near0") != index
        await until(lambda: near.fault is None)
        with stranger() as sock:
            sock.send(ethernet_frame(b"again", MAC))
        assert (await near.receive()).packet == b"again"
        await near.send(b"me too", source_mac=CAR)
        assert near.counts.interruptions >= 1
        near.close()

    run(scene)


def test_an_interface_that_is_replaced_between_two_looks_is_noticed(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        near = opened("near0")
        ip("link", "set", "near0", "down")
        ip("link", "set", "near0", "name", "old0")
        ip("link", "add", "near0", "type", "veth", "peer", "name", "new0")
        for name in ("near0", "new0"):
            ip("link", "set", name, "up")
        await until(lambda: near.counts.interruptions > 0 and near.fault is None)
        new = opened("new0")
        await until(lambda: new.fault is None)
        assert await carried(new, near)
        new.close()
        near.close()

    run(scene)


def test_an_interface_that_is_not_there_yet_is_waited_for(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        radio = opened("modem0")
        assert radio.fault == "there is no interface modem0"
        with pytest.raises(TransportError, match="modem0: there is no interface modem0"):
            await radio.send(b"x", source_mac=MAC)
        lay_cable(cable, "modem0", cable, "far1")
        await until(lambda: radio.fault is None)
        await radio.send(b"x", source_mac=MAC)
        radio.close()

    run(scene)


def test_a_packet_longer_than_the_interface_takes_is_refused_and_the_next_one_goes(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        ip("link", "set", "near0", "mtu", "1000")
        radio = opened("near0")
        with pytest.raises(TransportError, match="Message too long"):
            await radio.send(bytes(1_001), source_mac=MAC)
        await radio.send(bytes(1_000), source_mac=MAC)
        assert (radio.fault, radio.counts.sent) == (None, 1)
        with pytest.raises(TransportError, match="no link-layer address"):
            await radio.send(b"x", source_mac=b"\x02")
        radio.close()

    run(scene)


def test_an_interface_that_is_no_ethernet_is_refused_by_its_type(cable: NetworkNamespace) -> None:
    async def scene() -> None:
        radio = opened("tun0")
        assert radio.fault == "interface tun0 is no Ethernet (hardware type 65534)"
        with pytest.raises(TransportError, match="is no Ethernet"):
            await radio.send(b"x", source_mac=MAC)
        radio.close()

    with Path("/dev/net/tun").open("r+b", buffering=0) as tunnel:
        fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("@16sH22x", b"tun0", IFF_TUN))
        ip("link", "set", "tun0", "up")
        run(scene)


@pytest.mark.parametrize("name", ["", "a/b", "two words", "x" * 16, ".."])
def test_what_no_interface_can_be_called_is_a_fault_of_the_configuration(name: str) -> None:
    async def scene() -> None:
        with pytest.raises(ConfigError, match="cannot be the name of a network interface"):
            opened(name)

    run(scene)


def test_without_the_right_to_raw_sockets_the_error_says_what_to_do() -> None:
    child = f"""\
import os
from shared.core.errors import ConfigError
from shared.transport.ether_radio import open_packet_socket
if os.geteuid() == 0:
    os.setgroups([])
    os.setuid({NOBODY})
try:
    open_packet_socket("near0")
except ConfigError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)
    assert "radio on near0: may not open packet sockets: it needs CAP_NET_RAW" in run.stdout, run.stderr
    assert "AmbientCapabilities=CAP_NET_RAW" in run.stdout


def test_the_right_to_raw_sockets_is_all_it_needs(cable: NetworkNamespace) -> None:
    child = """\
import asyncio
from shared.core.clock import ManualClock
from shared.transport.ether_radio import EtherRadio

async def scene():
    radio = EtherRadio.open(clock=ManualClock(None), interface="near0")
    assert radio.fault is None, radio.fault
    await radio.send(b"hello", source_mac=bytes(6))
    print(await radio.receive())
    radio.close()

asyncio.run(scene())
"""
    setpriv = require("setpriv", "util-linux")
    only = ("--bounding-set=-all,+net_raw", "--inh-caps=-all,+net_raw")
    with stranger() as sock:
        sock.bind(("far0", 0x8947))
        with subprocess.Popen([setpriv, *only, sys.executable, "-c", child], stdout=subprocess.PIPE) as process:
            assert sock.recv(100).endswith(b"hello")
            sock.send(ethernet_frame(b"heard you", CAR))
            said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"heard you" in said


class TestUdpOnACable:
    """The UDP radio, whose interface comes and goes like any other."""

    def opened(self, address: str) -> UdpRadio:
        return UdpRadio.open(clock=ManualClock(None), port=35_143, interface=address)

    def test_an_interface_may_be_named_by_its_second_address(self, cable: NetworkNamespace) -> None:
        async def scene() -> None:
            for address in ("10.9.0.1/24", "10.9.0.2/24"):
                ip("addr", "add", address, "dev", "near0")
            radio = self.opened("10.9.0.2")
            assert radio.fault is None
            assert await carried(radio, radio)
            ip("addr", "del", "10.9.0.2/24", "dev", "near0")
            await until(lambda: radio.fault == "no interface has the address 10.9.0.2")
            radio.close()

        run(scene)

    @pytest.mark.parametrize(
        "loss", [("link", "set", "near0", "down"), ("link", "del", "near0"), ("addr", "flush", "dev", "near0")]
    )
    def test_a_group_is_joined_again_when_its_interface_is_back(self, loss: tuple[str, ...]) -> None:
        async def scene() -> None:
            def connect() -> None:
                ip("addr", "replace", "10.9.0.1/24", "dev", "near0")
                ip("link", "set", "near0", "up")

            with network_namespaces(2) as (here, there):
                lay_cable(here, "near0", there, "far0")
                ip("addr", "add", "10.9.0.2/24", "dev", "far0", namespace=there)
                with there.inside():
                    far = self.opened("10.9.0.2")
                with here.inside():
                    near = self.opened("10.9.0.1")
                    assert near.fault == "no interface has the address 10.9.0.1"
                    connect()
                    await until(lambda: near.fault is None)
                    ip(*loss)
                    await until(lambda: near.fault is not None)
                    with pytest.raises(TransportError, match="interface"):
                        await near.send(b"lost", source_mac=MAC)
                    if "del" in loss:
                        lay_cable(here, "near0", there, "far0")
                        ip("addr", "add", "10.9.0.2/24", "dev", "far0", namespace=there)
                    connect()
                    await until(lambda: near.fault is None)
                with there.inside():
                    await until(lambda: far.fault is None)
                assert await carried(far, near)
                assert near.counts.interruptions >= 1
                near.close()
                far.close()

        run(scene)
