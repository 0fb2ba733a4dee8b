"""`v2x pki ctl`, `ectl`, `crl`: publish a list now; a node that runs beside serves it at once.

A list is signed with the key in DIR, or in the key store that is named there, kept in DIR/lists.db with the number after the last
one, and logged before it counts.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.pki_stations import Directory, identifier
from shared.core.clock import Instant, TimeSource
from shared.core.errors import ConfigError
from shared.operator.list_office import ListOffice
from shared.operator.list_settings import check_url
from shared.operator.pki_directory import MANAGER, ROOT, PkiDirectory
from shared.pki.authority import AuthorityKind
from shared.service.authority_keys import AuthorityKeys
from shared.service.keystore import write_new_file
from shared.service.published_lists import DocumentKind, PublishedDocument
from shared.service.system_clock import SystemClock

_PUBLIC_MODE = 0o644

Out = Annotated[Path | None, typer.Option(help="New file for the signed list.", metavar="FILE")]
Url = Annotated[str | None, typer.Option(help="Public address of what is served; default: as before.", metavar="URL")]


def ctl(
    directory: Directory,
    add_aa: Annotated[
        list[str] | None,
        typer.Option(
            help="List an authorization authority, whose folder is DIR/NAME; =URL where it is served elsewhere.",
            metavar="NAME[=URL]",
        ),
    ] = None,
    remove_aa: Annotated[
        list[str] | None,
        typer.Option(help="List one no longer; the first is named aa. Its tickets are believed no more.", metavar="NAME"),
    ] = None,
    add_ea: Annotated[
        list[str] | None,
        typer.Option(
            help="List an enrolment authority, whose folder is DIR/NAME; =URL where it is served elsewhere.", metavar="NAME[=URL]"
        ),
    ] = None,
    remove_ea: Annotated[
        list[str] | None,
        typer.Option(help="List one no longer; the first is named ea. Its stations enrol anew at another.", metavar="NAME"),
    ] = None,
    url: Url = None,
    out: Out = None,
) -> None:
    """Publish the root's list of authorities, whole and as a delta.

    A running node serves what is added at aa/NAME or ea/NAME from now on, and what is removed no longer.
    """
    added = {AuthorityKind.ENROLMENT: _places("--add-ea", add_ea), AuthorityKind.AUTHORIZATION: _places("--add-aa", add_aa)}
    with _office(directory, ROOT) as office:
        if url is not None:
            office.settings.change_url(url)
        office.log_certificates(
            office.list_authorities(
                added=added, removed={AuthorityKind.ENROLMENT: remove_ea or (), AuthorityKind.AUTHORIZATION: remove_aa or ()}
            )
        )
        _tell(office.publish(DocumentKind.CTL, _now()), out)


def ectl(directory: Directory, url: Url = None, out: Out = None) -> None:
    """Publish the trust list manager's list of roots."""
    with _office(directory, MANAGER) as office:
        if url is not None:
            office.settings.change_url(url)
        _tell(office.publish(DocumentKind.ECTL, _now()), out)


def crl(
    directory: Directory,
    revoke: Annotated[
        list[str] | None,
        typer.Option(help="Identifier of an authority's certificate, revoked for good; may be repeated.", metavar="HID8"),
    ] = None,
    whole_hierarchy: Annotated[  # noqa: FBT002 - a command-line flag
        bool,
        typer.Option("--whole-hierarchy", help="Needed to revoke the root itself, which ends every certificate of it for good."),
    ] = False,
    out: Out = None,
) -> None:
    """Publish the root's revocation list. Stations are not revoked in it: see `v2x pki block`.

    The list grows: what was revoked once is on every later list, and cannot be taken back. Agents take a new list when the one they
    hold is near its end, which is within what `v2x pki serve --list-period-s` says, a day unless said otherwise.
    """
    identifiers = [identifier(text, "--revoke") for text in revoke or ()]
    if not whole_hierarchy and PkiDirectory(directory).root_certificate().hashed_id8 in identifiers:
        words = "is the root itself: to revoke it ends every certificate of this hierarchy for good; say so with --whole-hierarchy"
        raise ConfigError("--revoke", f"{PkiDirectory(directory).root_certificate().hashed_id8.hex()} {words}")
    with _office(directory, ROOT) as office:
        for each in identifiers:
            if office.settings.lists.newest(DocumentKind.CERTIFICATE, each) is None:
                typer.echo(f"{each.hex()}: no authority that was ever listed here; it is revoked all the same", err=True)
            office.settings.lists.revoke(each)
        _tell(office.publish(DocumentKind.CRL, _now()), out)


def _places(option: str, texts: list[str] | None) -> dict[str, str | None]:
    """Return where each authority is served, None for here; raises `ConfigError`."""
    places: dict[str, str | None] = {}
    for text in texts or ():
        name, equals, url = text.partition("=")
        if equals:
            check_url(option, url)
        places[name] = url if equals else None
    return places


@contextmanager
def _office(directory: Path, publisher: str) -> Iterator[ListOffice]:
    """Open what it takes to publish one authority's lists; its key must be at hand before anything changes."""
    place = PkiDirectory(directory)
    with ExitStack() as stack:
        lists, keys, log = stack.enter_context(place.lists()), stack.enter_context(AuthorityKeys()), place.log()
        stack.callback(log.close)
        yield ListOffice(place, lists, log, keys=keys, publishers=frozenset((publisher,)))


def _tell(document: PublishedDocument, out: Path | None) -> None:
    typer.echo(f"{document.kind.value} {document.sequence} of {document.issuer.hex()}: {len(document.octets)} octets")
    if out is not None:
        write_new_file(out, document.octets, mode=_PUBLIC_MODE)


def _now() -> Instant:
    return SystemClock(TimeSource.ASSUME_TRUSTED).now()
