from dataclasses import replace
from random import Random

import pytest

from shared.core.errors import ConfigError, EncodeError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid
from shared.core.itstime import time64_of
from shared.pki.authority import AuthorityCredential, RootCa, hours, years
from shared.pki.key_source import SeededKeySource, SystemKeySource
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve
from shared.security.permissions import PsidSsp
from shared.security.region import NO_IDENTIFIED_AREAS, CircularRegion, Location
from tests.helpers.hierarchy import NOON, Hierarchy

TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
MILAN = CircularRegion(centre=Location.of(GeoPoint(45.46, 9.19)), radius_m=10_000)
AT_NOON = time64_of(NOON)


def test_everything_a_hierarchy_issues_verifies_up_to_its_root() -> None:
    hierarchy = Hierarchy(1)
    chain = ChainVerifier(trust_store=hierarchy.trust_store, areas=NO_IDENTIFIED_AREAS)
    chain.check_authority(hierarchy.root.certificate, AT_NOON)
    chain.check_authority(hierarchy.ea.certificate, AT_NOON)
    chain.check_authority(hierarchy.aa.certificate, AT_NOON)
    for role in StationRole:
        chain.check_ticket(hierarchy.ticket(role).certificate, AT_NOON)
    credential = hierarchy.ea.issue_credential(
        public_key=hierarchy.keys.generate(Curve.NIST_P256).public_key, validity=years(hierarchy.start, 3), name="vehicle 7"
    )
    assert chain.check_enrolment_credential(credential, AT_NOON).certificate.name == "vehicle 7"


def test_authorities_carry_the_permissions_of_their_profile() -> None:
    hierarchy = Hierarchy(2)
    assert [(entry.psid, entry.ssp) for entry in hierarchy.root.certificate.tbs.app_permissions or ()] == [
        (622, b"\x01"),
        (624, b"\x01\x38"),
    ]
    assert hierarchy.ea.certificate.tbs.app_permissions == (PsidSsp(psid=623, ssp=b"\x01\x0e"),)
    assert hierarchy.aa.certificate.tbs.app_permissions == (PsidSsp(psid=623, ssp=b"\x01\x32"),)
    for authority in (hierarchy.ea, hierarchy.aa):
        key = authority.credential.encryption_key
        assert key is not None
        assert authority.certificate.tbs.encryption_key is not None
        assert authority.certificate.tbs.encryption_key.point == key.public_key.point


def test_a_ticket_tells_nothing_about_its_owner() -> None:
    tbs = Hierarchy(3).ticket().certificate.tbs
    assert (tbs.id.name, tbs.assurance_level, tbs.encryption_key, tbs.cert_issue_permissions) == (None, None, None, None)


def test_roles_differ_in_what_they_may_say() -> None:
    vehicle = {entry.psid for entry in TICKET_PERMISSIONS[StationRole.VEHICLE]}
    rsu = {entry.psid for entry in TICKET_PERMISSIONS[StationRole.RSU]}
    assert {ItsAid.TLM, ItsAid.RLT, ItsAid.IVIM, ItsAid.SSEM} == rsu - vehicle
    assert vehicle < rsu


def test_one_seed_makes_one_hierarchy_octet_for_octet() -> None:
    assert Hierarchy(4).ticket().certificate == Hierarchy(4).ticket().certificate
    assert Hierarchy(4).root.certificate != Hierarchy(5).root.certificate


def test_system_keys_never_repeat() -> None:
    keys = SystemKeySource()
    assert keys.generate(Curve.NIST_P256).public_key != keys.generate(Curve.NIST_P256).public_key


def test_an_authority_refuses_what_receivers_would_refuse() -> None:
    hierarchy = Hierarchy(6, region=TURIN)
    key = hierarchy.keys.generate(Curve.NIST_P256).public_key
    week, vehicle = hours(hierarchy.start, 168), TICKET_PERMISSIONS[StationRole.VEHICLE]
    issue = hierarchy.aa.issue_ticket
    with pytest.raises(EncodeError, match="ITS-AID 36"):
        issue(public_key=key, validity=week, permissions=(PsidSsp(psid=36, ssp=b"\x02\x00\x00"),))
    with pytest.raises(EncodeError, match="ITS-AID 623"):
        issue(public_key=key, validity=week, permissions=(PsidSsp(psid=623, ssp=b"\x01\xc0"),))
    with pytest.raises(EncodeError, match="validity"):
        issue(public_key=key, validity=years(hierarchy.start, 6), permissions=vehicle)


def test_a_root_of_a_region_makes_no_authority_beyond_its_years() -> None:
    hierarchy = Hierarchy(7)
    with pytest.raises(EncodeError, match="validity"):
        hierarchy.root.create_authorization_authority(name="AA", validity=years(hierarchy.start, 6), keys=hierarchy.keys)


def test_an_authority_of_a_region_refuses_tickets_for_another() -> None:
    root = RootCa.create(name="r", validity=years(Hierarchy(8).start, 5), keys=SeededKeySource(Random(8)), region=TURIN)
    with pytest.raises(EncodeError, match="region"):
        root._issue(replace(root.certificate.tbs, region=MILAN), end_entities=0xC0)


def test_a_name_longer_than_the_field_is_refused() -> None:
    with pytest.raises(EncodeError, match="at most 255"):
        RootCa.create(name="x" * 256, validity=years(Hierarchy(9).start, 5), keys=SystemKeySource())


def test_an_authority_with_a_foreign_key_cannot_be_loaded() -> None:
    one, two = Hierarchy(10), Hierarchy(11)
    with pytest.raises(ConfigError, match="does not belong"):
        AuthorityCredential(certificate=one.aa.certificate, signer=two.aa.credential.signer)
