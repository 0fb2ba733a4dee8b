"""A text as a QR code (ISO/IEC 18004): a file to show or print, or blocks on a terminal."""

from io import BytesIO, StringIO

import segno

from shared.core.errors import ConfigError

QUIET_ZONE_MODULES = 4
"""ISO/IEC 18004 asks for four modules of white around a code."""

SCALE_PIXELS = 8
_KINDS = (".svg", ".png")


def qr_file(text: str, suffix: str, option: str) -> bytes:
    """Return the code of a text as a file, black on white.

    Args:
        text: at most what fits the largest code, some 2,900 octets.
        suffix: `.svg` or `.png`.
        option: where the file was named, for errors.

    Raises:
        ConfigError: another suffix, or the text is too long.
    """
    check_qr_suffix(suffix, option)
    out = BytesIO()
    try:
        code = segno.make_qr(text)
    except segno.DataOverflowError:
        raise ConfigError(option, f"{len(text.encode())} octets are more than a QR code holds") from None
    code.save(out, kind=suffix[1:], border=QUIET_ZONE_MODULES, dark="#000", light="#fff", scale=SCALE_PIXELS)
    return out.getvalue()


def check_qr_suffix(suffix: str, option: str) -> None:
    """Check, before there is a text, that a code can be such a file; raises `ConfigError` as `qr_file` does."""
    if suffix not in _KINDS:
        raise ConfigError(option, f"a QR code is a file that ends in {' or '.join(_KINDS)}")


def qr_terminal(text: str) -> str:
    """Return the code of a short text in blocks for a terminal, two modules to a character."""
    out = StringIO()
    segno.make_qr(text).terminal(out, border=2, compact=True)
    return out.getvalue()
