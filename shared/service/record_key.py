"""The long-term key that signs a vehicle's records: its enrolment credential, bridged to what records ask for.

`shared.records` knows no certificates of ours and `shared.security` no records; this is where they meet.
"""

from hashlib import sha256

from shared.core.errors import ConfigError
from shared.records.sd_jwt import RecordSigner
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential


class EnrolledSigner:
    """Signs records under an enrolment credential.

    Args:
        credential: the certificate and its key, on P-256 (ES256 knows no other curve).

    Raises:
        ConfigError: the key is on another curve.
    """

    def __init__(self, credential: TicketCredential) -> None:
        if credential.signer.curve is not Curve.NIST_P256:
            name = f"enrolment credential {credential.certificate.hashed_id8.hex()}"
            raise ConfigError(name, f"records are signed on P-256; this key is on {credential.signer.curve.name}")
        self._credential = credential

    @property
    def enrolment_credential(self) -> Certificate:
        """The certificate, decoded."""
        return self._credential.certificate

    @property
    def certificate(self) -> bytes:
        """The certificate, COER."""
        return self._credential.certificate.encoded

    def sign_es256(self, message: bytes) -> bytes:
        """Return r || s, 64 bytes, an ECDSA P-256 signature over SHA-256(message)."""
        return self._credential.signer.sign_digest(sha256(message).digest()).p1363


def _is_record_signer(signer: EnrolledSigner) -> RecordSigner:
    """Let the type checker hold the two ends together."""
    return signer
