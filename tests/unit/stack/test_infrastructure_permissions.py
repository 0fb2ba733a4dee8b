"""Who may say and hear which infrastructure message, and what each kind of special vehicle may say, from ticket to ear."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from shared.core.clock import ManualClock
from shared.core.errors import VerificationError
from shared.core.ids import ItsAid
from shared.core.report import VerificationReport as Report
from shared.messages import samples
from shared.messages.cam import Cam
from shared.messages.cam_special import (
    DangerousGoods,
    DangerousGoodsBasic,
    Emergency,
    EmergencyPriority,
    PublicTransport,
    Rescue,
    RoadWorksBasic,
    SafetyCar,
    SpecialTransport,
    SpecialTransportType,
    SpecialVehicle,
)
from shared.messages.cdd import CauseCode, ClosedLanes, LightBarSirenInUse, TrafficRule
from shared.messages.ivim import Ivim
from shared.messages.srem import Srem
from shared.messages.ssem import Ssem
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.permissions import find_permission
from shared.stack.content_permissions import Message, check_content
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import cam_of, denm_of, ego, make_peer

HIERARCHY = Hierarchy(47)
SPECIAL_ROLES = [role for role in StationRole if role not in (StationRole.VEHICLE, StationRole.RSU)]
PRIORITY = EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY | EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT
LAMPS = LightBarSirenInUse.LIGHT_BAR_ACTIVATED

CONTAINERS: dict[StationRole, SpecialVehicle] = {
    StationRole.PUBLIC_TRANSPORT: PublicTransport(embarkation_status=True),
    StationRole.SPECIAL_TRANSPORT: SpecialTransport(transport_type=SpecialTransportType.EXCESS_WIDTH, light_bar_siren=LAMPS),
    StationRole.DANGEROUS_GOODS: DangerousGoods(dangerous_goods=DangerousGoodsBasic.FLAMMABLE_LIQUIDS),
    StationRole.ROAD_WORK: RoadWorksBasic(light_bar_siren=LAMPS, closed_lanes=ClosedLanes(closed_driving_lanes=(True, False))),
    StationRole.RESCUE: Rescue(light_bar_siren=LAMPS),
    StationRole.EMERGENCY: Emergency(light_bar_siren=LAMPS, priority=PRIORITY),
    StationRole.SAFETY_CAR: SafetyCar(light_bar_siren=LAMPS, traffic_rule=TrafficRule.NO_PASSING, speed_limit_mps=80 / 3.6),
}
"""The fullest container of each role."""

OWN_CAUSES = {
    StationRole.ROAD_WORK: CauseCode.ROADWORKS,
    StationRole.RESCUE: CauseCode.RESCUE_AND_RECOVERY_WORK_IN_PROGRESS,
    StationRole.EMERGENCY: CauseCode.EMERGENCY_VEHICLE_APPROACHING,
}


def ivim_of(station: Station) -> Ivim:
    return replace(samples.IVIM, station_id=station.identity.station_id)


def srem_of(station: Station) -> Srem:
    return replace(samples.SREM, station_id=station.identity.station_id)


def ssem_of(station: Station) -> Ssem:
    return replace(samples.SSEM, station_id=station.identity.station_id)


def heard(sender: Station, message: Message, clock: ManualClock) -> Message:
    """Return what another station believes it heard."""
    clock.advance(100_000_000)
    now = clock.now()
    indication = make_peer(HIERARCHY, 99).receive(sender.send(message, position=ego(now), now=now), now)
    assert indication is not None
    return indication.message


@pytest.mark.parametrize(
    ("role", "message_of", "its_aid"),
    [
        (StationRole.RSU, ivim_of, ItsAid.IVIM),
        (StationRole.RSU, ssem_of, ItsAid.SSEM),
        (StationRole.PUBLIC_TRANSPORT, srem_of, ItsAid.SREM),
        (StationRole.EMERGENCY, srem_of, ItsAid.SREM),
    ],
)
def test_those_who_may_say_it_are_heard_and_no_others(
    role: StationRole, message_of: Callable[[Station], Message], its_aid: ItsAid
) -> None:
    sender, clock = make_peer(HIERARCHY, 1, role), clock_at()
    message = message_of(sender)
    assert heard(sender, message, clock) == message
    for other in StationRole:
        if any(permission.psid == its_aid for permission in TICKET_PERMISSIONS[other]):
            continue
        silent = make_peer(HIERARCHY, 2, other)
        with pytest.raises(VerificationError) as caught:
            heard(silent, message_of(silent), clock)
        assert caught.value.report is Report.PERMISSION_DENIED


def test_only_vehicles_that_are_let_through_ask_for_it() -> None:
    asking = {role for role in StationRole if any(permission.psid == ItsAid.SREM for permission in TICKET_PERMISSIONS[role])}
    assert asking == {StationRole.PUBLIC_TRANSPORT, StationRole.EMERGENCY}


def test_every_special_vehicle_has_a_role_and_says_all_of_its_container() -> None:
    assert list(CONTAINERS) == SPECIAL_ROLES
    clock = clock_at()
    for role, container in CONTAINERS.items():
        sender = make_peer(HIERARCHY, 1, role)
        cam = heard(sender, replace(cam_of(sender, clock.now()), special_vehicle=container), clock)
        assert isinstance(cam, Cam)
        assert cam.special_vehicle == container


@pytest.mark.parametrize("role", StationRole)
def test_nobody_says_the_container_of_another_role(role: StationRole) -> None:
    sender, now = make_peer(HIERARCHY, 1, role), clock_at().now()
    for other, container in CONTAINERS.items():
        if other is role:
            continue
        with pytest.raises(VerificationError, match="does not allow a CAM with"):
            sender.send(replace(cam_of(sender, now), special_vehicle=container), position=ego(now), now=now)


@pytest.mark.parametrize("role", SPECIAL_ROLES)
def test_a_special_vehicle_warns_of_what_a_car_warns_of_and_of_its_own_cause(role: StationRole) -> None:
    sender, now = make_peer(HIERARCHY, 1, role), clock_at().now()
    permissions = find_permission(TICKET_PERMISSIONS[role], ItsAid.DENM).ssp
    check_content(denm_of(sender, now, cause=CauseCode.STATIONARY_VEHICLE), permissions)
    for special, cause in OWN_CAUSES.items():
        denm = denm_of(sender, now, cause=cause)
        if special is role:
            check_content(denm, permissions)
        else:
            with pytest.raises(VerificationError, match=f"cause {cause}"):
                check_content(denm, permissions)


@pytest.mark.parametrize(
    ("message", "accepted", "refused"),
    [
        (samples.IVIM, [b"\x01\x00\x00\x00\xff\xf8", b"\x01" + bytes(5)], [b"\x01", b"\x01" + bytes(6), b"\x02" + bytes(5)]),
        (samples.SREM, [b"\x01\xff\xff\xe0", b"\x02\xff\xff\xe0"], [b"\x01", b"\x01" + bytes(4), b"\x03" + bytes(3)]),
        (samples.SSEM, [b"\x01"], [b"\x01\x00", b"\x02"]),
    ],
    ids=["signs", "requests", "answers"],
)
def test_permissions_have_a_known_version_and_their_size(message: Message, accepted: list[bytes], refused: list[bytes]) -> None:
    for ssp in accepted:
        check_content(message, ssp)
    for wrong in (None, b"", b"\x00", *refused):
        with pytest.raises(VerificationError) as caught:
            check_content(message, wrong)
        assert caught.value.report is Report.PERMISSION_DENIED


def test_a_refusal_says_which_versions_are_known() -> None:
    with pytest.raises(VerificationError, match="SREM are of version 3; this station knows 1 and 2"):
        check_content(samples.SREM, b"\x03\x00\x00\x00")
    with pytest.raises(VerificationError, match="IVIM have 2 octets instead of 6"):
        check_content(samples.IVIM, b"\x01\x00")
