import asyncio
import gc
import io
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from shared.core.clock import Clock, Instant, ManualClock, MonotonicNs
from shared.core.errors import ConfigError, TransportError
from shared.service.notify import Notifier, Watchdog
from shared.service.run import (
    BATCH_NS,
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    EXIT_OK,
    LEAST_BATCH,
    SWITCH_S,
    BatchSource,
    Service,
    WorkingLoop,
    guarded,
    run_service,
    seconds_until,
    settle_heap,
)
from shared.stack.admission import BATCH_PACKETS
from shared.stack.effects import Effect, Notice, Transmit

NOBODY = Notifier(None)
UNWATCHED = Watchdog(NOBODY, None)


class EchoAgent:
    """Sans-IO: answers every packet, and speaks unasked every `period_ns`."""

    def __init__(self, period_ns: int | None = None) -> None:
        self._period_ns = period_ns
        self._due = None if period_ns is None else MonotonicNs(period_ns)

    def on_packet(self, packet: bytes, now: Instant) -> tuple[Effect, ...]:
        return (Transmit(packet), Notice("heard", {"at": now.monotonic}))

    def on_timer(self, now: Instant) -> tuple[Effect, ...]:
        assert self._period_ns is not None
        self._due = MonotonicNs(now.monotonic + self._period_ns)
        return (Notice("timer", {"at": now.monotonic}),)

    def next_due(self) -> MonotonicNs | None:
        return self._due


class Stage:
    """A working loop with an agent, a clock and a memory of what was performed."""

    def __init__(self, agent: EchoAgent, clock: Clock, watchdog: Watchdog = UNWATCHED, intake: BatchSource | None = None) -> None:
        self.performed: list[Effect] = []
        self._changed = asyncio.Event()
        self.loop = WorkingLoop(agent, clock=clock, perform=self._perform, watchdog=watchdog, intake=intake)

    async def _perform(self, effect: Effect) -> None:
        self.performed.append(effect)
        self._changed.set()

    async def until(self, effects: int) -> None:
        while len(self.performed) < effects:
            self._changed.clear()
            await self._changed.wait()


def outcome(error: BaseException) -> tuple[int, str]:
    async def body(_service: Service) -> None:
        raise error

    errors = io.StringIO()
    return run_service(body, notifier=NOBODY, watchdog=UNWATCHED, errors=errors), errors.getvalue()


def test_inputs_reach_the_agent_in_order_and_its_effects_are_performed() -> None:
    agent, clock = EchoAgent(), ManualClock(None, MonotonicNs(9))

    async def scene() -> None:
        stage = Stage(agent, clock)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(stage.loop.run())
            for packet in (b"one", b"two"):
                await stage.loop.post(partial(agent.on_packet, packet))
            await stage.until(4)
            working.cancel()
        assert stage.performed == [Transmit(b"one"), Notice("heard", {"at": 9}), Transmit(b"two"), Notice("heard", {"at": 9})]

    asyncio.run(scene())


def test_a_due_timer_is_served_between_inputs() -> None:
    agent, clock = EchoAgent(period_ns=100), ManualClock(None)

    async def scene() -> None:
        stage = Stage(agent, clock)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(stage.loop.run())
            clock.advance(100)
            await stage.loop.post(partial(agent.on_packet, b"x"))
            await stage.until(3)
            working.cancel()
        assert stage.performed[-1] == Notice("timer", {"at": 100})

    asyncio.run(scene())


def test_a_timer_alone_wakes_the_loop() -> None:
    agent, clock = EchoAgent(period_ns=1), TickingClock()

    async def scene() -> None:
        stage = Stage(agent, clock)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(stage.loop.run())
            await stage.until(2)
            working.cancel()
        assert [e.kind for e in stage.performed if isinstance(e, Notice)] == ["timer", "timer"]

    asyncio.run(scene())


class Inlet:
    """Batches of packets for an agent, as the intake of a radio gives them."""

    def __init__(self, agent: EchoAgent, batch: int) -> None:
        self.waiting: list[bytes] = []
        self.taken: list[int] = []
        self._agent = agent
        self._batch = batch

    @property
    def is_empty(self) -> bool:
        return not self.waiting

    def take(self, now: Instant, most: int) -> tuple[Effect, ...]:
        assert most >= self._batch
        batch, self.waiting = self.waiting[: self._batch], self.waiting[self._batch :]
        self.taken.append(len(batch))
        return tuple(effect for packet in batch for effect in self._agent.on_packet(packet, now))


def test_what_is_offered_to_the_intake_wakes_the_loop_and_is_taken_in_batches() -> None:
    agent = EchoAgent()
    inlet = Inlet(agent, 2)

    async def scene() -> None:
        stage = Stage(agent, ManualClock(None), intake=inlet)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(stage.loop.run())
            for _ in range(3):
                await asyncio.sleep(0)
            inlet.waiting += [b"one", b"two", b"three"]
            stage.loop.wake()
            stage.loop.wake()
            await stage.until(6)
            working.cancel()
        assert [effect.packet for effect in stage.performed if isinstance(effect, Transmit)] == [b"one", b"two", b"three"]
        assert inlet.taken == [2, 1]

    asyncio.run(scene())


class SlowInlet(Inlet):
    """Batches that take a while, as long as they say."""

    def __init__(self, agent: EchoAgent, clock: ManualClock) -> None:
        super().__init__(agent, batch=1)
        self.clock, self.took_ns, self.asked = clock, 0, list[int]()

    def take(self, now: Instant, most: int) -> tuple[Effect, ...]:
        self.asked.append(most)
        self.clock.advance(self.took_ns)
        return super().take(now, most)


def test_where_batches_take_long_fewer_packets_are_taken_at_once_until_there_is_time_again() -> None:
    agent, clock = EchoAgent(), ManualClock(None)
    inlet = SlowInlet(agent, clock)

    async def taken(stage: Stage, batches: int, took_ns: int) -> list[int]:
        inlet.took_ns = took_ns
        inlet.asked.clear()
        inlet.waiting += [b"a"] * batches
        stage.loop.wake()
        await stage.until(len(stage.performed) + 2 * batches)
        return list(inlet.asked)

    async def scene() -> None:
        stage = Stage(agent, clock, intake=inlet)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(stage.loop.run())
            assert await taken(stage, 2, BATCH_NS // 2) == [BATCH_PACKETS] * 2
            slow = await taken(stage, 12, BATCH_NS + 1)
            assert slow[:3] == [BATCH_PACKETS, 24, 18]
            assert slow[-1] == LEAST_BATCH
            assert await taken(stage, 2, BATCH_NS) == [LEAST_BATCH] * 2
            quick = await taken(stage, BATCH_PACKETS, 0)
            assert quick[:2] == [LEAST_BATCH, LEAST_BATCH + 1]
            assert quick[-1] == BATCH_PACKETS
            working.cancel()

    asyncio.run(scene())


def test_what_is_due_already_does_not_wait_for_a_batch() -> None:
    agent, clock = EchoAgent(period_ns=100), ManualClock(None)
    inlet = Inlet(agent, 2)

    async def scene() -> None:
        stage = Stage(agent, clock, intake=inlet)
        clock.advance(100)
        inlet.waiting += [b"one", b"two"]
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(stage.loop.run())
            await stage.until(5)
            working.cancel()
        assert stage.performed[0] == Notice("timer", {"at": 100})

    asyncio.run(scene())


def test_between_two_batches_steps_timers_and_other_tasks_have_their_turn() -> None:
    agent, clock = EchoAgent(period_ns=100), ManualClock(None)
    inlet = Inlet(agent, 1)

    async def scene() -> None:
        stage = Stage(agent, clock, intake=inlet)
        inlet.waiting += [b"a"] * 10
        turns: list[int] = []

        async def reader() -> None:
            while inlet.waiting:
                turns.append(len(inlet.waiting))
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(stage.loop.run())
            tasks.create_task(reader())
            await stage.loop.post(partial(agent.on_packet, b"step"))
            clock.advance(100)
            await stage.until(23)
            working.cancel()
        assert len(turns) >= 5
        transmitted = [effect.packet for effect in stage.performed if isinstance(effect, Transmit)]
        assert transmitted.index(b"step") <= 1
        kinds = [effect.kind for effect in stage.performed if isinstance(effect, Notice)]
        assert kinds.index("timer") <= 2

    asyncio.run(scene())


class TickingClock:
    """Moves on by a microsecond each time it is read."""

    def __init__(self) -> None:
        self._clock = ManualClock(None)

    def now(self) -> Instant:
        return self._clock.advance(1_000)


def watched(tmp_path: Path, period_ns: int) -> tuple[socket.socket, Watchdog]:
    address = str(tmp_path / "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.setblocking(False)
    return listener, Watchdog(Notifier(address), period_ns)


def signs_of_life(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            count += listener.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return count


def test_an_idle_loop_comes_round_to_feed_its_watchdog(tmp_path: Path) -> None:
    listener, watchdog = watched(tmp_path, 2_000)

    async def scene() -> None:
        stage = Stage(EchoAgent(), TickingClock(), watchdog)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(stage.loop.run())
            fed = 0
            while fed < 3:
                await asyncio.sleep(0)
                fed += signs_of_life(listener)
            working.cancel()

    asyncio.run(scene())
    listener.close()


def test_when_the_work_hangs_the_watchdog_starves(tmp_path: Path) -> None:
    listener, watchdog = watched(tmp_path, 2_000)

    async def scene() -> None:
        hung = asyncio.Event()

        async def never(_effect: Effect) -> None:
            hung.set()
            await asyncio.Event().wait()

        agent, clock = EchoAgent(), TickingClock()
        loop = WorkingLoop(agent, clock=clock, perform=never, watchdog=watchdog)
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(loop.run())
            await loop.post(partial(agent.on_packet, b"x"))
            await hung.wait()
            signs_of_life(listener)
            for _ in range(200):
                clock.now()
                await asyncio.sleep(0)
            assert signs_of_life(listener) == 0
            working.cancel()

    asyncio.run(scene())
    listener.close()


def test_whoever_posts_waits_while_the_inbox_is_full() -> None:
    agent = EchoAgent()

    async def scene() -> None:
        stage = Stage(agent, ManualClock(None))
        step = partial(agent.on_packet, b"x")
        for _ in range(256):
            await stage.loop.post(step)
        waiting = asyncio.create_task(stage.loop.post(step))
        await asyncio.sleep(0)
        assert not waiting.done()
        working = asyncio.create_task(stage.loop.run())
        await stage.until(2 * 257)
        assert waiting.done()
        working.cancel()

    asyncio.run(scene())


def test_what_was_made_at_the_start_is_not_looked_through_again() -> None:
    before = gc.get_freeze_count()
    try:
        settle_heap()
        assert gc.get_freeze_count() > before
        assert len(gc.get_objects()) < gc.get_freeze_count()
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(("due", "delay_s"), [(None, None), (0, 0.0), (1_000_000_000, 0.0), (1_250_000_000, 0.25)])
def test_a_due_time_becomes_a_delay_that_is_never_negative(due: int | None, delay_s: float | None) -> None:
    assert seconds_until(None if due is None else MonotonicNs(due), MonotonicNs(1_000_000_000)) == delay_s


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    listener, _ = watched(tmp_path, 1)
    trace: list[str] = []

    async def background() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            trace.append("task ended")

    async def body(service: Service) -> None:
        service.tasks.create_task(background())
        service.notifier.ready()
        try:
            await asyncio.sleep(0)
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            trace.append("body ended")

    errors = io.StringIO()
    code = run_service(body, notifier=Notifier(str(tmp_path / "notify")), watchdog=UNWATCHED, errors=errors)
    assert (code, errors.getvalue()) == (EXIT_OK, "")
    assert sorted(trace) == ["body ended", "task ended"]
    assert [listener.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]
    listener.close()


async def forever() -> None:
    await asyncio.Event().wait()


def test_no_thread_of_a_service_keeps_the_interpreter_for_long() -> None:
    before, during = sys.getswitchinterval(), []

    async def body(_service: Service) -> None:
        during.append(sys.getswitchinterval())

    try:
        sys.setswitchinterval(0.005)
        assert run_service(body, notifier=NOBODY, watchdog=UNWATCHED) == EXIT_OK
    finally:
        sys.setswitchinterval(before)
    assert during == [pytest.approx(SWITCH_S)]


def test_a_body_that_returns_takes_its_tasks_with_it() -> None:
    async def body(service: Service) -> None:
        service.tasks.create_task(forever())

    assert run_service(body, notifier=NOBODY, watchdog=UNWATCHED) == EXIT_OK


def test_a_task_that_was_told_to_end_and_missed_it_is_told_again() -> None:
    missed: list[str] = []

    async def hard_of_hearing() -> None:
        while len(missed) < 2:
            try:
                await forever()
            except asyncio.CancelledError:
                missed.append("missed")
        await forever()

    async def body(service: Service) -> None:
        service.tasks.create_task(hard_of_hearing())
        await asyncio.sleep(0)

    assert run_service(body, notifier=NOBODY, watchdog=UNWATCHED, stop_again_s=0.001) == EXIT_OK
    assert missed == ["missed"] * 2


@pytest.mark.parametrize("fails", [True, False])
def test_what_runs_within_a_stack_has_ended_before_what_it_uses_is_closed(*, fails: bool) -> None:
    trace: list[str] = []

    async def works() -> None:
        try:
            await forever()
        finally:
            trace.append("work ended")

    async def body(service: Service) -> None:
        async with AsyncExitStack() as stack:
            stack.callback(trace.append, "closed")
            service.run_within(stack, works())
            await asyncio.sleep(0)
            if fails:
                raise TransportError("status.sock", "another agent is running here")
            os.kill(os.getpid(), signal.SIGTERM)
            await forever()

    errors = io.StringIO()
    code = run_service(body, notifier=NOBODY, watchdog=UNWATCHED, errors=errors)
    assert code == (EXIT_FAILED if fails else EXIT_OK)
    assert trace == ["work ended", "closed"]


def test_a_task_that_fails_ends_the_service_with_its_sentence() -> None:
    async def fails() -> None:
        raise TransportError("can0", "network is down")

    async def body(service: Service) -> None:
        service.tasks.create_task(fails())
        await asyncio.Event().wait()

    errors = io.StringIO()
    assert run_service(body, notifier=NOBODY, watchdog=UNWATCHED, errors=errors) == EXIT_FAILED
    assert errors.getvalue() == "error: can0: network is down\n"


def test_a_configuration_error_has_its_own_exit_code() -> None:
    assert outcome(ConfigError("agent.toml: radio.port", "is missing")) == (
        EXIT_CONFIGURATION,
        "error: agent.toml: radio.port: is missing\n",
    )


def test_a_bug_is_one_line_that_says_where() -> None:
    code, said = outcome(RuntimeError("two\nlines"))
    assert code == EXIT_FAILED
    assert said.startswith("internal error: RuntimeError: two lines (test_run.py:")
    assert said.count("\n") == 1


def test_a_command_without_a_loop_is_guarded_the_same_way() -> None:
    errors = io.StringIO()

    def fails() -> None:
        raise ExceptionGroup("several", [TransportError("log", "refused"), RuntimeError("second")])

    assert guarded(fails, errors=errors) == EXIT_FAILED
    assert errors.getvalue() == "error: log: refused\n"
    assert guarded(lambda: None) == EXIT_OK
