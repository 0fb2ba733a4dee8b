"""python-can without what it loads for a single log format.

`import can` also imports `asammdf` where that is installed, and with it numpy and pandas: half a second and tens of megabytes for
every agent, though only `shared.transport.mf4_child`, a process of its own, ever reads MF4. Everything else takes `can` from here.
"""

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

__all__ = ["can"]
