"""The page of a passport: one HTML file that verifies itself in a browser, offline, whoever hands it over.

What the page does is in `shared/passport_page`: JavaScript that repeats `v2x passport verify`, and how its answer is drawn. Here
the parts are put together: the passport, the roots and the policy as text that can end no element, the tables of record kinds and
roles made from those of this program, and a content security policy that lets nothing run but this one script and reach no network
at all. The same input makes the same file, octet for octet. Nothing is verified here: the page does that where it is opened.
"""

import json
import re
import zlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files

from shared.core.clock import UtcNs
from shared.core.itstime import utc_text
from shared.pki.permission_sets import RecordRole
from shared.records.fields import HASH, INVISIBLE, Choice, Field, FieldType, Group, Many, Spelled, Text, Whole, YesNo
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from shared.records.kind import KindSpec, RecordKind
from shared.records.kinds import HIDEABLE, SPECS
from shared.records.record import flags_of
from shared.records.strict_json import Json

JUDGING = (
    "faults", "bytes", "sha2", "weierstrass", "ecdsa", "ed25519", "strict_json", "coer", "permissions", "region", "certificate",
    "chain", "merkle", "mldsa", "note", "policy", "proof", "sd_jwt", "fields", "record", "moments", "corrections", "life_events",
    "boot_dates", "counter_steps", "remarks", "sequence", "passport", "trust", "signers", "report", "judge", "inflate", "embedded",
)  # fmt: skip
"""Scripts that judge, in the order they are read."""

DRAWING = ("words", "nodes", "curve", "table", "view")
"""Scripts that draw what was judged."""

RUNNING = ("main",)

DEFLATED = "deflate,"
"""Before the base64 of a passport in a page (RFC 1951)."""

_PLACEHOLDER = re.compile(r"\{\{(csp|style|passport|trust|scripts)\}\}")


def render_page(passport: bytes | None, roots: Sequence[bytes], policy: bytes, *, at: UtcNs | None = None) -> str:
    """Return the page.

    Args:
        passport: the file; None for a page that carries none and checks those that its reader drops on it.
        roots: certificates of root authorities that the page trusts until its reader loads others.
        policy: ledgers and witnesses that count (tlog-policy), likewise.
        at: when the credential that signed last must be valid; None for the date of the newest reading.
    """
    trust: Json = {
        "roots": [b64encode(root).decode() for root in roots],
        "policy": b64encode(policy).decode(),
        "at": None if at is None else utc_text(at),
    }
    script, style = _script(), _read("style.css")
    hashes = {name: b64encode(sha256(text.encode()).digest()).decode() for name, text in (("script", script), ("style", style))}
    parts = {
        "csp": (
            f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; img-src data:; "
            f"base-uri 'none'; form-action 'none'"
        ),
        "style": style,
        "passport": _in_element(None if passport is None else DEFLATED + b64encode(_deflated(passport)).decode()),
        "trust": _in_element(trust),
        "scripts": script,
    }
    return _PLACEHOLDER.sub(lambda found: parts[found[1]], _read("page.html"))


def _deflated(octets: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(octets) + packer.flush()


def _in_element(value: Json) -> str:
    """Return JSON that stands in an element of a page without ending it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\r", "\\r")


@cache
def _script() -> str:
    tables = json.dumps(_tables(), ensure_ascii=True, separators=(",", ":"))
    names = (*JUDGING, *DRAWING, *RUNNING)
    return "\n".join(['"use strict";', f"const TABLES = {tables};", *(_without_remarks(_read(f"{name}.js")) for name in names)])


def _without_remarks(script: str) -> str:
    """Return a script without what is only for who reads its source: remarks on lines of their own, and indentation."""
    lines = (line.strip() for line in script.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _read(name: str) -> str:
    return files("shared").joinpath("passport_page", name).read_text(encoding="utf-8")


def _tables() -> Json:
    """Return what the page has to know of kinds, roles and spellings; types are numbered, for many claims are of one."""
    types = _Types()
    kinds: dict[str, Json] = {spec.claim: _kind(spec, types) for spec in SPECS}
    text_hash = types.number(HASH)
    return {
        "kinds": kinds,
        "types": [*types.told],
        "roles": {role.value: {"words": role.words, "kinds": _values(ISSUER_KINDS[role])} for role in IssuerRole},
        "roleOfSsp": {role.ssp.hex(): role.value for role in RecordRole},
        "hideable": [*sorted(HIDEABLE)],
        "invisible": INVISIBLE,
        "hash": text_hash,
    }


def _values(kinds: frozenset[RecordKind]) -> list[Json]:
    return [kind.value for kind in RecordKind if kind in kinds]


def _kind(spec: KindSpec, types: "_Types") -> Json:
    return {
        "kind": spec.kind.value,
        "version": spec.version,
        "words": spec.kind.words,
        "plural": spec.kind.plural,
        "fields": [types.field(field) for field in spec.fields],
        "inOrder": [[*pair] for pair in spec.in_order],
        "flags": [flag.value for flag in flags_of(spec)],
    }


class _Types:
    """The types of claims, each once."""

    def __init__(self) -> None:
        self.told: list[Json] = []

    def field(self, field: Field) -> Json:
        """Return a claim: its name, the number of its type, and 1 where it is optional."""
        return [field.name, self.number(field.type), *([1] if field.is_optional else [])]

    def number(self, kind: FieldType) -> int:
        """Return the number of a type, which is told once."""
        told = self._told(kind)
        if told not in self.told:
            self.told.append(told)
        return self.told.index(told)

    def _told(self, kind: FieldType) -> Json:
        match kind:
            case Whole(most, least):
                return {"is": "whole", "most": most, "least": least}
            case YesNo():
                return {"is": "yes_no"}
            case Text(most_characters):
                return {"is": "text", "most": most_characters}
            case Spelled():
                return {"is": "spelled", "pattern": kind.pattern, "meaning": kind.meaning}
            case Choice(of):
                return {"is": "choice", "of": [*of]}
            case Many(item, most, least):
                return {"is": "many", "item": self.number(item), "most": most, "least": least}
            case Group(members):
                return {"is": "group", "members": [self.field(member) for member in members]}
            case _:
                raise TypeError(f"the page knows no type {type(kind).__name__}")
