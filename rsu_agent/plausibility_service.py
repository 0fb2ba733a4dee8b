"""Is it true: what is heard becomes claims, claims are held against physics, and whoever lies again and again is ignored here.

    verified message -> peer's row -> claim -> checks P3 and C1 -> score
    signed, and refused by the security layer                   -> S1 -> score
    verified, and turned down by whoever it is for              -> counted for its sender
    refused packet                                              -> counted by reason; the name it carries kept apart

Whoever is ignored stays in the table and is judged on, so it is heard again once its claims make sense. Its warnings are not taken
up and its requests not granted; that is decided here alone and accuses nobody to others. Told once each: a peer that is ignored,
and a minute in which more new tickets came than traffic brings; both are bounded, so no attacker writes the operator's log full.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from rsu_agent.peers import PeerTable
from rsu_agent.refused_senders import RefusedSenders
from shared.core.clock import NS_PER_S, Instant
from shared.core.errors import Sender, V2xError
from shared.core.ids import HashedId8, MessageId
from shared.messages.cam import Cam
from shared.messages.denm import Denm
from shared.messages.ivim import Ivim
from shared.messages.mapem import Mapem
from shared.messages.spatem import Spatem
from shared.messages.srem import Srem
from shared.messages.ssem import Ssem
from shared.stack.claimed import claim_of
from shared.stack.content_permissions import Message
from shared.stack.effects import Notice
from shared.stack.indication import Indication
from shared.trust.detectors import Finding
from shared.trust.suspicion import Standing

MANY_NEW_TICKETS = 1_000
"""New tickets in one minute beyond which the operator is told: ten lanes full of cars bring a tenth of that."""

MINUTE_NS = 60 * NS_PER_S

MAX_NOTICES_PER_MINUTE = 30
"""Ignored peers told in one minute; all are in the status."""

_MESSAGE_IDS: dict[type[Message], MessageId] = {
    Cam: MessageId.CAM,
    Denm: MessageId.DENM,
    Spatem: MessageId.SPATEM,
    Mapem: MessageId.MAPEM,
    Ivim: MessageId.IVIM,
    Srem: MessageId.SREM,
    Ssem: MessageId.SSEM,
}

Follower = Callable[[bytes, V2xError | Finding, Instant], None]
"""Told of each packet that is not believed, and why; it neither waits nor raises."""


class IgnoredSenderError(V2xError):
    """What somebody asks or warns of is not taken up, for its own claims do not make sense.

    Args:
        ticket: whose.
    """

    def __init__(self, ticket: HashedId8) -> None:
        super().__init__(f"the holder of ticket {ticket.hex()} claims what cannot be; it is ignored until its claims make sense")

    @property
    def code(self) -> str:
        """`ignored_sender`."""
        return "ignored_sender"


class PlausibilityService:
    """Keeps the account of everybody who is heard.

    Args:
        peers: whose messages verified.
        refused_senders: whom refused packets name.
    """

    def __init__(self, peers: PeerTable, refused_senders: RefusedSenders) -> None:
        self._peers = peers
        self._refused_senders = refused_senders
        self._found: Counter[str] = Counter()
        self._ignored = 0
        self._minute = 0
        self._new_before = 0
        self._new_now = 0
        self._is_surge_told = False
        self._notices = 0
        self._followers: list[Follower] = []

    def follow(self, take: Follower) -> None:
        """Hand on from now on whatever is refused, before its signature is looked at or after, and what cannot be true."""
        self._followers.append(take)

    @property
    def peers(self) -> PeerTable:
        """Who is around."""
        return self._peers

    @property
    def refused_senders(self) -> RefusedSenders:
        """Whom refused packets name."""
        return self._refused_senders

    @property
    def found(self) -> Mapping[str, int]:
        """How often each check failed."""
        return dict(self._found)

    @property
    def ignored(self) -> int:
        """How often a peer came to be ignored."""
        return self._ignored

    def new_tickets(self, now: Instant) -> int:
        """Return how many rows were begun in the last full minute, or in the present one where that has more."""
        self._turn(now)
        return max(self._new_before, self._new_now)

    def check_heard(self, ticket: HashedId8) -> None:
        """Raise `IgnoredSenderError` for whom this unit ignores: neither its warnings nor its requests are taken up."""
        if self._peers.standing(ticket) is Standing.IGNORED:
            raise IgnoredSenderError(ticket)

    def hear(self, indication: Indication, packet: bytes, now: Instant) -> tuple[Notice, ...]:
        """Account for a verified message, which came in `packet`, and judge what it claims of its sender."""
        message, ticket = indication.message, indication.signer.hashed_id8
        claim = claim_of(indication)
        told = self._count_new(
            is_new=self._peers.heard(
                ticket,
                message.station_id,
                _MESSAGE_IDS[type(message)],
                now,
                claim=claim,
                station_type=message.station_type if isinstance(message, Cam) else None,
            ),
            now=now,
        )
        if claim is None:
            return told
        before = self._peers.standing(ticket)
        findings = self._peers.judge(ticket, claim)
        for finding in findings:
            self._hand_on(packet, finding, now)
        return (*told, *self._found_of(ticket, before, findings, now))

    def refuse(self, refusal: V2xError, packet: bytes, now: Instant) -> tuple[Notice, ...]:
        """Account for a packet that the stack refused; against a peer only where its own signature is behind it."""
        self._hand_on(packet, refusal, now)
        sender = refusal.sender
        if sender is None:
            self._peers.refuse(refusal.code)
            self._refused_senders.note(refusal, packet, now)
            return ()
        before = self._peers.standing(sender.ticket)
        told = self._count_new(is_new=self._peers.refuse_signed(sender, refusal.code, now), now=now)
        findings = self._peers.hold_refusal(sender.ticket, refusal)
        return (*told, *self._found_of(sender.ticket, before, findings, now))

    def turn_down(self, indication: Indication, refusal: V2xError, packet: bytes, now: Instant) -> None:
        """Account for a verified message that whoever it is for does not take up.

        It is counted for its sender and not held against it: such a verdict rests on what this unit happens to remember of others,
        who could so make an honest peer look bad.
        """
        refusal.sender = Sender(ticket=indication.signer.hashed_id8, station_id=indication.message.station_id)
        self._hand_on(packet, refusal, now)
        self._peers.refuse_signed(refusal.sender, refusal.code, now)

    def expire(self, now: Instant) -> None:
        """Forget whoever was not heard for long."""
        self._peers.expire(now)
        self._refused_senders.expire(now)

    def _hand_on(self, packet: bytes, why: V2xError | Finding, now: Instant) -> None:
        for take in self._followers:
            take(packet, why, now)

    def _found_of(self, ticket: HashedId8, before: Standing, findings: tuple[Finding, ...], now: Instant) -> tuple[Notice, ...]:
        for finding in findings:
            self._found[finding.check] += 1
        if not findings or before is Standing.IGNORED or self._peers.standing(ticket) is not Standing.IGNORED:
            return ()
        self._ignored += 1
        self._turn(now)
        self._notices += 1
        peer = self._peers.find(ticket)
        if peer is None or self._notices > MAX_NOTICES_PER_MINUTE:
            return ()
        fields = {
            "ticket": ticket.hex(),
            "station_id": peer.station_id,
            "checks": dict(peer.found),
            "reason": findings[-1].sentence,
        }
        return (Notice("peer_ignored", fields),)

    def _count_new(self, *, is_new: bool, now: Instant) -> tuple[Notice, ...]:
        if not is_new:
            return ()
        self._turn(now)
        self._new_now += 1
        if self._new_now <= MANY_NEW_TICKETS or self._is_surge_told:
            return ()
        self._is_surge_told = True
        detail = f"more than {MANY_NEW_TICKETS} new tickets within a minute: somebody may be pretending to be many"
        return (Notice("many_new_tickets", {"tickets": self._new_now, "reason": detail}),)

    def _turn(self, now: Instant) -> None:
        """Begin the account of a minute when it has come; a quiet one in between ends a surge."""
        minute = now.monotonic // MINUTE_NS
        if minute == self._minute:
            return
        self._new_before = self._new_now if minute == self._minute + 1 else 0
        self._is_surge_told = self._is_surge_told and self._new_before > MANY_NEW_TICKETS
        self._minute, self._new_now, self._notices = minute, 0, 0
