"""Notices as JSON lines: `{"kind": "hazard_ahead", "utc": "...", ...}`, one per line, flushed as they come."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from shared.core.clock import Instant
from shared.core.errors import ConfigError
from shared.core.itstime import utc_text
from shared.stack.effects import Notice


class NoticeWriter:
    """Writes notices to a stream; a stream whose reader is gone is counted in `unwritten`, not an end of the program.

    Args:
        stream: open; whoever opened it closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._followers: list[Callable[[Notice, Instant], None]] = []
        self.unwritten = 0

    def follow(self, tell: Callable[[Notice, Instant], None]) -> None:
        """Hand every notice from now on to `tell` too, which neither waits nor raises."""
        self._followers.append(tell)

    def write(self, notice: Notice, now: Instant) -> None:
        """Write one line; `utc` is null while it is not known."""
        for tell in self._followers:
            tell(notice, now)
        utc = None if now.utc is None else utc_text(now.utc)
        try:
            self._stream.write(json.dumps({"kind": notice.kind, "utc": utc, **notice.fields}) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.unwritten += 1


@contextmanager
def open_notices(path: Path | None) -> Iterator[NoticeWriter]:
    """Append to a file, or write to standard output where none is named (or it is named `-`).

    Raises:
        ConfigError: the file cannot be written.
    """
    with ExitStack() as stack:
        if path is None or path.name == "-":
            yield NoticeWriter(sys.stdout)
            return
        try:
            stream = stack.enter_context(path.open("a", encoding="utf-8"))
        except OSError as failure:
            raise ConfigError("state.notices", f"{path} cannot be written: {failure.strerror}") from failure
        yield NoticeWriter(stream)
