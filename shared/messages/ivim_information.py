"""What an IVIM says of its zones (ISO/TS 19321): signs, text, and how a display arranges them.

Characteristics of vehicles stay plain decoded trees.
"""

from enum import IntEnum
from typing import Final

from shared.codec.shape import Field, Items, Part, Record
from shared.codec.uper import Tree
from shared.core.errors import EncodeError
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.ivim_provider import LETTER_PAIR
from shared.messages.ivim_road import DIRECTION, LANE_STATUS
from shared.messages.ivim_signs import ROAD_SIGN, RoadSign

_VARIABLE_LENGTH_BASES = (0, 128, 16_512, 2_113_664)
"""Least numbers of the four lengths of a `VarLengthNumber`."""


class IviType(IntEnum):
    """`IviType`; 5..7 are free."""

    IMMEDIATE_DANGER_WARNING_MESSAGES = 0
    REGULATORY_MESSAGES = 1
    TRAFFIC_RELATED_INFORMATION_MESSAGES = 2
    POLLUTION_MESSAGES = 3
    NOT_TRAFFIC_RELATED_INFORMATION_MESSAGES = 4


class IviPurpose(IntEnum):
    """`IviPurpose`; 3 is free."""

    SAFETY = 0
    ENVIRONMENTAL = 1
    TRAFFIC_OPTIMISATION = 2


class DriverCharacteristics(IntEnum):
    """`DriverCharacteristics`: drivers something is for."""

    UNEXPERIENCED_DRIVERS = 0
    EXPERIENCED_DRIVERS = 1
    RFU_1 = 2
    RFU_2 = 3


class IviTextLine(Value):
    """`Text`: one line.

    Attributes:
        text: UTF-8.
        language: two letters (ISO 639-1) in capitals, or the number on the wire where that is no pair of letters.
        layout_component_id: where in the layout it is shown, 1..4 or more.
    """

    text: str
    language: str | int
    layout_component_id: int | None = None


class IviSigns(Value):
    """`GicPart`: signs and whom they are for; zones are named by the numbers a location container gives them.

    Attributes:
        ivi_type: an `IviType` where the number has one.
        road_signs: usually 1..4, shown together.
        detection_zone_ids: zones from which the signs are approached.
        rrid: number of a road rule, 0..270,549,119 or more.
        relevance_zone_ids: zones in which the signs hold.
        direction: an `IviDirection`.
        driver_awareness_zone_ids: zones in which the driver is told.
        minimum_awareness_time: how long before the zone the driver is told, the number on the wire, 0..255.
        applicable_lanes: lanes the signs are for (numbers as in `IviZone`); `()` for all.
        ivi_purpose: an `IviPurpose` where the number has one.
        lane_status: a `LaneStatus` where the number has one.
        vehicle_characteristics: `CompleteVehicleCharacteristics` of whom they are for, as plain trees.
        driver_characteristics: drivers they are for.
        layout_id: which layout shows them.
        pre_stored_layout_id: likewise.
        extra_text: lines below the signs, usually at most 4.
    """

    ivi_type: int
    road_signs: tuple[RoadSign, ...]
    detection_zone_ids: tuple[int, ...] = ()
    rrid: int | None = None
    relevance_zone_ids: tuple[int, ...] = ()
    direction: int | None = None
    driver_awareness_zone_ids: tuple[int, ...] = ()
    minimum_awareness_time: int | None = None
    applicable_lanes: tuple[int, ...] = ()
    ivi_purpose: int | None = None
    lane_status: int | None = None
    vehicle_characteristics: tuple[Tree, ...] = ()
    driver_characteristics: int | None = None
    layout_id: int | None = None
    pre_stored_layout_id: int | None = None
    extra_text: tuple[IviTextLine, ...] = ()


class IviText(Value):
    """`TcPart`: free text and whom it is for; fields of the same name as in `IviSigns`.

    Attributes:
        relevance_zone_ids: zones in which it holds.
        data: octets of a form sender and receiver agree on.
        text: lines, usually at most 4.
        ivi_type: an `IviType` where the number has one; needed where `lane_status` or `vehicle_characteristics` is given.
    """

    relevance_zone_ids: tuple[int, ...]
    data: bytes = b""
    text: tuple[IviTextLine, ...] = ()
    detection_zone_ids: tuple[int, ...] = ()
    direction: int | None = None
    driver_awareness_zone_ids: tuple[int, ...] = ()
    minimum_awareness_time: int | None = None
    applicable_lanes: tuple[int, ...] = ()
    layout_id: int | None = None
    pre_stored_layout_id: int | None = None
    ivi_type: int | None = None
    lane_status: int | None = None
    vehicle_characteristics: tuple[Tree, ...] = ()


class LayoutComponent(Value):
    """`LayoutComponent`: a field of a display, in the display's own units.

    Attributes:
        id: 1..8 or more.
        x: left edge, 10..265.
        y: upper edge, 10..73.
        width: 10..265.
        height: 10..73.
        is_vertical: whether text runs down.
    """

    id: int
    x: int
    y: int
    width: int
    height: int
    is_vertical: bool = False


class IviLayout(Value):
    """`LayoutContainer`: how signs and text are arranged.

    Attributes:
        layout_id: 1..4 or more.
        components: usually 1..4.
        width: 10..265, in the display's own units.
        height: 10..73.
    """

    layout_id: int
    components: tuple[LayoutComponent, ...]
    width: int | None = None
    height: int | None = None


def _decode_number(tree: Tree) -> int:
    """Return a `VarLengthNumber`: the number inside as many pairs as it is long."""
    while isinstance(tree, tuple):
        tree = tree[1]
    number: int = tree
    return number


def _encode_number(field: str, number: int | None) -> Tree:
    if number is None:
        raise EncodeError(field, "must be known")
    length = max((n for n, base in enumerate(_VARIABLE_LENGTH_BASES) if number >= base), default=0)
    tree: Tree = number if length == len(_VARIABLE_LENGTH_BASES) - 1 else ("content", number)
    for _ in range(length):
        tree = ("extension", tree)
    return tree


IVI_TYPE: Final = cv.OpenMembers(IviType)

_TEXT_LINE = Record(
    IviTextLine,
    {
        "layoutComponentId": Field("layout_component_id"),
        "language": Field("language", LETTER_PAIR),
        "textContent": Field("text"),
    },
)

_FOR_WHOM: Final[dict[str, Part]] = {
    "detectionZoneIds": Field("detection_zone_ids", absent=()),
    "direction": Field("direction", DIRECTION),
    "driverAwarenessZoneIds": Field("driver_awareness_zone_ids", absent=()),
    "minimumAwarenessTime": Field("minimum_awareness_time"),
    "applicableLanes": Field("applicable_lanes", absent=()),
    "iviType": Field("ivi_type", IVI_TYPE),
    "laneStatus": Field("lane_status", LANE_STATUS),
    "vehicleCharacteristics": Field("vehicle_characteristics", absent=()),
    "layoutId": Field("layout_id"),
    "preStoredlayoutId": Field("pre_stored_layout_id"),
}
"""Components that `GicPart` and `TcPart` share."""

SIGNS: Final = Record(
    IviSigns,
    {
        **_FOR_WHOM,
        "its-Rrid": Field("rrid", cv.Converted(_decode_number, _encode_number)),
        "relevanceZoneIds": Field("relevance_zone_ids", absent=()),
        "iviPurpose": Field("ivi_purpose", cv.OpenMembers(IviPurpose)),
        "driverCharacteristics": Field("driver_characteristics", cv.OpenMembers(DriverCharacteristics)),
        "roadSignCodes": Field("road_signs", Items(ROAD_SIGN)),
        "extraText": Field("extra_text", Items(_TEXT_LINE), absent=()),
    },
)
"""Shape of a `GicPart`."""

TEXT: Final = Record(
    IviText,
    {
        **_FOR_WHOM,
        "relevanceZoneIds": Field("relevance_zone_ids"),
        "text": Field("text", Items(_TEXT_LINE), absent=()),
        "data": Field("data"),
    },
)
"""Shape of a `TcPart`."""

LAYOUT: Final = Record(
    IviLayout,
    {
        "layoutId": Field("layout_id"),
        "height": Field("height"),
        "width": Field("width"),
        "layoutComponents": Field(
            "components",
            Items(
                Record(
                    LayoutComponent,
                    {
                        "layoutComponentId": Field("id"),
                        "height": Field("height"),
                        "width": Field("width"),
                        "x": Field("x"),
                        "y": Field("y"),
                        "textScripting": Field(
                            "is_vertical", cv.Converted(lambda wire: wire == 1, lambda _field, value: int(bool(value)))
                        ),
                    },
                )
            ),
        ),
    },
)
"""Shape of a `LayoutContainer`."""
