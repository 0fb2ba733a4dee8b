"""What of a unit's doings is kept as evidence, from the moment it happens until it is on disk. Sans-IO.

    packet went out      own SPATEM, DENM, SSEM: each; own MAPEM, IVIM: the first of every minute
    packet refused       before its signature was looked at or after, or what it claims cannot be true: so many of a minute
    notice               of lights, hazards, priority, peers and silence: so many of a minute
    something disbelieved   such as a controller's state: with what proves it, as part of the notices
    a minute is over     how many there were of each, kept or not

A minute is one of interval time: a clock that is set, or not believed for a while, makes none longer or shorter. What others can
make the unit write has bounds of its own (`evidence_allowance`), and what waits for the disk has, so whoever floods it costs the
unit's own word no room; what finds none is counted and leaves a gap in the numbers, which whoever reads the evidence sees. Packets
of others that the unit only passes on are not its word.
"""

import json
from base64 import b64encode
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from rsu_agent.evidence_allowance import Allowance
from rsu_agent.evidence_format import OF_OTHERS, StoredEntry
from shared.core.clock import NS_PER_S, NS_PER_US, Instant, MonotonicNs, UtcNs
from shared.core.entropy import Entropy
from shared.core.errors import V2xError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import utc_of
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.network.packet import MAX_PACKET_OCTETS
from shared.records.evidence_record import MAX_DETAIL_CHARACTERS, MAX_RECORD_BYTES, SALT_BYTES, EvidenceKind, EvidenceRecord
from shared.records.strict_json import encode_json
from shared.security.certificate import Certificate
from shared.security.peek import peek_claims
from shared.stack.effects import Evidence, Notice
from shared.trust.detectors import Finding

MAX_WAITING = 16_384
"""Records that wait for the disk: a quarter of an hour of a unit that says all it can."""

MAX_WAITING_OF_OTHERS = 4_096
"""Of those, what others made the unit write."""

MAX_OWN_SIGNERS = 16
"""Tickets of the unit remembered: a packet may leave a while after the ticket was changed."""

MINUTE_NS = 60 * NS_PER_S

_HEAD_BYTES = 300
"""What a record takes besides its packet, about."""

_EACH = {ItsAid.TLM: "spatem", ItsAid.DENM: "denm", ItsAid.SSEM: "ssem"}
_ONE_A_MINUTE = {ItsAid.RLT: "mapem", ItsAid.IVIM: "ivim"}
_WORDS = {int(its_aid): word for its_aid, word in (_EACH | _ONE_A_MINUTE).items()}

MAX_DOCUMENTS_BYTES = 10_500
"""Octets of the documents, as JSON, that are kept of one thing that was not believed; of more, their hashes."""

MAX_DETAIL_BYTES = MAX_RECORD_BYTES - MAX_DOCUMENTS_BYTES - 900
"""Octets of a sentence, or of a notice's fields, as they are written; what is longer is cut."""

NOTED = (
    "address_changed",
    "controller_",
    "evidence_",
    "hazard",
    "junction_",
    "many_new_tickets",
    "map_",
    "peer_",
    "priority",
    "sign",
    "silent",
    "speaking",
    "ticket_",
    "zones_",
)
"""Notices that are kept, by what their kind begins with."""

Chain = Callable[[], tuple[Certificate, ...]]
"""Returns the certificate the unit signs under now and the authorities above it, without the root; empty while it has none."""


Unseen = Callable[[], Mapping[str, int]]
"""Returns how many packets were dropped without a look since the start, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is to be stored next: records in order, and certificates by HashedId8."""

    entries: tuple[StoredEntry, ...]
    certificates: Mapping[bytes, bytes]


class EvidenceDesk:
    """Takes down what happens.

    Args:
        next_id: the number the next record gets, as the store says.
        run: which run of writing this is.
        entropy: draws salts.
        chain: says under which certificates the unit signs.
    """

    def __init__(self, *, next_id: int, run: int, entropy: Entropy, chain: Chain) -> None:
        self._next_id = next_id
        self._run = run
        self._entropy = entropy
        self._chain = chain
        self._numbers: Counter[tuple[EvidenceKind, str]] = Counter()
        self._waiting: deque[StoredEntry] = deque()
        self._certificates: dict[bytes, bytes] = {}
        self._own: OrderedDict[HashedId8, None] = OrderedDict()
        self._minute_began: MonotonicNs | None = None
        self._sent: Counter[str] = Counter()
        self._refused = Allowance()
        self._noted = Allowance()
        self._periodic: set[str] = set()
        self._waiting_of_others = 0
        self._unseen: Unseen = dict
        self._unseen_before: Mapping[str, int] = {}
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Records that are not on disk yet."""
        return len(self._waiting)

    def count_unseen(self, unseen: Unseen) -> None:
        """Count in every minute also what was dropped without a look."""
        self._unseen = unseen

    def sent(self, packet: bytes) -> None:
        """A packet went out; it is kept if it is the unit's own word."""
        claims = peek_claims(packet, BASIC_HEADER_OCTETS)
        word = None if claims is None else _WORDS.get(claims.psid)
        if claims is None or word is None or not self._is_own(claims.signer):
            return
        self._sent[word] += 1
        if word in _ONE_A_MINUTE.values():
            if word in self._periodic:
                return
            self._periodic.add(word)
        self._keep(EvidenceKind.SENT, word, utc_of(claims.generation_time), "", packet)

    def refused(self, packet: bytes, why: V2xError | Finding, now: Instant) -> None:
        """A packet was not believed: it was refused, or what it claims cannot be."""
        word = self._refused.count(f"implausible_{why.check.lower()}" if isinstance(why, Finding) else why.code)
        if len(packet) <= MAX_PACKET_OCTETS and self._refused.grant(word, len(packet) + _HEAD_BYTES):
            sentence = why.sentence if isinstance(why, Finding) else str(why)
            self._keep(EvidenceKind.REFUSED, word, now.utc, sentence, packet)
        else:
            self._numbers[EvidenceKind.REFUSED, word] += 1

    def noted(self, notice: Notice, now: Instant) -> None:
        """The operator was told something."""
        if notice.kind.startswith(NOTED):
            detail = json.dumps(notice.fields, default=str, sort_keys=True)
            self._note(notice.kind, detail, b"", now)

    def disbelieved(self, evidence: Evidence, now: Instant) -> None:
        """The unit keeps what somebody said who must not have said it: of its controller, of an authority."""
        hashes = {name: sha256(octets).hexdigest() for name, octets in sorted(evidence.documents.items())}
        detail = json.dumps({"subject": evidence.subject, "sentence": evidence.sentence, "sha256": hashes})
        documents = {name: b64encode(octets).decode() for name, octets in sorted(evidence.documents.items())}
        encoded = json.dumps(documents).encode()
        self._note(evidence.kind, detail, encoded if len(encoded) <= MAX_DOCUMENTS_BYTES else b"", now)

    def tick(self, now: Instant) -> bool:
        """Say whether a minute is over since the last call that said so, or the first; then what was counted in it is kept."""
        if self._minute_began is None:
            self._minute_began = now.monotonic
        elapsed_ns = now.monotonic - self._minute_began
        if elapsed_ns < MINUTE_NS:
            return False
        self._minute_began = MonotonicNs(now.monotonic - elapsed_ns % MINUTE_NS)
        self._count(now)
        return True

    def close(self, now: Instant) -> None:
        """The unit ends: keep what was counted since the last minute began."""
        self._count(now)

    def take(self) -> Waiting:
        """Return what waits for the disk; it goes on waiting until `stored`."""
        return Waiting(entries=tuple(self._waiting), certificates=dict(self._certificates))

    def stored(self, what: Waiting) -> None:
        """It is on disk."""
        last = what.entries[-1].id if what.entries else -1
        while self._waiting and self._waiting[0].id <= last:
            self._waiting_of_others -= self._waiting.popleft().record.kind in OF_OTHERS
        for identifier in what.certificates:
            self._certificates.pop(identifier, None)

    def _note(self, word: str, detail: str, documents: bytes, now: Instant) -> None:
        word = self._noted.count(word)
        if self._noted.grant(word, len(detail) + len(documents) + _HEAD_BYTES):
            self._keep(EvidenceKind.NOTED, word, now.utc, detail, documents)
        else:
            self._numbers[EvidenceKind.NOTED, word] += 1

    def _count(self, now: Instant) -> None:
        unseen = dict(self._unseen())
        dropped = {why: count - self._unseen_before.get(why, 0) for why, count in unseen.items()}
        self._unseen_before = unseen
        if self._sent or self._refused.counted or self._noted.counted or any(dropped.values()):
            counted = {
                "sent": dict(sorted(self._sent.items())),
                "refused": dict(sorted(self._refused.counted.items())),
                "noted": dict(sorted(self._noted.counted.items())),
                "unseen": {why: count for why, count in sorted(dropped.items()) if count},
                "lost": self.lost,
            }
            self._keep(EvidenceKind.COUNTED, "minute", now.utc, json.dumps(counted), b"")
        self._sent.clear()
        self._refused, self._noted = Allowance(), Allowance()
        self._periodic.clear()

    def _keep(self, kind: EvidenceKind, word: str, utc: UtcNs | None, detail: str, packet: bytes) -> None:
        number = self._numbers[kind, word]
        self._numbers[kind, word] += 1
        is_of_others = kind in OF_OTHERS
        if len(self._waiting) >= MAX_WAITING or (is_of_others and self._waiting_of_others >= MAX_WAITING_OF_OTHERS):
            self.lost += 1
            return
        record = EvidenceRecord(
            kind=kind,
            word=word,
            run=self._run,
            number=number,
            utc_us=None if utc is None else utc // NS_PER_US,
            salt=self._entropy(SALT_BYTES),
            detail=_cut(detail),
            packet=packet,
        )
        self._waiting.append(StoredEntry(id=self._next_id, record=record, entry=record.encode()))
        self._waiting_of_others += is_of_others
        self._next_id += 1

    def _is_own(self, signer: HashedId8) -> bool:
        if signer in self._own:
            return True
        chain = self._chain()
        if not chain or chain[0].hashed_id8 != signer:
            return False
        self._own[signer] = None
        if len(self._own) > MAX_OWN_SIGNERS:
            self._own.popitem(last=False)
        self._certificates |= {bytes(each.hashed_id8): each.encoded for each in chain}
        return True


def _cut(detail: str) -> str:
    """Return as much of a detail as a record holds, and nothing in it that is no text."""
    text = detail[:MAX_DETAIL_CHARACTERS].encode(errors="replace").decode()
    while len(encode_json(text).encode()) > MAX_DETAIL_BYTES:
        text = text[: len(text) // 2]
    return text
