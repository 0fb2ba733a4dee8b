"""Opens the radios a configuration names, looks after them while an agent runs, and says beforehand what is wrong with them.

A medium that is away when an agent starts, or goes away later, is waited for; only what can never work is refused.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Clock
from shared.core.errors import ConfigError, TransportError
from shared.core.geo import GeoPoint
from shared.service.log import Availability
from shared.service.mqtt_config import MqttRadioConfig, broker_of, open_mqtt_radio
from shared.service.radio_config import EthernetRadioConfig, RadioConfig, UdpRadioConfig
from shared.transport.ether_radio import EtherRadio, open_packet_socket
from shared.transport.net_interface import usable_index, usable_index_of
from shared.transport.radio import Radio
from shared.transport.radio_set import RadioSet
from shared.transport.udp_radio import UdpRadio

ATTEND_EVERY_S = 1.0
"""How often radios are told where we are and looked at."""


def open_radios(
    configs: tuple[RadioConfig, ...], *, clock: Clock, log: FilteringBoundLogger, environment: Mapping[str, str] = os.environ
) -> RadioSet:
    """Open every radio; needs a running event loop.

    Args:
        configs: of distinct names.
        clock: stamps arrivals.
        log: told when a radio comes and goes.
        environment: names the directory in which systemd passes files.

    Raises:
        ConfigError: a radio's files or rights are not what they should be.
        TransportError: the system refuses a socket.
    """
    opened: dict[str, Radio] = {}
    try:
        for config in configs:
            with _named(config):
                opened[config.name] = _open(config, clock, environment)
    except BaseException:
        for radio in opened.values():
            radio.close()
        raise
    radios = RadioSet(opened, listener_for=lambda name: Availability(log, f"radio {name}"))
    radios.attend(None)
    return radios


async def attend(radios: RadioSet, position: Callable[[], GeoPoint | None]) -> None:
    """Tell the radios once a second where the station is, and have them looked at, until cancelled."""
    while True:
        radios.attend(position())
        await asyncio.sleep(ATTEND_EVERY_S)


def describe_radios(configs: tuple[RadioConfig, ...], *, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Describe each radio in a line, with what keeps it from working at the moment; nothing is joined and nobody called.

    Raises:
        ConfigError: a radio can never work like this: its right or one of its files is missing.
        TransportError: the system refuses a socket.
    """
    for config in configs:
        with _named(config):
            trouble = _trouble(config, environment)
        yield f"radio {config.name}: {_place(config)}" + (f"; at the moment: {trouble}" if trouble else "")


def unshared_links(configs: tuple[RadioConfig, ...]) -> tuple[str, ...]:
    """Return the names of the radios that are no channel shared with others: brokers, and wires."""
    return tuple(config.name for config in configs if isinstance(config, MqttRadioConfig) or config.channel == "none")


def place_of(configs: tuple[RadioConfig, ...]) -> str:
    """Return where the radios are, for a log."""
    return ", ".join(f"{config.name}: {_place(config)}" for config in configs)


@contextmanager
def _named(config: RadioConfig) -> Iterator[None]:
    """Have an error about a radio's files say which radio that is."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"radio {config.name}: {error.path}", error.reason) from None


def _open(config: RadioConfig, clock: Clock, environment: Mapping[str, str]) -> Radio:
    match config:
        case UdpRadioConfig():
            return UdpRadio.open(clock=clock, group=config.group, port=config.port, interface=config.interface)
        case EthernetRadioConfig():
            return EtherRadio.open(clock=clock, interface=config.interface)
        case MqttRadioConfig():
            return open_mqtt_radio(config, clock=clock, credentials_directory=_credentials(environment))


def _place(config: RadioConfig) -> str:
    match config:
        case UdpRadioConfig():
            return f"UDP {config.group}:{config.port} on {config.interface}"
        case EthernetRadioConfig():
            return f"Ethernet on {config.interface}"
        case MqttRadioConfig():
            return f"MQTT at {config.host}:{config.port}"


def _trouble(config: RadioConfig, environment: Mapping[str, str]) -> str | None:
    try:
        match config:
            case UdpRadioConfig():
                usable_index_of(IPv4Address(config.interface))
            case EthernetRadioConfig():
                open_packet_socket(config.interface).close()
                _require_known(config)
                usable_index(config.interface)
            case MqttRadioConfig():
                broker_of(config, credentials_directory=_credentials(environment))
    except TransportError as away:
        return away.reason
    return None


def _require_known(config: EthernetRadioConfig) -> None:
    """Name the interfaces there are, where the one asked for is not among them."""
    try:
        socket.if_nametoindex(config.interface)
    except OSError:
        try:
            here = ", ".join(name for _index, name in socket.if_nameindex())
        except OSError:
            here = ""
        among = f"; there are {here}" if here else ""
        raise TransportError(config.interface, f"there is no interface {config.interface}{among}") from None


def _credentials(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("CREDENTIALS_DIRECTORY")
    return Path(named) if named else None
