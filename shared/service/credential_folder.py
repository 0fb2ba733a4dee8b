"""A station's long-term identity: its canonical key, and the enrolment credentials made with it, present and past.

    KEYS  canonical                    known to the enrolment authority before there is any certificate
    KEYS  enrolment-0001 ...           one for each credential; made before it is asked for
    DIR/credential-0001.oer ...        the credentials; the highest number is in use, the others stay for the records under them
    DIR/authority-0001.oer ...         who issued each: lists forget authorities, records do not

Keys are made and used where they live (`shared.service.key_store`). A key whose credential never came is used for the next request:
a token does not fill up with keys that nobody vouches for.
"""

import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCredential:
    """An enrolment credential with its key, and the certificate of the authority that issued it."""

    credential: TicketCredential
    authority: Certificate


class CredentialFolder:
    """The credentials in one folder and their keys in one store.

    Args:
        directory: made when the first credential is kept.
        keys: where the keys live.

    Raises:
        ConfigError: a file is damaged, or the key of the credential in use is not in the store.
        TransportError: the token does not answer.
    """

    def __init__(self, directory: Path, keys: KeyStore) -> None:
        self._directory = directory
        self._keys = keys
        self._numbers = self._read_numbers()
        self._held = {number: held for number in sorted(self._numbers) if (held := self._load(number)) is not None}
        newest = max(self._numbers, default=0)
        if newest and newest not in self._held:
            path = str(self._path("credential", newest))
            raise ConfigError(path, f"its key {_key_name(newest)!r} is not in the key store; enrol again in a new folder")

    @property
    def current(self) -> TicketCredential | None:
        """The credential in use; None before the first enrolment."""
        return None if not self._held else self._held[max(self._held)].credential

    @property
    def held(self) -> tuple[HeldCredential, ...]:
        """All credentials whose keys are at hand, from the oldest to the newest."""
        return tuple(self._held.values())

    def canonical(self) -> Signer:
        """Return the canonical key, made now if there is none."""
        return self._keys.find(CANONICAL) or self._keys.generate(CANONICAL, Curve.NIST_P256)

    def next_key(self) -> Signer:
        """Return the key for the next credential, made now unless an earlier request for it came to nothing."""
        name = _key_name(self._next_number())
        return self._keys.find(name) or self._keys.generate(name, Curve.NIST_P256)

    def keep(self, certificate: Certificate, *, authority: Certificate) -> TicketCredential:
        """Keep a new credential and use it from now on.

        Raises:
            ConfigError: it does not belong to the key that `next_key` gave.
            StorageError: it cannot be written.
        """
        number = self._next_number()
        path = self._path("credential", number)
        held = HeldCredential(credential=_credential(certificate, self.next_key(), path), authority=authority)
        make_directory(self._directory, private=True)
        beside = self._path("authority", number)
        try:
            beside.unlink(missing_ok=True)  # of a request whose credential was not kept
        except OSError as error:
            raise StorageError(str(beside), f"cannot be replaced: {error.strerror or error}") from error
        write_new_file(beside, authority.encoded, mode=_MODE)
        write_new_file(path, certificate.encoded, mode=_MODE)
        self._numbers.add(number)
        self._held[number] = held
        return held.credential

    def _next_number(self) -> int:
        number = max(self._numbers, default=0) + 1
        if number > MAX_CREDENTIALS:
            raise StorageError(str(self._directory), f"holds {MAX_CREDENTIALS} credentials already")
        return number

    def _path(self, what: str, number: int) -> Path:
        return self._directory / f"{what}-{number:04d}.oer"

    def _read_numbers(self) -> set[int]:
        if not self._directory.exists():
            return set()
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError as error:
            raise ConfigError(str(self._directory), f"cannot be read: {error.strerror or error}") from error
        return {int(match[1]) for name in names if (match := _FILE.fullmatch(name))}

    def _load(self, number: int) -> HeldCredential | None:
        """Return a credential, or None where its key is gone: what it signed stays, it signs no more."""
        path = self._path("credential", number)
        certificate, authority = read_certificate_file(path), read_certificate_file(self._path("authority", number))
        signer = self._keys.find(_key_name(number))
        if signer is None:
            return None
        return HeldCredential(credential=_credential(certificate, signer, path), authority=authority)


def _key_name(number: int) -> str:
    return f"enrolment-{number:04d}"


def _credential(certificate: Certificate, signer: Signer, path: Path) -> TicketCredential:
    try:
        return TicketCredential(certificate=certificate, signer=signer)
    except ConfigError as error:
        raise ConfigError(str(path), error.reason) from error
