"""`v2x pki inspect`: what a certificate or a trust list states; nothing is verified.

    80 03 ...   a certificate
    03 81 ...   signed data around a list: CTL, ECTL, CRL        03 82 ...   encrypted data: for whom
    01 8x ...   `EtsiTs102941Data` with a list in it

What is nested deeper than anything genuine is refused with the reason; what is none of these, with what it looks like instead.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from shared.cli.source import Kind, is_hex, is_text, recognise
from shared.cli.tree_view import visible
from shared.core.errors import DecodeError
from shared.security.certificate import decode_certificate
from shared.security.describe import Description, describe_certificate
from shared.security.describe_data import describe_encrypted, describe_signed, describe_trust_list
from shared.security.encrypted_data import EncryptedData
from shared.security.secured_data import MAX_SECURED_OCTETS, SignedData, UnsecuredData, decode_secured_data
from shared.security.trust_list import decode_trust_list
from shared.service.keystore import read_bounded

_SQLITE = b"SQLite format 3\x00"
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_DESCRIBED = frozenset((Kind.CERTIFICATE, Kind.SECURED_DATA, Kind.TRUST_LIST))


def inspect(
    file: Annotated[Path, typer.Argument(help="A certificate, a signed trust list or a bare one, in COER.", metavar="FILE")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Print what a certificate or trust list states; nothing is verified."""
    encoded = read_bounded(file, MAX_SECURED_OCTETS)
    try:
        described = describe(encoded)
    except DecodeError as error:
        foreign = _looks_like(encoded)
        if foreign is not None:
            raise DecodeError("file", f"{file} is no certificate and no trust list in COER: {foreign}") from None
        raise DecodeError(error.field, f"{file} is no certificate and no trust list: {error.reason}", error.bit_offset) from error
    if as_json:
        typer.echo(json.dumps(described, ensure_ascii=False))
        return
    tree = Tree(" ".join(str(described[key]) for key in ("kind", "hashed_id8") if key in described))
    _grow(tree, described)
    Console(highlight=False).print(tree)


def _looks_like(encoded: bytes) -> str | None:
    """Say what octets are that begin like nothing `describe` knows, None where they begin like something it does."""
    if not encoded:
        return "it is empty"
    if encoded.startswith(_SQLITE):
        return "it is a SQLite database"
    if pem := _PEM.match(encoded):
        return f"it is a {pem[1].decode('ascii')} in PEM"
    if is_hex(encoded):
        return "it is hexadecimal text, which `v2x decode` reads"
    try:
        kind = recognise(encoded)
    except DecodeError as error:
        return "it is text" if is_text(encoded) else f"it {error.reason}"
    return None if kind in _DESCRIBED else f"it begins like a {kind.value}, which `v2x decode` reads"


def describe(encoded: bytes) -> Description:
    """Return what octets state, their kind first; raises `DecodeError`."""
    match encoded[:1]:
        case b"\x03":
            return _describe_secured(encoded)
        case b"\x01":
            return describe_trust_list(decode_trust_list(encoded))
        case _:
            return describe_certificate(decode_certificate(encoded))


def _describe_secured(encoded: bytes) -> Description:
    content = decode_secured_data(encoded).content
    match content:
        case SignedData(payload=payload) if payload is not None and isinstance(payload.content, UnsecuredData):
            trust_list = describe_trust_list(decode_trust_list(payload.content.payload))
            return {**trust_list, "signed": describe_signed(content)}
        case EncryptedData():
            return {"kind": "encrypted data", **describe_encrypted(content)}
        case _:
            raise DecodeError("content", "neither a signed list nor encrypted data")


def _grow(tree: Tree, value: object) -> None:
    match value:
        case Mapping():
            entries = [(str(key), entry) for key, entry in value.items()]
        case list():
            entries = [(_title(entry, number), entry) for number, entry in enumerate(value, start=1)]
        case _:
            return
    for title, entry in entries:
        if isinstance(entry, Mapping) or (isinstance(entry, list) and any(isinstance(item, Mapping) for item in entry)):
            _grow(tree.add(_plain(title)), entry)
        elif isinstance(entry, list):
            tree.add(_plain(f"{title}: {', '.join(str(item) for item in entry)}"))
        else:
            tree.add(_plain(f"{title}: {entry}"))


def _plain(text: str) -> Text:
    """Return text that means nothing to the terminal, whoever wrote it."""
    return Text(visible(text))


def _title(entry: object, number: int) -> str:
    return str(entry["service"]) if isinstance(entry, Mapping) and "service" in entry else str(number)
