"""Reading a busy socket at one stroke: at once after a silence, then not for each datagram, and nothing is left behind."""

import asyncio
import socket
from collections.abc import Callable, Coroutine

from shared.transport.paced_reader import PacedReader

END = b"end"


class Desk:
    """Reads datagrams from one end of a pair, so many at one stroke at most, and notes what came with each."""

    def __init__(self, most: int) -> None:
        self.here, self.there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.here.setblocking(False)
        self.strokes: list[list[bytes]] = []
        self.is_over = asyncio.Event()
        self._most = most
        self.reader = PacedReader(self.here, self._read)

    def _read(self) -> bool:
        stroke: list[bytes] = []
        self.strokes.append(stroke)
        while len(stroke) < self._most:
            try:
                stroke.append(self.here.recv(100))
            except BlockingIOError:
                return False
            if stroke[-1] == END:
                self.is_over.set()
        return True

    def close(self) -> None:
        self.reader.stop()
        self.here.close()
        self.there.close()


def run(scene: Callable[[Desk], Coroutine[object, object, None]], *, most: int = 100) -> list[list[bytes]]:
    async def guarded_scene() -> list[list[bytes]]:
        desk = Desk(most)
        try:
            async with asyncio.timeout(60):
                await scene(desk)
        finally:
            desk.close()
        return desk.strokes

    return asyncio.run(guarded_scene())


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_comes_after_a_silence_is_read_at_once_and_what_follows_it_together() -> None:
    async def scene(desk: Desk) -> None:
        desk.there.send(b"first")
        await turns(3)
        assert desk.strokes == [[b"first"]]
        for number in range(9):
            desk.there.send(bytes((number,)))
            await turns(1)
        desk.there.send(END)
        await desk.is_over.wait()

    strokes = run(scene)
    assert [packet for stroke in strokes for packet in stroke] == [b"first", *(bytes((number,)) for number in range(9)), END]
    assert len(strokes) < 10


def test_more_than_one_stroke_takes_is_read_without_a_pause() -> None:
    async def scene(desk: Desk) -> None:
        for number in range(8):
            desk.there.send(bytes((number,)))
        await turns(10)
        assert [len(stroke) for stroke in desk.strokes] == [2, 2, 2, 2]

    run(scene, most=2)


def test_after_it_stopped_nothing_is_read_even_when_it_stopped_in_a_pause() -> None:
    async def scene(desk: Desk) -> None:
        desk.there.send(b"first")
        await turns(3)
        desk.reader.stop()
        desk.there.send(b"second")
        await asyncio.sleep(0.02)  # ten pauses
        assert desk.strokes == [[b"first"]]

    run(scene)
