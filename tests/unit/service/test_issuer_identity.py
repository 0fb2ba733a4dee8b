"""The identity of who issues records or asks for data: its credential, its key wherever that is, and whether it is valid today."""

from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, RecordError, UntrustedTimeError
from shared.pki.authority import hours
from shared.pki.permission_sets import RecordRole, issuer_permissions
from shared.records.issuers import IssuerRole
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.trust_store import TrustStore
from shared.service.file_keys import FileKeyStore
from shared.service.issuer_identity import open_issuer_identity
from shared.service.key_store import open_key_store
from shared.service.keystore import write_key, write_new_file
from shared.service.trust_directory import KEY_FILE, write_certificate, write_ticket
from tests.helpers.hierarchy import BEGIN, Hierarchy
from tests.helpers.tokens import soft_token

PKI, STRANGER = Hierarchy(31), Hierarchy(32)
HOUR_NS = 3_600 * NS_PER_S
NOW = Instant(MonotonicNs(0), UtcNs(BEGIN + HOUR_NS))


def enrol(folder: Path, *, pki: Hierarchy = PKI, valid_hours: int = 24) -> SoftwareSigner:
    signer = pki.keys.generate(Curve.NIST_P256)
    permissions = issuer_permissions(RecordRole.GARAGE)
    certificate = pki.ea.issue_credential(
        public_key=signer.public_key, validity=hours(pki.start, valid_hours), permissions=permissions
    )
    write_ticket(folder, certificate, signer)
    return signer


def role(
    folder: Path, *, keys: str | None = None, name: str | None = None, trust: TrustStore = PKI.trust_store, now: Instant = NOW
) -> IssuerRole:
    """Open the identity, sign with it, and return its role."""
    with open_issuer_identity(folder, keys=keys, key_name=name, trust=trust, now=now, environment={}) as identity:
        assert identity.issuer.key.is_signature(b"x", identity.signer.sign_es256(b"x"))
        return identity.issuer.role


def test_a_folder_with_credential_and_key_is_an_identity(tmp_path: Path) -> None:
    enrol(tmp_path / "garage")
    assert role(tmp_path / "garage") is IssuerRole.GARAGE


def test_a_key_in_a_key_store_is_found_by_the_folders_name_or_another(tmp_path: Path) -> None:
    signer = enrol(tmp_path / "garage")
    (tmp_path / "garage" / KEY_FILE).unlink()
    (tmp_path / "keys").mkdir(mode=0o700)
    for name in ("garage", "other"):
        write_key(tmp_path / f"keys/{name}.pem", signer)
    assert FileKeyStore(tmp_path / "keys").names() == ("garage", "other")
    assert role(tmp_path / "garage", keys="file:keys") is IssuerRole.GARAGE
    assert role(tmp_path / "garage", keys="file:keys", name="other") is IssuerRole.GARAGE
    write_new_file(tmp_path / "garage/key.uri", b"file:keys\nother\n", mode=0o600)
    assert role(tmp_path / "garage") is IssuerRole.GARAGE


@pytest.mark.parametrize(
    ("keys", "name", "sentence"),
    [
        ("file:keys", "absent", "the key store holds no key named 'absent'"),
        ("file:keys", "../garage/key", "is no name for a key"),
        ("keys", None, "is no URI"),
        ("ftp:keys", None, "is no key store"),
        (None, "garage", "--key-name"),
        ("file:keys", "stranger", "the private key does not belong to the certificate"),
    ],
)
def test_a_key_that_is_not_there_or_not_the_credentials_is_told(
    tmp_path: Path, keys: str | None, name: str | None, sentence: str
) -> None:
    enrol(tmp_path / "garage")
    (tmp_path / "keys").mkdir(mode=0o700)
    write_key(tmp_path / "keys/stranger.pem", SoftwareSigner.generate(Curve.NIST_P256))
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(")):
        role(tmp_path / "garage", keys=keys, name=name)


def test_a_key_open_to_others_is_refused(tmp_path: Path) -> None:
    enrol(tmp_path / "garage")
    (tmp_path / "garage" / KEY_FILE).chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        role(tmp_path / "garage")


def test_a_credential_that_has_ended_or_not_begun_signs_nothing_and_the_day_is_told(tmp_path: Path) -> None:
    enrol(tmp_path / "garage", valid_hours=1)
    with pytest.raises(RecordError, match=r"credential [0-9a-f]{16} ended on 2026-11-22T.*Z: nothing can be signed") as ended:
        role(tmp_path / "garage", now=Instant(MonotonicNs(0), UtcNs(BEGIN + 2 * HOUR_NS)))
    with pytest.raises(RecordError, match="is valid only from") as early:
        role(tmp_path / "garage", now=Instant(MonotonicNs(0), UtcNs(BEGIN - HOUR_NS)))
    assert ended.value.check == early.value.check == "certificate"
    with pytest.raises(UntrustedTimeError):
        role(tmp_path / "garage", now=Instant(MonotonicNs(0), None))


def test_a_credential_of_an_authority_or_a_root_that_is_not_trusted_signs_nothing(tmp_path: Path) -> None:
    enrol(tmp_path / "garage", pki=STRANGER)
    with pytest.raises(ConfigError, match=r"garage: the authority that issued this credential is not in the trust directory"):
        role(tmp_path / "garage")
    mixed = TrustStore.of_operator(
        tuple(PKI.trust_store.roots.values()),
        (*PKI.trust_store.authorities.values(), *STRANGER.trust_store.authorities.values()),
    )
    with pytest.raises(RecordError, match="does not lead to a trusted root"):
        role(tmp_path / "garage", trust=mixed)


def test_a_key_that_never_leaves_its_token_signs_all_the_same(tmp_path: Path) -> None:
    with soft_token(tmp_path / "token") as token:
        with open_key_store(token.uri, tmp_path) as store:
            key = store.generate("garage", Curve.NIST_P256)
            permissions = issuer_permissions(RecordRole.GARAGE)
            certificate = PKI.ea.issue_credential(public_key=key.public_key, validity=hours(PKI.start, 24), permissions=permissions)
        (tmp_path / "garage").mkdir()
        write_certificate(tmp_path / "garage", certificate)
        assert role(tmp_path / "garage", keys=token.uri) is IssuerRole.GARAGE
