"""An enrolment authority at work (TS 102 941 clauses 6.2.3.2 and 6.2.3.4): requests in, answers out.

It answers stations that want a credential, and authorization authorities that ask about a station (`validation`); which of the two
it is shows after decryption. A request is granted once: the same octets get the same answer, from the registry, and what somebody
on the way wrapped anew is the same request. A refused one is judged anew, so that nobody unknown fills the registry.

    initial   registered and not blocked; signed by the canonical key
    renewal   by a credential this authority issued, which is valid and not revoked; named as the identifier too
    both      proof of possession of the new key; permissions of a credential and no more; at most three years, cut where longer
"""

from shared.core.clock import Instant
from shared.core.errors import EncodeError
from shared.core.itstime import Time32, Time64
from shared.pki.authority import EnrolmentAuthority
from shared.pki.desk import DeskRecord, Refused, TrustedAuthorities, kept_until, refuse_unless, refusing
from shared.pki.exchange import (
    ManagementRight,
    OpenedRequest,
    Randomness,
    SignedMessage,
    UnanswerableRequest,
    check_age,
    check_right,
    check_signature,
    check_valid_at,
    decryption_key_of,
    follow_profile,
    named_signer,
    open_request,
    repeat_answer,
    seal_answer,
)
from shared.pki.management import (
    AuthorizationValidationResponse,
    EnrolmentRequest,
    InnerEcRequest,
    InnerEcResponse,
    decode_inner_ec_request,
    decode_management,
)
from shared.pki.permission_sets import EC_APP_PERMISSIONS
from shared.pki.policy import US_PER_S, GrantPolicy, cut, earliest_begin, period, stay_within
from shared.pki.registry import RegisteredStation, Registry, StationStatus, its_id_text
from shared.pki.response_codes import EnrolmentResponseCode, ValidationResponseCode
from shared.pki.subject import CertificateSubjectAttributes
from shared.pki.validation import Validation
from shared.security.certificate import Certificate, IdKind
from shared.security.ecdsa import PublicKey
from shared.security.freshness import trusted_time64
from shared.security.secured_data import SecuredData, SignedData, UnsecuredData, decode_secured_data
from shared.security.trust_list import ManagementContent, peek_management_content
from shared.security.validity import Validity

_Code = EnrolmentResponseCode


class EnrolmentDesk:
    """Answers requests to one enrolment authority.

    Args:
        authority: certificate and keys.
        registry: stations, credentials, grants and kept answers.
        authorization_authorities: those whose questions are answered.
        randomness: for nonces.
        policy: what is granted at most.

    Attributes:
        record: what this desk did, for the operator.

    Raises:
        ConfigError: the authority has no encryption key, or not the one in its certificate.
    """

    def __init__(
        self,
        *,
        authority: EnrolmentAuthority,
        registry: Registry,
        authorization_authorities: TrustedAuthorities,
        randomness: Randomness,
        policy: GrantPolicy,
    ) -> None:
        self.record = DeskRecord()
        self._authority = authority
        self._private_key = decryption_key_of(authority.credential)
        self._registry = registry
        self._randomness = randomness
        self._policy = policy
        self._validation = Validation(
            certificate=authority.certificate,
            private_key=self._private_key,
            registry=registry,
            authorization_authorities=authorization_authorities,
            policy=policy,
        )

    def answer(self, request: bytes, now: Instant) -> bytes:
        """Answer one request.

        Raises:
            UntrustedTimeError: UTC is not known.
            UnanswerableRequest: it could not be decrypted.
        """
        at, credential = trusted_time64(now), self._authority.credential
        try:
            opened = open_request(request, certificate=credential.certificate, private_key=self._private_key)
        except UnanswerableRequest:
            self.record.unanswerable += 1
            raise
        kept = self._registry.answer_to(opened.identity)
        if kept is not None:
            self.record.repeated += 1
            return repeat_answer(kept, request=opened, credential=credential, at=at, randomness=self._randomness)
        response = self._respond(opened, at)
        answer = seal_answer(response, key=opened.key, credential=credential, at=at, randomness=self._randomness)
        if response.code.number == 0:
            self._registry.keep_answer(opened.identity, answer, kept_until=kept_until(at))
        return answer

    def _respond(self, opened: OpenedRequest, at: Time64) -> InnerEcResponse | AuthorizationValidationResponse:
        try:
            data, content = _look_into(opened.plaintext)
        except Refused as refused:
            return self._enrolment_refused(opened, refused)
        if content is ManagementContent.AUTHORIZATION_VALIDATION_REQUEST:
            return self._validate(opened, data, at)
        try:
            refuse_unless(content is ManagementContent.ENROLMENT_REQUEST, _Code.BAD_CONTENT_TYPE, f"the content is {content.name}")
            certificate = self._enrol(data, at)
        except Refused as refused:
            return self._enrolment_refused(opened, refused)
        self.record.answered(_Code.OK)
        return InnerEcResponse(request_hash=opened.request_hash, code=_Code.OK, certificate=certificate)

    def _validate(self, opened: OpenedRequest, data: SecuredData, at: Time64) -> AuthorizationValidationResponse:
        code, confirmed = ValidationResponseCode.OK, None
        reason = ""
        try:
            confirmed = self._validation.confirm(data, at)
        except Refused as refused:
            code, reason = ValidationResponseCode(refused.code.value), refused.reason
        self.record.answered(code, reason)
        return AuthorizationValidationResponse(request_hash=opened.request_hash, code=code, confirmed=confirmed)

    def _enrolment_refused(self, opened: OpenedRequest, refused: Refused) -> InnerEcResponse:
        self.record.answered(refused.code, refused.reason)
        return InnerEcResponse(request_hash=opened.request_hash, code=EnrolmentResponseCode(refused.code.value))

    def _enrol(self, data: SecuredData, at: Time64) -> Certificate:
        with refusing(_Code.INCOMPLETE_REQUEST):
            message = follow_profile(data)
        with refusing(_Code.DENIED_REQUEST):
            check_age(message, at)
        proof, inner = _read_proof(message)
        with refusing(_Code.DENIED_REQUEST):
            check_age(proof, at)
        with refusing(_Code.INVALID_KEYS):
            key = inner.keys.load()
        with refusing(_Code.INVALID_ENCRYPTION_KEY):
            inner.keys.check_encryption_key()
        station = self._requester(message, inner, at)
        with refusing(_Code.INVALID_SIGNATURE):
            check_signature(proof.signed, key, None)
        refuse_unless(
            station.status is StationStatus.ACTIVE, _Code.BAD_ITS_STATUS, f"station {its_id_text(station.its_id)} is blocked"
        )
        issued = self._registry.credentials_issued(station.its_id)
        has_room = issued < self._policy.credentials_of_a_station
        refuse_unless(
            has_room, _Code.DENIED_REQUEST, f"station {its_id_text(station.its_id)} was issued {issued} credentials already"
        )
        certificate = self._issue(inner, key, at)
        self._registry.keep_credential(station.its_id, certificate)
        return certificate

    def _requester(self, message: SignedMessage, inner: InnerEcRequest, at: Time64) -> RegisteredStation:
        """Return who asks; its signature held."""
        with refusing(_Code.INCOMPLETE_REQUEST):
            named = named_signer(message.signed)
        if named is not None:
            return self._renewing(message, inner, at)
        station = self._registry.station(inner.its_id)
        if station is None:
            raise Refused(_Code.UNKNOWN_ITS, f"no station {its_id_text(inner.its_id)} is registered")
        with refusing(_Code.INVALID_SIGNATURE):
            check_signature(message.signed, station.canonical_key, None)
        return station

    def _renewing(self, message: SignedMessage, inner: InnerEcRequest, at: Time64) -> RegisteredStation:
        named = named_signer(message.signed)
        credential = None if named is None else self._registry.credential(named)
        station = None if credential is None else self._registry.station(credential.its_id)
        if credential is None or station is None:
            raise Refused(_Code.UNKNOWN_ITS, "the request is signed by a credential this authority did not issue")
        certificate = credential.certificate
        with refusing(_Code.INVALID_SIGNATURE):
            check_signature(message.signed, certificate.public_key(), certificate)
        name = certificate.hashed_id8.hex()
        refuse_unless(
            inner.its_id == named, _Code.DENIED_REQUEST, f"credential {name} asks in the name of {its_id_text(inner.its_id)}"
        )
        refuse_unless(not credential.is_revoked, _Code.DENIED_REQUEST, f"credential {name} is revoked")
        with refusing(_Code.DENIED_REQUEST):
            check_valid_at(certificate, at)
        with refusing(_Code.DENIED_PERMISSIONS):
            check_right(certificate, ManagementRight.ENROLMENT_REQUEST)
        return station

    def _issue(self, inner: InnerEcRequest, key: PublicKey, at: Time64) -> Certificate:
        wanted = inner.attributes
        permissions = wanted.app_permissions
        if permissions is None:
            raise Refused(_Code.INCOMPLETE_REQUEST, "no permissions are asked for")
        is_credential = wanted.cert_issue_permissions is None and stay_within(permissions, EC_APP_PERMISSIONS)
        refuse_unless(is_credential, _Code.DENIED_PERMISSIONS, "the permissions asked for are not those of a credential")
        is_named = wanted.id is None or wanted.id.kind in (IdKind.NAME, IdKind.NONE)
        refuse_unless(is_named, _Code.DENIED_PERMISSIONS, "a credential is identified by a name or by nothing")
        try:
            return self._authority.issue_credential(
                public_key=key,
                validity=self._validity(wanted, at),
                name=None if wanted.id is None else wanted.id.name,
                permissions=permissions,
                region=wanted.region,
                encryption_key=inner.keys.encryption_key,
            )
        except EncodeError as error:
            raise Refused(_Code.DENIED_PERMISSIONS, str(error)) from error

    def _validity(self, wanted: CertificateSubjectAttributes, at: Time64) -> Validity:
        own, policy, now = self._authority.certificate.validity, self._policy, Time32(at // US_PER_S)
        asked = wanted.validity or period(now, Time32(now + policy.credential_lifetime_s))
        begin = max(earliest_begin(at), own.start, asked.start)
        end = min(begin + policy.credential_lifetime_s, own.end_time64 // US_PER_S)
        granted = cut(asked, begin=Time32(begin), end=Time32(end))
        if granted is None or granted.start > now + policy.preload_s:
            raise Refused(_Code.DENIED_REQUEST, "no credential can be issued for the time asked for")
        refuse_unless(granted.end_time64 > at, _Code.DENIED_REQUEST, "the time asked for is over")
        return granted


def _look_into(plaintext: bytes) -> tuple[SecuredData, ManagementContent]:
    """Return the signed data in a request and what it holds, without judging either."""
    with refusing(_Code.CANT_PARSE):
        data = decode_secured_data(plaintext)
    content = data.content
    payload = content.payload if isinstance(content, SignedData) else None
    if payload is None or not isinstance(payload.content, UnsecuredData):
        raise Refused(_Code.INCOMPLETE_REQUEST, "the request is not signed as plain data")
    with refusing(_Code.CANT_PARSE):
        return data, peek_management_content(payload.content.payload)


def _read_proof(message: SignedMessage) -> tuple[SignedMessage, InnerEcRequest]:
    """Return the request inside the request, and that signed by the key it asks a credential for; not yet verified."""
    with refusing(_Code.CANT_PARSE):
        request = decode_management(message.payload)
    if not isinstance(request, EnrolmentRequest):
        raise Refused(_Code.BAD_CONTENT_TYPE, "the content is no enrolment request")
    with refusing(_Code.INCOMPLETE_REQUEST):
        proof = follow_profile(request.proof)
        is_self_signed = named_signer(proof.signed) is None
    refuse_unless(is_self_signed, _Code.INCOMPLETE_REQUEST, "the proof of possession names a certificate as its signer")
    with refusing(_Code.CANT_PARSE):
        return proof, decode_inner_ec_request(proof.payload)
