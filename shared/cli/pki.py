"""`v2x pki`: a certificate hierarchy in directories, for laboratories, pilots and tests; made here, run by `v2x pki serve`.

    DIR/root  DIR/tlm  DIR/ea  DIR/aa   authorities: certificate.oer, key.pem (0600), encryption-key.pem
    DIR/trust                           what stations get: roots/, authorities/ with proofs, tlm/, log.policy
    DIR/log.db  DIR/log.key             transparency log of authorities and lists

The authorities' keys lie on this machine's disk: a production authority keeps them in a token, and its root offline. The other
commands are in `pki_serve`, `pki_lists`, `pki_stations` and `pki_inspect`.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from shared.cli.pki_inspect import inspect
from shared.cli.pki_lists import crl, ctl, ectl
from shared.cli.pki_serve import serve
from shared.cli.pki_stations import block, register, unblock
from shared.core.clock import NS_PER_S, TimeSource, UtcNs
from shared.core.errors import ConfigError, EncodeError
from shared.core.geo import GeoPoint
from shared.core.itstime import Time32, time32_of, time64_of, utc_from_text
from shared.operator.list_office import open_to_the_public
from shared.operator.pki_directory import AUTHORIZATION, ENROLMENT, MANAGER, ROOT, PkiDirectory
from shared.pki.authority import AuthorizationAuthority, EnrolmentAuthority, RootCa, hours, years
from shared.pki.key_source import SystemKeySource
from shared.pki.list_publisher import TrustListManager
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.region import CircularRegion, GeographicRegion, IdentifiedRegion, IdentifiedRegions, Location, encode_region
from shared.security.trust_store import TrustStore
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_authority, write_authority, write_ticket, write_trust_directory

CLOCK_ALLOWANCE_NS = 60 * NS_PER_S
"""Certificates made now are valid from a minute ago, for stations whose clocks are a little behind."""

MAX_COUNT = 100
"""Tickets of one call; European policy allows 100 in parallel."""

MAX_YEARS = 100
MAX_HOURS = 65_535

_T = TypeVar("_T")

app = typer.Typer(help="Make, run and read certificate authorities.", no_args_is_help=True)
app.command()(inspect)
app.command()(serve)
app.command()(register)
app.command()(block)
app.command()(unblock)
app.command()(ctl)
app.command()(ectl)
app.command()(crl)


class Kind(Enum):
    """What `issue` makes."""

    TICKET = "ticket"
    ENROLMENT = "enrolment"
    AA = "aa"


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
    manager = _made(lambda: TrustListManager.create(name=f"{name} TLM", validity=validity, keys=keys, curve=curve))
    ea = _made(lambda: root.create_enrolment_authority(name=f"{name} EA", validity=validity, keys=keys, curve=curve))
    aa = _made(lambda: root.create_authorization_authority(name=f"{name} AA", validity=validity, keys=keys, curve=curve))
    for part, authority in ((ROOT, root), (MANAGER, manager), (ENROLMENT, ea), (AUTHORIZATION, aa)):
        write_authority(directory / part, authority.credential)
        typer.echo(f"{part}: {authority.certificate.hashed_id8.hex()} {authority.certificate.name}")
    place = PkiDirectory(directory)
    write_trust_directory(place.trust, TrustStore.of_operator((root.certificate,), (ea.certificate, aa.certificate)))
    open_to_the_public(place)
    typer.echo(f"give stations {directory / 'trust'}; keep {directory / 'root'} offline")


@app.command()
def issue(
    directory: Annotated[Path, typer.Argument(help="Directory made by `v2x pki init`.", metavar="DIR")],
    kind: Annotated[Kind, typer.Option(help="What to issue.")],
    out: Annotated[Path, typer.Option(help="New directory for certificate.oer and key.pem.", metavar="DIR")],
    role: Annotated[StationRole | None, typer.Option(help="Whose permissions a ticket gets; default: vehicle.")] = None,
    count: Annotated[int, typer.Option(min=1, max=MAX_COUNT, help="More than one: DIR/001, DIR/002 ...")] = 1,
    name: Annotated[str | None, typer.Option(help="Name in the certificate of an aa.")] = None,
    valid_from: ValidFrom = None,
    valid_hours: Annotated[
        int | None, typer.Option(min=1, max=MAX_HOURS, help="Default: a week for a ticket, three years for the others.")
    ] = None,
    region: RegionText = None,
) -> None:
    """Issue tickets, an enrolment credential, or a further authorization authority, with fresh keys.

    An authority made so is neither listed nor logged until `v2x pki ctl --add-aa` does both.
    """
    if kind is not Kind.TICKET and not (role is None and region is None):
        words = "an enrolment credential and an authority have neither role nor region of their own; both belong to tickets"
        raise ConfigError("--kind", words)
    if (kind is Kind.AA) is (name is None) or (kind is Kind.AA and count != 1):
        raise ConfigError("--name", "belongs to an authority, which is made one at a time and needs it")
    start = _start(valid_from)
    if name is not None:
        authority = _issue_authority(directory, name, start, valid_hours or 3 * 8_766)
        write_authority(out, authority.credential)
        typer.echo(f"{out}: {authority.certificate.hashed_id8.hex()}")
        return
    shape = None if region is None else _region(region)
    for place in (out,) if count == 1 else tuple(out / f"{number:03d}" for number in range(1, count + 1)):
        signer = SystemKeySource().generate(Curve.NIST_P256)
        match kind:
            case Kind.TICKET:
                certificate = _issue_ticket(directory, signer, start, valid_hours or 7 * 24, role or StationRole.VEHICLE, shape)
            case _:
                certificate = _issue_enrolment(directory, signer, start, valid_hours or 3 * 8_766)
        write_ticket(place, certificate, signer)
        typer.echo(f"{place}: {certificate.hashed_id8.hex()}")


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


def _issue_authority(directory: Path, name: str, start: Time32, valid_hours: int) -> AuthorizationAuthority:
    root = RootCa(read_authority(directory / ROOT))
    curve = root.credential.signer.curve
    return _made(
        lambda: root.create_authorization_authority(
            name=name, validity=hours(start, valid_hours), keys=SystemKeySource(), curve=curve
        )
    )


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
