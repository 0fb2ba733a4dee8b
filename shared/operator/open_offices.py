"""The authorities a node serves now: those that are listed and whose keys are here, opened and closed as the operator lists them.

    /ea  /ea/NAME    enrolment authorities, all with the one registry        /aa  /aa/NAME    authorization authorities

Before each request it is looked whether the settings or the CTL have changed, so an authority is served from the moment a command
has listed it, and no longer when a command has removed it. One that cannot be opened, because its token is not there, is told
once, counted, and tried again after a while; until then it answers 503. The first look is at the start, and there an authority that
cannot be opened ends the program.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_S, Clock, MonotonicNs
from shared.core.errors import ConfigError, TransportError, V2xError
from shared.core.ids import HashedId8
from shared.operator.list_settings import ListSettings, place_of
from shared.operator.pki_directory import PkiDirectory
from shared.operator.pki_http_app import Answer
from shared.operator.pki_library import PublishedTrust
from shared.operator.pki_offices import AskEnrolmentAuthority, AuthorizationOffice, EnrolmentOffice
from shared.pki.authority import AuthorityKind, AuthorizationAuthority, EnrolmentAuthority
from shared.pki.authorization_desk import AuthorizationDesk
from shared.pki.desk import DeskRecord
from shared.pki.enrolment_desk import EnrolmentDesk
from shared.pki.exchange import Randomness, UnanswerableRequest
from shared.pki.key_source import SystemKeySource
from shared.pki.policy import GrantPolicy
from shared.service.authority_keys import AuthorityKeys
from shared.service.counters import Counters
from shared.service.pki_store import AnswerStore, EnrolmentStore
from shared.service.published_lists import DocumentKind, PublishedLists

REOPEN_S = 30
"""Seconds after which an authority that could not be opened is tried again."""

_Key = tuple[AuthorityKind, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOffice:
    """An authority that is served.

    Attributes:
        identifier: of its certificate.
        office: answers requests.
        store: what it remembers.
        resources: closed with it.
    """

    identifier: HashedId8
    office: EnrolmentOffice | AuthorizationOffice
    store: AnswerStore
    resources: ExitStack

    @property
    def record(self) -> DeskRecord:
        """What its desk did."""
        return self.office.desk.record


class OpenOffices:
    """Serves the authorities of one directory; a context manager that closes them.

    Args:
        directory: certificates, stores, and where the keys are.
        kinds: of the authorities to serve.
        lists: which are listed.
        keys: opens their keys.
        trust: which other authorities they deal with.
        ask_elsewhere: takes questions to enrolment authorities that are not served here.
        clock: dates everything.
        counters: `authority.opened`, `authority.closed`, `authority.failed`; and those of the offices.
        log: told of the same.
    """

    def __init__(
        self,
        directory: PkiDirectory,
        *,
        kinds: tuple[AuthorityKind, ...],
        lists: PublishedLists,
        keys: AuthorityKeys,
        trust: PublishedTrust,
        ask_elsewhere: AskEnrolmentAuthority,
        clock: Clock,
        counters: Counters,
        log: FilteringBoundLogger,
    ) -> None:
        self._directory = directory
        self._kinds = kinds
        self._lists = lists
        self._settings = ListSettings(lists)
        self._root = HashedId8(directory.root_certificate().hashed_id8)
        self._keys = keys
        self._trust = trust
        self._ask_elsewhere = ask_elsewhere
        self._clock = clock
        self._counters = counters
        self._log = log
        self._randomness = Randomness(keys=SystemKeySource(), entropy=os.urandom)
        self._seen: object = None
        self._open: dict[_Key, OpenOffice] = {}
        self._failed: dict[_Key, str] = {}
        self._retry_at = MonotonicNs(0)

    def start(self) -> None:
        """Open what is listed.

        Raises:
            ConfigError: a key or token is not what it should be.
            TransportError: a token is locked or does not answer.
        """
        self._seen = self._now_listed()
        for key in self._here():
            self._open[key] = self._opened(key)

    def follow(self) -> None:
        """Open what has been listed and close what is listed no longer; raises `StorageError`."""
        listed = self._now_listed()
        is_retry = bool(self._failed) and self._clock.now().monotonic >= self._retry_at
        if listed == self._seen and not is_retry:
            return
        here = self._here()
        for key in [each for each in self._open if each not in here or self._is_another(each)]:
            self._close(key)
        self._failed = {key: reason for key, reason in self._failed.items() if key in here}
        for key in here:
            if key not in self._open:
                self._try_to_open(key)
        self._seen = listed

    def at(self, path: str) -> Answer | None:
        """Return what answers requests to a path, None where no authority is.

        Raises:
            TransportError: an authority is there, but cannot be opened now.
            StorageError: it cannot be read which authorities are listed.
        """
        self.follow()
        for (kind, name), each in self._open.items():
            if path == f"/{place_of(kind, name)}":
                return each.office.answer
        for (kind, name), reason in self._failed.items():
            if path == f"/{place_of(kind, name)}":
                raise TransportError(path, reason)
        return None

    def named(self) -> Iterator[tuple[str, OpenOffice]]:
        """Return what is open, each under the path it is served at."""
        for (kind, name), each in self._open.items():
            yield place_of(kind, name), each

    def failing(self) -> dict[str, str]:
        """Return what is listed and cannot be opened, and why."""
        return {place_of(kind, name): reason for (kind, name), reason in self._failed.items()}

    def close(self) -> None:
        """Close everything."""
        while self._open:
            self._open.popitem()[1].resources.close()

    def _enrolment_office(self, identifier: HashedId8) -> EnrolmentOffice | None:
        for each in self._open.values():
            if each.identifier == identifier and isinstance(each.office, EnrolmentOffice):
                return each.office
        return None

    def _now_listed(self) -> object:
        newest = self._lists.newest(DocumentKind.CTL, self._root)
        return None if newest is None else newest.octets, *(self._settings.authorities(kind) for kind in self._kinds)

    def _here(self) -> list[_Key]:
        listed = [(kind, name) for kind in self._kinds for name in self._settings.authorities(kind)]
        return [(kind, name) for kind, name in listed if self._directory.has(name)]

    def _is_another(self, key: _Key) -> bool:
        """Say whether the folder holds another certificate than when it was opened."""
        try:
            return self._directory.certificate(key[1]).hashed_id8 != self._open[key].identifier
        except ConfigError:
            return True

    def _try_to_open(self, key: _Key) -> None:
        place = place_of(*key)
        try:
            self._open[key] = self._opened(key)
        except V2xError as error:
            self._counters.add("authority.failed")
            if self._failed.get(key) != str(error):
                self._log.error("authority_not_opened", authority=place, code=error.code, reason=str(error))
            self._failed[key] = str(error)
            self._retry_at = MonotonicNs(self._clock.now().monotonic + REOPEN_S * NS_PER_S)
            return
        self._failed.pop(key, None)
        self._counters.add("authority.opened")
        self._log.info("authority_opened", authority=place, identifier=self._open[key].identifier.hex())

    def _close(self, key: _Key) -> None:
        closed = self._open.pop(key)
        closed.resources.close()
        self._counters.add("authority.closed")
        self._log.info("authority_closed", authority=place_of(*key), identifier=closed.identifier.hex())

    def _opened(self, key: _Key) -> OpenOffice:
        kind, name = key
        with ExitStack() as stack:
            credential = self._directory.credential(name, self._keys)
            office: EnrolmentOffice | AuthorizationOffice
            store: AnswerStore
            if kind is AuthorityKind.ENROLMENT:
                registry = stack.enter_context(self._directory.registry())
                office, store = self._enrolment(EnrolmentAuthority(credential), registry, place_of(*key)), registry
            else:
                store = stack.enter_context(self._directory.answers(name))
                office = self._authorization(AuthorizationAuthority(credential), store, place_of(*key))
            identifier = HashedId8(credential.certificate.hashed_id8)
            return OpenOffice(identifier=identifier, office=office, store=store, resources=stack.pop_all())

    def _enrolment(self, authority: EnrolmentAuthority, registry: EnrolmentStore, place: str) -> EnrolmentOffice:
        desk = EnrolmentDesk(
            authority=authority,
            registry=registry,
            authorization_authorities=self._trust,
            randomness=self._randomness,
            policy=GrantPolicy(),
        )
        return EnrolmentOffice(desk, name=place, clock=self._clock, log=self._log)

    def _authorization(self, authority: AuthorizationAuthority, answers: AnswerStore, place: str) -> AuthorizationOffice:
        desk = AuthorizationDesk(
            authority=authority,
            answers=answers,
            enrolment_authorities=self._trust,
            randomness=self._randomness,
            policy=GrantPolicy(),
        )
        return AuthorizationOffice(desk, name=place, ask=self._ask, clock=self._clock, counters=self._counters, log=self._log)

    async def _ask(self, authority: HashedId8, question: bytes) -> bytes:
        """Take a question to an enrolment authority, to one of this process at its desk."""
        own = self._enrolment_office(authority)
        if own is None:
            return await self._ask_elsewhere(authority, question)
        try:
            return await own.answer(question)
        except UnanswerableRequest as error:
            raise TransportError("ea", str(error)) from error
