"""Wireshark's dissector, made by others from the standard's ASN.1, reads the CAMs of each special vehicle and of a roadside unit.

Each is built by the service from what the bus says, signed under a ticket that allows it, and packed by a station as on the air.
"""

from pathlib import Path
from typing import Any

import pytest

from rsu_agent.cam_service import RsuCamService
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.ids import ItsAid
from shared.core.itstime import TimestampIts, time64_of, timestamp_its
from shared.messages.cam import Cam, ProtectedZone
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
)
from shared.messages.cdd import CauseCode, ClosedLanes, DriveDirection, HardShoulderStatus, TrafficRule, VehicleRole
from shared.pki.permission_sets import StationRole
from shared.security.permissions import PsidSsp
from shared.stack.cam_permissions import ticket_flags
from shared.transport.pcap import PcapWriter
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, ego, make_peer
from tests.helpers.tshark import complaints, fields, protocols
from vehicle_agent.cam_service import CamService
from vehicle_agent.special_vehicle import NO_DUTY, Duty
from vehicle_agent.vehicle_state import Aged, VehicleState

STACK = "eth:ethertype:gnw:ieee1609dot2:btpb:its"
ALL_CAM_FLAGS = b"\x01\xff\xfc"
ASKED = EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY | EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT

LAMPS = {"its.LightBarSirenInUse.lightBarActivated": "1", "its.LightBarSirenInUse.sirenActivated": "1"}

SPECIAL: dict[str, tuple[Duty, dict[str, str]]] = {
    "an ordinary car": (NO_DUTY, {"cam.vehicleRole": "0", "cam.specialVehicleContainer": ""}),
    "a tram": (
        Duty(
            role=VehicleRole.PUBLIC_TRANSPORT,
            container=PublicTransport(
                embarkation_status=False,
                activation_type=PtActivationType.R09_16_CODING_TYPE,
                activation_data=bytes.fromhex("9801f3"),
            ),
            shows_by_lamps=False,
        ),
        {
            "cam.vehicleRole": "1",
            "cam.specialVehicleContainer": "0",
            "cam.embarkationStatus": "1",
            "its.ptActivationType": "1",
            "its.ptActivationData": "9801f3",
        },
    ),
    "a heavy load": (
        Duty(
            role=VehicleRole.SPECIAL_TRANSPORT,
            container=SpecialTransport(transport_type=SpecialTransportType.HEAVY_LOAD | SpecialTransportType.EXCESS_HEIGHT),
            shows_by_lamps=False,
        ),
        {
            "cam.vehicleRole": "2",
            "cam.specialVehicleContainer": "1",
            "its.SpecialTransportType.heavyLoad": "1",
            "its.SpecialTransportType.excessWidth": "0",
            "its.SpecialTransportType.excessHeight": "1",
            **LAMPS,
        },
    ),
    "a tanker": (
        Duty(
            role=VehicleRole.DANGEROUS_GOODS,
            container=DangerousGoods(dangerous_goods=DangerousGoodsBasic.FLAMMABLE_LIQUIDS),
            shows_by_lamps=False,
        ),
        {"cam.vehicleRole": "3", "cam.specialVehicleContainer": "2", "cam.dangerousGoodsBasic": "9"},
    ),
    "a roadworks trailer": (
        Duty(
            role=VehicleRole.ROAD_WORK,
            container=RoadWorksBasic(
                sub_cause_code=4,
                closed_lanes=ClosedLanes(
                    inner_hard_shoulder=HardShoulderStatus.AVAILABLE_FOR_DRIVING,
                    outer_hard_shoulder=HardShoulderStatus.CLOSED,
                    closed_driving_lanes=(True, False, True),
                ),
            ),
            shows_by_lamps=True,
        ),
        {
            "cam.vehicleRole": "4",
            "cam.specialVehicleContainer": "3",
            "cam.roadworksSubCauseCode": "4",
            "its.innerhardShoulderStatus": "2",
            "its.outerhardShoulderStatus": "1",
            "its.drivingLaneStatus": "a0",
            **LAMPS,
        },
    ),
    "a breakdown service": (
        Duty(role=VehicleRole.RESCUE, container=Rescue(), shows_by_lamps=True),
        {"cam.vehicleRole": "5", "cam.specialVehicleContainer": "4", **LAMPS},
    ),
    "a fire engine": (
        Duty(
            role=VehicleRole.EMERGENCY,
            container=Emergency(incident_cause_code=CauseCode.ACCIDENT, incident_sub_cause_code=3, priority=ASKED),
            shows_by_lamps=True,
        ),
        {
            "cam.vehicleRole": "6",
            "cam.specialVehicleContainer": "5",
            "its.causeCode": "2",
            "its.subCauseCode": "3",
            "its.EmergencyPriority.requestForRightOfWay": "1",
            "its.EmergencyPriority.requestForFreeCrossingAtATrafficLight": "1",
            **LAMPS,
        },
    ),
    "a safety car": (
        Duty(
            role=VehicleRole.SAFETY_CAR,
            container=SafetyCar(
                incident_cause_code=CauseCode.HUMAN_PRESENCE_ON_THE_ROAD,
                incident_sub_cause_code=1,
                traffic_rule=TrafficRule.PASS_TO_LEFT,
                speed_limit_mps=80 / 3.6,
            ),
            shows_by_lamps=True,
        ),
        {
            "cam.vehicleRole": "7",
            "cam.specialVehicleContainer": "6",
            "its.causeCode": "12",
            "its.subCauseCode": "1",
            "cam.trafficRule": "3",
            "cam.speedLimit": "80",
            **LAMPS,
        },
    ),
}
"""What a vehicle is for, and the values the dissector must read."""

ON_THE_ROAD = {
    "its.headingValue": "900",
    "its.speedValue": "1389",
    "its.curvatureValue": "126",
    "its.yawRateValue": "1000",
    "its.semiMajorConfidence": "150",
    "its.AccelerationControl.gasPedalEngaged": "1",
    "its.AccelerationControl.cruiseControlEngaged": "1",
    "its.AccelerationControl.emergencyBrakeEngaged": "1",
    "its.AccelerationControl.brakePedalEngaged": "0",
    "its.ExteriorLights.daytimeRunningLightsOn": "1",
    "its.ExteriorLights.fogLightOn": "1",
    "its.ExteriorLights.parkingLightsOn": "1",
    "its.ExteriorLights.lowBeamHeadlightsOn": "0",
}
"""What every one of them says of its motion and lamps: 10 degrees a second at 13.89 m/s are a curvature of 0.01257 per metre."""


def on_the_road(now: Instant) -> VehicleState:
    values: dict[str, Any] = {
        "position": HERE,
        "position_accuracy_m": 1.5,
        "heading_deg": 90.0,
        "speed_mps": 13.89,
        "drive_direction": DriveDirection.FORWARD,
        "yaw_rate_dps": 10.0,
        "gas_pedal_pressed": True,
        "brake_pedal_pressed": False,
        "cruise_control": True,
        "automatic_emergency_braking": True,
        "daytime_running_light": True,
        "rear_fog_light": True,
        "parking_light": True,
        "light_bar_on": True,
        "siren_on": True,
        "doors_open": True,
    }
    return VehicleState(**{name: Aged(value, now.monotonic, NS_PER_S) for name, value in values.items()})


def cam_of(duty: Duty) -> tuple[bytes, Cam]:
    """Return the packet of a vehicle, and its CAM as a neighbour believes it."""
    hierarchy, now = Hierarchy(1), clock_at().now()
    ticket = hierarchy.ticket(permissions=(PsidSsp(psid=ItsAid.CAM, ssp=ALL_CAM_FLAGS),))
    station = make_peer(hierarchy, 1, ticket=ticket)
    service = CamService(
        station_id=station.identity.station_id,
        station_type=station.identity.station_type,
        length_m=9.0,
        width_m=2.5,
        phase_ns=0,
        duty=duty,
        granted=ticket_flags(ticket),
    )
    due = service.poll(on_the_road(now), now)
    assert due is not None
    packet = station.send(due.cam, position=due.position, now=now)
    heard = make_peer(hierarchy, 2).receive(packet, now)
    assert heard is not None
    verified = heard.of(Cam)
    assert verified is not None
    return packet, verified.message


def capture_of(path: Path, packet: bytes) -> Path:
    with PcapWriter(path) as writer:
        writer.write(packet, utc=clock_at().now().require_utc())
    return path


def read_by_tshark(capture: Path, names: list[str]) -> dict[str, str]:
    (row,) = fields(capture, *names)
    return dict(zip(names, row, strict=True))


@pytest.mark.parametrize("who", SPECIAL)
def test_the_cam_of_a_special_vehicle_says_to_others_what_was_meant(tmp_path: Path, who: str) -> None:
    duty, expected = SPECIAL[who]
    packet, cam = cam_of(duty)
    capture = capture_of(tmp_path / "cam.pcap", packet)
    assert not complaints(capture)
    assert set(protocols(capture)) == {STACK}
    expected = expected | ON_THE_ROAD
    assert read_by_tshark(capture, list(expected)) == expected
    assert type(cam.special_vehicle) is type(duty.container)


def test_the_cam_of_a_roadside_unit_says_to_others_what_was_meant(tmp_path: Path) -> None:
    hierarchy, now = Hierarchy(1), clock_at().now()
    ticket = hierarchy.ticket(StationRole.RSU)
    station = make_peer(hierarchy, 3, StationRole.RSU, ticket=ticket)
    until = timestamp_its(time64_of(now.require_utc())) + 60_000
    service = RsuCamService(
        station_id=station.identity.station_id,
        position=HERE,
        zones=(
            ProtectedZone(is_temporary=False, lat_deg=48.2, lon_deg=11.6, radius_m=55, expiry_time=TimestampIts(until), zone_id=77),
            ProtectedZone(is_temporary=False, lat_deg=-33.5, lon_deg=-70.25),
        ),
        first_due=MonotonicNs(0),
    )
    cam = service.poll(now, granted=ticket_flags(ticket))
    assert cam is not None
    packet = station.send(cam, position=ego(now), now=now)
    assert make_peer(hierarchy, 2).receive(packet, now) is not None
    capture = capture_of(tmp_path / "rsu.pcap", packet)
    assert not complaints(capture)
    assert set(protocols(capture)) == {STACK}
    expected = {
        "cam.stationType": "15",
        "cam.highFrequencyContainer": "1",
        "cam.protectedCommunicationZonesRSU": "2",
        "its.protectedZoneType": "0\x1f0",
        "its.protectedZoneLatitude": "482000000\x1f-335000000",
        "its.protectedZoneLongitude": "116000000\x1f-702500000",
        "its.protectedZoneRadius": "55",
        "its.protectedZoneID": "77",
        "cam.lowFrequencyContainer": "",
    }
    assert read_by_tshark(capture, list(expected)) == expected
