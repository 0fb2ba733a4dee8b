"""Explicit certificates of IEEE 1609.2 6.4 in the profile of TS 103 097 clause 6: decoded, encoded, identified.

A certificate is hashed in canonical form: key points compressed, r of the signature x-only. Received octets are kept; where they
are not canonical the canonical octets are made from the decoded value, so both stand side by side. Decoding says what it
states; whether it may be believed is `chain`. Left out, and refused: implicit certificates, the 2022 extensions of
`ToBeSignedCertificate`, and self-declared hashes that do not belong to the key.
"""

from dataclasses import dataclass, replace
from enum import Enum

from shared.codec.coer import (
    CoerReader,
    encode_choice,
    encode_opaque,
    encode_unsigned,
)
from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import HashedId3, HashedId8
from shared.security.ecdsa import (
    Curve,
    EccPoint,
    PointForm,
    PublicKey,
    Signature,
    Signer,
    encode_signature,
    encode_verification_key,
    read_signature,
    read_verification_key,
)
from shared.security.encryption_key import EncryptionKey, encode_encryption_key, read_encryption_key
from shared.security.hashing import HashAlgorithm, hashed_id3, hashed_id8, signed_digest
from shared.security.permissions import (
    PsidGroupPermissions,
    PsidSsp,
    encode_app_permissions,
    encode_group_permissions,
    read_app_permissions,
    read_group_permissions,
)
from shared.security.region import GeographicRegion, encode_region, read_region
from shared.security.validity import Validity, encode_validity, read_validity

CERTIFICATE_VERSION = 3
"""IEEE 1609.2 `CertificateBase.version`."""

MAX_CERTIFICATE_OCTETS = 4_096
"""Octets of one certificate; real ones have 150 to 600."""

MAX_NAME_OCTETS = 255
"""Octets of `CertificateId.name`."""

_NO_CRACA = HashedId3(b"\x00\x00\x00")


class IssuerKind(Enum):
    """IEEE 1609.2 `IssuerIdentifier`; the value is the index on the wire."""

    SHA256_DIGEST = 0
    SELF = 1
    SHA384_DIGEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who signed: a certificate by its identifier, or the key inside.

    Attributes:
        algorithm: hash that made the identifier, or that the self-signature uses.
        hashed_id8: identifier of the issuer's certificate, None when self-signed.
    """

    algorithm: HashAlgorithm
    hashed_id8: HashedId8 | None


class IdKind(Enum):
    """IEEE 1609.2 `CertificateId`; the value is the index on the wire."""

    LINKAGE = 0
    NAME = 1
    BINARY = 2
    NONE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateId:
    """What the certificate calls its owner: `name` for authorities, nothing for tickets; other kinds as raw octets."""

    kind: IdKind = IdKind.NONE
    name: str | None = None
    octets: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToBeSignedCertificate:
    """What the issuer signs (IEEE 1609.2 6.4.8).

    Attributes:
        assurance_level: octet of `SubjectAssurance`, or None.
        app_permissions: what the owner may send, or None.
        cert_issue_permissions: what the owner may issue, or None.
        cert_request_permissions: what the owner may request, or None.
        encryption_key: for answers to the owner, or None.
        curve: curve of the verification key.
        verification_key: the key's point as written, not yet known to lie on the curve.
    """

    id: CertificateId
    validity: Validity
    curve: Curve
    verification_key: EccPoint
    craca_id: HashedId3 = _NO_CRACA
    crl_series: int = 0
    region: GeographicRegion | None = None
    assurance_level: int | None = None
    app_permissions: tuple[PsidSsp, ...] | None = None
    cert_issue_permissions: tuple[PsidGroupPermissions, ...] | None = None
    cert_request_permissions: tuple[PsidGroupPermissions, ...] | None = None
    can_request_rollover: bool = False
    encryption_key: EncryptionKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A decoded certificate: nothing in it is believed yet.

    Attributes:
        encoded: the octets as received or issued.
        canonical: the octets that are hashed.
        canonical_tbs: the part of them that the issuer signed.
        digest: hash of `canonical`, by the hash of the certificate's own key.
    """

    encoded: bytes
    canonical: bytes
    canonical_tbs: bytes
    digest: bytes
    issuer: Issuer
    tbs: ToBeSignedCertificate
    signature: Signature

    @property
    def hashed_id8(self) -> HashedId8:
        """The certificate's identifier."""
        return hashed_id8(self.digest)

    @property
    def hashed_id3(self) -> HashedId3:
        """The short identifier of requests between stations."""
        return hashed_id3(self.digest)

    @property
    def mirror_digest(self) -> bytes:
        """The hash this certificate has with the mirrored signature (`Signature.mirrored`).

        Both are the same statement of the same issuer, and whoever holds one makes the other: a list that names one means both.
        """
        mirrored = _assemble(self.issuer, self.canonical_tbs, self.signature.mirrored)
        return self.tbs.curve.hash_algorithm.digest(mirrored)

    @property
    def is_self_signed(self) -> bool:
        """Whether it names itself as issuer, as roots do."""
        return self.issuer.hashed_id8 is None

    @property
    def name(self) -> str | None:
        """The owner's name, or None."""
        return self.tbs.id.name

    @property
    def validity(self) -> Validity:
        """The validity period."""
        return self.tbs.validity

    def public_key(self) -> PublicKey:
        """Load the verification key; costs a square root, so keep the result.

        Raises:
            DecodeError: the point is not on the curve.
        """
        return PublicKey.from_point(self.tbs.curve, self.tbs.verification_key)


def decode_certificate(encoded: bytes) -> Certificate:
    """Decode one certificate that fills `encoded` exactly; raises `DecodeError`."""
    reader = CoerReader(encoded)
    certificate = read_certificate(reader, "certificate")
    reader.finish("certificate")
    return certificate


def read_certificate(reader: CoerReader, field: str) -> Certificate:
    """Read a certificate inside another structure; raises `DecodeError`."""
    start = reader.position
    if reader.preamble(field, bits=1) != 0x80:
        raise reader.refuse(field, "the signature is absent")
    version = reader.unsigned(1, field)
    if version != CERTIFICATE_VERSION:
        raise reader.refuse(field, f"version {version} is not {CERTIFICATE_VERSION}")
    if reader.enumerated(field) != 0:
        raise reader.refuse(field, "the certificate is not explicit")
    issuer = _read_issuer(reader, f"{field}.issuer")
    tbs_start = reader.position
    tbs = _read_tbs(reader, f"{field}.tbs")
    canonical_tbs = reader.since(tbs_start)
    signature = read_signature(reader, f"{field}.signature")
    encoded = reader.since(start)
    if len(encoded) > MAX_CERTIFICATE_OCTETS:
        raise reader.refuse(field, f"{len(encoded)} octets, at most {MAX_CERTIFICATE_OCTETS} are allowed")
    if issuer.hashed_id8 is None and issuer.algorithm is not tbs.curve.hash_algorithm:
        raise reader.refuse(f"{field}.issuer", "the hash of the self-signature does not belong to the key")
    canonical = encoded
    if not _is_canonical(tbs, signature):
        tbs = _canonical_tbs(tbs)
        canonical_tbs = encode_tbs(tbs)
        canonical = _assemble(issuer, canonical_tbs, signature)
    return Certificate(
        encoded=encoded,
        canonical=canonical,
        canonical_tbs=canonical_tbs,
        digest=tbs.curve.hash_algorithm.digest(canonical),
        issuer=issuer,
        tbs=tbs,
        signature=signature,
    )


def issue_certificate(tbs: ToBeSignedCertificate, *, issuer: Certificate | None, signer: Signer) -> Certificate:
    """Sign a certificate with its issuer's key, or, where `issuer` is None, with the key inside it.

    Raises:
        EncodeError: `signer` is not the key of the issuer's certificate, or a value does not fit its field.
    """
    tbs = _canonical_tbs(tbs)
    above = tbs if issuer is None else issuer.tbs
    if signer.public_key.curve is not above.curve or signer.public_key.point != above.verification_key.compressed:
        raise EncodeError("issuer", "the signing key is not the key in the issuer's certificate")
    algorithm = above.curve.hash_algorithm
    named = Issuer(algorithm=algorithm, hashed_id8=None if issuer is None else issuer.hashed_id8)
    encoded_tbs = encode_tbs(tbs)
    digest = signed_digest(algorithm, algorithm.digest(encoded_tbs), b"" if issuer is None else issuer.canonical)
    encoded = _assemble(named, encoded_tbs, signer.sign_digest(digest))
    try:
        return decode_certificate(encoded)
    except DecodeError as error:
        raise EncodeError(error.field, error.reason) from error


def encode_certificate(certificate: Certificate) -> bytes:
    """Encode the decoded fields anew, in canonical form; equal to `certificate.canonical` for every certificate we accept."""
    return _assemble(certificate.issuer, encode_tbs(certificate.tbs), certificate.signature)


def encode_tbs(tbs: ToBeSignedCertificate) -> bytes:
    """Encode `ToBeSignedCertificate`; raises `EncodeError`."""
    present = 0
    optional = b""
    if tbs.region is not None:
        present |= 0x40
        optional += encode_region(tbs.region)
    if tbs.assurance_level is not None:
        present |= 0x20
        optional += encode_unsigned(tbs.assurance_level, 1, "assurance_level")
    if tbs.app_permissions is not None:
        present |= 0x10
        optional += encode_app_permissions(tbs.app_permissions)
    if tbs.cert_issue_permissions is not None:
        present |= 0x08
        optional += encode_group_permissions(tbs.cert_issue_permissions)
    if tbs.cert_request_permissions is not None:
        present |= 0x04
        optional += encode_group_permissions(tbs.cert_request_permissions)
    if tbs.can_request_rollover:
        present |= 0x02
    if tbs.encryption_key is not None:
        present |= 0x01
        optional += encode_encryption_key(tbs.encryption_key)
    head = (
        encode_certificate_id(tbs.id)
        + tbs.craca_id
        + encode_unsigned(tbs.crl_series, 2, "crl_series")
        + encode_validity(tbs.validity)
    )
    key = encode_choice(0, encode_verification_key(tbs.curve, tbs.verification_key))
    return bytes((present,)) + head + optional + key


def _assemble(issuer: Issuer, encoded_tbs: bytes, signature: Signature) -> bytes:
    head = bytes((0x80, CERTIFICATE_VERSION, 0x00))
    return head + _encode_issuer(issuer) + encoded_tbs + encode_signature(signature)


def _is_canonical(tbs: ToBeSignedCertificate, signature: Signature) -> bool:
    encryption = tbs.encryption_key
    return (
        signature.canonical
        and tbs.verification_key.form is not PointForm.UNCOMPRESSED
        and (encryption is None or encryption.point.form is not PointForm.UNCOMPRESSED)
    )


def _canonical_tbs(tbs: ToBeSignedCertificate) -> ToBeSignedCertificate:
    encryption = tbs.encryption_key
    if encryption is not None:
        encryption = EncryptionKey(curve=encryption.curve, point=encryption.point.compressed)
    return replace(tbs, verification_key=tbs.verification_key.compressed, encryption_key=encryption)


def _read_issuer(reader: CoerReader, field: str) -> Issuer:
    match reader.choice(field):
        case IssuerKind.SHA256_DIGEST.value:
            return Issuer(algorithm=HashAlgorithm.SHA256, hashed_id8=HashedId8(reader.octets(8, field)))
        case IssuerKind.SELF.value:
            algorithm = read_hash_algorithm(reader, field)
            return Issuer(algorithm=algorithm, hashed_id8=None)
        case IssuerKind.SHA384_DIGEST.value:
            inner = reader.open_type(field)
            identifier = HashedId8(inner.octets(8, field))
            inner.finish(field)
            return Issuer(algorithm=HashAlgorithm.SHA384, hashed_id8=identifier)
        case index:
            raise reader.refuse(field, f"issuer alternative {index} is not supported")


def read_hash_algorithm(reader: CoerReader, field: str) -> HashAlgorithm:
    """Read `HashAlgorithm`; SM3 and unknown values are refused."""
    match reader.enumerated(field):
        case 0:
            return HashAlgorithm.SHA256
        case 1:
            return HashAlgorithm.SHA384
        case value:
            raise reader.refuse(field, f"hash algorithm {value} is not supported")


def _encode_issuer(issuer: Issuer) -> bytes:
    if issuer.hashed_id8 is None:
        return encode_choice(IssuerKind.SELF.value, bytes((issuer.algorithm.value,)))
    if issuer.algorithm is HashAlgorithm.SHA384:
        return encode_choice(IssuerKind.SHA384_DIGEST.value, encode_opaque(issuer.hashed_id8, "issuer"))
    return encode_choice(IssuerKind.SHA256_DIGEST.value, issuer.hashed_id8)


def _read_tbs(reader: CoerReader, field: str) -> ToBeSignedCertificate:
    present = reader.preamble(field, bits=8)
    if present & 0x80:
        raise reader.refuse(field, "extensions of the certificate are not supported")
    identity = read_certificate_id(reader, f"{field}.id")
    craca_id = HashedId3(reader.octets(3, f"{field}.craca_id"))
    crl_series = reader.unsigned(2, f"{field}.crl_series")
    validity = read_validity(reader, f"{field}.validity")
    region = read_region(reader, f"{field}.region") if present & 0x40 else None
    assurance_level = reader.unsigned(1, f"{field}.assurance_level") if present & 0x20 else None
    app = read_app_permissions(reader, f"{field}.app_permissions") if present & 0x10 else None
    issue = read_group_permissions(reader, f"{field}.cert_issue_permissions") if present & 0x08 else None
    request = read_group_permissions(reader, f"{field}.cert_request_permissions") if present & 0x04 else None
    encryption_key = read_encryption_key(reader, f"{field}.encryption_key") if present & 0x01 else None
    if encryption_key is not None and encryption_key.point.form is PointForm.X_ONLY:
        raise reader.refuse(f"{field}.encryption_key", "an x-only point does not determine a public key")
    if reader.choice(f"{field}.verification_key") != 0:
        raise reader.refuse(f"{field}.verification_key", "implicit certificates are not supported")
    curve, point = read_verification_key(reader, f"{field}.verification_key")
    return ToBeSignedCertificate(
        id=identity,
        craca_id=craca_id,
        crl_series=crl_series,
        validity=validity,
        region=region,
        assurance_level=assurance_level,
        app_permissions=app,
        cert_issue_permissions=issue,
        cert_request_permissions=request,
        can_request_rollover=bool(present & 0x02),
        encryption_key=encryption_key,
        curve=curve,
        verification_key=point,
    )


def read_certificate_id(reader: CoerReader, field: str) -> CertificateId:
    """Read `CertificateId`; raises `DecodeError`."""
    match reader.choice(field):
        case IdKind.LINKAGE.value:
            start = reader.position
            has_group = reader.preamble(field, bits=1)
            reader.octets(2 + 9 + (13 if has_group else 0), field)
            return CertificateId(kind=IdKind.LINKAGE, octets=reader.since(start))
        case IdKind.NAME.value:
            octets = reader.opaque(field, maximum=MAX_NAME_OCTETS)
            try:
                return CertificateId(kind=IdKind.NAME, name=octets.decode("utf-8"))
            except UnicodeDecodeError:
                raise reader.refuse(field, "the name is not UTF-8") from None
        case IdKind.BINARY.value:
            octets = reader.opaque(field, maximum=64)
            if not octets:
                raise reader.refuse(field, "the binary identifier is empty")
            return CertificateId(kind=IdKind.BINARY, octets=octets)
        case IdKind.NONE.value:
            return CertificateId()
        case index:
            raise reader.refuse(field, f"identifier alternative {index} is unknown")


def encode_certificate_id(identity: CertificateId) -> bytes:
    """Encode `CertificateId`; raises `EncodeError` for a name that is too long or no text."""
    match identity.kind:
        case IdKind.LINKAGE:
            value = identity.octets
        case IdKind.NAME:
            try:
                name = (identity.name or "").encode("utf-8")
            except UnicodeEncodeError:
                raise EncodeError("id.name", f"{identity.name!r} is no text in UTF-8") from None
            if len(name) > MAX_NAME_OCTETS:
                raise EncodeError("id.name", f"{len(name)} octets, at most {MAX_NAME_OCTETS} are allowed")
            value = encode_opaque(name, "id.name")
        case IdKind.BINARY:
            value = encode_opaque(identity.octets, "id.binary")
        case IdKind.NONE:
            value = b""
    return encode_choice(identity.kind.value, value)
