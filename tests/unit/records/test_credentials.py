"""A vehicle whose credential is renewed: its records stay one history, and nothing that is not can be made to look like one."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.errors import EncodeError, RecordError, StorageError
from shared.records.credential import MAX_CERTIFICATE_BYTES, VehicleCredential, credential_of
from shared.records.findings import FindingKind
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kinds import HIDEABLE
from shared.records.odometer import OdometerSource, RecordReason, reason_of
from shared.records.passport import (
    MAX_PASSPORT_CREDENTIALS,
    Passport,
    VerifiedPassport,
    build_passport,
    build_record,
    parse_passport,
    read_passport,
    verify_passport,
)
from shared.records.record import SignedRecord
from shared.records.recorder import Recorder
from tests.helpers.ledger import MemoryLog, Vehicle, policy_of, seeded_entropy
from tests.unit.records.test_odometer_record import Shelf
from tests.unit.records.test_passport import proofs

POLICY = policy_of()
A, B, C = Vehicle("first"), Vehicle("second"), Vehicle("third")


def issuer_of(vehicle: Vehicle) -> Issuer:
    """The vehicle as whoever verifies its records sees it."""
    return Issuer(key=vehicle.public_key, role=IssuerRole.VEHICLE)


KEYS = {credential_of(vehicle).id: issuer_of(vehicle) for vehicle in (A, B, C)}


class Car:
    """Records a hundred kilometres a day, under one credential after the other."""

    def __init__(self, vehicle: Vehicle, shelf: Shelf | None = None) -> None:
        self.shelf = shelf or Shelf()
        self._clock = ManualClock(UtcNs(1_767_225_600 * NS_PER_S))
        self._clock.advance(len(self.shelf.records) * 86_400 * NS_PER_S)
        self.recorder = Recorder(signer=vehicle, store=self.shelf, entropy=seeded_entropy(), boot_id=bytes(16))

    def drive(self, days: int = 1) -> None:
        for _ in range(days):
            self.recorder.record_reading(reason=RecordReason.DISTANCE, **self._reading())

    def renew(self, vehicle: Vehicle) -> SignedRecord | None:
        return self.recorder.change_signer(vehicle, **self._reading())

    def _reading(self) -> dict[str, Any]:
        at = self._clock.advance(86_400 * NS_PER_S)
        odometer_m = 100_000 * (len(self.shelf.records) + 1)
        return {
            "odometer_m": odometer_m,
            "sources": (OdometerSource(name="cluster", odometer_m=odometer_m, age_ms=20),),
            "flags": (),
            "at": at,
        }


@cache
def renewed_twice() -> Car:
    """Two records under A, the hand-over to B, one under B, the hand-over to C, two under C."""
    car = Car(A)
    car.drive(2)
    car.renew(B)
    car.drive()
    car.renew(C)
    car.drive(2)
    return car


def passport_of(records: Sequence[SignedRecord], *vehicles: Vehicle, shown: Collection[str] = HIDEABLE) -> Passport:
    found = proofs(tuple(records), MemoryLog())
    parts = [build_record(r.sd_jwt, r.salt, p.encode(), shown) for r, p in zip(records, found, strict=True)]
    return build_passport(credentials=[credential_of(v) for v in vehicles or (A, B, C)], records=parts)


def verified(passport: Passport) -> VerifiedPassport:
    return verify_passport(parse_passport(passport.encode()), policy=POLICY, issuers=KEYS)


def kinds(passport: Passport) -> list[tuple[FindingKind, int]]:
    result = verified(passport)
    assert read_passport(passport).findings == result.findings
    return [(finding.kind, finding.seq) for finding in result.findings]


def refusal(passport: Passport) -> RecordError:
    with pytest.raises(RecordError) as unparsed:
        verify_passport(passport, policy=POLICY, issuers=KEYS)
    with pytest.raises(RecordError) as parsed:
        verified(passport)
    assert str(parsed.value) == str(unparsed.value)
    return parsed.value


def test_a_history_under_two_credentials_verifies() -> None:
    car = Car(A)
    car.drive(2)
    signed = car.renew(B)
    car.drive()
    assert signed is not None
    assert reason_of(signed.record.fields) is RecordReason.CREDENTIAL_RENEWED
    assert signed.credential == credential_of(A)
    passport = passport_of(car.shelf.records)
    result = verified(passport)
    assert passport.credentials == (credential_of(A), credential_of(B))
    assert result.findings == ()
    assert [r.credential for r in result.readings] == [1, 1, 1, 2]
    assert [r.hands_over for r in result.readings] == [False, False, True, False]


def test_a_history_under_three_credentials_verifies_in_whole_and_in_part() -> None:
    records = renewed_twice().shelf.records
    result = verified(passport_of(records))
    assert result.is_clean
    assert [r.credential for r in result.readings] == [1, 1, 1, 2, 2, 3, 3]
    assert kinds(passport_of(records, shown=())) == [(FindingKind.HIDDEN, n) for n in range(7)]
    late = passport_of(records[3:])
    assert late.credentials == (credential_of(B), credential_of(C))
    assert kinds(late) == [(FindingKind.GAP, 3)]
    assert passport_of(records[5:]).credentials == (credential_of(C),)


def test_a_hand_over_left_out_is_told() -> None:
    records = renewed_twice().shelf.records
    without = passport_of([*records[:2], *records[3:]])
    assert kinds(without) == [(FindingKind.GAP, 3), (FindingKind.CREDENTIAL_NOT_INTRODUCED, 3)]
    assert not verified(without).is_clean


def test_records_of_another_vehicle_behind_a_history_are_told() -> None:
    mine, other = Car(A), Car(B)
    mine.drive(2)
    other.drive(3)
    spliced = passport_of([*mine.shelf.records, other.shelf.records[2]])
    assert kinds(spliced) == [(FindingKind.FORK, 2), (FindingKind.CREDENTIAL_NOT_INTRODUCED, 2)]


def test_a_stranger_who_continues_the_chain_is_told() -> None:
    """He has seen the last record, so number and commitment are right; only the old key is not his."""
    mine = Car(A)
    mine.drive(2)
    stranger = Car(B, mine.shelf)
    at_first = stranger.recorder.is_introduced
    stranger.drive(2)
    assert (at_first, stranger.recorder.is_introduced) == (False, True)
    finding, *more = verified(passport_of(mine.shelf.records)).findings
    assert more == []
    assert (finding.kind, finding.seq) == (FindingKind.CREDENTIAL_NOT_INTRODUCED, 2)
    assert "the earlier key was lost" in finding.text


def test_a_vehicle_whose_key_was_lost_goes_on_and_its_records_verify() -> None:
    car = Car(A)
    car.drive(2)
    car = Car(B, car.shelf)
    car.drive(2)
    car.renew(C)
    car.drive()
    assert kinds(passport_of(car.shelf.records)) == [(FindingKind.CREDENTIAL_NOT_INTRODUCED, 2)]


def test_a_key_that_has_handed_over_and_signs_on_is_told() -> None:
    car, copy = Car(A), Shelf()
    car.drive()
    copy.records = list(car.shelf.records)
    car.renew(B)
    thief = Car(A, copy)
    thief.drive(2)
    forked = passport_of([*car.shelf.records, *thief.shelf.records[2:]], A)
    assert kinds(forked) == [(FindingKind.FORK, 2), (FindingKind.CREDENTIAL_NOT_INTRODUCED, 2)]


def test_credentials_in_another_order_are_refused() -> None:
    passport = passport_of(renewed_twice().shelf.records)
    a, b, c = passport.credentials
    for order in ((b, a, c), (a, c, b), (c, b, a)):
        error = refusal(replace(passport, credentials=order))
        assert (error.check, error.reason) == (
            "credentials",
            "the credentials do not stand in the order in which they signed: the file was edited",
        )


def test_a_credential_that_signed_nothing_is_refused() -> None:
    passport = passport_of(renewed_twice().shelf.records[:3])
    extra = credential_of(Vehicle("nobody"))
    for credentials in ((*passport.credentials, extra), (extra, *passport.credentials)):
        error = refusal(replace(passport, credentials=credentials))
        assert error.check == "credentials"
        assert error.reason.endswith("signed none of the records: it has no place here")


def test_a_credential_that_stands_twice_is_refused() -> None:
    passport = passport_of(renewed_twice().shelf.records)
    a, b, c = passport.credentials
    for again in (b, replace(b, authority=b"another authority")):
        error = refusal(replace(passport, credentials=(a, b, again, c)))
        assert str(error) == "credentials: credential 3 of 4 stands in this passport twice"


def test_a_record_whose_credential_is_not_enclosed_is_refused() -> None:
    passport = passport_of(renewed_twice().shelf.records)
    error = refusal(replace(passport, credentials=passport.credentials[:2]))
    assert str(error) == "issuer: entry 6 of 7 was signed under another certificate than those in this passport"
    with pytest.raises(RecordError, match=r"issuer: .* which signed records, is not there"):
        build_passport(credentials=passport.credentials[1:], records=passport.records)


def test_a_credential_without_a_key_is_refused() -> None:
    passport = passport_of(renewed_twice().shelf.records)
    keys = {kid: key for kid, key in KEYS.items() if kid != credential_of(B).id}
    with pytest.raises(RecordError, match="issuer: entry 4 of 7"):
        verify_passport(passport, policy=POLICY, issuers=keys)


def test_the_key_of_one_credential_does_not_verify_what_another_signed() -> None:
    passport = passport_of(renewed_twice().shelf.records)
    swapped = KEYS | {credential_of(B).id: issuer_of(C)}
    with pytest.raises(RecordError, match="signature: entry 4 of 7"):
        verify_passport(passport, policy=POLICY, issuers=swapped)


def of_many(count: int) -> tuple[Passport, dict[str, Issuer]]:
    """Return a passport under that many credentials, and their keys."""
    vehicles = [Vehicle(f"number {n}") for n in range(count)]
    car = Car(vehicles[0])
    car.drive()
    for vehicle in vehicles[1:]:
        car.renew(vehicle)
    car.drive()
    return passport_of(car.shelf.records, *vehicles), {credential_of(v).id: issuer_of(v) for v in vehicles}


def test_as_many_credentials_as_fit_verify_and_one_more_does_not_fit() -> None:
    passport, keys = of_many(MAX_PASSPORT_CREDENTIALS)
    assert verify_passport(parse_passport(passport.encode()), policy=POLICY, issuers=keys).findings == ()
    full, keys = of_many(MAX_PASSPORT_CREDENTIALS + 1)
    with pytest.raises(EncodeError, match="257 credentials do not fit one passport of 256"):
        full.encode()
    with pytest.raises(RecordError, match="credentials: 257 credentials; a passport holds at most 256"):
        verify_passport(full, policy=POLICY, issuers=keys)
    element = b'  {\n   "credential": "AA",\n   "authority": "AA"\n  }'
    data = b'{\n "format": "v2x-passport/1",\n "credentials": [\n' + b",\n".join([element] * 257) + b'\n ],\n "records": []\n}\n'
    with pytest.raises(RecordError, match="credentials: 257 credentials; a passport holds at most 256"):
        parse_passport(data)


def test_nothing_is_handed_over_before_the_first_record_or_to_oneself() -> None:
    car = Car(A)
    assert car.renew(B) is None
    car.drive()
    assert car.renew(B) is None
    car.drive()
    assert [r.credential for r in car.shelf.records] == [credential_of(B)] * 2


def test_a_credential_that_has_handed_over_never_signs_again() -> None:
    shelf = renewed_twice().shelf
    for retired in (A, B):
        with pytest.raises(RecordError, match=f"credential: credential {credential_of(retired).id} has handed over"):
            Car(retired, shelf)
        with pytest.raises(RecordError, match="credential: "):
            Car(C, shelf).renew(retired)


class FailingShelf(Shelf):
    """Fails once, before or after the fact."""

    def __init__(self, *, persists: bool) -> None:
        super().__init__()
        self.is_failing = False
        self._persists = persists

    def append(self, record: SignedRecord) -> None:
        if self.is_failing and not self._persists:
            raise StorageError("shelf", "broken")
        super().append(record)
        if self.is_failing:
            raise StorageError("shelf", "broken")


@pytest.mark.parametrize("persists", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("asks_again", [False, True])
def test_wherever_a_hand_over_breaks_off_the_history_stays_one(persists: bool, restarts: bool, asks_again: bool) -> None:  # noqa: FBT001
    shelf = FailingShelf(persists=persists)
    car = Car(A, shelf)
    car.drive(2)
    shelf.is_failing = True
    with pytest.raises(StorageError):
        car.renew(B)
    shelf.is_failing = False
    if restarts:
        car = Car(B if shelf.credentials()[-1] == credential_of(B) else A, shelf)
    if asks_again:
        assert (car.renew(B) is None) == persists
    car.drive(2)
    expected = [A, A, A, B, B] if persists else ([A, A, A, B, B] if asks_again else [A, A, A, A])
    assert [r.credential for r in shelf.records] == [credential_of(v) for v in expected]
    assert kinds(passport_of(shelf.records)) == []


def test_a_program_that_hands_over_and_dies_cannot_go_on_under_the_old_credential() -> None:
    car = Car(A)
    car.drive()
    still_running = Car(A, car.shelf)
    car.renew(B)
    with pytest.raises(RecordError, match="has handed over"):
        still_running.drive()
    with pytest.raises(RecordError, match="has handed over"):
        Car(A, car.shelf)
    Car(B, car.shelf).drive()
    assert kinds(passport_of(car.shelf.records)) == []


@pytest.mark.parametrize("octets", [b"", bytes(MAX_CERTIFICATE_BYTES + 1)])
def test_octets_that_are_no_certificate_are_no_credential(octets: bytes) -> None:
    for fields in ({"certificate": octets, "authority": b"a"}, {"certificate": b"c", "authority": octets}):
        with pytest.raises(EncodeError, match="bytes are no certificate"):
            VehicleCredential(**fields)
