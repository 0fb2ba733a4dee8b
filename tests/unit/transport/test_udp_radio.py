import asyncio
import socket

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import TransportError
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.udp_radio import DEFAULT_GROUP, LOOPBACK_INTERFACE, UdpRadio


def test_foreign_datagrams_that_are_no_packets_are_counted_and_the_radio_lives() -> None:
    async def scene() -> None:
        radio = UdpRadio.open(clock=ManualClock(None), port=0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK_INTERFACE))
            for octets in (0, MAX_PACKET_OCTETS + 1, 60_000, 3):
                stranger.sendto(bytes(octets), (DEFAULT_GROUP, radio.port))
        async with asyncio.timeout(5):
            assert (await radio.receive()).packet == bytes(3)
        counts = radio.counts
        assert (counts.received, counts.dropped_empty, counts.dropped_oversize) == (1, 1, 2)
        radio.close()

    asyncio.run(scene())


def test_radios_of_different_groups_do_not_hear_each_other() -> None:
    async def scene() -> None:
        clock = ManualClock(None)
        here = UdpRadio.open(clock=clock, port=0)
        there = UdpRadio.open(clock=clock, port=here.port, group="239.137.71.2")
        await there.send(b"there", source_mac=bytes(6))
        await here.send(b"here", source_mac=bytes(6))
        async with asyncio.timeout(5):
            assert (await here.receive()).packet == b"here"
            assert (await there.receive()).packet == b"there"
        assert here.counts.received == there.counts.received == 1
        here.close()
        there.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("group", "interface", "port", "reason"),
    [
        ("10.0.0.1", "127.0.0.1", 0, "not a multicast address"),
        ("localhost", "127.0.0.1", 0, "not an IPv4 address"),
        ("239.137.71.1", "eth0", 0, "not an IPv4 address"),
        ("239.137.71.1", "127.0.0.1", 70_000, "cannot listen"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_by_name(group: str, interface: str, port: int, reason: str) -> None:
    async def scene() -> None:
        with pytest.raises(TransportError, match=reason):
            UdpRadio.open(clock=ManualClock(None), group=group, interface=interface, port=port)

    asyncio.run(scene())
