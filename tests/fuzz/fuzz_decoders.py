"""Coverage-guided fuzzing of the message decoders with atheris, for as long as one likes.

    python -m pip install atheris          in an environment of its own, beside this project's dependencies
    python -m tests.fuzz.fuzz_decoders CAM -max_total_time=600

The first argument is a message, or ALL; the others are libFuzzer's. Both paths of each codec are watched, the generated one too.
For every input: a value or a `DecodeError`, in bounded time; the same value on both paths; and it encodes back to the same octets.
`test_fuzz_messages.py` does the like with random inputs in every test run.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

MOST_S = 0.1
"""The bound is 20 ms; counted coverage makes everything several times as slow."""

LONGEST_INPUT = 2_310


def main() -> None:
    """Fuzz until libFuzzer is told to stop."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["shared.codec", "shared.messages"]):
        message_codec = import_module("shared.codec.asn1").message_codec
        message_ids = import_module("shared.core.ids").MessageId
        samples = import_module("shared.messages.samples")
        typed = import_module("shared.messages.typed").TYPED_CODECS
    wanted = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "ALL"
    chosen = [one for one in message_ids if wanted in {"ALL", one.name}]
    codecs = [(one, message_codec(one), True) for one in chosen]
    codecs += [(one, typed[one], False) for one in chosen if one in typed]
    checks = [
        (bytes((2, one)), checked(codec, atheris.instrument_func(codec.generated_decoder()), encodes_back=encodes_back))
        for one, codec, encodes_back in codecs
    ]

    def one_input(octets: bytes) -> None:
        """The first octet chooses the codec; the rest follows the first two octets of the message's header."""
        if octets:
            header, check = checks[octets[0] % len(checks)]
            check(header + octets[1:])

    with TemporaryDirectory() as corpus:
        for n, (one, _, _) in enumerate(codecs):
            if one in typed:
                Path(corpus, str(n)).write_bytes(bytes([n]) + typed[one].encode(getattr(samples, one.name))[2:])
        atheris.Setup([sys.argv[0], corpus, *sys.argv[1:], f"-max_len={LONGEST_INPUT}", "-len_control=0"], one_input)
        atheris.Fuzz()


def checked(codec: Any, decode: Callable[[bytes], Any], *, encodes_back: bool) -> Callable[[bytes], None]:
    """Return the check of one codec; `decode` is its generated path. Typed messages leave parts out and may not encode back."""
    errors = import_module("shared.core.errors")
    not_decoded = import_module("shared.codec.message_codec").NOT_DECODED

    def check(octets: bytes) -> None:
        begun = process_time()
        try:
            value = codec.decode_completely(octets)
        except errors.DecodeError:
            value = None
        taken = process_time() - begun
        assert taken < MOST_S, f"{taken * 1e3:.0f} ms"
        try:
            fast = decode(octets)
        except not_decoded:
            return
        assert value is not None, "taken by the generated path alone"
        assert fast == value, "different on the generated path"
        if encodes_back:
            assert codec.encode(value) == octets, "encodes to something else"

    return check


if __name__ == "__main__":
    main()
