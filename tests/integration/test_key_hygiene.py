"""A private key or a PIN appears nowhere: not in errors, not in a traceback with all variables, not among a process's arguments."""

import base64
import io
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import rich.console
import rich.traceback
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.core.errors import V2xError
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.key_store import open_key_store
from shared.service.keystore import read_key, write_key
from tests.helpers.data import REPOSITORY
from tests.helpers.tokens import PIN, soft_token, soft_tpm, write_pin

SCALAR = int.from_bytes(bytes(range(0x81, 0xA1)), "big")

HOLDER = """
import sys
from pathlib import Path
from shared.security.ecdsa import Curve
from shared.service.hardening import harden_process
from shared.service.key_store import open_key_store
harden_process()
with open_key_store(sys.argv[1], Path(sys.argv[2])) as store:
    store.generate("ticket", Curve.NIST_P256).sign_digest(bytes(32))
    print("signed", flush=True)
    sys.stdin.read()
"""


def traces_of(number: int) -> tuple[str, ...]:
    """Return a key as texts in which it could show."""
    octets = number.to_bytes(32, "big")
    return (str(number), octets.hex(), octets.hex().upper(), repr(octets)[2:-1], base64.b64encode(octets[3:30]).decode())


def everything_shown(error: BaseException) -> str:
    """Return what tools print of a crash that print all they can."""
    screen = io.StringIO()
    shown = rich.traceback.Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=100_000
    )
    rich.console.Console(file=screen, width=10_000).print(shown)
    journal = structlog.tracebacks.ExceptionDictTransformer(show_locals=True, locals_max_string=100_000)
    told = journal((type(error), error, error.__traceback__))
    plain = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return f"{screen.getvalue()}\n{told}\n{plain}"


def crash_of(call: Callable[[], object]) -> str:
    with pytest.raises(V2xError) as caught:
        call()
    return everything_shown(caught.value)


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def middle_of(pem: str) -> list[str]:
    return [line[:40] for line in pem.splitlines()[1:-1]]


def test_a_crash_in_the_middle_of_reading_a_key_shows_none_of_it(tmp_path: Path) -> None:
    pem = pem_of(ed25519.Ed25519PrivateKey.generate())
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    for content in (pem, pem[:-20], pem.replace("PRIVATE", "PUBLIC"), pem * 200):
        path.write_text(content)
        shown = crash_of(lambda: read_key(path))
        assert "secret of" in shown
        assert not [line for line in middle_of(pem) if line in shown]


def test_a_crash_in_the_middle_of_writing_a_key_shows_none_of_it(tmp_path: Path) -> None:
    signer = SoftwareSigner.from_scalar(Curve.NIST_P256, SCALAR)
    (tmp_path / "key.pem").touch()
    for path in (tmp_path / "key.pem", tmp_path / "absent/key.pem"):
        shown = crash_of(partial(write_key, path, signer))
        assert "secret of" in shown
        assert not [line for line in middle_of(pem_of(signer.native)) if line in shown]
        assert not [text for text in traces_of(SCALAR) if text in shown]


def test_a_crash_of_one_who_holds_keys_shows_none_of_them() -> None:
    signer = SoftwareSigner.from_scalar(Curve.NIST_P256, SCALAR)

    def crash() -> None:
        mine = {"signer": signer, "native": signer.native, "sign": signer.sign_digest}
        signer.sign_digest(bytes(len(mine)))

    shown = crash_of(crash)
    assert signer.public_key.point.x.hex() in shown
    assert not [text for text in traces_of(SCALAR) if text in shown]


@pytest.fixture(params=["pkcs11", "tpm2"])
def token_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "pkcs11":
        with soft_token(tmp_path / "hsm") as token:
            yield token.uri
        return
    with soft_tpm(tmp_path / "tpm") as tpm:
        yield tpm.uri(tmp_path / "keys", pin_file=write_pin(tmp_path / "pin"))


def test_a_crash_of_one_who_uses_a_token_shows_no_pin(token_uri: str, tmp_path: Path) -> None:
    with open_key_store(token_uri, tmp_path, environment={}) as store:
        signer = store.generate("ticket", Curve.NIST_P256)
        for call in (
            lambda: store.generate("ticket", Curve.NIST_P256),
            lambda: store.find("No Name"),
            lambda: signer.sign_digest(b""),
        ):
            shown = crash_of(call)
            assert "KeyStore(" in shown
            assert PIN not in shown


def test_a_crash_for_want_of_the_right_pin_shows_no_pin(token_uri: str, tmp_path: Path) -> None:
    with open_key_store(token_uri, tmp_path, environment={}) as store:
        store.generate("ticket", Curve.NIST_P256)
    wrong = "9876543210"
    pin_file = next(path for path in (tmp_path / "hsm/pin", tmp_path / "pin") if path.exists())
    write_pin(pin_file, wrong)

    def use() -> None:
        with open_key_store(token_uri, tmp_path, environment={}) as store:
            store.find("ticket")

    shown = crash_of(use)
    assert "refuses the PIN" in shown
    assert wrong not in shown


def test_no_pin_is_among_the_arguments_or_in_the_environment_of_a_process(token_uri: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, token_uri, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "signed\n"
        seen = [Path(f"/proc/{process.pid}/cmdline").read_bytes()]
        if os.geteuid() == 0:  # nobody else may see the environment of a hardened process
            seen.append(Path(f"/proc/{process.pid}/environ").read_bytes())
        process.communicate("", timeout=60)
    assert process.returncode == 0
    assert token_uri.encode() in seen[0]
    assert not [octets for octets in seen if PIN.encode() in octets]
