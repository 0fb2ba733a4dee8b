"""What of a unit's doings is kept as evidence, from the moment it happens until it is on disk. Sans-IO.

    packet went out      own SPATEM, DENM, SSEM: each; own MAPEM, IVIM: the first of every minute
    packet refused       some of every reason, some a minute; all are counted
    notice               of lights, hazards, priority and silence, some a minute
    something disbelieved   such as a controller's state: with what proves it, some a minute
    a minute is over     how many there were of each, kept or not

Nothing here can be made to grow by a stranger: what waits for the disk is bounded, and what finds no room is counted and leaves a
gap in the numbers, which whoever reads the evidence sees. Packets of others that the unit only passes on are not its word.
"""

import json
from base64 import b64encode
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from rsu_agent.evidence_format import StoredEntry
from shared.core.clock import NS_PER_S, NS_PER_US, Instant, UtcNs
from shared.core.entropy import Entropy
from shared.core.errors import V2xError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import utc_of
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.network.packet import MAX_PACKET_OCTETS
from shared.records.evidence_record import MAX_DETAIL_CHARACTERS, SALT_BYTES, EvidenceKind, EvidenceRecord
from shared.security.certificate import Certificate
from shared.security.peek import peek_claims
from shared.stack.effects import Evidence, Notice

MAX_WAITING = 16_384
"""Records that wait for the disk: minutes of a unit that says all it can."""

MAX_REFUSED_A_MINUTE = 600
"""Refused packets kept of one minute."""

MAX_REFUSED_OF_ONE_REASON = 60
"""Of those, with one reason: a flood of one kind hides no other."""

MAX_REASONS = 64
"""Reasons counted apart in one minute; they are words of our own."""

MAX_NOTICES_A_MINUTE = 240

MAX_OWN_SIGNERS = 16
"""Tickets of the unit remembered: a packet may leave a while after the ticket was changed."""

MINUTE_NS = 60 * NS_PER_S

OTHER = "other"
"""Where reasons beyond `MAX_REASONS` are counted."""

_EACH = {ItsAid.TLM: "spatem", ItsAid.DENM: "denm", ItsAid.SSEM: "ssem"}
_ONE_A_MINUTE = {ItsAid.RLT: "mapem", ItsAid.IVIM: "ivim"}
_WORDS = {int(its_aid): word for its_aid, word in (_EACH | _ONE_A_MINUTE).items()}

MAX_DOCUMENTS_BYTES = 11_000
"""Octets of the documents, as JSON, that are kept of one thing that was not believed; of more, their hashes."""

NOTED = ("junction_", "sign", "controller_", "hazard_", "priority", "map_", "silent", "speaking", "address_changed", "ticket_")
"""Notices that are kept, by what their kind begins with."""

Chain = Callable[[], tuple[Certificate, ...]]
"""Returns the certificate the unit signs under now and the authorities above it, without the root; empty while it has none."""


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
        self._minute: int | None = None
        self._sent: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._kept_refusals: Counter[str] = Counter()
        self._notices = 0
        self._periodic: set[str] = set()
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Records that are not on disk yet."""
        return len(self._waiting)

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

    def refused(self, packet: bytes, refusal: V2xError, now: Instant) -> None:
        """A packet was not believed."""
        code = refusal.code
        if code not in self._refused and len(self._refused) >= MAX_REASONS:
            code = OTHER
        self._refused[code] += 1
        is_kept = (
            self._kept_refusals[code] < MAX_REFUSED_OF_ONE_REASON
            and self._kept_refusals.total() < MAX_REFUSED_A_MINUTE
            and len(packet) <= MAX_PACKET_OCTETS
        )
        if is_kept:
            self._kept_refusals[code] += 1
            self._keep(EvidenceKind.REFUSED, code, now.utc, str(refusal), packet)
        else:
            self._numbers[EvidenceKind.REFUSED, code] += 1

    def noted(self, notice: Notice, now: Instant) -> None:
        """The operator was told something."""
        if not notice.kind.startswith(NOTED):
            return
        self._notices += 1
        if self._notices > MAX_NOTICES_A_MINUTE:
            self._numbers[EvidenceKind.NOTED, notice.kind] += 1
            return
        self._keep(EvidenceKind.NOTED, notice.kind, now.utc, json.dumps(notice.fields, default=str, sort_keys=True), b"")

    def disbelieved(self, evidence: Evidence, now: Instant) -> None:
        """The unit keeps what somebody said who must not have said it: of its controller, of an authority."""
        self._notices += 1
        if self._notices > MAX_NOTICES_A_MINUTE:
            self._numbers[EvidenceKind.NOTED, evidence.kind] += 1
            return
        hashes = {name: sha256(octets).hexdigest() for name, octets in sorted(evidence.documents.items())}
        detail = json.dumps({"subject": evidence.subject, "sentence": evidence.sentence, "sha256": hashes})
        documents = {name: b64encode(octets).decode() for name, octets in sorted(evidence.documents.items())}
        encoded = json.dumps(documents).encode()
        self._keep(EvidenceKind.NOTED, evidence.kind, now.utc, detail, encoded if len(encoded) <= MAX_DOCUMENTS_BYTES else b"")

    def tick(self, now: Instant) -> bool:
        """Say whether another minute has begun since the last call that said so; then what was counted in it is kept."""
        minute = (now.monotonic if now.utc is None else now.utc) // MINUTE_NS
        if minute == self._minute:
            return False
        is_first, self._minute = self._minute is None, minute
        if is_first:
            return False
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
            self._waiting.popleft()
        for identifier in what.certificates:
            self._certificates.pop(identifier, None)

    def _count(self, now: Instant) -> None:
        if self._sent or self._refused or self._notices:
            counted = {"sent": dict(sorted(self._sent.items())), "refused": dict(sorted(self._refused.items())), "lost": self.lost}
            self._keep(EvidenceKind.COUNTED, "minute", now.utc, json.dumps(counted), b"")
        self._sent.clear()
        self._refused.clear()
        self._kept_refusals.clear()
        self._periodic.clear()
        self._notices = 0

    def _keep(self, kind: EvidenceKind, word: str, utc: UtcNs | None, detail: str, packet: bytes) -> None:
        number = self._numbers[kind, word]
        self._numbers[kind, word] += 1
        if len(self._waiting) >= MAX_WAITING:
            self.lost += 1
            return
        record = EvidenceRecord(
            kind=kind,
            word=word,
            run=self._run,
            number=number,
            utc_us=None if utc is None else utc // NS_PER_US,
            salt=self._entropy(SALT_BYTES),
            detail=detail[:MAX_DETAIL_CHARACTERS].encode(errors="replace").decode(),
            packet=packet,
        )
        self._waiting.append(StoredEntry(id=self._next_id, record=record, entry=record.encode()))
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
