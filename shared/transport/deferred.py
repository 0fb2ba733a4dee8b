"""Libraries that are imported when they are first used: an agent that asks nobody over HTTP does not pay for a client.

Python's own `importlib.util.LazyLoader` does it. Left out: who decides; a module that few configurations need names its library so:

    if TYPE_CHECKING:
        import httpx
    else:
        httpx = deferred("httpx")

A library that is not installed is missed at once, as by any import.
"""

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType


def deferred(name: str) -> ModuleType:
    """Return a module that is executed when something of it is first asked for; raises `ModuleNotFoundError` as an import does."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
