"""A node that renews lists others publish beside it, and looks again at what failed; time passes as the test says."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli.pki import app
from shared.core.clock import NS_PER_S, Instant, ManualClock
from shared.core.errors import StorageError
from shared.core.ids import HashedId8
from shared.operator.house_keeping import LONGEST_WAIT_S, LOOK_S, RETRY_S, HouseKeeper
from shared.operator.list_office import ListOffice
from shared.operator.pki_directory import PkiDirectory
from shared.service.authority_keys import AuthorityKeys
from shared.service.counters import Counters
from shared.service.log import make_logger
from shared.service.published_lists import DocumentKind, PublishedLists
from tests.helpers.hierarchy import NOON
from tests.helpers.stations import after_ms, at


@pytest.fixture
def directory(tmp_path: Path) -> PkiDirectory:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "a"), "--valid-from", "2026-11-22T09:00:00Z"])
    assert done.exit_code == 0, done.output
    return PkiDirectory(tmp_path / "a")


@dataclass(slots=True)
class House:
    """A node's lists, and its keeper."""

    clock: ManualClock
    lists: PublishedLists
    office: ListOffice
    counters: Counters
    keeper: HouseKeeper
    rounds: list[Instant]
    fails: bool = False

    def pass_time(self, seconds: int) -> None:
        """Look every second."""
        for _ in range(0, seconds, LOOK_S):
            self.keeper.look(self.clock.advance(LOOK_S * NS_PER_S))


@contextmanager
def opened(directory: PkiDirectory) -> Iterator[tuple[PublishedLists, ListOffice]]:
    log = directory.log()
    try:
        with directory.lists() as lists, AuthorityKeys() as keys:
            office = ListOffice(directory, lists, log, keys=keys)
            office.settings.change_url("http://pki.example")
            yield lists, office
    finally:
        log.close()


@contextmanager
def house_of(directory: PkiDirectory) -> Iterator[House]:
    with opened(directory) as (lists, office):

        def make_round(now: Instant) -> None:
            house.rounds.append(now)
            if house.fails:
                raise StorageError("lists.db", "is full")
            office.renew(now)

        counters = Counters()
        keeper = HouseKeeper(lists, office, make_round, counters=counters, log=make_logger(io.StringIO()))
        clock = ManualClock(at(after_ms(NOON, 0)).require_utc())
        house = House(clock=clock, lists=lists, office=office, counters=counters, keeper=keeper, rounds=[])
        keeper.look(clock.now())
        yield house


def test_lists_that_others_publish_with_a_shorter_life_are_renewed_before_they_run_out(directory: PkiDirectory) -> None:
    root = HashedId8(directory.root_certificate().hashed_id8)
    with house_of(directory) as house, opened(directory) as (_, command):
        house.pass_time(10)
        command.settings.change_period(60)
        for kind in command.kinds:
            command.publish(kind, house.clock.now())
        short = house.lists.newest(DocumentKind.CRL, root)
        assert short is not None
        house.pass_time(44)
        assert house.lists.newest(DocumentKind.CRL, root) == short
        house.pass_time(3)
        renewed = house.lists.newest(DocumentKind.CRL, root)
        assert renewed is not None
        assert short.sequence + 1 == renewed.sequence
        assert renewed.begins < short.ends
        house.pass_time(45)
        again = house.lists.newest(DocumentKind.CRL, root)
        assert again is not None
        assert again.sequence == renewed.sequence + 1


def test_where_nobody_writes_a_round_is_made_once_an_hour(directory: PkiDirectory) -> None:
    with house_of(directory) as house:
        house.pass_time(LONGEST_WAIT_S - 1)
        assert len(house.rounds) == 1
        house.pass_time(1)
        assert len(house.rounds) == 2


def test_a_round_that_fails_is_counted_and_made_again_after_a_while_and_not_at_every_look(directory: PkiDirectory) -> None:
    with house_of(directory) as house:
        house.fails = True
        house.pass_time(LONGEST_WAIT_S + RETRY_S)
        assert len(house.rounds) == 3
        assert house.counters.snapshot() == {"housekeeping_failed": 2}
        house.fails = False
        house.pass_time(RETRY_S)
        assert len(house.rounds) == 4
