"""The account of what came in: every packet in one column, by its kind or by its reason."""

from typing import Any

import pytest

from shared.core.clock import NS_PER_MS
from shared.core.errors import VerificationError
from shared.core.report import VerificationReport as Report
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.stack.inbound import Inbound
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer, mapem_of, spatem_of

HIERARCHY = Hierarchy(1)


def test_what_came_in_is_counted_by_kind_by_reason_and_as_echo() -> None:
    car, rsu, clock = make_peer(HIERARCHY, 1), make_peer(HIERARCHY, 9, StationRole.RSU), clock_at()
    inbound = Inbound(car)
    for message in (cam_of(rsu, clock.now()), denm_of(rsu, clock.now()), spatem_of(rsu), mapem_of(rsu), spatem_of(rsu)):
        now = clock.advance(10 * NS_PER_MS)
        assert inbound.receive(rsu.send(message, position=ego(now), now=now), now) is not None
    own = car.send(cam_of(car, clock.now()), position=ego(clock.now()), now=clock.now())
    assert inbound.receive(own, clock.now()) is None
    assert inbound.last_refusal is None
    assert inbound.receive(b"", clock.now()) is None
    assert dict(inbound.verified) == {"cam": 1, "denm": 1, "spatem": 2, "mapem": 1}
    assert dict(inbound.refused) == {"malformed": 1}
    assert inbound.echoes == 1


def test_the_last_refusal_is_that_of_the_last_packet() -> None:
    car, other, clock = make_peer(HIERARCHY, 1), make_peer(HIERARCHY, 2), clock_at()
    inbound = Inbound(car)
    packet = other.send(cam_of(other, clock.now()), position=ego(clock.now()), now=clock.now())
    reasons = []
    for received in (packet[:-1], packet, packet):
        inbound.receive(received, clock.now())
        reasons.append(None if inbound.last_refusal is None else inbound.last_refusal.code)
    assert reasons == ["malformed", None, "duplicate_message"]


def test_what_a_listener_refuses_is_counted_beside_what_the_station_refuses() -> None:
    inbound = Inbound(make_peer(HIERARCHY, 1))
    inbound.refuse(VerificationError(Report.PERMISSION_DENIED, "not yours"))
    inbound.receive(b"\x12", clock_at().now())
    assert dict(inbound.refused) == {"permission_denied": 1, "malformed": 1}


def test_the_account_is_for_reading_only() -> None:
    refused: Any = Inbound(make_peer(HIERARCHY, 1)).refused
    with pytest.raises(TypeError):
        refused["malformed"] = 0


def test_what_comes_straight_from_its_sender_has_an_age_and_what_is_refused_or_geocast_has_none() -> None:
    car, rsu, clock = make_peer(HIERARCHY, 1), make_peer(HIERARCHY, 9, StationRole.RSU), clock_at()
    inbound = Inbound(car)
    for waited_ms in (0, 1, 7, 1_500):
        now = clock.advance(10 * NS_PER_MS)
        packet = rsu.send(cam_of(rsu, now), position=ego(now), now=now)
        assert inbound.receive(packet, clock.advance(waited_ms * NS_PER_MS)) is not None
        assert inbound.receive(packet, clock.now()) is None
    now = clock.advance(10 * NS_PER_MS)
    warning = rsu.send(denm_of(rsu, now), position=ego(now), now=now, area=Circle(centre=HERE, radius_m=500.0))
    assert inbound.receive(warning, now) is not None
    status = inbound.ages.status()
    assert status == {
        "within_ms": {"1": 2, "2": 2, "5": 2, "10": 3, "20": 3, "50": 3, "100": 3, "200": 3, "500": 3, "1000": 3},
        "count": 4,
        "sum_s": pytest.approx(1.508),
    }
