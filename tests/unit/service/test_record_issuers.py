"""Roles of issuers: carried by a credential, chained to a root, and only what an authority may hand out."""

from dataclasses import replace
from random import Random

import pytest

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import EncodeError, RecordError, VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import time64_of
from shared.pki.authority import AuthorityCredential, AuthorityKind, EnrolmentAuthority, RootCa, years
from shared.pki.key_source import SeededKeySource
from shared.pki.permission_sets import (
    EA_ISSUE_PERMISSIONS,
    EA_STATIONS_ISSUE_PERMISSIONS,
    EC_APP_PERMISSIONS,
    RecordRole,
    issuer_permissions,
)
from shared.records.credential import VehicleCredential
from shared.records.issuers import IssuerRole
from shared.security.certificate import Certificate, issue_certificate
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve
from shared.security.permissions import PsidGroupPermissions, PsidSsp
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import EveryAuthority, LoggedAuthorities, TrustStore
from shared.service.record_issuers import issuer_of, role_of, trusted_issuer
from tests.helpers.hierarchy import NOON, Hierarchy

PKI = Hierarchy(61)
YEAR_NS = 31_556_952 * NS_PER_S


def credential(permissions: tuple[PsidSsp, ...], *, pki: Hierarchy = PKI, curve: Curve = Curve.NIST_P256) -> Certificate:
    key = pki.keys.generate(curve)
    return pki.ea.issue_credential(public_key=key.public_key, validity=years(pki.start, 3), permissions=permissions)


def kept(certificate: Certificate, pki: Hierarchy = PKI) -> VehicleCredential:
    return VehicleCredential(certificate=certificate.encoded, authority=pki.ea.certificate.encoded)


@pytest.mark.parametrize("role", RecordRole)
def test_a_credential_of_every_role_leads_to_the_root_and_says_its_role(role: RecordRole) -> None:
    certificate = credential(issuer_permissions(role))
    assert role_of(certificate) is IssuerRole(role.value)
    issuer = trusted_issuer(kept(certificate), roots=PKI.trust_store, at=NOON)
    assert issuer.role is IssuerRole(role.value)


def test_a_credential_without_a_role_is_a_vehicle_s() -> None:
    assert trusted_issuer(kept(credential(EC_APP_PERMISSIONS)), roots=PKI.trust_store, at=NOON).role is IssuerRole.VEHICLE
    assert {role.value for role in RecordRole} | {"vehicle"} == {role.value for role in IssuerRole}


def test_a_credential_of_another_root_or_another_time_is_not_believed() -> None:
    certificate = credential(issuer_permissions(RecordRole.GARAGE))
    with pytest.raises(RecordError, match="does not lead to a trusted root") as caught:
        trusted_issuer(kept(certificate), roots=Hierarchy(62).trust_store, at=NOON)
    assert caught.value.check == "certificate"
    for moment in (UtcNs(NOON - YEAR_NS), UtcNs(NOON + 4 * YEAR_NS)):
        with pytest.raises(RecordError, match="does not lead to a trusted root"):
            trusted_issuer(kept(certificate), roots=PKI.trust_store, at=moment)
    with pytest.raises(RecordError, match="no credential was valid"):
        trusted_issuer(kept(certificate), roots=PKI.trust_store, at=UtcNs(0))
    for damaged in (replace(kept(certificate), certificate=b"\x00"), replace(kept(certificate), authority=b"\x00")):
        with pytest.raises(RecordError, match="is damaged"):
            trusted_issuer(damaged, roots=PKI.trust_store, at=NOON)


def listed(
    *, revoked: frozenset[HashedId8] = frozenset(), logged: Certificate | None = None, is_outdated: bool = False
) -> TrustStore:
    """The roots as a vehicle has them that lives by lists."""
    root = PKI.root.certificate
    return TrustStore(
        (root,),
        (),
        openness=EveryAuthority() if logged is None else LoggedAuthorities(frozenset({logged.digest})),
        revoked={root.hashed_id8: revoked},
        outdated=frozenset({root.hashed_id8}) if is_outdated else frozenset(),
    )


def test_what_a_root_has_revoked_or_nobody_logged_is_not_believed_by_whoever_lives_by_lists() -> None:
    certificate = credential(issuer_permissions(RecordRole.GARAGE))
    for named in (PKI.ea.certificate, certificate):
        with pytest.raises(RecordError, match=f"has revoked certificate {named.hashed_id8.hex()}") as caught:
            trusted_issuer(kept(certificate), roots=listed(revoked=frozenset({named.hashed_id8})), at=NOON)
        assert caught.value.check == "certificate"
    with pytest.raises(RecordError, match="log"):
        trusted_issuer(kept(certificate), roots=listed(logged=PKI.aa.certificate), at=NOON)
    assert trusted_issuer(kept(certificate), roots=listed(logged=PKI.ea.certificate), at=NOON).role is IssuerRole.GARAGE


def test_lists_that_have_run_out_stop_nobody() -> None:
    certificate = credential(issuer_permissions(RecordRole.GARAGE))
    assert trusted_issuer(kept(certificate), roots=listed(is_outdated=True), at=NOON).role is IssuerRole.GARAGE


def test_a_key_on_another_curve_issues_no_records() -> None:
    with pytest.raises(RecordError, match="holds no P-256 key"):
        issuer_of(credential(issuer_permissions(RecordRole.MAKER), curve=Curve.BRAINPOOL_P256R1))


@pytest.mark.parametrize("ssp", [None, b"", b"\x01", b"\x02\x80", b"\x01\x00", b"\x01\xc0", b"\x01\x04", b"\x01\x80\x00"])
def test_what_is_no_role_is_no_credential(ssp: bytes | None) -> None:
    """Signed by an authority that does not look: whoever verifies does."""
    good = credential(EC_APP_PERMISSIONS)
    tbs = replace(good.tbs, app_permissions=(*EC_APP_PERMISSIONS, PsidSsp(psid=ItsAid.VEHICLE_RECORDS, ssp=ssp)))
    forged = issue_certificate(tbs, issuer=PKI.ea.certificate, signer=PKI.ea.credential.signer)
    with pytest.raises(RecordError, match="no role"):
        role_of(forged)
    with pytest.raises(RecordError, match="certificate"):
        trusted_issuer(kept(forged), roots=PKI.trust_store, at=NOON)


def test_a_ticket_never_carries_a_role() -> None:
    with pytest.raises(EncodeError, match="270549110"):
        PKI.ticket(permissions=(PsidSsp(psid=ItsAid.VEHICLE_RECORDS, ssp=RecordRole.GARAGE.ssp),))


def of_old(pki: Hierarchy) -> RootCa:
    """The root as it was made before there were issuers of records."""
    groups = tuple(
        PsidGroupPermissions(
            ranges=tuple(entry for entry in group.ranges or () if entry.psid != ItsAid.VEHICLE_RECORDS),
            min_chain_length=group.min_chain_length,
            end_entities=group.end_entities,
        )
        for group in pki.root.certificate.tbs.cert_issue_permissions or ()
    )
    signer = pki.root.credential.signer
    tbs = replace(pki.root.certificate.tbs, cert_issue_permissions=groups)
    return RootCa(AuthorityCredential(certificate=issue_certificate(tbs, issuer=None, signer=signer), signer=signer))


def test_a_root_of_old_makes_authorities_for_stations_that_issue_no_roles() -> None:
    root = of_old(PKI)
    keys = SeededKeySource(Random(3))
    ea: EnrolmentAuthority = root.create_enrolment_authority(name="EA", validity=years(PKI.start, 3), keys=keys)
    assert ea.certificate.tbs.cert_issue_permissions == EA_STATIONS_ISSUE_PERMISSIONS
    key = keys.generate(Curve.NIST_P256).public_key
    ea.issue_credential(public_key=key, validity=years(PKI.start, 2))
    with pytest.raises(EncodeError, match="270549110"):
        ea.issue_credential(public_key=key, validity=years(PKI.start, 2), permissions=issuer_permissions(RecordRole.GARAGE))
    assert PKI.ea.certificate.tbs.cert_issue_permissions == EA_ISSUE_PERMISSIONS == AuthorityKind.ENROLMENT.issue_permissions


def test_a_role_that_the_authority_may_not_hand_out_breaks_the_chain() -> None:
    root = of_old(PKI)
    keys = SeededKeySource(Random(4))
    ea = root.create_enrolment_authority(name="EA", validity=years(PKI.start, 3), keys=keys)
    key = keys.generate(Curve.NIST_P256)
    honest = ea.issue_credential(public_key=key.public_key, validity=years(PKI.start, 2))
    tbs = replace(honest.tbs, app_permissions=issuer_permissions(RecordRole.INSPECTOR))
    forged = issue_certificate(tbs, issuer=ea.certificate, signer=ea.credential.signer)
    trust = Hierarchy(61).trust_store.of_operator((root.certificate,), (ea.certificate,))
    chain = ChainVerifier(trust_store=trust, areas=NO_IDENTIFIED_AREAS)
    chain.check_enrolment_credential(honest, time64_of(NOON))
    with pytest.raises(VerificationError, match="270549110"):
        chain.check_enrolment_credential(forged, time64_of(NOON))
