"""How a program runs: one event loop, one task group, one working loop, and three exit codes.

`run_service` owns the process: it forbids core dumps, installs the signals, opens the task group, and turns every error into one
line and a code. The program's body starts its tasks in the group and returns when it is done, or is cancelled on SIGTERM or
SIGINT; its `async with` and `finally` clean up. `WorkingLoop` drives a sans-IO agent: tasks that wait for input post steps, the
loop carries them out one after another, takes a batch from the radio's intake, keeps the agent's timer, performs the effects, and
feeds the watchdog; nothing else feeds it.

    exit 0 ok | 1 failed | 2 usage or configuration
"""

import asyncio
import gc
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from shared.core.clock import NS_PER_MS, NS_PER_S, Clock, Instant, MonotonicNs
from shared.core.errors import ConfigError, V2xError
from shared.service.hardening import harden_process
from shared.service.notify import Notifier, Watchdog
from shared.stack.admission import BATCH_PACKETS
from shared.stack.effects import Effect

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIGURATION = 2

INBOX_STEPS = 256
"""Steps that wait for the working loop; then whoever posts waits, and drops at its own source."""

STEPS_PER_TURN = 64
"""Steps carried out before the timer and the watchdog get their turn."""

BATCH_NS = 4 * NS_PER_MS
"""What a batch should take at most, for a light that becomes due during it waits for its end: where packets cost more, on a slow or
busy processor, fewer are taken at once, though each then costs more still."""

LEAST_BATCH = 8
"""Taken at once however long it takes: of fewer a second thread checks none."""

SWITCH_S = 0.0005
"""How long a thread keeps the interpreter while another waits for it. The working loop gives it away for every signature, so beside
a thread that computes (evidence, a backup) each signature of a batch waits that long; Python's own 5 ms would make lights late."""

STOP_AGAIN_S = 10.0
"""Whatever has not ended so long after it was told to is told again: more than servers give to requests under way. A library that
waits with `asyncio.wait_for` of Python 3.11 can lose being told, when what it waits for comes at that very moment."""

Step = Callable[[Instant], tuple[Effect, ...]]
"""One input, ready to be given to the agent: `partial(agent.on_packet, packet)`."""

Perform = Callable[[Effect], Awaitable[None]]
"""Carries out one effect; deals itself with a medium that fails."""


class TimedAgent(Protocol):
    """The part of a sans-IO agent that the working loop needs."""

    def next_due(self) -> MonotonicNs | None:
        """Return when `on_timer` wants to be called, or None."""
        ...

    def on_timer(self, now: Instant) -> tuple[Effect, ...]:
        """Do what is due."""
        ...


class BatchSource(Protocol):
    """Where inputs wait that are taken in batches: the intake of a radio (`shared.stack.intake`)."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        ...

    def take(self, now: Instant, most: int) -> tuple[Effect, ...]:
        """Give the agent one batch, of so many inputs at most."""
        ...


def seconds_until(due: MonotonicNs | None, now: MonotonicNs) -> float | None:
    """Return the delay an event loop's timer needs for `due`: 0 when it is past, None when nothing is due."""
    return None if due is None else max(0, due - now) / NS_PER_S


class WorkingLoop:
    """Gives an agent its inputs and its time, one thing after another.

    Args:
        agent: sans-IO; only this loop touches it.
        clock: stamps every step.
        perform: carries out effects.
        watchdog: fed each time the loop comes round.
        intake: asked for one batch each time the loop comes round; None for an agent without one.
    """

    def __init__(
        self,
        agent: TimedAgent,
        *,
        clock: Clock,
        perform: Perform,
        watchdog: Watchdog,
        intake: BatchSource | None = None,
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._perform = perform
        self._watchdog = watchdog
        self._intake = intake
        self._inbox: asyncio.Queue[Step] = asyncio.Queue(INBOX_STEPS)
        self._awake = asyncio.Event()
        self._most = BATCH_PACKETS

    async def post(self, step: Step) -> None:
        """Queue one input; waits while `INBOX_STEPS` are queued."""
        await self._inbox.put(step)
        self._awake.set()

    def wake(self) -> None:
        """Have the loop look at intake and agent: something was offered, or has changed."""
        self._awake.set()

    async def run(self) -> None:
        """Work until cancelled; an error of the agent or of `perform` ends it."""
        intake, due = self._intake, self._agent.next_due()
        while True:
            self._watchdog.feed(self._clock.now().monotonic)
            for step in await self._next_steps(due):
                await self._perform_all(step(self._clock.now()))
            if intake is not None and not intake.is_empty:
                now = self._clock.now()
                if due is not None and due <= now.monotonic:  # what is due already does not wait for a batch
                    await self._perform_all(self._agent.on_timer(now))
                await self._take_batch(intake)
            due = await self._serve_timer()

    async def _take_batch(self, intake: BatchSource) -> None:
        """Give the agent one batch; take fewer at once next time if that took too long, more if there was time left."""
        now = self._clock.now()
        await self._perform_all(intake.take(now, self._most))
        took_ns = self._clock.now().monotonic - now.monotonic
        if took_ns > BATCH_NS:
            self._most = max(LEAST_BATCH, self._most * 3 // 4)
        elif took_ns < BATCH_NS // 2:
            self._most = min(BATCH_PACKETS, self._most + 1)

    async def _serve_timer(self) -> MonotonicNs | None:
        """Do what is due; return when something is due next."""
        due, now = self._agent.next_due(), self._clock.now()
        if due is None or due > now.monotonic:
            return due
        await self._perform_all(self._agent.on_timer(now))
        return self._agent.next_due()

    async def _next_steps(self, due: MonotonicNs | None) -> list[Step]:
        """Return what was posted, once something was, something waits in the intake, or something is due."""
        if self._intake is not None and not self._intake.is_empty:
            await asyncio.sleep(0)  # more waits, and whoever reads the radio must have a turn
        elif self._inbox.empty():
            await self._sleep_until(due)
        steps: list[Step] = []
        while len(steps) < STEPS_PER_TURN and not self._inbox.empty():
            steps.append(self._inbox.get_nowait())
        return steps

    async def _sleep_until(self, due: MonotonicNs | None) -> None:
        """Sleep until woken, until something is due, or until the watchdog wants to be fed."""
        self._awake.clear()
        patience_s = self._patience_s(due)
        alarm = None if patience_s is None else asyncio.get_running_loop().call_later(patience_s, self._awake.set)
        try:
            await self._awake.wait()
        finally:
            if alarm is not None:
                alarm.cancel()

    def _patience_s(self, due: MonotonicNs | None) -> float | None:
        due_s = seconds_until(due, self._clock.now().monotonic)
        feed_ns = self._watchdog.feed_every_ns
        if feed_ns is None:
            return due_s
        feed_s = feed_ns / 2 / NS_PER_S
        return feed_s if due_s is None else min(due_s, feed_s)

    async def _perform_all(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            await self._perform(effect)


def settle_heap() -> None:
    """Keep the garbage collector from what a program made while it started, which lives as long as the program.

    Otherwise it looks through all of it again and again, and each time everything stands still for some 80 ms. Call it once,
    before the working loop.
    """
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class Service:
    """What the body of a service is given.

    Attributes:
        tasks: the one task group; no task lives outside it.
        notifier: the way to systemd; the body says `ready`, `run_service` says `stopping`.
        watchdog: for the `WorkingLoop`.
    """

    tasks: asyncio.TaskGroup
    notifier: Notifier
    watchdog: Watchdog

    def run_within(self, stack: AsyncExitStack, work: Coroutine[object, object, object]) -> None:
        """Run something until `stack` is left: it has ended before anything is let go of that was entered earlier."""
        stack.push_async_callback(_end, self.tasks.create_task(work))


async def _end(task: asyncio.Task[object]) -> None:
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=STOP_AGAIN_S)


Body = Callable[[Service], Coroutine[object, object, None]]


class _Stopped(Exception):  # noqa: N818 - not an error: how the task group is told to end
    """The body returned or a signal came."""


def run_service(
    body: Body,
    *,
    notifier: Notifier,
    watchdog: Watchdog,
    errors: TextIO | None = None,
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT),
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    stop_again_s: float = STOP_AGAIN_S,
) -> int:
    """Run a program to its end.

    Args:
        body: the program; cancelled on a signal.
        notifier: told when the service stops.
        watchdog: handed to the body.
        errors: where the one line about a failure goes; standard error by default.
        signals: what asks the program to stop.
        new_loop: makes the event loop; Python's own by default.
        stop_again_s: after which tasks that have not ended are cancelled again.

    Returns:
        The exit code: `EXIT_OK` also after a signal.
    """

    def run() -> None:
        harden_process()
        sys.setswitchinterval(SWITCH_S)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_supervise(body, notifier, watchdog, signals, stop_again_s))

    return guarded(run, errors=errors)


def guarded(call: Callable[[], object], *, errors: TextIO | None = None) -> int:
    """Call `call` and return an exit code; a failure becomes one line on `errors` (standard error), never a traceback."""
    try:
        call()
    except KeyboardInterrupt:
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever comes ends the program with a sentence
        cause = first_cause(error)
        print(error_line(cause), file=sys.stderr if errors is None else errors)
        return exit_code_of(cause)
    return EXIT_OK


def first_cause(error: BaseException) -> BaseException:
    """Return the first error inside (nested) groups of them, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def exit_code_of(error: BaseException) -> int:
    """Return the exit code an error ends a program with."""
    return EXIT_CONFIGURATION if isinstance(error, ConfigError) else EXIT_FAILED


def error_line(error: BaseException) -> str:
    """Return the one line that tells a person what happened; for a bug, also where in the code."""
    sentence = " ".join(str(error).split())
    if isinstance(error, V2xError):
        return f"error: {sentence}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"internal error: {type(error).__name__}: {sentence}{where}"


async def _supervise(
    body: Body, notifier: Notifier, watchdog: Watchdog, signals: tuple[signal.Signals, ...], stop_again_s: float
) -> None:
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    reminder = _Reminder(stop_again_s)
    for number in signals:
        loop.add_signal_handler(number, asked_to_stop.set)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_stop_when(asked_to_stop))
            try:
                await body(Service(tasks, notifier, watchdog))
            finally:
                reminder.begin()
            tasks.create_task(_stop())
    except* _Stopped:
        pass
    finally:
        reminder.end()
        notifier.stopping()
        for number in signals:
            loop.remove_signal_handler(number)


class _Reminder:
    """Cancels again and again, once the body has ended, what has not ended yet."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._handle: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._supervisor = asyncio.current_task()
        self._handle = asyncio.get_running_loop().call_later(self._every_s, self._remind)

    def end(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _remind(self) -> None:
        for task in asyncio.all_tasks():
            if task is not self._supervisor:
                task.cancel()
        self._handle = asyncio.get_running_loop().call_later(self._every_s, self._remind)


async def _stop_when(asked_to_stop: asyncio.Event) -> None:
    await asked_to_stop.wait()
    await _stop()


async def _stop() -> None:
    raise _Stopped
