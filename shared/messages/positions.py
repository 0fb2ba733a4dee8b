"""Plain trees of the positions, paths and causes that CAM and DENM share (TS 102 894-2 V1.3.1)."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from shared.codec.uper import Tree
from shared.core.errors import EncodeError
from shared.core.ids import ActionId, StationId, StationType
from shared.messages.cdd import CauseCode, PathPoint
from shared.messages.conversions import (
    ALTITUDE_CONFIDENCE,
    ALTITUDE_VALUE,
    DELTA_ALTITUDE,
    DELTA_LATITUDE,
    DELTA_LONGITUDE,
    HEADING_VALUE,
    LATITUDE,
    LONGITUDE,
    PATH_DELTA_TIME,
    SEMI_AXIS_LENGTH,
    members,
)

STATION_TYPES: Mapping[int, int] = members(StationType)
CAUSE_CODES: Mapping[int, int] = members(CauseCode)


class HasPosition(Protocol):
    """A value with the flat fields of a reference position."""

    @property
    def lat_deg(self) -> float | None: ...  # noqa: D102 - as in `Cam`
    @property
    def lon_deg(self) -> float | None: ...  # noqa: D102
    @property
    def semi_major_m(self) -> float | None: ...  # noqa: D102
    @property
    def semi_minor_m(self) -> float | None: ...  # noqa: D102
    @property
    def semi_major_orientation_deg(self) -> float | None: ...  # noqa: D102
    @property
    def altitude_m(self) -> float | None: ...  # noqa: D102
    @property
    def altitude_confidence_m(self) -> float | None: ...  # noqa: D102


class ReferencePosition(NamedTuple):
    """`ReferencePosition`; the fields are those of `Cam`."""

    lat_deg: float | None
    lon_deg: float | None
    semi_major_m: float | None
    semi_minor_m: float | None
    semi_major_orientation_deg: float | None
    altitude_m: float | None
    altitude_confidence_m: float | None


def encode_reference_position(value: HasPosition) -> Tree:
    """Return the tree of a `ReferencePosition`; raises `EncodeError`."""
    return {
        "latitude": LATITUDE.encode("lat_deg", value.lat_deg),
        "longitude": LONGITUDE.encode("lon_deg", value.lon_deg),
        "positionConfidenceEllipse": {
            "semiMajorConfidence": SEMI_AXIS_LENGTH.encode("semi_major_m", value.semi_major_m),
            "semiMinorConfidence": SEMI_AXIS_LENGTH.encode("semi_minor_m", value.semi_minor_m),
            "semiMajorOrientation": HEADING_VALUE.encode("semi_major_orientation_deg", value.semi_major_orientation_deg),
        },
        "altitude": {
            "altitudeValue": ALTITUDE_VALUE.encode("altitude_m", value.altitude_m),
            "altitudeConfidence": ALTITUDE_CONFIDENCE.encode("altitude_confidence_m", value.altitude_confidence_m),
        },
    }


def decode_reference_position(tree: Tree) -> ReferencePosition:
    """Return the flat fields of a `ReferencePosition`."""
    ellipse = tree["positionConfidenceEllipse"]
    altitude = tree["altitude"]
    return ReferencePosition(
        LATITUDE.decode(tree["latitude"]),
        LONGITUDE.decode(tree["longitude"]),
        SEMI_AXIS_LENGTH.decode(ellipse["semiMajorConfidence"]),
        SEMI_AXIS_LENGTH.decode(ellipse["semiMinorConfidence"]),
        HEADING_VALUE.decode(ellipse["semiMajorOrientation"]),
        ALTITUDE_VALUE.decode(altitude["altitudeValue"]),
        ALTITUDE_CONFIDENCE.decode(altitude["altitudeConfidence"]),
    )


def encode_delta_position(field: str, point: PathPoint) -> Tree:
    """Return the tree of a `DeltaReferencePosition`; raises `EncodeError`."""
    return {
        "deltaLatitude": DELTA_LATITUDE.encode(f"{field}.delta_lat_deg", point.delta_lat_deg),
        "deltaLongitude": DELTA_LONGITUDE.encode(f"{field}.delta_lon_deg", point.delta_lon_deg),
        "deltaAltitude": DELTA_ALTITUDE.encode(f"{field}.delta_altitude_m", point.delta_altitude_m),
    }


def decode_delta_position(tree: Tree, delta_time: int | None) -> PathPoint:
    """Return a point from a `DeltaReferencePosition` and a `PathDeltaTime` (None where absent)."""
    return PathPoint(
        DELTA_LATITUDE.decode(tree["deltaLatitude"]),
        DELTA_LONGITUDE.decode(tree["deltaLongitude"]),
        DELTA_ALTITUDE.decode(tree["deltaAltitude"]),
        None if delta_time is None else PATH_DELTA_TIME.decode(delta_time),
    )


def encode_path(field: str, points: tuple[PathPoint, ...]) -> Tree:
    """Return the tree of a `PathHistory`; raises `EncodeError`."""
    path = []
    for index, point in enumerate(points):
        here = f"{field}[{index}]"
        step = {"pathPosition": encode_delta_position(here, point)}
        if point.delta_time_s is not None:
            step["pathDeltaTime"] = PATH_DELTA_TIME.encode(f"{here}.delta_time_s", point.delta_time_s)
        path.append(step)
    return tuple(path)


def decode_path(tree: Tree) -> tuple[PathPoint, ...]:
    """Return the points of a `PathHistory`."""
    return tuple([decode_delta_position(step["pathPosition"], step.get("pathDeltaTime")) for step in tree])


def encode_cause(field: str, cause_code: int | None, sub_cause_code: int) -> Tree | None:
    """Return the tree of a `CauseCode`, None without a cause; raises `EncodeError` for a sub-cause without one."""
    if cause_code is None:
        if sub_cause_code:
            raise EncodeError(field, f"sub-cause {sub_cause_code} without a cause")
        return None
    return {"causeCode": cause_code, "subCauseCode": sub_cause_code}


def decode_cause(tree: Tree | None) -> tuple[int | None, int]:
    """Return (cause, sub-cause) of a `CauseCode`, (None, 0) where absent."""
    if tree is None:
        return None, 0
    return CAUSE_CODES.get(tree["causeCode"], tree["causeCode"]), tree["subCauseCode"]


def encode_action_id(action_id: ActionId) -> Tree:
    """Return the tree of an `ActionID`."""
    return {"originatingStationID": action_id.originating_station_id, "sequenceNumber": action_id.sequence_number}


def decode_action_id(tree: Tree) -> ActionId:
    """Return the identifier in an `ActionID`."""
    return ActionId(StationId(tree["originatingStationID"]), tree["sequenceNumber"])
