"""Records that were signed once, one of each kind: read today, and by every later version, as what they were then."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.core.errors import DecodeError, RecordError
from shared.core.itstime import utc_text
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import OCCURRED, RecordKind
from shared.records.kinds import KINDS, SPECS
from shared.records.record import RECORD_TYPE, commitment_of, verify_record
from shared.records.schema import schema_name
from shared.records.sd_jwt import Es256PublicKey, SdJwt, decode_base64url, parse_sd_jwt, verify_sd_jwt
from tests.conformance.records.examples import EXAMPLES
from tests.conformance.records.make_cases import EXPECTED, RECORD, directory_of, main, write_case
from tests.helpers.data import REPOSITORY
from tests.unit.records.test_kinds import EVERY_KIND

DIRECTORY = Path(__file__).parent / "records"
CASES = sorted(path.parent.name for path in DIRECTORY.glob(f"*/{EXPECTED}"))


@cache
def expected(case: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DIRECTORY / case / EXPECTED).read_text(encoding="utf-8"))
    return found


def compact(case: str) -> str:
    return (DIRECTORY / case / RECORD).read_text(encoding="ascii")


def token_of(case: str) -> SdJwt:
    return parse_sd_jwt(compact(case))


def issuer_of(case: str) -> Issuer:
    wanted = expected(case)
    return Issuer(key=Es256PublicKey(bytes.fromhex(wanted["public_key"])), role=IssuerRole(wanted["role"]))


@pytest.mark.parametrize("case", CASES)
def test_a_pinned_record_is_read_as_it_always_was(case: str) -> None:
    claims, token = dict(expected(case)["claims"]), token_of(case)
    assert token.encode() == compact(case)
    assert verify_sd_jwt(token, typ=RECORD_TYPE, key=issuer_of(case).key) == claims
    shown = verify_record(token, issuer_of(case))
    prev = None if shown.prev is None else decode_base64url(claims["prev"], "prev")
    assert (shown.kind.value, shown.seq, shown.prev, shown.subject) == (
        claims["kind"].partition("/")[0], claims["seq"], prev, claims.get("subject"),
    )  # fmt: skip
    assert shown.occurred is not None
    assert utc_text(shown.occurred) == claims[OCCURRED]
    assert dict(shown.fields) == {name: claims[name] for name in claims if name in KINDS[shown.kind].hideable and name != OCCURRED}
    assert shown.hidden == ()


@pytest.mark.parametrize("case", CASES)
def test_the_log_entry_of_a_pinned_record_is_what_it_always_was(case: str) -> None:
    salt = bytes.fromhex(expected(case)["salt"])
    commitment = bytes.fromhex(expected(case)["commitment"])
    assert commitment_of(token_of(case).jwt, salt) == commitment
    assert commitment_of(token_of(case).showing(()).jwt, salt) == commitment
    assert commitment_of(token_of(case).jwt, bytes([salt[0] ^ 1]) + salt[1:]) != commitment


@pytest.mark.parametrize("case", CASES)
def test_a_pinned_record_fits_the_schema_of_its_name(case: str) -> None:
    schema = json.loads((REPOSITORY / f"docs/records/{case}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(expected(case)["claims"])


@pytest.mark.parametrize("case", CASES)
def test_a_pinned_record_with_a_character_changed_is_refused(case: str) -> None:
    """Every fifth character, for all of them would take long."""
    text = compact(case)
    for at in range(0, len(text), 5):
        altered = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises((DecodeError, RecordError)):
            verify_record(parse_sd_jwt(altered), issuer_of(case))


@EVERY_KIND
def test_a_record_signed_today_has_the_octets_of_the_pinned_one(kind: RecordKind, tmp_path: Path) -> None:
    """What is written may change with a new version of a kind; then the pinned one is still read."""
    write_case(tmp_path, kind)
    for name in (RECORD, EXPECTED):
        assert (tmp_path / directory_of(kind) / name).read_bytes() == (DIRECTORY / directory_of(kind) / name).read_bytes()


def test_what_is_pinned_is_never_written_anew(tmp_path: Path) -> None:
    main(tmp_path)
    record = tmp_path / directory_of(RecordKind.TRIP) / RECORD
    record.write_text("as it was", encoding="ascii")
    main(tmp_path)
    assert record.read_text(encoding="ascii") == "as it was"
    assert len(list(tmp_path.iterdir())) == len(RecordKind)


def test_every_version_of_every_kind_is_pinned_with_every_claim() -> None:
    assert [f"{case}.schema.json" for case in CASES] == sorted(schema_name(spec) for spec in SPECS)
    for kind, fields in EXAMPLES.items():
        assert {*fields, OCCURRED} == set(KINDS[kind].hideable)
