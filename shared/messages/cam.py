"""Cooperative awareness messages (EN 302 637-2 V1.4.1): who and where a station is, up to ten times a second.

The special-vehicle container stays a plain decoded tree (`Cam.special_vehicle`); its fields are few and rare.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.codec.asn1 import message_codec
from shared.codec.uper import Tree
from shared.core.errors import DecodeError
from shared.core.ids import MessageId, StationId
from shared.core.itstime import TimestampIts
from shared.messages import conversions as cv
from shared.messages.cdd import (
    AccelerationControl,
    CurvatureCalculationMode,
    DriveDirection,
    ExteriorLights,
    PathPoint,
    VehicleLengthConfidenceIndication,
    VehicleRole,
)
from shared.messages.conversions import member_or_int, members
from shared.messages.pdu import check_header, header_tree
from shared.messages.positions import (
    STATION_TYPES,
    decode_path,
    decode_reference_position,
    encode_path,
    encode_reference_position,
)

MAX_PATH_POINTS = 40

_UNAVAILABLE_2 = 2
"""`unavailable` of `DriveDirection` and `CurvatureCalculationMode`."""

_UNAVAILABLE_4 = 4
"""`unavailable` of `VehicleLengthConfidenceIndication`."""

_DRIVE_DIRECTIONS: Mapping[int, DriveDirection] = members(DriveDirection)
_CURVATURE_MODES: Mapping[int, CurvatureCalculationMode] = members(CurvatureCalculationMode)
_LENGTH_CONFIDENCES: Mapping[int, VehicleLengthConfidenceIndication] = members(VehicleLengthConfidenceIndication)
_VEHICLE_ROLES: Mapping[int, VehicleRole] = members(VehicleRole)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedZone:
    """`ProtectedCommunicationZone`: a tolling station around which transmitters take care.

    Attributes:
        is_temporary: `temporaryCenDsrcTolling` rather than permanent.
        lat_deg: centre.
        lon_deg: centre.
        radius_m: 1..255, None where not stated.
        expiry_time: until when, None where not stated.
        zone_id: 0..134217727, None where not stated.
    """

    is_temporary: bool
    lat_deg: float | None
    lon_deg: float | None
    radius_m: int | None = None
    expiry_time: TimestampIts | None = None
    zone_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LowFrequency:
    """`BasicVehicleContainerLowFrequency`: what changes slowly, sent at most every 500 ms.

    Attributes:
        vehicle_role: what the vehicle is doing just now.
        exterior_lights: lamps that are on.
        path_history: at most `MAX_PATH_POINTS`, newest first, each relative to the one before.
    """

    vehicle_role: VehicleRole
    exterior_lights: ExteriorLights
    path_history: tuple[PathPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cam:
    """One CAM, flat. `protected_zones is None` makes it a vehicle's; otherwise it is a roadside unit's and all motion is absent.

    Attributes:
        station_id: pseudonymous identifier, 0..2^32-1.
        generation_delta_time_ms: time of the position, ITS milliseconds modulo 65,536.
        station_type: a `StationType` where the number has one.
        lat_deg: latitude in [-90, 90], or None.
        lon_deg: longitude in [-180, 180], or None.
        semi_major_m: half axis of the 95 % ellipse of the position, 0.01..40.93, inf.
        semi_minor_m: likewise, across.
        semi_major_orientation_deg: direction of the major axis, [0, 360).
        altitude_m: above the ellipsoid, -1000..8000.
        altitude_confidence_m: a step of 0.01, 0.02, 0.05, 0.1 ... 200, inf.
        heading_deg: [0, 360) clockwise from WGS-84 north.
        heading_confidence_deg: 0.1..12.5, inf.
        speed_mps: 0..163.82 (saturates); backwards is `drive_direction`.
        speed_confidence_mps: 0.01..1.25, inf.
        drive_direction: None when unknown.
        vehicle_length_m: 0.1..102.1, inf.
        vehicle_length_confidence: what is known of a trailer.
        vehicle_width_m: 0.1..6.0, inf.
        longitudinal_acceleration_mps2: +-16 (saturates), positive forward.
        longitudinal_acceleration_confidence_mps2: 0..10, inf.
        curvature_per_m: +-0.1 (saturates), positive to the left.
        curvature_confidence_per_m: a step of 0.00002, 0.0001, 0.0005, 0.002, 0.01, 0.1, inf.
        curvature_calculation_mode: whether the yaw rate went into it.
        yaw_rate_dps: +-327.66 (saturates), positive to the left.
        yaw_rate_confidence_dps: a step of 0.01, 0.05, 0.1, 1, 5, 10, 100, inf.
        acceleration_control: None where not sent.
        lane_position: -1..14, None where not sent.
        steering_wheel_angle_deg: +-766.5 in steps of 1.5 (saturates), positive to the left.
        steering_wheel_angle_confidence_deg: 1.5..187.5, inf.
        lateral_acceleration_mps2: +-16 (saturates), positive to the left.
        lateral_acceleration_confidence_mps2: 0..10, inf.
        vertical_acceleration_mps2: +-16 (saturates), positive up.
        vertical_acceleration_confidence_mps2: 0..10, inf.
        performance_class: 1..7, None when unavailable or not sent.
        tolling_zone: a protected zone the vehicle is near; only its centre and `zone_id` are sent.
        protected_zones: None for a vehicle; a roadside unit's zones (at most 16), `()` where it has none.
        low_frequency: the low-frequency container, None where not sent.
        special_vehicle: the special-vehicle container as a plain tree `(alternative, fields)`, None where not sent.
    """

    station_id: StationId
    generation_delta_time_ms: int
    station_type: int
    lat_deg: float | None
    lon_deg: float | None
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    semi_major_orientation_deg: float | None = None
    altitude_m: float | None = None
    altitude_confidence_m: float | None = None
    heading_deg: float | None = None
    heading_confidence_deg: float | None = None
    speed_mps: float | None = None
    speed_confidence_mps: float | None = None
    drive_direction: DriveDirection | None = None
    vehicle_length_m: float | None = None
    vehicle_length_confidence: VehicleLengthConfidenceIndication | None = None
    vehicle_width_m: float | None = None
    longitudinal_acceleration_mps2: float | None = None
    longitudinal_acceleration_confidence_mps2: float | None = None
    curvature_per_m: float | None = None
    curvature_confidence_per_m: float | None = None
    curvature_calculation_mode: CurvatureCalculationMode | None = None
    yaw_rate_dps: float | None = None
    yaw_rate_confidence_dps: float | None = None
    acceleration_control: AccelerationControl | None = None
    lane_position: int | None = None
    steering_wheel_angle_deg: float | None = None
    steering_wheel_angle_confidence_deg: float | None = None
    lateral_acceleration_mps2: float | None = None
    lateral_acceleration_confidence_mps2: float | None = None
    vertical_acceleration_mps2: float | None = None
    vertical_acceleration_confidence_mps2: float | None = None
    performance_class: int | None = None
    tolling_zone: ProtectedZone | None = None
    protected_zones: tuple[ProtectedZone, ...] | None = None
    low_frequency: LowFrequency | None = None
    special_vehicle: Tree | None = None


def encode_cam(cam: Cam) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    parameters: dict[str, Tree] = {
        "basicContainer": {"stationType": cam.station_type, "referencePosition": encode_reference_position(cam)},
        "highFrequencyContainer": _encode_vehicle(cam) if cam.protected_zones is None else _encode_roadside(cam.protected_zones),
    }
    if cam.low_frequency is not None:
        parameters["lowFrequencyContainer"] = ("basicVehicleContainerLowFrequency", _encode_low_frequency(cam.low_frequency))
    if cam.special_vehicle is not None:
        parameters["specialVehicleContainer"] = cam.special_vehicle
    return message_codec(MessageId.CAM).encode(
        {
            "header": header_tree(MessageId.CAM, cam.station_id),
            "cam": {"generationDeltaTime": cam.generation_delta_time_ms, "camParameters": parameters},
        }
    )


def decode_cam(encoded: bytes) -> Cam:
    """Decode a whole CAM; raises `DecodeError` and nothing else."""
    check_header(MessageId.CAM, encoded)
    tree = message_codec(MessageId.CAM).decode(encoded)
    body = tree["cam"]
    parameters = body["camParameters"]
    basic = parameters["basicContainer"]
    alternative, container = parameters["highFrequencyContainer"]
    if alternative == "basicVehicleContainerHighFrequency":
        motion = _decode_vehicle(container)
    elif alternative == "rsuContainerHighFrequency":
        motion = {"protected_zones": tuple([_decode_zone(zone) for zone in container.get("protectedCommunicationZonesRSU", ())])}
    else:
        raise DecodeError("CAM.cam.camParameters.highFrequencyContainer", f"{alternative} belongs to a later version")
    position = decode_reference_position(basic["referencePosition"])
    return Cam(
        station_id=StationId(tree["header"]["stationID"]),
        generation_delta_time_ms=body["generationDeltaTime"],
        station_type=member_or_int(STATION_TYPES, basic["stationType"]),
        lat_deg=position.lat_deg,
        lon_deg=position.lon_deg,
        semi_major_m=position.semi_major_m,
        semi_minor_m=position.semi_minor_m,
        semi_major_orientation_deg=position.semi_major_orientation_deg,
        altitude_m=position.altitude_m,
        altitude_confidence_m=position.altitude_confidence_m,
        low_frequency=_decode_low_frequency(parameters.get("lowFrequencyContainer")),
        special_vehicle=parameters.get("specialVehicleContainer"),
        **motion,
    )


def _encode_vehicle(cam: Cam) -> Tree:
    mode = cam.curvature_calculation_mode
    container: dict[str, Tree] = {
        "heading": {
            "headingValue": cv.HEADING_VALUE.encode("heading_deg", cam.heading_deg),
            "headingConfidence": cv.HEADING_CONFIDENCE.encode("heading_confidence_deg", cam.heading_confidence_deg),
        },
        "speed": {
            "speedValue": cv.SPEED_VALUE.encode("speed_mps", cam.speed_mps),
            "speedConfidence": cv.SPEED_CONFIDENCE.encode("speed_confidence_mps", cam.speed_confidence_mps),
        },
        "driveDirection": _UNAVAILABLE_2 if cam.drive_direction is None else cam.drive_direction,
        "vehicleLength": {
            "vehicleLengthValue": cv.VEHICLE_LENGTH_VALUE.encode("vehicle_length_m", cam.vehicle_length_m),
            "vehicleLengthConfidenceIndication": (
                _UNAVAILABLE_4 if cam.vehicle_length_confidence is None else cam.vehicle_length_confidence
            ),
        },
        "vehicleWidth": cv.VEHICLE_WIDTH.encode("vehicle_width_m", cam.vehicle_width_m),
        "longitudinalAcceleration": _encode_acceleration(cam, "longitudinal"),
        "curvature": {
            "curvatureValue": cv.CURVATURE_VALUE.encode("curvature_per_m", cam.curvature_per_m),
            "curvatureConfidence": cv.CURVATURE_CONFIDENCE.encode("curvature_confidence_per_m", cam.curvature_confidence_per_m),
        },
        "curvatureCalculationMode": _UNAVAILABLE_2 if mode is None else mode,
        "yawRate": {
            "yawRateValue": cv.YAW_RATE_VALUE.encode("yaw_rate_dps", cam.yaw_rate_dps),
            "yawRateConfidence": cv.YAW_RATE_CONFIDENCE.encode("yaw_rate_confidence_dps", cam.yaw_rate_confidence_dps),
        },
    }
    if cam.acceleration_control is not None:
        container["accelerationControl"] = (int(cam.acceleration_control), 7)
    if cam.lane_position is not None:
        container["lanePosition"] = cam.lane_position
    if cam.steering_wheel_angle_deg is not None or cam.steering_wheel_angle_confidence_deg is not None:
        container["steeringWheelAngle"] = {
            "steeringWheelAngleValue": cv.STEERING_WHEEL_ANGLE_VALUE.encode(
                "steering_wheel_angle_deg", cam.steering_wheel_angle_deg
            ),
            "steeringWheelAngleConfidence": cv.STEERING_WHEEL_ANGLE_CONFIDENCE.encode(
                "steering_wheel_angle_confidence_deg", cam.steering_wheel_angle_confidence_deg
            ),
        }
    if cam.lateral_acceleration_mps2 is not None or cam.lateral_acceleration_confidence_mps2 is not None:
        container["lateralAcceleration"] = _encode_acceleration(cam, "lateral")
    if cam.vertical_acceleration_mps2 is not None or cam.vertical_acceleration_confidence_mps2 is not None:
        container["verticalAcceleration"] = _encode_acceleration(cam, "vertical")
    if cam.performance_class is not None:
        container["performanceClass"] = cam.performance_class
    if cam.tolling_zone is not None:
        container["cenDsrcTollingZone"] = _encode_tolling_zone(cam.tolling_zone)
    return "basicVehicleContainerHighFrequency", container


def _encode_acceleration(cam: Cam, axis: str) -> Tree:
    value, confidence = f"{axis}_acceleration_mps2", f"{axis}_acceleration_confidence_mps2"
    return {
        f"{axis}AccelerationValue": cv.ACCELERATION_VALUE.encode(value, getattr(cam, value)),
        f"{axis}AccelerationConfidence": cv.ACCELERATION_CONFIDENCE.encode(confidence, getattr(cam, confidence)),
    }


def _decode_vehicle(tree: Tree) -> dict[str, Any]:
    heading, speed, length = tree["heading"], tree["speed"], tree["vehicleLength"]
    acceleration, curvature, yaw_rate = tree["longitudinalAcceleration"], tree["curvature"], tree["yawRate"]
    motion: dict[str, Any] = {
        "heading_deg": cv.HEADING_VALUE.decode(heading["headingValue"]),
        "heading_confidence_deg": cv.HEADING_CONFIDENCE.decode(heading["headingConfidence"]),
        "speed_mps": cv.SPEED_VALUE.decode(speed["speedValue"]),
        "speed_confidence_mps": cv.SPEED_CONFIDENCE.decode(speed["speedConfidence"]),
        "drive_direction": _DRIVE_DIRECTIONS.get(tree["driveDirection"]),
        "vehicle_length_m": cv.VEHICLE_LENGTH_VALUE.decode(length["vehicleLengthValue"]),
        "vehicle_length_confidence": _LENGTH_CONFIDENCES.get(length["vehicleLengthConfidenceIndication"]),
        "vehicle_width_m": cv.VEHICLE_WIDTH.decode(tree["vehicleWidth"]),
        "longitudinal_acceleration_mps2": cv.ACCELERATION_VALUE.decode(acceleration["longitudinalAccelerationValue"]),
        "longitudinal_acceleration_confidence_mps2": cv.ACCELERATION_CONFIDENCE.decode(
            acceleration["longitudinalAccelerationConfidence"]
        ),
        "curvature_per_m": cv.CURVATURE_VALUE.decode(curvature["curvatureValue"]),
        "curvature_confidence_per_m": cv.CURVATURE_CONFIDENCE.decode(curvature["curvatureConfidence"]),
        "curvature_calculation_mode": _CURVATURE_MODES.get(tree["curvatureCalculationMode"]),
        "yaw_rate_dps": cv.YAW_RATE_VALUE.decode(yaw_rate["yawRateValue"]),
        "yaw_rate_confidence_dps": cv.YAW_RATE_CONFIDENCE.decode(yaw_rate["yawRateConfidence"]),
        "lane_position": tree.get("lanePosition"),
        "performance_class": tree.get("performanceClass") or None,
    }
    if "accelerationControl" in tree:
        motion["acceleration_control"] = AccelerationControl(tree["accelerationControl"][0])
    if "steeringWheelAngle" in tree:
        angle = tree["steeringWheelAngle"]
        motion["steering_wheel_angle_deg"] = cv.STEERING_WHEEL_ANGLE_VALUE.decode(angle["steeringWheelAngleValue"])
        motion["steering_wheel_angle_confidence_deg"] = cv.STEERING_WHEEL_ANGLE_CONFIDENCE.decode(
            angle["steeringWheelAngleConfidence"]
        )
    for axis in ("lateral", "vertical"):
        component = tree.get(f"{axis}Acceleration")
        if component is not None:
            motion[f"{axis}_acceleration_mps2"] = cv.ACCELERATION_VALUE.decode(component[f"{axis}AccelerationValue"])
            motion[f"{axis}_acceleration_confidence_mps2"] = cv.ACCELERATION_CONFIDENCE.decode(
                component[f"{axis}AccelerationConfidence"]
            )
    if "cenDsrcTollingZone" in tree:
        zone = tree["cenDsrcTollingZone"]
        motion["tolling_zone"] = ProtectedZone(
            is_temporary=False,
            lat_deg=cv.LATITUDE.decode(zone["protectedZoneLatitude"]),
            lon_deg=cv.LONGITUDE.decode(zone["protectedZoneLongitude"]),
            zone_id=zone.get("cenDsrcTollingZoneID"),
        )
    return motion


def _encode_tolling_zone(zone: ProtectedZone) -> Tree:
    return cv.present(
        protectedZoneLatitude=cv.LATITUDE.encode("tolling_zone.lat_deg", zone.lat_deg),
        protectedZoneLongitude=cv.LONGITUDE.encode("tolling_zone.lon_deg", zone.lon_deg),
        cenDsrcTollingZoneID=zone.zone_id,
    )


def _encode_roadside(zones: tuple[ProtectedZone, ...]) -> Tree:
    container: dict[str, Tree] = {}
    if zones:
        container["protectedCommunicationZonesRSU"] = tuple(_encode_zone(zone) for zone in zones)
    return "rsuContainerHighFrequency", container


def _encode_zone(zone: ProtectedZone) -> Tree:
    return cv.present(
        protectedZoneType=int(zone.is_temporary),
        expiryTime=zone.expiry_time,
        protectedZoneLatitude=cv.LATITUDE.encode("protected_zones.lat_deg", zone.lat_deg),
        protectedZoneLongitude=cv.LONGITUDE.encode("protected_zones.lon_deg", zone.lon_deg),
        protectedZoneRadius=zone.radius_m,
        protectedZoneID=zone.zone_id,
    )


def _decode_zone(tree: Tree) -> ProtectedZone:
    return ProtectedZone(
        is_temporary=tree["protectedZoneType"] != 0,
        lat_deg=cv.LATITUDE.decode(tree["protectedZoneLatitude"]),
        lon_deg=cv.LONGITUDE.decode(tree["protectedZoneLongitude"]),
        radius_m=tree.get("protectedZoneRadius"),
        expiry_time=tree.get("expiryTime"),
        zone_id=tree.get("protectedZoneID"),
    )


def _encode_low_frequency(value: LowFrequency) -> Tree:
    return {
        "vehicleRole": value.vehicle_role,
        "exteriorLights": (int(value.exterior_lights), 8),
        "pathHistory": encode_path("low_frequency.path_history", value.path_history),
    }


def _decode_low_frequency(tree: Tree | None) -> LowFrequency | None:
    """Return the container; None where absent or of a later version."""
    if tree is None or tree[0] != "basicVehicleContainerLowFrequency":
        return None
    container = tree[1]
    return LowFrequency(
        vehicle_role=_VEHICLE_ROLES[container["vehicleRole"]],
        exterior_lights=ExteriorLights(container["exteriorLights"][0]),
        path_history=decode_path(container["pathHistory"]),
    )
