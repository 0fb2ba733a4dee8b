"""The log's side of witnessing, sans-IO: what to send to each witness, and what to make of its answer (C2SP tlog-witness).

    request() -> AddCheckpoint -> 200 a cosignature | 409 the size the witness has: prove from there, once | anything else: not now

A cosignature enters a note only after it was verified, so a witness that talks nonsense costs its own line and nothing else; one
whose clock is far off would spoil the note for verifiers that look at dates, and is not taken either. Sizes are remembered between
rounds and are no secret: a wrong one costs one more exchange. Carrying it over HTTP is `shared.transport.witness_http`'s business.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shared.core.clock import NS_PER_S, Instant
from shared.core.errors import DecodeError, ProofError
from shared.ledger.add_checkpoint import AddCheckpoint
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.cosignature import Cosignature, find_cosignature
from shared.ledger.merkle import Hash
from shared.ledger.note import NoteSignature, SignedNote, VerifierKey, add_signatures, encode_note, parse_note, signatures_by
from shared.ledger.text import decode_decimal

MAX_ANSWER_BYTES = 16_384
"""More than any witness has to say."""

MAX_EXCHANGES = 3
"""With one witness for one checkpoint: a wrong size may be followed by another, where two of a log's processes ask."""

MAX_CLOCK_DIFFERENCE_S = 300
"""Seconds that a witness's clock may differ from ours."""

MAX_REASON_CHARACTERS = 200
"""Characters of a witness's own words that are kept."""

AHEAD = "ahead"
"""The word for a witness that has cosigned a larger tree than the log has: the log was put back from a backup, or so it says."""

Consistency = Callable[[int, int], tuple[Hash, ...]]
"""From the size of an old and of a new tree to the consistency proof between them (RFC 9162 2.1.4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigning:
    """A witness cosigned: its line, verified, and when it says it did."""

    line: NoteSignature
    timestamp_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCosigned:
    """It did not, and why: one word for whoever counts, a sentence for whoever looks."""

    word: str
    reason: str


class WitnessRound:
    """Asks one witness to cosign one checkpoint.

    Args:
        note: the log's signed checkpoint.
        key: the witness's, of kind cosignature.
        known_size: what it is thought to have cosigned last; 0 for nothing.
        consistency: makes proofs.

    Raises:
        DecodeError: the note is no checkpoint.
    """

    def __init__(self, *, note: bytes, key: VerifierKey, known_size: int, consistency: Consistency) -> None:
        self._note: SignedNote = parse_note(note)
        self._checkpoint: Checkpoint = parse_checkpoint(self._note.body)
        self._key = key
        self._consistency = consistency
        self._old_size = known_size if known_size <= self._checkpoint.tree_size else 0
        self._exchanges = 0
        self._outcome: Cosigning | NotCosigned | None = None

    @property
    def outcome(self) -> Cosigning | NotCosigned | None:
        """What came of it, None while there is something to ask."""
        return self._outcome

    @property
    def known_size(self) -> int:
        """What the witness has cosigned last, as far as this round shows."""
        return self._old_size

    def request(self) -> bytes | None:
        """Return the body of the next request; None once there is an outcome."""
        if self._outcome is not None:
            return None
        self._exchanges += 1
        old, new = self._old_size, self._checkpoint.tree_size
        proof = self._consistency(old, new) if 0 < old < new else ()
        return AddCheckpoint(old_size=old, proof=proof, note=self._note.encoded).encode()

    def answered(self, status: int, body: bytes, now: Instant) -> None:
        """Take the witness's answer; while `now` has no date, the cosignature's is not judged."""
        if self._outcome is not None:
            return
        if len(body) > MAX_ANSWER_BYTES:
            self._outcome = NotCosigned(word="flood", reason=f"answered with more than {MAX_ANSWER_BYTES} bytes")
        elif status == 200:
            self._take_cosignature(body, now)
        elif status == 409:
            self._take_size(body)
        else:
            words = " ".join(body.decode("ascii", "replace").split())[:MAX_REASON_CHARACTERS]
            self._outcome = NotCosigned(word=f"status_{status}", reason=f"answered {status}: {words!r}")

    def failed(self, word: str, reason: str) -> None:
        """It could not be asked, or did not answer."""
        if self._outcome is None:
            self._outcome = NotCosigned(word=word, reason=reason)

    def _take_size(self, body: bytes) -> None:
        try:
            size = decode_decimal(body.decode("ascii", "replace").removesuffix("\n"), "witness.size")
        except DecodeError as error:
            self._outcome = NotCosigned(word="nonsense", reason=str(error))
            return
        if size > self._checkpoint.tree_size:
            sentence = f"has cosigned {size} entries already, more than the {self._checkpoint.tree_size} of this checkpoint"
            self._outcome = NotCosigned(word=AHEAD, reason=sentence)
        elif size == self._old_size or self._exchanges >= MAX_EXCHANGES:
            self._outcome = NotCosigned(word="size", reason=f"goes on asking for a proof from {size} entries")
        else:
            self._old_size = size

    def _take_cosignature(self, body: bytes, now: Instant) -> None:
        try:
            lines = signatures_by(parse_note(self._note.body + b"\n" + body), self._key)
            found = [(self._verified(line), line) for line in lines]
        except (DecodeError, ProofError) as error:
            self._outcome = NotCosigned(word="nonsense", reason=str(error))
            return
        if not found:
            self._outcome = NotCosigned(word="nonsense", reason=f"answered without a cosignature by {self._key.name}")
            return
        cosignature, line = max(found, key=lambda each: each[0].timestamp_s)
        if now.utc is not None:
            ahead_s = cosignature.timestamp_s - now.utc // NS_PER_S
            if abs(ahead_s) > MAX_CLOCK_DIFFERENCE_S:
                sentence = f"dates its cosignature {abs(ahead_s)} s {'after' if ahead_s > 0 else 'before'} the present"
                self._outcome = NotCosigned(word="date", reason=sentence)
                return
        self._old_size = self._checkpoint.tree_size
        self._outcome = Cosigning(line=line, timestamp_s=cosignature.timestamp_s)

    def _verified(self, line: NoteSignature) -> Cosignature:
        found = find_cosignature(parse_note(encode_note(self._note.body, (line,))), self._key)
        assert found is not None
        return found


def with_cosignatures(note: bytes, outcomes: Iterable[Cosigning | NotCosigned | None]) -> bytes:
    """Return the note with every cosignature that came."""
    parsed = parse_note(note)
    lines = tuple(outcome.line for outcome in outcomes if isinstance(outcome, Cosigning))
    return add_signatures(parsed, lines) if lines else parsed.encoded
