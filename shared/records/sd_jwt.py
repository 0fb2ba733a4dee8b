"""SD-JWT: a signed JSON token whose claims can be shown one by one (RFC 9901), with ES256 and SHA-256.

    <issuer-signed JWT>~<disclosure>~...~<disclosure>~

A hidden claim is in the signed part only as the hash of a salted disclosure; whoever holds the token leaves out disclosures to hide
claims, and can neither add nor change one. Left out on purpose: key binding (a record belongs to whoever shows it), other hash and
signature algorithms, decoy digests, and claims about the token's own lifetime, which a record of the past does not have.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.records.strict_json import Json, encode_json, parse_json

MAX_SD_JWT_CHARACTERS = 16_384
MAX_DISCLOSURES = 64
DISCLOSURE_SALT_BYTES = 16
ES256_SIGNATURE_BYTES = 64

_DIGESTS = "_sd"
_DIGEST_ALGORITHM = "_sd_alg"
_ELEMENT = "..."

Entropy = Callable[[int], bytes]
"""Returns that many unpredictable bytes; `os.urandom` in production, a seeded generator in a reproducible simulation."""


class RecordSigner(Protocol):
    """Signs records with a long-term key; a file, a token or a TPM may be behind it."""

    @property
    def certificate(self) -> bytes:
        """The certificate of the key (COER; opaque here)."""
        ...

    @property
    def authority(self) -> bytes:
        """The certificate of the authority that issued it (likewise)."""
        ...

    def sign_es256(self, message: bytes) -> bytes:
        """Return r || s, 64 bytes, an ECDSA P-256 signature over SHA-256(message)."""
        ...


class Es256PublicKey:
    """A P-256 public key that verifies ES256 signatures.

    Args:
        sec1: the point, compressed or not (SEC 1 2.3.3).

    Raises:
        DecodeError: no point of the curve.
    """

    def __init__(self, sec1: bytes) -> None:
        try:
            self._key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), sec1)
        except ValueError:
            raise DecodeError("public_key", "not a point of P-256") from None

    def is_signature(self, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` (r || s) over `message` holds."""
        if len(signature) != ES256_SIGNATURE_BYTES:
            return False
        half = ES256_SIGNATURE_BYTES // 2
        der = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
        try:
            self._key.verify(der, message, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str, field: str) -> bytes:
    """Return the bytes of canonical base64url without padding, or raise `DecodeError`."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, Base64Error, ValueError):
        raise DecodeError(field, "not base64url") from None
    if encode_base64url(data) != text:
        raise DecodeError(field, "not canonical base64url")
    return data


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One claim in the open: `text` is base64url of the JSON array [salt, name, value], or [salt, value] for an array element."""

    text: str
    name: str | None
    value: Json

    @property
    def digest(self) -> str:
        """base64url(SHA-256(text)) (RFC 9901 4.2.3)."""
        return encode_base64url(sha256(self.text.encode("ascii")).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class SdJwt:
    """A parsed SD-JWT; nothing about it is verified.

    Attributes:
        jwt: the issuer-signed part: header.payload.signature.
        header: its JOSE header.
        payload: its claims, hidden ones as digests.
        signature: 64 bytes.
        disclosures: the claims shown, in the order they stand.
    """

    jwt: str
    header: Mapping[str, Json]
    payload: Mapping[str, Json]
    signature: bytes
    disclosures: tuple[Disclosure, ...]

    def encode(self) -> str:
        """Return the compact form."""
        return "~".join((self.jwt, *(d.text for d in self.disclosures), ""))

    def showing(self, names: Collection[str]) -> "SdJwt":
        """Return the token with only those hidden claims shown whose name is in `names`."""
        kept = tuple(d for d in self.disclosures if d.name in names)
        return SdJwt(jwt=self.jwt, header=self.header, payload=self.payload, signature=self.signature, disclosures=kept)


def issue_sd_jwt(
    *, typ: str, visible: Mapping[str, Json], hidden: Mapping[str, Json], signer: RecordSigner, entropy: Entropy
) -> SdJwt:
    """Sign claims, `hidden` ones so that they can be left out later.

    The header names the signer's certificate by its SHA-256 hash (`kid`).

    Raises:
        EncodeError: a claim has a reserved name, appears in both groups, or is no JSON; or the result would not parse.
    """
    reserved = {_DIGESTS, _DIGEST_ALGORITHM, _ELEMENT}
    if reserved & (set(visible) | set(hidden)) or set(visible) & set(hidden) or len(hidden) > MAX_DISCLOSURES:
        raise EncodeError("sd_jwt", "a claim has a reserved name or is both visible and hidden, or too many are hidden")
    disclosures = []
    for name, value in hidden.items():
        salt = encode_base64url(entropy(DISCLOSURE_SALT_BYTES))
        disclosures.append(Disclosure(encode_base64url(encode_json([salt, name, value]).encode()), name, value))
    header: dict[str, Json] = {"alg": "ES256", "typ": typ, "kid": certificate_id(signer.certificate)}
    payload: dict[str, Json] = dict(visible)
    if disclosures:
        payload[_DIGESTS] = [*sorted(d.digest for d in disclosures)]
        payload[_DIGEST_ALGORITHM] = "sha-256"
    signed = ".".join(encode_base64url(encode_json(part).encode()) for part in (header, payload))
    signature = signer.sign_es256(signed.encode("ascii"))
    text = "~".join((f"{signed}.{encode_base64url(signature)}", *(d.text for d in disclosures), ""))
    try:
        return parse_sd_jwt(text)
    except DecodeError as error:
        raise EncodeError(error.field, error.reason) from None


def certificate_id(certificate: bytes) -> str:
    """Return the `kid` of the key that a certificate certifies: base64url(SHA-256(certificate))."""
    return encode_base64url(sha256(certificate).digest())


def parse_sd_jwt(text: str) -> SdJwt:
    """Parse the compact form strictly; raise `DecodeError` where it is malformed."""
    if len(text) > MAX_SD_JWT_CHARACTERS:
        raise DecodeError("sd_jwt", f"{len(text)} characters; at most {MAX_SD_JWT_CHARACTERS} are read")
    jwt, *shown = text.split("~")
    if not shown or shown.pop():
        raise DecodeError("sd_jwt", "does not end with a tilde (key binding is not used here)")
    if len(shown) > MAX_DISCLOSURES:
        raise DecodeError("sd_jwt.disclosures", f"{len(shown)} disclosures; at most {MAX_DISCLOSURES} are read")
    parts = jwt.split(".")
    if len(parts) != 3:
        raise DecodeError("sd_jwt.jwt", "a JWT has three parts")
    signature = decode_base64url(parts[2], "sd_jwt.signature")
    if len(signature) != ES256_SIGNATURE_BYTES:
        raise DecodeError("sd_jwt.signature", f"an ES256 signature has {ES256_SIGNATURE_BYTES} bytes, not {len(signature)}")
    return SdJwt(
        jwt=jwt,
        header=_parse_object(parts[0], "sd_jwt.header"),
        payload=_parse_object(parts[1], "sd_jwt.payload"),
        signature=signature,
        disclosures=tuple(_parse_disclosure(d, f"sd_jwt.disclosures[{n}]") for n, d in enumerate(shown)),
    )


def _parse_object(text: str, field: str) -> dict[str, Json]:
    value = parse_json(decode_base64url(text, field), field, MAX_SD_JWT_CHARACTERS)
    if not isinstance(value, dict):
        raise DecodeError(field, "not a JSON object")
    return value


def _parse_disclosure(text: str, field: str) -> Disclosure:
    value = parse_json(decode_base64url(text, field), field, MAX_SD_JWT_CHARACTERS)
    match value:
        case [str(), str(name), claim]:
            if name in (_DIGESTS, _ELEMENT):
                raise DecodeError(field, f"{name} cannot be the name of a claim")
            return Disclosure(text, name, claim)
        case [str(), claim]:
            return Disclosure(text, None, claim)
        case _:
            raise DecodeError(field, "a disclosure is [salt, name, value] or [salt, value]")


def verify_sd_jwt(token: SdJwt, *, typ: str, key: Es256PublicKey) -> dict[str, Json]:
    """Verify the issuer's signature and return the claims: visible ones and those that are disclosed (RFC 9901 7.1).

    Raises:
        RecordError: the signature does not hold, the token is of another type, or a disclosure does not belong to it.
    """
    if token.header.get("alg") != "ES256" or token.header.get("typ") != typ or "crit" in token.header:
        raise RecordError("type", f"not a token of type {typ} signed with ES256")
    signed = token.jwt.rpartition(".")[0]
    if not key.is_signature(signed.encode("ascii"), token.signature):
        raise RecordError("signature", "the signature does not hold: the signed part was changed, or another key signed it")
    return read_sd_jwt(token)


def read_sd_jwt(token: SdJwt) -> dict[str, Json]:
    """Return the same claims *without verifying the signature*.

    Raises:
        RecordError: `disclosure`: a disclosure does not belong to the token.
    """
    if token.payload.get(_DIGEST_ALGORITHM, "sha-256") != "sha-256":
        raise RecordError("disclosure", "disclosures are hashed with something else than SHA-256")
    return _Disclosing(token.disclosures).claims(token.payload)


class _Disclosing:
    """Puts disclosed claims in the place of their digests."""

    def __init__(self, disclosures: tuple[Disclosure, ...]) -> None:
        self._by_digest = {d.digest: d for d in disclosures}
        if len(self._by_digest) != len(disclosures):
            raise RecordError("disclosure", "the same claim is disclosed twice")
        self._seen: set[str] = set()

    def claims(self, payload: Mapping[str, Json]) -> dict[str, Json]:
        claims = self._object({name: value for name, value in payload.items() if name != _DIGEST_ALGORITHM})
        foreign = [d.name or "an array element" for digest, d in self._by_digest.items() if digest not in self._seen]
        if foreign:
            raise RecordError("disclosure", f"{', '.join(foreign)}: shown, but not what the issuer signed")
        return claims

    def _value(self, value: Json) -> Json:
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return self._array(value)
        return value

    def _object(self, value: Mapping[str, Json]) -> dict[str, Json]:
        if _ELEMENT in value:
            raise RecordError("disclosure", "a digest of an array element stands where there is no array")
        claims = {name: self._value(item) for name, item in value.items() if name != _DIGESTS}
        digests = value.get(_DIGESTS, [])
        if not isinstance(digests, list):
            raise RecordError("disclosure", "the digests are not a list")
        for digest in digests:
            disclosure = self._take(digest)
            if disclosure is None:
                continue
            if disclosure.name is None or disclosure.name in claims:
                raise RecordError("disclosure", "a disclosed claim has no name, or one that is taken")
            claims[disclosure.name] = self._value(disclosure.value)
        return claims

    def _array(self, value: list[Json]) -> list[Json]:
        items: list[Json] = []
        for item in value:
            if isinstance(item, dict) and _ELEMENT in item:
                if len(item) != 1:
                    raise RecordError("disclosure", "a digest of an array element has company")
                disclosure = self._take(item[_ELEMENT])
                if disclosure is None:
                    continue
                if disclosure.name is not None:
                    raise RecordError("disclosure", "an array element was disclosed under a name")
                items.append(self._value(disclosure.value))
            else:
                items.append(self._value(item))
        return items

    def _take(self, digest: Json) -> Disclosure | None:
        if not isinstance(digest, str) or digest in self._seen:
            raise RecordError("disclosure", "a digest is no text or appears twice")
        self._seen.add(digest)
        return self._by_digest.get(digest)
