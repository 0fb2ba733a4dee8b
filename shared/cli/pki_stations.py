"""`v2x pki register`, `block`, `unblock`: which stations an enrolment authority serves; a running one follows at once.

A station is registered with the key its maker built in, which signs its first request. A blocked station gets no credential and no
ticket; what it has runs out. A station whose computer is exchanged keeps its name and gets another key: what the old one holds is
accepted no longer.
"""

from pathlib import Path
from typing import Annotated

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shared.core.errors import ConfigError, DecodeError
from shared.core.ids import HashedId8
from shared.operator.pki_directory import PkiDirectory
from shared.pki.permission_sets import StationRole
from shared.pki.registry import RegisteredStation, StationStatus, its_id_text
from shared.security.certificate import decode_certificate
from shared.security.ecdsa import Curve, PublicKey
from shared.service.keystore import MAX_KEY_FILE_OCTETS, read_bounded

Directory = Annotated[Path, typer.Argument(help="Directory made by `v2x pki init`.", metavar="DIR")]
StationName = Annotated[str | None, typer.Option("--its-id", help="Canonical identifier of a station.")]
CredentialName = Annotated[
    str | None, typer.Option("--credential", help="Identifier of one enrolment credential, 16 hexadecimal digits.", metavar="HID8")
]


def register(
    directory: Directory,
    its_id: Annotated[str, typer.Option("--its-id", help="Canonical identifier, as the station will name it.")],
    key: Annotated[
        Path, typer.Option(help="The station's canonical public key: PEM, or a certificate in COER that holds it.", metavar="FILE")
    ],
    role: Annotated[StationRole, typer.Option(help="Whose permissions its tickets may have.")] = StationRole.VEHICLE,
    replace: Annotated[  # noqa: FBT002 - a command-line flag
        bool,
        typer.Option("--replace", help="The station has another key now, such as a car with a new computer: forget the old one."),
    ] = False,
) -> None:
    """Let a station enrol; registering it again as it is changes nothing."""
    station = RegisteredStation(its_id=_its_id(its_id), canonical_key=read_public_key(key), role=role, status=StationStatus.ACTIVE)
    with PkiDirectory(directory).registry() as registry:
        others = [its_id_text(each) for each in registry.stations_with(station.canonical_key) if each != station.its_id]
        revoked = registry.replace_key(station) if replace else ()
        if not replace:
            registry.register(station)
    if others:
        typer.echo(f"{its_id}: its key is that of {', '.join(others)} too: whoever holds it is either of them", err=True)
    for each in revoked:
        typer.echo(f"{each.hex()}: got with the old key, accepted no longer")
    typer.echo(f"{its_id}: registered as {role.value}")


def block(directory: Directory, its_id: StationName = None, credential: CredentialName = None) -> None:
    """Give a station no more credentials and tickets, or accept one of its credentials no longer."""
    _change(directory, its_id, credential, is_blocked=True)


def unblock(directory: Directory, its_id: StationName = None, credential: CredentialName = None) -> None:
    """Serve a blocked station again, or accept a credential again."""
    _change(directory, its_id, credential, is_blocked=False)


def identifier(text: str, option: str) -> HashedId8:
    """Read a `HashedId8`; raises `ConfigError`."""
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if len(octets) != 8:
        raise ConfigError(option, f"{text!r} is no identifier of 16 hexadecimal digits")
    return HashedId8(octets)


def _change(directory: Path, its_id: str | None, credential: str | None, *, is_blocked: bool) -> None:
    word = "blocked" if is_blocked else "served"
    with PkiDirectory(directory).registry() as registry:
        if its_id is not None and credential is None:
            registry.set_status(_its_id(its_id), StationStatus.BLOCKED if is_blocked else StationStatus.ACTIVE)
        elif credential is not None and its_id is None:
            registry.set_revoked(identifier(credential, "--credential"), is_revoked=is_blocked)
        else:
            raise ConfigError("--its-id, --credential", "name a station or one of its credentials")
    typer.echo(f"{its_id or credential}: {word}")


def _its_id(text: str) -> bytes:
    """Return an identifier as a station will name it; raises `ConfigError` for octets that are no text."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigError("--its-id", f"{text!r} is no text in UTF-8") from None


def read_public_key(path: Path) -> PublicKey:
    """Read a public key in PEM, or that of a certificate in COER; raises `ConfigError`."""
    octets = read_bounded(path, MAX_KEY_FILE_OCTETS)
    if not octets.startswith(b"-----BEGIN"):
        try:
            return decode_certificate(octets).public_key()
        except DecodeError as error:
            raise ConfigError(str(path), f"is neither a public key in PEM nor a certificate: {error}") from error
    if b"PRIVATE KEY" in octets:
        raise ConfigError(str(path), "holds a private key, which belongs to the station alone; give the public one")
    try:
        native = load_pem_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(str(path), "holds no public key in PEM") from error
    curve = next(
        (each for each in Curve if isinstance(native, ec.EllipticCurvePublicKey) and each.parameters.name == native.curve.name),
        None,
    )
    if curve is None or not isinstance(native, ec.EllipticCurvePublicKey):
        raise ConfigError(str(path), "holds no key on a curve of IEEE 1609.2")
    return PublicKey(curve, native)
