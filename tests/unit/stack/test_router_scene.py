"""Several stations: a hazard goes over hops and links, everybody is told once, and nobody can silence it."""

from shared.core.geo import displaced
from shared.network.area import Circle
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.pki.permission_sets import StationRole
from shared.stack.router import Forwarding
from tests.helpers.identities import HERE, denm_of
from tests.helpers.scene import Member, Scene

WIDE = Circle(centre=HERE, radius_m=1_700.0)
ATTACKER_MAC = b"\x02\x66\0\0\0\1"


def east(metres: float) -> Circle:
    return Circle(centre=displaced(HERE, metres, 0.0), radius_m=300.0)


def road(*easts_m: float, range_m: float = 600.0) -> tuple[Scene, list[Member]]:
    """Put up cars on one road, numbered from 1, all on one link."""
    scene = Scene(range_m=range_m)
    cars = [scene.put_up(number, displaced(HERE, metres, 0.0), "a") for number, metres in enumerate(easts_m, 1)]
    scene.introduce()
    scene.air.clear()
    return scene, cars


def test_a_hazard_goes_over_two_hops_and_everybody_is_told_once() -> None:
    scene, (first, *others) = road(0.0, 500.0, 1_000.0, 1_500.0)
    scene.say(first, WIDE)
    scene.run(1_000)
    assert scene.forwards() == [(2, 9), (3, 8), (4, 7)]
    assert [len(car.hazards) for car in others] == [1, 1, 1]
    assert first.hazards == []
    assert first.inbound.echoes >= 2, "its own packet came back, and came back forwarded"
    assert [dict(car.inbound.refused) for car in scene.members.values()] == [{}] * 4


def test_a_forwarder_changes_the_hops_left_and_nothing_else() -> None:
    scene, (first, *_others) = road(0.0, 500.0, 1_000.0)
    said = scene.say(first, WIDE)
    scene.run(1_000)
    assert said is not None
    assert said[3] == 10
    for each in scene.air:
        assert each.packet[:3] + bytes((10,)) + each.packet[BASIC_HEADER_OCTETS:] == said


def test_whoever_is_placed_better_forwards_and_the_others_keep_silent() -> None:
    scene, (first, *_near, _far) = road(0.0, 100.0, 200.0, 550.0)
    scene.say(first, Circle(centre=HERE, radius_m=600.0))
    scene.run(1_000)
    assert scene.forwards() == [(4, 9)]
    assert sum(car.inbound.copies for car in scene.members.values()) >= 3
    assert scene.members[2].router.status()["forwarding"] == {"contended": 1, "suppressed": 1}


def test_outside_the_area_only_whoever_is_nearer_to_it_passes_the_hazard_on() -> None:
    scene, cars = road(0.0, 400.0, -400.0, 900.0, 1_400.0)
    scene.say(cars[0], east(1_300.0))
    scene.run(1_000)
    assert scene.forwards()[:2] == [(2, 9), (4, 8)], "not the third, which is further from it than the first"
    assert [len(car.hazards) for car in cars] == [0, 0, 0, 0, 1]
    assert cars[2].router.status()["forwarding"]["no_progress"] >= 1  # type: ignore[index]


def test_single_hops_are_never_passed_on() -> None:
    scene, (first, *_others) = road(0.0, 100.0, 200.0)
    scene.say(first, None)
    scene.run(1_000)
    assert [each.sender for each in scene.air] == [1]


def test_the_last_hop_is_the_last() -> None:
    scene, cars = road(0.0, 500.0, 1_000.0)
    now = scene.clock.now()
    station = cars[0].inbound._station
    position = cars[0].place(now)
    assert position is not None
    warning = denm_of(station, now)
    scene.carry_out(cars[0], cars[0].router.say(warning, position=position, now=now, area=WIDE, max_hop_limit=2))
    scene.run(1_000)
    assert [(each.sender, each.hops) for each in scene.air] == [(1, 2), (2, 1)]
    assert [len(car.hazards) for car in cars] == [0, 1, 1]


def test_a_hazard_repeated_with_one_hop_is_not_silenced() -> None:
    scene, (first, *others) = road(0.0, 500.0, 1_000.0)
    said = scene.say(first, WIDE)
    assert said is not None
    scene.run(1)
    for hops in (1, 2, 8):
        scene.put_on_air(66, displaced(HERE, 250.0, 0.0), "a", said[:3] + bytes((hops,)) + said[4:], ATTACKER_MAC)
    scene.air.clear()
    scene.run(1_000)
    assert scene.forwards() == [(2, 9), (3, 8)]
    assert [len(car.hazards) for car in others] == [1, 1]


def test_a_hazard_heard_first_with_its_last_hops_goes_on_with_all_that_are_left_later() -> None:
    scene, cars = road(0.0, 500.0, 1_000.0)
    said = scene.say(cars[0], WIDE)
    assert said is not None
    scene.air.clear()
    spoiled = said[:3] + b"\x02" + said[4:]
    scene._flying.clear()
    scene.put_on_air(66, displaced(HERE, 300.0, 0.0), "a", spoiled, ATTACKER_MAC)
    scene.run(200)
    assert [(each.sender, each.hops) for each in scene.air] == [(66, 2), (2, 1)]
    scene.put_on_air(1, cars[0].point, "a", said, cars[0].inbound._station.identity.address.mac)
    scene.run(1_000)
    assert scene.forwards() == [(66, 2), (2, 9), (3, 8)]
    assert [len(car.hazards) for car in cars[1:]] == [1, 1]


def test_a_unit_bridges_two_networks_and_each_hears_the_hazard_once() -> None:
    scene = Scene()
    first = scene.put_up(1, HERE, "a")
    unit = scene.put_up(9, displaced(HERE, 200.0, 0.0), "a", "b", forwarding=Forwarding.ALL_LINKS, role=StationRole.RSU)
    far = scene.put_up(2, displaced(HERE, 400.0, 0.0), "b")
    scene.introduce()
    scene.air.clear()
    scene.say(first, WIDE)
    scene.run(1_000)
    assert (9, 9) in scene.forwards("b")
    assert (len(unit.hazards), len(far.hazards)) == (1, 1)
    assert scene.forwards("a").count((9, 9)) == 1
    assert scene.forwards("b").count((9, 9)) == 1


def test_what_a_broker_has_told_everybody_is_not_told_there_again_but_carried_to_the_air() -> None:
    scene = Scene()
    first = scene.put_up(1, HERE, "broker")
    unit = scene.put_up(9, displaced(HERE, 200.0, 0.0), "a", "broker", forwarding=Forwarding.ALL_LINKS, role=StationRole.RSU)
    far = scene.put_up(2, displaced(HERE, 400.0, 0.0), "a")
    second = scene.put_up(3, displaced(HERE, 500.0, 0.0), "broker")
    for member, links in ((first, ["broker"]), (unit, ["a", "broker"]), (second, ["broker"])):
        member.router.set_links(links, unshared=["broker"])
    scene.introduce()
    scene.air.clear()
    scene.say(first, WIDE)
    scene.run(1_000)
    assert scene.forwards("broker") == []
    assert (9, 9) in scene.forwards("a")
    assert [len(each.hazards) for each in (unit, far, second)] == [1, 1, 1]


def test_of_two_bridges_one_sends_and_the_other_hears_it() -> None:
    scene = Scene()
    first = scene.put_up(1, HERE, "a")
    for number in (8, 9):
        place = displaced(HERE, 200.0, 10.0 * number)
        scene.put_up(number, place, "a", "b", forwarding=Forwarding.ALL_LINKS, role=StationRole.RSU)
    far = scene.put_up(2, displaced(HERE, 400.0, 0.0), "b")
    scene.introduce()
    scene.air.clear()
    scene.say(first, WIDE)
    scene.run(1_000)
    bridged = [sender for sender, hops in scene.forwards("b") if hops == 9]
    assert len(bridged) == 1
    assert len(far.hazards) == 1


def test_a_unit_that_joins_its_networks_hears_a_copy_on_one_and_still_sends_on_the_other() -> None:
    scene = Scene()
    first = scene.put_up(1, HERE, "a")
    scene.put_up(9, displaced(HERE, 100.0, 0.0), "a", "b", forwarding=Forwarding.ALL_LINKS, role=StationRole.RSU)
    scene.put_up(3, displaced(HERE, 500.0, 0.0), "a")
    far = scene.put_up(2, displaced(HERE, 150.0, 0.0), "b")
    scene.introduce()
    scene.air.clear()
    scene.say(first, WIDE)
    scene.run(1_000)
    assert (3, 9) in scene.forwards("a")
    assert (9, 9) not in scene.forwards("a")
    assert scene.forwards("b")[0] == (9, 9)
    assert len(far.hazards) == 1


def test_a_copy_from_a_forwarder_is_counted_and_one_with_all_its_hops_is_a_duplicate() -> None:
    scene, (first, second, _third) = road(0.0, 100.0, 500.0)
    said = scene.say(first, WIDE)
    assert said is not None
    scene.run(1_000)
    copies = second.inbound.copies
    assert copies >= 1
    assert dict(second.inbound.refused) == {}
    scene.put_on_air(66, HERE, "a", said, ATTACKER_MAC)
    scene.run(100)
    assert dict(second.inbound.refused) == {"duplicate_message": 1}
    assert second.inbound.copies == copies
