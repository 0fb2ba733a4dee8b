"""Puts up the upkeep of an agent that runs as a service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Clock
from shared.security.ticket_pool import TicketPool
from shared.service.evidence import EvidenceFolder
from shared.service.notices import NoticeWriter
from shared.service.station_identity import StationIdentityParts
from shared.service.station_trust import StationTrust
from shared.service.upkeep import Upkeep
from shared.service.upkeep_news import UpkeepNews, UpkeptAgent
from shared.transport.pki_http import PkiHttp


@asynccontextmanager
async def open_upkeep(
    trust: StationTrust,
    identity: StationIdentityParts | None,
    *,
    tickets: TicketPool,
    agent: UpkeptAgent,
    notices: NoticeWriter,
    evidence: EvidenceFolder,
    log: FilteringBoundLogger,
    clock: Clock,
) -> AsyncIterator[Upkeep]:
    """Put up the upkeep of a station; its connections are closed on leaving.

    Args:
        trust: its lists.
        identity: its own keys and tickets; None where an operator brings them.
        tickets: those it speaks under.
        agent: told of everything that concerns it.
        notices: where changes and troubles are written.
        evidence: where contradictions are kept.
        log: told of troubles.
        clock: says when.
    """
    news = UpkeepNews(agent=agent, notices=notices, evidence=evidence, log=log, clock=clock)
    async with PkiHttp() as http:
        yield Upkeep(
            trust=trust,
            list_store=trust.list_store,
            tickets=tickets,
            identity=None if identity is None else identity.upkeep,
            http=http,
            clock=clock,
            tell=news,
        )
