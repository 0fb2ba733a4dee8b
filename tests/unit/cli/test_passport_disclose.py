"""`v2x passport disclose`: what is hidden is gone, what is shown still proves itself, and the mileage is not hidden unsaid."""

import json
import zlib
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli.passport import app
from shared.core.errors import ConfigError, RecordError, StorageError
from shared.pki.permission_sets import RecordRole
from shared.records.kind import RecordKind
from shared.records.passport import parse_passport
from shared.service.passport_page import render_page
from tests.unit.cli.test_passport_command import Desk, hierarchy
from tests.unit.cli.test_passport_of_many_issuers import History, enrol

WORKSHOP = "Nachtigall & Sons"
INSPECTOR = "Station Seventeen"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    history = History(tmp_path_factory.mktemp("life"))
    history.reads(50_000)
    history.is_told(RecordKind.MAINTENANCE, enrol(RecordRole.GARAGE), odometer_m=50_000_000, workshop=WORKSHOP)
    history.reads(51_000)
    history.is_told(RecordKind.INSPECTION, enrol(RecordRole.INSPECTOR), odometer_m=51_000_000, inspector=INSPECTOR)
    history.reads(52_000)
    return history.passport().encode()


class Holder:
    """Who has the passport and shows part of it to a buyer."""

    def __init__(self, directory: Path, data: bytes) -> None:
        self.file = directory / "mine.json"
        self.file.write_bytes(data)
        self.out = directory / "shown.json"
        self.buyer = Desk(directory, hierarchy())

    def discloses(self, *options: str) -> str:
        result = CliRunner().invoke(app, ["disclose", str(self.file), "--out", str(self.out), *options])
        if result.exception is not None:
            raise result.exception
        return result.output

    @property
    def shown(self) -> bytes:
        return self.out.read_bytes()


@pytest.fixture
def holder(tmp_path: Path, data: bytes) -> Holder:
    return Holder(tmp_path, data)


def layers(data: bytes) -> Iterator[bytes]:
    """A passport's octets, and everything in it that is base64url, decoded."""
    yield data
    for record in json.loads(data)["records"]:
        for part in record["sd_jwt"].replace(".", "~").split("~"):
            yield urlsafe_b64decode(part + "=" * (-len(part) % 4))


def occurs(text: str, data: bytes) -> bool:
    return any(text.encode() in layer for layer in layers(data))


def test_what_is_not_chosen_is_nowhere_in_the_file_and_the_rest_verifies(holder: Holder, data: bytes) -> None:
    assert occurs(WORKSHOP, data)
    assert occurs(INSPECTOR, data)
    output = holder.discloses("--only", "odometer,inspection", "--hide", "inspector,boot")
    assert "5 records, none left out" in output
    assert "Not shown in a maintenance record: occurred, works, fault codes, next due, next due odometer, workshop" in output
    for hidden in (WORKSHOP, INSPECTOR, "elapsed_ms", "fault_codes"):
        assert not occurs(hidden, holder.shown), hidden
    told = " ".join(holder.buyer.verify(holder.shown).split())
    assert "All 5 records are genuine" in told
    assert "Not shown in a maintenance record: occurred, works" in told
    assert "HIDDEN" not in told
    assert "Not shown in an inspection record: inspector." in told
    assert "Not shown in 3 odometer records: boot." in told
    assert "52,000.0 km" in told


def test_nothing_of_a_hidden_disclosure_is_left_not_even_its_salt(holder: Holder, data: bytes) -> None:
    holder.discloses("--hide", "workshop")
    before, after = (parse_passport(each).records[1].token for each in (data, holder.shown))
    gone = [each for each in before.disclosures if each.name == "workshop"]
    assert len(gone) == 1
    assert gone[0].text not in holder.shown.decode()
    assert json.loads(urlsafe_b64decode(gone[0].text + "=" * (-len(gone[0].text) % 4)))[0] not in holder.shown.decode()
    assert after.disclosures == tuple(each for each in before.disclosures if each.name != "workshop")
    assert after.jwt == before.jwt


def test_a_claim_of_one_kind_is_hidden_there_alone(holder: Holder) -> None:
    holder.discloses("--hide", "inspection.note")
    records = parse_passport(holder.shown).records
    assert "note" in {each.name for each in records[1].token.disclosures}
    assert "note" not in {each.name for each in records[3].token.disclosures}


def test_without_options_the_passport_stays_as_it_was(holder: Holder, data: bytes) -> None:
    assert holder.discloses() == f"{holder.out}: 5 records, none left out.\n"
    assert holder.shown == data


def test_what_was_hidden_cannot_be_shown_again(holder: Holder) -> None:
    holder.discloses("--hide", "workshop")
    holder.file.write_bytes(holder.shown)
    holder.out.unlink()
    holder.discloses()
    assert not occurs(WORKSHOP, holder.shown)


@pytest.mark.parametrize("name", ["odometer", "mileage", "odometer_m", "sources", "odometer.odometer_m", "next_due_odometer_m"])
def test_hiding_the_mileage_among_other_things_is_refused(holder: Holder, name: str) -> None:
    with pytest.raises(ConfigError, match="would hide the mileage of the vehicle; if that is meant, say --hide-mileage"):
        holder.discloses("--hide", f"boot,{name}")
    assert not holder.out.exists()


def test_leaving_out_the_vehicles_own_readings_is_refused(holder: Holder) -> None:
    with pytest.raises(ConfigError, match="hides the vehicle's own readings"):
        holder.discloses("--only", "inspection")


def test_hidden_mileage_is_told_first_of_all_and_follows_from_nothing_shown(holder: Holder) -> None:
    output = holder.discloses("--hide-mileage")
    assert output.splitlines()[1:3] == [
        "THE MILEAGE IS HIDDEN in 3 odometer records of the vehicle itself.",
        "WHAT THE ODOMETER SHOWED IS HIDDEN in a maintenance record, an inspection record.",
    ]
    for metres in ("50000000", "51000000", "52000000"):
        assert not occurs(metres, holder.shown)
    for told in (holder.buyer.verify(holder.shown), holder.buyer.show(holder.shown)):
        assert "THE MILEAGE IS HIDDEN in 3 odometer records" in told
    assert "Not every reading is shown: see above." in " ".join(holder.buyer.verify(holder.shown).split())
    withheld = json.loads(holder.buyer.verify(holder.shown, "--json"))["withheld"]
    assert {"kind": "odometer", "claim": "odometer_m", "records": 3} in withheld
    assert {"kind": "inspection", "claim": "odometer_m", "records": 1} in withheld


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--only", "odometer,tyres"), r"--only: 'tyres' is no kind of record; these are: odometer, maintenance, inspection"),
        (("--only", ","), "--only: names no kind of record"),
        (("--hide", "colour"), r"--hide: 'colour' is no claim of any record; these are: .*position"),
        (("--hide", "inspection.colour"), "an inspection record has no claim 'colour'; it has: defects, inspection, inspector"),
        (("--hide", "tyres.note"), "'tyres' is no kind of record"),
    ],
)
def test_a_kind_or_claim_that_is_not_is_refused_with_those_that_are(
    holder: Holder, options: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        holder.discloses(*options)
    assert not holder.out.exists()


def test_a_file_that_is_there_is_not_overwritten(holder: Holder) -> None:
    holder.out.write_text("mine")
    with pytest.raises(StorageError):
        holder.discloses()
    assert holder.out.read_text() == "mine"


def test_a_page_serves_as_the_passport_it_carries(holder: Holder, data: bytes) -> None:
    page = render_page(data, [], b"").encode()
    assert "All 5 records are genuine" in holder.buyer.verify(page)
    holder.file.write_bytes(page)
    holder.discloses()
    assert holder.shown == data


def packed_in(element: bytes) -> bytes:
    return element.partition(b">")[2].partition(b"<")[0]


def packed_in_two(data: bytes, at: int) -> bytes:
    """Deflate in two parts, so that the length can be chosen."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(data[:at]) + packer.flush(zlib.Z_SYNC_FLUSH)
    return first + packer.compress(data[at:]) + packer.flush()


def with_stray_bits(data: bytes) -> bytes:
    """A packed passport whose base64 ends with bits that stand for nothing: another spelling of the same octets."""
    packed = next(each for at in range(len(data)) if len(each := packed_in_two(data, at)) % 3 == 1)
    text = b64encode(packed)
    assert text[-3:-2] in b"AQgw"
    return b'"deflate,' + text[:-3] + bytes([text[-3] + 1]) + b'=="'


def test_a_page_with_two_passports_or_none_or_a_broken_one_is_refused(holder: Holder, data: bytes) -> None:
    page = render_page(data, [], b"").encode()
    begin, end = page.index(b'<script type="text/plain" id="passport">'), page.index(b'<script type="text/plain" id="trust-data">')
    element = page[begin:end]
    for altered, reason in (
        (page.replace(element, element + element), "carries 2 passports"),
        (page.replace(element, b""), "carries no passport"),
        (render_page(None, [], b"").encode(), "carries no passport"),
        (page.replace(b'id="passport">"', b'id="passport">7"'), "damaged or altered"),
        (page.replace(element, b'<script type="text/plain" id="passport">7</script>'), "damaged or altered"),
        (page.replace(element, b'<script type="text/plain" id="passport">"\\ud800"</script>'), "damaged or altered"),
        (page.replace(element, element.replace(packed_in(element), packed_in(element).decode().encode("utf-16-le"))), "damaged"),
        (page.replace(element, element.replace(packed_in(element), with_stray_bits(data))), "damaged or altered"),
        (page.replace(b"<!doctype html>", b" <!doctype html>"), "cannot be read"),
    ):
        with pytest.raises(RecordError, match=reason):
            holder.buyer.verify(altered)


def test_what_others_read_stays_shown_unless_the_mileage_is_hidden_in_so_many_words(holder: Holder) -> None:
    holder.discloses("--only", "odometer")
    value = json.loads(holder.buyer.verify(holder.shown, "--json"))
    assert [reading["odometer_m"] for reading in value["readings"]] == [50_000_000, 50_000_000, 51_000_000, 51_000_000, 52_000_000]
    assert [reading["occurred"] is None for reading in value["readings"]] == [False, True, False, True, False]
    holder.out.unlink()
    output = holder.discloses("--only", "odometer", "--hide-mileage")
    assert "Withheld: an inspection record, of which only number, kind and proof are shown." in output
    assert not occurs("51000000", holder.shown)
