from dataclasses import replace

import pytest

from shared.codec.coer import encode_quantity
from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import DecodeError, EncodeError, VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time32
from shared.core.report import VerificationReport as Report
from shared.security.crl import MAX_CRL_ENTRIES, Crl, encode_crl
from shared.security.header_info import HeaderInfo
from shared.security.trust_list import CLOCK_TOLERANCE_US, decode_trust_list, encode_trust_list, verify_crl, verify_ctl
from tests.helpers.hierarchy import NOON, seconds
from tests.helpers.trust_lists import ListIssuer, its, its_s

REVOKED = (HashedId8(b"revoked1"), HashedId8(b"revoked2"))
CRL = Crl(this_update=its_s(NOON), next_update=its_s(NOON, after_s=86_400), revoked=REVOKED)
EMPTY = replace(CRL, revoked=())
AT_NOON = Instant(MonotonicNs(0), NOON)
ROOT = ListIssuer.made(5)


def refused(secured: bytes, *, at: UtcNs = NOON) -> Report:
    with pytest.raises(VerificationError) as caught:
        verify_crl(secured, issuer=ROOT.certificate, now=Instant(MonotonicNs(0), at))
    return caught.value.report


def test_the_octets_of_a_list_are_those_of_the_standard() -> None:
    crl = Crl(this_update=Time32(1), next_update=Time32(2), revoked=(HashedId8(b"\xaa" * 8),))
    assert encode_trust_list(crl).hex() == "0184" + "00" + "0101" + "00000001" + "00000002" + "0101" + "aa" * 8


@pytest.mark.parametrize("crl", [CRL, EMPTY], ids=["two revoked", "none revoked"])
def test_a_list_comes_back_as_it_went(crl: Crl) -> None:
    assert decode_trust_list(encode_trust_list(crl)) == crl


def test_a_truncated_or_lengthened_list_is_refused() -> None:
    encoded = encode_trust_list(CRL)
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_trust_list(encoded[:length])
    with pytest.raises(DecodeError, match="follow the value"):
        decode_trust_list(encoded + b"\x00")


def test_a_flipped_bit_gives_another_list_with_its_own_octets_or_an_error() -> None:
    encoded = encode_trust_list(CRL)
    for bit in range(8 * len(encoded)):
        flipped = bytearray(encoded)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        try:
            other = decode_trust_list(bytes(flipped))
        except DecodeError:
            continue
        assert other != CRL
        assert encode_trust_list(other) == bytes(flipped)


def test_the_next_list_is_later_than_this_one() -> None:
    backwards = replace(CRL, next_update=CRL.this_update)
    with pytest.raises(EncodeError, match="not later"):
        encode_crl(backwards)
    encoded = encode_trust_list(CRL).replace(CRL.next_update.to_bytes(4, "big"), CRL.this_update.to_bytes(4, "big"))
    with pytest.raises(DecodeError, match="not later"):
        decode_trust_list(encoded)


def test_more_entries_than_the_bound_are_refused_before_they_are_read() -> None:
    with pytest.raises(EncodeError, match="at most"):
        encode_crl(replace(CRL, revoked=REVOKED[:1] * (MAX_CRL_ENTRIES + 1)))
    head = encode_trust_list(EMPTY)[:-2]
    with pytest.raises(DecodeError, match="4097 items"):
        decode_trust_list(head + encode_quantity(MAX_CRL_ENTRIES + 1, "count"))


@pytest.mark.parametrize("crl", [CRL, EMPTY], ids=["two revoked", "none revoked"])
def test_a_root_revokes_what_it_signs(crl: Crl) -> None:
    assert verify_crl(ROOT.signed(crl), issuer=ROOT.certificate, now=AT_NOON).content == crl


def test_a_list_counts_from_its_beginning_to_its_next_update() -> None:
    early = replace(CRL, this_update=its_s(NOON, after_s=CLOCK_TOLERANCE_US // 1_000_000 + 1))
    assert refused(ROOT.signed(early)) is Report.INVALID_TIMESTAMP
    assert refused(ROOT.signed(CRL), at=UtcNs(NOON + seconds(86_400))) is Report.INVALID_TIMESTAMP


def test_another_roots_list_revokes_nothing_here() -> None:
    assert refused(ListIssuer.made(6).signed(CRL)) is Report.UNTRUSTED_ROOT


def test_permission_to_revoke_is_version_one_and_nothing_else() -> None:
    other = ListIssuer.made(7, crl=b"\x01\xff")
    with pytest.raises(VerificationError) as caught:
        verify_crl(other.signed(CRL), issuer=other.certificate, now=AT_NOON)
    assert caught.value.report is Report.PERMISSION_DENIED


def test_a_list_of_one_kind_is_not_taken_for_the_other() -> None:
    as_ctl = HeaderInfo(psid=ItsAid.CTL, generation_time=its(NOON))
    secured = ROOT.signed(CRL, header=as_ctl)
    assert refused(secured) is Report.INCOMPATIBLE_PROTOCOL
    with pytest.raises(VerificationError) as caught:
        verify_ctl(secured, issuer=ROOT.certificate, now=AT_NOON)
    assert caught.value.report is Report.CONTENT_MISMATCH


@pytest.mark.parametrize(("front", "reason"), [("80", "extensions are not supported"), ("000102", "version 2"), ("40", "padding")])
def test_what_this_edition_of_a_list_does_not_know_is_refused_by_name(front: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode_trust_list(bytes.fromhex("0184" + front) + encode_trust_list(CRL)[6:])
