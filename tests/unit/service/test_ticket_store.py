"""Tickets over night: no key is lost once its request may leave, no used ticket is new again, and no old key stays on the disk."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from shared.core.errors import StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, Time64, time64_of
from shared.pki.authority import hours
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.ticket_pool import MAX_TICKETS, TicketPolicy
from shared.service.ticket_store import REQUEST_KEPT_S, TicketStore, open_ticket_store
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.hierarchy import NOON, Hierarchy

HIERARCHY = Hierarchy(51)
AT_NOON = time64_of(NOON)
NOW = Time32(AT_NOON // 1_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TicketStore]:
    opened = open_ticket_store(tmp_path / "tickets.db")
    yield opened
    opened.close()


def key(curve: Curve = Curve.NIST_P256) -> SoftwareSigner:
    return HIERARCHY.keys.generate(curve)


def ticket_for(signer: SoftwareSigner, valid_hours: int = 168) -> Certificate:
    """Issue what the authority would answer."""
    return HIERARCHY.aa.issue_ticket(
        public_key=signer.public_key,
        validity=hours(HIERARCHY.start, valid_hours),
        permissions=TICKET_PERMISSIONS[StationRole.VEHICLE],
    )


def granted(store: TicketStore, count: int = 1, valid_hours: int = 168) -> list[HashedId8]:
    signers = [key() for _ in range(count)]
    store.prepare(signers, NOW)
    return [store.grant(ticket_for(signer, valid_hours)).certificate.hashed_id8 for signer in signers]


def names(store: TicketStore) -> list[HashedId8]:
    return [each.certificate.hashed_id8 for each in store.tickets()]


def scalar(signer: SoftwareSigner) -> bytes:
    return signer.native.private_numbers().private_value.to_bytes(signer.curve.octets, "big")


def octets_on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


def test_a_key_becomes_a_ticket_and_both_are_there_after_a_restart(tmp_path: Path) -> None:
    path, signers = tmp_path / "tickets.db", [key(), key(Curve.BRAINPOOL_P256R1), key(Curve.NIST_P384)]
    with closing(open_ticket_store(path)) as store:
        store.prepare(signers, NOW)
        certificates = [ticket_for(signer) for signer in signers[:2]]
        for certificate in certificates:
            assert store.grant(certificate).certificate == certificate
    with closing(open_ticket_store(path)) as store:
        assert [each.certificate for each in store.tickets()] == certificates
        for ticket, signer in zip(store.tickets(), signers, strict=False):
            assert ticket.signer.public_key == signer.public_key
            assert ticket.signer.sign_digest(bytes(32)) is not None
        (waiting,) = store.requested()
        assert (waiting.signer.public_key, waiting.requested_at) == (signers[2].public_key, NOW)
        store.grant(ticket_for(waiting.signer))
        assert store.requested() == ()
        assert len(store.tickets()) == 3


def test_an_answer_that_comes_twice_changes_nothing(store: TicketStore) -> None:
    signer = key()
    store.prepare((signer,), NOW)
    certificate = ticket_for(signer)
    for _ in range(2):
        store.grant(certificate)
        store.mark_used(certificate.hashed_id8)
        assert names(store) == list(store.used()) == [certificate.hashed_id8]


def test_a_ticket_for_a_key_of_others_is_refused(store: TicketStore) -> None:
    store.prepare((key(),), NOW)
    with pytest.raises(StorageError, match="has no key for ticket"):
        store.grant(ticket_for(key()))
    assert store.tickets() == ()
    assert len(store.requested()) == 1


def test_the_order_of_use_survives_a_restart_and_feeds_the_pool(tmp_path: Path) -> None:
    path = tmp_path / "tickets.db"
    with closing(open_ticket_store(path)) as store:
        one, two, three = granted(store, 3)
        pool = store.pool(TicketPolicy())
        order, current = [], None
        for _ in range(3):
            taken = pool.next_ticket(AT_NOON, Random(3).randbytes, instead_of=current)
            assert taken is not None
            current = taken.ticket
            order.append(current.certificate.hashed_id8)
        assert set(order) == {one, two, three}
        store.mark_used(order[0])
        store.mark_used(HashedId8(bytes(8)))
    with closing(open_ticket_store(path)) as store:
        assert list(store.used()) == [order[1], order[2], order[0]]
        reused = store.pool(TicketPolicy()).next_ticket(AT_NOON, Random(3).randbytes)
        assert reused is not None
        assert (reused.ticket.certificate.hashed_id8, reused.is_reused) == (order[1], True)


def test_the_file_is_its_owner_s_alone_and_one_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tickets.db"
    with closing(open_ticket_store(path)) as store:
        store.prepare((key(),), NOW)
        assert [file.stat().st_mode & 0o777 for file in sorted(tmp_path.iterdir())] == [0o600] * len(list(tmp_path.iterdir()))
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(StorageError, match=f"open to others .mode 0{mode:o}"):
            open_ticket_store(path)


def test_what_has_run_out_is_gone_from_the_disk_and_what_has_not_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "tickets.db"
    short, long, unanswered = key(), key(), key()
    with closing(open_ticket_store(path)) as store:
        store.prepare((unanswered,), Time32(NOW - REQUEST_KEPT_S))
        store.prepare((short, long), NOW)
        end = store.grant(ticket_for(short, 4)).certificate.validity.end_time64
        kept = store.grant(ticket_for(long)).certificate.hashed_id8
        assert store.forget_expired(Time64(AT_NOON - 1_000_000)) == 0
        assert all(scalar(each) in octets_on_disk(tmp_path) for each in (short, long, unanswered))
        assert store.forget_expired(AT_NOON) == 1
        assert store.forget_expired(Time64(end - 1)) == 0
        assert store.forget_expired(end) == 1
        assert names(store) == [kept]
        left = octets_on_disk(tmp_path)
        assert scalar(long) in left
        assert scalar(short) not in left
        assert scalar(unanswered) not in left
    assert scalar(short) not in octets_on_disk(tmp_path)


def test_a_key_whose_request_was_refused_is_deleted_but_never_one_that_has_its_ticket(tmp_path: Path) -> None:
    refused, ticketed = key(), key()
    with closing(open_ticket_store(tmp_path / "tickets.db")) as store:
        store.prepare((refused, ticketed), NOW)
        store.grant(ticket_for(ticketed))
        for signer in (refused, ticketed, key()):
            store.abandon(signer.public_key)
        assert store.requested() == ()
        assert len(store.tickets()) == 1
        assert scalar(refused) not in octets_on_disk(tmp_path)


def test_a_full_store_refuses_and_stores_none_of_a_batch(store: TicketStore) -> None:
    curve = Curve.NIST_P256
    store.prepare((SoftwareSigner.from_scalar(curve, number) for number in range(1, MAX_TICKETS)), NOW)
    with pytest.raises(StorageError, match="is full"):
        store.prepare((key(), key()), NOW)
    assert len(store.requested()) == MAX_TICKETS - 1
    store.prepare((key(),), NOW)


def test_a_key_stored_twice_is_refused_with_its_batch(store: TicketStore) -> None:
    signer = key()
    store.prepare((signer,), NOW)
    with pytest.raises(StorageError, match="the database failed"):
        store.prepare((key(), signer), NOW)
    assert len(store.requested()) == 1


DAMAGES: dict[str, tuple[str, str]] = {
    "a ticket cut short": ("UPDATE ticket SET certificate = substr(certificate, 1, 40)", "a ticket is not what it should be"),
    "a ticket that is text": ("UPDATE ticket SET certificate = 'x'", "something else stands where bytes should be"),
    "a key that is none": ("UPDATE ticket SET private_key = x'3000'", "a private key is not what it should be"),
    "a key that is text": ("UPDATE ticket SET private_key = 'x'", "something else stands where bytes should be"),
    "keys exchanged": (
        "UPDATE ticket SET private_key = (SELECT private_key FROM ticket t WHERE t.id = 3 - ticket.id)",
        "the private key does not belong to the certificate",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_row_is_told_in_a_sentence_that_shows_no_key(tmp_path: Path, name: str) -> None:
    statement, sentence = DAMAGES[name]
    path = tmp_path / "tickets.db"
    with closing(open_ticket_store(path)) as store:
        granted(store, 2)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
    with closing(open_ticket_store(path)) as store, pytest.raises(StorageError, match=sentence) as caught:
        store.tickets()
    assert str(caught.value).startswith(str(path))
    assert "PRIVATE" not in str(caught.value)


def test_a_time_that_is_none_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "tickets.db"
    with closing(open_ticket_store(path)) as store:
        store.prepare((key(),), NOW)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE ticket SET requested_at = 'noon'")
        connection.commit()
    with closing(open_ticket_store(path)) as store, pytest.raises(StorageError, match="where a number should be"):
        store.requested()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda octets: octets[:5_000], "is cut short"),
        (lambda _: b"tickets", "not a SQLite database"),
        (lambda octets: octets[:68] + b"v2xs" + octets[72:], "another program made it"),
        (lambda octets: octets[:4_096] + b"\xff" * 200 + octets[4_296:], "is damaged"),
    ],
)
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: Callable[[bytes], bytes], sentence: str) -> None:
    path = tmp_path / "tickets.db"
    with closing(open_ticket_store(path)) as store:
        granted(store, 2)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(StorageError, match=sentence):
        open_ticket_store(path)
    assert path.read_bytes() == before


STEPS: dict[str, Callable[[TicketStore, SoftwareSigner], object]] = {
    "prepare": lambda store, _: store.prepare((SoftwareSigner.from_scalar(Curve.NIST_P256, 7),), NOW),
    "grant": lambda store, waiting: store.grant(ticket_for(waiting)),
    "mark_used": lambda store, _: store.mark_used(names(store)[0]),
    "forget_expired": lambda store, _: store.forget_expired(Time64(AT_NOON + 400 * 3_600_000_000)),
}


@pytest.mark.parametrize("persists", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_the_disk_fails_at_is_told_and_can_be_done_again(tmp_path: Path, name: str, *, persists: bool) -> None:
    """Whether the failed statement took effect or not, the store is as before the step or as after it, never in between."""
    step, failures = STEPS[name], 0
    for number in range(12):
        faults, path = Faults(), tmp_path / f"{number}.db"
        with closing(open_ticket_store(path, connect=faults.connect())) as store:
            granted(store, 2)
            waiting = key()
            store.prepare((waiting,), NOW)
            faults.arm(number, persists=persists)
            try:
                step(store, waiting)
            except StorageError:
                failures += 1
            faults.arm(None, persists=False)
        with closing(open_ticket_store(path)) as store:
            state = (len(store.tickets()), len(store.requested()), len(store.used()))
            before, after = (
                (2, 1, 0),
                {"prepare": (2, 2, 0), "grant": (3, 0, 0), "mark_used": (2, 1, 1), "forget_expired": (0, 0, 0)},
            )
            assert state in (before, after[name])
            if state == before:
                step(store, waiting)
                assert (len(store.tickets()), len(store.requested()), len(store.used())) == after[name]
    assert failures >= 3


KILLED = """
import sys
from pathlib import Path
from shared.core.itstime import Time32
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.ticket_store import open_ticket_store
store = open_ticket_store(Path(sys.argv[1]))
while True:
    signer = SoftwareSigner.generate(Curve.NIST_P256)
    store.prepare((signer,), Time32(1))
    print(signer.public_key.point.x.hex(), flush=True)
"""


def test_no_key_whose_request_may_have_left_is_lost_when_the_power_goes(tmp_path: Path) -> None:
    path, told = tmp_path / "tickets.db", []
    for after in (3, 17):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            told += [program.stdout.readline().strip() for _ in range(after)]
            os.kill(program.pid, signal.SIGKILL)
        with closing(open_ticket_store(path)) as store:
            stored = [each.signer.public_key.point.x.hex() for each in store.requested()]
        assert set(told) <= set(stored)
