"""A PKCS#11 token (SoftHSM2) and a TPM (swtpm) to throw away, each in a directory and named by the URI an operator would write.

For measuring and testing what signs in a token; neither is a place for a key that matters. A program started beside this one finds
them with their `environment` added to its own. Left out: where the programs come from (Debian: softhsm2, swtpm).
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from shared.core.errors import ConfigError

SOFTHSM_MODULES = (Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/pkcs11/libsofthsm2.so"))
PIN = "271828"
"""Of every token made here."""

_SECURITY_OFFICER_PIN = "31415926"
_SOFTHSM_CONF = "SOFTHSM2_CONF"
_DEADLINE_S = 60
_TRIES = 20
_WHAT_CAN_YOU_DO = bytes((0, 0, 0, 1))
"""CMD_GET_CAPABILITY of swtpm's control channel."""
_START_ANEW = bytes((0, 0, 0, 2, 0, 0, 0, 0))
"""CMD_INIT of the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftToken:
    """A PKCS#11 token.

    Attributes:
        uri: of the key store.
        label: of the token.
        module: its PKCS#11 module.
        pin_file: holds its PIN, mode 0600.
        tokens: the folder the token itself is in.
        environment: what a program needs to find it.
    """

    uri: str
    label: str
    module: Path
    pin_file: Path
    tokens: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftTpm:
    """A TPM.

    Attributes:
        tcti: the way to it.
        port: of its commands; the next one controls it.
        process: the program that is it.
        state: the folder of its seeds.
        environment: what a program needs to find it: nothing.
    """

    tcti: str
    port: int
    process: subprocess.Popen[bytes]
    state: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def uri(self, keys: Path, *, pin_file: Path | None = None) -> str:
        """Return the URI of a key store of this TPM whose wrapped keys are in `keys`."""
        pin = "" if pin_file is None else f"&pin-source={quote(str(pin_file))}"
        return f"tpm2:{quote(str(keys))}?tcti={quote(self.tcti, safe=':=,')}{pin}"

    def reset(self) -> None:
        """Take its power away and give it back, as a restart of a machine does."""
        with socket.create_connection(("127.0.0.1", self.port + 1), timeout=_DEADLINE_S) as control:
            control.sendall(_START_ANEW)
            control.recv(4)


def write_pin(path: Path, pin: str = PIN) -> Path:
    """Write a PIN as an operator should."""
    path.touch(mode=0o600)
    path.write_text(f"{pin}\n")
    return path


@contextmanager
def soft_token(directory: Path, *, label: str = "v2x") -> Iterator[SoftToken]:
    """Make a token in `directory`, which for the time of the block this process finds; raises `ConfigError` without SoftHSM2."""
    softhsm2_util, module = _program("softhsm2-util"), next((path for path in SOFTHSM_MODULES if path.is_file()), None)
    if module is None:
        raise ConfigError("SoftHSM2", "its module is not here")
    tokens = directory / "tokens"
    tokens.mkdir(parents=True, mode=0o700)
    configuration = directory / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    environment = {_SOFTHSM_CONF: str(configuration)}
    make = [softhsm2_util, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", _SECURITY_OFFICER_PIN]
    subprocess.run(make, check=True, capture_output=True, env={**os.environ, **environment}, timeout=_DEADLINE_S)  # noqa: S603 - ours
    pin_file = write_pin(directory / "pin")
    before = os.environ.get(_SOFTHSM_CONF)
    os.environ[_SOFTHSM_CONF] = str(configuration)
    try:
        yield SoftToken(
            uri=f"pkcs11:token={quote(label)}?module-path={module}&pin-source={quote(str(pin_file))}",
            label=label,
            module=module,
            pin_file=pin_file,
            tokens=tokens,
            environment=environment,
        )
    finally:
        if before is None:
            del os.environ[_SOFTHSM_CONF]
        else:
            os.environ[_SOFTHSM_CONF] = before


@contextmanager
def soft_tpm(state: Path) -> Iterator[SoftTpm]:
    """Run a TPM on loopback whose seeds are in `state`, made there where there are none; raises `ConfigError` without swtpm."""
    swtpm = _program("swtpm")
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    process, port = _started(swtpm, state)
    try:
        yield SoftTpm(tcti=f"swtpm:host=127.0.0.1,port={port}", port=port, process=process, state=state)
    finally:
        process.kill()  # a TPM keeps what counts at once; a stopped one would not hear a gentler word
        process.wait(_DEADLINE_S)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ConfigError(name, "is not here")
    return found


def _started(swtpm: str, state: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a TPM on two neighbouring ports; another program may take the first one before it, so try again."""
    for _ in range(_TRIES):
        control, port = _neighbours()
        with closing(control):
            command = [
                swtpm,
                "socket",
                "--tpm2",
                *("--tpmstate", f"dir={state}"),
                *("--server", f"type=tcp,port={port},bindaddr=127.0.0.1"),
                *("--ctrl", f"type=tcp,fd={control.fileno()}"),
                *("--flags", "not-need-init,startup-clear"),
            ]
            with socket.create_connection(("127.0.0.1", port + 1), timeout=_DEADLINE_S) as question:
                process = subprocess.Popen(  # noqa: S603 - ours
                    command,
                    pass_fds=(control.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                control.close()
                if _answers(question):  # it listens on both ports before it answers
                    return process, port
        process.kill()
        process.wait(_DEADLINE_S)
    raise ConfigError("swtpm", "does not start")


def _answers(question: socket.socket) -> bool:
    try:
        question.sendall(_WHAT_CAN_YOU_DO)
        return bool(question.recv(1))
    except OSError:
        return False


def _neighbours() -> tuple[socket.socket, int]:
    """Return a socket that listens on loopback, and the number of the port before, which is free."""
    while True:
        control = socket.create_server(("127.0.0.1", 0))
        port = control.getsockname()[1] - 1
        with closing(socket.socket()) as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                control.close()
            else:
                return control, port
