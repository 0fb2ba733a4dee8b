"""Controllers that speak for themselves, heard over real sockets and a real broker, and what the junction then tells the air."""

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace as changed
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from paho.mqtt import client as paho

import rsu_agent.junctions
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers.controller_file import LoadedController, ReportedPlace, TscbmPlace, load_controller
from rsu_agent.signal_controllers.feeds import TscbmFeed, open_reported, open_tscbm
from rsu_agent.signal_controllers.priority import PriorityAction
from rsu_agent.signal_controllers.reported import ReportedController
from rsu_agent.signal_service import RECOVERY_NS, SignalItem, SignalService
from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock, UtcNs
from shared.core.errors import TransportError
from shared.core.ids import StationId
from shared.core.itstime import utc_text
from shared.messages.mapem import Mapem
from shared.messages.spatem import IntersectionStatus, MovementPhaseState, Spatem
from shared.messages.ssem import PrioritizationStatus
from shared.messages.time_mark import second_of_hour
from shared.messages.tscbm import Tscbm, decode_tscbm, encode_tscbm
from shared.pki.permission_sets import StationRole
from shared.stack.effects import Evidence, Notice
from shared.transport.mqtt_broker import PublishProperties
from shared.transport.mqtt_connection import MqttConnection
from tests.helpers.broker import MosquittoBroker
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.identities import ego, make_peer
from tests.helpers.mqtt_medium import plain
from tests.helpers.tshark import HOP_LIMIT_NOTE, layers_of
from tests.integration.test_tshark_infrastructure import values
from tests.unit.rsu_agent.test_reported_controller import REQUEST

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
SAMPLE = data_file("messages/v2xhub_ntcip1202_tscbm_spat_1721238398773.bin").read_bytes()
HEARD = decode_tscbm(SAMPLE)
CONTROLLER, STRANGER = "127.0.0.1", "127.0.0.2"
PATIENCE_S = 30.0
"""A guard against a hung test; nothing waits for it to pass."""

RED = MovementPhaseState.STOP_AND_REMAIN
GREEN = MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED
UNAVAILABLE = MovementPhaseState.UNAVAILABLE


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene()

    asyncio.run(guarded_scene())


def loaded_from(folder: Path, name: str, **changes: str) -> LoadedController:
    """Read an example with some lines replaced."""
    text = (JUNCTIONS / name).read_text(encoding="utf-8")
    for key, value in changes.items():
        begin = f"{key} = "
        lines = [f"{key} = {value}" if line.removeprefix("# ").startswith(begin) else line for line in text.splitlines()]
        text = "\n".join(lines)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_controller(path)


def service_of(loaded: LoadedController) -> SignalService:
    controller = loaded.place.controller
    lanes = load_map(JUNCTIONS / "crossing.map.toml", controller.signal_groups)
    return SignalService(controller=controller, rules=loaded.rules, junction=lanes, station_id=StationId(7))


def phases(spatem: Spatem) -> list[MovementPhaseState]:
    return [movement.events[0].phase for movement in spatem.intersections[0].movements]


class Cabinet:
    """A controller of the kind that broadcasts, its port, and the junction that listens to it; time is the test's."""

    def __init__(self, folder: Path, **changes: str) -> None:
        self.clock: ManualClock = clock_at()
        loaded = loaded_from(folder, "crossing.tscbm.toml", listen=f'"{CONTROLLER}"', source=f'"{CONTROLLER}"', port="0", **changes)
        assert isinstance(loaded.place, TscbmPlace)
        self.place = loaded.place
        self.service = service_of(loaded)
        self.told: list[SignalItem] = []
        self.sequence = 0
        self._woken = asyncio.Event()
        self._sockets: dict[str, socket.socket] = {}

    def open(self) -> AbstractAsyncContextManager[TscbmFeed]:
        return open_tscbm(self.place, self.service, clock=self.clock, wake=self._woken.set)

    async def send(self, datagram: bytes, feed: TscbmFeed, *, source: str = CONTROLLER) -> None:
        """Send a datagram over the network and wait until it was heard."""
        if source not in self._sockets:
            self._sockets[source] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sockets[source].bind((source, 0))
        self._woken.clear()
        self._sockets[source].sendto(datagram, (CONTROLLER, feed.port))
        await self._woken.wait()

    async def show(self, message: Tscbm, feed: TscbmFeed, *, seconds: float = 0.1) -> list[Spatem]:
        """Broadcast a state ten times a second for so long, and return the SPATEMs of that time."""
        spatems: list[Spatem] = []
        for _ in range(round(seconds * 10)):
            self.clock.advance(100 * NS_PER_MS)
            self.sequence += 1
            await self.send(encode_tscbm(replace(message, sequence=self.sequence % 256)), feed)
            spatems += self.poll()
        return spatems

    def poll(self) -> list[Spatem]:
        items = self.service.poll(self.clock.now())
        self.told += [item for item in items if not isinstance(item, Spatem | Mapem)]
        return [item for item in items if isinstance(item, Spatem)]

    def doubts(self) -> list[object]:
        """Return, in order, why the junction became unavailable; None where it became available."""
        told = [item for item in self.told if isinstance(item, Notice) and item.kind.startswith("junction_")]
        return [notice.fields.get("doubt") for notice in told]

    def notices(self) -> list[str]:
        return [item.kind for item in self.told if isinstance(item, Notice)]

    def close(self) -> None:
        for each in self._sockets.values():
            each.close()


def test_a_minute_of_a_real_controllers_datagram_gives_spatems_that_wireshark_reads_as_the_same_phases(tmp_path: Path) -> None:
    hierarchy = Hierarchy(17)
    unit = make_peer(hierarchy, 7, StationRole.RSU)
    packets: list[bytes] = []
    said: list[Spatem] = []

    async def scene() -> None:
        cabinet = Cabinet(tmp_path)
        async with cabinet.open() as feed:
            await cabinet.send(SAMPLE, feed)
            cabinet.sequence = HEARD.sequence
            for _ in range(600):
                for spatem in await cabinet.show(HEARD, feed):
                    said.append(spatem)
                    now = cabinet.clock.now()
                    packets.append(unit.send(spatem, position=ego(now), now=now))
        cabinet.close()
        assert cabinet.place.controller.status(cabinet.clock.now())["taken"] == 601

    run(scene)
    assert len(said) == 600
    assert {tuple(phases(spatem)) for spatem in said} == {(RED, GREEN)}
    whole = packets[::60]
    layers = layers_of(tmp_path, whole, utc=NOON)
    assert len(layers) == 10
    for number, layer in enumerate(layers):
        assert layer["frame"]["frame.protocols"].startswith("eth:ethertype:gnw:ieee1609dot2:btpb:its")
        assert values(layer, "_ws.expert.message") == [HOP_LIMIT_NOTE]
        assert values(layer, "its.messageID") == ["4"]
        assert values(layer, "dsrc.signalGroup") == ["1", "2"]
        assert values(layer, "dsrc.eventState") == ["3", "5"]
        sent = UtcNs(NOON + (number * 60 + 1) * 100 * NS_PER_MS)
        ends = [round(second_of_hour(sent) * 10) + 40, round(second_of_hour(sent) * 10)]
        assert values(layer, "dsrc.minEndTime") == [str(end) for end in ends]
        assert values(layer, "dsrc.maxEndTime") == []


def test_the_very_same_octets_for_a_minute_are_a_frozen_controller_unless_it_is_said_not_to_count(tmp_path: Path) -> None:
    async def scene(last: list[MovementPhaseState], **changes: str) -> None:
        cabinet = Cabinet(tmp_path, **changes)
        said: list[Spatem] = []
        async with cabinet.open() as feed:
            for _ in range(600):
                cabinet.clock.advance(100 * NS_PER_MS)
                await cabinet.send(SAMPLE, feed)
                said += cabinet.poll()
        cabinet.close()
        assert phases(said[0]) == [RED, GREEN]
        assert len(said) >= 600
        assert {tuple(phases(spatem)) for spatem in said[20:]} == {tuple(last)}

    run(lambda: scene([UNAVAILABLE, UNAVAILABLE]))
    run(lambda: scene([RED, GREEN], takes_repeats="true"))


def test_a_stranger_on_the_network_changes_no_light_and_is_told(tmp_path: Path) -> None:
    all_green = encode_tscbm(replace(HEARD, reds=frozenset(), greens=frozenset(range(1, 17)), sequence=2))

    async def scene() -> None:
        cabinet = Cabinet(tmp_path)
        async with cabinet.open() as feed:
            await cabinet.show(HEARD, feed)
            for _ in range(50):
                await cabinet.send(all_green, feed, source=STRANGER)
            (spatem,) = await cabinet.show(HEARD, feed)
            assert phases(spatem) == [RED, GREEN]
        cabinet.close()
        assert cabinet.place.controller.status(cabinet.clock.now())["refused"] == {"stranger": 50}
        assert cabinet.notices() == ["controller_stranger"]

    run(scene)


def test_a_change_is_told_without_waiting_for_the_next_tenth_of_a_second(tmp_path: Path) -> None:
    async def scene() -> None:
        cabinet = Cabinet(tmp_path)
        async with cabinet.open() as feed:
            await cabinet.show(HEARD, feed, seconds=6.0)
            cabinet.clock.advance(30 * NS_PER_MS)
            amber = replace(HEARD, greens=frozenset(), yellows=frozenset({2, 6}), sequence=cabinet.sequence + 1)
            await cabinet.send(encode_tscbm(amber), feed)
            assert cabinet.service.next_due() <= cabinet.clock.now().monotonic
            (spatem,) = cabinet.poll()
            assert phases(spatem) == [RED, MovementPhaseState.PERMISSIVE_CLEARANCE]
        cabinet.close()

    run(scene)


def test_conflicting_greens_and_a_green_without_amber_make_the_junction_unavailable_with_evidence(tmp_path: Path) -> None:
    both = replace(HEARD, reds=HEARD.reds - {4}, greens=HEARD.greens | {4})
    no_amber = replace(HEARD, reds=HEARD.reds | {2}, greens=HEARD.greens - {2})

    async def scene() -> None:
        cabinet = Cabinet(tmp_path)
        async with cabinet.open() as feed:
            await cabinet.show(HEARD, feed, seconds=6.0)
            (spatem,) = await cabinet.show(both, feed)
            assert phases(spatem) == [UNAVAILABLE, UNAVAILABLE]
            assert spatem.intersections[0].status == IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME
            notice, evidence = cabinet.told
            assert isinstance(notice, Notice)
            assert notice.fields["doubt"] == "conflict"
            assert isinstance(evidence, Evidence)
            assert decode_tscbm(evidence.documents["heard-8"]).greens == {2, 4, 6}
            assert json.loads(evidence.documents["state.json"])["doubt"] == "conflict"
            back = await cabinet.show(HEARD, feed, seconds=RECOVERY_NS / NS_PER_S + 1.0)
            assert phases(back[0]) == [UNAVAILABLE, UNAVAILABLE]
            assert phases(back[-1]) == [RED, GREEN]
            assert phases((await cabinet.show(no_amber, feed))[0]) == [UNAVAILABLE, UNAVAILABLE]
        cabinet.close()
        assert cabinet.doubts() == ["conflict", "short_green", None, "short_amber"]
        status = cabinet.service.status(cabinet.clock.now())
        assert status["doubts"] == {"conflict": 1, "short_green": 1, "short_amber": 1}
        assert "turned from green to red without its amber" in str(status["reason"])

    run(scene)


def test_a_controller_that_restarts_or_falls_silent_is_told_as_unavailable_until_it_was_sound_for_a_while(tmp_path: Path) -> None:
    async def scene() -> None:
        cabinet = Cabinet(tmp_path)
        async with cabinet.open() as feed:
            cabinet.sequence = 100
            await cabinet.show(HEARD, feed, seconds=2.0)
            cabinet.sequence = 0
            said = await cabinet.show(HEARD, feed, seconds=7.0)
            assert [phases(said[index]) for index in (0, 3, -1)] == [[RED, GREEN], [UNAVAILABLE, UNAVAILABLE], [RED, GREEN]]
            cabinet.clock.advance_to(cabinet.service.next_due())
            due = cabinet.place.controller.next_change(cabinet.clock.now())
            assert due is not None
            cabinet.clock.advance_to(due)
            (spatem,) = cabinet.poll()
            assert phases(spatem) == [UNAVAILABLE, UNAVAILABLE]
        cabinet.close()
        assert cabinet.service.status(cabinet.clock.now())["doubts"] == {"no_state": 2}
        assert cabinet.notices().count("controller_restarted") == 1

    run(scene)


def test_a_controller_set_up_for_another_map_is_not_broadcast(tmp_path: Path) -> None:
    async def scene() -> None:
        cabinet = Cabinet(tmp_path, map_revision="9")
        async with cabinet.open() as feed:
            (spatem,) = await cabinet.show(HEARD, feed)
        cabinet.close()
        status = spatem.intersections[0].status
        assert status & IntersectionStatus.NO_VALID_MAP_IS_AVAILABLE_AT_THIS_TIME
        assert phases(spatem) == [UNAVAILABLE, UNAVAILABLE]

    run(scene)


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    async def scene() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((CONTROLLER, 0))
            loaded = loaded_from(tmp_path, "crossing.tscbm.toml", listen=f'"{CONTROLLER}"', port=str(taken.getsockname()[1]))
            assert isinstance(loaded.place, TscbmPlace)
            with pytest.raises(TransportError, match="cannot listen to the controller: Address already in use"):
                async with open_tscbm(loaded.place, service_of(loaded), clock=clock_at(), wake=lambda: None):
                    pass

    run(scene)


class Peer:
    """The controller's own connection to the broker: what it hears is kept."""

    def __init__(self, broker: MosquittoBroker) -> None:
        self.orders: asyncio.Queue[bytes] = asyncio.Queue()
        self.link = MqttConnection(plain(broker.host, broker.port), self, client_id="cabinet", session_expiry_s=0)

    def say(self, topic: str, document: dict[str, Any], *, retain: bool = False) -> None:
        properties = PublishProperties(expiry_s=None, alias=None)
        self.link.hand_over(topic, json.dumps(document).encode(), qos=1, retain=retain, properties=properties)

    # What the connection calls.

    def heard(self, message: paho.MQTTMessage) -> None:
        self.orders.put_nowait(bytes(message.payload))

    def published(self, number: int, refusal: str | None) -> None:
        assert refusal is None, number

    def ended(self, reason: str) -> None:
        """Nothing is waited for any more."""


def report(clock: ManualClock, sequence: int, boot: str = "first", lamp: str = "green") -> dict[str, Any]:
    return {
        "version": 1,
        "controller": "K123",
        "boot": boot,
        "sequence": sequence,
        "time": utc_text(clock.now().require_utc()),
        "groups": [{"group": 1, "state": "red", "min_end_s": 3.0}, {"group": 2, "state": lamp, "min_end_s": 3.0}],
    }


def test_a_controller_at_a_real_broker_drives_the_junction_and_answers_a_request_for_priority(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()

    async def scene(broker: MosquittoBroker) -> None:
        clock, woken = clock_at(), asyncio.Event()
        loaded = loaded_from(tmp_path, "crossing.mqtt.toml", port=str(broker.port))
        assert isinstance(loaded.place, ReportedPlace)
        controller, service, peer = loaded.place.controller, service_of(loaded), Peer(broker)
        await peer.link.connect()
        peer.say("signals/crossing/state", report(clock, 1), retain=True)
        opening = open_reported(loaded.place, service, clock=clock, wake=woken.set, entropy=Random(1).randbytes)
        async with opening as feed:
            await feed.settled()
            assert feed.fault is None
            await _heard(controller, woken, "refused", {"retained": 1}, clock)
            clock.advance(100 * NS_PER_MS)
            peer.say("signals/crossing/state", report(clock, 2))
            await _heard(controller, woken, "taken", 1, clock)
            (spatem,) = [item for item in service.poll(clock.now()) if isinstance(item, Spatem)]
            assert phases(spatem) == [RED, GREEN]
            clock.advance(30 * NS_PER_MS)
            peer.say("signals/crossing/state", report(clock, 3, lamp="amber"))
            await _heard(controller, woken, "taken", 2, clock)
            assert service.next_due() <= clock.now().monotonic, "a change waits for no beat"
            (spatem,) = [item for item in service.poll(clock.now()) if isinstance(item, Spatem)]
            assert phases(spatem) == [RED, MovementPhaseState.PERMISSIVE_CLEARANCE]
            await peer.link.listen([("signals/crossing/priority/request", 1)], no_local=True)
            assert controller.ask_priority(REQUEST, clock.now()).status is PrioritizationStatus.REQUESTED
            feed.publish()
            order = json.loads(await peer.orders.get())
            assert (order["action"], order["signal_groups"]) == ("ask", [1, 2])
            reply = {"version": 1, "controller": "K123", "status": "granted"}
            named = {key: order[key] for key in ("requester", "request_id")}
            peer.say("signals/crossing/priority/answer", {**reply, **named})
            while (known := controller.priority(REQUEST.key)) is None or known.status is not PrioritizationStatus.GRANTED:
                woken.clear()
                await woken.wait()
            controller.ask_priority(changed(REQUEST, action=PriorityAction.CANCEL), clock.now())
        withdrawn = json.loads(await peer.orders.get())
        assert (withdrawn["action"], withdrawn["requester"]) == ("cancel", order["requester"]), "the unit's last word to it"
        peer.link.leave()
        peer.link.abandon()

    with MosquittoBroker(tmp_path / "broker") as broker:
        run(lambda: scene(broker))


async def _heard(controller: ReportedController, woken: asyncio.Event, name: str, value: object, clock: ManualClock) -> None:
    """Wait until an account of the controller has a value."""
    while controller.status(clock.now())[name] != value:
        woken.clear()
        await woken.wait()
