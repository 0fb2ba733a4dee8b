"""What a driver is told of what others say, and what becomes of messages that nobody should believe."""

from pathlib import Path

import pytest
from msgspec.structs import replace

import rsu_agent.junctions
from rsu_agent.sign_files import load_signs
from shared.core.geo import GeoPoint, displaced
from shared.core.itstime import TimestampIts, time64_of, timestamp_its
from shared.messages.denm import Termination
from shared.messages.ivim import IviStatus
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.stack.station import Station
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer, mapem_of, spatem_of
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, Bench


def rsu() -> Station:
    return make_peer(HIERARCHY, 9, StationRole.RSU)


def test_a_driver_hears_of_a_hazard_ahead_once_and_of_its_end(tmp_path: Path) -> None:
    hazard = displaced(HERE, 400.0, 0.0)
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=14.0)
        bench.run(1.0)
        now, unit = bench.clock.now(), rsu()
        bench.hear(
            unit.send(denm_of(unit, now, point=hazard), position=ego(now), now=now, area=Circle(centre=hazard, radius_m=1_000.0))
        )
        bench.run(2.0)
        (notice,) = bench.notices("hazard_ahead")
        assert notice["cause_code"] == 94
        assert notice["distance_m"] == pytest.approx(386.0, abs=10.0)
        assert notice["time_to_reach_s"] == pytest.approx(notice["distance_m"] / 14.0, abs=0.5)
        assert bench.status("verified") == {"denm": 1}
        assert bench.status("local_map")["hazards"] == 1
        bench.run(40.0)
        assert len(bench.notices("hazard_ahead")) == 1
        assert len(bench.notices("hazard_passed")) == 1


def test_a_driver_hears_what_the_light_of_the_lane_shows_and_again_when_it_changes(tmp_path: Path) -> None:
    unit = rsu()
    with Bench(tmp_path) as bench:
        bench.set(position=displaced(HERE, -60.0, 0.0), speed_mps=0.0)
        bench.run(1.0)
        now = bench.clock.now()
        for message in (mapem_of(unit), spatem_of(unit)):
            bench.hear(unit.send(message, position=ego(now), now=now))
        bench.run(0.5)
        (notice,) = bench.notices("signal_ahead")
        assert (notice["intersection"], notice["lane"], notice["signal_group"]) == (7, 1, 1)
        assert notice["colour"] == "red"
        assert notice["distance_to_stop_m"] == pytest.approx(55.0, abs=1.0)
        assert bench.status("verified") == {"mapem": 1, "spatem": 1}


def test_a_driver_hears_of_a_sign_where_it_begins_to_hold_and_not_again(tmp_path: Path) -> None:
    (sign,) = load_signs(Path(rsu_agent.junctions.__file__).parent / "crossing.signs.toml")
    unit = rsu()
    with Bench(tmp_path) as bench:
        bench.set(position=GeoPoint(48.137, 11.572), heading_deg=90.0, speed_mps=5.0)
        bench.run(1.0)
        now = bench.clock.now()
        ivim = sign.ivim(unit.identity.station_id, IviStatus.NEW, timestamp_its(time64_of(now.require_utc())))
        bench.hear(unit.send(ivim, position=ego(now), now=now, area=sign.area))
        bench.run(3.0)
        (notice,) = bench.notices("road_sign")
        assert (notice["holds"], notice["speed_limit_kmh"], notice["text"]) == (
            True,
            30,
            [{"language": "DE", "line": "Baustelle"}],
        )
        assert bench.status("verified") == {"ivim": 1}
        assert bench.status("local_map")["road_signs"] == 1


def test_a_driver_hears_nothing_while_the_car_does_not_know_where_it_is(tmp_path: Path) -> None:
    unit = rsu()
    with Bench(tmp_path) as bench:
        bench.set(position=None)
        bench.run(1.0)
        now = bench.clock.now()
        for message in (mapem_of(unit), spatem_of(unit), denm_of(unit, now)):
            bench.hear(unit.send(message, position=ego(now), now=now))
        bench.run(1.0)
        assert not {"signal_ahead", "hazard_ahead"} & set(bench.kinds())
        assert bench.status("verified") == {"mapem": 1, "spatem": 1, "denm": 1}


def test_a_car_whose_clock_is_not_set_believes_nobody_and_tells_nothing(tmp_path: Path) -> None:
    unit = rsu()
    with Bench(tmp_path) as bench:
        bench.run(1.0)
        now = bench.clock.now()
        packet = unit.send(denm_of(unit, now), position=ego(now), now=now)
        bench.clock.set_utc(None)
        bench.hear(packet)
        bench.run(1.0)
        assert bench.status("refused") == {"untrusted_time": 1}
        assert "hazard_ahead" not in bench.kinds()


def test_a_neighbour_s_message_is_counted_and_a_stranger_s_too(tmp_path: Path) -> None:
    neighbour = make_peer(HIERARCHY, 3)
    with Bench(tmp_path) as bench:
        bench.run(1.0)
        now = bench.clock.now()
        packet = neighbour.send(cam_of(neighbour, now), position=ego(now), now=now)
        for heard in (packet, packet, packet[:-1], b""):
            bench.hear(heard)
        assert bench.status("verified") == {"cam": 1}
        assert bench.status("refused") == {"duplicate_message": 1, "malformed": 2}


def test_the_car_s_own_packets_brought_back_are_neither_verified_nor_refused(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(2.0)
        for packet, _ in bench.packets:
            bench.hear(packet)
        assert bench.status("verified") == bench.status("refused") == {}
        assert bench.agent.inbound.echoes == len(bench.packets) == 2


def test_a_genuine_message_its_sender_had_no_right_to_is_counted_as_refused(tmp_path: Path) -> None:
    """One unit announces, another one cancels what is not its own."""
    unit, other = rsu(), make_peer(HIERARCHY, 8, StationRole.RSU)
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=14.0)
        bench.run(1.0)
        now = bench.clock.now()
        denm = denm_of(unit, now, point=displaced(HERE, 400.0, 0.0))
        bench.hear(unit.send(denm, position=ego(now), now=now))
        cancelled = replace(
            denm_of(other, now),
            action_id=denm.action_id,
            reference_time=TimestampIts(denm.reference_time + 1),
            termination=Termination.IS_CANCELLATION,
        )
        bench.hear(other.send(cancelled, position=ego(now), now=now))
        assert bench.status("refused") == {"permission_denied": 1}
        bench.run(1.0)
        assert len(bench.notices("hazard_ahead")) == 1
