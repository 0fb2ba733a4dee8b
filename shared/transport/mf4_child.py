"""Turns an ASAM MF4 log into candump lines on standard output; run as a process of its own by `shared.transport.can_log`.

MF4 is the one log format read by a large library that reports damage in its own ways: log lines, tracebacks on standard output,
half-made objects, frames left out. In a child process all of that ends as one sentence on standard error and exit status 1, and
`can_log` reads the lines as strictly as any candump.
"""

import io
import logging
import sys

import can

MAX_REASON_CHARACTERS = 200


class _Faults(logging.Handler):
    """Keeps the first error the library logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last line of the first report, where the reason stands."""
        if self.first is None:
            self.first = record.getMessage().strip().rpartition("\n")[2]


def main() -> None:
    """Convert the file named by the only argument."""
    lines, complaint = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = io.StringIO()
    faults = _Faults()
    library = logging.getLogger("asammdf")
    library.handlers[:] = [faults]
    library.propagate = False
    sys.unraisablehook = lambda _: None
    try:
        with can.MF4Reader(sys.argv[1]) as reader, can.CanutilsLogWriter(lines) as writer:
            library.handlers[:] = [faults]  # the library, imported by now, has put its own there
            for message in reader:
                writer.on_message_received(message)
            lines.flush()
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - what the library raises on a damaged file is not documented
        faults.first = faults.first or str(error) or type(error).__name__
    if faults.first is not None:
        complaint.write(" ".join(faults.first.split())[:MAX_REASON_CHARACTERS])
        sys.exit(1)


if __name__ == "__main__":
    main()
