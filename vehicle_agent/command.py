"""The console script `vehicle-agent`: nothing but the start, see `shared.cli.launch`.

The service, as a unit starts it, needs no command line and goes straight to its own module; everything else, such as `run --help`,
is the command line's.
"""

import sys
from typing import NoReturn

from shared.cli.launch import launch


def main() -> NoReturn:
    """Run `vehicle-agent`."""
    match sys.argv[1:]:
        case ["run"] | ["run", "-c" | "--config", _]:
            launch("vehicle_agent.run")
        case _:
            launch("vehicle_agent.cli")
