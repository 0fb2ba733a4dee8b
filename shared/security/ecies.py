"""Encryption of IEEE 1609.2 5.3.4-5.3.8: AES-128-CCM under a fresh key, and ECIES that wraps the key for a recipient.

    Z       x coordinate of the agreement between the sender's one-time key and the recipient's
    Ke, Km  = KDF2-SHA256(Z, P1): 16 octets to wrap with, 32 to authenticate with
    c, t    = key xor Ke; first 16 octets of HMAC-SHA256(Km, c)

P1 binds the wrapped key to the recipient's certificate: SHA-256 over its canonical octets. A certificate on a 384-bit curve has a
SHA-384 identifier, and the text of the standard could be read as meaning that hash here too; deployed authorities compute SHA-256
for every certificate, and so do we. A key known to both sides is named by the last eight octets of SHA-256 over `80` and the key.

Keys and nonces are handed in: nothing here draws a random number, and no key may serve twice with one nonce. Every failure to
decrypt is the same error with the same sentence. Left out: 384-bit curves (no ECIES is defined on them), SM2, rekeying.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest, digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import HashedId8
from shared.security.certificate import Certificate
from shared.security.ecdsa import PublicKey, SoftwareSigner
from shared.security.encrypted_data import (
    KEY_OCTETS,
    NONCE_OCTETS,
    TAG_OCTETS,
    EncryptedData,
    Recipient,
    RecipientKind,
    WrappedKey,
    decode_wrapped_key,
    encode_wrapped_key,
)
from shared.security.encryption_key import EncryptionKey
from shared.security.hashing import hashed_id8

_MAC_KEY_OCTETS = 32
_HASH_OCTETS = 32


class DecryptionError(DecodeError):
    """Encrypted content cannot be opened; why is not said, so that nobody learns from it."""

    def __init__(self) -> None:
        super().__init__("encrypted", "the content cannot be opened with the key at hand")

    @property
    def code(self) -> str:
        """`decryption`."""
        return "decryption"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrypted:
    """What was inside, and the key it was under, which also serves for the answer."""

    plaintext: bytes = field(repr=False)
    key: bytes = field(repr=False)


def symmetric_key_id(key: bytes) -> HashedId8:
    """Return how a key known to both sides is named (IEEE 1609.2 6.3.38)."""
    return hashed_id8(sha256(b"\x80" + key).digest())


def binding_to(certificate: Certificate) -> bytes:
    """Return P1 for a recipient's certificate: SHA-256 over its canonical octets, whatever its own hash."""
    return sha256(certificate.canonical).digest()


def kdf2(secret: bytes, parameter: bytes, octets: int) -> bytes:
    """Derive `octets` octets by KDF2 with SHA-256 (IEEE 1363a 13.2): blocks of H(secret || counter from 1 || parameter)."""
    blocks = -(-octets // _HASH_OCTETS)
    derived = b"".join(sha256(secret + n.to_bytes(4, "big") + parameter).digest() for n in range(1, blocks + 1))
    return derived[:octets]


def wrap_key(key: bytes, *, recipient: EncryptionKey, binding: bytes, ephemeral: SoftwareSigner) -> WrappedKey:
    """Wrap an AES key for a recipient (IEEE 1609.2 5.3.5).

    Args:
        key: 16 octets.
        recipient: whose private half can unwrap it.
        binding: P1; see `binding_to`.
        ephemeral: a fresh key on the recipient's curve, used this once.

    Raises:
        DecodeError: the recipient's point is not on its curve.
        EncodeError: the one-time key is on another curve, or `key` has another length.
    """
    if ephemeral.curve is not recipient.curve or len(key) != KEY_OCTETS:
        raise EncodeError("encrypted.recipients", "the one-time key is not on the recipient's curve, or the key is none of AES-128")
    cover, mac_key = _agree(ephemeral, PublicKey.from_point(recipient.curve, recipient.point), binding)
    ciphertext = _xor(key, cover)
    return WrappedKey(
        curve=recipient.curve,
        ephemeral=ephemeral.public_key.point,
        ciphertext=ciphertext,
        tag=digest(mac_key, ciphertext, "sha256")[:TAG_OCTETS],
    )


def unwrap_key(wrapped: WrappedKey, *, private_key: SoftwareSigner, binding: bytes) -> bytes:
    """Return the AES key that was wrapped; raises `DecryptionError`."""
    if wrapped.curve is not private_key.curve:
        raise DecryptionError
    try:
        ephemeral = PublicKey.from_point(wrapped.curve, wrapped.ephemeral)
    except DecodeError:
        raise DecryptionError from None
    cover, mac_key = _agree(private_key, ephemeral, binding)
    if not compare_digest(digest(mac_key, wrapped.ciphertext, "sha256")[:TAG_OCTETS], wrapped.tag):
        raise DecryptionError
    return _xor(wrapped.ciphertext, cover)


def encrypt_to(plaintext: bytes, *, recipient: Certificate, key: bytes, nonce: bytes, ephemeral: SoftwareSigner) -> EncryptedData:
    """Encrypt to the encryption key in a certificate.

    Raises:
        DecodeError: the key in the certificate is not on its curve.
        EncodeError: the certificate has no encryption key, or a key or nonce does not fit.
    """
    encryption_key = recipient.tbs.encryption_key
    if encryption_key is None:
        raise EncodeError("encrypted.recipients", f"certificate {recipient.hashed_id8.hex()} has no key to encrypt to")
    wrapped = wrap_key(key, recipient=encryption_key, binding=binding_to(recipient), ephemeral=ephemeral)
    named = Recipient(kind=RecipientKind.CERTIFICATE, hashed_id8=recipient.hashed_id8, encrypted_key=encode_wrapped_key(wrapped))
    return EncryptedData(recipients=(named,), nonce=nonce, ciphertext=_encrypt(plaintext, key, nonce))


def encrypt_in_answer(
    plaintext: bytes, *, to: EncryptionKey, request_hash: bytes, key: bytes, nonce: bytes, ephemeral: SoftwareSigner
) -> EncryptedData:
    """Encrypt to a key that came in a signed request (IEEE 1609.2 5.3.5, 6.3.39: a recipient named by the signed data it is in).

    Args:
        plaintext: the answer.
        to: the key.
        request_hash: SHA-256 of the request, to which the wrapped key is bound (P1).
        key: fresh, 16 octets.
        nonce: fresh.
        ephemeral: a fresh key on the curve of `to`, used this once.

    Raises:
        DecodeError: the key is not on its curve.
        EncodeError: a key or nonce does not fit.
    """
    wrapped = wrap_key(key, recipient=to, binding=request_hash, ephemeral=ephemeral)
    identifier = hashed_id8(request_hash)
    named = Recipient(kind=RecipientKind.SIGNED_DATA, hashed_id8=identifier, encrypted_key=encode_wrapped_key(wrapped))
    return EncryptedData(recipients=(named,), nonce=nonce, ciphertext=_encrypt(plaintext, key, nonce))


def decrypt_answer(encrypted: EncryptedData, *, request_hash: bytes, private_key: SoftwareSigner) -> bytes:
    """Open content encrypted to the key in one's own request; raises `DecryptionError`, also where it answers another one."""
    recipient = _find(encrypted, RecipientKind.SIGNED_DATA, hashed_id8(request_hash))
    if recipient is None:
        raise DecryptionError
    wrapped = decode_wrapped_key(recipient.encrypted_key)
    return _decrypt(encrypted, unwrap_key(wrapped, private_key=private_key, binding=request_hash))


def encrypt_under(plaintext: bytes, *, key: bytes, nonce: bytes) -> EncryptedData:
    """Encrypt under a key both sides know; raises `EncodeError` when key or nonce has not its length."""
    named = Recipient(kind=RecipientKind.PRE_SHARED, hashed_id8=symmetric_key_id(key), encrypted_key=b"")
    return EncryptedData(recipients=(named,), nonce=nonce, ciphertext=_encrypt(plaintext, key, nonce))


def is_recipient(encrypted: EncryptedData, certificate: Certificate) -> bool:
    """Tell whether content is said to be encrypted to a certificate's key."""
    return _find(encrypted, RecipientKind.CERTIFICATE, certificate.hashed_id8) is not None


def decrypt_as(encrypted: EncryptedData, *, certificate: Certificate, private_key: SoftwareSigner) -> Decrypted:
    """Open content encrypted to the key in `certificate`; raises `DecryptionError`, also where it is for somebody else."""
    recipient = _find(encrypted, RecipientKind.CERTIFICATE, certificate.hashed_id8)
    if recipient is None:
        raise DecryptionError
    wrapped = decode_wrapped_key(recipient.encrypted_key)
    key = unwrap_key(wrapped, private_key=private_key, binding=binding_to(certificate))
    return Decrypted(plaintext=_decrypt(encrypted, key), key=key)


def decrypt_under(encrypted: EncryptedData, *, key: bytes) -> bytes:
    """Open content encrypted under a key both sides know; raises `DecryptionError`, also where it names another key."""
    if _find(encrypted, RecipientKind.PRE_SHARED, symmetric_key_id(key)) is None:
        raise DecryptionError
    return _decrypt(encrypted, key)


def _find(encrypted: EncryptedData, kind: RecipientKind, identifier: HashedId8) -> Recipient | None:
    named = (entry for entry in encrypted.recipients if entry.kind is kind and entry.hashed_id8 == identifier)
    return next(named, None)


def _agree(own: SoftwareSigner, theirs: PublicKey, binding: bytes) -> tuple[bytes, bytes]:
    """Return Ke and Km."""
    secret = own.native.exchange(ec.ECDH(), theirs.native)
    derived = kdf2(secret, binding, KEY_OCTETS + _MAC_KEY_OCTETS)
    return derived[:KEY_OCTETS], derived[KEY_OCTETS:]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _encrypt(plaintext: bytes, key: bytes, nonce: bytes) -> bytes:
    if len(key) != KEY_OCTETS or len(nonce) != NONCE_OCTETS:
        raise EncodeError("encrypted.ciphertext", "the key or the nonce has not its length")
    return AESCCM(key, tag_length=TAG_OCTETS).encrypt(nonce, plaintext, None)


def _decrypt(encrypted: EncryptedData, key: bytes) -> bytes:
    try:
        return AESCCM(key, tag_length=TAG_OCTETS).decrypt(encrypted.nonce, encrypted.ciphertext, None)
    except InvalidTag:
        raise DecryptionError from None
