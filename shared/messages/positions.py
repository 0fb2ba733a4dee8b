"""Shapes of the positions, paths, causes and closed lanes that CAM and DENM share (TS 102 894-2 V1.3.1)."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from shared.codec.asn1 import schema_type
from shared.codec.decoder_source import packing_of
from shared.codec.packed import Packing
from shared.codec.shape import Field, Fields, Items, Part, Record
from shared.codec.uper import Tree
from shared.core.errors import EncodeError
from shared.core.ids import ActionId, StationType
from shared.messages import conversions as cv
from shared.messages.cdd import CauseCode, ClosedLanes, HardShoulderStatus, PathPoint

STATION_TYPE = cv.OpenMembers(StationType)
CAUSE_CODE = cv.OpenMembers(CauseCode)

REFERENCE_POSITION: Final[Mapping[str, Part]] = {
    "latitude": Field("lat_deg", cv.LATITUDE),
    "longitude": Field("lon_deg", cv.LONGITUDE),
    "positionConfidenceEllipse": Fields(
        {
            "semiMajorConfidence": Field("semi_major_m", cv.SEMI_AXIS_LENGTH),
            "semiMinorConfidence": Field("semi_minor_m", cv.SEMI_AXIS_LENGTH),
            "semiMajorOrientation": Field("semi_major_orientation_deg", cv.HEADING_VALUE),
        }
    ),
    "altitude": Fields(
        {
            "altitudeValue": Field("altitude_m", cv.ALTITUDE_VALUE),
            "altitudeConfidence": Field("altitude_confidence_m", cv.ALTITUDE_CONFIDENCE),
        }
    ),
}
"""Components of a `ReferencePosition`."""

DELTA_POSITION: Final[Mapping[str, Part]] = {
    "deltaLatitude": Field("delta_lat_deg", cv.DELTA_LATITUDE),
    "deltaLongitude": Field("delta_lon_deg", cv.DELTA_LONGITUDE),
    "deltaAltitude": Field("delta_altitude_m", cv.DELTA_ALTITUDE),
}
"""Components of a `DeltaReferencePosition`."""

DELTA_TIME = Field("delta_time_s", cv.PATH_DELTA_TIME)

PATH = Items(Record(PathPoint, {"pathPosition": Fields(DELTA_POSITION), "pathDeltaTime": DELTA_TIME}), packed=True)
"""A `PathHistory`."""


@cache
def _path_packing() -> Packing:
    return packing_of(schema_type("ITS_CAM_2", "ITS_Container", "PathPoint"), PATH.item)


def path_led_by(first: PathPoint, rest: Sequence[PathPoint]) -> Sequence[PathPoint]:
    """Return a path with one more point in front, as the bits it is sent as where it has a usual form: rounded to their steps.

    For who sends nearly the same path again and again: `rest` is what an earlier call returned, or `()`.
    """
    return _path_packing().led_by(first, rest)


ACTION_ID = Record(
    ActionId,
    {"originatingStationID": Field("originating_station_id"), "sequenceNumber": Field("sequence_number")},
)


def cause(cause_code: str, sub_cause_code: Field) -> Fields:
    """Return the shape of a `CauseCode`; without a cause there is none."""
    return Fields({"causeCode": Field(cause_code, CAUSE_CODE), "subCauseCode": sub_cause_code}, key=cause_code)


_MAX_DRIVING_LANES = 13


def _encode_lanes(field: str, lanes: tuple[bool, ...]) -> Tree:
    if not 1 <= len(lanes) <= _MAX_DRIVING_LANES:
        raise EncodeError(field, f"{len(lanes)} lanes are not 1..{_MAX_DRIVING_LANES}")
    return sum(bool(closed) << (len(lanes) - 1 - lane) for lane, closed in enumerate(lanes)), len(lanes)


def _decode_lanes(bit_string: Tree) -> tuple[bool, ...]:
    status, count = bit_string
    return tuple([status >> (count - 1 - lane) & 1 == 1 for lane in range(count)])


_SHOULDER = cv.Members(HardShoulderStatus)

CLOSED_LANES = Record(
    ClosedLanes,
    {
        "innerhardShoulderStatus": Field("inner_hard_shoulder", _SHOULDER),
        "outerhardShoulderStatus": Field("outer_hard_shoulder", _SHOULDER),
        "drivingLaneStatus": Field("closed_driving_lanes", cv.Converted(_decode_lanes, _encode_lanes)),
    },
)
"""A `ClosedLanes`."""
