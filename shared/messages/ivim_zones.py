"""The places an IVIM speaks of: its geographic and map location containers (ISO/TS 19321).

Zones are numbered; the other containers name them by number. A zone is a strip along a line, an area within one, or another zone
moved aside.
"""

from typing import Final

from shared.codec.shape import Choice, Field, Fields, Items, Record
from shared.codec.uper import Tree
from shared.core.ids import IntersectionId
from shared.core.itstime import TimestampIts
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.cdd import PathPoint
from shared.messages.pdu import INTERSECTION_ID
from shared.messages.positions import DELTA_POSITION, REFERENCE_POSITION

MAX_ZONES = 16
MAX_LINE_OFFSETS = 32
MAX_LINE_POSITIONS = 8


class ZoneOffset(Value):
    """`DeltaPosition`: a point relative to the one before (the first to the reference position).

    Attributes:
        delta_lat_deg: +-0.0131071 in steps of 1e-7.
        delta_lon_deg: likewise.
    """

    delta_lat_deg: float | None
    delta_lon_deg: float | None


class ZonePosition(Value):
    """`AbsolutePosition`.

    Attributes:
        lat_deg: in [-90, 90], or None.
        lon_deg: in [-180, 180], or None.
    """

    lat_deg: float | None
    lon_deg: float | None


class ZonePlace(Value):
    """`AbsolutePositionWAltitude`.

    Attributes:
        lat_deg: in [-90, 90], or None.
        lon_deg: in [-180, 180], or None.
        altitude_m: above the ellipsoid, -1000..8000.
        altitude_confidence_m: a step of 0.01 ... 200, inf.
    """

    lat_deg: float | None
    lon_deg: float | None
    altitude_m: float | None = None
    altitude_confidence_m: float | None = None


class ZoneLine(Value):
    """`PolygonalLine`: exactly one of its fields is set.

    Attributes:
        offsets: each point relative to the one before, usually at most `MAX_LINE_OFFSETS`.
        offsets_with_altitude: likewise; `delta_time_s` is unused.
        positions: usually at most `MAX_LINE_POSITIONS`.
        positions_with_altitude: likewise.
        other: what a later version knows besides, as a plain tree.
    """

    offsets: tuple[ZoneOffset, ...] = ()
    offsets_with_altitude: tuple[PathPoint, ...] = ()
    positions: tuple[ZonePosition, ...] = ()
    positions_with_altitude: tuple[ZonePlace, ...] = ()
    other: Tree | None = None


class ZoneSegment(Value):
    """`Segment`: a strip along a line.

    Attributes:
        line: its middle.
        lane_width_m: 0..10.23, None where not stated.
    """

    line: ZoneLine
    lane_width_m: float | None = None


class ComputedZone(Value):
    """`ComputedSegment`: a strip like another zone's, moved aside.

    Attributes:
        zone_id: of the other zone.
        lane_number: -1..14, as in `IviZone`.
        lane_width_m: 0..10.23.
        offset_distance: sideways, the number on the wire, -32,768..32,767.
        offset_position: where it begins, relative to the other zone; `delta_time_s` is unused.
    """

    zone_id: int
    lane_number: int
    lane_width_m: float
    offset_distance: int | None = None
    offset_position: PathPoint | None = None


class IviZone(Value):
    """`GlcPart`: one zone.

    At most one of `segment`, `area`, `computed` and `other` is set; none where the zone is the reference position itself.

    Attributes:
        zone_id: 1..32 or more, unique within the message.
        lane_number: -1 off the road, 0 inner hard shoulder, 1..13 driving lanes from inside, 14 outer hard shoulder.
        zone_extension: 0..255.
        heading_deg: of the traffic it concerns, [0, 360).
        segment: a strip along a line.
        area: within a closed line.
        computed: like another zone.
        other: what a later version knows besides, as a plain tree.
    """

    zone_id: int
    lane_number: int | None = None
    zone_extension: int | None = None
    heading_deg: float | None = None
    segment: ZoneSegment | None = None
    area: ZoneLine | None = None
    computed: ComputedZone | None = None
    other: Tree | None = None


class IviLocation(Value):
    """`GeographicLocationContainer`: a reference position, and zones relative to it.

    Attributes:
        lat_deg: reference position, in [-90, 90].
        lon_deg: reference position, in [-180, 180].
        zones: usually 1..`MAX_ZONES`.
        semi_major_m: half axis of the 95 % ellipse, 0.01..40.93, inf.
        semi_minor_m: likewise, across.
        semi_major_orientation_deg: [0, 360).
        altitude_m: -1000..8000.
        altitude_confidence_m: a step of 0.01 ... 200, inf.
        position_time: since when a place that moves has been there.
        heading_deg: where a place that moves is going, [0, 360).
        heading_confidence_deg: 0.1..12.5, inf.
        speed_mps: of a place that moves, 0..163.82.
        speed_confidence_mps: 0.01..1.25, inf.
    """

    lat_deg: float | None
    lon_deg: float | None
    zones: tuple[IviZone, ...]
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    semi_major_orientation_deg: float | None = None
    altitude_m: float | None = None
    altitude_confidence_m: float | None = None
    position_time: TimestampIts | None = None
    heading_deg: float | None = None
    heading_confidence_deg: float | None = None
    speed_mps: float | None = None
    speed_confidence_mps: float | None = None


class MapZone(Value):
    """`MlcPart`: a zone made of lanes of a map.

    Attributes:
        zone_id: 1..32 or more, unique within the message.
        lane_ids: 0..255 each, as in the MAPEM; `()` where not stated.
    """

    zone_id: int
    lane_ids: tuple[int, ...] = ()


class MapLocation(Value):
    """`MapLocationContainer`: zones on a map that another message gives; exactly one of the references is set.

    Attributes:
        zones: usually 1..`MAX_ZONES`.
        intersection: region and number of a junction, as in the MAPEM.
        road_segment: region and number of a road segment, likewise.
    """

    zones: tuple[MapZone, ...]
    intersection: IntersectionId | None = None
    road_segment: IntersectionId | None = None


_ALTITUDE: Final = REFERENCE_POSITION["altitude"]
_OFFSET = Record(
    ZoneOffset,
    {
        "deltaLatitude": Field("delta_lat_deg", cv.DELTA_LATITUDE),
        "deltaLongitude": Field("delta_lon_deg", cv.DELTA_LONGITUDE),
    },
)
_LAT_LON = {"latitude": Field("lat_deg", cv.LATITUDE), "longitude": Field("lon_deg", cv.LONGITUDE)}
_OFFSET_3D = Record(PathPoint, DELTA_POSITION)

_LINE = Record(
    ZoneLine,
    Choice(
        {
            "deltaPositions": Field("offsets", Items(_OFFSET), absent=()),
            "deltaPositionsWithAltitude": Field("offsets_with_altitude", Items(_OFFSET_3D), absent=()),
            "absolutePositions": Field("positions", Items(Record(ZonePosition, _LAT_LON)), absent=()),
            "absolutePositionsWithAltitude": Field(
                "positions_with_altitude", Items(Record(ZonePlace, {**_LAT_LON, "altitude": _ALTITUDE})), absent=()
            ),
        },
        demand="needs points of exactly one kind",
        later="other",
    ),
)

_ZONE = Record(
    IviZone,
    {
        "zoneId": Field("zone_id"),
        "laneNumber": Field("lane_number"),
        "zoneExtension": Field("zone_extension"),
        "zoneHeading": Field("heading_deg", cv.HEADING_VALUE),
        "zone": Choice(
            {
                "segment": Field(
                    "segment",
                    Record(ZoneSegment, {"line": Field("line", _LINE), "laneWidth": Field("lane_width_m", cv.IVI_LANE_WIDTH)}),
                ),
                "area": Field("area", _LINE),
                "computedSegment": Field(
                    "computed",
                    Record(
                        ComputedZone,
                        {
                            "zoneId": Field("zone_id"),
                            "laneNumber": Field("lane_number"),
                            "laneWidth": Field("lane_width_m", cv.IVI_LANE_WIDTH),
                            "offsetDistance": Field("offset_distance"),
                            "offsetPosition": Field("offset_position", _OFFSET_3D),
                        },
                    ),
                ),
            },
            demand="is more than one of a segment, an area and a computed segment",
            later="other",
        ),
    },
)

LOCATION: Final = Record(
    IviLocation,
    {
        "referencePosition": Fields(REFERENCE_POSITION),
        "referencePositionTime": Field("position_time"),
        "referencePositionHeading": Fields(
            {
                "headingValue": Field("heading_deg", cv.HEADING_VALUE),
                "headingConfidence": Field("heading_confidence_deg", cv.HEADING_CONFIDENCE),
            }
        ),
        "referencePositionSpeed": Fields(
            {
                "speedValue": Field("speed_mps", cv.SPEED_VALUE),
                "speedConfidence": Field("speed_confidence_mps", cv.SPEED_CONFIDENCE),
            }
        ),
        "parts": Field("zones", Items(_ZONE)),
    },
)
"""Shape of a `GeographicLocationContainer`."""

MAP_LOCATION: Final = Record(
    MapLocation,
    {
        "reference": Choice(
            {"roadsegment": Field("road_segment", INTERSECTION_ID), "intersection": Field("intersection", INTERSECTION_ID)},
            demand="needs either an intersection or a road segment",
        ),
        "parts": Field(
            "zones",
            Items(Record(MapZone, {"zoneId": Field("zone_id"), "laneIds": Field("lane_ids", absent=())})),
        ),
    },
)
"""Shape of a `MapLocationContainer`."""
