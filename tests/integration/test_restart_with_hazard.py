"""A crashed car's agent is killed; once back, it cancels for everybody what is over by then, under the number they know.

Two agents as processes on a real multicast network: the car that has had a crash, and one that comes from behind. A crash is
believed for three minutes, so that what ends it here is no lapse.
"""

import asyncio
from pathlib import Path

from shared.messages.cdd import CauseCode
from shared.transport.udp_radio import LOOPBACK_INTERFACE
from simulator.ecu import Body
from tests.helpers.multicast import ANY_INTERFACE, free_udp_port, require_multicast
from tests.helpers.road import RoadCar
from tests.helpers.road_agents import CAN_GROUP, RoadScene, until

GROUP = "239.255.89.71"
STANDING = CauseCode.STATIONARY_VEHICLE


def test_a_hazard_of_before_a_kill_is_cancelled_for_everybody_after_the_restart(tmp_path: Path) -> None:
    require_multicast(CAN_GROUP, ANY_INTERFACE)
    require_multicast(GROUP, LOOPBACK_INTERFACE)
    asyncio.run(_killed_and_started_again(tmp_path))


async def _killed_and_started_again(directory: Path) -> None:
    scene = RoadScene(directory=directory)
    scene.pki("init", directory / "pki")
    radio = f'[[radio]]\nkind = "udp"\ngroup = "{GROUP}"\nport = {free_udp_port()}\n'
    (crashed, crashed_bus), (behind, behind_bus) = scene.vehicle("crashed", radio), scene.vehicle("behind", radio)
    car = RoadCar(crashed_bus, east_m=300.0, speed_mps=0.0)
    follower = RoadCar(behind_bus, east_m=0.0, speed_mps=2.0)
    drivers = [asyncio.create_task(each.drive()) for each in (car, follower)]
    try:
        behind.start()
        crashed.start()
        agents = (behind, crashed)
        await until(
            lambda: all(each.status().get("sent", {}).get("cam", 0) >= 2 for each in agents),
            drivers,
            "both agents have listened to their cars for a while, so that a crash is one",
        )
        car.switch(body=Body(airbag_deployed=True))
        await until(lambda: bool(behind.told("hazard_ahead", STANDING)), drivers, "the car behind is told")
        told = behind.told("hazard_ahead", STANDING)
        crashed.kill()
        car.switch()
        crashed.start()
        await until(lambda: bool(behind.told("hazard_ended", STANDING)), drivers, "the car behind is told that it is over")
        await until(lambda: bool(crashed.status()), drivers, "the restarted agent says what it did")
        counted = crashed.status()["own_hazards"]["events"]
    finally:
        for driver in drivers:
            driver.cancel()
        for agent in (crashed, behind):
            agent.kill()
        await asyncio.gather(*drivers, return_exceptions=True)
    assert behind.told("hazard_ended", STANDING) == told
    assert len(told) == 1
    assert counted == {"cancelled": 1}
