"""Consent as a vehicle's own records state it: what is live, and what a request may have under it."""

import pytest

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import RecordError, UntrustedTimeError
from shared.core.itstime import utc_text
from shared.records.consent import Granted, check_consent, read_consent
from shared.records.data_request import DataRequest
from shared.records.kind import RecordKind
from shared.records.record import read_record
from shared.records.sd_jwt import parse_sd_jwt
from shared.records.strict_json import Json
from tests.helpers.ledger import Vehicle
from tests.helpers.requesting import NOW, NOW_UTC, Book, asking, changed, day, grant_to, verified

INSURER = Vehicle("insurer")
CAR = Vehicle("car")


def book_with(*grants: dict[str, Json]) -> Book:
    """A car that recorded its odometer and then granted something."""
    book = Book(CAR)
    book.reading(1_000_000, day(-20))
    for grant in grants:
        book.write(RecordKind.CONSENT_GRANT, grant)
    return book


def ask(book: Book, request: DataRequest | None = None, *, by: Vehicle = INSURER, now: Instant = NOW) -> Granted:
    return check_consent(verified(by, request or asking(CAR), NOW), book.consent(), now)


def test_a_request_within_a_live_grant_is_granted() -> None:
    granted = ask(book_with(grant_to(INSURER)))
    assert (granted.grant.seq, granted.grant.grantee_name) == (1, "Example Insurance")


def test_a_granted_request_is_made_by_the_check_only() -> None:
    granted = ask(book_with(grant_to(INSURER)))
    with pytest.raises(TypeError, match="only check_consent"):
        Granted(request=granted.request, grant=granted.grant, seal=object())


def test_without_any_grant_nothing_is_given() -> None:
    with pytest.raises(RecordError, match="nothing was ever granted to anybody"):
        ask(book_with())


def test_a_grant_to_somebody_else_covers_nobody_else() -> None:
    with pytest.raises(RecordError, match="nothing was granted to who asks, credential "):
        ask(book_with(grant_to(INSURER)), by=Vehicle("another insurer"))


def test_a_withdrawn_grant_covers_nothing_and_its_day_is_told() -> None:
    book = book_with(grant_to(INSURER))
    book.write(RecordKind.CONSENT_WITHDRAWAL, {"grant_seq": 1}, occurred=day(-1))
    with pytest.raises(RecordError, match=r"grant 1 was withdrawn on 2026-11-21 \(record 2\)"):
        ask(book)


def test_a_grant_withdrawn_by_a_vehicle_that_did_not_know_the_date_is_withdrawn() -> None:
    book = book_with(grant_to(INSURER))
    book.write(RecordKind.CONSENT_WITHDRAWAL, {"grant_seq": 1}, occurred=None)
    with pytest.raises(RecordError, match=r"grant 1 was withdrawn \(record 2\)"):
        ask(book)


def test_a_withdrawal_ends_the_grant_it_names_and_no_other() -> None:
    book = book_with(grant_to(INSURER), grant_to(INSURER))
    book.write(RecordKind.CONSENT_WITHDRAWAL, {"grant_seq": 1})
    assert ask(book).grant.seq == 2


def test_a_withdrawal_ends_no_later_grant_whatever_number_it_names() -> None:
    book = book_with()
    book.write(RecordKind.CONSENT_WITHDRAWAL, {"grant_seq": 2})
    book.write(RecordKind.CONSENT_GRANT, grant_to(INSURER))
    assert ask(book).grant.seq == 2


def test_a_grant_made_anew_after_a_withdrawal_counts() -> None:
    book = book_with(grant_to(INSURER))
    book.write(RecordKind.CONSENT_WITHDRAWAL, {"grant_seq": 1})
    book.write(RecordKind.CONSENT_GRANT, grant_to(INSURER))
    assert ask(book).grant.seq == 3


def test_a_corrected_grant_is_no_longer_live() -> None:
    book = book_with(grant_to(INSURER))
    book.write(RecordKind.CONSENT_GRANT, grant_to(INSURER, fields=["occurred"]), corrects=1)
    with pytest.raises(RecordError, match="grant 2 does not cover odometer_m"):
        ask(book)
    with pytest.raises(RecordError, match="grant 1 was replaced by grant 2"):
        ask(book_corrected_for_another_purpose())


def book_corrected_for_another_purpose() -> Book:
    book = book_with(grant_to(INSURER))
    book.write(RecordKind.CONSENT_GRANT, grant_to(INSURER, purpose="Another"), corrects=1)
    return book


def test_a_grant_covers_until_its_end_and_not_at_it() -> None:
    book = book_with(grant_to(INSURER, valid_until=utc_text(day(1))))
    assert ask(book, now=Instant(MonotonicNs(0), UtcNs(day(1) - 1))).grant.seq == 1
    with pytest.raises(RecordError, match="grant 1 ended on 2026-11-23"):
        ask(book, now=Instant(MonotonicNs(0), day(1)))


def test_claims_beyond_the_grant_are_named() -> None:
    wide = changed(asking(CAR), fields=("boot", "occurred", "odometer_m", "sources"))
    with pytest.raises(RecordError, match="grant 1 does not cover boot, sources") as refused:
        ask(book_with(grant_to(INSURER)), wide)
    assert refused.value.check == "fields"


def test_kinds_beyond_the_grant_are_named() -> None:
    wide = changed(asking(CAR), kinds=(RecordKind.CHARGING, RecordKind.ODOMETER))
    with pytest.raises(RecordError, match="grant 1 does not cover records of kind charging"):
        ask(book_with(grant_to(INSURER)), wide)


def test_another_purpose_is_not_covered_even_if_it_sounds_alike() -> None:
    with pytest.raises(RecordError, match="is for another purpose than 'premium by distance for 2026'"):
        ask(book_with(grant_to(INSURER)), changed(asking(CAR), purpose="premium by distance for 2026"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data_from": day(-61)}, "covers no data from before 2026-09-23"),
        ({"data_until": day(61)}, "covers no data from 2027-01-21 on"),
    ],
)
def test_a_period_beyond_the_grant_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecordError, match=sentence):
        ask(book_with(grant_to(INSURER)), changed(asking(CAR), **changes))


def test_a_grant_without_bounds_of_time_covers_all_data() -> None:
    book = book_with(grant_to(INSURER, data_from=None, data_until=None))
    assert ask(book, changed(asking(CAR), data_from=day(-9_000), data_until=day(9_000))).grant.seq == 1


def test_two_grants_are_not_put_together() -> None:
    book = book_with(grant_to(INSURER, fields=["occurred"]), grant_to(INSURER, fields=["odometer_m"]))
    with pytest.raises(RecordError, match="does not cover"):
        ask(book)


def test_the_grant_that_comes_nearest_is_the_one_told_of() -> None:
    book = book_with(grant_to(INSURER, purpose="Another"), grant_to(INSURER, data_from=utc_text(day(-3))))
    with pytest.raises(RecordError, match="grant 2 covers no data from before"):
        ask(book)


def test_a_vehicle_that_does_not_know_the_date_gives_nothing() -> None:
    with pytest.raises(UntrustedTimeError):
        ask(book_with(grant_to(INSURER)), now=Instant(MonotonicNs(0), None))


def test_a_grant_that_hides_whom_it_is_to_is_not_relied_on() -> None:
    signed = book_with(grant_to(INSURER)).signed[1]
    hidden = read_record(parse_sd_jwt(signed.sd_jwt).showing(("purpose", "valid_until")))
    with pytest.raises(RecordError, match="record 1, a consent grant record, hides"):
        read_consent((hidden,))


def test_answers_are_counted_under_their_grant() -> None:
    book = book_with(grant_to(INSURER))
    claims: dict[str, Json] = {
        "request_hash": "A" * 43,
        "grant_seq": 1,
        "grantee": grant_to(INSURER)["grantee"],
        "kinds": ["odometer"],
        "fields": ["odometer_m"],
        "data_from": utc_text(day(-30)),
        "data_until": utc_text(day(0)),
        "records": 1,
        "given": [{"first_seq": 0, "last_seq": 0}],
        "answer_hash": "B" * 42 + "A",
    }
    book.write(RecordKind.DATA_ANSWER, claims)
    consent = book.consent()
    standing = consent.standing(1)
    assert standing is not None
    assert (standing.answers, standing.fault(NOW_UTC)) == (1, None)
    answer = consent.answer_to("A" * 43)
    assert answer is not None
    assert (answer.seq, answer.grant_seq) == (2, 1)
    assert consent.answer_to("C" * 42 + "A") is None
