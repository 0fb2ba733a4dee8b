import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rsu_agent.evidence_proof import MAX_CHOSEN, Question, gather, left_out
from shared.cli.evidence import judge_evidence
from shared.cli.evidence_words import lights_sentences
from shared.cli.passport import app
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import ConfigError, DecodeError, RecordError
from shared.messages.spatem import MovementPhaseState
from shared.records.evidence import parse_evidence
from shared.security.region import (
    CircularRegion,
    IdentifiedAreas,
    IdentifiedRegion,
    IdentifiedRegions,
    Location,
)
from shared.security.trust_store import TrustStore
from shared.service.trust_directory import write_trust_directory
from tests.helpers.evidence_files import (
    HIERARCHY,
    ROOTS,
    gathered,
    judged,
    policy_text,
    proven_unit,
    refused,
)
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.stations import TURIN, after_ms, at
from tests.helpers.unit_evidence import WITNESSED, Unit, witnessed_log


@pytest.fixture(name="unit")
def _unit(tmp_path: Path) -> Unit:
    return proven_unit(tmp_path)


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


def test_what_finds_no_room_in_a_file_is_counted_for_whoever_asked(tmp_path: Path) -> None:
    unit = Unit(tmp_path, hierarchy=HIERARCHY)
    unit.light()
    for number in range(100):
        unit.desk.refused(b"packet", RecordError("x", f"reason {number}") if number % 2 else DecodeError("x", "y"), at(unit.now))
    unit.light()
    unit.close_batch()
    unit.anchor(unit.log)
    question = Question(at=after_ms(NOON, 150), warnings=True, refusals=True)
    assert left_out(unit.store, question) == 100 - MAX_CHOSEN
    assert len(judged(gather(unit.store, question)).account) == MAX_CHOSEN


def test_evidence_names_its_moment_itself(unit: Unit, tmp_path: Path) -> None:
    write_trust_directory(tmp_path / "trust", ROOTS)
    (tmp_path / "policy").write_text(policy_text())
    (tmp_path / "evidence.json").write_bytes(gathered(unit).encode())
    files = [str(tmp_path / name) for name in ("evidence.json", "trust", "policy")]
    arguments = ["verify", files[0], "--trust", files[1], "--policy", files[2], "--at", "2026-11-22T12:00:00Z"]
    failure = CliRunner().invoke(app, arguments).exception
    assert isinstance(failure, ConfigError)
    assert "evidence is about the moment it names itself" in str(failure)


def test_of_a_time_that_a_clock_set_back_passed_twice_no_file_is_made(tmp_path: Path) -> None:
    unit = Unit(tmp_path, hierarchy=HIERARCHY)
    for _ in range(8):
        unit.light()
    unit.now = after_ms(NOON, 350)
    for _ in range(8):
        unit.light()
    unit.close_batch()
    unit.anchor(unit.log)
    for twice_ms in (450, 620, 799):
        with pytest.raises(RecordError, match=r"its clock was set back|more SPATEM between") as error:
            gathered(unit, after_ms(NOON, twice_ms))
        assert error.value.check == "complete"
    for once_ms in (150, 1_020):
        assert judged(gathered(unit, after_ms(NOON, once_ms))).lights


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
    with pytest.raises(RecordError, match=f"the unit told no signal group {group}; it told 4") as error:
        gathered(unit, group=group)
    assert error.value.check == "content"
    assert refused(replace(gathered(unit), group=group)) == "content"


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
