import json
from base64 import b64decode
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from rsu_agent import evidence_desk
from rsu_agent.evidence_allowance import FIRST_OF_EACH, MAX_BYTES, MAX_IN_ALL, MAX_OF_ONE, MAX_WORDS, OTHER
from rsu_agent.evidence_desk import EvidenceDesk, Waiting
from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import DecodeError, V2xError
from shared.pki.permission_sets import StationRole
from shared.records.evidence_record import EvidenceKind, EvidenceRecord, decode_record
from shared.stack.effects import Evidence, Notice
from shared.trust.detectors import CheckClass, Finding
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.ledger import seeded_entropy
from tests.helpers.stations import Speaker, after_ms, at
from tests.helpers.unit_evidence import Unit

HIERARCHY = Hierarchy(3)


class RefusalError(V2xError):
    """A refusal with any reason."""

    def __init__(self, code: str) -> None:
        super().__init__(f"because of {code}")
        self._code = code

    @property
    def code(self) -> str:
        return self._code


def desk_of(speaker: Speaker) -> EvidenceDesk:
    chain = (speaker.ticket.certificate, HIERARCHY.aa.certificate)
    return EvidenceDesk(next_id=0, run=1, entropy=seeded_entropy(), chain=lambda: chain)


def records(desk: EvidenceDesk) -> list[EvidenceRecord]:
    return [each.record for each in desk.take().entries]


def test_each_light_and_each_warning_is_kept_as_it_went_out_and_dated_by_its_signature() -> None:
    speaker = Speaker(HIERARCHY, StationRole.RSU)
    desk = desk_of(speaker)
    packets = [speaker.spatem(NOON), speaker.spatem(after_ms(NOON, 100)), speaker.denm(after_ms(NOON, 150))]
    for packet in packets:
        desk.sent(packet)
    kept = records(desk)
    assert [each.packet for each in kept] == packets
    assert [(each.word, each.number) for each in kept] == [("spatem", 0), ("spatem", 1), ("denm", 0)]
    assert [each.utc for each in kept] == [NOON, after_ms(NOON, 100), after_ms(NOON, 150)]
    assert set(desk.take().certificates.values()) == {speaker.ticket.certificate.encoded, HIERARCHY.aa.certificate.encoded}


def test_a_map_is_kept_once_a_minute() -> None:
    speaker = Speaker(HIERARCHY, StationRole.RSU)
    desk = desk_of(speaker)
    for second in range(130):
        now = after_ms(NOON, 1_000 * second)
        desk.tick(at(now))
        desk.sent(speaker.mapem(now))
    maps = [each.utc for each in records(desk) if each.word == "mapem"]
    assert maps == [after_ms(NOON, 60_000 * minute) for minute in range(3)]


def test_what_is_only_passed_on_for_others_and_awareness_messages_are_not_the_units_word() -> None:
    speaker, other = Speaker(HIERARCHY, StationRole.RSU), Speaker(HIERARCHY, StationRole.RSU, seed=2)
    desk = desk_of(speaker)
    for packet in (other.denm(NOON), other.spatem(NOON), speaker.cam(NOON), b"", b"\x12" * 40):
        desk.sent(packet)
    assert records(desk) == []


def test_a_packet_that_waited_while_the_ticket_changed_is_still_the_units_word() -> None:
    before, after = Speaker(HIERARCHY, StationRole.RSU), Speaker(HIERARCHY, StationRole.RSU, seed=2)
    current = [before]
    desk = EvidenceDesk(
        next_id=0, run=1, entropy=seeded_entropy(), chain=lambda: (current[0].ticket.certificate, HIERARCHY.aa.certificate)
    )
    late = before.spatem(after_ms(NOON, 100))
    desk.sent(before.spatem(NOON))
    current[0] = after
    for packet in (after.spatem(NOON), late):
        desk.sent(packet)
    assert len(records(desk)) == 3


def test_a_flood_of_one_kind_hides_no_other_refusal_and_all_are_counted() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    desk.tick(at(NOON))
    for _ in range(10_000):
        desk.refused(b"flood", DecodeError("packet", "nonsense"), at(NOON))
    desk.refused(b"rare", RefusalError("revoked_certificate"), at(NOON))
    kept = records(desk)
    assert Counter(each.word for each in kept) == {"malformed": MAX_OF_ONE, "revoked_certificate": 1}
    assert kept[-1].packet == b"rare"
    assert kept[-1].detail == "because of revoked_certificate"
    assert desk.tick(at(after_ms(NOON, 60_000)))
    (tally,) = [each for each in records(desk) if each.kind is EvidenceKind.COUNTED]
    counted = {"malformed": 10_000, "revoked_certificate": 1}
    assert json.loads(tally.detail) == {"sent": {}, "refused": counted, "noted": {}, "unseen": {}, "lost": 0}
    desk.refused(b"next minute", DecodeError("packet", "nonsense"), at(after_ms(NOON, 60_000)))
    assert records(desk)[-1].number == 10_000


def test_however_many_reasons_there_are_what_is_kept_of_a_minute_is_bounded() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    for number in range(30_000):
        desk.refused(bytes(2_000), RefusalError(f"reason_{number % 300}"), at(NOON))
    kept = records(desk)
    assert len({each.word for each in kept}) == MAX_WORDS + 1
    assert OTHER in {each.word for each in kept}
    assert len(kept) <= MAX_IN_ALL + FIRST_OF_EACH * (MAX_WORDS + 1)
    assert sum(len(each.encode()) for each in kept) <= MAX_BYTES + FIRST_OF_EACH * (MAX_WORDS + 1) * 2_400


def test_what_was_dropped_without_a_look_is_counted_minute_by_minute() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    shed = Counter({"strangers": 5})
    desk.count_unseen(lambda: shed)
    for minute, more in enumerate((0, 0, 700, 0)):
        shed["strangers"] += more
        desk.tick(at(after_ms(NOON, 60_000 * minute)))
    assert [json.loads(each.detail)["unseen"] for each in records(desk)] == [{"strangers": 5}, {"strangers": 700}]


def test_a_flood_of_many_kinds_hides_no_other_kind() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    for number in range(6_000):
        desk.refused(bytes(2_000), RefusalError(f"reason_{number % 20}"), at(NOON))
    for _ in range(2 * FIRST_OF_EACH):
        desk.refused(b"rare", RefusalError("revoked_certificate"), at(NOON))
    assert [each.packet for each in records(desk) if each.word == "revoked_certificate"] == [b"rare"] * FIRST_OF_EACH


def test_who_asks_for_priority_without_end_hides_no_doubt_about_the_lights() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    for number in range(5_000):
        desk.noted(Notice("priority", {"number": number}), at(NOON))
    desk.noted(Notice("junction_unavailable", {}), at(NOON))
    desk.disbelieved(Evidence("signals_not_believed", "0000126C", "both are green", {"datagram": b"x"}), at(NOON))
    counted = Counter(each.word for each in records(desk))
    assert counted == {"priority": MAX_OF_ONE, "junction_unavailable": 1, "signals_not_believed": 1}


def test_what_claims_the_impossible_is_kept_as_refused_though_its_signature_holds() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    finding = Finding(check="P3", of=CheckClass.PLAUSIBILITY, residual=4.0, sentence="it moved 800 m in 0.1 s")
    desk.refused(b"packet", finding, at(NOON))
    (kept,) = records(desk)
    assert (kept.kind, kept.word, kept.detail) == (EvidenceKind.REFUSED, "implausible_p3", "it moved 800 m in 0.1 s")
    assert kept.packet == b"packet"


@pytest.mark.parametrize("sentence", ["\x00" * 9_000, "\ud800" * 9_000, "\U0001f6a6" * 9_000, '\\"' * 9_000])
def test_whatever_a_sentence_holds_it_is_cut_to_what_a_record_holds(sentence: str) -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    desk.refused(bytes(2_304), DecodeError("packet", sentence), at(NOON))
    desk.disbelieved(Evidence("signals_not_believed", "0000126C", sentence, {"datagram": bytes(7_800)}), at(NOON))
    desk.noted(Notice("hazard_placed", {"what": sentence}), at(NOON))
    for each in records(desk):
        assert each.detail
        assert decode_record(each.encode()) == each


def test_notices_of_lights_and_hazards_are_kept_and_others_are_not() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    desk.noted(Notice("junction_unavailable", {"reason": "groups 1 and 2 are green together"}), at(NOON))
    desk.noted(Notice("tickets_fetched", {}), at(NOON))
    (kept,) = records(desk)
    assert (kept.kind, kept.word, kept.utc) == (EvidenceKind.NOTED, "junction_unavailable", NOON)
    assert json.loads(kept.detail) == {"reason": "groups 1 and 2 are green together"}
    for _ in range(2 * MAX_OF_ONE):
        desk.noted(Notice("hazard_denied", {"name": "\ud800", "what": Path("x")}), at(NOON))
    assert len(records(desk)) == 1 + MAX_OF_ONE


def test_what_a_controller_said_that_was_not_believed_is_kept_as_it_came() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    for document in (b"\x00\xcd both green", bytes(20_000)):
        doubt = Evidence("signals_not_believed", "0000126C", "groups 1 and 2 are green together", {"datagram": document})
        desk.disbelieved(doubt, at(NOON))
    small, large = records(desk)
    assert (small.word, json.loads(small.detail)["sentence"]) == ("signals_not_believed", "groups 1 and 2 are green together")
    assert b64decode(json.loads(small.packet)["datagram"]) == b"\x00\xcd both green"
    assert large.packet == b""
    assert json.loads(large.detail)["sha256"] == {"datagram": sha256(bytes(20_000)).hexdigest()}


def test_what_finds_no_room_is_counted_and_leaves_a_gap_in_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_desk, "MAX_WAITING", 3)
    speaker = Speaker(HIERARCHY, StationRole.RSU)
    desk = desk_of(speaker)
    for number in range(5):
        desk.sent(speaker.spatem(after_ms(NOON, number)))
    assert desk.lost == 2
    first = desk.take()
    desk.stored(first)
    assert desk.waiting == 0
    desk.sent(speaker.spatem(after_ms(NOON, 5)))
    second = desk.take()
    assert [each.id for each in (*first.entries, *second.entries)] == [0, 1, 2, 3]
    assert [each.record.number for each in (*first.entries, *second.entries)] == [0, 1, 2, 5]


def test_what_waits_goes_on_waiting_until_it_is_on_disk(tmp_path: Path) -> None:
    unit = Unit(tmp_path)
    unit.light()
    taken = unit.desk.take()
    unit.light()
    assert unit.desk.take().entries[: len(taken.entries)] == taken.entries
    unit.desk.stored(taken)
    assert [each.id for each in unit.desk.take().entries] == [1]
    unit.desk.stored(Waiting(entries=(), certificates={}))
    assert unit.desk.waiting == 1
    unit.store.append(taken.entries, taken.certificates)
    unit.store_all()
    assert unit.store.next_id() == 2
    unit.store.close()


def test_what_others_made_the_unit_write_takes_no_room_from_its_own_word_while_the_disk_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence_desk, "MAX_WAITING", 6)
    monkeypatch.setattr(evidence_desk, "MAX_WAITING_OF_OTHERS", 2)
    speaker = Speaker(HIERARCHY, StationRole.RSU)
    desk = desk_of(speaker)
    for _ in range(2):
        for _ in range(50):
            desk.refused(b"flood", DecodeError("packet", "nonsense"), at(NOON))
        for number in range(4):
            desk.sent(speaker.spatem(after_ms(NOON, number)))
        waiting = desk.take()
        assert Counter(each.record.kind for each in waiting.entries) == {EvidenceKind.REFUSED: 2, EvidenceKind.SENT: 4}
        desk.stored(waiting)


def test_a_minute_is_one_of_interval_time_whatever_the_date_does() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    dates = [NOON, None, UtcNs(NOON - 86_400 * NS_PER_S), UtcNs(NOON + 86_400 * NS_PER_S)]
    over = [second for second in range(200) if desk.tick(Instant(MonotonicNs(second * NS_PER_S), dates[second % 4]))]
    assert over == [60, 120, 180]


def test_a_step_that_comes_late_begins_no_second_minute_for_it() -> None:
    desk = desk_of(Speaker(HIERARCHY, StationRole.RSU))
    over = [second for second in (0, 59, 145, 146, 179, 180, 181) if desk.tick(at(UtcNs(NOON + second * NS_PER_S)))]
    assert over == [145, 180]
