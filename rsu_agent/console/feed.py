"""Who watches the console, and when there is something to tell them.

    lights     looked at every `LIGHTS_EVERY_S`, and told at once when they change
    vehicles   ten times a second at most
    the rest   from the unit's status, twice a second
    nobody     watches: the refusals are counted once a second, so that whoever comes knows when they happened

What changed is made into an event once, however many watch. A watcher that reads too slowly is given a whole picture instead of
what it missed, and one that takes nothing at all is let go. Nothing here waits for a watcher: the agent is only looked at, on the
thread and between the steps of its working loop, and what it has to say goes out when it is due.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NoReturn

from rsu_agent.console.view import ConsoleView, Seen
from shared.core.clock import Clock
from shared.core.errors import TransportError
from shared.messages.spatem import MovementPhaseState
from shared.service.counters import Counters

LIGHTS_EVERY_S = 0.025
"""How long a change of the lights may go unseen."""

LOOKS_PER_STATUS = 5
"""Every so many looks the status is made too."""

LOOK_EVERY_S = 0.1
"""How often everything is looked at; what was slept through is left out, and after a look a little late the next is nearer."""

BEAT_AFTER_S = 1.0
"""Without a change for so long, a beat is sent."""

IDLE_S = 1.0
"""How often the refusals are counted while nobody watches."""

MAX_WATCHERS = 16
"""Pages open at one time."""

MAX_WATCHERS_OF_A_CLIENT = 8
"""Of those, pages open from one address: nobody takes every place."""

MAX_WAITING_EVENTS = 20
"""Events that wait for one watcher, two seconds' worth; then a whole picture takes their place."""

MAX_TIMES_BEHIND = 2
"""A watcher that was so often too slow, and took nothing in between, is let go."""


class Watcher:
    """One open page; iterate over its events.

    Args:
        client: whose page it is.
    """

    def __init__(self, client: str) -> None:
        self.client = client
        self._waiting: deque[bytes] = deque()
        self._something = asyncio.Event()
        self._times_behind = 0
        self._is_over = False
        self.needs_whole = True
        self.on_end: Callable[[], None] = _do_nothing

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    @property
    def takes_nothing(self) -> bool:
        """Whether nobody seems to read at the other end."""
        return self._times_behind >= MAX_TIMES_BEHIND

    def give(self, event: bytes) -> bool:
        """Queue an event and return True; where too many wait, drop them all and ask for a whole picture."""
        if len(self._waiting) >= MAX_WAITING_EVENTS:
            self._waiting.clear()
            self._times_behind += 1
            self.needs_whole = True
            return False
        self._waiting.append(event)
        self._something.set()
        return True

    def end(self) -> None:
        """Let `events` come to its end: nothing follows. What waits elsewhere for the page to read is told by `on_end`."""
        self._is_over = True
        self._something.set()
        self.on_end()

    async def events(self, for_s: float) -> AsyncIterator[bytes]:
        """Yield events until `for_s` have passed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + for_s
        while (left_s := end - loop.time()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._something.wait()
            except TimeoutError:
                return
            if self._is_over:
                return
            self._something.clear()
            while self._waiting:
                event = self._waiting.popleft()
                self._times_behind = 0
                if self._waiting:
                    self._something.set()
                yield event


class ConsoleFeed:
    """Looks at a unit for as long as somebody watches.

    Args:
        view: follows the unit.
        see: returns what is looked at often.
        status: returns the unit's status document.
        clock: dates events.
        counters: `watchers.opened`, `watchers.refused`, `watchers.behind`, `watchers.let_go`, `events`.
    """

    def __init__(
        self,
        view: ConsoleView,
        *,
        see: Callable[[], Seen],
        status: Callable[[], Mapping[str, object]],
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._view = view
        self._see = see
        self._status = status
        self._clock = clock
        self._counters = counters
        self._watchers: list[Watcher] = []
        self._somebody = asyncio.Event()

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    @contextmanager
    def watch(self, client: str) -> Iterator[Watcher]:
        """Add a watcher; it leaves on leaving.

        Args:
            client: whose page it is: those of one are counted together.

        Raises:
            TransportError: `MAX_WATCHERS` watch already, or `MAX_WATCHERS_OF_A_CLIENT` of this client.
        """
        if len(self._watchers) >= MAX_WATCHERS:
            self._refuse(f"{MAX_WATCHERS} pages are open, which is as many as there may be")
        if sum(each.client == client for each in self._watchers) >= MAX_WATCHERS_OF_A_CLIENT:
            self._refuse(f"{MAX_WATCHERS_OF_A_CLIENT} pages are open at your address, which is as many as there may be")
        watcher = Watcher(client)
        self._watchers.append(watcher)
        self._counters.add("watchers.opened")
        self._somebody.set()
        self.look()
        try:
            yield watcher
        finally:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

    def look(self) -> None:
        """Look at everything now, and tell what changed."""
        self._look(with_status=True)

    def count(self) -> None:
        """Take note of what was refused."""
        self._view.count(self._see().refused, self._clock.now())

    async def run(self) -> None:
        """Look and tell until cancelled; then every stream ends, so that none keeps the server from stopping."""
        try:
            await self._run()
        finally:
            for watcher in self._watchers:
                watcher.end()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_look_s = last_told_s = loop.time()
        looks = 0
        phases: tuple[MovementPhaseState, ...] = ()
        while True:
            if not self._watchers:
                await self._wait()
                continue
            now_s, seen = loop.time(), self._see()
            shown, is_time = tuple(state.phase for state in seen.states), now_s >= next_look_s
            if is_time or shown != phases:
                phases = shown
                if self._look(with_status=is_time and looks % LOOKS_PER_STATUS == 0, seen=seen):
                    last_told_s = now_s
            if is_time:
                looks += 1
                next_look_s = max(next_look_s + LOOK_EVERY_S, now_s + LOOK_EVERY_S / 2)
            if now_s - last_told_s >= BEAT_AFTER_S:
                self._tell(self._view.beat(self._clock.now()))
                last_told_s = now_s
            await asyncio.sleep(LIGHTS_EVERY_S)

    async def _wait(self) -> None:
        self._somebody.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S):
                await self._somebody.wait()
        self.count()

    def _look(self, *, with_status: bool, seen: Seen | None = None) -> bool:
        """Take a look; return whether there was something to tell."""
        now = self._clock.now()
        event = self._view.look(self._see() if seen is None else seen, now, self._status() if with_status else None)
        if event is not None:
            self._tell(event)
        whole: bytes | None = None
        for watcher in self._watchers:
            if watcher.needs_whole:
                whole = self._view.whole() if whole is None else whole
                watcher.needs_whole = False
                watcher.give(whole)
        return event is not None

    def _tell(self, event: bytes) -> None:
        self._counters.add("events")
        for watcher in tuple(self._watchers):
            if watcher.needs_whole or watcher.give(event):
                continue
            self._counters.add("watchers.behind")
            if watcher.takes_nothing:
                self._counters.add("watchers.let_go")
                self._watchers.remove(watcher)
                watcher.end()

    def _refuse(self, reason: str) -> NoReturn:
        self._counters.add("watchers.refused")
        raise TransportError("console", reason)


def _do_nothing() -> None:
    """Be there for whoever has nothing to do."""
