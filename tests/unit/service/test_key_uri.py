from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import ConfigError
from shared.service.key_store import open_key_store
from shared.service.key_uri import MAX_URI_CHARACTERS, read_pin, split_key_uri


def test_a_uri_comes_apart_as_rfc_7512_says() -> None:
    uri = split_key_uri("pkcs11:token=My%20token;serial=0a?module-path=/usr/lib/m.so&pin-source=file:/etc/pin")
    assert (uri.scheme, uri.location) == ("pkcs11", "")
    assert uri.path == {"token": "My token", "serial": "0a"}
    assert uri.query == {"module-path": "/usr/lib/m.so", "pin-source": "file:/etc/pin"}
    assert uri.name == "pkcs11:token=My token;serial=0a"


def test_a_location_stands_before_the_query() -> None:
    uri = split_key_uri("TPM2:/var/lib/keys%3F?tcti=swtpm:host=127.0.0.1,port=2321")
    assert (uri.scheme, uri.location) == ("tpm2", "/var/lib/keys?")
    assert uri.query == {"tcti": "swtpm:host=127.0.0.1,port=2321"}


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("keys", "is no URI such as file:keys"),
        ("", "is no URI"),
        (":x", "is no URI"),
        ("fi le:x", "is no URI"),
        ("vault:secret", "is no key store; file:, credential:, pkcs11: and tpm2: are"),
        ("file:keys?mode=0644", "the attribute 'mode' means nothing here; none can stand there"),
        ("file:keys;a=b", "the attribute 'a' means nothing here"),
        ("file:%ff", "is no UTF-8"),
        ("file:a%00b", "holds a character that cannot be shown"),
        ("file:a%0ab", "holds a character that cannot be shown"),
        ("file:" + "x" * MAX_URI_CHARACTERS, f"the URI has more than {MAX_URI_CHARACTERS} characters"),
        ("credential:ticket", "nothing may follow the colon"),
        ("credential:", "systemd passed no credentials to this program"),
        ("pkcs11:token=t", "the attribute 'module-path' is missing"),
        ("pkcs11:?module-path=m&pin-source=p", "the attribute 'token' is missing"),
        ("pkcs11:token=t?module-path=m", "the attribute 'pin-source' is missing"),
        ("pkcs11:token=t;token=u", "the attribute 'token' stands there twice"),
        ("pkcs11:token=", "the attribute 'token' has no value"),
        ("pkcs11:token", "the attribute 'token' has no value"),
        (
            "pkcs11:object=ticket;token=t",
            "the attribute 'object' means nothing here; only token, serial, module-path can stand there",
        ),
        ("pkcs11:token=t?module-path=m&pin-source=|cat%20pin", "not from a command"),
        ("tpm2:", "names no directory"),
        ("tpm2:keys?dir=keys", "the attribute 'dir' means nothing here; only tcti, pin-source can stand there"),
    ],
)
def test_a_uri_that_says_nothing_sensible_is_refused_with_the_reason(uri: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_key_store(uri, tmp_path, environment={})
    assert sentence in str(caught.value)
    assert "::" not in str(caught.value)


@pytest.mark.parametrize("uri", ["pkcs11:token=t?pin-value=271828", "pkcs11:pin-value=271828", "tpm2:keys?PIN-VALUE=271828"])
def test_a_pin_in_a_uri_is_refused_and_not_repeated(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="put it into a file and name that: pin-source=") as caught:
        open_key_store(uri, tmp_path, environment={})
    assert "271828" not in str(caught.value)


@given(st.text(max_size=80))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for scheme in ("", "file:", "pkcs11:", "tpm2:"):
        try:
            uri = split_key_uri(scheme + text)
        except ConfigError:
            continue
        assert uri.scheme
        assert all(uri.path.values())


@pytest.mark.parametrize("source", ["pin", "file:pin", "file:{folder}/pin", "file://{folder}/pin", "{folder}/pin"])
def test_a_pin_is_the_first_line_of_a_file(source: str, tmp_path: Path) -> None:
    (tmp_path / "pin").touch(mode=0o600)
    (tmp_path / "pin").write_text("271828\nand a note\n")
    pin = read_pin(source.format(folder=tmp_path), tmp_path, None, store="pkcs11:token=t")
    assert pin.encode() == b"271828"
    assert repr(pin) == f"{pin}" == str(pin) == "<secret of 6 characters>"


def test_a_path_that_leads_out_of_a_folder_that_is_not_there_yet_leads_on(tmp_path: Path) -> None:
    (tmp_path / "pin").touch(mode=0o600)
    (tmp_path / "pin").write_text("271828\n")
    assert read_pin("file:../pin", tmp_path / "new", None, store="pkcs11:token=t").encode() == b"271828"


def test_a_pin_in_no_known_script_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pin").touch(mode=0o600)
    (tmp_path / "pin").write_bytes(b"\xff\xfe\n")
    with pytest.raises(ConfigError, match="holds no PIN in UTF-8"):
        read_pin("pin", tmp_path, None, store="pkcs11:token=t")


@pytest.mark.parametrize("name", ["", "..", "a/b", "../pin"])
def test_a_credential_of_a_pin_is_no_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no credential name"):
        read_pin(f"credential:{name}", tmp_path, tmp_path, store="pkcs11:token=t")
