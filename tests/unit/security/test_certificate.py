import pytest

from shared.codec.coer import CoerReader
from shared.core.errors import DecodeError, EncodeError, VerificationError
from shared.security.certificate import Certificate, decode_certificate, encode_certificate, issue_certificate, read_certificate
from shared.security.ecdsa import Curve, PointForm
from shared.security.hashing import HashAlgorithm, signed_digest
from shared.security.secured_data import SignedData, SignerKind, UnsecuredData, decode_secured_data
from shared.security.validity import DurationUnit
from tests.helpers.data import data_file
from tests.helpers.hierarchy import Hierarchy

TLM = "security/E7A4B2B045E7ACF9.oer"
ECTL = "security/CE4CF6C19BFED720.oer"
CHAIN = ("security/bc_root.coer", "security/bc_aa.coer", "security/bc_at.coer")


def certificate_file(relative: str) -> Certificate:
    return decode_certificate(data_file(relative).read_bytes())


def check_issued_by(certificate: Certificate, issuer: Certificate) -> None:
    algorithm = issuer.tbs.curve.hash_algorithm
    above = b"" if certificate.is_self_signed else issuer.canonical
    digest = signed_digest(algorithm, algorithm.digest(certificate.canonical_tbs), above)
    issuer.public_key().verify_digest(digest, certificate.signature)


def test_the_european_trust_list_manager_vouches_for_itself() -> None:
    tlm = certificate_file(TLM)
    assert tlm.name == "EU-TLM_L2"
    assert tlm.tbs.curve is Curve.BRAINPOOL_P384R1
    assert tlm.hashed_id8.hex().upper() == "E7A4B2B045E7ACF9"
    assert tlm.tbs.validity.unit is DurationUnit.YEARS
    check_issued_by(tlm, tlm)


def test_the_etsi_test_chain_verifies_link_by_link() -> None:
    root, aa, at = (certificate_file(name) for name in CHAIN)
    assert [each.hashed_id8.hex().upper() for each in (root, aa, at)] == [
        "C6F1125E19B175EE",
        "34556D34931E5E5C",
        "3AFD9045B7E240A2",
    ]
    check_issued_by(root, root)
    check_issued_by(aa, root)
    check_issued_by(at, aa)
    with pytest.raises(VerificationError):
        check_issued_by(at, root)


def test_the_european_trust_list_is_signed_by_its_manager_and_holds_sound_roots() -> None:
    encoded = data_file(ECTL).read_bytes()
    signed = decode_secured_data(encoded).content
    assert isinstance(signed, SignedData)
    assert signed.hash_algorithm is HashAlgorithm.SHA384
    assert signed.signer.kind is SignerKind.CERTIFICATE
    (tlm,) = signed.signer.certificates
    assert tlm.encoded == data_file(TLM).read_bytes()
    digest = signed_digest(signed.hash_algorithm, signed.hash_algorithm.digest(signed.tbs_encoded), tlm.canonical)
    tlm.public_key().verify_digest(digest, signed.signature)
    assert signed.payload is not None
    assert isinstance(signed.payload.content, UnsecuredData)
    for offset, identifier in ((25, "624E2E81B7945C4F"), (404, "B1FC75CD5A80C630"), (780, "E7A4B2B045E7ACF9")):
        root = read_certificate(CoerReader(encoded, offset), "root")
        assert root.hashed_id8.hex().upper() == identifier
        check_issued_by(root, root)


@pytest.mark.parametrize("name", [TLM, *CHAIN])
def test_a_published_certificate_encodes_to_the_same_octets(name: str) -> None:
    certificate = certificate_file(name)
    assert encode_certificate(certificate) == certificate.encoded == certificate.canonical


@pytest.mark.parametrize("name", CHAIN)
def test_a_truncated_or_lengthened_certificate_is_refused(name: str) -> None:
    encoded = data_file(name).read_bytes()
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_certificate(encoded[:length])
    with pytest.raises(DecodeError, match="1 octets follow"):
        decode_certificate(encoded + b"\x00")


@pytest.mark.parametrize("name", CHAIN)
def test_a_flipped_bit_is_refused_or_changes_the_identifier_and_re_encodes(name: str) -> None:
    encoded = data_file(name).read_bytes()
    original = decode_certificate(encoded)
    for bit in range(0, len(encoded) * 8, 3):
        flipped = bytearray(encoded)
        flipped[bit // 8] ^= 0x80 >> (bit % 8)
        try:
            certificate = decode_certificate(bytes(flipped))
        except DecodeError:
            continue
        same_r = certificate.signature.r == original.signature.r and not certificate.signature.canonical
        assert same_r or certificate.hashed_id8 != original.hashed_id8
        assert encode_certificate(certificate) == certificate.canonical


def test_a_key_written_uncompressed_is_hashed_compressed() -> None:
    at = certificate_file(CHAIN[2])
    numbers = at.public_key().native.public_numbers()
    compressed = bytes((0x80 + at.tbs.verification_key.form.value,)) + at.tbs.verification_key.x
    whole = b"\x84" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    assert at.encoded.count(compressed) == 1
    other = decode_certificate(at.encoded.replace(compressed, whole))
    assert other.encoded != at.encoded
    assert (other.canonical, other.hashed_id8) == (at.canonical, at.hashed_id8)
    check_issued_by(other, certificate_file(CHAIN[1]))


def test_a_signature_with_r_as_a_point_is_hashed_x_only() -> None:
    at = certificate_file(CHAIN[2])
    other = decode_certificate(at.encoded.replace(b"\x80" + at.signature.r, b"\x83" + at.signature.r))
    assert not other.signature.canonical
    assert (other.canonical, other.hashed_id8) == (at.canonical, at.hashed_id8)


@pytest.mark.parametrize(
    ("offset", "octet", "reason"),
    [
        (0, 0x00, "signature is absent"),
        (1, 0x02, "version 2"),
        (2, 0x01, "not explicit"),
        (3, 0x84, "issuer alternative 4"),
        (12, 0xB1, "extensions of the certificate"),
        (23, 0x87, "duration unit 7"),
        (90, 0x81, "implicit"),
    ],
)
def test_what_the_profile_does_not_know_is_refused_by_name(offset: int, octet: int, reason: str) -> None:
    encoded = bytearray(data_file(CHAIN[2]).read_bytes())
    encoded[offset] = octet
    with pytest.raises(DecodeError, match=reason):
        decode_certificate(bytes(encoded))


def test_a_root_that_names_a_hash_foreign_to_its_key_is_refused() -> None:
    encoded = bytearray(data_file(TLM).read_bytes())
    assert encoded[3:5] == b"\x81\x01"
    encoded[4] = 0x00
    with pytest.raises(DecodeError, match="does not belong to the key"):
        decode_certificate(bytes(encoded))


def test_nobody_issues_under_a_key_that_is_not_in_the_issuers_certificate() -> None:
    hierarchy = Hierarchy(1)
    stranger = hierarchy.keys.generate(Curve.NIST_P256)
    with pytest.raises(EncodeError, match="not the key"):
        issue_certificate(hierarchy.ticket().certificate.tbs, issuer=hierarchy.aa.certificate, signer=stranger)


@pytest.mark.parametrize("curve", Curve)
def test_authorities_on_every_curve_issue_tickets_that_decode(curve: Curve) -> None:
    hierarchy = Hierarchy(2, curve=curve)
    ticket = hierarchy.ticket().certificate
    assert ticket.issuer.algorithm is curve.hash_algorithm
    assert decode_certificate(ticket.encoded) == ticket
    assert ticket.tbs.verification_key.form is not PointForm.UNCOMPRESSED
    check_issued_by(ticket, hierarchy.aa.certificate)
    check_issued_by(hierarchy.aa.certificate, hierarchy.root.certificate)
