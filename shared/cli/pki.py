"""`v2x pki`: a small certificate hierarchy in directories, for laboratories, pilots and tests.

    DIR/root  DIR/ea  DIR/aa      authorities: certificate.oer, key.pem (0600), encryption-key.pem
    DIR/trust                     what stations get as --trust: roots/, authorities/

The authorities' keys lie on this machine's disk: a production authority keeps them in a token, and its root offline.
"""

import json
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.tree import Tree

from shared.core.clock import NS_PER_S, TimeSource, UtcNs
from shared.core.errors import ConfigError, DecodeError, EncodeError
from shared.core.geo import GeoPoint
from shared.core.itstime import Time32, time32_of, time64_of, utc_from_text
from shared.pki.authority import AuthorizationAuthority, EnrolmentAuthority, RootCa, hours, years
from shared.pki.key_source import SystemKeySource
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import MAX_CERTIFICATE_OCTETS, Certificate, decode_certificate
from shared.security.describe import describe_certificate
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.region import CircularRegion, GeographicRegion, IdentifiedRegion, IdentifiedRegions, Location, encode_region
from shared.security.trust_store import TrustStore
from shared.service.keystore import read_bounded
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_authority, write_authority, write_ticket, write_trust_directory

CLOCK_ALLOWANCE_NS = 60 * NS_PER_S
"""Certificates made now are valid from a minute ago, for stations whose clocks are a little behind."""

MAX_COUNT = 100
"""Tickets of one call; European policy allows 100 in parallel."""

MAX_YEARS = 100
MAX_HOURS = 65_535

_T = TypeVar("_T")

app = typer.Typer(help="Make, issue and read certificates.", no_args_is_help=True)


class Kind(Enum):
    """What `issue` makes."""

    TICKET = "ticket"
    ENROLMENT = "enrolment"


ValidFrom = Annotated[str | None, typer.Option(help="Begin of validity, ISO 8601 with offset; default: now.", metavar="UTC")]
RegionText = Annotated[
    str | None, typer.Option(help="LAT,LON,RADIUS_M for a circle, or country:NUMBER (UN M49); default: everywhere.")
]


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="New or empty directory.", metavar="DIR")],
    name: Annotated[str, typer.Option(help="Name in the certificates.")] = "v2x-trust",
    valid_years: Annotated[int, typer.Option(min=1, max=MAX_YEARS, help="Validity of all three authorities.")] = 10,
    valid_from: ValidFrom = None,
    region: RegionText = None,
    curve: Annotated[Curve, typer.Option(help="Curve of the authorities' keys.")] = Curve.NIST_P256,
) -> None:
    """Make a root, an enrolment authority, an authorization authority and a trust directory."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(str(directory), "exists already and is not empty: authorities are never overwritten")
    keys = SystemKeySource()
    validity = years(_start(valid_from), valid_years)
    shape = None if region is None else _region(region)
    root = _made(lambda: RootCa.create(name=f"{name} root", validity=validity, keys=keys, region=shape, curve=curve))
    ea = _made(lambda: root.create_enrolment_authority(name=f"{name} EA", validity=validity, keys=keys, curve=curve))
    aa = _made(lambda: root.create_authorization_authority(name=f"{name} AA", validity=validity, keys=keys, curve=curve))
    for part, authority in (("root", root), ("ea", ea), ("aa", aa)):
        write_authority(directory / part, authority.credential)
        typer.echo(f"{part}: {authority.certificate.hashed_id8.hex()} {authority.certificate.name}")
    write_trust_directory(directory / "trust", TrustStore.of_operator((root.certificate,), (ea.certificate, aa.certificate)))
    typer.echo(f"give stations {directory / 'trust'}; keep {directory / 'root'} offline")


@app.command()
def issue(
    directory: Annotated[Path, typer.Argument(help="Directory made by `v2x pki init`.", metavar="DIR")],
    kind: Annotated[Kind, typer.Option(help="What to issue.")],
    out: Annotated[Path, typer.Option(help="New directory for certificate.oer and key.pem.", metavar="DIR")],
    role: Annotated[StationRole | None, typer.Option(help="Whose permissions a ticket gets; default: vehicle.")] = None,
    count: Annotated[int, typer.Option(min=1, max=MAX_COUNT, help="More than one: DIR/001, DIR/002 ...")] = 1,
    valid_from: ValidFrom = None,
    valid_hours: Annotated[
        int | None, typer.Option(min=1, max=MAX_HOURS, help="Default: a week for a ticket, three years for an enrolment.")
    ] = None,
    region: RegionText = None,
) -> None:
    """Issue tickets or an enrolment credential with fresh keys."""
    if kind is Kind.ENROLMENT and not (role is None and region is None):
        raise ConfigError("--kind", "an enrolment credential has neither role nor region of its own; both belong to tickets")
    start = _start(valid_from)
    shape = None if region is None else _region(region)
    for place in (out,) if count == 1 else tuple(out / f"{number:03d}" for number in range(1, count + 1)):
        signer = SystemKeySource().generate(Curve.NIST_P256)
        match kind:
            case Kind.TICKET:
                certificate = _issue_ticket(directory, signer, start, valid_hours or 7 * 24, role or StationRole.VEHICLE, shape)
            case Kind.ENROLMENT:
                certificate = _issue_enrolment(directory, signer, start, valid_hours or 3 * 8_766)
        write_ticket(place, certificate, signer)
        typer.echo(f"{place}: {certificate.hashed_id8.hex()}")


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A certificate in COER (.oer, .coer).", metavar="FILE")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,  # noqa: FBT002 - a command-line flag
) -> None:
    """Print what a certificate states; nothing is verified."""
    encoded = read_bounded(file, MAX_CERTIFICATE_OCTETS)
    try:
        described = describe_certificate(decode_certificate(encoded))
    except DecodeError as error:
        raise DecodeError(error.field, f"{file} is no certificate: {error.reason}", error.bit_offset) from error
    if as_json:
        typer.echo(json.dumps(described, ensure_ascii=False))
        return
    tree = Tree(f"{described['kind']} {described['hashed_id8']}")
    _grow(tree, described)
    Console().print(tree)


def _issue_ticket(
    directory: Path, signer: SoftwareSigner, start: Time32, valid_hours: int, role: StationRole, region: GeographicRegion | None
) -> Certificate:
    authority = AuthorizationAuthority(read_authority(directory / "aa"))
    return _made(
        lambda: authority.issue_ticket(
            public_key=signer.public_key,
            validity=hours(start, valid_hours),
            permissions=TICKET_PERMISSIONS[role],
            region=region,
        )
    )


def _issue_enrolment(directory: Path, signer: SoftwareSigner, start: Time32, valid_hours: int) -> Certificate:
    authority = EnrolmentAuthority(read_authority(directory / "ea"))
    return _made(lambda: authority.issue_credential(public_key=signer.public_key, validity=hours(start, valid_hours)))


def _made(make: Callable[[], _T]) -> _T:
    """Return what `make` makes; what an authority refuses is the operator's mistake here."""
    try:
        return make()
    except EncodeError as error:
        raise ConfigError(f"certificate: {error.field}", error.reason) from error


def _start(valid_from: str | None) -> Time32:
    if valid_from is None:
        utc = SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc()
        return time32_of(time64_of(UtcNs(utc - CLOCK_ALLOWANCE_NS)))
    try:
        return time32_of(time64_of(utc_from_text(valid_from)))
    except ValueError as error:
        raise ConfigError("--valid-from", f"{valid_from!r} is no moment since 2004 with its offset: {error}") from None


def _region(text: str) -> GeographicRegion:
    region: GeographicRegion
    try:
        if text.startswith("country:"):
            region = IdentifiedRegions(regions=(IdentifiedRegion(country=int(text.removeprefix("country:"))),))
        else:
            lat, lon, radius_m = text.split(",")
            region = CircularRegion(centre=Location.of(GeoPoint(float(lat), float(lon))), radius_m=int(radius_m))
        encode_region(region)
    except (ValueError, EncodeError) as error:
        raise ConfigError("--region", f"{text!r} is neither LAT,LON,RADIUS_M nor country:NUMBER ({error})") from None
    return region


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
            _grow(tree.add(title), entry)
        elif isinstance(entry, list):
            tree.add(f"{title}: {', '.join(str(item) for item in entry)}")
        else:
            tree.add(f"{title}: {entry}")


def _title(entry: object, number: int) -> str:
    return str(entry["service"]) if isinstance(entry, Mapping) and "service" in entry else str(number)
