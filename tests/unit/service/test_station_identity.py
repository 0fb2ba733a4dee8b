"""A station's own identity, opened from its configuration and opened again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import ConfigError, StorageError
from shared.core.itstime import time64_of
from shared.pki.happenings import Recovered, Subject, TicketGranted
from shared.pki.key_source import SystemKeySource
from shared.pki.permission_sets import StationRole
from shared.security.sign import TicketCredential
from shared.service.pki_config import PkiConfig
from shared.service.station_identity import StationIdentityParts, StoredTicketKeys, open_station_identity
from shared.service.station_trust import open_station_trust
from shared.service.ticket_store import REQUEST_KEPT_S, open_ticket_store, read_ticket_store
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.online import Online
from tests.helpers.publishing import after

HIERARCHY = Hierarchy(93)
NOW = Instant(MonotonicNs(0), NOON)
AT_NOON = time64_of(NOON)


@contextmanager
def identity(
    directory: Path, config: PkiConfig | None = None, *, tickets: tuple[TicketCredential, ...] = (), now: Instant = NOW
) -> Iterator[StationIdentityParts]:
    authorities = Online(93)
    if not (directory / "trust").exists():
        authorities.pin(directory / "trust")
    with (
        open_station_trust(directory / "trust", authorities.trust_config(directory), entropy=bytes, now=now) as trust,
        open_station_identity(
            config or authorities.pki_config(directory),
            base=directory,
            role=StationRole.VEHICLE,
            trust=trust,
            tickets=tickets,
            entropy=bytes,
            environment={},
            now=now,
        ) as parts,
    ):
        yield parts


def test_a_new_station_has_nothing_and_its_ticket_store_is_made_closed_to_others(tmp_path: Path) -> None:
    with identity(tmp_path) as parts:
        assert parts.account.current is None
        assert len(parts.pool) == 0
        assert parts.upkeep.lacks(NOW) is Subject.ENROLMENT
    assert (tmp_path / "tickets.db").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "credentials").exists()


def test_tickets_an_operator_brought_are_in_the_pool_beside_its_own(tmp_path: Path) -> None:
    brought = HIERARCHY.ticket()
    with identity(tmp_path, tickets=(brought,)) as parts:
        assert parts.pool.valid(AT_NOON) == (brought,)
        parts.take(TicketGranted(ticket=HIERARCHY.ticket()))
        parts.take(Recovered(subject=Subject.TICKETS))
        assert len(parts.pool) == 2


def test_tickets_granted_are_there_after_a_restart_until_they_run_out(tmp_path: Path) -> None:
    config = Online(93).pki_config(tmp_path)
    store = open_ticket_store(config.tickets)
    key = StoredTicketKeys(store).prepare(SystemKeySource(), AT_NOON)
    assert StoredTicketKeys(store).prepare(SystemKeySource(), AT_NOON).public_key == key.public_key
    certificate = HIERARCHY.aa.issue_ticket(
        public_key=key.public_key,
        validity=HIERARCHY.ticket().certificate.validity,
        permissions=HIERARCHY.ticket().certificate.tbs.app_permissions or (),
    )
    assert StoredTicketKeys(store).grant(certificate).certificate == certificate
    store.close()
    with identity(tmp_path, config) as parts:
        assert [each.certificate for each in parts.pool.valid(AT_NOON)] == [certificate]
    with identity(tmp_path, config, now=Instant(MonotonicNs(0), None)) as parts:
        assert len(parts.pool) == 1
    with identity(tmp_path, config, now=after(8 * 86_400)) as parts:
        assert len(parts.pool) == 0
    looked_at = read_ticket_store(config.tickets)
    assert [each.certificate for each in looked_at.tickets()] == [certificate]
    looked_at.close()
    store = open_ticket_store(config.tickets)
    StoredTicketKeys(store).prepare(SystemKeySource(), time64_of(after(8 * 86_400).require_utc()))
    assert store.tickets() == ()
    store.close()


def test_a_key_nobody_answered_for_is_given_up_after_a_week(tmp_path: Path) -> None:
    store = open_ticket_store(tmp_path / "tickets.db")
    keys = StoredTicketKeys(store)
    first = keys.prepare(SystemKeySource(), AT_NOON)
    late = time64_of(after(REQUEST_KEPT_S + 1).require_utc())
    assert keys.prepare(SystemKeySource(), late).public_key != first.public_key
    assert len(store.requested()) == 1
    store.close()


def test_one_program_at_a_time_has_the_tickets(tmp_path: Path) -> None:
    config = Online(93).pki_config(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    with (
        identity(tmp_path, config),
        pytest.raises(StorageError, match=r"tickets\.db: is in use by another program"),
        identity(elsewhere, config),
    ):
        pass


@pytest.mark.parametrize("keys", ["file:trust/roots/root.oer", "pkcs12:keys", "file:keys?pin=1"])
def test_a_key_store_that_is_none_is_refused_at_the_start(tmp_path: Path, keys: str) -> None:
    config = msgspec.structs.replace(Online(93).pki_config(tmp_path), keys=keys)
    with pytest.raises(ConfigError), identity(tmp_path, config):
        pass


def test_a_ticket_store_open_to_others_is_refused(tmp_path: Path) -> None:
    open_ticket_store(tmp_path / "tickets.db").close()
    (tmp_path / "tickets.db").chmod(0o640)
    with pytest.raises(StorageError, match="open to others"), identity(tmp_path):
        pass
    with pytest.raises(StorageError, match="open to others"):
        read_ticket_store(tmp_path / "tickets.db")


def test_a_credential_whose_key_is_gone_is_named_at_the_start(tmp_path: Path) -> None:
    with identity(tmp_path) as parts:
        key = parts.account.next_key()
        lifetime = HIERARCHY.root.certificate.validity
        credential = HIERARCHY.ea.issue_credential(public_key=key.public_key, validity=lifetime)
        parts.account.keep(credential, authority=HIERARCHY.ea.certificate)
    (tmp_path / "keys/enrolment-0001.pem").unlink()
    with pytest.raises(ConfigError, match="is not in the key store; enrol again"), identity(tmp_path):
        pass
