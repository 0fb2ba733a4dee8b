"""Which flag of an SSP each content needs: every container, every right and every cause, one by one, as decoded from the air."""

import pytest
from msgspec.structs import replace

from shared.core.errors import VerificationError
from shared.core.ids import StationId, StationType
from shared.core.itstime import TimestampIts
from shared.core.report import VerificationReport as Report
from shared.messages.cam import Cam, ProtectedZone, decode_cam, encode_cam
from shared.messages.cam_special import (
    DangerousGoods,
    DangerousGoodsBasic,
    Emergency,
    EmergencyPriority,
    LaterContainer,
    PublicTransport,
    Rescue,
    RoadWorksBasic,
    SafetyCar,
    SpecialTransport,
    SpecialTransportType,
    SpecialVehicle,
)
from shared.messages.cdd import CauseCode, ClosedLanes, HardShoulderStatus, LightBarSirenInUse, TrafficRule
from shared.messages.denm import Denm, Termination, decode_denm, encode_denm
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.permissions import find_permission
from shared.stack.content_permissions import DENM_CAUSES, Message, check_content
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import denm_of, make_peer, mapem_of, spatem_of

SIREN = LightBarSirenInUse.LIGHT_BAR_ACTIVATED | LightBarSirenInUse.SIREN_ACTIVATED
RIGHT_OF_WAY = EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY
FREE_CROSSING = EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT
LIMIT_MPS = 80 / 3.6
NO_ZONE = ProtectedZone(is_temporary=False, lat_deg=48.0, lon_deg=11.0)

PLAIN = Cam(station_id=StationId(1), generation_delta_time_ms=0, station_type=StationType.PASSENGER_CAR, lat_deg=48.0, lon_deg=11.0)
SENDER = make_peer(Hierarchy(1), 1)
NOW = clock_at().now()

CLOSED_LANES = ClosedLanes(inner_hard_shoulder=HardShoulderStatus.CLOSED, closed_driving_lanes=(True, False, True))

CAM_NEEDS: dict[str, tuple[SpecialVehicle | None, int]] = {
    "nothing special": (None, 0),
    "public transport": (PublicTransport(embarkation_status=True), 0x40_00),
    "special transport": (SpecialTransport(transport_type=SpecialTransportType.HEAVY_LOAD, light_bar_siren=SIREN), 0x20_00),
    "dangerous goods": (DangerousGoods(dangerous_goods=DangerousGoodsBasic.EXPLOSIVES_4), 0x10_00),
    "roadworks": (RoadWorksBasic(light_bar_siren=SIREN), 0x08_00),
    "roadworks with closed lanes": (RoadWorksBasic(light_bar_siren=SIREN, closed_lanes=CLOSED_LANES), 0x08_80),
    "rescue": (Rescue(light_bar_siren=SIREN), 0x04_00),
    "emergency": (Emergency(light_bar_siren=SIREN), 0x02_00),
    "emergency that asks for nothing": (Emergency(light_bar_siren=SIREN, priority=EmergencyPriority(0)), 0x02_00),
    "emergency with right of way": (Emergency(light_bar_siren=SIREN, priority=RIGHT_OF_WAY), 0x02_40),
    "emergency with free crossing": (Emergency(light_bar_siren=SIREN, priority=FREE_CROSSING), 0x02_20),
    "emergency with both": (Emergency(light_bar_siren=SIREN, priority=RIGHT_OF_WAY | FREE_CROSSING), 0x02_60),
    "safety car": (SafetyCar(light_bar_siren=SIREN), 0x01_00),
    "safety car: no passing": (SafetyCar(light_bar_siren=SIREN, traffic_rule=TrafficRule.NO_PASSING), 0x01_10),
    "safety car: trucks": (SafetyCar(light_bar_siren=SIREN, traffic_rule=TrafficRule.NO_PASSING_FOR_TRUCKS), 0x01_08),
    "safety car: pass right": (SafetyCar(light_bar_siren=SIREN, traffic_rule=TrafficRule.PASS_TO_RIGHT), 0x01_00),
    "safety car: pass left": (SafetyCar(light_bar_siren=SIREN, traffic_rule=TrafficRule.PASS_TO_LEFT), 0x01_00),
    "safety car with a limit": (SafetyCar(light_bar_siren=SIREN, speed_limit_mps=LIMIT_MPS), 0x01_04),
    "safety car with both": (SafetyCar(traffic_rule=TrafficRule.NO_PASSING, speed_limit_mps=LIMIT_MPS), 0x01_14),
}
"""A special-vehicle container, and the flags of octets 1 and 2 it needs (EN 302 637-2 V1.4.1 clause 6.2.2)."""


def cam_with(special: SpecialVehicle | LaterContainer | None) -> Cam:
    """Return the CAM as a receiver sees it: encoded and decoded again."""
    return decode_cam(encode_cam(replace(PLAIN, special_vehicle=special)))


def ssp(flags: int, octets: int = 2) -> bytes:
    return b"\x01" + flags.to_bytes(octets, "big")


def denial(message: Message, permissions: bytes | None) -> str:
    with pytest.raises(VerificationError) as caught:
        check_content(message, permissions)
    assert caught.value.report is Report.PERMISSION_DENIED
    return caught.value.detail


@pytest.mark.parametrize("what", CAM_NEEDS)
def test_a_cam_needs_exactly_the_flags_of_what_it_says(what: str) -> None:
    special, needed = CAM_NEEDS[what]
    cam = cam_with(special)
    check_content(cam, ssp(needed))
    check_content(cam, ssp(0xFF_FC))
    for bit in range(16):
        flag = 1 << bit
        if needed & flag:
            denial(cam, ssp(0xFF_FF & ~flag))
        else:
            check_content(cam, ssp(0xFF_FF & ~flag))


def test_a_denial_names_what_was_not_allowed() -> None:
    assert denial(cam_with(CAM_NEEDS["emergency"][0]), ssp(0)) == "the ticket does not allow a CAM with emergencyContainer"
    assert "requestForRightOfWay" in denial(cam_with(CAM_NEEDS["emergency with both"][0]), ssp(0x02_20))
    assert "no_passing" in denial(cam_with(CAM_NEEDS["safety car: no passing"][0]), ssp(0x01_00))


@pytest.mark.parametrize(
    "cam",
    [
        replace(PLAIN, tolling_zone=NO_ZONE),
        replace(PLAIN, station_type=StationType.ROAD_SIDE_UNIT, protected_zones=(NO_ZONE,)),
    ],
    ids=["of a vehicle", "of a roadside unit"],
)
def test_a_tolling_zone_needs_its_flag(cam: Cam) -> None:
    heard = decode_cam(encode_cam(cam))
    check_content(heard, ssp(0x80_00))
    denial(heard, ssp(0x7F_FC))


def test_a_roadside_unit_without_zones_needs_no_flag() -> None:
    check_content(decode_cam(encode_cam(replace(PLAIN, station_type=15, protected_zones=()))), ssp(0))


@pytest.mark.parametrize(
    "special",
    [("_ext_7", b"\x00"), SafetyCar(traffic_rule="_ext_1")],
    ids=["a container", "a traffic rule"],
)
def test_what_no_version_of_ours_knows_no_ticket_allows(special: SpecialVehicle | LaterContainer) -> None:
    heard = cam_with(special)
    assert heard.special_vehicle == special
    denial(heard, ssp(0xFF_FF))


@pytest.mark.parametrize("permissions", [None, b"", b"\x01", b"\x01\xff", b"\x01\xff\xff\xff", b"\x00\xff\xff", b"\x02\xff\xff"])
def test_a_cam_needs_permissions_of_version_1_and_three_octets(permissions: bytes | None) -> None:
    denial(PLAIN, permissions)


def test_the_plain_ticket_of_a_car_and_of_a_unit_carry_what_they_are_for() -> None:
    for role, zones in ((StationRole.VEHICLE, None), (StationRole.RSU, (NO_ZONE,))):
        permission = find_permission(TICKET_PERMISSIONS[role], 36)
        check_content(replace(PLAIN, protected_zones=zones), permission.ssp)


CAUSES = {1: 0, 2: 1, 3: 2, 6: 3, 9: 4, 10: 5, 11: 6, 12: 7, 14: 8, 15: 9, 17: 10, 18: 11, 19: 12, 26: 13, 27: 14, 91: 15}
CAUSES |= {92: 16, 93: 17, 94: 18, 95: 19, 96: 20, 97: 21, 98: 22, 99: 23}
"""The bit of each cause, the most significant of octet 1 being bit 0 (EN 302 637-3 V1.3.1 clause 6.2.2)."""


def denm_with(cause: int) -> Denm:
    return decode_denm(encode_denm(denm_of(SENDER, NOW, cause=CauseCode(cause))))


@pytest.mark.parametrize("cause", CAUSES)
def test_a_warning_needs_exactly_the_flag_of_its_cause(cause: int) -> None:
    denm, flag = denm_with(cause), 1 << 23 - CAUSES[cause]
    check_content(denm, ssp(flag, 3))
    assert denial(denm, ssp(0xFF_FF_FF & ~flag, 3)) == f"the ticket does not allow a DENM of cause {cause}"


def test_no_cause_is_forgotten() -> None:
    assert tuple(CAUSES) == DENM_CAUSES


@pytest.mark.parametrize("cause", sorted({*range(256)} - set(CAUSES)))
def test_a_cause_without_a_flag_is_nobody_s_to_announce(cause: int) -> None:
    assert "no version 1 permission" in denial(replace(denm_of(SENDER, NOW), cause_code=cause), ssp(0xFF_FF_FF, 3))


def test_to_take_a_warning_back_needs_no_cause() -> None:
    cancellation = Denm(
        station_id=StationId(1),
        action_id=denm_of(SENDER, NOW).action_id,
        detection_time=TimestampIts(0),
        reference_time=TimestampIts(0),
        station_type=StationType.PASSENGER_CAR,
        lat_deg=48.0,
        lon_deg=11.0,
        termination=Termination.IS_CANCELLATION,
    )
    check_content(decode_denm(encode_denm(cancellation)), ssp(0, 3))


@pytest.mark.parametrize(
    "permissions",
    [
        None,
        b"",
        b"\x01\xff\xff",
        b"\x01\xff\xff\xff\xff",
        b"\x02\xff\xff\xff",
        b"\x02" + b"\xff" * 5,
        b"\x03" + b"\xff" * 4,
        b"\0\xff\xff\xff",
    ],
)
def test_a_warning_needs_permissions_of_a_known_version_and_its_size(permissions: bytes | None) -> None:
    denial(denm_with(94), permissions)


@pytest.mark.parametrize("cause", CAUSES)
def test_permissions_of_version_2_mean_the_same_where_version_1_has_a_flag(cause: int) -> None:
    denm, flag = denm_with(cause), 1 << 23 - CAUSES[cause]
    check_content(denm, b"\x02" + flag.to_bytes(3, "big") + b"\0")
    denied = b"\x02" + (0xFF_FF_FF & ~flag).to_bytes(3, "big") + b"\xff"
    assert denial(denm, denied) == f"the ticket does not allow a DENM of cause {cause}"


@pytest.mark.parametrize(("cause", "flag"), [(5, 0x80), (7, 0x40)])
def test_version_2_brought_two_causes_with_a_flag_each(cause: int, flag: int) -> None:
    denm = replace(denm_of(SENDER, NOW), cause_code=cause)
    check_content(denm, b"\x02\0\0\0" + bytes((flag,)))
    assert denial(denm, b"\x02\xff\xff\xff" + bytes((0xFF & ~flag,))) == f"the ticket does not allow a DENM of cause {cause}"
    assert "no version 1 permission" in denial(denm, b"\x01\xff\xff\xff")
    assert "no version 2 permission" in denial(replace(denm, cause_code=4), b"\x02\xff\xff\xff\xff")


@pytest.mark.parametrize("message", [spatem_of(SENDER), mapem_of(SENDER)], ids=["lights", "map"])
def test_lights_and_maps_need_permissions_of_version_1(message: Message) -> None:
    check_content(message, b"\x01")
    check_content(message, b"\x01\xe0")
    for permissions in (None, b"", b"\x00", b"\x02\xe0"):
        denial(message, permissions)


def test_a_car_s_ticket_allows_every_cause_but_five() -> None:
    permissions = find_permission(TICKET_PERMISSIONS[StationRole.VEHICLE], 37).ssp
    refused = set()
    for cause in CAUSES:
        try:
            check_content(denm_with(cause), permissions)
        except VerificationError:
            refused.add(cause)
    assert refused == {3, 15, 95, 96, 98}
