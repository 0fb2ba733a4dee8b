"""`[[radio]]` and `[capture]` of an agent's configuration: by which media it speaks and hears, and what it records of that.

Any number of radios up to `MAX_RADIOS`, each a table with its `kind`; without one, multicast on loopback:

    [[radio]]                    [[radio]]
    kind = "ethernet"            kind = "mqtt"
    name = "its-g5"              host = "broker.example"
    interface = "wlan0"
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.core.errors import TransportError
from shared.service.config import ConfigStruct
from shared.service.mqtt_config import MqttRadioConfig, RadioName
from shared.transport.capture import CAPTURE_SUFFIXES
from shared.transport.net_interface import check_interface_name
from shared.transport.radio_set import MAX_RADIOS
from shared.transport.udp_radio import DEFAULT_GROUP, DEFAULT_PORT, LOOPBACK_INTERFACE, check_addresses

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


Channel = Literal["shared", "none"]
"""Whether a packet takes others' time: `shared` for whatever stands for the air, which is left to others after each packet as
TS 102 687 asks; `none` for a wire, which takes every packet at once and is no load."""


class UdpRadioConfig(ConfigStruct, frozen=True, kw_only=True, tag_field="kind", tag="udp"):
    """IPv4 multicast: a group and port, the address of the interface, and whether it stands for the air."""

    name: RadioName = "udp"
    group: str = DEFAULT_GROUP
    port: Port = DEFAULT_PORT
    interface: str = LOOPBACK_INTERFACE
    channel: Channel = "shared"

    def __post_init__(self) -> None:
        """Refuse addresses that no radio can use."""
        try:
            check_addresses(self.group, self.interface, "radio")
        except TransportError as error:
            raise ValueError(error.reason) from None


class EthernetRadioConfig(ConfigStruct, frozen=True, kw_only=True, tag_field="kind", tag="ethernet"):
    """Raw Ethernet frames on an interface: a wire, an IEEE 802.11p card outside any cell, a C-V2X modem's device."""

    interface: str
    name: RadioName = "ethernet"
    channel: Channel = "shared"

    def __post_init__(self) -> None:
        """Refuse what no interface can be called."""
        check_interface_name(self.interface)


RadioConfig = UdpRadioConfig | EthernetRadioConfig | MqttRadioConfig
RadioConfigs = Annotated[tuple[RadioConfig, ...], msgspec.Meta(min_length=1, max_length=MAX_RADIOS)]

DEFAULT_RADIOS: tuple[RadioConfig, ...] = (UdpRadioConfig(),)


class CaptureConfig(ConfigStruct, frozen=True, kw_only=True):
    """A file of packets, up to `shared.service.capture.MAX_CAPTURE_OCTETS`.

    Attributes:
        file: `.pcap`, or `.pcapng`, which also says by which radio and in which direction each packet went.
        heard: record what is heard too, not only what is sent; our own echoes are among it, where a medium has them.
    """

    file: Path
    heard: bool = False

    def __post_init__(self) -> None:
        """Refuse a name that says no format."""
        if self.file.suffix not in CAPTURE_SUFFIXES:
            raise ValueError(f"file: its name must end in {' or '.join(CAPTURE_SUFFIXES)}")


def require_distinct(radios: tuple[RadioConfig, ...]) -> None:
    """Refuse two radios of one name or on one medium; ValueError, for `__post_init__` of a configuration."""
    names = [radio.name for radio in radios]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two radios are called {name!r}; give each a `name` of its own")
    media = [_medium(radio) for radio in radios]
    for medium, name in zip(media, names, strict=True):
        if media.count(medium) > 1:
            raise ValueError(f"radio {name!r} is on the same medium as another, which would only hear its echoes")


def _medium(radio: RadioConfig) -> tuple[object, ...]:
    match radio:
        case UdpRadioConfig():
            return ("udp", radio.group, radio.port, radio.interface)
        case EthernetRadioConfig():
            return ("ethernet", radio.interface)
        case MqttRadioConfig():
            return ("mqtt", radio.host, radio.port, radio.namespace, radio.publish_queue, radio.listen_queue)
