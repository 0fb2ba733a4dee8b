"""`v2x mqtt`: what an operator of an MQTT broker runs beside it.

`relay` copies what stations publish in one queue to the queue that clients listen to. On standard output one line says that it
does: `ready mqtts://broker.example:8883`; events are logged on standard error.
"""

import asyncio
import os
import secrets
import sys
from pathlib import Path
from random import SystemRandom
from typing import Annotated

import typer

from shared.core.clock import TimeSource
from shared.core.errors import ConfigError
from shared.service.log import Availability, make_logger
from shared.service.mqtt_config import BrokerConfig, broker_of
from shared.service.notify import Notifier, Watchdog
from shared.service.run import Service, run_service
from shared.service.system_clock import SystemClock
from shared.transport.mqtt_session import BackOff
from shared.transport.mqtt_topics import IN_QUEUE, OUT_QUEUE, TopicGrammar

app = typer.Typer(name="mqtt", help="Programs beside an MQTT broker.", no_args_is_help=True)

FEED_S = 1.0
"""Seconds between signs of life for a watchdog."""


@app.callback()
def mqtt() -> None:
    """Programs beside an MQTT broker."""


@app.command()
def relay(
    host: Annotated[str, typer.Option(help="The broker's name or address.")] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Its port.")] = 1883,
    ca: Annotated[Path | None, typer.Option(help="PEM file of who vouches for the broker.", metavar="FILE")] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file of the relay's certificate.", metavar="FILE")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key.", metavar="FILE")] = None,
    username: Annotated[str | None, typer.Option(help="As the broker knows the relay.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="With the password.", metavar="FILE")] = None,
    namespace: Annotated[str, typer.Option(help="First level of the topics.")] = TopicGrammar().namespace,
    from_queue: Annotated[str, typer.Option("--from", help="Queue that stations publish in.")] = IN_QUEUE,
    to_queue: Annotated[str, typer.Option("--to", help="Queue that clients listen to.")] = OUT_QUEUE,
) -> None:
    """Copy what is published in one queue to another, until stopped."""
    from shared.operator.mqtt_relay import MqttRelay  # noqa: PLC0415 - for those who relay

    try:
        grammar = TopicGrammar(namespace=namespace, publish_queue=from_queue, listen_queue=to_queue)
        config = BrokerConfig(
            host=host, port=port, ca=ca, certificate=certificate, key=key, username=username, password_file=password_file
        )
        if from_queue == to_queue:
            raise ValueError("--from and --to are the same queue")  # noqa: TRY301 - one sentence for all of them
    except ValueError as error:
        raise ConfigError("v2x mqtt relay", str(error)) from None
    named = os.environ.get("CREDENTIALS_DIRECTORY")
    broker = broker_of(config, credentials_directory=None if named is None else Path(named))
    state = Availability(make_logger(sys.stderr), "broker")

    async def body(service: Service) -> None:
        relaying = MqttRelay(
            broker, grammar=grammar, entropy=secrets.token_bytes, random=SystemRandom(), state=state, back_off=BackOff()
        )
        service.tasks.create_task(relaying.run())
        service.tasks.create_task(_feed(service))
        await relaying.ready()
        service.notifier.ready(f"relaying at {broker.endpoint}")
        sys.stdout.write(f"ready {broker.endpoint}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    notifier = Notifier.from_environment(os.environ)
    raise typer.Exit(run_service(body, notifier=notifier, watchdog=Watchdog.from_environment(notifier, os.environ)))


async def _feed(service: Service) -> None:
    clock = SystemClock(TimeSource.ASSUME_TRUSTED)  # only intervals are asked of it
    while True:
        service.watchdog.feed(clock.now().monotonic)
        await asyncio.sleep(FEED_S)
