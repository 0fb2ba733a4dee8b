"""`v2x pki stations`, and a station whose computer is exchanged."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner, Result

from shared.cli.pki import app
from shared.core.errors import ConfigError
from shared.operator.pki_directory import PkiDirectory
from shared.pki.permission_sets import StationRole
from shared.security.certificate import Certificate
from shared.service.trust_directory import read_certificate_file


def v2x_pki(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def made(*arguments: object) -> str:
    result = v2x_pki(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def refused(*arguments: object) -> str:
    result = v2x_pki(*arguments)
    assert isinstance(result.exception, ConfigError), result.output + repr(result.exception)
    return str(result.exception)


@pytest.fixture
def authorities(tmp_path: Path) -> Path:
    made("init", tmp_path / "a")
    return tmp_path / "a"


def public_key(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def enrolled(authorities: Path, its_id: str, folder: Path) -> Certificate:
    """Give a registered station a credential."""
    made("issue", authorities, "--kind", "enrolment", "--out", folder)
    certificate = read_certificate_file(folder / "certificate.oer")
    with PkiDirectory(authorities).registry() as registry:
        registry.keep_credential(its_id.encode(), certificate)
    return certificate


def shown(authorities: Path) -> dict[str, Any]:
    described = [json.loads(line) for line in made("stations", authorities, "--json").splitlines()]
    return {each["its_id"]: each for each in described}


@pytest.mark.parametrize("role", StationRole)
def test_a_station_of_every_role_is_registered_and_shown(authorities: Path, tmp_path: Path, role: StationRole) -> None:
    made("register", authorities, "--its-id", "S", "--key", public_key(tmp_path / "s.pem"), "--role", role.value)
    assert shown(authorities)["S"]["role"] == role.value


def test_an_operator_sees_the_stations_and_can_block_a_credential_that_is_shown(authorities: Path, tmp_path: Path) -> None:
    made("register", authorities, "--its-id", "CAR-3", "--key", public_key(tmp_path / "3.pem"))
    made("register", authorities, "--its-id", "GANTRY", "--key", public_key(tmp_path / "g.pem"), "--role", "rsu")
    credential = enrolled(authorities, "CAR-3", tmp_path / "ec")
    seen = shown(authorities)
    assert list(seen) == ["CAR-3", "GANTRY"]
    assert (seen["GANTRY"]["role"], seen["GANTRY"]["status"], seen["GANTRY"]["credentials"]) == ("rsu", "active", [])
    (held,) = seen["CAR-3"]["credentials"]
    assert (held["hashed_id8"], held["revoked"]) == (credential.hashed_id8.hex(), False)
    assert held["valid_from"] < held["valid_until"]
    made("block", authorities, "--credential", held["hashed_id8"])
    made("block", authorities, "--its-id", "GANTRY")
    again = shown(authorities)
    assert again["CAR-3"]["credentials"][0]["revoked"] is True
    assert again["GANTRY"]["status"] == "blocked"
    table = made("stations", authorities)
    (line,) = [line for line in table.splitlines() if line.startswith("CAR-3")]
    assert all(word in line for word in ("vehicle", "active", seen["CAR-3"]["key"], held["hashed_id8"], "revoked"))
    (other,) = [line for line in table.splitlines() if line.startswith("GANTRY")]
    assert "blocked" in other
    assert "none" in other


def test_more_stations_than_are_read_at_once_are_all_shown(authorities: Path, tmp_path: Path) -> None:
    made("register", authorities, "--its-id", "first", "--key", public_key(tmp_path / "k.pem"))
    directory = PkiDirectory(authorities)
    with directory.registry() as registry:
        (first,) = registry.stations()
        for number in range(300):
            registry.register(replace(first, its_id=f"car {number}".encode()))
        names = [each.its_id for each in registry.stations()]
    assert names == [b"first", *(f"car {number}".encode() for number in range(300))]


def test_an_exchanged_computer_has_its_key_replaced_and_the_old_one_gets_nothing_more(authorities: Path, tmp_path: Path) -> None:
    old, new = public_key(tmp_path / "old.pem"), public_key(tmp_path / "new.pem")
    made("register", authorities, "--its-id", "CAR-3", "--key", old)
    credential = enrolled(authorities, "CAR-3", tmp_path / "ec")
    made("block", authorities, "--its-id", "CAR-3")
    before = shown(authorities)["CAR-3"]
    assert "--replace" in refused("register", authorities, "--its-id", "CAR-3", "--key", new)
    told = made("register", authorities, "--its-id", "CAR-3", "--key", new, "--replace")
    assert f"{credential.hashed_id8.hex()}: got with the old key, accepted no longer" in told
    after = shown(authorities)["CAR-3"]
    assert after["key"] != before["key"]
    assert after["status"] == "blocked"
    assert [each["revoked"] for each in after["credentials"]] == [True]


def test_replacing_a_key_by_itself_changes_nothing(authorities: Path, tmp_path: Path) -> None:
    key = public_key(tmp_path / "key.pem")
    made("register", authorities, "--its-id", "CAR-3", "--key", key)
    enrolled(authorities, "CAR-3", tmp_path / "ec")
    before = shown(authorities)
    made("register", authorities, "--its-id", "CAR-3", "--key", key, "--replace")
    assert shown(authorities) == before


def test_only_the_key_of_a_registered_station_is_replaced_and_not_its_role(authorities: Path, tmp_path: Path) -> None:
    key = public_key(tmp_path / "key.pem")
    assert "not registered" in refused("register", authorities, "--its-id", "CAR-3", "--key", key, "--replace")
    made("register", authorities, "--its-id", "CAR-3", "--key", key)
    other = public_key(tmp_path / "other.pem")
    assert "role" in refused("register", authorities, "--its-id", "CAR-3", "--key", other, "--replace", "--role", "rsu")


def test_one_key_under_two_names_is_remarked(authorities: Path, tmp_path: Path) -> None:
    key = public_key(tmp_path / "key.pem")
    assert "too" not in made("register", authorities, "--its-id", "CAR-3", "--key", key)
    assert "too" not in made("register", authorities, "--its-id", "CAR-3", "--key", key)
    assert "CAR-4: its key is that of CAR-3 too" in made("register", authorities, "--its-id", "CAR-4", "--key", key)
