"""What the console tells a page: the whole once, then what changed, with everybody's trust and every refusal's reason."""

from random import Random

import pytest

from rsu_agent.agent import RsuAgent
from rsu_agent.console.health import health_of
from rsu_agent.console.open_console import make_view, seen_of
from rsu_agent.console.refusals import MAX_KEPT, MAX_SHOWN, RecentRefusals
from rsu_agent.console.view import ConsoleView
from rsu_agent.peers import Glimpse
from shared.core.clock import NS_PER_S, ManualClock
from shared.core.geo import GeoPoint, displaced, offset_m
from shared.core.ids import BtpPort, ItsAid, StationType
from shared.core.itstime import generation_delta_time, time64_of
from shared.messages.cam import Cam, encode_cam
from shared.messages.cdd import CauseCode
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.security.trust_store import TrustStore
from shared.stack.station import Station
from tests.helpers.console import Follower, events_in
from tests.helpers.hierarchy import NOON, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, make_peer
from tests.helpers.unmannered import forged_message, roadworks_by
from tests.unit.rsu_agent.test_priority_agents import AMBULANCE, Road
from tests.unit.rsu_agent.test_refusals_of_peers import FOREIGN, HIERARCHY
from tests.unit.rsu_agent.test_refusals_of_peers import cam as heard_cam
from tests.unit.rsu_agent.test_refusals_of_peers import unit as bare_unit
from tests.unit.rsu_agent.test_rsu_agent import CENTRE, MAP, RSU_ID, cam, car, drive, ego, unit


def view_of(agent: RsuAgent, *, takes_orders: bool = False) -> ConsoleView:
    return make_view(agent, MAP, position=CENTRE, takes_orders=takes_orders)


def looked(view: ConsoleView, agent: RsuAgent, clock: ManualClock, *, with_status: bool = True) -> bytes | None:
    now = clock.now()
    return view.look(seen_of(agent), now, agent.status(now) if with_status else None)


def followed(view: ConsoleView, agent: RsuAgent, clock: ManualClock) -> Follower:
    looked(view, agent, clock)
    return Follower([view.whole()])


def say(agent: RsuAgent, station: Station, clock: ManualClock, east_m: float = 40.0, speed_mps: float = 10.0) -> None:
    """Have a car send a CAM from somewhere west or east of the middle, and the unit hear it."""
    now = clock.advance(NS_PER_S // 5)
    point = displaced(CENTRE, east_m, -5.0)
    message = Cam(
        station_id=station.identity.station_id,
        generation_delta_time_ms=generation_delta_time(time64_of(now.require_utc())),
        station_type=StationType.PASSENGER_CAR,
        lat_deg=round(point.lat_deg, 7),
        lon_deg=round(point.lon_deg, 7),
        heading_deg=90.0,
        speed_mps=speed_mps,
    )
    agent.on_packet(station.send(message, position=ego(point, now), now=now), now)


def ticketed_car(seed: int) -> tuple[Station, str]:
    """Return a car, and what its ticket is called."""
    ticket = HIERARCHY.ticket()
    return car(seed=seed, ticket=ticket), ticket.certificate.hashed_id8.hex()


def test_a_page_that_opens_is_told_the_plan_and_what_the_lights_show_and_until_when() -> None:
    agent, clock = unit(), clock_at()
    drive(agent, clock, 1.0)
    page = followed(view_of(agent), agent, clock)
    assert page.picture["plan"]["name"] == MAP.name
    assert len(page.picture["plan"]["lanes"]) == len(MAP.lanes)
    assert page.phases == {1: "permissive_movement_allowed", 2: "stop_and_remain"}
    green = page.picture["lights"][0]
    assert green[1] == "north-south"
    assert [(end - NOON // 1_000_000) / 1_000 for end in green[3:]] == [25.0, 25.0, 25.0], "the plan is sure of itself"
    assert page.picture["at_ms"] == NOON // 1_000_000 + 1_000
    assert page.picture["station_id"] == RSU_ID
    assert page.picture["orders"] is None
    assert page.picture["counts"]["sent"] >= 11


def test_only_what_changed_is_told_and_nothing_when_nothing_did() -> None:
    agent, clock, (speaker, name) = unit(), clock_at(), ticketed_car(9)
    view = view_of(agent)
    drive(agent, clock, 1.0)
    looked(view, agent, clock)
    assert looked(view, agent, clock) is None
    say(agent, speaker, clock)
    change = looked(view, agent, clock, with_status=False)
    assert change is not None
    ((kind, told),) = events_in(change)
    assert kind == "change"
    assert told.keys() == {"at_ms", "vehicles"}
    assert list(told["vehicles"]) == [name]
    drive(agent, clock, 24.9)
    lights = looked(view, agent, clock, with_status=False)
    assert lights is not None
    assert events_in(lights)[0][1]["lights"][0][2] == "permissive_clearance"


def test_a_glimpse_of_a_peer_says_what_its_row_says_and_stays_the_same_until_it_is_heard_again() -> None:
    agent, clock, (speaker, _), (liar, _) = unit(), clock_at(), ticketed_car(9), ticketed_car(10)
    for step in range(6):
        say(agent, speaker, clock, east_m=4.0 * step)
        say(agent, liar, clock, east_m=-80.0 if step % 2 else 80.0)
    agent.on_packet(roadworks_by(speaker, HIERARCHY.ticket(), clock.now()), clock.now())
    glimpses = {each.ticket: each for each in agent.peers.glimpses()}
    assert len(glimpses) == len(agent.peers) == 3
    for peer in agent.peers:
        assert {name: getattr(peer, name) for name in Glimpse._fields} == glimpses[peer.ticket]._asdict()
    assert all(each is glimpses[each.ticket] for each in agent.peers.glimpses())
    say(agent, liar, clock)
    assert [each is glimpses[each.ticket] for each in agent.peers.glimpses()].count(False) == 1


def test_a_car_is_where_it_says_it_is_until_it_is_silent_and_then_gone() -> None:
    agent, clock, (speaker, name) = unit(), clock_at(), ticketed_car(9)
    view = view_of(agent)
    page = followed(view, agent, clock)
    say(agent, speaker, clock, east_m=-60.0)
    page.take(looked(view, agent, clock))
    row = page.row(name)
    assert (row["east_m"], row["north_m"]) == pytest.approx((-60.0, -5.0), abs=0.2)
    assert (row["trust"], row["heading_deg"], row["speed_mps"], row["is_silent"]) == ("trusted", 90, 10.0, False)
    clock.advance(4 * NS_PER_S)
    page.take(looked(view, agent, clock))
    assert page.row(name)["is_silent"] is True
    clock.advance(60 * NS_PER_S)
    agent.status(clock.now())
    page.take(looked(view, agent, clock))
    assert page.vehicles == {}


def test_a_car_that_jumps_about_is_no_longer_believed_and_the_page_says_which_check_failed() -> None:
    agent, clock, (honest, good_name), (liar, bad_name) = unit(), clock_at(), ticketed_car(1), ticketed_car(2)
    view = view_of(agent)
    page = followed(view, agent, clock)
    for step in range(8):
        say(agent, honest, clock, east_m=20.0 + 4.0 * step)
        say(agent, liar, clock, east_m=120.0 if step % 2 else -120.0)
    page.take(looked(view, agent, clock))
    assert page.row(good_name)["trust"] == "trusted"
    lying = page.row(bad_name)
    assert lying["trust"] == "distrusted"
    assert lying["why"].startswith("C1: the position jumped")


def test_untrusted_expired_and_under_privileged_senders_are_each_shown_with_the_reason() -> None:
    known = (HIERARCHY.aa.certificate, FOREIGN.aa.certificate)
    agent, clock = bare_unit(TrustStore.of_operator((HIERARCHY.root.certificate,), known)), clock_at()
    view = make_view(agent, None, position=HERE, takes_orders=False)
    stranger, humble = make_peer(FOREIGN, 7), make_peer(HIERARCHY, 8)
    old, low = HIERARCHY.ticket(valid_hours=1), HIERARCHY.ticket()
    now = clock.now()
    agent.on_packet(heard_cam(stranger, now, east_m=40.0), now)
    agent.on_packet(forged_message(old, encode_cam(cam_of(humble, now)), BtpPort.CAM, ItsAid.CAM, now), now)
    looked(view, agent, clock)
    now = clock.advance(NS_PER_S // 2)
    agent.on_packet(roadworks_by(humble, low, now), now)
    page = followed(view, agent, clock)
    assert page.refused == ["permission_denied", "expired_certificate", "untrusted_root"], "the last one first"
    assert [each["count"] for each in page.picture["refusals"]] == [1, 1, 1]
    assert page.picture["refusals"][0]["last_ms"] - page.picture["refusals"][1]["last_ms"] == 500
    rows = {row["refused"]: (row["trust"], row["station_id"]) for row in map(page.row, page.vehicles)}
    assert rows == {
        "untrusted root 1": ("refused", None),
        "expired certificate 1": ("refused", None),
        "permission denied 1": ("doubted", 8),
    }, "whose name is only claimed is refused; who signed what it may not say is known, and in doubt"
    assert page.row(f"refused {old.certificate.hashed_id8.hex()}")["why"]
    assert page.row(low.certificate.hashed_id8.hex())["why"].startswith("S1: permission_denied")


def test_what_others_say_under_a_peers_name_does_not_make_it_look_like_a_liar() -> None:
    agent, clock, (victim, name) = unit(), clock_at(), ticketed_car(3)
    view = view_of(agent)
    say(agent, victim, clock)
    genuine = cam(victim, clock.advance(NS_PER_S // 5))
    for flip in range(1, 9):
        agent.on_packet(genuine[:-1] + bytes([genuine[-1] ^ flip]), clock.now())
    page = followed(view, agent, clock)
    assert page.row(name)["trust"] == "trusted"
    assert page.row(name)["why"] == ""
    assert page.picture["refusals"][0]["count"] == 8


def test_whoever_follows_the_changes_knows_what_whoever_opens_the_page_now_is_told() -> None:
    agent, clock, lot = unit(), clock_at(), Random(11)
    cars = [car(seed=seed) for seed in range(20, 26)]
    view = view_of(agent)
    page = followed(view, agent, clock)
    for step in range(150):
        match lot.randrange(5):
            case 0:
                drive(agent, clock, lot.choice([0.1, 1.0, 8.0]))
            case 1:
                agent.on_packet(lot.randbytes(60), clock.now())
            case 2 if step > 100:
                clock.advance(20 * NS_PER_S)
            case _:
                say(agent, lot.choice(cars), clock, east_m=lot.uniform(-90, 90))
        page.take(looked(view, agent, clock, with_status=step % 3 == 0))
    page.take(looked(view, agent, clock))
    assert page.picture | {"at_ms": 0} == Follower([view.whole()]).picture | {"at_ms": 0}


def test_hazards_of_our_own_and_of_others_are_shown_where_they_are() -> None:
    agent, clock = unit(), clock_at()
    drive(agent, clock, 1.0)
    page = followed(view_of(agent), agent, clock)
    (own,) = page.picture["hazards"]
    assert (own["is_own"], own["words"], own["source"], own["id"]) == (True, "roadworks", "configured", None)
    assert own["place"] == pytest.approx([400.0, 0.0], abs=0.2)
    assert (own["distance_m"], own["radius_m"]) == (400, 1_000.0)


def test_a_hazard_that_a_car_warns_of_is_shown_with_its_place_and_may_be_denied_by_its_names() -> None:
    agent, clock, speaker = unit(), clock_at(), make_peer(HIERARCHY, 7)
    view = view_of(agent)
    now = clock.now()
    denm = denm_of(speaker, now, cause=CauseCode.ACCIDENT)
    agent.on_packet(speaker.send(denm, position=ego(HERE, now), now=now, area=Circle(centre=HERE, radius_m=500.0)), now)
    page = followed(view, agent, clock)
    (heard,) = [each for each in page.picture["hazards"] if not each["is_own"]]
    assert (heard["words"], heard["station_id"], heard["sequence_number"]) == ("accident", 7, denm.action_id.sequence_number)
    assert heard["place"] is not None
    assert heard["distance_m"] == round((heard["place"][0] ** 2 + heard["place"][1] ** 2) ** 0.5)


def test_a_junction_that_is_not_believed_shows_no_light_and_says_why() -> None:
    agent, clock = unit(), ManualClock(None)
    drive(agent, clock, 1.0)
    page = followed(view_of(agent), agent, clock)
    assert page.phases == {1: "unavailable", 2: "unavailable"}
    assert page.picture["at_ms"] is None
    assert page.picture["health"][0] == {
        "part": "clock",
        "state": "bad",
        "words": "UTC is not known: nothing is sent and nothing is believed",
    }


def test_a_unit_without_a_junction_has_a_page_too() -> None:
    agent, clock = bare_unit(), clock_at()
    view = make_view(agent, None, position=HERE, takes_orders=False)
    now = clock.now()
    agent.on_packet(heard_cam(make_peer(HIERARCHY, 7), now, east_m=30.0), now)
    page = followed(view, agent, clock)
    assert page.picture["plan"] is None
    assert page.picture["lights"] == []
    assert [row[1] for row in page.vehicles.values()] == pytest.approx([30.0], abs=0.2)


def test_a_page_that_may_give_orders_is_told_where_and_how_metres_become_degrees() -> None:
    page = followed(view_of(unit(), takes_orders=True), unit(), clock_at())
    offered = page.picture["orders"]
    assert offered["path"] == "/api/orders"
    north, east = offered["metres_per_degree"]
    aside = GeoPoint(offered["middle_deg"][0] + 30 / north, offered["middle_deg"][1] - 40 / east)
    assert offset_m(CENTRE, aside) == pytest.approx((-40.0, 30.0), abs=0.01)


def test_words_from_outside_cannot_end_an_event() -> None:
    agent, clock = unit(), clock_at()
    view, now = view_of(agent), clock.now()
    rude = "a\n\nevent: whole\ndata: {}\r\n\u2028"
    told = view.look(seen_of(agent), now, {"utc": "now", "upkeep": {"troubles": [{"about": rude, "detail": rude}]}})
    assert told is not None
    ((name, data),) = events_in(told)
    assert name == "change"
    assert data["health"][0]["words"] == rude


@pytest.mark.parametrize(
    ("status", "part", "state", "words"),
    [
        ({"utc": "now", "time_source": "assume_trusted"}, "clock", "odd", "trusted unseen"),
        ({"utc": "now", "junction": {"available": False, "reason": "it is stale"}}, "signal controller", "bad", "it is stale"),
        ({"utc": "now", "junction": {"available": True, "distrusted": 3}}, "signal controller", "good", "not believed 3 times"),
        ({"utc": "now", "tickets": {"current": None}}, "ticket", "bad", "none to sign with"),
        ({"utc": "now", "silent": {"denm": "permission_denied"}}, "own DENM", "bad", "permission denied"),
        ({"utc": "now", "radios": {"air": {"fault": "no such interface"}}}, "radio air", "bad", "no such interface"),
        ({"utc": "now", "ledger_relay": {"checkpoint_is_stale": True}}, "ledger relay", "odd", "old one"),
        ({"utc": "now", "junction": {"available": True, "link_fault": "no answer"}}, "way to the controller", "bad", "no answer"),
        ({"utc": "now", "evidence_store": {"lost": 2, "trouble": None}}, "evidence store", "odd", "2 pieces"),
        ({"utc": "now", "evidence_store": {"trouble": "the disk is full"}}, "evidence store", "bad", "the disk is full"),
        ({"utc": "now", "evidence_store": {"ledger": {"contradiction": "two trees"}}}, "ledger", "bad", "two trees"),
        ({"utc": "now", "evidence_store": {"ledger": {"trouble": "no answer"}}}, "ledger", "odd", "no answer"),
        ({"utc": "now", "evidence_store": {"ledger": {"proven": 7}}}, "ledger", "good", "the log: 7"),
        ({"utc": "now", "witness": {"fault": "port taken"}}, "witness", "bad", "port taken"),
        ({"utc": "now", "backhaul": {"is_connected": False, "broker": "mq:8883"}}, "backhaul", "odd", "No connection to mq:8883"),
        ({"utc": "now", "shed": {"cam": 4}}, "load", "odd", "cam 4"),
        ({"utc": "now", "router": {"dcc": {"busy_ratio": 0.7}}}, "channel", "odd", "70%"),
        ({"utc": "now", "upkeep": {"troubles": [{"about": "lists", "detail": "no answer"}]}}, "upkeep: lists", "bad", "no answer"),
    ],
)
def test_each_part_in_trouble_is_told_in_a_sentence_and_before_those_that_are_well(
    status: dict[str, object], part: str, state: str, words: str
) -> None:
    parts = health_of(status)
    found = {each.part: each for each in parts}[part]
    assert found.state == state
    assert words in found.words
    order = {"bad": 0, "odd": 1, "good": 2}
    assert [order[each.state] for each in parts] == sorted(order[each.state] for each in parts)


def test_what_controller_guard_and_priority_refused_is_listed_with_who_refused_it() -> None:
    agent, clock = unit(), clock_at()
    view, now = view_of(agent), clock.now()
    junction = {"controller": {"refused": {"wrong_length": 2}}, "doubts": {"conflict": 1, "stale": 0}}
    priority = {"counters": {"requests": 4, "priority_role_not_permitted": 3}}
    view.look(seen_of(agent), now, {"utc": "now", "junction": junction, "priority": priority})
    page = Follower([view.whole()])
    listed = {(each["source"], each["reason"]): (each["count"], each["words"]) for each in page.picture["refusals"]}
    assert listed.keys() == {
        ("signal controller", "wrong_length"),
        ("guard", "conflict"),
        ("priority", "priority_role_not_permitted"),
    }
    assert listed["signal controller", "wrong_length"] == (2, "Wrong length.")
    assert "nobody else is let through" in listed["priority", "priority_role_not_permitted"][1]


def test_more_reasons_than_anybody_reads_are_let_go_the_oldest_first() -> None:
    recent = RecentRefusals()
    for number in range(MAX_KEPT + 50):
        assert recent.look("radio", {f"reason_{number}": 1}, number)
    assert not recent.look("radio", {f"reason_{MAX_KEPT + 49}": 1}, 9_999), "it did not grow"
    latest = recent.latest
    assert [each.last_ms for each in latest] == list(range(MAX_KEPT + 49, MAX_KEPT + 49 - MAX_SHOWN, -1))
    assert latest[0].words == f"Reason {MAX_KEPT + 49}."


def test_an_ambulance_that_asks_to_be_let_through_is_shown_with_what_it_is_answered() -> None:
    road = Road(AMBULANCE, StationRole.EMERGENCY)
    road.siren(on=True)
    road.drive(3.0)
    page = followed(view_of(road.unit), road.unit, road.clock)
    (asking,) = page.picture["asking"]
    assert asking["level"] == "emergency"
    assert asking["answer"] == "granted: so it was told"
    assert asking["way"].startswith("lane 12")
    assert asking["station_id"] == str(road.station.identity.station_id)
