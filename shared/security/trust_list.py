"""Trust lists as they are published: `EtsiTs102941Data` in signed data, and whether it may be believed.

    1609.2 signed data, ITS-AID 624 (CTL) or 622 (CRL), generationTime and nothing else in the header
      EtsiTs102941Data: version 1 | 84 CRL | 85 CTL of a trust list manager | 86 CTL of a root

`verify_ctl` and `verify_crl` take the certificate that must have signed: the pinned trust list manager's for an ECTL, a trusted
root's for its CTL and CRL (TS 102 941 clauses 6.3.4-6.3.5). Left out: fetching; and what needs a memory (`trust_lists_held`): delta
lists applied to full ones, and protection against an older list of the same issuer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from shared.codec.coer import CoerReader, encode_choice
from shared.core.clock import Instant
from shared.core.errors import DecodeError, UntrustedTimeError, VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate
from shared.security.crl import Crl, encode_crl, read_crl
from shared.security.ctl import AaEntry, Ctl, CtlCommand, CtlKind, DcEntry, EaEntry, RootCaEntry, TlmEntry, encode_ctl, read_ctl
from shared.security.freshness import trusted_time64
from shared.security.hashing import signed_digest
from shared.security.header_info import HeaderInfo
from shared.security.permissions import SspKind, find_permission
from shared.security.secured_data import SignedData, SignerKind, UnsecuredData, decode_secured_data

MANAGEMENT_VERSION = 1
"""`EtsiTs102941Data.version`."""

CLOCK_TOLERANCE_US = 5_000_000
"""How far in the future a list may be dated; published lists count two leap seconds fewer than TAI has."""

SSP_VERSION = 1

_US_PER_S = 1_000_000
_ECTL_RIGHTS = 0xC0
_ROOT_CTL_RIGHTS = 0x38
_ENTRY_RIGHTS: dict[type[CtlCommand], tuple[int, str]] = {
    TlmEntry: (0x80, "trust list managers"),
    RootCaEntry: (0x40, "roots"),
    EaEntry: (0x20, "enrolment authorities"),
    AaEntry: (0x10, "authorization authorities"),
    DcEntry: (0x08, "distribution centres"),
}


class ManagementContent(Enum):
    """`EtsiTs102941DataContent`; the value is the index on the wire."""

    ENROLMENT_REQUEST = 0
    ENROLMENT_RESPONSE = 1
    AUTHORIZATION_REQUEST = 2
    AUTHORIZATION_RESPONSE = 3
    CRL = 4
    ECTL = 5
    ROOT_CTL = 6
    AUTHORIZATION_VALIDATION_REQUEST = 7
    AUTHORIZATION_VALIDATION_RESPONSE = 8
    CA_CERTIFICATE_REQUEST = 9


T_co = TypeVar("T_co", bound=Ctl | Crl, covariant=True)
L = TypeVar("L", bound=Ctl | Crl)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTrustList(Generic[T_co]):
    """A list whose signature, issuer's rights and times held; only `verify_ctl` and `verify_crl` make one.

    Attributes:
        issuer: whose key signed it.
        generation_time: when it was signed; a list that is not later than the one held is no news.
    """

    content: T_co
    issuer: Certificate
    generation_time: Time64


def peek_management_content(octets: bytes) -> ManagementContent:
    """Say what `EtsiTs102941Data` holds without reading it; raises `DecodeError`."""
    return _read_content(CoerReader(octets))


def decode_trust_list(octets: bytes) -> Ctl | Crl:
    """Decode `EtsiTs102941Data` that holds a CTL or CRL and fills `octets` exactly; raises `DecodeError`."""
    reader = CoerReader(octets)
    content = _read_content(reader)
    trust_list: Ctl | Crl
    match content:
        case ManagementContent.CRL:
            trust_list = read_crl(reader)
        case ManagementContent.ECTL | ManagementContent.ROOT_CTL:
            trust_list = read_ctl(reader, CtlKind(content.value))
        case _:
            raise reader.refuse("management.content", f"{content.name.lower().replace('_', ' ')} is no trust list")
    reader.finish("management")
    return trust_list


def encode_trust_list(trust_list: Ctl | Crl) -> bytes:
    """Encode `EtsiTs102941Data` around a list; raises `EncodeError`."""
    if isinstance(trust_list, Crl):
        body = encode_choice(ManagementContent.CRL.value, encode_crl(trust_list))
    else:
        body = encode_choice(trust_list.kind.value, encode_ctl(trust_list))
    return bytes((MANAGEMENT_VERSION,)) + body


def verify_ctl(secured: bytes, *, issuer: Certificate, now: Instant) -> VerifiedTrustList[Ctl]:
    """Verify a signed CTL.

    Args:
        secured: encoded `Ieee1609Dot2Data`.
        issuer: the self-signed certificate that must have signed: a pinned trust list manager, or a trusted root.
        now: the present; judging needs trusted UTC.

    Raises:
        DecodeError: malformed, or no CTL.
        VerificationError: it must not be believed; `INVALID_TIMESTAMP` also when its `next_update` has passed.
    """
    return _verify(secured, issuer, now, ItsAid.CTL, _check_ctl, must_be_current=True)


def verify_kept_ctl(secured: bytes, *, issuer: Certificate, now: Instant) -> VerifiedTrustList[Ctl]:
    """Verify a CTL that was taken before and kept: as `verify_ctl`, but whether it has run out is for the caller to judge."""
    return _verify(secured, issuer, now, ItsAid.CTL, _check_ctl, must_be_current=False)


def verify_kept_crl(secured: bytes, *, issuer: Certificate, now: Instant) -> VerifiedTrustList[Crl]:
    """Verify a CRL that was taken before and kept; as `verify_kept_ctl`."""
    return _verify(secured, issuer, now, ItsAid.CRL, _check_crl, must_be_current=False)


def verify_crl(secured: bytes, *, issuer: Certificate, now: Instant) -> VerifiedTrustList[Crl]:
    """Verify a signed CRL of a trusted root; arguments and errors as for `verify_ctl`."""
    return _verify(secured, issuer, now, ItsAid.CRL, _check_crl, must_be_current=True)


def claimed_issuer(secured: bytes) -> HashedId8:
    """Return whom a signed list names as its signer, unverified; raises `DecodeError` or `VerificationError`."""
    signer = _signed(secured).signer
    if signer.digest is not None:
        return signer.digest
    if not signer.certificates:
        raise _no_single_signer()
    return signer.certificates[0].hashed_id8


def _read_content(reader: CoerReader) -> ManagementContent:
    version = reader.unsigned(1, "management.version")
    if version != MANAGEMENT_VERSION:
        raise reader.refuse("management.version", f"version {version} is not {MANAGEMENT_VERSION}")
    index = reader.choice("management.content")
    try:
        return ManagementContent(index)
    except ValueError:
        raise reader.refuse("management.content", f"content alternative {index} is unknown") from None


def _signed(secured: bytes) -> SignedData:
    signed = decode_secured_data(secured).content
    if not isinstance(signed, SignedData):
        raise VerificationError(VerificationReport.UNSIGNED_MESSAGE, "the list is not signed")
    return signed


def _verify(
    secured: bytes,
    issuer: Certificate,
    now: Instant,
    its_aid: ItsAid,
    check: Callable[[Ctl | Crl, int, Time64], L],
    *,
    must_be_current: bool,
) -> VerifiedTrustList[L]:
    signed = _signed(secured)
    payload, generation_time = _open(signed, its_aid)
    trust_list = decode_trust_list(payload)
    _check_signer_is(signed, issuer)
    at = _judging_time(now)
    if generation_time > at + CLOCK_TOLERANCE_US:
        raise _invalid_timestamp("the list is signed in the future")
    content = check(trust_list, _rights(issuer, its_aid), at)
    if must_be_current and at >= content.next_update * _US_PER_S:
        raise _invalid_timestamp("the list has run out: its nextUpdate has passed")
    if not (issuer.validity.contains(generation_time) and issuer.validity.contains(at)):
        detail = f"the issuer's certificate {issuer.hashed_id8.hex()} is outside its validity period"
        raise VerificationError(VerificationReport.EXPIRED_CERTIFICATE, detail)
    _check_signatures(signed, issuer)
    return VerifiedTrustList(content=content, issuer=issuer, generation_time=generation_time)


def _open(signed: SignedData, its_aid: ItsAid) -> tuple[bytes, Time64]:
    """Check the header against the profile of signed lists: ITS-AID and generation time, and nothing else."""
    header = signed.header
    if header.psid != its_aid:
        detail = f"the list is signed as ITS-AID {header.psid}, not as {its_aid:d}"
        raise VerificationError(VerificationReport.INCOMPATIBLE_PROTOCOL, detail)
    generation_time = header.generation_time
    if generation_time is None or header != HeaderInfo(psid=its_aid, generation_time=generation_time):
        raise _breaks_profile("a signed list has a generationTime and no other optional header field")
    if signed.payload is None or signed.external_hash is not None or not isinstance(signed.payload.content, UnsecuredData):
        raise _breaks_profile("a signed list carries the list as plain data")
    return signed.payload.content.payload, generation_time


def _check_signer_is(signed: SignedData, issuer: Certificate) -> None:
    signer = signed.signer
    if signer.kind is SignerKind.SELF or len(signer.certificates) > 1:
        raise _no_single_signer()
    named = signer.digest if signer.digest is not None else signer.certificates[0].hashed_id8
    if named != issuer.hashed_id8 or any(shown.digest != issuer.digest for shown in signer.certificates):
        detail = f"the list is signed by {named.hex()}, not by {issuer.hashed_id8.hex()}"
        raise VerificationError(VerificationReport.UNTRUSTED_ROOT, detail)


def _rights(issuer: Certificate, its_aid: ItsAid) -> int:
    """Return the flags of the issuer's SSP for lists; a CRL's SSP is its version alone."""
    permission = find_permission(issuer.tbs.app_permissions or (), its_aid)
    ssp = permission.ssp
    octets = 2 if its_aid is ItsAid.CTL else 1
    if permission.kind is not SspKind.BITMAP or ssp is None or len(ssp) != octets or ssp[0] != SSP_VERSION:
        raise _denied(f"the issuer's permissions for ITS-AID {its_aid:d} are not those of version {SSP_VERSION}")
    return ssp[-1]


def _check_ctl(trust_list: Ctl | Crl, rights: int, _at: Time64) -> Ctl:
    if not isinstance(trust_list, Ctl):
        raise VerificationError(VerificationReport.CONTENT_MISMATCH, "a CRL signed as a CTL")
    if not rights & (_ECTL_RIGHTS if trust_list.kind is CtlKind.ECTL else _ROOT_CTL_RIGHTS):
        raise _denied(f"the issuer may not sign a list of kind {trust_list.kind.name}")
    for command in trust_list.commands:
        right, what = _ENTRY_RIGHTS.get(type(command), (0xFF, ""))
        if not rights & right:
            raise _denied(f"the issuer may not list {what}")
    return trust_list


def _check_crl(trust_list: Ctl | Crl, _rights: int, at: Time64) -> Crl:
    if not isinstance(trust_list, Crl):
        raise VerificationError(VerificationReport.CONTENT_MISMATCH, "a CTL signed as a CRL")
    if trust_list.this_update * _US_PER_S > at + CLOCK_TOLERANCE_US:
        raise _invalid_timestamp("the list begins in the future")
    return trust_list


def _check_signatures(signed: SignedData, issuer: Certificate) -> None:
    algorithm = issuer.tbs.curve.hash_algorithm
    if not issuer.is_self_signed:
        raise VerificationError(VerificationReport.INVALID_CERTIFICATE, "the issuer of a list is a self-signed certificate")
    if signed.hash_algorithm is not algorithm:
        raise VerificationError(VerificationReport.FALSE_SIGNATURE, "the list names a hash that does not belong to the key")
    try:
        key = issuer.public_key()
        key.verify_digest(signed_digest(algorithm, algorithm.digest(issuer.canonical_tbs), b""), issuer.signature)
    except (DecodeError, VerificationError) as error:
        detail = f"the issuer's certificate {issuer.hashed_id8.hex()} does not vouch for itself: {error}"
        raise VerificationError(VerificationReport.INVALID_CERTIFICATE, detail) from error
    key.verify_digest(signed_digest(algorithm, algorithm.digest(signed.tbs_encoded), issuer.canonical), signed.signature)


def _judging_time(now: Instant) -> Time64:
    try:
        return trusted_time64(now)
    except UntrustedTimeError as error:
        raise VerificationError(VerificationReport.UNTRUSTED_TIME, str(error)) from error


def _no_single_signer() -> VerificationError:
    detail = "a list names its one signer by certificate or digest"
    return VerificationError(VerificationReport.UNSUPPORTED_SIGNER_IDENTIFIER_TYPE, detail)


def _breaks_profile(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.HEADER_PROFILE, detail)


def _denied(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.PERMISSION_DENIED, detail)


def _invalid_timestamp(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INVALID_TIMESTAMP, detail)
