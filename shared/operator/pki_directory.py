"""Where the authorities of one hierarchy keep what is theirs.

    DIR/root DIR/tlm DIR/ea DIR/aa   certificate.oer, key.pem or key.uri (0600), encryption-key.pem
    DIR/NAME                         likewise, of an authority that was added
    DIR/ea/registry.db               stations, credentials, grants: of all enrolment authorities, which take over from each other
    DIR/aa/answers.db                answers given; no station is named there
    DIR/lists.db                     lists published, certificates revoked, settings
    DIR/log.db DIR/log.key           the transparency log of lists and authorities' certificates
    DIR/trust                        for stations: roots/, authorities/ with proofs, tlm/, log.policy

A directory on another machine holds only the parts that machine serves, and `trust`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import ConfigError
from shared.ledger.note import Ed25519NoteSigner
from shared.pki.authority import AuthorityCredential
from shared.security.certificate import Certificate
from shared.service.authority_keys import AuthorityKeys, has_signing_key
from shared.service.log_store import LogStore, load_or_create_log_key, open_log_store
from shared.service.pki_store import AnswerStore, EnrolmentStore, open_answer_store, open_enrolment_store
from shared.service.published_lists import PublishedLists, open_published_lists
from shared.service.trust_directory import (
    AUTHORITIES,
    CERTIFICATE_FILE,
    read_certificate_file,
    read_trust_directory,
)

ROOT = "root"
MANAGER = "tlm"
ENROLMENT = "ea"
AUTHORIZATION = "aa"
TRUST = "trust"

SERVICES = ("root", "tlm", "ea", "aa", "dc", "cpoc", "log")
"""What `v2x pki serve` serves, all of it or some."""

POLICY_FILE = "log.policy"
"""Under `trust`: the log's key as tlog-policy."""

PROOF_SUFFIX = ".proof"
"""Beside a certificate: tlog-proof@v1 that it is logged."""

LOG_KEY_FILE = "log.key"
LOG_FILE = "log.db"
LISTS_FILE = "lists.db"

LOG_ORIGIN = "pki.v2x-trust"
"""Begin of a log's origin; the identifier of the root follows."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_RESERVED = frozenset((ROOT, MANAGER, ENROLMENT, AUTHORIZATION, TRUST))


@dataclass(frozen=True, slots=True)
class PkiDirectory:
    """The directory of one hierarchy.

    Attributes:
        path: what `v2x pki init` made, or a part of it.
    """

    path: Path

    @property
    def trust(self) -> Path:
        """What stations get."""
        return self.path / TRUST

    def has(self, part: str) -> bool:
        """Say whether the keys of an authority are here, or in a key store that is named here."""
        return has_signing_key(self.path / part)

    def knows(self, part: str) -> bool:
        """Say whether the certificate of an authority is here."""
        return (self.path / part / CERTIFICATE_FILE).exists()

    def credential(self, part: str, keys: AuthorityKeys) -> AuthorityCredential:
        """Return an authority's certificate and keys; raises as `AuthorityKeys.credential`."""
        return keys.credential(self.path / part)

    def certificate(self, part: str) -> Certificate:
        """Return an authority's certificate; raises `ConfigError`."""
        return read_certificate_file(self.path / part / CERTIFICATE_FILE)

    def root_certificate(self) -> Certificate:
        """Return the root of the hierarchy, from its own folder or from `trust`; raises `ConfigError`."""
        self.check_is_there()
        if self.knows(ROOT):
            return self.certificate(ROOT)
        roots = read_trust_directory(self.trust).roots
        if len(roots) != 1:
            raise ConfigError(str(self.trust), f"names {len(roots)} roots; the authorities of one hierarchy have one")
        return next(iter(roots.values()))

    def registry(self) -> EnrolmentStore:
        """Open the registry of the enrolment authorities; raises `ConfigError` where there is no such authority."""
        self._require(ENROLMENT, "no enrolment authority")
        return open_enrolment_store(self.path / ENROLMENT / "registry.db")

    def answers(self, name: str) -> AnswerStore:
        """Open the answers of an authorization authority; raises `ConfigError` where there is no such authority."""
        self._require(name, "no authorization authority of that name")
        return open_answer_store(self.path / name / "answers.db")

    def lists(self) -> PublishedLists:
        """Open the published lists; raises `ConfigError` where nothing belongs to a hierarchy."""
        self.check_is_there()
        if not self.trust.is_dir():
            raise ConfigError(str(self.path), "is no directory made by `v2x pki init`: it has no trust/")
        return open_published_lists(self.path / LISTS_FILE)

    def log(self) -> LogStore:
        """Open the log; raises `ConfigError` where its key is not here."""
        if not (self.path / LOG_KEY_FILE).exists():
            raise ConfigError(str(self.path / LOG_KEY_FILE), "the log's key is not here, so nothing can be published or proven")
        return self._opened_log()

    def create_log(self) -> LogStore:
        """Make the log's key and an empty log."""
        return self._opened_log()

    def _opened_log(self) -> LogStore:
        origin = f"{LOG_ORIGIN}/{self.root_certificate().hashed_id8.hex()}"
        return open_log_store(self.path / LOG_FILE, Ed25519NoteSigner(origin, load_or_create_log_key(self.path / LOG_KEY_FILE)))

    def proof_path(self, certificate: Certificate) -> Path:
        """Return where the proof of an authority's certificate lies for stations."""
        return self.trust / AUTHORITIES / f"{certificate.hashed_id8.hex().upper()}{PROOF_SUFFIX}"

    def _require(self, part: str, what: str) -> None:
        self.check_is_there()
        if not self.knows(part):
            raise ConfigError(str(self.path / part), f"there is {what} here")

    def check_is_there(self) -> None:
        """Raise `ConfigError` where there is no such directory at all."""
        if not self.path.is_dir():
            raise ConfigError(str(self.path), "is no directory" if self.path.exists() else "there is no such directory")


def check_authority_name(name: str) -> None:
    """Raise `ConfigError` unless a name can be that of a further authority: a folder and a part of a URL."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        words = "has 1 to 32 letters a to z, digits and hyphens, and is not root, tlm, ea, aa or trust"
        raise ConfigError(f"authority {name!r}", f"the name of a further authority {words}")
