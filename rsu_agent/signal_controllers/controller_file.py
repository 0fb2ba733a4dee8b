"""The file of a controller that speaks for itself: where it is heard, what drives each signal group, and what the groups promise.

`rsu_agent/junctions/crossing.tscbm.toml` and `crossing.mqtt.toml` are commented examples. A fixed-time plan has a file of its own.
"""

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated

import msgspec

from rsu_agent.map_lanes import MAX_SIGNAL_GROUP
from rsu_agent.signal_controllers import GroupRule, GuardRules, Movement
from rsu_agent.signal_controllers.documents import ConflictDocument, Duration, GroupDocument
from rsu_agent.signal_controllers.report_message import MODES, Mode, Word
from rsu_agent.signal_controllers.reported import ReportedController, ReportedGroup, ReportedSetup
from rsu_agent.signal_controllers.tscbm import Output, TscbmController, TscbmGroup, TscbmSetup
from shared.core.clock import NS_PER_MS, NS_PER_S
from shared.core.errors import ConfigError
from shared.service import config
from shared.service.config import ConfigStruct
from shared.service.local_mqtt import Topic
from shared.service.mqtt_config import BrokerConfig

DEFAULT_PORT = 6_053
"""Where controllers usually send TSCBM."""

OutputNumber = Annotated[int, msgspec.Meta(ge=1, le=16)]
Patience = Annotated[int, msgspec.Meta(ge=200, le=10_000)]


class DrivenGroupDocument(GroupDocument, frozen=True, kw_only=True):
    """`[[group]]`: one signal group; with TSCBM exactly one of `phase`, `pedestrian` and `overlap` says what drives it."""

    min_green_s: Duration = 0.0
    amber_s: Duration = 0.0
    phase: OutputNumber | None = None
    pedestrian: OutputNumber | None = None
    overlap: OutputNumber | None = None


class TscbmDocument(ConfigStruct, frozen=True, kw_only=True):
    """`[tscbm]`: datagrams of one controller.

    Attributes:
        listen: our address on the controller's network.
        port: UDP.
        source: the controller's address; no other is believed.
        map_revision: of the map for which the groups were written.
        status_bits: what each bit (0 the lowest) of the status octet means, as the controller's manual says.
        takes_repeats: for a controller whose sequence stands still.
    """

    listen: str
    source: str
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = DEFAULT_PORT
    map_revision: Annotated[int, msgspec.Meta(ge=0, le=127)] | None = None
    status_bits: dict[Mode, Annotated[int, msgspec.Meta(ge=0, le=7)]] = msgspec.field(default_factory=dict)
    takes_repeats: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        for key, text in (("listen", self.listen), ("source", self.source)):
            try:
                address = ip_address(text)
            except ValueError:
                raise ValueError(f"{key}: {text!r} is no IP address") from None
            if key == "source" and (address.is_unspecified or address.is_multicast):
                raise ValueError(f"source: {text} is not the address of one controller")


class MqttDocument(BrokerConfig, frozen=True, kw_only=True):
    """`[mqtt]`: reports of one controller, and where the broker is.

    Attributes:
        topic: what the controller's topics begin with.
        controller: its name in reports.
        skew_ms: how far a report's time may be from ours.
        takes_priority: whether it takes requests for priority.
    """

    topic: Topic
    controller: Word
    skew_ms: Annotated[int, msgspec.Meta(ge=100, le=10_000)] = 1_000
    takes_priority: bool = False


class ControllerDocument(ConfigStruct, frozen=True, kw_only=True):
    """The whole file; either `[tscbm]` or `[mqtt]`."""

    group: Annotated[tuple[DrivenGroupDocument, ...], msgspec.Meta(min_length=1, max_length=MAX_SIGNAL_GROUP)]
    conflict: tuple[ConflictDocument, ...] = ()
    stale_ms: Patience = 1_000
    tscbm: TscbmDocument | None = None
    mqtt: MqttDocument | None = None

    def __post_init__(self) -> None:
        """Refuse none and both."""
        if (self.tscbm is None) is (self.mqtt is None):
            raise ValueError("a controller has either [tscbm] or [mqtt]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TscbmPlace:
    """Where datagrams arrive: our address and port."""

    controller: TscbmController
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedPlace:
    """Where reports arrive: the broker, and what the topics begin with."""

    controller: ReportedController
    broker: BrokerConfig
    topic: str


ControllerPlace = TscbmPlace | ReportedPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedController:
    """What a file names: the controller where it is heard, and what its groups promise."""

    place: ControllerPlace
    rules: GuardRules


def load_controller(path: Path) -> LoadedController:
    """Read a controller from a TOML file.

    Raises:
        ConfigError: the file cannot be read, has an unknown key, names a group twice or one that is not there, or a group nothing
            drives; the key says which.
    """
    document = config.load(path, ControllerDocument)
    origin = str(path)
    rules = _rules(origin, document)
    stale_ns = document.stale_ms * NS_PER_MS
    place: ControllerPlace
    if document.tscbm is not None:
        source = document.tscbm
        controller = TscbmController(
            TscbmSetup(
                source=plain_address(source.source),
                groups=tuple(_tscbm_group(origin, group) for group in document.group),
                stale_ns=stale_ns,
                map_revision=source.map_revision,
                status_bits={bit: MODES[mode] for mode, bit in source.status_bits.items()},
                takes_repeats=source.takes_repeats,
            )
        )
        place = TscbmPlace(controller=controller, host=source.listen, port=source.port)
    else:
        assert document.mqtt is not None
        place = _reported(origin, document, document.mqtt, stale_ns)
    return LoadedController(place=place, rules=rules)


def plain_address(host: str) -> str:
    """Return an address as the setup writes it: no zone, and IPv4 as IPv4 also where it came over an IPv6 port."""
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address if mapped is None else mapped)


def _reported(origin: str, document: ControllerDocument, mqtt: MqttDocument, stale_ns: int) -> ReportedPlace:
    for group in document.group:
        if (group.phase, group.pedestrian, group.overlap) != (None, None, None):
            raise ConfigError(f"{origin}: group {group.number}", "outputs are numbered with [tscbm] only")
    setup = ReportedSetup(
        controller=mqtt.controller,
        endpoint=f"mqtt:{mqtt.topic}",
        groups=tuple(ReportedGroup(number=g.number, name=g.name, movement=Movement(g.movement)) for g in document.group),
        stale_ns=stale_ns,
        skew_ns=mqtt.skew_ms * NS_PER_MS,
        takes_priority=mqtt.takes_priority,
    )
    return ReportedPlace(controller=ReportedController(setup), broker=mqtt, topic=mqtt.topic)


def _tscbm_group(origin: str, group: DrivenGroupDocument) -> TscbmGroup:
    outputs = {Output.PHASE: group.phase, Output.PEDESTRIAN: group.pedestrian, Output.OVERLAP: group.overlap}
    driving = [(output, number) for output, number in outputs.items() if number is not None]
    if len(driving) != 1:
        raise ConfigError(f"{origin}: group {group.number}", "exactly one of phase, pedestrian and overlap drives a signal group")
    ((output, number),) = driving
    return TscbmGroup(number=group.number, output=output, output_number=number, movement=Movement(group.movement), name=group.name)


def _rules(origin: str, document: ControllerDocument) -> GuardRules:
    numbers = Counter(group.number for group in document.group)
    for number, count in numbers.items():
        if count > 1:
            raise ConfigError(f"{origin}: group {number}", "the number is given twice")
    intergreen_ns: dict[frozenset[int], int] = {}
    for conflict in document.conflict:
        first, second = conflict.groups
        key = f"{origin}: conflict of groups {first} and {second}"
        for number in conflict.groups:
            if number not in numbers:
                raise ConfigError(key, f"there is no signal group {number}")
        if first == second:
            raise ConfigError(key, "a group cannot conflict with itself")
        if frozenset(conflict.groups) in intergreen_ns:
            raise ConfigError(key, "the pair is named twice")
        intergreen_ns[frozenset(conflict.groups)] = round(conflict.intergreen_s * NS_PER_S)
    return GuardRules(
        groups={
            group.number: GroupRule(min_green_ns=round(group.min_green_s * NS_PER_S), min_amber_ns=round(group.amber_s * NS_PER_S))
            for group in document.group
        },
        intergreen_ns=intergreen_ns,
    )
