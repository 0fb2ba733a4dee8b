"""Notices as JSON lines: `{"kind": "hazard_ahead", "utc": "...", ...}`, one per line, flushed as they come."""

import json
from types import TracebackType
from typing import Self, TextIO

from shared.core.clock import Instant
from shared.core.itstime import utc_text
from shared.stack.effects import Notice


class NoticeWriter:
    """Writes notices to a stream; a stream whose reader is gone is counted in `unwritten`, not an end of the program.

    Args:
        stream: open; whoever opened it closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.unwritten = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is buffered."""

    def write(self, notice: Notice, now: Instant) -> None:
        """Write one line; `utc` is null while it is not known."""
        utc = None if now.utc is None else utc_text(now.utc)
        try:
            self._stream.write(json.dumps({"kind": notice.kind, "utc": utc, **notice.fields}) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.unwritten += 1
