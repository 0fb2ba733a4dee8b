import copy
import io
import pickle
import traceback

import pytest
import rich.console
import rich.traceback
import structlog

from shared.service.secret import SecretOctets, SecretText

PIN = "correct horse battery staple " * 8


@pytest.mark.parametrize("secret", [SecretText(PIN), SecretOctets(PIN.encode())])
def test_a_secret_shows_its_length_and_nothing_else(secret: SecretText | SecretOctets) -> None:
    shown = {repr(secret), str(secret), f"{secret}", f"{secret!s}", f"{secret!r}", f"{[secret]}", f"{secret[3:90]}"}
    assert not [text for text in shown if "horse" in text or b"horse".hex() in text]
    assert repr(secret[3:90]).startswith("<secret of 87 ")


def test_a_secret_is_what_a_library_takes() -> None:
    assert SecretText(PIN).encode() == PIN.encode()
    assert SecretOctets(b"ab") == b"ab"
    assert SecretOctets(b"ab")[0] == 0x61
    assert memoryview(SecretOctets(b"ab")).tobytes() == b"ab"


@pytest.mark.parametrize("secret", [SecretText(PIN), SecretOctets(PIN.encode())])
def test_a_secret_is_not_written_down(secret: SecretText | SecretOctets) -> None:
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not written down"):
            write(secret)


def crash(pin: SecretText, octets: SecretOctets) -> None:
    kept = {"pin": pin, "parts": [octets, pin[4:]]}
    raise RuntimeError(f"crashed with {len(kept)}")


def test_a_traceback_with_all_variables_shows_no_secret() -> None:
    try:
        crash(SecretText(PIN), SecretOctets(PIN.encode()))
    except RuntimeError as error:
        screen = io.StringIO()
        shown = rich.traceback.Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
        rich.console.Console(file=screen, width=400).print(shown)
        journal = str(structlog.tracebacks.ExceptionDictTransformer(show_locals=True)((type(error), error, error.__traceback__)))
        capture = traceback.TracebackException.from_exception(error, capture_locals=True)
        plain = "".join(capture.format())
    for text in (screen.getvalue(), journal, plain):
        assert "kept" in text
        assert "secret of" in text
        assert "horse" not in text
