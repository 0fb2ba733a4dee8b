"""A passport with records of a garage and an inspector: verified down to the root, each for what its role may say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shared.core.clock import ManualClock, UtcNs
from shared.core.errors import RecordError
from shared.pki.authority import hours, years
from shared.pki.permission_sets import EC_APP_PERMISSIONS, RecordRole, issuer_permissions
from shared.records.credential import credential_of
from shared.records.exchange import IssuedRecord
from shared.records.issuers import IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.passport import Passport, build_passport, build_record
from shared.records.record import Record, SignedRecord, commit_to, sign_token
from shared.records.recorder import Recorder
from shared.records.strict_json import Json
from shared.security.ecdsa import Curve
from shared.service.record_issuers import check_issued
from shared.service.spool import open_spool
from tests.helpers.hierarchy import BEGIN, Hierarchy
from tests.helpers.ledger import MemoryLog, seeded_entropy
from tests.unit.cli.test_passport_command import DAY_NS, Desk, Enrolled, hierarchy
from tests.unit.records.test_kinds import fields_of
from tests.unit.records.test_passport import proofs

ENROLLED_YEARS = 50
"""How long `enrol` enrols somebody, see `LIFETIME_YEARS` of the authorities."""


class History:
    """A vehicle, those who sign for it, and its records in a spool."""

    def __init__(self, directory: Path) -> None:
        self.spool = open_spool(directory / "spool.db")
        self.signed: list[SignedRecord] = []
        self.clock = ManualClock(UtcNs(BEGIN))
        self.vehicle = enrol(None)
        self.recorder = Recorder(signer=self.vehicle, store=self.spool, entropy=seeded_entropy(), boot_id=bytes(16))

    def reads(self, km: int) -> None:
        source = OdometerSource(name="cluster", odometer_m=km * 1000, age_ms=20)
        at = self.clock.advance(DAY_NS)
        signed = self.recorder.record_reading(odometer_m=km * 1000, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)
        self.signed.append(signed)

    def stated(self, kind: RecordKind, **fields: Json) -> Record:
        """What somebody states in the vehicle's next slot."""
        slot, at = self.recorder.slot(), self.clock.advance(DAY_NS)
        own: dict[str, Json] = {"bound_to": None} if kind is RecordKind.ODOMETER else {}
        shown = {**fields_of(kind), **own, **fields}
        return Record(kind=kind, seq=slot.seq, prev=slot.prev, occurred=at.utc, fields=shown, subject=slot.subject)

    def is_told(self, kind: RecordKind, by: Enrolled, **fields: Json) -> None:
        """Somebody signs for the next slot, and the vehicle admits it."""
        token = sign_token(self.stated(kind, **fields), by, seeded_entropy(7))
        file = IssuedRecord(token=token, credential=credential_of(by)).encode()
        slot, roots = self.recorder.slot(), hierarchy().trust_store
        now = self.clock.now()
        self._keep(check_issued(file, slot=slot, shelf=self.spool, roots=roots, now=now).committed(seeded_entropy(slot.seq)))

    def is_forced(self, record: Record, by: Enrolled) -> None:
        """A vehicle that does not check keeps what somebody signed."""
        token = sign_token(record, by, seeded_entropy(8))
        self._keep(commit_to(record, token, credential_of(by), seeded_entropy(record.seq), IssuerRole.GARAGE))

    def _keep(self, record: SignedRecord) -> None:
        self.spool.append(record)
        self.signed.append(record)

    def passport(self) -> Passport:
        found = proofs(tuple(self.signed), MemoryLog())
        records = [build_record(r.sd_jwt, r.salt, p.encode()) for r, p in zip(self.spool.records(), found, strict=True)]
        return build_passport(credentials=[each.credential for each in self.spool.all_credentials()], records=records)


def enrol(role: RecordRole | None, under: Hierarchy | None = None) -> Enrolled:
    """Return somebody with an enrolment credential, of a vehicle where no role is given, under everybody's hierarchy or another."""
    pki = under or hierarchy()
    signer = pki.keys.generate(Curve.NIST_P256)
    permissions = EC_APP_PERMISSIONS if role is None else issuer_permissions(role)
    validity = years(pki.start, ENROLLED_YEARS)
    credential = pki.ea.issue_credential(public_key=signer.public_key, validity=validity, permissions=permissions)
    return Enrolled(credential, signer, pki.ea.certificate)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, hierarchy())


def test_records_of_a_garage_and_an_inspector_verify_beside_the_vehicles(history: History, desk: Desk) -> None:
    garage, inspector = enrol(RecordRole.GARAGE), enrol(RecordRole.INSPECTOR)
    history.reads(50_000)
    history.is_told(RecordKind.MAINTENANCE, garage, odometer_m=50_000_000)
    history.reads(51_000)
    history.is_told(RecordKind.INSPECTION, inspector, odometer_m=51_000_000)
    history.is_told(RecordKind.REPAIR, garage, odometer_m=None)
    history.reads(52_000)
    data = history.passport().encode()
    output = desk.verify(data)
    assert "All 6 records are genuine: signed by the vehicle and by a garage, an inspector" in " ".join(output.split())
    assert "inspection" in output
    assert "ROLLED BACK" not in output
    assert "The vehicle's own last record is of 2026-11-28: what came after it is not here." in output
    value = json.loads(desk.verify(data, "--json"))
    assert [r["signed_by"] for r in value["readings"]] == ["vehicle", "garage", "vehicle", "inspector", "garage", "vehicle"]
    assert [r["since_previous_m"] for r in value["readings"]] == [None, 0, 1_000_000, 0, None, 1_000_000]
    assert value["clean"] is True
    assert "not verified" in desk.show(data)


def test_a_garages_reading_below_the_cars_is_shown_as_a_rollback(history: History, desk: Desk) -> None:
    history.reads(90_000)
    history.is_told(RecordKind.MAINTENANCE, enrol(RecordRole.GARAGE), odometer_m=40_000_000)
    output = desk.verify(history.passport().encode())
    assert "ROLLED BACK" in output
    assert "a garage's reading" in " ".join(output.split())


def test_a_reading_by_eye_above_the_cars_own_makes_no_rollback_of_the_next(history: History, desk: Desk) -> None:
    history.reads(50_000)
    history.is_told(RecordKind.MAINTENANCE, enrol(RecordRole.GARAGE), odometer_m=50_001_400)
    history.reads(50_001)
    output = desk.verify(history.passport().encode())
    assert "-0.4 km" in output
    assert "ROLLED BACK" not in output


def test_a_kind_the_role_does_not_allow_is_refused_with_its_sentence_at_both_ends(history: History, desk: Desk) -> None:
    garage = enrol(RecordRole.GARAGE)
    history.reads(50_000)
    with pytest.raises(RecordError, match="a garage may not issue inspection records; an inspector may"):
        history.is_told(RecordKind.INSPECTION, garage)
    history.is_forced(history.stated(RecordKind.INSPECTION), garage)
    with pytest.raises(RecordError, match="entry 2 of 2: a garage may not issue inspection records") as caught:
        desk.verify(history.passport().encode())
    assert caught.value.check == "role"


def test_a_garage_cannot_pose_as_the_vehicle(history: History, desk: Desk) -> None:
    history.reads(50_000)
    own = replace(history.stated(RecordKind.TRIP), subject=None)
    history.is_forced(own, enrol(RecordRole.GARAGE))
    with pytest.raises(RecordError, match="a garage may not issue trip records") as caught:
        desk.verify(history.passport().encode())
    assert caught.value.check == "role"


def test_a_garage_under_a_root_nobody_trusts_is_named(history: History, desk: Desk) -> None:
    history.reads(50_000)
    pki, stranger = hierarchy(), hierarchy(2)
    signer = pki.keys.generate(Curve.NIST_P256)
    credential = stranger.ea.issue_credential(
        public_key=signer.public_key,
        validity=hours(stranger.start, 24 * 365),
        permissions=issuer_permissions(RecordRole.GARAGE),
    )
    foreign = Enrolled(credential, signer, stranger.ea.certificate)
    with pytest.raises(RecordError, match="does not lead to a trusted root"):
        history.is_told(RecordKind.MAINTENANCE, foreign)
    history.is_forced(history.stated(RecordKind.MAINTENANCE), foreign)
    with pytest.raises(RecordError, match="the credential of a garage does not lead to a trusted root") as caught:
        desk.verify(history.passport().encode())
    assert caught.value.check == "certificate"
