"""What a receiver judges of a signed message, and how it is read: in one pass where the form is the usual one.

Nearly every message on the air is one of these, octet for octet (IEEE 1609.2 6.3 in COER; TS 103 097 clause 7.1):

    03 81 00                   protocol version, signed content, SHA-256
    40                         data, no external hash                    <- what is signed begins here
    03 80 LL payload           version, plain data; LL is a length of one octet (00-7f), two (81 80-81 ff) or three (82 0100-)
    40 01 PP TTTTTTTT          generationTime only; ITS-AID of one octet
    50 01 PP TTTTTTTT PPPPPPPPPP  or with a generationLocation of ten octets    <- what is signed ends before
    80 DDDDDDDD                signer: a digest
    81 01 01 certificate       or one certificate that fills what is left but for the 66 octets of the signature
    80 80|82|83 r s            ECDSA on P-256; r x-only or the x of a compressed point

`recognise` compares the constant octets, takes the rest, and leaves everything else to the complete decoder: a message in another
form, malformed, against its profile, or with a certificate whose very octets are not known. So it refuses nothing itself, and where
it finds an envelope it is the one that `envelope_of` makes of the decoded structure. The verifier reads the form that comes nine
times in ten, by digest with a time, by these same constants itself. Left out: requests between stations, expiry times, other
curves.
"""

from collections.abc import Mapping
from struct import Struct

import msgspec

from shared.codec.coer import CoerReader
from shared.core.errors import DecodeError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId3, HashedId8
from shared.core.itstime import Time64
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, Signature
from shared.security.hashing import HashAlgorithm
from shared.security.header_policy import check_header, profile_of
from shared.security.region import MAX_LATITUDE, MAX_LONGITUDE, UNITS_PER_DEGREE
from shared.security.secured_data import SignedData, SignerIdentifier


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A signed message that follows its profile; nothing of it is believed yet.

    Attributes:
        psid: the ITS-AID.
        payload: octets of the plain data inside.
        tbs_encoded: the octets that are signed.
        generation_time: when the signer says it was made.
        signer: identifier of the signer's certificate.
        signature: over `tbs_encoded` and the signer's certificate.
        hash_algorithm: the hash the signature uses.
        certificate: the signer's certificate, None where only its digest is there.
        generation_location: the signed place, or None.
        expiry_time: the message is not to be used from then on, or None.
        certificate_requests: short identifiers the sender asks its neighbours for.
        passed_on_authority: a certificate the sender passes on, or None.
    """

    psid: int
    payload: bytes
    tbs_encoded: bytes
    generation_time: Time64
    signer: HashedId8
    signature: Signature
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256
    certificate: Certificate | None = None
    generation_location: GeoPoint | None = None
    expiry_time: Time64 | None = None
    certificate_requests: tuple[HashedId3, ...] = ()
    passed_on_authority: Certificate | None = None


FRONT = b"\x03\x81\x00\x40\x03\x80"
TBS_AT = 3
LENGTH_AT = 6
BEHIND_PAYLOAD = Struct(">HBQB8sH32s32s")
BEHIND_PAYLOAD_OCTETS = BEHIND_PAYLOAD.size
SIGNER_AND_SIGNATURE_OCTETS = 1 + 8 + 2 + 32 + 32

_HEADER = Struct(">HBQ")
_LOCATION = Struct(">iiH")
_SIGNATURE = Struct(">H32s32s")

TIME_ONLY = 0x4001
_TIME_AND_LOCATION = 0x5001
DIGEST = 0x80
_ONE_CERTIFICATE = b"\x81\x01\x01"
P256_X_ONLY = 0x8080
P256_FORMS = (P256_X_ONLY, 0x8082, 0x8083)
_P256 = Curve.NIST_P256


def recognise(secured: bytes, certificates: Mapping[bytes, Certificate]) -> Envelope | None:
    """Return the envelope of a message in the usual form, or None: then the complete decoder must judge it.

    Args:
        secured: one encoded `Ieee1609Dot2Data`.
        certificates: known certificates by their octets.
    """
    if not secured.startswith(FRONT):
        return None
    reader = CoerReader(secured, LENGTH_AT)
    try:
        payload = reader.opaque("payload")
    except DecodeError:
        return None
    tbs_end = reader.position + _HEADER.size
    signature_at = len(secured) - _SIGNATURE.size
    if tbs_end >= signature_at:
        return None
    header, psid, generation_time = _HEADER.unpack_from(secured, reader.position)
    profile = profile_of(psid)
    location: GeoPoint | None = None
    if header == _TIME_AND_LOCATION:
        if not profile.allows_location or tbs_end + _LOCATION.size >= signature_at:
            return None
        lat, lon, _elevation = _LOCATION.unpack_from(secured, tbs_end)
        if abs(lat) > MAX_LATITUDE or abs(lon) > MAX_LONGITUDE:
            return None
        location = GeoPoint(lat / UNITS_PER_DEGREE, lon / UNITS_PER_DEGREE)
        tbs_end += _LOCATION.size
    elif header != TIME_ONLY or profile.requires_location:
        return None
    named = secured[tbs_end:signature_at]
    certificate = certificates.get(named[len(_ONE_CERTIFICATE) :]) if named.startswith(_ONE_CERTIFICATE) else None
    if certificate is not None:
        signer = certificate.hashed_id8
    elif len(named) == 1 + 8 and named[0] == DIGEST and not profile.always_certificate:
        signer = HashedId8(named[1:])
    else:
        return None
    tags, r, s = _SIGNATURE.unpack_from(secured, signature_at)
    if tags not in P256_FORMS:
        return None
    return Envelope(
        psid,
        payload,
        secured[TBS_AT:tbs_end],
        generation_time,
        signer,
        Signature(_P256, r, s, tags == P256_X_ONLY),
        certificate=certificate,
        generation_location=location,
    )


def envelope_of(signed: SignedData) -> Envelope:
    """Check signed data against the profile of its ITS-AID and return what there is to judge.

    Raises:
        VerificationError: `HEADER_PROFILE`, naming the field; `UNSUPPORTED_SIGNER_IDENTIFIER_TYPE` for a self-signed message.
    """
    header = signed.header
    checked = check_header(signed, profile_of(header.psid))
    return Envelope(
        header.psid,
        checked.payload,
        signed.tbs_encoded,
        checked.generation_time,
        _signer_id(signed.signer),
        signed.signature,
        signed.hash_algorithm,
        signed.signer.certificates[0] if signed.signer.certificates else None,
        checked.generation_location,
        header.expiry_time,
        header.inline_p2pcd_request or (),
        header.requested_certificate,
    )


def _signer_id(signer: SignerIdentifier) -> HashedId8:
    return signer.certificates[0].hashed_id8 if signer.digest is None else signer.digest
