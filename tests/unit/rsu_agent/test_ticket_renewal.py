from random import Random

import pytest

from rsu_agent.ticket_renewal import CHECK_INTERVAL_NS, TAKE_OVER_US, TicketRenewal
from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.errors import VerificationError
from shared.core.ids import HashedId8, StationType
from shared.pki.permission_sets import StationRole
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.sign import NoTicketError, TicketCredential
from shared.stack.effects import Notice
from shared.stack.station import Station, StationIdentity, make_station
from tests.helpers.hierarchy import BEGIN, Hierarchy
from tests.helpers.identities import denm_of, ego
from tests.helpers.pools import pool_of

HOUR_NS = 3_600 * NS_PER_S
HIERARCHY = Hierarchy(1)
SHORT = HIERARCHY.ticket(StationRole.RSU, valid_hours=4)
LONG = HIERARCHY.ticket(StationRole.RSU, valid_hours=8)
LONGEST = HIERARCHY.ticket(StationRole.RSU, valid_hours=12)


def station(ticket: TicketCredential | None) -> Station:
    return make_station(
        identity=StationIdentity.drawn(StationType.ROAD_SIDE_UNIT, Random(3).randbytes),
        ticket=ticket,
        trust_store=HIERARCHY.trust_store,
        areas=NO_IDENTIFIED_AREAS,
    )


def signer_of(unit: Station, now: Instant) -> HashedId8:
    hearer = station(None)
    heard = hearer.receive(unit.send(denm_of(unit, now), position=ego(now), now=now), now)
    assert heard is not None
    return heard.signer.hashed_id8


def test_a_ticket_that_lasts_is_kept() -> None:
    unit = station(SHORT)
    renewal = TicketRenewal(station=unit, current=SHORT, pool=pool_of(SHORT, LONG))
    now = ManualClock(BEGIN).advance(3 * HOUR_NS)
    assert renewal.poll(now) == ()
    assert renewal.due == now.monotonic + CHECK_INTERVAL_NS
    assert signer_of(unit, now) == SHORT.certificate.hashed_id8


def test_shortly_before_its_end_the_ticket_that_lasts_longest_follows_under_the_same_name() -> None:
    unit = station(SHORT)
    name = unit.identity
    renewal = TicketRenewal(station=unit, current=SHORT, pool=pool_of(SHORT, LONG, LONGEST))
    now = ManualClock(BEGIN).advance(4 * HOUR_NS - TAKE_OVER_US * 1_000 // 2)
    (notice,) = renewal.poll(now)
    assert isinstance(notice, Notice)
    assert notice.fields["ticket"] == LONGEST.certificate.hashed_id8.hex()
    assert signer_of(unit, now) == LONGEST.certificate.hashed_id8
    assert unit.identity == name


def test_without_another_the_unit_says_why_it_is_silent_until_one_arrives() -> None:
    unit = station(SHORT)
    renewal = TicketRenewal(station=unit, current=SHORT, pool=pool_of(SHORT))
    now = ManualClock(BEGIN).advance(5 * HOUR_NS)
    assert renewal.poll(now) == ()
    with pytest.raises(VerificationError, match="outside its validity"):
        unit.send(denm_of(unit, now), position=ego(now), now=now)
    renewal.add((LONG,))
    assert renewal.due == 0
    (notice,) = renewal.poll(now)
    assert notice.kind == "ticket_renewed"
    assert signer_of(unit, now) == LONG.certificate.hashed_id8


def test_a_unit_that_begins_without_a_ticket_speaks_as_soon_as_it_has_one() -> None:
    unit = station(None)
    renewal = TicketRenewal(station=unit, current=None, pool=pool_of())
    now = ManualClock(BEGIN).advance(HOUR_NS)
    assert renewal.poll(now) == ()
    with pytest.raises(NoTicketError):
        unit.send(denm_of(unit, now), position=ego(now), now=now)
    renewal.add((LONG,))
    assert [notice.kind for notice in renewal.poll(now)] == ["ticket_renewed"]
    assert signer_of(unit, now) == LONG.certificate.hashed_id8
    assert renewal.status(now) == {"current": LONG.certificate.hashed_id8.hex(), "held": 1, "valid": 1, "unused": 1}


def test_nothing_changes_while_the_time_is_not_known() -> None:
    renewal = TicketRenewal(station=station(None), current=None, pool=pool_of(LONG))
    assert renewal.poll(Instant(MonotonicNs(5), None)) == ()
    assert renewal.status(Instant(MonotonicNs(5), None)) == {"current": None, "held": 1}


def test_under_a_ticket_that_is_set_aside_a_unit_goes_on_under_a_shorter_one_and_without_any_is_silent() -> None:
    unit, now = station(LONG), ManualClock(BEGIN).advance(HOUR_NS)
    pool = pool_of(LONG, SHORT)
    renewal = TicketRenewal(station=unit, current=LONG, pool=pool)
    assert renewal.poll(now) == ()
    pool.set_aside({LONG.certificate.hashed_id8: "root 01 has revoked certificate 02"})
    assert [notice.kind for notice in renewal.poll(now)] == ["ticket_renewed"]
    assert signer_of(unit, now) == SHORT.certificate.hashed_id8
    pool.set_aside({each.certificate.hashed_id8: "root 01 has revoked certificate 02" for each in (LONG, SHORT)})
    (notice,) = renewal.poll(now)
    assert (notice.kind, notice.fields) == ("ticket_set_aside", {"reason": "root 01 has revoked certificate 02"})
    with pytest.raises(NoTicketError):
        unit.send(denm_of(unit, now), position=ego(now), now=now)
    assert renewal.status(now)["why_set_aside"] == ["root 01 has revoked certificate 02"]
    assert renewal.poll(now) == ()
    renewal.add((LONGEST,))
    assert [notice.kind for notice in renewal.poll(now)] == ["ticket_renewed"]
