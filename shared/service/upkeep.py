"""Carries out a station's upkeep: fetches trust lists, posts requests, and tells the agent what came of it.

One exchange at a time, on the event loop of the agent: what `tell` does happens between two steps of the agent, never beside one.
Lists that were taken are kept before anybody hears of them, or as soon as the disk lets them. A disk that fails, a silent server
and an authority that says no are troubles, counted and told once; the agent goes on with what it has. Decides nothing: `ListUpkeep`
and `IdentityUpkeep` do. Whenever trust changes, own tickets nobody believes any more are taken out of use.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable

from shared.core.clock import Clock
from shared.core.errors import StorageError, TransportError, V2xError
from shared.pki.back_off import BackOff
from shared.pki.happenings import Happening, Recovered, Subject, Trouble, TrustChanged
from shared.pki.identity_upkeep import IdentityUpkeep
from shared.security.ticket_pool import TicketPool
from shared.service.station_trust import StationTrust
from shared.service.trust_list_store import TrustListStore
from shared.transport.pki_http import MAX_ANSWER_OCTETS, MAX_LIST_OCTETS, PkiHttp

POLL_S = 1.0
"""How often it is looked whether something is due."""

Tell = Callable[[Happening], None]


class Upkeep:
    """Keeps one station's lists and identity fresh.

    Args:
        trust: decides what to fetch, and which tickets are out of use.
        list_store: keeps lists over restarts.
        tickets: those the station speaks under.
        identity: decides what to ask for; None for a station whose tickets an operator brings.
        http: reaches authorities.
        clock: says when.
        tell: told of everything that happens.
    """

    def __init__(
        self,
        *,
        trust: StationTrust,
        list_store: TrustListStore,
        tickets: TicketPool,
        identity: IdentityUpkeep | None,
        http: PkiHttp,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._trust = trust
        self._lists = trust.upkeep
        self._tickets = tickets
        self._are_tickets_judged = False
        self._list_store = list_store
        self._identity = identity
        self._http = http
        self._clock = clock
        self._tell = tell
        self._storage: Trouble | None = None
        self._keep_again = BackOff(entropy=os.urandom)
        self._unkept: Counter[str] = Counter()

    async def run(self) -> None:
        """Do what is due until cancelled."""
        while True:
            if not await self.step():
                await asyncio.sleep(POLL_S)

    async def step(self) -> bool:
        """Carry out at most one exchange with a distribution centre and one with an authority; say whether there was any."""
        self._all(self._lists.elapsed(self._clock.now()))
        if self._lists.is_unkept and self._keep_again.allows(self._clock.now()):
            self._keep_lists()
        fetched = await self._fetch()
        if not self._are_tickets_judged:
            self._judge_tickets()
        posted = await self._post()
        if self._identity is not None and not fetched and not posted:
            self._all(self._identity.unserved())
        return fetched or posted

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What does not work just now."""
        identity = () if self._identity is None else tuple(self._identity.troubles.values())
        storage = () if self._storage is None else (self._storage,)
        return (*self._lists.troubles.values(), *identity, *storage)

    def status(self) -> dict[str, object]:
        """Return what was asked, what came and what is in trouble, as JSON values."""
        identity = {} if self._identity is None else dict(self._identity.counts)
        return {
            "lists": dict(self._lists.counts),
            "identity": identity,
            "unkept": dict(self._unkept),
            "troubles": [{"about": each.subject.value, "code": each.code, "detail": each.sentence} for each in self.troubles],
        }

    async def _fetch(self) -> bool:
        fetch = self._lists.next_fetch(self._clock.now())
        if fetch is None:
            return False
        try:
            octets = await self._http.get(fetch.url, maximum=MAX_ANSWER_OCTETS if fetch.is_proof else MAX_LIST_OCTETS)
        except TransportError as failure:
            self._all(self._lists.failed(failure, self._clock.now()))
            return True
        happened = self._lists.fetched(octets, self._clock.now())
        if self._lists.is_unkept:
            self._keep_lists()
        self._all(happened)
        return True

    async def _post(self) -> bool:
        if self._identity is None:
            return False
        now = self._clock.now()
        try:
            draft = self._identity.draft(now)
            if draft is None:
                return False
            outstanding = await asyncio.to_thread(draft.write)  # a token signs in its own time
        except V2xError as failure:  # the token is locked or away, the disk is full: an hour later it may not be
            self._all(self._identity.failed(failure, now))
            return False
        request = self._identity.written(outstanding)
        try:
            answer = await self._http.post(request.url, request.body)
            happened = self._identity.answered(answer, self._clock.now())
        except V2xError as failure:
            happened = self._identity.failed(failure, self._clock.now())
        self._all(happened)
        return True

    def _keep_lists(self) -> None:
        try:
            self._list_store.save(self._lists.lists.held())
        except StorageError as failure:
            self._unkept[failure.code] += 1
            self._keep_again.failed(self._clock.now())
            if self._storage is None:
                self._storage = Trouble(subject=Subject.LISTS, code=failure.code, sentence=str(failure))
                self._tell(self._storage)
            return
        self._lists.is_unkept = False
        self._keep_again.succeeded()
        if self._storage is not None:
            self._storage = None
            self._tell(Recovered(subject=Subject.LISTS))

    def _judge_tickets(self) -> None:
        """Take tickets out of use, or back into it, before anything is asked for."""
        self._are_tickets_judged = True
        refused = self._trust.set_aside(self._tickets, self._clock.now())
        if self._identity is not None:
            self._all(self._identity.set_aside(refused))

    def _all(self, happened: tuple[Happening, ...]) -> None:
        for each in happened:
            if isinstance(each, TrustChanged):
                self._are_tickets_judged = False
            self._tell(each)
