"""What a running vehicle shows to people: in groups, in words, and true."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console

from shared.core.geo import displaced
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.stack.station import Station
from tests.helpers.identities import HERE, denm_of, ego, make_peer
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, Bench
from vehicle_agent.composition import make_agent
from vehicle_agent.odometer import OdometerPolicy
from vehicle_agent.status_view import status_tables

SECURED_S = 15.0
"""A car that stands with hazard lights and doors open is a hazard by then."""


def document_of(bench: Bench) -> dict[str, Any]:
    agent, now = bench.agent, bench.clock.now()
    document: dict[str, Any] = json.loads(json.dumps({**agent.status(), **agent.situation(now)}))
    return document


def rows_of(document: dict[str, Any]) -> list[str]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(status_tables(document))
    return [" ".join(line.replace("│", " ").split()) for line in capture.get().splitlines()]


def hear_of_a_breakdown(bench: Bench, unit: Station, metres: float) -> None:
    now, place = bench.clock.now(), displaced(HERE, metres, 0.0)
    area = Circle(centre=place, radius_m=1_000.0)
    bench.hear(unit.send(denm_of(unit, now, point=place), position=ego(now), now=now, area=area))


def test_a_driving_car_shows_who_it_is_what_it_said_and_what_lies_ahead(tmp_path: Path) -> None:
    unit = make_peer(HIERARCHY, 9, StationRole.RSU)
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=14.0)
        bench.run(1.0)
        hear_of_a_breakdown(bench, unit, 400.0)
        bench.run(1.0)
        document = document_of(bench)
        (hazard,) = document["hazards_heard"]
        assert (hazard["station_id"], hazard["cause_code"], hazard["disputed"]) == (9, 94, False)
        assert hazard["cause"].startswith("stationary vehicle")
        assert hazard["ahead_m"] == pytest.approx(hazard["distance_m"], abs=1.0)
        assert (document["position_known"], document["role"]["name"]) == (True, "default")
        assert document["ticket"]["ends"].endswith("Z")
        rows = rows_of(document)
        assert f"vehicle, now station {document['station_id']}" in rows
        for row in (
            "role default",
            "position known yes",
            f"sent cam {document['sent']['cam']}, denm 0",
            "verified denm 1",
            "1 hazards others tell of",
        ):
            assert row in rows, rows
        assert any(row.startswith(f"{hazard['cause']} {hazard['ahead_m']:.1f} ") for row in rows), rows
        assert "tickets held 1, valid 1, unused 0, fresh 1" in rows, rows


def test_a_car_that_stands_shows_the_reading_that_waits_for_confirmation_until_it_drives(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        parts = replace(bench.parts, odometer_policy=OdometerPolicy(every_m=1_000, every_s=3_600))
        bench.agent = make_agent(parts, entropy=Random(1).randbytes, started=bench.clock.now())
        bench.run(3.0)
        rows = rows_of(document_of(bench))
        assert "last recorded none: waiting for confirmation" in rows, rows
        (waiting,) = (row for row in rows if row.startswith("waiting "))
        assert waiting.startswith(
            "waiting 25,088.0 km is shown (cluster), not confirmed yet: the vehicle has not driven far enough"
        )
        bench.set(speed_mps=20.0)
        bench.run(5.0)
        rows = rows_of(document_of(bench))
        assert not any(row.startswith("waiting ") or "waiting for" in row for row in rows), rows


def test_a_hazard_that_lies_behind_is_shown_without_a_way_to_it(tmp_path: Path) -> None:
    unit = make_peer(HIERARCHY, 9, StationRole.RSU)
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=14.0)
        bench.run(1.0)
        hear_of_a_breakdown(bench, unit, -300.0)
        bench.run(1.0)
        (hazard,) = document_of(bench)["hazards_heard"]
        assert hazard["ahead_m"] is None
        assert hazard["distance_m"] == pytest.approx(328.0, abs=5.0)


def test_a_car_that_does_not_know_its_place_says_so_and_still_shows_what_it_heard(tmp_path: Path) -> None:
    unit = make_peer(HIERARCHY, 9, StationRole.RSU)
    with Bench(tmp_path) as bench:
        bench.set(position=None)
        bench.run(1.0)
        hear_of_a_breakdown(bench, unit, 400.0)
        document = document_of(bench)
        (hazard,) = document["hazards_heard"]
        assert (hazard["ahead_m"], hazard["distance_m"]) == (None, None)
        assert "position known no: nothing is sent" in rows_of(document)


def test_own_hazards_are_shown_while_they_live(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        assert "own hazards: nothing" in rows_of(document_of(bench))
        bench.set(speed_mps=0.0, hazard_lights=True, doors_open=True)
        bench.run(SECURED_S)
        (hazard,) = document_of(bench)["hazards_told"]
        assert hazard["station_id"] == bench.agent.identity.station_id
        row = f"{hazard['cause']}, number {hazard['sequence_number']} of station {hazard['station_id']}"
        assert any(row in each for each in rows_of(document_of(bench)))


def test_a_role_its_ticket_does_not_allow_is_shown_as_not_said(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        document = document_of(bench)
    role = {"name": "emergency", "has_container": True, "shows_by_lamps": True, "lacking": []}
    document["role"] = {**role, "container_is_allowed": True}
    assert "role emergency, said while light bar or siren is on" in rows_of(document)
    document["role"] = {**role, "container_is_allowed": False, "lacking": ["emergencyContainer"]}
    document["withheld"] = {"emergencyContainer": 8}
    row = "role emergency, but not said: the ticket does not allow emergencyContainer (left out of 8 CAMs)"
    assert row in rows_of(document)


GNSS = {"source": "gpsd 127.0.0.1:2947", "is_up": True, "fix": "3d", "satellites": 9, "fixes": 40, "losses": 1}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ["gnss, gpsd 127.0.0.1:2947 fix 3d, 9 satellites; 40 fixes, lost 1 times"]),
        ({"in_doubt": True}, ["gnss, gpsd 127.0.0.1:2947 fix 3d, 9 satellites; 40 fixes, lost 1 times; it jumped, and nothing"]),
        ({"is_up": False, "last_fault": "cannot be reached"}, ["gnss, gpsd 127.0.0.1:2947 cannot be reached"]),
        ({"refused": {"stale": 2}, "faults": {"checksum": 3}}, ["fixes refused stale 2", "reports at fault checksum 3"]),
    ],
)
def test_a_receiver_is_told_in_a_line(told: dict[str, Any], expected: list[str]) -> None:
    rows = rows_of({"gnss": {**GNSS, **told}})
    assert all(any(words in row for row in rows) for words in expected), rows


def test_radios_and_troubles_are_told_in_a_line_each() -> None:
    trouble = {"about": "tickets", "code": "deniedpermissions", "detail": "the station may not have what it asks for"}
    rows = rows_of(
        {
            "radios": {
                "udp": {"fault": None, "sent": 172, "received": 201},
                "va1": {"fault": "no carrier", "sent": 0, "received": 0},
            },
            "upkeep": {"troubles": [trouble]},
        }
    )
    assert "radio udp up; sent 172, received 201" in rows
    assert "radio va1 no carrier; sent 0, received 0" in rows
    assert f"in trouble: tickets {trouble['detail']}" in rows


@pytest.mark.parametrize("odd", [{}, {"radios": [], "role": 7, "hazards_heard": "none", "sent": None, "driver": {"can": 3}}])
def test_a_document_of_another_version_is_shown_as_far_as_it_goes(odd: dict[str, Any]) -> None:
    assert "nobody warns of anything" in rows_of(odd)
