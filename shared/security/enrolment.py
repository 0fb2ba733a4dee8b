"""A vehicle's long-term identity: its enrolment credential and key, which sign what must hold for years (odometer records).

The key is on P-256, so its plain signatures are ES256 (RFC 7518 3.4). Never used on the air, where it would identify the vehicle.
"""

from hashlib import sha256

from shared.core.errors import ConfigError
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, Signer
from shared.security.sign import TicketCredential


class EnrolmentIdentity:
    """Signs with the enrolment key.

    Args:
        certificate: the enrolment credential.
        signer: its key.

    Raises:
        ConfigError: the key is not the one in the certificate, or not on P-256.
    """

    def __init__(self, *, certificate: Certificate, signer: Signer) -> None:
        self._credential = TicketCredential(certificate=certificate, signer=signer)
        if signer.curve is not Curve.NIST_P256:
            name = f"enrolment credential {certificate.hashed_id8.hex()}"
            raise ConfigError(name, f"records need a key on P-256, this one is on {signer.curve.value}")

    @property
    def certificate(self) -> bytes:
        """The enrolment credential in COER."""
        return self._credential.certificate.encoded

    def sign_es256(self, message: bytes) -> bytes:
        """Return r || s, 64 octets, over SHA-256 of `message`."""
        return self._credential.signer.sign_digest(sha256(message).digest()).p1363
