"""Who issues in-vehicle information (ISO/TS 19321 `Provider`, numbered as in ISO 14816), and how its two-letter codes are written.

Country and language are two letters of five bits each, in the international telegraph alphabet no. 2 (ITU-T S.1), first bit first.
"""

from typing import Any, Final

from shared.codec.shape import Field, Record
from shared.codec.uper import Tree
from shared.core.errors import EncodeError
from shared.core.value import Value
from shared.messages import conversions as cv

_LETTERS: Final = {
    0b11000: "A",
    0b10011: "B",
    0b01110: "C",
    0b10010: "D",
    0b10000: "E",
    0b10110: "F",
    0b01011: "G",
    0b00101: "H",
    0b01100: "I",
    0b11010: "J",
    0b11110: "K",
    0b01001: "L",
    0b00111: "M",
    0b00110: "N",
    0b00011: "O",
    0b01101: "P",
    0b11101: "Q",
    0b01010: "R",
    0b10100: "S",
    0b00001: "T",
    0b11100: "U",
    0b01111: "V",
    0b11001: "W",
    0b10111: "X",
    0b10101: "Y",
    0b10001: "Z",
}
_CODES: Final = {letter: code for code, letter in _LETTERS.items()}
_NUMBER: Final = cv.Whole()
_BITS: Final = 10
_BITS_PER_LETTER: Final = 5


class Provider(Value):
    """`Provider`: an organisation that issues in-vehicle information.

    Attributes:
        country_code: two letters (ISO 3166), or the number on the wire where that is no pair of letters.
        identifier: 0..16,383, given by the country.
    """

    country_code: str | int
    identifier: int


def decode_letter_pair(bit_string: Tree) -> str | int:
    """Return the two letters of ten bits, or the number where they are no letters."""
    number = cv.leading_bits(bit_string, _BITS)
    first, second = _LETTERS.get(number >> _BITS_PER_LETTER), _LETTERS.get(number & 31)
    return number if first is None or second is None else first + second


def encode_letter_pair(field: str, value: Any) -> Tree:  # noqa: ANN401 - whatever a program hands over
    """Return two letters, or a number, as ten bits; raises `EncodeError`."""
    if isinstance(value, str) and len(value) == 2 and all(letter in _CODES for letter in value):
        return _CODES[value[0]] << _BITS_PER_LETTER | _CODES[value[1]], _BITS
    number: Any = _NUMBER.encode(field, value)
    if not isinstance(number, int) or not 0 <= number < 1 << _BITS:
        raise EncodeError(field, "is neither two letters from A to Z nor a number of ten bits")
    return number, _BITS


LETTER_PAIR: Final = cv.Converted(decode_letter_pair, encode_letter_pair)

PROVIDER: Final = Record(
    Provider,
    {"countryCode": Field("country_code", LETTER_PAIR), "providerIdentifier": Field("identifier")},
)
"""Shape of a `Provider`."""
