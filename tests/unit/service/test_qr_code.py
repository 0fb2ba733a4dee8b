"""A text as a QR code: the kinds of files, and what is too long."""

import struct
from random import Random

import pytest

from shared.core.errors import ConfigError
from shared.service.qr_code import QUIET_ZONE_MODULES, SCALE_PIXELS, qr_file, qr_terminal

TEXT = "V2X1-000G4-0R40M-30E20-9185G-R38E1-WF29Q"
SMALL_CODE_MODULES = 25
"""A side of the smallest code that holds a challenge in its alphanumeric set: version 2."""


def test_a_challenge_is_a_small_code_with_white_around_it() -> None:
    png = qr_file(TEXT, ".png", "--qr")
    width, height = struct.unpack(">II", png[16:24])
    assert width == height == (SMALL_CODE_MODULES + 2 * QUIET_ZONE_MODULES) * SCALE_PIXELS
    assert b"<svg" in qr_file(TEXT, ".svg", "--qr")


def test_on_a_terminal_it_is_blocks_two_modules_high() -> None:
    lines = qr_terminal(TEXT).splitlines()
    assert len(lines) >= (SMALL_CODE_MODULES + 4) // 2
    assert qr_terminal(TEXT) != qr_terminal(TEXT.replace("0", "1"))


def test_another_kind_of_file_and_a_text_too_long_are_refused_by_the_name_of_the_option() -> None:
    with pytest.raises(ConfigError, match=r"--qr: a QR code is a file that ends in \.svg or \.png"):
        qr_file(TEXT, ".pdf", "--qr")
    with pytest.raises(ConfigError, match=r"--qr: 4000 octets are more than a QR code holds"):
        qr_file("".join(Random(1).choices("abcdef", k=4_000)), ".svg", "--qr")
