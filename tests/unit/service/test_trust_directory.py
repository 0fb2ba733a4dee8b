import stat
from pathlib import Path

import pytest

from shared.core.errors import ConfigError, StorageError
from shared.security.ecdsa import SoftwareSigner
from shared.security.trust_store import TrustStore
from shared.service.authority_keys import NewAuthorityKeys
from shared.service.trust_directory import (
    read_authority,
    read_ticket,
    read_trust_directory,
    write_ticket,
    write_trust_directory,
)
from tests.helpers.hierarchy import Hierarchy

HIERARCHY = Hierarchy(1)


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    directory = tmp_path / "trust"
    write_trust_directory(directory, HIERARCHY.trust_store)
    return directory


def test_a_trust_directory_comes_back(trust: Path) -> None:
    store = read_trust_directory(trust)
    assert store.roots == HIERARCHY.trust_store.roots
    assert store.authorities == HIERARCHY.trust_store.authorities
    assert (trust / "roots" / f"{HIERARCHY.root.certificate.hashed_id8.hex().upper()}.oer").exists()


def test_a_directory_without_a_root_trusts_nobody_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "roots").mkdir()
    with pytest.raises(ConfigError, match="nobody could be trusted"):
        read_trust_directory(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_trust_directory(tmp_path / "absent")


def test_roots_alone_are_enough(tmp_path: Path) -> None:
    write_trust_directory(tmp_path, TrustStore.of_operator((HIERARCHY.root.certificate,), ()))
    (tmp_path / "authorities").rmdir()
    assert read_trust_directory(tmp_path).authorities == {}


def test_one_damaged_file_spoils_the_directory_and_is_named(trust: Path) -> None:
    encoded = HIERARCHY.aa.certificate.encoded
    for octets in (b"", b"garbage", encoded + b"\x00", encoded[:-1], bytes(9_000)):
        damaged = trust / "authorities" / "damaged.oer"
        damaged.write_bytes(octets)
        with pytest.raises(ConfigError, match=r"damaged\.oer"):
            read_trust_directory(trust)


def test_a_root_among_the_authorities_and_an_authority_among_the_roots_are_refused(trust: Path) -> None:
    misplaced = trust / "authorities" / "root.oer"
    misplaced.write_bytes(HIERARCHY.root.certificate.encoded)
    with pytest.raises(ConfigError, match="belongs to the roots"):
        read_trust_directory(trust)
    misplaced.rename(trust / "roots" / "aa.oer").write_bytes(HIERARCHY.aa.certificate.encoded)
    with pytest.raises(ConfigError, match="not self-signed"):
        read_trust_directory(trust)


def test_other_files_are_left_alone(trust: Path) -> None:
    (trust / "roots" / "README").write_text("about these roots")
    assert len(read_trust_directory(trust).roots) == 1


def test_a_ticket_comes_back_with_its_key(tmp_path: Path) -> None:
    ticket = HIERARCHY.ticket()
    key = HIERARCHY.keys.generate(ticket.signer.curve)
    assert ticket.signer.public_key != key.public_key
    signer = ticket.signer
    assert isinstance(signer, SoftwareSigner)
    write_ticket(tmp_path / "t", ticket.certificate, signer)
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o700
    read = read_ticket(tmp_path / "t")
    assert (read.certificate, read.signer.public_key) == (ticket.certificate, signer.public_key)
    assert read_ticket(tmp_path / "t", signer=signer).certificate == ticket.certificate
    with pytest.raises(ConfigError, match="does not belong"):
        read_ticket(tmp_path / "t", signer=key)
    with pytest.raises(StorageError, match="exists already"):
        write_ticket(tmp_path / "t", ticket.certificate, signer)


def test_a_ticket_whose_key_is_open_to_others_is_refused(tmp_path: Path) -> None:
    ticket = HIERARCHY.ticket()
    assert isinstance(ticket.signer, SoftwareSigner)
    write_ticket(tmp_path / "t", ticket.certificate, ticket.signer)
    (tmp_path / "t" / "key.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_ticket(tmp_path / "t")


def test_an_authority_comes_back_with_both_keys(tmp_path: Path) -> None:
    NewAuthorityKeys(None, "").write(tmp_path / "aa", "aa", HIERARCHY.aa.credential)
    read = read_authority(tmp_path / "aa")
    own = HIERARCHY.aa.credential
    assert (read.certificate, read.signer.public_key) == (own.certificate, own.signer.public_key)
    assert read.encryption_key is not None
    assert own.encryption_key is not None
    assert read.encryption_key.public_key == own.encryption_key.public_key
    NewAuthorityKeys(None, "").write(tmp_path / "root", "root", HIERARCHY.root.credential)
    assert read_authority(tmp_path / "root").encryption_key is None
