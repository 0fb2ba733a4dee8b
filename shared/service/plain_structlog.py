"""structlog without what it loads to colour tracebacks: a service writes lines of JSON and no traceback at all.

`import structlog` also imports rich where that is installed, and with it pygments: a tenth of a second and four megabytes for as
long as the service runs. A program that imports this module first keeps them out; its log at a terminal is coloured all the same.
"""

import sys

_LIBRARY = "rich"

_is_hidden = _LIBRARY not in sys.modules
if _is_hidden:
    sys.modules[_LIBRARY] = None  # type: ignore[assignment]  # documented: the import fails as if it were not installed
try:
    import structlog
finally:
    if _is_hidden:
        del sys.modules[_LIBRARY]

__all__ = ["structlog"]
