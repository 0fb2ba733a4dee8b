from collections.abc import Callable

import pytest

from shared.core.clock import Instant
from shared.core.errors import DecodeError, V2xError, VerificationError
from shared.core.ids import ItsAid
from shared.core.itstime import time64_of
from shared.core.report import VerificationReport as Report
from shared.messages.cdd import CauseCode
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.pki.permission_sets import StationRole
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.region import NO_IDENTIFIED_AREAS, Location
from shared.stack.indication import Verified
from shared.stack.receiver import Receiver, make_receiver
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.stations import TURIN, Speaker, after_ms, at, payload_of, sealed

HIERARCHY = Hierarchy(11)
FOREIGN = Hierarchy(12)


def receiver() -> Receiver:
    return make_receiver(trust_store=HIERARCHY.trust_store, areas=NO_IDENTIFIED_AREAS)


def received(listener: Receiver, packet: bytes, now: Instant) -> object:
    return listener.indicate(listener.open(packet, now))


def outcome(judge: Callable[[bytes, Instant], object], packet: bytes, now: Instant) -> object:
    try:
        return judge(packet, now)
    except V2xError as refusal:
        return refusal.code, str(refusal)


def test_a_receiver_and_a_station_judge_every_packet_alike() -> None:
    car, rsu = Speaker(HIERARCHY), Speaker(HIERARCHY, StationRole.RSU, seed=2)
    listener, station = receiver(), Speaker(HIERARCHY, seed=3).station
    first = car.cam(NOON)
    unsecured = b"\x11" + first[1:]
    packets = [
        (first, 0),
        (first, 10),
        (car.cam(after_ms(NOON, 100)), 100),
        (rsu.spatem(after_ms(NOON, 100)), 100),
        (rsu.mapem(after_ms(NOON, 110)), 110),
        (rsu.denm(after_ms(NOON, 120), cause=CauseCode.ROADWORKS), 120),
        (Speaker(FOREIGN, seed=4).cam(NOON), 130),
        (car.cam(after_ms(NOON, 200)), 5_000),
        (unsecured, 300),
        (first[:3] + b"\x02" + first[4:], 310),
        (first[:-1], 320),
        (b"", 330),
        (bytes(3_000), 340),
    ]
    outcomes = []
    for packet, elapsed_ms in packets:
        now = at(after_ms(NOON, elapsed_ms))
        outcomes.append(outcome(lambda octets, moment: received(listener, octets, moment), packet, now))
        assert outcomes[-1] == outcome(station.receive, packet, now)
    assert len([each for each in outcomes if not isinstance(each, tuple)]) == 5
    assert len({each[0] for each in outcomes if isinstance(each, tuple)}) >= 4


def test_the_signature_is_known_to_hold_before_the_content_is_judged() -> None:
    listener, rsu = receiver(), Speaker(HIERARCHY, StationRole.RSU)
    packet = rsu.denm(NOON, cause=CauseCode.ROADWORKS)
    place = GenerationLocation(location=Location.of(TURIN), elevation=4_095)
    header = HeaderInfo(psid=ItsAid.DENM, generation_time=time64_of(NOON), generation_location=place)
    car = HIERARCHY.ticket()
    opened = listener.open(packet[:BASIC_HEADER_OCTETS] + sealed(car, payload_of(packet), header), at(NOON))
    assert opened.verified.signer.certificate == car.certificate
    with pytest.raises(VerificationError, match="does not allow a DENM of cause 3"):
        listener.indicate(opened)


def test_too_many_hops_do_not_make_the_real_packet_a_duplicate() -> None:
    listener, packet = receiver(), Speaker(HIERARCHY).cam(NOON)
    with pytest.raises(DecodeError, match="2 hops remain of 1"):
        listener.open(packet[:3] + b"\x02" + packet[4:], at(NOON))
    assert listener.open(packet, at(NOON)).verified.its_aid is ItsAid.CAM


def test_a_secured_message_without_its_basic_header_is_judged_the_same() -> None:
    listener, car = receiver(), Speaker(HIERARCHY)
    secured = car.cam(NOON)[BASIC_HEADER_OCTETS:]
    indication = listener.indicate(listener.open_secured(secured, at(NOON)))
    assert isinstance(indication, Verified)
    assert indication.signer.certificate == car.ticket.certificate
    with pytest.raises(VerificationError) as caught:
        listener.open_secured(secured, at(NOON))
    assert caught.value.report is Report.DUPLICATE_MESSAGE
