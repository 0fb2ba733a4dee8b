"""What the operator chose for the lists, kept beside them, so that commands and a running node agree.

Which authorities are listed is part of it: of each kind at least one, at first those in `ea` and `aa`. One takes over from another
when the new one is added, which stations ask from then on because its certificate began last, and the old one removed. An
authorization authority is removed when its last ticket has run out, because receivers that want everything logged believe no ticket
of an authority that is not listed; a station whose enrolment authority is removed enrols anew at one that is listed.
"""

from dataclasses import dataclass

from shared.core.errors import ConfigError
from shared.operator.pki_directory import AUTHORIZATION, ENROLMENT, check_authority_name
from shared.pki.authority import AuthorityKind
from shared.service.published_lists import PublishedLists

DEFAULT_PERIOD_S = 86_400
"""Life of a list, seconds."""

PERIOD_S = range(4, 366 * 86_400)
"""What a list's life may be."""

MAX_LISTED_AUTHORITIES = 30
"""Authorities of one kind."""

MAX_URL_CHARACTERS = 200
"""Characters of the public address; paths are put behind it."""

FIRST = {AuthorityKind.ENROLMENT: ENROLMENT, AuthorityKind.AUTHORIZATION: AUTHORIZATION}
"""The folders `v2x pki init` makes."""

_LISTED = {AuthorityKind.ENROLMENT: "enrolment_authorities", AuthorityKind.AUTHORIZATION: "authorization_authorities"}
_URL, _PERIOD = "url", "list_period_s"


@dataclass(frozen=True, slots=True)
class ListSettings:
    """What the operator chose.

    Attributes:
        lists: where it is kept.
    """

    lists: PublishedLists

    @property
    def url(self) -> str:
        """The public address of what is served; raises `ConfigError` while nobody has said."""
        url = self.lists.setting(_URL)
        if url is None:
            raise ConfigError("--url", "nobody has said yet under which address the authorities are reached: give --url")
        return url

    def change_url(self, url: str) -> None:
        """Serve under another address from now on; raises `ConfigError` when it is none."""
        check_url("--url", url)
        self.lists.set(_URL, url.rstrip("/"))

    def access_point(self, part: str) -> str:
        """Return where an authority (`ea`, `aa`, `aa/NAME`) is reached; raises `ConfigError` as `url` does."""
        return self.lists.setting(_elsewhere(part)) or f"{self.url}/{part}"

    def change_access_point(self, part: str, url: str | None) -> None:
        """Let an authority be reached elsewhere, or (None) under the common address; raises `ConfigError`."""
        if url is not None:
            check_url(f"--{part}-url", url)
        self.lists.set(_elsewhere(part), url or "")

    @property
    def period_s(self) -> int:
        """Life of a list, seconds."""
        text = self.lists.setting(_PERIOD)
        return DEFAULT_PERIOD_S if text is None else int(text)

    def change_period(self, period_s: int) -> None:
        """Let lists live for another time from now on; raises `ConfigError`."""
        if period_s not in PERIOD_S:
            raise ConfigError("--list-period-s", f"a list lives for {PERIOD_S.start} to {PERIOD_S.stop - 1} seconds")
        self.lists.set(_PERIOD, str(period_s))

    def authorities(self, kind: AuthorityKind) -> tuple[str, ...]:
        """Return the folders of the authorities that are listed, the first one's name being `ea` or `aa`."""
        text = self.lists.setting(_LISTED[kind])
        return (FIRST[kind],) if text is None else tuple(text.split())

    def add_authority(self, kind: AuthorityKind, name: str, url: str | None = None) -> None:
        """List an authority, behind those that are, served at `url` or (None) under the common address; raises `ConfigError`."""
        if name != FIRST[kind]:
            check_authority_name(name)
        names = dict.fromkeys((*self.authorities(kind), name))
        if len(names) > MAX_LISTED_AUTHORITIES:
            raise ConfigError(f"--add-{FIRST[kind]}", f"at most {MAX_LISTED_AUTHORITIES} {kind.value} authorities are listed")
        self.lists.set(_LISTED[kind], " ".join(names))
        if url is not None or name != FIRST[kind]:
            self.change_access_point(place_of(kind, name), url)

    def remove_authority(self, kind: AuthorityKind, name: str) -> None:
        """List an authority no longer; raises `ConfigError` when it is not listed, or the last one of its kind."""
        names, option = self.authorities(kind), f"--remove-{FIRST[kind]}"
        if name not in names:
            raise ConfigError(option, f"{name!r} is not listed")
        if names == (name,):
            raise ConfigError(option, f"{name!r} is the last {kind.value} authority; add the one that takes over before")
        self.lists.set(_LISTED[kind], " ".join(each for each in names if each != name))


def place_of(kind: AuthorityKind, name: str) -> str:
    """Return under which path the authority in a folder is reached: `ea`, `aa`, `ea/NAME`, `aa/NAME`."""
    return name if name == FIRST[kind] else f"{FIRST[kind]}/{name}"


def _elsewhere(part: str) -> str:
    return f"{part}_url"


def check_url(option: str, url: str) -> None:
    """Raise `ConfigError` unless a URL may be named in lists, to which paths are added."""
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL_CHARACTERS
    if not plain or not url.startswith(("http://", "https://")) or url.partition("://")[2] in ("", "/"):
        words = f"is no http or https address of at most {MAX_URL_CHARACTERS} characters"
        raise ConfigError(option, f"{url[:MAX_URL_CHARACTERS]!r} {words}")
