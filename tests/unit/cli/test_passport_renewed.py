"""`v2x passport` for a vehicle whose credential was renewed: every certificate counts, each in its own time."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import RecordError
from shared.pki.authority import hours
from shared.records.kinds import HIDEABLE
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.passport import Passport, build_passport, build_record
from shared.records.recorder import Recorder
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.service.record_key import EnrolledSigner
from tests.helpers.hierarchy import BEGIN, Hierarchy
from tests.helpers.ledger import MemoryLog, seeded_entropy
from tests.unit.cli.test_passport_command import Desk, hierarchy, with_certificates
from tests.unit.records.test_odometer_record import Shelf
from tests.unit.records.test_passport import proofs

DAY_NS = 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Term:
    """How long one credential is used: valid for days from a day on, and the days on which it signs, `hand_over` last.

    `clock_is_set` is False where the vehicle never knew the date.
    """

    first: int
    days: int
    signs: tuple[int, ...]
    hand_over: int | None = None
    clock_is_set: bool = True


THREE_TERMS = (
    Term(0, 100, (1, 50), hand_over=90),
    Term(80, 100, (91, 150), hand_over=170),
    Term(160, 100, (180, 250)),
)


@cache
def renewed(terms: tuple[Term, ...] = THREE_TERMS, shown: Collection[str] = HIDEABLE) -> Passport:
    """Return the passport of a vehicle under one credential after the other, none of which is valid all the time."""
    pki = hierarchy()
    signers = [enrolled(pki, term) for term in terms]
    shelf = Shelf()
    recorder = Recorder(signer=signers[0], store=shelf, entropy=seeded_entropy(), boot_id=bytes(16))
    for number, term in enumerate(terms):
        for day in term.signs:
            ran = MonotonicNs(day * DAY_NS)
            at = ManualClock(UtcNs(BEGIN + ran) if term.clock_is_set else None, ran).now()
            reason, source = RecordReason.DISTANCE, OdometerSource(name="cluster", odometer_m=day * 1000, age_ms=20)
            recorder.record_reading(odometer_m=day * 1000, reason=reason, sources=(source,), flags=(), at=at)
        if term.hand_over is not None:
            ran = MonotonicNs(term.hand_over * DAY_NS)
            at = ManualClock(UtcNs(BEGIN + ran), ran).now()
            source = OdometerSource(name="cluster", odometer_m=term.hand_over * 1000, age_ms=20)
            recorder.change_signer(signers[number + 1], odometer_m=term.hand_over * 1000, sources=(source,), flags=(), at=at)
        elif number + 1 < len(terms):
            recorder = Recorder(signer=signers[number + 1], store=shelf, entropy=seeded_entropy(9), boot_id=bytes(16))
    found = proofs(tuple(shelf.records), MemoryLog())
    records = [build_record(r.sd_jwt, r.salt, p.encode(), shown) for r, p in zip(shelf.records, found, strict=True)]
    return build_passport(credentials=shelf.credentials(), records=records)


def enrolled(pki: Hierarchy, term: Term) -> EnrolledSigner:
    signer = pki.keys.generate(Curve.NIST_P256)
    validity = hours(type(pki.start)(pki.start + term.first * 86_400), 24 * term.days)
    certificate = pki.ea.issue_credential(public_key=signer.public_key, validity=validity)
    return EnrolledSigner(TicketCredential(certificate=certificate, signer=signer), authority=pki.ea.certificate)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, hierarchy())


def words(output: str) -> str:
    return " ".join(output.split())


def test_a_passport_says_where_each_credential_took_over(desk: Desk) -> None:
    output = words(desk.verify(renewed().encode()))
    assert "All 8 records are genuine: signed by the vehicle under 3 credentials, one after the other, unchanged" in output
    assert "credential 2 from here" in output
    assert "credential 3 from here" in output
    assert "credential 1 from here" not in output
    assert output.count("credential renewed") == 2
    assert "without a gap and never fall" in output
    shown = words(desk.show(renewed().encode()))
    assert shown.count("from here") == 2


def test_machines_are_told_the_credential_of_every_reading(desk: Desk) -> None:
    value = json.loads(desk.verify(renewed().encode(), "--json"))
    assert value["clean"] is True
    assert [r["credential"] for r in value["readings"]] == [1, 1, 1, 2, 2, 2, 3, 3]
    assert [r["seq"] for r in value["readings"] if r["hands_over"]] == [2, 5]


def test_each_credential_is_judged_in_its_own_time(desk: Desk) -> None:
    """No moment lies in all three; --at is for the one that signed last."""
    at = "2027-08-01T00:00:00Z"
    assert "All 8 records" in desk.verify(renewed().encode(), "--at", at)
    with pytest.raises(RecordError, match="certificate: the vehicle's enrolment credential number 3 of 3 does not lead"):
        desk.verify(renewed().encode(), "--at", "2026-12-01T00:00:00Z")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_authority_must_be_the_one_that_issued_the_credential(desk: Desk, number: int) -> None:
    altered = with_certificates(renewed(), number, authority=hierarchy(2).ea.certificate.encoded)
    with pytest.raises(RecordError, match=f"certificate: .* credential number {number + 1} of 3 does not lead to a trusted root"):
        desk.verify(altered.encode())
    altered = with_certificates(renewed(), number, authority=b"nothing")
    with pytest.raises(
        RecordError, match=f"authority that issued .* credential number {number + 1} of 3 in the passport is damaged"
    ):
        desk.verify(altered.encode())


def test_a_lost_key_is_told_and_everything_else_verifies(desk: Desk) -> None:
    lost = renewed((Term(0, 100, (1, 50)), Term(80, 100, (91, 150))))
    output = words(desk.verify(lost.encode()))
    assert "! Record 2 is signed under another credential than record 1, and no record shown hands over to it" in output
    assert (
        "All 4 records are genuine: signed under 2 trusted credentials that are not shown to be one vehicle's, unchanged" in output
    )
    value = json.loads(desk.verify(lost.encode(), "--json"))
    assert (value["verified"], value["clean"]) == (True, False)
    assert [f["kind"] for f in value["findings"]] == ["credential_not_introduced"]


def test_a_hand_over_left_out_is_told(desk: Desk) -> None:
    whole = renewed()
    without = replace(whole, records=(*whole.records[:2], *whole.records[3:]))
    value = json.loads(desk.verify(without.encode(), "--json"))
    assert [f["kind"] for f in value["findings"]] == ["gap", "credential_not_introduced"]


def test_a_hand_over_after_the_old_credential_ran_out_still_counts(desk: Desk) -> None:
    """A car that stood too long hands over with the key it has; readings in between do not count."""
    late = renewed((Term(0, 100, (1, 50), hand_over=130), Term(120, 100, (131, 150))))
    assert json.loads(desk.verify(late.encode(), "--json"))["clean"] is True
    between = renewed((Term(0, 100, (1, 50, 110), hand_over=130), Term(120, 100, (131, 150))))
    with pytest.raises(RecordError, match=r"certificate: .*number 1 of 2"):
        desk.verify(between.encode())


def test_a_reading_in_the_time_of_another_credential_does_not_count(desk: Desk) -> None:
    early = renewed((Term(0, 100, (1, 50), hand_over=60), Term(80, 100, (61, 150))))
    with pytest.raises(RecordError, match=r"a reading is dated 2027-01-\d\d, when .* number 2 of 2 was not valid"):
        desk.verify(early.encode())


def test_a_credential_without_a_date_is_judged_by_the_dates_beside_it(desk: Desk) -> None:
    undated = Term(80, 100, (91, 92), clock_is_set=False)
    for terms in ((THREE_TERMS[0], undated), (replace(undated, first=0), Term(80, 100, (93, 150)))):
        value = json.loads(desk.verify(renewed(terms).encode(), "--json"))
        assert value["verified"] is True


def test_a_passport_without_any_date_is_judged_at_the_moment_given(desk: Desk) -> None:
    hidden = renewed((Term(0, 100, (1, 50)),), shown=("odometer_m",))
    assert "All 2 records" in desk.verify(hidden.encode(), "--at", "2026-12-01T00:00:00Z")
    with pytest.raises(RecordError, match="does not lead to a trusted root"):
        desk.verify(hidden.encode(), "--at", "2027-06-01T00:00:00Z")
