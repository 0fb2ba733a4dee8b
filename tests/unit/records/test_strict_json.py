"""JSON is read strictly: what two programs could read differently is refused."""

import pytest

from shared.core.errors import DecodeError, EncodeError
from shared.records.passport import MAX_PASSPORT_BYTES, MAX_PASSPORT_CREDENTIALS, MAX_PASSPORT_RECORDS, PASSPORT_FORMAT
from shared.records.strict_json import MAX_JSON_VALUES, Json, encode_json, encode_json_lines, parse_json


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[1,]", b"{'a':1}", b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b"\xff", b"\xef\xbb\xbf1", b"01", b"1 2",
        b'{"a":1,"a":2}', b'{"x":{"a":1,"\\u0061":2}}', b"9007199254740992", b"-9007199254740992", b"1" * 5000,
        b'"\\ud800"', b'{"\\udfff":1}', b"[" * 17 + b"]" * 17, b"[" * 100_000, b'{"a":' * 20 + b"1" + b"}" * 20, b'"\x01"',
    ],
)  # fmt: skip
def test_what_is_not_strict_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_json(data, "test", 1_000_000)


def test_what_is_too_long_is_not_read() -> None:
    with pytest.raises(DecodeError, match="at most"):
        parse_json(b"[1, 2]", "test", 5)


@pytest.mark.parametrize("data", [b'"' + b'\\"' * 500_000, b'["' + b"\\\\" * 500_000, b'"' * 999_999, b"[" + b'"\\"",' * 150_000])
def test_text_that_never_ends_is_refused_at_once(data: bytes) -> None:
    """A reader that tried every quote as a beginning would still be at it tomorrow."""
    with pytest.raises(DecodeError):
        parse_json(data, "test", 2_000_000)


@pytest.mark.parametrize("data", [b"[" + b"[]," * MAX_JSON_VALUES + b"[]]", b"[" + b"0," * MAX_JSON_VALUES + b"0]"])
def test_more_values_than_any_file_of_ours_has_are_not_made(data: bytes) -> None:
    with pytest.raises(DecodeError, match="values"):
        parse_json(data, "test", 2_000_000)


def test_a_passport_of_all_records_it_may_hold_has_few_enough_values() -> None:
    record: Json = {"sd_jwt": "a", "salt": "b", "proof": "c"}
    credential: Json = {"credential": "d", "authority": "e"}
    passport: Json = {
        "format": PASSPORT_FORMAT,
        "credentials": [credential] * MAX_PASSPORT_CREDENTIALS,
        "records": [record] * MAX_PASSPORT_RECORDS,
    }
    assert parse_json(encode_json_lines(passport).encode(), "test", MAX_PASSPORT_BYTES) == passport


def test_brackets_in_text_do_not_count_as_depth() -> None:
    text = '{"a":"' + "[" * 100 + '\\"{{{"}'
    assert parse_json(text.encode(), "test", 1000) == {"a": "[" * 100 + '"{{{'}


def test_values_survive() -> None:
    value = parse_json(b'{"b":[1,-2.5,true,false,null,"\xc3\xa9"],"a":9007199254740991}', "test", 1000)
    assert encode_json(value) == '{"b":[1,-2.5,true,false,null,"é"],"a":9007199254740991}'
    assert encode_json_lines([1]) == "[\n 1\n]\n"


def test_what_is_no_json_is_not_written() -> None:
    values: tuple[Json, ...] = (float("nan"), float("inf"), [float("nan")])
    for value in values:
        with pytest.raises(EncodeError):
            encode_json(value)
        with pytest.raises(EncodeError):
            encode_json_lines(value)
