"""Buses and radios on IP multicast, where this machine delivers it to itself."""

import socket

import pytest

ANY_INTERFACE = "0.0.0.0"
"""As python-can joins."""


def free_udp_port() -> int:
    """Return a port nobody uses just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def require_multicast(group: str, interface: str) -> None:
    """Skip where this machine does not deliver IP multicast to itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.bind(("", 0))
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(interface))
            if interface != ANY_INTERFACE:
                probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
            probe.sendto(b"?", (group, probe.getsockname()[1]))
            probe.recv(1)
        except OSError as error:
            pytest.skip(f"this machine delivers no IP multicast to itself: {error}")
