import msgspec

from rsu_agent.peer_status import peers_status
from rsu_agent.peers import KNOWN_FROM_MESSAGES, MAX_PEERS, MAX_REASONS, OTHER_REASONS, PeerTable
from rsu_agent.plausibility_service import PlausibilityService
from rsu_agent.refused_senders import RefusedSenders
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import DecodeError, Sender, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, MessageId, StationId
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.service.status_socket import MAX_STATUS_OCTETS
from shared.trust.claims import Claim, ClaimSource
from shared.trust.suspicion import Standing


def at(seconds: float) -> Instant:
    return Instant(MonotonicNs(round(seconds * NS_PER_S)), None)


def ticket(number: int) -> HashedId8:
    return HashedId8(number.to_bytes(8, "big"))


HERE = GeoPoint(48.0, 11.0)


def claim(at_s: float, *, speed_mps: float | None = None, heading_deg: float | None = 90.0) -> Claim:
    taken_at = Time64(700_000_000_000_000 + round(at_s * 1_000_000))
    return Claim(source=ClaimSource.MESSAGE, taken_at=taken_at, position=HERE, speed_mps=speed_mps, heading_deg=heading_deg)


def test_a_verified_message_makes_a_row_and_the_next_one_counts_on_it() -> None:
    table = PeerTable()
    assert table.heard(ticket(1), StationId(7), MessageId.CAM, at(1), claim=claim(1.0, speed_mps=3.0))
    assert not table.heard(ticket(1), StationId(7), MessageId.CAM, at(2), claim=claim(2.0, speed_mps=4.0, heading_deg=91.0))
    (peer,) = table
    assert peer.messages == ((MessageId.CAM, 2),)
    assert (peer.first_seen, peer.last_seen) == (at(1), at(2))
    assert (peer.speed_mps, peer.heading_deg) == (4.0, 91.0)


def test_a_message_without_a_position_keeps_the_last_one_and_counts_by_its_own_type() -> None:
    table = PeerTable()
    table.heard(ticket(1), StationId(7), MessageId.CAM, at(1), claim=claim(1.0, speed_mps=3.0))
    table.heard(ticket(1), StationId(7), MessageId.DENM, at(2))
    (peer,) = table
    assert peer.position == HERE
    assert peer.speed_mps == 3.0
    assert peer.messages == ((MessageId.DENM, 1), (MessageId.CAM, 1))


def test_a_message_with_a_position_but_no_speed_does_not_keep_an_old_speed_beside_a_new_place() -> None:
    table = PeerTable()
    table.heard(ticket(1), StationId(7), MessageId.CAM, at(1), claim=claim(1.0, speed_mps=3.0))
    table.heard(ticket(1), StationId(7), MessageId.CAM, at(2), claim=claim(2.0))
    (peer,) = table
    assert peer.speed_mps is None


def test_a_message_that_was_overtaken_moves_nobody_back() -> None:
    table = PeerTable()
    for at_s, speed_mps in ((1.0, 3.0), (1.2, 5.0), (1.1, 4.0)):
        table.heard(ticket(1), StationId(7), MessageId.CAM, at(2), claim=claim(at_s, speed_mps=speed_mps))
    (peer,) = table
    assert (peer.speed_mps, peer.messages) == (5.0, ((MessageId.CAM, 3),))


def test_a_station_id_shared_by_two_tickets_makes_two_rows() -> None:
    table = PeerTable()
    table.heard(ticket(1), StationId(7), MessageId.CAM, at(1))
    table.heard(ticket(2), StationId(7), MessageId.CAM, at(1))
    assert len(table) == 2


def test_a_full_table_forgets_who_was_heard_longest_ago_and_counts_it() -> None:
    table = PeerTable(capacity=3)
    for number in (1, 2, 3):
        table.heard(ticket(number), StationId(number), MessageId.CAM, at(number))
    table.heard(ticket(1), StationId(1), MessageId.CAM, at(4))
    table.heard(ticket(4), StationId(4), MessageId.CAM, at(5))
    assert [peer.ticket for peer in table] == [ticket(3), ticket(1), ticket(4)]
    assert table.evicted == 1


def test_ten_thousand_new_tickets_leave_the_table_at_its_bound() -> None:
    table = PeerTable(capacity=64)
    for number in range(10_000):
        table.heard(ticket(number), StationId(number), MessageId.CAM, at(number / 1_000))
    assert len(table) == 64
    assert table.evicted == 10_000 - 64


def test_a_peer_is_gone_after_the_lifetime_and_not_before() -> None:
    table = PeerTable(lifetime_ns=10 * NS_PER_S)
    table.heard(ticket(1), StationId(1), MessageId.CAM, at(1))
    table.heard(ticket(1), StationId(1), MessageId.CAM, at(5))
    table.expire(at(15))
    assert len(table) == 1
    table.expire(at(15.001))
    assert len(table) == 0


def test_refusals_are_counted_by_reason_and_the_reasons_are_bounded() -> None:
    table = PeerTable()
    table.refuse("false_signature")
    table.refuse("false_signature")
    for number in range(MAX_REASONS + 10):
        table.refuse(f"reason_{number}")
    assert table.refused["false_signature"] == 2
    assert table.refused[OTHER_REASONS] == 11
    assert len(table.refused) == MAX_REASONS + 1


def test_whoever_was_heard_a_few_times_outlives_any_number_of_newcomers() -> None:
    table = PeerTable(capacity=64)
    for number in range(40):
        for second in range(KNOWN_FROM_MESSAGES):
            table.heard(ticket(number), StationId(number), MessageId.CAM, at(second))
    for number in range(1_000, 6_000):
        table.heard(ticket(number), StationId(number), MessageId.CAM, at(3 + number / 10_000))
    assert len(table) == 64
    assert sum(peer.station_id < 40 for peer in table) == 40
    assert table.begun == 5_040


def test_a_crowd_that_speaks_often_enough_to_be_known_pushes_out_its_own_and_no_neighbour_that_speaks_once_a_second() -> None:
    table, crowd = PeerTable(), 10_000
    for number in range(crowd):
        now_s = number * 60 / crowd
        for _ in range(KNOWN_FROM_MESSAGES):
            table.heard(ticket(number), StationId(number), MessageId.CAM, at(now_s))
        if number % (crowd // 60) == 0:
            for neighbour in range(200):
                table.heard(ticket(100_000 + neighbour), StationId(100_000 + neighbour), MessageId.CAM, at(now_s))
    assert len(table) == MAX_PEERS
    assert table.begun == crowd + 200, "no neighbour was ever forgotten and begun anew"
    assert sum(peer.station_id >= 100_000 and dict(peer.messages)[MessageId.CAM] >= 60 for peer in table) == 200


def test_a_full_table_of_peers_with_everything_against_them_is_not_too_much_for_a_status() -> None:
    table, reasons = PeerTable(), [report.value for report in VerificationReport][:16]
    for number in range(MAX_PEERS):
        sender = Sender(ticket=ticket((1 << 62) + number), station_id=StationId(4_000_000_000))
        for message_id in MessageId:
            table.heard(sender.ticket, sender.station_id, message_id, at(0), claim=claim(0.0, speed_mps=0.1), station_type=5)
        for reason in reasons:
            table.refuse_signed(sender, reason, at(0))
        table.hold_refusal(sender.ticket, VerificationError(VerificationReport.PERMISSION_DENIED, "x" * 200))
    status = peers_status(PlausibilityService(table, RefusedSenders()), at(1))
    assert isinstance(status["peers"], list)
    assert len(status["peers"]) == MAX_PEERS
    assert len(msgspec.json.encode(status)) < 0.8 * MAX_STATUS_OCTETS


def test_where_all_are_known_a_newcomer_still_finds_room_and_can_become_known() -> None:
    table = PeerTable(capacity=8)
    for number in range(8):
        for second in range(KNOWN_FROM_MESSAGES):
            table.heard(ticket(number), StationId(number), MessageId.CAM, at(second + number / 10))
    for second in range(KNOWN_FROM_MESSAGES):
        table.heard(ticket(100), StationId(100), MessageId.CAM, at(10 + second))
    table.heard(ticket(101), StationId(101), MessageId.CAM, at(20))
    names = [peer.station_id for peer in table]
    assert 100 in names
    assert 101 in names
    assert (len(table), table.evicted) == (8, 2)


def test_a_row_is_the_same_object_until_its_peer_is_heard_again() -> None:
    table = PeerTable()
    table.heard(ticket(1), StationId(7), MessageId.CAM, at(1))
    (first,) = table
    assert table.find(ticket(1)) is first
    table.heard(ticket(1), StationId(7), MessageId.CAM, at(2))
    assert table.find(ticket(1)) is not first
    assert table.find(ticket(2)) is None
    assert table.standing(ticket(2)) is Standing.BELIEVED


def test_what_cannot_be_read_is_counted_for_its_signer_and_what_it_may_not_say_is_held_against_it() -> None:
    table, sender = PeerTable(), Sender(ticket=ticket(1), station_id=StationId(7))
    assert table.refuse_signed(sender, "malformed", at(1))
    assert table.hold_refusal(ticket(1), DecodeError("cam", "cut short")) == ()
    denied = VerificationError(VerificationReport.PERMISSION_DENIED, "cause 3 is not for cars")
    assert not table.refuse_signed(sender, denied.code, at(2))
    (finding,) = table.hold_refusal(ticket(1), denied)
    (peer,) = table
    assert peer.refused == (("malformed", 1), ("permission_denied", 1))
    assert (peer.score, peer.last_finding, peer.messages) == (1.0, finding, ())
    assert table.refused == {"malformed": 1, "permission_denied": 1}
