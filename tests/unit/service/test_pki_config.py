from pathlib import Path

import pytest

from shared.core.errors import ConfigError
from shared.service.config import load
from shared.service.pki_config import MAX_GRACE_H, PkiConfig, TrustConfig

TRUST = 'lists = "lists.db"\nevidence = "evidence"\n'
PKI = 'its_id = "car 7"\nkeys = "file:keys"\ncredentials = "credentials"\ntickets = "tickets.db"\n'


def written(directory: Path, text: str) -> Path:
    path = directory / "agent.toml"
    path.write_text(text)
    return path


def test_lists_need_no_more_than_where_they_are_kept(tmp_path: Path) -> None:
    config = load(written(tmp_path, TRUST), TrustConfig)
    assert config.lists == tmp_path / "lists.db"
    assert not config.require_logged
    assert config.distribution_centre is None
    assert config.grace_h == 24


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("require_logged = true", "require_logged needs log_policy"),
        ('distribution_centre = "ftp://dc.example"', "distribution_centre is an http:// or https:// address"),
        ('distribution_centre = "http://dc example"', "distribution_centre is an http:// or https:// address"),
        ('trust_list_manager = "cpoc.example"', "trust_list_manager is an http:// or https:// address"),
        ('trust_list_manager = "http://cpöc.example"', "trust_list_manager is an http:// or https:// address"),
        (f"grace_h = {MAX_GRACE_H + 1}", "grace_h"),
        ("grace_h = -1", "grace_h"),
        ("require_log = true", "require_log"),
    ],
)
def test_a_mistake_about_trust_is_named(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load(written(tmp_path, TRUST + line), TrustConfig)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("target_tickets = 0", "target_tickets"),
        ("target_tickets = 101", "target_tickets"),
        ('enrolment_authority = "0011"', "enrolment_authority"),
        ('authorization_authority = "00112233445566zz"', "authorization_authority"),
        ('pin = "1234"', "pin"),
    ],
)
def test_a_mistake_about_authorities_is_named(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load(written(tmp_path, PKI + line), PkiConfig)


@pytest.mark.parametrize("its_id", ["", "x" * 65])
def test_a_name_no_authority_could_register_is_refused(tmp_path: Path, its_id: str) -> None:
    with pytest.raises(ConfigError, match="its_id"):
        load(written(tmp_path, PKI.replace("car 7", its_id)), PkiConfig)
