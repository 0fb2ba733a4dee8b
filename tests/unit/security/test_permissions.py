import pytest

from shared.codec.coer import CoerReader
from shared.core.errors import DecodeError, VerificationError
from shared.core.report import VerificationReport
from shared.security.permissions import (
    APP_END_ENTITY,
    ENROL_END_ENTITY,
    UNBOUNDED_CHAIN,
    AnySsp,
    BitmapSspRange,
    OpaqueSspRange,
    PsidGroupPermissions,
    PsidSsp,
    PsidSspRange,
    SspKind,
    SspRange,
    check_delegated_permissions,
    check_issued_permissions,
    encode_app_permissions,
    encode_group_permissions,
    find_permission,
    read_app_permissions,
    read_group_permissions,
)

BITMAP = BitmapSspRange(value=b"\x01\xff\xfc", mask=b"\xff\x00\x03")


def entry(ssp_range: SspRange, psid: int = 36) -> PsidSspRange:
    return PsidSspRange(psid=psid, ssp_range=ssp_range)


def test_permissions_come_back_from_the_wire() -> None:
    permissions = (
        PsidSsp(psid=36, ssp=b"\x01\xff\xfc"),
        PsidSsp(psid=37, ssp=b"\x01", kind=SspKind.OPAQUE),
        PsidSsp(psid=540_802),
    )
    encoded = encode_app_permissions(permissions)
    cursor = CoerReader(encoded)
    assert read_app_permissions(cursor, "p") == permissions
    cursor.finish("p")


def test_a_bitmap_ssp_is_written_as_in_published_certificates() -> None:
    assert encode_app_permissions((PsidSsp(psid=624, ssp=b"\x01\xc8"),)).hex() == "0101" + "80" + "020270" + "81030201c8"


def test_issuing_permissions_come_back_without_their_defaults_written_out() -> None:
    groups = (
        PsidGroupPermissions(ranges=None),
        PsidGroupPermissions(ranges=(entry(AnySsp()), entry(BITMAP, 37)), min_chain_length=2, end_entities=0xC0),
        PsidGroupPermissions(
            ranges=(entry(OpaqueSspRange(values=(b"", b"\x01"))),), chain_length_range=UNBOUNDED_CHAIN, end_entities=0x40
        ),
    )
    encoded = encode_group_permissions(groups)
    cursor = CoerReader(encoded)
    assert read_group_permissions(cursor, "g") == groups
    cursor.finish("g")
    assert encode_group_permissions((groups[0],)).hex() == "0101" + "00" + "81"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0101" + "80" + "81" + "0101", "default value"),
        ("0101" + "40" + "81" + "0100", "default value"),
        ("0101" + "80" + "81" + "0100", "chain length"),
        ("0101" + "40" + "81" + "01fe", "chain length"),
        ("0101" + "20" + "81" + "20", "unknown bits"),
        ("0101" + "00" + "82", "alternative 2"),
        ("0101" + "00" + "80" + "0101" + "80" + "0124" + "82" + "05" + "0201ff" + "01ff", "under a mask"),
        ("0100", "0 items"),
    ],
)
def test_crooked_issuing_permissions_are_refused(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        read_group_permissions(CoerReader(bytes.fromhex(text)), "g")


def test_the_same_service_twice_is_refused() -> None:
    encoded = encode_app_permissions((PsidSsp(psid=36, ssp=b"\x01"), PsidSsp(psid=36, ssp=b"\x02")))
    with pytest.raises(DecodeError, match="twice"):
        read_app_permissions(CoerReader(encoded), "p")


@pytest.mark.parametrize(
    ("ssp", "allowed"),
    [
        ("010000", True),
        ("01fffc", True),
        ("018004", True),
        ("020000", False),
        ("010001", False),
        ("0100", False),
        ("01000000", False),
    ],
)
def test_a_bitmap_range_fixes_the_bits_under_its_mask(ssp: str, allowed: bool) -> None:  # noqa: FBT001 - a parameter
    assert entry(BITMAP).covers(PsidSsp(psid=36, ssp=bytes.fromhex(ssp))) is allowed


def test_a_bitmap_range_covers_neither_an_opaque_ssp_nor_none() -> None:
    assert not entry(BITMAP).covers(PsidSsp(psid=36, ssp=b"\x01\x00\x00", kind=SspKind.OPAQUE))
    assert not entry(BITMAP).covers(PsidSsp(psid=36))
    assert not entry(BITMAP).covers(PsidSsp(psid=37, ssp=b"\x01\x00\x00"))


def test_an_opaque_range_covers_what_it_lists() -> None:
    listed = entry(OpaqueSspRange(values=(b"\x01",)))
    assert listed.covers(PsidSsp(psid=36, ssp=b"\x01", kind=SspKind.OPAQUE))
    assert not listed.covers(PsidSsp(psid=36, ssp=b"\x01", kind=SspKind.BITMAP))
    assert not listed.covers(PsidSsp(psid=36, ssp=b"\x02", kind=SspKind.OPAQUE))


def test_a_missing_range_covers_any_ssp_of_its_service() -> None:
    for permission in (PsidSsp(psid=36), PsidSsp(psid=36, ssp=b"\x09"), PsidSsp(psid=36, ssp=b"", kind=SspKind.OPAQUE)):
        assert entry(AnySsp()).covers(permission)
    assert not entry(AnySsp()).covers(PsidSsp(psid=37))


@pytest.mark.parametrize(
    ("outer", "inner", "within"),
    [
        (AnySsp(), BITMAP, True),
        (BITMAP, AnySsp(), False),
        (BITMAP, BITMAP, True),
        (BITMAP, BitmapSspRange(value=b"\x01\x00\x00", mask=b"\xff\xff\x03"), True),
        (BITMAP, BitmapSspRange(value=b"\x01\x00\x00", mask=b"\xff\xff\x01"), False),
        (BITMAP, BitmapSspRange(value=b"\x02\x00\x00", mask=b"\xff\xff\x03"), False),
        (BITMAP, BitmapSspRange(value=b"\x01\x00", mask=b"\xff\xff"), False),
        (BITMAP, BitmapSspRange(value=b"\x01\x00\x00\x00", mask=b"\xff\xff\xff\xff"), False),
        (BITMAP, OpaqueSspRange(values=(b"\x01\xff\xfc",)), False),
        (OpaqueSspRange(values=(b"\x01", b"\x02")), OpaqueSspRange(values=(b"\x02",)), True),
        (OpaqueSspRange(values=(b"\x01",)), OpaqueSspRange(values=(b"\x01", b"\x02")), False),
        (OpaqueSspRange(values=(b"\x01",)), BITMAP, False),
    ],
)
def test_a_delegated_range_lies_within_the_issuers(outer: SspRange, inner: SspRange, within: bool) -> None:  # noqa: FBT001 - a parameter
    assert entry(outer).covers_range(entry(inner)) is within
    assert not entry(outer, 36).covers_range(entry(inner, 37))


def group(minimum: int = 1, extra: int = 0, end_entities: int = APP_END_ENTITY) -> PsidGroupPermissions:
    return PsidGroupPermissions(
        ranges=(entry(AnySsp()),), min_chain_length=minimum, chain_length_range=extra, end_entities=end_entities
    )


def test_only_a_group_for_the_next_level_lets_an_issuer_issue() -> None:
    wanted = (PsidSsp(psid=36, ssp=b"\x01"),)
    check_issued_permissions((group(),), wanted, end_entities=APP_END_ENTITY)
    check_issued_permissions((group(2), group(1, UNBOUNDED_CHAIN)), wanted, end_entities=APP_END_ENTITY)
    for groups in ((group(2),), (group(1, 0, ENROL_END_ENTITY),), ()):
        with pytest.raises(VerificationError, match="may not issue ITS-AID 36") as caught:
            check_issued_permissions(groups, wanted, end_entities=APP_END_ENTITY)
        assert caught.value.report is VerificationReport.INCONSISTENT_CHAIN


@pytest.mark.parametrize(
    ("issuer", "child", "allowed"),
    [
        (group(2), group(1), True),
        (group(1), group(1), False),
        (group(3), group(1), False),
        (group(1, 1), group(1), True),
        (group(1, 1), group(1, 1), False),
        (group(1, 2), group(1, 1), True),
        (group(1, UNBOUNDED_CHAIN), group(1, UNBOUNDED_CHAIN), True),
        (group(1, 5), group(1, UNBOUNDED_CHAIN), False),
        (group(2, 0, 0xC0), group(1, 0, 0x40), True),
        (group(2, 0, 0x80), group(1, 0, 0xC0), False),
    ],
)
def test_chain_length_and_end_entities_shrink_down_the_chain(
    issuer: PsidGroupPermissions,
    child: PsidGroupPermissions,
    allowed: bool,  # noqa: FBT001 - a parameter
) -> None:
    if allowed:
        check_delegated_permissions((issuer,), (child,))
    else:
        with pytest.raises(VerificationError, match="may not delegate"):
            check_delegated_permissions((issuer,), (child,))


def test_everything_may_only_be_delegated_by_who_has_everything() -> None:
    everything = PsidGroupPermissions(ranges=None)
    check_delegated_permissions((PsidGroupPermissions(ranges=None, min_chain_length=2),), (everything,))
    with pytest.raises(VerificationError, match="all ITS-AIDs"):
        check_delegated_permissions((group(2),), (everything,))


def test_a_service_that_is_not_permitted_is_denied() -> None:
    permissions = (PsidSsp(psid=36, ssp=b"\x01\x00\x00"),)
    assert find_permission(permissions, 36).ssp == b"\x01\x00\x00"
    with pytest.raises(VerificationError) as caught:
        find_permission(permissions, 37)
    assert caught.value.report is VerificationReport.PERMISSION_DENIED
