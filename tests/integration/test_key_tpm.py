"""What a TPM refuses, what becomes of it while a program runs, and what each error tells the operator."""

import base64
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import ConfigError, TransportError
from shared.security.ecdsa import Curve
from shared.service.key_store import KeyStore, open_key_store
from tests.helpers.tokens import PIN, SoftTpm, soft_tpm, write_pin

DIGEST = sha256(b"a message").digest()


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[SoftTpm]:
    with soft_tpm(tmp_path / "tpm") as running:
        yield running


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    return write_pin(tmp_path / "pin")


def store_of(tpm: SoftTpm, base: Path, pin: Path | None = None) -> KeyStore:
    return open_key_store(tpm.uri(Path("keys"), pin_file=pin), base, environment={})


@contextmanager
def talking_to(tpm: SoftTpm) -> Iterator[Any]:
    """Talk to the TPM as another program does."""
    from tpm2_pytss import ESAPI

    esys = ESAPI(tpm.tcti)
    try:
        yield esys
    finally:
        esys.close()


def loaded_objects(tpm: SoftTpm) -> int:
    from tpm2_pytss import TPM2_CAP, TPM2_HC

    with talking_to(tpm) as esys:
        _, found = esys.get_capability(TPM2_CAP.HANDLES, TPM2_HC.TRANSIENT_FIRST, 16)
        return int(found.data.handles.count)


def test_the_wrapped_key_is_in_a_file_that_only_its_owner_can_read(tpm: SoftTpm, tmp_path: Path) -> None:
    with store_of(tpm, tmp_path) as store:
        store.generate("ticket", Curve.NIST_P256)
    path = tmp_path / "keys/ticket.tss2"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----\n")
    path.chmod(0o644)
    with store_of(tpm, tmp_path) as store, pytest.raises(ConfigError, match="the wrapped key is open to others"):
        store.find("ticket")


@pytest.mark.parametrize("curve", [curve for curve in Curve if curve is not Curve.NIST_P256])
def test_a_key_on_a_curve_not_every_tpm_has_is_refused(tpm: SoftTpm, tmp_path: Path, curve: Curve) -> None:
    with store_of(tpm, tmp_path) as store:
        with pytest.raises(ConfigError, match=f"a TPM makes keys on P-256 here, not on {curve.value}"):
            store.generate("ticket", curve)
        assert store.names() == ()


def test_nothing_is_left_in_the_tpm(tpm: SoftTpm, tmp_path: Path, pin: Path) -> None:
    with store_of(tpm, tmp_path, pin) as store:
        for number in range(5):
            signer = store.generate(f"key-{number}", Curve.NIST_P256)
            signer.sign_digest(DIGEST)
            assert loaded_objects(tpm) == 0
    assert loaded_objects(tpm) == 0


def test_a_key_wrapped_by_another_tpm_is_of_no_use(tpm: SoftTpm, tmp_path: Path) -> None:
    with store_of(tpm, tmp_path) as store:
        store.generate("ticket", Curve.NIST_P256)
    with soft_tpm(tmp_path / "other") as other, store_of(other, tmp_path) as store:
        with pytest.raises(ConfigError, match="the key 'ticket' was wrapped by another TPM, or is damaged; enrol anew here"):
            store.find("ticket")
        assert loaded_objects(other) == 0
    with store_of(tpm, tmp_path) as store:
        assert store.find("ticket") is not None


def _flipped(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


def test_a_damaged_file_is_refused_or_holds_the_same_key_all_the_same(tpm: SoftTpm, tmp_path: Path) -> None:
    path = tmp_path / "keys/ticket.tss2"
    refused = 0
    with store_of(tpm, tmp_path) as store:
        made = store.generate("ticket", Curve.NIST_P256).public_key
        der = base64.b64decode("".join(path.read_text().splitlines()[1:-1]))
        for at in range(len(der)):
            body = base64.encodebytes(_flipped(der, at)).decode()
            path.write_text(f"-----BEGIN TSS2 PRIVATE KEY-----\n{body}-----END TSS2 PRIVATE KEY-----\n")
            try:
                found = store.find("ticket")
            except ConfigError:
                refused += 1
            else:
                assert found is not None
                assert found.public_key == made
        assert refused > len(der) * 9 // 10
    assert loaded_objects(tpm) == 0


@pytest.mark.parametrize("content", ["", "-----BEGIN TSS2 PRIVATE KEY-----\n", "x" * 5000])
def test_a_file_that_holds_no_wrapped_key_is_named(tpm: SoftTpm, tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys/ticket.tss2"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_text(content)
    with store_of(tpm, tmp_path) as store, pytest.raises(ConfigError) as caught:
        store.find("ticket")
    assert caught.value.path == str(path)


def test_a_wrong_pin_names_the_file_to_correct(tpm: SoftTpm, tmp_path: Path, pin: Path) -> None:
    with store_of(tpm, tmp_path, pin) as store:
        store.generate("ticket", Curve.NIST_P256)
    write_pin(pin, "4711")
    with store_of(tpm, tmp_path, pin) as store, pytest.raises(ConfigError) as caught:
        store.find("ticket")
    assert f"refuses the PIN of the key 'ticket'; correct {pin}" in str(caught.value)
    assert "4711" not in str(caught.value)


def test_a_key_with_a_pin_asks_for_one(tpm: SoftTpm, tmp_path: Path, pin: Path) -> None:
    with store_of(tpm, tmp_path, pin) as store:
        store.generate("ticket", Curve.NIST_P256)
    with (
        store_of(tpm, tmp_path) as store,
        pytest.raises(ConfigError, match="the key 'ticket' wants a PIN; say where it is: pin-source="),
    ):
        store.find("ticket")


def make_guarded_key(tpm: SoftTpm, path: Path, pin: str) -> None:
    """Make a key as other programs do: one whose wrong PINs the TPM counts."""
    from tpm2_pytss import TPM2B_SENSITIVE_CREATE, TPMA_OBJECT, TPMS_SENSITIVE_CREATE
    from tpm2_pytss.tsskey import TSSPrivKey

    from shared.service.tpm_connection import PRIMARY_TEMPLATE, key_template

    template = key_template()
    template.publicArea.objectAttributes &= ~TPMA_OBJECT.NODA
    with talking_to(tpm) as esys:
        primary, *_ = esys.create_primary(TPM2B_SENSITIVE_CREATE(), PRIMARY_TEMPLATE)
        sensitive = TPM2B_SENSITIVE_CREATE(TPMS_SENSITIVE_CREATE(userAuth=pin.encode()))
        private, public, *_ = esys.create(primary, sensitive, template)
        esys.flush_context(primary)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(TSSPrivKey(private, public, empty_auth=False).to_pem())


def test_a_tpm_in_lockout_is_an_error_to_live_with_and_stops_no_key_made_here(tpm: SoftTpm, tmp_path: Path, pin: Path) -> None:
    from tpm2_pytss import ESYS_TR

    make_guarded_key(tpm, tmp_path / "keys/foreign.tss2", PIN)
    with store_of(tpm, tmp_path, pin) as store:
        foreign, own = store.find("foreign"), store.generate("own", Curve.NIST_P256)
        assert foreign is not None
        with store_of(tpm, tmp_path, write_pin(tmp_path / "wrong", "4711")) as guesser:
            for name in ("own", "own", "own", "own", "foreign", "foreign", "foreign"):
                with pytest.raises(ConfigError, match="refuses the PIN"):
                    guesser.find(name)
            with pytest.raises(TransportError, match="takes no PIN for a while after too many wrong ones") as caught:
                guesser.find("foreign")
            assert caught.value.code == "token_locked"
        with pytest.raises(TransportError, match="takes no PIN for a while after too many wrong ones") as caught:
            foreign.sign_digest(DIGEST)
        assert caught.value.code == "token_locked"
        own.public_key.verify_digest(DIGEST, own.sign_digest(DIGEST))
        with talking_to(tpm) as esys:
            esys.dictionary_attack_lock_reset(ESYS_TR.LOCKOUT)
        foreign.public_key.verify_digest(DIGEST, foreign.sign_digest(DIGEST))


def test_a_tpm_that_is_absent_is_named(tpm: SoftTpm, tmp_path: Path) -> None:
    tpm.process.kill()
    tpm.process.wait(60)
    with pytest.raises(ConfigError, match=f"tpm2:{tmp_path}/keys: no TPM answers at {tpm.tcti}"):
        store_of(tpm, tmp_path)
    with pytest.raises(ConfigError, match=r"there is no /dev/tpm-of-nobody: no TPM, or switched off in the firmware; .*\?tcti="):
        open_key_store("tpm2:keys?tcti=device:/dev/tpm-of-nobody", tmp_path, environment={})


@pytest.mark.parametrize("tcti", ["cmd:touch%20it", "none", "libtss2-tcti-swtpm.so", ":"])
def test_a_way_to_a_tpm_that_could_run_a_command_is_refused(tpm: SoftTpm, tmp_path: Path, tcti: str) -> None:
    with pytest.raises(ConfigError, match=r"a TPM is not reached by .*; device, swtpm, mssim, tabrmd are ways to one"):
        open_key_store(f"tpm2:keys?tcti={tcti}", tmp_path, environment={})
    assert not list(tmp_path.glob("it"))


def test_a_signer_survives_a_reset_of_its_tpm(tpm: SoftTpm, tmp_path: Path, pin: Path) -> None:
    with store_of(tpm, tmp_path, pin) as store:
        signer = store.generate("ticket", Curve.NIST_P256)
        for _ in range(10):  # more than a TPM takes wrong PINs
            tpm.reset()
            signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))
            tpm.reset()
            assert store.find("ticket") is not None
        tpm.reset()
        store.generate("other", Curve.NIST_P256)


def test_a_tpm_that_nobody_started_is_started(tpm: SoftTpm, tmp_path: Path) -> None:
    tpm.reset()
    with store_of(tpm, tmp_path) as store:
        signer = store.generate("ticket", Curve.NIST_P256)
        signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))


def test_a_tpm_that_went_away_is_an_error_to_live_with(tpm: SoftTpm, tmp_path: Path) -> None:
    with store_of(tpm, tmp_path) as store:
        signer = store.generate("ticket", Curve.NIST_P256)
        tpm.process.kill()
        tpm.process.wait(60)
        ask: list[Callable[[], object]] = [
            lambda: signer.sign_digest(DIGEST),
            lambda: store.find("ticket"),
            lambda: store.generate("other", Curve.NIST_P256),
        ]
        for question in ask * 2:
            with pytest.raises(TransportError, match="was there and is no longer: no TPM answers") as caught:
                question()
            assert caught.value.code == "token_gone"
        assert store.names() == ("ticket",)


def test_a_tpm_that_does_not_answer_holds_nobody_up_and_may_come_back(tpm: SoftTpm, tmp_path: Path) -> None:
    from shared.service.tpm_keys import TpmKeyStore

    with TpmKeyStore(tmp_path / "keys", tcti=tpm.tcti, answer_s=60) as store:
        signer = store.generate("ticket", Curve.NIST_P256)
        store._answer_s = 0.05
        tpm.process.send_signal(signal.SIGSTOP)
        with pytest.raises(TransportError, match=r"does not answer within 0\.05 s") as caught:
            signer.sign_digest(DIGEST)
        assert caught.value.code == "token_silent"
        store._answer_s = 60
        with pytest.raises(TransportError, match="has not answered an earlier question yet"):
            signer.sign_digest(DIGEST)
        tpm.process.send_signal(signal.SIGCONT)
        late = store._thread._late
        assert late is not None
        late.result(60)
        signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))


def test_a_key_that_was_removed_or_replaced_signs_no_more_after_a_reset(tpm: SoftTpm, tmp_path: Path) -> None:
    with store_of(tpm, tmp_path) as store, store_of(tpm, tmp_path) as other:
        signer = store.generate("ticket", Curve.NIST_P256)
        other.remove("ticket")
        tpm.reset()
        for _ in range(2):
            with pytest.raises(TransportError, match="has the key 'ticket' no longer") as caught:
                signer.sign_digest(DIGEST)
            assert caught.value.code == "token_gone"
            if not other.names():
                other.generate("ticket", Curve.NIST_P256)


def test_an_owner_hierarchy_with_a_password_is_named(tpm: SoftTpm, tmp_path: Path) -> None:
    from tpm2_pytss import ESYS_TR

    with store_of(tpm, tmp_path) as store:
        with talking_to(tpm) as esys:
            esys.hierarchy_change_auth(ESYS_TR.OWNER, b"mine")
        with pytest.raises(ConfigError, match="its owner hierarchy has a password"):
            store.generate("ticket", Curve.NIST_P256)


def test_a_full_tpm_says_who_could_help(tpm: SoftTpm, tmp_path: Path) -> None:
    from tpm2_pytss import TPM2B_SENSITIVE_CREATE

    from shared.service.tpm_connection import PRIMARY_TEMPLATE

    with store_of(tpm, tmp_path) as store, talking_to(tpm) as esys:
        handles = [esys.create_primary(TPM2B_SENSITIVE_CREATE(), PRIMARY_TEMPLATE)[0] for _ in range(3)]
        with pytest.raises(TransportError, match=r"has no room left: .* /dev/tpmrm0") as caught:
            store.generate("ticket", Curve.NIST_P256)
        assert caught.value.code == "token_failed"
        for handle in handles:
            esys.flush_context(handle)
        store.generate("ticket", Curve.NIST_P256)


def test_a_directory_others_may_write_into_is_refused(tpm: SoftTpm, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(0o770)
    with pytest.raises(ConfigError, match=r"others may put keys there \(mode 0770\)"):
        store_of(tpm, tmp_path)


def test_a_disk_that_is_full_leaves_no_half_a_key(tpm: SoftTpm, tmp_path: Path) -> None:
    with store_of(tpm, tmp_path) as store:
        store.generate("first", Curve.NIST_P256)
        shutil.rmtree(tmp_path / "keys")
        (tmp_path / "keys").write_text("in the way")
        with pytest.raises(Exception, match="cannot be") as caught:
            store.generate("second", Curve.NIST_P256)
        assert getattr(caught.value, "code", None) == "storage"


def test_without_the_extra_the_sentence_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("shared.service.tpm_keys", "shared.service.tpm_connection"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(ConfigError, match=r"tpm2-pytss, which is not installed.*v2x-trust\[tpm\]"):
        open_key_store("tpm2:keys", tmp_path, environment={})


def test_the_pin_is_not_in_the_file_of_the_wrapped_key(tpm: SoftTpm, tmp_path: Path, pin: Path) -> None:
    with store_of(tpm, tmp_path, pin) as store:
        store.generate("ticket", Curve.NIST_P256)
    der = base64.b64decode("".join((tmp_path / "keys/ticket.tss2").read_text().splitlines()[1:-1]))
    assert PIN.encode() not in der


def test_the_library_writes_nothing_to_standard_error(tpm: SoftTpm, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with store_of(tpm, tmp_path) as store:
        signer = store.generate("ticket", Curve.NIST_P256)
        tpm.process.kill()
        tpm.process.wait(60)
        with pytest.raises(TransportError):
            signer.sign_digest(DIGEST)
    assert os.environ["TSS2_LOG"] == "all+NONE"
    assert capfd.readouterr() == ("", "")
