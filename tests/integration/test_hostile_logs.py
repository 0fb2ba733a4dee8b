"""Logs that roll back, fork, lie, stall and flood, each against the real client of a vehicle over real HTTP.

The rows are `tests.helpers.hostile_rows`, and a table of `docs/ledger-faults.md`.
"""

import asyncio
import ssl
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, ManualClock
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.merkle import leaf_hash
from shared.ledger.note import parse_note
from shared.ledger.proof import parse_proof, verify_proof
from shared.ledger.tree import EMPTY_TREE
from shared.service.spool import open_spool
from shared.transport.bounded_http import EXCHANGE_TIMEOUT_S, SILENCE_TIMEOUT_S
from shared.transport.ledger_http import LedgerHttp
from tests.helpers.hostile_logs import HostileLog, others, serving
from tests.helpers.hostile_rows import BRIEF, ROWS, Row
from tests.helpers.online_ledger import POLICY, Car, record

SILENCE_S, EXCHANGE_S = 0.05, 0.2
"""How long a server may be silent, and an exchange may last, where it will not end by itself."""

OTHERS, PROVEN = 300, 2
TLS = ssl.create_default_context()
MAX_OCTETS = 4 << 20
"""What a flood may make the vehicle keep at most, the server's own pieces and all of the test's included."""

MAX_REQUESTS = 8
"""To a log that leads nowhere, at each poll."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_hostile_log_costs_time_and_nothing_else(tmp_path: Path, row: Row) -> None:
    try:
        asyncio.run(check(tmp_path, row))
    finally:
        tracemalloc.stop()  # started for some rows; it would slow down whatever comes after a failure


async def check(folder: Path, row: Row) -> None:
    """Prove two records, have the log turn hostile, then honest again, all while the vehicle goes on polling."""
    server, car, clock = HostileLog(others(OTHERS)), Car(folder), ManualClock(None)
    timeouts = (SILENCE_S, EXCHANGE_S) if row.turns == BRIEF else (SILENCE_TIMEOUT_S, EXCHANGE_TIMEOUT_S)
    with closing(car.spool):
        async with serving(server), LedgerHttp([server.url], clock=clock, tls=TLS) as http:
            record(car.spool, PROVEN)
            assert await car.drive(http, until=lambda: car.proven() == PROVEN)
        record(car.spool)
        trial = Trial(server, car, row)
        async with (
            serving(server),
            LedgerHttp([server.url], clock=clock, tls=TLS, silence_timeout_s=timeouts[0], exchange_timeout_s=timeouts[1]) as http,
        ):
            assert await car.drive(http, until=lambda: trial.is_over(clock))
    check_in_the_end(folder, server)


class Trial:
    """A hostile log until the vehicle has polled as often as the row says, stopped, or proven its record; then an honest one."""

    def __init__(self, server: HostileLog, car: Car, row: Row) -> None:
        self._server, self._car, self._row = server, car, row
        self._polls, self._asked, self._told = 0, len(server.asked), len(car.notices)
        note = car.spool.trusted_note()
        assert note is not None
        self._trusted = note
        server.lie = row.lie
        self._is_hostile = True
        if row.turns == BRIEF:
            tracemalloc.start()

    def is_over(self, clock: ManualClock) -> bool:
        """Look at the vehicle after it has polled."""
        car = self._car
        if not self._is_hostile:
            return car.proven() == PROVEN + 1
        self._polls += 1
        if car.anchoring.contradiction is None and car.proven() == PROVEN and self._polls < self._row.turns:
            return False
        self._judge()
        self._is_hostile, self._server.lie = False, lambda _server, _asked: None
        clock.advance(1_000 * NS_PER_S)
        if self._row.is_split:
            car.anchoring.acknowledge_evidence(clock.now())
        return False

    def _judge(self) -> None:
        """Hold what the vehicle told, trusts and has proven, and what it cost, against the row."""
        server, car, row = self._server, self._car, self._row
        if row.turns == BRIEF:
            assert tracemalloc.get_traced_memory()[1] < MAX_OCTETS
        assert len(server.asked) - self._asked <= self._polls * MAX_REQUESTS
        assert server.elsewhere == []
        kinds = [notice.kind for notice in car.notices[self._told :]]
        assert set(kinds) - {"odometer_anchored", "ledger_available"} == row.notices
        for once in row.notices & {"ledger_unavailable", "ledger_behind", "ledger_split_view"}:
            assert kinds.count(once) == 1
        assert (car.anchoring.contradiction is not None) == row.is_split
        assert car.proven() == PROVEN + row.proves
        check_proofs(car, server)
        check_evidence(car, row, self._trusted)


def check_proofs(car: Car, server: HostileLog) -> None:
    """Assert that each proof there is leads to the true log."""
    for stored in car.spool.records():
        if stored.proof is not None:
            included = verify_proof(parse_proof(stored.proof), stored.commitment, POLICY)
            assert server.log.entries[included.index] == stored.commitment
            proven_in = included.trusted.checkpoint
            tree = EMPTY_TREE.extended(map(leaf_hash, server.log.entries[: proven_in.tree_size])).tree
            assert tree.root == proven_in.root


def check_evidence(car: Car, row: Row, trusted: bytes) -> None:
    """Assert that both notes of a contradiction are kept and shown, and that trust never went back or aside."""
    now = car.spool.trusted_note()
    assert now is not None
    assert (now == trusted) == (not row.proves)
    assert parse_checkpoint(parse_note(now).body).tree_size >= parse_checkpoint(parse_note(trusted).body).tree_size
    evidence, status = car.anchoring.evidence(), car.anchoring.status()
    assert len(evidence) == int(row.is_split)
    assert (status["contradiction"] is not None) == row.is_split
    for contradiction in evidence:
        assert contradiction.trusted_note == trusted
        assert parse_note(contradiction.conflicting_note).body != parse_note(trusted).body


def check_in_the_end(folder: Path, server: HostileLog) -> None:
    """Assert that every record is there and proven, and that the log has it once."""
    with closing(open_spool(folder / "spool.db")) as spool:
        stored = list(spool.records())
        assert [each.seq for each in stored] == list(range(PROVEN + 1))
        assert all(each.proof is not None for each in stored)
        assert all(server.log.entries.count(each.commitment) == 1 for each in stored)
