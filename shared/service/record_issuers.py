"""Who issued a record: an enrolment credential, read as what records ask for - a public key and a role.

Records know no certificates and certificates no records; this is where they meet. A role is a permission of our own in the
credential of an issuer (`shared.pki.permission_sets.issuer_permissions`); a credential without it is a vehicle's. Whether a
credential leads to a trusted root at the date of what it signed is checked here too, from the two certificates that come with every
record and the roots the caller trusts.
"""

from shared.core.clock import Instant, UtcNs
from shared.core.errors import ConfigError, DecodeError, RecordError, VerificationError
from shared.core.ids import ItsAid
from shared.core.itstime import time64_of, utc_text
from shared.pki.permission_sets import RecordRole
from shared.records.admission import Admitted, RecordShelf, check_admission
from shared.records.credential import VehicleCredential
from shared.records.exchange import Slot, parse_issued
from shared.records.issuers import Issuer, IssuerRole
from shared.records.record import read_record
from shared.records.sd_jwt import Es256PublicKey
from shared.security.certificate import Certificate, decode_certificate
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import TrustStore

_ROLES = {role.ssp: IssuerRole(role.value) for role in RecordRole}


def role_of(certificate: Certificate) -> IssuerRole:
    """Return the role a credential carries; a vehicle's where it carries none.

    Raises:
        RecordError: `certificate`: it carries something that is no role.
    """
    for permission in certificate.tbs.app_permissions or ():
        if permission.psid == ItsAid.VEHICLE_RECORDS:
            role = _ROLES.get(permission.ssp or b"")
            if role is None:
                name = certificate.hashed_id8.hex()
                raise RecordError("certificate", f"credential {name} carries a permission to issue records that names no role")
            return role
    return IssuerRole.VEHICLE


def issuer_of(certificate: Certificate) -> Issuer:
    """Return the issuer a credential makes of its holder; whether a root stands behind it is not checked.

    Raises:
        RecordError: `certificate`: its key is on another curve than P-256, or it carries something that is no role.
    """
    name = certificate.hashed_id8.hex()
    if certificate.tbs.curve is not Curve.NIST_P256:
        raise RecordError("certificate", f"credential {name} holds no P-256 key; records are signed with ES256")
    try:
        return Issuer(key=Es256PublicKey(certificate.public_key().sec1), role=role_of(certificate))
    except DecodeError as error:
        raise RecordError("certificate", f"credential {name} holds no usable key: {error}") from None


def trusted_issuer(credential: VehicleCredential, *, roots: TrustStore, at: UtcNs) -> Issuer:
    """Chain a credential through the authority that came with it to a trusted root, at a moment.

    What a root has revoked by now, and an authority that is not in the transparency log where the operator asks for that, counts at
    no moment. Lists that have run out stop nobody: a vehicle that was away for months still takes what a garage did to it.

    Raises:
        RecordError: `certificate`: one of the two is damaged, does not lead to a root, was not valid then, or is revoked.
    """
    certificate, authority = (_decoded(octets, what) for octets, what in _parts(credential))
    try:
        enclosed = TrustStore(
            tuple(roots.roots.values()),
            (authority,),
            openness=roots.openness,
            revoked={root: roots.revoked_by(root) for root in roots.roots},
            outdated=frozenset(),
        )
        verifier = ChainVerifier(trust_store=enclosed, areas=NO_IDENTIFIED_AREAS)
        verifier.check_enrolment_credential(certificate, time64_of(at))
    except (VerificationError, ConfigError, DecodeError) as error:
        detail = f"the credential of whoever signed does not lead to a trusted root at {utc_text(at)}: {error}"
        raise RecordError("certificate", detail) from None
    except ValueError as error:
        raise RecordError("certificate", f"no credential was valid at {utc_text(at)}: {error}") from None
    return issuer_of(certificate)


def check_issued(data: bytes, *, slot: Slot, shelf: RecordShelf, roots: TrustStore, now: Instant) -> Admitted:
    """Check a file with a record that somebody issued.

    Args:
        data: the file.
        slot: where the vehicle's sequence stands.
        shelf: the vehicle's records.
        roots: roots that issuers' credentials lead to.
        now: the vehicle's time.

    Raises:
        RecordError: `format`: the file is none; `certificate`: as `trusted_issuer`, at the record's date; the others as
            `check_admission`.
        UntrustedTimeError: the vehicle does not know the date.
    """
    issued = parse_issued(data)
    dated = read_record(issued.token).occurred
    issuer = trusted_issuer(issued.credential, roots=roots, at=now.require_utc() if dated is None else dated)
    return check_admission(issued, issuer=issuer, slot=slot, shelf=shelf, now=now)


def _parts(credential: VehicleCredential) -> tuple[tuple[bytes, str], ...]:
    return ((credential.certificate, "the credential of whoever signed"), (credential.authority, "its authority's certificate"))


def _decoded(octets: bytes, what: str) -> Certificate:
    try:
        return decode_certificate(octets)
    except DecodeError as error:
        raise RecordError("certificate", f"{what} is damaged: {error}") from None
