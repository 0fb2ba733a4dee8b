from dataclasses import replace

import pytest

from shared.codec.coer import CoerReader
from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import DecodeError, EncodeError, VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time64, utc_from_text
from shared.core.report import VerificationReport as Report
from shared.security.certificate import decode_certificate
from shared.security.ctl import (
    MAX_CTL_COMMANDS,
    MAX_URL_OCTETS,
    AaEntry,
    Ctl,
    CtlCommand,
    CtlKind,
    DcEntry,
    DeleteCertificate,
    DeleteDc,
    EaEntry,
    RootCaEntry,
    TlmEntry,
    encode_ctl,
    read_ctl,
)
from shared.security.ecdsa import Curve
from shared.security.header_info import HeaderInfo
from shared.security.permissions import SspKind
from shared.security.secured_data import SignedData, SignerKind, UnsecuredData, decode_secured_data
from shared.security.trust_list import CLOCK_TOLERANCE_US, decode_trust_list, encode_trust_list, verify_ctl
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON, Hierarchy, seconds
from tests.helpers.trust_lists import TLM_RIGHTS, ListIssuer, its, its_s

TLM = "security/E7A4B2B045E7ACF9.oer"
ECTL = "security/CE4CF6C19BFED720.oer"
HOSTILE = "security/CE4CF6C19BFED720_with_recursion_depth150.oer"
IN_FORCE = utc_from_text("2025-04-01T00:00:00Z")

HIERARCHY = Hierarchy(1)
OTHER = HashedId8(b"otherone")
AT_NOON = Instant(MonotonicNs(0), NOON)
URL = "http://dc.example/list"


def ctl(*commands: CtlCommand, kind: CtlKind = CtlKind.ROOT_CTL, is_full: bool = True, sequence: int = 7) -> Ctl:
    return Ctl(kind=kind, next_update=its_s(NOON, after_s=3_600), is_full=is_full, sequence=sequence, commands=commands)


ENTRIES = (
    EaEntry(certificate=HIERARCHY.ea.certificate, aa_access_point="http://ea.example/aa", its_access_point="http://ea.example/its"),
    EaEntry(certificate=HIERARCHY.ea.certificate, aa_access_point="http://ea.example/aa"),
    AaEntry(certificate=HIERARCHY.aa.certificate, access_point="http://aa.example"),
    DcEntry(url=URL, roots=(HIERARCHY.root.certificate.hashed_id8, OTHER)),
)
ROOT_CTL = ctl(*ENTRIES)
DELTA = ctl(ENTRIES[2], DeleteCertificate(hashed_id8=OTHER), DeleteDc(url=URL), is_full=False)
MANAGERS = ctl(
    RootCaEntry(certificate=HIERARCHY.root.certificate),
    RootCaEntry(certificate=HIERARCHY.root.certificate, successor_to=HIERARCHY.aa.certificate),
    TlmEntry(certificate=HIERARCHY.root.certificate, access_point=URL),
    TlmEntry(certificate=HIERARCHY.root.certificate, access_point=URL, successor_to=HIERARCHY.root.certificate),
    ENTRIES[3],
    kind=CtlKind.ECTL,
)
LISTS = {"root": ROOT_CTL, "delta": DELTA, "ectl": MANAGERS, "empty": ctl()}


def decoded(encoded: bytes, kind: CtlKind = CtlKind.ROOT_CTL) -> Ctl:
    reader = CoerReader(encoded)
    read = read_ctl(reader, kind)
    reader.finish("ctl")
    return read


def refused(secured: bytes, issuer: ListIssuer, *, now: Instant = AT_NOON) -> Report:
    with pytest.raises(VerificationError) as caught:
        verify_ctl(secured, issuer=issuer.certificate, now=now)
    return caught.value.report


def later(elapsed_s: float) -> Instant:
    return Instant(MonotonicNs(0), UtcNs(NOON + seconds(elapsed_s)))


def test_the_european_trust_list_verifies_under_its_manager_and_lists_two_roots() -> None:
    manager = decode_certificate(data_file(TLM).read_bytes())
    verified = verify_ctl(data_file(ECTL).read_bytes(), issuer=manager, now=Instant(MonotonicNs(0), IN_FORCE))
    assert [(root.name, root.hashed_id8.hex().upper()) for root in verified.content.roots] == [
        ("1_EU-ROOT-CA_L2", "624E2E81B7945C4F"),
        ("3_Microsec-CCMS-RCA-2024_L2", "B1FC75CD5A80C630"),
    ]
    assert verified.content.kind is CtlKind.ECTL
    assert (verified.content.is_full, verified.content.sequence) == (True, 1)
    assert [type(command).__name__ for command in verified.content.commands[2:]] == ["TlmEntry", "DcEntry", "DcEntry"]
    assert verified.issuer is manager


def test_the_european_trust_list_encodes_to_the_same_octets() -> None:
    signed = decode_secured_data(data_file(ECTL).read_bytes()).content
    assert isinstance(signed, SignedData)
    assert signed.payload is not None
    assert isinstance(signed.payload.content, UnsecuredData)
    published = signed.payload.content.payload
    assert encode_trust_list(decode_trust_list(published)) == published


@pytest.mark.parametrize("moment", ["2025-03-18T12:35:00Z", "2025-07-16T22:00:00Z", "2027-09-01T00:00:00Z"])
def test_the_european_trust_list_counts_neither_before_it_was_signed_nor_after_its_next_update(moment: str) -> None:
    manager = decode_certificate(data_file(TLM).read_bytes())
    with pytest.raises(VerificationError) as caught:
        verify_ctl(data_file(ECTL).read_bytes(), issuer=manager, now=Instant(MonotonicNs(0), utc_from_text(moment)))
    assert caught.value.report is Report.INVALID_TIMESTAMP


def test_the_list_nested_150_deep_is_refused_at_once() -> None:
    manager = decode_certificate(data_file(TLM).read_bytes())
    with pytest.raises(DecodeError, match="nested more than 4 deep") as caught:
        verify_ctl(data_file(HOSTILE).read_bytes(), issuer=manager, now=Instant(MonotonicNs(0), IN_FORCE))
    assert caught.value.bit_offset == 128


@pytest.mark.parametrize("trust_list", LISTS.values(), ids=LISTS)
def test_a_list_comes_back_as_it_went(trust_list: Ctl) -> None:
    assert decoded(encode_ctl(trust_list), trust_list.kind) == trust_list
    assert decode_trust_list(encode_trust_list(trust_list)) == trust_list


@pytest.mark.parametrize("trust_list", LISTS.values(), ids=LISTS)
def test_a_truncated_or_lengthened_list_is_refused(trust_list: Ctl) -> None:
    encoded = encode_trust_list(trust_list)
    for length in range(0, len(encoded), 1 if len(encoded) < 100 else 3):
        with pytest.raises(DecodeError):
            decode_trust_list(encoded[:length])
    with pytest.raises(DecodeError, match="follow the value"):
        decode_trust_list(encoded + b"\x00")


@pytest.mark.parametrize("trust_list", LISTS.values(), ids=LISTS)
def test_a_flipped_bit_gives_another_list_with_its_own_octets_or_an_error(trust_list: Ctl) -> None:
    encoded = encode_trust_list(trust_list)
    step = 1 if len(encoded) < 100 else 29  # odd, so that every bit position of an octet is met
    for bit in range(0, 8 * len(encoded), step):
        flipped = bytearray(encoded)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        try:
            other = decode_trust_list(bytes(flipped))
        except DecodeError:
            continue
        assert other != trust_list
        assert encode_trust_list(other) == bytes(flipped)


def test_each_kind_of_list_has_its_own_entries() -> None:
    for entry in ENTRIES[:3]:
        with pytest.raises(EncodeError, match="no place in a list of kind ECTL"):
            encode_ctl(ctl(entry, kind=CtlKind.ECTL))
        with pytest.raises(DecodeError, match="no place in a list of kind ECTL"):
            decoded(encode_ctl(ctl(entry)), CtlKind.ECTL)
    for manager in MANAGERS.commands[:4]:
        with pytest.raises(EncodeError, match="no place in a list of kind ROOT_CTL"):
            encode_ctl(ctl(manager))
        with pytest.raises(DecodeError, match="no place in a list of kind ROOT_CTL"):
            decoded(encode_ctl(ctl(manager, kind=CtlKind.ECTL)), CtlKind.ROOT_CTL)


def test_a_full_list_deletes_nothing() -> None:
    with pytest.raises(EncodeError, match="deletes nothing"):
        encode_ctl(replace(DELTA, is_full=True))
    encoded = bytearray(encode_ctl(DELTA))
    assert encoded[7] == 0
    encoded[7] = 0xFF
    with pytest.raises(DecodeError, match="deletes nothing"):
        decoded(bytes(encoded))


@pytest.mark.parametrize("url", ["", "a b", "http://é", "a\x1b[2J", "x" * (MAX_URL_OCTETS + 1)])
def test_a_url_is_visible_ascii_of_bounded_length(url: str) -> None:
    with pytest.raises(EncodeError, match="no URL"):
        encode_ctl(ctl(DcEntry(url=url, roots=())))
    octets = url.encode("utf-8")
    if len(octets) < 128:
        hostile = encode_ctl(ctl(DcEntry(url="U", roots=()))).replace(b"\x01U", bytes((len(octets),)) + octets)
        with pytest.raises(DecodeError, match="visible ASCII"):
            decoded(hostile)


def test_more_commands_than_the_bound_are_refused_before_they_are_read() -> None:
    many = tuple(DeleteCertificate(hashed_id8=OTHER) for _ in range(MAX_CTL_COMMANDS + 1))
    with pytest.raises(EncodeError, match="at most"):
        encode_ctl(ctl(*many, is_full=False))
    head = encode_ctl(ctl(is_full=False))[:-2]
    with pytest.raises(DecodeError, match="513 items"):
        decoded(head + (MAX_CTL_COMMANDS + 1).to_bytes(3, "big").replace(b"\x00", b"\x02", 1))


@pytest.mark.parametrize("by", [SignerKind.CERTIFICATE, SignerKind.DIGEST])
@pytest.mark.parametrize("curve", list(Curve))
def test_a_root_signs_its_own_list_on_every_curve(by: SignerKind, curve: Curve) -> None:
    root = ListIssuer.made(2, curve=curve)
    verified = verify_ctl(root.signed(ROOT_CTL, by=by), issuer=root.certificate, now=AT_NOON)
    assert verified.content == ROOT_CTL
    ea, aa = HIERARCHY.ea.certificate, HIERARCHY.aa.certificate
    assert verified.content.authorities == (ea, ea, aa)
    assert verified.generation_time == its(NOON)


def test_a_list_counts_until_its_next_update_and_not_a_microsecond_longer() -> None:
    root = ListIssuer.made(2)
    secured = root.signed(ROOT_CTL)
    verify_ctl(secured, issuer=root.certificate, now=later(3_599.999999))
    assert refused(secured, root, now=later(3_600)) is Report.INVALID_TIMESTAMP


def test_a_list_from_the_future_is_refused_beyond_what_clocks_and_leap_seconds_explain() -> None:
    root = ListIssuer.made(2)
    header = HeaderInfo(psid=ItsAid.CTL, generation_time=Time64(its(NOON) + CLOCK_TOLERANCE_US))
    verify_ctl(root.signed(ROOT_CTL, header=header), issuer=root.certificate, now=AT_NOON)
    header = HeaderInfo(psid=ItsAid.CTL, generation_time=Time64(its(NOON) + CLOCK_TOLERANCE_US + 1))
    assert refused(root.signed(ROOT_CTL, header=header), root) is Report.INVALID_TIMESTAMP


def test_a_list_cannot_be_judged_without_the_time() -> None:
    root = ListIssuer.made(2)
    assert refused(root.signed(ROOT_CTL), root, now=Instant(MonotonicNs(0), None)) is Report.UNTRUSTED_TIME


def test_only_the_named_issuer_is_believed() -> None:
    root, other = ListIssuer.made(2), ListIssuer.made(3)
    assert refused(other.signed(ROOT_CTL), root) is Report.UNTRUSTED_ROOT
    assert refused(root.signed(ROOT_CTL, by=SignerKind.SELF), root) is Report.UNSUPPORTED_SIGNER_IDENTIFIER_TYPE


def test_a_list_signed_by_another_key_in_the_issuers_name_is_refused() -> None:
    root, other = ListIssuer.made(2), ListIssuer.made(3)
    forged = ListIssuer(certificate=root.certificate, signer=other.signer).signed(ROOT_CTL)
    assert refused(forged, root) is Report.FALSE_SIGNATURE


def test_every_octet_of_a_signed_list_counts() -> None:
    root = ListIssuer.made(2)
    secured = root.signed(ctl(DcEntry(url=URL, roots=(OTHER,))))
    for offset in range(len(secured)):
        altered = bytearray(secured)
        altered[offset] ^= 0x01
        with pytest.raises((VerificationError, DecodeError)):
            verify_ctl(bytes(altered), issuer=root.certificate, now=AT_NOON)


@pytest.mark.parametrize(
    ("rights", "command"),
    [(0x18, ENTRIES[0]), (0x28, ENTRIES[2]), (0x30, ENTRIES[3])],
    ids=["no right to list an EA", "no right to list an AA", "no right to list a distribution centre"],
)
def test_a_root_lists_only_what_its_permissions_name(rights: int, command: CtlCommand) -> None:
    root = ListIssuer.made(2, ctl=bytes((1, rights)))
    assert refused(root.signed(ctl(command)), root) is Report.PERMISSION_DENIED


def test_a_root_signs_no_list_of_roots_and_a_manager_no_list_of_authorities() -> None:
    root, manager = ListIssuer.made(2), ListIssuer.made(3, ctl=TLM_RIGHTS)
    empty = ctl(kind=CtlKind.ECTL)
    verify_ctl(manager.signed(MANAGERS), issuer=manager.certificate, now=AT_NOON)
    verify_ctl(manager.signed(empty), issuer=manager.certificate, now=AT_NOON)
    assert refused(root.signed(MANAGERS), root) is Report.PERMISSION_DENIED
    assert refused(root.signed(empty), root) is Report.PERMISSION_DENIED
    assert refused(manager.signed(ROOT_CTL), manager) is Report.PERMISSION_DENIED


@pytest.mark.parametrize("rights", [b"\x02\x38", b"\x01", b"\x01\x38\x00"])
def test_list_permissions_of_another_form_are_no_permissions(rights: bytes) -> None:
    root = ListIssuer.made(2, ctl=rights)
    assert refused(root.signed(ROOT_CTL), root) is Report.PERMISSION_DENIED


def test_list_permissions_written_as_opaque_octets_are_no_permissions() -> None:
    root = ListIssuer.made(2, kind=SspKind.OPAQUE)
    assert refused(root.signed(ROOT_CTL), root) is Report.PERMISSION_DENIED


def test_a_signed_list_has_its_its_aid_a_generation_time_and_no_other_header_field() -> None:
    root = ListIssuer.made(2)
    at = its(NOON)
    for header, report in (
        (HeaderInfo(psid=ItsAid.CRL, generation_time=at), Report.INCOMPATIBLE_PROTOCOL),
        (HeaderInfo(psid=ItsAid.CTL), Report.HEADER_PROFILE),
        (HeaderInfo(psid=ItsAid.CTL, generation_time=at, expiry_time=Time64(at + 1)), Report.HEADER_PROFILE),
    ):
        assert refused(root.signed(ROOT_CTL, header=header), root) is report


def test_the_issuers_certificate_must_be_valid_when_the_list_was_signed_and_now() -> None:
    root = ListIssuer.made(2)
    year_s = 31_556_952
    long_lived = replace(ROOT_CTL, next_update=its_s(NOON, after_s=6 * year_s))
    assert refused(root.signed(long_lived), root, now=later(5 * year_s)) is Report.EXPIRED_CERTIFICATE


def test_an_issuer_that_does_not_vouch_for_itself_is_refused() -> None:
    root, other = ListIssuer.made(2), ListIssuer.made(3)
    unsound = replace(root.certificate, signature=other.certificate.signature)
    with pytest.raises(VerificationError) as caught:
        verify_ctl(root.signed(ROOT_CTL, by=SignerKind.DIGEST), issuer=unsound, now=AT_NOON)
    assert caught.value.report is Report.INVALID_CERTIFICATE


def test_what_is_signed_as_a_list_must_be_one() -> None:
    root = ListIssuer.made(2)
    with pytest.raises(DecodeError, match="enrolment request is no trust list"):
        verify_ctl(root.signed(ROOT_CTL, payload=b"\x01\x80"), issuer=root.certificate, now=AT_NOON)
    with pytest.raises(DecodeError, match="alternative 18 is unknown"):
        verify_ctl(root.signed(ROOT_CTL, payload=b"\x01\x92"), issuer=root.certificate, now=AT_NOON)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("0186" + "80", "extensions are not supported"),
        ("0186" + "00" + "0102", "version 2 is not 1"),
        ("0186" + "00" + "0101" + "00000001" + "00" + "00" + "0101" + "82", "command 2 is unknown"),
        ("0186" + "00" + "0101" + "00000001" + "00" + "00" + "0101" + "8085", "entry 5 is unknown"),
        ("0186" + "00" + "0101" + "00000001" + "00" + "00" + "0101" + "8182", "deletion 2 is unknown"),
        ("0186" + "00" + "0101" + "00000001" + "00" + "00" + "0101" + "8081" + "40", "padding bits"),
        ("0286", "version 2 is not 1"),
    ],
)
def test_what_this_edition_of_a_list_does_not_know_is_refused_by_name(octets: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode_trust_list(bytes.fromhex(octets))
