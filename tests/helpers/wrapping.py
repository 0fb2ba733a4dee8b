"""What somebody between a station and an authority can do to a request without opening it: wrap the same content anew."""

from dataclasses import replace

from shared.security.ecdsa import EccPoint, PointForm
from shared.security.encrypted_data import (
    EncryptedData,
    Recipient,
    RecipientKind,
    decode_wrapped_key,
    encode_wrapped_key,
)
from shared.security.secured_data import decode_secured_data, encode_encrypted_data

_MIRRORED = {
    PointForm.COMPRESSED_Y0: PointForm.COMPRESSED_Y1,
    PointForm.COMPRESSED_Y1: PointForm.COMPRESSED_Y0,
}


def mirrored(request: bytes) -> bytes:
    """Return a request with the y of its one-time key mirrored: the agreement uses x alone, so it opens as before."""
    encrypted = _encrypted(request)
    (recipient,) = encrypted.recipients
    wrapped = decode_wrapped_key(recipient.encrypted_key)
    point = EccPoint(form=_MIRRORED[wrapped.ephemeral.form], x=wrapped.ephemeral.x)
    other = replace(recipient, encrypted_key=encode_wrapped_key(replace(wrapped, ephemeral=point)))
    return encode_encrypted_data(replace(encrypted, recipients=(other,)))


def with_further_recipient(request: bytes) -> bytes:
    """Return a request that names somebody else as well."""
    encrypted = _encrypted(request)
    further = Recipient(kind=RecipientKind.PRE_SHARED, hashed_id8=encrypted.recipients[0].hashed_id8, encrypted_key=b"")
    return encode_encrypted_data(replace(encrypted, recipients=(*encrypted.recipients, further)))


def _encrypted(request: bytes) -> EncryptedData:
    content = decode_secured_data(request).content
    assert isinstance(content, EncryptedData)
    return content
