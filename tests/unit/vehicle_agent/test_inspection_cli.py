"""`vehicle-agent inspect` where nothing comes of it: each ends with a sentence, and writes nothing."""

from pathlib import Path

import pytest

from shared.records.challenge import challenge_text
from tests.helpers.holder import vehicle
from tests.unit.vehicle_agent.vehicle_files import CONFIG

TEXT = challenge_text(bytes(range(16)))


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
