"""The console script `v2x-sim`: nothing but the start, see `shared.cli.launch`."""

from typing import NoReturn

from shared.cli.launch import launch


def main() -> NoReturn:
    """Run `v2x-sim`."""
    launch("simulator.cli")
