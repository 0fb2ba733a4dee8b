"""sigsum-witness, an independent witness, as a process; `make test` fetches it into the virtual environment.

It cosigns one log, whose origin follows from the log's key, and calls itself by a name that follows from its own. Where it is not
there a test skips and names it, and fails under `CI=true`.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shared.ledger.note import Ed25519NoteSigner, KeyKind, VerifierKey
from shared.transport.witness_http import WitnessAddress
from tests.helpers.debian import missing

PATIENCE_S = 60.0


def require_sigsum_witness() -> str:
    """Return the program's path."""
    fetched = Path(sys.prefix, "sigsum-witness", "sigsum-witness")
    found = str(fetched) if fetched.exists() else shutil.which("sigsum-witness")
    if found is None:
        missing("sigsum-witness is not here: `make test` fetches it, or", "sigsum-go (bookworm-backports)")
    return found


def sigsum_signer(private_key: Ed25519PrivateKey) -> Ed25519NoteSigner:
    """Return a log key under the only name by which sigsum-witness knows a log."""
    digest = sha256(private_key.public_key().public_bytes_raw()).hexdigest()
    return Ed25519NoteSigner(f"sigsum.org/v1/tree/{digest}", private_key)


@contextmanager
def sigsum_witness(directory: Path, *, witness: Ed25519PrivateKey, log: Ed25519PrivateKey) -> Iterator[WitnessAddress]:
    """Run one until the block ends; what it has cosigned is in a file of the directory, for the next one there."""
    program = require_sigsum_witness()
    key_file, log_file, state = directory / "witness.key", directory / "log.pub", directory / "state"
    key_file.write_bytes(witness.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    key_file.chmod(0o600)
    log_file.write_bytes(log.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    command = [program, "-k", key_file, "--log-key", log_file, "--state-file", state, f"127.0.0.1:{port}"]
    said = directory / "said"
    with said.open("ab") as errors:
        environment = {**os.environ, "GODEBUG": "httpmuxgo121=0"}
        process = subprocess.Popen([*map(str, command)], stdout=errors, stderr=errors, env=environment)
    try:
        while process.poll() is None and not _listens(port):
            pass
        if process.poll() is not None:
            pytest.fail("sigsum-witness did not start: " + said.read_text())
        public_key = witness.public_key().public_bytes_raw()
        name = f"sigsum.org/v1/witness/{sha256(public_key).hexdigest()}"
        key = VerifierKey(name=name, kind=KeyKind.COSIGNATURE, public_key=public_key)
        yield WitnessAddress(key=key, url=f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
    except ConnectionRefusedError:
        return False
    return True
