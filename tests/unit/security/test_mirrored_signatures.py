"""Of an ECDSA signature anybody makes a second one that holds as well: that revives nobody and accuses nobody."""

import pytest
from msgspec.structs import replace as replace_struct

from shared.core.errors import VerificationError
from shared.core.itstime import time64_of
from shared.core.report import VerificationReport as Report
from shared.security.certificate import Certificate, decode_certificate, encode_certificate
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve, Signature
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import EveryAuthority, LoggedAuthorities, Openness, TrustStore
from tests.helpers.hierarchy import NOON, Hierarchy

AT_NOON = time64_of(NOON)
CURVES = tuple(Curve)


def mirrored(certificate: Certificate) -> Certificate:
    """Return what whoever holds a certificate makes of it without any key."""
    octets = encode_certificate(certificate)
    width = certificate.signature.curve.octets
    s = int.from_bytes(octets[-width:], "big")
    return decode_certificate(octets[:-width] + (certificate.signature.curve.order - s).to_bytes(width, "big"))


def chain_of(hierarchy: Hierarchy, *revoked: Certificate, openness: Openness | None = None) -> ChainVerifier:
    root = hierarchy.root.certificate
    store = TrustStore(
        (root,),
        (),
        openness=openness or EveryAuthority(),
        revoked={root.hashed_id8: frozenset(each.hashed_id8 for each in revoked)},
        outdated=frozenset(),
    )
    return ChainVerifier(trust_store=store, areas=NO_IDENTIFIED_AREAS)


@pytest.mark.parametrize("curve", CURVES)
def test_a_certificate_knows_the_hash_of_its_mirror_image(curve: Curve) -> None:
    authority = Hierarchy(3, curve=curve).aa.certificate
    mirror = mirrored(authority)
    assert mirror.digest != authority.digest
    assert authority.mirror_digest == mirror.digest
    assert mirror.mirror_digest == authority.digest


@pytest.mark.parametrize("curve", CURVES)
def test_a_revoked_authority_does_not_come_back_as_its_mirror_image(curve: Curve) -> None:
    hierarchy = Hierarchy(3, curve=curve)
    authority = hierarchy.aa.certificate
    for each in (authority, mirrored(authority)):
        with pytest.raises(VerificationError) as refused:
            chain_of(hierarchy, authority).learn_authority(each, AT_NOON)
        assert refused.value.report is Report.REVOKED_CERTIFICATE


def test_a_mirror_image_that_was_believed_is_forgotten_when_its_original_is_revoked() -> None:
    hierarchy = Hierarchy(3)
    authority = hierarchy.aa.certificate
    chain = chain_of(hierarchy)
    trusted = chain.check_authority(mirrored(authority), AT_NOON)
    root = hierarchy.root.certificate
    revoked = {root.hashed_id8: frozenset({authority.hashed_id8})}
    chain.change_trust(TrustStore((root,), (), openness=EveryAuthority(), revoked=revoked, outdated=frozenset()))
    assert not chain.holds(trusted)


def test_the_mirror_image_of_a_logged_authority_is_no_evidence_against_its_root() -> None:
    hierarchy = Hierarchy(3)
    authority = hierarchy.aa.certificate
    chain = chain_of(hierarchy, openness=LoggedAuthorities(frozenset({authority.digest})))
    chain.learn_authority(mirrored(authority), AT_NOON)
    assert list(chain._learned.values()) == [mirrored(authority)]


@pytest.mark.parametrize("s", [b"\x00" * 32, b"\xff" * 32], ids=["zero", "beyond the order"])
def test_a_signature_that_never_holds_has_a_mirror_image_all_the_same(s: bytes) -> None:
    signature = Hierarchy(3).aa.certificate.signature
    never: Signature = replace_struct(signature, s=s)
    assert len(never.mirrored.s) == 32
