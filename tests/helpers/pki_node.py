"""`v2x pki serve` as a process, and a station that asks it over HTTP: real keys, real requests, real time."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from shared.cli.pki import app
from shared.core.clock import Instant, TimeSource
from shared.pki.authorization import PendingAuthorization, make_authorization_request, ticket_attributes
from shared.pki.enrolment import PendingEnrolment, credential_attributes, make_enrolment_request
from shared.pki.exchange import Randomness
from shared.pki.key_source import SystemKeySource
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.sign import TicketCredential
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import CERTIFICATE_FILE, read_certificate_file
from shared.transport.pki_http import PkiHttp

PROGRAM = Path(sys.executable).parent / "v2x"
PATIENCE_S = 90.0
"""How long one event may take on a machine that has much else to do."""

RANDOMNESS = Randomness(keys=SystemKeySource(), entropy=os.urandom)


def now() -> Instant:
    """Return the present: authorities in processes of their own live by it."""
    return SystemClock(TimeSource.ASSUME_TRUSTED).now()


def v2x_pki(*arguments: str | Path) -> str:
    """Run a command of `v2x pki` and return what it printed; it must succeed."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.output


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiNode:
    """A node that serves."""

    directory: Path
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def post(self, path: str, body: bytes) -> bytes:
        """Post a request."""
        return post(self.url + path, body)

    def get(self, path: str) -> bytes:
        """Fetch a document."""
        return get(self.url + path)

    def certificate(self, part: str) -> Certificate:
        """Return an authority's certificate."""
        return read_certificate_file(self.directory / part / CERTIFICATE_FILE)


@contextmanager
def serving(directory: Path, *arguments: str, listen: str = "127.0.0.1:0") -> Iterator[PkiNode]:
    """Run `v2x pki serve` until the block ends; what it logs is in a file beside the directory."""
    log = directory.with_name(f"{directory.name}.{len(list(directory.parent.glob('*.log')))}.log")
    with log.open("wb") as errors:
        command = [PROGRAM, "pki", "serve", directory, "--listen", listen, *arguments]
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=errors)
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        line = process.stdout.readline().decode() if readable else ""
        assert line.startswith("ready "), log.read_text()
        yield PkiNode(directory=directory, url=line.split()[1], process=process, log=log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()


def post(url: str, body: bytes) -> bytes:
    """Post a request to an authority."""

    async def exchange() -> bytes:
        async with PkiHttp() as http:
            return await http.post(url, body)

    return asyncio.run(exchange())


def get(url: str) -> bytes:
    """Fetch a document."""

    async def exchange() -> bytes:
        async with PkiHttp() as http:
            return await http.get(url)

    return asyncio.run(exchange())


@dataclass(slots=True)
class Asker:
    """A station with its built-in key and, once enrolled, its credential."""

    node: PkiNode
    its_id: str = "WAUZZZ-test-1"
    role: StationRole = StationRole.VEHICLE
    canonical_key: SoftwareSigner = field(default_factory=lambda: SystemKeySource().generate(Curve.NIST_P256))
    credential: TicketCredential | None = None
    enrolment_authority: str = "ea"

    def register(self) -> None:
        """Have the operator register it."""
        pem = self.node.directory.with_name(f"{self.its_id}.pem")
        pem.write_bytes(self.canonical_key.native.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        v2x_pki("register", self.node.directory, "--its-id", self.its_id, "--key", pem, "--role", self.role.value)

    def enrolment(self, part: str = "ea") -> tuple[PendingEnrolment, SoftwareSigner]:
        """Make an enrolment request and its new key."""
        key = SystemKeySource().generate(Curve.NIST_P256)
        pending = make_enrolment_request(
            its_id=self.its_id.encode(),
            canonical_key=self.canonical_key,
            key=key,
            authority=self.node.certificate(part),
            attributes=credential_attributes(),
            now=now(),
            randomness=RANDOMNESS,
        )
        return pending, key

    def enrol(self, part: str = "ea", path: str = "/ea") -> Certificate:
        """Get a credential over HTTP."""
        pending, key = self.enrolment(part)
        certificate = pending.open(self.node.post(path, pending.request), now())
        self.credential, self.enrolment_authority = TicketCredential(certificate=certificate, signer=key), part
        return certificate

    def authorization(self, part: str = "aa") -> tuple[PendingAuthorization, SoftwareSigner]:
        """Make a request for a ticket and its new key."""
        assert self.credential is not None
        key = SystemKeySource().generate(Curve.NIST_P256)
        pending = make_authorization_request(
            credential=self.credential,
            key=key,
            authority=self.node.certificate(part),
            enrolment_authority=self.node.certificate(self.enrolment_authority),
            attributes=ticket_attributes(permissions=TICKET_PERMISSIONS[self.role]),
            now=now(),
            randomness=RANDOMNESS,
        )
        return pending, key

    def authorize(self, part: str = "aa", path: str = "/aa") -> TicketCredential:
        """Get a ticket over HTTP."""
        pending, key = self.authorization(part)
        return TicketCredential(certificate=pending.open(self.node.post(path, pending.request), now()), signer=key)
