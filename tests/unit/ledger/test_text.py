"""The one spelling of numbers, base64 and paths of hashes."""

from base64 import b64decode, b64encode
from binascii import Error

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError
from shared.ledger.text import decode_base64, decode_hash, decode_hashes, encode_base64

BASE64_LIKE = st.text(st.sampled_from("AEIQgw048+/zZ=-_ \né"), max_size=16)
HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=5)


def is_canonical(text: str) -> bool:
    try:
        return b64encode(b64decode(text.encode("ascii"), validate=True)).decode() == text
    except (Error, ValueError):
        return False


@given(BASE64_LIKE)
def test_base64_is_read_if_and_only_if_it_is_what_its_bytes_encode_to(text: str) -> None:
    if is_canonical(text):
        assert encode_base64(decode_base64(text, "field")) == text
    else:
        with pytest.raises(DecodeError, match=r"^field: "):
            decode_base64(text, "field")


@given(HASHES)
def test_a_path_of_hashes_is_read_back(hashes: list[bytes]) -> None:
    assert decode_hashes("".join(f"{encode_base64(h)}\n" for h in hashes), "path") == tuple(hashes)


@given(HASHES, st.integers(0, 300), st.text(st.sampled_from("AB=\n+é "), max_size=2), st.integers(0, 2))
def test_a_damaged_path_is_read_line_by_line_or_refused(hashes: list[bytes], at: int, put: str, cut: int) -> None:
    text = "".join(f"{encode_base64(h)}\n" for h in hashes)
    text = text[:at] + put + text[at + cut :]
    if text and not text.endswith("\n"):
        text += "\n"
    try:
        expected = tuple(decode_hash(line, "") for line in text.split("\n")[:-1])
    except DecodeError:
        with pytest.raises(DecodeError, match=r"^path\[\d+\]: "):
            decode_hashes(text, "path")
    else:
        assert decode_hashes(text, "path") == expected


@pytest.mark.parametrize("line", range(3))
@pytest.mark.parametrize("last", "BCDFGH9/")
def test_the_last_bits_of_every_hash_are_zero(line: int, last: str) -> None:
    lines = [encode_base64(bytes(32))] * 3
    lines[line] = lines[line][:42] + last + "="
    with pytest.raises(DecodeError, match=rf"path\[{line}\]: base64 that is not canonical"):
        decode_hashes("\n".join(lines) + "\n", "path")
