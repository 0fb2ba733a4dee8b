from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli.pki import app
from shared.core.errors import ConfigError
from shared.core.ids import ItsAid
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import TrustStore
from shared.service.identity import TICKET_KEY, check_enrolment, check_ticket, describe_ticket, read_identity
from shared.service.trust_directory import read_ticket, read_trust_directory


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki") / "authorities"
    assert CliRunner().invoke(app, ["init", str(directory)]).exit_code == 0
    return directory


@pytest.fixture
def ticket(authorities: Path, tmp_path: Path) -> Path:
    """Return a folder with a fresh ticket and its key."""
    folder = tmp_path / "ticket"
    result = CliRunner().invoke(app, ["issue", str(authorities), "--kind", "ticket", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def test_started_by_hand_a_station_takes_the_key_beside_its_certificate(ticket: Path) -> None:
    identity = read_identity(ticket, credential=TICKET_KEY, environment={})
    assert identity.certificate.encoded == (ticket / "certificate.oer").read_bytes()


def test_a_service_takes_the_key_that_systemd_passes(ticket: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (ticket / "key.pem").rename(credentials / TICKET_KEY)
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    identity = read_identity(ticket, credential=TICKET_KEY, environment=environment)
    assert identity.certificate.encoded == (ticket / "certificate.oer").read_bytes()


def test_a_passed_key_may_show_the_group_bits_of_systemds_access_list(ticket: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (ticket / "key.pem").rename(credentials / TICKET_KEY)
    (credentials / TICKET_KEY).chmod(0o440)
    read_identity(ticket, credential=TICKET_KEY, environment={"CREDENTIALS_DIRECTORY": str(credentials)})
    (credentials / TICKET_KEY).chmod(0o444)
    with pytest.raises(ConfigError, match="open to others"):
        read_identity(ticket, credential=TICKET_KEY, environment={"CREDENTIALS_DIRECTORY": str(credentials)})


def test_the_key_of_another_certificate_is_refused(ticket: Path, authorities: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    other = tmp_path / "other"
    assert CliRunner().invoke(app, ["issue", str(authorities), "--kind", "ticket", "--out", str(other)]).exit_code == 0
    (other / "key.pem").rename(credentials / TICKET_KEY)
    with pytest.raises(ConfigError, match=str(ticket)):
        read_identity(ticket, credential=TICKET_KEY, environment={"CREDENTIALS_DIRECTORY": str(credentials)})


def test_without_a_key_anywhere_the_missing_file_is_named(ticket: Path, tmp_path: Path) -> None:
    (ticket / "key.pem").unlink()
    with pytest.raises(ConfigError, match=r"key\.pem"):
        read_identity(ticket, credential=TICKET_KEY, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_ticket_is_described_by_its_identifier_and_its_time(ticket: Path) -> None:
    identity = read_ticket(ticket)
    words = describe_ticket(identity)
    assert words.startswith(f"ticket {identity.certificate.hashed_id8.hex()}, valid 20")
    assert words.count("Z") == 2


def test_a_ticket_of_our_own_authorities_is_accepted_for_what_it_permits(authorities: Path, ticket: Path) -> None:
    store = read_trust_directory(authorities / "trust")
    check_ticket(
        read_ticket(ticket), directory=ticket, trust_store=store, areas=NO_IDENTIFIED_AREAS, services=(ItsAid.CAM, ItsAid.DENM)
    )


def test_a_ticket_without_a_permission_that_is_needed_is_refused(authorities: Path, ticket: Path) -> None:
    store = read_trust_directory(authorities / "trust")
    with pytest.raises(ConfigError, match=f"{ticket}: .*no permission for ITS-AID {int(ItsAid.TLM)}"):
        check_ticket(
            read_ticket(ticket), directory=ticket, trust_store=store, areas=NO_IDENTIFIED_AREAS, services=(ItsAid.CAM, ItsAid.TLM)
        )


def test_neither_takes_the_place_of_the_other(authorities: Path, ticket: Path, tmp_path: Path) -> None:
    enrolment = tmp_path / "enrolment"
    result = CliRunner().invoke(app, ["issue", str(authorities), "--kind", "enrolment", "--out", str(enrolment)])
    assert result.exit_code == 0, result.output
    store = read_trust_directory(authorities / "trust")
    check_enrolment(read_ticket(enrolment), directory=enrolment, trust_store=store)
    with pytest.raises(ConfigError, match="is no enrolment credential others could believe"):
        check_enrolment(read_ticket(ticket), directory=ticket, trust_store=store)
    with pytest.raises(ConfigError, match="is no ticket others could believe"):
        check_ticket(read_ticket(enrolment), directory=enrolment, trust_store=store, areas=NO_IDENTIFIED_AREAS, services=())


def test_a_ticket_of_somebody_elses_authorities_is_refused(ticket: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["init", str(tmp_path / "foreign")]).exit_code == 0
    store = read_trust_directory(tmp_path / "foreign/trust")
    with pytest.raises(ConfigError, match=r"the issuing authority .* is not known"):
        check_ticket(read_ticket(ticket), directory=ticket, trust_store=store, areas=NO_IDENTIFIED_AREAS, services=())


def test_where_only_a_manager_is_pinned_a_ticket_need_not_lead_anywhere_yet_but_must_be_one(
    authorities: Path, ticket: Path, tmp_path: Path
) -> None:
    nobody = TrustStore.of_operator((), ())
    check_ticket(read_ticket(ticket), directory=ticket, trust_store=nobody, areas=NO_IDENTIFIED_AREAS, services=(ItsAid.CAM,))
    with pytest.raises(ConfigError, match="no permission"):
        check_ticket(read_ticket(ticket), directory=ticket, trust_store=nobody, areas=NO_IDENTIFIED_AREAS, services=(ItsAid.TLM,))
    enrolment = tmp_path / "enrolment"
    assert CliRunner().invoke(app, ["issue", str(authorities), "--kind", "enrolment", "--out", str(enrolment)]).exit_code == 0
    with pytest.raises(ConfigError, match="is no ticket others could believe"):
        check_ticket(read_ticket(enrolment), directory=enrolment, trust_store=nobody, areas=NO_IDENTIFIED_AREAS, services=())
