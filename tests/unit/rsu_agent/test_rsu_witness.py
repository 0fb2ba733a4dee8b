"""A roadside unit as a witness: it cosigns forwards only, over a restart too, from a thread of its own."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import pytest

from rsu_agent.listening_config import WitnessConfig
from rsu_agent.witness import RsuWitness, opened_witness
from shared.core.clock import Clock, ManualClock
from shared.core.errors import ConfigError, StorageError
from shared.ledger.note import parse_vkey
from shared.operator.witness_node import KEY_FILE, STORE_FILE
from shared.service.log import make_logger
from shared.transport.bounded_http import BoundedHttp, HttpAnswer
from tests.helpers.hierarchy import clock_at
from tests.helpers.ledger import ORIGIN, log_signer
from tests.helpers.witnesses import OTHER, is_cosigned, note_of, request_of

NAME = "rsu.example/w1"


def config(folder: Path, listen: str = "127.0.0.1:0") -> WitnessConfig:
    logs = folder / "logs"
    logs.write_text(f"{log_signer(ORIGIN).key.text}\n")
    return WitnessConfig(directory=folder / "witness", name=NAME, logs=logs, listen=listen)


Ask = Callable[[str, str, bytes], Awaitable[HttpAnswer]]
Scene = Callable[[RsuWitness, Ask], Awaitable[None]]


def run(settings: WitnessConfig, scene: Scene, *, clock: Clock | None = None, log: io.StringIO | None = None) -> None:
    """Have a witness serve, and a log's keeper talk to it from the unit's own loop."""

    async def whole() -> None:
        logger = make_logger(log or io.StringIO(), as_json=True)
        async with (
            asyncio.timeout(30),
            opened_witness(settings, clock=clock or clock_at(), log=logger) as witness,
            BoundedHttp() as http,
        ):

            async def ask(method: str, path: str, body: bytes) -> HttpAnswer:
                url = f"{witness.status()['url']}{path}"
                return await http.answer(method, url, headers={}, body=body, maximum=1 << 20)

            await scene(witness, ask)

    asyncio.run(whole())


def logs_of(witness: RsuWitness) -> object:
    return witness.status()["logs"]


def test_a_unit_cosigns_what_a_log_shows_and_its_status_tells_how_far(tmp_path: Path) -> None:
    async def scene(witness: RsuWitness, ask: Ask) -> None:
        assert logs_of(witness) == {ORIGIN: None}
        answer = await ask("POST", "/add-checkpoint", request_of(0, 10))
        assert answer.status == 200
        key = parse_vkey(str(witness.status()["witness"]))
        assert key.name == NAME
        assert is_cosigned(note_of(10) + answer.body, key)
        assert logs_of(witness) == {ORIGIN: {"size": 10}}
        kept = await ask("GET", f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint", b"")
        assert is_cosigned(kept.body, key)
        assert witness.status()["fault"] is None

    log = io.StringIO()
    run(config(tmp_path), scene, log=log)
    (line,) = [json.loads(each) for each in log.getvalue().splitlines()]
    assert (line["event"], line["vkey"].split("+")[0]) == ("witnessing", NAME)


def test_it_never_cosigns_backwards_nor_another_history_and_a_restart_changes_nothing_of_that(tmp_path: Path) -> None:
    settings = config(tmp_path)

    async def first(_witness: RsuWitness, ask: Ask) -> None:
        assert (await ask("POST", "/add-checkpoint", request_of(0, 20))).status == 200

    async def second(witness: RsuWitness, ask: Ask) -> None:
        assert logs_of(witness) == {ORIGIN: {"size": 20}}
        backwards = await ask("POST", "/add-checkpoint", request_of(0, 10))
        assert (backwards.status, backwards.body) == (409, b"20\n")
        other = await ask("POST", "/add-checkpoint", request_of(20, 20, OTHER))
        assert other.status != 200
        assert witness.status()["forks"] == 1
        assert (await ask("POST", "/add-checkpoint", request_of(20, 30))).status == 200
        assert logs_of(witness) == {ORIGIN: {"size": 30}}

    run(settings, first)
    run(settings, second)


def test_a_file_put_back_from_a_copy_is_told_of_when_a_log_asks_and_no_second_history_is_cosigned(tmp_path: Path) -> None:
    settings = config(tmp_path)
    file = settings.directory / STORE_FILE

    async def to(ask: Ask, old: int, new: int) -> HttpAnswer:
        return await ask("POST", "/add-checkpoint", request_of(old, new))

    async def first(_witness: RsuWitness, ask: Ask) -> None:
        assert (await to(ask, 0, 10)).status == 200

    async def second(_witness: RsuWitness, ask: Ask) -> None:
        assert (await to(ask, 10, 20)).status == 200

    async def restored(witness: RsuWitness, ask: Ask) -> None:
        answers = [await to(ask, 20, 30) for _ in range(3)]
        assert [(each.status, each.body) for each in answers] == [(409, b"10\n")] * 3
        assert logs_of(witness) == {ORIGIN: {"size": 10}}

    log = io.StringIO()
    run(settings, first)
    copy = file.read_bytes()
    run(settings, second)
    file.write_bytes(copy)
    run(settings, restored, log=log)
    events = [json.loads(each) for each in log.getvalue().splitlines()]
    (ahead,) = [each for each in events if each["event"] == "log_ahead"]
    assert "put back from a copy" in ahead["reason"]


def test_without_a_trusted_clock_it_cosigns_nothing_and_says_so(tmp_path: Path) -> None:
    async def scene(witness: RsuWitness, ask: Ask) -> None:
        assert (await ask("POST", "/add-checkpoint", request_of(0, 10))).status == 503
        assert logs_of(witness) == {ORIGIN: None}
        assert witness.status()["clock"] == "not trusted: nothing is cosigned"

    run(config(tmp_path), scene, clock=ManualClock(None))


async def nothing(_witness: RsuWitness, _ask: Ask) -> None:
    """Only look whether it starts."""


def test_a_key_without_what_it_has_cosigned_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = config(tmp_path)
    run(settings, nothing)
    (settings.directory / STORE_FILE).unlink()
    with pytest.raises(ConfigError, match="could cosign a second history"):
        run(settings, nothing)
    assert (settings.directory / KEY_FILE).exists()


def test_a_damaged_file_of_what_was_cosigned_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    settings = config(tmp_path)
    run(settings, nothing)
    file = settings.directory / STORE_FILE
    damaged = file.read_bytes()[:-5_000]
    file.write_bytes(damaged)
    with pytest.raises(StorageError, match="is cut short"):
        run(settings, nothing)
    assert file.read_bytes() == damaged


def test_two_units_on_one_folder_are_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    settings = config(tmp_path)

    async def scene(_witness: RsuWitness, ask: Ask) -> None:
        with pytest.raises(StorageError, match="a witness has it to itself"):
            async with opened_witness(settings, clock=clock_at(), log=make_logger(io.StringIO())):
                pytest.fail("two witnesses on one folder")
        assert (await ask("POST", "/add-checkpoint", request_of(0, 5))).status == 200

    run(settings, scene)


def test_a_list_that_names_no_log_and_an_address_of_another_machine_are_refused(tmp_path: Path) -> None:
    settings = config(tmp_path, listen="192.0.2.1:0")
    with pytest.raises(ConfigError, match="cannot be listened on"):
        run(settings, nothing)
    settings.logs.write_text("# none yet\n")
    with pytest.raises(ConfigError, match="names no log"):
        run(settings, nothing)


def test_a_name_no_key_can_have_and_an_address_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name"):
        WitnessConfig(directory=tmp_path, name="a+b", logs=tmp_path, listen="127.0.0.1:1")
    with pytest.raises(ValueError, match="'8481' is no address with a port"):
        WitnessConfig(directory=tmp_path, name=NAME, logs=tmp_path, listen="8481")
