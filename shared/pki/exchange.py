"""What every exchange of TS 102 941 has in common: signed by one profile, encrypted to an authority, answered under the same key.

    request   message -> signed (psid 623, generationTime, nothing else) -> encrypted to the authority's certificate
    answer    message -> signed by the authority -> encrypted under the key of the request, which the answer names by its hash

The key of an exchange is drawn once, for one request; request and answer each have a nonce of their own. A message is opened in the
order of cost: form, profile, age, signature, content. Left out: what the messages mean.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import sha256
from typing import TypeVar

from shared.core.entropy import Entropy
from shared.core.errors import ConfigError, DecodeError, V2xError, VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.pki.authority import AuthorityCredential
from shared.pki.key_source import KeySource
from shared.pki.management import (
    REQUEST_HASH_OCTETS,
    AuthorizationValidationResponse,
    InnerAtResponse,
    InnerEcResponse,
    ManagementMessage,
    decode_management,
    encode_management,
)
from shared.security.certificate import Certificate
from shared.security.ecdsa import PublicKey, Signer, SoftwareSigner
from shared.security.ecies import DecryptionError, decrypt_as, decrypt_under, encrypt_to, encrypt_under, is_recipient
from shared.security.encrypted_data import KEY_OCTETS, NONCE_OCTETS, EncryptedData
from shared.security.hashing import signed_digest
from shared.security.header_info import HeaderInfo, encode_brief_header
from shared.security.permissions import SspKind, find_permission
from shared.security.secured_data import (
    SecuredData,
    SignedData,
    SignerIdentifier,
    SignerKind,
    UnsecuredData,
    decode_secured_data,
    encode_encrypted_data,
    encode_signed_data,
    join_tbs_data,
)

MAX_CLOCK_DIFFERENCE_US = 300_000_000
"""How far the date of a message may be from our time, in the past and in the future."""

SSP_VERSION = 1
"""First octet of the permissions for ITS-AID 623."""

_EXTERNAL_SHA256 = b"\x20\x80"


class ManagementRight(Enum):
    """Bits of the permission for ITS-AID 623 (TS 103 097 clause 6, TS 102 941 annex B): what its owner may sign."""

    ENROLMENT_REQUEST = 0x80
    AUTHORIZATION_REQUEST = 0x40
    VALIDATION_REQUEST = 0x20
    AUTHORIZATION_RESPONSE = 0x10
    VALIDATION_RESPONSE = 0x08
    ENROLMENT_RESPONSE = 0x04
    CA_CERTIFICATE_REQUEST = 0x02


class UnanswerableRequest(V2xError):  # noqa: N818  # named for what the caller does with it
    """Octets from outside that cannot even be answered: no key for an answer could be found in them."""

    @property
    def code(self) -> str:
        """`unanswerable`."""
        return "unanswerable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Randomness:
    """Where the secrets of an exchange come from: one-time keys of agreements; AES keys, nonces and HMAC keys."""

    keys: KeySource
    entropy: Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRequest:
    """A request as it goes out, and the key its answer will be under."""

    octets: bytes
    key: bytes = field(repr=False)

    @property
    def request_hash(self) -> bytes:
        """What the answer must name."""
        return request_hash_of(self.octets)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRequest:
    """A request that could be decrypted.

    Attributes:
        octets: as they came.
        plaintext: what was inside, not yet looked at.
        key: the key for the answer.
    """

    octets: bytes
    plaintext: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @property
    def request_hash(self) -> bytes:
        """What the answer names."""
        return request_hash_of(self.octets)

    @property
    def identity(self) -> bytes:
        """SHA-256 over what only the sender could encrypt: the same however often somebody on the way wraps it anew.

        The octets around it are nobody's word: the y of the one-time key may be mirrored, further recipients may be named.
        """
        return sha256(self.key + self.plaintext).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    """A signed message that follows the profile; its signature is not yet verified.

    Attributes:
        payload: octets of the message.
        generation_time: when the signer says it was made.
    """

    signed: SignedData
    payload: bytes = field(repr=False)
    generation_time: Time64


def request_hash_of(octets: bytes) -> bytes:
    """Return the hash by which an answer names its request: the first 16 octets of SHA-256 over the octets posted."""
    return sha256(octets).digest()[:REQUEST_HASH_OCTETS]


def sign_payload(payload: bytes, *, signer: Signer, certificate: Certificate | None, at: Time64) -> bytes:
    """Sign a message with the key of `certificate`, or, where that is None, with the key named inside it."""
    return _sign(join_tbs_data(payload, encode_brief_header(ItsAid.CERTIFICATE_REQUEST, at)), signer, certificate)


def sign_external(digest: bytes, *, signer: Signer, certificate: Certificate, at: Time64) -> bytes:
    """Sign the SHA-256 of data that travels elsewhere."""
    return _sign(_EXTERNAL_SHA256 + digest + encode_brief_header(ItsAid.CERTIFICATE_REQUEST, at), signer, certificate)


def seal_request(message: bytes, *, recipient: Certificate, randomness: Randomness) -> SealedRequest:
    """Encrypt a request to an authority under a fresh key.

    Raises:
        DecodeError: the certificate has no encryption key, or one that is not on its curve.
    """
    key, nonce = randomness.entropy(KEY_OCTETS), randomness.entropy(NONCE_OCTETS)
    encryption_key = recipient.tbs.encryption_key
    if encryption_key is None:
        raise DecodeError("encryption_key", f"certificate {recipient.hashed_id8.hex()} has no key to encrypt to")
    ephemeral = randomness.keys.generate(encryption_key.curve)
    sealed = encrypt_to(message, recipient=recipient, key=key, nonce=nonce, ephemeral=ephemeral)
    return SealedRequest(octets=encode_encrypted_data(sealed), key=key)


def open_request(octets: bytes, *, certificate: Certificate, private_key: SoftwareSigner) -> OpenedRequest:
    """Decrypt a request that came to an authority; raises `UnanswerableRequest`."""
    try:
        content = decode_secured_data(octets).content
    except DecodeError as error:
        raise UnanswerableRequest(f"the request is malformed: {error}") from error
    if not isinstance(content, EncryptedData):
        raise UnanswerableRequest("the request is not encrypted")
    if not is_recipient(content, certificate):
        raise UnanswerableRequest(f"the request is not encrypted to this authority, {certificate.hashed_id8.hex()}")
    try:
        opened = decrypt_as(content, certificate=certificate, private_key=private_key)
    except DecryptionError as error:
        raise UnanswerableRequest(str(error)) from error
    return OpenedRequest(octets=octets, plaintext=opened.plaintext, key=opened.key)


def seal_answer(
    message: ManagementMessage, *, key: bytes, credential: AuthorityCredential, at: Time64, randomness: Randomness
) -> bytes:
    """Sign an answer as an authority and encrypt it under the key of the request."""
    payload = encode_management(message)
    signed = sign_payload(payload, signer=credential.signer, certificate=credential.certificate, at=at)
    return encode_encrypted_data(encrypt_under(signed, key=key, nonce=randomness.entropy(NONCE_OCTETS)))


def repeat_answer(
    answer: bytes, *, request: OpenedRequest, credential: AuthorityCredential, at: Time64, randomness: Randomness
) -> bytes:
    """Return what was answered before to the same request; where it came in other octets, sealed anew so that it names those.

    Raises:
        DecodeError: the answer is not one of ours under the request's key.
    """
    content = decode_secured_data(answer).content
    if not isinstance(content, EncryptedData):
        raise DecodeError("answer", "the answer is not encrypted")
    payload = _signed(decode_secured_data(decrypt_under(content, key=request.key))).payload
    if payload is None or not isinstance(payload.content, UnsecuredData):
        raise DecodeError("answer", "the answer is not signed as plain data")
    message = decode_management(payload.content.payload)
    if not isinstance(message, InnerEcResponse | InnerAtResponse | AuthorizationValidationResponse):
        raise DecodeError("answer", "the message is no answer")
    if message.request_hash == request.request_hash:
        return answer
    renamed = replace(message, request_hash=request.request_hash)
    return seal_answer(renamed, key=request.key, credential=credential, at=at, randomness=randomness)


A = TypeVar("A", InnerEcResponse, InnerAtResponse, AuthorizationValidationResponse)


def open_answer(
    answer: bytes, *, request: SealedRequest, authority: Certificate, right: ManagementRight, expected: type[A], at: Time64
) -> A:
    """Open an answer to a request of ours and check that it is what the authority, whose chain held, answered to that very request.

    Raises:
        DecodeError: malformed; `DecryptionError`: not under the request's key.
        VerificationError: it must not be believed.
    """
    content = decode_secured_data(answer).content
    if not isinstance(content, EncryptedData):
        raise DecodeError("answer", "the answer is not encrypted")
    message = follow_profile(decode_secured_data(decrypt_under(content, key=request.key)))
    check_signer(message.signed, authority)
    check_valid_at(authority, at)
    check_right(authority, right)
    check_age(message, at)
    check_signature(message.signed, authority.public_key(), authority)
    response = decode_management(message.payload)
    if not isinstance(response, expected):
        raise _mismatch("the authority answered with a message of another kind")
    if response.request_hash != request.request_hash:
        raise _mismatch("the authority answered another request")
    return response


def follow_profile(data: SecuredData) -> SignedMessage:
    """Check signed data against the one profile of requests and answers, and return what it holds.

    Raises:
        VerificationError: `UNSIGNED_MESSAGE`, `INCOMPATIBLE_PROTOCOL` for another ITS-AID, `HEADER_PROFILE`.
    """
    signed = _signed(data)
    payload = signed.payload
    if payload is None or signed.external_hash is not None or not isinstance(payload.content, UnsecuredData):
        raise _breaks_profile("the message is not signed as plain data")
    return SignedMessage(signed=signed, payload=payload.content.payload, generation_time=_time_of(signed))


def follow_external_profile(data: SecuredData, digest: bytes) -> SignedMessage:
    """Check a signature over data that travels elsewhere against its profile, and that it is over `digest`; see `follow_profile`.

    Raises:
        VerificationError: also `CONTENT_MISMATCH` where the hash is another.
    """
    signed = _signed(data)
    if signed.payload is not None or signed.external_hash is None:
        raise _breaks_profile("a signature over data elsewhere has the hash of it and no data")
    if signed.external_hash.digest != digest:
        raise _mismatch("the signature is over other data")
    return SignedMessage(signed=signed, payload=b"", generation_time=_time_of(signed))


def check_age(message: SignedMessage, at: Time64, *, oldest_us: int = MAX_CLOCK_DIFFERENCE_US) -> None:
    """Raise `VerificationError(INVALID_TIMESTAMP)` for a message too old, or dated after `at` by more than clocks differ."""
    difference_us = at - message.generation_time
    if not -MAX_CLOCK_DIFFERENCE_US <= difference_us <= oldest_us:
        where = "before" if difference_us > 0 else "after"
        detail = f"the message is dated {abs(difference_us) // 1_000_000} s {where} our time"
        raise VerificationError(VerificationReport.INVALID_TIMESTAMP, detail)


def named_signer(signed: SignedData) -> HashedId8 | None:
    """Return the identifier of the certificate named as the signer, or None where the key is named inside the message.

    Raises:
        VerificationError: `UNSUPPORTED_SIGNER_IDENTIFIER_TYPE` for several certificates.
    """
    signer = signed.signer
    if len(signer.certificates) > 1:
        raise _unsupported_signer("a message names its signer by one certificate")
    return signer.certificates[0].hashed_id8 if signer.certificates else signer.digest


def check_signer(signed: SignedData, certificate: Certificate) -> None:
    """Raise `VerificationError` unless the signer is named as the owner of `certificate`, by its digest or by itself."""
    named = named_signer(signed)
    if named is None:
        raise _unsupported_signer("an authority names its certificate as the signer")
    if named != certificate.hashed_id8 or any(shown.digest != certificate.digest for shown in signed.signer.certificates):
        detail = f"the message is signed by {named.hex()}, not by {certificate.hashed_id8.hex()}"
        raise VerificationError(VerificationReport.SIGNER_CERTIFICATE_NOT_FOUND, detail)


def check_signature(signed: SignedData, key: PublicKey, certificate: Certificate | None) -> None:
    """Verify a signature under `key`, which `certificate` certifies, or nobody does yet; raises `FALSE_SIGNATURE`."""
    algorithm = key.hash_algorithm
    if signed.hash_algorithm is not algorithm:
        raise VerificationError(VerificationReport.FALSE_SIGNATURE, "the message names a hash that does not belong to the key")
    canonical = b"" if certificate is None else certificate.canonical
    key.verify_digest(signed_digest(algorithm, algorithm.digest(signed.tbs_encoded), canonical), signed.signature)


def check_valid_at(certificate: Certificate, at: Time64) -> None:
    """Raise `VerificationError(EXPIRED_CERTIFICATE)` outside the validity of a certificate."""
    if not certificate.validity.contains(at):
        detail = f"certificate {certificate.hashed_id8.hex()} is outside its validity period"
        raise VerificationError(VerificationReport.EXPIRED_CERTIFICATE, detail)


def check_right(certificate: Certificate, right: ManagementRight) -> None:
    """Raise `VerificationError(PERMISSION_DENIED)` unless a certificate lets its owner sign that kind of message."""
    permission = find_permission(certificate.tbs.app_permissions or (), ItsAid.CERTIFICATE_REQUEST)
    ssp = permission.ssp
    is_known = permission.kind is SspKind.BITMAP and ssp is not None and len(ssp) == 2 and ssp[0] == SSP_VERSION
    if ssp is None or not is_known or not ssp[1] & right.value:
        what = right.name.lower().replace("_", " ")
        detail = f"certificate {certificate.hashed_id8.hex()} does not let its owner sign an {what}"
        raise VerificationError(VerificationReport.PERMISSION_DENIED, detail)


def decryption_key_of(credential: AuthorityCredential) -> SoftwareSigner:
    """Return the key requests are encrypted to; raises `ConfigError` when it is absent or not the one in the certificate."""
    key, named = credential.encryption_key, credential.certificate.tbs.encryption_key
    if key is None or named is None or key.curve is not named.curve or key.public_key.point != named.point.compressed:
        name = f"authority {credential.certificate.hashed_id8.hex()}"
        raise ConfigError(name, "the private encryption key is missing or does not belong to the certificate")
    return key


def _sign(tbs: bytes, signer: Signer, certificate: Certificate | None) -> bytes:
    algorithm = signer.curve.hash_algorithm
    named = SignerIdentifier(kind=SignerKind.SELF)
    if certificate is not None:
        named = SignerIdentifier(kind=SignerKind.DIGEST, digest=certificate.hashed_id8)
    canonical = b"" if certificate is None else certificate.canonical
    signature = signer.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), canonical))
    return encode_signed_data(hash_algorithm=algorithm, tbs_encoded=tbs, signer=named, signature=signature)


def _signed(data: SecuredData) -> SignedData:
    if not isinstance(data.content, SignedData):
        raise VerificationError(VerificationReport.UNSIGNED_MESSAGE, "the message is not signed")
    return data.content


def _time_of(signed: SignedData) -> Time64:
    header = signed.header
    if header.psid != ItsAid.CERTIFICATE_REQUEST:
        detail = f"the message is signed as ITS-AID {header.psid}, not as {ItsAid.CERTIFICATE_REQUEST:d}"
        raise VerificationError(VerificationReport.INCOMPATIBLE_PROTOCOL, detail)
    generation_time = header.generation_time
    if generation_time is None or header != HeaderInfo(psid=header.psid, generation_time=generation_time):
        raise _breaks_profile("the message has a generationTime and no other optional header field")
    return generation_time


def _unsupported_signer(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.UNSUPPORTED_SIGNER_IDENTIFIER_TYPE, detail)


def _mismatch(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.CONTENT_MISMATCH, detail)


def _breaks_profile(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.HEADER_PROFILE, detail)
