"""Requests for priority at controllers as they are: one that speaks JSON, a fixed-time plan; and the sign file read anew."""

import asyncio
import json
from pathlib import Path
from random import Random

from typer.testing import CliRunner

from rsu_agent.cli import app
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.orders import obeying
from rsu_agent.sign_files import load_signs
from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from rsu_agent.signal_controllers.reported import ReportedController, ReportedGroup, ReportedSetup
from shared.core.clock import NS_PER_MS
from shared.core.errors import ConfigError
from shared.core.itstime import utc_text
from shared.messages.ivim import Ivim, IviStatus
from shared.messages.requestor import BasicVehicleRole
from shared.messages.srem import PriorityRequestType
from shared.messages.ssem import PrioritizationStatus as Status
from shared.pki.permission_sets import StationRole
from shared.service.command_socket import CommandSocket
from shared.service.notify import Notifier, Watchdog
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect, Transmit
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import make_peer
from tests.helpers.pools import pool_of
from tests.helpers.priority import JUNCTIONS, MAP, PLAN, UNIT_ID, AskedJunction, srem_of

BUS = BasicVehicleRole.PUBLIC_TRANSPORT
UPDATE, CANCELLATION = PriorityRequestType.PRIORITY_REQUEST_UPDATE, PriorityRequestType.PRIORITY_CANCELLATION
SETUP = ReportedSetup(
    controller="K1", endpoint="mqtt:x", groups=(ReportedGroup(number=1), ReportedGroup(number=2)), takes_priority=True
)


def report(junction: AskedJunction, controller: ReportedController, sequence: int) -> None:
    document = {
        "version": 1,
        "controller": "K1",
        "boot": "b",
        "sequence": sequence,
        "time": utc_text(junction.clock.now().require_utc()),
        "groups": [{"group": 1, "state": "red"}, {"group": 2, "state": "green"}],
    }
    controller.hear(json.dumps(document).encode(), junction.clock.now())


def orders(controller: ReportedController) -> list[tuple[str, int, list[int]]]:
    taken = [json.loads(order) for order in controller.take_orders()]
    return [(order["action"], order["request_id"], order["signal_groups"]) for order in taken]


def test_a_controller_that_speaks_json_is_asked_for_a_bus_and_its_answer_is_the_buss() -> None:
    controller = ReportedController(SETUP)
    junction = AskedJunction(control=controller)
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    report(junction, controller, 1)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    assert junction.answers() == {(1, 1): Status.REQUESTED}
    assert orders(controller) == [("ask", 1, [1])]
    for word, status in (("processing", Status.PROCESSING), ("granted", Status.GRANTED)):
        answer = {"version": 1, "controller": "K1", "requester": 1, "request_id": 1, "status": word}
        controller.hear_answer(json.dumps(answer).encode(), junction.clock.now())
        assert junction.answers() == {(1, 1): status}
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, in_s=9.0, kind=UPDATE))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, kind=CANCELLATION))
    assert junction.answers() == {}
    assert orders(controller) == [("update", 1, [1]), ("cancel", 1, [1])]


def test_a_controller_that_is_silent_rejects_and_the_operator_reads_why() -> None:
    junction = AskedJunction(control=ReportedController(SETUP))
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    assert junction.answers() == {(1, 1): Status.REJECTED}
    assert "cannot be asked" in json.dumps(junction.service.status(junction.clock.now()))


def test_a_fixed_time_plan_gives_nobody_priority_and_says_so() -> None:
    junction = AskedJunction(control=FixedTimeController(PLAN))
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS)) == []
    assert junction.answers() == {(1, 1): Status.REJECTED}
    assert "fixed-time plan" in json.dumps(junction.service.status(junction.clock.now()))


class EditedSigns:
    """A unit that works, its file of signs, and a car that hears what it says."""

    def __init__(self, folder: Path) -> None:
        hierarchy = Hierarchy(78)
        self.file = folder / "signs.toml"
        self.file.write_text((JUNCTIONS / "crossing.signs.toml").read_text(encoding="utf-8"), encoding="utf-8")
        ticket = hierarchy.ticket(StationRole.RSU)
        parts = RsuParts(
            station_id=UNIT_ID,
            position=MAP.reference,
            ticket=ticket,
            trust_store=hierarchy.trust_store,
            tickets=pool_of(ticket),
            signs=load_signs(self.file),
        )
        self.agent = make_agent(parts, entropy=Random(1).randbytes)
        self.clock = clock_at()
        self.car = make_peer(hierarchy, 9)
        self.heard: list[tuple[int, int]] = []
        self.config = folder / "rsu.toml"
        self.config.write_text(
            """
            signs = "signs.toml"
            station = { station_id = 4049, lat_deg = 48.137, lon_deg = 11.575 }
            identity = { ticket = "ticket", trust = "trust" }
            time = { source = "synchronised" }
            state = { status_socket = "status.sock", command_socket = "orders.sock" }
            """
        )

    async def perform(self, effect: Effect) -> None:
        if not isinstance(effect, Transmit):
            return
        indication = self.car.receive(effect.packet, self.clock.now())
        if indication is not None and (ivim := indication.of(Ivim)) is not None:
            self.heard.append((ivim.message.ivi_identification_number, ivim.message.status))

    async def hears(self, number: int, status: IviStatus) -> None:
        while (number, status) not in self.heard:
            self.clock.advance(5 * NS_PER_MS)
            await asyncio.sleep(0.001)  # the command's socket is real

    async def reads(self) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["signs", "-c", str(self.config)])
        return result.output if result.exception is None else str(result.exception)


def test_a_file_of_signs_that_is_edited_is_read_anew_by_a_unit_at_work(tmp_path: Path) -> None:
    scene = EditedSigns(tmp_path)
    text = scene.file.read_text(encoding="utf-8")

    async def play() -> None:
        loop = WorkingLoop(scene.agent, clock=scene.clock, perform=scene.perform, watchdog=Watchdog(Notifier(None), None))
        working = asyncio.create_task(loop.run())
        async with asyncio.timeout(20), CommandSocket(tmp_path / "orders.sock", obeying(scene.agent, loop, signs=scene.file)):
            await scene.hears(211, IviStatus.NEW)
            scene.file.write_text(text.replace("speed_limit_kmh = 30", "speed_limit_kmh = 50"), encoding="utf-8")
            assert await scene.reads() == "signs 211 are said\n"
            await scene.hears(211, IviStatus.UPDATE)
            scene.file.write_text(text.replace("number = 211", "number = 0"), encoding="utf-8")
            assert "sign[0].number" in await scene.reads()
            scene.file.write_text(text.replace("number = 211", "number = 212"), encoding="utf-8")
            assert await scene.reads() == "signs 212 are said\n"
            await scene.hears(212, IviStatus.NEW)
            await scene.hears(211, IviStatus.CANCELLATION)
        working.cancel()
        await asyncio.wait((working,))

    asyncio.run(play())


def test_without_a_file_or_a_place_for_orders_the_command_says_what_to_configure(tmp_path: Path) -> None:
    scene = EditedSigns(tmp_path)
    whole = scene.config.read_text()
    for left_out, key in (('signs = "signs.toml"', "signs"), (', command_socket = "orders.sock"', "state.command_socket")):
        scene.config.write_text(whole.replace(left_out, ""))
        result = CliRunner().invoke(app, ["signs", "-c", str(scene.config)])
        assert isinstance(result.exception, ConfigError)
        assert result.exception.path.endswith(key)


def test_a_unit_without_a_file_of_signs_refuses_the_order(tmp_path: Path) -> None:
    scene = EditedSigns(tmp_path)

    async def play() -> str:
        loop = WorkingLoop(scene.agent, clock=scene.clock, perform=scene.perform, watchdog=Watchdog(Notifier(None), None))
        async with asyncio.timeout(20), CommandSocket(tmp_path / "orders.sock", obeying(scene.agent, loop)):
            return await scene.reads()

    assert "names no file of road signs" in asyncio.run(play())
