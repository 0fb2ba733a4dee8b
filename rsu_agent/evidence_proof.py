"""From the unit's store to a file that proves: what it said at a moment, with paths, ledger proofs and certificates.

Chosen are the lights said last before the moment and those said next, which together show that nothing was said between them; the
map that says which lanes a signal group governs; and, where those are asked for, the unit's warnings of the seconds before, and
what it refused or doubted around the moment. Everything chosen must be proven by the ledger already: what is closed within the
minute is in a few seconds. A moment of which the evidence has a gap gets no proof at all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rsu_agent.evidence_format import BatchState, Found, StoredBatch
from rsu_agent.evidence_reader import EvidenceReader
from shared.core.clock import NS_PER_MS, NS_PER_S, NS_PER_US, UtcNs
from shared.core.errors import DecodeError, RecordError, StorageError
from shared.core.itstime import utc_text
from shared.ledger.proof import parse_proof
from shared.messages.spatem import decode_spatem
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.network.packet import GnPayload, decode_gn_pdu
from shared.records.evidence import MAX_EVIDENCE_RECORDS, Evidence, EvidencePiece, ProvenBatch
from shared.records.evidence_record import EvidenceKind, check_adjoining, decode_record
from shared.security.certificate import decode_certificate
from shared.security.chain import MAX_CHAIN_CERTIFICATES
from shared.security.peek import peek_claims, peek_payload

WARNINGS_BEFORE_S = 10
"""Seconds before the moment whose warnings are taken: none is repeated more rarely."""

REFUSALS_AROUND_S = 5
"""Seconds before and after the moment of which is taken what the unit refused, and what it told its operator."""

_US_PER_S = NS_PER_S // NS_PER_US

MAX_CHOSEN = MAX_EVIDENCE_RECORDS // 3 - 1
"""Warnings, likewise refusals, and likewise notices, of one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What evidence is asked for.

    Attributes:
        at: the moment.
        group: one signal group; None for all.
        warnings: whether the unit's own warnings are wanted too.
        refusals: whether what it refused and doubted is wanted too.
    """

    at: UtcNs
    group: int | None = None
    warnings: bool = False
    refusals: bool = False

    @property
    def at_us(self) -> int:
        """The moment in microseconds since 1970, in whole milliseconds: so it stands in a file."""
        return self.at // NS_PER_MS * (NS_PER_MS // NS_PER_US)

    @property
    def besides(self) -> Iterator[tuple[EvidenceKind, str | None, int, int]]:
        """What is wanted besides the lights: kind, word, and from when to when in microseconds."""
        at_us = self.at_us
        if self.warnings:
            yield EvidenceKind.SENT, "denm", at_us - WARNINGS_BEFORE_S * _US_PER_S, at_us
        if self.refusals:
            for kind in (EvidenceKind.REFUSED, EvidenceKind.NOTED):
                yield kind, None, at_us - REFUSALS_AROUND_S * _US_PER_S, at_us + REFUSALS_AROUND_S * _US_PER_S


def left_out(store: EvidenceReader, question: Question) -> int:
    """Return how much of what is wanted besides the lights there was beyond `MAX_CHOSEN`, which is not in the file."""
    return sum(max(0, store.count(*each) - MAX_CHOSEN) for each in question.besides)


def gather(store: EvidenceReader, question: Question) -> Evidence:
    """Return what proves the answer.

    Raises:
        RecordError: `empty`: the unit had said nothing by then that is still kept; `ledger`: the ledger has not proven it (yet);
            `complete`: what the unit said last before the moment cannot be shown to be the last; `content`: it told no such group.
        StorageError: the store is damaged.
    """
    at_us = question.at_us
    text = utc_text(UtcNs(at_us * NS_PER_US))
    lights = store.last_before(EvidenceKind.SENT, "spatem", at_us)
    chosen: list[Found | None] = [lights]
    for kind, word, first_us, last_us in question.besides:
        chosen += store.between(kind, word, first_us, last_us, MAX_CHOSEN)
    if not any(chosen) or (lights is None and not (question.warnings or question.refusals)):
        raise RecordError("empty", f"the unit's evidence holds nothing it said at {text} or before")
    if lights is not None and question.group is not None:
        _check_told(lights, question.group)
    chosen.append(store.last_before(EvidenceKind.SENT, "mapem", at_us))
    following = store.first_after(EvidenceKind.SENT, "spatem", at_us)
    if lights is not None and following is None:
        raise RecordError("ledger", f"the unit has told no lights since {text}, or they are not on disk yet: ask again later")
    chosen.append(None if lights is None else following)
    needed = sorted({each.id: each for each in chosen if each is not None}.values(), key=lambda each: each.id)
    batches = {each.id: _proven(store, each, text) for each in needed}
    if lights is not None and following is not None:
        check_adjoining(*((decode_record(each.entry), batches[each.id].statement) for each in (lights, following)))
    return _assembled(store, question, needed, batches)


def _check_told(lights: Found, group: int) -> None:
    """Raise `RecordError` where lights, which are the unit's own, tell nothing of a signal group."""
    payload = peek_payload(decode_record(lights.entry).packet, BASIC_HEADER_OCTETS)
    pdu = decode_gn_pdu(payload or b"")
    junctions = decode_spatem(pdu.message).intersections if isinstance(pdu, GnPayload) else ()
    told = {movement.signal_group for junction in junctions for movement in junction.movements}
    if group not in told:
        raise RecordError("content", f"the unit told no signal group {group}; it told {', '.join(map(str, sorted(told)))}")


def _proven(store: EvidenceReader, found: Found, text: str) -> StoredBatch:
    batch = store.batch_of(found.id)
    if batch is None:
        raise RecordError("ledger", f"the minute of {text} is not closed yet: ask again in a minute")
    if batch.state is not BatchState.PROVEN:
        how = f"batch {batch.statement.number} is {batch.state.name.lower()}"
        raise RecordError("ledger", f"the ledger has not proven yet what the unit said at {text} ({how}): ask again later")
    return batch


def _assembled(store: EvidenceReader, question: Question, needed: list[Found], batches: Mapping[int, StoredBatch]) -> Evidence:
    used = list({batches[each.id].statement.number: batches[each.id] for each in needed}.values())
    trees = {batch.statement.number: store.tree_of(batch.statement) for batch in used}
    places = {batch.statement.number: place for place, batch in enumerate(used)}
    pieces = []
    for each in needed:
        statement = batches[each.id].statement
        position = each.id - statement.first
        path = trees[statement.number].path(position)
        pieces.append(EvidencePiece(batch=places[statement.number], position=position, entry=each.entry, path=path))
    try:
        proven = tuple(ProvenBatch(statement=each.encoded, proof=parse_proof(each.proof or b"")) for each in used)
        certificates = _certificates(store.certificates(), (each.entry for each in needed))
    except DecodeError as error:
        raise StorageError("the store of evidence", f"is damaged: {error}") from None
    return Evidence(
        at=UtcNs(question.at_us * NS_PER_US),
        group=question.group,
        certificates=certificates,
        batches=proven,
        pieces=tuple(pieces),
    )


def _certificates(known: Mapping[bytes, bytes], entries: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the certificates behind the packets sent, each with the authorities above it that are known."""
    needed: dict[bytes, None] = {}
    for entry in entries:
        record = decode_record(entry)
        claims = peek_claims(record.packet, BASIC_HEADER_OCTETS) if record.kind is EvidenceKind.SENT else None
        identifier = None if claims is None else bytes(claims.signer)
        for _ in range(MAX_CHAIN_CERTIFICATES):
            octets = None if identifier is None else known.get(identifier)
            if octets is None:
                break
            needed[octets] = None
            issuer = decode_certificate(octets).issuer.hashed_id8
            identifier = None if issuer is None else bytes(issuer)
    return tuple(needed)
