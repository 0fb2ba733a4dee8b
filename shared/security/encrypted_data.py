"""Content for named recipients: `EncryptedData` of IEEE 1609.2 6.3.37-6.3.42, read strictly to its end and written.

The key for a recipient that is named by a certificate, or by the key in a signed message, is wrapped by ECIES; how it is opened and
how content is encrypted is `ecies`. Left out: SM4, and reading what is wrapped under a symmetric key.
"""

from dataclasses import dataclass
from enum import Enum

from shared.codec.coer import CoerReader, encode_choice, encode_opaque, encode_sequence_of
from shared.core.errors import EncodeError
from shared.core.ids import HashedId8
from shared.security.ecdsa import Curve, EccPoint, PointForm, encode_point, read_point

MAX_RECIPIENTS = 16
"""Recipients of encrypted content."""

NONCE_OCTETS = 12
"""Octets of the AES-128-CCM nonce."""

TAG_OCTETS = 16
"""Octets of the tag of AES-128-CCM, and of the tag over a wrapped key."""

KEY_OCTETS = 16
"""Octets of an AES-128 key."""

_ECIES_CURVES = {0: Curve.NIST_P256, 1: Curve.BRAINPOOL_P256R1}


class RecipientKind(Enum):
    """IEEE 1609.2 `RecipientInfo`; the value is the index on the wire."""

    PRE_SHARED = 0
    SYMMETRIC = 1
    CERTIFICATE = 2
    SIGNED_DATA = 3
    REKEY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One recipient: how it is named, and its encrypted key as octets (empty for a pre-shared key)."""

    kind: RecipientKind
    hashed_id8: HashedId8
    encrypted_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """`EciesP256EncryptedKey` with its curve: an AES key only the holder of one private key can unwrap (IEEE 1609.2 6.3.41).

    Attributes:
        ephemeral: the sender's one-time public key, not yet known to lie on the curve.
        ciphertext: the AES key under a key of the agreement.
        tag: over `ciphertext`.
    """

    curve: Curve
    ephemeral: EccPoint
    ciphertext: bytes
    tag: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedData:
    """Content for named recipients: AES-128-CCM nonce, and ciphertext with its 16-octet tag."""

    recipients: tuple[Recipient, ...]
    nonce: bytes
    ciphertext: bytes


def read_encrypted(reader: CoerReader) -> EncryptedData:
    """Read `EncryptedData`; raises `DecodeError`."""
    count = reader.count("encrypted.recipients", minimum=1, maximum=MAX_RECIPIENTS)
    recipients = tuple(_read_recipient(reader) for _ in range(count))
    nonce, ciphertext = _read_ciphertext(reader)
    return EncryptedData(recipients=recipients, nonce=nonce, ciphertext=ciphertext)


def encode_encrypted(encrypted: EncryptedData) -> bytes:
    """Encode `EncryptedData`; raises `EncodeError` for a nonce, ciphertext or number of recipients that cannot be."""
    if not 1 <= len(encrypted.recipients) <= MAX_RECIPIENTS:
        raise EncodeError("encrypted.recipients", f"{len(encrypted.recipients)} recipients")
    if len(encrypted.nonce) != NONCE_OCTETS or len(encrypted.ciphertext) < TAG_OCTETS:
        raise EncodeError("encrypted.ciphertext", "the nonce or the tag has not its length")
    recipients = tuple(
        encode_choice(recipient.kind.value, recipient.hashed_id8 + recipient.encrypted_key) for recipient in encrypted.recipients
    )
    ciphertext = encode_choice(0, encrypted.nonce + encode_opaque(encrypted.ciphertext, "encrypted.ciphertext"))
    return encode_sequence_of(recipients, "encrypted.recipients") + ciphertext


def decode_wrapped_key(octets: bytes) -> WrappedKey:
    """Decode the `encrypted_key` of a recipient named by certificate, signed data or rekeying; raises `DecodeError`."""
    reader = CoerReader(octets)
    wrapped = _read_wrapped_key(reader, "encrypted.recipients")
    reader.finish("encrypted.recipients")
    return wrapped


def encode_wrapped_key(wrapped: WrappedKey) -> bytes:
    """Encode `EncryptedDataEncryptionKey`; raises `EncodeError` for a 384-bit curve or a key or tag of another length."""
    if wrapped.curve not in _ECIES_CURVES.values():
        raise EncodeError("encrypted.recipients", f"there is no ECIES on {wrapped.curve.value}")
    if len(wrapped.ciphertext) != KEY_OCTETS or len(wrapped.tag) != TAG_OCTETS:
        raise EncodeError("encrypted.recipients", "the wrapped key or its tag has not its length")
    return encode_choice(wrapped.curve.index, encode_point(wrapped.ephemeral) + wrapped.ciphertext + wrapped.tag)


def _read_wrapped_key(reader: CoerReader, field: str) -> WrappedKey:
    curve = _ECIES_CURVES.get(reader.choice(field))
    if curve is None:
        raise reader.refuse(field, "the encrypted key is of an unknown kind")
    point = read_point(reader, curve.octets, field)
    if point.form is PointForm.X_ONLY:
        raise reader.refuse(field, "an x-only point does not determine a public key")
    ciphertext = reader.octets(KEY_OCTETS, field)
    return WrappedKey(curve=curve, ephemeral=point, ciphertext=ciphertext, tag=reader.octets(TAG_OCTETS, field))


def _read_recipient(reader: CoerReader) -> Recipient:
    field = "encrypted.recipients"
    index = reader.choice(field)
    if index > RecipientKind.REKEY.value:
        raise reader.refuse(field, f"recipient alternative {index} is unknown")
    kind = RecipientKind(index)
    identifier = HashedId8(reader.octets(8, field))
    start = reader.position
    match kind:
        case RecipientKind.PRE_SHARED:
            pass
        case RecipientKind.SYMMETRIC:
            _read_ciphertext(reader)
        case RecipientKind.CERTIFICATE | RecipientKind.SIGNED_DATA | RecipientKind.REKEY:
            _read_wrapped_key(reader, field)
    return Recipient(kind=kind, hashed_id8=identifier, encrypted_key=reader.since(start))


def _read_ciphertext(reader: CoerReader) -> tuple[bytes, bytes]:
    field = "encrypted.ciphertext"
    if reader.choice(field) != 0:
        raise reader.refuse(field, "the symmetric algorithm is not AES-128-CCM")
    nonce = reader.octets(NONCE_OCTETS, field)
    ciphertext = reader.opaque(field)
    if len(ciphertext) < TAG_OCTETS:
        raise reader.refuse(field, "shorter than its tag")
    return nonce, ciphertext
