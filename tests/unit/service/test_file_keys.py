import stat
from pathlib import Path

import pytest

from shared.core.errors import ConfigError, StorageError
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service import file_keys
from shared.service.file_keys import CredentialKeyStore, FileKeyStore
from shared.service.key_store import open_key_store
from shared.service.keystore import read_key, write_key


def test_the_first_key_makes_the_directory_for_its_owner_alone(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path / "state/keys")
    assert store.names() == ()
    assert not (tmp_path / "state").exists()
    made = store.generate("ticket", Curve.NIST_P256)
    assert stat.S_IMODE((tmp_path / "state/keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state/keys/ticket.pem").stat().st_mode) == 0o600
    assert read_key(tmp_path / "state/keys/ticket.pem").public_key == made.public_key


def test_a_directory_others_may_write_into_is_refused(tmp_path: Path) -> None:
    for mode in (0o770, 0o707, 0o777):
        tmp_path.chmod(mode)
        with pytest.raises(ConfigError, match=rf"others may put keys there \(mode {mode:04o}\); make it yours alone: chmod 700"):
            FileKeyStore(tmp_path)
    tmp_path.chmod(0o755)
    FileKeyStore(tmp_path)


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").touch()
    with pytest.raises(ConfigError, match="is no directory"):
        FileKeyStore(tmp_path / "keys")
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        FileKeyStore(tmp_path / "keys/deeper")


def test_a_link_that_leads_nowhere_takes_its_name(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    (tmp_path / "ticket.pem").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="already") as caught:
        store.generate("ticket", Curve.NIST_P256)
    assert caught.value.code == "key_exists"
    with pytest.raises(ConfigError, match="cannot be read"):
        store.find("ticket")


def test_other_files_are_no_keys(tmp_path: Path) -> None:
    for name in ("certificate.oer", "Key.pem", ".pem", "a key.pem", ".ticket.pem.xyz"):
        (tmp_path / name).touch()
    assert FileKeyStore(tmp_path).names() == ()


def test_a_store_holds_so_many_keys_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_keys, "MAX_KEYS", 2)
    store = FileKeyStore(tmp_path)
    store.generate("a", Curve.NIST_P256)
    store.generate("b", Curve.NIST_P256)
    with pytest.raises(StorageError, match="keys already; remove some") as caught:
        store.generate("c", Curve.NIST_P256)
    assert caught.value.code == "token_full"
    assert store.names() == ("a", "b")


def test_a_directory_that_cannot_be_made_or_read_is_a_storage_error(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path / "keys")
    (tmp_path / "keys").touch()
    for ask in (store.names, lambda: store.generate("a", Curve.NIST_P256), lambda: store.remove("a")):
        with pytest.raises(StorageError, match="Not a directory") as caught:
            ask()
        assert caught.value.code == "storage"


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    write_key(tmp_path / "ticket.key", SoftwareSigner.from_scalar(Curve.NIST_P256, 0xC0FFEE))
    (tmp_path / "ticket.key").chmod(0o440)
    (tmp_path / "token.pin").write_text("271828\n")
    return tmp_path


def test_a_credential_is_found_by_its_name(credentials: Path) -> None:
    with open_key_store("credential:", Path("/"), environment={"CREDENTIALS_DIRECTORY": str(credentials)}) as store:
        assert isinstance(store, CredentialKeyStore)
        assert store.names() == ("ticket.key", "token.pin")
        found = store.find("ticket.key")
        assert found is not None
        assert found.public_key == SoftwareSigner.from_scalar(Curve.NIST_P256, 0xC0FFEE).public_key
        assert store.find("enrolment.key") is None


def test_a_credential_is_neither_made_nor_removed_here(credentials: Path) -> None:
    store = CredentialKeyStore(credentials)
    with pytest.raises(StorageError, match=r"'log\.key' cannot be made here: systemd only passes keys"):
        store.generate("log.key", Curve.NIST_P256)
    with pytest.raises(StorageError, match=r"'ticket\.key' cannot be removed here: it is the operator's"):
        store.remove("ticket.key")
    assert store.find("ticket.key") is not None


def test_a_credential_that_is_no_key_is_named(credentials: Path) -> None:
    (credentials / "token.pin").chmod(0o400)
    with pytest.raises(ConfigError, match=r"token\.pin: holds no unencrypted PKCS#8 private key"):
        CredentialKeyStore(credentials).find("token.pin")


def test_credentials_that_went_away_are_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="systemd's credentials cannot be read"):
        CredentialKeyStore(tmp_path / "gone").names()
