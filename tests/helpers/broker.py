"""A private MQTT broker on loopback: mosquitto of Debian, plain or with TLS and client certificates made here; it can be killed.

Its certificates are real but for the time of one test: an authority, the broker's, and those of clients good and bad.
"""

import datetime as dt
import ipaddress
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.helpers.debian import require

LOOPBACK = "127.0.0.1"
PERSISTENT = (
    "persistence true",
    "autosave_on_changes true",
    "autosave_interval 1",
    "max_queued_messages 10000",
)
"""Lines of a broker that knows its sessions after it was killed."""

_DAY = dt.timedelta(days=1)


class TlsAuthority:
    """An authority that vouches for brokers and clients; files go to `directory`."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._issue(name, self._key, is_authority=True, for_days=10)
        self.path = directory / f"{name}.pem"
        self.path.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, *, for_days: int = 5) -> tuple[Path, Path]:
        """Return the files of a certificate for `name` on loopback and of its key; negative days have passed already."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(name, key, is_authority=False, for_days=for_days)
        stem = f"{self._name}-{name}"
        certificate_path, key_path = self._directory / f"{stem}.pem", self._directory / f"{stem}.key"
        certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
        key_path.touch(mode=0o600)
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate_path, key_path

    def _issue(self, name: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool, for_days: int) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)  # noqa: TID251 - TLS libraries read the machine's clock
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if is_authority else self._certificate.subject
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * _DAY)
            .not_valid_after(now + for_days * _DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK)), x509.DNSName("localhost")]),
                critical=False,
            )
        )
        return builder.sign(self._key, hashes.SHA256())


class MosquittoBroker:
    """A broker that is started, stopped, killed and started again on one port.

    Args:
        directory: its files, a new one.
        authority: vouches for it, and for every client it lets in; None speaks in the clear and asks nobody for anything.
        lines: further lines of its configuration.
    """

    def __init__(self, directory: Path, *, authority: TlsAuthority | None = None, lines: tuple[str, ...] = ()) -> None:
        self._program = require("mosquitto", "mosquitto")
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            self.port: int = probe.getsockname()[1]
        self.host = LOOPBACK
        self._directory = directory
        self._config = directory / "mosquitto.conf"
        configuration = [
            f"listener {self.port} {LOOPBACK}",
            "user root",
            "allow_anonymous true",
            "log_dest stderr",
            "log_type error",
            "log_type information",
            f"persistence_location {directory}/",
            *lines,
        ]
        if authority is not None:
            certificate, key = authority.issue("broker")
            configuration += [
                f"cafile {authority.path}",
                f"certfile {certificate}",
                f"keyfile {key}",
                "require_certificate true",
                "use_identity_as_username true",
            ]
        self._config.write_text("\n".join(configuration) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it serves."""
        assert self._process is None
        process = subprocess.Popen([self._program, "-c", str(self._config)], stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = b""
        for line in process.stderr:
            said += line
            if line.rstrip().endswith(b"running"):
                self._process = process
                return
        process.wait()
        process.stderr.close()
        pytest.fail(f"mosquitto does not start: {said.decode(errors='replace')}")

    def save(self) -> None:
        """Have it write its database (SIGUSR1), soon."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def written_ns(self) -> int:
        """Return when it wrote its database last, in nanoseconds; 0 when it never did."""
        database = self._directory / "mosquitto.db"
        return database.stat().st_mtime_ns if database.exists() else 0

    def has_saved(self, text: str) -> bool:
        """Say whether something is in its database, so that it survives a kill."""
        database = self._directory / "mosquitto.db"
        return database.exists() and text.encode() in database.read_bytes()

    def stop(self) -> None:
        """Let it say goodbye to its clients, and wait for its end."""
        self._end("terminate")

    def kill(self) -> None:
        """Kill it (SIGKILL); nobody is told."""
        self._end("kill")

    def _end(self, how: str) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stderr is not None
        getattr(process, how)()
        process.wait()
        process.stderr.close()
