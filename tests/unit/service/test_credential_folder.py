from pathlib import Path

import pytest

from shared.core.errors import ConfigError
from shared.pki.authority import years
from shared.security.certificate import Certificate
from shared.security.ecdsa import Signer
from shared.service.credential_folder import CANONICAL, CredentialFolder
from shared.service.file_keys import FileKeyStore
from tests.helpers.hierarchy import Hierarchy

HIERARCHY = Hierarchy(61)
EA = HIERARCHY.ea.certificate


def credential(key: Signer) -> Certificate:
    return HIERARCHY.ea.issue_credential(public_key=key.public_key, validity=years(HIERARCHY.start, 3))


@pytest.fixture
def keys(tmp_path: Path) -> FileKeyStore:
    return FileKeyStore(tmp_path / "keys")


def test_a_station_begins_with_nothing_and_makes_its_keys_when_they_are_asked_for(tmp_path: Path, keys: FileKeyStore) -> None:
    folder = CredentialFolder(tmp_path / "credentials", keys)
    assert folder.current is None
    assert folder.held == ()
    assert keys.names() == ()
    canonical = folder.canonical()
    assert folder.canonical().public_key == canonical.public_key
    assert keys.names() == (CANONICAL,)


def test_a_key_whose_credential_never_came_is_used_again(tmp_path: Path, keys: FileKeyStore) -> None:
    key = CredentialFolder(tmp_path / "credentials", keys).next_key()
    again = CredentialFolder(tmp_path / "credentials", keys)
    assert again.next_key().public_key == key.public_key
    assert keys.names() == ("enrolment-0001",)


def test_the_newest_credential_is_in_use_and_the_older_ones_stay_with_their_authorities(tmp_path: Path, keys: FileKeyStore) -> None:
    folder = CredentialFolder(tmp_path / "credentials", keys)
    first = folder.keep(credential(folder.next_key()), authority=EA)
    second = folder.keep(credential(folder.next_key()), authority=EA)
    assert folder.current == second
    again = CredentialFolder(tmp_path / "credentials", keys)
    assert [held.credential.certificate for held in again.held] == [first.certificate, second.certificate]
    assert {held.authority for held in again.held} == {EA}
    assert again.current is not None
    assert again.current.certificate == second.certificate


def test_a_credential_for_another_key_is_not_kept(tmp_path: Path, keys: FileKeyStore) -> None:
    folder = CredentialFolder(tmp_path / "credentials", keys)
    with pytest.raises(ConfigError, match="does not belong"):
        folder.keep(credential(folder.canonical()), authority=EA)
    assert folder.current is None
    assert not (tmp_path / "credentials").exists()


def test_a_lost_key_of_an_older_credential_is_no_hindrance_but_that_of_the_newest_is(tmp_path: Path, keys: FileKeyStore) -> None:
    folder = CredentialFolder(tmp_path / "credentials", keys)
    for _ in range(2):
        folder.keep(credential(folder.next_key()), authority=EA)
    keys.remove("enrolment-0001")
    (held,) = CredentialFolder(tmp_path / "credentials", keys).held
    assert folder.current is not None
    assert held.credential.certificate == folder.current.certificate
    keys.remove("enrolment-0002")
    with pytest.raises(ConfigError, match=r"enrolment-0002.*not in the key store"):
        CredentialFolder(tmp_path / "credentials", keys)


def test_a_power_cut_between_the_two_files_leaves_the_station_as_it_was(tmp_path: Path, keys: FileKeyStore) -> None:
    directory = tmp_path / "credentials"
    folder = CredentialFolder(directory, keys)
    directory.mkdir()
    (directory / "authority-0001.oer").write_bytes(b"half")
    assert CredentialFolder(directory, keys).current is None
    kept = folder.keep(credential(folder.next_key()), authority=EA)
    again = CredentialFolder(directory, keys)
    assert again.held[0].authority == EA
    assert again.held[0].credential.certificate == kept.certificate


def test_a_damaged_credential_is_named(tmp_path: Path, keys: FileKeyStore) -> None:
    folder = CredentialFolder(tmp_path / "credentials", keys)
    folder.keep(credential(folder.next_key()), authority=EA)
    (tmp_path / "credentials/credential-0001.oer").write_bytes(b"\x80\x03")
    with pytest.raises(ConfigError, match=r"credential-0001\.oer: is no certificate"):
        CredentialFolder(tmp_path / "credentials", keys)
