"""A station's long-term identity: its canonical key, and the enrolment credentials made with it, present and past.

    KEYS  canonical                    known to the enrolment authority before there is any certificate
    KEYS  enrolment-0001 ...           one for each credential; made before it is asked for
    DIR/credential-0001.oer ...        the credentials; the highest number is in use, the others stay for the records under them

Keys are made and used where they live (`shared.service.key_store`). A key whose credential never came is used for the next request:
a token does not fill up with keys that nobody vouches for.
"""

import re
from pathlib import Path

from shared.core.errors import ConfigError, StorageError
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, Signer
from shared.security.sign import TicketCredential
from shared.service.key_store import KeyStore
from shared.service.keystore import write_new_file
from shared.service.trust_directory import make_directory, read_certificate_file

CANONICAL = "canonical"
"""Name of the canonical key."""

MAX_CREDENTIALS = 999
"""Credentials of one station in its life; at three years each it outlives every vehicle."""

_FILE = re.compile(r"credential-(\d{4})\.oer")
_MODE = 0o644


class CredentialFolder:
    """The credentials in one folder and their keys in one store.

    Args:
        directory: made when the first credential is kept.
        keys: where the keys live.

    Raises:
        ConfigError: a file is damaged, or the key of the credential in use is not in the store.
    """

    def __init__(self, directory: Path, keys: KeyStore) -> None:
        self._directory = directory
        self._keys = keys
        self._certificates = self._read()
        self._current: TicketCredential | None = None
        if self._certificates:
            number = max(self._certificates)
            signer = keys.find(_key_name(number))
            if signer is None:
                path = str(self._path(number))
                raise ConfigError(path, f"its key {_key_name(number)!r} is not in the key store; enrol again")
            self._current = _credential(self._certificates[number], signer, self._path(number))

    @property
    def current(self) -> TicketCredential | None:
        """The credential in use; None before the first enrolment."""
        return self._current

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """All credentials, the first one first."""
        return tuple(certificate for _, certificate in sorted(self._certificates.items()))

    def canonical(self) -> Signer:
        """Return the canonical key, made now if there is none."""
        return self._keys.find(CANONICAL) or self._keys.generate(CANONICAL, Curve.NIST_P256)

    def next_key(self) -> Signer:
        """Return the key for the next credential, made now unless an earlier request for it came to nothing."""
        number = self._next_number()
        return self._keys.find(_key_name(number)) or self._keys.generate(_key_name(number), Curve.NIST_P256)

    def keep(self, certificate: Certificate) -> TicketCredential:
        """Keep a new credential and use it from now on.

        Raises:
            ConfigError: it does not belong to the key that `next_key` gave.
            StorageError: it cannot be written.
        """
        number = self._next_number()
        signer = self.next_key()
        credential = _credential(certificate, signer, self._path(number))
        make_directory(self._directory, private=True)
        write_new_file(self._path(number), certificate.encoded, mode=_MODE)
        self._certificates[number] = certificate
        self._current = credential
        return credential

    def _next_number(self) -> int:
        number = max(self._certificates, default=0) + 1
        if number > MAX_CREDENTIALS:
            raise StorageError(str(self._directory), f"holds {MAX_CREDENTIALS} credentials already")
        return number

    def _path(self, number: int) -> Path:
        return self._directory / f"credential-{number:04d}.oer"

    def _read(self) -> dict[int, Certificate]:
        if not self._directory.exists():
            return {}
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError as error:
            raise ConfigError(str(self._directory), f"cannot be read: {error.strerror or error}") from error
        found = (_FILE.fullmatch(name) for name in names)
        return {int(match[1]): read_certificate_file(self._directory / match[0]) for match in found if match}


def _key_name(number: int) -> str:
    return f"enrolment-{number:04d}"


def _credential(certificate: Certificate, signer: Signer, path: Path) -> TicketCredential:
    try:
        return TicketCredential(certificate=certificate, signer=signer)
    except ConfigError as error:
        raise ConfigError(str(path), error.reason) from error
