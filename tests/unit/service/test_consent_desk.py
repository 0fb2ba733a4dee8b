"""The holder's desk with real certificates and a spool on disk: what is granted leaves, encrypted and on record; nothing else."""

import json
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from shared.cli.passport import verify_with_trust
from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import RecordError, StorageError, UntrustedTimeError
from shared.pki.permission_sets import RecordRole
from shared.records.data_request import SignedRequest
from shared.records.issuers import IssuerRole
from shared.records.passport import Passport, VerifiedPassport
from shared.records.sd_jwt import encode_base64url
from shared.service.sealed_answer import open_answer
from tests.helpers.consenting import NOW, POLICY, TODAY, Owned, enrol, own
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.hierarchy import BEGIN, Hierarchy
from tests.helpers.requesting import DAY_NS


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Owned]:
    made = own(tmp_path)
    yield made
    made.spool.close()


def verifying(owned: Owned, passport: Passport) -> VerifiedPassport:
    return verify_with_trust(passport, store=owned.pki.trust_store, policy=POLICY, at=TODAY)


def refused(owned: Owned, request: SignedRequest, now: Instant = NOW) -> RecordError:
    """Return why a request is refused; nothing may have been put on record."""
    before = owned.kinds()
    with pytest.raises(RecordError) as refusal:
        owned.desk.answer(request, now)
    assert owned.kinds() == before
    return refusal.value


def test_a_granted_request_is_answered_to_the_insurer_and_is_on_record(owned: Owned) -> None:
    grant, request = owned.grant(), owned.ask()
    answer = owned.desk.answer(request, NOW)
    assert (answer.grant_seq, answer.records, answer.unproven, answer.undated) == (grant, 3, 0, 0)
    assert owned.kinds() == ["odometer"] * 3 + ["consent_grant", "data_answer"]
    opened = owned.open(answer.file, request, partial(verifying, owned))
    assert [reading.odometer_m for reading in opened.passport.readings] == [2_000, 10_000, 20_000]
    assert (opened.grant.seq, opened.receipt.seq) == (grant, answer.seq)
    owned.prove()
    assert all(stored.proof is not None for stored in owned.spool.records())


def test_an_answer_shows_the_claims_asked_for_and_no_other(owned: Owned) -> None:
    owned.grant()
    request = owned.ask(fields=("odometer_m",))
    opened = owned.open(owned.desk.answer(request, NOW).file, request, partial(verifying, owned))
    assert {(reading.occurred, reading.reason, reading.sources) for reading in opened.passport.readings} == {(None, None, ())}


def test_an_answer_holds_the_records_of_the_period_and_no_other(owned: Owned) -> None:
    owned.grant()
    request = owned.ask(data_from=UtcNs(BEGIN + 10 * DAY_NS), data_until=UtcNs(BEGIN + 20 * DAY_NS))
    opened = owned.open(owned.desk.answer(request, NOW).file, request, partial(verifying, owned))
    assert [reading.odometer_m for reading in opened.passport.readings] == [10_000]


def test_a_record_that_the_ledger_is_not_shown_to_hold_is_not_given(owned: Owned) -> None:
    owned.read(25)
    owned.grant()
    answer = owned.desk.answer(owned.ask(), NOW)
    assert (answer.records, answer.unproven) == (3, 1)


def test_a_request_for_which_there_is_nothing_is_told_so(owned: Owned) -> None:
    owned.grant()
    empty = owned.ask(data_from=UtcNs(BEGIN + 3 * DAY_NS), data_until=UtcNs(BEGIN + 4 * DAY_NS))
    assert refused(owned, empty).check == "empty"


def test_after_the_withdrawal_nothing_is_given_not_even_again(owned: Owned) -> None:
    grant, request = owned.grant(), owned.ask()
    owned.desk.answer(request, NOW)
    withdrawal = owned.desk.withdraw(grant, NOW)
    sentence = f"grant {grant} was withdrawn on 2027-01-01 (record {withdrawal})"
    assert sentence in str(refused(owned, owned.ask(nonce=bytes(15) + b"\x01")))
    with pytest.raises(RecordError, match="was withdrawn"):
        owned.desk.answer(request, NOW, again=True)


def test_a_grant_withdrawn_while_records_are_gathered_covers_nothing(owned: Owned) -> None:
    grant, request = owned.grant(), owned.ask()
    gathered = owned.desk.gather(owned.desk.admit(request, NOW))
    owned.desk.withdraw(grant, NOW)
    with pytest.raises(RecordError, match="was withdrawn"):
        owned.desk.record(gathered, NOW)
    assert "data_answer" not in owned.kinds()


def test_an_answer_that_is_not_on_record_does_not_leave(owned: Owned) -> None:
    owned.grant()
    gathered = owned.desk.gather(owned.desk.admit(owned.ask(), NOW))
    with pytest.raises(RecordError, match="the answer is not on record"):
        owned.desk.finish(gathered)


def test_an_expired_grant_covers_nothing(owned: Owned) -> None:
    owned.grant(valid_until=UtcNs(TODAY + DAY_NS // 2))
    later = Instant(MonotonicNs(2), UtcNs(TODAY + DAY_NS * 3 // 4))
    assert "ended on" in str(refused(owned, owned.ask(), later))


def test_a_request_for_more_than_was_granted_is_refused(owned: Owned) -> None:
    owned.grant()
    assert "does not cover sources" in str(refused(owned, owned.ask(fields=("odometer_m", "sources"))))


def test_a_request_of_another_role_than_the_credential_says_is_refused(owned: Owned) -> None:
    owned.grant()
    assert "enrolled as an insurer" in str(refused(owned, owned.ask(role=IssuerRole.GARAGE)))


def test_a_request_of_another_insurer_is_refused(owned: Owned) -> None:
    owned.grant()
    assert refused(owned, owned.ask(by=enrol(owned.pki, RecordRole.INSURER))).check == "grant"


def test_an_insurer_of_a_root_that_the_vehicle_does_not_trust_is_refused(owned: Owned) -> None:
    stranger = enrol(Hierarchy(78), RecordRole.INSURER)
    owned.grant(grantee=stranger.credential.id)
    assert refused(owned, owned.ask(by=stranger)).check == "certificate"


def test_an_insurer_whose_credential_has_run_out_is_refused(owned: Owned) -> None:
    far = UtcNs(BEGIN + 366 * DAY_NS)
    owned.grant(valid_until=UtcNs(far + DAY_NS))
    late = owned.ask(issued=far, expires=UtcNs(far + DAY_NS))
    assert refused(owned, late, Instant(MonotonicNs(2), far)).check == "certificate"


def test_a_vehicle_that_does_not_know_the_date_grants_and_answers_nothing_but_takes_a_grant_back(owned: Owned) -> None:
    undated = Instant(MonotonicNs(5), None)
    grant, request = owned.grant(), owned.ask()
    with pytest.raises(UntrustedTimeError):
        owned.desk.answer(request, undated)
    owned.desk.withdraw(grant, undated)
    assert "was withdrawn (record" in str(refused(owned, request))


def test_a_request_that_was_answered_is_refused_the_next_time_unless_the_holder_says_again(owned: Owned) -> None:
    owned.grant()
    request = owned.ask()
    first = owned.desk.answer(request, NOW)
    on_record = owned.kinds()
    assert "this request was answered before on 2027-01-01 (record 4)" in str(refused(owned, request))
    owned.read(28)
    owned.prove()
    second = owned.desk.answer(request, NOW, again=True)
    assert owned.kinds() == [*on_record, "odometer"]
    opened = [owned.open(each.file, request, partial(verifying, owned)) for each in (first, second)]
    assert opened[0].receipt == opened[1].receipt
    assert [r.odometer_m for r in opened[1].passport.readings] == [2_000, 10_000, 20_000]


def test_what_was_never_answered_is_not_answered_again(owned: Owned) -> None:
    owned.grant()
    with pytest.raises(RecordError, match="was not answered before"):
        owned.desk.answer(owned.ask(), NOW, again=True)


def test_another_key_does_not_open_an_answer(owned: Owned) -> None:
    owned.grant()
    request = owned.ask()
    answer = owned.desk.answer(request, NOW)
    other = owned.pki.keys.generate(owned.response.curve)
    with pytest.raises(RecordError, match="does not open"):
        open_answer(answer.file, request_hash=request.hash, private_key=other)


def test_an_answer_does_not_open_under_another_request(owned: Owned) -> None:
    owned.grant()
    request, other = owned.ask(), owned.ask(nonce=b"\x01" * 16)
    file = owned.desk.answer(request, NOW).file
    with pytest.raises(RecordError, match="answers another request"):
        open_answer(file, request_hash=other.hash, private_key=owned.response)
    renamed = json.loads(file) | {"request": encode_base64url(other.hash)}
    with pytest.raises(RecordError, match="does not open"):
        open_answer(json.dumps(renamed).encode(), request_hash=other.hash, private_key=owned.response)


def test_an_answer_in_which_an_octet_was_changed_does_not_open(owned: Owned) -> None:
    owned.grant()
    request = owned.ask()
    file = owned.desk.answer(request, NOW).file
    start = file.index(b'"encrypted": "') + len(b'"encrypted": "')
    for position in range(start, len(file) - 5, 97):
        swapped = b"A" if file[position : position + 1] != b"A" else b"B"
        with pytest.raises(RecordError):
            open_answer(file[:position] + swapped + file[position + 1 :], request_hash=request.hash, private_key=owned.response)


@pytest.mark.parametrize("persists", [False, True])
def test_wherever_the_disk_fails_nothing_leaves_before_it_is_on_record_and_nothing_is_on_record_twice(
    tmp_path: Path, *, persists: bool
) -> None:
    faults = Faults()
    owned = own(tmp_path, connect=faults.connect())
    owned.grant()
    for step in range(400):
        request = owned.ask(nonce=step.to_bytes(16))
        faults.arm(step, persists=persists)
        try:
            owned.desk.answer(request, NOW)
        except StorageError:
            faults.arm(None, persists=False)
            settled = _answer_at_last(owned, request)
            assert owned.open(settled, request, partial(verifying, owned)).passport.readings
        else:
            faults.arm(None, persists=False)
            owned.spool.close()
            assert step > 5
            return
        assert owned.kinds().count("data_answer") == step + 1
    pytest.fail("the table of faults has no end")


def _answer_at_last(owned: Owned, request: SignedRequest) -> bytes:
    """Answer as a holder would after a power cut: as if never asked, and if that was answered, again."""
    try:
        return owned.desk.answer(request, NOW).file
    except RecordError as refusal:
        if refusal.check != "replay":
            raise
    return owned.desk.answer(request, NOW, again=True).file


def test_a_grant_that_somebody_wrote_into_the_file_grants_nothing(owned: Owned, tmp_path: Path) -> None:
    owned.grant()
    request = owned.ask()
    with sqlite3.connect(tmp_path / "spool.db") as file:
        token = file.execute("SELECT sd_jwt FROM record WHERE kind = 'consent_grant'").fetchone()[0]
        jwt, *rest = token.split("~")
        header, payload, signature = jwt.split(".")
        forged = ".".join((header, payload, ("A" if signature[0] != "A" else "B") + signature[1:]))
        file.execute("UPDATE record SET sd_jwt = ? WHERE kind = 'consent_grant'", ("~".join((forged, *rest)),))
    file.close()
    assert refused(owned, request).check == "signature"


def test_a_grant_that_could_never_be_used_is_not_made(owned: Owned) -> None:
    for changes, sentence in (
        ({"valid_until": TODAY}, "it would be over already"),
        ({"fields": ("position",)}, "have no such claim"),
        ({"replaces": 0}, "record 0 is no grant"),
    ):
        with pytest.raises(RecordError, match=sentence):
            owned.grant(**changes)
    assert owned.kinds() == ["odometer"] * 3


def test_a_grant_is_withdrawn_once_and_only_a_grant_can_be(owned: Owned) -> None:
    grant = owned.grant()
    with pytest.raises(RecordError, match="record 1 is no grant"):
        owned.desk.withdraw(1, NOW)
    owned.desk.withdraw(grant, NOW)
    with pytest.raises(RecordError, match="was withdrawn"):
        owned.desk.withdraw(grant, NOW)


def test_a_grant_that_replaces_another_ends_it(owned: Owned) -> None:
    first = owned.grant()
    second = owned.grant(replaces=first, fields=("odometer_m",))
    assert [standing.fault(TODAY) for standing in owned.desk.standings()] == [f"grant {first} was replaced by grant {second}", None]
    assert owned.desk.answer(owned.ask(fields=("odometer_m",)), NOW).grant_seq == second
