"""Content for named recipients: `EncryptedData` of IEEE 1609.2 6.3.37-6.3.42, parsed strictly to its end and not opened.

Left out: decryption (ECIES and AES-128-CCM), SM4.
"""

from dataclasses import dataclass
from enum import Enum

from shared.codec.coer import CoerReader
from shared.core.ids import HashedId8
from shared.security.ecdsa import PointForm, read_point

MAX_RECIPIENTS = 16
"""Recipients of encrypted content."""


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
            if reader.choice(field) > 1:
                raise reader.refuse(field, "the encrypted key is of an unknown kind")
            point = read_point(reader, 32, field)
            if point.form is PointForm.X_ONLY:
                raise reader.refuse(field, "an x-only point does not determine a public key")
            reader.octets(16 + 16, field)
    return Recipient(kind=kind, hashed_id8=identifier, encrypted_key=reader.since(start))


def _read_ciphertext(reader: CoerReader) -> tuple[bytes, bytes]:
    field = "encrypted.ciphertext"
    if reader.choice(field) != 0:
        raise reader.refuse(field, "the symmetric algorithm is not AES-128-CCM")
    nonce = reader.octets(12, field)
    ciphertext = reader.opaque(field)
    if len(ciphertext) < 16:
        raise reader.refuse(field, "shorter than its tag")
    return nonce, ciphertext
