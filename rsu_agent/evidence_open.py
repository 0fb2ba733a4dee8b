"""The unit's evidence as `[evidence]` says it: the file opened, the ledger's files read and judged, the way to it put up."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from rsu_agent.agent import RsuAgent
from rsu_agent.config import RsuConfig
from rsu_agent.evidence_anchoring import LedgerMedium
from rsu_agent.evidence_config import EvidenceConfig, EvidenceLedgerConfig
from rsu_agent.evidence_keeper import EvidenceKeeper, open_keeper
from shared.core.clock import Clock
from shared.ledger.policy import Policy
from shared.service.ledger_token import read_ledger_token
from shared.service.notices import NoticeWriter
from shared.service.online_log import read_online_log
from shared.transport.ledger_http import LedgerHttp


def check_evidence(config: EvidenceConfig, *, environment: Mapping[str, str]) -> str:
    """Judge everything an operator wrote for evidence and say in a line where it goes; raises `ConfigError`."""
    kept = f"evidence is kept in {config.file} for {config.max_age_days} days, {config.max_megabytes} MB at most"
    if config.ledger is None:
        return f"{kept}, and proven to nobody: [evidence.ledger] names no log"
    _read_ledger(config.ledger)
    read_ledger_token(config.ledger.token, environment=environment)
    return f"{kept}; its roots go into the log {config.ledger.origin} at {', '.join(config.ledger.url)}"


@asynccontextmanager
async def opened_evidence(
    config: RsuConfig, *, agent: RsuAgent, clock: Clock, notices: NoticeWriter, environment: Mapping[str, str]
) -> AsyncIterator[EvidenceKeeper | None]:
    """Open what keeps a unit's evidence; None where none is configured. The caller runs `EvidenceKeeper.run`.

    Raises:
        ConfigError: a file of the ledger is absent, or not what it should be.
        StorageError: the file is another program's, or cannot be made.
    """
    evidence = config.evidence
    if evidence is None:
        yield None
        return
    async with AsyncExitStack() as stack:
        ledger: tuple[LedgerMedium, str, Policy, bytes | None] | None = None
        if evidence.ledger is not None:
            policy, pinned = _read_ledger(evidence.ledger)
            token = read_ledger_token(evidence.ledger.token, environment=environment)
            http = await stack.enter_async_context(LedgerHttp(evidence.ledger.url, clock=clock, token=token))
            ledger = (http, evidence.ledger.origin, policy, pinned)
        keeper = await stack.enter_async_context(
            open_keeper(
                evidence.file,
                station_id=config.station.station_id,
                clock=clock,
                entropy=os.urandom,
                chain=agent.signing_chain,
                max_age_ns=evidence.max_age_ns,
                max_bytes=evidence.max_bytes,
                ledger=ledger,
                tell=notices.write,
            )
        )
        notices.follow(keeper.desk.noted)
        agent.plausibility.follow(keeper.desk.refused)
        yield keeper


def _read_ledger(config: EvidenceLedgerConfig) -> tuple[Policy, bytes | None]:
    return read_online_log(origin=config.origin, policy=config.policy, pinned=config.pinned)
