"""A roadside unit's relay: a vehicle that knows nothing else anchors through it; bounded, and of use while the log is away."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from shared.core.clock import NS_PER_S, ManualClock
from shared.core.errors import TransportError
from shared.ledger.tiles import MAX_ENTRY_BYTES, encode_bundle
from shared.operator.http_server import listen, serve, url_of
from shared.operator.ledger_relay import (
    CLIENT_RATE,
    MAX_ASKED_AT_ONCE,
    MAX_KEPT_PIECE_OCTETS,
    KeptPieces,
    LedgerRelay,
)
from shared.service.counters import Counters
from shared.transport.bounded_http import HttpStatusError
from shared.transport.ledger_http import LedgerHttp
from tests.helpers.ledger import MemoryLog
from tests.helpers.online_ledger import Car, record


class Upstream:
    """A log in memory that can be away, refuse, or hold its answers back."""

    def __init__(self, log: MemoryLog | None = None) -> None:
        self.log = MemoryLog() if log is None else log
        self.is_away = False
        self.refusal: HttpStatusError | None = None
        self.gate: asyncio.Event | None = None
        self.first = asyncio.Event()
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []

    async def submit(self, entry: bytes, *, authorization: str | None = None) -> int:
        self.authorizations.append(authorization)
        await self._pass("add")
        return self.log.submit(entry)

    async def read(self, path: str) -> bytes:
        await self._pass(path)
        return self.log.read(path)

    async def _pass(self, what: str) -> None:
        self.asked.append(what)
        self.first.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            raise TransportError("log", "away")
        if self.refusal is not None:
            raise self.refusal


def grown(count: int) -> MemoryLog:
    log = MemoryLog()
    log.entries = [b"entry %d" % n for n in range(count)]
    log.publish()
    return log


def relayed(
    use: Callable[[httpx.AsyncClient, LedgerRelay], Awaitable[None]], upstream: Upstream, clock: ManualClock | None = None
) -> Counters:
    counters = Counters()
    relay = LedgerRelay(upstream, clock=clock or ManualClock(None), counters=counters)

    async def run() -> None:
        transport = httpx.ASGITransport(app=relay, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
            await use(client, relay)

    asyncio.run(run())
    return counters


def test_a_vehicle_that_knows_only_the_relay_anchors_through_it_to_the_log(tmp_path: Path) -> None:
    log, clock, counters = grown(700), ManualClock(None), Counters()
    car = Car(tmp_path)
    record(car.spool, 30)

    async def run() -> None:
        sock = listen("127.0.0.1", 0)
        url = url_of(sock)
        relay = LedgerRelay(Upstream(log), clock=clock, counters=counters)
        serving = asyncio.create_task(serve(relay, sock, counters=counters, cache_control=None))
        try:
            async with LedgerHttp((url,), clock=clock) as http:
                # the relay's own clock moves with the polls, or its checkpoint would stay fresh for ever
                assert await car.drive(http, until=lambda: bool(clock.advance(NS_PER_S)) and car.proven() == 30)
        finally:
            serving.cancel()
            await asyncio.wait((serving,))

    asyncio.run(run())
    assert len(log.entries) == 730
    assert counters["/add 200"] == 30
    assert counters["/tile 200"] > 0
    car.spool.close()


def test_whole_tiles_are_asked_for_once_and_say_so_partial_ones_every_time() -> None:
    upstream = Upstream(grown(300))

    async def use(client: httpx.AsyncClient, _relay: LedgerRelay) -> None:
        for path in ("tile/0/000", "tile/entries/000", "tile/0/001.p/44"):
            answers = [await client.get(f"/{path}") for _ in range(3)]
            assert {answer.content for answer in answers} == {upstream.log.read(path)}
            assert all("immutable" in answer.headers["cache-control"] for answer in answers)

    relayed(use, upstream)
    assert [upstream.asked.count(path) for path in ("tile/0/000", "tile/entries/000", "tile/0/001.p/44")] == [1, 1, 3]


def test_while_the_log_is_away_the_last_checkpoint_and_kept_tiles_are_served_and_nothing_is_taken() -> None:
    upstream, clock = Upstream(grown(300)), ManualClock(None)

    async def use(client: httpx.AsyncClient, relay: LedgerRelay) -> None:
        note = (await client.get("/checkpoint")).content
        await client.get("/tile/0/000")
        upstream.is_away = True
        clock.advance(10 * NS_PER_S)
        assert (await client.get("/checkpoint")).content == note == upstream.log.note
        assert relay.status()["checkpoint_is_stale"] is True
        assert (await client.get("/tile/0/000")).status_code == 200
        for answer in (await client.get("/tile/0/001.p/1"), await client.post("/add", content=b"entry")):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
        upstream.is_away = False
        clock.advance(10 * NS_PER_S)
        await client.get("/checkpoint")
        assert relay.status()["checkpoint_is_stale"] is False

    counters = relayed(use, upstream, clock)
    assert counters["checkpoint stale"] == 1


def test_a_checkpoint_is_asked_for_at_most_once_a_second_and_never_kept_by_others() -> None:
    upstream, clock = Upstream(grown(3)), ManualClock(None)

    async def use(client: httpx.AsyncClient, _relay: LedgerRelay) -> None:
        for _ in range(5):
            assert (await client.get("/checkpoint")).headers["cache-control"] == "no-cache"
        clock.advance(NS_PER_S)
        await client.get("/checkpoint")

    relayed(use, upstream, clock)
    assert upstream.asked == ["checkpoint"] * 2


def test_the_vehicles_own_authorization_is_passed_on_and_so_is_the_logs_refusal() -> None:
    upstream = Upstream()
    upstream.refusal = HttpStatusError("log", "no", status=401, retry_after_s=None)

    async def use(client: httpx.AsyncClient, _relay: LedgerRelay) -> None:
        assert (await client.post("/add", content=b"x", headers={"authorization": "Bearer mine"})).status_code == 401
        upstream.refusal = HttpStatusError("log", "slowly", status=429, retry_after_s=7)
        answer = await client.post("/add", content=b"x")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        upstream.refusal = HttpStatusError("log", "broken", status=500, retry_after_s=None)
        assert (await client.post("/add", content=b"x")).status_code == 503

    relayed(use, upstream)
    assert upstream.authorizations == ["Bearer mine", None, None]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/add", b"", 400),
        ("POST", "/add", bytes(MAX_ENTRY_BYTES + 1), 413),
        ("GET", "/add", b"", 404),
        ("POST", "/checkpoint", b"x", 405),
        ("GET", "/tile/0/1", b"", 404),
        ("GET", "/tile/0/../../etc/passwd", b"", 404),
        ("GET", "/", b"", 404),
    ],
)
def test_what_is_no_request_of_a_log_does_not_reach_it(method: str, path: str, body: bytes, status: int) -> None:
    upstream = Upstream()

    async def use(client: httpx.AsyncClient, _relay: LedgerRelay) -> None:
        assert (await client.request(method, path, content=body)).status_code == status

    relayed(use, upstream)
    assert upstream.asked == []


def test_many_who_want_the_same_tile_ask_the_log_once_and_too_many_who_want_others_are_told_to_come_back() -> None:
    upstream = Upstream(grown(300))

    async def use(client: httpx.AsyncClient, _relay: LedgerRelay) -> None:
        upstream.gate = asyncio.Event()
        same = [asyncio.create_task(client.get("/tile/0/000")) for _ in range(20)]
        await upstream.first.wait()
        others = [asyncio.create_task(client.post("/add", content=b"%d" % n)) for n in range(MAX_ASKED_AT_ONCE + 5)]
        done, _ = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result().status_code for task in done} == {503}
        upstream.gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*same)} == {200}
        statuses = [answer.status_code for answer in await asyncio.gather(*others)]
        assert statuses.count(503) == 6
        assert statuses.count(200) == MAX_ASKED_AT_ONCE - 1

    relayed(use, upstream)
    assert upstream.asked.count("tile/0/000") == 1


def test_a_client_that_asks_without_end_is_told_to_wait() -> None:
    async def use(client: httpx.AsyncClient, _relay: LedgerRelay) -> None:
        statuses = [(await client.get("/other")).status_code for _ in range(CLIENT_RATE.burst + 10)]
        assert statuses == [404] * CLIENT_RATE.burst + [429] * 10

    relayed(use, Upstream())


def test_what_is_kept_is_bounded_and_what_was_asked_for_lately_stays() -> None:
    kept = KeptPieces(1_000)
    for n in range(20):
        kept.keep(f"piece {n}", bytes(100))
        assert kept.get("piece 0") is not None
    assert kept.octets == 1_000
    assert kept.get("piece 1") is None
    kept.keep("too long", bytes(1_001))
    assert kept.get("too long") is None
    ample = KeptPieces()
    ample.keep("bundle", encode_bundle([bytes(MAX_ENTRY_BYTES)] * (MAX_KEPT_PIECE_OCTETS // MAX_ENTRY_BYTES + 1)))
    assert ample.octets == 0
