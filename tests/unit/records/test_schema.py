"""The JSON Schemas of records say what the code reads: what verifies validates, what is refused does not."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from shared.cli.record import app
from shared.cli.record_schema import schema
from shared.core.errors import EncodeError, RecordError, StorageError
from shared.records.fields import Field
from shared.records.issuers import IssuerRole
from shared.records.kind import OCCURRED, RecordKind
from shared.records.kinds import KINDS, SPECS
from shared.records.odometer import OdometerFlag
from shared.records.record import RECORD_TYPE, VISIBLE, Record, sign_token, verify_record
from shared.records.schema import VISIBLE_MEANINGS, issuing_roles, record_schema, schema_name
from shared.records.schema_page import documents, unit_of
from shared.records.sd_jwt import SdJwt, issue_sd_jwt, verify_sd_jwt
from shared.records.strict_json import Json
from tests.helpers.data import REPOSITORY
from tests.helpers.ledger import seeded_entropy
from tests.unit.records.test_kinds import EVERY_FIELD, EVERY_KIND, SIGNER, SUBJECT, fields_of, issuer, misfits, record_of, role_for

DIRECTORY = REPOSITORY / "docs/records"
COMMITMENT = "A" * 43


@cache
def validator(kind: RecordKind) -> Draft202012Validator:
    """Judges by the file people read."""
    return Draft202012Validator(json.loads((DIRECTORY / schema_name(KINDS[kind])).read_text(encoding="utf-8")))


def is_valid(kind: RecordKind, claims: dict[str, Json]) -> bool:
    return bool(validator(kind).is_valid(claims))


def claims_of(record: Record) -> dict[str, Json]:
    """The claims a signed record shows."""
    return shown(sign_token(record, SIGNER, seeded_entropy()))


def shown(token: SdJwt) -> dict[str, Json]:
    return verify_sd_jwt(token, typ=RECORD_TYPE, key=SIGNER.public_key)


def is_read(kind: RecordKind, claims: dict[str, Json]) -> bool:
    """Whether the code believes a token that states these claims."""
    try:
        token = issue_sd_jwt(typ=RECORD_TYPE, visible=claims, hidden={}, signer=SIGNER, entropy=seeded_entropy())
        verify_record(token, issuer(kind, IssuerRole.VEHICLE if "subject" not in claims else foreign_role(kind)))
    except (EncodeError, RecordError):
        return False
    return True


def foreign_role(kind: RecordKind) -> IssuerRole:
    return next((role for role in issuing_roles(kind) if role is not IssuerRole.VEHICLE), IssuerRole.GARAGE)


def variants(kind: RecordKind) -> Iterator[dict[str, Json]]:
    """Claims that differ from a good record's in those that are always visible: good ones and bad ones."""
    good = claims_of(record_of(kind))
    values: dict[str, tuple[Json, ...]] = {
        "kind": ("odometer/1", "trip/1", "surprise/1", 1, None),
        "seq": (0, 1, -1, 2**53, "3", True, None),
        "prev": (COMMITMENT, COMMITMENT[:-1], COMMITMENT + "\n", "A" * 42 + "B", 7, None),
        "flags": (
            [], ["clock_not_set"], ["sequence_resumed", "clock_not_set"], ["rollback"], ["clock_not_set"] * 2, ["surprise"], "step",
            [7], None,
        ),
        "next_credential": (COMMITMENT, "", None),
        "subject": (SUBJECT, "somebody", None),
        "corrects": (0, 2, -1, "1", None),
        "reason": ("credential_renewed", "time"),
        "surprise": (1,),
    }  # fmt: skip
    yield good
    for name, choices in values.items():
        yield {key: value for key, value in good.items() if key != name}
        for choice in choices:
            yield {**good, name: choice}
    for name in ("prev", "corrects"):
        yield {**{key: value for key, value in good.items() if key != name}, "seq": 0}
    yield {**good, "reason": "credential_renewed", "next_credential": COMMITMENT}
    yield {**{key: value for key, value in good.items() if key != "reason"}, "next_credential": COMMITMENT}


def test_the_files_are_those_the_tables_make_today() -> None:
    made = documents()
    assert {path.name for path in DIRECTORY.iterdir()} == set(made), "run: v2x record schema --out docs/records"
    for name, data in made.items():
        assert (DIRECTORY / name).read_bytes() == data, f"{name}: run: v2x record schema --out docs/records"


def test_the_command_writes_them_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep/down"
    schema(out=out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == documents()
    assert capsys.readouterr().out == f"{len(SPECS) + 1} files written to {out}\n"


def test_the_command_line_knows_it(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schema", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert len(list(tmp_path.iterdir())) == len(documents())


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be written"):
        schema(out=tmp_path / "file")


def test_every_schema_is_a_schema_with_an_address_of_its_own() -> None:
    for spec in SPECS:
        Draft202012Validator.check_schema(record_schema(spec))
    assert len({str(record_schema(spec)["$id"]) for spec in SPECS}) == len(SPECS)
    assert tuple(VISIBLE_MEANINGS) == VISIBLE


@EVERY_KIND
def test_what_a_record_of_every_kind_shows_validates(kind: RecordKind) -> None:
    token = sign_token(record_of(kind), SIGNER, seeded_entropy())
    assert is_valid(kind, shown(token))
    assert is_valid(kind, shown(token.showing(())))
    for name in KINDS[kind].hideable:
        assert is_valid(kind, shown(token.showing([other for other in KINDS[kind].hideable if other != name])))


@EVERY_KIND
def test_a_schema_fits_no_record_of_another_kind(kind: RecordKind) -> None:
    for other in RecordKind:
        assert is_valid(other, claims_of(record_of(kind))) is (other is kind)


@EVERY_KIND
def test_what_is_always_visible_is_judged_as_the_code_judges_it(kind: RecordKind) -> None:
    verdicts = set()
    for claims in variants(kind):
        wanted = is_read(kind, claims)
        assert is_valid(kind, claims) is wanted, claims
        verdicts.add(wanted)
    assert verdicts == {True, False}


@EVERY_FIELD
def test_what_the_code_refuses_of_a_claim_does_not_validate(kind: RecordKind, field: Field) -> None:
    good = claims_of(record_of(kind))
    assert is_valid(kind, good)
    assert is_valid(kind, {**good, field.name: None}) is field.is_optional
    for wrong in misfits(field):
        assert not is_valid(kind, {**good, field.name: wrong}), wrong


@pytest.mark.parametrize(
    "text",
    ["2026-02-29T09:30:00.250Z", "2024-02-29T09:30:00.250Z", "1969-12-31T23:59:59.999Z", "2026-11-22T24:00:00.000Z",
     "2026-11-22T09:30:00Z", "2026-11-22T09:30:00.250Z\n", "2026-11-22T09:30:00.250+00:00", "9999-12-31T23:59:59.999Z"],
)  # fmt: skip
def test_a_time_is_judged_as_the_code_judges_it(text: str) -> None:
    claims = {**claims_of(record_of(RecordKind.TRIP)), OCCURRED: text}
    assert is_valid(RecordKind.TRIP, claims) is is_read(RecordKind.TRIP, claims)


def test_flags_of_a_foreign_kind_and_an_empty_list_of_them_do_not_validate() -> None:
    record = replace(record_of(RecordKind.TRIP), flags=(OdometerFlag.CLOCK_NOT_SET,))
    assert is_valid(RecordKind.TRIP, claims_of(record))
    assert not is_valid(RecordKind.TRIP, {**claims_of(record), "flags": []})


def test_the_page_names_every_claim_of_every_kind_and_who_may_issue_it() -> None:
    page = documents()["README.md"].decode()
    for spec in SPECS:
        section = page.partition(f"\n## {spec.claim}\n")[2].partition("\n## ")[0]
        assert all(f"| `{field.name}` |" in section for field in spec.fields)
        assert all(f" {role.value}" in section.partition("Schema:")[0] for role in issuing_roles(spec.kind))
        assert role_for(spec.kind) in issuing_roles(spec.kind)


def test_every_number_with_a_unit_in_its_name_has_it_on_the_page() -> None:
    assert {unit_of(name) for name in ("odometer_m", "energy_wh", "state_of_health_permille", "kinds")} == {"m", "Wh", "‰", ""}
    assert set(fields_of(RecordKind.TRIP)) >= {"distance_m"}
