import pytest

from shared.core.errors import EncodeError
from shared.core.itstime import Time32, Time64
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.pki.policy import BACKDATING_ALLOWANCE_S, cut, earliest_begin, period, stay_within
from shared.security.permissions import PsidSsp, SspKind
from shared.security.validity import DurationUnit, Validity


@pytest.mark.parametrize(
    ("lifetime_s", "unit", "count"),
    [
        (1, DurationUnit.SECONDS, 1),
        (65_535, DurationUnit.SECONDS, 65_535),
        (65_536, DurationUnit.MINUTES, 1_092),
        (7 * 86_400, DurationUnit.MINUTES, 10_080),
        (3 * 31_556_952, DurationUnit.HOURS, 26_297),
        (40 * 31_556_952, DurationUnit.SIXTY_HOURS, 5_843),
    ],
)
def test_a_period_is_said_in_the_finest_unit_that_holds_it(lifetime_s: int, unit: DurationUnit, count: int) -> None:
    validity = period(Time32(1_000), Time32(1_000 + lifetime_s))
    assert validity == Validity(start=Time32(1_000), unit=unit, count=count)
    assert validity.end_time64 <= (1_000 + lifetime_s) * 1_000_000


def test_a_period_that_ends_before_it_begins_or_takes_too_long_cannot_be_said() -> None:
    with pytest.raises(EncodeError, match="ends before"):
        period(Time32(5), Time32(5))
    with pytest.raises(EncodeError, match="too long"):
        period(Time32(0), Time32(70_000 * 31_556_952))


def test_a_period_within_its_limits_is_left_as_it_is_said() -> None:
    week = Validity(start=Time32(100), unit=DurationUnit.HOURS, count=168)
    assert cut(week, begin=Time32(100), end=Time32(100 + 168 * 3_600)) == week
    assert cut(week, begin=Time32(0), end=Time32(10**9)) == week


def test_a_period_is_cut_at_both_ends() -> None:
    day = Validity(start=Time32(0), unit=DurationUnit.HOURS, count=24)
    part = cut(day, begin=Time32(3_600), end=Time32(7_200))
    assert part is not None
    assert (part.start, part.end_time64) == (3_600, 7_200_000_000)


@pytest.mark.parametrize(("begin", "end"), [(86_400, 90_000), (90_000, 95_000), (5_000, 5_000), (5_000, 4_000)])
def test_nothing_is_left_of_a_period_outside_its_limits(begin: int, end: int) -> None:
    day = Validity(start=Time32(0), unit=DurationUnit.HOURS, count=24)
    assert cut(day, begin=Time32(begin), end=Time32(end)) is None


def test_an_empty_period_stays_nothing() -> None:
    assert cut(Validity(start=Time32(5), unit=DurationUnit.HOURS, count=0), begin=Time32(0), end=Time32(10)) is None


def test_nothing_begins_before_the_epoch() -> None:
    assert earliest_begin(Time64(0)) == 0
    assert earliest_begin(Time64((BACKDATING_ALLOWANCE_S + 7) * 1_000_000)) == 7


def test_permissions_stay_within_others_bit_by_bit() -> None:
    vehicle, rsu = (TICKET_PERMISSIONS[role] for role in (StationRole.VEHICLE, StationRole.RSU))
    assert stay_within((), vehicle)
    assert stay_within(vehicle, vehicle)
    assert stay_within((PsidSsp(psid=37, ssp=b"\x01\x00\x00\x01"),), vehicle)
    assert not stay_within(rsu, vehicle)
    for permission in (
        PsidSsp(psid=37, ssp=b"\x01\x20\x00\x00"),
        PsidSsp(psid=37, ssp=b"\x00\x00\x00\x00"),
        PsidSsp(psid=37, ssp=b"\x01\x00\x00"),
        PsidSsp(psid=37, ssp=b""),
        PsidSsp(psid=37, ssp=b"\x01\x00\x00\x01", kind=SspKind.OPAQUE),
        PsidSsp(psid=37),
        PsidSsp(psid=138, ssp=b"\x01\x00"),
        PsidSsp(psid=141, ssp=b"\x01"),
    ):
        assert not stay_within((permission,), vehicle)


def test_an_opaque_permission_is_within_its_equal_only() -> None:
    limit = (PsidSsp(psid=99, ssp=b"\x01\x0f", kind=SspKind.OPAQUE),)
    assert stay_within(limit, limit)
    assert not stay_within((PsidSsp(psid=99, ssp=b"\x01\x01", kind=SspKind.OPAQUE),), limit)
