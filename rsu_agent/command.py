"""The console script `rsu-agent`: nothing but the start, see `shared.cli.launch`."""

from typing import NoReturn

from shared.cli.launch import launch


def main() -> NoReturn:
    """Run `rsu-agent`."""
    launch("rsu_agent.cli")
