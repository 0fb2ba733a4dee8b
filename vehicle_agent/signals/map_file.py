"""The shape of a signal map's TOML; `vehicle_agent.signals.signal_map` says what it means and checks it against the DBC."""

from typing import Literal

import msgspec

from shared.service.config import ConfigStruct


class UnitByEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A unit that another signal of the same message selects; keys are its raw values or their names in the DBC."""

    signal: str
    units: dict[str, str]


class FieldEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A `[fields.NAME]` table; NAME is a field of `VehicleState` or its VSS path.

    Attributes:
        signal: `MESSAGE.SIGNAL`.
        mean_of: signals whose mean is the value.
        sum_of: signals whose sum is the value.
        any_of: flags of which one suffices.
        latitude: signal of a position, degrees north.
        longitude: signal of a position, degrees east.
        unit: unit of `physical * factor + offset`, a name of `shared.core.units`.
        unit_by: unit selected by another signal.
        sign_by: one-bit signal of the same message that is 1 where the value is negative and stands without its sign.
        only_if: signals of the same message and their raw values without which the field is not in the frame at all.
        dbc_unit_is_wrong: `unit` holds although the DBC names another one.
        factor: correction of a wrong DBC, or -1 for a sign the other way round.
        offset: likewise.
        choices: what raw values (or their names in the DBC) mean: true, false, "forward", "backward", "unavailable"; of the quality
            of a fix "none", "estimated", "2d", "3d", "differential", "rtk_float", "rtk_fixed".
        not_available: raw values that mean "unavailable"; all signals of the field.
        range: smallest and largest value believed, in the field's own unit.
        max_age_ms: for how long a value may be used.
    """

    signal: str | None = None
    mean_of: tuple[str, ...] | None = None
    sum_of: tuple[str, ...] | None = None
    any_of: tuple[str, ...] | None = None
    latitude: str | None = None
    longitude: str | None = None
    unit: str | None = None
    unit_by: UnitByEntry | None = None
    sign_by: str | None = None
    only_if: dict[str, int] = msgspec.field(default_factory=dict)
    dbc_unit_is_wrong: bool = False
    factor: float = 1.0
    offset: float = 0.0
    choices: dict[str, bool | str] | None = None
    not_available: tuple[int, ...] = ()
    range: tuple[float, float] | None = None
    max_age_ms: int


class ChecksumEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A checksum by the name of its rule, in a signal or, where the DBC names none, in a whole byte (negative: from the end)."""

    rule: str
    signal: str | None = None
    byte: int | None = None


class CounterEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A counter that grows by one with each frame and wraps at its width, or after `last`."""

    signal: str
    last: int | None = None


class MessageEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A `[messages.NAME]` table: what protects a message, and where it is seen if not on the map's channel.

    Attributes:
        checksum: its checksum, if it has one.
        counter: its running counter, if it has one.
        channel: where it is seen.
        id: its identifier, where the DBC gives its name to several; None for the only one.
        pgn: whether it is found by its J1939 parameter group and not by its whole identifier; None as `protocol` says.
        source: the only J1939 source address it is taken from, 0..253; None for whoever speaks first.
    """

    checksum: ChecksumEntry | None = None
    counter: CounterEntry | None = None
    channel: str | None = None
    id: int | None = None
    pgn: bool | None = None
    source: int | None = None


class MapFile(ConfigStruct, frozen=True, kw_only=True):
    """The file as a whole.

    Attributes:
        name: the car.
        brand: its maker or makers, as on the car.
        models: what it is sold as.
        years: first and last model year it was made; None where not known.
        dbc: a path, `package:NAME/path/inside`, or a list of both.
        channel: the bus its messages are seen on; None for the one it is configured for.
        protocol: `j1939` where messages of 29 bits are found by their parameter group.
    """

    name: str
    brand: str | None = None
    models: tuple[str, ...] = ()
    years: tuple[int, int] | None = None
    dbc: str | tuple[str, ...]
    channel: str | None = None
    protocol: Literal["j1939"] | None = None
    fields: dict[str, FieldEntry]
    messages: dict[str, MessageEntry] = msgspec.field(default_factory=dict)
