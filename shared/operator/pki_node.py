"""`v2x pki serve`: the authorities of one hierarchy in one process, or some of them in several.

    root   signs its CTL and CRL, nothing else        tlm   signs its ECTL
    ea     enrolment authority                        aa    authorization authorities
    dc     distribution centre                        cpoc  point of contact
    log    transparency log of lists and of authorities' certificates

Lists are renewed before they run out (`house_keeping`), by one process for each directory, for they name one address. Authorities
that commands add or remove are served, or no longer, from the next request on (`open_offices`). An authorization authority asks an
enrolment authority of this process at its desk, another one over HTTP where the newest CTL (or the operator) says it is. What this
process cannot do for want of a key is refused at the start; a token that goes away later costs the answers its key would sign,
which are 503 and counted by the token's word until it is back, no others.
Left out: making the hierarchy, and what commands do to it while it runs (`shared.cli.pki`).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_S, Clock, Instant
from shared.core.errors import ConfigError, TransportError
from shared.core.ids import HashedId8
from shared.core.itstime import time32_of
from shared.operator.house_keeping import LOOK_S, HouseKeeper
from shared.operator.http_server import listen, serve, url_of
from shared.operator.list_office import ListOffice, stated_list
from shared.operator.list_settings import ListSettings, check_url
from shared.operator.open_offices import OpenOffices
from shared.operator.pki_directory import ENROLMENT, LISTS_FILE, MANAGER, ROOT, PkiDirectory
from shared.operator.pki_http_app import make_app
from shared.operator.pki_library import PublishedLibrary, PublishedTrust
from shared.operator.rate_limits import Rate, RateLimiter
from shared.pki.authority import AuthorityKind
from shared.security.certificate import Certificate
from shared.security.ctl import Ctl, EaEntry
from shared.security.freshness import trusted_time64
from shared.security.region import IdentifiedAreas
from shared.service.authority_keys import AuthorityKeys
from shared.service.counters import Counters
from shared.service.log_store import LogStore
from shared.service.published_lists import DocumentKind, PublishedLists
from shared.service.run import Service
from shared.service.state_lock import locked
from shared.service.trust_directory import MANAGERS, read_certificate_file, read_trust_directory
from shared.transport.pki_http import PkiHttp

_PUBLISHERS = (("root", ROOT), ("tlm", MANAGER))
_NEED_LOG = frozenset(("root", "tlm", "dc", "cpoc", "log"))

BURST_S = 5
"""Seconds' worth of requests that a client may send at once."""

OVERALL_FACTOR = 5
"""All clients together get this many times what one gets."""

READING_FACTOR = 10
"""Documents are read this many times as often as authorities are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What the operator chose.

    Attributes:
        host: address to listen on.
        port: 0 lets the system choose.
        url: public address that lists name; None for the address listened on.
        list_period_s: life of a list; None to leave it as it was.
        services: what is served, of `pki_directory.SERVICES`.
        requests_per_s: requests to authorities from one client address.
        ea_url: where the enrolment authority is reached if not here.
        aa_url: where the authorization authority is reached if not here.
    """

    host: str
    port: int
    url: str | None
    list_period_s: int | None
    services: frozenset[str]
    requests_per_s: float
    ea_url: str | None
    aa_url: str | None


class PkiNode:
    """One process.

    Args:
        directory: keys, certificates and files.
        options: what the operator chose.
        areas: shapes of identified regions.
        environment: of the process, where systemd names the folder of its credentials.
        clock: dates everything.
        log: told of events.
        on_ready: told the address listened on.

    Raises:
        ConfigError: a key that a service needs is not in the directory.
    """

    def __init__(
        self,
        directory: PkiDirectory,
        options: NodeOptions,
        *,
        areas: IdentifiedAreas,
        environment: Mapping[str, str],
        clock: Clock,
        log: FilteringBoundLogger,
        on_ready: Callable[[str], None],
    ) -> None:
        directory.check_is_there()
        for service, part in _PUBLISHERS:
            if service in options.services and not directory.has(part):
                raise ConfigError(str(directory.path / part), f"no key is here, so {service} cannot be served")
        for option, address in (("--url", options.url), ("--ea-url", options.ea_url), ("--aa-url", options.aa_url)):
            if address is not None:
                check_url(option, address)
        kinds = {"ea": AuthorityKind.ENROLMENT, "aa": AuthorityKind.AUTHORIZATION}
        self._kinds = {service: kind for service, kind in kinds.items() if service in options.services}
        self._publishers = frozenset(part for service, part in _PUBLISHERS if service in options.services)
        with directory.lists() as lists:
            for service, kind in self._kinds.items():
                if not any(map(directory.has, ListSettings(lists).authorities(kind))):
                    raise ConfigError(
                        str(directory.path / service), f"no key is here that is listed, so {service} cannot be served"
                    )
        self._directory = directory
        self._options = options
        self._areas = areas
        self._environment = environment
        self._clock = clock
        self._log = log
        self._on_ready = on_ready
        self._counters = Counters()

    async def run(self, service: Service) -> None:
        """Serve until cancelled: the body for `run_service`."""
        async with AsyncExitStack() as stack:
            if self._publishers:
                taken = f"the lists of {self._directory.path} are published by another program already"
                stack.enter_context(locked(self._directory.path / LISTS_FILE, taken=taken))
            lists = stack.enter_context(self._directory.lists())
            ledger = self._directory.log() if self._options.services & _NEED_LOG else None
            if ledger is not None:
                stack.callback(ledger.close)
            http = await stack.enter_async_context(PkiHttp())
            sock = listen(self._options.host, self._options.port)
            stack.callback(sock.close)
            url = url_of(sock)
            keys = stack.enter_context(AuthorityKeys(self._environment))
            offices = self._offices(lists, keys, http)
            stack.callback(offices.close)
            offices.start()  # before anything is published that names them
            office = self._office(lists, ledger, keys)
            if office is not None:
                self._settle(office.settings, url)
                self._renew(office)
            app = make_app(
                offices=offices,
                library=PublishedLibrary(lists, ledger, self._manager()),
                serves=self._options.services,
                status=lambda: self._status(lists, ledger, offices),
                requests=self._limiter(1),
                readings=self._limiter(READING_FACTOR),
                counters=self._counters,
                clock=self._clock,
                log=self._log,
            )
            service.tasks.create_task(self._keep_house(lists, office, offices))
            service.tasks.create_task(self._feed(service))
            self._log.info("serving", address=url, services=sorted(self._options.services))
            service.notifier.ready(f"serving {url}")
            self._on_ready(url)
            await serve(app, sock, counters=self._counters)

    def _office(self, lists: PublishedLists, ledger: LogStore | None, keys: AuthorityKeys) -> ListOffice | None:
        if ledger is None or not self._publishers:
            return None
        return ListOffice(self._directory, lists, ledger, keys=keys, publishers=self._publishers)

    def _settle(self, settings: ListSettings, own_url: str) -> None:
        """Keep what the lists are to say."""
        options = self._options
        if options.url is None and options.host in ("", "0.0.0.0", "::"):  # noqa: S104 - refused, not bound
            raise ConfigError("--url", "which address shall the lists name? This one is every address of the machine")
        settings.change_url(options.url or own_url)
        for part, url in (("ea", options.ea_url), ("aa", options.aa_url)):
            if url is not None or part in options.services:
                settings.change_access_point(part, url)
        if options.list_period_s is not None:
            settings.change_period(options.list_period_s)

    def _offices(self, lists: PublishedLists, keys: AuthorityKeys, http: PkiHttp) -> OpenOffices:
        trust = PublishedTrust(
            root=self._directory.root_certificate(),
            known=tuple(read_trust_directory(self._directory.trust).authorities.values()),
            lists=lists,
            areas=self._areas,
        )
        return OpenOffices(
            self._directory,
            kinds=tuple(self._kinds.values()),
            lists=lists,
            keys=keys,
            trust=trust,
            ask_elsewhere=_Questions(self._directory, lists, http, ea_url=self._options.ea_url),
            clock=self._clock,
            counters=self._counters,
            log=self._log,
        )

    def _manager(self) -> Certificate | None:
        if self._directory.has(MANAGER):
            return self._directory.certificate(MANAGER)
        pinned = sorted((self._directory.trust / MANAGERS).glob("*.oer"))
        return read_certificate_file(pinned[0]) if len(pinned) == 1 else None

    def _limiter(self, factor: int) -> RateLimiter:
        per_s = self._options.requests_per_s * factor
        burst = max(1, round(per_s * BURST_S))
        overall = Rate(per_s=per_s * OVERALL_FACTOR, burst=burst * OVERALL_FACTOR)
        return RateLimiter(per_client=Rate(per_s=per_s, burst=burst), overall=overall)

    def _renew(self, office: ListOffice) -> None:
        for document in office.renew(self._clock.now()):
            self._log.info("list_published", list=document.kind.value, sequence=document.sequence)
            self._counters.add(f"published.{document.kind.value}")

    async def _keep_house(self, lists: PublishedLists, office: ListOffice | None, offices: OpenOffices) -> None:
        """Renew lists when they are due, serve who is listed, and forget answers whose time is over."""

        def make_round(now: Instant) -> None:
            if office is not None:
                self._renew(office)
            offices.follow()
            for _name, each in offices.named():
                each.store.forget_answers(time32_of(trusted_time64(now)))

        keeper = HouseKeeper(lists, office, make_round, counters=self._counters, log=self._log)
        while True:
            keeper.look(self._clock.now())
            await asyncio.sleep(LOOK_S)

    async def _feed(self, service: Service) -> None:
        every_ns = service.watchdog.feed_every_ns
        while every_ns is not None:
            service.watchdog.feed(self._clock.now().monotonic)
            await asyncio.sleep(every_ns / 2 / NS_PER_S)

    def _status(self, lists: PublishedLists, ledger: LogStore | None, offices: OpenOffices) -> Mapping[str, object]:
        if ledger is not None:
            ledger.refresh()
        root, manager = HashedId8(self._directory.root_certificate().hashed_id8), self._manager()
        issuers = {DocumentKind.CTL: root, DocumentKind.CRL: root}
        if manager is not None:
            issuers[DocumentKind.ECTL] = HashedId8(manager.hashed_id8)
        newest = {kind.value: lists.newest(kind, issuer) for kind, issuer in issuers.items()}
        return {
            "services": sorted(self._options.services),
            "requests": self._counters.snapshot(),
            "authorities": {
                name: {
                    "answered": dict(each.record.answers),
                    "repeated": each.record.repeated,
                    "unanswerable": each.record.unanswerable,
                }
                for name, each in offices.named()
            },
            "not_opened": offices.failing(),
            "kept": {name: dict(each.store.counts()) for name, each in offices.named()},
            "lists": {
                kind: None if each is None else {"sequence": each.sequence, "next_update": each.ends}
                for kind, each in newest.items()
            },
            "log": None if ledger is None else {"origin": ledger.origin, "size": ledger.size},
        }


class _Questions:
    """Takes questions to enrolment authorities of other processes, over HTTP."""

    def __init__(self, directory: PkiDirectory, lists: PublishedLists, http: PkiHttp, *, ea_url: str | None) -> None:
        self._root = HashedId8(directory.root_certificate().hashed_id8)
        self._lists = lists
        self._http = http
        self._ea_url = ea_url
        self._first = directory.certificate(ENROLMENT).hashed_id8 if directory.knows(ENROLMENT) else None

    async def __call__(self, authority: HashedId8, question: bytes) -> bytes:
        is_first = self._first in (None, authority)
        url = self._ea_url if self._ea_url is not None and is_first else self._listed_url(authority)
        return await self._http.post(url, question)

    def _listed_url(self, authority: HashedId8) -> str:
        newest = self._lists.newest(DocumentKind.CTL, self._root)
        ctl = None if newest is None else stated_list(newest.octets)
        for entry in ctl.commands if isinstance(ctl, Ctl) else ():
            if isinstance(entry, EaEntry) and entry.certificate.hashed_id8 == authority:
                return entry.aa_access_point
        raise TransportError(authority.hex(), "no list says where this enrolment authority is reached")
