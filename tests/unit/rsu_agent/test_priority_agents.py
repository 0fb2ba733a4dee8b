"""Vehicle and roadside unit together: an ambulance hears the junction, asks, is let through, and takes it back behind it."""

from dataclasses import dataclass
from random import Random

import pytest
from rich.console import Console

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts, make_agent
from rsu_agent.metrics import metrics_text
from rsu_agent.sign_files import load_signs
from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from rsu_agent.signal_controllers.priority import PriorityAnswer, PriorityKey, PriorityRequest
from rsu_agent.status_view import status_tables
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.geo import displaced
from shared.core.ids import ItsAid, StationType
from shared.messages.cdd import VehicleRole
from shared.messages.ivim import Ivim
from shared.messages.mapem import Mapem
from shared.messages.requestor import BasicVehicleRole
from shared.messages.spatem import Spatem
from shared.messages.ssem import PrioritizationStatus, Ssem
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.pseudonyms import PseudonymRules
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.stack.effects import Effect, Notice, Transmit
from shared.stack.router import Forwarding, Router
from shared.stack.station import EgoPosition, StationIdentity, make_station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import ego, forged_packet, header_at, make_peer
from tests.helpers.pools import pool_of
from tests.helpers.priority import JUNCTIONS, MAP, NEAR, PLAN, UNIT_ID, ToldController, srem_of
from vehicle_agent.config import StationConfig
from vehicle_agent.priority_asker import CANCELLATIONS, PriorityAsker
from vehicle_agent.role_config import PublicTransportConfig
from vehicle_agent.signals_ahead import SignalsAhead
from vehicle_agent.special_vehicle import Duty
from vehicle_agent.vehicle_state import SignalUpdate, VehicleState, fold

HIERARCHY = Hierarchy(76)
AMBULANCE = Duty(role=VehicleRole.EMERGENCY, container=None, shows_by_lamps=True)
BUS = Duty(role=VehicleRole.PUBLIC_TRANSPORT, container=None, shows_by_lamps=False)
SIREN_LASTS_NS = 3_600 * NS_PER_S


def shown(status: dict[str, object]) -> str:
    """Return the status as a wide terminal shows it."""
    console = Console(width=400)
    with console.capture() as capture:
        console.print(status_tables(status))
    return capture.get()


class AskedPlan(FixedTimeController):
    """The crossing's plan, behind a controller that says what it is told to say to requests."""

    def __init__(self) -> None:
        super().__init__(PLAN)
        self.told = ToldController()

    def ask_priority(self, request: PriorityRequest, now: Instant) -> PriorityAnswer:
        return self.told.ask_priority(request, now)

    def priority(self, key: PriorityKey) -> PriorityAnswer | None:
        return self.told.priority(key)


def unit(controller: FixedTimeController) -> RsuAgent:
    ticket = HIERARCHY.ticket(StationRole.RSU)
    parts = RsuParts(
        station_id=UNIT_ID,
        position=MAP.reference,
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(ticket),
        junction=JunctionParts(controller=controller, rules=PLAN.guard_rules, lanes=MAP),
        signs=load_signs(JUNCTIONS / "crossing.signs.toml"),
    )
    return make_agent(parts, entropy=Random(3).randbytes)


@dataclass
class Road:
    """One vehicle that comes from the north on lane 12, and the unit, on one medium."""

    duty: Duty
    role: StationRole
    speed_mps: float = 15.0

    def __post_init__(self) -> None:
        self.clock = clock_at()
        self.controller = AskedPlan()
        self.unit = unit(self.controller)
        self.station = make_station(
            identity=StationIdentity.drawn(StationType.SPECIAL_VEHICLE, Random(5).randbytes),
            ticket=HIERARCHY.ticket(self.role),
            trust_store=HIERARCHY.trust_store,
            areas=NO_IDENTIFIED_AREAS,
        )
        self.router = Router(
            station=self.station, forwarding=Forwarding.SAME_LINK, entropy=Random(6).randbytes, started=MonotonicNs(0)
        )
        rules = PseudonymRules(entropy=Random(7).randbytes, started=MonotonicNs(0))
        self.asker = PriorityAsker(duty=self.duty, station=self.station, router=self.router, rules=rules, started=MonotonicNs(0))
        self.signals = SignalsAhead()
        self.state = VehicleState()
        self.north_m = 170.0
        self.heard: set[type] = set()
        self.notices: list[Notice] = []

    def siren(self, *, on: bool) -> None:
        update = SignalUpdate(field="siren_on", value=on, at=self.clock.now().monotonic, max_age_ns=SIREN_LASTS_NS)
        self.state = fold(self.state, (update,))

    def drive(self, elapsed_s: float) -> None:
        """Drive on, fifty steps a second, everything said carried to the other side at once."""
        for _ in range(round(elapsed_s * 50)):
            now = self.clock.advance(20 * NS_PER_MS)
            self.north_m -= self.speed_mps / 50
            here = EgoPosition(
                point=displaced(MAP.reference, -5.0, self.north_m),
                taken_at=now.require_utc(),
                speed_mps=self.speed_mps,
                heading_deg=180.0,
            )
            self.router.place(here)
            if self.unit.next_due() <= now.monotonic:
                for effect in self.unit.on_timer(now):
                    if isinstance(effect, Transmit):
                        self.hear(effect.packet, now)
            lights = self.signals.ahead(now, here)
            for effect in (*self.asker.poll(self.state, here, lights, now), *self.router.poll(now)):
                if isinstance(effect, Transmit):
                    self.unit.on_packet(effect.packet, now)
                elif isinstance(effect, Notice):
                    self.notices.append(effect)

    def hear(self, packet: bytes, now: Instant) -> None:
        indication = self.station.receive(packet, now)
        if indication is None:
            return
        self.heard.add(type(indication.message))
        if (spatem := indication.of(Spatem)) is not None:
            self.signals.hear_signals(spatem, now)
        elif (mapem := indication.of(Mapem)) is not None:
            self.signals.hear_map(mapem, now)
        elif (ssem := indication.of(Ssem)) is not None:
            self.asker.hear(ssem)


def test_an_ambulance_asks_the_junction_it_comes_to_is_let_through_and_takes_it_back_behind_it() -> None:
    road = Road(AMBULANCE, StationRole.EMERGENCY)
    road.drive(2.0)
    assert road.controller.told.asked == [], "without the siren nobody obliges anybody"
    road.siren(on=True)
    road.drive(2.0)
    (order,) = road.controller.told.orders.values()
    assert order.level.value == "emergency"
    assert order.signal_groups == {1}
    assert order.arrival is not None
    assert (order.arrival - road.clock.now().require_utc()) / NS_PER_S == pytest.approx((road.north_m - 14) / 15.0, abs=1.0)
    assert [notice.fields["status"] for notice in road.notices] == ["granted"]
    assert {Spatem, Mapem, Ssem, Ivim} <= road.heard
    road.drive(12.0)
    assert road.controller.told.orders == {}
    assert road.asker.counters["cancelled"] == 1
    assert road.unit.sent["ssem"] >= 7
    assert road.unit.sent["ivim"] >= 15
    assert road.unit.inbound.verified["srem"] == road.asker.counters["sent"]


def test_a_request_that_is_answered_is_not_repeated_and_a_cancellation_is() -> None:
    road = Road(BUS, StationRole.PUBLIC_TRANSPORT)
    road.drive(6.0)
    assert road.asker.status()["status"] == "granted"
    assert road.asker.counters["sent"] <= 2, "the arrival does not move at one speed"
    before = road.asker.counters["sent"]
    road.drive(15.0)
    assert road.asker.counters["sent"] - before == 1 + CANCELLATIONS, "once more after ten seconds, and then the end"
    assert road.unit.peers.refused == {}


def test_an_arrival_that_moves_is_told_anew() -> None:
    road = Road(BUS, StationRole.PUBLIC_TRANSPORT)
    road.drive(4.0)
    road.speed_mps = 7.0
    road.drive(1.2)
    (order,) = road.controller.told.orders.values()
    assert order.arrival is not None
    assert (order.arrival - road.clock.now().require_utc()) / NS_PER_S == pytest.approx((road.north_m - 14) / 7.0, abs=1.5)


def test_a_bus_that_stands_before_the_light_is_not_forgotten() -> None:
    road = Road(BUS, StationRole.PUBLIC_TRANSPORT)
    road.drive(4.0)
    before = road.asker.counters["sent"]
    road.speed_mps = 0.0
    road.drive(45.0)
    assert len(road.controller.told.orders) == 1
    assert 4 <= road.asker.counters["sent"] - before <= 6


def test_a_refusal_reaches_the_driver_and_is_not_asked_again() -> None:
    road = Road(BUS, StationRole.PUBLIC_TRANSPORT)
    road.controller.told.says = PrioritizationStatus.REJECTED
    road.drive(7.0)
    assert [notice.fields["status"] for notice in road.notices] == ["rejected"]
    assert road.asker.counters["sent"] <= 2


@pytest.mark.parametrize(("duty", "role"), [(BUS, StationRole.VEHICLE), (AMBULANCE, StationRole.RESCUE)])
def test_without_a_ticket_for_it_a_vehicle_does_not_ask(duty: Duty, role: StationRole) -> None:
    road = Road(duty, role)
    road.siren(on=True)
    road.drive(5.0)
    assert road.asker.counters == {}
    assert road.unit.inbound.verified == {}


def test_an_ordinary_vehicle_never_wants_to_be_called() -> None:
    road = Road(Duty(role=VehicleRole.DEFAULT, container=None, shows_by_lamps=False), StationRole.VEHICLE)
    assert road.asker.next_due() is None


def test_an_operator_may_keep_a_bus_from_asking() -> None:
    for asks in (True, False):
        station = StationConfig(
            length_m=12.0, width_m=2.5, role="public_transport", public_transport=PublicTransportConfig(ask_for_priority=asks)
        )
        road = Road(station.duty, StationRole.PUBLIC_TRANSPORT)
        road.drive(4.0)
        assert bool(road.controller.told.orders) is asks


def test_a_strangers_an_expired_and_an_under_privileged_request_are_refused_each_for_its_reason() -> None:
    clock = clock_at()
    controller = AskedPlan()
    agent = unit(controller)
    agent.on_timer(clock.now())
    now = clock.advance(NS_PER_MS)
    bus = BasicVehicleRole.PUBLIC_TRANSPORT
    stranger = make_peer(Hierarchy(77), 1, StationRole.PUBLIC_TRANSPORT)
    agent.on_packet(stranger.send(srem_of(stranger, now, role=bus), position=ego(now, NEAR), now=now), now)
    impostor = make_peer(HIERARCHY, 2, StationRole.PUBLIC_TRANSPORT)
    srem = srem_of(impostor, now, role=BasicVehicleRole.FIRE)
    agent.on_packet(impostor.send(srem, position=ego(now, NEAR), now=now), now)
    car = HIERARCHY.ticket(StationRole.VEHICLE)
    agent.on_packet(forged_packet(car, b"", now, header=header_at(now, ItsAid.SREM)), now)
    expired = HIERARCHY.ticket(StationRole.PUBLIC_TRANSPORT, valid_hours=1)
    agent.on_packet(forged_packet(expired, b"", now, header=header_at(now, ItsAid.SREM)), now)
    assert agent.peers.refused == {
        "signer_certificate_not_found": 1,
        "priority_role_not_permitted": 1,
        "permission_denied": 1,
        "expired_certificate": 1,
    }
    assert controller.told.asked == []
    status = agent.status(now)
    text = metrics_text(status)
    assert 'v2x_rsu_priority_requests_total{what="priority_role_not_permitted"} 1' in text
    assert 'v2x_rsu_packets_refused_total{reason="expired_certificate"} 1' in text
    assert "does not show a vehicle in the role fire" in shown(status)
    assert status["priority"]["refusals"][0]["reason"] == "priority_role_not_permitted"  # type: ignore[index]


def test_a_unit_without_the_permission_to_answer_says_so_once_and_lives() -> None:
    permissions = tuple(p for p in TICKET_PERMISSIONS[StationRole.RSU] if p.psid != ItsAid.SSEM)
    ticket = HIERARCHY.ticket(StationRole.RSU, permissions=permissions)
    parts = RsuParts(
        station_id=UNIT_ID,
        position=MAP.reference,
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        tickets=pool_of(ticket),
        junction=JunctionParts(controller=AskedPlan(), rules=PLAN.guard_rules, lanes=MAP),
    )
    agent, clock = make_agent(parts, entropy=Random(3).randbytes), clock_at()
    bus = make_peer(HIERARCHY, 2, StationRole.PUBLIC_TRANSPORT)
    now = clock.advance(NS_PER_MS)
    srem = srem_of(bus, now, role=BasicVehicleRole.PUBLIC_TRANSPORT)
    agent.on_packet(bus.send(srem, position=ego(now, NEAR), now=now), now)
    effects: list[Effect] = []
    for _ in range(300):
        now = clock.advance(10 * NS_PER_MS)
        effects += agent.on_timer(now)
    silent = [effect.fields for effect in effects if isinstance(effect, Notice) and effect.kind == "silent"]
    assert [(fields["message"], fields["reason"]) for fields in silent] == [("ssem", "permission_denied")]
    assert agent.sent["spatem"] >= 29
