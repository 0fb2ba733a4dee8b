"""Evidence on disk: what an authority or a list said that must not have been said, kept for whoever asks later.

    DIR/not_logged-0123456789ABCDEF-89ABCDEF.json     {"kind", "subject", "seen", "documents": {name: base64}}

One file for each kind, subject and set of documents: a rogue that repeats itself fills nothing, and a list whose proof was late
once does not hide another that never had one. Bounded, for each subject and altogether; what is full keeps what it has, because the
first evidence is the one that matters. Left out: the evidence of a ledger that contradicts itself, which lies in the spool, beside
the checkpoints it is about.
"""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from shared.core.clock import Instant
from shared.core.errors import StorageError
from shared.core.itstime import utc_text
from shared.service.keystore import write_new_file
from shared.stack.effects import Evidence

MAX_EVIDENCE_FILES = 256
"""Files in one folder; a certificate or list has a few kilobytes."""

MAX_FILES_OF_ONE = 16
"""Files about one subject: nobody fills the folder alone."""

_DIGEST_OCTETS = 4
_MODE = 0o640


class EvidenceFolder:
    """Keeps evidence.

    Args:
        directory: made when the first evidence is written.

    Attributes:
        written: files written since the start.
        unwritten: evidence that found no room or a failing disk.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.written = 0
        self.unwritten = 0

    def keep(self, evidence: Evidence, now: Instant) -> None:
        """Write evidence unless it is there already; never raises: what failed is counted."""
        about = f"{evidence.kind}-{evidence.subject.upper()}-"
        path = self._directory / f"{about}{_digest(evidence).hex().upper()}.json"
        try:
            if path.exists():
                return
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            names = [each.name for each in self._directory.iterdir()]
            if len(names) >= MAX_EVIDENCE_FILES or sum(name.startswith(about) for name in names) >= MAX_FILES_OF_ONE:
                self.unwritten += 1
                return
            write_new_file(path, _encoded(evidence, now), mode=_MODE)
        except (OSError, StorageError):
            self.unwritten += 1
            return
        self.written += 1

    def status(self) -> dict[str, int]:
        """Return both counts."""
        return {"written": self.written, "unwritten": self.unwritten}


def _digest(evidence: Evidence) -> bytes:
    """Tell one set of documents from another."""
    parts = [sha256(name.encode()).digest() + sha256(octets).digest() for name, octets in sorted(evidence.documents.items())]
    return sha256(b"".join(parts)).digest()[:_DIGEST_OCTETS]


def _encoded(evidence: Evidence, now: Instant) -> bytes:
    document = {
        "kind": evidence.kind,
        "subject": evidence.subject.upper(),
        "seen": None if now.utc is None else utc_text(now.utc),
        "sentence": evidence.sentence,
        "documents": {name: b64encode(octets).decode() for name, octets in evidence.documents.items()},
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
