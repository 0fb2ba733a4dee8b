"""The page of a passport in a real browser: what it says, by whose trust, and that it reaches nobody."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from shared.cli.passport import app
from shared.core.errors import ConfigError, RecordError, StorageError
from shared.records.passport import Passport
from shared.records.strict_json import encode_json_lines
from shared.service.passport_page import render_page
from shared.service.trust_directory import write_trust_directory
from tests.helpers.chromium import Browser, BrowserError, Page, chromium
from tests.helpers.ledger import witness_key
from tests.helpers.passport_pages import (
    NO_WITNESS,
    POLICY,
    WITNESSES,
    answer_of,
    answer_to,
    failed_checks,
    judged,
    many_issuers,
    open_page,
    roots,
    shown,
    verdict_of,
)
from tests.unit.cli.test_passport_command import hierarchy, passport

NO_WEB_CRYPTO = "Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined });"
NO_ED25519 = """
const original = SubtleCrypto.prototype.importKey;
SubtleCrypto.prototype.importKey = function (format, key, algorithm, ...rest) {
  if (algorithm.name === "Ed25519") return Promise.reject(new DOMException("no", "NotSupportedError"));
  return original.call(this, format, key, algorithm, ...rest);
};
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Passport:
    return shown(many_issuers(tmp_path_factory.mktemp("life")))


@pytest.mark.parametrize("before", ["", NO_WEB_CRYPTO, NO_ED25519], ids=["web crypto", "no web crypto", "no Ed25519"])
def test_a_passport_of_many_issuers_is_green_and_says_what_the_command_says(
    browser: Browser, genuine: Passport, tmp_path: Path, before: str
) -> None:
    data = genuine.encode()
    page = open_page(browser, tmp_path / "page.html", data, before=before)
    assert verdict_of(page) == "green"
    assert page.text("#verdict-word") == "Genuine"
    report = judged(page, data)
    assert failed_checks(report) == set()
    assert all(check["passed"] is True for check in report["checks"])
    assert [c["id"] for c in report["checks"]] == [
        "form", "signatures", "roles", "sequence", "odometer", "inclusion", "checkpoint", "witnesses", "trust",
    ]  # fmt: skip
    assert answer_of(report) == answer_to(data, roots())
    assert report["checkpoint"]["witnesses"] == list(WITNESSES)
    assert {reading["role"] for reading in report["readings"]} == {"vehicle", "garage", "inspector", "registrar"}
    note = next(field for field in report["readings"][1]["fields"] if field["name"] == "note")
    assert note == {"name": "note", "value": None, "hidden": True}
    assert page.requests() == [(tmp_path / "page.html").as_uri()]
    page.close()


def test_without_its_script_a_page_is_never_green(browser: Browser, genuine: Passport, tmp_path: Path) -> None:
    text = render_page(genuine.encode(), roots(), POLICY)
    assert "Not checked" in text
    assert 'data-state="unchecked"' in text
    altered = text.replace("const judgePassport = async", "const judgePassport =  async")
    assert altered != text
    (tmp_path / "altered.html").write_text(altered, encoding="utf-8")
    page = browser.open(tmp_path / "altered.html")
    page.until("document.readyState === 'complete'")
    assert page.evaluate("document.documentElement.dataset.verdict") is None
    assert page.text("#verdict-word") == "Not checked"
    page.close()


class _Host(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


def test_a_page_can_reach_nobody_even_if_its_script_wanted_to(browser: Browser, genuine: Passport, tmp_path: Path) -> None:
    _Host.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), _Host)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    page = open_page(browser, tmp_path / "page.html", genuine.encode())
    with pytest.raises(BrowserError, match="Failed to fetch"):
        page.evaluate(f"fetch('{address}/fetched')")
    shown_image = (
        f"new Promise((done) => {{ const i = new Image(); i.onerror = () => done('refused'); i.src = '{address}/image'; }})"
    )
    assert page.evaluate(shown_image) == "refused"
    page.close()
    plain = tmp_path / "plain.html"
    plain.write_text("<!doctype html><title>no policy</title>")
    page = browser.open(plain)
    page.until("document.readyState === 'complete'")
    page.evaluate(f"fetch('{address}/control').then((answer) => answer.status)")
    server.shutdown()
    server.server_close()
    page.close()
    assert _Host.asked == ["/control"]


def test_a_rollback_is_told_and_the_page_is_red_though_every_proof_holds(browser: Browser, tmp_path: Path) -> None:
    data = passport((100, 250, 40)).encode()
    page = open_page(browser, tmp_path / "page.html", data, policy=NO_WITNESS)
    assert verdict_of(page) == "red"
    report = judged(page, data)
    expected = answer_to(data, roots(), NO_WITNESS)
    assert answer_of(report) == expected
    assert expected.is_verified
    assert not report["green"]
    assert failed_checks(report) == {"odometer"}
    told = next(check["told"] for check in report["checks"] if check["id"] == "odometer")
    assert told.startswith("The odometer was rolled back: 40.0 km on 2026-11-25 (record 2), after 250.0 km")
    page.close()


@pytest.mark.parametrize(
    ("policy", "title", "told"),
    [
        (POLICY, "Independent witnesses saw it", f"Cosigned by {', '.join(WITNESSES)}; the policy asks for all of "),
        (
            NO_WITNESS,
            "No independent witness was asked for, and none saw it",
            "Cosigned by no known witness; the policy asks for none",
        ),
    ],
    ids=["witnesses", "no witness"],
)
def test_a_page_says_that_witnesses_saw_it_only_where_they_did(
    browser: Browser, tmp_path: Path, genuine: Passport, policy: bytes, title: str, told: str
) -> None:
    page = open_page(browser, tmp_path / "page.html", genuine.encode(), policy=policy)
    check = next(check for check in judged(page, genuine.encode())["checks"] if check["id"] == "witnesses")
    assert (check["passed"], check["title"]) == (True, title)
    assert check["told"].startswith(told)
    page.close()


def test_of_records_that_nobody_signed_no_role_and_no_series_is_said_to_hold(
    browser: Browser, tmp_path: Path, genuine: Passport
) -> None:
    document = json.loads(genuine.encode())
    for record in document["records"]:
        head, payload, rest = record["sd_jwt"].split(".", 2)
        record["sd_jwt"] = f"{head}.{payload}.{'B' if rest[0] == 'A' else 'A'}{rest[1:]}"
    forged = encode_json_lines(document).encode()
    page = open_page(browser, tmp_path / "page.html", forged)
    assert verdict_of(page) == "red"
    passed = {check["id"]: check["passed"] for check in judged(page, forged)["checks"]}
    assert passed["signatures"] is False
    assert {passed[each] for each in ("roles", "sequence", "odometer")} == {None}
    page.close()


def test_what_the_page_cannot_finish_is_never_verified(browser: Browser, tmp_path: Path, genuine: Passport) -> None:
    page = open_page(browser, tmp_path / "page.html", genuine.encode())
    page.evaluate("Object.defineProperty(Corrections.prototype, 'isCorrection', { value() { throw new Error('a bug'); } })")
    report = judged(page, genuine.encode())
    assert not report["verified"]
    assert failed_checks(report) == {"sequence", "odometer"}
    page.close()


def test_a_vehicle_that_hides_its_mileage_is_genuine_and_not_green(browser: Browser, tmp_path: Path) -> None:
    history = many_issuers(tmp_path / "life")
    data = shown(history, hidden={"odometer_m"}).encode()
    page = open_page(browser, tmp_path / "page.html", data)
    assert verdict_of(page) == "unsure"
    report = judged(page, data)
    assert answer_of(report) == answer_to(data, roots())
    assert [each["kind"] for each in report["findings"]].count("hidden") == len(history.signed)
    page.close()


def test_a_reader_judges_by_roots_and_policy_of_his_own(browser: Browser, genuine: Passport, tmp_path: Path) -> None:
    page = open_page(browser, tmp_path / "page.html", genuine.encode())
    assert "whoever made this page" in page.text("#whose-trust")
    (tmp_path / "other.oer").write_bytes(next(iter(hierarchy(2).trust_store.roots.values())).encoded)
    (tmp_path / "ours.oer").write_bytes(roots()[0])
    (tmp_path / "policy").write_bytes(POLICY)
    (tmp_path / "strict").write_bytes(POLICY.replace(b"quorum both", f"witness w4 {witness_key('w4').text}\nquorum w4".encode()))
    (tmp_path / "another.json").write_bytes(passport().encode())
    steps = (
        (("other.oer",), "red", "signatures"),
        (("ours.oer", "policy"), "green", None),
        (("strict",), "red", "witnesses"),
        (("policy",), "green", None),
        (("another.json",), "red", "witnesses"),
    )
    for names, verdict, failed in steps:
        choose(page, [tmp_path / name for name in names])
        assert verdict_of(page) == verdict, names
        if failed is not None:
            assert page.evaluate(f"document.querySelector('[data-check={failed}]').className") == "check failed", names
        if "json" not in names[0]:
            assert all(name in page.text("#whose-trust") for name in names)
    page.close()


def test_a_page_without_a_passport_reads_those_of_others_and_the_pages_they_sent(
    browser: Browser, genuine: Passport, tmp_path: Path
) -> None:
    (tmp_path / "empty.html").write_text(render_page(None, roots(), POLICY), encoding="utf-8")
    sellers = render_page(genuine.encode(), [], b"quorum none\n").replace(
        "</body>", "<script>location = 'about:blank'</script></body>"
    )
    (tmp_path / "sellers.html").write_text(sellers, encoding="utf-8")
    (tmp_path / "twice.html").write_text(sellers + sellers, encoding="utf-8")
    (tmp_path / "damaged.html").write_text(sellers.replace("deflate,", "deflate,A"), encoding="utf-8")
    (tmp_path / "no page.html").write_text(sellers.removeprefix("<!doctype html>\n"), encoding="utf-8")
    (tmp_path / "passport.json").write_bytes(genuine.encode())
    page = browser.open(tmp_path / "empty.html")
    assert page.until("document.documentElement?.dataset.verdict === 'empty'")
    assert page.text("#verdict-word") == "No passport"
    for name, verdict in (
        ("sellers.html", "green"),
        ("twice.html", "red"),
        ("passport.json", "green"),
        ("damaged.html", "red"),
        ("no page.html", "red"),
        ("sellers.html", "green"),
    ):
        choose(page, [tmp_path / name])
        assert verdict_of(page) == verdict, name
        assert page.evaluate("document.getElementById('report').hidden") is (verdict == "red")
        assert page.evaluate("document.title").startswith("Genuine" if verdict == "green" else "Not genuine")
    choose(page, [tmp_path / "passport.json", tmp_path / "sellers.html"])
    assert verdict_of(page) == "unchecked"
    assert page.text("#verdict-word") == "Not checked"
    assert "2 passports: choose one" in page.text("#verdict-text")
    assert page.evaluate("document.getElementById('report').hidden") is True
    for number in (1, 2):
        (tmp_path / f"{number}.policy").write_text("quorum none\n")
    choose(page, [tmp_path / "1.policy", tmp_path / "2.policy"])
    assert verdict_of(page) == "unchecked"
    assert "choose one policy" in page.text("#verdict-text")
    page.close()


def choose(page: Page, files: list[Path]) -> None:
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=document, selector="#own-files")["nodeId"]
    page.evaluate("document.documentElement.dataset.verdict = 'waiting'")
    page.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])


def test_nothing_in_a_passport_ends_its_element_and_the_page_is_the_same_every_time(
    browser: Browser, genuine: Passport, tmp_path: Path
) -> None:
    assert render_page(genuine.encode(), roots(), POLICY) == render_page(genuine.encode(), roots(), POLICY)
    hostile = '{"format":"</script><script>document.documentElement.dataset.verdict=\'green\'</script><!-- {{scripts}} \u2028"}'
    page = open_page(browser, tmp_path / "page.html", hostile.encode())
    assert verdict_of(page) == "red"
    assert page.evaluate("textOf(shown.passport)") == hostile
    assert page.evaluate("document.scripts.length") == 3
    page.close()


def test_the_command_writes_the_page_once_and_refuses_what_is_no_passport(genuine: Passport, tmp_path: Path) -> None:
    (tmp_path / "passport.json").write_bytes(genuine.encode())
    (tmp_path / "policy").write_bytes(POLICY)
    (tmp_path / "root.oer").write_bytes(roots()[0])
    write_trust_directory(tmp_path / "trust", hierarchy().trust_store)
    usual = {"--policy": "policy", "--out": "page.html"}

    def run(file: str, **options: str) -> str:
        given = {**usual, **{f"--{name}": value for name, value in options.items()}}
        arguments = [text for name, value in given.items() for text in (name, str(tmp_path / value))]
        result = CliRunner().invoke(app, ["page", str(tmp_path / file), *arguments])
        if isinstance(result.exception, Exception):
            raise result.exception
        return result.output

    assert "open it in a browser" in run("passport.json", trust="trust")
    run("passport.json", root="root.oer", out="same.html")
    expected = render_page(genuine.encode(), roots(), POLICY)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == (tmp_path / "same.html").read_text(encoding="utf-8") == expected
    with pytest.raises(StorageError, match="not overwritten"):
        run("passport.json", trust="trust")
    with pytest.raises(ConfigError, match="either"):
        run("passport.json", out="none.html")
    with pytest.raises(ConfigError, match="policy"):
        run("passport.json", trust="trust", policy="passport.json", out="none.html")
    with pytest.raises(RecordError, match="passport"):
        run("policy", trust="trust", out="none.html")
    assert not (tmp_path / "none.html").exists()
    given = {"--root": "root.oer", "--policy": "policy", "--out": "again.html"}
    arguments = [text for name, value in given.items() for text in (name, str(tmp_path / value))]
    again = CliRunner().invoke(app, ["page", str(tmp_path / "page.html"), *arguments])
    assert again.exit_code == 0
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == expected


def test_a_hopeless_passport_is_given_up_after_some_hundred_faults(browser: Browser, tmp_path: Path) -> None:
    whole = passport(tuple(range(100, 400)))
    salts = [record.salt for record in whole.records]
    records = [replace(record, salt=salt) for record, salt in zip(whole.records, salts[1:] + salts[:1], strict=True)]
    page = open_page(browser, tmp_path / "page.html", whole.encode(), policy=NO_WITNESS)
    assert verdict_of(page) == "green"
    report = judged(page, replace(whole, records=tuple(records)).encode())
    told = next(check["told"] for check in report["checks"] if check["id"] == "inclusion")
    assert failed_checks(report) == {"inclusion", "sequence"}
    assert told.startswith("Entry 1 of 300: the ledger is not shown to hold this record")
    assert told.endswith("And 253 more")
    page.close()


def test_a_page_of_a_hundred_records_is_small(tmp_path: Path) -> None:
    data = passport(tuple(range(100, 10_100, 100))).encode()
    assert json.loads(data)["records"][99]
    assert len(render_page(data, roots(), POLICY)) < 340_000
