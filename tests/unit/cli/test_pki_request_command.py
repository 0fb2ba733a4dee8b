"""`v2x pki request`, `certify`, `install`: an authority elsewhere, from its keys to its first ticket."""

import json
import re
import shutil
import stat
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.pki import app
from shared.core.clock import TimeSource
from shared.core.errors import ConfigError, DecodeError, StorageError, VerificationError
from shared.core.report import VerificationReport
from shared.operator.list_office import stated_list
from shared.operator.pki_directory import PkiDirectory
from shared.security.chain import ChainVerifier
from shared.security.ctl import AaEntry, Ctl
from shared.security.freshness import trusted_time64
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import TrustStore
from shared.service.authority_keys import AuthorityKeys
from shared.service.run import exit_code_of
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_certificate_file, read_ticket


def v2x_pki(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def made(*arguments: object) -> str:
    result = v2x_pki(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def refused(*arguments: object) -> str:
    """Return the sentence of a wrong usage or configuration, which ends with status 2."""
    result = v2x_pki(*arguments)
    assert isinstance(result.exception, ConfigError), result.output + repr(result.exception)
    assert exit_code_of(result.exception) == 2
    return str(result.exception)


def failed(*arguments: object) -> BaseException:
    """Return the error of what is refused for what it is, which ends with status 1."""
    result = v2x_pki(*arguments)
    assert result.exception is not None
    assert exit_code_of(result.exception) == 1
    return result.exception


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the hierarchy whose root is asked; no test lists or revokes anything in it."""
    directory = tmp_path_factory.mktemp("root") / "pki"
    made("init", directory, "--name", "Torino")
    return directory


@pytest.fixture
def elsewhere(root: Path, tmp_path: Path) -> Path:
    """Return a folder on another machine, which was given what stations are given."""
    shutil.copytree(root / "trust", tmp_path / "there/trust")
    return tmp_path / "there"


def asked(elsewhere: Path, kind: str = "aa", *options: object) -> str:
    """Ask for an authority and return the fingerprint its people tell the root's."""
    told = made("request", elsewhere / kind, "--kind", kind, "--name", f"Milano {kind.upper()}", *options)
    (fingerprint,) = re.findall(r"fingerprint ([0-9a-f]{64})\n", told)
    return str(fingerprint)


@pytest.mark.parametrize("curve", ["P-256", "brainpoolP384r1"])
def test_an_authority_on_another_machine_issues_tickets_its_root_vouches_for(
    root: Path, elsewhere: Path, tmp_path: Path, curve: str
) -> None:
    fingerprint = asked(elsewhere, "aa", "--curve", curve)
    assert sorted(path.name for path in (elsewhere / "aa").iterdir()) == ["encryption-key.pem", "key.pem", "request.oer"]
    assert {stat.S_IMODE(key.stat().st_mode) for key in (elsewhere / "aa").glob("*.pem")} == {0o600}
    made("certify", root, elsewhere / "aa/request.oer", "--kind", "aa", "--fingerprint", fingerprint, "--out", tmp_path / "aa.oer")
    assert "Milano AA" in made("install", elsewhere / "aa", tmp_path / "aa.oer")
    made("issue", elsewhere, "--kind", "ticket", "--out", tmp_path / "ticket")
    ticket, authority = read_ticket(tmp_path / "ticket").certificate, read_certificate_file(elsewhere / "aa/certificate.oer")
    store = TrustStore.of_operator((read_certificate_file(root / "root/certificate.oer"),), (authority,))
    chain = ChainVerifier(trust_store=store, areas=NO_IDENTIFIED_AREAS)
    at = trusted_time64(SystemClock(TimeSource.ASSUME_TRUSTED).now())
    assert chain.check_ticket(ticket, at).root == read_certificate_file(root / "root/certificate.oer").hashed_id8


def test_what_the_root_certifies_is_in_its_log(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    fingerprint = asked(elsewhere, "ea")
    options = ("--kind", "ea", "--fingerprint", fingerprint.upper(), "--valid-years", 2, "--out", tmp_path / "new/ea.oer")
    made("certify", root, elsewhere / "ea/request.oer", *options)
    octets = (tmp_path / "new/ea.oer").read_bytes()
    with PkiDirectory(root).lists() as lists:
        index = lists.log_index(sha256(octets).digest())
    assert index is not None
    log = PkiDirectory(root).log()
    assert log.newest() == octets
    log.close()


def test_an_authority_elsewhere_is_listed_with_its_own_address(tmp_path: Path) -> None:
    made("init", tmp_path / "pki")
    shutil.copytree(tmp_path / "pki/trust", tmp_path / "there/trust")
    fingerprint = asked(tmp_path / "there")
    out = tmp_path / "pki/milano/certificate.oer"
    request = tmp_path / "there/aa/request.oer"
    made("certify", tmp_path / "pki", request, "--kind", "aa", "--fingerprint", fingerprint, "--out", out)
    assert "--add-aa" in refused("ctl", tmp_path / "pki", "--url", "http://torino.example", "--add-aa", "milano=nowhere")
    for number, (name, expected) in enumerate(
        [("milano=https://milano.example/aa", "https://milano.example/aa"), ("milano", "http://torino.example/aa/milano")]
    ):
        made("ctl", tmp_path / "pki", "--url", "http://torino.example", "--add-aa", name, "--out", tmp_path / f"ctl{number}")
        ctl = stated_list((tmp_path / f"ctl{number}").read_bytes())
        assert isinstance(ctl, Ctl)
        places = {each.certificate.name: each.access_point for each in ctl.commands if isinstance(each, AaEntry)}
        assert places == {"v2x-trust AA": "http://torino.example/aa", "Milano AA": expected}


def test_keys_may_be_made_in_a_store_and_the_certificate_finds_them_there(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    fingerprint = asked(elsewhere, "aa", "--keys", "file:keys")
    assert not (elsewhere / "aa/key.pem").exists()
    made("certify", root, elsewhere / "aa/request.oer", "--kind", "aa", "--fingerprint", fingerprint, "--out", tmp_path / "aa.oer")
    made("install", elsewhere / "aa", tmp_path / "aa.oer")
    with AuthorityKeys() as keys:
        assert keys.credential(elsewhere / "aa").certificate.encoded == (tmp_path / "aa.oer").read_bytes()


def test_a_request_that_cannot_be_made_leaves_no_key_in_the_store(elsewhere: Path) -> None:
    told = refused("request", elsewhere / "aa", "--kind", "aa", "--name", "x" * 300, "--keys", "file:keys")
    assert "name" in told
    assert list((elsewhere / "keys").iterdir()) == []
    assert not (elsewhere / "aa").exists()


def test_a_first_request_is_certified_only_by_whom_compared_its_fingerprint(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    fingerprint = asked(elsewhere)
    certify = ("certify", root, elsewhere / "aa/request.oer", "--kind", "aa", "--out", tmp_path / "aa.oer")
    assert fingerprint in v2x_pki(*certify).output
    assert "nobody vouches" in refused(*certify)
    assert "do not certify it" in refused(*certify, "--fingerprint", "0" * 64)
    assert not (tmp_path / "aa.oer").exists()


def test_the_present_certificate_vouches_for_a_renewal(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "aa", elsewhere / "old")
    asked(elsewhere, "aa", "--renews", elsewhere / "old")
    made("certify", root, elsewhere / "aa/request.oer", "--kind", "aa", "--out", tmp_path / "aa.oer")
    made("install", elsewhere / "aa", tmp_path / "aa.oer")


def test_a_renewal_is_vouched_for_by_an_authority_of_this_root(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    made("init", tmp_path / "other")
    fingerprint = asked(elsewhere, "aa", "--renews", tmp_path / "other/aa")
    options = ("--kind", "aa", "--fingerprint", fingerprint, "--out", tmp_path / "aa.oer")
    error = failed("certify", root, elsewhere / "aa/request.oer", *options)
    assert isinstance(error, VerificationError)
    assert error.report is VerificationReport.SIGNER_CERTIFICATE_NOT_FOUND


def test_a_request_for_another_kind_a_damaged_one_and_garbage_are_refused(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    fingerprint = asked(elsewhere)
    request, options = elsewhere / "aa/request.oer", ("--fingerprint", fingerprint, "--out", tmp_path / "aa.oer")
    assert "authorization authority" in refused("certify", root, request, "--kind", "ea", *options)
    assert "cannot be read" in refused("certify", root, tmp_path / "absent", "--kind", "aa", *options)
    octets = bytearray(request.read_bytes())
    octets[-1] ^= 1
    (tmp_path / "damaged").write_bytes(octets)
    error = failed("certify", root, tmp_path / "damaged", "--kind", "aa", *options)
    assert isinstance(error, VerificationError)
    assert error.report is VerificationReport.FALSE_SIGNATURE
    (tmp_path / "garbage").write_bytes(b"garbage")
    assert isinstance(failed("certify", root, tmp_path / "garbage", "--kind", "aa", *options), DecodeError)
    assert not (tmp_path / "aa.oer").exists()


def test_nothing_is_certified_beyond_the_roots_years_or_over_a_file_that_is_there(
    root: Path, elsewhere: Path, tmp_path: Path
) -> None:
    fingerprint = asked(elsewhere)
    certify = ("certify", root, elsewhere / "aa/request.oer", "--kind", "aa", "--fingerprint", fingerprint)
    assert "validity" in refused(*certify, "--valid-years", 50, "--out", tmp_path / "aa.oer")
    assert not (tmp_path / "aa.oer").exists()
    (tmp_path / "taken").write_bytes(b"")
    assert "not overwritten" in refused(*certify, "--out", tmp_path / "taken")
    assert "private key" in refused("certify", elsewhere, *certify[2:], "--out", tmp_path / "aa.oer")


def test_a_certificate_for_other_keys_or_of_another_root_is_not_installed(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    fingerprint = asked(elsewhere)
    assert "does not belong" in refused("install", elsewhere / "aa", root / "aa/certificate.oer")
    made("certify", root, elsewhere / "aa/request.oer", "--kind", "aa", "--fingerprint", fingerprint, "--out", tmp_path / "aa.oer")
    made("init", tmp_path / "other")
    error = failed("install", elsewhere / "aa", tmp_path / "aa.oer", "--trust", tmp_path / "other/trust")
    assert isinstance(error, VerificationError)
    assert error.report is VerificationReport.UNTRUSTED_ROOT
    shutil.copy(root / "aa/encryption-key.pem", elsewhere / "aa/encryption-key.pem")
    assert "encryption key" in refused("install", elsewhere / "aa", tmp_path / "aa.oer")
    assert not (elsewhere / "aa/certificate.oer").exists()


def test_neither_keys_nor_certificates_are_overwritten(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    fingerprint = asked(elsewhere)
    before = (elsewhere / "aa/key.pem").read_bytes()
    assert "never overwritten" in refused("request", elsewhere / "aa", "--kind", "aa", "--name", "x")
    assert (elsewhere / "aa/key.pem").read_bytes() == before
    made("certify", root, elsewhere / "aa/request.oer", "--kind", "aa", "--fingerprint", fingerprint, "--out", tmp_path / "aa.oer")
    made("install", elsewhere / "aa", tmp_path / "aa.oer")
    assert isinstance(failed("install", elsewhere / "aa", tmp_path / "aa.oer"), StorageError)


def test_a_name_that_speaks_to_the_terminal_is_shown_as_characters(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    told = made("request", elsewhere / "aa", "--kind", "aa", "--name", "\x1b[31mred")
    (fingerprint,) = re.findall(r"fingerprint ([0-9a-f]{64})\n", told)
    options = ("--kind", "aa", "--fingerprint", fingerprint, "--out", tmp_path / "aa.oer")
    for shown in (
        made("certify", root, elsewhere / "aa/request.oer", *options),
        made("install", elsewhere / "aa", tmp_path / "aa.oer"),
    ):
        assert "\x1b" not in shown
        assert "red" in shown


def test_the_installed_certificate_is_shown_as_what_it_is(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    fingerprint = asked(elsewhere, "ea")
    made("certify", root, elsewhere / "ea/request.oer", "--kind", "ea", "--fingerprint", fingerprint, "--out", tmp_path / "ea.oer")
    shown = json.loads(made("inspect", "--json", tmp_path / "ea.oer"))
    assert (shown["kind"], shown["name"]) == ("enrolment authority", "Milano EA")
