"""The page: one HTML file that carries its script and its style, and a policy that lets nothing else run and reach nothing else.

The parts are in `rsu_agent/console/assets`. The browser is told the hashes of the one script and the one style; the page may speak
to the address it came from and to no other, loads nothing, and is in no other page's frame. No text can become markup or program in
it: where the browser knows trusted types, it refuses to try.
"""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

SCRIPTS = ("words", "nodes", "speech", "plan", "sight", "moving", "lists", "orders", "main")
"""In the order they are read."""

_PLACEHOLDER = re.compile(r"\{\{(style|scripts)\}\}")


@cache
def page() -> bytes:
    """Return the page."""
    parts = {"style": _style(), "scripts": _script()}
    return _PLACEHOLDER.sub(lambda found: parts[found[1]], _read("page.html")).encode()


@cache
def content_security_policy() -> str:
    """Return the policy that the page is sent with."""
    return (
        f"default-src 'none'; script-src 'sha256-{_hash(_script())}'; style-src 'sha256-{_hash(_style())}'; connect-src 'self'; "
        f"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        f"trusted-types 'none'"
    )


@cache
def _script() -> str:
    return "\n".join(['"use strict";', *(_read(f"{name}.js") for name in SCRIPTS)])


@cache
def _style() -> str:
    return _read("style.css")


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    return files("rsu_agent").joinpath("console", "assets", name).read_text(encoding="utf-8")
