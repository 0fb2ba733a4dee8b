"""The `[requests]` table of the vehicle agent's configuration: what its control units may be asked. Without it nothing is asked.

[requests]
bus = "can0"
[[requests.odometer]]
unit = "cluster"
request = 0x714
response = 0x77E
identifier = 0x2203
octets = 3
metres_per_bit = 1000
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from shared.core.clock import NS_PER_S
from shared.service.config import ConfigStruct
from shared.transport.can_frame import MAX_EXTENDED_ID, MAX_STANDARD_ID, CanFilter
from vehicle_agent.requests.addresses import UnitAddress, filters_for
from vehicle_agent.requests.answers import UdsOdometer
from vehicle_agent.requests.schedule import MAX_RATE_PER_S, MIN_RATE_PER_S

MAX_NAMED_UNITS = 8
"""Units with identifiers of their maker that a configuration names."""

MAX_ODOMETERS = 8

Identifier = Annotated[int, msgspec.Meta(ge=0, le=MAX_EXTENDED_ID)]
Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{1,32}$")]
Seconds = Annotated[float, msgspec.Meta(ge=0.1, le=31_536_000.0)]


class UnitConfig(ConfigStruct, frozen=True, kw_only=True):
    """A control unit with identifiers of its maker: `[[requests.unit]]`; it is asked who it is.

    Attributes:
        unit: its name.
        request: the CAN identifier on which it is asked.
        response: the one on which it answers.
        is_extended: whether both have 29 bits.
    """

    unit: Name
    request: Identifier
    response: Identifier
    is_extended: bool = False

    def __post_init__(self) -> None:
        """Refuse identifiers that do not exist, or are one and the same."""
        limit = MAX_EXTENDED_ID if self.is_extended else MAX_STANDARD_ID
        if self.request > limit or self.response > limit:
            raise ValueError(f"request and response have at most {limit:#x}; longer ones need is_extended = true")
        if self.request == self.response:
            raise ValueError("request and response are the same identifier")

    @property
    def address(self) -> UnitAddress:
        """Where it is asked and answers."""
        return UnitAddress(self.request, self.response, self.is_extended)


class OdometerConfig(UnitConfig, frozen=True, kw_only=True):
    """An odometer that a control unit keeps behind an identifier of UDS: `[[requests.odometer]]`.

    Attributes:
        identifier: of ReadDataByIdentifier.
        octets: of the value.
        metres_per_bit: its factor.
        first_octet: where the value begins in what the identifier holds.
        byte_order: "big" where its highest octet comes first.
        every_s: how often it is asked.
        only_at_standstill: whether only while the vehicle stands.
    """

    identifier: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
    octets: Annotated[int, msgspec.Meta(ge=1, le=8)]
    metres_per_bit: Annotated[float, msgspec.Meta(gt=0.0, le=1_000_000.0)]
    first_octet: Annotated[int, msgspec.Meta(ge=0, le=4_091)] = 0
    byte_order: Literal["big", "little"] = "big"
    every_s: Seconds = 60.0
    only_at_standstill: bool = True

    @property
    def odometer(self) -> UdsOdometer:
        """How it is read."""
        return UdsOdometer(
            name=self.unit,
            unit=self.address,
            identifier=self.identifier,
            first_octet=self.first_octet,
            octets=self.octets,
            is_little_endian=self.byte_order == "little",
            metres_per_bit=self.metres_per_bit,
            every_ns=round(self.every_s * NS_PER_S),
            at_standstill=self.only_at_standstill,
        )


class RequestsConfig(ConfigStruct, frozen=True, kw_only=True):
    """What is asked on one bus.

    Attributes:
        bus: the vehicle's name for it, as in `[[can]]`.
        ask: False: only listen to what another tester asks.
        obd: whether OBD-II is spoken: speed, odometer and who the units are.
        identifiers: of OBD-II, in bits: 11, or 29.
        rate_per_s: most questions a second.
        only_at_standstill: whether everything waits for it, speed and odometer by OBD too.
        speed_every_s: how often the speed is asked by OBD.
        odometer_every_s: how often the odometer is.
        part_identity_every_s: how often the units are asked who they are, always at standstill; 0: never.
        unit: further units that are asked who they are.
        odometer: odometers of makers.
    """

    bus: str
    ask: bool = True
    obd: bool = True
    identifiers: Literal[11, 29] = 11
    rate_per_s: Annotated[float, msgspec.Meta(ge=MIN_RATE_PER_S, le=MAX_RATE_PER_S)] = 4.0
    only_at_standstill: bool = False
    speed_every_s: Seconds = 1.0
    odometer_every_s: Seconds = 10.0
    part_identity_every_s: Annotated[float, msgspec.Meta(ge=0.0, le=31_536_000.0)] = 86_400.0
    unit: Annotated[tuple[UnitConfig, ...], msgspec.Meta(max_length=MAX_NAMED_UNITS)] = ()
    odometer: Annotated[tuple[OdometerConfig, ...], msgspec.Meta(max_length=MAX_ODOMETERS)] = ()

    def __post_init__(self) -> None:
        """Refuse a table that asks for nothing, names used twice, and one name or answer for two units."""
        if not self.obd and not self.named:
            raise ValueError("asks for nothing: obd is false, and neither [[requests.unit]] nor [[requests.odometer]] is there")
        keys = [(each.unit, each.identifier, each.first_octet) for each in self.odometer]
        if len(set(keys)) < len(keys):
            raise ValueError("two [[requests.odometer]] are the same value of the same unit")
        answers = {(unit.response_id, unit.is_extended) for unit in self.named.values()}
        if len(answers) < len(self.named):
            raise ValueError("two units answer on the same identifier")
        for each in (*self.unit, *self.odometer):
            if self.named[each.unit] != each.address:
                raise ValueError(f"{each.unit} has two different pairs of identifiers")

    @property
    def named(self) -> dict[str, UnitAddress]:
        """The units with identifiers of their maker, by name."""
        return {each.unit: each.address for each in (*self.odometer, *self.unit)}

    @property
    def filters(self) -> tuple[CanFilter, ...]:
        """What the bus has to let through."""
        return filters_for(tuple(self.named.values()), obd=self.obd, is_extended=self.identifiers == 29)


def describe_requests(requests: RequestsConfig | None) -> Iterator[str]:
    """Yield lines for `check-config`: what is asked of the vehicle."""
    if requests is None:
        yield "no [requests]: nothing is asked of the vehicle's control units"
        return
    if not requests.ask:
        yield f"on {requests.bus} nothing is asked; answers to another tester are used"
        return
    when = "at standstill only" if requests.only_at_standstill else "while the ignition is on"
    yield f"on {requests.bus} at most {requests.rate_per_s:g} questions a second, {when}, for reading only"
    if requests.obd:
        yield (
            f"OBD-II with {requests.identifiers} bits: speed every {requests.speed_every_s:g} s, odometer every "
            f"{requests.odometer_every_s:g} s where a unit has one"
        )
    for each in requests.odometer:
        at = ", at standstill" if each.only_at_standstill else ""
        yield (
            f"odometer of {each.unit}: {each.request:x}/{each.response:x}, identifier {each.identifier:04x}, {each.octets} octets "
            f"from {each.first_octet} on, {each.metres_per_bit:g} m a bit, every {each.every_s:g} s{at}"
        )
    if requests.part_identity_every_s:
        units = "" if not requests.named else f" ({', '.join(requests.named)} besides those of OBD-II)"
        yield f"every {requests.part_identity_every_s:g} s, at standstill, the control units are asked who they are{units}"
