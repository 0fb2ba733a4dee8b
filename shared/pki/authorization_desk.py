"""An authorization authority at work (TS 102 941 clauses 6.2.3.3 and 6.2.3.4): requests in, a question to the EA, answers out.

    begin   checks what can be checked without knowing the station: age, proof of possession, key tag, permissions, the EA
    ...     somebody posts `validation_request` to the EA of the case
    finish  takes the EA's answer and issues at most what it confirmed
    refuse  answers where there is no usable answer of the EA

The station's credential stays encrypted to its EA, and nothing is kept here but answers by the hash of their request. The same
request, also one that somebody on the way wrapped anew, gets the same answer, and, until the EA has answered, the same question is
put to it, which counts one ticket for it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from hmac import compare_digest

from shared.core.clock import Instant
from shared.core.errors import EncodeError, VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, Time64
from shared.core.report import VerificationReport
from shared.pki.authority import AuthorizationAuthority
from shared.pki.authorization import key_tag
from shared.pki.desk import DeskRecord, Refused, TrustedAuthorities, kept_until, refuse_unless, refusing
from shared.pki.exchange import (
    MAX_CLOCK_DIFFERENCE_US,
    ManagementRight,
    OpenedRequest,
    Randomness,
    SealedRequest,
    UnanswerableRequest,
    check_age,
    check_right,
    check_signature,
    decryption_key_of,
    follow_profile,
    named_signer,
    open_answer,
    open_request,
    repeat_answer,
    seal_answer,
    seal_request,
    sign_payload,
)
from shared.pki.management import (
    AuthorizationValidationRequest,
    AuthorizationValidationResponse,
    InnerAtRequest,
    InnerAtResponse,
    decode_management,
    encode_management,
)
from shared.pki.policy import US_PER_S, GrantPolicy, cut, stay_within, usual_ticket_period
from shared.pki.registry import KeptAnswers
from shared.pki.response_codes import AuthorizationResponseCode, passed_on
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.certificate import Certificate, IdKind
from shared.security.chain import UnknownSignerError
from shared.security.ecdsa import PublicKey
from shared.security.freshness import trusted_time64
from shared.security.permissions import APP_END_ENTITY, PsidSsp, check_issued_permissions
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.region_containment import lies_within
from shared.security.secured_data import SecuredData, SignedData, UnsecuredData, decode_secured_data
from shared.security.trust_list import MANAGEMENT_VERSION, ManagementContent, peek_management_content
from shared.security.validity import Validity

MAX_OPEN_CASES = 256
"""Cases remembered until an enrolment authority has answered; the oldest is forgotten first, and can still be finished. A large
request makes one of some 100 KiB."""

_Code = AuthorizationResponseCode


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCase:
    """A request whose station is to be vouched for.

    Attributes:
        ea: who is to be asked.
        begun: when it was opened.
        validation_request: the octets to post there, the same every time.
    """

    ea: HashedId8
    begun: Time64
    opened: OpenedRequest = field(repr=False)
    request: InnerAtRequest = field(repr=False)
    key: PublicKey = field(repr=False)
    enrolment_authority: Certificate = field(repr=False)
    sealed: SealedRequest = field(repr=False)

    @property
    def validation_request(self) -> bytes:
        """See the class."""
        return self.sealed.octets


class AuthorizationDesk:
    """Answers requests to one authorization authority.

    Args:
        authority: certificate and keys.
        answers: where answers are kept.
        enrolment_authorities: those that may vouch for stations.
        randomness: for the secrets of the questions, and for nonces.
        policy: what is granted at most.
        accepts_unproven_keys: serve stations that do not sign with the key they want a ticket for.

    Attributes:
        record: what this desk did, for the operator.

    Raises:
        ConfigError: the authority has no encryption key, or not the one in its certificate.
    """

    def __init__(
        self,
        *,
        authority: AuthorizationAuthority,
        answers: KeptAnswers,
        enrolment_authorities: TrustedAuthorities,
        randomness: Randomness,
        policy: GrantPolicy,
        accepts_unproven_keys: bool = False,
    ) -> None:
        self.record = DeskRecord()
        self._authority = authority
        self._private_key = decryption_key_of(authority.credential)
        self._answers = answers
        self._enrolment_authorities = enrolment_authorities
        self._randomness = randomness
        self._policy = policy
        self._accepts_unproven_keys = accepts_unproven_keys
        self._open_cases: OrderedDict[bytes, AuthorizationCase] = OrderedDict()

    def begin(self, request: bytes, now: Instant) -> AuthorizationCase | bytes:
        """Take a request and return the case to be finished, or at once the answer: one given before, or a refusal.

        Raises:
            UntrustedTimeError: UTC is not known.
            UnanswerableRequest: it could not be decrypted.
        """
        at = trusted_time64(now)
        try:
            opened = open_request(request, certificate=self._authority.certificate, private_key=self._private_key)
        except UnanswerableRequest:
            self.record.unanswerable += 1
            raise
        kept = self._kept_answer(opened, at)
        if kept is not None:
            return kept
        open_case = self._open_cases.get(opened.identity)
        if open_case is not None and at - open_case.begun <= MAX_CLOCK_DIFFERENCE_US:
            return replace(open_case, opened=opened)
        try:
            case = self._open_case(opened, at)
        except Refused as refused:
            self._open_cases.pop(opened.identity, None)
            return self._refusal(opened, refused, at)
        self._open_cases[opened.identity] = case
        if len(self._open_cases) > MAX_OPEN_CASES:
            self._open_cases.popitem(last=False)
        return case

    def finish(self, case: AuthorizationCase, validation_answer: bytes, now: Instant) -> bytes:
        """Take the enrolment authority's answer and return ours.

        Raises:
            UntrustedTimeError: UTC is not known.
            DecodeError: the enrolment authority's answer is malformed or not encrypted under the question's key.
            VerificationError: it must not be believed, or it confirms more than was asked. After either of these the case can still
                be finished with another answer, or refused.
        """
        at = trusted_time64(now)
        identity = case.opened.identity
        kept = self._kept_answer(case.opened, at)
        if kept is not None:
            return kept
        response = open_answer(
            validation_answer,
            request=case.sealed,
            authority=case.enrolment_authority,
            right=ManagementRight.VALIDATION_RESPONSE,
            expected=AuthorizationValidationResponse,
            at=at,
        )
        try:
            ticket = self._issue(case, response, at)
        except Refused as refused:
            self._open_cases.pop(identity, None)
            return self._refusal(case.opened, refused, at)
        answer = self._answer(case.opened, _Code.OK, ticket, at)
        self._answers.keep_answer(identity, answer, kept_until=kept_until(at))
        self._open_cases.pop(identity, None)
        self.record.answered(_Code.OK)
        return answer

    def refuse(self, case: AuthorizationCase, code: AuthorizationResponseCode, now: Instant) -> bytes:
        """Answer a case with a refusal, usually `CANT_REACH_EA`; raises `UntrustedTimeError`, and `EncodeError` for OK.

        The case stays open: an answer that was lost on its way here was an answer, and when the station asks again, the very
        question is put again, which the enrolment authority counts once.
        """
        at = trusted_time64(now)
        return self._refusal(case.opened, Refused(code, code.sentence), at)

    def _kept_answer(self, opened: OpenedRequest, at: Time64) -> bytes | None:
        kept = self._answers.answer_to(opened.identity)
        if kept is None:
            return None
        self.record.repeated += 1
        return repeat_answer(kept, request=opened, credential=self._authority.credential, at=at, randomness=self._randomness)

    def _refusal(self, opened: OpenedRequest, refused: Refused, at: Time64) -> bytes:
        answer = self._answer(opened, AuthorizationResponseCode(refused.code.value), None, at)
        self.record.answered(refused.code, refused.reason)
        return answer

    def _answer(self, opened: OpenedRequest, code: AuthorizationResponseCode, certificate: Certificate | None, at: Time64) -> bytes:
        response = InnerAtResponse(request_hash=opened.request_hash, code=code, certificate=certificate)
        return seal_answer(response, key=opened.key, credential=self._authority.credential, at=at, randomness=self._randomness)

    def _open_case(self, opened: OpenedRequest, at: Time64) -> AuthorizationCase:
        request, proof = self._read(opened.plaintext, at)
        with refusing(_Code.INVALID_ENCRYPTION_KEY):
            request.keys.check_encryption_key()
        is_bound = compare_digest(key_tag(request.hmac_key, request.keys), request.shared.key_tag)
        refuse_unless(is_bound, _Code.KEYS_DONT_MATCH, "the key tag does not belong to the keys")
        with refusing(_Code.KEYS_DONT_MATCH):
            key = request.keys.load()
            if proof is not None:
                check_signature(proof, key, None)
        self._check_wanted(request.shared.attributes)
        enrolment_authority = self._voucher(request.shared.ea_id, at)
        question = AuthorizationValidationRequest(shared=request.shared, ec_signature=request.ec_signature)
        credential = self._authority.credential
        signed = sign_payload(encode_management(question), signer=credential.signer, certificate=credential.certificate, at=at)
        with refusing(_Code.INVALID_EA):
            sealed = seal_request(signed, recipient=enrolment_authority, randomness=self._randomness)
        return AuthorizationCase(
            ea=request.shared.ea_id,
            begun=at,
            opened=opened,
            request=request,
            key=key,
            enrolment_authority=enrolment_authority,
            sealed=sealed,
        )

    def _read(self, plaintext: bytes, at: Time64) -> tuple[InnerAtRequest, SignedData | None]:
        """Return the request, and the signature by which it proves that the station holds the key, not yet verified."""
        data, payload = _look_into(plaintext)
        with refusing(_Code.CANT_PARSE):
            content = peek_management_content(payload)
        is_request = content is ManagementContent.AUTHORIZATION_REQUEST
        refuse_unless(is_request, _Code.BAD_CONTENT_TYPE, f"the content is {content.name}")
        proof = None
        if data is not None:
            with refusing(_Code.INCOMPLETE_REQUEST):
                message = follow_profile(data)
                is_self_signed = named_signer(message.signed) is None
            refuse_unless(is_self_signed, _Code.INCOMPLETE_REQUEST, "the request names a certificate as its signer")
            with refusing(_Code.OUT_OF_SYNC):
                check_age(message, at)
            proof = message.signed
        is_proven = proof is not None or self._accepts_unproven_keys
        refuse_unless(is_proven, _Code.INCOMPLETE_REQUEST, "the request does not prove possession of the key")
        with refusing(_Code.CANT_PARSE):
            request = decode_management(payload)
        if not isinstance(request, InnerAtRequest):
            raise Refused(_Code.BAD_CONTENT_TYPE, "the content is no authorization request")
        return request, proof

    def _check_wanted(self, wanted: CertificateSubjectAttributes) -> None:
        if wanted.app_permissions is None:
            raise Refused(_Code.INCOMPLETE_REQUEST, "no permissions are asked for")
        is_nameless = wanted.id is None or wanted.id.kind is IdKind.NONE
        is_ticket = is_nameless and wanted.cert_issue_permissions is None
        refuse_unless(is_ticket, _Code.DENIED_PERMISSIONS, "a ticket neither names its owner nor lets it issue anything")
        issuable = self._authority.certificate.tbs.cert_issue_permissions or ()
        with refusing(_Code.DENIED_PERMISSIONS):
            check_issued_permissions(issuable, wanted.app_permissions, end_entities=APP_END_ENTITY)

    def _voucher(self, ea_id: HashedId8, at: Time64) -> Certificate:
        try:
            trusted = self._enrolment_authorities.find(ea_id, at)
            trusted.check_valid_at(at)
            check_right(trusted.certificate, ManagementRight.VALIDATION_RESPONSE)
        except UnknownSignerError as error:
            raise Refused(_Code.UNKNOWN_EA, str(error)) from error
        except VerificationError as error:
            raise Refused(_Code.INVALID_EA, str(error)) from error
        return trusted.certificate

    def _issue(self, case: AuthorizationCase, response: AuthorizationValidationResponse, at: Time64) -> Certificate:
        confirmed, wanted = response.confirmed, case.request.shared.attributes
        if confirmed is None:
            raise Refused(passed_on(response.code), f"the enrolment authority answered {response.code.word}")
        permissions = _confirmed_permissions(confirmed, wanted)
        try:
            return self._authority.issue_ticket(
                public_key=case.key,
                validity=self._validity(confirmed, wanted, at),
                permissions=permissions,
                region=wanted.region if confirmed.region is None else confirmed.region,
                encryption_key=case.request.keys.encryption_key,
            )
        except EncodeError as error:
            raise Refused(_Code.DENIED_PERMISSIONS, str(error)) from error

    def _validity(self, confirmed: CertificateSubjectAttributes, wanted: CertificateSubjectAttributes, at: Time64) -> Validity:
        now, policy, own = Time32(at // US_PER_S), self._policy, self._authority.certificate.validity
        allowed = confirmed.validity or wanted.validity or usual_ticket_period(at, policy)
        begin = max(own.start, allowed.start)
        end = min(begin + policy.ticket_lifetime_s, own.end_time64 // US_PER_S)
        validity = cut(allowed, begin=Time32(begin), end=Time32(end))
        if validity is None or validity.end_time64 <= at or validity.start > now + policy.preload_s:
            raise Refused(_Code.DENIED_PERMISSIONS, "no ticket can be issued for the time confirmed")
        return validity


def _look_into(plaintext: bytes) -> tuple[SecuredData | None, bytes]:
    """Return the signed data in a request, None where it is not signed, and the message inside.

    Without proof of possession the message stands in unsecured data, or, with some stations, bare.
    """
    if plaintext[:1] == bytes((MANAGEMENT_VERSION,)):
        return None, plaintext
    with refusing(_Code.CANT_PARSE):
        data = decode_secured_data(plaintext)
    match data.content:
        case UnsecuredData(payload=payload):
            return None, payload
        case SignedData(payload=SecuredData(content=UnsecuredData(payload=payload))):
            return data, payload
        case _:
            raise Refused(_Code.INCOMPLETE_REQUEST, "the request is neither signed nor unsecured data")


def _confirmed_permissions(confirmed: CertificateSubjectAttributes, wanted: CertificateSubjectAttributes) -> tuple[PsidSsp, ...]:
    """Return what the ticket may permit; an authority that confirms more than it was asked about is not believed."""
    permissions = confirmed.app_permissions
    if permissions is None or not stay_within(permissions, wanted.app_permissions or ()):
        raise _beyond("more permissions")
    asked, allowed = wanted.validity, confirmed.validity
    if asked is not None and allowed is not None and not allowed.lies_within(asked):
        raise _beyond("a longer validity")
    if wanted.region is not None and confirmed.region is not None:
        is_within = lies_within(confirmed.region, wanted.region, NO_IDENTIFIED_AREAS)
        if not is_within:
            raise _beyond("a larger region")
    return permissions


def _beyond(what: str) -> VerificationError:
    detail = f"the enrolment authority confirms {what} than it was asked for"
    return VerificationError(VerificationReport.PERMISSION_DENIED, detail)
