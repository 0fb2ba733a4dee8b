"""Trust lists signed by real keys: a manager and a root whose certificates carry the permissions that lists need."""

from dataclasses import dataclass
from random import Random

from shared.core.clock import UtcNs
from shared.core.ids import ItsAid
from shared.core.itstime import Time32, Time64, time32_of, time64_of
from shared.pki.authority import years
from shared.pki.key_source import SeededKeySource
from shared.security.certificate import Certificate, CertificateId, IdKind, ToBeSignedCertificate, issue_certificate
from shared.security.crl import Crl
from shared.security.ctl import Ctl
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.hashing import signed_digest
from shared.security.header_info import HeaderInfo
from shared.security.permissions import PsidSsp, SspKind
from shared.security.secured_data import SignerIdentifier, SignerKind, encode_signed_data, encode_tbs_data
from shared.security.trust_list import encode_trust_list
from tests.helpers.hierarchy import BEGIN, NOON

TLM_RIGHTS = b"\x01\xc8"
ROOT_RIGHTS = b"\x01\x38"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListIssuer:
    """A self-signed certificate and its key."""

    certificate: Certificate
    signer: SoftwareSigner

    @classmethod
    def made(
        cls,
        seed: int,
        *,
        ctl: bytes = ROOT_RIGHTS,
        crl: bytes = b"\x01",
        curve: Curve = Curve.NIST_P256,
        kind: SspKind = SspKind.BITMAP,
    ) -> "ListIssuer":
        """Make an issuer that may sign what `ctl` and `crl` say."""
        signer = SeededKeySource(Random(seed)).generate(curve)
        tbs = ToBeSignedCertificate(
            id=CertificateId(kind=IdKind.NAME, name=f"issuer {seed}"),
            validity=years(time32_of(time64_of(BEGIN)), 5),
            curve=curve,
            verification_key=signer.public_key.point,
            app_permissions=(PsidSsp(psid=ItsAid.CRL, ssp=crl, kind=kind), PsidSsp(psid=ItsAid.CTL, ssp=ctl, kind=kind)),
        )
        return cls(certificate=issue_certificate(tbs, issuer=None, signer=signer), signer=signer)

    def signed(
        self,
        trust_list: Ctl | Crl,
        *,
        header: HeaderInfo | None = None,
        by: SignerKind = SignerKind.CERTIFICATE,
        payload: bytes = b"",
    ) -> bytes:
        """Sign a list (or whatever `payload` says instead) at noon under this key."""
        psid = ItsAid.CTL if isinstance(trust_list, Ctl) else ItsAid.CRL
        header = header or HeaderInfo(psid=psid, generation_time=its(NOON))
        tbs = encode_tbs_data(payload or encode_trust_list(trust_list), header)
        algorithm = self.signer.curve.hash_algorithm
        digest = signed_digest(algorithm, algorithm.digest(tbs), self.certificate.canonical)
        signer = {
            SignerKind.CERTIFICATE: SignerIdentifier(kind=by, certificates=(self.certificate,)),
            SignerKind.DIGEST: SignerIdentifier(kind=by, digest=self.certificate.hashed_id8),
            SignerKind.SELF: SignerIdentifier(kind=by),
        }[by]
        signature = self.signer.sign_digest(digest)
        return encode_signed_data(hash_algorithm=algorithm, tbs_encoded=tbs, signer=signer, signature=signature)


def its(utc: UtcNs) -> Time64:
    """Return ITS microseconds."""
    return time64_of(utc)


def its_s(utc: UtcNs, *, after_s: int = 0) -> Time32:
    """Return ITS seconds, `after_s` later."""
    return Time32(time32_of(time64_of(utc)) + after_s)
