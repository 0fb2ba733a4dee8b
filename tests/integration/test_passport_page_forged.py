"""Passports that insiders forged, with keys of their own or the vehicle's: page and command judge each alike, and show alike."""

import json
from base64 import b64encode
from collections import Counter
from pathlib import Path

from shared.records.disclosure import withheld_from
from shared.records.passport import parse_passport
from shared.records.passport_code import check_code, code_of, parse_code
from shared.service.passport_sheet import render_sheet
from tests.helpers.chromium import chromium
from tests.helpers.forging import forged, people
from tests.helpers.passport_pages import NO_WITNESS, answer_of, answer_to, open_page, roots
from tests.unit.cli.test_passport_command import passport
from tests.unit.cli.test_passport_of_many_issuers import enrol

FORGED = 100
JUDGE = """
(async (texts, trust) => {
  const reports = [];
  for (const text of texts) reports.push(await judgePassport(text, trust));
  return reports;
})
"""


def test_a_seed_makes_the_same_passport_whatever_ran_before() -> None:
    before = forged(7)
    people.cache_clear()
    enrol(None)
    assert forged(7) == before != forged(8)


def test_passports_forged_by_insiders_are_judged_alike(tmp_path: Path) -> None:
    trust = {"roots": [b64encode(root).decode() for root in roots()], "policy": b64encode(NO_WITNESS).decode(), "at": None}
    files = [forged(seed) for seed in range(FORGED)]
    with chromium(tmp_path / "chromium") as browser:
        page = open_page(browser, tmp_path / "page.html", passport().encode(), policy=NO_WITNESS)
        reports = page.evaluate(f"{JUDGE}({json.dumps([file.decode() for file in files])}, {json.dumps(trust)})")
    verdicts: Counter[str] = Counter()
    for seed, (data, report) in enumerate(zip(files, reports, strict=True)):
        here, there = answer_to(data, roots(), NO_WITNESS), answer_of(report)
        assert (here.is_verified, here.findings, here.readings) == (there.is_verified, there.findings, there.readings), seed
        assert report["green"] is here.is_clean, seed
        assert "could not finish" not in str(report["checks"]), seed
        verdicts[here.check or ("clean" if here.is_clean else "serious")] += 1
        if here.is_verified:
            shown = parse_passport(data)
            withheld_from(shown)
            render_sheet(shown, data)
            check_code(parse_code(code_of(shown, data).text), shown, data)
    assert set(verdicts) >= {"clean", "serious", "content", "role", "certificate"}, verdicts
