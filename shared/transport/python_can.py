"""python-can without what it loads for a single log format.

`import can` also imports `asammdf` where that is installed, and with it numpy and pandas: half a second and tens of megabytes for
every agent, though only `shared.transport.mf4_child`, a process of its own, ever reads MF4. Everything else takes `can` from here.

It also complains, on standard error, that a bus which could not be opened "was not properly shut down". We close what we open, and
tell of what we cannot open, so that sentence is kept back.
"""

import logging
import sys

_MF4_LIBRARY = "asammdf"

_is_hidden = _MF4_LIBRARY not in sys.modules
if _is_hidden:
    sys.modules[_MF4_LIBRARY] = None  # type: ignore[assignment]  # documented: the import fails as if it were not installed
try:
    import can
finally:
    if _is_hidden:
        del sys.modules[_MF4_LIBRARY]


def _is_news(record: logging.LogRecord) -> bool:
    return "was not properly shut down" not in str(record.msg)


logging.getLogger("can.bus").addFilter(_is_news)

__all__ = ["can"]
