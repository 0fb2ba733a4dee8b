"""Python source in the making: lines with indentation, names for the objects they mention, and the functions that come of it.

What is compiled here was written by this package from a schema, a shape and their numbers. Nothing that came from outside gets
into it, and of a schema's text only names, as quoted strings or reduced to identifiers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from keyword import iskeyword
from typing import Any


class Source:
    """The text of generated functions and the objects it refers to.

    Args:
        objects: by the names the text will use for them.
        reserved: names the text will use for its own variables.
    """

    def __init__(self, objects: dict[str, Any], reserved: tuple[str, ...]) -> None:
        self.objects = dict(objects)
        self._names: set[str] = {*objects, *reserved}
        self._references: dict[int, str] = {}
        self._finished: list[str] = []
        self._lines: list[str] = []
        self._depth = 0

    def line(self, text: str) -> None:
        """Add one statement at the present indentation."""
        self._lines.extend("    " * self._depth + line for line in text.split("\n"))

    @contextmanager
    def suite(self, head: str) -> Iterator[None]:
        """Add a line that opens a suite; what is added inside the `with` belongs to it."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def function(self, head: str) -> Iterator[None]:
        """Add a function of its own, in front of the one being written."""
        outer, self._lines, depth, self._depth = self._lines, [], self._depth, 0
        with self.suite(head):
            yield
        self._finished += [*self._lines, "", ""]
        self._lines, self._depth = outer, depth

    def name(self, stem: str) -> str:
        """Return a name not given before: the stem made an identifier, with a number where it is taken."""
        stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in stem)
        if not stem.isidentifier() or iskeyword(stem):
            stem = f"{stem}_"
        name, number = stem, 1
        while name in self._names:
            number += 1
            name = f"{stem}_{number}"
        self._names.add(name)
        return name

    def refer(self, stem: str, value: Any) -> str:  # noqa: ANN401 - any object
        """Return the global name of an object, the same one each time."""
        key = id(value)
        if key not in self._references:
            self._references[key] = name = self.name(stem.upper())
            self.objects[name] = value
        return self._references[key]

    def constant(self, value: Any) -> str:  # noqa: ANN401 - any value
        """Return an expression of a value that does not change."""
        is_literal = value is None or value == () or value.__class__ in {bool, int, str}
        return repr(value) if is_literal else self.refer("VALUE", value)

    @property
    def text(self) -> str:
        """Return the whole text."""
        return "\n".join(self._finished).rstrip("\n") + "\n"

    def compiled(self, name: str, title: str) -> Callable[[Any], Any]:
        """Compile the text and return one of its functions."""
        namespace: dict[str, Any] = {"__name__": title, **self.objects}
        exec(compile(self.text, f"<{title}>", "exec"), namespace)  # noqa: S102 - our own text, see the opening of this module
        function: Callable[[Any], Any] = namespace[name]
        return function


def plus(text: str, number: float) -> str:
    """Return the expression of a sum."""
    if not number:
        return text
    return f"{text} + {number!r}" if number > 0 else f"{text} - {-number!r}"
