"""The unit over HTTP: anybody who reaches it may look, and only who has the token may order. A real server and a real client."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rsu_agent.config import RsuConfig
from rsu_agent.console.http_app import Door, is_named
from rsu_agent.console.http_config import HttpConfig
from rsu_agent.console.http_door import OpenHttp, open_http
from rsu_agent.console.operator_token import Claim, OperatorToken, read_operator_token
from shared.core.clock import NS_PER_S, ManualClock
from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.core.itstime import utc_from_text
from shared.service.command_socket import MAX_ORDER_OCTETS, Order
from shared.service.config import load
from shared.service.log import make_logger
from tests.helpers.broker import TlsAuthority

NOON = utc_from_text("2026-11-22T12:00:00Z")
TOKEN = "0123456789abcdef0123456789abcdef"
RIGHT = {"authorization": f"Bearer {TOKEN}"}
ORDER = {"order": "withdraw_hazard", "id": "h1"}


class Unit:
    """What stands behind the interface here: it takes note of orders, and refuses some."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.said = io.StringIO()
        self.clock = ManualClock(NOON)

    async def obey(self, order: Order) -> Mapping[str, object]:
        self.orders.append(order)
        if order.get("id") == "unknown":
            raise StorageError("h", "there is no such hazard")
        if "order" not in order:
            raise ConfigError("order", "missing")
        if order.get("id") == "bug":
            raise RuntimeError("the operator must not read this")
        return {"withdrawn": {"id": order["id"]}}


def token_file(folder: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    path = folder / "operator.token"
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(mode)
    return path


@asynccontextmanager
async def serving(
    unit: Unit, config: HttpConfig, pages: Callable[[Door], list[Route]] | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, OpenHttp]]:
    log = make_logger(unit.said, as_json=True)
    more = {} if pages is None else {"pages": pages}
    with open_http(
        config,
        status=lambda: {"station_id": 4049},
        obey=unit.obey,
        clock=unit.clock,
        log=log,
        environment={},
        **more,
    ) as http:
        running = asyncio.create_task(http.run())
        verify: ssl.SSLContext | bool = False
        if config.certificate is not None:
            verify = ssl.create_default_context(cafile=str(config.certificate.parent / "authority.pem"))
        async with httpx.AsyncClient(base_url=http.url, verify=verify, timeout=20) as client:
            yield client, http
        running.cancel()
        await asyncio.wait((running,))


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(60):
            await scene()

    asyncio.run(guarded())


def plain(tmp_path: Path, *, is_open: bool = True) -> HttpConfig:
    return HttpConfig(listen="127.0.0.1:0", token=token_file(tmp_path) if is_open else None, names=("rsu.example",))


def test_the_state_is_shown_to_whoever_asks_and_no_other_site_can_read_or_frame_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(Unit(), plain(tmp_path)) as (client, http):
            answer = await client.get("/api/status")
            assert (answer.status_code, answer.json()) == (200, {"station_id": 4049})
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in answer.headers
            assert TOKEN not in json.dumps(http.status())

    run(scene)


def test_an_order_with_the_token_is_carried_out(tmp_path: Path) -> None:
    async def scene() -> None:
        unit = Unit()
        async with serving(unit, plain(tmp_path)) as (client, http):
            answer = await client.post("/api/orders", json=ORDER, headers=RIGHT)
            assert (answer.status_code, answer.json()) == (200, {"done": {"withdrawn": {"id": "h1"}}})
            assert unit.orders == [ORDER]
            assert http.takes_orders
            assert http.counters["token.right"] == 1

    run(scene)


@pytest.mark.parametrize(
    ("header", "claim"),
    [
        (None, "absent"),
        ("", "wrong"),
        ("Bearer", "wrong"),
        (f"Bearer {TOKEN[:-1]}", "wrong"),
        (f"Bearer {TOKEN}0", "wrong"),
        (f"Bearer {TOKEN.upper()}", "wrong"),
        (f"Basic {TOKEN}", "wrong"),
        (TOKEN, "wrong"),
    ],
)
def test_an_order_with_a_wrong_token_or_none_is_refused_counted_and_never_read(
    tmp_path: Path, header: str | None, claim: str
) -> None:
    async def scene() -> None:
        unit = Unit()
        async with serving(unit, plain(tmp_path)) as (client, http):
            headers = {} if header is None else {"authorization": header}
            answer = await client.post("/api/orders", json=ORDER, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["refused"] == ("the operator's token is needed" if claim == "absent" else "the token is wrong")
            assert unit.orders == []
            assert http.counters[f"token.{claim}"] == 1
            assert http.counters["/api/orders 401"] == 1
        assert ("wrong_token" in unit.said.getvalue()) is (claim == "wrong")
        assert TOKEN[:8] not in unit.said.getvalue()

    run(scene)


def test_whoever_guesses_on_is_slowed_down_logged_once_a_minute_and_does_not_shut_the_operator_out(tmp_path: Path) -> None:
    async def scene() -> None:
        unit = Unit()
        async with serving(unit, plain(tmp_path)) as (client, http):
            wrong = [
                (await client.post("/api/orders", json=ORDER, headers={"authorization": f"Bearer guess{n}"})).status_code
                for n in range(8)
            ]
            assert wrong == [401] * 5 + [429] * 3
            assert (await client.post("/api/orders", json=ORDER, headers=RIGHT)).status_code == 200
            assert unit.said.getvalue().count("wrong_token") == 1
            unit.clock.advance(61 * NS_PER_S)
            await client.post("/api/orders", json=ORDER, headers={"authorization": "Bearer again"})
            lines = [json.loads(line) for line in unit.said.getvalue().splitlines()]
            assert [(line["client"], line["times"]) for line in lines] == [("127.0.0.1", 1), ("127.0.0.1", 9)]
            assert http.counters["token.wrong"] == 9

    run(scene)


def test_a_unit_without_a_token_takes_no_orders_whatever_is_said(tmp_path: Path) -> None:
    async def scene() -> None:
        unit = Unit()
        async with serving(unit, plain(tmp_path, is_open=False)) as (client, http):
            answer = await client.post("/api/orders", json=ORDER, headers=RIGHT)
            assert answer.status_code == 403
            assert "names no http.token" in answer.json()["refused"]
            assert (unit.orders, http.takes_orders) == ([], False)

    run(scene)


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({"json": {"order": "withdraw_hazard", "id": "unknown"}}, 409, "no such hazard"),
        ({"json": {}}, 422, "order: missing"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "no JSON object"),
        ({"content": b"[1]", "headers": {"content-type": "application/json"}}, 422, "no JSON object"),
        ({"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}, 422, "no JSON object"),
        ({"content": b"order=negate"}, 415, "application/json"),
        ({"json": {"order": "x" * MAX_ORDER_OCTETS}}, 413, f"at most {MAX_ORDER_OCTETS}"),
        ({"json": {"order": "withdraw_hazard", "id": "bug"}}, 500, "this unit failed"),
    ],
)
def test_what_is_no_order_is_refused_in_words_and_a_failure_of_ours_without_them(
    tmp_path: Path, sent: dict[str, object], status: int, words: str
) -> None:
    async def scene() -> None:
        unit = Unit()
        async with serving(unit, plain(tmp_path)) as (client, _):
            headers = {**RIGHT, **dict(sent.pop("headers", {}))}  # type: ignore[call-overload]  # a mapping
            answer = await client.post("/api/orders", headers=headers, **sent)  # type: ignore[arg-type]  # as httpx takes them
            assert answer.status_code == status
            assert words in answer.json()["refused"]
            assert "must not read" not in answer.text

    run(scene)


def test_an_order_that_does_not_end_is_cut_at_its_bound(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1_024

    async def scene() -> None:
        async with serving(Unit(), plain(tmp_path)) as (client, http):
            headers = {**RIGHT, "content-type": "application/json"}
            try:
                answer = await client.post("/api/orders", headers=headers, content=endless())
                assert answer.status_code == 413
            except httpx.TransportError:
                pass  # cut while it was still sending
            assert http.counters["/api/orders 413"] == 1

    run(scene)


def test_a_page_of_another_site_can_neither_order_by_a_cookie_nor_ask_under_its_own_name(tmp_path: Path) -> None:
    async def scene() -> None:
        unit = Unit()
        async with serving(unit, plain(tmp_path)) as (client, _):
            assert (await client.get("/api/status", headers={"host": "evil.example"})).status_code == 421
            assert (await client.get("/api/status", headers={"host": "rsu.example:8480"})).status_code == 200
            answer = await client.post(
                "/api/orders", json=ORDER, headers={"cookie": f"token={TOKEN}", "origin": "https://evil.example"}
            )
            assert answer.status_code == 401
            preflight = await client.options("/api/orders", headers={"origin": "https://evil.example"})
            assert preflight.status_code == 405
            assert unit.orders == []

    run(scene)


def test_further_pages_stand_behind_the_same_gate(tmp_path: Path) -> None:
    def pages(door: Door) -> list[Route]:
        async def page(_request: Request) -> Response:
            return Response(
                "<title>a page</title>", media_type="text/html", headers={"content-security-policy": "default-src 'self'"}
            )

        async def act(request: Request) -> Response:
            door.check(request)
            return Response("done")

        return [Route("/", page), Route("/act", act, methods=["POST"])]

    async def scene() -> None:
        async with serving(Unit(), plain(tmp_path), pages) as (client, http):
            answer = await client.get("/")
            assert (answer.status_code, answer.headers["content-security-policy"]) == (200, "default-src 'self'")
            assert (await client.get("/", headers={"host": "evil.example"})).status_code == 421
            assert (await client.post("/act")).status_code == 401
            assert (await client.post("/act", headers=RIGHT)).text == "done"
            assert (await client.get("/nothing")).status_code == 404
            assert http.counters["/ 200"] == 1

    run(scene)


def test_too_many_requests_of_one_client_are_refused_for_a_moment(tmp_path: Path) -> None:
    async def scene() -> None:
        unit = Unit()
        async with serving(unit, plain(tmp_path)) as (client, _):
            statuses = [(await client.get("/api/status")).status_code for _ in range(85)]
            assert statuses == [200] * 80 + [429] * 5
            unit.clock.advance(NS_PER_S)
            assert (await client.get("/api/status")).status_code == 200

    run(scene)


def test_over_tls_the_operator_is_served_and_who_speaks_in_the_clear_is_not(tmp_path: Path) -> None:
    certificate, key = TlsAuthority(tmp_path).issue("rsu")
    config = HttpConfig(listen="127.0.0.1:0", token=token_file(tmp_path), certificate=certificate, key=key)

    async def scene() -> None:
        unit = Unit()
        async with serving(unit, config) as (client, http):
            assert http.url.startswith("https://127.0.0.1:")
            assert (await client.post("/api/orders", json=ORDER, headers=RIGHT)).status_code == 200
            async with httpx.AsyncClient(base_url=http.url.replace("https", "http"), timeout=20) as in_the_clear:
                with pytest.raises(httpx.TransportError):
                    await in_the_clear.post("/api/orders", json=ORDER, headers=RIGHT)
            assert len(unit.orders) == 1
            assert http.counters["handshakes.failed"] == 1
            stranger = httpx.AsyncClient(base_url=http.url, verify=ssl.create_default_context(), timeout=20)
            async with stranger:
                with pytest.raises(httpx.ConnectError):
                    await stranger.get("/api/status")

    run(scene)


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        (TOKEN, 0o640, "open to others"),
        ("short", 0o600, "can be guessed"),
        ("", 0o600, "0 characters"),
        ("a token with spaces in it, which no header has", 0o600, "no bearer token has"),
        ("x" * 5_000, 0o600, "more than"),
    ],
)
def test_a_token_file_that_protects_nothing_is_refused(tmp_path: Path, text: str, mode: int, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_operator_token(token_file(tmp_path, text, mode), environment={})


def test_systemd_may_pass_the_token(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    token_file(credentials, "f" * 32 + "\n", 0o440)
    token = read_operator_token(tmp_path / "absent", environment={"CREDENTIALS_DIRECTORY": str(credentials)})
    assert token.judge(f"Bearer {'f' * 32}") is Claim.OPERATOR
    assert token.judge(f"bearer {'f' * 32}") is Claim.OPERATOR
    assert token.judge(f"Bearer {'e' * 32}") is Claim.WRONG
    assert "f" * 32 not in repr(token)


@pytest.mark.parametrize("token", ["", "a" * 23, "ä" * 32])
def test_what_can_be_guessed_or_said_in_no_header_is_no_token(token: str) -> None:
    with pytest.raises(DecodeError):
        OperatorToken(token)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('listen = "127.0.0.1"', "is no address with a port"),
        ('listen = "127.0.0.1:70000"', "is no address with a port"),
        ('listen = "0.0.0.0:8480"\ntoken = "t"', "over TLS only"),
        ('listen = "127.0.0.1:8480"\nkey = "k"', "certificate and key belong together"),
        ('listen = "127.0.0.1:8480"\nnames = ["a b"]', "names"),
        ('listen = "127.0.0.1:8480"\ncors = true', "unknown key"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(tmp_path: Path, table: str, reason: str) -> None:
    file = tmp_path / "rsu.toml"
    file.write_text(
        f"""
        station = {{ station_id = 4049, lat_deg = 48.137, lon_deg = 11.575 }}
        identity = {{ ticket = "ticket", trust = "trust" }}
        time = {{ source = "synchronised" }}
        state = {{ status_socket = "status.sock" }}
        [http]
        {table}
        """
    )
    with pytest.raises(ConfigError, match=reason):
        load(file, RsuConfig)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8480", True),
        ("[::1]:8480", True),
        ("localhost", True),
        ("RSU.example:1", True),
        ("rsu.example.evil", False),
        ("", False),
        ("[::1", False),
        ("[::1]evil", False),
        ("evil.example:127", False),
    ],
)
def test_only_addresses_and_our_own_names_are_answered(host: str, ours: bool) -> None:  # noqa: FBT001 - a row of a table
    assert is_named(host, frozenset({"localhost", "rsu.example"})) is ours
