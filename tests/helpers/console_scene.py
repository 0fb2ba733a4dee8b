"""A street at the example crossing on which everything is that a console can show, and pictures of it.

`python -m tests.helpers.console_scene DIR` takes the pictures of `docs/console.md` anew.
"""

import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from shared.core.clock import NS_PER_S, Instant
from shared.core.geo import displaced
from shared.security.sign import TicketCredential
from tests.helpers.chromium import Page, chromium
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.live_unit import CLOCK, TOKEN, LiveCar, LiveUnit, live_car, live_hierarchy, live_unit
from tests.helpers.unmannered import roadworks_by
from tests.unit.rsu_agent.test_rsu_agent import CENTRE, PLAN

CYCLE_AT_S = 35.0
"""Where in its cycle the plan begins: east and west have green."""

STEP_S = 0.2
QUEUES = (
    # east, north, heading, cars, metres apart, metres a second
    (-118.0, -5.0, 90.0, 4, 24.0, 9.0),
    (106.0, 5.0, 270.0, 4, -23.0, 9.0),
    (32.0, -3.4, 90.0, 2, 21.0, 11.0),
    (-20.0, 3.4, 270.0, 2, -27.0, 11.0),
    (-5.0, 17.5, 180.0, 3, 7.5, 0.0),
    (-1.7, 17.5, 180.0, 1, 7.5, 0.0),
    (5.0, -17.5, 0.0, 2, -7.5, 0.0),
    (3.4, 52.0, 0.0, 1, 0.0, 12.0),
)
LONG_ENOUGH_STEPS = 6
PICTURES = {"light": (1360, 1120, "light"), "dark": (1360, 1120, "dark"), "phone": (390, 1290, "light")}


@dataclass(slots=True, kw_only=True)
class Street:
    """Who is there; `step` lets a moment pass.

    Attributes:
        unit: with its console.
        honest: cars that drive or wait.
        liar: jumps about.
        humble: says, at each `overstep`, what its ticket does not permit.
        stranger: has a ticket nobody here trusts.
    """

    unit: LiveUnit
    honest: list[LiveCar] = field(default_factory=list)
    liar: LiveCar
    humble: LiveCar
    humble_ticket: TicketCredential
    stranger: LiveCar
    _spoke: dict[str, Instant] = field(default_factory=dict)
    _steps: int = 0

    def step(self) -> None:
        """Move everybody by the time that has passed since they spoke last, and have each speak."""
        self._steps += 1
        self.liar.east_m = -72.0 if self._steps % 2 else 58.0
        for car in (*self.honest, self.humble, self.liar, self.stranger):
            now = CLOCK.now()
            if car is not self.liar and car is not self.stranger:
                along_m = car.speed_mps * (now.monotonic - self._spoke.get(car.ticket, now).monotonic) / NS_PER_S
                car.east_m += along_m * {90.0: 1, 270.0: -1}.get(car.heading_deg, 0)
                car.north_m += along_m * {0.0: 1, 180.0: -1}.get(car.heading_deg, 0)
            self._spoke[car.ticket] = now
            self.unit.hear(car.cam(now))

    def overstep(self) -> None:
        """Have a car warn of roadworks, which is not for cars."""
        self.unit.hear(roadworks_by(self.humble.station, self.humble_ticket, CLOCK.now()))


def _placed(hierarchy: Hierarchy, seed: int, east_m: float, north_m: float, heading_deg: float, speed_mps: float) -> LiveCar:
    car = live_car(hierarchy, seed)
    car.east_m, car.north_m, car.heading_deg, car.speed_mps = east_m, north_m, heading_deg, speed_mps
    return car


@contextmanager
def street(folder: Path) -> Iterator[Street]:
    """Run a unit on such a street while the block runs."""
    offset_s = (CLOCK.now().require_utc() / NS_PER_S - CYCLE_AT_S) % PLAN.cycle_s
    hierarchy = live_hierarchy(51)
    with live_unit(folder, hierarchy=hierarchy, plan=replace(PLAN, offset_s=round(offset_s, 1))) as unit:
        humble_ticket = hierarchy.ticket()
        humble = live_car(hierarchy, 61, humble_ticket)
        humble.east_m, humble.north_m, humble.speed_mps = -66.0, -1.7, 4.0
        scene = Street(
            unit=unit,
            liar=_placed(hierarchy, 60, -72.0, -5.0, 90.0, 10.0),
            humble=humble,
            humble_ticket=humble_ticket,
            stranger=_placed(live_hierarchy(52), 62, -34.0, 26.0, 90.0, 10.0),
        )
        for number, (east_m, north_m, heading_deg, cars, apart_m, speed_mps) in enumerate(QUEUES):
            for nth in range(cars):
                aside = (apart_m * nth, 0.0) if heading_deg in {90.0, 270.0} else (0.0, apart_m * nth)
                place = (east_m + aside[0], north_m + aside[1])
                scene.honest.append(_placed(hierarchy, 100 + 10 * number + nth, *place, heading_deg, speed_mps))
        _warn(unit)
        for _ in range(LONG_ENOUGH_STEPS):
            scene.step()
        unit.hear(b"noise")
        scene.overstep()
        yield scene


def _warn(unit: LiveUnit) -> None:
    place = displaced(CENTRE, 42.0, 30.0)
    hazard = {"cause": "accident", "lat_deg": place.lat_deg, "lon_deg": place.lon_deg, "relevance_distance_m": 50, "radius_m": 24}
    order = {"order": "place_hazard", "id": "accident", "lasts_s": 600, "hazard": hazard}
    answer = httpx.post(f"{unit.console.http.url}/api/orders", json=order, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text


def show(page: Page, width: int, height: int, scheme: str) -> None:
    """Have a page shown on such a screen."""
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def picture(page: Page) -> bytes:
    """Return what is on the screen, as PNG."""
    return b64decode(page.call("Page.captureScreenshot", format="png")["data"])


def _take_pictures(folder: Path) -> None:
    with TemporaryDirectory() as work, chromium(Path(work) / "profile") as browser, street(Path(work)) as scene:
        page = browser.visit(scene.unit.url)
        page.call("Emulation.setScrollbarsHidden", hidden=True)
        page.until("document.documentElement?.dataset.state === 'live'")
        wanted = f"document.querySelector('[data-ticket=\"{scene.liar.ticket}\"].vehicle')"
        for name, (width, height, scheme) in PICTURES.items():
            show(page, width, height, scheme)
            scene.overstep()
            for _ in range(LONG_ENOUGH_STEPS):
                scene.step()
                page.evaluate(f"new Promise((done) => setTimeout(done, {1_000 * STEP_S:g}))")
            if name == "light":
                page.evaluate(f"{wanted}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
            page.until(f"{wanted}.dataset.trust === 'distrusted'")
            (folder / f"console-{name}.png").write_bytes(picture(page))


if __name__ == "__main__":
    _take_pictures(Path(sys.argv[1]))
