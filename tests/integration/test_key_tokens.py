"""What a PKCS#11 token refuses, what becomes of it while a program runs, and what each error tells the operator."""

import shutil
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, ObjectClass

from shared.core.errors import ConfigError, TransportError
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.key_store import KeyStore, open_key_store
from shared.service.keystore import write_key
from shared.service.pkcs11_keys import Pkcs11KeyStore
from tests.helpers.tokens import PIN, SoftToken, soft_token, write_pin

DIGEST = sha256(b"a message").digest()
P256 = bytes.fromhex("06082a8648ce3d030107")
SECP256K1 = bytes.fromhex("06052b8104000a")


@pytest.fixture
def token(tmp_path: Path) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "hsm") as made:
        yield made


@pytest.fixture
def store(token: SoftToken, tmp_path: Path) -> Iterator[Pkcs11KeyStore]:
    with open_key_store(token.uri, tmp_path, environment={}) as opened:
        assert isinstance(opened, Pkcs11KeyStore)
        yield opened


def refusal(uri: str, base: Path, **environment: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        open_key_store(uri, base, environment=environment)
    assert PIN not in str(caught.value)
    return caught.value


def session_of(token: SoftToken) -> pkcs11.Session:
    """Open a session of another part of this program, which is logged in where a store is."""
    return pkcs11.lib(str(token.module)).get_token(token_label=token.label).open(rw=True)


def make_pair(session: pkcs11.Session, name: str, *, params: bytes = P256, extractable: bool = False) -> None:
    parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: params}, local=True)
    hidden = {Attribute.SENSITIVE: not extractable, Attribute.EXTRACTABLE: extractable}
    parameters.generate_keypair(store=True, label=name, id=name.encode(), private_template=hidden)


def test_the_private_half_does_not_leave_the_token(store: Pkcs11KeyStore, token: SoftToken) -> None:
    store.generate("ticket", Curve.NIST_P256)
    (private,) = session_of(token).get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
    assert private[Attribute.SENSITIVE]
    assert private[Attribute.ALWAYS_SENSITIVE]
    assert private[Attribute.NEVER_EXTRACTABLE]
    with pytest.raises(pkcs11.AttributeSensitive):
        private[Attribute.VALUE]


def test_a_wrong_pin_names_the_file_to_correct_and_warns_of_the_lock(token: SoftToken, tmp_path: Path) -> None:
    write_pin(token.pin_file, "4711")
    error = refusal(token.uri, tmp_path)
    assert error.path == "pkcs11:token=v2x"
    assert f"refuses the PIN; correct {token.pin_file}" in error.reason
    assert "a few wrong ones lock the token" in error.reason
    assert "4711" not in str(error)


@pytest.mark.parametrize("pin", ["", "\n", "x" * 300])
def test_a_file_without_a_pin_is_refused(token: SoftToken, tmp_path: Path, pin: str) -> None:
    token.pin_file.write_text(pin)
    assert "PIN" in refusal(token.uri, tmp_path).reason


def test_a_pin_others_can_read_is_refused(token: SoftToken, tmp_path: Path) -> None:
    token.pin_file.chmod(0o640)
    assert "the PIN is open to others (mode 0640); make it yours alone: chmod 600" in refusal(token.uri, tmp_path).reason


def test_a_pin_file_that_is_absent_is_named(token: SoftToken, tmp_path: Path) -> None:
    token.pin_file.unlink()
    error = refusal(token.uri, tmp_path)
    assert error.path == str(token.pin_file)
    assert "No such file" in error.reason


def test_a_pin_may_come_from_a_systemd_credential(token: SoftToken, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_pin(credentials / "token.pin").chmod(0o440)
    uri = token.uri.replace(str(token.pin_file), "credential:token.pin")
    with open_key_store(uri, tmp_path, environment={"CREDENTIALS_DIRECTORY": str(credentials)}) as store:
        assert store.names() == ()
    assert "LoadCredential=" in refusal(uri, tmp_path).reason
    absent = refusal(uri.replace("token.pin", "absent"), tmp_path, CREDENTIALS_DIRECTORY=str(credentials))
    assert absent.path == str(credentials / "absent")


def test_a_token_that_is_absent_is_told_from_those_that_are_there(token: SoftToken, tmp_path: Path) -> None:
    error = refusal(token.uri.replace("token=v2x", "token=vehicle%207"), tmp_path)
    assert error.path == "pkcs11:token=vehicle 7"
    assert "the token is not there; libsofthsm2.so sees 'v2x'" in error.reason


def test_of_two_tokens_of_one_label_the_serial_number_tells_which(token: SoftToken, tmp_path: Path) -> None:
    with soft_token(tmp_path / "other") as other:
        for directory in other.tokens.iterdir():
            shutil.copytree(directory, token.tokens / directory.name)
    error = refusal(token.uri, tmp_path)
    assert "2 tokens have this label; say which with serial=" in error.reason
    serials = [found.serial.decode() for found in pkcs11.lib(str(token.module)).get_tokens(token_label="v2x")]
    pkcs11.lib(str(token.module)).finalize()
    for serial in serials:
        with open_key_store(token.uri.replace("token=v2x", f"token=v2x;serial={serial}"), tmp_path, environment={}) as store:
            assert store.names() == ()


def test_a_module_that_is_absent_or_none_is_named(token: SoftToken, tmp_path: Path) -> None:
    absent = refusal(token.uri.replace(str(token.module), "absent.so"), tmp_path)
    assert f"the module {tmp_path / 'absent.so'} is not there" in absent.reason
    (tmp_path / "none.so").write_text("not a library")
    assert "cannot be used as a PKCS#11 module" in refusal(token.uri.replace(str(token.module), "none.so"), tmp_path).reason


def test_without_the_extra_the_sentence_names_it(token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("shared.service.pkcs11_keys", "shared.service.pkcs11_module"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    error = refusal(token.uri, tmp_path)
    assert "python-pkcs11, which is not installed" in error.reason
    assert "v2x-trust[pkcs11]" in error.reason


def test_a_key_that_could_be_taken_out_of_the_token_is_refused(store: Pkcs11KeyStore, token: SoftToken) -> None:
    make_pair(session_of(token), "loose", extractable=True)
    with pytest.raises(ConfigError, match="'loose' can be taken out of the token"):
        store.find("loose")


def test_a_key_on_a_curve_of_nobody_is_refused(store: Pkcs11KeyStore, token: SoftToken) -> None:
    make_pair(session_of(token), "bitcoin", params=SECP256K1)
    with pytest.raises(ConfigError, match=r"'bitcoin' is on no curve of IEEE 1609\.2"):
        store.find("bitcoin")


def test_half_a_key_is_refused(store: Pkcs11KeyStore, token: SoftToken) -> None:
    store.generate("ticket", Curve.NIST_P256)
    for public in list(session_of(token).get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})):
        public.destroy()
    with pytest.raises(ConfigError, match="1 private and 0 public keys named 'ticket'"):
        store.find("ticket")


def test_a_name_two_keys_share_is_refused(store: Pkcs11KeyStore, token: SoftToken) -> None:
    session = session_of(token)
    make_pair(session, "twin")
    make_pair(session, "twin")
    with pytest.raises(ConfigError, match="2 private and 2 public keys named 'twin'"):
        store.find("twin")


def test_a_label_that_is_no_name_of_ours_is_left_alone(store: Pkcs11KeyStore, token: SoftToken) -> None:
    make_pair(session_of(token), "Somebody Else's")
    assert store.names() == ()


def test_a_signer_survives_the_loss_of_its_session(store: Pkcs11KeyStore, token: SoftToken) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)
    pkcs11.lib(str(token.module)).reinitialize()
    signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))
    pkcs11.lib(str(token.module)).finalize()
    signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))


def test_a_store_survives_the_loss_of_its_session_in_everything_it_does(store: Pkcs11KeyStore, token: SoftToken) -> None:
    module = pkcs11.lib(str(token.module))
    module.reinitialize()
    store.generate("ticket", Curve.NIST_P256)
    module.reinitialize()
    assert store.names() == ("ticket",)
    module.reinitialize()
    assert store.find("ticket") is not None
    module.reinitialize()
    store.remove("ticket")
    assert store.names() == ()


def test_a_token_pulled_while_a_program_runs_is_an_error_to_live_with_until_it_is_back(
    store: Pkcs11KeyStore, token: SoftToken, tmp_path: Path
) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)
    pulled = tmp_path / "pulled"
    shutil.move(token.tokens, pulled)
    pkcs11.lib(str(token.module)).finalize()
    for _ in range(2):
        with pytest.raises(TransportError, match="pkcs11:token=v2x: was there and is no longer") as caught:
            signer.sign_digest(DIGEST)
        assert caught.value.code == "token_gone"
        token.tokens.mkdir(exist_ok=True)
        pkcs11.lib(str(token.module)).finalize()
    token.tokens.rmdir()
    shutil.move(pulled, token.tokens)
    pkcs11.lib(str(token.module)).finalize()
    signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))


def test_a_key_that_was_removed_or_replaced_signs_no_more(store: Pkcs11KeyStore, token: SoftToken, tmp_path: Path) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)
    with open_key_store(token.uri, tmp_path, environment={}) as other:
        other.remove("ticket")
        with pytest.raises(TransportError, match="has the key 'ticket' no longer") as caught:
            signer.sign_digest(DIGEST)
        assert caught.value.code == "token_gone"
        other.generate("ticket", Curve.NIST_P256)
        with pytest.raises(TransportError, match="has the key 'ticket' no longer"):
            signer.sign_digest(DIGEST)


def test_a_pin_changed_while_a_program_runs_is_asked_for_when_the_session_is_lost(store: Pkcs11KeyStore, token: SoftToken) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)
    session_of(token).set_pin(PIN, "161803")
    signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))
    pkcs11.lib(str(token.module)).reinitialize()
    with pytest.raises(TransportError, match="refuses the PIN") as caught:
        signer.sign_digest(DIGEST)
    assert caught.value.code == "token_refused"
    assert str(token.pin_file) in str(caught.value)


def test_a_pin_that_was_refused_is_not_tried_again(store: Pkcs11KeyStore, token: SoftToken, tmp_path: Path) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)
    session_of(token).set_pin(PIN, "161803")
    module = pkcs11.lib(str(token.module))
    module.reinitialize()
    with pytest.raises(TransportError, match="refuses the PIN"):
        signer.sign_digest(DIGEST)
    changing = module.get_token(token_label=token.label).open(rw=True, user_pin="161803")
    changing.set_pin("161803", PIN)
    module.reinitialize()
    with pytest.raises(TransportError, match="refuses the PIN") as caught:  # it would be taken now, if it were tried
        signer.sign_digest(DIGEST)
    assert caught.value.code == "token_refused"
    with open_key_store(token.uri, tmp_path, environment={}) as anew:
        assert anew.find("ticket") is not None


def test_the_operator_learns_what_a_token_means(store: Pkcs11KeyStore) -> None:
    sentences = {
        pkcs11.PinLocked: ("token_locked", "is locked after too many wrong PINs; its security officer can set a new one"),
        pkcs11.DeviceRemoved: ("token_gone", "is no longer there; plug it in again"),
        pkcs11.GeneralError: ("token_failed", "failed: GeneralError"),
    }
    for error, (code, sentence) in sentences.items():
        said = store._error_of(error())
        assert (said.code, str(said)) == (code, f"pkcs11:token=v2x: {sentence}")


def test_keys_in_files_and_tokens_need_not_know_of_each_other(store: KeyStore, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    write_key(tmp_path / "keys/ticket.pem", SoftwareSigner.generate(Curve.NIST_P256))
    with open_key_store("file:keys", tmp_path, environment={}) as files:
        assert files.find("ticket") is not None
        assert store.find("ticket") is None
