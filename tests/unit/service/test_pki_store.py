import stat
from pathlib import Path
from random import Random

import pytest

from shared.core.errors import ConfigError, StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32
from shared.pki.authority import hours
from shared.pki.key_source import SeededKeySource
from shared.pki.permission_sets import StationRole
from shared.pki.registry import RegisteredStation, Registry, StationStatus
from shared.security.ecdsa import Curve
from shared.service.pki_store import GRANT_MEMORY_S, AnswerStore, EnrolmentStore, open_answer_store, open_enrolment_store
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.hierarchy import Hierarchy

KEYS = SeededKeySource(Random(5))
HIERARCHY = Hierarchy(5)
HOUR_S = 3_600


def station(
    its_id: bytes = b"car-1", *, curve: Curve = Curve.NIST_P256, role: StationRole = StationRole.VEHICLE
) -> RegisteredStation:
    key = KEYS.generate(curve).public_key
    return RegisteredStation(its_id=its_id, canonical_key=key, role=role, status=StationStatus.ACTIVE)


def remembered(path: Path) -> EnrolmentStore:
    return open_enrolment_store(path / "registry.db")


@pytest.mark.parametrize("curve", list(Curve))
def test_a_station_is_known_after_a_restart_with_its_key_and_role(tmp_path: Path, curve: Curve) -> None:
    known = station(b"\x00\xff id", curve=curve, role=StationRole.RSU)
    with remembered(tmp_path) as store:
        store.register(known)
    with remembered(tmp_path) as store:
        assert store.station(b"\x00\xff id") == known
        assert store.station(b"\x00\xff") is None


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    with remembered(tmp_path) as store:
        store.register(station())
    assert stat.S_IMODE((tmp_path / "registry.db").stat().st_mode) == 0o600


def test_a_station_blocked_while_the_authority_runs_is_blocked_at_its_next_look(tmp_path: Path) -> None:
    with remembered(tmp_path) as running, remembered(tmp_path) as command:
        running.register(station())
        command.set_status(b"car-1", StationStatus.BLOCKED)
        seen = running.station(b"car-1")
        assert seen is not None
        assert seen.status is StationStatus.BLOCKED
        assert running.counts()["blocked"] == 1


def test_registering_again_unblocks_nobody_and_changes_no_key(tmp_path: Path) -> None:
    known = station()
    with remembered(tmp_path) as store:
        store.register(known)
        store.set_status(b"car-1", StationStatus.BLOCKED)
        store.register(known)
        with pytest.raises(ConfigError, match="another key or role"):
            store.register(station())
        seen = store.station(b"car-1")
        assert seen is not None
        assert (seen.status, seen.canonical_key) == (StationStatus.BLOCKED, known.canonical_key)


def test_whom_nobody_registered_cannot_be_blocked(tmp_path: Path) -> None:
    with remembered(tmp_path) as store:
        with pytest.raises(ConfigError, match="car-2: is not registered here"):
            store.set_status(b"car-2", StationStatus.BLOCKED)
        with pytest.raises(ConfigError, match="was not issued here"):
            store.set_revoked(HashedId8(bytes(8)), is_revoked=True)


@pytest.mark.parametrize("its_id", [b"", bytes(65)])
def test_an_identifier_that_no_request_can_name_is_not_registered(tmp_path: Path, its_id: bytes) -> None:
    with remembered(tmp_path) as store, pytest.raises(ConfigError):
        store.register(station(its_id))


def test_a_credential_is_kept_with_its_station_and_can_be_revoked_and_accepted_again(tmp_path: Path) -> None:
    certificate = HIERARCHY.ea.issue_credential(
        public_key=KEYS.generate(Curve.NIST_P256).public_key, validity=hours(HIERARCHY.start, 10)
    )
    with remembered(tmp_path) as store:
        store.keep_credential(b"car-1", certificate)
        store.set_revoked(certificate.hashed_id8, is_revoked=True)
        store.keep_credential(b"car-1", certificate)
    with remembered(tmp_path) as store:
        kept = store.credential(certificate.hashed_id8)
        assert kept is not None
        assert (kept.its_id, kept.certificate.encoded, kept.is_revoked) == (b"car-1", certificate.encoded, True)
        store.set_revoked(certificate.hashed_id8, is_revoked=False)
        again = store.credential(certificate.hashed_id8)
        assert again is not None
        assert not again.is_revoked
        assert store.credential(HashedId8(bytes(8))) is None


def test_grants_count_where_they_overlap_a_time(tmp_path: Path) -> None:
    begin = HIERARCHY.start
    with remembered(tmp_path) as store:
        store.keep_grant(b"car-1", hours(begin, 2))
        store.keep_grant(b"car-1", hours(Time32(begin + HOUR_S), 2))
        store.keep_grant(b"car-2", hours(begin, 2))
    with remembered(tmp_path) as store:
        assert store.tickets_granted(b"car-1", begin, Time32(begin + HOUR_S)) == 1
        assert store.tickets_granted(b"car-1", begin, Time32(begin + HOUR_S + 1)) == 2
        assert store.tickets_granted(b"car-1", Time32(begin + 2 * HOUR_S), Time32(begin + 9 * HOUR_S)) == 1
        assert store.tickets_granted(b"car-1", Time32(begin + 3 * HOUR_S), Time32(begin + 9 * HOUR_S)) == 0


def test_grants_long_past_are_forgotten(tmp_path: Path) -> None:
    later = Time32(HIERARCHY.start + HOUR_S + GRANT_MEMORY_S + 1)
    with remembered(tmp_path) as store:
        store.keep_grant(b"car-1", hours(HIERARCHY.start, 1))
        store.keep_grant(b"car-1", hours(later, 1))
        assert store.tickets_granted(b"car-1", Time32(0), Time32(2**32 - 1)) == 1


def test_an_answer_is_given_again_octet_for_octet_until_its_time_is_over(tmp_path: Path) -> None:
    for path, opened in ((tmp_path / "ea.db", open_enrolment_store), (tmp_path / "aa.db", open_answer_store)):
        store: AnswerStore = opened(path)
        with store:
            store.keep_answer(b"hash", b"answer", kept_until=Time32(100))
        with opened(path) as again:
            assert again.answer_to(b"hash") == b"answer"
            assert again.answer_to(b"other") is None
            assert again.forget_answers(Time32(99)) == 0
            assert again.forget_answers(Time32(100)) == 1
            assert again.answer_to(b"hash") is None


def test_when_there_is_no_room_the_answers_that_may_be_forgotten_first_go(tmp_path: Path) -> None:
    open_answer_store(tmp_path / "aa.db").close()
    with open_answer_store(tmp_path / "aa.db") as opened:
        store = AnswerStore(tmp_path / "aa.db", opened._connection, capacity=3)
        for number in (5, 1, 4, 2, 3):
            store.keep_answer(bytes((number,)), b"answer", kept_until=Time32(number))
        assert [number for number in range(1, 6) if store.answer_to(bytes((number,)))] == [3, 4, 5]


def test_an_authorization_authoritys_file_has_no_place_for_a_station(tmp_path: Path) -> None:
    with open_answer_store(tmp_path / "aa.db") as store:
        tables = {row[0] for row in store._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"answer"}
    with pytest.raises(StorageError, match="another program made it"):
        open_enrolment_store(tmp_path / "aa.db")


def test_a_step_that_fails_is_reported_and_nothing_is_half_kept(tmp_path: Path) -> None:
    faults = Faults()
    store = open_enrolment_store(tmp_path / "registry.db", faults.connect())
    for step in range(4):
        faults.arm(step, persists=False)
        with pytest.raises(StorageError):
            store.keep_answer(b"hash", b"answer", kept_until=Time32(9))
        faults.arm(step, persists=False)
        with pytest.raises(StorageError):
            store.keep_grant(b"car-1", hours(HIERARCHY.start, 1))
        faults.arm(None, persists=False)
        assert store.answer_to(b"hash") is None
        assert store.tickets_granted(b"car-1", Time32(0), Time32(2**32 - 1)) == 0
    store.close()


def test_a_failure_after_the_step_took_effect_is_repaired_by_repeating_it(tmp_path: Path) -> None:
    faults = Faults()
    store = open_enrolment_store(tmp_path / "registry.db", faults.connect())
    faults.arm(3, persists=True)  # the commit
    with pytest.raises(StorageError):
        store.keep_answer(b"hash", b"answer", kept_until=Time32(9))
    faults.arm(None, persists=False)
    store.keep_answer(b"hash", b"answer", kept_until=Time32(9))
    assert store.answer_to(b"hash") == b"answer"
    assert store.counts()["answers"] == 1
    store.close()


def test_the_store_is_the_registry_an_authority_asks_for(tmp_path: Path) -> None:
    with remembered(tmp_path) as store:
        registry: Registry = store
        assert registry.station(b"nobody") is None
