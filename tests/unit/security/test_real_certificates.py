"""Certificates and lists that others published: the European trust list, and the chain of ETSI's test system."""

import pytest

from shared.codec.coer import CoerReader
from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import DecodeError, VerificationError
from shared.core.itstime import Time64, time64_of, utc_from_text
from shared.core.report import VerificationReport as Report
from shared.security.certificate import Certificate, decode_certificate, read_certificate
from shared.security.chain import ChainVerifier
from shared.security.crl import Crl
from shared.security.ctl import Ctl, CtlKind, DcEntry, TlmEntry
from shared.security.describe import certificate_kind, describe_certificate
from shared.security.describe_data import describe_trust_list, list_name
from shared.security.ecdsa import Curve
from shared.security.hashing import signed_digest
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import decode_secured_data
from shared.security.trust_list import verify_ctl
from shared.security.trust_store import TrustStore
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON
from tests.helpers.trust_lists import its_s

TLM = "security/E7A4B2B045E7ACF9.oer"
ECTL = "security/CE4CF6C19BFED720.oer"
HOSTILE = "security/CE4CF6C19BFED720_with_recursion_depth150.oer"
IN_FORCE = Instant(MonotonicNs(0), utc_from_text("2025-04-01T00:00:00Z"))


def manager() -> Certificate:
    return decode_certificate(data_file(TLM).read_bytes())


def european_list() -> Ctl:
    return verify_ctl(data_file(ECTL).read_bytes(), issuer=manager(), now=IN_FORCE).content


def etsi(name: str) -> Certificate:
    return decode_certificate(data_file(f"security/bc_{name}.coer").read_bytes())


def at(text: str) -> Time64:
    return time64_of(utc_from_text(text))


def refusal(chain: ChainVerifier, ticket: Certificate, moment: str) -> Report:
    with pytest.raises(VerificationError) as caught:
        chain.check_ticket(ticket, at(moment))
    return caught.value.report


def test_the_certificate_of_the_european_trust_list_manager_vouches_for_itself() -> None:
    certificate = manager()
    assert (certificate.name, certificate.hashed_id8.hex()) == ("EU-TLM_L2", "e7a4b2b045e7acf9")
    assert (certificate.is_self_signed, certificate.tbs.curve) == (True, Curve.BRAINPOOL_P384R1)
    algorithm = certificate.tbs.curve.hash_algorithm
    digest = signed_digest(algorithm, algorithm.digest(certificate.canonical_tbs), b"")
    certificate.public_key().verify_digest(digest, certificate.signature)
    for bit in range(0, 8 * len(certificate.canonical_tbs), 37):
        altered = bytearray(certificate.canonical_tbs)
        altered[bit // 8] ^= 0x80 >> bit % 8
        with pytest.raises(VerificationError):
            certificate.public_key().verify_digest(
                signed_digest(algorithm, algorithm.digest(bytes(altered)), b""), certificate.signature
            )


def test_the_manager_of_the_european_list_is_the_one_the_list_names() -> None:
    (entry,) = (command for command in european_list().commands if isinstance(command, TlmEntry))
    assert entry.certificate.encoded == manager().encoded
    assert entry.access_point == "https://cpoc.jrc.ec.europa.eu/L2"


def test_the_roots_of_the_european_list_are_trusted_for_as_long_as_they_say() -> None:
    trust_list = european_list()
    chain = ChainVerifier(trust_store=TrustStore.of_operator(trust_list.roots, ()), areas=NO_IDENTIFIED_AREAS)
    served = {root for command in trust_list.commands if isinstance(command, DcEntry) for root in command.roots}
    assert served == {root.hashed_id8 for root in trust_list.roots}
    for root in trust_list.roots:
        assert chain.check_authority(root, at("2025-04-01T00:00:00Z")).chain_certificates == 1
        for moment in ("2024-01-01T00:00:00Z", "2030-01-01T00:00:00Z"):
            with pytest.raises(VerificationError) as caught:
                chain.check_authority(root, at(moment))
            assert caught.value.report is Report.EXPIRED_CERTIFICATE


def test_a_root_the_european_list_does_not_name_is_not_trusted_through_it() -> None:
    chain = ChainVerifier(trust_store=TrustStore.of_operator(european_list().roots, ()), areas=NO_IDENTIFIED_AREAS)
    with pytest.raises(VerificationError) as caught:
        chain.check_authority(etsi("root"), at("2018-06-01T00:00:00Z"))
    assert caught.value.report is Report.UNTRUSTED_ROOT


def test_the_european_list_is_described_with_names_identifiers_validity_and_addresses() -> None:
    described = describe_trust_list(european_list())
    assert (described["kind"], described["sequence"], described["is_full"]) == ("ECTL", 1, True)
    adds = described["adds"]
    assert isinstance(adds, list)
    roots = [entry["root"] for entry in adds if "root" in entry]
    assert [(root["name"], root["hashed_id8"]) for root in roots] == [
        ("1_EU-ROOT-CA_L2", "624e2e81b7945c4f"),
        ("3_Microsec-CCMS-RCA-2024_L2", "b1fc75cd5a80c630"),
    ]
    assert (roots[0]["valid_from"], roots[0]["valid_until"]) == ("2024-07-18T00:00:00.000Z", "2029-07-18T05:06:00.000Z")
    (listed,) = (entry for entry in adds if "trust_list_manager" in entry)
    assert listed["access_point"] == "https://cpoc.jrc.ec.europa.eu/L2"
    centres = [entry["distribution_centre"] for entry in adds if "distribution_centre" in entry]
    assert {"url": "http://1.eu-dc.l2.c-its-eu-rca.eu", "roots": ["624e2e81b7945c4f"]} in centres


def test_every_kind_of_list_says_what_it_is() -> None:
    crl = Crl(this_update=its_s(NOON), next_update=its_s(NOON, after_s=60), revoked=(manager().hashed_id8,))
    own = Ctl(kind=CtlKind.ROOT_CTL, next_update=its_s(NOON), is_full=True, sequence=0, commands=())
    assert [list_name(one) for one in (european_list(), own, crl)] == ["ECTL", "CTL of a root", "CRL"]
    assert describe_trust_list(crl)["revoked"] == ["e7a4b2b045e7acf9"]
    assert describe_trust_list(own)["adds"] == []


def test_a_list_nested_150_deep_is_refused_at_once_and_nothing_is_built() -> None:
    with pytest.raises(DecodeError, match="nested more than 4 deep") as caught:
        decode_secured_data(data_file(HOSTILE).read_bytes())
    assert caught.value.bit_offset == 128  # of more than a hundred thousand


def test_the_chain_of_the_etsi_test_system_holds_in_its_time_and_at_no_other() -> None:
    root, aa, ticket = etsi("root"), etsi("aa"), etsi("at")
    assert [certificate_kind(one) for one in (root, aa, ticket)] == ["root", "authorization authority", "authorization ticket"]
    chain = ChainVerifier(trust_store=TrustStore.of_operator((root,), (aa,)), areas=NO_IDENTIFIED_AREAS)
    trusted = chain.check_ticket(ticket, at("2018-01-15T12:00:00Z"))
    assert (trusted.chain_certificates, trusted.issuer) == (3, aa.hashed_id8)
    assert chain.check_authority(aa, at("2018-01-15T12:00:00Z")).issuer == root.hashed_id8
    assert refusal(chain, ticket, "2017-12-31T00:00:00Z") is Report.EXPIRED_CERTIFICATE
    assert refusal(chain, ticket, "2026-11-22T12:00:00Z") is Report.EXPIRED_CERTIFICATE


def test_the_etsi_ticket_is_not_believed_under_another_root() -> None:
    strangers = ChainVerifier(trust_store=TrustStore.of_operator(european_list().roots, (etsi("aa"),)), areas=NO_IDENTIFIED_AREAS)
    assert refusal(strangers, etsi("at"), "2018-01-15T12:00:00Z") is Report.UNTRUSTED_ROOT
    alone = ChainVerifier(trust_store=TrustStore.of_operator((etsi("root"),), ()), areas=NO_IDENTIFIED_AREAS)
    assert refusal(alone, etsi("at"), "2018-01-15T12:00:00Z") is Report.SIGNER_CERTIFICATE_NOT_FOUND


def test_published_certificates_are_described_as_what_they_are() -> None:
    assert describe_certificate(manager())["kind"] == "trust list manager"
    encoded = data_file(ECTL).read_bytes()
    assert describe_certificate(read_certificate(CoerReader(encoded, 25), "root"))["name"] == "1_EU-ROOT-CA_L2"
    assert describe_certificate(etsi("at"))["issuer"] == etsi("aa").hashed_id8.hex()
