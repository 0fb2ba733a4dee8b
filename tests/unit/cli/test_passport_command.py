"""`v2x passport` down to real certificates: what it prints, what it refuses, and with which status."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from shared.cli.passport import _table, app
from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.errors import ConfigError, RecordError
from shared.pki.authority import hours
from shared.records.credential import credential_of
from shared.records.odometer import OdometerFlag, OdometerSource, RecordReason
from shared.records.passport import Passport, build_passport, build_record, read_passport
from shared.records.recorder import Recorder
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.trust_directory import write_trust_directory
from tests.helpers.hierarchy import BEGIN, Hierarchy
from tests.helpers.ledger import ORIGIN, MemoryLog, log_signer, seeded_entropy
from tests.unit.records.test_odometer_record import Shelf
from tests.unit.records.test_passport import proofs

DAY_NS = 86_400 * NS_PER_S
LIFETIME_YEARS = 60
"""Of the authorities: records without dates are judged at the real clock, whatever year these tests run in."""


class Enrolled:
    """Signs records with the key of an enrolment credential, on whatever curve."""

    def __init__(self, certificate: Certificate, signer: SoftwareSigner, authority: Certificate) -> None:
        self.certificate = certificate.encoded
        self.authority = authority.encoded
        self._signer = signer

    def sign_es256(self, message: bytes) -> bytes:
        return self._signer.sign_digest(sha256(message).digest()).p1363


@cache
def hierarchy(seed: int = 1) -> Hierarchy:
    return Hierarchy(seed, lifetime_years=LIFETIME_YEARS)


@cache
def passport(readings_km: tuple[int, ...] = (100, 250, 400), first_day: int = 1, curve: Curve = Curve.NIST_P256) -> Passport:
    pki = hierarchy()
    signer = pki.keys.generate(curve)
    credential = pki.ea.issue_credential(public_key=signer.public_key, validity=hours(pki.start, 24 * 365))
    shelf, clock = Shelf(), ManualClock(UtcNs(BEGIN + (first_day - 1) * DAY_NS))
    enrolled = Enrolled(credential, signer, pki.ea.certificate)
    recorder = Recorder(signer=enrolled, store=shelf, entropy=seeded_entropy(), boot_id=bytes(16))
    for km in readings_km:
        source = OdometerSource(name="cluster [bold]", odometer_m=km * 1000, age_ms=20)
        recorder.record_reading(
            odometer_m=km * 1000, reason=RecordReason.DISTANCE, sources=(source,), flags=(), at=clock.advance(DAY_NS)
        )
    found = proofs(tuple(shelf.records), MemoryLog())
    records = [build_record(r.sd_jwt, r.salt, p.encode()) for r, p in zip(shelf.records, found, strict=True)]
    return build_passport(credentials=(credential_of(enrolled),), records=records)


def with_certificates(p: Passport, number: int, **certificates: bytes) -> Passport:
    """Return a passport with other certificates in one of its credentials."""
    credentials = list(p.credentials)
    credentials[number] = replace(credentials[number], **certificates)
    return replace(p, credentials=tuple(credentials))


class Desk:
    """Files on a buyer's desk, and the command."""

    def __init__(self, directory: Path, trusted: Hierarchy) -> None:
        self.file = directory / "passport.json"
        self.trust = directory / "trust"
        self.policy = directory / "policy"
        write_trust_directory(self.trust, trusted.trust_store)
        self.policy.write_text(f"log {log_signer().key.text}\nquorum none\n")

    def verify(self, data: bytes, *options: str) -> str:
        self.file.write_bytes(data)
        arguments = ["verify", str(self.file), "--trust", str(self.trust), "--policy", str(self.policy), *options]
        return self._run(arguments)

    def show(self, data: bytes) -> str:
        self.file.write_bytes(data)
        return self._run(["show", str(self.file)])

    def _run(self, arguments: list[str]) -> str:
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, hierarchy())


def test_a_genuine_passport_is_verified_to_the_root(desk: Desk) -> None:
    output = desk.verify(passport().encode())
    assert "All 3 records are genuine" in output
    assert ORIGIN in output
    assert "250.0 km" in output
    assert "150.0 km" in output
    assert "2026-11-23" in output
    assert "cluster [bold]" in output
    assert "without a gap and never fall" in output


def test_machines_get_one_json_object(desk: Desk) -> None:
    value = json.loads(desk.verify(passport((100, 40)).encode(), "--json"))
    assert value["verified"] is True
    assert value["clean"] is False
    assert [r["odometer_m"] for r in value["readings"]] == [100_000, 40_000]
    assert value["findings"][0]["kind"] == "rollback"


def test_a_rollback_is_shown_in_plain_words(desk: Desk) -> None:
    for output in (desk.verify(passport((100, 40)).encode()), desk.show(passport((100, 40)).encode())):
        assert "The odometer was rolled back" in " ".join(output.split())
        assert "ROLLED BACK" in output


def test_what_fails_a_check_is_called_not_genuine_before_the_reason(desk: Desk) -> None:
    desk.file.write_bytes(passport().encode().replace(b'"proof"', b'"prove"'))
    words = ["verify", str(desk.file), "--trust", str(desk.trust), "--policy", str(desk.policy)]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, RecordError)
    assert refused.stderr == "Not shown to be genuine: believe nothing in this file.\n"


def test_genuine_records_that_show_something_serious_do_not_end_on_a_green_word(desk: Desk) -> None:
    warned, fine = (" ".join(desk.verify(passport(readings).encode()).split()) for readings in ((100, 40), (40, 100)))
    assert warned.endswith("What they show is serious: see above.")
    assert "serious" not in fine


def test_showing_says_that_nothing_was_checked(desk: Desk) -> None:
    output = desk.show(passport().encode())
    assert output.startswith("Not verified")
    assert "400.0 km" in output


def test_another_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="trusted root") as caught:
        Desk(tmp_path, hierarchy(2)).verify(passport().encode())
    assert caught.value.check == "certificate"


def test_the_refusal_as_json_has_status_1(desk: Desk) -> None:
    altered = with_certificates(passport(), 0, authority=hierarchy(2).ea.certificate.encoded)
    desk.file.write_bytes(altered.encode())
    arguments = ["verify", str(desk.file), "--trust", str(desk.trust), "--policy", str(desk.policy), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert json.loads(result.output)["check"] == "certificate"


ALTERED: dict[str, Callable[[Passport], Passport]] = {
    "another authority": lambda p: with_certificates(p, 0, authority=hierarchy(2).ea.certificate.encoded),
    "the root as authority": lambda p: with_certificates(p, 0, authority=hierarchy().root.certificate.encoded),
    "no certificate": lambda p: with_certificates(p, 0, authority=b"nothing"),
    "a ticket as credential": lambda p: with_certificates(p, 0, certificate=hierarchy().ticket().certificate.encoded),
}


@pytest.mark.parametrize("name", ALTERED)
def test_certificates_that_do_not_lead_to_the_root_are_refused(desk: Desk, name: str) -> None:
    with pytest.raises(RecordError) as caught:
        desk.verify(ALTERED[name](passport()).encode())
    assert caught.value.check in ("certificate", "credentials")


def test_every_byte_of_a_passport_is_bound_down_to_the_root(desk: Desk) -> None:
    """One byte in thirteen; `tests/unit/records` does all of them without certificates."""
    data = passport((100,)).encode()
    for at in range(0, len(data), 13):
        altered = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(RecordError):
            desk.verify(altered)


def test_readings_outside_the_credentials_time_are_refused(desk: Desk) -> None:
    late = passport((100,), first_day=400).encode()
    with pytest.raises(RecordError, match=r"not valid|outside|expired|valid"):
        desk.verify(late)
    with pytest.raises(RecordError, match="dated 2027-12"):
        desk.verify(late, "--at", "2026-12-01T00:00:00Z")


def test_a_moment_outside_the_certificates_is_refused(desk: Desk) -> None:
    desk.verify(passport().encode(), "--at", "2027-01-01T00:00:00Z")
    for moment in ("2100-01-01T00:00:00Z", "2010-01-01T00:00:00Z"):
        with pytest.raises(RecordError, match="certificate"):
            desk.verify(passport().encode(), "--at", moment)


def test_a_credential_on_another_curve_signs_no_records(desk: Desk) -> None:
    with pytest.raises(RecordError, match="P-256"):
        desk.verify(passport((100,), curve=Curve.BRAINPOOL_P256R1).encode())


def test_wrong_usage_is_a_configuration_error(desk: Desk, tmp_path: Path) -> None:
    good = passport().encode()
    for options in (("--at", "yesterday"), ("--at", "2026-11-22"), ("--at", "1990-01-01T00:00:00Z")):
        with pytest.raises(ConfigError):
            desk.verify(good, *options)
    desk.policy.write_text("quorum\n")
    with pytest.raises(ConfigError, match="policy line 1"):
        desk.verify(good)
    desk.policy.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        desk.verify(good)
    with pytest.raises(ConfigError, match="cannot be read"):
        desk._run(["show", str(tmp_path / "absent.json")])


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_date_and_no_word_of_the_readings_is_cut_or_broken(width: int) -> None:
    sources = tuple(OdometerSource(name=name, odometer_m=1, age_ms=1) for name in ("cluster", "obd_speed", "gnss_speed"))
    readings = tuple(
        replace(reading, odometer_m=158_910_600, since_previous_m=133_822_600, reason=reason, sources=sources, flags=(flag,))
        for reading, reason, flag in zip(
            read_passport(passport()).readings,
            (RecordReason.INSPECTION, RecordReason.IGNITION_OFF, RecordReason.FLAG),
            (OdometerFlag.ODOMETER_FRAME_OFF_PERIOD, OdometerFlag.SOURCES_DISAGREE, OdometerFlag.BUS_SILENT_WHILE_MOVING),
            strict=True,
        )
    )
    console = Console(width=width, file=StringIO())
    console.print(_table(readings, (), width=width))
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    words = set(shown.replace(",\n", "\n").split())
    assert {"inspection", "2026-11-23", "2026-11-24", "158,910.6", "disagree", "gnss_speed"} <= words
    assert "…" not in shown
    assert all(len(line.rstrip()) <= width for line in shown.splitlines())
