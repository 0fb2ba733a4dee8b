"""Who watches the console: real HTTP on loopback, a real agent, and watchers that are many, slow or leave."""

import asyncio
import io
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from rsu_agent.agent import RsuAgent
from rsu_agent.console.app import console_routes
from rsu_agent.console.feed import MAX_WAITING_EVENTS, MAX_WATCHERS, MAX_WATCHERS_OF_A_CLIENT, ConsoleFeed, Watcher
from rsu_agent.console.http_config import HttpConfig
from rsu_agent.console.open_console import OpenConsole, make_view, open_console, seen_of
from rsu_agent.console.page import content_security_policy, page
from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.core.errors import TransportError
from shared.core.geo import displaced
from shared.core.ids import HashedId8, MessageId, StationId
from shared.security.freshness import trusted_time64
from shared.service.command_socket import Order
from shared.service.counters import Counters
from shared.service.log import make_logger
from shared.trust.claims import Claim, ClaimSource
from tests.helpers.broker import TlsAuthority
from tests.helpers.console import Follower, events_in
from tests.helpers.hierarchy import clock_at
from tests.unit.rsu_agent.test_rsu_agent import CENTRE, MAP, cam, car, drive, unit

PATIENCE_S = 20.0
LOOPBACK = b"127.0.0.1"
IN_THE_CLEAR = HttpConfig(listen="127.0.0.1:0")


def feed_of(agent: RsuAgent, clock: ManualClock, counters: Counters) -> ConsoleFeed:
    view = make_view(agent, MAP, position=CENTRE, takes_orders=False)
    return ConsoleFeed(view, see=lambda: seen_of(agent), status=lambda: agent.status(clock.now()), clock=clock, counters=counters)


async def refuse_orders(_order: Order) -> dict[str, object]:
    raise TransportError("test", "nothing is ordered here")


@asynccontextmanager
async def served(agent: RsuAgent, clock: ManualClock, config: HttpConfig = IN_THE_CLEAR) -> AsyncIterator[OpenConsole]:
    """Serve an agent's console while the block runs."""
    opening = open_console(
        config,
        agent,
        MAP,
        position=CENTRE,
        status=lambda: agent.status(clock.now()),
        obey=refuse_orders,
        clock=clock,
        log=make_logger(io.StringIO(), as_json=True),
        environment={},
    )
    with opening as console:
        running = asyncio.create_task(console.run())
        try:
            yield console
        finally:
            running.cancel()
            await asyncio.wait((running,))


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story()

    asyncio.run(within())


def test_the_page_comes_with_a_policy_that_lets_nothing_run_but_its_own_script_and_reach_nothing_but_the_unit() -> None:
    agent, clock = unit(), clock_at()

    async def story() -> None:
        async with served(agent, clock) as console, httpx.AsyncClient(base_url=console.http.url) as client:
            led = await client.get("/")
            assert (led.status_code, led.headers["location"]) == (307, "/console")
            shown = await client.get("/console")
        assert shown.status_code == 200
        assert shown.content == page()
        policy = shown.headers["content-security-policy"]
        assert policy == content_security_policy()
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert shown.headers["cache-control"] == "no-store"

    run(story)


def test_the_page_asks_for_nothing_from_anywhere_and_sets_no_markup_from_text() -> None:
    text = page().decode()
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of a namespace, which nobody fetches"
    assert "{{" not in text
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "DOMParser",
        "localStorage",
    ):
        assert word not in text, word
    assert " style=" not in text
    assert not re.search(r"\son[a-z]+=", text), "no handler stands in markup"


def test_a_watcher_is_told_the_whole_first_and_then_of_a_light_and_a_car() -> None:
    agent, clock, speaker = unit(), clock_at(), car()
    drive(agent, clock, 1.0)

    async def story() -> None:
        async with (
            served(agent, clock) as console,
            httpx.AsyncClient(base_url=console.http.url) as client,
            client.stream("GET", "/console/events") as stream,
        ):
            assert stream.headers["content-type"].startswith("text/event-stream")
            follower, octets = Follower(), stream.aiter_bytes()
            while not follower.picture:
                follower.take(await anext(octets))
            assert follower.phases[1] == "permissive_movement_allowed"
            assert console.feed.watchers == 1
            drive(agent, clock, 24.5)
            agent.on_packet(cam(speaker, clock.now()), clock.now())
            while follower.phases[1] != "permissive_clearance" or not follower.vehicles:
                follower.take(await anext(octets))
            status = console.status()
            assert status["watchers"] == 1

    run(story)


def test_over_tls_the_same_is_told_and_a_browser_that_speaks_in_the_clear_is_told_nothing(tmp_path: Path) -> None:
    agent, clock, authority = unit(), clock_at(), TlsAuthority(tmp_path)
    certificate, key = authority.issue("rsu")
    config = HttpConfig(listen="127.0.0.1:0", certificate=certificate, key=key)
    drive(agent, clock, 1.0)

    async def story() -> None:
        context = ssl.create_default_context(cafile=str(authority.path))
        async with served(agent, clock, config) as console:
            assert console.http.url.startswith("https://")
            async with (
                httpx.AsyncClient(verify=context) as client,
                client.stream("GET", f"{console.http.url}/console/events") as stream,
            ):
                follower, octets = Follower(), stream.aiter_bytes()
                while not follower.picture:
                    follower.take(await anext(octets))
                assert follower.phases[1] == "permissive_movement_allowed"
            async with httpx.AsyncClient() as client:
                with pytest.raises(httpx.TransportError):
                    await client.get(console.http.url.replace("https", "http") + "/console")

    run(story)


def test_where_nothing_changes_the_page_hears_that_the_unit_is_there() -> None:
    agent, clock = unit(), clock_at()

    async def story() -> None:
        feed = feed_of(agent, clock, Counters())
        running = asyncio.create_task(feed.run())
        with feed.watch("somebody") as watcher:
            names = []
            async for event in watcher.events(PATIENCE_S):
                names += [name for name, _ in events_in(event)]
                if "beat" in names:
                    break
        assert names[0] == "whole"
        assert "change" not in names
        running.cancel()
        await asyncio.wait((running,))

    run(story)


def test_more_pages_than_there_may_be_are_turned_away_and_one_that_leaves_makes_room() -> None:
    agent, clock, counters = unit(), clock_at(), Counters()

    async def story() -> None:
        feed = feed_of(agent, clock, counters)
        async with served(agent, clock) as console, httpx.AsyncClient(base_url=console.http.url) as client:
            open_streams = [console.feed.watch(f"192.0.2.{n}") for n in range(MAX_WATCHERS)]
            for each in open_streams:
                each.__enter__()
            refused = await client.get("/console/events")
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "5"
            assert "as many as there may be" in refused.text
            open_streams[0].__exit__(None, None, None)
            async with client.stream("GET", "/console/events") as stream:
                assert stream.status_code == 200
            for each in open_streams[1:]:
                each.__exit__(None, None, None)
            assert console.counters["watchers.refused"] == 1
        with feed.watch("somebody"):
            assert feed.watchers == 1
        assert feed.watchers == 0

    run(story)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_the_console_is_only_read_and_a_stream_only_by_whoever_reads_it(method: str) -> None:
    agent, clock = unit(), clock_at()

    async def story() -> None:
        async with served(agent, clock) as console, httpx.AsyncClient(base_url=console.http.url) as client:
            assert (await client.request(method, "/console/events")).status_code == 405
            assert (await client.request(method, "/console")).status_code == (200 if method == "HEAD" else 405)
            assert console.counters["watchers.opened"] == 0

    run(story)


def test_one_address_cannot_take_every_place() -> None:
    agent, clock, counters = unit(), clock_at(), Counters()
    feed = feed_of(agent, clock, counters)
    with ExitStack() as stack:
        for _ in range(MAX_WATCHERS_OF_A_CLIENT):
            stack.enter_context(feed.watch("192.0.2.1"))
        with pytest.raises(TransportError, match="open at your address"):
            stack.enter_context(feed.watch("192.0.2.1"))
        stack.enter_context(feed.watch("192.0.2.2"))
        assert feed.watchers == MAX_WATCHERS_OF_A_CLIENT + 1
        assert counters["watchers.refused"] == 1
    assert feed.watchers == 0


def test_a_page_that_nobody_reads_is_let_go_and_holds_up_neither_the_unit_nor_the_page_beside_it() -> None:
    agent, clock = unit(), clock_at()
    tickets = [HashedId8(bytes([number % 256, number // 256] * 4)) for number in range(300)]

    async def story() -> None:
        async with (
            served(agent, clock) as console,
            httpx.AsyncClient(base_url=console.http.url) as client,
            client.stream("GET", "/console/events") as stream,
        ):
            follower, octets = Follower(), stream.aiter_bytes()
            loop = asyncio.get_running_loop()
            address = console.http.sock.getsockname()
            console.http.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)  # so that little fits on the way
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                deaf.setblocking(False)
                await loop.sock_connect(deaf, address)
                await loop.sock_sendall(deaf, b"GET /console/events HTTP/1.1\r\nhost: %b\r\n\r\n" % LOOPBACK)
                spoken = agent.sent.get("spatem", 0)
                steps = 0
                while not console.counters["watchers.let_go"]:
                    drive(agent, clock, 0.1)
                    steps += 1
                    place = displaced(CENTRE, float(steps % 100), 0.0)
                    for ticket in tickets:
                        claim = Claim(source=ClaimSource.MESSAGE, taken_at=trusted_time64(clock.now()), position=place)
                        agent.peers.heard(ticket, StationId(7), MessageId.CAM, clock.now(), claim=claim)
                    console.feed.look()
                    follower.take(await anext(octets))
                assert agent.sent["spatem"] - spoken >= steps, "each at its time, whoever does not read"
                assert console.feed.watchers == 1
                while console.feed.watchers and follower.picture["at_ms"] != clock.now().require_utc() // NS_PER_MS:
                    follower.take(await anext(octets))
                assert len(follower.vehicles) == len(tickets)
                assert console.counters["watchers.let_go"] == 1

    run(story)


def test_a_page_that_closes_is_no_longer_watching() -> None:
    agent, clock = unit(), clock_at()

    async def story() -> None:
        async with served(agent, clock) as console, httpx.AsyncClient(base_url=console.http.url) as client:
            async with client.stream("GET", "/console/events") as stream:
                await anext(stream.aiter_bytes())
                assert console.feed.watchers == 1
            while console.feed.watchers:
                assert (await client.get("/api/status")).status_code == 200

    run(story)


def test_a_watcher_too_slow_for_its_events_is_given_a_whole_picture_instead() -> None:
    agent, clock, counters, speaker = unit(), clock_at(), Counters(), car()

    async def story() -> None:
        feed = feed_of(agent, clock, counters)
        with feed.watch("slow") as slow, feed.watch("quick") as quick:
            follower = Follower()
            for _ in range(MAX_WAITING_EVENTS + 5):
                now = clock.advance(NS_PER_S // 5)
                agent.on_packet(cam(speaker, now), now)
                clock.advance(4 * NS_PER_S)
                feed.look()
                follower.take(await next_of(quick))
            waiting = [await next_of(slow) for _ in range(slow.waiting)]
            names = [name for octets in waiting for name, _ in events_in(octets)]
            assert names[0] == "whole"
            assert len(names) < MAX_WAITING_EVENTS
            assert counters["watchers.behind"] == 1
            while quick.waiting:
                follower.take(await next_of(quick))
            assert Follower(waiting).vehicles == follower.vehicles

    run(story)


async def next_of(watcher: Watcher) -> bytes:
    return await anext(watcher.events(PATIENCE_S))


def test_a_stream_ends_by_itself_and_says_when_to_come_again() -> None:
    agent, clock = unit(), clock_at()

    async def story() -> None:
        feed = feed_of(agent, clock, Counters())
        stream = next(route for route in console_routes(feed, stream_s=0.05) if route.path == "/console/events")  # type: ignore[attr-defined]
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/console/events", "headers": [], "query_string": b""}
        await stream.app(scope, receive, send)  # type: ignore[attr-defined]
        bodies = b"".join(message.get("body", b"") for message in sent)  # type: ignore[misc]
        assert bodies.startswith(b"retry: 100\n\n")
        assert events_in(bodies)[0][0] == "whole"
        assert sent[-1]["more_body"] is False
        assert feed.watchers == 0

    run(story)


def test_a_unit_that_stops_ends_the_streams_of_its_pages_at_once() -> None:
    agent, clock = unit(), clock_at()

    async def story() -> None:
        async with httpx.AsyncClient() as client, AsyncExitStack() as stack:
            console = await stack.enter_async_context(served(agent, clock))
            async with client.stream("GET", f"{console.http.url}/console/events") as stream:
                octets = stream.aiter_bytes()
                await anext(octets)
                stopping = asyncio.create_task(stack.aclose())
                told = [each async for each in octets]
                await stopping
        assert console.feed.watchers == 0
        assert len(told) < MAX_WAITING_EVENTS

    run(story)


def test_what_is_refused_while_nobody_watches_is_dated_when_it_happened() -> None:
    agent, clock = unit(), clock_at()

    async def story() -> None:
        feed = feed_of(agent, clock, Counters())
        agent.on_packet(b"noise", clock.now())
        feed.count()
        happened = clock.now()
        clock.advance(600 * NS_PER_S)
        with feed.watch("somebody") as watcher:
            follower = Follower([await next_of(watcher)])
        assert follower.picture["refusals"][0]["reason"] == "malformed"
        assert follower.picture["refusals"][0]["last_ms"] == happened.require_utc() // 1_000_000

    run(story)


@pytest.mark.parametrize("host", ["evil.example", "rsu.example.evil.example", ""])
def test_a_page_of_another_site_that_calls_the_unit_by_its_own_name_sees_nothing(host: str) -> None:
    agent, clock = unit(), clock_at()

    async def story() -> None:
        async with served(agent, clock) as console, httpx.AsyncClient(base_url=console.http.url) as client:
            answer = await client.get("/console/events", headers={"host": host})
            assert answer.status_code in {400, 421}
            assert console.feed.watchers == 0

    run(story)
