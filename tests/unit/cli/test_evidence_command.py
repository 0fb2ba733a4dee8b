import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rsu_agent.evidence_proof import Question, gather
from shared.cli.evidence import Answer, judge_evidence
from shared.cli.evidence_words import lights_sentences
from shared.cli.passport import app
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import RecordError
from shared.core.itstime import utc_text
from shared.ledger.policy import Policy
from shared.messages.spatem import MovementPhaseState
from shared.pki.permission_sets import StationRole
from shared.records.evidence import Evidence, EvidencePiece, is_evidence, parse_evidence
from shared.records.evidence_record import decode_record
from shared.records.sd_jwt import encode_base64url
from shared.records.strict_json import encode_json_lines, parse_json
from shared.security.region import (
    NO_IDENTIFIED_AREAS,
    CircularRegion,
    IdentifiedAreas,
    IdentifiedRegion,
    IdentifiedRegions,
    Location,
)
from shared.security.trust_store import TrustStore
from shared.service.trust_directory import write_trust_directory
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.ledger import policy_of, witness_key
from tests.helpers.stations import TURIN, Speaker, after_ms, at
from tests.helpers.unit_evidence import WITNESSED, Unit, witnessed_log

HIERARCHY = Hierarchy(3)
ROOTS = TrustStore.of_operator((HIERARCHY.root.certificate,), ())
"""What a court has: the root, and no authority below it."""

MOMENT = after_ms(NOON, 1_234)


@pytest.fixture(name="unit")
def _unit(tmp_path: Path) -> Unit:
    """Lights ten times a second for some seconds in two batches, a map, a warning, a refusal; all proven."""
    unit = Unit(tmp_path, hierarchy=HIERARCHY)
    unit.now = after_ms(NOON, -100)
    unit.light()
    unit.map()
    for _ in range(14):
        unit.light()
    unit.desk.sent(unit.speaker.denm(after_ms(NOON, 1_000)))
    unit.desk.refused(Speaker(Hierarchy(9)).cam(NOON), RecordError("x", "its root is not trusted"), at(MOMENT))
    unit.close_batch()
    for _ in range(10):
        unit.light()
    unit.close_batch()
    assert unit.anchor(unit.log) == ()
    return unit


def gathered(unit: Unit, moment: UtcNs = MOMENT, **more: Any) -> Evidence:
    return gather(unit.store, Question(at=moment, **more))


def judged(evidence: Evidence) -> Answer:
    return judge_evidence(evidence, store=ROOTS, policy=WITNESSED, areas=NO_IDENTIFIED_AREAS)


def refused(evidence: Evidence, policy: Policy = WITNESSED, store: TrustStore = ROOTS) -> str:
    with pytest.raises(RecordError) as error:
        judge_evidence(evidence, store=store, policy=policy, areas=NO_IDENTIFIED_AREAS)
    return error.value.check


def test_evidence_says_what_the_signal_showed_at_that_moment_and_what_came_next(unit: Unit) -> None:
    answer = judged(parse_evidence(gathered(unit, group=4).encode()))
    (light,) = answer.lights
    assert (light.group, light.phase, light.then) == (4, MovementPhaseState.STOP_AND_REMAIN, MovementPhaseState.STOP_AND_REMAIN)
    assert light.lanes == (1,)
    assert light.ends_earliest == after_ms(NOON, 11_200)
    assert answer.said is not None
    assert answer.following is not None
    assert (answer.said.generated, answer.following.generated) == (after_ms(NOON, 1_200), after_ms(NOON, 1_300))
    assert answer.station_id == unit.station_id
    assert answer.name == "Crossing"
    assert answer.findings == ()
    assert answer.held[0].batch.seen_by == UtcNs((NOON // NS_PER_S + 65) * NS_PER_S)


def test_lights_at_the_edge_of_a_batch_are_proven_by_two(unit: Unit) -> None:
    evidence = gathered(unit, after_ms(NOON, 1_450))
    assert len(evidence.batches) == 2
    answer = judged(evidence)
    assert answer.findings == ()
    assert answer.following is not None
    assert answer.following.held.batch.statement.number == 1


def test_warnings_and_refusals_are_shown_where_they_are_asked_for(unit: Unit) -> None:
    answer = judged(gathered(unit, warnings=True, refusals=True))
    assert len(answer.warnings) == 1
    (refusal,) = answer.account
    assert refusal.record.detail == "x: its root is not trusted"
    assert judged(gathered(unit)).account == ()


def test_the_command_says_it_in_plain_words_with_nothing_but_the_file_and_public_keys(unit: Unit, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_trust_directory(elsewhere / "trust", ROOTS)
    policy, file = elsewhere / "policy", elsewhere / "evidence.json"
    policy.write_text(policy_text())
    file.write_bytes(gathered(unit, group=4, warnings=True, refusals=True).encode())
    unit.store.close()
    arguments = ["verify", str(file), "--trust", str(elsewhere / "trust"), "--policy", str(policy)]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0, said.output
    words = " ".join(said.output.split())
    assert f"On 2026-11-22 at 12:00:01.234 UTC roadside unit {unit.station_id} showed for junction 380/12 (Crossing)," in words
    assert "signal group 4: red." in words
    assert "0.034 s before; its next message is of 12:00:01.300, 0.066 s after." in words
    assert "a witness had seen it there by 2026-11-22T12:01:05Z" in words
    assert "the unit warned: stationary vehicle" in words
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert told["verified"] is True
    assert told["lights"][0]["words"] == "red"
    shown = CliRunner().invoke(app, ["show", str(file)])
    assert "Not verified" in shown.output
    altered = bytearray(file.read_bytes())
    altered[len(altered) // 2] ^= 1
    file.write_bytes(altered)
    refusal = CliRunner().invoke(app, [*arguments, "--json"])
    assert refusal.exit_code == 1
    assert json.loads(refusal.output)["verified"] is False


def policy_text() -> str:
    log = WITNESSED.logs[0].key.text
    witnesses = [f"witness {name} {witness_key(name).text}" for name in ("w1", "w2")]
    return "\n".join([f"log {log}", *witnesses, "group enough 2 w1 w2", "quorum enough"]) + "\n"


def test_a_file_of_which_any_byte_was_changed_is_refused(unit: Unit) -> None:
    encoded = gathered(unit, group=4).encode()
    assert is_evidence(encoded)
    for place in range(len(encoded)):
        changed = bytearray(encoded)
        changed[place] ^= 1 << place % 8
        with pytest.raises(RecordError):
            parse_evidence(bytes(changed))
    for end in range(0, len(encoded), 97):
        with pytest.raises(RecordError):
            parse_evidence(encoded[:end])


def test_a_forger_who_makes_the_file_whole_again_is_refused_by_what_he_cannot_make(unit: Unit) -> None:
    evidence = gathered(unit, group=4)
    first, *others = evidence.pieces
    record = decode_record(first.entry)
    green = record.packet[:-80] + bytes((record.packet[-80] ^ 1,)) + record.packet[-79:]
    forged = replace(first, entry=replace(record, packet=green).encode())
    assert refused(rewritten(replace(evidence, pieces=(forged, *others)))) == "batch"
    elsewhere = replace(first, position=first.position + 1)
    with pytest.raises(RecordError):
        judged(replace(evidence, pieces=(elsewhere, *others)))
    (batch, *_) = evidence.batches
    statement = batch.statement.replace(b'"number":0', b'"number":1')
    assert refused(replace(evidence, batches=(replace(batch, statement=statement),))) == "ledger"
    assert refused(replace(evidence, certificates=evidence.certificates[1:])) == "certificate"
    assert refused(replace(evidence, certificates=evidence.certificates[:1])) == "certificate"
    assert refused(replace(evidence, pieces=())) in {"empty", "format"}


def rewritten(evidence: Evidence) -> Evidence:
    """Spell a file anew, as whoever forges one would: it reads well."""
    value = parse_json(evidence.encode(), "file", 1 << 22)
    assert isinstance(value, dict)
    del value["digest"]
    value["digest"] = encode_base64url(sha256(encode_json_lines(value).encode()).digest())
    return parse_evidence(encode_json_lines(value).encode())


def test_evidence_under_another_root_another_log_or_too_few_witnesses_is_refused(unit: Unit) -> None:
    evidence = gathered(unit)
    assert refused(evidence, store=Hierarchy(4).trust_store) == "certificate"
    assert refused(evidence, policy_of(origin="another.example/log")) == "ledger"
    assert refused(evidence, policy_of(witnesses=("w1", "w3"), quorum="2")) == "witnesses"


def test_lights_that_another_station_signed_are_not_the_units(tmp_path: Path) -> None:
    """The log's operator can put in what it likes; the unit's signature it has not."""
    unit, other = Unit(tmp_path, hierarchy=HIERARCHY), Speaker(HIERARCHY, StationRole.RSU, seed=5)
    entry_of_other = other.spatem(NOON)
    unit.desk._own[other.ticket.certificate.hashed_id8] = None
    unit.desk._certificates[bytes(other.ticket.certificate.hashed_id8)] = other.ticket.certificate.encoded
    unit.light(0)
    unit.desk.sent(entry_of_other)
    unit.light()
    unit.close_batch()
    unit.anchor(witnessed_log(NOON))
    evidence = gathered(unit, NOON)
    certificates = (*evidence.certificates, HIERARCHY.aa.certificate.encoded)
    assert refused(replace(evidence, certificates=tuple(dict.fromkeys(certificates)))) == "content"


def lights_of(evidence: Evidence) -> list[EvidencePiece]:
    return [each for each in evidence.pieces if decode_record(each.entry).word == "spatem"]


def with_lights(evidence: Evidence, *lights: EvidencePiece) -> Evidence:
    """Return the file with other lights in it, made whole again as a forger would."""
    pieces = [each for each in evidence.pieces if decode_record(each.entry).word != "spatem"]
    pieces = sorted((*pieces, *lights), key=lambda piece: (piece.batch, piece.position))
    return rewritten(replace(evidence, pieces=tuple(pieces)))


def test_a_message_left_out_between_the_two_shown_is_noticed(unit: Unit) -> None:
    evidence, later = gathered(unit), gathered(unit, after_ms(NOON, 1_390))
    forged = with_lights(evidence, lights_of(evidence)[0], lights_of(later)[-1])
    with pytest.raises(RecordError, match="said 1 more SPATEM between the two"):
        judged(forged)
    assert refused(forged) == "complete"


def test_a_later_change_of_the_lights_cannot_be_hidden_by_leaving_out_all_that_came_after(unit: Unit) -> None:
    """A file with an old light alone would say that it still showed."""
    evidence = gathered(unit, after_ms(NOON, 250))
    for at_ms in (250, 1_234, 1_900):
        alone = with_lights(replace(evidence, at=after_ms(NOON, at_ms)), lights_of(evidence)[0])
        assert refused(alone) == "complete"
    assert refused(rewritten(replace(evidence, at=after_ms(NOON, 1_234)))) == "complete"


def test_lights_of_two_files_of_one_unit_do_not_follow_each_other_though_their_counts_do(tmp_path: Path) -> None:
    """Whoever begins a new file cannot leave out what was said before that: no batch of it names one of the old."""
    log, answers = witnessed_log(after_ms(NOON, 65_000)), []
    for name, begins_ms, asked_ms in (("old", 0, 350), ("new", 10_000, 10_450)):
        folder = tmp_path / name
        folder.mkdir()
        unit = Unit(folder, hierarchy=HIERARCHY)
        unit.now = after_ms(NOON, begins_ms)
        for _ in range(8):
            unit.light()
        unit.close_batch()
        unit.anchor(log)
        answers.append(gathered(unit, after_ms(NOON, asked_ms)))
        unit.store.close()
    old, new = answers
    said, following = lights_of(old)[0], replace(lights_of(new)[0], batch=1)
    assert decode_record(said.entry).number + 1 == decode_record(following.entry).number
    certificates = tuple(dict.fromkeys((*old.certificates, *new.certificates)))
    batches = (*old.batches, *new.batches)
    forged = replace(old, certificates=certificates, batches=batches, pieces=(said, following))
    assert refused(rewritten(forged)) == "complete"


def test_no_file_is_made_for_a_moment_between_two_runs_and_the_reason_is_said(tmp_path: Path) -> None:
    unit = Unit(tmp_path, hierarchy=HIERARCHY)
    unit.light()
    unit.close_batch()
    unit.store.close()
    again = Unit(tmp_path, hierarchy=HIERARCHY, speaker=unit.speaker)
    again.now = after_ms(NOON, 1_500)
    again.light()
    again.light()
    again.close_batch()
    again.anchor(again.log)
    with pytest.raises(RecordError, match="the unit began anew") as error:
        gathered(again, after_ms(NOON, 1_000))
    assert error.value.check == "complete"
    assert judged(gathered(again, after_ms(NOON, 1_650))).lights


def test_a_moment_in_which_the_unit_was_silent_is_called_unknown(tmp_path: Path) -> None:
    unit = Unit(tmp_path, hierarchy=HIERARCHY)
    unit.light()
    unit.light(30_000)
    unit.close_batch()
    unit.anchor(witnessed_log(after_ms(NOON, 3_600_000)))
    answer = judged(gathered(unit, after_ms(NOON, 10_000)))
    assert not answer.is_known
    assert "had last told for junction" in lights_sentences(answer)[0]
    texts = [each.text for each in answer.findings if each.is_serious]
    assert len(texts) == 1
    assert "told no lights for 9.9 s then" in texts[0]
    assert any("only 59 minutes after" in each.text for each in answer.findings)


def test_a_packet_dated_after_a_witness_had_seen_it_is_refused(tmp_path: Path) -> None:
    unit = Unit(tmp_path, hierarchy=HIERARCHY)
    unit.light()
    unit.light(2_000)
    unit.close_batch()
    unit.anchor(witnessed_log(after_ms(NOON, -600_000)))
    assert refused(gathered(unit)) == "time"


def test_nothing_is_handed_out_that_the_ledger_has_not_proven(tmp_path: Path) -> None:
    unit = Unit(tmp_path, hierarchy=HIERARCHY)
    with pytest.raises(RecordError, match=r"holds nothing it said at 2026-11-22T12:00:01\.234Z or before"):
        gathered(unit)
    unit.light()
    unit.store_all()
    with pytest.raises(RecordError, match="has told no lights since"):
        gathered(unit)
    unit.light(2_000)
    unit.store_all()
    with pytest.raises(RecordError, match="is not closed yet"):
        gathered(unit)
    unit.close_batch()
    with pytest.raises(RecordError, match="batch 0 is pending"):
        gathered(unit)
    unit.anchor(witnessed_log(after_ms(NOON, 60_000)))
    assert judged(gathered(unit)).is_known


def test_what_was_handed_out_still_proves_after_the_unit_has_let_it_go_and_what_stays_still_can_be(unit: Unit) -> None:
    before = gathered(unit).encode()
    unit.light(60_000)
    last = unit.light()
    unit.close_batch()
    unit.anchor(unit.log)
    assert unit.store.expire(before=None, max_bytes=0).batches == 2
    with pytest.raises(RecordError, match="holds nothing"):
        gathered(unit)
    assert judged(parse_evidence(before)).lights
    assert gathered(unit, after_ms(last, -10)).pieces


@pytest.mark.parametrize("group", [9, 255])
def test_a_group_the_junction_does_not_have_is_said_so(unit: Unit, group: int) -> None:
    assert refused(gathered(unit, group=group)) == "content"


def test_a_question_changed_to_a_moment_the_records_do_not_answer_is_refused(unit: Unit) -> None:
    evidence = gathered(unit)
    assert refused(replace(evidence, at=after_ms(NOON, -5_000))) == "content"
    assert refused(replace(evidence, at=after_ms(NOON, 1_300))) == "complete"
    moved = judged(replace(evidence, at=after_ms(NOON, 1_250)))
    assert utc_text(moved.at) == "2026-11-22T12:00:01.250Z"


def test_pieces_out_of_order_or_twice_are_refused(unit: Unit) -> None:
    evidence = gathered(unit)
    pieces: tuple[EvidencePiece, ...] = evidence.pieces
    assert refused(replace(evidence, pieces=tuple(reversed(pieces)))) == "format"
    assert refused(replace(evidence, pieces=(pieces[0], *pieces))) == "format"


def test_a_unit_whose_certificate_names_a_country_is_believed_where_the_country_is_known(tmp_path: Path) -> None:
    italy = IdentifiedRegions(regions=(IdentifiedRegion(country=380, parts=()),))
    hierarchy = Hierarchy(6, region=italy)
    unit = Unit(tmp_path, hierarchy=hierarchy)
    unit.light()
    unit.light(2_000)
    unit.close_batch()
    unit.anchor(unit.log)
    roots = TrustStore.of_operator((hierarchy.root.certificate,), ())
    assert refused(gathered(unit), store=roots) == "signature"
    around = CircularRegion(centre=Location.of(TURIN), radius_m=5_000)
    areas = IdentifiedAreas(shapes={(380, None, None): (around,)})
    assert judge_evidence(gathered(unit), store=roots, policy=WITNESSED, areas=areas).lights
