"""What a verified message claims of its sender: which place counts, of when it is, and what is no claim at all."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.itstime import generation_delta_time, time64_of
from shared.messages.cam import Cam
from shared.messages.cdd import DriveDirection
from shared.messages.denm import Denm
from shared.stack.claimed import MAX_FIX_AGE_US, claim_of
from shared.stack.station import EgoPosition, Station
from shared.trust.claims import Claim, ClaimSource
from shared.trust.suspicion import Standing, Suspicion
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, make_peer

HIERARCHY = Hierarchy(1)
CIRCLE_MS = 1 << 16
AWAY = displaced(HERE, 30.0, 0.0)
LISTENER = make_peer(HIERARCHY, 9)


def ego(now: Instant, point: GeoPoint = AWAY, *, age_s: float = 0.0, speed_mps: float | None = 13.9) -> EgoPosition:
    taken_at = UtcNs(now.require_utc() - round(age_s * NS_PER_S))
    return EgoPosition(point=point, taken_at=taken_at, speed_mps=speed_mps, heading_deg=90.0)


def claimed(station: Station, message: Cam | Denm, position: EgoPosition, now: Instant) -> Claim | None:
    """Return what a listener makes of what a station says."""
    indication = LISTENER.receive(station.send(message, position=position, now=now), now)
    assert indication is not None
    return claim_of(indication)


def test_a_cam_s_own_place_counts_and_of_the_moment_it_says_it_was_taken() -> None:
    now, station = clock_at().now(), make_peer(HIERARCHY, 7)
    message = replace(cam_of(station, now), generation_delta_time_ms=generation_delta_time(time64_of(now.require_utc())) - 120)
    claim = claimed(station, message, ego(now), now)
    assert claim is not None
    assert (claim.source, claim.taken_at) == (ClaimSource.MESSAGE, time64_of(now.require_utc()) - 120_000)
    assert claim.position.lon_deg == pytest.approx(HERE.lon_deg, abs=1e-7)
    assert (claim.speed_mps, claim.heading_deg) == (13.9, 90.0)


def test_a_car_in_reverse_has_a_speed_below_zero() -> None:
    now, station = clock_at().now(), make_peer(HIERARCHY, 7)
    claim = claimed(station, replace(cam_of(station, now), drive_direction=DriveDirection.BACKWARD, speed_mps=2.0), ego(now), now)
    assert claim is not None
    assert claim.speed_mps == -2.0


@pytest.mark.parametrize(("behind_ms", "taken_ms_ago"), [(0, 0), (500, 500), (2_000, 2_000), (30_000, 2_000), (-40, 0)])
def test_an_old_place_is_taken_for_two_seconds_old_at_most_and_one_of_the_future_for_one_of_now(
    behind_ms: int, taken_ms_ago: int
) -> None:
    now, station = clock_at().now(), make_peer(HIERARCHY, 7)
    delta_ms = (generation_delta_time(time64_of(now.require_utc())) - behind_ms) % CIRCLE_MS
    claim = claimed(station, replace(cam_of(station, now), generation_delta_time_ms=delta_ms), ego(now), now)
    assert claim is not None
    assert claim.taken_at == time64_of(now.require_utc()) - taken_ms_ago * 1_000


def driven_past_the_wrap(places_m: Sequence[float]) -> list[Claim]:
    """Have a car speak ten times a second about the moment its clock of 65,536 ms begins again, its place 70 ms old each time."""
    wrap_ms = CIRCLE_MS - generation_delta_time(time64_of(NOON))
    clock, station = ManualClock(UtcNs(NOON + (wrap_ms - 100 * (len(places_m) // 2)) * NS_PER_MS)), make_peer(HIERARCHY, 7)
    claims = []
    deltas_ms = []
    for east_m in places_m:
        now = clock.advance(NS_PER_S // 10)
        delta_ms = (generation_delta_time(time64_of(now.require_utc())) - 70) % CIRCLE_MS
        deltas_ms.append(delta_ms)
        message = replace(cam_of(station, now, displaced(HERE, east_m, 0.0)), generation_delta_time_ms=delta_ms)
        claim = claimed(station, message, ego(now), now)
        assert claim is not None
        claims.append(claim)
    assert min(deltas_ms) < 200 < CIRCLE_MS - 200 < max(deltas_ms), "the clock did begin again"
    return claims


def test_where_the_clock_of_65_536_ms_begins_again_an_honest_car_is_believed_and_a_jump_is_found() -> None:
    honest, liar = Suspicion(), Suspicion()
    for claim in driven_past_the_wrap([1.4 * number for number in range(12)]):
        assert honest.hear(claim) == ()
    assert (honest.standing, honest.opinion.disbelief) == (Standing.BELIEVED, 0.0)
    for claim in driven_past_the_wrap([500.0 * (number % 2) for number in range(12)]):
        liar.hear(claim)
    assert liar.standing is Standing.IGNORED


def test_of_any_other_message_and_of_a_cam_without_a_place_the_network_header_counts() -> None:
    now, station = clock_at().now(), make_peer(HIERARCHY, 7)
    for message in (denm_of(station, now), cam_of(station, now, None)):
        claim = claimed(station, message, ego(now, age_s=0.5), now)
        assert claim is not None
        assert (claim.source, claim.speed_mps) == (ClaimSource.NETWORK, 13.9)
        assert claim.taken_at == time64_of(now.require_utc()) - 500_000
        assert claim.position.lon_deg == pytest.approx(AWAY.lon_deg, abs=1e-7)


def test_a_last_fix_that_is_sent_on_and_on_is_no_claim_so_the_next_one_is_no_jump() -> None:
    clock, station, suspicion = clock_at(), make_peer(HIERARCHY, 7), Suspicion()
    lost = clock.now()
    for tenth in range(100):
        now = clock.advance(NS_PER_S // 10)
        age_s = (now.require_utc() - lost.require_utc()) / NS_PER_S
        claim = claimed(station, cam_of(station, now, None), ego(now, age_s=age_s, speed_mps=30.0), now)
        assert (claim is None) is (age_s * 1_000_000 > MAX_FIX_AGE_US), tenth
        if claim is not None:
            suspicion.hear(claim)
    now = clock.advance(NS_PER_S // 10)
    found = claimed(station, cam_of(station, now, None), ego(now, displaced(HERE, 30.0 * 10.1, 0.0)), now)
    assert found is not None
    assert suspicion.hear(found) == ()


def test_a_header_that_says_zero_for_a_speed_nobody_knows_does_not_brake() -> None:
    clock, station, suspicion = clock_at(), make_peer(HIERARCHY, 7), Suspicion()
    for tenth in range(20):
        now = clock.advance(NS_PER_S // 10)
        position = ego(now, displaced(HERE, 2.0 * tenth, 0.0), speed_mps=20.0 if tenth % 2 else None)
        claim = claimed(station, denm_of(station, now, sequence_number=tenth), position, now)
        assert claim is not None
        assert claim.speed_mps == (20.0 if tenth % 2 else None)
        assert suspicion.hear(claim) == ()
