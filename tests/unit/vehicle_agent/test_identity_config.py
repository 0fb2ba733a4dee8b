"""What a vehicle's configuration may say of its identity, and what the programs make of a vehicle that has none yet."""

from pathlib import Path

import pytest

from shared.core.errors import ConfigError
from shared.service.config import load
from tests.helpers.hierarchy import Hierarchy
from tests.unit.vehicle_agent.vehicle_files import CONFIG, set_up_vehicle
from vehicle_agent.cli import main
from vehicle_agent.composition import read_files
from vehicle_agent.config import VehicleConfig

HIERARCHY = Hierarchy(96)
BROUGHT = 'ticket = "ticket"\nenrolment = "enrolment"\n'
TRUST = '[trust]\nlists = "state/lists.db"\nevidence = "state/evidence"\n'
PKI = '[pki]\nits_id = "car 7"\nkeys = "file:keys"\ncredentials = "state/credentials"\ntickets = "state/tickets.db"\n'


def written(directory: Path, *, identity: str, sections: str) -> Path:
    assert BROUGHT in CONFIG
    return set_up_vehicle(directory, HIERARCHY, config=CONFIG.replace(BROUGHT, identity) + sections)


@pytest.mark.parametrize(
    ("identity", "sections", "reason"),
    [
        ("", "", r"without \[pki\], identity\.ticket and identity\.enrolment are needed"),
        ('ticket = "ticket"\n', TRUST, r"without \[pki\], identity\.ticket and identity\.enrolment are needed"),
        (BROUGHT, PKI, r"\[pki\] needs \[trust\]"),
        (BROUGHT, TRUST + PKI, "two long-term identities"),
    ],
)
def test_a_vehicle_with_no_identity_or_with_two_is_refused(tmp_path: Path, identity: str, sections: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load(written(tmp_path, identity=identity, sections=sections), VehicleConfig)


@pytest.mark.parametrize(
    ("identity", "sections"), [(BROUGHT, ""), (BROUGHT, TRUST), ("", TRUST + PKI), ('ticket = "ticket"\n', TRUST + PKI)]
)
def test_every_other_combination_is_read(tmp_path: Path, identity: str, sections: str) -> None:
    config = load(written(tmp_path, identity=identity, sections=sections), VehicleConfig)
    files = read_files(config, environment={})
    assert (files.ticket is None) is ("ticket" not in identity)
    assert (files.enrolled is None) is ("enrolment" not in identity)


def ended(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> tuple[object, str, str]:
    monkeypatch.setattr("sys.argv", ["vehicle-agent", *map(str, arguments)])
    with pytest.raises(SystemExit) as status:
        main()
    out, err = capsys.readouterr()
    return status.value.code, out, err


def test_a_vehicle_that_is_not_enrolled_yet_is_told_how_and_its_check_succeeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, identity="", sections=TRUST + PKI)
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = ended(capsys, monkeypatch, "check-config", "-c", path)
    assert status == 0
    for said in ("lists: none fetched yet", "not enrolled yet: `vehicle-agent enrol` asks", "no tickets yet", ": ok"):
        assert said in out
    assert list((tmp_path / "state").iterdir()) == []
    status, _, err = ended(capsys, monkeypatch, "run", "-c", path)
    assert status == 2
    assert err.splitlines()[-1].startswith("error: pki: this vehicle is not enrolled yet")


def test_a_key_store_that_is_none_shows_in_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, identity="", sections=TRUST + PKI.replace("file:keys", "file:agent.toml"))
    status, _, err = ended(capsys, monkeypatch, "check-config", "-c", path)
    assert status == 2
    assert "Traceback" not in err
