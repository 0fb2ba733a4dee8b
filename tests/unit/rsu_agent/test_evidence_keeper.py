import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from rsu_agent.evidence_keeper import EvidenceKeeper, open_keeper
from rsu_agent.evidence_reader import read_evidence
from shared.core.clock import NS_PER_S, Instant, ManualClock
from shared.core.errors import StorageError
from shared.pki.permission_sets import StationRole
from shared.records.evidence_record import EvidenceKind, decode_record
from shared.service.database import Connect, connect_sqlite
from shared.service.state_lock import locked
from shared.stack.effects import Notice, Transmit
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.ledger import ORIGIN, seeded_entropy
from tests.helpers.online_ledger import AsyncLog
from tests.helpers.stations import Speaker
from tests.helpers.unit_evidence import FILE, WITNESSED, witnessed_log

HIERARCHY = Hierarchy(3)
DAY_NS = 86_400 * NS_PER_S
Use = Callable[[EvidenceKeeper, ManualClock, Speaker, list[Notice]], Awaitable[None]]


def keeping(
    path: Path, use: Use, *, medium: AsyncLog | None = None, connect: Connect = connect_sqlite, max_bytes: int = 1 << 30
) -> list[Notice]:
    """Open a keeper, use it, close it; return what the operator was told."""
    told: list[Notice] = []
    speaker = Speaker(HIERARCHY, StationRole.RSU)

    def tell(notice: Notice, _now: Instant) -> None:
        told.append(notice)

    async def run() -> None:
        clock = clock_at(NOON)
        opening = open_keeper(
            path,
            station_id=speaker.station.identity.station_id,
            clock=clock,
            entropy=seeded_entropy(),
            chain=lambda: (speaker.ticket.certificate, HIERARCHY.aa.certificate),
            max_age_ns=DAY_NS,
            max_bytes=max_bytes,
            ledger=None if medium is None else (medium, ORIGIN, WITNESSED, None),
            tell=tell,
            connect=connect,
        )
        async with opening as keeper:
            await use(keeper, clock, speaker, told)

    asyncio.run(run())
    return told


async def lights(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, count: int) -> None:
    """Tell the lights once a second."""
    for _ in range(count):
        now = clock.advance(NS_PER_S)
        keeper.performed(Transmit(speaker.spatem(now.require_utc())))
        keeper.performed(Notice("silent", {}))
        await keeper.step()


def test_lights_are_stored_every_second_and_closed_and_proven_every_minute(tmp_path: Path) -> None:
    log = witnessed_log(NOON)

    async def use(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, told: list[Notice]) -> None:
        await lights(keeper, clock, speaker, 60)
        assert keeper.status()["records"] == 60
        assert keeper.status()["batches"] == {}
        await lights(keeper, clock, speaker, 1)
        await keeper.anchor()
        await lights(keeper, clock, speaker, 1)
        assert keeper.status()["batches"] == {"proven": 1}
        assert keeper.status()["ledger"] == {"proven": 1, "trouble": None, "contradiction": None}
        assert told == []

    assert keeping(tmp_path / FILE, use, medium=AsyncLog(log)) == []
    assert len(log.entries) == 1
    with read_evidence(tmp_path / FILE) as store:
        assert store.unbatched() == 0
        assert len(store.between(EvidenceKind.SENT, "spatem", 0, 1 << 60, 100)) == 62


def test_what_a_run_left_behind_is_a_batch_of_its_own(tmp_path: Path) -> None:
    async def dies(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, _told: list[Notice]) -> None:
        await lights(keeper, clock, speaker, 3)
        raise KeyboardInterrupt

    async def begins(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, _told: list[Notice]) -> None:
        await lights(keeper, clock, speaker, 2)

    with pytest.raises(KeyboardInterrupt):
        keeping(tmp_path / FILE, dies)
    keeping(tmp_path / FILE, begins)
    with read_evidence(tmp_path / FILE) as store:
        found = store.between(EvidenceKind.SENT, "spatem", 0, 1 << 60, 100)
        assert [batch.statement.number for each in found if (batch := store.batch_of(each.id))] == [0, 0, 0, 1, 1]


def test_a_disk_that_fails_is_told_once_and_nothing_is_lost_when_it_works_again(tmp_path: Path) -> None:
    faults = Faults()

    async def use(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, told: list[Notice]) -> None:
        await lights(keeper, clock, speaker, 1)
        for _ in range(3):
            faults.arm(0, persists=False)
            await lights(keeper, clock, speaker, 1)
        assert [each.kind for each in told] == ["evidence_not_kept"]
        assert keeper.status()["waiting"] == 3
        faults.arm(None, persists=False)
        await lights(keeper, clock, speaker, 1)
        assert [each.kind for each in told] == ["evidence_not_kept", "evidence_kept"]
        assert keeper.status()["waiting"] == 0

    keeping(tmp_path / FILE, use, connect=faults.connect())
    with read_evidence(tmp_path / FILE) as store:
        assert len(store.between(EvidenceKind.SENT, "spatem", 0, 1 << 60, 100)) == 5


def test_on_a_full_disk_the_oldest_evidence_makes_room_for_the_newest(tmp_path: Path) -> None:
    def small(uri: str) -> sqlite3.Connection:
        connection = connect_sqlite(uri)
        connection.execute("PRAGMA max_page_count=50")
        return connection

    async def use(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, told: list[Notice]) -> None:
        await lights(keeper, clock, speaker, 300)
        kinds = [each.kind for each in told]
        assert kinds.count("evidence_not_kept") == kinds.count("evidence_kept") >= 1
        assert keeper.status()["lost"] == 0
        assert keeper.status()["trouble"] is None

    keeping(tmp_path / FILE, use, connect=small)
    with read_evidence(tmp_path / FILE) as store:
        found = store.between(EvidenceKind.SENT, "spatem", 0, 1 << 60, 1_000)
        numbers = [decode_record(each.entry).number for each in found]
        assert numbers == list(range(300 - len(numbers), 300))
        assert 30 < len(numbers) < 240
        last = store.batch_of(found[-1].id)
        assert last is not None
        assert store.tree_of(last.statement).size == last.statement.size


def test_a_minute_that_ends_while_the_disk_fails_is_closed_when_it_works_again(tmp_path: Path) -> None:
    faults = Faults()

    async def use(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, _told: list[Notice]) -> None:
        await lights(keeper, clock, speaker, 60)
        faults.arm(0, persists=False)
        await lights(keeper, clock, speaker, 1)
        faults.arm(None, persists=False)
        assert keeper.status()["batches"] == {}
        await lights(keeper, clock, speaker, 1)
        assert keeper.status()["batches"] == {"pending": 1}

    keeping(tmp_path / FILE, use, connect=faults.connect())


def test_batches_that_go_before_they_are_proven_are_told_of(tmp_path: Path) -> None:
    async def use(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, told: list[Notice]) -> None:
        await lights(keeper, clock, speaker, 61)
        clock.advance(2 * DAY_NS)
        await lights(keeper, clock, speaker, 1)
        assert [(each.kind, each.fields["batches"]) for each in told] == [("evidence_dropped_unproven", 1)]
        assert keeper.status()["dropped_unproven"] == 1

    keeping(tmp_path / FILE, use)


def test_a_ledger_in_trouble_is_left_alone_longer_and_longer(tmp_path: Path) -> None:
    medium = AsyncLog(witnessed_log(NOON))
    medium.is_down = True
    asked: list[int] = []

    async def use(keeper: EvidenceKeeper, clock: ManualClock, speaker: Speaker, told: list[Notice]) -> None:
        await lights(keeper, clock, speaker, 61)
        for second in range(1_000):
            due = keeper._anchor_due
            await keeper.anchor()
            if keeper._anchor_due != due:
                asked.append(second)
            clock.advance(NS_PER_S)
        assert [each.kind for each in told] == ["evidence_ledger_unavailable"]

    keeping(tmp_path / FILE, use, medium=medium)
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == 300


def test_no_two_agents_keep_evidence_in_one_file(tmp_path: Path) -> None:
    async def use(_keeper: EvidenceKeeper, _clock: ManualClock, _speaker: Speaker, _told: list[Notice]) -> None:
        with pytest.raises(StorageError, match="in use by another program"), locked(tmp_path / FILE):
            pytest.fail("it was free")

    keeping(tmp_path / FILE, use)
    with locked(tmp_path / FILE):
        pass
