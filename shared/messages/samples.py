"""One message of each type as stations on the road send them, to measure with and to try things on.

The sizes are those the figures of this project are stated for. Places lie around the Theresienwiese in Munich; identifiers are
invented. Every value lies on a step of the wire, so each message comes back as it was.
"""

from typing import Final

from shared.core.ids import ActionId, IntersectionId, StationId, StationType
from shared.core.itstime import TimestampIts
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cdd import (
    AccelerationControl,
    CauseCode,
    CurvatureCalculationMode,
    DriveDirection,
    ExteriorLights,
    PathPoint,
    VehicleLengthConfidenceIndication,
    VehicleRole,
)
from shared.messages.denm import Denm, RelevanceDistance, RelevanceTrafficDirection, RoadType
from shared.messages.ivim import IviContainer, Ivim, IviSigns, IviStatus, IviTextLine, IviType
from shared.messages.ivim_attributes import SignAttribute, SignSpeeds, SignUnit
from shared.messages.ivim_provider import Provider
from shared.messages.ivim_road import IviDirection
from shared.messages.ivim_signs import Iso14823Sign, RoadSign, TrafficSign
from shared.messages.ivim_zones import IviLocation, IviZone, ZoneLine, ZoneOffset, ZoneSegment
from shared.messages.mapem import Intersection, LayerType, Mapem
from shared.messages.mapem_lanes import (
    AllowedManeuvers,
    Connection,
    Lane,
    LaneDirection,
    LaneNode,
    LaneSharing,
    LaneType,
    NodeAttribute,
)
from shared.messages.requestor import AccessPoint, BasicVehicleRole, RequestorType, VehicleId
from shared.messages.spatem import IntersectionState, IntersectionStatus, MovementEvent, MovementPhaseState, MovementState, Spatem
from shared.messages.srem import PriorityRequestType, Requestor, RequestorPosition, SignalRequest, Srem, TransmissionState
from shared.messages.ssem import PrioritizationStatus, Requester, RequestStatus, SignalStatus, Ssem

SIGNAL_GROUPS: Final = 12

_CAR = StationId(0x5A3C_11F0)
_RSU = StationId(0x0000_2B67)
_JUNCTION = IntersectionId(region=49, number=4711)

CAM: Final = Cam(
    station_id=_CAR,
    generation_delta_time_ms=54_321,
    station_type=StationType.PASSENGER_CAR,
    lat_deg=48.1312345,
    lon_deg=11.5498765,
    semi_major_m=1.52,
    semi_minor_m=1.07,
    semi_major_orientation_deg=83.4,
    altitude_m=519.25,
    altitude_confidence_m=2.0,
    heading_deg=87.3,
    heading_confidence_deg=1.2,
    speed_mps=13.42,
    speed_confidence_mps=0.14,
    drive_direction=DriveDirection.FORWARD,
    vehicle_length_m=4.3,
    vehicle_length_confidence=VehicleLengthConfidenceIndication.NO_TRAILER_PRESENT,
    vehicle_width_m=1.8,
    longitudinal_acceleration_mps2=-0.4,
    longitudinal_acceleration_confidence_mps2=0.3,
    curvature_per_m=0.0023,
    curvature_confidence_per_m=0.0005,
    curvature_calculation_mode=CurvatureCalculationMode.YAW_RATE_USED,
    yaw_rate_dps=1.77,
    yaw_rate_confidence_dps=0.1,
    acceleration_control=AccelerationControl.BRAKE_PEDAL_ENGAGED,
    lane_position=1,
    steering_wheel_angle_deg=6.0,
    steering_wheel_angle_confidence_deg=1.5,
    lateral_acceleration_mps2=0.4,
    lateral_acceleration_confidence_mps2=0.3,
    low_frequency=LowFrequency(
        vehicle_role=VehicleRole.DEFAULT,
        exterior_lights=ExteriorLights.LOW_BEAM_HEADLIGHTS_ON | ExteriorLights.RIGHT_TURN_SIGNAL_ON,
        path_history=tuple(
            PathPoint(
                delta_lat_deg=(-61 - 17 * n) / 1e7,
                delta_lon_deg=(-3_345 + 251 * n) / 1e7,
                delta_altitude_m=(-15 + 7 * n) / 100,
                delta_time_s=(190 + 3 * n) / 100,
            )
            for n in range(10)
        ),
    ),
)
"""A passenger car at a moment it also sends where it came from: 135 octets, ten path points."""

DENM: Final = Denm(
    station_id=_CAR,
    action_id=ActionId(_CAR, 7),
    detection_time=TimestampIts(724_377_605_123),
    reference_time=TimestampIts(724_377_605_201),
    station_type=StationType.PASSENGER_CAR,
    lat_deg=48.1312345,
    lon_deg=11.5498765,
    semi_major_m=1.52,
    semi_minor_m=1.07,
    semi_major_orientation_deg=83.4,
    altitude_m=519.25,
    altitude_confidence_m=2.0,
    relevance_distance=RelevanceDistance.LESS_THAN_500M,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    validity_duration_s=120,
    transmission_interval_ms=500,
    information_quality=4,
    cause_code=CauseCode.STATIONARY_VEHICLE,
    sub_cause_code=2,
    event_speed_mps=0.0,
    event_speed_confidence_mps=0.14,
    event_heading_deg=87.3,
    event_heading_confidence_deg=1.2,
    traces=(
        tuple(
            PathPoint(
                delta_lat_deg=(-61 - 17 * n) / 1e7,
                delta_lon_deg=(-3_345 + 251 * n) / 1e7,
                delta_altitude_m=0.0,
            )
            for n in range(6)
        ),
    ),
    road_type=RoadType.URBAN_NO_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES,
)
"""A car that has broken down, with the way that leads to it."""

_RED, _GREEN = MovementPhaseState.STOP_AND_REMAIN, MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED

SPATEM: Final = Spatem(
    station_id=_RSU,
    intersections=(
        IntersectionState(
            id=_JUNCTION,
            revision=3,
            status=IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION,
            minute_of_year=184_321,
            timestamp_ms=12_345,
            movements=tuple(
                MovementState(
                    signal_group=group,
                    events=(
                        MovementEvent(
                            phase=_RED if group % 3 else _GREEN,
                            min_end_time_s=(7_325 + 10 * group) / 10,
                            max_end_time_s=(7_905 + 10 * group) / 10,
                            likely_time_s=(7_615 + 10 * group) / 10,
                            confidence=10,
                        ),
                    ),
                )
                for group in range(1, SIGNAL_GROUPS + 1)
            ),
        ),
    ),
)
"""A junction of twelve signal groups, each with the end of its present phase."""


def _lane(number: int) -> Lane:
    arm, place = divmod(number - 1, 3)
    is_ingress = place < 2
    side, away = (-1, 1)[arm % 2], (-1, 1)[arm // 2]
    return Lane(
        id=number,
        directional_use=LaneDirection.INGRESS_PATH if is_ingress else LaneDirection.EGRESS_PATH,
        lane_type=LaneType.VEHICLE,
        shared_with=LaneSharing.INDIVIDUAL_MOTORIZED_VEHICLE_TRAFFIC,
        ingress_approach=arm if is_ingress else None,
        egress_approach=None if is_ingress else arm,
        maneuvers=AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED if is_ingress else None,
        nodes=(
            LaneNode(
                dx_m=side * (175 + 330 * place) / 100,
                dy_m=away * 1_420 / 100,
                attributes=(NodeAttribute.STOP_LINE,) if is_ingress else (),
            ),
            LaneNode(dx_m=side * 3 / 100, dy_m=away * 3_150 / 100),
            LaneNode(dx_m=side * 41 / 100, dy_m=away * 4_890 / 100),
        ),
        connects_to=(
            Connection(
                lane_id=(number + 2) % 9 // 3 * 3 + 3,
                maneuvers=AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED,
                signal_group=number,
                connection_id=number,
            ),
        )
        if is_ingress
        else (),
    )


MAPEM: Final = Mapem(
    station_id=_RSU,
    revision=3,
    layer_type=LayerType.INTERSECTION_DATA,
    layer_id=1,
    intersections=(
        Intersection(
            id=_JUNCTION,
            revision=3,
            lat_deg=48.1312345,
            lon_deg=11.5498765,
            elevation_m=519.3,
            lane_width_m=3.25,
            lanes=tuple(_lane(number) for number in range(1, 10)),
        ),
    ),
)
"""The same junction: three arms, each with two lanes in and one out; 250 octets."""


def _strip(zone_id: int, points: int) -> IviZone:
    line = ZoneLine(
        offsets=tuple(
            ZoneOffset(delta_lat_deg=(23 * zone_id + 5 * n) / 1e7, delta_lon_deg=(4_400 - 130 * n) / 1e7) for n in range(points)
        )
    )
    return IviZone(zone_id=zone_id, heading_deg=87.3, segment=ZoneSegment(line=line))


IVIM: Final = Ivim(
    station_id=_RSU,
    service_provider=Provider(country_code="DE", identifier=7),
    ivi_identification_number=211,
    status=IviStatus.NEW,
    timestamp=TimestampIts(724_377_600_000),
    valid_from=TimestampIts(724_377_600_000),
    valid_until=TimestampIts(724_392_000_000),
    containers=(
        IviContainer(
            location=IviLocation(
                lat_deg=48.1312345,
                lon_deg=11.5498765,
                semi_major_m=1.0,
                semi_minor_m=1.0,
                semi_major_orientation_deg=0.0,
                altitude_m=519.25,
                altitude_confidence_m=1.0,
                zones=(_strip(1, 5), _strip(2, 8)),
            ),
        ),
        IviContainer(
            signs=(
                IviSigns(
                    detection_zone_ids=(1,),
                    relevance_zone_ids=(2,),
                    direction=IviDirection.SAME_DIRECTION,
                    ivi_type=IviType.REGULATORY_MESSAGES,
                    road_signs=(
                        RoadSign(
                            iso14823=Iso14823Sign(
                                traffic_sign=TrafficSign.REGULATORY,
                                nature=5,
                                serial_number=57,
                                attributes=(SignAttribute(speeds=SignSpeeds(highest=80, unit=SignUnit.KM_PER_H)),),
                            ),
                        ),
                    ),
                    extra_text=(IviTextLine(text="Baustelle", language="DE"),),
                ),
            ),
        ),
    ),
)
"""A gantry that shows 80 km/h: where the limit begins to matter, where it holds, and why."""

SREM: Final = Srem(
    station_id=_CAR,
    minute_of_year=184_321,
    timestamp_ms=12_345,
    sequence_number=5,
    requests=(
        SignalRequest(
            id=_JUNCTION,
            request_id=3,
            request_type=PriorityRequestType.PRIORITY_REQUEST,
            inbound=AccessPoint(lane=1),
            outbound=AccessPoint(lane=6),
            arrival_minute_of_year=184_321,
            arrival_ms=31_000,
            duration_ms=6_000,
        ),
    ),
    requestor=Requestor(
        id=VehicleId(station_id=_CAR),
        type=RequestorType(role=BasicVehicleRole.PUBLIC_TRANSPORT, importance=3),
        position=RequestorPosition(
            lat_deg=48.1312345,
            lon_deg=11.5498765,
            elevation_m=519.3,
            heading_deg=87.3,
            transmission=TransmissionState.FORWARD_GEARS,
            speed_mps=13.42,
        ),
        route_name="58 Silberhornstrasse",
        transit_schedule_s=-90.0,
    ),
)
"""A bus that is late asks a junction to let it through."""

SSEM: Final = Ssem(
    station_id=_RSU,
    minute_of_year=184_321,
    timestamp_ms=12_900,
    sequence_number=9,
    statuses=(
        SignalStatus(
            id=_JUNCTION,
            sequence_number=2,
            requests=(
                RequestStatus(
                    status=PrioritizationStatus.GRANTED,
                    requester=Requester(
                        id=VehicleId(station_id=_CAR),
                        request_id=3,
                        sequence_number=5,
                        type=RequestorType(role=BasicVehicleRole.PUBLIC_TRANSPORT, importance=3),
                    ),
                    inbound=AccessPoint(lane=1),
                    outbound=AccessPoint(lane=6),
                    arrival_minute_of_year=184_321,
                    arrival_ms=31_000,
                    duration_ms=6_000,
                ),
            ),
        ),
    ),
)
"""And is let through."""
