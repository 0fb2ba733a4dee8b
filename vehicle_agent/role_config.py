"""What the operator says of a vehicle's role: `[station] role = "emergency"`, and a table of details such as `[station.emergency]`.

Each role has a table of its own name; only that of the role in force may be there. `dangerous_goods` and `special_transport` need
theirs, for nothing else says what is carried. What is live (light bar, siren, doors) comes from the bus, not from here.
"""

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

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
from shared.messages.cdd import CauseCode, ClosedLanes, HardShoulderStatus, TrafficRule, VehicleRole
from shared.pki.permission_sets import StationRole
from shared.service.config import ConfigStruct
from vehicle_agent.special_vehicle import NO_DUTY, Duty

Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]
Lanes = Annotated[tuple[bool, ...], msgspec.Meta(min_length=1, max_length=13)]
Shoulder = Literal["available_for_stopping", "closed", "available_for_driving"]
AtWork = Literal["lamps", "always"]
"""When the vehicle is at it: while light bar or siren are on, or always."""

MAX_ACTIVATION_OCTETS = 20
MPS_PER_KMH = 1 / 3.6


class PublicTransportConfig(ConfigStruct, frozen=True, kw_only=True):
    """What makes signals give way to a tram or bus: a request by radio, and the coding and telegram of an older way.

    Attributes:
        ask_for_priority: whether junctions ahead are asked to let it through (SREM), where the ticket allows it.
        activation_type: the coding, with `activation_data`: both or neither.
        activation_data: the telegram in hexadecimal digits.
    """

    ask_for_priority: bool = True
    activation_type: Literal["undefined", "r09_16", "vdv_50149"] | None = None
    activation_data: str | None = None

    def __post_init__(self) -> None:
        """Refuse half an activation, and one that is no telegram."""
        if (self.activation_type is None) is not (self.activation_data is None):
            raise ValueError("activation_type and activation_data belong together")
        if self.activation_data is not None and not 1 <= len(bytes.fromhex(self.activation_data)) <= MAX_ACTIVATION_OCTETS:
            raise ValueError(f"activation_data is not 1 to {MAX_ACTIVATION_OCTETS} octets")

    @property
    def container(self) -> PublicTransport:
        """Without the doors."""
        if self.activation_type is None or self.activation_data is None:
            return PublicTransport(embarkation_status=False)
        coding = PtActivationType[f"{self.activation_type.upper()}_CODING_TYPE"]
        return PublicTransport(
            embarkation_status=False, activation_type=coding, activation_data=bytes.fromhex(self.activation_data)
        )


class SpecialTransportConfig(ConfigStruct, frozen=True, kw_only=True):
    """What is out of the ordinary; at least one."""

    heavy_load: bool = False
    excess_width: bool = False
    excess_length: bool = False
    excess_height: bool = False

    def __post_init__(self) -> None:
        """Refuse a special transport with nothing special."""
        if not self.container.transport_type:
            raise ValueError("one of heavy_load, excess_width, excess_length and excess_height must be true")

    @property
    def container(self) -> SpecialTransport:
        """Without the light bar."""
        kinds = SpecialTransportType(0)
        for kind in SpecialTransportType:
            if getattr(self, (kind.name or "").lower()):
                kinds |= kind
        return SpecialTransport(transport_type=kinds)


class DangerousGoodsConfig(ConfigStruct, frozen=True, kw_only=True):
    """What is carried: `flammable_liquids`, `explosives_1` and so on, as TS 102 894-2 `DangerousGoodsBasic` calls it."""

    goods: str

    def __post_init__(self) -> None:
        """Refuse a class that does not exist."""
        if self.goods.upper() not in DangerousGoodsBasic.__members__:
            known = ", ".join(member.name.lower() for member in DangerousGoodsBasic)
            raise ValueError(f"goods is none of {known}")

    @property
    def container(self) -> DangerousGoods:
        """The container."""
        return DangerousGoods(dangerous_goods=DangerousGoodsBasic[self.goods.upper()])


class RoadWorkConfig(ConfigStruct, frozen=True, kw_only=True):
    """A vehicle that secures or does works on the road; lanes from the outermost on, true where closed."""

    at_work: AtWork = "lamps"
    sub_cause_code: Octet | None = None
    closed_lanes: Lanes | None = None
    inner_hard_shoulder: Shoulder | None = None
    outer_hard_shoulder: Shoulder | None = None

    @property
    def container(self) -> RoadWorksBasic:
        """Without the light bar."""
        lanes = ClosedLanes(
            inner_hard_shoulder=_shoulder(self.inner_hard_shoulder),
            outer_hard_shoulder=_shoulder(self.outer_hard_shoulder),
            closed_driving_lanes=self.closed_lanes,
        )
        return RoadWorksBasic(sub_cause_code=self.sub_cause_code, closed_lanes=None if lanes == ClosedLanes() else lanes)


class RescueConfig(ConfigStruct, frozen=True, kw_only=True):
    """A vehicle that rescues and recovers others."""

    at_work: AtWork = "lamps"

    @property
    def container(self) -> Rescue:
        """Without the light bar."""
        return Rescue()


class _IncidentConfig(ConfigStruct, frozen=True, kw_only=True):
    """What a mission is about: a cause such as `accident` (EN 302 637-3), and its sub cause."""

    at_work: AtWork = "lamps"
    incident_cause: str | None = None
    incident_sub_cause_code: Octet = 0

    def __post_init__(self) -> None:
        """Refuse a cause that does not exist."""
        if self.incident_cause is not None and self.incident_cause.upper() not in CauseCode.__members__:
            raise ValueError(f"there is no cause {self.incident_cause!r}")

    @property
    def incident(self) -> tuple[CauseCode | None, int | None]:
        """Cause and sub cause, or neither."""
        if self.incident_cause is None:
            return None, None
        return CauseCode[self.incident_cause.upper()], self.incident_sub_cause_code


class EmergencyConfig(_IncidentConfig, frozen=True, kw_only=True):
    """Fire brigade, ambulance, police: what is asked of others, and of junctions, while the siren sounds."""

    ask_for_priority: bool = True
    request_right_of_way: bool = False
    request_free_crossing: bool = False

    @property
    def container(self) -> Emergency:
        """Without light bar and siren."""
        asked = EmergencyPriority(0)
        if self.request_right_of_way:
            asked |= EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY
        if self.request_free_crossing:
            asked |= EmergencyPriority.REQUEST_FOR_FREE_CROSSING_AT_A_TRAFFIC_LIGHT
        cause, sub_cause = self.incident
        return Emergency(incident_cause_code=cause, incident_sub_cause_code=sub_cause, priority=asked or None)


class SafetyCarConfig(_IncidentConfig, frozen=True, kw_only=True):
    """A car that others must stay behind, and the rules they must keep."""

    traffic_rule: Literal["no_passing", "no_passing_for_trucks", "pass_to_right", "pass_to_left"] | None = None
    speed_limit_kmh: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None

    @property
    def container(self) -> SafetyCar:
        """Without the light bar."""
        cause, sub_cause = self.incident
        return SafetyCar(
            incident_cause_code=cause,
            incident_sub_cause_code=sub_cause,
            traffic_rule=None if self.traffic_rule is None else TrafficRule[self.traffic_rule.upper()],
            speed_limit_mps=None if self.speed_limit_kmh is None else self.speed_limit_kmh * MPS_PER_KMH,
        )


RoleName = Literal[
    "default",
    "public_transport",
    "special_transport",
    "dangerous_goods",
    "road_work",
    "rescue",
    "emergency",
    "safety_car",
    "agriculture",
    "commercial",
    "military",
    "road_operator",
    "taxi",
]


class RoleConfig(ConfigStruct, frozen=True, kw_only=True):
    """The role and its details: the part of `[station]` that an ordinary car leaves out."""

    role: RoleName = "default"
    public_transport: PublicTransportConfig | None = None
    special_transport: SpecialTransportConfig | None = None
    dangerous_goods: DangerousGoodsConfig | None = None
    road_work: RoadWorkConfig | None = None
    rescue: RescueConfig | None = None
    emergency: EmergencyConfig | None = None
    safety_car: SafetyCarConfig | None = None

    def __post_init__(self) -> None:
        """Refuse details of another role, and a role whose details nobody can guess."""
        for other in _DETAILED:
            if other != self.role and getattr(self, other) is not None:
                raise ValueError(f"[station.{other}] belongs to the role {other!r}, and this is {self.role!r}")
        if self.role in ("special_transport", "dangerous_goods") and getattr(self, self.role) is None:
            raise ValueError(f"the role {self.role!r} needs [station.{self.role}]")

    @property
    def ticket_role(self) -> StationRole:
        """What its tickets must allow; a role without a container needs no more than any vehicle."""
        return StationRole(self.role) if self.role in _DETAILED else StationRole.VEHICLE

    @property
    def duty(self) -> Duty:
        """What the vehicle is for."""
        role = VehicleRole[self.role.upper()]
        match self.role:
            case "public_transport":
                bus = self.public_transport or PublicTransportConfig()
                return replace(_always(role, bus.container), asks_for_priority=bus.ask_for_priority)
            case "special_transport":
                assert self.special_transport is not None
                return _always(role, self.special_transport.container)
            case "dangerous_goods":
                assert self.dangerous_goods is not None
                return _always(role, self.dangerous_goods.container)
            case "road_work":
                return _at_work(role, self.road_work or RoadWorkConfig())
            case "rescue":
                return _at_work(role, self.rescue or RescueConfig())
            case "emergency":
                emergency = self.emergency or EmergencyConfig()
                return replace(_at_work(role, emergency), asks_for_priority=emergency.ask_for_priority)
            case "safety_car":
                return _at_work(role, self.safety_car or SafetyCarConfig())
            case "default":
                return NO_DUTY
            case _:
                return _always(role, None)


_DETAILED = ("public_transport", "special_transport", "dangerous_goods", "road_work", "rescue", "emergency", "safety_car")
"""Roles with a container, and so with a table of details."""


def _always(role: VehicleRole, container: SpecialVehicle | None) -> Duty:
    return Duty(role=role, container=container, shows_by_lamps=False)


def _at_work(role: VehicleRole, config: RoadWorkConfig | RescueConfig | EmergencyConfig | SafetyCarConfig) -> Duty:
    return Duty(role=role, container=config.container, shows_by_lamps=config.at_work == "lamps")


def _shoulder(name: Shoulder | None) -> HardShoulderStatus | None:
    return None if name is None else HardShoulderStatus[name.upper()]
