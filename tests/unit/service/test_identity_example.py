"""The shipped example of a life by authorities fits both agents' shipped configurations."""

import re
from pathlib import Path

import pytest

from rsu_agent.config import RsuConfig
from shared.service.config import ConfigStruct, load
from tests.helpers.data import REPOSITORY
from vehicle_agent.config import VehicleConfig


@pytest.mark.parametrize(("agent", "kind"), [("vehicle-agent", VehicleConfig), ("rsu-agent", RsuConfig)])
def test_appended_to_an_agent_s_configuration_it_loads(tmp_path: Path, agent: str, kind: type[ConfigStruct]) -> None:
    shipped = (REPOSITORY / f"systemd/{agent}.toml").read_text()
    without_tickets = re.sub(r"(?m)^(ticket|enrolment) =.*\n", "", shipped)
    assert without_tickets != shipped
    example = (REPOSITORY / "systemd/identity.example.toml").read_text().replace("vehicle-agent", agent)
    path = tmp_path / "agent.toml"
    path.write_text(without_tickets + example)
    config = load(path, kind)
    assert isinstance(config, VehicleConfig | RsuConfig)
    assert config.identity.ticket is None
    assert config.trust is not None
    assert config.trust.require_logged
    assert config.trust.log_policy == tmp_path / "trust/log.policy"
    assert config.pki is not None
    assert config.pki.keys == f"file:/var/lib/{agent}/keys"
