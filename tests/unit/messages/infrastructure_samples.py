"""In-vehicle information, signal requests and answers with every field of theirs set, on steps of the wire."""

from math import inf

from msgspec.structs import replace

from shared.core.ids import ActionId, IntersectionId, StationId
from shared.core.itstime import TimestampIts
from shared.messages.cdd import PathPoint
from shared.messages.denm import RoadType
from shared.messages.ivim import IviContainer, Ivim, IviStatus
from shared.messages.ivim_attributes import (
    DayTypes,
    LaneFlow,
    SignAttribute,
    SignDimensions,
    SignMeasure,
    SignPeriod,
    SignSpeeds,
    SignUnit,
    Weekdays,
)
from shared.messages.ivim_information import (
    DriverCharacteristics,
    IviLayout,
    IviPurpose,
    IviSigns,
    IviText,
    IviTextLine,
    IviType,
    LayoutComponent,
)
from shared.messages.ivim_provider import Provider
from shared.messages.ivim_road import (
    IviDirection,
    IviLane,
    IviLaneType,
    LaneStatus,
    RoadConfiguration,
    RoadSurface,
    SurfaceCondition,
    SurfaceDynamics,
    SurfaceMaterial,
    SurfaceStatics,
    SurfaceTreatment,
    SurfaceWear,
)
from shared.messages.ivim_signs import (
    CatalogueSign,
    Iso14823Sign,
    PublicFacility,
    RoadsideCondition,
    RoadSign,
    TrafficSign,
    ViennaClass,
    ViennaOption,
    ViennaSign,
)
from shared.messages.ivim_zones import (
    ComputedZone,
    IviLocation,
    IviZone,
    MapLocation,
    MapZone,
    ZoneLine,
    ZoneOffset,
    ZonePlace,
    ZonePosition,
    ZoneSegment,
)
from shared.messages.requestor import AccessPoint, BasicVehicleRole, HpmsVehicleType, RequestorType, VehicleId
from shared.messages.srem import (
    PriorityRequestType,
    Requestor,
    RequestorPosition,
    SignalRequest,
    Srem,
    TransitOccupancy,
    TransitStatus,
    TransmissionState,
)
from shared.messages.ssem import PrioritizationStatus, Requester, RequestStatus, SignalStatus, Ssem

JUNCTION = IntersectionId(region=276, number=4711)
REGIONAL = ({"regionId": 200, "regExtValue": b"\x01\x02"},)

PERIOD = SignPeriod(
    first_year=2026,
    last_year=2127,
    first_month=11,
    first_day=1,
    last_month=3,
    last_day=31,
    day_types=DayTypes.NATIONAL_HOLIDAY | DayTypes.ODD_DAYS,
    start_hour=22,
    start_minute=0,
    end_hour=5,
    end_minute=59,
    weekdays=Weekdays.MONDAY | Weekdays.SUNDAY,
    duration_hours=7,
    duration_minutes=30,
)

ATTRIBUTES = (
    SignAttribute(applies=PERIOD),
    SignAttribute(exempted=SignPeriod(weekdays=Weekdays.SATURDAY)),
    SignAttribute(lane_flow=LaneFlow.LEFT_TURN_OR_STRAIGHT),
    SignAttribute(
        vehicle_dimensions=SignDimensions(
            height=SignMeasure(value=42, unit=SignUnit.DECIMETRE),
            width=SignMeasure(value=23, unit=SignUnit.DECIMETRE),
            length=SignMeasure(value=16_384, unit=SignUnit.FOOT),
            weight=SignMeasure(value=7, unit=SignUnit.TONNES),
        )
    ),
    SignAttribute(speeds=SignSpeeds(highest=250, lowest=0, unit=SignUnit.MILES_PER_H)),
    SignAttribute(incline_percent=32),
    SignAttribute(distance_between_vehicles=SignMeasure(value=70, unit=SignUnit.METRE)),
    SignAttribute(destination={"junctionDirection": 128, "ioList": ({"arrowDirection": 7},)}),
)

LINES = (
    ZoneLine(
        offsets=(ZoneOffset(delta_lat_deg=0.0131071, delta_lon_deg=-0.0131071), ZoneOffset(delta_lat_deg=None, delta_lon_deg=0.0))
    ),
    ZoneLine(offsets_with_altitude=(PathPoint(0.0001234, -0.0004321, -1.5), PathPoint(None, None, None))),
    ZoneLine(positions=(ZonePosition(lat_deg=-48.1, lon_deg=179.9999999), ZonePosition(lat_deg=None, lon_deg=None))),
    ZoneLine(positions_with_altitude=(ZonePlace(lat_deg=48.1, lon_deg=11.5, altitude_m=-12.34, altitude_confidence_m=inf),)),
)

LOCATION = IviLocation(
    lat_deg=48.7654321,
    lon_deg=-11.4263001,
    semi_major_m=1.25,
    semi_minor_m=inf,
    semi_major_orientation_deg=359.9,
    altitude_m=519.25,
    altitude_confidence_m=0.5,
    position_time=TimestampIts(724_377_600_000),
    heading_deg=180.1,
    heading_confidence_deg=12.5,
    speed_mps=2.5,
    speed_confidence_mps=0.05,
    zones=(
        *(
            IviZone(zone_id=n + 1, lane_number=n - 1, heading_deg=90.0 * n, segment=ZoneSegment(line=line, lane_width_m=3.25))
            for n, line in enumerate(LINES)
        ),
        IviZone(zone_id=31, zone_extension=255, area=LINES[0]),
        IviZone(
            zone_id=32,
            computed=ComputedZone(
                zone_id=1,
                lane_number=14,
                lane_width_m=10.23,
                offset_distance=-32_768,
                offset_position=PathPoint(0.0001, -0.0001, 0.0),
            ),
        ),
        IviZone(zone_id=5),
    ),
)

TRUCKS = (
    {
        "tractor": {
            "equalTo": (("simpleVehicleType", 8), ("euVehicleCategoryCode", ("euVehicleCategoryN", 2))),
            "ranges": ({"comparisonOperator": 1, "limits": ("numberOfAxles", 3)},),
        }
    },
)

SIGNS = IviSigns(
    ivi_type=IviType.REGULATORY_MESSAGES,
    detection_zone_ids=(1, 2),
    rrid=127,
    relevance_zone_ids=(3,),
    direction=IviDirection.BOTH_DIRECTIONS,
    driver_awareness_zone_ids=(4,),
    minimum_awareness_time=255,
    applicable_lanes=(-1, 14),
    ivi_purpose=IviPurpose.TRAFFIC_OPTIMISATION,
    lane_status=LaneStatus.MERGE_LR,
    vehicle_characteristics=TRUCKS,
    driver_characteristics=DriverCharacteristics.EXPERIENCED_DRIVERS,
    layout_id=4,
    pre_stored_layout_id=64,
    road_signs=(
        RoadSign(
            layout_component_id=1,
            vienna=ViennaSign(
                sign_class=ViennaClass.CLASS_C,
                sign_code=14,
                option=ViennaOption.A,
                validity=(PERIOD, SignPeriod()),
                value=80,
                unit=SignUnit.KM_PER_H,
            ),
        ),
        RoadSign(
            iso14823=Iso14823Sign(
                country_code=b"AT", traffic_sign=TrafficSign.REGULATORY, nature=5, serial_number=57, attributes=ATTRIBUTES
            )
        ),
        RoadSign(itis_code=65_535),
        RoadSign(
            layout_component_id=4,
            catalogue=CatalogueSign(
                owner=Provider(country_code="AT", identifier=1),
                version=255,
                pictogram_code=65_535,
                value=100,
                unit=SignUnit.MINUTES_OF_TIME,
                attributes=ATTRIBUTES[:1],
            ),
        ),
    ),
    extra_text=(
        IviTextLine(text="Überholverbot 🚚", language="DE", layout_component_id=2),
        IviTextLine(text="", language=0),
    ),
)

OTHER_SIGNS = IviSigns(
    ivi_type=7,
    rrid=270_549_119,
    road_signs=(
        RoadSign(iso14823=Iso14823Sign(public_facility=PublicFacility.PUBLIC_FACILITIES, nature=1, serial_number=99)),
        RoadSign(iso14823=Iso14823Sign(condition=RoadsideCondition.ROAD_CONDITION, nature=9, serial_number=0)),
    ),
)

LANE = IviLane(
    lane_number=1,
    direction=IviDirection.SAME_DIRECTION,
    lane_type=IviLaneType.MINIMUM_RISK_MANOEUVRE,
    lane_status=LaneStatus.PROVISIONALLY_OPEN,
    validity=PERIOD,
    lane_type_qualifier=TRUCKS[0],
    lane_width_m=3.5,
)

LINE_OF_TEXT = IviTextLine(text="Stau", language="DE", layout_component_id=1)

TEXT = IviText(
    relevance_zone_ids=(32,),
    data=b"\x00\xff",
    text=(LINE_OF_TEXT,),
    detection_zone_ids=(1,),
    direction=IviDirection.OPPOSITE_DIRECTION,
    driver_awareness_zone_ids=(2,),
    minimum_awareness_time=1,
    applicable_lanes=(1,),
    layout_id=1,
    pre_stored_layout_id=1,
)

GANTRY = Ivim(
    station_id=StationId(15),
    service_provider=Provider(country_code="AT", identifier=16_383),
    ivi_identification_number=32_767,
    status=IviStatus.UPDATE,
    timestamp=TimestampIts(724_377_600_000),
    valid_from=TimestampIts(0),
    valid_until=TimestampIts(4_398_046_511_103),
    connected_ivi=(1, 2, 32_767),
    containers=(
        IviContainer(location=LOCATION),
        IviContainer(signs=(SIGNS, OTHER_SIGNS)),
        IviContainer(
            road_configuration=(
                RoadConfiguration(
                    relevance_zone_ids=(1, 2),
                    road_type=RoadType.NON_URBAN_WITH_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES,
                    lanes=(LANE, replace(LANE, lane_number=2, validity=None, lane_type_qualifier=None, lane_width_m=None)),
                ),
            )
        ),
        IviContainer(text=(TEXT, IviText(relevance_zone_ids=(1,)))),
        IviContainer(
            layout=IviLayout(
                layout_id=4,
                width=265,
                height=73,
                components=(LayoutComponent(id=8, x=265, y=73, width=10, height=10, is_vertical=True),),
            )
        ),
    ),
)
"""Everything the first edition of ISO/TS 19321 knows."""

STATICS = SurfaceStatics(
    friction_coefficient=0.85, material=SurfaceMaterial.ASPHALT, wear=SurfaceWear.HAS_POTHOLES, banking_angle_deg=-20
)
DYNAMICS = SurfaceDynamics(
    condition=SurfaceCondition.ICE, temperature_c=-7, ice_or_water_depth=3, treatment=SurfaceTreatment.DE_ICING
)

LATER_GANTRY = Ivim(
    station_id=StationId(15),
    service_provider=Provider(country_code=1_023, identifier=0),
    ivi_identification_number=32_768,
    status=7,
    connected_denms=(ActionId(StationId(14), 3), ActionId(StationId(0xFFFF_FFFF), 65_535)),
    containers=(
        IviContainer(
            map_location=MapLocation(intersection=JUNCTION, zones=(MapZone(zone_id=1, lane_ids=(0, 255)), MapZone(zone_id=2)))
        ),
        IviContainer(map_location=MapLocation(road_segment=IntersectionId(region=None, number=1), zones=(MapZone(zone_id=40),))),
        IviContainer(
            road_surface=(
                RoadSurface(
                    relevance_zone_ids=(1,),
                    detection_zone_ids=(2,),
                    direction=IviDirection.SAME_DIRECTION,
                    surface=STATICS,
                    surface_now=DYNAMICS,
                ),
                RoadSurface(
                    relevance_zone_ids=(2,),
                    surface=SurfaceStatics(friction_coefficient=None, material=7, wear=7, banking_angle_deg=None),
                    surface_now=SurfaceDynamics(condition=15, temperature_c=None, ice_or_water_depth=255, treatment=6),
                ),
            )
        ),
        IviContainer(
            automated_vehicles=(
                {
                    "relevanceZoneIds": (1,),
                    "automatedVehicleRules": ({"priority": 2, "allowedSaeAutomationLevels": (3, 4)},),
                },
            )
        ),
        IviContainer(
            road_configuration=(
                RoadConfiguration(
                    relevance_zone_ids=(1,),
                    road_type=RoadType.URBAN_NO_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES,
                    lanes=(replace(LANE, detection_zone_ids=(1,), relevance_zone_ids=(2,), surface=STATICS, surface_now=DYNAMICS),),
                ),
            )
        ),
        IviContainer(
            text=(replace(TEXT, ivi_type=IviType.POLLUTION_MESSAGES, lane_status=LaneStatus.OPEN, vehicle_characteristics=TRUCKS),)
        ),
        IviContainer(other=("_ext_3", b"\x80")),
    ),
)
"""Everything that came later, and something that is still to come: all of it behind extension markers."""

REVOKED_GANTRY = Ivim(
    station_id=StationId(15),
    service_provider=Provider(country_code="DE", identifier=1),
    ivi_identification_number=1,
    status=IviStatus.CANCELLATION,
)

BUS_TYPE = RequestorType(
    role=BasicVehicleRole.PUBLIC_TRANSPORT,
    subrole=15,
    importance=14,
    iso3833_type=255,
    hpms_type=HpmsVehicleType.BUS,
    regional={"regionId": 200, "regExtValue": b"\x01\x02"},
)

BUS = Srem(
    station_id=StationId(0xCAFE0001),
    minute_of_year=527_039,
    timestamp_ms=59_999,
    sequence_number=127,
    requests=(
        SignalRequest(
            id=JUNCTION,
            request_id=255,
            request_type=PriorityRequestType.PRIORITY_REQUEST_UPDATE,
            inbound=AccessPoint(lane=255),
            outbound=AccessPoint(approach=15),
            arrival_minute_of_year=0,
            arrival_ms=60_999,
            duration_ms=65_534,
            request_regional=REGIONAL,
            regional=REGIONAL,
        ),
        SignalRequest(
            id=IntersectionId(region=None, number=0),
            request_id=0,
            request_type=PriorityRequestType.PRIORITY_CANCELLATION,
            inbound=AccessPoint(connection=0),
        ),
    ),
    requestor=Requestor(
        id=VehicleId(station_id=StationId(0xCAFE0001)),
        type=BUS_TYPE,
        position=RequestorPosition(
            lat_deg=48.7654321,
            lon_deg=-11.4263001,
            elevation_m=-409.5,
            heading_deg=359.9875,
            transmission=TransmissionState.REVERSE_GEARS,
            speed_mps=13.42,
            regional=REGIONAL,
        ),
        name="bus 4711",
        route_name="58",
        transit_status=TransitStatus.DOOR_OPEN | TransitStatus.AT_STOP_LINE,
        transit_occupancy=TransitOccupancy.NEARLY_FULL,
        transit_schedule_s=-1_210.0,
        regional=REGIONAL,
    ),
    regional=REGIONAL,
)

SOMEBODY = Srem(station_id=StationId(1), requestor=Requestor(id=VehicleId(entity_id=b"\x00\x01\x02\xff")))

ANSWERS = Ssem(
    station_id=StationId(15),
    minute_of_year=1,
    timestamp_ms=0,
    sequence_number=1,
    statuses=(
        SignalStatus(
            id=JUNCTION,
            sequence_number=127,
            requests=(
                RequestStatus(
                    status=PrioritizationStatus.RESERVICE_LOCKED,
                    requester=Requester(
                        id=VehicleId(entity_id=b"\xff\x00\x01\x02"),
                        request_id=255,
                        sequence_number=127,
                        role=BasicVehicleRole.MILITARY,
                        type=BUS_TYPE,
                    ),
                    inbound=AccessPoint(approach=0),
                    outbound=AccessPoint(connection=255),
                    arrival_minute_of_year=527_039,
                    arrival_ms=0,
                    duration_ms=0,
                    regional=REGIONAL,
                ),
                RequestStatus(status=PrioritizationStatus.UNKNOWN, inbound=AccessPoint(lane=0)),
            ),
            regional=REGIONAL,
        ),
    ),
    regional=REGIONAL,
)

ONE_ANSWER = Ssem(
    station_id=StationId(15),
    statuses=(
        SignalStatus(
            id=IntersectionId(region=None, number=1),
            sequence_number=0,
            requests=(RequestStatus(status=PrioritizationStatus.GRANTED, inbound=AccessPoint(lane=3)),),
        ),
    ),
)

LATER_REQUEST = Srem(
    station_id=StationId(2),
    requests=(
        SignalRequest(id=JUNCTION, request_id=1, request_type=1, inbound=AccessPoint(other=("_ext_0", b"\x80")), outbound=None),
    ),
    requestor=Requestor(id=VehicleId(station_id=StationId(2))),
)
"""What a later version may send: a fourth way of naming a place."""
