"""What a requested certificate is to hold: `PublicKeys` and `CertificateSubjectAttributes` of TS 102 941 annex A.2.

Both are read strictly and written back octet for octet. A key here is a point as written, not yet known to lie on its curve.
"""

from dataclasses import dataclass

from shared.codec.coer import CoerReader, encode_unsigned
from shared.core.errors import EncodeError
from shared.security.certificate import CertificateId, encode_certificate_id, read_certificate_id
from shared.security.ecdsa import Curve, EccPoint, PointForm, PublicKey, encode_verification_key, read_verification_key
from shared.security.encryption_key import EncryptionKey, encode_encryption_key, read_encryption_key
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeys:
    """The keys a certificate is asked for: one to verify with, and, rarely, one to encrypt to."""

    curve: Curve
    verification_key: EccPoint
    encryption_key: EncryptionKey | None = None

    @classmethod
    def of(cls, key: PublicKey, encryption_key: EncryptionKey | None = None) -> "PublicKeys":
        """Ask for a key of ours."""
        return cls(curve=key.curve, verification_key=key.point, encryption_key=encryption_key)

    def load(self) -> PublicKey:
        """Load the verification key; raises `DecodeError` when the point is not on its curve."""
        return PublicKey.from_point(self.curve, self.verification_key)

    def check_encryption_key(self) -> None:
        """Raise `DecodeError` when there is an encryption key and its point is not on its curve."""
        if self.encryption_key is not None:
            PublicKey.from_point(self.encryption_key.curve, self.encryption_key.point)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSubjectAttributes:
    """What else the certificate is to say; None = left to the authority.

    Attributes:
        assurance_level: octet of `SubjectAssurance`.
        app_permissions: what the owner wants to send.
        cert_issue_permissions: what the owner wants to issue; authorities only.
    """

    id: CertificateId | None = None
    validity: Validity | None = None
    region: GeographicRegion | None = None
    assurance_level: int | None = None
    app_permissions: tuple[PsidSsp, ...] | None = None
    cert_issue_permissions: tuple[PsidGroupPermissions, ...] | None = None


def read_public_keys(reader: CoerReader, field: str) -> PublicKeys:
    """Read `PublicKeys`; raises `DecodeError`."""
    present = reader.preamble(field, bits=1)
    curve, point = read_verification_key(reader, f"{field}.verification_key")
    encryption_key = None
    if present:
        encryption_key = read_encryption_key(reader, f"{field}.encryption_key")
        if encryption_key.point.form is PointForm.X_ONLY:
            raise reader.refuse(f"{field}.encryption_key", "an x-only point does not determine a public key")
    return PublicKeys(curve=curve, verification_key=point, encryption_key=encryption_key)


def encode_public_keys(keys: PublicKeys) -> bytes:
    """Encode `PublicKeys`."""
    if keys.encryption_key is None:
        return b"\x00" + encode_verification_key(keys.curve, keys.verification_key)
    return b"\x80" + encode_key_material(keys)


def encode_key_material(keys: PublicKeys) -> bytes:
    """Encode the keys without preamble: what the key tag of an authorization request is made over."""
    encryption_key = b"" if keys.encryption_key is None else encode_encryption_key(keys.encryption_key)
    return encode_verification_key(keys.curve, keys.verification_key) + encryption_key


def read_subject_attributes(reader: CoerReader, field: str) -> CertificateSubjectAttributes:
    """Read `CertificateSubjectAttributes`; extensions are refused; raises `DecodeError`."""
    present = reader.preamble(field, bits=7)
    if present & 0x80:
        raise reader.refuse(field, "extensions are not supported")
    return CertificateSubjectAttributes(
        id=read_certificate_id(reader, f"{field}.id") if present & 0x40 else None,
        validity=read_validity(reader, f"{field}.validity") if present & 0x20 else None,
        region=read_region(reader, f"{field}.region") if present & 0x10 else None,
        assurance_level=reader.unsigned(1, f"{field}.assurance_level") if present & 0x08 else None,
        app_permissions=read_app_permissions(reader, f"{field}.app_permissions") if present & 0x04 else None,
        cert_issue_permissions=read_group_permissions(reader, f"{field}.cert_issue_permissions") if present & 0x02 else None,
    )


def encode_subject_attributes(attributes: CertificateSubjectAttributes) -> bytes:
    """Encode `CertificateSubjectAttributes`; raises `EncodeError` when a value does not fit."""
    parts = (
        (0x40, None if attributes.id is None else encode_certificate_id(attributes.id)),
        (0x20, None if attributes.validity is None else encode_validity(attributes.validity)),
        (0x10, None if attributes.region is None else encode_region(attributes.region)),
        (
            0x08,
            None if attributes.assurance_level is None else encode_unsigned(attributes.assurance_level, 1, "assurance_level"),
        ),
        (0x04, None if attributes.app_permissions is None else encode_app_permissions(attributes.app_permissions)),
        (
            0x02,
            None if attributes.cert_issue_permissions is None else encode_group_permissions(attributes.cert_issue_permissions),
        ),
    )
    for name in ("app_permissions", "cert_issue_permissions"):
        if getattr(attributes, name) == ():
            raise EncodeError(name, "an empty list cannot be said; leave it out")
    present = sum(bit for bit, value in parts if value is not None)
    return bytes((present,)) + b"".join(value for _, value in parts if value is not None)
