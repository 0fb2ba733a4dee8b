"""`v2x pki`: a certificate hierarchy in directories, for laboratories, pilots and tests; made here, run by `v2x pki serve`.

    DIR/root  DIR/tlm  DIR/ea  DIR/aa   authorities: certificate.oer, key.pem or key.uri (0600), encryption-key.pem
    DIR/trust                           what stations get: roots/, authorities/ with proofs, tlm/, log.policy
    DIR/log.db  DIR/log.key             transparency log of authorities and lists

Signing keys are made in each authority's folder, or with `--keys URI` in a token or TPM (`key_store`), where they stay; the folder
then names the store (`authority_keys`), and every command finds them there. Encryption keys are files in either case: tokens sign
here, and agree on no secrets. A root may live in another token than the authorities below it, or its folder on another machine. The
other commands are in `pki_serve`, `pki_lists`, `pki_stations`, `pki_station_table`, `pki_requests` and `pki_inspect`.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from shared.cli.new_authority import KINDS, MAX_YEARS, Keys, begin_of_validity, check_is_new, new_keys
from shared.cli.pki_inspect import inspect
from shared.cli.pki_lists import crl, ctl, ectl
from shared.cli.pki_requests import certify, install, request
from shared.cli.pki_serve import serve
from shared.cli.pki_station_table import stations
from shared.cli.pki_stations import block, read_public_key, register, unblock
from shared.core.errors import ConfigError, EncodeError
from shared.core.geo import GeoPoint
from shared.core.itstime import Time32
from shared.operator.list_office import open_to_the_public
from shared.operator.pki_directory import AUTHORIZATION, ENROLMENT, MANAGER, ROOT, PkiDirectory
from shared.pki.authority import (
    AuthorityCredential,
    AuthorityKind,
    AuthorizationAuthority,
    EnrolmentAuthority,
    RootCa,
    hours,
    years,
)
from shared.pki.ca_request import fingerprint_of
from shared.pki.key_source import SystemKeySource
from shared.pki.list_publisher import TrustListManager
from shared.pki.permission_sets import EC_APP_PERMISSIONS, TICKET_PERMISSIONS, RecordRole, StationRole, issuer_permissions
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, PublicKey, SoftwareSigner
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, GeographicRegion, IdentifiedRegion, IdentifiedRegions, Location, encode_region
from shared.security.trust_store import TrustStore
from shared.security.validity import Validity
from shared.service.authority_keys import AuthorityKeys, NewAuthorityKeys
from shared.service.trust_directory import make_directory, write_certificate, write_ticket, write_trust_directory

MAX_COUNT = 100
"""Tickets of one call; European policy allows 100 in parallel."""

MAX_HOURS = 65_535
_THREE_YEARS_H = 3 * 8_766

_T = TypeVar("_T")

app = typer.Typer(help="Make, run and read certificate authorities.", no_args_is_help=True)
app.command()(inspect)
app.command()(serve)
app.command()(register)
app.command()(block)
app.command()(unblock)
app.command()(stations)
app.command()(ctl)
app.command()(ectl)
app.command()(crl)
app.command()(request)
app.command()(certify)
app.command()(install)


class Kind(Enum):
    """What `issue` makes."""

    TICKET = "ticket"
    ENROLMENT = "enrolment"
    EA = "ea"
    AA = "aa"


def _words(roles: type[StationRole] | type[RecordRole]) -> str:
    return ", ".join(role.value for role in roles)


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
    keys: Keys = None,
) -> None:
    """Make a root, a trust list manager, an enrolment authority, an authorization authority and a trust directory."""
    if directory.exists() and (not directory.is_dir() or any(not path.is_dir() for path in directory.rglob("*"))):
        raise ConfigError(str(directory), "exists already and is not empty: authorities are never overwritten")
    validity = years(begin_of_validity(valid_from), valid_years)
    shape = None if region is None else _region(region)
    with new_keys(keys, directory) as new:
        authority = RootCa.create(name=f"{name} root", validity=validity, keys=new.source(ROOT), region=shape, curve=curve)
        root = authority.credential
        manager = TrustListManager.create(name=f"{name} TLM", validity=validity, keys=new.source(MANAGER), curve=curve).credential
        ea, aa = (
            _below(authority, new, kind, part, name=f"{name} {part.upper()}", validity=validity)
            for kind, part in ((AuthorityKind.ENROLMENT, ENROLMENT), (AuthorityKind.AUTHORIZATION, AUTHORIZATION))
        )
        for part, credential in ((ROOT, root), (MANAGER, manager), (ENROLMENT, ea), (AUTHORIZATION, aa)):
            new.write(directory / part, part, credential)
            typer.echo(f"{part}: {credential.certificate.hashed_id8.hex()} {credential.certificate.name}")
    place = PkiDirectory(directory)
    write_trust_directory(place.trust, TrustStore.of_operator((root.certificate,), (ea.certificate, aa.certificate)))
    open_to_the_public(place)
    typer.echo(f"give stations {directory / 'trust'}; keep {directory / 'root'} offline")


@app.command()
def issue(
    directory: Annotated[Path, typer.Argument(help="Directory made by `v2x pki init`.", metavar="DIR")],
    kind: Annotated[Kind, typer.Option(help="What to issue.")],
    out: Annotated[Path, typer.Option(help="New directory for certificate.oer and key.pem.", metavar="DIR")],
    role: Annotated[
        str | None,
        typer.Option(
            help=f"Of a ticket: {_words(StationRole)}. Of an enrolment credential: vehicle, {_words(RecordRole)}. Default: vehicle."
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=MAX_COUNT, help="More than one: DIR/001, DIR/002 ...")] = 1,
    name: Annotated[str | None, typer.Option(help="Name in the certificate of an authority.")] = None,
    valid_from: ValidFrom = None,
    valid_hours: Annotated[
        int | None, typer.Option(min=1, max=MAX_HOURS, help="Default: a week for a ticket, three years for the others.")
    ] = None,
    region: RegionText = None,
    keys: Keys = None,
    public_key: Annotated[
        Path | None,
        typer.Option(help="Of an enrolment credential: for this key (PEM), which somebody made and keeps.", metavar="FILE"),
    ] = None,
) -> None:
    """Issue tickets, an enrolment credential, or a further authority (ea, aa), with fresh keys.

    An authority made so is neither listed nor logged nor served until `v2x pki ctl --add-ea`, `--add-aa` sees to all three.
    """
    if kind is not Kind.TICKET and region is not None:
        raise ConfigError("--kind", "an enrolment credential and an authority have no region of their own; it belongs to tickets")
    permissions = _permissions(kind, role)
    below = KINDS.get(kind.value)
    if (below is None) is not (name is None) or (below is not None and count != 1):
        raise ConfigError("--name", "belongs to an authority, which is made one at a time and needs it")
    if below is None and keys is not None:
        raise ConfigError("--keys", "is for authorities; a station makes its keys itself when it enrols")
    if public_key is not None and (kind is not Kind.ENROLMENT or count != 1):
        raise ConfigError("--public-key", "belongs to an enrolment credential, one at a time; the others get fresh keys")
    places = (out,) if count == 1 else tuple(out / f"{number:03d}" for number in range(1, count + 1))
    for place in () if public_key is not None else places:  # where a key was made its certificate may be put
        check_is_new(place)
    start = begin_of_validity(valid_from)
    if below is not None and name is not None:
        _issue_authority(directory, out, below, name, hours(start, valid_hours or _THREE_YEARS_H), keys)
        return
    shape = None if region is None else _region(region)
    with AuthorityKeys() as authority_keys:
        issuer = PkiDirectory(directory).credential(AUTHORIZATION if kind is Kind.TICKET else ENROLMENT, authority_keys)
        if public_key is not None:
            theirs = read_public_key(public_key)
            certificate = _issue_enrolment(issuer, theirs, start, valid_hours or _THREE_YEARS_H, permissions)
            make_directory(out, private=False)
            write_certificate(out, certificate)
            typer.echo(f"{out}: {certificate.hashed_id8.hex()} for the key with fingerprint {fingerprint_of(theirs)}")
            return
        for place in places:
            signer = SystemKeySource().generate(Curve.NIST_P256)
            match kind:
                case Kind.TICKET:
                    certificate = _issue_ticket(issuer, signer, start, valid_hours or 7 * 24, permissions, shape)
                case _:
                    certificate = _issue_enrolment(issuer, signer.public_key, start, valid_hours or _THREE_YEARS_H, permissions)
            write_ticket(place, certificate, signer)
            typer.echo(f"{place}: {certificate.hashed_id8.hex()}")


def _issue_ticket(
    issuer: AuthorityCredential,
    signer: SoftwareSigner,
    start: Time32,
    valid_hours: int,
    permissions: tuple[PsidSsp, ...],
    region: GeographicRegion | None,
) -> Certificate:
    authority = AuthorizationAuthority(issuer)
    return _made(
        lambda: authority.issue_ticket(
            public_key=signer.public_key,
            validity=hours(start, valid_hours),
            permissions=permissions,
            region=region,
        )
    )


def _issue_enrolment(
    issuer: AuthorityCredential, public_key: PublicKey, start: Time32, valid_hours: int, permissions: tuple[PsidSsp, ...]
) -> Certificate:
    authority = EnrolmentAuthority(issuer)
    validity = hours(start, valid_hours)
    return _made(lambda: authority.issue_credential(public_key=public_key, validity=validity, permissions=permissions))


def _permissions(kind: Kind, role: str | None) -> tuple[PsidSsp, ...]:
    """Return what a role makes of a ticket or an enrolment credential; none of an authority."""
    tickets = {each.value: TICKET_PERMISSIONS[each] for each in StationRole}
    credentials = {StationRole.VEHICLE.value: EC_APP_PERMISSIONS, **{each.value: issuer_permissions(each) for each in RecordRole}}
    known = {Kind.TICKET: tickets, Kind.ENROLMENT: credentials}.get(kind, {})
    if role is not None and role not in known:
        there_are = f"there are {', '.join(known)}" if known else "an authority has none"
        raise ConfigError("--role", f"{role!r} is no role of this kind of certificate; {there_are}")
    return known.get(role or StationRole.VEHICLE.value, ())


def _issue_authority(directory: Path, out: Path, kind: AuthorityKind, name: str, validity: Validity, keys: str | None) -> None:
    """Make an authority below the root; its key is named as its folder."""
    with AuthorityKeys() as root_keys, new_keys(keys, out.parent, opened=root_keys) as new:
        root = RootCa(PkiDirectory(directory).credential(ROOT, root_keys))
        credential = _below(root, new, kind, out.name, name=name, validity=validity)
        new.write(out, out.name, credential)
    typer.echo(f"{out}: {credential.certificate.hashed_id8.hex()}")


def _below(
    root: RootCa, new: NewAuthorityKeys, kind: AuthorityKind, part: str, *, name: str, validity: Validity
) -> AuthorityCredential:
    signer = new.source(part).generate(root.credential.signer.curve)
    encryption_key = SystemKeySource().generate(Curve.NIST_P256)
    return root.credential_for(kind=kind, name=name, validity=validity, signer=signer, encryption_key=encryption_key)


def _made(make: Callable[[], _T]) -> _T:
    """Return what `make` makes; what an authority refuses is the operator's mistake here."""
    try:
        return make()
    except EncodeError as error:
        raise ConfigError(f"certificate: {error.field}", error.reason) from error


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
