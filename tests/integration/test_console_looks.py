"""How the console looks and sounds in a real browser, on a street where everything is that it can show.

Contrast, focus, screens of every width, little motion, the page without eyes, and the page without a mouse.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.chromium import Browser, Page, chromium
from tests.helpers.console_scene import Street, picture, show, street
from tests.helpers.live_unit import live_hierarchy, live_unit

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: of text."""

LEAST_CONTRAST_OF_SIGNS = 3.0
"""WCAG 2.2, 1.4.11: of what is drawn."""

SCHEMES = ("light", "dark")

DRAWN = (
    "car", "car-rim", "car-bad", "car-odd", "lamp-red", "lamp-amber", "lamp-green", "focus",
    "plate", "road", "field", "card", "page",
)  # fmt: skip
"""Colours of the style sheet that carry a meaning, and what they are drawn on."""

CONTRAST = """
(() => {
  const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const over = (colours) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const linear = (each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((each) => linear(each / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  window.contrast = (front, ...grounds) => {
    const [a, b] = [light(over([...grounds, front])), light(over(grounds))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  window.groundsOf = (node) => {
    const grounds = [];
    for (let each = node; each !== null; each = each.parentElement) grounds.unshift(getComputedStyle(each).backgroundColor);
    return ['white', ...grounds];
  };
})()
"""

FAINT_TEXT = """
[...document.querySelectorAll('body *')]
  .filter((node) => !node.closest('svg, .unseen, script, style, noscript, thead, button:disabled, option'))
  .filter((node) => node.checkVisibility())
  .filter((node) => [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim() !== ''))
  .map((node) => [node.className || node.tagName, node.textContent.trim().slice(0, 30),
                  contrast(getComputedStyle(node).color, ...groundsOf(node))])
  .filter(([, , ratio]) => ratio < LEAST)
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with street(tmp_path_factory.mktemp("unit")) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, scene: Street) -> Page:
    opened = browser.visit(scene.unit.url)
    opened.until("document.documentElement?.dataset.state === 'live'")
    opened.until(f"document.querySelectorAll('#vehicles tbody tr').length >= {len(scene.honest) + 3}")
    opened.evaluate("document.getElementById('ordering').open = true")
    opened.evaluate(CONTRAST)
    return opened


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [320, 390, 768, 1360])
def test_nothing_is_wider_than_the_screen_and_all_text_stands_out_from_its_ground(page: Page, width: int, scheme: str) -> None:
    show(page, width, 900, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert 0 < page.evaluate("document.getElementById('plan').getBoundingClientRect().width") <= width
    assert page.evaluate(FAINT_TEXT.replace("LEAST", str(LEAST_CONTRAST))) == []
    assert picture(page).startswith(b"\x89PNG")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("word", ["wait", "look", "trouble", "lost"])
def test_a_unit_in_trouble_is_told_in_text_that_stands_out(page: Page, scene: Street, scheme: str, word: str) -> None:
    show(page, 1360, 900, scheme)
    told = (
        f"document.getElementById('banner').dataset.word = '{word}'; document.documentElement.dataset.state = '{word}';"
        " contrast(getComputedStyle(document.getElementById('banner-word')).color, ...groundsOf(document.getElementById('banner')))"
    )
    assert page.evaluate(told) >= LEAST_CONTRAST
    faint = page.evaluate(f"mark(document.getElementById('banner'), 'word', '{word}'), {FAINT_TEXT.replace('LEAST', '4.5')}")
    assert faint == []
    scene.step()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_drawn_stands_out_from_road_and_field(page: Page, scheme: str) -> None:
    show(page, 1360, 900, scheme)
    names = [f"--{name}" for name in DRAWN]
    listed = f"{names}.map((name) => getComputedStyle(document.documentElement).getPropertyValue(name))"
    colours = dict(zip(names, page.evaluate(listed), strict=True))

    def ratio(front: str, ground: str) -> float:
        found: float = page.evaluate(f"contrast('{colours[front]}', '{colours[ground]}')")
        return found

    for ground in ("--field", "--road"):
        for body in ("--car", "--car-bad", "--car-odd"):
            edge = max(ratio(body, ground), ratio("--car-rim", ground) if body == "--car" else 0.0, ratio("--card", ground))
            assert edge >= LEAST_CONTRAST_OF_SIGNS, (body, ground)
    for lamp in ("--lamp-red", "--lamp-amber", "--lamp-green"):
        assert ratio(lamp, "--plate") >= LEAST_CONTRAST_OF_SIGNS, lamp
    for ground in ("--page", "--card", "--field"):
        assert ratio("--focus", ground) >= LEAST_CONTRAST_OF_SIGNS, ground


def test_whoever_is_not_believed_is_told_apart_without_colour(page: Page, scene: Street) -> None:
    drawn = "[...document.querySelector(`[data-ticket='${ticket}'].vehicle`).children]"
    shape = f"(ticket) => {drawn}.map((each) => getComputedStyle(each).display)"
    tickets = {"believed": scene.honest[0].ticket, "not believed": scene.liar.ticket, "refused": f"refused {scene.stranger.ticket}"}
    scene.step()
    page.until(f"document.querySelector('[data-ticket=\"{scene.liar.ticket}\"].vehicle')?.dataset.trust === 'distrusted'")
    shapes = {word: tuple(page.evaluate(f"({shape})('{ticket}')")) for word, ticket in tickets.items()}
    assert len(set(shapes.values())) == len(shapes), shapes
    rows = page.evaluate("[...document.querySelectorAll('#vehicles tbody tr')].map((row) => [row.dataset.ticket, row.innerText])")
    for word, ticket in tickets.items():
        assert word in dict(rows)[ticket]
    assert page.evaluate("document.querySelector('#vehicles tbody tr').dataset.trust") in {"refused", "distrusted"}, "doubts first"


def test_every_stop_of_the_keyboard_has_a_name_and_is_seen(page: Page) -> None:
    show(page, 1360, 900, "light")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    stops = []
    for _ in range(16):
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        stops.append(
            page.evaluate(
                "(() => { const node = document.activeElement; const style = getComputedStyle(node);"
                " return [node.id || node.className || node.textContent, style.outlineStyle, parseFloat(style.outlineWidth)]; })()"
            )
        )
    names = [name for name, _, _ in stops]
    assert names[0] == "skip"
    assert {"plan", "zoom-in", "zoom-out", "zoom-whole"} <= set(names)
    assert all(style in {"solid", "auto", "dashed"} and width >= 1 for _, style, width in stops), stops
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")]
    for role, name in named:
        if role in {"button", "textbox", "combobox", "region", "table", "application"}:
            assert name, role
    assert {name for role, name in named if role == "columnheader"} == {"Ticket", "Trust", "Away", "Speed", "Why"}
    words = [name for role, name in named if role == "StaticText"]
    assert "1 north-south" in words
    assert {"green", "red", "amber", "red and amber"} & set(words)


def test_a_narrow_screen_keeps_the_table_a_table_for_whoever_listens(page: Page) -> None:
    show(page, 390, 900, "light")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node.get("ignored")]
    assert {"table", "row", "rowheader", "columnheader"} <= set(roles)
    assert roles.count("rowheader") == page.evaluate("document.querySelectorAll('#vehicles tbody tr').length")
    show(page, 1360, 900, "light")


def test_whoever_is_in_the_table_with_the_keyboard_stays_where_they_are(page: Page, scene: Street) -> None:
    last = "[...document.querySelectorAll('#vehicles tbody button')].at(-1)"
    ticket = page.evaluate(f"(() => {{ const node = {last}; node.focus(); return node.closest('tr').dataset.ticket; }})()")
    place = "[...document.querySelectorAll('#vehicles tbody tr')].findIndex((row) => row.contains(document.activeElement))"
    before = page.evaluate(place)
    moved = next(car for car in scene.honest if car.ticket == ticket)
    moved.east_m, moved.north_m, moved.speed_mps = 1.0, 1.0, 0.0
    page.evaluate("unit.tableAt = -Infinity")
    scene.step()
    page.until(f"document.querySelector('#vehicles tr[data-ticket=\"{ticket}\"] td.n').textContent.length <= 3")
    assert page.evaluate("document.activeElement.closest('tr').dataset.ticket") == ticket
    assert page.evaluate(place) == before
    page.evaluate("document.activeElement.blur()")


def test_the_plan_is_moved_and_a_place_is_chosen_with_keys_alone(page: Page) -> None:
    box = "document.getElementById('plan').getAttribute('viewBox')"

    def press(key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **({"text": key} if len(key) == 1 else {}))

    before = page.evaluate(box)
    page.evaluate("document.getElementById('plan').focus()")
    press("ArrowLeft")
    moved = page.evaluate(box)
    assert float(moved.split()[0]) < float(before.split()[0])
    press("+")
    assert float(page.evaluate(box).split()[2]) < float(moved.split()[2])
    assert page.evaluate("getComputedStyle(document.getElementById('plan')).touchAction") == "none", "a finger moves what is near"
    press("0")
    assert float(page.evaluate(box).split()[2]) > 250
    assert page.evaluate("getComputedStyle(document.getElementById('plan')).touchAction") == "auto", "a finger moves the page"
    page.evaluate("orders.where.focus()")
    page.evaluate("orders.where.click()")
    assert page.evaluate("document.activeElement.id") == "plan"
    whole = page.evaluate(box)
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        press(key)
    assert page.evaluate(box) == whole, "the cross moves, and the plan does not"
    assert "Place: " in page.text("#answer")
    east, north = page.evaluate("orders.place")
    assert (east > 0, north > 0) == (True, True)
    press("Enter")
    assert page.evaluate("[orders.isPlacing, document.activeElement === orders.where]") == [False, True]
    page.evaluate("document.getElementById('plan').focus()")
    press("Escape")


def test_with_little_motion_cars_move_once_a_second_and_nothing_pulses(browser: Browser, scene: Street) -> None:
    page = browser.visit("about:blank")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    page.call("Page.navigate", url=scene.unit.url)
    car = scene.honest[0].ticket
    page.until(f"document.querySelector('[data-ticket=\"{car}\"].vehicle')")
    page.evaluate(
        f"window.moves = 0; new MutationObserver((all) => (window.moves += all.length))"
        f".observe(document.querySelector('[data-ticket=\"{car}\"].vehicle'), {{ attributeFilter: ['transform'] }});"
        " moving.placedAt = Infinity"
    )
    row = f"unit.vehicles.get('{car}')[ROW.east]"
    for _ in range(4):
        seen = page.evaluate(row)
        scene.step()
        page.until(f"{row} !== {seen}")
    assert page.evaluate("window.moves") == 0, "it is not yet time"
    page.evaluate("moving.placedAt = -Infinity")
    scene.step()
    page.until("window.moves > 0")
    drawn = f"document.querySelector('[data-ticket=\"{car}\"].vehicle').getAttribute('transform')"
    page.until(f"{drawn}.startsWith(`translate(${{{row}}} `)")
    assert page.evaluate("getComputedStyle(document.querySelector('.vehicle .alarm')).animationName") == "none"
    page.close()


def test_a_unit_with_nothing_to_tell_says_so_everywhere(browser: Browser, tmp_path: Path) -> None:
    with live_unit(tmp_path, hierarchy=live_hierarchy(53)) as unit:
        page = browser.visit(unit.url)
        page.until("document.documentElement?.dataset.state === 'live'")
        page.until("document.getElementById('vehicles').hidden")
        assert page.text("#hazards-none") == "Nobody warns of anything."
        assert page.text("#refusals-none") == "Nothing was refused."
        assert "Nobody is around" in page.text("#vehicles-words")
        assert page.evaluate("document.getElementById('plan-none').hidden") is True
        page.close()
