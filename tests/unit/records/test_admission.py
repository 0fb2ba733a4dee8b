"""A garage signs for the vehicle's next slot, the vehicle admits the record or says in a sentence why not."""

from dataclasses import replace

import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import RecordError, UntrustedTimeError
from shared.records.admission import MAX_AHEAD_NS, MAX_LATE_NS, Admitted, EarlierRecord, check_admission
from shared.records.credential import credential_of
from shared.records.exchange import IssuedRecord, Slot, parse_issued, parse_slot
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag
from shared.records.record import Record, commitment_of, sign_token, verify_record
from shared.records.sd_jwt import certificate_id
from tests.helpers.ledger import Vehicle, seeded_entropy
from tests.unit.records.test_kinds import fields_of

CAR, GARAGE, OTHER_GARAGE = Vehicle(), Vehicle("garage"), Vehicle("another garage")
SUBJECT = certificate_id(CAR.certificate)
NOW = Instant(MonotonicNs(1), UtcNs(1_790_000_000_000_000_000))
SLOT = Slot(seq=58, prev=bytes(range(32)), subject=SUBJECT)
ISSUER = Issuer(key=GARAGE.public_key, role=IssuerRole.GARAGE)
RECORD = Record(
    kind=RecordKind.MAINTENANCE,
    seq=58,
    prev=SLOT.prev,
    occurred=UtcNs(1_789_990_000_000_000_000),
    fields=fields_of(RecordKind.MAINTENANCE),
    subject=SUBJECT,
)


class Shelf:
    """The vehicle's records, in memory."""

    def __init__(self, *records: EarlierRecord) -> None:
        self._records = {record.record.seq: record for record in records}

    def earlier(self, seq: int) -> EarlierRecord | None:
        return self._records.get(seq)


def issued(record: Record = RECORD, signer: Vehicle = GARAGE) -> IssuedRecord:
    return IssuedRecord(token=sign_token(record, signer, seeded_entropy()), credential=credential_of(signer))


def kept(record: Record, role: IssuerRole, signer: Vehicle = GARAGE) -> EarlierRecord:
    token = sign_token(record, signer, seeded_entropy())
    shown = verify_record(token, Issuer(key=signer.public_key, role=role))
    return EarlierRecord(record=shown, jwt=token.jwt, credential=certificate_id(signer.certificate), role=role)


def admit(
    given: IssuedRecord, *, issuer: Issuer = ISSUER, slot: Slot = SLOT, shelf: Shelf | None = None, now: Instant = NOW
) -> Admitted:
    return check_admission(given, issuer=issuer, slot=slot, shelf=shelf or Shelf(), now=now)


def refused(given: IssuedRecord, check: str, *, issuer: Issuer = ISSUER, slot: Slot = SLOT, shelf: Shelf | None = None) -> str:
    with pytest.raises(RecordError) as caught:
        admit(given, issuer=issuer, slot=slot, shelf=shelf)
    assert caught.value.check == check
    return caught.value.reason


def test_a_garages_record_is_admitted_under_a_salt_of_the_vehicles_choice() -> None:
    given = parse_issued(issued().encode())
    admitted = admit(given)
    one, two = admitted.committed(seeded_entropy(1)), admitted.committed(seeded_entropy(2))
    assert one.record == RECORD
    assert (one.role, one.credential) == (IssuerRole.GARAGE, credential_of(GARAGE))
    assert one.commitment == commitment_of(given.token.jwt, one.salt) != two.commitment


def test_a_kind_its_role_does_not_allow_is_refused_and_says_who_may() -> None:
    record = replace(RECORD, kind=RecordKind.INSPECTION, fields=fields_of(RecordKind.INSPECTION))
    assert refused(issued(record), "role") == "a garage may not issue inspection records; an inspector may"


def test_a_record_out_of_sequence_is_refused_and_told_which_is_next() -> None:
    late = issued(replace(RECORD, seq=57))
    assert refused(late, "sequence") == "record 57 does not follow the last one; number 58 is next"
    fork = issued(replace(RECORD, prev=bytes(32)))
    assert "follows another record 57" in refused(fork, "sequence")
    resumed = replace(SLOT, flags=(OdometerFlag.SEQUENCE_RESUMED,))
    assert "has other flags (none) than its slot (sequence_resumed)" in refused(issued(), "sequence", slot=resumed)


def test_the_same_record_twice_is_told_to_be_there() -> None:
    moved_on = replace(SLOT, seq=59, prev=bytes(32))
    assert "admitted before" in refused(issued(), "sequence", slot=moved_on, shelf=Shelf(kept(RECORD, IssuerRole.GARAGE)))


def test_a_record_about_another_vehicle_is_refused() -> None:
    other = issued(replace(RECORD, subject=certificate_id(OTHER_GARAGE.certificate)))
    assert "about another vehicle" in refused(other, "subject")


def test_a_vehicle_is_not_let_in_as_an_issuer() -> None:
    own = replace(RECORD, kind=RecordKind.TRIP, fields=fields_of(RecordKind.TRIP), subject=None)
    assert "made by the vehicle" in refused(issued(own), "role", issuer=Issuer(key=GARAGE.public_key, role=IssuerRole.VEHICLE))


def test_another_key_or_another_certificate_is_refused() -> None:
    refused(issued(), "signature", issuer=Issuer(key=OTHER_GARAGE.public_key, role=IssuerRole.GARAGE))
    mixed = IssuedRecord(token=issued().token, credential=credential_of(OTHER_GARAGE))
    assert "another credential" in refused(mixed, "issuer")


def test_a_record_that_hides_something_is_not_kept() -> None:
    given = issued()
    assert "without its" in refused(replace(given, token=given.token.showing(["odometer_m"])), "content")


@pytest.mark.parametrize(
    ("occurred", "words"),
    [
        (NOW.require_utc() + MAX_AHEAD_NS + NS_PER_S, "it has not happened yet"),
        (NOW.require_utc() - MAX_LATE_NS - NS_PER_S, "more than 400 days ago"),
        (None, "has no date"),
    ],
)
def test_a_record_of_an_impossible_date_is_refused(occurred: int | None, words: str) -> None:
    record = replace(RECORD, occurred=None if occurred is None else UtcNs(occurred))
    assert words in refused(issued(record), "date")


@pytest.mark.parametrize("occurred", [NOW.require_utc() + MAX_AHEAD_NS, NOW.require_utc() - MAX_LATE_NS])
def test_a_record_at_the_edge_of_what_can_be_is_admitted(occurred: int) -> None:
    assert admit(issued(replace(RECORD, occurred=UtcNs(occurred)))).record.occurred == occurred


def test_without_a_trusted_clock_nothing_is_admitted() -> None:
    with pytest.raises(UntrustedTimeError):
        admit(issued(), now=Instant(MonotonicNs(1), None))


def test_a_correction_points_at_an_earlier_record_of_its_own_kind_and_role() -> None:
    correction = issued(replace(RECORD, corrects=12))
    earlier = replace(RECORD, seq=12)
    assert admit(correction, shelf=Shelf(kept(earlier, IssuerRole.GARAGE, OTHER_GARAGE))).record.corrects == 12
    assert "which is not there" in refused(correction, "correction")
    repair = replace(earlier, kind=RecordKind.REPAIR, fields=fields_of(RecordKind.REPAIR))
    assert "a maintenance record and cannot correct" in refused(
        correction, "correction", shelf=Shelf(kept(repair, IssuerRole.GARAGE))
    )
    by_maker = Shelf(kept(earlier, IssuerRole.MAKER))
    assert "issued by a maker; a garage may not correct it" in refused(correction, "correction", shelf=by_maker)


@pytest.mark.parametrize(
    "slot", [SLOT, Slot(seq=0, prev=None, subject=SUBJECT), replace(SLOT, flags=(OdometerFlag.SEQUENCE_RESUMED,))]
)
def test_a_slot_survives_its_file(slot: Slot) -> None:
    assert parse_slot(slot.encode()) == slot


@pytest.mark.parametrize(
    "change",
    [
        (b"slot/1", b"slot/2"),
        (b'"seq": 58', b'"seq": -1'),
        (b'"seq": 58', b'"seq": 0'),
        (b'"seq": 58', b'"seq": true'),
        (b'"seq"', b'"number"'),
        (b'"flags": []', b'"flags": ["rollback"]'),
        (b'"flags": []', b'"flags": [], "more": 1'),
        (SUBJECT.encode(), b"nobody"),
        (b"}", b""),
    ],
)
def test_what_is_no_slot_is_refused(change: tuple[bytes, bytes]) -> None:
    data = SLOT.encode()
    assert change[0] in data
    with pytest.raises(RecordError) as caught:
        parse_slot(data.replace(*change))
    assert caught.value.check == "format"


@pytest.mark.parametrize(
    "change", [(b"record/1", b"record/2"), (b"~", b"~~"), (b'"authority"', b'"root"'), (b"}", b', "x": 1}'), (b"}", b"")]
)
def test_what_is_no_issued_record_is_refused(change: tuple[bytes, bytes]) -> None:
    data = issued().encode()
    assert change[0] in data
    with pytest.raises(RecordError) as caught:
        parse_issued(data.replace(*change))
    assert caught.value.check == "format"
