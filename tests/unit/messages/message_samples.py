"""Messages with every field of theirs set, on steps of the wire so that they come back exactly."""

from math import inf

from shared.core.ids import ActionId, IntersectionId, StationId, StationType
from shared.core.itstime import TimestampIts
from shared.messages.cam import Cam, LowFrequency, ProtectedZone
from shared.messages.cam_special import (
    DangerousGoods,
    DangerousGoodsBasic,
    Emergency,
    EmergencyPriority,
    PtActivationType,
    PublicTransport,
    Rescue,
    RoadWorksBasic,
    SafetyCar,
    SpecialTransport,
    SpecialTransportType,
    SpecialVehicle,
)
from shared.messages.cdd import (
    AccelerationControl,
    CauseCode,
    ClosedLanes,
    CurvatureCalculationMode,
    DriveDirection,
    ExteriorLights,
    HardShoulderStatus,
    LightBarSirenInUse,
    PathPoint,
    TrafficRule,
    VehicleLengthConfidenceIndication,
    VehicleRole,
)
from shared.messages.denm import Denm, EventPoint, RelevanceDistance, RelevanceTrafficDirection, RoadType, Termination
from shared.messages.denm_alacarte import (
    Alacarte,
    EnergyStorage,
    Place,
    PositioningSolution,
    RoadWorks,
    StationarySince,
    StationaryVehicle,
)
from shared.messages.mapem import Intersection, LayerType, Mapem, SpeedLimit, SpeedLimitType
from shared.messages.mapem_lanes import (
    AllowedManeuvers,
    ComputedLane,
    Connection,
    Lane,
    LaneDirection,
    LaneNode,
    LaneSharing,
    LaneType,
    NodeAttribute,
)
from shared.messages.spatem import (
    AdvisorySpeed,
    AdvisorySpeedType,
    IntersectionState,
    IntersectionStatus,
    ManeuverAssist,
    MovementEvent,
    MovementPhaseState,
    MovementState,
    Spatem,
)

PATH = (
    PathPoint(delta_lat_deg=0.0001234, delta_lon_deg=-0.0131071, delta_altitude_m=0.15, delta_time_s=1.5),
    PathPoint(delta_lat_deg=None, delta_lon_deg=None, delta_altitude_m=None, delta_time_s=None),
)

CAR = Cam(
    station_id=StationId(0xCAFE0001),
    generation_delta_time_ms=65_535,
    station_type=StationType.PASSENGER_CAR,
    lat_deg=48.7654321,
    lon_deg=-11.4263001,
    semi_major_m=1.25,
    semi_minor_m=inf,
    semi_major_orientation_deg=359.9,
    altitude_m=-12.34,
    altitude_confidence_m=0.5,
    heading_deg=180.1,
    heading_confidence_deg=12.5,
    speed_mps=13.89,
    speed_confidence_mps=0.05,
    drive_direction=DriveDirection.BACKWARD,
    vehicle_length_m=4.3,
    vehicle_length_confidence=VehicleLengthConfidenceIndication.TRAILER_PRESENT_WITH_KNOWN_LENGTH,
    vehicle_width_m=1.8,
    longitudinal_acceleration_mps2=-9.8,
    longitudinal_acceleration_confidence_mps2=inf,
    curvature_per_m=-0.0123,
    curvature_confidence_per_m=0.002,
    curvature_calculation_mode=CurvatureCalculationMode.YAW_RATE_USED,
    yaw_rate_dps=-3.21,
    yaw_rate_confidence_dps=0.05,
    acceleration_control=AccelerationControl.BRAKE_PEDAL_ENGAGED | AccelerationControl.SPEED_LIMITER_ENGAGED,
    lane_position=-1,
    steering_wheel_angle_deg=-10.5,
    steering_wheel_angle_confidence_deg=1.5,
    lateral_acceleration_mps2=0.3,
    lateral_acceleration_confidence_mps2=0.1,
    vertical_acceleration_mps2=-0.1,
    vertical_acceleration_confidence_mps2=None,
    performance_class=2,
    tolling_zone=ProtectedZone(is_temporary=False, lat_deg=48.0, lon_deg=11.0, zone_id=77),
    low_frequency=LowFrequency(
        vehicle_role=VehicleRole.EMERGENCY,
        exterior_lights=ExteriorLights.LEFT_TURN_SIGNAL_ON | ExteriorLights.PARKING_LIGHTS_ON,
        path_history=PATH,
    ),
    special_vehicle=Emergency(
        light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED | LightBarSirenInUse.SIREN_ACTIVATED,
        incident_cause_code=CauseCode.ACCIDENT,
        incident_sub_cause_code=3,
        priority=EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY,
    ),
)

SPECIAL_VEHICLES: dict[str, SpecialVehicle] = {
    "a tram": PublicTransport(
        embarkation_status=True, activation_type=PtActivationType.R09_16_CODING_TYPE, activation_data=bytes.fromhex("9801f3")
    ),
    "a bus": PublicTransport(embarkation_status=False),
    "a heavy load": SpecialTransport(
        transport_type=SpecialTransportType.HEAVY_LOAD | SpecialTransportType.EXCESS_LENGTH,
        light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED,
    ),
    "a tanker": DangerousGoods(dangerous_goods=DangerousGoodsBasic.FLAMMABLE_LIQUIDS),
    "roadworks": RoadWorksBasic(
        light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED,
        sub_cause_code=4,
        closed_lanes=ClosedLanes(
            inner_hard_shoulder=HardShoulderStatus.AVAILABLE_FOR_STOPPING,
            outer_hard_shoulder=HardShoulderStatus.CLOSED,
            closed_driving_lanes=(True, False, True),
        ),
    ),
    "a breakdown service": Rescue(light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED),
    "a fire engine": Emergency(
        light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED | LightBarSirenInUse.SIREN_ACTIVATED,
        priority=EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY | EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT,
    ),
    "a safety car": SafetyCar(
        light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED,
        incident_cause_code=CauseCode.HUMAN_PRESENCE_ON_THE_ROAD,
        incident_sub_cause_code=0,
        traffic_rule=TrafficRule.NO_PASSING,
        speed_limit_mps=80 / 3.6,
    ),
}
"""Every special-vehicle container."""

SILENT_CAR = Cam(station_id=StationId(1), generation_delta_time_ms=0, station_type=200, lat_deg=None, lon_deg=None)

ROADSIDE = Cam(
    station_id=StationId(2),
    generation_delta_time_ms=7,
    station_type=StationType.ROAD_SIDE_UNIT,
    lat_deg=0.0,
    lon_deg=0.0,
    protected_zones=(
        ProtectedZone(is_temporary=True, lat_deg=1.0, lon_deg=2.0, radius_m=50, expiry_time=TimestampIts(123), zone_id=9),
        ProtectedZone(is_temporary=False, lat_deg=None, lon_deg=None),
    ),
)

ROADWORKS = Denm(
    station_id=StationId(15),
    action_id=ActionId(StationId(14), 65_535),
    detection_time=TimestampIts(694_000_000_123),
    reference_time=TimestampIts(694_000_000_456),
    station_type=StationType.ROAD_SIDE_UNIT,
    lat_deg=48.0,
    lon_deg=11.0,
    altitude_m=500.0,
    altitude_confidence_m=inf,
    termination=Termination.IS_NEGATION,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    validity_duration_s=86_400,
    transmission_interval_ms=10_000,
    information_quality=7,
    cause_code=CauseCode.ROADWORKS,
    sub_cause_code=4,
    linked_cause_code=222,
    linked_sub_cause_code=1,
    event_history=(
        EventPoint(
            delta_lat_deg=0.0001234, delta_lon_deg=-0.0131071, delta_altitude_m=0.15, delta_time_s=1.5, information_quality=3
        ),
        EventPoint(delta_lat_deg=None, delta_lon_deg=None),
    ),
    event_speed_mps=2.5,
    event_heading_deg=90.0,
    event_heading_confidence_deg=1.0,
    traces=(PATH, ()),
    road_type=RoadType.NON_URBAN_WITH_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES,
    alacarte=Alacarte(
        lane_position=1,
        external_temperature_c=-5,
        road_works=RoadWorks(
            light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED,
            closed_lanes=ClosedLanes(HardShoulderStatus.CLOSED, None, (True, False, True)),
            restriction=(StationType.HEAVY_TRUCK, 77),
            speed_limit_mps=60 / 3.6,
            incident_cause_code=CauseCode.ACCIDENT,
            incident_sub_cause_code=0,
            recommended_path=(Place(lat_deg=48.1, lon_deg=11.1, altitude_m=1.0),),
            starting_point_speed_limit=PathPoint(delta_lat_deg=0.001, delta_lon_deg=0.001, delta_altitude_m=0.0),
            traffic_flow_rule=TrafficRule.PASS_TO_LEFT,
            reference_denms=(ActionId(StationId(14), 3),),
        ),
        positioning_solution=PositioningSolution.D_GNSS_PLUS_DR,
        stationary_vehicle=StationaryVehicle(
            stationary_since=StationarySince.LESS_THAN_15_MINUTES,
            stationary_cause_code=CauseCode.VEHICLE_BREAKDOWN,
            stationary_sub_cause_code=2,
            number_of_occupants=2,
            wmi_number="WVW",
            vds="ZZZ1KZ",
            energy_storage=EnergyStorage.DIESEL | EnergyStorage.ELECTRIC_ENERGY_STORAGE,
        ),
    ),
)

BARE_DENM = Denm(
    station_id=StationId(1),
    action_id=ActionId(StationId(1), 0),
    detection_time=TimestampIts(0),
    reference_time=TimestampIts(0),
    station_type=StationType.UNKNOWN,
    lat_deg=None,
    lon_deg=None,
)

JUNCTION = IntersectionId(region=276, number=4711)

PHASES = Spatem(
    station_id=StationId(15),
    minute_of_year=527_039,
    name="Theresienwiese",
    intersections=(
        IntersectionState(
            id=JUNCTION,
            revision=127,
            status=IntersectionStatus.FIXED_TIME_OPERATION | IntersectionStatus.RECENT_MAP_MESSAGE_UPDATE,
            minute_of_year=0,
            timestamp_ms=59_999,
            enabled_lanes=(1, 255),
            name="north",
            movements=(
                MovementState(
                    signal_group=1,
                    name="straight on",
                    events=(
                        MovementEvent(
                            phase=MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED,
                            start_time_s=3599.9,
                            min_end_time_s=12.3,
                            max_end_time_s=inf,
                            likely_time_s=15.0,
                            confidence=15,
                            next_time_s=0.0,
                            speeds=(
                                AdvisorySpeed(
                                    kind=AdvisorySpeedType.GREENWAVE,
                                    speed_mps=13.9,
                                    confidence=4,
                                    distance_m=250,
                                    restriction_class=3,
                                ),
                                AdvisorySpeed(kind=AdvisorySpeedType.NONE),
                            ),
                        ),
                        MovementEvent(phase=MovementPhaseState.STOP_AND_REMAIN, max_end_time_s=1.0),
                        MovementEvent(phase=MovementPhaseState.DARK),
                    ),
                    maneuver_assists=(
                        ManeuverAssist(connection_id=4, queue_length_m=30, wait_on_stop=True, pedestrian_or_cyclist_detected=False),
                    ),
                ),
            ),
            maneuver_assists=(ManeuverAssist(connection_id=5, available_storage_length_m=10_000),),
        ),
        IntersectionState(
            id=IntersectionId(region=None, number=1),
            revision=0,
            status=IntersectionStatus(0),
            movements=(MovementState(signal_group=255, events=(MovementEvent(phase=MovementPhaseState.UNAVAILABLE),)),),
        ),
    ),
)

TOPOLOGY = Mapem(
    station_id=StationId(15),
    revision=3,
    minute_of_year=1,
    layer_type=LayerType.INTERSECTION_DATA,
    layer_id=100,
    intersections=(
        Intersection(
            id=JUNCTION,
            revision=3,
            lat_deg=48.1,
            lon_deg=11.5,
            elevation_m=519.3,
            lane_width_m=3.25,
            name="Theresienwiese",
            speed_limits=(SpeedLimit(kind=SpeedLimitType.VEHICLE_MAX_SPEED, speed_mps=13.88),),
            lanes=(
                Lane(
                    id=1,
                    name="in",
                    directional_use=LaneDirection.INGRESS_PATH,
                    lane_type_attributes=0x10,
                    shared_with=LaneSharing.BUS_VEHICLE_TRAFFIC,
                    ingress_approach=15,
                    maneuvers=AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED,
                    nodes=(
                        LaneNode(dx_m=5.11, dy_m=-5.12, attributes=(NodeAttribute.STOP_LINE,), width_change_m=-0.25),
                        LaneNode(dx_m=5.12, dy_m=0.0, disabled=(1,), enabled=(37, 2), elevation_change_m=0.3),
                        LaneNode(dx_m=0.0, dy_m=20.47, data=(("pathEndPointAngle", -150),)),
                        LaneNode(dx_m=-40.96, dy_m=40.95),
                        LaneNode(dx_m=81.91, dy_m=0.0),
                        LaneNode(dx_m=-327.68, dy_m=327.67),
                        LaneNode(lat_deg=48.2, lon_deg=11.6),
                    ),
                    connects_to=(
                        Connection(
                            lane_id=2,
                            maneuvers=AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED | AllowedManeuvers.CAUTION,
                            remote_intersection=IntersectionId(region=None, number=9),
                            signal_group=1,
                            restriction_class=0,
                            connection_id=4,
                        ),
                        Connection(lane_id=3),
                    ),
                    overlays=(9,),
                ),
                Lane(
                    id=2,
                    directional_use=LaneDirection.EGRESS_PATH,
                    lane_type=LaneType.CROSSWALK,
                    lane_type_attributes=0x8001,
                    egress_approach=0,
                    computed=ComputedLane(
                        reference_lane_id=1,
                        offset_x_m=-20.47,
                        offset_y_m=20.48,
                        rotation_deg=90.0,
                        scale_x=0.5,
                        scale_y=1.5,
                    ),
                ),
            ),
        ),
    ),
)

BARE_MAPEM = Mapem(station_id=StationId(1), revision=0, intersections=())
