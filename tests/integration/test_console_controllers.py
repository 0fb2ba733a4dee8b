"""Controllers that speak for themselves, and how soon the console in a real browser shows what they say: over UDP and over MQTT."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

import pytest
from msgspec.structs import replace
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from rsu_agent.composition import JunctionParts, RsuParts
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers.controller_file import LoadedController
from shared.core.clock import NS_PER_MS
from shared.core.itstime import utc_text
from shared.messages.tscbm import encode_tscbm
from shared.pki.permission_sets import StationRole
from tests.helpers.broker import MosquittoBroker
from tests.helpers.chromium import Browser, Page, chromium
from tests.helpers.live_unit import CLOCK, UNIT_ID, live_hierarchy, live_unit
from tests.helpers.pools import pool_of
from tests.integration.test_rsu_with_controller import free_port
from tests.integration.test_signal_controllers import HEARD, JUNCTIONS, loaded_from

LOOPBACK = "127.0.0.1"
REPORT_EVERY_S = 0.1
WITHIN_MS = 200
MOST_CHANGES = 24
"""One whole round of changes is shown in time, sooner or later: a machine that is busy with other things may be late."""

PATIENT = {"min_green_s": "0.0", "amber_s": "0.0", "intergreen_s": "0.0"}
"""What the guard asks of the lights here: the controllers change faster than streets allow."""

GREEN_PHASES = {1: {4}, 2: {2, 6}}
"""Phases of the datagram's controller whose green is that of a signal group."""

TURNS = [("red", "green"), ("red", "amber"), ("red", "red"), ("green", "red"), ("amber", "red"), ("red", "red")]
"""What groups 1 and 2 show, one after another."""

RECORDER = """
window.changes = {};
new MutationObserver((records) => {
  for (const record of records) {
    const { group, lamp } = record.target.dataset;
    if (record.target.classList?.contains('light')) (window.changes[`${group} ${lamp}`] ??= []).push(Date.now());
  }
}).observe(document, { subtree: true, attributes: true, attributeFilter: ['data-lamp'] });
"""

Say = Callable[[tuple[str, str], int], None]
"""Sends what the two groups show, with a number that goes up."""


@dataclass(slots=True)
class Cabinet:
    """A controller that tells what it shows ten times a second, and at once when it changes."""

    say: Say
    shown: tuple[str, str] = TURNS[0]
    _number: int = 0
    _lock: Lock = field(default_factory=Lock)
    _is_over: Event = field(default_factory=Event)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Tell again and again while the block runs."""
        thread = Thread(target=self._tell_on)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def turn(self, shown: tuple[str, str]) -> int:
        """Show something else; return when that was, UTC in ms."""
        with self._lock:
            self.shown = shown
            changed_ms = CLOCK.now().require_utc() // NS_PER_MS
            self._tell()
        return changed_ms

    def _tell_on(self) -> None:
        while not self._is_over.wait(REPORT_EVERY_S):
            with self._lock:
                self._tell()

    def _tell(self) -> None:
        self._number += 1
        self.say(self.shown, self._number)


@contextmanager
def datagrams(folder: Path) -> Iterator[tuple[LoadedController, Say]]:
    port = free_port()
    places = {"listen": f'"{LOOPBACK}"', "source": f'"{LOOPBACK}"', "port": str(port)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def say(shown: tuple[str, str], number: int) -> None:
            lit = {
                lamp: frozenset(phase for group, phases in GREEN_PHASES.items() if shown[group - 1] == lamp for phase in phases)
                for lamp in ("green", "amber")
            }
            reds = frozenset(range(1, 17)) - lit["green"] - lit["amber"]
            message = replace(HEARD, sequence=number % 256, greens=lit["green"], yellows=lit["amber"], reds=reds)
            sender.sendto(encode_tscbm(message), (LOOPBACK, port))

        yield loaded_from(folder, "crossing.tscbm.toml", **places, **PATIENT), say


@contextmanager
def reports(folder: Path) -> Iterator[tuple[LoadedController, Say]]:
    (folder / "broker").mkdir()
    with MosquittoBroker(folder / "broker") as broker:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect(broker.host, broker.port)
        client.loop_start()

        def say(shown: tuple[str, str], number: int) -> None:
            document = {
                "version": 1,
                "controller": "K123",
                "boot": "first",
                "sequence": number,
                "time": utc_text(CLOCK.now().require_utc()),
                "groups": [{"group": group, "state": state} for group, state in enumerate(shown, 1)],
            }
            client.publish("signals/crossing/state", json.dumps(document), qos=1)

        yield loaded_from(folder, "crossing.mqtt.toml", port=str(broker.port), **PATIENT), say
        client.disconnect()
        client.loop_stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.mark.parametrize("way", [datagrams, reports])
def test_what_a_controller_reports_is_on_the_page_within_a_fifth_of_a_second(
    browser: Browser, tmp_path: Path, way: Callable[[Path], AbstractContextManager[tuple[LoadedController, Say]]]
) -> None:
    hierarchy = live_hierarchy(34)
    ticket = hierarchy.ticket(StationRole.RSU)
    with ExitStack() as stack:
        loaded, say = stack.enter_context(way(tmp_path))
        controller = loaded.place.controller
        lanes = load_map(JUNCTIONS / "crossing.map.toml", controller.signal_groups)
        parts = RsuParts(
            station_id=UNIT_ID,
            position=lanes.reference,
            ticket=ticket,
            trust_store=hierarchy.trust_store,
            tickets=pool_of(ticket),
            junction=JunctionParts(controller=controller, rules=loaded.rules, lanes=lanes, place=loaded.place),
        )
        unit = stack.enter_context(live_unit(tmp_path, hierarchy=hierarchy, parts=parts))
        page = browser.visit(unit.url, RECORDER)
        page.until("document.documentElement?.dataset.state === 'live'")
        assert page.evaluate("document.documentElement.dataset.state") == "live"
        page.until("document.getElementById('banner').innerText.includes('Lights not believed')")
        assert page.text(".light .light-phase") == "not known"
        cabinet = Cabinet(say)
        stack.enter_context(cabinet.working())
        shows(page, TURNS[0])
        late = [WITHIN_MS + 1]
        while max(late[-len(TURNS) :]) > WITHIN_MS:
            assert len(late) <= MOST_CHANGES, late
            before, after = (TURNS[(len(late) - 1 + step) % len(TURNS)] for step in (0, 1))
            (group,) = [number for number in (1, 2) if before[number - 1] != after[number - 1]]
            seen = f"(window.changes['{group} {after[group - 1]}'] ?? [])"
            count = page.evaluate(f"{seen}.length")
            changed_ms = cabinet.turn(after)
            shows(page, after)
            late.append(page.evaluate(f"{seen}[{count}]") - changed_ms)
        page.close()


def shows(page: Page, shown: tuple[str, str]) -> None:
    """Wait until the page shows this: in the list and on the plan."""
    for group, lamp in enumerate(shown, 1):
        page.until(f"document.querySelector('.light[data-group=\"{group}\"]')?.dataset.lamp === '{lamp}'")
        drawn = f"[...document.querySelectorAll('#plan .signal[data-group=\"{group}\"]')].map((each) => each.dataset.lamp)"
        assert set(page.evaluate(drawn)) == {lamp}
