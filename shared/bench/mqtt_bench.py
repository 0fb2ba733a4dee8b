"""The radio by way of a broker beside a plain aiomqtt loop: the same payload, topic and broker, in the same rounds.

The broker is a mosquitto found on this machine, private and on loopback; both sides publish and hear in one event loop. The plain
loop publishes one message after another, as aiomqtt's own examples do, while another task reads. The radio does what a radio must
besides: reads what a packet is, bounds and dates it, keeps it until the broker has it.
"""

import asyncio
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import aiomqtt

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.rounds import PASSING_TIME, Side, Work, measure_rates
from shared.bench.statistics import percentile
from shared.bench.traffic import NOON, PLACE, Hierarchy, say_cam
from shared.core.clock import ManualClock
from shared.transport.mqtt_broker import Broker
from shared.transport.mqtt_radio import Habits, MqttRadio
from shared.transport.mqtt_topics import IN_QUEUE, TopicGrammar

MAX_UNDER_WAY = 200
"""Packets sent and not heard at one time: a broker's queue is not what is measured."""

LATENCY_GAP_S = 0.002
"""Seconds between packets whose way is timed: five hundred a second."""

LATENCY_PACKETS = 300
"""Packets timed in one round."""

LATENCY_ROUNDS = 5

_MAC = bytes.fromhex("020000000001")
_SYSTEM_PATHS = "/usr/sbin:/sbin"
_LOOPBACK = "127.0.0.1"
_NS_PER_MS = 1e6


class _Scene:
    """A broker's clients in one event loop: two radios and two plain clients for each quality of service."""

    def __init__(self, runner: asyncio.Runner, port: int) -> None:
        self._runner = runner
        self._port = port
        self._clock = ManualClock(NOON)
        self._packet = say_cam(Hierarchy().station(1), self._clock.now())
        self._topic = TopicGrammar(namespace="plain").publication("cam", _MAC, PLACE)
        self._radios: dict[int, tuple[MqttRadio, MqttRadio]] = {}
        self._plain: dict[int, tuple[aiomqtt.Client, aiomqtt.Client]] = {}

    async def begin(self) -> None:
        """Connect everybody."""
        for qos in (0, 1):
            self._radios[qos] = (self._radio(qos), self._radio(qos))
            for radio in self._radios[qos]:
                radio.attend(PLACE)
                await radio.settled()
            clients = self._plain[qos] = (self._client(), self._client())
            for client in clients:
                await client.__aenter__()
            await clients[1].subscribe(f"{qos}/{self._topic}", qos=qos)

    def _radio(self, qos: int) -> MqttRadio:
        return MqttRadio(
            Broker(host=_LOOPBACK, port=self._port, tls=None),
            clock=self._clock,
            habits=Habits(
                grammar=TopicGrammar(namespace=f"bench{qos}", publish_queue=IN_QUEUE, listen_queue=IN_QUEUE),
                qos_of={"cam": qos},
            ),
            entropy=secrets.token_bytes,
            random=Random(qos),  # noqa: S311 - jitter
        )

    def _client(self) -> aiomqtt.Client:
        return aiomqtt.Client(_LOOPBACK, self._port, protocol=aiomqtt.ProtocolVersion.V5)

    async def end(self) -> None:
        """Let everybody go."""
        for radios in self._radios.values():
            for radio in radios:
                radio.close()
        for clients in self._plain.values():
            for client in clients:
                await client.__aexit__(None, None, None)

    def by_radio(self, qos: int) -> Side:
        """Send and hear by radio."""
        sender, hearer = self._radios[qos]

        async def scene(calls: int) -> None:
            before = hearer.counts.received
            hearing = asyncio.create_task(_hear(hearer, calls))
            for sent in range(calls):
                await sender.send(self._packet, source_mac=_MAC)
                while sent - (hearer.counts.received - before) >= MAX_UNDER_WAY:  # noqa: ASYNC110 - a turn of the loop
                    await asyncio.sleep(0)
            await hearing

        return Side(lambda calls: self._work(lambda: scene(calls)))

    def plainly(self, qos: int) -> Side:
        """Publish and hear by aiomqtt alone."""
        publisher, subscriber = self._plain[qos]
        topic = f"{qos}/{self._topic}"

        async def hear(calls: int) -> None:
            messages = subscriber.messages
            for _ in range(calls):
                await anext(messages)

        async def scene(calls: int) -> None:
            hearing = asyncio.create_task(hear(calls))
            for _ in range(calls):
                await publisher.publish(topic, self._packet, qos=qos)
            await hearing

        return Side(lambda calls: self._work(lambda: scene(calls)))

    def latencies_ms(self, qos: int, packets: int) -> list[float]:
        """Return how long each of that many packets took from `send` to `receive`."""
        sender, hearer = self._radios[qos]

        async def scene() -> list[float]:
            times = []
            for _ in range(packets):
                began = perf_counter_ns()
                await sender.send(self._packet, source_mac=_MAC)
                await hearer.receive()
                times.append((perf_counter_ns() - began) / _NS_PER_MS)
                await asyncio.sleep(LATENCY_GAP_S)
            return times

        return self._runner.run(scene())

    def _work(self, scene: Callable[[], Coroutine[object, object, None]]) -> Work:
        return lambda: self._runner.run(scene())


async def _hear(radio: MqttRadio, packets: int) -> None:
    for _ in range(packets):
        await radio.receive()


def mqtt(effort: Effort) -> Iterable[Figure]:
    """Send packets through a broker and hear them, beside a plain client."""
    with private_broker() as port:
        if port is None:
            sys.stderr.write("mqtt: not measured, for there is no mosquitto on this machine (apt install mosquitto)\n")
            return
        with asyncio.Runner() as runner:
            scene = _Scene(runner, port)
            runner.run(scene.begin())
            try:
                yield from _rates(scene, effort)
                yield from _latencies(scene, effort)
            finally:
                runner.run(scene.end())


def _rates(scene: _Scene, effort: Effort) -> Iterable[Figure]:
    sides = {}
    for qos in (0, 1):
        sides[f"radio {qos}"] = scene.by_radio(qos)
        sides[f"plain {qos}"] = scene.plainly(qos)
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls, clock=PASSING_TIME)
    for qos in (0, 1):
        yield figure_of(
            f"mqtt.qos{qos}",
            f"publish a signed CAM and hear it through a broker, QoS {qos}",
            Unit.PER_SECOND,
            rates[f"radio {qos}"],
            limit=("a plain aiomqtt loop", rates[f"plain {qos}"]),
            targets=(Target(measure=Measure.MEDIAN_RATIO, bound=0.8),),
        )


def _latencies(scene: _Scene, effort: Effort) -> Iterable[Figure]:
    rounds = min(effort.rounds, LATENCY_ROUNDS)
    packets = min(effort.calls, LATENCY_PACKETS)
    for qos in (0, 1):
        measured = [scene.latencies_ms(qos, packets) for _ in range(rounds)]
        for percent in (50, 99):
            yield figure_of(
                f"mqtt.latency.qos{qos}.p{percent}",
                f"from sending to hearing through a broker, some hundred packets a second, QoS {qos}",
                Unit.MILLISECONDS,
                [percentile(times, percent) for times in measured],
                targets=(Target(measure=Measure.MEDIAN, bound=1.0),) if percent == 50 else (),
            )


@contextmanager
def private_broker() -> Iterator[int | None]:
    """Run a broker and give its port; None where there is none to run."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path=_SYSTEM_PATHS)
    if program is None:
        yield None
        return
    with socket.socket() as probe, TemporaryDirectory() as directory:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        probe.close()
        config = Path(directory) / "mosquitto.conf"
        config.write_text(f"listener {port} {_LOOPBACK}\nallow_anonymous true\nuser root\nlog_dest stderr\nlog_type information\n")
        process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.PIPE)  # noqa: S603 - the system's own broker
        try:
            for line in process.stderr or ():
                if line.rstrip().endswith(b"running"):
                    break
            yield port
        finally:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
