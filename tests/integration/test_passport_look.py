"""What a page draws of a report, in a real browser: whatever is in it is text, and every screen shows it."""

import json
from base64 import b64decode
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.chromium import Browser, Page, chromium
from tests.helpers.passport_pages import many_issuers, open_page, shown

HOSTILE = '"><img src=x onerror="document.hacked=1"><script>document.hacked=1</script>\u202e'
Json = dict[str, Any]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    directory = tmp_path_factory.mktemp("page")
    return open_page(browser, directory / "page.html", shown(many_issuers(directory / "life")).encode())


def reading(seq: int, km: float | None, **more: Any) -> Json:
    metres = None if km is None else round(km * 1000)
    month, year = seq % 12 + 1, 2020 + seq // 12
    fields = [{"name": "odometer_m", "value": metres, "hidden": km is None}]
    ordinary = {
        "seq": seq,
        "recordedAt": f"{year}-{month:02}-03T09:30:00.250Z",
        "kind": "odometer",
        "role": "vehicle",
        "source": "cluster",
        "odometerM": metres,
        "distanceSinceM": None,
        "flags": [],
        "corrects": None,
        "countsFor": None if km is None else seq,
        "fields": fields,
    }
    return ordinary | more


def fall_at(*numbers: int) -> list[Json]:
    return [{"severity": "red", "text": f"Record {seq} is lower.", "kind": "rollback", "seq": seq} for seq in numbers]


def report(readings: list[Json], **more: Any) -> Json:
    check = {"id": "signatures", "title": "Every record is signed", "passed": True, "told": "all", "explains": "because"}
    checkpoint = {"origin": "log.example", "size": 7, "root": "AAAA", "witnesses": ["w1"]}
    return {
        "green": True,
        "checks": [check],
        "readings": readings,
        "findings": [],
        "subject": "kid",
        "checkpoint": checkpoint,
    } | more


def draw(page: Page, value: Json) -> None:
    page.evaluate(f"drawReport({json.dumps(value)}, document)")


def failed(title: str, **more: Any) -> Json:
    return {"id": "x", "title": title, "passed": False, "told": "Entry 2 of 3.", "explains": "why"} | more


@pytest.mark.parametrize(
    ("value", "state", "word"),
    [
        (report([reading(0, 10)]), "green", "Genuine"),
        (report([reading(0, 10)], checks=[failed("Signed")]), "red", "Not genuine"),
        (report([reading(0, 10)], findings=[{"severity": "red", "text": "Rolled."}], green=False), "red", "Warning"),
        (report([reading(0, 10)], green=False, checks=[failed("x", passed=None)]), "unsure", "Not fully checked"),
        (report([reading(0, 10), reading(1, None)]), "unsure", "Mileage hidden"),
        (report([reading(0, 10), reading(1, None, role="inspector", kind="inspection")]), "unsure", "Mileage hidden"),
        (report([], green=False, checks=[failed("Whole")], subject=None, checkpoint=None), "red", "Not genuine"),
    ],
    ids=["green", "forged", "rolled back", "unfinished", "hidden", "an inspector's hidden", "unreadable"],
)
def test_the_verdict_is_a_word_and_never_green_by_mistake(page: Page, value: Json, state: str, word: str) -> None:
    draw(page, value)
    assert page.evaluate("document.getElementById('verdict').dataset.state") == state
    assert page.text("#verdict-word") == word
    assert page.evaluate("document.title") == f"{word}: vehicle passport"
    assert page.evaluate("document.getElementById('verdict-word').closest('[role=status]').getAttribute('aria-live')") == "polite"


def test_a_green_verdict_says_how_old_the_cars_own_last_record_is(page: Page) -> None:
    later = reading(7, 20, role="garage", kind="maintenance")
    draw(page, report([reading(0, 10), later]))
    assert page.text("#verdict-text").endswith("The vehicle's own last record is of 3 Jan 2020: what came after it is not here.")
    draw(page, report([reading(0, 10, recordedAt=None), later]))
    assert "own last record shows no date" in page.text("#verdict-text")


def test_a_record_says_when_it_was_dated_later_what_was_odd_and_what_other_witnesses_said(page: Page) -> None:
    judged = {"name": "judgement", "value": {"verdict": "disagree", "missing_permille": 248}, "hidden": False}
    bound = {"name": "bound_to", "value": {"nonce": None, "counter": {"kind": "tpm", "value": 41}}, "hidden": False}
    odd = reading(0, 10, datedBy=5, flags=["clock_not_set", "blocker_suspected"], fields=[judged, bound])
    draw(page, report([odd, reading(5, 20)]))
    assert "3 Jan 2020" in page.text("#readings tbody tr")
    assert "dated later, by record 5" in page.text("#readings tbody tr")
    assert "Does not count all that is driven" in page.text("#readings tbody tr")
    page.evaluate("document.querySelector('#readings details.record').open = true")
    page.evaluate("document.querySelector('#readings details.record').dispatchEvent(new Event('toggle'))")
    told = page.text("#readings details.record")
    assert "Other sources say" in told
    assert "verdict disagree, not counted 24.8 %" in told
    assert "counter kind tpm, value 41" in told
    assert "not known" not in told, "what does not apply is not told"


def test_a_failed_check_is_named_first_and_what_follows_is_called_a_claim(page: Page) -> None:
    value = report([reading(0, 10)], green=False, checks=[failed("Every record is signed")])
    draw(page, value | {"findings": [{"severity": "red", "text": "Rolled back."}]})
    assert page.text("#verdict-text") == "A check failed: Every record is signed. Entry 2 of 3."
    assert "only what the file claims" in page.text("#claims")
    assert page.evaluate("document.querySelector('.check.failed').open") is True


def test_a_rollback_a_gap_a_correction_and_a_missing_date_are_drawn_each_in_its_way(page: Page) -> None:
    readings = [
        reading(0, 100),
        reading(1, 110, role="garage", kind="maintenance"),
        reading(2, 40),
        reading(6, 50, recordedAt=None),
        reading(7, 900, role="garage", kind="maintenance", countsFor=None),
        reading(8, 60, role="garage", kind="maintenance", corrects=7, countsFor=7),
        reading(9, 70),
    ]
    draw(page, report(readings, findings=fall_at(2)))
    counted = {name: page.evaluate(f"document.querySelectorAll('#curve .{name}').length") for name in ("fall", "gap", "struck")}
    assert counted == {"fall": 1, "gap": 1, "struck": 1}
    assert page.evaluate("document.querySelectorAll('#curve .is-undated').length") == 1
    assert page.text("#curve-words").endswith("The odometer falls once. 3 records are missing.")
    assert "odometer falls" in page.text("#legend")
    assert page.text("#readings tr.is-bad").startswith("3 Mar 2020")
    assert "Corrected by record 8" in page.text("#readings")
    assert "7 readings" not in page.text("#curve-words"), "what was corrected counts once"


@pytest.mark.parametrize(
    "other", [{"role": "garage", "credential": 3}, {"role": "inspector", "credential": 2}, {"role": "garage", "kind": "repair"}]
)
def test_what_counts_is_drawn_and_what_was_taken_back_is_struck_out(page: Page, other: Json) -> None:
    first = reading(1, 150, role="garage", kind="maintenance", credential=2)
    mine = {"role": "garage", "kind": "maintenance", "credential": 2, "corrects": 1}
    for said, more, struck in ((first | {"countsFor": None}, mine | {"countsFor": 1}, 1), (first, mine | other, 0)):
        falls = [] if struck else fall_at(2)
        draw(page, report([reading(0, 40), said, reading(2, 50, **more), reading(3, 60)], findings=falls))
        assert page.evaluate("document.querySelectorAll('#curve .struck').length") == struck
        assert page.evaluate("document.querySelectorAll('#curve .fall').length") == 1 - struck
        may_correct = more["role"] == "garage" and more["kind"] == "maintenance"
        assert ("Corrected by record 2" in page.text("#readings")) is may_correct


def test_a_correction_stands_where_the_record_stood_that_it_puts_right(page: Page) -> None:
    garage = {"role": "garage", "kind": "maintenance"}
    draw(page, report([reading(0, 100, **garage), reading(1, 200), reading(2, 101, **garage, corrects=0, countsFor=0)]))
    assert page.evaluate("document.querySelectorAll('#curve .fall').length") == 0
    assert "falls" not in page.text("#curve-words")
    assert page.text("#curve-words").endswith("to 200.0 km on 3 Feb 2020.")
    assert page.evaluate("document.querySelectorAll('#readings tr.is-bad').length") == 0
    withdrawn = reading(0, 300_000, **garage, countsFor=None)
    draw(page, report([withdrawn, reading(1, 200), reading(2, None, **garage, corrects=0)]))
    assert page.text("#curve-words").startswith("One reading: 200.0 km")


def test_whatever_a_passport_says_is_text_and_never_markup(page: Page) -> None:
    nested = [
        {"name": HOSTILE, "value": {HOSTILE: [HOSTILE, {"x": HOSTILE}]}, "hidden": False},
        {"name": HOSTILE, "value": 1, "hidden": True},
    ]
    entry = reading(0, 10, kind=HOSTILE, role=HOSTILE, source=HOSTILE, flags=[HOSTILE, "constructor"], fields=nested)
    value = report(
        [entry, reading(1, 20, role="__proto__")],
        checks=[failed(HOSTILE, told=HOSTILE, explains=HOSTILE, id=HOSTILE)],
        findings=[{"severity": "red", "text": HOSTILE}],
        subject=HOSTILE,
        checkpoint={"origin": HOSTILE, "size": 7, "root": HOSTILE, "witnesses": [HOSTILE]},
        trust=[{"title": HOSTILE, "name": HOSTILE, "fingerprint": HOSTILE}],
    )
    draw(page, value)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.until("document.querySelectorAll('#readings .fields').length === 2")
    assert page.evaluate("document.hacked ?? null") is None
    assert page.evaluate("document.querySelectorAll('main img, main script').length") == 0
    assert HOSTILE[:20] in page.text("#readings")


def test_no_script_of_the_page_knows_how_to_make_markup() -> None:
    scripts = [each for each in files("shared").joinpath("passport_page").iterdir() if each.name.endswith(".js")]
    assert "view.js" in {script.name for script in scripts}
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser"):
            assert word not in text, (script.name, word)


def test_a_thousand_readings_are_listed_by_what_stands_out_and_all_on_demand(page: Page) -> None:
    many = [reading(n, 10 + n, **({"role": "garage", "kind": "repair"} if n % 100 == 50 else {})) for n in range(1000)]
    draw(page, report(many))
    rows = "document.querySelectorAll('#readings tbody tr').length"
    assert page.evaluate(rows) == 12
    page.evaluate("document.querySelectorAll('#readings-choice button')[1].click()")
    assert page.evaluate(rows) == 250
    page.evaluate("document.querySelector('#readings-more button').click()")
    assert page.evaluate(rows) == 500
    assert page.text("#readings-more") == "Show the next 250 of 500"


def test_the_longest_passport_at_its_worst_is_drawn_within_bounds(page: Page) -> None:
    """Thirty thousand records, every other one fallen, numbers missing everywhere, hardly a date."""
    worst = (
        "Array.from({length: 30000}, (_, n) => ({seq: n * 2, recordedAt: n % 1000 ? null : new Date(n * 1e8).toISOString(),"
        " kind: 'odometer', role: n % 3 ? 'vehicle' : 'garage', source: null, odometerM: n % 2 ? n * 1000 : 0,"
        " distanceSinceM: null, flags: ['rollback'], corrects: null, countsFor: n * 2, fields: []}))"
    )
    findings = "Array.from({length: 30000}, (_, n) => ({severity: 'red', text: 'x', kind: 'rollback', seq: n * 2}))"
    value = json.dumps(report([]))
    page.evaluate(f"drawReport({{...{value}, readings: {worst}, findings: {findings}}}, document)")
    assert page.evaluate("document.querySelectorAll('#curve *').length") < 3_000
    assert page.evaluate("document.querySelectorAll('#curve .gap').length") == 200
    assert page.evaluate("document.querySelectorAll('#readings tbody tr').length") == 250
    assert page.evaluate("document.querySelectorAll('#findings > li').length") == 31


def test_the_curve_is_walked_through_with_the_keyboard(page: Page) -> None:
    draw(page, report([reading(n, 100 + n) for n in range(5)]))
    page.evaluate("document.querySelector('.stepper input').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    assert page.text(".stepper output") == "3 Apr 2020: 103.0 km, said by the vehicle (record 3)"
    assert page.evaluate("document.querySelector('.stepper input').getAttribute('aria-valuetext')").startswith("3 Apr 2020")


@pytest.mark.parametrize("width", [320, 360, 768, 1200])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    draw(page, report([reading(n, 100_000 + n, flags=["rollback"]) for n in range(20)], passportSha256="ab" * 32))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.evaluate("(({width, left}) => [width, left])(document.querySelector('.curve-drawing').getBoundingClientRect())")
    assert 0 < box[0] <= width
    assert box[1] >= 0
    assert b64decode(page.call("Page.captureScreenshot", format="png")["data"]).startswith(b"\x89PNG")


def test_the_page_says_so_before_anything_is_checked(browser: Browser, tmp_path: Path) -> None:
    blank = tmp_path / "blank.html"
    html = files("shared").joinpath("passport_page", "page.html").read_text(encoding="utf-8")
    blank.write_text(html.replace("{{scripts}}", ""), encoding="utf-8")
    opened = browser.open(blank)
    opened.until("document.readyState === 'complete' && document.getElementById('verdict')")
    assert opened.text("#verdict-word") == "Not checked"
    assert opened.evaluate("document.getElementById('verdict').dataset.state") == "unchecked"
    assert opened.evaluate("document.getElementById('report').hidden") is True
