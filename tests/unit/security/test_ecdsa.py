import copy
import json
import pickle
from collections.abc import Callable
from hashlib import sha256, sha384
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from shared.codec.coer import CoerReader
from shared.core.errors import ConfigError, DecodeError, EncodeError, VerificationError
from shared.core.report import VerificationReport
from shared.security.ecdsa import (
    Curve,
    EccPoint,
    PointForm,
    PublicKey,
    Signature,
    SoftwareSigner,
    encode_signature,
    encode_verification_key,
    read_signature,
    read_verification_key,
)
from tests.helpers.data import data_file

SIGNERS = {curve: SoftwareSigner.from_scalar(curve, 0x1234567890ABCDEF + curve.index) for curve in Curve}


def digest_for(curve: Curve, message: bytes = b"message") -> bytes:
    return sha256(message).digest() if curve.octets == 32 else sha384(message).digest()


@pytest.mark.parametrize("curve", Curve)
def test_a_signature_holds_for_its_digest_and_no_other(curve: Curve) -> None:
    signer = SIGNERS[curve]
    signature = signer.sign_digest(digest_for(curve))
    signer.public_key.verify_digest(digest_for(curve), signature)
    with pytest.raises(VerificationError) as caught:
        signer.public_key.verify_digest(digest_for(curve, b"another"), signature)
    assert caught.value.report is VerificationReport.FALSE_SIGNATURE


@pytest.mark.parametrize("curve", Curve)
def test_signing_twice_gives_the_same_octets(curve: Curve) -> None:
    digest = digest_for(curve)
    assert SIGNERS[curve].sign_digest(digest) == SIGNERS[curve].sign_digest(digest)


@pytest.mark.parametrize("curve", Curve)
def test_signatures_and_keys_come_back_from_the_wire(curve: Curve) -> None:
    signature = SIGNERS[curve].sign_digest(digest_for(curve))
    cursor = CoerReader(encode_signature(signature))
    assert read_signature(cursor, "s") == signature
    cursor.finish("s")
    point = SIGNERS[curve].public_key.point
    cursor = CoerReader(encode_verification_key(curve, point))
    assert read_verification_key(cursor, "k") == (curve, point)
    cursor.finish("k")


@pytest.mark.parametrize("curve", Curve)
def test_scalars_out_of_range_are_refused(curve: Curve) -> None:
    key = SIGNERS[curve].public_key
    good = SIGNERS[curve].sign_digest(digest_for(curve))
    zero = bytes(curve.octets)
    order = curve.order.to_bytes(curve.octets, "big")
    high = bytes([0xFF]) * curve.octets
    for r, s in ((zero, good.s), (good.r, zero), (order, good.s), (good.r, order), (high, good.s), (good.r, high)):
        with pytest.raises(VerificationError, match="out of range"):
            key.verify_digest(digest_for(curve), Signature(curve=curve, r=r, s=s))


def test_a_signature_of_another_curve_is_refused() -> None:
    signature = SIGNERS[Curve.BRAINPOOL_P256R1].sign_digest(digest_for(Curve.BRAINPOOL_P256R1))
    with pytest.raises(VerificationError, match="brainpoolP256r1"):
        SIGNERS[Curve.NIST_P256].public_key.verify_digest(digest_for(Curve.NIST_P256), signature)


@pytest.mark.parametrize("curve", Curve)
def test_a_point_that_is_not_on_the_curve_is_refused(curve: Curve) -> None:
    point = SIGNERS[curve].public_key.point
    off = EccPoint(form=PointForm.UNCOMPRESSED, x=point.x, y=bytes(curve.octets))
    with pytest.raises(DecodeError, match="not on"):
        PublicKey.from_point(curve, off)
    above = EccPoint(form=PointForm.COMPRESSED_Y0, x=b"\xff" * curve.octets)
    with pytest.raises(DecodeError, match="not on"):
        PublicKey.from_point(curve, above)


def test_half_of_all_x_coordinates_are_on_no_curve() -> None:
    refused = 0
    for x in range(1, 41):
        try:
            PublicKey.from_point(Curve.NIST_P256, EccPoint(form=PointForm.COMPRESSED_Y1, x=x.to_bytes(32, "big")))
        except DecodeError:
            refused += 1
    assert 10 < refused < 30


@pytest.mark.parametrize("curve", Curve)
def test_compressed_and_uncompressed_points_are_the_same_key(curve: Curve) -> None:
    key = SIGNERS[curve].public_key
    numbers = key.native.public_numbers()
    whole = EccPoint(
        form=PointForm.UNCOMPRESSED, x=numbers.x.to_bytes(curve.octets, "big"), y=numbers.y.to_bytes(curve.octets, "big")
    )
    assert whole.compressed == key.point
    assert PublicKey.from_point(curve, whole) == key == PublicKey.from_point(curve, key.point)


def test_an_x_only_point_is_no_public_key() -> None:
    point = EccPoint(form=PointForm.X_ONLY, x=SIGNERS[Curve.NIST_P256].public_key.point.x)
    with pytest.raises(DecodeError, match="x-only"):
        PublicKey.from_point(Curve.NIST_P256, point)
    with pytest.raises(DecodeError, match="x-only"):
        read_verification_key(CoerReader(encode_verification_key(Curve.NIST_P256, point)), "k")


@pytest.mark.parametrize("form", [PointForm.COMPRESSED_Y0, PointForm.COMPRESSED_Y1])
def test_r_may_be_a_compressed_point_on_the_wire_but_is_then_not_canonical(form: PointForm) -> None:
    signature = SIGNERS[Curve.NIST_P256].sign_digest(digest_for(Curve.NIST_P256))
    encoded = bytes((0x80, 0x80 + form.value)) + signature.r + signature.s
    read = read_signature(CoerReader(encoded), "s")
    assert (read.r, read.s, read.canonical) == (signature.r, signature.s, False)


def test_the_fill_form_and_unknown_algorithms_are_refused() -> None:
    with pytest.raises(DecodeError, match="point form 1"):
        read_signature(CoerReader(bytes((0x80, 0x81)) + bytes(64)), "s")
    with pytest.raises(DecodeError, match="algorithm 4"):
        read_signature(CoerReader(bytes((0x84, 0x81)) + bytes(64)), "s")


def test_a_p1363_signature_has_exactly_twice_the_width() -> None:
    for count in (0, 63, 65, 128):
        with pytest.raises(DecodeError, match="64 are needed"):
            Signature.from_p1363(Curve.NIST_P256, bytes(count))


def test_a_digest_of_another_length_is_never_signed() -> None:
    with pytest.raises(EncodeError):
        SIGNERS[Curve.NIST_P256].sign_digest(bytes(48))


def test_a_key_on_a_foreign_curve_cannot_be_loaded() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    with pytest.raises(ConfigError, match="secp521r1"):
        SoftwareSigner(ec.generate_private_key(ec.SECP521R1()))


def test_a_signer_does_not_print_its_key() -> None:
    signer = SoftwareSigner.from_scalar(Curve.NIST_P256, 0xDEADBEEF)
    assert "deadbeef" not in repr(signer).lower()


WYCHEPROOF = {
    "ecdsa_secp256r1_sha256_p1363_test.json": (262, 173),
    "ecdsa_secp256r1_sha256_test.json": (484, 174),
}
"""Files of published attacks on verifiers: how many signatures, and how many of them hold."""


def from_der(octets: bytes) -> Signature:
    """Take the two whole numbers of an `Ecdsa-Sig-Value`; raises `ValueError` for octets that are not its DER."""
    r, s = decode_dss_signature(octets)
    if r < 0 or s < 0 or max(r, s) >= 1 << 256:
        raise ValueError(f"scalars {r} and {s} do not fit into 32 octets")
    return Signature(curve=Curve.NIST_P256, r=r.to_bytes(32, "big"), s=s.to_bytes(32, "big"))


def from_p1363(octets: bytes) -> Signature:
    return Signature.from_p1363(Curve.NIST_P256, octets)


@pytest.mark.parametrize("write", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_private_key_is_neither_copied_nor_pickled(write: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        write(SoftwareSigner.generate(Curve.NIST_P256))


@pytest.mark.parametrize("name", WYCHEPROOF)
def test_wycheproof_agrees_on_every_p256_signature(name: str) -> None:
    suite = json.loads(data_file(f"ledger/wycheproof/{name}").read_text())
    read = from_p1363 if "p1363" in name else from_der
    wrong: list[Any] = []
    count = held = 0
    for group in suite["testGroups"]:
        assert (group["publicKey"]["curve"], group["sha"]) == ("secp256r1", "SHA-256")
        encoded = bytes.fromhex(group["publicKey"]["uncompressed"])
        point = EccPoint(form=PointForm.UNCOMPRESSED, x=encoded[1:33], y=encoded[33:])
        keys = (PublicKey.from_point(Curve.NIST_P256, point), PublicKey.from_point(Curve.NIST_P256, point.compressed))
        for case in group["tests"]:
            count += 1
            verdicts = {_holds(key, read, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])) for key in keys}
            held += verdicts == {True}
            if verdicts != {case["result"] == "valid"}:
                wrong.append((case["tcId"], case["result"]))
    assert wrong == []
    assert count == suite["numberOfTests"]
    assert (count, held) == WYCHEPROOF[name]


def _holds(key: PublicKey, read: Callable[[bytes], Signature], signature: bytes, message: bytes) -> bool:
    try:
        key.verify_digest(sha256(message).digest(), read(signature))
    except (DecodeError, VerificationError, ValueError):
        return False
    return True
