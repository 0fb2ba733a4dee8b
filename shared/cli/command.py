"""The console script `v2x`: nothing but the start, see `shared.cli.launch`."""

from typing import NoReturn

from shared.cli.launch import launch


def main() -> NoReturn:
    """Run `v2x`."""
    launch("shared.cli.main")
