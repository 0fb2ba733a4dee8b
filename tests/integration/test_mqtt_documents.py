"""Documents that wait for a broker that is away: bounded, and what matters rather than what does not."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

from shared.service.log import make_logger
from shared.service.mqtt_documents import MAX_DOCUMENT_OCTETS, MAX_PENDING, Document, MqttDocuments
from shared.transport.mqtt_broker import Broker
from tests.helpers.broker import MosquittoBroker


def link_to(port: int, hear: Callable[[str, bytes], None] | None = None, *, filters: tuple[str, ...] = ()) -> MqttDocuments:
    return MqttDocuments(
        Broker(host="127.0.0.1", port=port, tls=None),
        filters=filters,
        hear=hear or (lambda _topic, _octets: None),
        client_name="test",
        log=make_logger(io.StringIO(), as_json=True),
        lot=SystemRandom(),
        retry_first_s=0.01,
    )


def document(text: str, *, matters: bool = True) -> Document:
    return Document(topic="a/b", octets=text.encode(), expiry_s=600, matters=matters)


def test_who_tells_never_waits_and_what_has_no_room_is_counted() -> None:
    async def scene() -> None:
        link = link_to(1)
        for number in range(MAX_PENDING + 10):
            assert link.tell(document(str(number)))
        assert link.status()["lost"] == 10

    asyncio.run(scene())


def test_what_is_too_large_for_any_broker_is_refused_at_once() -> None:
    async def scene() -> None:
        link = link_to(1)
        assert link.tell(document("x" * MAX_DOCUMENT_OCTETS))
        assert not link.tell(document("x" * (MAX_DOCUMENT_OCTETS + 1)))
        assert link.status()["too_large"] == 1

    asyncio.run(scene())


def test_what_matters_outlasts_what_does_not_whichever_came_first(tmp_path: Path) -> None:
    async def scene() -> None:
        heard: list[bytes] = []
        early = link_to(broker.port)
        early.tell(document("traffic of before", matters=False))
        for number in range(MAX_PENDING):
            early.tell(document(f"warning {number}"))
        early.tell(document("traffic of after", matters=False))
        late = link_to(broker.port, lambda _topic, octets: heard.append(octets), filters=("a/#",))
        async with asyncio.timeout(30):
            listening = asyncio.create_task(late.run())
            while not late.is_connected:  # noqa: ASYNC110 - the broker is another process
                await asyncio.sleep(0.001)
            telling = asyncio.create_task(early.run())
            while len(heard) < MAX_PENDING:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.001)
            for task in (listening, telling):
                task.cancel()
            await asyncio.wait((listening, telling))
        assert heard == [f"warning {number}".encode() for number in range(MAX_PENDING)]
        assert early.status()["lost"] == 2

    with MosquittoBroker(tmp_path) as broker:
        asyncio.run(scene())
