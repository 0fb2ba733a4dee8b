"""The number of the spool's last record, in a small file beside it: whether its end was lost is seen at the next start.

SQLite drops the end of a write-ahead log that is cut short or damaged without a word, and with it records that were committed; a
card that acknowledges what it has not written does the same to a file. The next number would then be given a second time. So
after each record its number is written here, in place, in one of two slots by turns, each with a checksum: a torn write leaves the
other. It is not forced to disk, for that would double what a record costs; it is written when the system writes, and is older than
the spool at worst, which says nothing. What an old copy of the whole disk takes back with it is a rollback counter's matter
(`shared.service.rollback_counter`).
"""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from shared.service.keystore import PRIVATE_MODE

SUFFIX = "-mark"
SLOT_OCTETS = 512
SLOTS = 2

_MAGIC = b"v2x-trust mark 1\n"
_COUNT_OCTETS = 8
_BODY_OCTETS = len(_MAGIC) + _COUNT_OCTETS


class SpoolMark:
    """The file beside a spool.

    Args:
        spool: the spool's file.
    """

    def __init__(self, spool: Path) -> None:
        self._path = spool.with_name(spool.name + SUFFIX)
        self._is_there = False
        self.failures = 0

    def read(self) -> int:
        """Return how many records there were; 0 where nothing says so, which is what an unreadable file says."""
        try:
            with self._path.open("rb") as file:
                octets = file.read(SLOTS * SLOT_OCTETS)
        except OSError:
            return 0
        return max(_count(octets[at : at + SLOT_OCTETS]) for at in range(0, SLOTS * SLOT_OCTETS, SLOT_OCTETS))

    def write(self, count: int) -> None:
        """Write how many records there are; where that fails it is counted, for the record itself is safe."""
        body = _MAGIC + count.to_bytes(_COUNT_OCTETS)
        slot = (body + sha256(body).digest()).ljust(SLOT_OCTETS, b"\n")
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
            try:
                if not self._is_there:  # so that later writes need no room
                    os.pwrite(descriptor, b"\n", SLOTS * SLOT_OCTETS - 1)
                    self._is_there = True
                os.pwrite(descriptor, slot, count % SLOTS * SLOT_OCTETS)
            finally:
                os.close(descriptor)
        except OSError:
            self.failures += 1

    def forget(self) -> None:
        """Take the file away; nothing happens where that cannot be."""
        with suppress(OSError):
            self._path.unlink()


def _count(slot: bytes) -> int:
    body, digest = slot[:_BODY_OCTETS], slot[_BODY_OCTETS : _BODY_OCTETS + 32]
    return int.from_bytes(body[len(_MAGIC) :]) if body.startswith(_MAGIC) and sha256(body).digest() == digest else 0
