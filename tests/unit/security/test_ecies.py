from dataclasses import replace
from hashlib import sha256
from random import Random

import pytest

from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import HashedId8
from shared.pki.key_source import SeededKeySource
from shared.pki.management import EnrolmentRequest, decode_inner_ec_request, decode_management
from shared.security.ecdsa import Curve, EccPoint, PointForm, PublicKey, SoftwareSigner
from shared.security.ecies import (
    DecryptionError,
    binding_to,
    decrypt_as,
    decrypt_under,
    encrypt_to,
    encrypt_under,
    is_recipient,
    kdf2,
    symmetric_key_id,
    unwrap_key,
    wrap_key,
)
from shared.security.encrypted_data import (
    MAX_RECIPIENTS,
    EncryptedData,
    Recipient,
    RecipientKind,
    WrappedKey,
    decode_wrapped_key,
    encode_wrapped_key,
)
from shared.security.encryption_key import EncryptionKey
from shared.security.hashing import HashAlgorithm, signed_digest
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data, encode_encrypted_data
from tests.helpers.data import data_file
from tests.helpers.desks import off_curve
from tests.helpers.hierarchy import Hierarchy

PUBLISHED_SCALAR = 0x06EB0D8314ADC4C3564A8E721DF1372FF54B5C725D09E2E353F2D0A46003AB86
PUBLISHED_BINDING = bytes.fromhex("843BA5DC059A5DD3A6BF81842991608C4CB980456B9DA26F6CC2023B5115003E")
PUBLISHED_KEY = bytes.fromhex("d311371e8373bea1027e6ae573d6f1dd")

KEYS = SeededKeySource(Random(21))
AES_KEY = bytes(range(16))
NONCE = bytes(range(100, 112))
TEXT = b"what a station asks for"
BINDING = sha256(b"a certificate").digest()
ECIES_CURVES = (Curve.NIST_P256, Curve.BRAINPOOL_P256R1)
CANNOT_OPEN = "encrypted: the content cannot be opened with the key at hand"


def public(signer: SoftwareSigner) -> EncryptionKey:
    return EncryptionKey(curve=signer.curve, point=signer.public_key.point)


def wrapped(curve: Curve = Curve.NIST_P256) -> tuple[WrappedKey, SoftwareSigner]:
    recipient = KEYS.generate(curve)
    return wrap_key(AES_KEY, recipient=public(recipient), binding=BINDING, ephemeral=KEYS.generate(curve)), recipient


def cannot_open(error: pytest.ExceptionInfo[DecryptionError]) -> bool:
    return str(error.value) == CANNOT_OPEN and error.value.code == "decryption"


def published() -> EncryptedData:
    content = decode_secured_data(data_file("security/bc_encrypted.coer").read_bytes()).content
    assert isinstance(content, EncryptedData)
    return content


def test_the_published_request_opens_with_the_published_key() -> None:
    encrypted = published()
    private_key = SoftwareSigner.from_scalar(Curve.NIST_P256, PUBLISHED_SCALAR)
    (recipient,) = encrypted.recipients
    key = unwrap_key(decode_wrapped_key(recipient.encrypted_key), private_key=private_key, binding=PUBLISHED_BINDING)
    assert key == PUBLISHED_KEY
    known = EncryptedData(
        recipients=(Recipient(kind=RecipientKind.PRE_SHARED, hashed_id8=symmetric_key_id(key), encrypted_key=b""),),
        nonce=encrypted.nonce,
        ciphertext=encrypted.ciphertext,
    )
    assert len(decrypt_under(known, key=key)) == 268


def test_the_published_request_asks_for_its_station_and_proves_possession_of_its_key() -> None:
    known = replace(published(), recipients=encrypt_under(b"", key=PUBLISHED_KEY, nonce=NONCE).recipients)
    outer = decode_secured_data(decrypt_under(known, key=PUBLISHED_KEY)).content
    assert isinstance(outer, SignedData)
    assert outer.payload is not None
    assert isinstance(outer.payload.content, UnsecuredData)
    request = decode_management(outer.payload.content.payload)
    assert isinstance(request, EnrolmentRequest)
    proof = request.proof.content
    assert isinstance(proof, SignedData)
    assert proof.payload is not None
    assert isinstance(proof.payload.content, UnsecuredData)
    inner = decode_inner_ec_request(proof.payload.content.payload)
    assert inner.its_id == b"ETSI-ITS-001"
    assert [(entry.psid, entry.ssp) for entry in inner.attributes.app_permissions or ()] == [(623, b"\x01\xc0")]
    digest = signed_digest(HashAlgorithm.SHA256, sha256(proof.tbs_encoded).digest(), b"")
    inner.keys.load().verify_digest(digest, proof.signature)


def test_published_encrypted_data_is_written_as_it_was_read() -> None:
    assert encode_encrypted_data(published()) == data_file("security/bc_encrypted.coer").read_bytes()


def test_the_derivation_counts_its_blocks_from_one() -> None:
    first = sha256(b"secret" + b"\x00\x00\x00\x01" + b"parameter").digest()
    second = sha256(b"secret" + b"\x00\x00\x00\x02" + b"parameter").digest()
    assert kdf2(b"secret", b"parameter", 48) == (first + second)[:48]
    assert kdf2(b"secret", b"parameter", 32) == first


@pytest.mark.parametrize("curve", ECIES_CURVES)
def test_only_the_recipients_key_unwraps(curve: Curve) -> None:
    key, recipient = wrapped(curve)
    assert decode_wrapped_key(encode_wrapped_key(key)) == key
    assert unwrap_key(key, private_key=recipient, binding=BINDING) == AES_KEY
    assert key.ciphertext != AES_KEY
    with pytest.raises(DecryptionError) as caught:
        unwrap_key(key, private_key=KEYS.generate(curve), binding=BINDING)
    assert cannot_open(caught)


@pytest.mark.parametrize("curve", ECIES_CURVES)
def test_a_one_time_key_may_be_written_in_full(curve: Curve) -> None:
    key, recipient = wrapped(curve)
    numbers = PublicKey.from_point(curve, key.ephemeral).native.public_numbers()
    x, y = (number.to_bytes(curve.octets, "big") for number in (numbers.x, numbers.y))
    full = replace(key, ephemeral=EccPoint(form=PointForm.UNCOMPRESSED, x=x, y=y))
    assert unwrap_key(decode_wrapped_key(encode_wrapped_key(full)), private_key=recipient, binding=BINDING) == AES_KEY


def test_every_way_a_wrapped_key_can_be_wrong_is_one_error_with_one_sentence() -> None:
    key, recipient = wrapped()
    other_y = PointForm.COMPRESSED_Y0 if key.ephemeral.form is PointForm.COMPRESSED_Y1 else PointForm.COMPRESSED_Y1
    wrong = [
        replace(key, ciphertext=bytes((key.ciphertext[0] ^ 1,)) + key.ciphertext[1:]),
        replace(key, tag=key.tag[:-1] + bytes((key.tag[-1] ^ 1,))),
        replace(key, ephemeral=off_curve(Curve.NIST_P256)),
        replace(key, ephemeral=KEYS.generate(Curve.NIST_P256).public_key.point),
        replace(key, ephemeral=EccPoint(form=PointForm.X_ONLY, x=key.ephemeral.x)),
        replace(key, curve=Curve.BRAINPOOL_P256R1),
    ]
    for case in wrong:
        with pytest.raises(DecryptionError) as caught:
            unwrap_key(case, private_key=recipient, binding=BINDING)
        assert cannot_open(caught)
    with pytest.raises(DecryptionError) as caught:
        unwrap_key(key, private_key=recipient, binding=sha256(b"another certificate").digest())
    assert cannot_open(caught)
    mirrored = replace(key, ephemeral=EccPoint(form=other_y, x=key.ephemeral.x))
    assert unwrap_key(mirrored, private_key=recipient, binding=BINDING) == AES_KEY  # both have the same x, and only that is agreed


def test_a_key_is_not_wrapped_for_a_point_off_the_curve_or_with_a_key_of_another_curve() -> None:
    ephemeral = KEYS.generate(Curve.NIST_P256)
    with pytest.raises(DecodeError, match="public_key"):
        wrap_key(
            AES_KEY,
            recipient=EncryptionKey(curve=Curve.NIST_P256, point=off_curve(Curve.NIST_P256)),
            binding=BINDING,
            ephemeral=ephemeral,
        )
    recipient = public(KEYS.generate(Curve.BRAINPOOL_P256R1))
    with pytest.raises(EncodeError, match="recipient's curve"):
        wrap_key(AES_KEY, recipient=recipient, binding=BINDING, ephemeral=ephemeral)
    with pytest.raises(EncodeError, match="AES-128"):
        wrap_key(AES_KEY + b"\x00", recipient=public(ephemeral), binding=BINDING, ephemeral=ephemeral)
    with pytest.raises(EncodeError, match="no ECIES on P-384"):
        encode_wrapped_key(replace(wrapped()[0], curve=Curve.NIST_P384))
    with pytest.raises(EncodeError, match="length"):
        encode_wrapped_key(replace(wrapped()[0], tag=b""))


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("encryption_curve", ECIES_CURVES)
def test_content_for_an_authority_of_any_curve_opens_with_its_key_and_no_other(curve: Curve, encryption_curve: Curve) -> None:
    hierarchy = Hierarchy(22, curve=curve, encryption_curve=encryption_curve)
    certificate, private_key = hierarchy.ea.certificate, hierarchy.ea.credential.encryption_key
    assert private_key is not None
    assert binding_to(certificate) == sha256(certificate.canonical).digest()
    ephemeral = hierarchy.keys.generate(encryption_curve)
    encrypted = encrypt_to(TEXT, recipient=certificate, key=AES_KEY, nonce=NONCE, ephemeral=ephemeral)
    received = decode_secured_data(encode_encrypted_data(encrypted)).content
    assert received == encrypted
    assert is_recipient(encrypted, certificate)
    opened = decrypt_as(encrypted, certificate=certificate, private_key=private_key)
    assert (opened.plaintext, opened.key) == (TEXT, AES_KEY)
    assert TEXT.decode() not in repr(opened)
    assert not is_recipient(encrypted, hierarchy.aa.certificate)
    with pytest.raises(DecryptionError) as caught:
        decrypt_as(encrypted, certificate=hierarchy.aa.certificate, private_key=private_key)
    assert cannot_open(caught)


def test_a_certificate_without_encryption_key_cannot_be_encrypted_to() -> None:
    root = Hierarchy(23).root.certificate
    with pytest.raises(EncodeError, match="no key to encrypt to"):
        encrypt_to(TEXT, recipient=root, key=AES_KEY, nonce=NONCE, ephemeral=KEYS.generate(Curve.NIST_P256))


def test_every_flipped_bit_of_the_ciphertext_is_found_and_told_in_one_sentence() -> None:
    encrypted = encrypt_under(TEXT, key=AES_KEY, nonce=NONCE)
    for bit in range(8 * len(encrypted.ciphertext)):
        flipped = bytearray(encrypted.ciphertext)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecryptionError) as caught:
            decrypt_under(replace(encrypted, ciphertext=bytes(flipped)), key=AES_KEY)
        assert cannot_open(caught)
    with pytest.raises(DecryptionError):
        decrypt_under(replace(encrypted, nonce=NONCE[::-1]), key=AES_KEY)


def test_a_known_key_is_named_by_its_hash_and_opens_nothing_named_otherwise() -> None:
    encrypted = encrypt_under(TEXT, key=AES_KEY, nonce=NONCE)
    (recipient,) = encrypted.recipients
    assert recipient.hashed_id8 == sha256(b"\x80" + AES_KEY).digest()[-8:]
    assert decrypt_under(encrypted, key=AES_KEY) == TEXT
    elsewhere = replace(encrypted, recipients=(replace(recipient, hashed_id8=HashedId8(b"another!")),))
    for case, key in ((encrypted, AES_KEY[::-1]), (elsewhere, AES_KEY)):
        with pytest.raises(DecryptionError) as caught:
            decrypt_under(case, key=key)
        assert cannot_open(caught)


def test_the_recipient_is_found_among_several() -> None:
    hierarchy = Hierarchy(24)
    key = hierarchy.aa.credential.encryption_key
    assert key is not None
    to_ea, to_aa = (
        encrypt_to(
            TEXT, recipient=authority.certificate, key=AES_KEY, nonce=NONCE, ephemeral=hierarchy.keys.generate(Curve.NIST_P256)
        )
        for authority in (hierarchy.ea, hierarchy.aa)
    )
    both = replace(to_ea, recipients=to_ea.recipients + to_aa.recipients)
    assert decode_secured_data(encode_encrypted_data(both)).content == both
    assert decrypt_as(both, certificate=hierarchy.aa.certificate, private_key=key).plaintext == TEXT


@pytest.mark.parametrize(
    ("encrypted", "field"),
    [
        (replace(encrypt_under(TEXT, key=AES_KEY, nonce=NONCE), recipients=()), "recipients"),
        (
            replace(
                encrypt_under(TEXT, key=AES_KEY, nonce=NONCE),
                recipients=encrypt_under(TEXT, key=AES_KEY, nonce=NONCE).recipients * (MAX_RECIPIENTS + 1),
            ),
            "recipients",
        ),
        (replace(encrypt_under(TEXT, key=AES_KEY, nonce=NONCE), nonce=b""), "ciphertext"),
        (replace(encrypt_under(TEXT, key=AES_KEY, nonce=NONCE), ciphertext=b""), "ciphertext"),
    ],
)
def test_what_cannot_be_read_is_not_written(encrypted: EncryptedData, field: str) -> None:
    with pytest.raises(EncodeError, match=field):
        encode_encrypted_data(encrypted)


def test_keys_and_nonces_of_other_lengths_are_refused() -> None:
    for key, nonce in ((AES_KEY[1:], NONCE), (AES_KEY, NONCE[1:])):
        with pytest.raises(EncodeError, match="length"):
            encrypt_under(TEXT, key=key, nonce=nonce)


@pytest.mark.parametrize("curve", ECIES_CURVES)
def test_a_wrapped_key_cut_short_lengthened_or_of_another_kind_is_refused(curve: Curve) -> None:
    encoded = encode_wrapped_key(wrapped(curve)[0])
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_wrapped_key(encoded[:length])
    with pytest.raises(DecodeError, match="follow the value"):
        decode_wrapped_key(encoded + b"\x00")
    with pytest.raises(DecodeError, match="unknown kind"):
        decode_wrapped_key(b"\x82" + encoded[1:])
    with pytest.raises(DecodeError, match="x-only"):
        decode_wrapped_key(encoded[:1] + b"\x80" + encoded[2:])
