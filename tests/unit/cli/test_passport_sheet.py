"""`v2x passport sheet`: the code ties a sheet to its passport, and a sheet claims no more than the passport does."""

from base64 import b64encode
from collections import Counter
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from shared.cli.passport import app
from shared.core.errors import ConfigError, DecodeError, RecordError, StorageError
from shared.ledger.note import parse_note
from shared.ledger.proof import TlogProof
from shared.records.disclosure import choose, disclose
from shared.records.passport import Passport, build_passport, build_record
from shared.records.passport_code import CODE_SCHEME, MAX_CODE_CHARACTERS, Fit, PassportCode, check_code, code_of, parse_code
from shared.service.passport_sheet import grouped, render_sheet
from tests.helpers.ledger import ORIGIN, MemoryLog
from tests.unit.cli.test_passport_command import passport

LIFE = passport((100, 250, 400))
DATA = LIFE.encode()


def first(count: int) -> Passport:
    return replace(LIFE, records=LIFE.records[:count])


def less(p: Passport) -> Passport:
    return disclose(p, choose(only=None, hide=("boot",)))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["sheet", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "passport.json"
    path.write_bytes(DATA)
    return path


def test_a_code_says_what_a_passport_ends_with() -> None:
    code = code_of(LIFE, DATA)
    assert code.seq == "2"
    assert code.km == "400.0"
    assert code.at.startswith("2026-11-2")
    assert code.log == ORIGIN
    assert code.vehicle == LIFE.credentials[0].id
    assert code.size == "3"
    assert parse_code(code.text) == code


def test_a_sheet_fits_its_file_the_same_records_and_later_ones() -> None:
    code = code_of(LIFE, DATA)
    assert check_code(code, LIFE, DATA) is Fit.SAME_FILE
    assert check_code(code, less(LIFE), less(LIFE).encode()) is Fit.SAME_RECORDS
    earlier = first(2)
    assert check_code(code_of(earlier, earlier.encode()), LIFE, DATA) is Fit.LONGER


def test_a_sheet_of_other_records_or_of_more_records_does_not_fit() -> None:
    other = passport((100, 250, 401))
    for shorter in (other, first(2)):
        with pytest.raises(RecordError, match="of other records than this passport") as caught:
            check_code(code_of(LIFE, DATA), shorter, shorter.encode())
        assert caught.value.check == "sheet"


@pytest.mark.parametrize(
    ("name", "value"),
    [("km", "250.0"), ("km", ""), ("at", "2026-01-01T00:00:00.000Z"), ("seq", "9"), ("size", "4"), ("log", "x"), ("vehicle", "")],
)
def test_a_figure_altered_on_the_sheet_is_named(name: str, value: str) -> None:
    with pytest.raises(RecordError, match=f"the sheet was altered: it says {name} "):
        check_code(replace(code_of(LIFE, DATA), **{name: value}), LIFE, DATA)


def test_a_sheet_of_a_file_does_not_end_before_the_file_does() -> None:
    earlier = replace(code_of(first(1), DATA), file=code_of(LIFE, DATA).file)
    assert earlier.km == "100.0"
    with pytest.raises(RecordError, match="the sheet was altered: it says seq 0, the passport 2"):
        check_code(earlier, LIFE, DATA)


def test_the_check_says_what_the_code_says_for_the_print_beside_it_may_say_anything(file: Path) -> None:
    told = run(str(file), "--check", code_of(LIFE, DATA).text)
    assert "Its code says: 400.0 km on 2026-11-2" in told
    assert "last record number 2. What is printed beside it must say the same." in told
    hidden = disclose(LIFE, choose(only=None, hide=(), may_hide_mileage=True))
    told = run(str(file), "--check", code_of(hidden, hidden.encode()).text)
    assert "Its code says: no reading, last record number 2." in told


def test_a_lower_mileage_on_the_sheet_is_found_even_where_the_file_shows_less() -> None:
    shown = less(LIFE)
    with pytest.raises(RecordError, match=r"it says km 40.0, the passport 400.0"):
        check_code(replace(code_of(LIFE, DATA), km="40.0"), shown, shown.encode())


def test_hidden_readings_are_empty_in_the_code_and_said_on_the_sheet() -> None:
    hidden = disclose(LIFE, choose(only=None, hide=(), may_hide_mileage=True))
    code = code_of(hidden, hidden.encode())
    assert (code.km, code.at) == ("", "")
    assert check_code(code_of(LIFE, DATA), hidden, hidden.encode()) is Fit.SAME_RECORDS
    assert check_code(parse_code(code.text), LIFE, DATA) is Fit.SAME_RECORDS
    text = render_sheet(hidden, hidden.encode())
    assert '<dd class="big">not shown</dd>' in text
    assert "odometer in 3 odometer records" in text


@pytest.mark.parametrize(
    "text",
    ["", "v2x-passport:2?file=x", CODE_SCHEME, "&".join([CODE_SCHEME] * 60), code_of(LIFE, DATA).text + "&more=1"],
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_code(text)


def test_a_code_has_one_spelling_and_every_altered_character_is_refused_or_means_another() -> None:
    text, random = code_of(LIFE, DATA).text, Random(5)
    ends: Counter[str] = Counter()
    for at in range(len(text)):
        altered = text[:at] + random.choice(sorted(set("aZ09&=%?\u00e4 -_.") - {text[at]})) + text[at + 1 :]
        try:
            code = parse_code(altered)
        except DecodeError:
            ends["no code"] += 1
            continue
        assert code.text == altered
        try:
            assert check_code(code, LIFE, DATA) is Fit.SAME_RECORDS, "another file of these records, by its fingerprint"
        except RecordError as error:
            ends["another's"] += 1
            assert error.check == "sheet"  # noqa: PT017 - either way is right, a passport that fits the altered code is not
        else:
            ends["another file of these records"] += 1
            assert code.file != code_of(LIFE, DATA).file
    assert set(ends) == {"no code", "another's", "another file of these records"}, ends


def test_there_is_no_code_of_records_under_a_credential_that_cannot_be() -> None:
    token = replace(LIFE.records[0].token, header={"kid": "&km=1"})
    odd = replace(LIFE, records=(replace(LIFE.records[0], token=token),))
    with pytest.raises(RecordError, match="names no credential under which it could be signed"):
        code_of(odd, DATA)


def test_an_origin_with_every_sign_goes_through_a_code() -> None:
    code = replace(code_of(LIFE, DATA), log="log/&=?%#\u00e4 \U0001f697")
    assert parse_code(code.text) == code
    assert code.text.isascii()
    assert len(code.text) < MAX_CODE_CHARACTERS


def in_log(origin: str) -> Passport:
    """A passport of one record whose ledger calls itself something else."""
    log, item = MemoryLog(origin), LIFE.records[0]
    index = log.submit(b"x")
    proof = TlogProof(index=index, hashes=(), signed_note=parse_note(log.note))
    return build_passport(credentials=LIFE.credentials, records=[build_record(item.token.encode(), item.salt, proof.encode())])


def test_a_ledger_whose_name_fits_no_code_has_no_sheet() -> None:
    endless = in_log("log.example/" + "\U0001f697" * 90)
    with pytest.raises(RecordError, match="name of the ledger is too long"):
        code_of(endless, endless.encode())


def test_the_sheet_escapes_whatever_the_passport_says(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.html"
    file.write_bytes(in_log("log.example/<script>alert(1)</script>").encode())
    run(str(file), "--out", str(out))
    text = out.read_text()
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text


def test_the_sheet_says_the_last_reading_the_rollback_and_the_fingerprint(tmp_path: Path) -> None:
    back = passport((100, 90))
    text = render_sheet(back, back.encode())
    assert '<dd class="big">90.0 km</dd>' in text
    assert "The odometer was rolled back" in text
    assert 'class="fall"' in text
    assert grouped(sha256(back.encode()).hexdigest()) in text
    assert "Serious" not in render_sheet(LIFE, DATA)


def test_both_ends_of_a_short_curve_are_told_apart() -> None:
    short, long = passport((218_215, 218_216)), passport((218_215, 318_215))
    assert ">218,215.0 km</text>" in render_sheet(short, short.encode())
    assert ">218,215 km</text>" in render_sheet(long, long.encode())


def test_the_command_writes_and_compares(file: Path, tmp_path: Path) -> None:
    out, qr = tmp_path / "sheet.html", tmp_path / "code.png"
    code = code_of(LIFE, DATA)
    assert code.text in run(str(file), "--out", str(out))
    assert run(str(file), "--out", str(qr)).startswith(str(qr))
    assert qr.read_bytes().startswith(b"\x89PNG")
    assert "made from exactly this passport" in run(str(file), "--check", code.text)
    with pytest.raises(RecordError, match="the sheet was altered"):
        run(str(file), "--check", replace(code, km="1.0").text)


def test_wrong_usage_is_a_configuration_error(file: Path, tmp_path: Path) -> None:
    code = code_of(LIFE, DATA).text
    for options in ((), ("--out", str(tmp_path / "a.html"), "--check", code), ("--check", "rubbish")):
        with pytest.raises(ConfigError):
            run(str(file), *options)
    with pytest.raises(ConfigError, match=r"ends neither in \.html"):
        run(str(file), "--out", str(tmp_path / "sheet.pdf"))
    with pytest.raises(StorageError):
        run(str(file), "--out", str(file.with_suffix(".html").parent / "none" / "a.html"))


def test_a_passport_without_records_has_no_sheet() -> None:
    empty = Passport(credentials=(), records=())
    with pytest.raises(RecordError, match="holds no record"):
        code_of(empty, empty.encode())


def test_every_part_of_a_code_is_in_its_text() -> None:
    code = code_of(LIFE, DATA)
    assert all(f"{each.name}={getattr(code, each.name)}" in code.text for each in fields(PassportCode))
    assert b64encode(sha256(DATA).digest()).decode().rstrip("=").replace("+", "-").replace("/", "_") == code.file
