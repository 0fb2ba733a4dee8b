"""`vehicle-agent run` without a command line: the service alone, and nothing of what only the other commands need.

A car waits for it at every start, and it stays for as long as the car does. What a person or a desk asks for (`replay`, `learn`,
`status`, the orders of its holder) is in `vehicle_agent.cli`, where the same command also explains itself.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

import shared.service.plain_structlog
import shared.transport.python_can  # noqa: F401 - both before what would import more of structlog and python-can
from shared.cli.ending import end_with
from shared.service.config import load
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.run import Service, run_service
from vehicle_agent.config import VehicleConfig
from vehicle_agent.shell import serve

DEFAULT_CONFIG = Path("/etc/v2x-trust/vehicle-agent.toml")


def main() -> NoReturn:
    """Run `vehicle-agent run [-c FILE]`."""
    words = sys.argv[2:]
    config = Path(words[1]) if words else DEFAULT_CONFIG
    end_with(lambda: sys.exit(run_agent(config)), "vehicle-agent")


def run_agent(config: Path) -> int:
    """Run the agent a file configures until a signal ends it; return the exit status.

    Raises:
        ConfigError: the file cannot be used.
    """
    settings = load(config, VehicleConfig)
    log = make_logger(sys.stderr)
    notifier = Notifier.from_environment(os.environ)

    async def body(service: Service) -> None:
        await serve(settings, config, service, log)

    return run_service(body, notifier=notifier, watchdog=Watchdog.from_environment(notifier, os.environ))
