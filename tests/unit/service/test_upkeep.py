"""A station's upkeep over HTTP, against authorities that work, lie, stay silent or are gone, and disks and tokens that fail."""

import asyncio
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random

import pytest

from shared.core.errors import StorageError
from shared.core.itstime import time64_of
from shared.pki.happenings import CredentialGranted, Happening, Recovered, Subject, TicketGranted, Trouble, TrustChanged
from shared.pki.permission_sets import StationRole
from shared.security.trust_store import TrustStore
from shared.service.station_identity import StationIdentityParts, open_station_identity
from shared.service.station_trust import StationTrust, open_station_trust
from shared.service.trust_list_store import TrustListStore
from shared.service.upkeep import Upkeep
from shared.transport.pki_http import PkiHttp
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.online import Online, online, respond


@pytest.fixture
def authorities() -> Iterator[Online]:
    with online() as made:
        yield made


@dataclass(slots=True)
class Station:
    """A station that keeps itself up; `told` has what it heard since it was asked last."""

    authorities: Online
    identity: StationIdentityParts
    trust: StationTrust
    list_store: TrustListStore
    http: PkiHttp
    runner: asyncio.Runner
    told: list[Happening] = field(default_factory=list)
    upkeep: Upkeep = field(init=False)

    def __post_init__(self) -> None:
        self.upkeep = Upkeep(
            trust=self.trust,
            list_store=self.list_store,
            tickets=self.identity.pool,
            identity=self.identity.upkeep,
            http=self.http,
            clock=self.authorities.desks.clock,
            tell=self.tell,
        )

    def tell(self, happening: Happening) -> None:
        self.identity.take(happening)
        self.told.append(happening)

    def work(self) -> list[Happening]:
        """Do whatever is due now, and return what was told."""

        async def run() -> None:
            while await self.upkeep.step():
                pass

        self.runner.run(run())
        told, self.told = self.told, []
        return told

    def status(self) -> dict[str, object]:
        return self.upkeep.status()


@contextmanager
def station(authorities: Online, directory: Path, *, faults: Faults | None = None) -> Iterator[Station]:
    """Open a station whose pins and files are in a folder; its canonical key is registered."""
    now, seeded = authorities.desks.now, Random(5).randbytes
    config = authorities.trust_config(directory)
    with ExitStack() as stack:
        if not (directory / "trust").exists():
            authorities.pin(directory / "trust")
        trust = stack.enter_context(open_station_trust(directory / "trust", config, entropy=seeded, now=now))
        identity = stack.enter_context(
            open_station_identity(
                authorities.pki_config(directory),
                base=directory,
                role=StationRole.VEHICLE,
                trust=trust,
                tickets=(),
                entropy=seeded,
                environment={},
                now=now,
            )
        )
        register(authorities, identity)
        list_store = trust.list_store
        if faults is not None:
            list_store = stack.enter_context(TrustListStore(config.lists, faults.connect()))
        runner = stack.enter_context(asyncio.Runner())
        http = PkiHttp(silence_timeout_s=0.3, exchange_timeout_s=5)
        runner.run(http.__aenter__())
        try:
            yield Station(authorities, identity, trust, list_store, http, runner)
        finally:
            runner.run(http.__aexit__(None, None, None))


def register(authorities: Online, identity: StationIdentityParts) -> None:
    """Have the operator of the enrolment authority know the station's canonical key."""
    stations = authorities.desks.registry.stations
    (its_id,) = stations
    known = stations[its_id]
    stations[its_id] = type(known)(
        its_id=its_id, canonical_key=identity.account.canonical().public_key, role=known.role, status=known.status
    )


def kinds(happened: list[Happening]) -> list[type[Happening]]:
    return [type(each) for each in happened]


def codes(happened: Sequence[Happening]) -> list[tuple[Subject, str]]:
    return [(each.subject, each.code) for each in happened if isinstance(each, Trouble)]


def test_a_station_with_a_pinned_root_and_nothing_else_gets_its_lists_a_credential_and_tickets(
    authorities: Online, tmp_path: Path
) -> None:
    with station(authorities, tmp_path) as car:
        happened = car.work()
        assert kinds(happened) == [TrustChanged, CredentialGranted, TicketGranted, TicketGranted]
        assert car.status() == {
            "lists": {"ctl_taken": 1, "crl_taken": 1},
            "identity": {"enrolment_asked": 1, "enrolment_granted": 1, "tickets_asked": 2, "tickets_granted": 2},
            "unkept": {},
            "troubles": [],
        }
        assert car.work() == []
    asked = len(authorities.asked)
    with station(authorities, tmp_path) as again:
        assert again.work() == []
        assert len(again.identity.pool) == 2
        assert set(again.trust.store.authorities) == {
            each.certificate.hashed_id8 for each in (authorities.desks.hierarchy.ea, authorities.desks.hierarchy.aa)
        }
    assert len(authorities.asked) == asked


def broken(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read()  # until the other side gives up


def rubbish(handler: BaseHTTPRequestHandler) -> None:
    respond(handler, 200, b"\x03\x80rubbish")


def empty(handler: BaseHTTPRequestHandler) -> None:
    respond(handler, 200, b"")


def failing(handler: BaseHTTPRequestHandler) -> None:
    respond(handler, 500, b"")


def huge(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", str(1 << 40))
    handler.end_headers()


WRONG = {
    "broken": (broken, "transport"),
    "silent": (silent, "transport"),
    "failing": (failing, "transport"),
    "huge": (huge, "transport"),
    "rubbish": (rubbish, "malformed"),
    "empty": (empty, "malformed"),
}


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize(("part", "subject"), [("dc", Subject.LISTS), ("ea", Subject.ENROLMENT), ("aa", Subject.TICKETS)])
def test_a_server_that_answers_wrongly_is_told_once_left_in_peace_and_forgiven(
    authorities: Online, tmp_path: Path, part: str, subject: Subject, how: str
) -> None:
    spoil, code = WRONG[how]
    authorities.spoil[part] = spoil
    with station(authorities, tmp_path) as car:
        lists = 2 if part == "dc" else 1
        told = [each for each in codes(car.work()) if each != (Subject.ENROLMENT, "no_authority")]
        assert told == [(subject, code)] * lists
        asked = len(authorities.asked)
        assert car.work() == []
        assert len(authorities.asked) == asked
        authorities.desks.pass_time(10)
        assert car.work() == []
        assert asked < len(authorities.asked) <= asked + lists
        authorities.spoil.clear()
        authorities.desks.pass_time(60)
        happened = car.work()
        assert Recovered(subject=subject) in happened
        assert codes(happened) == []
        assert len(car.identity.pool) == 2
        assert car.status()["troubles"] == []


def test_the_answer_meant_for_somebody_else_is_nobody_s(authorities: Online, tmp_path: Path) -> None:
    desks = authorities.desks
    stranger = desks.authorize(desks.authorization(desks.enrol(), desks.key()).request)
    authorities.spoil["aa"] = lambda handler: respond(handler, 200, stranger)
    with station(authorities, tmp_path) as car:
        assert codes(car.work()) == [(Subject.TICKETS, "decryption")]
        assert len(car.identity.pool) == 0


def test_lists_that_name_nobody_to_ask_are_told_once_when_all_of_them_are_here(authorities: Online, tmp_path: Path) -> None:
    authorities.publish(entries=authorities.entries[2:])
    with station(authorities, tmp_path) as car:
        assert codes(car.work()) == [(Subject.ENROLMENT, "no_authority")]
        assert car.work() == []
        authorities.desks.pass_time(25 * 86_400)
        authorities.publish()
        happened = car.work()
        assert Recovered(subject=Subject.ENROLMENT) in happened
        assert len(car.identity.pool) == 2


def test_a_disk_that_fails_is_told_once_and_lists_are_kept_as_soon_as_it_works(authorities: Online, tmp_path: Path) -> None:
    faults = Faults()
    with station(authorities, tmp_path, faults=faults) as car:
        faults.arm(0, persists=False)
        first = [each for each in car.work() if isinstance(each, Trouble | Recovered)]
        assert codes(first) == [(Subject.LISTS, "storage")]
        asked = len(authorities.asked)
        faults.arm(None, persists=False)
        authorities.desks.pass_time(60)
        later = car.work()
        assert [*first[1:], *later] == [Recovered(subject=Subject.LISTS)]
        assert len(authorities.asked) == asked
        assert {each.kind.value for each in car.list_store.load()} == {"ctl", "crl"}
        assert car.status()["unkept"] == {"storage": 1}


def test_a_ticket_that_cannot_be_kept_is_a_trouble_and_another_is_asked_for(authorities: Online, tmp_path: Path) -> None:
    def lose_the_key(handler: BaseHTTPRequestHandler) -> None:
        with closing(sqlite3.connect(tmp_path / "tickets.db", isolation_level=None)) as connection:
            connection.execute("DELETE FROM ticket")
        del authorities.spoil["aa"]
        authorities.answer(handler)

    authorities.spoil["aa"] = lose_the_key
    with station(authorities, tmp_path) as car:
        assert codes(car.work()) == [(Subject.TICKETS, "storage")]
        authorities.desks.pass_time(300)
        assert Recovered(subject=Subject.TICKETS) in car.work()
        assert len(car.identity.pool) == 2


def test_a_key_that_others_may_read_is_a_trouble_and_ends_nothing(authorities: Online, tmp_path: Path) -> None:
    with station(authorities, tmp_path) as car:
        keys = tmp_path / "keys"
        (keys / "canonical.pem").chmod(0o644)
        told = codes(car.work())
        assert told == [(Subject.ENROLMENT, "configuration")]
        (keys / "canonical.pem").chmod(0o600)
        authorities.desks.pass_time(60)
        assert Recovered(subject=Subject.ENROLMENT) in car.work()


def test_two_programs_do_not_keep_up_one_station(authorities: Online, tmp_path: Path) -> None:
    with (
        station(authorities, tmp_path),
        pytest.raises(StorageError, match="in use by another program"),
        station(authorities, tmp_path),
    ):
        pass
    with station(authorities, tmp_path) as alone:
        alone.work()
        assert len(alone.identity.pool) == 2


def replace_aa(authorities: Online) -> None:
    """Another AA takes over and is the only one listed."""
    desks, hierarchy = authorities.desks, authorities.desks.hierarchy
    hierarchy.aa = hierarchy.root.create_authorization_authority(
        name="AA that follows", validity=hierarchy.aa.certificate.validity, keys=hierarchy.keys
    )
    known = (hierarchy.ea.certificate, hierarchy.aa.certificate)
    hierarchy.trust_store = TrustStore.of_operator((hierarchy.root.certificate,), known)
    desks.ea, desks.aa = desks.ea_desk(hierarchy.trust_store), desks.aa_desk(hierarchy.trust_store)
    authorities.publish()


def refresh(car: Station) -> list[Happening]:
    car.authorities.desks.pass_time(1)
    car.trust.upkeep.refresh()
    return car.work()


def test_tickets_of_an_authority_that_is_listed_no_more_are_replaced_at_once(authorities: Online, tmp_path: Path) -> None:
    with station(authorities, tmp_path) as car:
        car.work()
        dead = car.identity.pool.tickets
        authorities.desks.pass_time(1)
        replace_aa(authorities)
        happened = refresh(car)
        assert codes(happened) == [(Subject.TICKETS, "signer_certificate_not_found")]
        assert "2 ticket(s) are out of use: the issuing authority" in next(e.sentence for e in happened if isinstance(e, Trouble))
        assert kinds(happened).count(TicketGranted) == 2
        assert happened.count(Recovered(subject=Subject.TICKETS)) == 1
        now = time64_of(authorities.desks.now.require_utc())
        issuers = {each.certificate.issuer.hashed_id8 for each in car.identity.pool.valid(now)}
        assert issuers == {authorities.desks.hierarchy.aa.certificate.hashed_id8}
        assert all(car.identity.pool.why_set_aside(each) for each in dead)
        assert car.status()["troubles"] == []
    with station(authorities, tmp_path) as again:
        again.work()
        assert len(again.identity.pool.valid(now)) == 2, "what is out of use stays so over a restart"


def test_where_nobody_is_left_to_ask_the_status_says_why_the_tickets_are_out_of_use(authorities: Online, tmp_path: Path) -> None:
    with station(authorities, tmp_path) as car:
        car.work()
        authorities.desks.pass_time(1)
        aa, name = authorities.desks.hierarchy.aa.certificate.hashed_id8, authorities.root.identifier.hex().upper()
        authorities.documents[f"/dc/getcrl/{name}"] = authorities.root.crl(1, aa, life_s=86_400)
        assert codes(refresh(car)) == [(Subject.TICKETS, "revoked_certificate")]
        assert car.work() == []
        (trouble,) = car.upkeep.troubles
        assert trouble.code == "revoked_certificate"
        assert f"has revoked certificate {aa.hex()}" in trouble.sentence
        now = time64_of(authorities.desks.now.require_utc())
        assert car.identity.pool.valid(now) == ()
        authorities.desks.pass_time(1)
        authorities.documents[f"/dc/getcrl/{name}"] = authorities.root.crl(2, life_s=86_400)
        assert Recovered(subject=Subject.TICKETS) in refresh(car)
        assert len(car.identity.pool.valid(now)) == 2


def test_lists_that_run_out_take_no_ticket_out_of_use(authorities: Online, tmp_path: Path) -> None:
    authorities.publish(life_s=3_600)
    with station(authorities, tmp_path) as car:
        car.work()
        authorities.spoil["dc"] = failing
        authorities.desks.pass_time(40 * 3_600)
        happened = car.work()
        assert any(isinstance(each, TrustChanged) and each.store.outdated for each in happened)
        assert len(car.identity.pool.valid(time64_of(authorities.desks.now.require_utc()))) == 2
