"""How a station keeps its own identity fresh: enrolment, re-enrolment before the credential ends, tickets before they run out.

    no credential, or three quarters of its life gone  ->  enrolment request to the EA that the lists name
    the pool lacks tickets (`ticket_pool.refill`)      ->  one authorization request after another to the AA

Sans-IO: `draft` says what to ask for, `written` what to post where, `answered` and `failed` take what came of it. While the time is
not known nothing is asked. A request that got no answer goes out again octet for octet, so that an authority which did hear it
issues nothing twice, until it is too old to be believed; then a new one is made with the same key. An authority that says no is
asked again only after a long while: its reason is in the status, and the station goes on with what it has; a credential that is not
renewed yet still gets tickets. Where the EA of the present credential is no longer listed and another is, that one is asked under
the canonical key. A credential that its own EA calls unknown or revoked is not replaced: who took it away has a reason, and a
fleet that enrolled anew at every no would storm an authority that lost its registry. The station asks for tickets ever more rarely,
once a day in the end, says why in its status, and the operator decides. Keys are made where they live (`Account`, `TicketKeys`)
before they are asked about.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from shared.core.clock import NS_PER_S, Instant
from shared.core.entropy import Entropy
from shared.core.errors import UntrustedTimeError, V2xError, VerificationError
from shared.core.itstime import Time32, Time64, time32_of
from shared.pki.account import AccessPoint, Account, Authorities, TicketKeys
from shared.pki.authorization import PendingAuthorization, make_authorization_request, ticket_attributes
from shared.pki.back_off import BackOff
from shared.pki.enrolment import PendingEnrolment, credential_attributes, make_enrolment_request, make_renewal_request
from shared.pki.exchange import Randomness
from shared.pki.happenings import CredentialGranted, Happening, Recovered, Subject, TicketGranted, Trouble
from shared.pki.key_source import KeySource
from shared.pki.response_codes import AuthorityRefusal
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.certificate import Certificate
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

ASK_AGAIN_US = 3_600 * 1_000_000
"""After so long at the earliest, more is asked of a period whose tickets an authority granted too short."""

MAX_REASONS_TOLD = 3
"""So many reasons why tickets are out of use are told at once."""

_RENEWAL_NUMERATOR, _RENEWAL_DENOMINATOR = 3, 4


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


class NoAuthorityError(V2xError):
    """Nobody can be asked: the lists name no such authority, or its chain does not hold."""

    CODE = "no_authority"

    @property
    def code(self) -> str:
        """`no_authority`."""
        return self.CODE


@dataclass(slots=True)
class _Granted:
    """How many tickets were granted of one period, and until when that is enough."""

    count: int = 0
    enough_until: int = 0


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
        self._outstanding: dict[Subject, Outstanding] = {}
        self._about: Subject | None = None
        self._without_authority: Subject | None = None
        self._unreachable = {subject: BackOff(entropy=entropy) for subject in (Subject.ENROLMENT, Subject.TICKETS)}
        self._refused = {
            subject: BackOff(entropy=entropy, first_ns=REFUSED_FIRST_NS, most_ns=REFUSED_MOST_NS)
            for subject in (Subject.ENROLMENT, Subject.TICKETS)
        }
        self._granted: dict[Time32, _Granted] = {}
        self._set_aside: tuple[str, ...] = ()
        self.troubles: dict[Subject, Trouble] = {}
        self.counts: Counter[str] = Counter()

    def lacks(self, now: Instant) -> Subject | None:
        """Return what is lacking first; None where nothing is, or the time is not known."""
        try:
            at = trusted_time64(now)
        except UntrustedTimeError:
            return None
        return next(iter(self._lacking(now, at)), None)

    def draft(self, now: Instant) -> Draft | None:
        """Return what to ask for now, or None; writing it is for the caller, because a token may take its time to sign."""
        self._without_authority = None
        try:
            at = trusted_time64(now)
        except UntrustedTimeError:
            return None
        for subject in self._lacking(now, at):
            if not self._unreachable[subject].allows(now) or not self._refused[subject].allows(now):
                continue
            self._about = subject
            outstanding = self._outstanding.get(subject)
            if outstanding is not None and 0 <= at - outstanding.made_at < RESEND_US:
                return Draft(write=partial(_the_same, outstanding))
            draft = self._enrol(now, at) if subject is Subject.ENROLMENT else self._ask_for_ticket(now, at)
            if draft is not None:
                return draft
            self._without_authority = self._without_authority or subject
        return None

    def unserved(self) -> tuple[Happening, ...]:
        """Say, once, that the last `draft` found nobody to ask; for when there are no more lists to wait for."""
        subject = self._without_authority
        if subject is None or (subject is Subject.TICKETS and self._set_aside and subject in self.troubles):
            return ()  # why tickets are out of use says more
        whom = "enrolment authority" if subject is Subject.ENROLMENT else "authorization authority (or the credential's own EA)"
        return self._trouble(subject, NoAuthorityError(f"the trust lists name no {whom} whose chain holds"))

    def set_aside(self, refused: tuple[VerificationError, ...]) -> tuple[Happening, ...]:
        """Take note of why tickets of the pool are out of use, one reason for each: others are asked for at once."""
        known, self._set_aside = self._set_aside, tuple(dict.fromkeys(str(each) for each in refused))
        if self._set_aside == known:
            return ()
        if not refused:
            return self._recovered(Subject.TICKETS)
        self._granted.clear()
        self._outstanding.pop(Subject.TICKETS, None)  # it may be for the authority that is gone; its key is used again
        self._unreachable[Subject.TICKETS].succeeded()
        self._refused[Subject.TICKETS].succeeded()
        sentence = f"{len(refused)} ticket(s) are out of use: {'; '.join(self._set_aside[:MAX_REASONS_TOLD])}"
        return self._note_trouble(Trouble(subject=Subject.TICKETS, code=refused[0].code, sentence=sentence))

    def written(self, outstanding: Outstanding) -> Request:
        """Take what was written, and return what to post."""
        self._about = outstanding.request.subject
        self._outstanding[self._about] = outstanding
        self.counts[f"{self._about.value}_asked"] += 1
        return outstanding.request

    def answered(self, answer: bytes, now: Instant) -> tuple[Happening, ...]:
        """Take an authority's answer to what was written last.

        Raises:
            StorageError: what was granted could not be kept; the same request is sent again.
        """
        subject = self._about
        outstanding = None if subject is None else self._outstanding.get(subject)
        if subject is None or outstanding is None:
            return ()
        try:
            certificate = outstanding.pending.open(answer, now)
        except AuthorityRefusal as refusal:
            del self._outstanding[subject]
            self._unreachable[subject].succeeded()
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
            happening = TicketGranted(ticket=self._ticket_keys.grant(certificate))
            self._note_granted(certificate, outstanding)
        del self._outstanding[subject]
        self._unreachable[subject].succeeded()
        if subject is Subject.ENROLMENT and _is_due(certificate, Time64(outstanding.made_at + ASK_AGAIN_US)):
            self._refused[subject].failed(now)  # an EA about to end grants ever shorter ones: keys would fill the token
        else:
            self._refused[subject].succeeded()
        self.counts[f"{subject.value}_granted"] += 1
        return (*self._recovered(subject), happening)

    def failed(self, failure: V2xError, now: Instant) -> tuple[Happening, ...]:
        """Take note that a request could not be written, or that no usable answer came."""
        subject = self._about or self.lacks(now)
        if subject is None:
            return ()
        self._unreachable[subject].failed(now)
        return self._trouble(subject, failure)

    def _lacking(self, now: Instant, at: Time64) -> tuple[Subject, ...]:
        """Return what to ask for, most urgent first."""
        current = self._account.current
        if current is None:
            return (Subject.ENROLMENT,)
        tickets = (Subject.TICKETS,) if self._wanted(at) else ()
        if _is_due(current.certificate, at):
            return (Subject.ENROLMENT, *(tickets if current.certificate.validity.contains(at) else ()))
        is_orphaned = bool(tickets) and self._authorities.successor(now, issued=current.certificate) is not None
        return (Subject.ENROLMENT,) if is_orphaned else tickets

    def _enrol(self, now: Instant, at: Time64) -> Draft | None:
        """Ask for a credential: under the present one while it is valid and its EA is listed, else under the canonical key."""
        current, find = self._account.current, self._authorities.enrolment_authority
        present = current if current is not None and current.certificate.validity.contains(at) else None
        authority = find(now, issued=None if present is None else present.certificate)
        if authority is None and present is not None:
            authority, present = self._authorities.successor(now, issued=present.certificate), None
        if authority is None:
            self.counts["enrolment_without_authority"] += 1
            return None
        validity = Validity(start=time32_of(at), unit=DurationUnit.YEARS, count=CREDENTIAL_YEARS)
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
        of the same would be no better. Once those have run out it may be.
        """
        target = self._pool.policy.target
        self._granted = {start: each for start, each in self._granted.items() if at < each.enough_until}
        none = _Granted()
        return tuple(each for each in self._pool.refill(at) if self._granted.get(each.validity.start, none).count < target)

    def _note_granted(self, ticket: Certificate, asked: Outstanding) -> None:
        period = asked.pending.attributes.validity
        if period is not None:
            granted = self._granted.setdefault(period.start, _Granted())
            granted.count += 1
            granted.enough_until = max(granted.enough_until, ticket.validity.end_time64, asked.made_at + ASK_AGAIN_US)

    def _trouble(self, subject: Subject, failure: V2xError) -> tuple[Happening, ...]:
        return self._note_trouble(Trouble(subject=subject, code=failure.code, sentence=str(failure)))

    def _note_trouble(self, trouble: Trouble) -> tuple[Happening, ...]:
        self.counts[f"{trouble.subject.value}_{trouble.code}"] += 1
        known = self.troubles.get(trouble.subject)
        self.troubles[trouble.subject] = trouble
        return () if known is not None and known.code == trouble.code else (trouble,)

    def _recovered(self, subject: Subject) -> tuple[Happening, ...]:
        return () if self.troubles.pop(subject, None) is None else (Recovered(subject=subject),)


def _is_due(credential: Certificate, at: Time64) -> bool:
    """Say whether it is time for the next credential."""
    begin, end = credential.validity.start_time64, credential.validity.end_time64
    return at >= begin + (end - begin) * _RENEWAL_NUMERATOR // _RENEWAL_DENOMINATOR


def _the_same(outstanding: Outstanding) -> Outstanding:
    return outstanding


def _outstanding(subject: Subject, url: str, pending: PendingEnrolment | PendingAuthorization, at: Time64) -> Outstanding:
    return Outstanding(request=Request(subject=subject, url=url, body=pending.request), pending=pending, made_at=at)
