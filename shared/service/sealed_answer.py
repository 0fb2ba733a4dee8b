"""An answer to a request for data, encrypted to who asked: ECIES and AES-128-CCM of IEEE 1609.2, as messages between stations.

    {"format": "v2x-sealed-answer/1", "request": base64url of its hash, "encrypted": base64url of IEEE 1609.2 `EncryptedData`}

The key to encrypt to comes in the signed request, and the wrapped key is bound to that request: the answer opens for nobody else,
and for its requester under that request only. It is the one place where requests for data meet IEEE 1609.2. Keys and nonce are
fresh for every answer; what is inside is `shared.records.data_answer`'s.
"""

from shared.codec.coer import CoerReader
from shared.core.entropy import Entropy
from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.pki.key_source import KeySource
from shared.records.data_answer import MAX_ANSWER_BYTES
from shared.records.data_request import VerifiedRequest
from shared.records.sd_jwt import decode_base64url, encode_base64url
from shared.records.strict_json import encode_json_lines, parse_json
from shared.security.ecdsa import Curve, EccPoint, PointForm, SoftwareSigner
from shared.security.ecies import DecryptionError, decrypt_answer, encrypt_in_answer
from shared.security.encrypted_data import KEY_OCTETS, NONCE_OCTETS, EncryptedData, encode_encrypted, read_encrypted
from shared.security.encryption_key import EncryptionKey

SEALED_FORMAT = "v2x-sealed-answer/1"
MAX_SEALED_BYTES = MAX_ANSWER_BYTES // 3 * 4 + 4_096
"""Of the file: base64url, and what stands around it."""

HASH_BYTES = 32


def response_point(public_key: bytes) -> EncryptionKey:
    """Return the key of a request as what is encrypted to; raise `DecodeError` if it cannot be a compressed point of P-256."""
    try:
        form = PointForm(public_key[0])
    except (IndexError, ValueError):
        form = PointForm.X_ONLY
    if form not in (PointForm.COMPRESSED_Y0, PointForm.COMPRESSED_Y1) or len(public_key) != 1 + Curve.NIST_P256.octets:
        raise DecodeError("request.response_key", "not a compressed point of P-256")
    return EncryptionKey(curve=Curve.NIST_P256, point=EccPoint(form=form, x=public_key[1:]))


def seal_answer(plaintext: bytes, request: VerifiedRequest, *, keys: KeySource, entropy: Entropy) -> bytes:
    """Encrypt an answer to who asked; return the file.

    Raises:
        RecordError: `response_key`: what the request gives to encrypt to is no key.
        EncodeError: the answer is too long.
    """
    if len(plaintext) > MAX_ANSWER_BYTES:
        raise EncodeError("answer", f"{len(plaintext)} bytes do not fit one answer of {MAX_ANSWER_BYTES}")
    try:
        encrypted = encrypt_in_answer(
            plaintext,
            to=response_point(request.request.response_key),
            request_hash=request.hash,
            key=entropy(KEY_OCTETS),
            nonce=entropy(NONCE_OCTETS),
            ephemeral=keys.generate(Curve.NIST_P256),
        )
    except DecodeError as error:
        raise RecordError("response_key", f"nothing can be encrypted to the key in the request: {error.reason}") from None
    return encode_json_lines(
        {
            "format": SEALED_FORMAT,
            "request": encode_base64url(request.hash),
            "encrypted": encode_base64url(encode_encrypted(encrypted)),
        }
    ).encode()


def open_answer(data: bytes, *, request_hash: bytes, private_key: SoftwareSigner) -> bytes:
    """Return what was encrypted to the key of one's request.

    Args:
        data: the file.
        request_hash: of the request that was sent.
        private_key: made for it.

    Raises:
        RecordError: `format`: it is no sealed answer; `request`: it answers another request; `encrypted`: it does not open.
    """
    try:
        match parse_json(data, "the file", MAX_SEALED_BYTES):
            case {"format": str(fmt), "request": str(named), "encrypted": str(octets), **rest} if not rest and fmt == SEALED_FORMAT:
                answered = decode_base64url(named, "request")
                encrypted = _read(decode_base64url(octets, "encrypted"))
            case _:
                raise RecordError("format", f"this is not an answer of the form {SEALED_FORMAT}")
    except DecodeError as error:
        raise RecordError("format", f"the answer cannot be read: {error}") from None
    if len(answered) != HASH_BYTES or answered != request_hash:
        raise RecordError("request", "this answers another request")
    try:
        return decrypt_answer(encrypted, request_hash=request_hash, private_key=private_key)
    except DecryptionError:
        raise RecordError("encrypted", "the answer does not open: it was changed, or this is not the key of its request") from None


def _read(octets: bytes) -> EncryptedData:
    reader = CoerReader(octets)
    encrypted = read_encrypted(reader)
    reader.finish("encrypted")
    return encrypted
