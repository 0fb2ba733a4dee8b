"""Evidence that was altered, whole or in part, by an accident or by somebody who knows how it is made: none is believed."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from shared.cli.evidence_words import answer_as_json
from shared.cli.passport import app
from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.core.itstime import utc_text
from shared.ledger.cosignature import cosign
from shared.ledger.note import NoteSignature, SignedNote, encode_note, parse_note
from shared.ledger.proof import TlogProof
from shared.pki.permission_sets import StationRole
from shared.records.evidence import Evidence, EvidencePiece, ProvenBatch, is_evidence, parse_evidence
from shared.records.evidence_record import commitment_of_batch, decode_record, decode_statement
from shared.records.sd_jwt import encode_base64url
from shared.records.strict_json import encode_json_lines, parse_json
from shared.service.trust_directory import write_trust_directory
from tests.helpers.evidence_files import (
    HIERARCHY,
    ROOTS,
    gathered,
    judged,
    lights_of,
    policy_text,
    proven_unit,
    refused,
    rewritten,
    with_lights,
)
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.ledger import ORIGIN, MemoryLog, ed25519_key, policy_of
from tests.helpers.stations import Speaker, after_ms
from tests.helpers.unit_evidence import Unit, witnessed_log

Alter = Callable[[Evidence], Evidence]


@pytest.fixture(name="unit", scope="module")
def _unit(tmp_path_factory: pytest.TempPathFactory) -> Unit:
    """A unit that no test here changes."""
    return proven_unit(tmp_path_factory.mktemp("unit"))


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


@pytest.mark.parametrize("place", [0, 1, 5, 20, 30, 40])
def test_a_file_that_does_not_even_begin_as_evidence_any_more_is_refused_by_the_command(
    unit: Unit, tmp_path: Path, place: int
) -> None:
    changed = bytearray(gathered(unit).encode())
    changed[place] ^= 1
    (tmp_path / "evidence.json").write_bytes(changed)
    (tmp_path / "policy").write_text(policy_text())
    write_trust_directory(tmp_path / "trust", ROOTS)
    files = [str(tmp_path / name) for name in ("evidence.json", "trust", "policy")]
    said = CliRunner().invoke(app, ["verify", files[0], "--trust", files[1], "--policy", files[2], "--json"])
    assert said.exit_code == 1
    assert json.loads(said.output)["verified"] is False


def test_whichever_bit_a_forger_changes_before_he_makes_the_file_whole_again_he_is_refused(unit: Unit) -> None:
    """Or he has changed nothing that counts: the question, which nobody vouches for and another of which is answered rightly or
    not at all, or one of the spellings of a certificate that have one identifier."""
    evidence = gathered(unit, after_ms(NOON, 1_450), group=4)
    encoded, rng, judged_well, read = evidence.encode(), Random(7), 0, 0
    genuine = answer_as_json(judged(evidence))
    question = range(encoded.index(b'"at"'), encoded.index(b'"certificates"'))
    for place in {*rng.sample(range(len(encoded)), 500), *question}:
        changed = bytearray(encoded)
        changed[place] ^= 1 << rng.randrange(8)
        try:
            forged = parse_evidence(sealed(bytes(changed)))
        except (DecodeError, EncodeError, RecordError):
            continue
        read += 1
        try:
            answer = judged(forged)
        except RecordError:
            continue
        judged_well += 1
        if place not in question:
            assert answer_as_json(answer) == genuine, f"octet {place} of {encoded!r}"
            continue
        assert answer.said is not None
        assert answer.following is not None
        assert answer.said.generated <= answer.at < answer.following.generated
        assert all(each.group == forged.group for each in answer.lights)
    assert read > 100
    assert judged_well > 0


def sealed(octets: bytes) -> bytes:
    """Write the digest anew."""
    value = parse_json(octets, "file", 1 << 22)
    if not isinstance(value, dict):
        raise DecodeError("file", "no object")
    value.pop("digest", None)
    value["digest"] = encode_base64url(sha256(encode_json_lines(value).encode()).digest())
    return encode_json_lines(value).encode()


def exchanged(evidence: Evidence, **taken: str) -> Evidence:
    """Give the two lights of a file something of each other."""
    one, other = lights_of(evidence)
    fields = {name: (getattr(one, name), getattr(other, name)) for name in taken}
    swapped = {
        one: replace(one, **{name: values[1] for name, values in fields.items()}),
        other: replace(other, **{name: values[0] for name, values in fields.items()}),
    }
    return replace(evidence, pieces=tuple(swapped.get(piece, piece) for piece in evidence.pieces))


def with_batches(evidence: Evidence, *batches: ProvenBatch) -> Evidence:
    return replace(evidence, batches=batches)


def with_note(evidence: Evidence, change: Callable[[SignedNote], bytes]) -> Evidence:
    """Change the checkpoint behind the last batch."""
    *others, batch = evidence.batches
    proof = TlogProof(index=batch.proof.index, hashes=batch.proof.hashes, signed_note=parse_note(change(batch.proof.signed_note)))
    return with_batches(evidence, *others, replace(batch, proof=proof))


def without_line(note: SignedNote, name: str) -> bytes:
    return encode_note(note.body, tuple(each for each in note.signatures if each.name != name))


def forged_witness(note: SignedNote) -> bytes:
    """Have somebody else sign in a witness's name."""
    line = cosign(note.body, name="w1", private_key=ed25519_key("forger"), timestamp_s=1_700_000_000)
    kept = tuple(each for each in note.signatures if each.name != "w1")
    return encode_note(note.body, (*kept, line))


def backdated(note: SignedNote) -> bytes:
    """Let a witness's signature stand under another time."""
    lines = []
    for each in note.signatures:
        time_s = int.from_bytes(each.signature[:8]) - 3_600
        earlier = NoteSignature(each.name, each.key_id, time_s.to_bytes(8) + each.signature[8:])
        lines.append(earlier if each.name == "w1" else each)
    return encode_note(note.body, tuple(lines))


def of_an_older_tree(evidence: Evidence) -> Evidence:
    """Show the checkpoint from before the last batch was in the ledger."""
    first, last = evidence.batches
    older = MemoryLog(witnesses=("w1", "w2"))
    older.submit(commitment_of_batch(first.statement))
    return with_note(with_batches(evidence, first, last), lambda _: older.note)


def changed_statement(evidence: Evidence, **change: object) -> Evidence:
    first, last = evidence.batches
    statement = replace(decode_statement(last.statement), **change).encode()  # type: ignore[arg-type]
    return with_batches(evidence, first, replace(last, statement=statement))


ALTERATIONS: dict[str, tuple[Alter, str]] = {
    "the two lights change places": (lambda e: exchanged(e, entry="", path=""), "batch"),
    "the two lights change their octets": (lambda e: exchanged(e, entry=""), "batch"),
    "the two lights change their paths": (lambda e: exchanged(e, path=""), "batch"),
    "the batches change places": (lambda e: with_batches(e, *reversed(e.batches)), "batch"),
    "the batches change their proofs": (
        lambda e: with_batches(e, replace(e.batches[0], proof=e.batches[1].proof), replace(e.batches[1], proof=e.batches[0].proof)),
        "ledger",
    ),
    "a batch has the other's root": (lambda e: changed_statement(e, root=decode_statement(e.batches[0].statement).root), "ledger"),
    "a batch is of another unit": (lambda e: changed_statement(e, station_id=4711), "ledger"),
    "a batch follows none": (lambda e: changed_statement(e, previous=None), "ledger"),
    "a batch was closed at another time": (lambda e: changed_statement(e, closed_us=1), "ledger"),
    "an older checkpoint": (of_an_older_tree, "ledger"),
    "a witness left out": (lambda e: with_note(e, lambda note: without_line(note, "w1")), "witnesses"),
    "a forged witness": (lambda e: with_note(e, forged_witness), "witnesses"),
    "a witness's time changed": (lambda e: with_note(e, backdated), "ledger"),
    "the log's signature left out": (lambda e: with_note(e, lambda note: without_line(note, ORIGIN)), "ledger"),
    "the ticket left out": (lambda e: replace(e, certificates=e.certificates[1:]), "certificate"),
    "the authority left out": (lambda e: replace(e, certificates=e.certificates[:1]), "certificate"),
    "the light before the moment left out": (lambda e: with_lights(e, lights_of(e)[1]), "content"),
    "the light after the moment left out": (lambda e: with_lights(with_batches(e, e.batches[0]), lights_of(e)[0]), "complete"),
    "the moment before the first light": (lambda e: replace(e, at=after_ms(NOON, 1_399)), "content"),
    "the moment after the second light": (lambda e: replace(e, at=after_ms(NOON, 1_500)), "complete"),
    "a group the junction does not have": (lambda e: replace(e, group=77), "content"),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_no_alteration_of_a_file_is_believed_and_the_check_that_fails_is_the_one_meant(unit: Unit, name: str) -> None:
    evidence = gathered(unit, after_ms(NOON, 1_450), group=4)
    assert judged(evidence).lights
    alter, check = ALTERATIONS[name]
    with pytest.raises(RecordError) as error:
        judged(parse_evidence(alter(evidence)._spelled()))
    assert error.value.check == check, str(error.value)


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


def test_a_packet_dated_after_a_witness_had_seen_it_is_refused(tmp_path: Path) -> None:
    unit = Unit(tmp_path, hierarchy=HIERARCHY)
    unit.light()
    unit.light(2_000)
    unit.close_batch()
    unit.anchor(witnessed_log(after_ms(NOON, -600_000)))
    assert refused(gathered(unit)) == "time"
