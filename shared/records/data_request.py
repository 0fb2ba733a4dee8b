"""A request for a vehicle's data: who asks which vehicle for which claims of which records, of what period and what for.

    {"format": "v2x-data-request/1", "credential": base64url, "authority": base64url, "request": JWT}

The JWT (ES256, type `v2x-data-request+jwt`) is signed with the requester's enrolled key; it carries a fresh public key to which the
answer is encrypted, a nonce, and when it was made and ends. A file has exactly one spelling. A request is named by the hash of what
was signed, not of the signature: an ECDSA signature can be rewritten by anybody into another one that holds, and that must not make
a second request.

Chaining the enclosed certificate to a root, and the role in it, is the caller's (records know no certificates). Whether the request
is answered is `shared.records.consent`'s business.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from hashlib import sha256

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, UtcNs
from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.core.itstime import utc_from_text, utc_text
from shared.records.credential import MAX_CERTIFICATE_BYTES, VehicleCredential, credential_of
from shared.records.fields import HASH, MOMENT, Text
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.kinds import KINDS
from shared.records.kinds_consent import FIELD_NAME, MAX_GRANTED_FIELDS, MAX_PURPOSE_CHARACTERS
from shared.records.sd_jwt import Entropy, RecordSigner, SdJwt, decode_base64url, encode_base64url, parse_sd_jwt
from shared.records.strict_json import Json, encode_json, encode_json_lines, parse_json

REQUEST_FORMAT = "v2x-data-request/1"
REQUEST_TYPE = "v2x-data-request+jwt"

MAX_REQUEST_BYTES = 32_768
"""Of the whole file: two certificates, and a list of claims."""

NONCE_BYTES = 16
RESPONSE_KEY_BYTES = 33
"""A compressed point of P-256."""

MAX_REQUEST_LIFETIME_NS = 30 * 86_400 * NS_PER_S
"""From when it was made to its end: files are carried by hand, and owners think it over."""

MAX_CLOCK_DIFFERENCE_NS = 300 * NS_PER_S
"""How far a requester's clock may be ahead of the vehicle's."""

_PURPOSE = Text(MAX_PURPOSE_CHARACTERS)
_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """What is asked.

    Attributes:
        role: of the requester; never the vehicle.
        subject: `kid` of a credential of the vehicle that is asked.
        kinds: of records, sorted by name.
        fields: claims of them to be shown, sorted.
        data_from: records dated from then on, to the millisecond.
        data_until: and before then.
        purpose: what for.
        response_key: P-256 point, compressed, to which the answer is encrypted.
        nonce: 16 random bytes.
        issued: when the request was made.
        expires: after this nobody answers it.
    """

    role: IssuerRole
    subject: str
    kinds: tuple[RecordKind, ...]
    fields: tuple[str, ...]
    data_from: UtcNs
    data_until: UtcNs
    purpose: str
    response_key: bytes
    nonce: bytes
    issued: UtcNs
    expires: UtcNs

    def claims(self) -> dict[str, Json]:
        """Return it as the claims of the token, in the order they stand."""
        return {
            "role": self.role.value,
            "subject": self.subject,
            "kinds": [kind.value for kind in self.kinds],
            "fields": [*self.fields],
            "from": utc_text(self.data_from),
            "until": utc_text(self.data_until),
            "purpose": self.purpose,
            "response_key": encode_base64url(self.response_key),
            "nonce": encode_base64url(self.nonce),
            "issued": utc_text(self.issued),
            "expires": utc_text(self.expires),
        }

    def fault(self) -> tuple[str, str] | None:
        """Return the first claim that cannot be, and why; None if all can."""
        unknown = [name for name in self.fields if not any(name in KINDS[kind].hideable for kind in self.kinds)]
        checks = (
            ("role", self.role is IssuerRole.VEHICLE, "a vehicle asks no vehicle for its records"),
            ("subject", HASH.fault(self.subject) is not None, "not the kid of a credential"),
            ("kinds", not self.kinds or list(self.kinds) != _sorted_kinds(self.kinds), "none, or not sorted, or one twice"),
            ("fields", not self.fields or list(self.fields) != sorted(set(self.fields)), "none, or not sorted, or one twice"),
            ("fields", len(self.fields) > MAX_GRANTED_FIELDS, f"{len(self.fields)}; at most {MAX_GRANTED_FIELDS} are asked for"),
            ("fields", bool(unknown), f"{', '.join(unknown)[:64]}: no claim of the records asked for"),
            ("until", self.data_until <= self.data_from, "not after the begin of the period"),
            ("purpose", _PURPOSE.fault(self.purpose) is not None, _PURPOSE.fault(self.purpose) or ""),
            ("response_key", len(self.response_key) != RESPONSE_KEY_BYTES, "not a compressed point of P-256"),
            ("nonce", len(self.nonce) != NONCE_BYTES, f"not {NONCE_BYTES} bytes"),
            ("expires", not 0 < self.expires - self.issued <= MAX_REQUEST_LIFETIME_NS, "not within 30 days after it was made"),
        )
        wrong = next(((name, reason) for name, is_wrong, reason in checks if is_wrong), None)
        if wrong is not None:
            return wrong
        moments = (("from", self.data_from), ("until", self.data_until), ("issued", self.issued), ("expires", self.expires))
        return next(
            ((name, "not a whole millisecond from 1970 to 9999") for name, utc in moments if utc % NS_PER_MS or _is_no_moment(utc)),
            None,
        )


def _is_no_moment(utc: UtcNs) -> bool:
    return MOMENT.fault(utc_text(utc)) is not None


def _sorted_kinds(kinds: Sequence[RecordKind]) -> list[RecordKind]:
    return sorted(set(kinds), key=lambda kind: kind.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A parsed request; nothing about it is verified.

    Attributes:
        request: what it asks.
        credential: of who says to ask.
        token: the JWT.
    """

    request: DataRequest
    credential: VehicleCredential
    token: SdJwt

    @property
    def hash(self) -> bytes:
        """SHA-256 of what is signed: the request's name, whoever rewrote its signature."""
        return sha256(self.token.jwt.rpartition(".")[0].encode("ascii")).digest()

    def encode(self) -> bytes:
        """Return the file."""
        return encode_json_lines(
            {
                "format": REQUEST_FORMAT,
                "credential": encode_base64url(self.credential.certificate),
                "authority": encode_base64url(self.credential.authority),
                "request": self.token.jwt,
            }
        ).encode()


def sign_request(request: DataRequest, signer: RecordSigner) -> SignedRequest:
    """Sign a request under an enrolment credential.

    Raises:
        EncodeError: a value is impossible.
    """
    fault = request.fault()
    if fault is not None:
        raise EncodeError(f"request.{fault[0]}", fault[1])
    credential = credential_of(signer)
    signed = _signing_input(request, credential.id)
    signature = encode_base64url(signer.sign_es256(signed.encode("ascii")))
    return SignedRequest(request=request, credential=credential, token=parse_sd_jwt(f"{signed}.{signature}~"))


def _signing_input(request: DataRequest, kid: str) -> str:
    header: dict[str, Json] = {"alg": "ES256", "typ": REQUEST_TYPE, "kid": kid}
    return ".".join(encode_base64url(encode_json(part).encode()) for part in (header, request.claims()))


def draw_nonce(entropy: Entropy) -> bytes:
    """Draw the nonce of a request."""
    return entropy(NONCE_BYTES)


def parse_request(data: bytes) -> SignedRequest:
    """Parse a request file.

    Raises:
        RecordError: `format`: it is no request, or not the one spelling of one.
    """
    try:
        match parse_json(data, "the file", MAX_REQUEST_BYTES):
            case {
                "format": str(fmt),
                "credential": str(certificate),
                "authority": str(authority),
                "request": str(jwt),
                **rest,
            } if not rest and fmt == REQUEST_FORMAT:
                credential = VehicleCredential(
                    certificate=_certificate(certificate, "credential"), authority=_certificate(authority, "authority")
                )
                token = parse_sd_jwt(f"{jwt}~")
            case _:
                raise RecordError("format", f"this is not a request of the form {REQUEST_FORMAT}")
        request = _read(token)
        signed = SignedRequest(request=request, credential=credential, token=token)
        is_our_spelling = signed.encode() == data
    except (DecodeError, EncodeError) as error:
        raise RecordError("format", f"the request cannot be read: {error}") from None
    if not is_our_spelling or token.jwt.rpartition(".")[0] != _signing_input(request, credential.id):
        raise RecordError("format", "the request is not spelled the one way a request is, or names another credential")
    return signed


def _certificate(text: str, field: str) -> bytes:
    data = decode_base64url(text, field)
    if not 1 <= len(data) <= MAX_CERTIFICATE_BYTES:
        raise DecodeError(field, f"{len(data)} bytes are no certificate")
    return data


def _read(token: SdJwt) -> DataRequest:
    match token.payload:
        case {
            "role": str(role),
            "subject": str(subject),
            "kinds": list(kinds),
            "fields": list(fields),
            "from": str(data_from),
            "until": str(data_until),
            "purpose": str(purpose),
            "response_key": str(response_key),
            "nonce": str(nonce),
            "issued": str(issued),
            "expires": str(expires),
            **rest,
        } if not rest:
            pass
        case _:
            raise DecodeError("request", "its claims are not those of a request")
    roles = {each.value: each for each in IssuerRole}
    known = {each.value: each for each in RecordKind}
    if role not in roles:
        raise DecodeError("request.role", "not a role")
    if not all(isinstance(kind, str) and kind in known for kind in kinds) or len(kinds) > len(known):
        raise DecodeError("request.kinds", "not kinds of records")
    if len(fields) > MAX_GRANTED_FIELDS or not all(FIELD_NAME.fault(name) is None for name in fields):
        raise DecodeError("request.fields", "not names of claims")
    request = DataRequest(
        role=roles[role],
        subject=subject,
        kinds=tuple(known[str(kind)] for kind in kinds),
        fields=tuple(str(name) for name in fields),
        data_from=_moment(data_from, "from"),
        data_until=_moment(data_until, "until"),
        purpose=purpose,
        response_key=decode_base64url(response_key, "request.response_key"),
        nonce=decode_base64url(nonce, "request.nonce"),
        issued=_moment(issued, "issued"),
        expires=_moment(expires, "expires"),
    )
    fault = request.fault()
    if fault is not None:
        raise DecodeError(f"request.{fault[0]}", fault[1])
    return request


def _moment(text: str, claim: str) -> UtcNs:
    if MOMENT.fault(text) is not None:
        raise DecodeError(f"request.{claim}", f"not {MOMENT.meaning}")
    return utc_from_text(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """A request that its requester did sign, and that is not over; only `verify_request` makes one."""

    signed: SignedRequest
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only verify_request makes a VerifiedRequest")

    @property
    def request(self) -> DataRequest:
        """What it asks."""
        return self.signed.request

    @property
    def requester(self) -> str:
        """`kid` of who asks."""
        return self.signed.credential.id

    @property
    def hash(self) -> bytes:
        """Its name, 32 bytes."""
        return self.signed.hash


def verify_request(signed: SignedRequest, *, issuer: Issuer, vehicle: Sequence[str], now: Instant) -> VerifiedRequest:
    """Check who asked, whom, and that there is still time.

    Args:
        signed: parsed.
        issuer: key and role in the enclosed certificate, which the caller has chained to a root it trusts.
        vehicle: `kid`s of the credentials the vehicle has or had.
        now: the present.

    Raises:
        RecordError: `type`, `signature`, `role`, `subject` or `time`: what does not hold, in a sentence.
        UntrustedTimeError: the vehicle does not know the date.
    """
    request, token = signed.request, signed.token
    if token.header != {"alg": "ES256", "typ": REQUEST_TYPE, "kid": signed.credential.id}:
        raise RecordError("type", f"not a token of type {REQUEST_TYPE} signed with ES256")
    if not issuer.key.is_signature(token.jwt.rpartition(".")[0].encode("ascii"), token.signature):
        raise RecordError("signature", "the signature does not hold: the request was changed, or another key signed it")
    if issuer.role is IssuerRole.VEHICLE:
        raise RecordError("role", "the credential of who asks is a vehicle's: vehicles are given no data")
    if issuer.role is not request.role:
        raise RecordError("role", f"who asks says to be {request.role.words}, but is enrolled as {issuer.role.words}")
    if request.subject not in vehicle:
        raise RecordError("subject", "another vehicle is asked: the request names no credential of this one")
    utc = now.require_utc()
    if request.issued > utc + MAX_CLOCK_DIFFERENCE_NS:
        raise RecordError("time", f"the request is dated {utc_text(request.issued)}, which is in the future")
    if utc >= request.expires:
        raise RecordError("time", f"the request ended on {utc_text(request.expires)}")
    return VerifiedRequest(signed=signed, seal=_SEAL)
