"""The console in a real browser: a light that changes, a vehicle that lies, senders that are refused, an operator's hazard."""

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsu_agent.signal_controllers.fixed_time import Conflict, FixedTimePlan, PlannedGroup
from shared.core.errors import VerificationError
from shared.messages.denm import Denm
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.stack.station import StationIdentity, make_station
from tests.helpers.chromium import Browser, Page, chromium
from tests.helpers.live_unit import CLOCK, TOKEN, LiveUnit, live_car, live_hierarchy, live_unit
from tests.helpers.unmannered import roadworks_by
from tests.unit.rsu_agent.test_rsu_agent import CENTRE, ego
from vehicle_agent.hazards import HazardChange, Hazards

QUICK_PLAN = FixedTimePlan(
    origin="test",
    name="quick",
    cycle_s=10.0,
    offset_s=0.0,
    groups=(
        PlannedGroup(number=1, name="north-south", greens_s=((0.0, 2.0),), amber_s=1.0, red_amber_s=1.0),
        PlannedGroup(number=2, name="east-west", greens_s=((5.0, 7.0),), amber_s=1.0, red_amber_s=1.0),
    ),
    conflicts=(Conflict(first=1, second=2, intergreen_s=2.0),),
)
CHANGES_MS = (0, 2_000, 3_000, 4_000, 5_000, 7_000, 8_000, 9_000)
"""When something changes in the cycle."""

WITHIN_MS = 200

RECORDER = """
window.changes = [];
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective));
new MutationObserver((records) => {
  for (const record of records) {
    if (record.attributeName === 'data-lamp' && record.target.classList?.contains('light')) window.changes.push(Date.now());
  }
}).observe(document, { subtree: true, attributes: true });
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveUnit]:
    with live_unit(tmp_path_factory.mktemp("unit"), hierarchy=live_hierarchy(31), plan=QUICK_PLAN) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, unit: LiveUnit) -> Page:
    opened = browser.visit(unit.url, RECORDER)
    opened.until("document.documentElement?.dataset.state === 'live'")
    return opened


def trust_of(page: Page, ticket: str, wanted: str) -> None:
    """Wait until the plan shows somebody as `wanted`."""
    page.until(f"document.querySelector('[data-ticket=\"{ticket}\"].vehicle')?.dataset.trust === '{wanted}'")


def test_a_light_that_changes_is_shown_within_a_fifth_of_a_second_of_the_controller(page: Page) -> None:
    count = page.evaluate("window.changes.length")
    page.until(f"window.changes.length >= {count + 4}")
    shown = page.evaluate(f"window.changes.slice({count})")
    cycle_ms = round(QUICK_PLAN.cycle_s * 1_000)
    late = sorted(min((at - change) % cycle_ms for change in CHANGES_MS) for at in shown)
    assert late[len(late) // 2] <= WITHIN_MS, late


def test_a_car_that_jumps_turns_red_and_its_neighbour_does_not(page: Page, unit: LiveUnit) -> None:
    honest, liar = live_car(unit.hierarchy, 41), live_car(unit.hierarchy, 42)
    unit.hear_car(honest)
    unit.hear_car(liar)
    trust_of(page, honest.ticket, "trusted")
    trust_of(page, liar.ticket, "trusted")
    fill = f"getComputedStyle(document.querySelector('[data-ticket=\"{liar.ticket}\"].vehicle .body path')).fill"
    blue = page.evaluate(fill)
    drawn = f"document.querySelector('[data-ticket=\"{liar.ticket}\"].vehicle').getAttribute('transform')"
    for step in range(8):
        liar.east_m = -70.0 if step % 2 else 70.0
        honest.east_m += 1.2
        unit.hear_car(honest)
        unit.hear_car(liar)
        page.until(f"{drawn}.startsWith('translate({liar.east_m:g}') || {drawn}.startsWith('translate({liar.east_m - 0.1:g}')")
    trust_of(page, liar.ticket, "distrusted")
    assert page.evaluate(fill) != blue
    red = [int(part) for part in page.evaluate(fill).removeprefix("rgb(").removesuffix(")").split(",")]
    assert red[0] > 2 * max(red[1:])
    assert page.evaluate(f"document.querySelector('[data-ticket=\"{honest.ticket}\"].vehicle').dataset.trust") == "trusted"
    row = f"#vehicles tr[data-ticket='{liar.ticket}']"
    page.until(f"document.querySelector(\"{row}\")?.dataset.trust === 'distrusted'")
    assert "not believed" in page.text(row)
    assert "C1" in page.text(row)
    page.until("document.getElementById('announcer').textContent.includes('not believed')")


def test_a_car_that_signs_what_it_may_not_say_turns_red(page: Page, unit: LiveUnit) -> None:
    ticket = unit.hierarchy.ticket()
    humble = live_car(unit.hierarchy, 46, ticket)
    humble.north_m = 20.0
    unit.hear_car(humble)
    trust_of(page, humble.ticket, "trusted")
    for _ in range(4):
        unit.hear(roadworks_by(humble.station, ticket, CLOCK.now()))
    trust_of(page, humble.ticket, "distrusted")
    page.until("document.querySelector('#refusals [data-reason=permission_denied]')")
    assert "does not permit" in page.text("#refusals [data-reason=permission_denied]")
    page.until(
        f"document.querySelector(\"#vehicles tr[data-ticket='{humble.ticket}']\")?.innerText.includes('permission denied 4')"
    )


def test_a_stranger_is_drawn_as_refused_and_the_reason_is_listed(page: Page, unit: LiveUnit) -> None:
    stranger = live_car(live_hierarchy(32), 43)
    stranger.north_m = 40.0
    unit.hear_car(stranger)
    page.until("document.querySelector('#refusals [data-reason=signer_certificate_not_found]')")
    trust_of(page, f"refused {stranger.ticket}", "refused")
    assert "certificate" in page.text("#refusals")


def test_an_operator_places_a_hazard_on_the_plan_and_a_car_is_warned(page: Page, unit: LiveUnit) -> None:
    assert page.evaluate("document.getElementById('ordering').hidden") is False
    page.evaluate("document.getElementById('ordering').open = true")
    listener = make_station(
        identity=StationIdentity.drawn(live_car(unit.hierarchy, 44).station.identity.station_type, lambda n: bytes(range(n))),
        ticket=unit.hierarchy.ticket(),
        trust_store=unit.hierarchy.trust_store,
        areas=NO_IDENTIFIED_AREAS,
    )
    heard = len(unit.said)
    page.evaluate("document.querySelector('#orders button').click()")
    box = page.evaluate(
        "(() => { document.getElementById('plan').scrollIntoView({block: 'center'});"
        " const box = document.getElementById('plan').getBoundingClientRect();"
        " return [box.left, box.top, box.width, box.height]; })()"
    )
    where = {"x": box[0] + box[2] * 0.6, "y": box[1] + box[3] * 0.5}
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)
    page.until("document.querySelector('#answer').textContent.startsWith('Place: ')")
    assert ", 0 m north of the middle." in page.text("#answer"), "half way down the plan, whatever its shape"
    page.evaluate("document.querySelector('#orders input').value = 'not-the-token-at-all-000000'")
    page.evaluate("document.getElementById('orders').requestSubmit()")
    page.until("document.querySelector('#answer').textContent === 'Refused: the token is wrong'")
    page.evaluate(f"document.querySelector('#orders input').value = {json.dumps(TOKEN)}")
    page.evaluate("document.getElementById('orders').requestSubmit()")
    page.until("document.querySelector('#answer').textContent === 'Done.'")
    page.until("document.querySelector('#hazards li')")
    assert page.text("#hazards p") == "Roadworks"
    page.until("document.querySelector('.hazard[data-own=yes]')")
    denm = None
    while denm is None:
        page.evaluate("new Promise(requestAnimationFrame)")
        fresh, heard = unit.said[heard:], len(unit.said)
        for packet in fresh:
            try:
                indication = listener.receive(packet, CLOCK.now())
            except VerificationError:
                continue  # said before the listener knew the unit's certificate
            denm = denm or (None if indication is None else indication.of(Denm))
    assert denm.message.cause_code == 3
    hazards, now = Hazards(), CLOCK.now()
    hazards.hear(denm, now)
    assert [notice.change for notice in hazards.poll(now, ego(CENTRE, now))] == [HazardChange.AHEAD]
    page.evaluate("document.querySelector('#hazards button').click()")
    page.until("document.querySelector('#hazards li') === null")


def test_nothing_is_fetched_but_from_the_unit_and_no_rule_of_the_policy_is_broken(page: Page, unit: LiveUnit) -> None:
    assert page.evaluate("window.violations") == []
    assert {url.split("?")[0] for url in page.requests() if not url.startswith("data:")} == {
        unit.url,
        f"{unit.url}/events",
        f"{unit.console.http.url}/api/orders",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, width: int, scheme: str) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert 0 < page.evaluate("document.getElementById('plan').getBoundingClientRect().width") <= width
    assert b64decode(page.call("Page.captureScreenshot", format="png")["data"]).startswith(b"\x89PNG")


def test_what_is_drawn_is_told_in_words_and_every_control_has_a_name(page: Page) -> None:
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")]
    for role, name in named:
        if role in {"button", "textbox", "combobox", "region", "table"}:
            assert name or role == "table", role
    words = [name for role, name in named if role == "StaticText"]
    assert "1 north-south" in words
    assert any(word in words for word in ("green", "red", "amber", "red and amber"))
    assert {name for role, name in named if role == "columnheader"} == {"Ticket", "Trust", "Away", "Speed", "Why"}


def test_the_plan_is_moved_with_keys_and_buttons(page: Page) -> None:
    box = "document.getElementById('plan').getAttribute('viewBox')"
    before = page.evaluate(box)
    page.evaluate("document.getElementById('plan').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    moved = page.evaluate(box)
    assert float(moved.split()[0]) < float(before.split()[0])
    page.evaluate("document.getElementById('zoom-in').click()")
    assert float(page.evaluate(box).split()[2]) < float(moved.split()[2])
    page.evaluate("document.getElementById('zoom-whole').click()")
    assert float(page.evaluate(box).split()[2]) > 250


def test_a_page_whose_unit_is_gone_says_that_what_it_shows_is_old(browser: Browser, tmp_path: Path) -> None:
    with live_unit(tmp_path, hierarchy=live_hierarchy(33)) as leaving:
        page = browser.visit(leaving.url)
        page.until("document.documentElement?.dataset.state === 'live'")
        car = live_car(leaving.hierarchy, 45)
        leaving.hear_car(car)
        trust_of(page, car.ticket, "trusted")
    page.until("document.documentElement.dataset.state === 'lost'")
    assert page.text("#banner-word") == "Lost"
    page.close()
