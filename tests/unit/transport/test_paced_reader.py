"""Reading a busy socket at one stroke: at once after a silence, then not for each datagram, and nothing is left behind."""

import asyncio
import socket
from collections.abc import Callable, Coroutine

from shared.transport.paced_reader import PAUSE_S, PacedReader


class HeldLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until a test moves it on."""

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__()

    def time(self) -> float:
        return self.now_s


class Desk:
    """Reads datagrams from one end of a pair, so many at one stroke at most, and notes what came with each."""

    def __init__(self, most: int) -> None:
        self.here, self.there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.here.setblocking(False)
        self.strokes: list[list[bytes]] = []
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
        return True

    def close(self) -> None:
        self.reader.stop()
        self.here.close()
        self.there.close()


def run(scene: Callable[[Desk, HeldLoop], Coroutine[object, object, None]], *, most: int = 100) -> None:
    loop = HeldLoop()

    async def whole() -> None:
        desk = Desk(most)
        try:
            await scene(desk, loop)
        finally:
            desk.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(whole())


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_comes_after_a_silence_is_read_at_once_and_what_follows_it_together() -> None:
    async def scene(desk: Desk, loop: HeldLoop) -> None:
        desk.there.send(b"first")
        await turns(3)
        assert desk.strokes == [[b"first"]]
        for number in range(9):
            desk.there.send(bytes((number,)))
            await turns(3)
        assert len(desk.strokes) == 1
        loop.now_s += PAUSE_S
        await turns(3)
        assert desk.strokes[1:] == [[bytes((number,)) for number in range(9)]]

    run(scene)


def test_more_than_one_stroke_takes_is_read_without_a_pause() -> None:
    async def scene(desk: Desk, _loop: HeldLoop) -> None:
        for number in range(8):
            desk.there.send(bytes((number,)))
        await turns(10)
        assert [len(stroke) for stroke in desk.strokes[:4]] == [2, 2, 2, 2]

    run(scene, most=2)


def test_after_it_stopped_nothing_is_read_even_when_it_stopped_in_a_pause() -> None:
    async def scene(desk: Desk, loop: HeldLoop) -> None:
        desk.there.send(b"first")
        await turns(3)
        desk.reader.stop()
        desk.there.send(b"second")
        loop.now_s += 1_000 * PAUSE_S
        await turns(5)
        assert desk.strokes == [[b"first"]]

    run(scene)
