"""What others have a say in, in a real browser: names of any kind stay text, a mob is told of once, a full house says so."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from rsu_agent.composition import JunctionParts, RsuParts
from rsu_agent.console.feed import MAX_WATCHERS_OF_A_CLIENT
from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from shared.pki.permission_sets import StationRole
from tests.helpers.chromium import Browser, BrowserError, Page, chromium
from tests.helpers.live_unit import CLOCK, TOKEN, UNIT_ID, LiveUnit, live_car, live_hierarchy, live_unit
from tests.helpers.pools import pool_of
from tests.unit.rsu_agent.test_rsu_agent import CENTRE, MAP, PLAN

HOSTILE = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\u202e'
SHORT = "<b onclick=hacked()>&amp;"
MOB = 12
SHOW_WHAT_OTHERS_SAY = (
    "#banner-words",
    ".light-name",
    "#asking",
    "#hazards",
    "#refusals",
    "#health",
    "#vehicles",
    "#chosen-name",
    "#chosen",
)

RECORDER = """
window.spoken = [];
document.addEventListener('DOMContentLoaded', () =>
  new MutationObserver(() => window.spoken.push(document.getElementById('announcer').textContent))
    .observe(document.getElementById('announcer'), { childList: true, characterData: true, subtree: true }));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveUnit]:
    hierarchy = live_hierarchy(35)
    ticket = hierarchy.ticket(StationRole.RSU)
    plan = replace(PLAN, groups=tuple(replace(group, name=SHORT) for group in PLAN.groups))
    parts = RsuParts(
        station_id=UNIT_ID,
        position=CENTRE,
        ticket=ticket,
        trust_store=hierarchy.trust_store,
        tickets=pool_of(ticket),
        junction=JunctionParts(controller=FixedTimeController(plan), rules=plan.guard_rules, lanes=replace(MAP, name=HOSTILE[:60])),
    )
    with live_unit(tmp_path_factory.mktemp("unit"), hierarchy=hierarchy, parts=parts) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, unit: LiveUnit) -> Page:
    opened = browser.visit(unit.url, RECORDER)
    opened.until("document.documentElement?.dataset.state === 'live'")
    return opened


def test_names_of_any_kind_are_shown_as_they_are_and_become_no_markup(page: Page, unit: LiveUnit) -> None:
    hazard = {"cause": "accident", "lat_deg": CENTRE.lat_deg, "lon_deg": CENTRE.lon_deg, "relevance_distance_m": 50, "radius_m": 24}
    order = {"order": "place_hazard", "id": "x", "lasts_s": 600, "hazard": hazard}
    placed = httpx.post(f"{unit.console.http.url}/api/orders", json=order, headers={"authorization": f"Bearer {TOKEN}"})
    assert placed.status_code == 200, placed.text
    page.until("document.querySelector('#hazards li')")
    assert page.evaluate("document.getElementById('title').textContent") == HOSTILE[:60]
    assert page.evaluate("document.querySelector('.light-name').textContent") == f"1 {SHORT}"
    hazard_told = dict.fromkeys(("key", "station_id", "id", "words"), HOSTILE) | {"sequence_number": 1, "source": None}
    forged = {
        "at_ms": 1_000,
        "unavailable": HOSTILE,
        "lights": [[1, HOSTILE, HOSTILE, None, None, None]],
        "vehicles": {
            HOSTILE: [7, 1.0, 2.0, 3, 4.0, HOSTILE, HOSTILE, False, HOSTILE],
            "__proto__": [8, 1, 1, 1, 1, "refused", "", False, ""],
        },
        "asking": [dict.fromkeys(("key", "station_id", "level", "way", "answer"), HOSTILE)],
        "hazards": [
            hazard_told | {"is_own": False, "place": [1, 1], "radius_m": 5, "distance_m": 1, "is_disputed": True},
            hazard_told | {"key": "", "words": "", "is_own": True, "place": None, "radius_m": None, "distance_m": None},
        ],
        "refusals": [{"source": HOSTILE, "reason": HOSTILE, "words": HOSTILE, "count": 1, "last_ms": None}],
        "health": [{"part": HOSTILE, "state": HOSTILE, "words": HOSTILE}, {"part": "", "state": "bad", "words": ""}],
    }
    before = page.evaluate("document.querySelectorAll('img, script, b, iframe').length")
    page.evaluate(f"unit.tableAt = -Infinity; take({json.dumps(forged)}); choose({json.dumps(HOSTILE)})")
    assert page.evaluate("document.querySelectorAll('img, script, b, iframe').length") == before
    assert page.evaluate("window.hacked") is None
    for selector in SHOW_WHAT_OTHERS_SAY:
        assert HOSTILE in page.evaluate(f"document.querySelector({json.dumps(selector)}).textContent"), selector
    assert page.evaluate("({}).refused === undefined && Object.prototype.toString.call({}) === '[object Object]'") is True
    page.evaluate("open()")
    page.until("document.getElementById('banner-words').textContent === 'The unit works as it should'")
    assert page.evaluate("unit.vehicles.size") == 0, "what the unit tells anew is all there is"


def test_the_browser_itself_refuses_markup_from_text_in_this_page(page: Page) -> None:
    with pytest.raises(BrowserError, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<p>'")
    with pytest.raises(BrowserError, match=r"TrustedScript|Content Security Policy|unsafe-eval"):
        page.evaluate("setTimeout('1', 0)")


def test_a_mob_that_turns_red_at_once_is_told_of_in_one_sentence(page: Page, unit: LiveUnit) -> None:
    strangers = live_hierarchy(36)
    said = page.evaluate("window.spoken.length")
    mob = [live_car(strangers, 200 + number) for number in range(MOB)]
    for number, stranger in enumerate(mob):
        stranger.north_m = 10.0 * number
        unit.hear(stranger.cam(CLOCK.now()))
    page.until(f"document.querySelectorAll('.vehicle[data-trust=refused]').length >= {MOB}")
    page.until(f"speech.waiting.size === 0 && window.spoken.length > {said}")
    told = [words for words in page.evaluate(f"window.spoken.slice({said})") if "refused" in words]
    assert 1 <= len(told) <= 3, told
    assert page.evaluate("document.querySelectorAll('[aria-live], [role=status], [role=alert]').length") == 2


def test_a_page_for_which_there_is_no_place_says_why_and_is_live_as_soon_as_there_is_one(browser: Browser, tmp_path: Path) -> None:
    with live_unit(tmp_path, hierarchy=live_hierarchy(37)) as unit, ExitStack() as stack:
        parts = urlsplit(unit.url)
        for _ in range(MAX_WATCHERS_OF_A_CLIENT):
            other = stack.enter_context(socket.create_connection((str(parts.hostname), int(parts.port or 0))))
            other.sendall(b"GET /console/events HTTP/1.1\r\nhost: %b\r\n\r\n" % parts.netloc.encode())
            assert other.recv(12) == b"HTTP/1.1 200"
        late = browser.visit(unit.url)
        late.until("document.getElementById('banner-words')?.textContent.includes('pages are open at your address')")
        assert late.text("#banner-word") == "Wait"
        assert late.text("#plan-none").startswith("Waiting for the unit")
        stack.close()
        late.until("document.documentElement.dataset.state === 'live'")
        late.close()
