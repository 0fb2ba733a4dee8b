"""Whether an enrolment authority vouches for a station that asked elsewhere for a ticket (TS 102 941 clause 6.2.3.4).

The authorization authority shows what the station wants and the station's signature over it, encrypted so that only we can tell
whose it is; the station's new key it does not show. We check both of them, in this order: the asking authority, its right and its
signature; the station's signature, its credential and its status; then what is wanted against the station's role, a week, three
months ahead, and a hundred tickets at a time (those that overlap the new one, even if no moment has them all). What we confirm is
what the ticket may say at most.
"""

from shared.core.itstime import Time32, Time64
from shared.pki.desk import Refused, TrustedAuthorities, refuse_unless, refusing
from shared.pki.exchange import (
    ManagementRight,
    check_age,
    check_right,
    check_signature,
    check_valid_at,
    follow_external_profile,
    follow_profile,
    named_signer,
)
from shared.pki.management import AuthorizationValidationRequest, EcSignature, SharedAtRequest, decode_management
from shared.pki.permission_sets import TICKET_PERMISSIONS
from shared.pki.policy import US_PER_S, GrantPolicy, stay_within, usual_ticket_period
from shared.pki.registry import RegisteredStation, Registry, StationStatus, its_id_text
from shared.pki.response_codes import ValidationResponseCode
from shared.pki.subject import CertificateSubjectAttributes
from shared.security.certificate import Certificate, IdKind
from shared.security.ecdsa import SoftwareSigner
from shared.security.ecies import decrypt_as, is_recipient
from shared.security.encrypted_data import EncryptedData
from shared.security.secured_data import SecuredData, decode_secured_data
from shared.security.validity import Validity

_Code = ValidationResponseCode


class Validation:
    """Judges requests of authorization authorities.

    Args:
        certificate: the enrolment authority's own.
        private_key: opens what stations encrypted to it.
        registry: stations, credentials and grants.
        authorization_authorities: those that may ask.
        policy: what is granted at most.
    """

    def __init__(
        self,
        *,
        certificate: Certificate,
        private_key: SoftwareSigner,
        registry: Registry,
        authorization_authorities: TrustedAuthorities,
        policy: GrantPolicy,
    ) -> None:
        self._certificate = certificate
        self._private_key = private_key
        self._registry = registry
        self._authorities = authorization_authorities
        self._policy = policy

    def confirm(self, data: SecuredData, at: Time64) -> CertificateSubjectAttributes:
        """Judge a decrypted request, count what is granted and return what the ticket may say; raises `Refused`."""
        request = self._read(data, at)
        shared = request.shared
        is_ours = shared.ea_id == self._certificate.hashed_id8
        refuse_unless(is_ours, _Code.WRONG_EA, f"the station belongs to enrolment authority {shared.ea_id.hex()}")
        station = self._voucher(self._open(request.ec_signature), shared, at)
        confirmed, validity = self._within_policy(station, shared.attributes, at)
        self._check_number(station, validity, at)
        self._registry.keep_grant(station.its_id, validity)
        return confirmed

    def _read(self, data: SecuredData, at: Time64) -> AuthorizationValidationRequest:
        """Return what an authorization authority that may ask has signed."""
        with refusing(_Code.DENIED_REQUEST):
            message = follow_profile(data)
        with refusing(_Code.INVALID_AA):
            named = named_signer(message.signed)
            if named is None:
                raise Refused(_Code.INVALID_AA, "the request is not signed by an authority")
            asking = self._authorities.find(named, at)
            check_right(asking.certificate, ManagementRight.VALIDATION_REQUEST)
        with refusing(_Code.INVALID_AA_SIGNATURE):
            check_signature(message.signed, asking.public_key, asking.certificate)
        with refusing(_Code.DENIED_REQUEST):
            check_age(message, at)
        with refusing(_Code.CANT_PARSE):
            request = decode_management(message.payload)
        if not isinstance(request, AuthorizationValidationRequest):
            raise Refused(_Code.BAD_CONTENT_TYPE, "the content is no validation request")
        return request

    def _open(self, ec_signature: EcSignature) -> SecuredData:
        content = ec_signature.data.content
        if not isinstance(content, EncryptedData):
            return ec_signature.data
        refuse_unless(
            is_recipient(content, self._certificate), _Code.NOT_RECIPIENT, "the station's signature is encrypted to somebody else"
        )
        with refusing(_Code.DECRYPTION_FAILED):
            opened = decrypt_as(content, certificate=self._certificate, private_key=self._private_key)
        with refusing(_Code.CANT_PARSE):
            return decode_secured_data(opened.plaintext)

    def _voucher(self, data: SecuredData, shared: SharedAtRequest, at: Time64) -> RegisteredStation:
        """Return the station that signed, with a credential that may."""
        with refusing(_Code.INVALID_SIGNATURE):
            message = follow_external_profile(data, shared.digest())
            named = named_signer(message.signed)
        credential = None if named is None else self._registry.credential(named)
        station = None if credential is None else self._registry.station(credential.its_id)
        if credential is None or station is None:
            raise Refused(_Code.UNKNOWN_ITS, "the station signed with a credential this authority did not issue")
        certificate = credential.certificate
        with refusing(_Code.INVALID_SIGNATURE):
            check_signature(message.signed, certificate.public_key(), certificate)
        name = certificate.hashed_id8.hex()
        refuse_unless(not credential.is_revoked, _Code.DENIED_REQUEST, f"credential {name} is revoked")
        with refusing(_Code.DENIED_REQUEST):
            check_age(message, at)
            check_valid_at(certificate, at)
        with refusing(_Code.DENIED_PERMISSIONS):
            check_right(certificate, ManagementRight.AUTHORIZATION_REQUEST)
        is_active = station.status is StationStatus.ACTIVE
        refuse_unless(is_active, _Code.DENIED_REQUEST, f"station {its_id_text(station.its_id)} is blocked")
        return station

    def _check_number(self, station: RegisteredStation, validity: Validity, at: Time64) -> None:
        policy, now_s = self._policy, at // US_PER_S
        end = Time32(-(-validity.end_time64 // US_PER_S))
        held = self._registry.tickets_granted(station.its_id, validity.start, end)
        refuse_unless(held < policy.parallel_tickets, _Code.DENIED_TOO_MANY, f"{held} tickets are granted for that time")
        since, until = Time32(now_s - policy.ticket_lifetime_s), Time32(now_s + policy.preload_s + policy.ticket_lifetime_s)
        held = self._registry.tickets_granted(station.its_id, since, until)
        refuse_unless(held < policy.tickets_of_a_station, _Code.DENIED_TOO_MANY, f"{held} tickets are granted in all")

    def _within_policy(
        self, station: RegisteredStation, wanted: CertificateSubjectAttributes, at: Time64
    ) -> tuple[CertificateSubjectAttributes, Validity]:
        permissions = wanted.app_permissions
        if permissions is None:
            raise Refused(_Code.DENIED_REQUEST, "no permissions are asked for")
        is_allowed = wanted.cert_issue_permissions is None and stay_within(permissions, TICKET_PERMISSIONS[station.role])
        refuse_unless(is_allowed, _Code.DENIED_PERMISSIONS, f"a {station.role.value} may not have the permissions asked for")
        is_nameless = wanted.id is None or wanted.id.kind is IdKind.NONE
        refuse_unless(is_nameless, _Code.DENIED_PERMISSIONS, "a ticket does not name its owner")
        validity = self._validity(wanted, at)
        confirmed = CertificateSubjectAttributes(validity=validity, region=wanted.region, app_permissions=permissions)
        return confirmed, validity

    def _validity(self, wanted: CertificateSubjectAttributes, at: Time64) -> Validity:
        now, policy = Time32(at // US_PER_S), self._policy
        asked = wanted.validity or usual_ticket_period(at, policy)
        lifetime_us = asked.end_time64 - asked.start_time64
        is_short = lifetime_us <= policy.ticket_lifetime_s * US_PER_S
        refuse_unless(is_short, _Code.DENIED_PERMISSIONS, f"a ticket of {lifetime_us // US_PER_S} s is asked for")
        is_near = asked.start <= now + policy.preload_s
        refuse_unless(is_near, _Code.DENIED_PERMISSIONS, f"a ticket that begins in {asked.start - now} s is asked for")
        refuse_unless(asked.count > 0 and asked.end_time64 > at, _Code.DENIED_PERMISSIONS, "the time asked for is over")
        return asked
