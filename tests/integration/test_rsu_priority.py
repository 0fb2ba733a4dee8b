"""A bus on the air, a whole roadside unit, and a signal controller behind a broker: asked, granted, told, read by Wireshark."""

import asyncio
import io
import json
from pathlib import Path

from paho.mqtt import client as paho

from shared.core.clock import NS_PER_MS, ManualClock
from shared.core.itstime import utc_text
from shared.messages.ivim import Ivim
from shared.messages.requestor import BasicVehicleRole
from shared.messages.srem import PriorityRequestType
from shared.messages.ssem import PrioritizationStatus, Ssem
from shared.pki.permission_sets import StationRole
from shared.service.status_socket import read_status
from shared.stack.station import Station
from shared.transport.mqtt_broker import PublishProperties
from shared.transport.mqtt_connection import MqttConnection
from shared.transport.udp_radio import UdpRadio
from tests.helpers.broker import MosquittoBroker
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.identities import ego, make_peer
from tests.helpers.mqtt_medium import plain
from tests.helpers.priority import NEAR, srem_of, statuses
from tests.helpers.tshark import layers_of
from tests.helpers.unit_folder import lay_out_unit, run_unit
from tests.integration.test_tshark_infrastructure import values

GROUP = "239.137.71.32"
PATIENCE_S = 60.0
"""A guard against a hung test; nothing waits for it to pass."""

TURN_NS, REPORT_TURNS, ASK_TURNS = 10 * NS_PER_MS, 10, 100
BUS = BasicVehicleRole.PUBLIC_TRANSPORT


def lay_out(folder: Path, hierarchy: Hierarchy, *, radio_port: int, broker_port: int) -> Path:
    """Write a unit's folder as an operator lays it out, and return its configuration."""
    sections = """
[junction]
controller = "crossing.mqtt.toml"
map = "crossing.map.toml"

[junction.priority]
reservice_s = 0
"""
    config = lay_out_unit(
        folder, hierarchy, sections, group=GROUP, port=radio_port, state='evidence = "doubts"', top='signs = "crossing.signs.toml"'
    )
    controller = folder / "crossing.mqtt.toml"
    text = controller.read_text(encoding="utf-8").replace("port = 1883", f"port = {broker_port}")
    controller.write_text(text, encoding="utf-8")
    return config


class Cabinet:
    """The controller: reports its lights, grants whatever it is asked, and keeps what that was."""

    def __init__(self, broker: MosquittoBroker, clock: ManualClock) -> None:
        self.link = MqttConnection(plain(broker.host, broker.port), self, client_id="cabinet", session_expiry_s=0)
        self.orders: list[tuple[str, list[int]]] = []
        self._told = asyncio.Event()
        self._clock = clock
        self._sequence = 0

    async def until_told(self, order: tuple[str, list[int]], times: int) -> None:
        """Wait until it was told something so many times."""
        while self.orders.count(order) < times:
            self._told.clear()
            await self._told.wait()

    async def open(self) -> None:
        await self.link.connect()
        await self.link.listen([("signals/crossing/priority/request", 1)], no_local=True)

    def report(self) -> None:
        self._sequence += 1
        groups = [{"group": 1, "state": "red", "min_end_s": 30.0}, {"group": 2, "state": "green", "min_end_s": 30.0}]
        named = {"version": 1, "controller": "K123", "boot": "first", "sequence": self._sequence}
        self._say("state", {**named, "time": utc_text(self._clock.now().require_utc()), "groups": groups})

    def _say(self, topic: str, document: dict[str, object]) -> None:
        properties = PublishProperties(expiry_s=None, alias=None)
        self.link.hand_over(f"signals/crossing/{topic}", json.dumps(document).encode(), qos=1, retain=False, properties=properties)

    # What the connection calls.

    def heard(self, message: paho.MQTTMessage) -> None:
        order = json.loads(bytes(message.payload))
        self.orders.append((order["action"], order["signal_groups"]))
        self._told.set()
        if order["action"] != "cancel":
            named = {key: order[key] for key in ("version", "controller", "requester", "request_id")}
            self._say("priority/answer", {**named, "status": "granted", "reason": "green is kept"})

    def published(self, number: int, refusal: str | None) -> None:
        assert refusal is None, number

    def ended(self, reason: str) -> None:
        """Nothing is waited for any more."""


class Street:
    """A bus beside the unit, the time of both, and what the bus hears."""

    def __init__(self, clock: ManualClock, radio: UdpRadio, bus: Station, cabinet: Cabinet) -> None:
        self._clock = clock
        self._radio = radio
        self._bus = bus
        self._cabinet = cabinet
        self._turns = 0
        self.answers: list[dict[tuple[int, int], PrioritizationStatus]] = []
        self.packets: dict[type, bytes] = {}

    async def ask(self, kind: PriorityRequestType, *, role: BasicVehicleRole = BUS, request_id: int = 1) -> None:
        """Say a request, over the radio."""
        now = self._clock.now()
        srem = srem_of(self._bus, now, role=role, kind=kind, request_id=request_id)
        packet = self._bus.send(srem, position=ego(now, NEAR), now=now)
        await self._radio.send(packet, source_mac=self._bus.identity.address.mac)

    async def until_answered(self, expected: dict[tuple[int, int], PrioritizationStatus], *, asking: bool = False) -> None:
        """Let time go on, the controller reporting ten times a second, until the unit answers this.

        The bus asks once a second meanwhile where it is to: lights have to be sound for a while before anybody is let through.
        """
        self.answers.clear()
        receiving = asyncio.ensure_future(self._radio.receive())
        while expected not in self.answers:
            self._clock.advance(TURN_NS)
            self._turns += 1
            if self._turns % REPORT_TURNS == 0:
                self._cabinet.report()
            if asking and self._turns % ASK_TURNS == 0:
                await self.ask(PriorityRequestType.PRIORITY_REQUEST)
            await asyncio.wait((receiving,), timeout=0.005)
            if receiving.done():
                self._hear(receiving.result().packet)
                receiving = asyncio.ensure_future(self._radio.receive())
        receiving.cancel()
        await asyncio.wait((receiving,))

    def _hear(self, packet: bytes) -> None:
        indication = self._bus.receive(packet, self._clock.now())
        if indication is None:
            return
        self.packets[type(indication.message)] = packet
        if (ssem := indication.of(Ssem)) is not None:
            self.answers.append(statuses(ssem.message))


def test_a_bus_is_let_through_by_a_controller_behind_a_broker_and_told_so_on_the_air(tmp_path: Path) -> None:
    hierarchy, clock, log = Hierarchy(79), clock_at(), io.StringIO()
    bus = make_peer(hierarchy, 1, StationRole.PUBLIC_TRANSPORT)
    packets: dict[type, bytes] = {}
    (tmp_path / "broker").mkdir()

    async def scene(broker: MosquittoBroker) -> None:
        radio, cabinet = UdpRadio.open(clock=clock, group=GROUP, port=0), Cabinet(broker, clock)
        config = lay_out(tmp_path, hierarchy, radio_port=radio.port, broker_port=broker.port)
        await cabinet.open()
        street = Street(clock, radio, bus, cabinet)
        running = asyncio.create_task(run_unit(config, clock=clock, log=log))
        while not (tmp_path / "status.sock").exists():
            await asyncio.wait((running,), timeout=0.01)
            assert not running.done(), "the unit runs"
        await street.until_answered({(1, 1): PrioritizationStatus.GRANTED}, asking=True)
        await street.ask(PriorityRequestType.PRIORITY_REQUEST, role=BasicVehicleRole.POLICE, request_id=2)
        await street.until_answered({(1, 1): PrioritizationStatus.GRANTED, (1, 2): PrioritizationStatus.REJECTED})
        await street.ask(PriorityRequestType.PRIORITY_CANCELLATION)
        await street.until_answered({(1, 2): PrioritizationStatus.REJECTED})
        status = await asyncio.to_thread(read_status, tmp_path / "status.sock")
        await cabinet.until_told(("cancel", [1]), 1)
        packets.update(street.packets)
        await street.ask(PriorityRequestType.PRIORITY_REQUEST, request_id=3)
        await street.until_answered({(1, 3): PrioritizationStatus.GRANTED})
        running.cancel()
        await asyncio.wait((running,))
        await cabinet.until_told(("cancel", [1]), 2)
        cabinet.link.leave()
        cabinet.link.abandon()
        radio.close()
        assert cabinet.orders[0] == ("ask", [1])
        assert status["refused"] == {"priority_role_not_permitted": 1}
        priority = status["priority"]
        assert isinstance(priority, dict)
        assert "does not show a vehicle in the role police" in priority["refusals"][0]["detail"]

    async def guarded(broker: MosquittoBroker) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene(broker)

    with MosquittoBroker(tmp_path / "broker") as broker:
        asyncio.run(guarded(broker))
    said = {kind: packet for kind, packet in packets.items() if kind in (Ssem, Ivim)}
    dissected = dict(zip(said, layers_of(tmp_path, said.values(), utc=NOON), strict=True))
    assert "_ws.malformed" not in json.dumps(list(dissected.values()))
    assert values(dissected[Ssem], "dsrc.signalStatusPackage.status") == [str(int(PrioritizationStatus.REJECTED))]
    assert values(dissected[Ivim], "gdd.speedLimitMax") == ["30"]
    assert values(dissected[Ivim], "ivi.serialNumber") == ["57"]
    notices = (tmp_path / "notices.jsonl").read_text(encoding="utf-8")
    assert '"granted"' in notices
