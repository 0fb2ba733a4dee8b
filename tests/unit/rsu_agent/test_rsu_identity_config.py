"""What a roadside unit's configuration may say of its identity."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rsu_agent.cli import app
from rsu_agent.composition import make_agent, open_unit
from rsu_agent.config import RsuConfig
from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import ConfigError
from shared.pki.permission_sets import StationRole
from shared.security.ecdsa import SoftwareSigner
from shared.service.config import load
from shared.service.trust_directory import write_ticket, write_trust_directory
from tests.helpers.hierarchy import NOON, Hierarchy

HIERARCHY = Hierarchy(97)
NOW = Instant(MonotonicNs(0), NOON)
TRUST = '[trust]\nlists = "state/lists.db"\nevidence = "state/evidence"\n'
PKI = '[pki]\nits_id = "unit 7"\nkeys = "file:keys"\ncredentials = "state/credentials"\ntickets = "state/tickets.db"\n'
CONFIG = """\
[station]
station_id = 4049
lat_deg = 48.137
lon_deg = 11.575
[identity]
trust = "trust"
{identity}
[time]
source = "assume_trusted"
[state]
status_socket = "status.sock"
"""


def written(directory: Path, *, identity: str, sections: str) -> Path:
    write_trust_directory(directory / "trust", HIERARCHY.trust_store)
    ticket = HIERARCHY.ticket(StationRole.RSU)
    assert isinstance(ticket.signer, SoftwareSigner)
    write_ticket(directory / "ticket", ticket.certificate, ticket.signer)
    path = directory / "rsu.toml"
    path.write_text(CONFIG.format(identity=identity) + sections)
    return path


@pytest.mark.parametrize(
    ("identity", "sections", "reason"),
    [
        ("", "", r"without \[pki\], identity\.ticket is needed"),
        ("", TRUST, r"without \[pki\], identity\.ticket is needed"),
        ('ticket = "ticket"', PKI, r"\[pki\] needs \[trust\]"),
    ],
)
def test_a_unit_that_could_get_no_ticket_is_refused(tmp_path: Path, identity: str, sections: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load(written(tmp_path, identity=identity, sections=sections), RsuConfig)


@pytest.mark.parametrize(
    ("identity", "sections", "tickets"),
    [('ticket = "ticket"', "", 1), ('ticket = "ticket"', TRUST, 1), ("", TRUST + PKI, 0), ('ticket = "ticket"', TRUST + PKI, 1)],
)
def test_every_other_unit_is_opened_and_runs_with_the_tickets_it_has(
    tmp_path: Path, identity: str, sections: str, tickets: int
) -> None:
    path = written(tmp_path, identity=identity, sections=sections)
    with open_unit(load(path, RsuConfig), path, environment={}, now=NOW) as unit:
        agent = make_agent(unit.parts, entropy=bytes)
        agent.on_timer(NOW)
        assert agent.status(NOW)["tickets"] == {
            "current": None if unit.parts.ticket is None else unit.parts.ticket.certificate.hashed_id8.hex(),
            "held": tickets,
            "valid": tickets,
            "unused": tickets,
        }
        assert (unit.identity is None) is ("[pki]" not in sections)


def test_the_check_says_that_a_unit_is_not_enrolled_yet_and_makes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, identity="", sections=TRUST + PKI)
    result = CliRunner().invoke(app, ["check-config", "-c", str(path)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for said in (
        "tickets from the authorities",
        "by the operator's folder alone",
        "lists: none fetched yet",
        "not enrolled yet: `rsu-agent enrol` asks",
        "no tickets yet",
        ": ok",
    ):
        assert said in result.output
    assert not (tmp_path / "state").exists()
    shutil.rmtree(tmp_path / "trust")
    assert CliRunner().invoke(app, ["check-config", "-c", str(path)]).exit_code != 0
