import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from shared.core.errors import ConfigError, StorageError
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.keystore import read_credential_key, read_key, try_new_file, write_key, write_new_file

SIGNER = SoftwareSigner.from_scalar(Curve.NIST_P256, 0xC0FFEE)


@pytest.mark.parametrize("curve", Curve)
def test_a_key_comes_back_from_a_file_only_its_owner_can_read(tmp_path: Path, curve: Curve) -> None:
    path = tmp_path / "key.pem"
    signer = SoftwareSigner.generate(curve)
    write_key(path, signer)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path).public_key == signer.public_key
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_the_umask_does_not_open_a_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_key(tmp_path / "key.pem", SIGNER)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_key_open_to_others_is_refused_and_the_sentence_says_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    write_key(path, SIGNER)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.*chmod 600") as caught:
        read_key(path)
    assert str(path) in str(caught.value)


def test_a_systemd_credential_may_be_group_readable_but_not_world_readable(tmp_path: Path) -> None:
    write_key(tmp_path / "ticket", SIGNER)
    (tmp_path / "ticket").chmod(0o440)
    assert read_credential_key(tmp_path, "ticket").public_key == SIGNER.public_key
    for mode in (0o444, 0o460):
        (tmp_path / "ticket").chmod(mode)
        with pytest.raises(ConfigError, match="open to others"):
            read_credential_key(tmp_path, "ticket")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../key.pem", "/etc/passwd"])
def test_a_credential_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no credential name"):
        read_credential_key(tmp_path, name)


def test_a_key_is_never_overwritten_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_key(path, SIGNER)
    octets = path.read_bytes()
    with pytest.raises(StorageError, match="not overwritten"):
        write_key(path, SoftwareSigner.generate(Curve.NIST_P256))
    assert path.read_bytes() == octets
    assert [each.name for each in tmp_path.iterdir()] == ["key.pem"]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write_new_file(tmp_path / "absent" / "key.pem", b"", mode=0o600)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(tmp_path / "absent.pem")


def written(path: Path, octets: bytes) -> Path:
    path.write_bytes(octets)
    path.chmod(0o600)
    return path


def test_what_is_no_key_of_ours_is_refused_with_a_sentence(tmp_path: Path) -> None:
    pem = SIGNER.native.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    edwards = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    foreign = ec.generate_private_key(ec.SECP256K1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for octets, sentence in (
        (b"", "no unencrypted PKCS#8"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no unencrypted PKCS#8"),
        (pem, "no unencrypted PKCS#8"),
        (edwards, "not an elliptic-curve key"),
        (foreign, "secp256k1"),
        (b"x" * 20_000, "more than 16384"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            read_key(written(tmp_path / "key.pem", octets))


def test_a_pipe_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_key(tmp_path)


def test_a_pipe_is_no_key_and_does_not_hold_the_program_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key.pem", 0o600)
    with pytest.raises(ConfigError, match="is no regular file"):
        read_key(tmp_path / "key.pem")


def test_a_file_is_tried_before_it_is_made_with_the_words_of_the_one_that_makes_it(tmp_path: Path) -> None:
    path, dangling = tmp_path / "record.json", tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    try_new_file(path)
    assert [each.name for each in tmp_path.iterdir()] == ["dangling"], "nothing is left behind"
    write_new_file(path, b"{}", mode=0o644)
    for refused in (path, dangling, tmp_path / "absent" / "record.json"):
        with pytest.raises(StorageError) as tried:
            try_new_file(refused)
        with pytest.raises(StorageError) as made:
            write_new_file(refused, b"", mode=0o644)
        assert str(tried.value) == str(made.value)
