"""`vehicle-agent inspect` where nothing comes of it: each ends with a sentence, and writes nothing."""

import asyncio
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.records.challenge import challenge_text
from shared.service.command_socket import CommandSocket, Order
from shared.service.config import load
from tests.helpers.holder import Ended, vehicle
from tests.unit.vehicle_agent.vehicle_files import CONFIG
from vehicle_agent.config import VehicleConfig

CHECKOUT = Path(__file__).parents[3]
TEXT = challenge_text(bytes(range(16)))
RECORD = '{"format": "record"}\n'


@pytest.mark.parametrize(
    ("text", "more", "status", "why"),
    [
        (TEXT[:-1], 'command_socket = "orders.sock"\n', 1, "some are missing, or too many"),
        (TEXT, "", 2, "state.command_socket: is needed: only a running agent reads the vehicle"),
        (TEXT, 'command_socket = "orders.sock"\n', 1, "no agent takes orders here"),
    ],
    ids=["mistyped", "no socket is configured", "no agent runs"],
)
def test_it_ends_with_a_sentence(tmp_path: Path, text: str, more: str, status: int, why: str) -> None:
    config, out = tmp_path / "agent.toml", tmp_path / "record.json"
    config.write_text(CONFIG + more)
    ended = vehicle("inspect", text, "-c", config, "--out", out)
    assert (ended.status, ended.out) == (status, "")
    assert why in ended.error
    assert not out.exists()


def answering(folder: Path, *arguments: object) -> tuple[Ended, list[Order]]:
    """Give the order to something that answers on the socket; return how it ended, and which orders came."""
    config, orders = folder / "agent.toml", list[Order]()
    config.write_text(CONFIG + 'command_socket = "orders.sock"\n')

    async def obey(order: Order) -> Mapping[str, object]:
        orders.append(order)
        return {"seq": 7, "odometer_m": 48_000_000, "occurred": None, "flags": [], "record": RECORD}

    async def serve() -> Ended:
        async with asyncio.timeout(20), CommandSocket(folder / "orders.sock", obey):
            return await asyncio.to_thread(vehicle, "inspect", TEXT, "-c", config, *arguments)

    return asyncio.run(serve()), orders


@pytest.mark.parametrize(
    ("option", "name", "status", "why"),
    [
        ("--out", "kept.svg", 1, "kept.svg: exists already and is not overwritten"),
        ("--out", "absent/record.json", 1, "absent/record.json: cannot be written"),
        ("--qr", "kept.svg", 1, "kept.svg: exists already and is not overwritten"),
        ("--qr", "absent/record.svg", 1, "absent/record.svg: cannot be written"),
        ("--qr", "record.gif", 2, "a QR code is a file that ends in .svg or .png"),
        ("--qr", "answer.svg", 2, "answer.svg is the file of --out too"),
    ],
)
def test_a_challenge_is_not_used_up_where_the_answer_could_not_be_written(
    tmp_path: Path, option: str, name: str, status: int, why: str
) -> None:
    (tmp_path / "kept.svg").write_text("kept")
    more = ("--out", tmp_path / "answer.svg") if option == "--qr" else ()
    ended, orders = answering(tmp_path, option, tmp_path / name, *more)
    assert (ended.status, ended.out, orders) == (status, "", [])
    assert why in ended.error
    assert (tmp_path / "kept.svg").read_text() == "kept"
    assert not (tmp_path / "answer.svg").exists()


def test_the_record_is_in_the_file_and_in_the_code(tmp_path: Path) -> None:
    ended, orders = answering(tmp_path, "--out", tmp_path / "answer.json", "--qr", tmp_path / "answer.svg")
    assert (ended.status, ended.error, ended.out) == (0, "", "record 7: 48,000.0 km, the vehicle does not know the date\n")
    assert orders == [{"order": "inspect", "challenge": TEXT}]
    assert (tmp_path / "answer.json").read_text() == RECORD
    assert b"<svg" in (tmp_path / "answer.svg").read_bytes()


def test_the_configuration_that_the_readme_makes_takes_an_inspectors_order(tmp_path: Path) -> None:
    steps = (CHECKOUT / "README.md").read_text().partition("## In a car")[2]
    (made,) = re.findall(r"^    (sed '[^']*'[^>]*) > vehicle-agent\.toml$", steps, re.MULTILINE)
    lab = tmp_path / "lab"
    lab.mkdir()
    (tmp_path / "systemd").symlink_to(CHECKOUT / "systemd")
    written = subprocess.run(["/bin/sh", "-c", made], cwd=lab, capture_output=True, check=True, timeout=10).stdout
    config = lab / "vehicle-agent.toml"
    config.write_bytes(written)
    assert load(config, VehicleConfig).state.command_socket == lab / "state/orders.sock"
    ended = vehicle("inspect", TEXT, "-c", config)
    assert (ended.status, "orders.sock: no agent takes orders here" in ended.error) == (1, True)
