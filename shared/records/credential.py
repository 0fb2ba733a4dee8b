"""A long-term credential as records see it: two certificates in octets, named by the hash of the first.

A vehicle has one credential at a time. A new one takes over with a record that the key of the one before signed and that names it
(`shared.records.recorder` writes it, `shared.records.sequence` looks for it): whoever holds the old key says which one is next.
What the octets mean, and whether a root stands behind them, is for whoever knows certificates; nothing is decoded here.
"""

from dataclasses import dataclass

from shared.core.errors import EncodeError
from shared.records.sd_jwt import RecordSigner, certificate_id

MAX_CREDENTIALS = 64
"""Of one vehicle: a life of fifteen years with a new one every three months, and some to spare."""

MAX_ISSUER_CREDENTIALS = 192
"""Of everybody else who signs records of one vehicle, for as long: garages, inspectors, insurers."""

MAX_CERTIFICATE_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleCredential:
    """A certificate under which a vehicle, or whoever else issues its records, signs; with what it takes to chain it years later.

    Attributes:
        certificate: of the signer's key (COER, opaque here).
        authority: the certificate of the authority that issued it.

    Raises:
        EncodeError: nothing, or more than `MAX_CERTIFICATE_BYTES`, stands where a certificate should.
    """

    certificate: bytes
    authority: bytes

    def __post_init__(self) -> None:
        for name, data in (("certificate", self.certificate), ("authority", self.authority)):
            if not 1 <= len(data) <= MAX_CERTIFICATE_BYTES:
                raise EncodeError(f"credential.{name}", f"{len(data)} bytes are no certificate")

    @property
    def id(self) -> str:
        """What records call it: the `kid` of its key."""
        return certificate_id(self.certificate)


def credential_of(signer: RecordSigner) -> VehicleCredential:
    """Return the credential a signer signs under."""
    return VehicleCredential(certificate=signer.certificate, authority=signer.authority)
