"""The role of a special vehicle: what it claims when, and what its ticket makes it leave out."""

from dataclasses import replace as with_fields
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError
from shared.core.ids import ItsAid, StationType
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
from shared.messages.cdd import CauseCode, ClosedLanes, HardShoulderStatus, LightBarSirenInUse, TrafficRule, VehicleRole
from shared.pki.permission_sets import TICKET_PERMISSIONS
from shared.security.permissions import PsidSsp, find_permission
from shared.service.config import load
from shared.stack.cam_permissions import (
    CLOSED_LANES,
    FREE_CROSSING,
    RIGHT_OF_WAY,
    SPEED_LIMIT,
    TRAFFIC_RULES,
    granted_flags,
    special_vehicle_needs,
    ticket_flags,
)
from tests.helpers.hierarchy import Hierarchy
from vehicle_agent.config import StationConfig
from vehicle_agent.special_vehicle import NO_DUTY, Duty, RoleClaim, SpecialRole
from vehicle_agent.vehicle_state import Aged, VehicleState

NOW = MonotonicNs(0)
LIGHT_BAR = LightBarSirenInUse.LIGHT_BAR_ACTIVATED
BOTH = LIGHT_BAR | LightBarSirenInUse.SIREN_ACTIVATED
ALL_FLAGS = 0xFF_FC
ASKED = EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY | EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT
LANES = ClosedLanes(outer_hard_shoulder=HardShoulderStatus.CLOSED, closed_driving_lanes=(True, False))
AMBULANCE = Duty(role=VehicleRole.EMERGENCY, container=Emergency(priority=ASKED), shows_by_lamps=True)
SAFETY_CAR = Duty(
    role=VehicleRole.SAFETY_CAR,
    container=SafetyCar(traffic_rule=TrafficRule.NO_PASSING, speed_limit_mps=22.0),
    shows_by_lamps=True,
)


def state(**flags: bool) -> VehicleState:
    return VehicleState(**{name: Aged(on, NOW, NS_PER_S) for name, on in flags.items()})  # type: ignore[arg-type]  # flags only


def claimed(duty: Duty, granted: int = ALL_FLAGS, **flags: bool) -> RoleClaim:
    return SpecialRole(duty, granted=granted).claim(state(**flags), NOW)


def test_an_ordinary_car_has_no_role_whatever_is_on() -> None:
    assert claimed(NO_DUTY, light_bar_on=True, siren_on=True, doors_open=True) == (VehicleRole.DEFAULT, None)


@pytest.mark.parametrize("lamps", [{}, {"light_bar_on": False}, {"light_bar_on": False, "siren_on": False}])
def test_an_ambulance_on_its_way_home_is_an_ordinary_car(lamps: dict[str, bool]) -> None:
    assert claimed(AMBULANCE, **lamps) == (VehicleRole.DEFAULT, None)


def test_an_ambulance_with_its_light_bar_alone_asks_for_nothing() -> None:
    assert claimed(AMBULANCE, light_bar_on=True) == (VehicleRole.EMERGENCY, Emergency(light_bar_siren=LIGHT_BAR))


def test_an_ambulance_with_light_bar_and_siren_asks_for_what_it_is_configured_to() -> None:
    expected = Emergency(light_bar_siren=BOTH, priority=ASKED)
    assert claimed(AMBULANCE, light_bar_on=True, siren_on=True) == (VehicleRole.EMERGENCY, expected)


def test_a_light_bar_that_was_on_too_long_ago_is_off() -> None:
    role = SpecialRole(AMBULANCE, granted=ALL_FLAGS)
    assert role.claim(state(light_bar_on=True), MonotonicNs(NS_PER_S)).role is VehicleRole.EMERGENCY
    assert role.claim(state(light_bar_on=True), MonotonicNs(NS_PER_S + 1)).role is VehicleRole.DEFAULT


@pytest.mark.parametrize(("doors", "status"), [({}, False), ({"doors_open": False}, False), ({"doors_open": True}, True)])
def test_a_tram_is_one_always_and_says_when_passengers_get_on(doors: dict[str, bool], status: bool) -> None:  # noqa: FBT001 - a column
    tram = Duty(role=VehicleRole.PUBLIC_TRANSPORT, container=PublicTransport(embarkation_status=False), shows_by_lamps=False)
    assert claimed(tram, **doors) == (VehicleRole.PUBLIC_TRANSPORT, PublicTransport(embarkation_status=status))


def test_a_tanker_is_one_always() -> None:
    goods = DangerousGoods(dangerous_goods=DangerousGoodsBasic.TOXIC_GASES)
    assert claimed(Duty(role=VehicleRole.DANGEROUS_GOODS, container=goods, shows_by_lamps=False)) == (
        VehicleRole.DANGEROUS_GOODS,
        goods,
    )


def test_a_role_without_a_container_is_claimed_under_any_ticket() -> None:
    assert claimed(Duty(role=VehicleRole.TAXI, container=None, shows_by_lamps=False), granted=0) == (VehicleRole.TAXI, None)


WITHHELD = [
    pytest.param(AMBULANCE, 0x02_00, ("emergencyContainer",), None, id="the container"),
    pytest.param(
        AMBULANCE,
        RIGHT_OF_WAY,
        ("requestForRightOfWay",),
        Emergency(light_bar_siren=BOTH, priority=EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT),
        id="the right of way",
    ),
    pytest.param(
        AMBULANCE,
        RIGHT_OF_WAY | FREE_CROSSING,
        ("requestForRightOfWay", "requestForFreeCrossingAtATrafficLight"),
        Emergency(light_bar_siren=BOTH),
        id="both requests",
    ),
    pytest.param(
        SAFETY_CAR,
        SPEED_LIMIT,
        ("speedLimit",),
        SafetyCar(light_bar_siren=BOTH, traffic_rule=TrafficRule.NO_PASSING),
        id="the speed limit",
    ),
    pytest.param(
        SAFETY_CAR,
        TRAFFIC_RULES[TrafficRule.NO_PASSING],
        ("the traffic rule no_passing",),
        SafetyCar(light_bar_siren=BOTH, speed_limit_mps=22.0),
        id="the rule",
    ),
    pytest.param(
        Duty(role=VehicleRole.ROAD_WORK, container=RoadWorksBasic(closed_lanes=LANES), shows_by_lamps=True),
        CLOSED_LANES,
        ("closedLanes",),
        RoadWorksBasic(light_bar_siren=BOTH),
        id="the closed lanes",
    ),
]


@pytest.mark.parametrize(("duty", "lacking", "what", "left"), WITHHELD)
def test_what_a_ticket_lacks_is_left_out_counted_and_told_once(
    duty: Duty, lacking: int, what: tuple[str, ...], left: SpecialVehicle | None
) -> None:
    role, on = SpecialRole(duty, granted=ALL_FLAGS & ~lacking), state(light_bar_on=True, siren_on=True)
    for _ in range(3):
        assert role.claim(on, NOW) == (VehicleRole.DEFAULT if left is None else duty.role, left)
    assert left is None or not any(need.flag & lacking for need in special_vehicle_needs(left))
    assert role.withheld == dict.fromkeys(what, 3)
    (notice,) = role.take_notices()
    assert (notice.kind, notice.fields["role"], notice.fields["withheld"]) == ("role_withheld", duty.role.name.lower(), list(what))


def test_a_vehicle_at_rest_withholds_nothing() -> None:
    role = SpecialRole(AMBULANCE, granted=0)
    role.claim(state(light_bar_on=False), NOW)
    assert (role.withheld, role.take_notices()) == ({}, ())


def test_with_every_new_ticket_the_role_is_what_that_ticket_allows_and_a_lack_is_not_told_again() -> None:
    role, on = SpecialRole(AMBULANCE, granted=0), state(light_bar_on=True)
    kinds = []
    for granted in (0, 0, 0x02_60, 0):
        role.assume(granted)
        kinds.append((role.claim(on, NOW).role, len(role.take_notices())))
    ordinary, emergency = VehicleRole.DEFAULT, VehicleRole.EMERGENCY
    assert kinds == [(ordinary, 1), (ordinary, 0), (emergency, 0), (ordinary, 1)]


def test_the_flags_are_those_of_the_ticket() -> None:
    hierarchy = Hierarchy(1)
    ambulance = hierarchy.ticket(permissions=(PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x02\x60"),))
    warner = hierarchy.ticket(permissions=(PsidSsp(psid=ItsAid.DENM, ssp=b"\x01\xff\xff\xff"),))
    assert [ticket_flags(ticket) for ticket in (ambulance, warner, None)] == [0x02_60, 0, 0]


def configured(folder: Path, text: str) -> StationConfig:
    path = folder / "station.toml"
    path.write_text(f"length_m = 8.0\nwidth_m = 2.5\n{text}")
    return load(path, StationConfig)


CONFIGURED = [
    ("", NO_DUTY),
    ('role = "taxi"', Duty(role=VehicleRole.TAXI, container=None, shows_by_lamps=False)),
    (
        'role = "public_transport"\n[public_transport]\nactivation_type = "r09_16"\nactivation_data = "98 01 f3"',
        Duty(
            role=VehicleRole.PUBLIC_TRANSPORT,
            container=PublicTransport(
                embarkation_status=False, activation_type=PtActivationType.R09_16_CODING_TYPE, activation_data=b"\x98\x01\xf3"
            ),
            shows_by_lamps=False,
        ),
    ),
    (
        'role = "public_transport"',
        Duty(role=VehicleRole.PUBLIC_TRANSPORT, container=PublicTransport(embarkation_status=False), shows_by_lamps=False),
    ),
    (
        'role = "special_transport"\n[special_transport]\nheavy_load = true\nexcess_width = true',
        Duty(
            role=VehicleRole.SPECIAL_TRANSPORT,
            container=SpecialTransport(transport_type=SpecialTransportType.HEAVY_LOAD | SpecialTransportType.EXCESS_WIDTH),
            shows_by_lamps=False,
        ),
    ),
    (
        'role = "dangerous_goods"\n[dangerous_goods]\ngoods = "flammable_liquids"',
        Duty(
            role=VehicleRole.DANGEROUS_GOODS,
            container=DangerousGoods(dangerous_goods=DangerousGoodsBasic.FLAMMABLE_LIQUIDS),
            shows_by_lamps=False,
        ),
    ),
    (
        'role = "road_work"\n[road_work]\nat_work = "always"\nclosed_lanes = [true, false]\nouter_hard_shoulder = "closed"',
        Duty(role=VehicleRole.ROAD_WORK, container=RoadWorksBasic(closed_lanes=LANES), shows_by_lamps=False),
    ),
    ('role = "road_work"', Duty(role=VehicleRole.ROAD_WORK, container=RoadWorksBasic(), shows_by_lamps=True)),
    ('role = "rescue"', Duty(role=VehicleRole.RESCUE, container=Rescue(), shows_by_lamps=True)),
    (
        (
            'role = "emergency"\n[emergency]\nincident_cause = "accident"\nincident_sub_cause_code = 3\n'
            "request_right_of_way = true\nrequest_free_crossing = true"
        ),
        Duty(
            role=VehicleRole.EMERGENCY,
            container=Emergency(incident_cause_code=CauseCode.ACCIDENT, incident_sub_cause_code=3, priority=ASKED),
            shows_by_lamps=True,
        ),
    ),
    ('role = "emergency"', Duty(role=VehicleRole.EMERGENCY, container=Emergency(), shows_by_lamps=True)),
    (
        'role = "safety_car"\n[safety_car]\ntraffic_rule = "no_passing"\nspeed_limit_kmh = 80',
        with_fields(SAFETY_CAR, container=SafetyCar(traffic_rule=TrafficRule.NO_PASSING, speed_limit_mps=80 / 3.6)),
    ),
]


@pytest.mark.parametrize(("text", "duty"), CONFIGURED)
def test_a_role_and_its_details_are_configured(tmp_path: Path, text: str, duty: Duty) -> None:
    assert configured(tmp_path, text).duty == duty


@pytest.mark.parametrize(("text", "duty"), CONFIGURED)
def test_the_ticket_a_vehicle_asks_for_allows_all_it_is_configured_to_say(tmp_path: Path, text: str, duty: Duty) -> None:
    role = configured(tmp_path, text).ticket_role
    granted = granted_flags(find_permission(TICKET_PERMISSIONS[role], ItsAid.CAM).ssp)
    said = SpecialRole(duty, granted=granted).claim(state(light_bar_on=True, siren_on=True), NOW)
    assert said == claimed(duty, light_bar_on=True, siren_on=True)
    assert said.role is duty.role


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('role = "pirate"', "role"),
        ('role = "dangerous_goods"', r"needs \[station.dangerous_goods\]"),
        ('role = "special_transport"', r"needs \[station.special_transport\]"),
        ('role = "special_transport"\n[special_transport]', "must be true"),
        ('role = "dangerous_goods"\n[dangerous_goods]\ngoods = "jokes"', "explosives_1, explosives_2"),
        ("[emergency]\nrequest_right_of_way = true", "belongs to the role 'emergency'"),
        ('role = "rescue"\n[emergency]', "belongs to the role 'emergency'"),
        ('role = "public_transport"\n[public_transport]\nactivation_type = "r09_16"', "belong together"),
        ('role = "public_transport"\n[public_transport]\nactivation_type = "r09_16"\nactivation_data = "xy"', "non-hexadecimal"),
        (f'role = "public_transport"\n[public_transport]\nactivation_type = "r09_16"\nactivation_data = "{"00" * 21}"', "octets"),
        ('role = "emergency"\n[emergency]\nincident_cause = "boredom"', "no cause 'boredom'"),
        ('role = "safety_car"\n[safety_car]\nspeed_limit_kmh = 256', "speed_limit_kmh"),
        ('role = "road_work"\n[road_work]\nclosed_lanes = []', "closed_lanes"),
    ],
)
def test_a_role_nobody_can_say_is_refused_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        configured(tmp_path, text)


@pytest.mark.parametrize("kind", [one for one in StationType if one.name not in ("UNKNOWN", "PEDESTRIAN", "ROAD_SIDE_UNIT")])
def test_every_vehicle_has_its_station_type(tmp_path: Path, kind: StationType) -> None:
    assert configured(tmp_path, f'type = "{kind.name.lower()}"').station_type is kind
