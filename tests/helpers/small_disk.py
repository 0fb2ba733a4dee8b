"""A disk of a few hundred kilobytes that is really full when it is full: a file system of its own, seen by one thread alone.

Mounting one needs root; where the tests run as somebody else they are skipped with the reason (under CI they fail).
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from tests.helpers.debian import under_ci

_CLONE_NEWNS = 0x0002_0000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_MS_RDONLY, _MS_REMOUNT = 1, 32
_PAGE = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL(None, use_errno=True)

_T = TypeVar("_T")


class SmallDisk:
    """The disk, while the function that was given to `on_small_disk` runs.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free_pages(self) -> int:
        """Pages of 4 KiB that can still be written."""
        free = os.statvfs(self.folder)
        return free.f_bavail * free.f_frsize // _PAGE

    def fill(self, *, leaving: int = 0) -> None:
        """Write something else to the disk until so many pages are free."""
        self.empty()
        pages = self.free_pages - leaving
        with self._ballast.open("wb") as file:
            for _ in range(pages):
                file.write(bytes(_PAGE))
        assert self.free_pages == leaving

    def write_protect(self, *, is_protected: bool = True) -> None:
        """Let nothing be written to it any more, or again; nobody may have a file on it open for writing."""
        flags = _MS_REMOUNT | (_MS_RDONLY if is_protected else 0)
        _checked(_libc.mount(b"tmpfs", os.fsencode(self.folder), b"tmpfs", flags, None))

    def empty(self) -> None:
        """Take it off again."""
        self._ballast.unlink(missing_ok=True)


def on_small_disk(folder: Path, use: Callable[[SmallDisk], _T], *, octets: int = 1 << 20) -> _T:
    """Mount a disk of so many octets at a folder, in a thread of its own, and return what `use` returns there."""

    def run() -> _T:
        try:
            _mount(folder, octets)
        except PermissionError:
            raise _MayMountNothingError from None
        return use(SmallDisk(folder))  # the mount goes with the thread

    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            return thread.submit(run).result()
        except _MayMountNothingError:
            reason = "this user may mount nothing: run the tests as root"
            if under_ci():
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)


class _MayMountNothingError(Exception):
    """Of this user, and so no failure of what is tested."""


def _mount(folder: Path, octets: int) -> None:
    _checked(_libc.unshare(_CLONE_NEWNS))
    _checked(_libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None))
    _checked(_libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=%d" % octets))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
