"""Keys that others encrypt to: `PublicEncryptionKey` of IEEE 1609.2 6.3.24, for ECIES with AES-128-CCM. Left out: SM2."""

from dataclasses import dataclass

from shared.codec.coer import CoerReader, encode_choice
from shared.security.ecdsa import Curve, EccPoint, encode_point, read_point


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionKey:
    """`PublicEncryptionKey` for ECIES with AES-128-CCM: a point on P-256 or brainpoolP256r1, not yet known to lie on it."""

    curve: Curve
    point: EccPoint


def read_encryption_key(reader: CoerReader, field: str) -> EncryptionKey:
    """Read `PublicEncryptionKey`."""
    if reader.enumerated(field) != 0:
        raise reader.refuse(field, "the symmetric algorithm is not AES-128-CCM")
    index = reader.choice(field)
    curve = {0: Curve.NIST_P256, 1: Curve.BRAINPOOL_P256R1}.get(index)
    if curve is None:
        raise reader.refuse(field, f"key algorithm {index} is not supported")
    return EncryptionKey(curve=curve, point=read_point(reader, curve.octets, field))


def encode_encryption_key(key: EncryptionKey) -> bytes:
    """Encode `PublicEncryptionKey`."""
    return b"\x00" + encode_choice(key.curve.index, encode_point(key.point))
