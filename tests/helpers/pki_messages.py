"""One of each message of TS 102 941, with everything in it that can be there; every signature real."""

from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8
from shared.pki.authority import hours
from shared.pki.exchange import seal_request, sign_external, sign_payload
from shared.pki.management import (
    AuthorizationValidationRequest,
    AuthorizationValidationResponse,
    CaCertificateRequest,
    EcSignature,
    EnrolmentRequest,
    InnerAtRequest,
    InnerAtResponse,
    InnerEcRequest,
    InnerEcResponse,
    ManagementMessage,
    SharedAtRequest,
    encode_inner_ec_request,
)
from shared.pki.permission_sets import AA_ISSUE_PERMISSIONS, EC_APP_PERMISSIONS, TICKET_PERMISSIONS, StationRole
from shared.pki.response_codes import (
    AuthorizationResponseCode,
    EnrolmentResponseCode,
    ValidationResponseCode,
)
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys
from shared.security.certificate import CertificateId, IdKind
from shared.security.ecdsa import Curve
from shared.security.encryption_key import EncryptionKey
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import decode_secured_data
from tests.helpers.desks import Desks

DESKS = Desks(31)
KEY, OTHER_KEY = DESKS.key(), DESKS.key()
BIG_KEY = DESKS.key(Curve.BRAINPOOL_P384R1)
KEYS = PublicKeys.of(KEY.public_key)
BOTH_KEYS = PublicKeys.of(BIG_KEY.public_key, EncryptionKey(curve=Curve.NIST_P256, point=OTHER_KEY.public_key.point))
HASH = bytes(range(16))
CREDENTIAL = DESKS.enrol()
TICKET = DESKS.hierarchy.ticket().certificate

ALL_ATTRIBUTES = CertificateSubjectAttributes(
    id=CertificateId(kind=IdKind.NAME, name="car 7"),
    validity=hours(DESKS.now_s, 168),
    region=CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000),
    assurance_level=0xC0,
    app_permissions=TICKET_PERMISSIONS[StationRole.RSU],
    cert_issue_permissions=AA_ISSUE_PERMISSIONS,
)
FEW_ATTRIBUTES = CertificateSubjectAttributes(app_permissions=EC_APP_PERMISSIONS)
INNER = InnerEcRequest(its_id=b"car 7", keys=BOTH_KEYS, attributes=ALL_ATTRIBUTES)
SHARED = SharedAtRequest(ea_id=HashedId8(b"ea ea ea"), key_tag=HASH, attributes=DESKS.wanted())
PLAIN = EcSignature(
    data=decode_secured_data(
        sign_external(SHARED.digest(), signer=CREDENTIAL.signer, certificate=CREDENTIAL.certificate, at=DESKS.now_time64)
    )
)
HIDDEN = EcSignature(
    data=decode_secured_data(
        seal_request(PLAIN.data.encoded, recipient=DESKS.hierarchy.ea.certificate, randomness=DESKS.randomness).octets
    )
)

MESSAGES: dict[str, ManagementMessage] = {
    "enrolment request": EnrolmentRequest(
        proof=decode_secured_data(sign_payload(encode_inner_ec_request(INNER), signer=KEY, certificate=None, at=DESKS.now_time64))
    ),
    "enrolment response": InnerEcResponse(request_hash=HASH, code=EnrolmentResponseCode.OK, certificate=CREDENTIAL.certificate),
    "enrolment refused": InnerEcResponse(request_hash=HASH, code=EnrolmentResponseCode.BAD_ITS_STATUS),
    "authorization request": InnerAtRequest(keys=KEYS, hmac_key=bytes(32), shared=SHARED, ec_signature=HIDDEN),
    "authorization request in the open": InnerAtRequest(keys=BOTH_KEYS, hmac_key=bytes(32), shared=SHARED, ec_signature=PLAIN),
    "authorization response": InnerAtResponse(request_hash=HASH, code=AuthorizationResponseCode.OK, certificate=TICKET),
    "authorization refused": InnerAtResponse(request_hash=HASH, code=AuthorizationResponseCode.DENIED_TOO_MANY),
    "validation request": AuthorizationValidationRequest(shared=SHARED, ec_signature=HIDDEN),
    "validation response": AuthorizationValidationResponse(
        request_hash=HASH, code=ValidationResponseCode.OK, confirmed=ALL_ATTRIBUTES
    ),
    "validation refused": AuthorizationValidationResponse(request_hash=HASH, code=ValidationResponseCode.DENIED_REQUEST),
    "CA certificate request": CaCertificateRequest(keys=BOTH_KEYS, attributes=ALL_ATTRIBUTES),
}
