"""ECDSA on the four curves of IEEE 1609.2 (6.3.29-6.3.36): points, signatures over a digest, keys.

The signed digest is made elsewhere (`hashing`); here it is opaque octets of the curve's hash. A public key object is built once
per certificate and kept, so that the only dear step per message is the verification itself. A real key signs with the library's
hedged nonces (OpenSSL mixes key and digest into what it draws, so a weak random source alone leaks nothing), a published or
simulated one with those of RFC 6979, which repeat and cost a quarter more. Left out: SM2, implicit certificates (ECQV).
"""

from dataclasses import dataclass
from enum import Enum
from typing import NoReturn, Protocol, Self, SupportsIndex

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from shared.codec.coer import CoerReader, encode_choice, encode_opaque
from shared.core.errors import ConfigError, DecodeError, EncodeError, VerificationError
from shared.core.report import VerificationReport
from shared.security.hashing import HashAlgorithm


@dataclass(frozen=True, slots=True)
class _CurveFacts:
    index: int
    octets: int
    order: int
    hash_algorithm: HashAlgorithm
    curve: ec.EllipticCurve


class Curve(Enum):
    """A curve and the numbers that belong to it; the value is the name people use."""

    NIST_P256 = "P-256"
    BRAINPOOL_P256R1 = "brainpoolP256r1"
    BRAINPOOL_P384R1 = "brainpoolP384r1"
    NIST_P384 = "P-384"

    @property
    def index(self) -> int:
        """Index of the alternative in `Signature` and `PublicVerificationKey`."""
        return _FACTS[self].index

    @property
    def octets(self) -> int:
        """Octets of a coordinate and of a scalar."""
        return _FACTS[self].octets

    @property
    def order(self) -> int:
        """Order of the group; signatures hold scalars in [1, order - 1]."""
        return _FACTS[self].order

    @property
    def hash_algorithm(self) -> HashAlgorithm:
        """SHA-256 for 256-bit keys, SHA-384 for 384-bit keys."""
        return _FACTS[self].hash_algorithm

    @property
    def in_extension(self) -> bool:
        """Whether the alternative stands behind the extension marker and is wrapped in a length."""
        return self.index >= 2

    @property
    def parameters(self) -> ec.EllipticCurve:
        """The curve as the cryptographic library names it."""
        return _FACTS[self].curve


_FACTS = {
    Curve.NIST_P256: _CurveFacts(
        0,
        32,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        HashAlgorithm.SHA256,
        ec.SECP256R1(),
    ),
    Curve.BRAINPOOL_P256R1: _CurveFacts(
        1,
        32,
        0xA9FB57DBA1EEA9BC3E660A909D838D718C397AA3B561A6F7901E0E82974856A7,
        HashAlgorithm.SHA256,
        ec.BrainpoolP256R1(),
    ),
    Curve.BRAINPOOL_P384R1: _CurveFacts(
        2,
        48,
        0x8CB91E82A3386D280F5D6F7E50E641DF152F7109ED5456B31F166E6CAC0425A7CF3AB6AF6B7FC3103B883202E9046565,
        HashAlgorithm.SHA384,
        ec.BrainpoolP384R1(),
    ),
    Curve.NIST_P384: _CurveFacts(
        3,
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        HashAlgorithm.SHA384,
        ec.SECP384R1(),
    ),
}

_CURVE_BY_INDEX = {curve.index: curve for curve in Curve}


def _algorithm(curve: Curve, *, deterministic: bool) -> ec.ECDSA:
    digest = hashes.SHA256() if curve.octets == 32 else hashes.SHA384()
    return ec.ECDSA(Prehashed(digest), deterministic_signing=deterministic)


_ALGORITHMS = {curve: _algorithm(curve, deterministic=False) for curve in Curve}
P256_FRAMES = (
    (b"\x30\x44\x02\x20", b"\x02\x20"),
    (b"\x30\x45\x02\x20", b"\x02\x21\x00"),
    (b"\x30\x45\x02\x21\x00", b"\x02\x20"),
    (b"\x30\x46\x02\x21\x00", b"\x02\x21\x00"),
)
"""DER around r and s of 32 octets whose first is not zero: in front of r and of s, by the highest bits of both. That they are less
than the order is for the library to find when it verifies."""

_ORDERS = {curve: curve.order.to_bytes(curve.octets, "big") for curve in Curve}
"""In octets; one object for all keys of a curve."""

_REPEATABLE_ALGORITHMS = {curve: _algorithm(curve, deterministic=True) for curve in Curve}


class PointForm(Enum):
    """How a point is written; the value is the index in `EccP256CurvePoint` and `EccP384CurvePoint`."""

    X_ONLY = 0
    COMPRESSED_Y0 = 2
    COMPRESSED_Y1 = 3
    UNCOMPRESSED = 4


_FORM_BY_INDEX = {form.value: form for form in PointForm}
_P256 = Curve.NIST_P256
_P256_X_ONLY = bytes((0x80, 0x80))


@dataclass(frozen=True, slots=True, kw_only=True)
class EccPoint:
    """A point as it was written: big-endian coordinates of the curve's width; `y` only when uncompressed."""

    form: PointForm
    x: bytes
    y: bytes | None = None

    @property
    def compressed(self) -> "EccPoint":
        """The canonical form of a key's point (IEEE 1609.2 6.3.1 canonicalization); an x-only point stays as it is."""
        if self.y is None:
            return self
        form = PointForm.COMPRESSED_Y1 if self.y[-1] & 1 else PointForm.COMPRESSED_Y0
        return EccPoint(form=form, x=self.x)


def read_point(reader: CoerReader, octets: int, field: str) -> EccPoint:
    """Read `EccP256CurvePoint` (32 octets) or `EccP384CurvePoint` (48); the `fill` form and unknown tags are refused."""
    index = reader.choice(field)
    form = _FORM_BY_INDEX.get(index)
    if form is None:
        raise reader.refuse(field, f"point form {index} is not usable")
    x = reader.octets(octets, field)
    return EccPoint(form=form, x=x, y=reader.octets(octets, field) if form is PointForm.UNCOMPRESSED else None)


def encode_point(point: EccPoint) -> bytes:
    """Encode a point in the form it is held in."""
    return encode_choice(point.form.value, point.x + (point.y or b""))


class Signature(msgspec.Struct, frozen=True, gc=False):
    """An ECDSA signature: r and s as big-endian octets of the curve's width.

    Attributes:
        canonical: False when r was not written x-only on the wire; the value is the same.
    """

    curve: Curve
    r: bytes
    s: bytes
    canonical: bool = True

    @classmethod
    def from_p1363(cls, curve: Curve, octets: bytes) -> Self:
        """Take r || s; raises `DecodeError` when the length is not twice the curve's width."""
        if len(octets) != 2 * curve.octets:
            raise DecodeError("signature", f"{len(octets)} octets, {2 * curve.octets} are needed")
        return cls(curve=curve, r=octets[: curve.octets], s=octets[curve.octets :])

    @property
    def p1363(self) -> bytes:
        """The concatenation r || s."""
        return self.r + self.s

    @property
    def mirrored(self) -> "Signature":
        """The other signature that holds wherever this one does, and that anybody can make of it: r and the order less s."""
        s = int.from_bytes(self.s, "big")
        mirror = (self.curve.order - s) % self.curve.order
        return Signature(curve=self.curve, r=self.r, s=mirror.to_bytes(self.curve.octets, "big"))


def read_signature(reader: CoerReader, field: str) -> Signature:
    """Read IEEE 1609.2 `Signature`; r may be x-only, compressed or uncompressed, only its x counts."""
    index = reader.choice(field)
    curve = _CURVE_BY_INDEX.get(index)
    if curve is None:
        raise reader.refuse(field, f"signature algorithm {index} is not supported")
    inner = reader.open_type(field) if curve.in_extension else reader
    point = read_point(inner, curve.octets, field)
    s = inner.octets(curve.octets, field)
    if curve.in_extension:
        inner.finish(field)
    return Signature(curve=curve, r=point.x, s=s, canonical=point.form is PointForm.X_ONLY)


def encode_signature(signature: Signature) -> bytes:
    """Encode IEEE 1609.2 `Signature` with r x-only."""
    if signature.curve is _P256:
        return _P256_X_ONLY + signature.r + signature.s
    value = encode_choice(PointForm.X_ONLY.value, signature.r) + signature.s
    curve = signature.curve
    return encode_choice(curve.index, encode_opaque(value, "signature") if curve.in_extension else value)


def read_verification_key(reader: CoerReader, field: str) -> tuple[Curve, EccPoint]:
    """Read IEEE 1609.2 `PublicVerificationKey`; the point is not yet known to lie on the curve."""
    index = reader.choice(field)
    curve = _CURVE_BY_INDEX.get(index)
    if curve is None:
        raise reader.refuse(field, f"key algorithm {index} is not supported")
    inner = reader.open_type(field) if curve.in_extension else reader
    point = read_point(inner, curve.octets, field)
    if curve.in_extension:
        inner.finish(field)
    if point.form is PointForm.X_ONLY:
        raise reader.refuse(field, "an x-only point does not determine a public key")
    return curve, point


def encode_verification_key(curve: Curve, point: EccPoint) -> bytes:
    """Encode IEEE 1609.2 `PublicVerificationKey`."""
    value = encode_point(point)
    return encode_choice(curve.index, encode_opaque(value, "key") if curve.in_extension else value)


class PublicKey:
    """A point known to lie on its curve, ready to verify.

    Attributes:
        verify: the library's own, of a framed signature, a digest of the right length and `algorithm`; for the hot path, which is
            to turn `InvalidSignature` into `false_signature()` itself. Everybody else asks `verify_digest`.
        algorithm: see `verify`.
    """

    __slots__ = ("_digest_octets", "_key", "_order", "_point", "algorithm", "curve", "hash_algorithm", "verify")

    def __init__(self, curve: Curve, key: ec.EllipticCurvePublicKey) -> None:
        if key.curve.name != curve.parameters.name:
            raise EncodeError("public_key", f"key on {key.curve.name}, not on {curve.value}")
        self.curve = curve
        self.hash_algorithm = curve.hash_algorithm
        self._key = key
        self.verify = key.verify
        self.algorithm = _ALGORITHMS[curve]
        self._digest_octets = curve.hash_algorithm.octets
        self._order = _ORDERS[curve]
        octets = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
        self._point = EccPoint(form=_FORM_BY_INDEX[octets[0]], x=octets[1:])

    @classmethod
    def from_point(cls, curve: Curve, point: EccPoint) -> Self:
        """Load a compressed or uncompressed point.

        Raises:
            DecodeError: the point is x-only (two keys would fit) or not on the curve.
        """
        match point.form:
            case PointForm.UNCOMPRESSED:
                octets = b"\x04" + point.x + (point.y or b"")
            case PointForm.COMPRESSED_Y0 | PointForm.COMPRESSED_Y1:
                octets = bytes((point.form.value,)) + point.x
            case PointForm.X_ONLY:
                raise DecodeError("public_key", "an x-only point does not determine a public key")
        try:
            return cls(curve, ec.EllipticCurvePublicKey.from_encoded_point(curve.parameters, octets))
        except ValueError as error:
            raise DecodeError("public_key", f"the point is not on {curve.value}") from error

    @property
    def point(self) -> EccPoint:
        """The point in compressed form."""
        return self._point

    @property
    def sec1(self) -> bytes:
        """The compressed point as SEC 1 2.3.3 writes it."""
        return bytes((self._point.form.value,)) + self._point.x

    @property
    def native(self) -> ec.EllipticCurvePublicKey:
        """The key as the cryptographic library holds it, for writing key files and for ECDH."""
        return self._key

    def verify_digest(self, digest: bytes, signature: Signature) -> None:
        """Verify a signature over `digest` (octets of the curve's hash).

        Raises:
            VerificationError: `FALSE_SIGNATURE`, also for a scalar outside [1, order - 1] or a signature of another curve.
        """
        framed = self.framed(signature)
        if len(digest) != self._digest_octets:
            raise _false_signature("the digest is out of range")
        try:
            self.verify(framed, digest, self.algorithm)
        except InvalidSignature:
            raise false_signature() from None

    def framed(self, signature: Signature) -> bytes:
        """Return a signature as `verify` takes it.

        Raises:
            VerificationError: `FALSE_SIGNATURE` for a scalar outside [1, order - 1] or a signature of another curve.
        """
        if signature.curve is not self.curve:
            raise _false_signature(f"the signature is on {signature.curve.value}, the key on {self.curve.value}")
        return self.frame(signature.r, signature.s)

    def frame(self, r: bytes, s: bytes) -> bytes:
        """Return the DER form of r and s; raises as `framed`. Nearly every pair of 32 octets needs one of `P256_FRAMES`."""
        order = self._order
        # Octet strings of one length compare as the numbers they stand for.
        if not (r < order and s < order and len(r) == len(s) == len(order)):
            raise _false_signature("a signature scalar is out of range")
        if len(r) == 32 and r[0] and s[0]:
            head, middle = P256_FRAMES[r[0] >> 7 << 1 | s[0] >> 7]
            return head + r + middle + s
        r_number, s_number = int.from_bytes(r, "big"), int.from_bytes(s, "big")
        if not r_number or not s_number:
            raise _false_signature("a signature scalar is out of range")
        return encode_dss_signature(r_number, s_number)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return self.curve is other.curve and self._point == other._point

    def __hash__(self) -> int:
        return hash((self.curve, self._point.x))

    def __repr__(self) -> str:
        return f"PublicKey({self.curve.value}, {self._point.x.hex()})"


class Signer(Protocol):
    """Where a private key lives: a file, a token, a TPM. The key itself never leaves it."""

    @property
    def curve(self) -> Curve:
        """The key's curve."""
        ...

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        ...

    def sign_digest(self, digest: bytes) -> Signature:
        """Sign `digest`, octets of the curve's hash."""
        ...


class SoftwareSigner:
    """A private key in this program's memory.

    Args:
        key: the key.
        is_repeatable: sign by RFC 6979, so that one digest always gets the same signature.
    """

    __slots__ = ("_algorithm", "_digest_octets", "_key", "_octets", "_sign", "curve", "public_key")

    def __init__(self, key: ec.EllipticCurvePrivateKey, *, is_repeatable: bool = False) -> None:
        curve = next((curve for curve in Curve if curve.parameters.name == key.curve.name), None)
        if curve is None:
            raise ConfigError("private key", f"curve {key.curve.name} is not one of IEEE 1609.2")
        self._key = key
        self._sign = key.sign
        self._algorithm = (_REPEATABLE_ALGORITHMS if is_repeatable else _ALGORITHMS)[curve]
        self._octets = curve.octets
        self._digest_octets = curve.hash_algorithm.octets
        self.curve = curve
        self.public_key = PublicKey(curve, key.public_key())

    @classmethod
    def generate(cls, curve: Curve) -> Self:
        """Make a fresh key from the operating system's random source."""
        return cls(ec.generate_private_key(curve.parameters))

    @classmethod
    def from_scalar(cls, curve: Curve, scalar: int) -> Self:
        """Take a published test key or one drawn by a simulation, which signs repeatably; `scalar` in [1, order - 1]."""
        if not 0 < scalar < curve.order:
            raise EncodeError("private_key", "scalar out of range")
        return cls(ec.derive_private_key(scalar, curve.parameters), is_repeatable=True)

    @property
    def native(self) -> ec.EllipticCurvePrivateKey:
        """The key as the cryptographic library holds it, for the key store."""
        return self._key

    def sign_digest(self, digest: bytes) -> Signature:
        """Sign `digest`, octets of the curve's hash; raises `EncodeError` for another length."""
        if len(digest) != self._digest_octets:
            raise EncodeError("digest", f"{len(digest)} octets for {self.curve.value}")
        der, octets = self._sign(digest, self._algorithm), self._octets
        s_at = 6 + der[3]  # all lengths have one octet
        r, s = der[4 : s_at - 2], der[s_at:]
        return Signature(self.curve, r[-octets:].rjust(octets, b"\x00"), s[-octets:].rjust(octets, b"\x00"))

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled."""
        raise TypeError("a private key is neither copied nor pickled")

    def __repr__(self) -> str:
        return f"SoftwareSigner({self.public_key!r})"


def false_signature() -> VerificationError:
    """Return what is raised for a signature that does not hold."""
    return _false_signature("the signature does not hold under the signer's key")


def _false_signature(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.FALSE_SIGNATURE, detail)
