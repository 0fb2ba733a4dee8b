"""The console script `vehicle-agent`: nothing but the start, see `shared.cli.launch`."""

from typing import NoReturn

from shared.cli.launch import launch


def main() -> NoReturn:
    """Run `vehicle-agent`."""
    launch("vehicle_agent.cli")
