"""What a fuzz test drives: a parser with good input, and the one way in which it may end on anything else."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.core.errors import V2xError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """Something that reads: good input, what it makes of it, and which errors it may end in."""

    good: bytes
    run: Callable[[bytes], object]
    errors: tuple[type[V2xError], ...]


def ends_well(parser: Parser, data: bytes) -> bool:
    """Whether something was accepted; anything but the parser's own errors comes out."""
    try:
        parser.run(data)
    except parser.errors as refused:
        sentence = str(refused)
    else:
        return True
    assert sentence.isprintable(), repr(sentence)
    return False
