"""Network namespaces with veth pairs: cables between programs, without hardware and without touching the machine's own network.

Making one needs root, or a kernel that lets users make namespaces of their own; where neither is so, a test is skipped with the
reason (under CI it fails). `NetworkNamespace` holds programs; `inside` moves the calling thread, so that sockets it opens are in
there.
"""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shared.core.errors import TransportError
from shared.transport.net_interface import usable_index
from tests.helpers.debian import require, under_ci

CLONE_NEWNET = 0x4000_0000
TURNS = 2_000_000
"""Of the processor, before an interface that does not come up is given up."""

MTU = 2_400
"""Of the cables: a packet may have 2,304 octets."""

_THIS = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*arguments: str, namespace: "NetworkNamespace | None" = None) -> None:
    """Run `ip` in the calling thread's namespace or in another one."""
    command = [require("ip", "iproute2"), *arguments]
    subprocess.run([*prefix(namespace), *command], check=True, capture_output=True)


def prefix(namespace: "NetworkNamespace | None") -> list[str]:
    """Return what a command line begins with to run in a namespace."""
    return [] if namespace is None else [require("nsenter", "util-linux"), f"--net={namespace.path}"]


class NetworkNamespace:
    """A network of its own, which lives as long as this object is open."""

    def __init__(self) -> None:
        with _fresh_network():
            self._fd = os.open(_THIS, os.O_RDONLY | os.O_CLOEXEC)
            ip("link", "set", "lo", "up")

    @property
    def path(self) -> str:
        """Where other programs of this process's family find it."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Have the calling thread work in there."""
        back = os.open(_THIS, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self._fd)
            yield
        finally:
            _enter(back)
            os.close(back)

    def start(self, command: Sequence[str | Path], **options: object) -> subprocess.Popen[bytes]:
        """Start a program in there; `options` are `Popen`'s."""
        line = [*prefix(self), *(str(word) for word in command)]
        return subprocess.Popen(line, **options)  # type: ignore[call-overload,no-any-return]  # passed on unseen

    def close(self) -> None:
        """Let it go, and its interfaces with it."""
        os.close(self._fd)


def lay_cable(here: NetworkNamespace, here_name: str, there: NetworkNamespace, there_name: str, *, mtu: int = MTU) -> None:
    """Make a veth pair between two namespaces (which may be one), both ends up and working."""
    arguments = ("link", "add", here_name, "mtu", str(mtu), "type", "veth", "peer", "name", there_name, "mtu", str(mtu))
    with here.inside():
        ip(*arguments, *(() if here is there else ("netns", there.path)))
    for namespace, name in ((here, here_name), (there, there_name)):
        ip("link", "set", name, "up", namespace=namespace)
    for namespace, name in ((here, here_name), (there, there_name)):
        with namespace.inside():
            _until_usable(name)


def _until_usable(name: str) -> None:
    """Let the kernel work until it has seen that the other end is up as well."""
    for _ in range(TURNS):
        try:
            usable_index(name)
        except TransportError:
            os.sched_yield()
        else:
            return
    pytest.fail(f"{name} does not come up")


@contextlib.contextmanager
def network_namespaces(number: int) -> Iterator[list[NetworkNamespace]]:
    """Make that many namespaces, or skip the test (under CI: fail it) with the reason why there are none."""
    made: list[NetworkNamespace] = []
    with contextlib.ExitStack() as stack:
        try:
            for _ in range(number):
                made.append(NetworkNamespace())
                stack.callback(made[-1].close)
        except PermissionError:
            reason = "this user may make no network namespace: run the tests as root, or under `unshare -rn`"
            if under_ci():
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
        yield made


@contextlib.contextmanager
def _fresh_network() -> Iterator[None]:
    back = os.open(_THIS, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.unshare(CLONE_NEWNET))
        try:
            yield
        finally:
            _enter(back)
    finally:
        os.close(back)


def _enter(fd: int) -> None:
    _checked(_libc.setns(fd, CLONE_NEWNET))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
