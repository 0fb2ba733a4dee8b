"""What the cases are made with: authorities and stations whose keys sign whatever they are told to, right or wrong.

Every signature here is made by the key it claims, over exactly the octets that stand there, unless a case is about the signature:
so a refusal is due to the one thing that is wrong. All keys come from one seed, and signing is deterministic.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import NamedTuple

from shared.codec.coer import CoerReader
from shared.core.clock import UtcNs
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import time64_of, utc_from_text
from shared.pki.authority import hours, years
from shared.pki.permission_sets import (
    AA_APP_PERMISSIONS,
    AA_ISSUE_PERMISSIONS,
    SERVICE_RANGES,
    TICKET_PERMISSIONS,
    TLM_APP_PERMISSIONS,
    StationRole,
)
from shared.security.certificate import (
    Certificate,
    CertificateId,
    IdKind,
    ToBeSignedCertificate,
    encode_tbs,
    issue_certificate,
    read_certificate,
)
from shared.security.ecdsa import Curve, EccPoint, PointForm, Signature, Signer, encode_signature
from shared.security.hashing import HashAlgorithm, signed_digest
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.permissions import UNBOUNDED_CHAIN, PsidGroupPermissions, PsidSsp
from shared.security.region import CircularRegion, GeographicRegion, Location
from shared.security.secured_data import SignerKind, encode_tbs_data
from tests.helpers.hierarchy import NOON, Hierarchy

SEED = 1_000
PAYLOAD = bytes.fromhex("20500280002801000000")
"""Ten octets that are no packet: what a case of a message alone is about surrounds them."""

TURIN_POINT, MILAN_POINT = GeoPoint(45.07, 7.68), GeoPoint(45.46, 9.19)
TURIN = CircularRegion(centre=Location.of(TURIN_POINT), radius_m=10_000)
IN_TURIN = GenerationLocation(location=Location.of(TURIN_POINT), elevation=4_095)
IN_MILAN = GenerationLocation(location=Location.of(MILAN_POINT), elevation=4_095)
NOWHERE = GenerationLocation(location=None, elevation=4_095)

AT = time64_of(NOON)
CAM = HeaderInfo(psid=ItsAid.CAM, generation_time=AT)
DENM = HeaderInfo(psid=ItsAid.DENM, generation_time=AT, generation_location=IN_TURIN)
SPATEM = HeaderInfo(psid=ItsAid.TLM, generation_time=AT)
MAPEM = HeaderInfo(psid=ItsAid.RLT, generation_time=AT)
IVIM = HeaderInfo(psid=ItsAid.IVIM, generation_time=AT)

EVERYTHING = (PsidGroupPermissions(ranges=None, chain_length_range=UNBOUNDED_CHAIN),)
ANY_DEPTH = (PsidGroupPermissions(ranges=SERVICE_RANGES, chain_length_range=UNBOUNDED_CHAIN),)

_P256_TAIL = 66
_NAMES = {SignerKind.CERTIFICATE: 0x81, SignerKind.DIGEST: 0x80, SignerKind.SELF: 0x82}


class Kind(Enum):
    """What is heard, and so who judges it; the value is the end of the file's name.

    A message is judged by what verifies secured messages, a packet by a whole station, a list by what holds trust lists.
    """

    MESSAGE = "message.oer"
    PACKET = "packet.bin"
    ECTL = "ectl.oer"
    CTL = "ctl.oer"
    CRL = "crl.oer"


class Heard(NamedTuple):
    """Something that came before what a case is about, and was believed.

    Attributes:
        octets: as they came.
        at: when.
        kind: what they are.
    """

    octets: bytes
    at: UtcNs
    kind: Kind = Kind.MESSAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing a receiver hears, and what becomes of it.

    Attributes:
        octets: as they come.
        verdict: `believed` or a code.
        says: a part of the sentence that goes with a refusal; empty where it is believed.
        kind: what the octets are.
        at: when they come.
        before: what came before.
        logged: hashes of the authorities proven to be in the transparency log; None: no log is asked for.
        is_clock_set: whether the receiver knows the time.
    """

    octets: bytes
    verdict: str
    says: str = ""
    kind: Kind = Kind.MESSAGE
    at: UtcNs = NOON
    before: tuple[Heard, ...] = ()
    logged: tuple[bytes, ...] | None = None
    is_clock_set: bool = True


Cases = dict[str, Case]


def refused(code: str, says: str, octets: bytes) -> Case:
    """Return a message that is refused at noon, by a receiver to whom it is the first."""
    return Case(octets=octets, verdict=code, says=says)


def believed(octets: bytes) -> Case:
    """Return a message that is believed at noon, by a receiver to whom it is the first."""
    return Case(octets=octets, verdict="believed")


def moment(text: str) -> UtcNs:
    """Return a moment of the day of all cases."""
    return utc_from_text(f"2026-11-22T{text}Z")


class Pen(NamedTuple):
    """Who signs a message.

    Attributes:
        octets: the certificate as it is shown.
        canonical: the certificate as it is hashed.
        signer: the key inside, or another one where that is what is wrong.
    """

    octets: bytes
    canonical: bytes
    signer: Signer

    @property
    def digest(self) -> bytes:
        """The certificate's identifier."""
        return self.signer.curve.hash_algorithm.digest(self.canonical)[-8:]


class Above(NamedTuple):
    """An authority that signs whatever it is told to."""

    certificate: Certificate
    signer: Signer

    @property
    def identifier(self) -> HashedId8:
        """Its certificate's identifier."""
        return self.certificate.hashed_id8

    @property
    def pen(self) -> Pen:
        """The same, signing messages and lists."""
        return Pen(self.certificate.encoded, self.certificate.canonical, self.signer)


def seal(
    pen: Pen,
    header: HeaderInfo,
    *,
    by: SignerKind = SignerKind.CERTIFICATE,
    certificates: int = 1,
    payload: bytes = PAYLOAD,
    tbs: bytes | None = None,
) -> bytes:
    """Sign whatever a header says, profile or not; `tbs` takes the place of header and payload."""
    algorithm = pen.signer.curve.hash_algorithm
    tbs = encode_tbs_data(payload, header) if tbs is None else tbs
    vouching = b"" if by is SignerKind.SELF else pen.canonical
    signature = pen.signer.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), vouching))
    named = {
        SignerKind.CERTIFICATE: b"\x01" + bytes((certificates,)) + pen.octets * certificates,
        SignerKind.DIGEST: pen.digest,
        SignerKind.SELF: b"",
    }[by]
    return bytes((3, 0x81, algorithm.value)) + tbs + bytes((_NAMES[by],)) + named + encode_signature(signature)


def with_signature(octets: bytes, *, r: int | None = None, s: int | None = None) -> bytes:
    """Return a message or certificate on P-256 that ends with another signature."""
    front, old_r, old_s = octets[:-64], octets[-64:-32], octets[-32:]
    return front + (old_r if r is None else r.to_bytes(32, "big")) + (old_s if s is None else s.to_bytes(32, "big"))


def issued(tbs: bytes, above: Above) -> bytes:
    """Return the certificate of any to-be-signed octets, signed by an authority's key, whatever its certificate says."""
    algorithm = above.certificate.tbs.curve.hash_algorithm
    used = above.signer.curve.hash_algorithm
    digest = signed_digest(used, used.digest(tbs), above.certificate.canonical)
    named = b"\x80" if algorithm is HashAlgorithm.SHA256 else b"\x82\x08"
    return b"\x80\x03\x00" + named + above.certificate.hashed_id8 + tbs + encode_signature(above.signer.sign_digest(digest))


def off_the_curve(*, likely_x: int = 1) -> EccPoint:
    """Return a compressed point that is not on P-256."""
    curve = Curve.NIST_P256
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    while pow(likely_x**3 - 3 * likely_x + b, (prime - 1) // 2, prime) == 1:
        likely_x += 1
    return EccPoint(form=PointForm.COMPRESSED_Y0, x=likely_x.to_bytes(curve.octets, "big"))


class Workshop:
    """One hierarchy, and what strange authorities and tickets the cases need; `known` collects the authorities receivers know."""

    def __init__(self) -> None:
        self.hierarchy = Hierarchy(SEED)
        self.foreign = Hierarchy(SEED + 1)
        self.unknown = Hierarchy(SEED + 2)
        self.noise = Random(2)
        self.root = Above(self.hierarchy.root.certificate, self.hierarchy.root.credential.signer)
        self.aa = Above(self.hierarchy.aa.certificate, self.hierarchy.aa.credential.signer)
        self.ea = Above(self.hierarchy.ea.certificate, self.hierarchy.ea.credential.signer)
        self.roots: list[Certificate] = [self.hierarchy.root.certificate]
        self.managers: list[Certificate] = []
        self.known: list[Certificate] = [self.hierarchy.ea.certificate, self.hierarchy.aa.certificate]
        self.car = self.ticket()
        self.rsu = self.ticket(app_permissions=TICKET_PERMISSIONS[StationRole.RSU])

    def key(self, curve: Curve = Curve.NIST_P256) -> Signer:
        """Return the next key."""
        return self.hierarchy.keys.generate(curve)

    def tbs(self, key: Signer, **changes: object) -> ToBeSignedCertificate:
        """Return what a vehicle's ticket says, but for `changes`."""
        plain = ToBeSignedCertificate(
            id=CertificateId(),
            validity=hours(self.hierarchy.start, 168),
            app_permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
            curve=key.curve,
            verification_key=key.public_key.point,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]  # the fields of a certificate

    def ticket(
        self, above: Above | None = None, *, key: Signer | None = None, curve: Curve = Curve.NIST_P256, **changes: object
    ) -> Pen:
        """Return a ticket signed by the AA, or by `above`, that says what it must but for `changes`."""
        key = key or self.key(curve)
        return self.ticket_of_octets(lambda tbs: tbs, above, key=key, **changes)

    def ticket_of_octets(
        self, alter: Callable[[bytes], bytes], above: Above | None = None, *, key: Signer | None = None, **changes: object
    ) -> Pen:
        """Return a ticket whose to-be-signed octets were altered before they were signed."""
        key = key or self.key()
        octets = issued(alter(encode_tbs(self.tbs(key, **changes))), above or self.aa)
        return Pen(octets, octets, key)

    def authority(
        self, above: Above | None = None, *, key: Signer | None = None, curve: Curve = Curve.NIST_P256, **changes: object
    ) -> Above:
        """Return an authorization authority issued by the root, or by `above`, and known to receivers."""
        key = key or self.key(curve)
        issuer = above or self.root
        plain = ToBeSignedCertificate(
            id=CertificateId(kind=IdKind.NAME, name=f"AA {len(self.known)}"),
            validity=years(self.hierarchy.start, 5),
            app_permissions=AA_APP_PERMISSIONS,
            cert_issue_permissions=AA_ISSUE_PERMISSIONS,
            curve=key.curve,
            verification_key=key.public_key.point,
        )
        tbs = replace(plain, **changes)  # type: ignore[arg-type]  # the fields of a certificate
        return self.know(Above(issue_certificate(tbs, issuer=issuer.certificate, signer=issuer.signer), key))

    def know(self, authority: Above) -> Above:
        """Let receivers know an authority, which is not to believe it."""
        self.known.append(authority.certificate)
        return authority

    def trusted_root(
        self, *, region: GeographicRegion | None = None, issues: tuple[PsidGroupPermissions, ...] = ANY_DEPTH
    ) -> Above:
        """Return another root that receivers trust; what it may issue besides the usual, any number of levels down, is `issues`."""
        key = self.key()
        tbs = replace(
            self.hierarchy.root.certificate.tbs,
            id=CertificateId(kind=IdKind.NAME, name=f"root {len(self.roots) + 1}"),
            region=region,
            cert_issue_permissions=(*issues, *(self.hierarchy.root.certificate.tbs.cert_issue_permissions or ())),
            curve=key.curve,
            verification_key=key.public_key.point,
        )
        root = Above(issue_certificate(tbs, issuer=None, signer=key), key)
        self.roots.append(root.certificate)
        return root

    def manager(self) -> Above:
        """Return a trust list manager whom receivers do not trust, unless `managers` names it."""
        key = self.key()
        tbs = replace(
            self.hierarchy.root.certificate.tbs,
            id=CertificateId(kind=IdKind.NAME, name="TLM"),
            app_permissions=TLM_APP_PERMISSIONS,
            cert_issue_permissions=None,
            curve=key.curve,
            verification_key=key.public_key.point,
        )
        return Above(issue_certificate(tbs, issuer=None, signer=key), key)

    def random_signature(self) -> Signature:
        """Return a signature on P-256 that nobody made."""
        return Signature(curve=Curve.NIST_P256, r=self.noise.randbytes(32), s=self.noise.randbytes(32))


def forged(authority: Above, signature: Signature) -> Above:
    """Return an authority whose issuer did not make the signature it shows."""
    octets = authority.certificate.encoded[:-_P256_TAIL] + encode_signature(signature)
    return Above(read_certificate(CoerReader(octets), "forged"), authority.signer)


def permission(its_aid: ItsAid, ssp: str) -> PsidSsp:
    """Return one permission with a bitmap of `ssp` (hexadecimal)."""
    return PsidSsp(psid=its_aid, ssp=bytes.fromhex(ssp))


def header_at(header: HeaderInfo, utc: UtcNs) -> HeaderInfo:
    """Return a header whose message was made at a moment."""
    return replace(header, generation_time=time64_of(utc))


def cam_of(shop: Workshop, above: Above) -> bytes:
    """Return a CAM under a vehicle's ticket of an authority."""
    return seal(shop.ticket(above), CAM)
