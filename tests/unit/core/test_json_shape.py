"""How deep a JSON text is nested is found out before a parser that calls itself is let near it."""

import subprocess
import sys

import pytest

from shared.core.json_shape import MAX_JSON_DEPTH, check_depth, without_strings

DEEP = """
import sys
sys.setrecursionlimit(100_000)  # as a library may have done
from shared.core.errors import DecodeError
from shared.ledger.evm.bundle import MAX_BUNDLE_OCTETS, parse_bundle
from shared.records.strict_json import parse_json
for parse in (parse_bundle, lambda data: parse_json(data, "data", len(data))):
    try:
        parse((b'{"a":' * MAX_BUNDLE_OCTETS)[:MAX_BUNDLE_OCTETS])
    except DecodeError as error:
        print(error)
"""


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{", "}")])
def test_as_many_levels_as_are_allowed_and_no_more(opening: str, closing: str) -> None:
    check_depth(opening * MAX_JSON_DEPTH + closing * MAX_JSON_DEPTH)
    check_depth((opening + closing) * 1_000)
    with pytest.raises(ValueError, match=f"nested more than {MAX_JSON_DEPTH} deep"):
        check_depth(opening * (MAX_JSON_DEPTH + 1))


@pytest.mark.parametrize("text", ['"[[[["', '"\\"[[[["', '"[[[[', '["[[", "\\\\", "]]"]'])
def test_brackets_in_strings_do_not_count(text: str) -> None:
    check_depth(text, 1)
    assert "[[" not in without_strings(text)


def test_a_deep_text_ends_no_program_whose_recursion_limit_was_raised() -> None:
    told = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout.count("nested more than 16 deep")) == (0, 2), told.stderr
