"""The console script `vehicle-agent`: nothing but the start, see `shared.cli.launch`.

The service has a module of its own, for it starts with the car and stays; the other commands bring much more with them.
"""

import sys
from typing import NoReturn

from shared.cli.launch import launch


def main() -> NoReturn:
    """Run `vehicle-agent`."""
    launch("vehicle_agent.run_cli" if sys.argv[1:2] == ["run"] else "vehicle_agent.cli")
