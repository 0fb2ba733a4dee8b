"""`v2x pki stations`: who is registered at the enrolment authority, and with which credentials.

One row for each station, one below it for each of its credentials; with `--json` one object a line. The identifier of a credential
is what `v2x pki block --credential` takes. A key is named by the first eight octets of the SHA-256 over it as certificates hold it,
so that two registrations of one key can be seen. Nothing here says which tickets a station has: nobody knows that but the station.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated

import typer
from rich.text import Text

from shared.cli.pki_stations import Directory
from shared.cli.rows import Rows, line_console
from shared.cli.tree_view import visible
from shared.core.itstime import utc_of, utc_text
from shared.operator.pki_directory import PkiDirectory
from shared.pki.registry import IssuedCredential, RegisteredStation, its_id_text
from shared.security.ecdsa import PublicKey, encode_verification_key

_COLUMNS = (("Station", 28), ("Role", 8), ("Status", 8), ("Key", 16), ("Credential", 16), ("Valid", 0))


def stations(
    directory: Directory,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Show the registered stations, whether they are served, and the credentials they were issued."""
    rows = Rows(line_console(), _COLUMNS)
    if not as_json:
        rows.head()
    with PkiDirectory(directory).registry() as registry:
        for station in registry.stations():
            credentials = registry.credentials_of(station.its_id)
            if as_json:
                typer.echo(json.dumps({**_described(station), "credentials": [_credential(each) for each in credentials]}))
            else:
                _show(rows, station, [_credential(each) for each in credentials])


def key_id(key: PublicKey) -> str:
    """Return how a key is named for people, 16 hexadecimal digits."""
    return sha256(encode_verification_key(key.curve, key.point.compressed)).hexdigest()[:16]


def _described(station: RegisteredStation) -> dict[str, object]:
    return {
        "its_id": its_id_text(station.its_id),
        "role": station.role.value,
        "status": station.status.value,
        "key": key_id(station.canonical_key),
    }


def _credential(issued: IssuedCredential) -> dict[str, object]:
    validity = issued.certificate.validity
    return {
        "hashed_id8": issued.certificate.hashed_id8.hex(),
        "valid_from": utc_text(utc_of(validity.start_time64)),
        "valid_until": utc_text(utc_of(validity.end_time64)),
        "revoked": issued.is_revoked,
    }


def _show(rows: Rows, station: RegisteredStation, credentials: list[dict[str, object]]) -> None:
    cells = [Text(visible(str(value))) for value in _described(station).values()]
    if not credentials:
        rows.row(*cells, Text("none"), Text(""))
    for each in credentials:
        rows.row(*cells, Text(str(each["hashed_id8"])), Text(_words(each)))
        cells = [Text("")] * len(cells)


def _words(credential: Mapping[str, object]) -> str:
    until = f"{credential['valid_from']} to {credential['valid_until']}"
    return f"{until}, revoked" if credential["revoked"] else until
