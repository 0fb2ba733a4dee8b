import pytest

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import UntrustedTimeError, VerificationError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.core.report import VerificationReport as Report
from shared.security.freshness import FUTURE_TOLERANCE_US, US_PER_S, Freshness, trusted_time64
from shared.security.replay import ReplayGuard

NOW = Time64(700_000_000 * US_PER_S)
ALICE = HashedId8(b"alice...")
BOB = HashedId8(b"bob.....")


def before(age_us: int) -> Time64:
    return Time64(NOW - age_us)


@pytest.mark.parametrize(
    ("its_aid", "window_us"), [(ItsAid.CAM, 2 * US_PER_S), (ItsAid.DENM, 600 * US_PER_S), (ItsAid.TLM, 10 * US_PER_S)]
)
def test_a_message_is_fresh_up_to_the_end_of_its_window(its_aid: ItsAid, window_us: int) -> None:
    Freshness().check(its_aid, before(window_us), NOW)
    with pytest.raises(VerificationError, match="ago") as caught:
        Freshness().check(its_aid, before(window_us + 1), NOW)
    assert caught.value.report is Report.INVALID_TIMESTAMP


def test_a_message_may_be_ahead_by_the_error_of_two_clocks_and_no_more() -> None:
    Freshness().check(ItsAid.CAM, Time64(NOW + FUTURE_TOLERANCE_US), NOW)
    with pytest.raises(VerificationError, match="in the future"):
        Freshness().check(ItsAid.CAM, Time64(NOW + FUTURE_TOLERANCE_US + 1), NOW)


def test_windows_are_a_choice_of_the_station() -> None:
    strict = Freshness(max_age_us={ItsAid.CAM: 500_000}, generic_max_age_us=1)
    with pytest.raises(VerificationError):
        strict.check(ItsAid.CAM, before(500_001), NOW)
    with pytest.raises(VerificationError):
        strict.check(ItsAid.DENM, before(2), NOW)


@pytest.mark.parametrize("utc", [None, UtcNs(0)])
def test_there_is_no_its_time_without_a_date(utc: UtcNs | None) -> None:
    with pytest.raises(UntrustedTimeError):
        trusted_time64(Instant(MonotonicNs(0), utc))


def guard(capacity: int = 100) -> ReplayGuard:
    return ReplayGuard(freshness=Freshness(), capacity=capacity)


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def refused(replay: ReplayGuard, signer: HashedId8, number: int, generated: Time64) -> Report | None:
    try:
        replay.check_new(ItsAid.CAM, signer + digest(number), generated)
    except VerificationError as error:
        return error.report
    return None


def test_the_same_message_of_the_same_signer_is_a_duplicate() -> None:
    replay = guard()
    assert refused(replay, ALICE, 1, NOW) is None
    replay.remember(ItsAid.CAM, ALICE + digest(1), NOW, NOW)
    assert refused(replay, ALICE, 1, NOW) is Report.DUPLICATE_MESSAGE
    assert refused(replay, BOB, 1, NOW) is None
    assert refused(replay, ALICE, 2, NOW) is None


def test_checking_alone_remembers_nothing() -> None:
    replay = guard()
    assert refused(replay, ALICE, 1, NOW) is None
    assert refused(replay, ALICE, 1, NOW) is None


def test_a_message_is_remembered_for_as_long_as_it_could_be_fresh() -> None:
    replay = guard(capacity=1_000)
    latest = 2 * US_PER_S + FUTURE_TOLERANCE_US
    for step in range(0, 10 * US_PER_S, 100_000):
        at = Time64(NOW + step)
        replay.remember(ItsAid.CAM, ALICE + digest(step), at, at)
        for earlier in range(step, max(0, step - latest) - 1, -100_000):
            assert refused(replay, ALICE, earlier, Time64(NOW + earlier)) is Report.DUPLICATE_MESSAGE


def test_memory_stays_bounded_and_forgetting_never_opens_a_door() -> None:
    replay = guard(capacity=10)
    for number in range(1_000):
        generated = Time64(NOW + number)
        replay.remember(ItsAid.CAM, ALICE + digest(number), generated, Time64(NOW + number))
        memory = replay._memories[ItsAid.CAM]
        assert len(memory.recent) + len(memory.older) <= 20
    for number in range(1_000):
        assert refused(replay, ALICE, number, Time64(NOW + number)) in (Report.DUPLICATE_MESSAGE, Report.INVALID_TIMESTAMP)
    assert refused(replay, ALICE, 5_000, Time64(NOW + 5_000)) is None


def test_services_do_not_push_each_other_out() -> None:
    replay = guard(capacity=2)
    replay.remember(ItsAid.DENM, ALICE + digest(1), NOW, NOW)
    for number in range(50):
        replay.remember(ItsAid.CAM, ALICE + digest(number), NOW, NOW)
    with pytest.raises(VerificationError, match="received before"):
        replay.check_new(ItsAid.DENM, ALICE + digest(1), NOW)
