"""`v2x pki request`, `certify`, `install`: an authority on another machine, or of another organisation, gets its certificate.

    request   there: makes the keys, which stay there, and a file for the root (TS 102 941 clause 6.2.1)
    certify   at the root: checks the file and issues the certificate, which goes into the log and then back
    install   there: checks that the certificate is for these keys and holds, and puts it beside them

A first request is nobody's word but that of the key in it. So both sides are shown its fingerprint, and the root certifies it only
when somebody who compared the two says so. A renewal is vouched for by the certificate the authority has.
"""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.new_authority import KINDS, MAX_YEARS, Keys, begin_of_validity, new_keys
from shared.cli.pki_stations import Directory
from shared.cli.tree_view import visible
from shared.core.clock import Instant, TimeSource
from shared.core.errors import ConfigError, EncodeError
from shared.operator.list_office import PUBLIC_MODE, ListOffice
from shared.operator.pki_directory import ROOT, PkiDirectory
from shared.operator.pki_library import PublishedTrust
from shared.pki.authority import AuthorityCredential, AuthorityKind, RootCa, years
from shared.pki.ca_request import CaRequest, fingerprint_of, make_ca_request, open_ca_request, renew_ca_request
from shared.pki.ca_request import certify as certify_request
from shared.pki.exchange import decryption_key_of
from shared.pki.key_source import SystemKeySource
from shared.security.certificate import Certificate
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve
from shared.security.encryption_key import EncryptionKey
from shared.security.freshness import trusted_time64
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import MAX_SECURED_OCTETS
from shared.service.authority_keys import AuthorityKeys, has_signing_key
from shared.service.keystore import read_bounded, read_key, write_new_file
from shared.service.published_lists import PublishedLists
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import (
    CERTIFICATE_FILE,
    ENCRYPTION_KEY_FILE,
    make_directory,
    read_certificate_file,
    read_trust_directory,
    write_certificate,
)

REQUEST_FILE = "request.oer"
"""In the folder of the authority that asks."""


class Below(Enum):
    """What an authority below a root is for."""

    EA = "ea"
    AA = "aa"


KindBelow = Annotated[Below, typer.Option(help="What the authority is for.")]
Folder = Annotated[Path, typer.Argument(help="Folder of the new authority.", metavar="DIR")]


def request(
    folder: Folder,
    kind: KindBelow,
    name: Annotated[str, typer.Option(help="Name in the certificate.")],
    keys: Keys = None,
    curve: Annotated[Curve, typer.Option(help="Curve of the signing key.")] = Curve.NIST_P256,
    renews: Annotated[
        Path | None, typer.Option(help="Folder of the authority as it is; its certificate vouches for the request.", metavar="DIR")
    ] = None,
) -> None:
    """Make the keys of an authority and ask a root for its certificate: DIR/request.oer goes there, the keys stay."""
    if has_signing_key(folder) or (folder / CERTIFICATE_FILE).exists():
        raise ConfigError(str(folder), "holds an authority already: authorities are never overwritten")
    of_kind, now, part = KINDS[kind.value], _now(), folder.resolve().name
    with AuthorityKeys() as opened, new_keys(keys, folder.parent, opened=opened) as new:
        present = None if renews is None else opened.credential(renews)
        signer, decrypting = new.source(part).generate(curve), SystemKeySource().generate(Curve.NIST_P256)
        encryption_key = EncryptionKey(curve=decrypting.curve, point=decrypting.public_key.point)
        octets = make_ca_request(kind=of_kind, name=name, key=signer, encryption_key=encryption_key, now=now)
        if present is not None:
            octets = renew_ca_request(octets, credential=present, now=now)
        new.write_keys(folder, part, signer, decrypting)
        write_new_file(folder / REQUEST_FILE, octets, mode=PUBLIC_MODE)
    typer.echo(f"{folder / REQUEST_FILE}: fingerprint {fingerprint_of(signer.public_key)}")


def certify(
    directory: Directory,
    request_file: Annotated[Path, typer.Argument(help="What the authority sent: its request.oer.", metavar="REQUEST")],
    kind: KindBelow,
    out: Annotated[
        Path,
        typer.Option(
            help="New file for the certificate; `v2x pki ctl --add-aa NAME` finds it as DIR/NAME/certificate.oer.", metavar="CERT"
        ),
    ],
    fingerprint: Annotated[
        str | None,
        typer.Option(help="Of the key in a first request, as the authority told you by another way than the file.", metavar="HEX"),
    ] = None,
    valid_years: Annotated[int, typer.Option(min=1, max=MAX_YEARS, help="Validity of the authority.")] = 3,
) -> None:
    """Issue what another authority asks for, as the root of DIR, and enter the certificate in the log.

    Stations learn of the authority when `v2x pki ctl --add-ea`, `--add-aa` lists it.
    """
    if out.exists():
        raise ConfigError(str(out), "exists already and is not overwritten")
    place, now = PkiDirectory(directory), _now()
    octets = read_bounded(request_file, MAX_SECURED_OCTETS)
    with place.lists() as lists, AuthorityKeys() as keys:
        root = RootCa(place.credential(ROOT, keys))
        wanted = open_ca_request(octets, authorities=_trusted(place, lists), now=now)
        _check_wanted(wanted, KINDS[kind.value], fingerprint)
        certificate = _issued(root, wanted, valid_years)
        make_directory(out.parent, private=False)
        log = place.log()
        try:
            ListOffice(place, lists, log, keys=keys, publishers=frozenset()).log_certificates((certificate,))
        finally:
            log.close()
    write_new_file(out, certificate.encoded, mode=PUBLIC_MODE)
    typer.echo(f"{out}: {certificate.hashed_id8.hex()} {visible(wanted.name)}")


def install(
    folder: Folder,
    certificate_file: Annotated[Path, typer.Argument(help="What the root sent back.", metavar="CERT")],
    trust: Annotated[
        Path | None, typer.Option(help="Folder with the root to trust; default: trust beside DIR.", metavar="TRUST")
    ] = None,
) -> None:
    """Put the certificate a root issued beside the keys it is for, if it is for these keys and its chain holds."""
    certificate = read_certificate_file(certificate_file)
    with AuthorityKeys() as keys:
        credential = AuthorityCredential(
            certificate=certificate, signer=keys.signer(folder), encryption_key=read_key(folder / ENCRYPTION_KEY_FILE)
        )
        decryption_key_of(credential)
    chain = ChainVerifier(trust_store=read_trust_directory(trust or folder.resolve().parent / "trust"), areas=NO_IDENTIFIED_AREAS)
    chain.check_authority(certificate, trusted_time64(_now()))
    write_certificate(folder, certificate)
    typer.echo(f"{folder}: {certificate.hashed_id8.hex()} {visible(certificate.name or '')}")


def _trusted(place: PkiDirectory, lists: PublishedLists) -> PublishedTrust:
    known = tuple(read_trust_directory(place.trust).authorities.values())
    return PublishedTrust(root=place.root_certificate(), known=known, lists=lists, areas=NO_IDENTIFIED_AREAS)


def _check_wanted(wanted: CaRequest, kind: AuthorityKind, fingerprint: str | None) -> None:
    if wanted.kind is not kind:
        raise ConfigError("--kind", f"the request is for an {wanted.kind.value} authority")
    sys.stderr.write(f"{wanted.kind.value} authority {visible(wanted.name)!r}, fingerprint {wanted.fingerprint}\n")
    if wanted.renewed is not None and fingerprint is None:
        return
    if fingerprint is None:
        words = "nobody vouches for a first request: compare what is shown with what the authority says, then give it here"
        raise ConfigError("--fingerprint", words)
    if fingerprint.lower() != wanted.fingerprint:
        raise ConfigError("--fingerprint", "the key in the request has another; do not certify it")


def _issued(root: RootCa, wanted: CaRequest, valid_years: int) -> Certificate:
    try:
        return certify_request(root, wanted, years(begin_of_validity(None), valid_years))
    except EncodeError as error:
        raise ConfigError(f"certificate: {error.field}", error.reason) from error


def _now() -> Instant:
    return SystemClock(TimeSource.ASSUME_TRUSTED).now()
