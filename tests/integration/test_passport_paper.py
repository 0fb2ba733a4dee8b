"""The sheet of a passport on paper: another program reads its QR code off the page, and it all fits on one."""

import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.pki.permission_sets import RecordRole
from shared.records.disclosure import choose, disclose
from shared.records.kind import RecordKind
from shared.records.passport import Passport
from shared.records.passport_code import Fit, check_code, code_of, parse_code
from shared.service.passport_sheet import qr_file, render_sheet
from tests.helpers.chromium import Browser, chromium
from tests.helpers.debian import require
from tests.unit.cli.test_passport_of_many_issuers import History, enrol

A4_POINTS = ("594", "595", "596")


def read_code(image: Path) -> str:
    """Have ZBar read the one QR code in a picture."""
    program = require("zbarimg", "zbar-tools")
    arguments = [program, "-q", "--raw", "--nodbus", "-Sdisable", "-Sqrcode.enable", str(image)]
    found = subprocess.run(arguments, capture_output=True, check=True, timeout=60)
    lines = found.stdout.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture(scope="module")
def passport(tmp_path_factory: pytest.TempPathFactory) -> Passport:
    """A life so full of trouble that its sheet has all it can have."""
    history = History(tmp_path_factory.mktemp("life"))
    garage = enrol(RecordRole.GARAGE)
    for km in (50_000, 30_000, 60_000, 20_000, 70_000, 10_000):
        history.reads(km)
        history.is_told(RecordKind.MAINTENANCE, garage, odometer_m=km * 1000)
        history.is_told(RecordKind.REPAIR, garage, odometer_m=km * 1000)
    return disclose(history.passport(), choose(only=None, hide=("boot", "workshop", "note", "works", "cost")))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


def test_the_code_alone_is_read_by_another_program(passport: Passport, tmp_path: Path) -> None:
    data = passport.encode()
    image = tmp_path / "code.png"
    image.write_bytes(qr_file(code_of(passport, data), "png"))
    code = parse_code(read_code(image))
    assert code == code_of(passport, data)
    assert check_code(code, passport, data) is Fit.SAME_FILE


def test_the_printed_sheet_is_one_page_and_its_code_is_read_off_it(passport: Passport, browser: Browser, tmp_path: Path) -> None:
    data = passport.encode()
    sheet = tmp_path / "sheet.html"
    sheet.write_text(render_sheet(passport, data), encoding="utf-8")
    page = browser.open(sheet)
    page.until("document.readyState === 'complete' && document.querySelector('.qr svg')")
    picture = tmp_path / "sheet.png"
    picture.write_bytes(b64decode(page.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))
    assert read_code(picture) == code_of(passport, data).text
    pdf = b64decode(page.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert b"/Count 1\n" in pdf
    assert any(f"/MediaBox [0 0 {width}".encode() in pdf for width in A4_POINTS)
    assert [address for address in page.requests() if not address.startswith("file:")] == []
