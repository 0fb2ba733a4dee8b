"""Which 32 bytes may be an Ed25519 public key, and strict verification (RFC 8032).

Common libraries load any 32 bytes as a public key and accept points of low order, under which one signature can hold for many
messages, and encodings that are not canonical, under which one key has several names. A key that enters a policy is therefore
checked here once: canonical, on the curve, and of prime order. Signing and the verification equation itself are the library's.
Not constant time: keys checked here are public.
"""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.core.errors import DecodeError, ProofError

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

MAX_LOADED_KEYS = 512
"""Keys whose check is remembered: it takes a hundred times as long as a signature."""

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_SQRT_M1 = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]
_IDENTITY: _Point = (0, 1, 1, 0)


def check_public_key(encoded: bytes) -> None:
    """Raise `DecodeError` unless `encoded` is the canonical encoding of a point of prime order (RFC 8032 5.1.3, 5.1.7)."""
    if len(encoded) != PUBLIC_KEY_BYTES:
        raise DecodeError("public_key", f"an Ed25519 public key has 32 bytes, not {len(encoded)}")
    value = int.from_bytes(encoded, "little")
    sign, y = value >> 255, value & (1 << 255) - 1
    if y >= _P:
        raise DecodeError("public_key", "not a canonical encoding (y is not below 2^255 - 19)")
    x = _recover_x(y, sign)
    point = (x, y, 1, x * y % _P)
    if _is_identity(point) or not _is_identity(_multiply(_L, point)):
        raise DecodeError("public_key", "a point of low or mixed order, under which a signature proves nothing")


@lru_cache(maxsize=MAX_LOADED_KEYS)
def load_public_key(encoded: bytes) -> Ed25519PublicKey:
    """Return the key, ready to verify; raise `DecodeError` as `check_public_key`. A key checked lately is not checked again."""
    check_public_key(encoded)
    return Ed25519PublicKey.from_public_bytes(encoded)


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Raise `ProofError` unless `signature` over `message` holds under `public_key`, `DecodeError` unless that is a key."""
    try:
        load_public_key(public_key).verify(signature, message)
    except InvalidSignature:
        raise ProofError("the Ed25519 signature does not hold") from None


def _recover_x(y: int, sign: int) -> int:
    """x^2 = (y^2 - 1) / (d y^2 + 1)."""
    x2 = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(x2, (_P + 3) // 8, _P)
    if (x * x - x2) % _P:
        x = x * _SQRT_M1 % _P
    if (x * x - x2) % _P:
        raise DecodeError("public_key", "not a point of the curve")
    if x == 0 and sign:
        raise DecodeError("public_key", "not a canonical encoding (zero with a sign)")
    return _P - x if x & 1 != sign else x


def _is_identity(p: _Point) -> bool:
    return p[0] % _P == 0 and (p[1] - p[2]) % _P == 0


def _add(p: _Point, q: _Point) -> _Point:
    """Extended coordinates, unified addition (RFC 8032 5.1.4)."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _multiply(scalar: int, p: _Point) -> _Point:
    result = _IDENTITY
    while scalar:
        if scalar & 1:
            result = _add(result, p)
        p = _add(p, p)
        scalar >>= 1
    return result
