import asyncio
import socket
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from shared.core.errors import TransportError
from shared.service.status_socket import MAX_STATUS_OCTETS, ROWS_PER_TURN, StatusSocket, read_status


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(guarded_scene())


def test_each_client_gets_the_status_of_its_moment(tmp_path: Path) -> None:
    path = tmp_path / "status"
    asked: list[int] = []

    def snapshot() -> dict[str, object]:
        asked.append(1)
        return {"asked": len(asked), "rejected": {"replay": 2}, "trusted_time": None}

    async def scene() -> None:
        async with StatusSocket(path, snapshot):
            for number in (1, 2):
                status = await asyncio.to_thread(read_status, path)
                assert status == {"asked": number, "rejected": {"replay": 2}, "trusted_time": None}

    run(scene)


def test_of_a_long_list_a_few_rows_are_made_at_a_time_and_others_have_their_turns(tmp_path: Path) -> None:
    path = tmp_path / "status"
    turns: list[int] = []

    async def scene() -> None:
        async with StatusSocket(path, lambda: {"rows": (len(turns) for _ in range(4 * ROWS_PER_TURN)), "none": iter(())}):
            asking = asyncio.create_task(asyncio.to_thread(read_status, path))
            while not asking.done():
                turns.append(1)
                await asyncio.sleep(0)
            status = asking.result()
        rows = status["rows"]
        assert isinstance(rows, list)
        assert status == {"rows": rows, "none": []}
        assert [rows.count(turn) for turn in sorted(set(rows))] == [ROWS_PER_TURN] * 4

    run(scene)


def test_the_socket_is_for_the_group_and_goes_with_the_agent(tmp_path: Path) -> None:
    path = tmp_path / "status"

    def names() -> list[str]:
        return [p.name for p in tmp_path.iterdir()]

    async def scene() -> None:
        async with StatusSocket(path, dict):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert names() == ["status"]
        assert names() == []

    run(scene)


def test_a_socket_left_by_a_dead_agent_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "status"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def scene() -> None:
        async with StatusSocket(path, lambda: {"alive": True}):
            assert await asyncio.to_thread(read_status, path) == {"alive": True}

    run(scene)


def test_the_socket_of_a_living_agent_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "status"

    async def scene() -> None:
        async with StatusSocket(path, lambda: {"agent": "first"}):
            with pytest.raises(TransportError, match="another agent is running here"):
                await StatusSocket(path, dict).__aenter__()
            assert await asyncio.to_thread(read_status, path) == {"agent": "first"}

    run(scene)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_text("precious")

    async def scene() -> None:
        with pytest.raises(TransportError, match="exists and is no socket"):
            await StatusSocket(path, dict).__aenter__()

    run(scene)
    assert path.read_text() == "precious"


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(TransportError, match="cannot be opened: No such file"):
            await StatusSocket(tmp_path / "absent" / "status", dict).__aenter__()

    run(scene)


def test_a_client_that_leaves_at_once_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "status"

    async def scene() -> None:
        async with StatusSocket(path, lambda: {"bulk": "x" * 500_000}):
            for _ in range(3):
                _reader, writer = await asyncio.open_unix_connection(path)
                writer.close()
                await writer.wait_closed()
            assert len(str((await asyncio.to_thread(read_status, path))["bulk"])) == 500_000

    run(scene)


def test_a_client_that_never_reads_is_dropped_and_keeps_nothing_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "status"
    asked = asyncio.Event()
    words = "x" * 240_000

    def snapshot() -> dict[str, object]:
        asked.set()
        return {"words": words}

    async def scene() -> None:
        async with StatusSocket(path, snapshot, write_timeout_s=0.05):
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                client.connect(str(path))
                await asked.wait()
                await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
                received = bytearray()
                while part := await asyncio.get_running_loop().sock_recv(client, 65_536):
                    received += part
        assert len(received) < len(words)

    run(scene)


def test_asking_where_nobody_listens_says_so(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="no agent is running here"):
        read_status(tmp_path / "absent")
    path = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(TransportError, match="no agent is running here"):
        read_status(path)


def test_an_agent_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "hung"
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(path))
        hung.listen()
        with pytest.raises(TransportError, match=r"no answer within 0\.01 s"):
            read_status(path, timeout_s=0.01)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "no status"),
        (b'{"cut": ', "no status"),
        (b"[1]", "no status"),
        (b"\xff", "no status"),
        (b"x" * (MAX_STATUS_OCTETS + 1), "exceeds"),
    ],
)
def test_an_answer_that_is_no_status_is_a_typed_error(tmp_path: Path, answer: bytes, reason: str) -> None:
    path = tmp_path / "strange"

    async def scene() -> None:
        async def reply(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(reply, path):
            with pytest.raises(TransportError, match=reason):
                await asyncio.to_thread(read_status, path)

    run(scene)
