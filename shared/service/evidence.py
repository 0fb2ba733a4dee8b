"""Evidence on disk: what an authority or a list said that must not have been said, kept for whoever asks later.

    DIR/not_logged-0123456789ABCDEF.json     {"kind", "subject", "seen", "documents": {name: base64}}

One file for each kind and subject, the first one seen: a rogue that repeats itself fills nothing. Bounded; a full folder keeps
what it has, because the first evidence is the one that matters. Left out: the evidence of a ledger that contradicts itself, which
lies in the spool, beside the checkpoints it is about.
"""

import json
from base64 import b64encode
from pathlib import Path

from shared.core.clock import Instant
from shared.core.errors import StorageError
from shared.core.itstime import utc_text
from shared.service.keystore import write_new_file
from shared.stack.effects import Evidence

MAX_EVIDENCE_FILES = 256
"""Files in one folder; a certificate or list has a few kilobytes."""

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
        """Write evidence unless its kind and subject are there already; never raises: what failed is counted."""
        path = self._directory / f"{evidence.kind}-{evidence.subject.upper()}.json"
        try:
            if path.exists():
                return
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            if sum(1 for _ in self._directory.iterdir()) >= MAX_EVIDENCE_FILES:
                self.unwritten += 1
                return
            write_new_file(path, _encoded(evidence, now), mode=_MODE)
        except (OSError, StorageError):
            self.unwritten += 1
            return
        self.written += 1


def _encoded(evidence: Evidence, now: Instant) -> bytes:
    document = {
        "kind": evidence.kind,
        "subject": evidence.subject.upper(),
        "seen": None if now.utc is None else utc_text(now.utc),
        "sentence": evidence.sentence,
        "documents": {name: b64encode(octets).decode() for name, octets in evidence.documents.items()},
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
