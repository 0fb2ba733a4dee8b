import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.clock import MonotonicNs
from shared.service.notify import MAX_STATUS_CHARACTERS, Notifier, Watchdog


class Systemd:
    """The other end: a datagram socket that hears what a service says."""

    def __init__(self, address: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(address)
        self._sock.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._sock.recv(4_096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def systemd(address: str) -> Iterator[Systemd]:
    listener = Systemd(address)
    yield listener
    listener.close()


def test_a_service_says_what_systemd_understands(systemd: Systemd, address: str) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    assert notifier.is_heard
    notifier.ready("12 neighbours")
    notifier.alive()
    notifier.status("two\nlines  become one")
    notifier.reloading(MonotonicNs(7_000_999))
    notifier.stopping()
    assert systemd.heard() == [
        "READY=1\nSTATUS=12 neighbours",
        "WATCHDOG=1",
        "STATUS=two lines become one",
        "RELOADING=1\nMONOTONIC_USEC=7000",
        "STOPPING=1",
    ]


def test_an_abstract_socket_is_reached(tmp_path: Path) -> None:
    listener = Systemd(f"\0{tmp_path}/abstract")
    Notifier.from_environment({"NOTIFY_SOCKET": f"@{tmp_path}/abstract"}).ready()
    assert listener.heard() == ["READY=1"]
    listener.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_socket_everything_is_said_to_nobody(environment: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environment)
    notifier.ready()
    notifier.stopping()
    assert not notifier.is_heard
    assert notifier.undelivered == 0


def test_a_listener_that_is_gone_is_counted_and_does_no_harm(address: str) -> None:
    notifier = Notifier(address)
    notifier.ready()
    notifier.alive()
    assert notifier.undelivered == 2


def test_a_long_status_is_cut_and_an_empty_one_not_sent(systemd: Systemd, address: str) -> None:
    notifier = Notifier(address)
    notifier.status("x" * 1_000)
    notifier.status(" \n ")
    assert systemd.heard() == ["STATUS=" + "x" * MAX_STATUS_CHARACTERS]


def test_the_watchdog_is_fed_at_half_its_period(systemd: Systemd, address: str) -> None:
    watchdog = Watchdog.from_environment(Notifier(address), {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "42"}, process_id=42)
    assert watchdog.feed_every_ns == 1_000_000_000
    for ms in (0, 1, 999, 1_000, 1_500, 2_000):
        watchdog.feed(MonotonicNs(ms * 1_000_000))
    assert systemd.heard() == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "²"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "7"}],
)
def test_a_watchdog_that_was_not_asked_for_or_is_for_another_process_is_silent(
    systemd: Systemd, address: str, environment: dict[str, str]
) -> None:
    watchdog = Watchdog.from_environment(Notifier(address), environment, process_id=42)
    watchdog.feed(MonotonicNs(0))
    assert watchdog.feed_every_ns is None
    assert systemd.heard() == []
