"""A Tessera log server on POSIX files, built from its Go module, for tests that show an engine we did not write serves our client.

Module and build caches live in the virtual environment, so that only the first run downloads and compiles.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.ledger.note import Ed25519NoteSigner, KeyKind
from tests.helpers.early import result_of
from tests.helpers.ledger import ed25519_key

MODULE = "github.com/transparency-dev/tessera"
VERSION = "v1.0.4"
PROGRAM = f"{MODULE}/cmd/conformance/posix"

LEAST_GO = (1, 25)
BUILD_PATIENCE_S = 900
START_TURNS = 600
TURN_S = 0.05

_CACHE = Path(sys.prefix) / "go"
_BINARY = _CACHE / "tessera/server"
_SKIPPED = 77
"""What a program says that could not be tried, by the custom of test drivers."""


def built_tessera() -> Path:
    """Return the server's binary; skip where no Go builds it or nobody serves the module."""
    done = result_of("tessera", patience_s=2 * BUILD_PATIENCE_S)
    if done.status == _SKIPPED:
        pytest.skip(done.said)
    if done.status != 0:
        pytest.fail(done.said, pytrace=False)
    return _BINARY


def build() -> None:
    """Build the server if it is not there yet, as a program of its own: it says why it could not."""
    try:
        _build()
    except pytest.skip.Exception as reason:
        sys.stdout.write(f"{reason}\n")
        sys.exit(_SKIPPED)
    except pytest.fail.Exception as reason:
        sys.exit(str(reason))


def _build() -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("no Go toolchain is here: Tessera's server is built from its module")
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"go(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < LEAST_GO:
        pytest.skip(f"Go {'.'.join(map(str, LEAST_GO))} is needed to build Tessera, this is {said.strip()}")
    work = _BINARY.parent
    work.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "GOPATH": str(_CACHE / "path"),
        "GOCACHE": str(_CACHE / "cache"),
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
    }
    if not (work / "go.mod").exists():
        _run([go, "mod", "init", "build.example/tessera"], work, environment)
    if f"{MODULE} {VERSION}" not in (work / "go.mod").read_text():
        _run([go, "get", f"{PROGRAM}@{VERSION}"], work, environment)
    _run([go, "build", "-p", "2", "-o", _BINARY.name, PROGRAM], work, environment)


def _run(command: list[str], work: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=BUILD_PATIENCE_S, check=False)
    if done.returncode == 0:
        return
    if "dial tcp" in done.stderr or "no such host" in done.stderr:
        pytest.skip(f"the Go module proxy cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    pytest.fail(f"{' '.join(command)}: {done.stderr[-2000:]}", pytrace=False)


def go_note_key(signer: Ed25519NoteSigner, name: str) -> str:
    """Return the private key of `ed25519_key(name)` as Go's sumdb/note writes it."""
    seed = bytes([KeyKind.ED25519]) + ed25519_key(name).private_bytes_raw()
    return f"PRIVATE+KEY+{signer.key.name}+{signer.key.key_id.hex()}+{b64encode(seed).decode()}"


@contextmanager
def tessera(binary: Path, folder: Path, *, private_key: str) -> Iterator[str]:
    """Run a server over files in `folder` while the block runs; yields its URL."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    key = folder.with_suffix(".key")
    key.write_text(private_key)
    log = folder.with_suffix(".log")
    with log.open("wb") as errors:
        command = [str(binary), "-storage_dir", str(folder), "-listen", address, "-private_key", str(key)]
        server = subprocess.Popen(command, stdout=errors, stderr=errors)
    try:
        _await_checkpoint(server, folder, log)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(30)


def _await_checkpoint(server: "subprocess.Popen[bytes]", folder: Path, log: Path) -> None:
    for _ in range(START_TURNS):
        if (folder / "checkpoint").exists():
            return
        try:
            server.wait(TURN_S)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the server ended: {log.read_text()[-2000:]}", pytrace=False)
    pytest.fail("the server published no checkpoint", pytrace=False)


if __name__ == "__main__":
    build()
