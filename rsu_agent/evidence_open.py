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
from shared.core.errors import ConfigError, DecodeError, ProofError
from shared.ledger.light_client import LightClient
from shared.ledger.note import MAX_NOTE_BYTES
from shared.ledger.policy import MAX_POLICY_BYTES, Policy, parse_policy
from shared.service.keystore import read_bounded
from shared.service.ledger_token import read_ledger_token
from shared.service.notices import NoticeWriter
from shared.transport.ledger_http import LedgerHttp


def read_evidence_ledger(config: EvidenceLedgerConfig) -> tuple[Policy, bytes | None]:
    """Read the policy of the log and the checkpoint pinned for it, and hold one against the other.

    Raises:
        ConfigError: a file is absent, or not what it should be; the policy does not know the log; or the pinned checkpoint is not
            the log's, or its quorum is not met.
    """
    try:
        policy = parse_policy(read_bounded(config.policy, MAX_POLICY_BYTES))
    except DecodeError as error:
        raise ConfigError(str(config.policy), f"is no policy: {error}") from error
    if not policy.log_keys(config.origin):
        known = ", ".join(sorted({log.key.name for log in policy.logs})) or "none"
        raise ConfigError(str(config.policy), f"knows no log {config.origin!r}; its logs are {known}")
    if config.pinned is None:
        return policy, None
    pinned = read_bounded(config.pinned, MAX_NOTE_BYTES)
    try:
        LightClient(origin=config.origin, policy=policy, trusted_note=pinned)
    except (DecodeError, ProofError) as error:
        raise ConfigError(str(config.pinned), f"cannot be pinned: {error}") from error
    return policy, pinned


def check_evidence(config: EvidenceConfig, *, environment: Mapping[str, str]) -> str:
    """Judge everything an operator wrote for evidence and say in a line where it goes; raises `ConfigError`."""
    kept = f"evidence is kept in {config.file} for {config.max_age_days} days, {config.max_megabytes} MB at most"
    if config.ledger is None:
        return f"{kept}, and proven to nobody: [evidence.ledger] names no log"
    read_evidence_ledger(config.ledger)
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
            policy, pinned = read_evidence_ledger(evidence.ledger)
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
