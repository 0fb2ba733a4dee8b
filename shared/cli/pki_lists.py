"""`v2x pki ctl`, `ectl`, `crl`: publish a list now; a node that runs beside serves it at once.

A list is signed with the key in DIR, kept in DIR/lists.db with the number after the last one, and logged before it counts.
"""

from pathlib import Path
from typing import Annotated

import typer

from shared.cli.pki_stations import Directory, identifier
from shared.core.clock import Instant, TimeSource
from shared.operator.list_office import ListOffice
from shared.operator.pki_directory import PkiDirectory
from shared.service.keystore import write_new_file
from shared.service.published_lists import DocumentKind, PublishedDocument
from shared.service.system_clock import SystemClock

_PUBLIC_MODE = 0o644

Out = Annotated[Path | None, typer.Option(help="New file for the signed list.", metavar="FILE")]
Url = Annotated[str | None, typer.Option(help="Public address of what is served; default: as before.", metavar="URL")]


def ctl(
    directory: Directory,
    add_aa: Annotated[
        list[str] | None, typer.Option(help="List a further authorization authority, whose folder is DIR/NAME.", metavar="NAME")
    ] = None,
    remove_aa: Annotated[list[str] | None, typer.Option(help="List a further authority no longer.", metavar="NAME")] = None,
    url: Url = None,
    out: Out = None,
) -> None:
    """Publish the root's list of authorities, whole and as a delta; a further authority is served at aa/NAME after a restart."""
    place = PkiDirectory(directory)
    with place.lists() as lists:
        log = place.log()
        try:
            office = ListOffice(place, lists, log)
            if url is not None:
                office.settings.change_url(url)
            added = {name: place.certificate(name) for name in add_aa or ()}
            for name in added:
                office.settings.add_authority(name)
            for name in remove_aa or ():
                office.settings.remove_authority(name)
            office.log_certificates(added.values())
            _tell(office.publish(DocumentKind.CTL, _now()), out)
        finally:
            log.close()


def ectl(directory: Directory, url: Url = None, out: Out = None) -> None:
    """Publish the trust list manager's list of roots."""
    place = PkiDirectory(directory)
    with place.lists() as lists:
        log = place.log()
        try:
            office = ListOffice(place, lists, log)
            if url is not None:
                office.settings.change_url(url)
            _tell(office.publish(DocumentKind.ECTL, _now()), out)
        finally:
            log.close()


def crl(
    directory: Directory,
    revoke: Annotated[
        list[str] | None, typer.Option(help="Identifier of an authority's certificate; may be repeated.", metavar="HID8")
    ] = None,
    out: Out = None,
) -> None:
    """Publish the root's revocation list. Stations are not revoked in it: see `v2x pki block`."""
    place = PkiDirectory(directory)
    identifiers = [identifier(text, "--revoke") for text in revoke or ()]
    with place.lists() as lists:
        log = place.log()
        try:
            office = ListOffice(place, lists, log)
            for each in identifiers:
                lists.revoke(each)
            _tell(office.publish(DocumentKind.CRL, _now()), out)
        finally:
            log.close()


def _tell(document: PublishedDocument, out: Path | None) -> None:
    if out is not None:
        write_new_file(out, document.octets, mode=_PUBLIC_MODE)
    typer.echo(f"{document.kind.value} {document.sequence} of {document.issuer.hex()}: {len(document.octets)} octets")


def _now() -> Instant:
    return SystemClock(TimeSource.ASSUME_TRUSTED).now()
