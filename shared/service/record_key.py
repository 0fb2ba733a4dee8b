"""The long-term key that signs a vehicle's records: its enrolment credential, bridged to what records ask for.

`shared.records` knows no certificates of ours and `shared.security` no records; this is where they meet. Where the key lives (a
file, a token, a TPM) is the signer's business. After a renewal a vehicle may have several credentials with their keys at hand:
which one signs is for its store of records to say (`signing_next`).
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from shared.core.errors import ConfigError
from shared.records.credential import VehicleCredential, credential_of
from shared.records.sd_jwt import RecordSigner
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.security.validity import Validity


class EnrolledSigner:
    """Signs records under an enrolment credential.

    Args:
        credential: the certificate and its key, on P-256 (ES256 knows no other curve).
        authority: the certificate of the authority that issued it.

    Raises:
        ConfigError: the key is on another curve, or another authority issued the credential.
    """

    def __init__(self, credential: TicketCredential, *, authority: Certificate) -> None:
        if credential.signer.curve is not Curve.NIST_P256:
            name = f"enrolment credential {credential.certificate.hashed_id8.hex()}"
            raise ConfigError(name, f"records are signed on P-256; this key is on {credential.signer.curve.name}")
        if credential.certificate.issuer.hashed_id8 != authority.hashed_id8:
            name = f"enrolment credential {credential.certificate.hashed_id8.hex()}"
            raise ConfigError(name, f"was not issued by the authority {authority.hashed_id8.hex()}")
        self._credential = credential
        self._authority = authority

    @property
    def certificate(self) -> bytes:
        """The certificate, COER."""
        return self._credential.certificate.encoded

    @property
    def authority(self) -> bytes:
        """The certificate of the authority that issued it, COER."""
        return self._authority.encoded

    @property
    def validity(self) -> Validity:
        """When a record has to be made for its date to be believed."""
        return self._credential.certificate.validity

    @property
    def credential(self) -> VehicleCredential:
        """Both, as records see them."""
        return credential_of(self)

    def sign_es256(self, message: bytes) -> bytes:
        """Return r || s, 64 bytes, an ECDSA P-256 signature over SHA-256(message)."""
        return self._credential.signer.sign_digest(sha256(message).digest()).p1363


def enrolled_signer(credential: TicketCredential, *, trust_store: TrustStore) -> EnrolledSigner:
    """Return a signer for a credential whose authority is in a trust store.

    Raises:
        ConfigError: it is not, or the key is on another curve than P-256.
    """
    issuer = credential.certificate.issuer.hashed_id8
    authority = None if issuer is None else trust_store.authorities.get(issuer)
    if authority is None:
        raise ConfigError("identity.trust", "the authority that issued the enrolment credential is not among the authorities")
    return EnrolledSigner(credential, authority=authority)


def signing_next(candidates: Iterable[EnrolledSigner], kept: Sequence[VehicleCredential]) -> EnrolledSigner:
    """Return the identity under which a vehicle's next record is signed.

    Args:
        candidates: those whose keys are at hand, from the oldest to the newest.
        kept: the credentials in the vehicle's store of records, in the order they took over.

    Returns:
        The one that took over last, if its key is at hand. If it is not (the key was lost, or there are no records yet), the newest
        that never signed; a newer one than the one returned takes over with `Recorder.change_signer`.

    Raises:
        ConfigError: the key of the one that took over last is not at hand, and every other one has handed over.
    """
    by_id = {candidate.credential.id: candidate for candidate in candidates}
    if kept and kept[-1].id in by_id:
        return by_id[kept[-1].id]
    signed = {credential.id for credential in kept}
    fresh = [candidate for name, candidate in by_id.items() if name not in signed]
    if not fresh:
        named = kept[-1].id if kept else "of any kind"
        raise ConfigError("enrolment", f"the key of credential {named}, which signs the vehicle's next record, is not at hand")
    return fresh[-1]


def _is_record_signer(signer: EnrolledSigner) -> RecordSigner:
    """Let the type checker hold the two ends together."""
    return signer
