"""The shape of a JSON text from outside, looked at before anything is made of it.

A parser calls itself for every level of nesting. The interpreter's recursion limit is no bound for that: a library may raise it
for the whole process beyond what the stack holds, and a text of brackets would then end the program. What the text means, and
whether it is JSON at all, is the parser's business.
"""

import re

MAX_JSON_DEPTH = 16
"""Levels of lists and objects in what any of our formats and protocols holds."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, or what begins as one and never ends: read once, for a text of nothing else must not be read over and over."""


def without_strings(text: str) -> str:
    """Return a JSON text less its strings: brackets, numbers and what stands between them."""
    return _STRING.sub("", text)


def check_depth(text: str, maximum: int = MAX_JSON_DEPTH) -> None:
    """Raise `ValueError` if lists and objects are nested more than `maximum` deep in a text, with or without its strings."""
    depth = 0
    for character in without_strings(text):
        if character in "[{":
            depth += 1
            if depth > maximum:
                raise ValueError(f"nested more than {maximum} deep")
        elif character in "]}":
            depth -= 1
