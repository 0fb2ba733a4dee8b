"""What `v2x bench` measures of everything at once: from a frame on a car's bus to what another station has verified.

A car looks twenty times a second whether a CAM is due, and ten times whether a DENM is: that is a rhythm, and waiting for it is not
work. So each way is timed twice: with the frame put on the bus `LEAD_NS` before such a look, which leaves the work, and with the
frame at any moment, which is what a road user gets. A frame that comes too late for its look waits for the next, and that counts.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.mqtt_bench import private_broker
from shared.bench.statistics import percentile
from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.geo import GeoPoint
from shared.core.ids import ActionId
from shared.messages.cam import Cam
from shared.messages.denm import Denm
from shared.service.mqtt_config import MqttRadioConfig
from shared.service.radio_config import RadioConfig, UdpRadioConfig
from shared.stack.indication import Indication
from simulator.end_to_end import BRAKES, FIX, Heard, Rhythm, Road, on_the_road
from vehicle_agent.cam_trigger import T_CHECK_CAM_GEN_NS
from vehicle_agent.denm_service import CHECK_INTERVAL_NS
from vehicle_agent.triggers import emergency_braking

LEAD_NS = 2 * NS_PER_MS
"""The frame goes on the bus so long before the look: time to be read and understood."""

PREPARE_NS = 10 * NS_PER_MS
"""So long before it goes on the bus a frame is made."""

CAM_EVERY_NS = 3 * T_CHECK_CAM_GEN_NS
"""Between two CAMs: longer than the shortest interval, so that only the position decides."""

ROUNDS = 3
CAMS = 50
"""CAMs timed in one round, of each kind."""

BRAKINGS = 5
"""Brakings timed in one round, of each kind: the standard lets more than a second pass between two."""

WARM_UP = 8
"""Messages that show the rhythm and are not timed."""

BRAKING_EVERY_NS = emergency_braking.PROFILE.blocking_ms * NS_PER_MS + 2 * CHECK_INTERVAL_NS
"""From the end of one braking to the next: the car has to see the end, and is silent of the next for a while."""

TARGETS_MS: Mapping[int, float] = {50: 5.0, 99: 20.0}
"""What is promised of the work, by percentile; over UDP, for a broker is somebody else's work."""

Rounds = list[list[float]]
"""Milliseconds, round by round."""

_PERCENTS = (50, 99)
_LOOPBACK = "127.0.0.1"


class _Way(Protocol):
    """From a kind of frame to a kind of message."""

    async def warm_up(self) -> None:
        """Let the two meet, and learn when the car looks."""
        ...

    async def time_ms(self, before: Callable[[int], int]) -> float:
        """Return how long one took, with the frame so many nanoseconds before a look as `before` says of their distance."""
        ...


class _Cams:
    """The position in a frame, and the CAM that tells it."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self._rhythm = Rhythm(T_CHECK_CAM_GEN_NS)
        self._last = MonotonicNs(0)

    async def warm_up(self) -> None:
        await self._note(lambda indication: indication.of(Cam) is not None)
        self._road.units.repeated.discard(FIX)
        for _ in range(WARM_UP):
            await self.time_ms(lambda apart_ns: apart_ns // 2)

    async def time_ms(self, before: Callable[[int], int]) -> float:
        road = self._road
        point = road.units.move()
        put = road.units.prepare(FIX)
        earliest = max(self._last + CAM_EVERY_NS - NS_PER_MS, road.clock.now().monotonic + T_CHECK_CAM_GEN_NS)
        look = self._rhythm.next_look(MonotonicNs(earliest))
        await road.until(MonotonicNs(look - before(T_CHECK_CAM_GEN_NS)))
        began = put()
        heard = await self._note(lambda indication: _is_at(indication, point))
        return (heard.at - began) / NS_PER_MS

    async def _note(self, is_it: Callable[[Indication], bool]) -> Heard:
        heard = await self._road.listener.hear(is_it)
        self._rhythm.note(heard.generated)
        self._last = heard.generated
        return heard


class _Brakings:
    """The flag in a frame that says that the car brakes of its own accord, and the DENM that warns of it."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self._rhythm = Rhythm(CHECK_INTERVAL_NS)
        self._told: set[ActionId] = set()
        self._over = MonotonicNs(0)

    async def warm_up(self) -> None:
        self._road.units.repeated.add(FIX)
        for _ in range(WARM_UP // 2):
            await self.time_ms(lambda apart_ns: apart_ns // 2)

    async def time_ms(self, before: Callable[[int], int]) -> float:
        units, clock = self._road.units, self._road.clock
        earliest = max(self._over + BRAKING_EVERY_NS, clock.now().monotonic + 2 * CHECK_INTERVAL_NS)
        moment = self._rhythm.next_look(MonotonicNs(earliest)) - before(CHECK_INTERVAL_NS)
        await self._road.until(MonotonicNs(moment - PREPARE_NS))
        units.repeated.discard(BRAKES)
        units.brake(is_automatic=True)
        put = units.prepare(BRAKES)
        await self._road.until(MonotonicNs(moment))
        began = put()
        units.repeated.add(BRAKES)
        heard = await self._road.listener.hear(self._is_new)
        self._rhythm.note(heard.generated)
        units.brake(is_automatic=False)
        self._over = units.prepare(BRAKES)()
        return (heard.at - began) / NS_PER_MS

    def _is_new(self, indication: Indication) -> bool:
        denm = indication.of(Denm)
        if denm is None or denm.message.action_id in self._told:
            return False
        self._told.add(denm.message.action_id)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One way to be timed.

    Attributes:
        name: of its figures.
        says: what frame and message it is about.
        way: times it.
        per_round: at most so many in one round, of each kind.
    """

    name: str
    says: str
    way: Callable[[Road], _Way]
    per_round: int


_KINDS = (
    _Kind(name="cam", says="a position on the bus to the CAM with it, verified elsewhere", way=_Cams, per_round=CAMS),
    _Kind(
        name="braking", says="the car's own braking on the bus to the DENM, verified elsewhere", way=_Brakings, per_round=BRAKINGS
    ),
)


def end_to_end(effort: Effort) -> Iterable[Figure]:
    """Time a position and a braking from bus to bus, over UDP and by way of a broker."""
    yield from _medium("udp", UdpRadioConfig(port=_free_port()), effort, targets_ms=TARGETS_MS)
    with private_broker() as port:
        if port is None:
            sys.stderr.write("end_to_end.mqtt: not measured, for there is no mosquitto on this machine (apt install mosquitto)\n")
            return
        yield from _medium("mqtt", MqttRadioConfig(host=_LOOPBACK, port=port), effort, targets_ms={})


def _medium(medium: str, radio: RadioConfig, effort: Effort, *, targets_ms: Mapping[int, float]) -> Iterable[Figure]:
    measured = asyncio.run(on_the_road(radio, lambda road: _measure(road, effort)))
    for kind, (at_look, any_moment) in zip(_KINDS, measured, strict=True):
        for percent in _PERCENTS:
            bound_ms = targets_ms.get(percent)
            yield figure_of(
                f"end_to_end.{medium}.{kind.name}.p{percent}",
                f"{kind.says}; the frame comes just before the car looks",
                Unit.MILLISECONDS,
                [percentile(times, percent) for times in at_look],
                targets=() if bound_ms is None else (Target(measure=Measure.MEDIAN, bound=bound_ms),),
            )
        for percent in _PERCENTS:
            yield figure_of(
                f"end_to_end.{medium}.{kind.name}.any_moment.p{percent}",
                f"{kind.says}; the frame comes at any moment and waits for the car to look",
                Unit.MILLISECONDS,
                [percentile(times, percent) for times in any_moment],
            )


async def _measure(road: Road, effort: Effort) -> list[tuple[Rounds, Rounds]]:
    """Return the milliseconds of each kind: with the frame just before a look, and at any moment."""
    lot = Random(0)  # noqa: S311 - moments
    measured = []
    for kind in _KINDS:
        way = kind.way(road)
        await way.warm_up()
        per_round = max(1, min(kind.per_round, effort.calls * kind.per_round // CAMS))
        at_look: Rounds = []
        any_moment: Rounds = []
        for _ in range(min(effort.rounds, ROUNDS)):
            at_look.append([])
            any_moment.append([])
            for _ in range(per_round):
                at_look[-1].append(await way.time_ms(lambda _: LEAD_NS))
                any_moment[-1].append(await way.time_ms(lot.randrange))
        measured.append((at_look, any_moment))
    return measured


def _is_at(indication: Indication, point: GeoPoint) -> bool:
    cam = indication.of(Cam)
    if cam is None or cam.message.lat_deg is None or cam.message.lon_deg is None:
        return False
    return (round(cam.message.lat_deg, 7), round(cam.message.lon_deg, 7)) == (point.lat_deg, point.lon_deg)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
