"""What an operator may let the agent ask: the table, what is refused of it, and what people are told of it beforehand and after."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from shared.core.errors import ConfigError
from shared.service.config import load
from tests.helpers.control_units import VIN, Car, all_units
from tests.helpers.data import REPOSITORY
from tests.unit.vehicle_agent.vehicle_files import CONFIG
from vehicle_agent.config import VehicleConfig
from vehicle_agent.requests.config import RequestsConfig, describe_requests
from vehicle_agent.requests.status_rows import request_rows
from vehicle_agent.signals.car_maps import filters_of, load_car_maps
from vehicle_agent.status_view import status_tables

CLUSTER = """
[[requests.odometer]]
unit = "cluster"
request = 0x714
response = 0x77E
identifier = 0x2203
octets = 3
metres_per_bit = 1000
"""


def _requests(directory: Path, table: str) -> RequestsConfig | None:
    path = directory / "agent.toml"
    path.write_text(CONFIG + table)
    return load(path, VehicleConfig).requests


def test_without_the_table_nothing_is_asked(tmp_path: Path) -> None:
    assert _requests(tmp_path, "") is None
    assert list(describe_requests(None)) == ["no [requests]: nothing is asked of the vehicle's control units"]


def test_the_example_of_the_unit_file_is_a_table_that_loads(tmp_path: Path) -> None:
    lines = (REPOSITORY / "systemd/vehicle-agent.toml").read_text().splitlines()
    first = lines.index("# [requests]")
    commented = lines[first : lines.index("", first)]
    requests = _requests(tmp_path, "\n".join(line.removeprefix("# ") for line in commented))
    assert requests is not None
    defaults = RequestsConfig(bus="can0")
    names = (
        "ask",
        "obd",
        "identifiers",
        "rate_per_s",
        "only_at_standstill",
        "speed_every_s",
        "odometer_every_s",
        "part_identity_every_s",
    )
    assert {name: getattr(requests, name) for name in names} == {name: getattr(defaults, name) for name in names}
    assert set(requests.named) == {"cluster", "abs"}
    assert list(describe_requests(requests)) == [
        "on can0 at most 4 questions a second, while the ignition is on, for reading only",
        "OBD-II with 11 bits: speed every 1 s, odometer every 10 s where a unit has one",
        "odometer of cluster: 714/77e, identifier 2203, 3 octets from 0 on, 1000 m a bit, every 60 s, at standstill",
        "every 86400 s, at standstill, the control units are asked who they are (cluster, abs besides those of OBD-II)",
    ]


def test_listening_alone_is_said(tmp_path: Path) -> None:
    requests = _requests(tmp_path, '\n[requests]\nbus = "can0"\nask = false\n')
    assert list(describe_requests(requests)) == ["on can0 nothing is asked; answers to another tester are used"]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("[requests]\n", "bus"),
        ('[requests]\nbus = "can9"\n', 'requests.bus is can9; there is can0; give the .* that is meant name = "can9"'),
        ('[requests]\nbus = "can0"\nobd = false\n', "asks for nothing"),
        ('[requests]\nbus = "can0"\nrate_per_s = 100\n', "10.0"),
        ('[requests]\nbus = "can0"\nrate_per_s = 0\n', "0.1"),
        ('[requests]\nbus = "can0"\nidentifiers = 12\n', "11, 29"),
        ('[requests]\nbus = "can0"\nwrite = true\n', "unknown key `write`"),
        ('[requests]\nbus = "can0"\n' + CLUSTER + CLUSTER, "two \\[\\[requests.odometer\\]\\] are the same value"),
        ('[requests]\nbus = "can0"\n' + CLUSTER.replace("0x714", "0x77E"), "the same identifier"),
        ('[requests]\nbus = "can0"\n' + CLUSTER.replace("0x714", "0x800"), "is_extended = true"),
        ('[requests]\nbus = "can0"\n' + CLUSTER.replace("octets = 3", "octets = 9"), "octets"),
        ('[requests]\nbus = "can0"\n' + CLUSTER.replace("= 1000", "= 0"), "metres_per_bit"),
        ('[requests]\nbus = "can0"\n' + CLUSTER.replace("cluster", "Cluster 1"), "unit"),
        ('[requests]\nbus = "can0"\n' + CLUSTER + CLUSTER.replace("cluster", "other"), "two units answer on the same identifier"),
        (
            '[requests]\nbus = "can0"\n[[requests.unit]]\nunit = "cluster"\nrequest = 0x710\nresponse = 0x77A\n' + CLUSTER,
            "two different pairs",
        ),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_reason(tmp_path: Path, table: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        _requests(tmp_path, "\n" + table)


def test_the_bus_lets_through_what_is_asked_and_answered_beside_what_its_map_names(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        CONFIG.replace('"sim_car.toml"', f'"{REPOSITORY / "simulator/dbc/sim_car.toml"}"')
        + '\n[requests]\nbus = "can0"\n'
        + CLUSTER
    )
    config = load(path, VehicleConfig)
    signal_map = load_car_maps(config.buses)
    plain = filters_of(signal_map, ["can0", "can1"])
    asked = filters_of(signal_map, ["can0", "can1"], config.requests)
    assert asked["can1"] == plain["can1"]
    assert asked["can0"][: len(plain["can0"])] == plain["can0"]
    added = asked["can0"][len(plain["can0"]) :]
    assert {each.arbitration_id for each in added} == {*range(0x7DF, 0x7F0), 0x714, 0x77E}
    wide = RequestsConfig(bus="can0", identifiers=29).filters
    for identifier in (0x18DB33F1, 0x18DA10F1, 0x18DAF110, 0x18DAF1FE):
        assert any(each.admits(identifier, is_extended=True) for each in wide)
    for identifier in (0x18DAF210, 0x18DB33F2, 0x18FEF1F1):
        assert not any(each.admits(identifier, is_extended=True) for each in wide)


def _rows(document: Mapping[str, object]) -> dict[str, str]:
    return dict(request_rows(document))


def test_people_see_what_was_asked_and_answered_and_no_number_of_the_vehicle() -> None:
    car = Car(all_units())
    car.run(200)
    document: dict[str, object] = json.loads(
        json.dumps({"requests": car.requests.status(), "parts": car.requests.identity.status()})
    )
    rows = _rows(document)
    assert rows["on can0"] == "asked; 77d, 77e, 7e8, 7e9"
    assert rows["questions and answers"].startswith("asked ")
    assert rows["who they are"] == "surveys 2; VIN known: yes"
    assert rows["uds:cluster"] == "odometer_m 123456000"
    console = Console(width=160)
    with console.capture() as capture:
        console.print(status_tables(document))
    assert "control units" in capture.get()
    assert VIN not in capture.get()


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"ignition_on": False}, "quiet: the ignition is off, or nothing says that it is on; 77d, 77e"),
        ({"ignition_on": True, "speed_mps": 20.0}, "asked what may be asked now; the rest waits for a standstill; 77d"),
    ],
)
def test_people_see_why_nothing_is_asked(known: dict[str, object], words: str) -> None:
    car = Car(() if known["ignition_on"] is False else None)
    car.known = known
    car.run(5)
    assert _rows({"requests": car.requests.status()})["on can0"].startswith(words)


def test_a_document_without_requests_has_no_rows_and_an_odd_one_is_shown_as_far_as_it_goes() -> None:
    assert _rows({}) == {}
    assert _rows({"requests": None, "parts": {"surveys": 0}}) == {}
    odd = {
        "requests": {"asks": True, "quiet": "later", "units": 3, "witnesses": [{"source": "x", "quantity": None, "value": "y"}, 4]}
    }
    assert _rows(odd)["on None"] == "asked; no unit is known yet"
    failed: dict[str, object] = {
        "requests": {"bus": "can0"},
        "requests_carried_out": {"failed": {"can0": 3}, "last_fault": "is full"},
    }
    assert _rows(failed)["could not be sent"] == "can0 3: is full"
    assert _rows({"parts": {"surveys": 2, "other_vehicle": True}})["other vehicle"].startswith(
        "the control units are those of another"
    )
