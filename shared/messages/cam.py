"""Cooperative awareness messages (EN 302 637-2 V1.4.1): who and where a station is, up to ten times a second.

The special-vehicle containers are in `cam_special.py`.
"""

from collections.abc import Sequence
from functools import partial

from shared.codec.asn1 import message_type
from shared.codec.message_codec import MessageCodec
from shared.codec.shape import Choice, Field, Fields, Items, Record
from shared.core.ids import MessageId, StationId
from shared.core.itstime import TimestampIts
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.cam_special import ALTERNATIVES, CONTAINERS, LaterContainer, SpecialVehicle
from shared.messages.cdd import (
    AccelerationControl,
    CurvatureCalculationMode,
    DriveDirection,
    ExteriorLights,
    PathPoint,
    VehicleLengthConfidenceIndication,
    VehicleRole,
)
from shared.messages.pdu import check_header, header
from shared.messages.positions import PATH, REFERENCE_POSITION, STATION_TYPE

MAX_PATH_POINTS = 40


class ProtectedZone(Value):
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


class LowFrequency(Value):
    """`BasicVehicleContainerLowFrequency`: what changes slowly, sent at most every 500 ms.

    Attributes:
        vehicle_role: what the vehicle is doing just now.
        exterior_lights: lamps that are on.
        path_history: at most `MAX_PATH_POINTS`, newest first, each relative to the one before.
    """

    vehicle_role: VehicleRole
    exterior_lights: ExteriorLights
    path_history: Sequence[PathPoint] = ()


class Cam(Value):
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
        special_vehicle: the special-vehicle container, None where not sent; one of a later version as `(name, octets)`.
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
    special_vehicle: SpecialVehicle | LaterContainer | None = None


def encode_cam(cam: Cam) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    return CODEC.encode(cam)


def decode_cam(encoded: bytes) -> Cam:
    """Decode a whole CAM; raises `DecodeError` and nothing else."""
    return CODEC.decode(encoded)


def _container(cam: Cam) -> str | None:
    return ALTERNATIVES.get(type(cam.special_vehicle))  # type: ignore[arg-type]  # other types are what is asked for


_ZONE = Record(
    ProtectedZone,
    {
        "protectedZoneType": Field("is_temporary", cv.Converted(lambda wire: wire != 0, lambda _field, value: int(bool(value)))),
        "expiryTime": Field("expiry_time"),
        "protectedZoneLatitude": Field("lat_deg", cv.LATITUDE),
        "protectedZoneLongitude": Field("lon_deg", cv.LONGITUDE),
        "protectedZoneRadius": Field("radius_m"),
        "protectedZoneID": Field("zone_id"),
    },
)

_TOLLING_ZONE = Record(
    ProtectedZone,
    {
        "protectedZoneLatitude": Field("lat_deg", cv.LATITUDE),
        "protectedZoneLongitude": Field("lon_deg", cv.LONGITUDE),
        "cenDsrcTollingZoneID": Field("zone_id"),
    },
    settled={"is_temporary": False},
)


def _acceleration(axis: str) -> Fields:
    return Fields(
        {
            f"{axis}AccelerationValue": Field(f"{axis}_acceleration_mps2", cv.ACCELERATION_VALUE),
            f"{axis}AccelerationConfidence": Field(f"{axis}_acceleration_confidence_mps2", cv.ACCELERATION_CONFIDENCE),
        }
    )


_VEHICLE = Fields(
    {
        "heading": Fields(
            {
                "headingValue": Field("heading_deg", cv.HEADING_VALUE),
                "headingConfidence": Field("heading_confidence_deg", cv.HEADING_CONFIDENCE),
            }
        ),
        "speed": Fields(
            {
                "speedValue": Field("speed_mps", cv.SPEED_VALUE),
                "speedConfidence": Field("speed_confidence_mps", cv.SPEED_CONFIDENCE),
            }
        ),
        "driveDirection": Field("drive_direction", cv.Members(DriveDirection, unavailable=2)),
        "vehicleLength": Fields(
            {
                "vehicleLengthValue": Field("vehicle_length_m", cv.VEHICLE_LENGTH_VALUE),
                "vehicleLengthConfidenceIndication": Field(
                    "vehicle_length_confidence", cv.Members(VehicleLengthConfidenceIndication, unavailable=4)
                ),
            }
        ),
        "vehicleWidth": Field("vehicle_width_m", cv.VEHICLE_WIDTH),
        "longitudinalAcceleration": _acceleration("longitudinal"),
        "curvature": Fields(
            {
                "curvatureValue": Field("curvature_per_m", cv.CURVATURE_VALUE),
                "curvatureConfidence": Field("curvature_confidence_per_m", cv.CURVATURE_CONFIDENCE),
            }
        ),
        "curvatureCalculationMode": Field("curvature_calculation_mode", cv.Members(CurvatureCalculationMode, unavailable=2)),
        "yawRate": Fields(
            {
                "yawRateValue": Field("yaw_rate_dps", cv.YAW_RATE_VALUE),
                "yawRateConfidence": Field("yaw_rate_confidence_dps", cv.YAW_RATE_CONFIDENCE),
            }
        ),
        "accelerationControl": Field("acceleration_control", cv.Flags(AccelerationControl, 7)),
        "lanePosition": Field("lane_position"),
        "steeringWheelAngle": Fields(
            {
                "steeringWheelAngleValue": Field("steering_wheel_angle_deg", cv.STEERING_WHEEL_ANGLE_VALUE),
                "steeringWheelAngleConfidence": Field("steering_wheel_angle_confidence_deg", cv.STEERING_WHEEL_ANGLE_CONFIDENCE),
            }
        ),
        "lateralAcceleration": _acceleration("lateral"),
        "verticalAcceleration": _acceleration("vertical"),
        "performanceClass": Field("performance_class", cv.Whole(unavailable=0)),
        "cenDsrcTollingZone": Field("tolling_zone", _TOLLING_ZONE),
    }
)

_LOW_FREQUENCY = Record(
    LowFrequency,
    {
        "vehicleRole": Field("vehicle_role", cv.Members(VehicleRole)),
        "exteriorLights": Field("exterior_lights", cv.Flags(ExteriorLights, 8)),
        "pathHistory": Field("path_history", PATH),
    },
)


_CAM = Record(
    Cam,
    {
        "header": header(MessageId.CAM),
        "cam": Fields(
            {
                "generationDeltaTime": Field("generation_delta_time_ms"),
                "camParameters": Fields(
                    {
                        "basicContainer": Fields(
                            {
                                "stationType": Field("station_type", STATION_TYPE),
                                "referencePosition": Fields(REFERENCE_POSITION),
                            }
                        ),
                        "highFrequencyContainer": Choice(
                            {
                                "basicVehicleContainerHighFrequency": _VEHICLE,
                                "rsuContainerHighFrequency": Fields(
                                    {"protectedCommunicationZonesRSU": Field("protected_zones", Items(_ZONE), absent=())}
                                ),
                            },
                            unless="protected_zones",
                        ),
                        "lowFrequencyContainer": Choice(
                            {"basicVehicleContainerLowFrequency": Field("low_frequency", _LOW_FREQUENCY)}, tolerant=True
                        ),
                        "specialVehicleContainer": Choice(
                            CONTAINERS, select=_container, later="special_vehicle", demand="is no special-vehicle container"
                        ),
                    }
                ),
            }
        ),
    },
)

CODEC: MessageCodec[Cam] = MessageCodec("CAM", partial(message_type, MessageId.CAM), _CAM, partial(check_header, MessageId.CAM))
"""What `encode_cam` and `decode_cam` use."""
