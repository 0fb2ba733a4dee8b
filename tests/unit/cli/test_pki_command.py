import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.pki import app
from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import ConfigError, DecodeError
from shared.core.ids import ItsAid
from shared.core.itstime import time64_of, utc_from_text
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.chain import ChainVerifier
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.sign import SigningService
from shared.service.trust_directory import read_ticket, read_trust_directory
from tests.helpers.data import data_file
from tests.helpers.hierarchy import verifying

BEGIN = "2026-11-22T09:00:00Z"
NOON = utc_from_text("2026-11-22T12:00:00Z")


def v2x_pki(*arguments: object) -> Result:
    """Run a command; `init` and `issue` begin at `BEGIN` unless they say otherwise, so that no test depends on today's date."""
    words = [str(argument) for argument in arguments]
    if words[0] in ("init", "issue") and "--valid-from" not in words:
        words += ["--valid-from", BEGIN]
    return CliRunner().invoke(app, words)


def made(*arguments: object) -> Result:
    result = v2x_pki(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki") / "authorities"
    made("init", directory, "--name", "Torino test", "--valid-years", 5)
    return directory


def test_a_ticket_made_on_the_command_line_speaks_to_a_station_that_trusts_the_directory(authorities: Path, tmp_path: Path) -> None:
    made("issue", authorities, "--kind", "ticket", "--out", tmp_path / "t")
    store, now = read_trust_directory(authorities / "trust"), Instant(MonotonicNs(0), NOON)
    service = SigningService(ticket=read_ticket(tmp_path / "t"), trust_store=store)
    secured = service.sign(b"payload", ItsAid.CAM, now=now, location=None)
    assert verifying(store).verify(secured, now=now).payload == b"payload"


def test_private_keys_are_their_owners_alone(authorities: Path, tmp_path: Path) -> None:
    made("issue", authorities, "--kind", "ticket", "--out", tmp_path / "t")
    keys = [*authorities.rglob("*.pem"), *tmp_path.rglob("*.pem")]
    assert len(keys) == 7
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert list((authorities / "trust").rglob("*.pem")) == []


def test_an_enrolment_credential_chains_to_the_root(authorities: Path, tmp_path: Path) -> None:
    made("issue", authorities, "--kind", "enrolment", "--out", tmp_path / "ec")
    chain = ChainVerifier(trust_store=read_trust_directory(authorities / "trust"), areas=NO_IDENTIFIED_AREAS)
    chain.check_enrolment_credential(read_ticket(tmp_path / "ec").certificate, time64_of(NOON))


def test_several_tickets_lie_in_numbered_directories_and_differ(authorities: Path, tmp_path: Path) -> None:
    made("issue", authorities, "--kind", "ticket", "--role", "rsu", "--count", 3, "--valid-hours", 1, "--out", tmp_path / "t")
    tickets = [read_ticket(tmp_path / "t" / name) for name in ("001", "002", "003")]
    assert len({ticket.certificate.hashed_id8 for ticket in tickets}) == 3
    assert {permission.psid for permission in tickets[0].certificate.tbs.app_permissions or ()} >= {137, 138}


@pytest.mark.parametrize("role", StationRole)
def test_a_ticket_of_every_role_carries_its_permissions(authorities: Path, tmp_path: Path, role: StationRole) -> None:
    made("issue", authorities, "--kind", "ticket", "--role", role.value, "--out", tmp_path / role.value)
    certificate = read_ticket(tmp_path / role.value).certificate
    assert certificate.tbs.app_permissions == TICKET_PERMISSIONS[role]
    chain = ChainVerifier(trust_store=read_trust_directory(authorities / "trust"), areas=NO_IDENTIFIED_AREAS)
    chain.check_ticket(certificate, time64_of(NOON))


def test_a_region_binds_the_whole_hierarchy(tmp_path: Path) -> None:
    made("init", tmp_path / "a", "--region", "45.07,7.68,20000")
    made("issue", tmp_path / "a", "--kind", "ticket", "--out", tmp_path / "in", "--region", "45.07,7.68,5000")
    result = v2x_pki("issue", tmp_path / "a", "--kind", "ticket", "--out", tmp_path / "out", "--region", "45.46,9.19,5000")
    assert result.exit_code != 0
    chain = ChainVerifier(trust_store=read_trust_directory(tmp_path / "a" / "trust"), areas=NO_IDENTIFIED_AREAS)
    chain.check_ticket(read_ticket(tmp_path / "in").certificate, time64_of(NOON))


def test_a_country_may_be_named_as_region(tmp_path: Path) -> None:
    made("init", tmp_path / "a", "--region", "country:380", "--curve", "brainpoolP384r1")
    shown = json.loads(made("inspect", "--json", tmp_path / "a" / "root" / "certificate.oer").output)
    assert shown["region"] == {"countries": [{"country": 380, "parts": []}]}
    assert shown["key"]["curve"] == "brainpoolP384r1"


@pytest.mark.parametrize(
    "region", ["here", "45.07,7.68", "95,7.68,100", "45.07,7.68,70000", "45.07,7.68,-1", "country:99999", "country:x"]
)
def test_a_region_that_makes_no_sense_is_a_usage_error(tmp_path: Path, region: str) -> None:
    result = v2x_pki("init", tmp_path / "a", "--region", region)
    assert isinstance(result.exception, ConfigError)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("moment", ["yesterday", "2026-11-22T09:00:00", "1999-01-01T00:00:00Z"])
def test_a_begin_of_validity_names_a_moment_and_its_offset(tmp_path: Path, moment: str) -> None:
    assert isinstance(v2x_pki("init", tmp_path / "a", "--valid-from", moment).exception, ConfigError)


def test_a_name_that_is_no_text_or_too_long_is_a_usage_error(tmp_path: Path) -> None:
    for name in ("\udcff", "x" * 256):
        assert isinstance(v2x_pki("init", tmp_path / "a", "--name", name).exception, ConfigError)
    assert not (tmp_path / "a").exists()


def test_authorities_are_never_overwritten(authorities: Path) -> None:
    before = (authorities / "root" / "key.pem").read_bytes()
    result = v2x_pki("init", authorities)
    assert isinstance(result.exception, ConfigError)
    assert "never overwritten" in str(result.exception)
    assert (authorities / "root" / "key.pem").read_bytes() == before


def test_a_ticket_is_never_overwritten(authorities: Path, tmp_path: Path) -> None:
    made("issue", authorities, "--kind", "ticket", "--out", tmp_path / "t")
    before = (tmp_path / "t/key.pem").read_bytes()
    for further in (("--kind", "ticket"), ("--kind", "enrolment"), ("--kind", "aa", "--name", "other")):
        again = v2x_pki("issue", authorities, *further, "--out", tmp_path / "t")
        assert isinstance(again.exception, ConfigError)
        assert "never overwritten" in str(again.exception)
    assert (tmp_path / "t/key.pem").read_bytes() == before


def test_of_several_tickets_none_is_made_when_one_has_no_place(authorities: Path, tmp_path: Path) -> None:
    made("issue", authorities, "--kind", "ticket", "--out", tmp_path / "t/002")
    several = v2x_pki("issue", authorities, "--kind", "ticket", "--count", 2, "--out", tmp_path / "t")
    assert isinstance(several.exception, ConfigError)
    assert not (tmp_path / "t/001").exists()


def test_nothing_is_issued_without_authorities_or_beyond_their_years(authorities: Path, tmp_path: Path) -> None:
    nothing = v2x_pki("issue", tmp_path / "absent", "--kind", "ticket", "--out", tmp_path / "t")
    assert isinstance(nothing.exception, ConfigError)
    beyond = v2x_pki("issue", authorities, "--kind", "ticket", "--out", tmp_path / "t", "--valid-hours", 60_000)
    assert isinstance(beyond.exception, ConfigError)
    assert not (tmp_path / "t").exists()


def test_wrong_usage_exits_with_2() -> None:
    assert v2x_pki("issue").exit_code == 2
    assert v2x_pki("issue", "x", "--kind", "ticket", "--out", "y", "--count", 0).exit_code == 2
    assert v2x_pki("issue", "x", "--kind", "passport", "--out", "y").exit_code == 2


def test_a_certificate_is_shown_to_people_and_machines(authorities: Path) -> None:
    tree = made("inspect", authorities / "aa" / "certificate.oer").output
    for word in ("authority", "Torino test AA", "valid_until: 2031-11-22", "cam", "denm"):
        assert word in tree
    shown = json.loads(made("inspect", "--json", authorities / "aa" / "certificate.oer").output)
    (root,) = read_trust_directory(authorities / "trust").roots
    assert (shown["kind"], shown["issuer"]) == ("authorization authority", root.hex())


def test_the_european_trust_list_manager_is_shown() -> None:
    shown = json.loads(made("inspect", "--json", data_file("security/E7A4B2B045E7ACF9.oer")).output)
    assert (shown["kind"], shown["name"], shown["hashed_id8"]) == ("trust list manager", "EU-TLM_L2", "e7a4b2b045e7acf9")


@pytest.mark.parametrize("octets", [b"", b"garbage", bytes(300)])
def test_what_is_no_certificate_is_refused_with_a_sentence(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "x.oer").write_bytes(octets)
    result = v2x_pki("inspect", tmp_path / "x.oer")
    assert isinstance(result.exception, DecodeError)
    assert "is no certificate" in str(result.exception)


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n", "it is a PUBLIC KEY in PEM"),
        (b"SQLite format 3\x00" + bytes(84), "it is a SQLite database"),
        (b"log pki.v2x-trust/00+11\nquorum none\n", "it is text"),
        (b"8003008100\n", "it is hexadecimal text"),
        (b"", "it is empty"),
        (b"\x02\x02" + bytes(30), "it begins like a facilities message"),
        (b"\xff\xfe\xfd", "it begins with ff fe"),
        (b"\x80\x03\x00", "certificate"),
    ],
)
def test_what_is_inspected_and_is_something_else_is_told_what_it_is(tmp_path: Path, octets: bytes, words: str) -> None:
    (tmp_path / "x").write_bytes(octets)
    result = v2x_pki("inspect", tmp_path / "x")
    assert isinstance(result.exception, DecodeError)
    assert words in str(result.exception)
    assert "preamble" not in str(result.exception)


@pytest.mark.parametrize("option", [("--role", "rsu"), ("--region", "45.07,7.68,20000")])
def test_what_belongs_to_tickets_is_refused_with_an_enrolment(authorities: Path, tmp_path: Path, option: tuple[str, str]) -> None:
    result = v2x_pki("issue", authorities, "--kind", "enrolment", *option, "--out", tmp_path / "ec")
    assert isinstance(result.exception, ConfigError)
    assert not (tmp_path / "ec").exists()
