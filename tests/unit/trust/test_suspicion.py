"""The leaky score, the opinion, and what does not clear anybody."""

import pytest

from shared.core.geo import GeoPoint, displaced
from shared.core.itstime import Time64
from shared.trust.claims import Claim, ClaimSource
from shared.trust.detectors import CheckClass, Finding
from shared.trust.opinion import opinion_of
from shared.trust.suspicion import MOST_POINTS, Standing, Suspicion

HERE = GeoPoint(44.49, 11.34)
BEGIN_US = 700_000_000_000_000


def claim(at_s: float, *, east_m: float, source: ClaimSource = ClaimSource.MESSAGE) -> Claim:
    return Claim(
        source=source,
        taken_at=Time64(BEGIN_US + round(at_s * 1_000_000)),
        position=displaced(HERE, east_m, 0.0),
        speed_mps=10.0,
    )


def driven(suspicion: Suspicion, messages: int, *, begin_s: float = 0.0) -> float:
    """Have a car drive at 10 m/s and speak ten times a second; return when it spoke last."""
    for number in range(messages):
        assert suspicion.hear(claim(begin_s + number / 10, east_m=begin_s * 10 + number)) == ()
    return begin_s + (messages - 1) / 10


def jumping(suspicion: Suspicion, times: int, *, begin_s: float = 0.0) -> float:
    """Have a car be here and a kilometre away in turns, from its second message on."""
    for number in range(times + 1):
        suspicion.hear(claim(begin_s + number / 10, east_m=1_000.0 * (number % 2)))
    return begin_s + times / 10


def is_ignored(suspicion: Suspicion) -> bool:
    return suspicion.standing is Standing.IGNORED


def may_be_reported(suspicion: Suspicion) -> bool:
    return suspicion.is_reportable


def test_who_drives_as_cars_do_is_believed_the_more_the_longer() -> None:
    suspicion = Suspicion()
    assert (suspicion.standing, suspicion.opinion.uncertainty) == (Standing.BELIEVED, 1.0)
    driven(suspicion, 5)
    early = suspicion.opinion
    driven(suspicion, 50, begin_s=0.5)
    assert suspicion.opinion.belief > early.belief > 0.6
    assert (suspicion.score, suspicion.opinion.disbelief, suspicion.found) == (0.0, 0.0, {})


def test_one_jump_is_doubted_and_forgiven() -> None:
    suspicion = Suspicion()
    driven(suspicion, 10)
    jump = claim(1.0, east_m=500.0)
    (finding,) = suspicion.hear(jump)
    assert (suspicion.standing, suspicion.score, suspicion.found) == (Standing.DOUBTED, 1.0, {"C1": 1})
    for number in range(1, 8):
        assert suspicion.hear(claim(1.0 + number / 10, east_m=500.0 + number)) == ()
    assert suspicion.standing is Standing.BELIEVED
    assert suspicion.last_finding == finding, "what was found stays to be read"


def test_three_jumps_in_a_row_are_ignored_and_a_dozen_clean_claims_heard_again() -> None:
    twice, suspicion = Suspicion(), Suspicion()
    jumping(twice, 2)
    assert twice.standing is Standing.DOUBTED
    jumping(suspicion, 3)
    assert is_ignored(suspicion)
    end_s = jumping(suspicion, 100, begin_s=10.0)
    assert suspicion.score == MOST_POINTS
    assert suspicion.opinion.disbelief > 0.8
    for number in range(1, 12):
        suspicion.hear(claim(end_s + number / 10, east_m=number))
        assert is_ignored(suspicion)
    suspicion.hear(claim(end_s + 1.2, east_m=12))
    assert suspicion.standing is Standing.DOUBTED


def test_more_talk_between_two_claims_clears_nobody() -> None:
    suspicion = Suspicion()
    end_s = jumping(suspicion, 3)
    before = suspicion.score
    for number in range(1, 70):
        suspicion.hear(claim(end_s + number / 1_000, east_m=1_000.0))
    assert suspicion.score == before
    assert suspicion.standing is Standing.IGNORED


def test_small_quick_steps_do_not_add_up_to_a_jump_unseen() -> None:
    suspicion = Suspicion()
    for number in range(100):
        suspicion.hear(claim(number / 100, east_m=number * 2.0))
    assert suspicion.found["C1"] >= 10, "200 m/s, said in steps of two metres"


def test_packets_that_overtake_each_other_are_neither_held_against_their_sender_nor_for_it() -> None:
    in_order, suspicion = Suspicion(), Suspicion()
    end_s = driven(in_order, 20)
    driven(suspicion, 20)
    for late in (5, 17, 3, 18):
        assert suspicion.hear(claim(late / 10, east_m=late)) == ()
    assert (suspicion.score, suspicion.opinion) == (0.0, in_order.opinion)
    assert suspicion.hear(claim(end_s + 0.1, east_m=20.0)) == ()


@pytest.mark.parametrize("lie_at_s", [0.05, -0.5], ids=["hard upon it", "dated back"])
def test_whoever_lies_between_true_claims_is_ignored_as_if_it_had_only_lied(lie_at_s: float) -> None:
    suspicion = Suspicion()
    driven(suspicion, 10)
    for number in range(10, 40):
        assert suspicion.hear(claim(number / 10, east_m=number)) == ()
        assert suspicion.hear(claim(number / 10 + lie_at_s, east_m=number + 300.0)) != ()
    assert is_ignored(suspicion)


def test_a_spell_without_a_fix_is_believed_and_one_place_found_anew_is_doubted_and_forgiven() -> None:
    suspicion = Suspicion()
    end_s = driven(suspicion, 20)
    back_s = end_s + 8.0
    assert suspicion.hear(claim(back_s, east_m=99.0)) == (), "eight seconds through a tunnel at 10 m/s"
    assert len(suspicion.hear(claim(back_s + 0.1, east_m=140.0))) == 1, "the receiver found its place, 40 m on"
    assert suspicion.score == 1.0
    for number in range(2, 9):
        assert suspicion.hear(claim(back_s + number / 10, east_m=140.0 + number)) == ()
    assert suspicion.standing is Standing.BELIEVED


class Counting:
    """A check that remembers: it finds fault with every third claim of its holder."""

    def __init__(self) -> None:
        self.heard = 0

    def judge(self, claim: Claim, before: Claim | None) -> Finding | None:
        del claim, before
        self.heard += 1
        if self.heard % 3:
            return None
        return Finding(check="K0", of=CheckClass.CONSISTENCY, residual=float(self.heard), sentence="three claims")


def test_a_check_may_remember_and_remembers_each_holder_apart() -> None:
    one, other = Suspicion((Counting,)), Suspicion((Counting,))
    found = [len(one.hear(claim(number / 10, east_m=number))) for number in range(5)]
    assert found == [0, 0, 1, 0, 0]
    assert [len(other.hear(claim(number / 10, east_m=number))) for number in range(3)] == [0, 0, 1]
    assert one.found == other.found == {"K0": 1}


def test_the_front_of_a_car_and_its_antenna_are_not_held_against_each_other() -> None:
    suspicion = Suspicion()
    for number in range(50):
        source = ClaimSource.MESSAGE if number % 2 else ClaimSource.NETWORK
        aside_m = 8.0 if source is ClaimSource.NETWORK else 0.0
        assert suspicion.hear(claim(number / 10, east_m=number + aside_m, source=source)) == ()


def test_a_report_needs_two_classes_of_checks_however_often_one_of_them_fails() -> None:
    suspicion = Suspicion()
    jumping(suspicion, 20)
    assert is_ignored(suspicion)
    assert not may_be_reported(suspicion)
    finding = suspicion.refused("cause 3 is for roadworks only")
    assert suspicion.last_finding == finding
    assert may_be_reported(suspicion)
    assert suspicion.found == {"C1": 20, "S1": 1}


def test_an_opinion_s_shares_are_one_together_and_evidence_below_none_is_refused() -> None:
    opinion = opinion_of(6.0, 2.0)
    assert (opinion.belief, opinion.disbelief, opinion.uncertainty) == pytest.approx((0.6, 0.2, 0.2))
    assert opinion_of(0.0, 0.0).uncertainty == 1.0
    with pytest.raises(ValueError, match="no less evidence than none"):
        opinion_of(-1.0, 0.0)
