"""Files of a roadside unit's evidence in tests: a unit with some seconds proven, its files, and how they are judged and forged."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rsu_agent.evidence_proof import Question, gather
from shared.cli.evidence import Answer, judge_evidence
from shared.core.clock import UtcNs
from shared.core.errors import RecordError
from shared.ledger.policy import Policy
from shared.records.evidence import Evidence, EvidencePiece, parse_evidence
from shared.records.evidence_record import decode_record
from shared.records.sd_jwt import encode_base64url
from shared.records.strict_json import encode_json_lines, parse_json
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import TrustStore
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.ledger import witness_key
from tests.helpers.stations import Speaker, after_ms, at
from tests.helpers.unit_evidence import WITNESSED, Unit

HIERARCHY = Hierarchy(3)
ROOTS = TrustStore.of_operator((HIERARCHY.root.certificate,), ())
"""What a court has: the root, and no authority below it."""

MOMENT = after_ms(NOON, 1_234)


def proven_unit(folder: Path) -> Unit:
    """Lights ten times a second for some seconds in two batches, a map, a warning, a refusal; all proven."""
    unit = Unit(folder, hierarchy=HIERARCHY)
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


def rewritten(evidence: Evidence) -> Evidence:
    """Spell a file anew, as whoever forges one would: it reads well."""
    value = parse_json(evidence.encode(), "file", 1 << 22)
    assert isinstance(value, dict)
    del value["digest"]
    value["digest"] = encode_base64url(sha256(encode_json_lines(value).encode()).digest())
    return parse_evidence(encode_json_lines(value).encode())


def lights_of(evidence: Evidence) -> list[EvidencePiece]:
    return [each for each in evidence.pieces if decode_record(each.entry).word == "spatem"]


def with_lights(evidence: Evidence, *lights: EvidencePiece) -> Evidence:
    """Return the file with other lights in it, made whole again as a forger would."""
    pieces = [each for each in evidence.pieces if decode_record(each.entry).word != "spatem"]
    pieces = sorted((*pieces, *lights), key=lambda piece: (piece.batch, piece.position))
    return rewritten(replace(evidence, pieces=tuple(pieces)))


def policy_text() -> str:
    log = WITNESSED.logs[0].key.text
    witnesses = [f"witness {name} {witness_key(name).text}" for name in ("w1", "w2")]
    return "\n".join([f"log {log}", *witnesses, "group enough 2 w1 w2", "quorum enough"]) + "\n"
