"""The signs a roadside unit says, as a driver sees them: ahead, then holding, then behind; and who may take them down."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import rsu_agent.junctions
from rsu_agent.sign_files import load_signs
from shared.core.clock import NS_PER_S, Instant
from shared.core.geo import GeoPoint, displaced, metres_per_degree
from shared.core.ids import StationId
from shared.core.itstime import TimestampIts, time64_of, timestamp_its
from shared.messages.ivim import IviContainer, IviDirection, Ivim, IviSigns, IviStatus, IviTextLine, decode_ivim, encode_ivim
from shared.messages.ivim_attributes import SignAttribute, SignPeriod, SignSpeeds, SignUnit
from shared.messages.ivim_signs import Iso14823Sign, RoadSign, TrafficSign, ViennaClass, ViennaSign
from shared.messages.ivim_zones import IviLocation, IviZone, ZoneLine, ZoneOffset, ZonePosition, ZoneSegment
from shared.stack.station import EgoPosition
from tests.unit.vehicle_agent.test_local_dynamic_map import around, kinds_of, replace_position, shared_lane, state, view_of
from tests.unit.vehicle_agent.test_signals_ahead import CENTRE, at
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.road_signs import (
    MAX_SIGNS,
    MAX_SIGNS_PER_TICKET,
    SIGN_LIFETIME_NS,
    Pictogram,
    RoadSignAhead,
    RoadSigns,
    limit_of,
)

EXAMPLE = Path(rsu_agent.junctions.__file__).parent / "crossing.signs.toml"
(SIGN,) = load_signs(EXAMPLE)
REFERENCE = GeoPoint(48.137, 11.571)
VIENNA = RoadSign(vienna=ViennaSign(sign_class=ViennaClass.CLASS_C, sign_code=14, value=60, unit=SignUnit.KM_PER_H))


def made(second: float) -> TimestampIts:
    return timestamp_its(time64_of(at(second).require_utc()))


def example(second: float = 0.0, status: IviStatus = IviStatus.NEW) -> Ivim:
    return decode_ivim(encode_ivim(SIGN.ivim(StationId(4049), status, made(second))))


def strip(*ways_m: tuple[float, float], start: GeoPoint = REFERENCE, width_m: float | None = 6.5) -> ZoneSegment:
    per_lat, per_lon = metres_per_degree(start.lat_deg)
    offsets = tuple(ZoneOffset(delta_lat_deg=north / per_lat, delta_lon_deg=east / per_lon) for east, north in ways_m)
    return ZoneSegment(line=ZoneLine(offsets=offsets), lane_width_m=width_m)


def ivim(
    *zones: IviZone, second: float = 0.0, number: int = 1, reference: GeoPoint = REFERENCE, holds_in: int = 1, **fields: Any
) -> Ivim:
    signs: dict[str, Any] = {"ivi_type": 1, "road_signs": (VIENNA,), "relevance_zone_ids": (holds_in,), "detection_zone_ids": (2,)}
    location = IviLocation(lat_deg=reference.lat_deg, lon_deg=reference.lon_deg, zones=zones)
    containers = (IviContainer(location=location), IviContainer(signs=(IviSigns(**{**signs, **fields}),)))
    return replace(example(second), ivi_identification_number=number, containers=containers)


EASTWARD = IviZone(zone_id=1, segment=strip((200.0, 0.0)))


def car(east_m: float, north_m: float = 0.0, *, heading_deg: float | None = 90.0, origin: GeoPoint = REFERENCE) -> EgoPosition:
    point = displaced(origin, east_m, north_m)
    return EgoPosition(point=point, taken_at=at(0).require_utc(), speed_mps=13.9, heading_deg=heading_deg)


def seen(said: Ivim, ego: EgoPosition, now: Instant | None = None) -> tuple[RoadSignAhead, ...]:
    signs = RoadSigns()
    signs.hear(verified(said, at(0)), at(0))
    return signs.ahead(now or at(0), ego)


def test_a_sign_is_approached_then_holds_and_is_left_behind() -> None:
    drive = {east_m: seen(example(), car(east_m)) for east_m in (-230.0, -200.0, -10.0, 5.0, 290.0, 310.0)}
    assert {east_m: [(sign.holds, round(sign.distance_m)) for sign in found] for east_m, found in drive.items()} == {
        -230.0: [],
        -200.0: [(False, 200)],
        -10.0: [(False, 10)],
        5.0: [(True, 0)],
        290.0: [(True, 0)],
        310.0: [],
    }
    for sign in (*drive[-10.0], *drive[5.0]):
        assert sign.pictograms == (Pictogram(iso14823=557, speed_mps=30 / 3.6, limit_mps=30 / 3.6),)
        assert sign.text == (("DE", "Baustelle"),)


@pytest.mark.parametrize("ego", [car(50.0, 10.0), car(50.0, heading_deg=270.0), car(50.0, heading_deg=None)])
def test_who_drives_beside_it_or_the_other_way_or_nowhere_is_not_meant(ego: EgoPosition) -> None:
    assert seen(example(), ego) == ()


@pytest.mark.parametrize(
    ("direction", "heading_deg", "meant"),
    [
        (None, None, [90.0]),
        (IviDirection.SAME_DIRECTION, 90.0, [90.0]),
        (IviDirection.OPPOSITE_DIRECTION, None, [270.0]),
        (IviDirection.OPPOSITE_DIRECTION, 90.0, [270.0]),
        (IviDirection.BOTH_DIRECTIONS, None, [90.0, 270.0]),
    ],
)
def test_a_sign_is_for_the_direction_it_says(direction: IviDirection | None, heading_deg: float | None, meant: list[float]) -> None:
    said = ivim(replace(EASTWARD, heading_deg=heading_deg), direction=direction)
    assert [heading for heading in (0.0, 90.0, 180.0, 270.0) if seen(said, car(50.0, heading_deg=heading))] == meant


def test_a_zone_may_be_said_by_places_and_without_a_width() -> None:
    places = tuple(displaced(REFERENCE, east_m, 0.0) for east_m in (100.0, 200.0))
    positions = tuple(ZonePosition(lat_deg=place.lat_deg, lon_deg=place.lon_deg) for place in places)
    said = ivim(IviZone(zone_id=1, segment=ZoneSegment(line=ZoneLine(positions=positions))))
    assert [bool(seen(said, car(east_m, 5.0))) for east_m in (50.0, 150.0, 250.0)] == [False, True, False]
    assert not seen(said, car(150.0, 7.0))


def test_a_zone_of_a_kind_not_known_here_or_without_places_holds_nowhere() -> None:
    nowhere = ZoneLine(offsets=(ZoneOffset(delta_lat_deg=None, delta_lon_deg=None),))
    for zone in (IviZone(zone_id=1), IviZone(zone_id=1, area=ZoneLine()), IviZone(zone_id=1, segment=ZoneSegment(line=nowhere))):
        assert seen(ivim(zone), car(0.0)) == ()
    assert seen(ivim(EASTWARD, holds_in=9), car(50.0)) == ()
    pole = GeoPoint(90.0, 0.0)
    beyond = ZoneLine(offsets=(ZoneOffset(delta_lat_deg=0.013, delta_lon_deg=0.0),))
    said = ivim(IviZone(zone_id=1, segment=ZoneSegment(line=beyond)), reference=pole)
    assert seen(said, car(0.0, origin=pole)) == ()


HOURS = SignAttribute(applies=SignPeriod())
LIMIT = Iso14823Sign(
    nature=5,
    serial_number=57,
    traffic_sign=TrafficSign.REGULATORY,
    attributes=(SignAttribute(speeds=SignSpeeds(unit=SignUnit.MILES_PER_H, highest=30)),),
)


@pytest.mark.parametrize(
    ("fields", "limit_kmh"),
    [
        ({}, 60),
        ({"road_signs": (RoadSign(iso14823=LIMIT),)}, 48),
        ({"road_signs": (RoadSign(iso14823=LIMIT), VIENNA)}, 48),
        ({"road_signs": (RoadSign(iso14823=replace(LIMIT, serial_number=58)),)}, None),
        ({"road_signs": (RoadSign(vienna=ViennaSign(sign_class=2, sign_code=17, value=60, unit=SignUnit.KM_PER_H)),)}, None),
        ({"road_signs": (RoadSign(iso14823=replace(LIMIT, attributes=(*LIMIT.attributes, HOURS))),)}, None),
        ({"applicable_lanes": (1,)}, None),
        ({"driver_characteristics": 0}, None),
        ({"vehicle_characteristics": ({},)}, None),
    ],
)
def test_a_limit_is_one_that_is_said_to_everybody_at_all_times(fields: dict[str, Any], limit_kmh: int | None) -> None:
    found = seen(ivim(EASTWARD, **fields), car(50.0))
    assert len(found) == 1, "it is shown all the same"
    limit_mps = limit_of(found)
    assert (None if limit_mps is None else round(limit_mps * 3.6)) == limit_kmh


def test_a_sign_without_a_pictogram_known_here_and_without_text_is_not_shown() -> None:
    unknown = (RoadSign(itis_code=5),)
    assert seen(ivim(EASTWARD, road_signs=unknown), car(50.0)) == ()
    assert seen(ivim(EASTWARD, road_signs=unknown, extra_text=(IviTextLine(text="Stau", language="DE"),)), car(50.0))


def test_a_sign_holds_from_its_beginning_to_its_end() -> None:
    said = replace(example(), valid_from=made(10.0), valid_until=made(20.0))
    shown = [bool(seen(said, car(50.0), at(second))) for second in (9.9, 10.1, 19.9, 20.1)]
    assert shown == [False, True, True, False]


def test_a_newer_version_replaces_an_older_and_an_older_changes_nothing() -> None:
    signs = RoadSigns()
    signs.hear(verified(ivim(EASTWARD, second=5.0, road_signs=(VIENNA,)), at(5)), at(5))
    signs.hear(verified(ivim(EASTWARD, second=1.0, road_signs=(RoadSign(iso14823=LIMIT),)), at(5)), at(5))
    assert [round((sign.limit_mps or 0) * 3.6) for sign in signs.ahead(at(5), car(50.0))] == [60]
    signs.hear(verified(ivim(EASTWARD, second=6.0, road_signs=(RoadSign(iso14823=LIMIT),)), at(6)), at(6))
    assert [round((sign.limit_mps or 0) * 3.6) for sign in signs.ahead(at(6), car(50.0))] == [48]


def test_who_said_a_sign_takes_it_down_for_good_and_nobody_else_does() -> None:
    signs = RoadSigns()
    signs.hear(verified(example(1.0), at(1)), at(1))
    for status in (IviStatus.CANCELLATION, IviStatus.NEGATION):
        signs.hear(verified(example(2.0, status), at(2), signer=2), at(2))
        assert len(signs.ahead(at(2), car(50.0))) == 1
    signs.hear(verified(example(2.0, IviStatus.CANCELLATION), at(2)), at(2))
    assert signs.ahead(at(2), car(50.0)) == ()
    signs.hear(verified(example(1.0), at(3)), at(3))
    assert signs.ahead(at(3), car(50.0)) == (), "a late repetition brings nothing back"
    signs.hear(verified(example(4.0), at(4)), at(4))
    assert len(signs.ahead(at(4), car(50.0))) == 1


def test_a_sign_of_two_tickets_is_shown_once_in_its_later_version() -> None:
    signs = RoadSigns()
    signs.hear(verified(ivim(EASTWARD, second=2.0), at(2), signer=2), at(2))
    signs.hear(verified(ivim(EASTWARD, second=1.0, road_signs=(RoadSign(iso14823=LIMIT),)), at(2), signer=1), at(2))
    (sign,) = signs.ahead(at(2), car(50.0))
    assert sign.pictograms[0].vienna == "C14"


def test_a_sign_that_is_not_heard_any_more_is_forgotten_and_one_that_is_repeated_stays() -> None:
    signs, lifetime_s = RoadSigns(), SIGN_LIFETIME_NS / NS_PER_S
    signs.hear(verified(example(), at(0)), at(0))
    signs.hear(verified(example(), at(100)), at(100))
    assert len(signs.ahead(at(100 + lifetime_s), car(50.0))) == 1
    assert signs.ahead(at(101 + lifetime_s), car(50.0)) == ()
    assert len(signs) == 0


def test_one_ticket_takes_nobody_elses_room() -> None:
    signs = RoadSigns()
    signs.hear(verified(example(), at(0)), at(0))
    for number in range(1, MAX_SIGNS_PER_TICKET + 20):
        signs.hear(verified(ivim(EASTWARD, number=number), at(0), signer=2), at(0))
    assert len(signs) == MAX_SIGNS_PER_TICKET + 1
    for signer in range(3, 40):
        for number in range(1, 8):
            signs.hear(verified(ivim(EASTWARD, number=number), at(0), signer=signer), at(0))
    assert len(signs) == MAX_SIGNS
    few = RoadSigns(2)
    for signer in (1, 2, 1, 3):
        few.hear(verified(ivim(EASTWARD, number=signer), at(0), signer=signer), at(0))
    shown = few.ahead(at(0), car(50.0))
    assert sorted(sign.key[1] for sign in shown) == [1, 3], "the one heard longest ago gave way"
    with pytest.raises(ValueError, match="at least one sign"):
        RoadSigns(0)


def test_the_driver_sees_a_sign_that_is_ahead_is_told_again_when_it_holds_and_drives_by_its_limit() -> None:
    south = displaced(CENTRE, 4.5, -200.0)
    zones = (
        IviZone(zone_id=1, segment=strip((0.0, 190.0), start=south)),
        IviZone(zone_id=2, segment=strip((0.0, -100.0), start=south)),
    )
    here = around()
    shared_lane(here)
    here.hear(verified(ivim(*zones, reference=south, road_signs=(RoadSign(iso14823=LIMIT),)), at(0)), at(0))
    before = here.poll(state(north_m=-250.0), at(0))
    assert kinds_of(before).count("road_sign") == 1
    view = view_of(before)
    assert [(sign["holds"], sign["distance_m"], sign["provider"]) for sign in view["road_signs"]] == [(False, 50.0, "DE 7")]
    assert view["speed_limit"] == {"kmh": 50, "source": "map"}
    then = here.poll(state(north_m=-165.0, now=at(1)), at(1))
    assert kinds_of(then).count("road_sign") == 1
    view = view_of(then)
    assert view["speed_limit"] == {"kmh": 48, "source": "sign"}
    assert [(sign["holds"], sign["speed_limit_kmh"], sign["pictograms"]) for sign in view["road_signs"]] == [
        (True, 48, [{"iso14823": 557, "vienna": None, "speed_kmh": 48}])
    ]
    assert (view["signals"][0]["speed_limit_kmh"], view["signals"][0]["advice"]["limit_kmh"]) == (50, 48)
    again = here.poll(state(north_m=-160.0, now=at(1.5)), at(1.5))
    assert "road_sign" not in kinds_of(again)


DEGREES = st.none() | st.floats(-0.0131, 0.0131)
LINES = st.lists(st.tuples(DEGREES, DEGREES), max_size=6)


@settings(max_examples=100, deadline=None)
@given(
    place=st.sampled_from([CENTRE, GeoPoint(90.0, 0.0), GeoPoint(-89.999, 180.0), GeoPoint(0.0, -179.9999)]),
    lines=st.lists(LINES, min_size=2, max_size=3),
    heading_deg=st.none() | st.sampled_from([0.0, 359.9]),
    direction=st.none() | st.integers(0, 3),
    width_m=st.none() | st.floats(0.0, 10.23),
)
def test_wherever_a_sign_is_said_to_be_the_view_fits_its_schema(
    place: GeoPoint,
    lines: list[list[tuple[float | None, float | None]]],
    heading_deg: float | None,
    direction: int | None,
    width_m: float | None,
) -> None:
    zones = (
        IviZone(
            zone_id=number,
            heading_deg=heading_deg,
            segment=ZoneSegment(
                line=ZoneLine(offsets=tuple(ZoneOffset(delta_lat_deg=lat, delta_lon_deg=lon) for lat, lon in line)),
                lane_width_m=width_m,
            ),
        )
        for number, line in enumerate(lines, 1)
    )
    here = around()
    here.hear(verified(ivim(*zones, reference=place, direction=direction), at(0)), at(0))
    effects = here.poll(replace_position(state(), place, at(0).monotonic), at(0))
    assert len(view_of(effects)["road_signs"]) == kinds_of(effects).count("road_sign") <= 1
