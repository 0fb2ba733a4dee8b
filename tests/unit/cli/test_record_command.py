"""`v2x record` as a garage meets it: what it signs, what it refuses and in which words, and what it says of a file."""

import json
from pathlib import Path

import pytest

from shared.cli.claim_words import unit_of
from shared.records.exchange import Slot, parse_issued
from shared.records.fields import Field, Group, Many, Whole
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from shared.records.kind import OCCURRED, RecordKind
from shared.records.kinds import KINDS
from shared.records.odometer import OdometerFlag
from shared.records.sd_jwt import certificate_id
from tests.helpers.holder import Ended, World, moment, told, v2x
from tests.helpers.ledger import Vehicle
from tests.unit.records.test_kinds import fields_of

SLOT = Slot(seq=58, prev=bytes(range(32)), subject=certificate_id(Vehicle().certificate))
COUNTS = {
    "seq", "first_seq", "last_seq", "grant_seq", "accident_seq", "records", "holders", "airbags_deployed", "full_cycles",
    "deep_discharges", "overcharges", "value",
}  # fmt: skip
"""Numbers that are of something, and have no unit."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return authorities and a garage; everything but the vehicle."""
    world = World(folder=tmp_path_factory.mktemp("world"))
    told(v2x("pki", "init", world.pki, "--valid-from", moment(days=-30)))
    world.enrol("garage")
    (world.folder / "slot.json").write_bytes(SLOT.encode())
    return world


def issue(
    world: World,
    out: Path,
    *,
    kind: str = "maintenance",
    by: str = "garage",
    fields: Path | None = None,
    more: tuple[object, ...] = (),
) -> Ended:
    words = ("record", "issue", "--kind", kind, "--slot", world.folder / "slot.json", "--out", out)
    stated = world.write_maintenance() if fields is None else fields
    return v2x(*words, "--fields", stated, "--credential", world.folder / by, "--trust", world.trust, *more)


def refused(ended: Ended, status: int = 1) -> str:
    """Return the sentence of a refusal."""
    assert (ended.status, ended.out) == (status, ""), ended
    return ended.error


def test_a_garage_signs_a_service_for_the_slot_and_the_file_says_so(world: World, tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    assert f"maintenance record by a garage, number 58 of vehicle {SLOT.subject}" in told(
        issue(world, out, more=("--corrects", 12))
    )
    payload = parse_issued(out.read_bytes()).token.payload
    assert (payload["seq"], payload["subject"], payload["corrects"]) == (58, SLOT.subject, 12)
    shown = told(v2x("record", "show", out, "--trust", world.trust))
    for words in ("a garage", "12,345,000 m", "oil, filters", "record 12", "Genuine: signed by a garage"):
        assert words in shown
    assert "was not checked: --trust DIR does" in told(v2x("record", "show", out))


@pytest.mark.parametrize(
    "note", ["done [/x] twice", "[red]worn[/red]", "left :bomb: aside", "see C:\\", r"\[b]", "[@click=quit]here"]
)
def test_what_somebody_wrote_is_shown_as_it_is_and_commands_no_terminal(world: World, tmp_path: Path, note: str) -> None:
    told(issue(world, tmp_path / "record.json", fields=world.write_maintenance(note=json.dumps(note))))
    shown = told(v2x("record", "show", tmp_path / "record.json", "--trust", world.trust))
    (line,) = [line for line in shown.splitlines() if line.startswith("│ note ")]
    assert line.split("│")[2].strip() == note


def test_machines_get_a_record_as_one_json_object(world: World, tmp_path: Path) -> None:
    told(issue(world, tmp_path / "record.json"))
    value = json.loads(told(v2x("record", "show", tmp_path / "record.json", "--trust", world.trust, "--json")))
    assert (value["kind"], value["signed_by"], value["verified"], value["chained"]) == ("maintenance", "garage", True, True)
    assert value["claims"]["odometer_m"] == 12_345_000


def test_claims_come_as_json_too(world: World, tmp_path: Path) -> None:
    fields = tmp_path / "fields.json"
    fields.write_text(json.dumps({OCCURRED: moment(), **fields_of(RecordKind.REPAIR)}))
    told(issue(world, tmp_path / "record.json", kind="repair", fields=fields))
    assert "Genuine" in told(v2x("record", "show", tmp_path / "record.json", "--trust", world.trust))


def test_a_kind_its_role_may_not_issue_is_refused_with_who_may(world: World, tmp_path: Path) -> None:
    told_no = refused(issue(world, tmp_path / "record.json", kind="inspection"))
    assert told_no == "role: a garage may not issue inspection records; an inspector may"
    assert not (tmp_path / "record.json").exists()


def test_claims_that_do_not_fit_are_named_with_what_would(world: World, tmp_path: Path) -> None:
    fields = world.write_maintenance(odometer_m="10_000_000_001", works="", colour='"red"')
    sentence = refused(issue(world, tmp_path / "record.json", fields=fields))
    for words in (
        "odometer_m: 10000000001 is outside 0 to 10,000,000,000",
        "works is missing: it may be list of 1 to 16: oil, filters",
        "'colour' is no claim of a maintenance record",
    ):
        assert words in sentence


@pytest.mark.parametrize(
    ("claims", "status", "sentence"),
    [
        ({"occurred": "2026-11-22T09:30:00"}, 2, "occurred: is a time without its offset"),
        ({"occurred": "09:30:00"}, 2, "occurred: is a time of no day"),
        ({"occurred": "2026-11-22"}, 1, "occurred: no moment with its offset"),
        ({"occurred": "2999-01-01T00:00:00Z"}, 1, "date: record 58 is dated 2999-01-01"),
        ({"occurred": "2024-01-01T00:00:00Z"}, 1, "date: record 58 is dated 2024-01-01T00:00:00.000Z, more than 400 days ago"),
        ({"note": "nan"}, 1, "note: not a text"),
        ({"note": "["}, 2, "not TOML"),
    ],
)
def test_a_date_or_a_value_that_cannot_be_is_refused(
    world: World, tmp_path: Path, claims: dict[str, str], status: int, sentence: str
) -> None:
    assert sentence in refused(issue(world, tmp_path / "x.json", fields=world.write_maintenance(**claims)), status)


def test_a_day_of_toml_is_a_day_of_a_record(world: World, tmp_path: Path) -> None:
    told(issue(world, tmp_path / "record.json", fields=world.write_maintenance(next_due="2027-11-22")))
    assert "2027-11-22" in told(v2x("record", "show", tmp_path / "record.json"))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("fields.yaml", "", "ends neither in .toml nor in .json"),
        ("fields.json", "[]", "holds no JSON object"),
        ("fields.json", '{"a": 1, "a": 2}', "a name appears twice"),
        ("fields.json", "{" * 40, "nested more than"),
    ],
)
def test_a_file_of_claims_that_is_none_is_told(world: World, tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text)
    assert sentence in refused(issue(world, tmp_path / "x.json", fields=tmp_path / name), 2)


def test_an_expired_credential_signs_nothing(world: World, tmp_path: Path) -> None:
    old = ("--valid-from", moment(days=-3), "--valid-hours", 24)
    told(v2x("pki", "issue", world.pki, "--kind", "enrolment", "--role", "garage", "--out", tmp_path / "closed", *old))
    words = ("--credential", tmp_path / "closed", "--trust", world.trust, "--slot", world.folder / "slot.json")
    ended = v2x("record", "issue", "--kind", "maintenance", "--fields", world.write_maintenance(), "--out", tmp_path / "x", *words)
    assert "nothing can be signed under it any more" in refused(ended)


def test_a_record_of_a_day_before_the_credential_began_is_refused_with_its_days(world: World, tmp_path: Path) -> None:
    ended = issue(world, tmp_path / "x.json", fields=world.write_maintenance(occurred=moment(days=-2)))
    assert "was not valid: it is from " in refused(ended)


def test_a_vehicles_credential_signs_nothing_for_others(world: World, tmp_path: Path) -> None:
    told(v2x("pki", "issue", world.pki, "--kind", "enrolment", "--out", world.folder / "car"))
    assert "a vehicle makes its own records" in refused(issue(world, tmp_path / "x.json", by="car", kind="battery"))


def test_wrong_usage_is_refused_before_anything_is_signed(world: World, tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("")
    assert "exists already and is not overwritten" in refused(issue(world, tmp_path / "there.json"), 2)
    assert "there is no such folder" in refused(issue(world, tmp_path / "absent/x.json"), 2)
    assert "'magic' is no kind of record; there are odometer, maintenance" in refused(issue(world, tmp_path / "x", kind="magic"), 2)
    assert "the key store holds no key named 'garage'" in refused(issue(world, tmp_path / "x", more=("--key", "file:keys")), 2)


def test_a_slot_that_is_none_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "slot.json").write_text('{"format": "v2x-record-slot/1", "seq": -1, "subject": "x", "flags": []}')
    words = ("--credential", world.folder / "garage", "--trust", world.trust, "--fields", world.write_maintenance())
    ended = v2x("record", "issue", "--kind", "maintenance", "--slot", tmp_path / "slot.json", "--out", tmp_path / "x", *words)
    assert "the slot cannot be used: seq: -1 is outside" in refused(ended)


def test_a_slot_is_shown(tmp_path: Path) -> None:
    slot = Slot(seq=3, prev=bytes(32), subject=SLOT.subject, flags=(OdometerFlag.SEQUENCE_RESUMED,))
    (tmp_path / "slot.json").write_bytes(slot.encode())
    assert told(v2x("record", "show", tmp_path / "slot.json")) == f"slot: number 3 of vehicle {SLOT.subject}, sequence resumed\n"
    assert json.loads(told(v2x("record", "show", tmp_path / "slot.json", "--json")))["seq"] == 3


def test_a_record_in_which_something_was_changed_is_shown_and_called_false(world: World, tmp_path: Path) -> None:
    told(issue(world, tmp_path / "good.json"))
    document = json.loads((tmp_path / "good.json").read_text())
    jwt, *rest = document["sd_jwt"].split("~")
    header, payload, signature = jwt.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps(document | {"sd_jwt": "~".join((f"{header}.{payload}.{flipped}", *rest))}))
    ended = v2x("record", "show", forged)
    assert ended.status == 1
    assert "12,345,000 m" in ended.out
    assert "the signature does not hold" in ended.error
    as_json = v2x("record", "show", forged, "--json")
    assert (as_json.status, json.loads(as_json.out)["check"]) == (1, "signature")
    stranger = World(folder=tmp_path)
    told(v2x("pki", "init", stranger.pki))
    assert "does not lead to a trusted root" in v2x("record", "show", tmp_path / "good.json", "--trust", stranger.trust).error


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "v2x-record-passport/9"}'])
def test_a_file_that_is_neither_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert "neither a record" in refused(v2x("record", "show", tmp_path / "file"))


def test_the_kinds_are_listed_from_their_tables() -> None:
    listed = told(v2x("record", "kinds"))
    for kind in RecordKind:
        (line,) = [line for line in listed.splitlines() if line.startswith(f"│ {kind.value} ")]
        assert KINDS[kind].meaning in line
        assert all((role.value in line.split("│")[2]) is (kind in ISSUER_KINDS[role]) for role in IssuerRole)
    shown = told(v2x("record", "kinds", "battery"))
    assert "issued by: vehicle, garage, inspector, maker" in shown
    for field in KINDS[RecordKind.BATTERY].fields:
        (line,) = [line for line in shown.splitlines() if line.startswith(f"│ {field.name} ")]
        assert (unit_of(field) or "") == line.split("│")[2].strip()


def test_the_kinds_of_a_role_are_listed() -> None:
    value = json.loads(told(v2x("record", "kinds", "--role", "inspector", "--json")))
    assert {each["kind"] for each in value["kinds"]} == {"inspection", "battery"}
    assert "garage may not issue" in refused(v2x("record", "kinds", "inspection", "--role", "garage"), 2)
    assert "'pope' is no role" in refused(v2x("record", "kinds", "--role", "pope"), 2)


def numbers(field: Field) -> list[Field]:
    inner = field.type.item if isinstance(field.type, Many) else field.type
    if isinstance(inner, Group):
        return [each for member in inner.members for each in numbers(member)]
    return [field] if isinstance(inner, Whole) else []


def test_every_number_in_a_record_has_a_unit_or_is_a_count() -> None:
    found = {each.name: unit_of(each) for spec in KINDS.values() for field in spec.fields for each in numbers(field)}
    assert {name for name, unit in found.items() if unit is None} <= COUNTS
    assert {name: unit for name, unit in found.items() if name in COUNTS and unit is not None} == {}
    assert found["temperature_highest_dc"] == "0.1 °C"
