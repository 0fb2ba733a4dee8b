"""The public key infrastructure of a run, in memory: honest authorities for the fleet, and a forger's own for the forger.

Keys are drawn from the run's seed and signing is deterministic, so the same seed gives the same certificates octet for octet. Keys
drawn so are known to whoever knows the seed: nothing outside a simulation may trust them. Certificates are valid around the
scenario's own date.
"""

from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.itstime import time32_of, time64_of
from shared.ledger.note import Ed25519NoteSigner
from shared.pki.authority import RootCa, hours, years
from shared.pki.key_source import SeededKeySource
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import Certificate, decode_certificate
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.service.record_key import EnrolledSigner

AUTHORITY_YEARS = 3
CREDENTIAL_YEARS = 2
TICKET_HOURS = 168
LOG_ORIGIN = "ledger.simulation.example/odometer"


class Authorities:
    """The honest authorities of a run.

    Args:
        rng: keys are drawn from it.
        now: the scenario's date; everything is valid from a day before it.
        name: of the root, in its certificate.
    """

    def __init__(self, rng: Random, now: UtcNs, *, name: str) -> None:
        self._keys = SeededKeySource(rng)
        self._start = time32_of(time64_of(UtcNs(now - 86_400 * NS_PER_S)))
        validity = years(self._start, AUTHORITY_YEARS)
        self.root = RootCa.create(name=f"{name} root", validity=validity, keys=self._keys)
        self.enrolment = self.root.create_enrolment_authority(name=f"{name} EA", validity=validity, keys=self._keys)
        self.authorization = self.root.create_authorization_authority(name=f"{name} AA", validity=validity, keys=self._keys)
        self.trust_store = TrustStore.of_operator(
            (self.root.certificate,), (self.enrolment.certificate, self.authorization.certificate)
        )

    def ticket(self, role: StationRole) -> TicketCredential:
        """Issue an authorization ticket with a fresh key."""
        signer = self._keys.generate(Curve.NIST_P256)
        certificate = self.authorization.issue_ticket(
            public_key=signer.public_key, validity=hours(self._start, TICKET_HOURS), permissions=TICKET_PERMISSIONS[role]
        )
        return TicketCredential(certificate=certificate, signer=signer)

    def enrolment_credential(self) -> TicketCredential:
        """Issue an enrolment credential with a fresh key: a vehicle's long-term identity."""
        signer = self._keys.generate(Curve.NIST_P256)
        certificate = self.enrolment.issue_credential(public_key=signer.public_key, validity=years(self._start, CREDENTIAL_YEARS))
        return TicketCredential(certificate=certificate, signer=signer)

    def enrolled(self) -> EnrolledSigner:
        """Issue the same, ready to sign records."""
        return EnrolledSigner(self.enrolment_credential(), authority=self.enrolment.certificate)

    def counterfeit(self, role: StationRole, claimed: Certificate) -> TicketCredential:
        """Make a ticket that names `claimed`, an authority of others, as its issuer, though our own authority signed it."""
        signer = self._keys.generate(Curve.NIST_P256)
        own = self.authorization.issue_ticket(
            public_key=signer.public_key, validity=hours(self._start, TICKET_HOURS), permissions=TICKET_PERMISSIONS[role]
        )
        forged = own.encoded.replace(self.authorization.certificate.hashed_id8, claimed.hashed_id8, 1)
        return TicketCredential(certificate=decode_certificate(forged), signer=signer)


def log_signer(rng: Random) -> Ed25519NoteSigner:
    """Draw the ledger's key."""
    return Ed25519NoteSigner(LOG_ORIGIN, Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)))
