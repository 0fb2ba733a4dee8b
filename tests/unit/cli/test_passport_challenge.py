"""`v2x passport challenge`, and `v2x passport verify --nonce`: what an inspector draws, and what comes back of it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli.passport import app
from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, RecordError
from shared.core.itstime import utc_text
from shared.pki.authority import hours
from shared.records.challenge import challenge_text, parse_challenge
from shared.records.credential import credential_of
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.passport import Passport, build_passport, build_record
from shared.records.recorder import Recorder
from shared.security.ecdsa import Curve
from tests.helpers.hierarchy import BEGIN
from tests.helpers.ledger import MemoryLog, seeded_entropy
from tests.unit.cli.test_passport_command import Desk, Enrolled, hierarchy
from tests.unit.records.test_odometer_record import Shelf
from tests.unit.records.test_passport import proofs

AT = ("--at", utc_text(UtcNs(BEGIN + 86_400 * NS_PER_S)))
NONCE = bytes(range(16))
TEXT = challenge_text(NONCE)


def inspected(*, shown: tuple[str, ...] | None = None) -> Passport:
    """A passport with an answer in it whose vehicle did not know the date: it is the same whenever this test runs."""
    pki = hierarchy()
    signer = pki.keys.generate(Curve.NIST_P256)
    credential = pki.ea.issue_credential(public_key=signer.public_key, validity=hours(pki.start, 24 * 365))
    enrolled, shelf = Enrolled(credential, signer, pki.ea.certificate), Shelf()
    recorder = Recorder(signer=enrolled, store=shelf, entropy=seeded_entropy(), boot_id=bytes(16))
    source = OdometerSource(name="cluster", odometer_m=100_000, age_ms=20)
    at = Instant(MonotonicNs(0), None)
    recorder.record_reading(odometer_m=100_000, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)
    recorder.record_reading(odometer_m=100_000, reason=RecordReason.INSPECTION, sources=(source,), flags=(), at=at, nonce=NONCE)
    found = proofs(tuple(shelf.records), MemoryLog())
    built = [build_record(r.sd_jwt, r.salt, p.encode()) for r, p in zip(shelf.records, found, strict=True)]
    if shown is not None:
        built = [build_record(r.sd_jwt, r.salt, p.encode(), shown) for r, p in zip(shelf.records, found, strict=True)]
    return build_passport(credentials=(credential_of(enrolled),), records=built)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, hierarchy())


def test_a_challenge_is_fresh_each_time_and_comes_as_text_json_and_qr_code(tmp_path: Path) -> None:
    said = [CliRunner().invoke(app, ["challenge"]).stdout.strip() for _ in range(2)]
    assert said[0] != said[1]
    assert all(len(parse_challenge(text)) == 16 for text in said)
    code = tmp_path / "challenge.svg"
    told = json.loads(CliRunner().invoke(app, ["challenge", "--json", "--qr", str(code)]).stdout)
    assert len(parse_challenge(told["challenge"])) == 16
    assert b"<svg" in code.read_bytes()
    refused = CliRunner().invoke(app, ["challenge", "--qr", str(tmp_path / "challenge.gif")])
    assert isinstance(refused.exception, ConfigError)


def test_the_record_that_answers_is_named(desk: Desk) -> None:
    data = inspected().encode()
    output = " ".join(desk.verify(data, *AT, "--nonce", TEXT.lower()).split())
    assert "Record 1 answers the challenge: it was signed after the challenge was drawn. The vehicle says" in output
    value = json.loads(desk.verify(data, *AT, "--nonce", TEXT, "--json"))
    assert value["challenge"] == {"seq": 1, "age_ms": None, "reading_age_ms": 20, "fresh": True}
    assert [reading["nonce"] for reading in value["readings"]] == [None, "AAECAwQFBgcICQoLDA0ODw"]
    assert json.loads(desk.verify(data, *AT, "--json"))["challenge"] is None


def test_a_passport_that_answers_another_challenge_or_hides_it_is_refused(desk: Desk) -> None:
    with pytest.raises(RecordError, match="challenge: no record shown answers this challenge"):
        desk.verify(inspected().encode(), *AT, "--nonce", challenge_text(bytes(16)))
    with pytest.raises(RecordError, match="challenge: no record shown answers this challenge"):
        desk.verify(inspected(shown=("odometer_m", "reason")).encode(), *AT, "--nonce", TEXT)
    with pytest.raises(RecordError, match="challenge: record 1 answers it, and hides its reading"):
        desk.verify(inspected(shown=("bound_to", "reason")).encode(), *AT, "--nonce", TEXT)
    value = json.loads(desk.verify(inspected().encode(), *AT, "--nonce", challenge_text(bytes(16)), "--json"))
    assert (value["verified"], value["check"]) == (False, "challenge")


def test_a_mistyped_challenge_is_told_before_anything_is_read(desk: Desk) -> None:
    with pytest.raises(ConfigError, match=r"--nonce: .*its last four do not fit the others"):
        desk.verify(b"", *AT, "--nonce", TEXT[:-1] + ("0" if TEXT[-1] != "0" else "1"))
