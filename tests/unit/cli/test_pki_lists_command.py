"""`v2x pki` beyond certificates: stations, lists, the log, and what cannot be served."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner, Result

from shared.cli.pki import app
from shared.core.clock import Instant, TimeSource
from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.ledger.policy import parse_policy
from shared.ledger.proof import parse_proof, verify_proof
from shared.operator.list_office import stated_list
from shared.operator.pki_directory import PkiDirectory
from shared.pki.registry import StationStatus
from shared.security.trust_list import encode_trust_list, verify_crl, verify_ctl
from shared.service.published_lists import DocumentKind
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_certificate_file
from tests.helpers.data import data_file


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


def now() -> Instant:
    return SystemClock(TimeSource.ASSUME_TRUSTED).now()


@pytest.fixture
def authorities(tmp_path: Path) -> Path:
    made("init", tmp_path / "a")
    return tmp_path / "a"


def public_key(path: Path, curve: ec.EllipticCurve | None = None) -> Path:
    key = ec.generate_private_key(curve or ec.SECP256R1()).public_key()
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_stations_are_given_the_manager_the_logs_key_and_proofs_of_the_authorities(authorities: Path) -> None:
    trust = authorities / "trust"
    (manager,) = (trust / "tlm").iterdir()
    assert manager.read_bytes() == (authorities / "tlm/certificate.oer").read_bytes()
    policy = parse_policy((trust / "log.policy").read_bytes())
    known = sorted((trust / "authorities").glob("*.oer"))
    assert len(known) == 2
    for each in known:
        assert verify_proof(parse_proof(each.with_suffix(".proof").read_bytes()), each.read_bytes(), policy).index in (2, 3)


def test_a_trust_list_manager_signs_its_list_and_nothing_else(authorities: Path) -> None:
    shown = json.loads(made("inspect", "--json", authorities / "tlm/certificate.oer"))
    assert shown["kind"] == "trust list manager"
    assert [(each["its_aid"], each["ssp"]) for each in shown["permissions"]] == [(624, "01c8")]


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.BrainpoolP256R1(), ec.SECP384R1(), ec.BrainpoolP384R1()])
def test_a_station_is_registered_by_its_public_key(authorities: Path, tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = public_key(tmp_path / "key.pem", curve)
    made("register", authorities, "--its-id", "car 1", "--key", key, "--role", "rsu")
    made("register", authorities, "--its-id", "car 1", "--key", key, "--role", "rsu")
    with PkiDirectory(authorities).registry() as registry:
        station = registry.station(b"car 1")
        assert station is not None
        assert station.canonical_key.native.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) == key.read_bytes()


def test_a_station_may_be_registered_by_a_certificate_that_holds_its_key(authorities: Path, tmp_path: Path) -> None:
    made("issue", authorities, "--kind", "enrolment", "--out", tmp_path / "ec")
    certificate = tmp_path / "ec/certificate.oer"
    made("register", authorities, "--its-id", "car 2", "--key", certificate)
    with PkiDirectory(authorities).registry() as registry:
        station = registry.station(b"car 2")
        assert station is not None
        assert station.canonical_key == read_certificate_file(certificate).public_key()


def test_what_is_no_public_key_of_a_station_is_refused_and_no_private_one_is_taken(authorities: Path, tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    rsa_key = rsa.generate_private_key(65_537, 2_048).public_key()
    wrong = {
        "belongs to the station alone": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "no key on a curve": rsa_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "no public key in PEM": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "neither a public key": b"garbage",
        "has more than": bytes(100_000),
    }
    for words, octets in wrong.items():
        (tmp_path / "key").write_bytes(octets)
        assert words in refused("register", authorities, "--its-id", "x", "--key", tmp_path / "key")
    other = ec.generate_private_key(ec.SECP521R1()).public_key()
    (tmp_path / "key").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert "no key on a curve" in refused("register", authorities, "--its-id", "x", "--key", tmp_path / "key")


def test_an_identifier_that_is_no_text_is_wrong_usage(authorities: Path, tmp_path: Path) -> None:
    key = public_key(tmp_path / "key.pem")
    for arguments in (("register", "--key", key), ("block",), ("unblock",)):
        assert "no text" in refused(arguments[0], authorities, "--its-id", "car\udcff", *arguments[1:])


def test_a_station_is_blocked_and_served_again(authorities: Path, tmp_path: Path) -> None:
    made("register", authorities, "--its-id", "car 1", "--key", public_key(tmp_path / "key.pem"))
    for command, status in (("block", StationStatus.BLOCKED), ("unblock", StationStatus.ACTIVE)):
        made(command, authorities, "--its-id", "car 1")
        with PkiDirectory(authorities).registry() as registry:
            station = registry.station(b"car 1")
            assert station is not None
            assert station.status is status


def test_blocking_names_one_station_or_one_credential_there_is(authorities: Path, tmp_path: Path) -> None:
    assert "not registered" in refused("block", authorities, "--its-id", "nobody")
    assert "not issued here" in refused("block", authorities, "--credential", "00" * 8)
    assert "hexadecimal" in refused("block", authorities, "--credential", "xyz")
    assert "name a station" in refused("block", authorities)
    assert "name a station" in refused("block", authorities, "--its-id", "a", "--credential", "00" * 8)
    assert "no enrolment authority" in refused("block", tmp_path, "--its-id", "a")


def test_lists_are_signed_and_written_to_files_that_verify(authorities: Path, tmp_path: Path) -> None:
    root, manager = (read_certificate_file(authorities / part / "certificate.oer") for part in ("root", "tlm"))
    assert "give --url" in refused("ctl", authorities)
    made("ctl", authorities, "--url", "http://pki.example", "--out", tmp_path / "ctl")
    made("ectl", authorities, "--out", tmp_path / "ectl")
    made("crl", authorities, "--revoke", "0011223344556677", "--out", tmp_path / "crl")
    assert verify_ctl((tmp_path / "ctl").read_bytes(), issuer=root, now=now()).content.sequence == 0
    assert verify_ctl((tmp_path / "ectl").read_bytes(), issuer=manager, now=now()).content.roots == (root,)
    crl = verify_crl((tmp_path / "crl").read_bytes(), issuer=root, now=now()).content
    assert [each.hex() for each in crl.revoked] == ["0011223344556677"]
    assert isinstance(v2x_pki("ctl", authorities, "--out", tmp_path / "ctl").exception, StorageError)
    for name, kind in (("ctl", "CTL of a root"), ("ectl", "ECTL"), ("crl", "CRL")):
        assert json.loads(made("inspect", "--json", tmp_path / name))["kind"] == kind
        bare = tmp_path / f"{name}.bare"
        bare.write_bytes(encode_trust_list(stated_list((tmp_path / name).read_bytes())))
        assert kind in made("inspect", bare)


def test_an_authority_is_listed_by_name_once_it_is_made(authorities: Path, tmp_path: Path) -> None:
    assert "second" in refused("ctl", authorities, "--url", "http://pki.example", "--add-aa", "second")
    made("issue", authorities, "--kind", "aa", "--name", "second AA", "--out", authorities / "second")
    made("ctl", authorities, "--url", "http://pki.example", "--add-aa", "second", "--out", tmp_path / "1")
    made("ctl", authorities, "--remove-aa", "second", "--out", tmp_path / "2")
    shown = [json.loads(made("inspect", "--json", tmp_path / name)) for name in ("1", "2")]
    assert ["second AA" in json.dumps(each) for each in shown] == [True, False]
    assert [each["sequence"] for each in shown] == [0, 1]
    assert "is not listed" in refused("ctl", authorities, "--remove-aa", "second")


@pytest.mark.parametrize(
    "options", [("--kind", "aa"), ("--kind", "aa", "--name", "x", "--count", "2"), ("--kind", "ticket", "--name", "x")]
)
def test_an_authority_is_made_one_at_a_time_and_has_a_name(authorities: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert "--name" in refused("issue", authorities, *options, "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_european_list_names_its_roots() -> None:
    shown = json.loads(made("inspect", "--json", data_file("security/CE4CF6C19BFED720.oer")))
    assert (shown["kind"], shown["sequence"]) == ("ECTL", 1)
    assert shown["signed"]["signer"]["certificate"]["hashed_id8"] == "e7a4b2b045e7acf9"
    tree = made("inspect", data_file("security/CE4CF6C19BFED720.oer"))
    for root in ("624e2e81b7945c4f", "b1fc75cd5a80c630", "1_EU-ROOT-CA_L2", "3_Microsec-CCMS-RCA-2024_L2"):
        assert root in tree


def test_a_name_that_speaks_to_the_terminal_is_shown_as_characters(tmp_path: Path) -> None:
    made("init", tmp_path / "a", "--name", "[bold]\x1b[31mred\u202e")
    tree = made("inspect", tmp_path / "a/root/certificate.oer")
    assert "[bold]\\x1b[31mred\\u202e root" in tree
    assert "\x1b" not in tree


def test_an_encrypted_request_is_shown_as_far_as_strangers_can_see() -> None:
    shown = json.loads(made("inspect", "--json", data_file("security/bc_encrypted.coer")))
    assert (shown["kind"], len(shown["recipients"])) == ("encrypted data", 1)


def test_data_nested_150_deep_is_refused_with_a_sentence() -> None:
    result = v2x_pki("inspect", data_file("security/CE4CF6C19BFED720_with_recursion_depth150.oer"))
    assert isinstance(result.exception, DecodeError)
    assert "nested more than" in str(result.exception)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "nowhere"), "HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "HOST:PORT"),
        (("--listen", "127.0.0.1:\u0661"), "HOST:PORT"),
        (("--listen", "127.0.0.1:0000000000080"), "HOST:PORT"),
        (("--only", "aa", "--ea-url", "garbage"), "--ea-url"),
        (("--aa-url", "ftp://aa.example"), "--aa-url"),
        (("--url", "pki.example"), "is no http or https address"),
        (("--only", "ea,bakery"), "bakery"),
        (("--time-source", "gnss"), "no GNSS receiver"),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(authorities: Path, options: tuple[str, ...], words: str) -> None:
    assert words in refused("serve", authorities, *options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "192.0.2.1:0"), "cannot be listened on"),
        (("--listen", "0.0.0.0:0"), "which address shall the lists name"),
        (("--listen", "127.0.0.1:0", "--list-period-s", "1"), "a list lives for"),
    ],
)
def test_what_cannot_be_published_ends_the_node_with_one_line_and_status_2(
    authorities: Path, options: tuple[str, ...], words: str
) -> None:
    result = v2x_pki("serve", authorities, *options)
    assert result.exit_code == 2
    assert words in result.output
    assert "ready" not in result.output
    assert result.output.count("\n") == 1


def test_a_node_that_cannot_open_its_authorities_publishes_nothing(authorities: Path) -> None:
    (authorities / "aa/key.pem").chmod(0o644)
    result = v2x_pki("serve", authorities, "--listen", "127.0.0.1:0")
    assert result.exit_code == 2
    assert "open to others" in result.output
    with PkiDirectory(authorities).lists() as lists:
        assert lists.newest(DocumentKind.CTL, read_certificate_file(authorities / "root/certificate.oer").hashed_id8) is None


def test_revoking_what_was_never_listed_is_remarked(authorities: Path) -> None:
    known = read_certificate_file(authorities / "aa/certificate.oer").hashed_id8.hex()
    assert "no authority" in made("crl", authorities, "--revoke", "0011223344556677")
    assert "no authority" not in made("crl", authorities, "--revoke", known)


def test_a_list_that_is_out_is_told_though_its_file_cannot_be_written(authorities: Path) -> None:
    result = v2x_pki("crl", authorities, "--out", authorities)
    assert isinstance(result.exception, StorageError)
    assert result.output.startswith("crl 0 of ")


def test_a_directory_without_the_keys_cannot_be_served(tmp_path: Path) -> None:
    assert "no key is here" in refused("serve", tmp_path)
    made("init", tmp_path / "a")
    (tmp_path / "a/ea/key.pem").unlink()
    assert "ea cannot be served" in refused("serve", tmp_path / "a")


@pytest.mark.parametrize("command", [("serve",), ("serve", "--only", "dc"), ("block", "--its-id", "car"), ("crl",), ("stations",)])
def test_a_directory_that_is_not_there_is_told_as_such(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert refused(command[0], tmp_path / "nope", *command[1:]) == f"{tmp_path / 'nope'}: there is no such directory"


def test_the_root_itself_is_revoked_only_by_who_says_that_everything_ends(authorities: Path, tmp_path: Path) -> None:
    made("ctl", authorities, "--url", "http://pki.example")
    root = read_certificate_file(authorities / "root/certificate.oer")
    known = read_certificate_file(authorities / "aa/certificate.oer").hashed_id8.hex()
    revoking = ("crl", authorities, "--revoke", known, "--revoke", root.hashed_id8.hex())
    assert "--whole-hierarchy" in refused(*revoking)
    made("crl", authorities, "--out", tmp_path / "nothing.crl")
    assert verify_crl((tmp_path / "nothing.crl").read_bytes(), issuer=root, now=now()).content.revoked == ()
    made(*revoking, "--whole-hierarchy", "--out", tmp_path / "all.crl")
    assert root.hashed_id8 in verify_crl((tmp_path / "all.crl").read_bytes(), issuer=root, now=now()).content.revoked


def test_the_help_of_a_revocation_says_that_it_stays_and_when_agents_hear_of_it() -> None:
    words = " ".join(made("crl", "--help").replace("\u2502", " ").split())
    assert "cannot be taken back" in words
    assert "--list-period-s" in words
