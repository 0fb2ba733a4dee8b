"""What a roadside unit's evidence proves: the substance of `v2x passport verify` for a file of it.

Here records meet certificates and messages: each packet is verified as a station would have at the moment it was made, its ticket
chained through the enclosed authorities to a trusted root; then what the lights showed is read out of it. No network is needed.
Refusals and notices are the unit's own account: the ledger shows that it has not changed since, and nobody's signature more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, DecodeError, RecordError, V2xError, VerificationError
from shared.core.ids import HashedId8, IntersectionId
from shared.core.itstime import Time64, utc_of
from shared.ledger.policy import Policy
from shared.messages.denm import Denm
from shared.messages.mapem import Mapem
from shared.messages.spatem import MovementEvent, MovementPhaseState, MovementState, Spatem
from shared.messages.time_mark import seconds_until
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.records.evidence import Evidence, HeldRecord, verify_evidence
from shared.records.evidence_record import EvidenceKind, check_adjoining
from shared.security.certificate import Certificate, decode_certificate
from shared.security.certificate_cache import CertificateCache
from shared.security.chain import ChainVerifier
from shared.security.freshness import Freshness
from shared.security.peek import peek_claims
from shared.security.region import IdentifiedAreas
from shared.security.replay import ReplayGuard
from shared.security.trust_store import TrustStore
from shared.security.verify import VerifyService
from shared.stack.indication import Indication, VerifiedBeacon
from shared.stack.receiver import Receiver

M = TypeVar("M")

SILENT_NS = 2 * NS_PER_S
"""Lights are told at least once a second: after so long without a word nobody knows what they show."""

LATE_NS = 600 * NS_PER_S
"""A batch is in the ledger a minute or two after what it holds; later than this is worth a remark."""

LIGHT_WORDS = {
    MovementPhaseState.UNAVAILABLE: "unavailable",
    MovementPhaseState.DARK: "dark",
    MovementPhaseState.STOP_THEN_PROCEED: "flashing red",
    MovementPhaseState.STOP_AND_REMAIN: "red",
    MovementPhaseState.PRE_MOVEMENT: "red and amber",
    MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED: "green, others may have green too",
    MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED: "green",
    MovementPhaseState.PERMISSIVE_CLEARANCE: "amber, others may have had green too",
    MovementPhaseState.PROTECTED_CLEARANCE: "amber",
    MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC: "flashing amber",
}
"""What each phase looks like at the pole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one signal group showed.

    Attributes:
        junction: region and number.
        group: signal group.
        phase: what it showed.
        ends_earliest: when the unit said the phase ends at the earliest; None where it did not say.
        ends_latest: at the latest.
        lanes: the lanes it governs, by the map; empty where the file holds none that fits.
        then: what the unit's next message says it shows; None where it says nothing of it.
    """

    junction: IntersectionId
    group: int
    phase: MovementPhaseState
    ends_earliest: UtcNs | None
    ends_latest: UtcNs | None
    lanes: tuple[int, ...]
    then: MovementPhaseState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A verified packet: its record, what it says, and when it was made."""

    held: HeldRecord
    indication: Indication
    generated: UtcNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that whoever relies on the answer should know."""

    text: str
    is_serious: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a file of evidence proves.

    Attributes:
        at: the moment.
        station_id: the roadside unit.
        name: the junction's, by the map; empty where there is none.
        lights: what the signal groups showed.
        said: the message that says so; None where the file has no lights.
        following: the unit's next: between the two it said nothing; None where the file has no lights.
        warnings: the unit's own warnings.
        account: what else the unit wrote down: refusals and notices.
        signers: identifiers of the tickets and, each, of the root its chain ends at.
        findings: what to know besides.
        held: all records.
    """

    at: UtcNs
    station_id: int
    name: str
    lights: tuple[Shown, ...]
    said: Told | None
    following: Told | None
    warnings: tuple[Told, ...]
    account: tuple[HeldRecord, ...]
    signers: tuple[tuple[HashedId8, HashedId8], ...]
    findings: tuple[Finding, ...]
    held: tuple[HeldRecord, ...]

    @property
    def is_known(self) -> bool:
        """Whether the lights had been told so shortly before the moment that they still were what was shown."""
        return self.said is not None and self.at - self.said.generated <= SILENT_NS


def judge_evidence(evidence: Evidence, *, store: TrustStore, policy: Policy, areas: IdentifiedAreas) -> Answer:
    """Verify a file of evidence down to the roots of a trust store, and return what it proves.

    Args:
        evidence: parsed.
        store: trusted roots.
        policy: ledgers and witnesses that count.
        areas: shapes of identified regions; `NO_IDENTIFIED_AREAS` where the certificates name none.

    Raises:
        RecordError: the check that failed: those of `verify_evidence`, and `certificate`, `signature`, `time`, `content`,
            `complete`.
    """
    held = verify_evidence(evidence, policy=policy)
    certificates = _Certificates(evidence.certificates, store, areas)
    station_id = held.records[0].batch.statement.station_id
    told, account = [], []
    for number, each in enumerate(held.records, 1):
        if each.record.kind is EvidenceKind.SENT:
            told.append(_told(each, f"record {number} of {len(held.records)}", certificates, station_id))
        else:
            account.append(each)
    told.sort(key=lambda each: (each.generated, each.held.number))
    lights = [each for each in told if isinstance(each.indication.message, Spatem)]
    said = next((each for each in reversed(lights) if each.generated <= evidence.at), None)
    following = next((each for each in lights if each.generated > evidence.at), None)
    if lights and said is None:
        raise RecordError("content", "the file holds no lights that were told at the moment it names, or before")
    if said is not None:
        _check_complete(said, following)
    if said is None and evidence.group is not None:
        raise RecordError("content", "the file holds no lights, so it says nothing of a signal group")
    maps = [each for each in told if isinstance(each.indication.message, Mapem) and each.generated <= evidence.at]
    findings = _findings(evidence.at, said, held.records)
    shown, name = _lights(said, following, maps[-1] if maps else None, evidence.group, findings)
    return Answer(
        at=evidence.at,
        station_id=station_id,
        name=name,
        lights=shown,
        said=said,
        following=following,
        warnings=tuple(each for each in told if isinstance(each.indication.message, Denm)),
        account=tuple(account),
        signers=certificates.signers,
        findings=tuple(findings),
        held=held.records,
    )


class _Certificates:
    """The certificates of a file, and the chains they make below trusted roots."""

    def __init__(self, encoded: tuple[bytes, ...], store: TrustStore, areas: IdentifiedAreas) -> None:
        self._areas = areas
        try:
            decoded = [decode_certificate(each) for each in encoded]
        except DecodeError as error:
            raise RecordError("certificate", f"a certificate in the file is damaged or altered: {error}") from None
        authorities = tuple(each for each in decoded if each.tbs.cert_issue_permissions is not None)
        self._tickets: dict[HashedId8, Certificate] = {
            each.hashed_id8: each for each in decoded if each.tbs.cert_issue_permissions is None
        }
        try:
            self.trust_store = TrustStore.of_operator(tuple(store.roots.values()), authorities)
        except ConfigError as error:
            raise RecordError("certificate", f"the certificates in the file do not fit together: {error.reason}") from None
        self._signers: dict[HashedId8, HashedId8] = {}

    @property
    def signers(self) -> tuple[tuple[HashedId8, HashedId8], ...]:
        """Tickets whose chain held, with their roots."""
        return tuple(self._signers.items())

    def receiver(self, signer: HashedId8, generated: Time64, now: Instant) -> Receiver:
        """Return a receiver that knows the signer's ticket, checked at the moment a packet says it was made."""
        cache, freshness = CertificateCache(), Freshness()
        ticket = self._tickets.get(signer)
        if ticket is None:
            raise RecordError("certificate", f"the certificate {signer.hex()}, under which a packet was signed, is not in the file")
        try:
            chain = ChainVerifier(trust_store=self.trust_store, areas=self._areas)
            trusted = chain.check_ticket(ticket, generated)
        except (VerificationError, DecodeError) as error:
            reason = f"the unit's certificate {signer.hex()} does not lead to a trusted root: {error}"
            raise RecordError("certificate", reason) from None
        cache.remember(trusted, now)
        self._signers[signer] = trusted.root
        return Receiver(
            verifying=VerifyService(
                trust_store=self.trust_store,
                certificates=cache,
                replay=ReplayGuard(freshness=freshness),
                freshness=freshness,
                areas=self._areas,
            )
        )


def _told(held: HeldRecord, where: str, certificates: _Certificates, station_id: int) -> Told:
    """Verify one packet of the unit's own."""
    packet = held.record.packet
    claims = peek_claims(packet, BASIC_HEADER_OCTETS)
    if claims is None:
        raise RecordError("signature", f"{where} is no packet that a station has signed")
    generated = utc_of(claims.generation_time)
    now = Instant(MonotonicNs(0), generated)
    receiver = certificates.receiver(claims.signer, claims.generation_time, now)
    try:
        indication = receiver.indicate(receiver.open(packet, now))
    except V2xError as error:
        raise RecordError("signature", f"{where} is not what the unit signed, or more than it may say: {error}") from None
    if isinstance(indication, VerifiedBeacon) or type(indication.message).__name__.lower() != held.record.word:
        raise RecordError("content", f"{where} is no {held.record.word.upper()}, as the unit wrote")
    if held.record.utc != generated:
        raise RecordError("time", f"{where} was made at another moment than the unit wrote down")
    if indication.message.station_id != station_id:
        raise RecordError("content", f"{where} is of station {indication.message.station_id}; the batch is of {station_id}")
    return Told(held=held, indication=indication, generated=generated)


def _check_complete(said: Told, following: Told | None) -> None:
    """Raise `RecordError` unless it is shown that the unit told no other lights between the two messages."""
    if following is None:
        reason = "what the unit said next is not in the file: that it said nothing else before the moment is not shown"
        raise RecordError("complete", reason)
    check_adjoining(*((each.held.record, each.held.batch.statement) for each in (said, following)))


def _findings(at: UtcNs, said: Told | None, records: tuple[HeldRecord, ...]) -> list[Finding]:
    findings = []
    if said is not None and at - said.generated > SILENT_NS:
        old_s = (at - said.generated) / NS_PER_S
        text = f"The unit had told no lights for {old_s:.1f} s then: what they showed at that moment is not known."
        findings.append(Finding(text=text, is_serious=True))
    seen = [each.batch.seen_by for each in records]
    if any(each is None for each in seen):
        text = "No witness says when it saw the ledger: that this was written then rests on the ledger's word."
        findings.append(Finding(text=text, is_serious=False))
    last = max((each for each in seen if each is not None), default=None)
    if last is not None and last - at > LATE_NS:
        minutes = (last - at) // NS_PER_S // 60
        text = f"It is shown to be in the ledger only {minutes} minutes after the moment; a network may have been down."
        findings.append(Finding(text=text, is_serious=False))
    return findings


def _lights(
    said: Told | None, following: Told | None, lanes: Told | None, group: int | None, findings: list[Finding]
) -> tuple[tuple[Shown, ...], str]:
    if said is None:
        return (), ""
    spatem = _message(said, Spatem)
    later = {} if following is None else _phases(_message(following, Spatem))
    crossings = () if lanes is None else _message(lanes, Mapem).intersections
    shown: list[Shown] = []
    name = ""
    for state in spatem.intersections:
        crossing = next((each for each in crossings if each.id == state.id), None)
        if crossing is not None and crossing.revision != state.revision:
            text = f"The map in this file is of revision {crossing.revision}, the lights of {state.revision}: lanes are not shown."
            findings.append(Finding(text=text, is_serious=False))
            crossing = None
        name = name or state.name or ("" if crossing is None else crossing.name or "")
        for movement in state.movements:
            if group is not None and movement.signal_group != group:
                continue
            governed = () if crossing is None else crossing.lanes
            shown.append(
                Shown(
                    junction=state.id,
                    group=movement.signal_group,
                    phase=movement.events[0].phase,
                    ends_earliest=_end(movement, said.generated, lambda event: event.min_end_time_s),
                    ends_latest=_end(movement, said.generated, lambda event: event.max_end_time_s),
                    lanes=tuple(
                        lane.id for lane in governed if any(c.signal_group == movement.signal_group for c in lane.connects_to)
                    ),
                    then=later.get((state.id, movement.signal_group)),
                )
            )
    if group is not None and not shown:
        raise RecordError("content", f"the unit told no signal group {group}")
    return tuple(shown), name


def _message(told: Told, kind: type[M]) -> M:
    assert isinstance(told.indication.message, kind)
    return told.indication.message


def _phases(spatem: Spatem) -> dict[tuple[IntersectionId, int], MovementPhaseState]:
    return {(s.id, m.signal_group): m.events[0].phase for s in spatem.intersections for m in s.movements}


def _end(movement: MovementState, generated: UtcNs, mark: Callable[[MovementEvent], float | None]) -> UtcNs | None:
    """Return when a phase was said to end, to a tenth of a second; None where it was not said, or an hour or more away."""
    time_mark_s = mark(movement.events[0])
    if time_mark_s is None or time_mark_s == float("inf"):
        return None
    return UtcNs(generated + round(seconds_until(time_mark_s, generated) * NS_PER_S))
