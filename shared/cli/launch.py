"""How a command starts: until all of it is imported, an interrupt ends the process as the system ends one, without a traceback.

The modules that hold a command take a noticeable while to import; this one takes none, so that little is left in which Python's
own handler would print where it was. Left out: what an interrupt means to the command itself, which `shared.cli.entry` says.
"""

import signal
from importlib import import_module
from typing import NoReturn


def launch(module: str) -> NoReturn:
    """Import a module and run its `main`; an interrupt that the parent has ignored stays ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    command = import_module(module)
    signal.signal(signal.SIGINT, before)
    command.main()
    raise SystemExit(0)
