"""How a station keeps its own identity fresh: enrolment, re-enrolment before the credential ends, tickets before they run out.

    no credential, or three quarters of its life gone  ->  enrolment request to the EA that the lists name
    the pool lacks tickets (`ticket_pool.refill`)      ->  one authorization request after another to the AA

Sans-IO: `draft` says what to ask for, `written` what to post where, `answered` and `failed` take what came of it. While the time is
not known nothing is asked. A request that got no answer goes out again octet for octet, so that an authority which did hear it
issues nothing twice, until it is too old to be believed; then a new one is made with the same key. An authority that says no is
asked again only after a long while: its reason is in the status, and the station goes on with what it has. Keys are made where they
live (`Account`, `TicketKeys`) before they are asked about.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.entropy import Entropy
from shared.core.errors import UntrustedTimeError, V2xError
from shared.core.itstime import Time32, Time64, time32_of
from shared.pki.authorization import PendingAuthorization, make_authorization_request, ticket_attributes
from shared.pki.back_off import BackOff
from shared.pki.enrolment import PendingEnrolment, credential_attributes, make_enrolment_request, make_renewal_request
from shared.pki.exchange import Randomness
from shared.pki.happenings import CredentialGranted, Happening, Recovered, Subject, TicketGranted, Trouble
from shared.pki.key_source import KeySource
from shared.pki.response_codes import AuthorityRefusal
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.certificate import Certificate
from shared.security.ecdsa import Signer
from shared.security.freshness import trusted_time64
from shared.security.permissions import PsidSsp
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import TicketPool, TicketsWanted
from shared.security.validity import DurationUnit, Validity

CREDENTIAL_YEARS = 3
"""Asked for (European certificate policy)."""

RESEND_US = 240 * 1_000_000
"""Until a request is so old, it is sent again as it is."""

REFUSED_FIRST_NS = 60 * NS_PER_S
"""After the first no of an authority."""

REFUSED_MOST_NS = 24 * 3_600 * NS_PER_S
"""However often it said no."""

_RENEWAL_NUMERATOR, _RENEWAL_DENOMINATOR = 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPoint:
    """An authority whose chain held, and where stations reach it."""

    certificate: Certificate
    url: str


class Authorities(Protocol):
    """Which authorities serve this station: from the trust lists."""

    def enrolment_authority(self, now: Instant, *, issued: Certificate | None) -> AccessPoint | None:
        """Return the EA that issued a credential (None: the one to ask for the first), or None while no list names it."""
        ...

    def authorization_authority(self, now: Instant) -> AccessPoint | None:
        """Return the AA, or None while no list names one."""
        ...


class Account(Protocol):
    """The station's long-term identity and its keys."""

    @property
    def current(self) -> TicketCredential | None:
        """The enrolment credential in use."""
        ...

    def canonical(self) -> Signer:
        """Return the key the enrolment authority knows before it issued anything."""
        ...

    def next_key(self) -> Signer:
        """Return the key for the next credential."""
        ...

    def keep(self, certificate: Certificate, *, authority: Certificate) -> TicketCredential:
        """Keep a credential for `next_key`, and who issued it, and use it from now on."""
        ...


class TicketKeys(Protocol):
    """Keys of tickets: kept before they are asked about, with the ticket once it came."""

    def prepare(self, keys: KeySource, at: Time64) -> Signer:
        """Return a key for a ticket: one whose ticket never came, or a fresh one, which is kept when this returns."""
        ...

    def grant(self, certificate: Certificate) -> TicketCredential:
        """Keep the ticket beside its key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Post `body` to `url` and hand in what comes back."""

    subject: Subject
    url: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """A request that was written, and what opens its answer."""

    request: Request
    pending: PendingEnrolment | PendingAuthorization
    made_at: Time64


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request to be written: `write` makes keys and signs with them, and touches nothing but the keys of `Account`."""

    write: Callable[[], Outstanding]


class IdentityUpkeep:
    """Decides what to ask the authorities for, one request at a time.

    Args:
        its_id: the name this station is registered under, at most 64 octets.
        permissions: what its tickets are to allow.
        account: its long-term identity.
        ticket_keys: where keys of tickets are kept.
        pool: its tickets; whoever hears of a `TicketGranted` adds it there before the next call.
        authorities: whom to ask.
        keys: makes keys of tickets and of single requests.
        entropy: source of nonces and waits.

    Attributes:
        counts: requests sent, answers taken and refusals, by word.
    """

    def __init__(
        self,
        *,
        its_id: bytes,
        permissions: tuple[PsidSsp, ...],
        account: Account,
        ticket_keys: TicketKeys,
        pool: TicketPool,
        authorities: Authorities,
        keys: KeySource,
        entropy: Entropy,
    ) -> None:
        self._its_id = its_id
        self._permissions = permissions
        self._account = account
        self._ticket_keys = ticket_keys
        self._pool = pool
        self._authorities = authorities
        self._keys = keys
        self._randomness = Randomness(keys=keys, entropy=entropy)
        self._outstanding: Outstanding | None = None
        self._unreachable = BackOff(entropy=entropy)
        self._refused = {
            subject: BackOff(entropy=entropy, first_ns=REFUSED_FIRST_NS, most_ns=REFUSED_MOST_NS)
            for subject in (Subject.ENROLMENT, Subject.TICKETS)
        }
        self._granted: Counter[Time32] = Counter()
        self.troubles: dict[Subject, Trouble] = {}
        self.counts: Counter[str] = Counter()

    @property
    def is_complete(self) -> bool:
        """Whether nothing was lacking when it was last looked."""
        return self._outstanding is None and not self.troubles

    def lacks(self, now: Instant) -> Subject | None:
        """Return what is to be asked for next; None where nothing is, or the time is not known."""
        try:
            at = trusted_time64(now)
        except UntrustedTimeError:
            return None
        if self._needs_credential(at):
            return Subject.ENROLMENT
        return Subject.TICKETS if self._wanted(at) else None

    def draft(self, now: Instant) -> Draft | None:
        """Return what to ask for now, or None; writing it is for the caller, because a token may take its time to sign."""
        subject = self.lacks(now)
        if subject is None or not self._unreachable.allows(now) or not self._refused[subject].allows(now):
            return None
        at = trusted_time64(now)
        outstanding = self._outstanding
        if outstanding is not None and outstanding.request.subject is subject and at - outstanding.made_at < RESEND_US:
            return Draft(write=partial(_the_same, outstanding))
        return self._enrol(now, at) if subject is Subject.ENROLMENT else self._ask_for_ticket(now, at)

    def written(self, outstanding: Outstanding) -> Request:
        """Take what was written, and return what to post."""
        self._outstanding = outstanding
        self.counts[f"{outstanding.request.subject.value}_asked"] += 1
        return outstanding.request

    def answered(self, answer: bytes, now: Instant) -> tuple[Happening, ...]:
        """Take an authority's answer.

        Raises:
            StorageError: what was granted could not be kept; the same request is sent again.
        """
        outstanding = self._outstanding
        if outstanding is None:
            return ()
        subject = outstanding.request.subject
        try:
            certificate = outstanding.pending.open(answer, now)
        except AuthorityRefusal as refusal:
            self._outstanding = None
            self._unreachable.succeeded()
            self._refused[subject].failed(now)
            return self._trouble(subject, refusal)
        except V2xError as failure:
            return self.failed(failure, now)
        happening: Happening
        if subject is Subject.ENROLMENT:
            happening = CredentialGranted(
                credential=self._account.keep(certificate, authority=outstanding.pending.authority),
                authority=outstanding.pending.authority,
            )
        else:
            ticket = self._ticket_keys.grant(certificate)
            asked = outstanding.pending.attributes.validity
            if asked is not None:
                self._granted[asked.start] += 1
            happening = TicketGranted(ticket=ticket)
        self._outstanding = None
        self._unreachable.succeeded()
        self._refused[subject].succeeded()
        self.counts[f"{subject.value}_granted"] += 1
        return (*self._recovered(subject), happening)

    def failed(self, failure: V2xError, now: Instant) -> tuple[Happening, ...]:
        """Take note that a request could not be written, or that no usable answer came."""
        self._unreachable.failed(now)
        subject = self.lacks(now) if self._outstanding is None else self._outstanding.request.subject
        return () if subject is None else self._trouble(subject, failure)

    def next_due(self, now: Instant) -> MonotonicNs:
        """Return before when `draft` has nothing to say, failures considered."""
        subject = self.lacks(now)
        return self._unreachable.due if subject is None else max(self._unreachable.due, self._refused[subject].due)

    def _needs_credential(self, at: Time64) -> bool:
        current = self._account.current
        if current is None:
            return True
        validity = current.certificate.validity
        life_us = validity.end_time64 - validity.start_time64
        return at >= validity.start_time64 + life_us * _RENEWAL_NUMERATOR // _RENEWAL_DENOMINATOR

    def _enrol(self, now: Instant, at: Time64) -> Draft | None:
        """Ask for the first credential under the canonical key, or for the next one under the present one while it is valid."""
        current = self._account.current
        authority = self._authorities.enrolment_authority(now, issued=None if current is None else current.certificate)
        if authority is None:
            self.counts["enrolment_without_authority"] += 1
            return None
        validity = Validity(start=time32_of(at), unit=DurationUnit.YEARS, count=CREDENTIAL_YEARS)
        present = current if current is not None and current.certificate.validity.contains(at) else None
        return Draft(write=partial(self._write_enrolment, present, authority, credential_attributes(validity=validity), now, at))

    def _write_enrolment(
        self,
        present: TicketCredential | None,
        authority: AccessPoint,
        attributes: CertificateSubjectAttributes,
        now: Instant,
        at: Time64,
    ) -> Outstanding:
        if present is None:
            pending = make_enrolment_request(
                its_id=self._its_id,
                canonical_key=self._account.canonical(),
                key=self._account.next_key(),
                authority=authority.certificate,
                attributes=attributes,
                now=now,
                randomness=self._randomness,
            )
        else:
            pending = make_renewal_request(
                credential=present,
                key=self._account.next_key(),
                authority=authority.certificate,
                attributes=attributes,
                now=now,
                randomness=self._randomness,
            )
        return _outstanding(Subject.ENROLMENT, authority.url, pending, at)

    def _ask_for_ticket(self, now: Instant, at: Time64) -> Draft | None:
        credential, wanted = self._account.current, self._wanted(at)
        if credential is None or not wanted:
            return None
        authority = self._authorities.authorization_authority(now)
        vouching = self._authorities.enrolment_authority(now, issued=credential.certificate)
        if authority is None or vouching is None:
            self.counts["tickets_without_authority"] += 1
            return None
        attributes = ticket_attributes(permissions=self._permissions, validity=wanted[0].validity)
        key = self._ticket_keys.prepare(self._keys, at)

        def write() -> Outstanding:
            pending = make_authorization_request(
                credential=credential,
                key=key,
                authority=authority.certificate,
                enrolment_authority=vouching.certificate,
                attributes=attributes,
                now=now,
                randomness=self._randomness,
            )
            return _outstanding(Subject.TICKETS, authority.url, pending, at)

        return Draft(write=write)

    def _wanted(self, at: Time64) -> tuple[TicketsWanted, ...]:
        """Return the tickets to ask for.

        None for a period of which as many as wanted were granted already, even if an authority that ends soon cut them short: more
        of the same would be no better.
        """
        target = self._pool.policy.target
        return tuple(wanted for wanted in self._pool.refill(at) if self._granted[wanted.validity.start] < target)

    def _trouble(self, subject: Subject, failure: V2xError) -> tuple[Happening, ...]:
        self.counts[f"{subject.value}_{failure.code}"] += 1
        trouble = Trouble(subject=subject, code=failure.code, sentence=str(failure))
        known = self.troubles.get(subject)
        self.troubles[subject] = trouble
        return () if known is not None and known.code == trouble.code else (trouble,)

    def _recovered(self, subject: Subject) -> tuple[Happening, ...]:
        return () if self.troubles.pop(subject, None) is None else (Recovered(subject=subject),)


def _the_same(outstanding: Outstanding) -> Outstanding:
    return outstanding


def _outstanding(subject: Subject, url: str, pending: PendingEnrolment | PendingAuthorization, at: Time64) -> Outstanding:
    return Outstanding(request=Request(subject=subject, url=url, body=pending.request), pending=pending, made_at=at)
