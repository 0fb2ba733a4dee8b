from dataclasses import replace
from random import Random

import pytest

from shared.codec.coer import CoerReader
from shared.core.errors import EncodeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time32, Time64, time32_of, time64_of, utc_from_text
from shared.core.report import VerificationReport as Report
from shared.pki.authority import AuthorityCredential, AuthorizationAuthority, hours, years
from shared.pki.permission_sets import (
    AA_APP_PERMISSIONS,
    AA_ISSUE_PERMISSIONS,
    ROOT_APP_PERMISSIONS,
    SERVICE_RANGES,
    TICKET_PERMISSIONS,
    StationRole,
)
from shared.security.certificate import (
    Certificate,
    CertificateId,
    IdKind,
    ToBeSignedCertificate,
    decode_certificate,
    encode_certificate,
    issue_certificate,
    read_certificate,
)
from shared.security.chain import MAX_CHAIN_CERTIFICATES, ChainVerifier, UnknownSignerError
from shared.security.ecdsa import Curve, EccPoint, PointForm, Signature, Signer
from shared.security.hashing import HashAlgorithm
from shared.security.permissions import UNBOUNDED_CHAIN, PsidGroupPermissions, PsidSsp, SspKind
from shared.security.region import NO_IDENTIFIED_AREAS, CircularRegion, Location
from shared.security.trust_store import TrustStore
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON, Hierarchy

AT_NOON = time64_of(NOON)
TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
INNER_TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=2_000)
MILAN = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=2_000)


def chain_of(hierarchy: Hierarchy) -> ChainVerifier:
    return ChainVerifier(trust_store=hierarchy.trust_store, areas=NO_IDENTIFIED_AREAS)


def forged(certificate: Certificate, signature: Signature) -> Certificate:
    return decode_certificate(encode_certificate(replace(certificate, signature=signature)))


def signed_anyway(hierarchy: Hierarchy, tbs: ToBeSignedCertificate) -> Certificate:
    """Sign with the AA's real key what the AA itself would refuse to issue."""
    return issue_certificate(tbs, issuer=hierarchy.aa.certificate, signer=hierarchy.aa.credential.signer)


def refusal(chain: ChainVerifier, certificate: Certificate, at: Time64 = AT_NOON) -> Report:
    with pytest.raises(VerificationError) as caught:
        chain.check_ticket(certificate, at)
    return caught.value.report


def test_a_ticket_of_a_known_authority_below_a_trusted_root_is_trusted() -> None:
    hierarchy = Hierarchy(1)
    ticket = hierarchy.ticket()
    trusted = chain_of(hierarchy).check_ticket(ticket.certificate, AT_NOON)
    assert trusted.public_key == ticket.signer.public_key
    assert trusted.issuer == hierarchy.aa.certificate.hashed_id8
    assert trusted.chain_certificates == 3


@pytest.mark.parametrize("curve", Curve)
def test_a_chain_holds_on_every_curve(curve: Curve) -> None:
    hierarchy = Hierarchy(2, curve=curve)
    chain_of(hierarchy).check_ticket(hierarchy.ticket(curve=curve).certificate, AT_NOON)


def test_the_etsi_test_ticket_is_trusted_in_its_year_and_expired_today() -> None:
    root, aa, at = (decode_certificate(data_file(f"security/bc_{name}.coer").read_bytes()) for name in ("root", "aa", "at"))
    chain = ChainVerifier(trust_store=TrustStore.of_operator((root,), (aa,)), areas=NO_IDENTIFIED_AREAS)
    trusted = chain.check_ticket(at, time64_of(utc_from_text("2018-01-15T12:00:00Z")))
    assert trusted.chain_certificates == 3
    assert refusal(chain, at) is Report.EXPIRED_CERTIFICATE


def test_the_roots_of_the_european_list_are_sound_authorities() -> None:
    encoded = data_file("security/CE4CF6C19BFED720.oer").read_bytes()
    roots = tuple(read_certificate(CoerReader(encoded, offset), "root") for offset in (25, 404))
    chain = ChainVerifier(trust_store=TrustStore.of_operator(roots, ()), areas=NO_IDENTIFIED_AREAS)
    for root in roots:
        chain.check_authority(root, time64_of(utc_from_text("2025-04-01T00:00:00Z")))


def test_a_ticket_that_names_a_trusted_authority_under_a_random_signature_is_refused() -> None:
    hierarchy = Hierarchy(3)
    ticket = hierarchy.ticket().certificate
    noise = Random(7)
    for _ in range(5):
        random = Signature(curve=Curve.NIST_P256, r=noise.randbytes(32), s=noise.randbytes(32))
        assert refusal(chain_of(hierarchy), forged(ticket, random)) is Report.INVALID_CERTIFICATE


def test_a_ticket_signed_by_another_key_than_its_authoritys_is_refused() -> None:
    hierarchy, attacker = Hierarchy(4), Hierarchy(5)
    ticket = hierarchy.ticket().certificate
    stolen = forged(ticket, attacker.ticket().certificate.signature)
    assert refusal(chain_of(hierarchy), stolen) is Report.INVALID_CERTIFICATE


def test_an_authority_with_a_random_signature_spoils_its_tickets() -> None:
    hierarchy = Hierarchy(6)
    aa = hierarchy.aa.certificate
    random = Signature(curve=Curve.NIST_P256, r=bytes(31) + b"\x05", s=bytes(31) + b"\x07")
    false_aa = forged(aa, random)
    false_authority = AuthorizationAuthority(AuthorityCredential(certificate=false_aa, signer=hierarchy.aa.credential.signer))
    key = hierarchy.keys.generate(Curve.NIST_P256)
    ticket = false_authority.issue_ticket(
        public_key=key.public_key, validity=hours(hierarchy.start, 24), permissions=TICKET_PERMISSIONS[StationRole.VEHICLE]
    )
    chain = ChainVerifier(trust_store=TrustStore.of_operator((hierarchy.root.certificate,), (false_aa,)), areas=NO_IDENTIFIED_AREAS)
    assert refusal(chain, ticket) is Report.INVALID_CERTIFICATE


def test_a_root_that_is_trusted_but_does_not_vouch_for_itself_is_refused() -> None:
    hierarchy = Hierarchy(7)
    broken_root = forged(hierarchy.root.certificate, hierarchy.aa.certificate.signature)
    chain = ChainVerifier(trust_store=TrustStore.of_operator((broken_root,), ()), areas=NO_IDENTIFIED_AREAS)
    with pytest.raises(VerificationError) as caught:
        chain.check_authority(broken_root, AT_NOON)
    assert caught.value.report is Report.INVALID_CERTIFICATE


def test_a_ticket_of_an_unknown_authority_names_whom_to_ask_for() -> None:
    hierarchy, stranger = Hierarchy(8), Hierarchy(9)
    with pytest.raises(UnknownSignerError) as caught:
        chain_of(hierarchy).check_ticket(stranger.ticket().certificate, AT_NOON)
    assert caught.value.hashed_id8 == stranger.aa.certificate.hashed_id8
    assert caught.value.report is Report.SIGNER_CERTIFICATE_NOT_FOUND


def test_an_authority_of_a_foreign_root_is_untrusted_and_so_are_its_tickets_from_then_on() -> None:
    hierarchy, stranger = Hierarchy(10), Hierarchy(11)
    chain = chain_of(hierarchy)
    with pytest.raises(VerificationError) as caught:
        chain.learn_authority(stranger.aa.certificate, AT_NOON)
    assert caught.value.report is Report.UNTRUSTED_ROOT
    assert refusal(chain, stranger.ticket().certificate) is Report.UNTRUSTED_ROOT


def test_a_known_authority_below_a_foreign_root_is_untrusted() -> None:
    hierarchy, stranger = Hierarchy(12), Hierarchy(13)
    store = TrustStore.of_operator((hierarchy.root.certificate,), (stranger.aa.certificate,))
    chain = ChainVerifier(trust_store=store, areas=NO_IDENTIFIED_AREAS)
    assert refusal(chain, stranger.ticket().certificate) is Report.UNTRUSTED_ROOT


def test_an_authority_passed_on_by_a_neighbour_is_taken_in_after_its_chain_held() -> None:
    hierarchy = Hierarchy(14)
    chain = ChainVerifier(trust_store=TrustStore.of_operator((hierarchy.root.certificate,), ()), areas=NO_IDENTIFIED_AREAS)
    ticket = hierarchy.ticket().certificate
    with pytest.raises(UnknownSignerError):
        chain.check_ticket(ticket, AT_NOON)
    chain.learn_authority(hierarchy.aa.certificate, AT_NOON)
    chain.check_ticket(ticket, AT_NOON)


def test_a_foreign_root_cannot_be_learned() -> None:
    hierarchy, stranger = Hierarchy(15), Hierarchy(16)
    chain = chain_of(hierarchy)
    with pytest.raises(VerificationError) as caught:
        chain.learn_authority(stranger.root.certificate, AT_NOON)
    assert caught.value.report is Report.UNTRUSTED_ROOT


@pytest.mark.parametrize("utc", ["2026-11-22T08:59:59Z", "2026-11-29T09:00:00Z"])
def test_outside_its_week_a_ticket_is_expired_even_when_its_verdict_is_remembered(utc: str) -> None:
    hierarchy = Hierarchy(17)
    chain = chain_of(hierarchy)
    ticket = hierarchy.ticket().certificate
    chain.check_ticket(ticket, AT_NOON)
    assert refusal(chain, ticket, time64_of(utc_from_text(utc))) is Report.EXPIRED_CERTIFICATE


def test_a_ticket_that_outlives_its_authority_breaks_the_chain() -> None:
    hierarchy = Hierarchy(18)
    tbs = hierarchy.ticket().certificate.tbs
    for validity in (years(hierarchy.start, 6), years(Time32(hierarchy.start - 1), 1)):
        assert refusal(chain_of(hierarchy), signed_anyway(hierarchy, replace(tbs, validity=validity))) is Report.INCONSISTENT_CHAIN
    with pytest.raises(EncodeError, match="beyond"):
        hierarchy.aa.issue_ticket(
            public_key=hierarchy.ticket().signer.public_key,
            validity=years(hierarchy.start, 6),
            permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
        )


def test_a_ticket_inherits_its_roots_region_and_may_narrow_it_but_not_leave_it() -> None:
    hierarchy = Hierarchy(19, region=TURIN)
    chain = chain_of(hierarchy)
    inherited = chain.check_ticket(hierarchy.ticket().certificate, AT_NOON)
    assert inherited.region.shape == TURIN
    narrowed = chain.check_ticket(hierarchy.ticket(region=INNER_TURIN).certificate, AT_NOON)
    assert narrowed.region.shape == INNER_TURIN
    tbs = replace(hierarchy.ticket().certificate.tbs, region=MILAN)
    assert refusal(chain, signed_anyway(hierarchy, tbs)) is Report.INCONSISTENT_CHAIN


@pytest.mark.parametrize(
    "permission",
    [
        PsidSsp(psid=ItsAid.CAM, ssp=b"\x02\x00\x00"),
        PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00\x03"),
        PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00"),
        PsidSsp(psid=ItsAid.CAM),
        PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00\x00", kind=SspKind.OPAQUE),
        PsidSsp(psid=999, ssp=b"\x01"),
    ],
)
def test_a_permission_the_authority_may_not_issue_breaks_the_chain(permission: PsidSsp) -> None:
    hierarchy = Hierarchy(20)
    tbs = replace(hierarchy.ticket().certificate.tbs, app_permissions=(permission,))
    assert refusal(chain_of(hierarchy), signed_anyway(hierarchy, tbs)) is Report.INCONSISTENT_CHAIN


def test_an_enrolment_authority_cannot_make_tickets_nor_an_authorization_authority_credentials() -> None:
    hierarchy = Hierarchy(21)
    chain = chain_of(hierarchy)
    tbs = hierarchy.ticket().certificate.tbs
    by_ea = issue_certificate(tbs, issuer=hierarchy.ea.certificate, signer=hierarchy.ea.credential.signer)
    assert refusal(chain, by_ea) is Report.INCONSISTENT_CHAIN
    credential = hierarchy.ea.issue_credential(
        public_key=hierarchy.keys.generate(Curve.NIST_P256).public_key, validity=years(hierarchy.start, 3)
    )
    chain.check_enrolment_credential(credential, AT_NOON)
    with pytest.raises(VerificationError) as caught:
        chain.check_enrolment_credential(signed_anyway(hierarchy, credential.tbs), AT_NOON)
    assert caught.value.report is Report.INCONSISTENT_CHAIN


def test_an_enrolment_credential_is_no_ticket_and_a_ticket_no_enrolment_credential() -> None:
    hierarchy = Hierarchy(22)
    chain = chain_of(hierarchy)
    credential = hierarchy.ea.issue_credential(
        public_key=hierarchy.keys.generate(Curve.NIST_P256).public_key, validity=years(hierarchy.start, 3)
    )
    assert refusal(chain, credential) is Report.INVALID_CERTIFICATE
    chain.check_enrolment_credential(credential, AT_NOON)
    assert refusal(chain, credential) is Report.INVALID_CERTIFICATE
    with pytest.raises(VerificationError, match="enrolment credential"):
        chain.check_enrolment_credential(hierarchy.ticket().certificate, AT_NOON)


def test_an_authority_or_root_is_no_ticket() -> None:
    hierarchy = Hierarchy(23)
    assert refusal(chain_of(hierarchy), hierarchy.aa.certificate) is Report.INVALID_CERTIFICATE
    assert refusal(chain_of(hierarchy), hierarchy.root.certificate) is Report.INVALID_CERTIFICATE


def test_a_ticket_that_names_its_owner_or_may_issue_breaks_its_profile() -> None:
    hierarchy = Hierarchy(24)
    tbs = hierarchy.ticket().certificate.tbs
    for changed in (
        replace(tbs, id=CertificateId(kind=IdKind.NAME, name="TO 123 AB")),
        replace(tbs, id=CertificateId(kind=IdKind.BINARY, octets=b"\x01")),
        replace(tbs, cert_issue_permissions=AA_ISSUE_PERMISSIONS),
        replace(tbs, cert_request_permissions=AA_ISSUE_PERMISSIONS),
        replace(tbs, can_request_rollover=True),
        replace(tbs, crl_series=1),
        replace(tbs, app_permissions=(PsidSsp(psid=ItsAid.CTL, ssp=b"\x01\x38"),)),
    ):
        assert refusal(chain_of(hierarchy), signed_anyway(hierarchy, changed)) is Report.INVALID_CERTIFICATE


def test_a_ticket_whose_key_is_no_point_on_its_curve_is_refused() -> None:
    hierarchy = Hierarchy(25)
    nowhere = next(
        point for x in range(1, 100) if not _on_curve(point := EccPoint(form=PointForm.COMPRESSED_Y0, x=x.to_bytes(32, "big")))
    )
    tbs = replace(hierarchy.ticket().certificate.tbs, verification_key=nowhere)
    assert refusal(chain_of(hierarchy), signed_anyway(hierarchy, tbs)) is Report.INVALID_CERTIFICATE


def _on_curve(point: EccPoint) -> bool:
    from shared.core.errors import DecodeError
    from shared.security.ecdsa import PublicKey

    try:
        PublicKey.from_point(Curve.NIST_P256, point)
    except DecodeError:
        return False
    return True


def authority_below(hierarchy: Hierarchy, issuer: Certificate, signer: Signer, name: str) -> AuthorityCredential:
    """Make a sub-authority without asking whether it may exist."""
    key = hierarchy.keys.generate(Curve.NIST_P256)
    tbs = ToBeSignedCertificate(
        id=CertificateId(kind=IdKind.NAME, name=name),
        validity=years(hierarchy.start, 5),
        cert_issue_permissions=(PsidGroupPermissions(ranges=SERVICE_RANGES, chain_length_range=UNBOUNDED_CHAIN),),
        curve=Curve.NIST_P256,
        verification_key=key.public_key.point,
    )
    return AuthorityCredential(certificate=issue_certificate(tbs, issuer=issuer, signer=signer), signer=key)


def tower(hierarchy: Hierarchy, height: int) -> tuple[Certificate, list[Certificate], Certificate]:
    """Make a root that permits any depth, `height` authorities one below the other, and a ticket under the last."""
    key = hierarchy.keys.generate(Curve.NIST_P256)
    tbs = ToBeSignedCertificate(
        id=CertificateId(kind=IdKind.NAME, name="generous root"),
        validity=years(hierarchy.start, 5),
        app_permissions=ROOT_APP_PERMISSIONS,
        cert_issue_permissions=(PsidGroupPermissions(ranges=SERVICE_RANGES, chain_length_range=UNBOUNDED_CHAIN),),
        curve=Curve.NIST_P256,
        verification_key=key.public_key.point,
    )
    root = issue_certificate(tbs, issuer=None, signer=key)
    above = AuthorityCredential(certificate=root, signer=key)
    authorities = []
    for level in range(height):
        above = authority_below(hierarchy, above.certificate, above.signer, f"level {level}")
        authorities.append(above.certificate)
    ticket = AuthorizationAuthority(above).issue_ticket(
        public_key=hierarchy.keys.generate(Curve.NIST_P256).public_key,
        validity=hours(hierarchy.start, 24),
        permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
    )
    return root, authorities, ticket


@pytest.mark.parametrize("warm", [False, True])
def test_a_chain_longer_than_the_bound_is_refused_whatever_was_checked_before(warm: bool) -> None:  # noqa: FBT001 - a parameter
    hierarchy = Hierarchy(26)
    root, authorities, ticket = tower(hierarchy, MAX_CHAIN_CERTIFICATES - 2)
    chain = ChainVerifier(trust_store=TrustStore.of_operator((root,), tuple(authorities)), areas=NO_IDENTIFIED_AREAS)
    assert chain.check_ticket(ticket, AT_NOON).chain_certificates == MAX_CHAIN_CERTIFICATES

    root, authorities, ticket = tower(hierarchy, MAX_CHAIN_CERTIFICATES - 1)
    chain = ChainVerifier(trust_store=TrustStore.of_operator((root,), tuple(authorities)), areas=NO_IDENTIFIED_AREAS)
    if warm:
        for authority in authorities[:-1]:
            chain.check_authority(authority, AT_NOON)
    assert refusal(chain, ticket) is Report.INCONSISTENT_CHAIN


def test_an_authority_in_the_middle_that_arrives_late_completes_the_chain() -> None:
    hierarchy = Hierarchy(32)
    root, (upper, lower), ticket = tower(hierarchy, 2)
    chain = ChainVerifier(trust_store=TrustStore.of_operator((root,), (lower,)), areas=NO_IDENTIFIED_AREAS)
    assert refusal(chain, ticket) is Report.UNTRUSTED_ROOT
    chain.learn_authority(upper, AT_NOON)
    assert chain.check_ticket(ticket, AT_NOON).chain_certificates == 4


def test_an_issuer_named_by_a_hash_that_its_key_does_not_use_breaks_the_chain() -> None:
    hierarchy = Hierarchy(33)
    ticket = hierarchy.ticket().certificate
    renamed = replace(ticket, issuer=replace(ticket.issuer, algorithm=HashAlgorithm.SHA384))
    assert refusal(chain_of(hierarchy), decode_certificate(encode_certificate(renamed))) is Report.INCONSISTENT_CHAIN


def test_authorities_that_name_each_other_in_a_circle_are_refused() -> None:
    hierarchy = Hierarchy(27)
    _, (first, second), ticket = tower(hierarchy, 2)
    circular = replace(first, issuer=replace(first.issuer, hashed_id8=HashedId8(second.hashed_id8)))
    store = TrustStore.of_operator((hierarchy.root.certificate,), (circular, second))
    chain = ChainVerifier(trust_store=store, areas=NO_IDENTIFIED_AREAS)
    assert refusal(chain, ticket) is Report.INCONSISTENT_CHAIN


def test_a_root_that_allows_two_levels_does_not_allow_a_ticket_directly_below_it() -> None:
    hierarchy = Hierarchy(28)
    tbs = hierarchy.ticket().certificate.tbs
    direct = issue_certificate(tbs, issuer=hierarchy.root.certificate, signer=hierarchy.root.credential.signer)
    assert refusal(chain_of(hierarchy), direct) is Report.INCONSISTENT_CHAIN


def test_an_authority_may_not_delegate_what_its_root_forbids() -> None:
    hierarchy = Hierarchy(29)
    greedy = PsidGroupPermissions(ranges=None)
    tbs = replace(hierarchy.aa.certificate.tbs, cert_issue_permissions=(greedy,), app_permissions=AA_APP_PERMISSIONS)
    aa = issue_certificate(tbs, issuer=hierarchy.root.certificate, signer=hierarchy.root.credential.signer)
    chain = ChainVerifier(trust_store=TrustStore.of_operator((hierarchy.root.certificate,), (aa,)), areas=NO_IDENTIFIED_AREAS)
    with pytest.raises(VerificationError) as caught:
        chain.check_authority(aa, AT_NOON)
    assert caught.value.report is Report.INCONSISTENT_CHAIN


def test_a_bad_verdict_is_remembered_and_stays_the_same() -> None:
    hierarchy = Hierarchy(30)
    chain = chain_of(hierarchy)
    bad = forged(hierarchy.ticket().certificate, hierarchy.ticket().certificate.signature)
    first, second = refusal(chain, bad), refusal(chain, bad)
    assert first is second is Report.INVALID_CERTIFICATE


def test_validity_is_counted_from_the_its_epoch() -> None:
    hierarchy = Hierarchy(31)
    assert hierarchy.ticket().certificate.validity.start == time32_of(time64_of(utc_from_text("2026-11-22T09:00:00Z")))
