"""The vehicle's log as its configuration names it: the embedded one's files opened, or one on a network described and reached.

What an operator wrote for a log on a network (policy, pinned checkpoint, token) is read and judged before anything is made or
asked; no answer of the log is needed to start.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from shared.core.clock import Clock
from shared.core.errors import ConfigError
from shared.ledger.note import Ed25519NoteSigner
from shared.ledger.policy import Policy
from shared.service.counted_log import LogNews, open_counted
from shared.service.keystore import write_new_file
from shared.service.ledger_token import read_ledger_token
from shared.service.log_store import load_or_create_log_key, open_log_store
from shared.service.online_log import read_online_log, read_policy
from shared.service.rollback_counter import open_log_counter
from shared.transport.ledger_http import LedgerHttp
from vehicle_agent.anchor_ports import AnchorStore
from vehicle_agent.anchoring import Anchoring, LedgerTransport
from vehicle_agent.anchors import Anchors
from vehicle_agent.config import LedgerConfig
from vehicle_agent.ledger_courier import LedgerCourier
from vehicle_agent.online_anchoring import Errands, OnlineAnchoring

POLICY_MODE = 0o644
"""Whoever verifies a passport may read the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerParts:
    """A log to anchor in.

    Attributes:
        medium: the log within reach, or where requests to it wait for the shell.
        origin: its name.
        policy: its key, and the witnesses it needs.
        pinned: the checkpoint it must stand by; None where nobody pinned one.
        news: what was odd about an embedded log when it was opened; None where nothing was.
    """

    medium: LedgerTransport | Errands
    origin: str
    policy: Policy
    pinned: bytes | None = None
    news: LogNews | None = None

    def anchors(self, store: AnchorStore) -> Anchors:
        """Return what anchors the records of a store here; raises as `Anchors` does."""
        if isinstance(self.medium, Errands):
            return OnlineAnchoring(store=store, errands=self.medium, origin=self.origin, policy=self.policy, pinned=self.pinned)
        return Anchoring(store=store, transport=self.medium, origin=self.origin, policy=self.policy, pinned=self.pinned)


@contextmanager
def open_ledger(config: LedgerConfig, *, counter: str | None, base: Path) -> Iterator[LedgerParts]:
    """Open the embedded log, made at the first start, or describe the one on a network.

    Args:
        config: names its files, or its places.
        counter: names the counter of records, beside which that of an embedded log's entries lies; None where nothing counts.
        base: the folder a relative path of the counter starts from.

    Raises:
        ConfigError: a file is absent, or not what it should be.
        StorageError: the log's file is damaged, or the counter cannot be read.
    """
    if config.log is None or config.key is None:
        policy, pinned = read_online_log(origin=config.origin, policy=config.policy, pinned=config.pinned)
        yield LedgerParts(medium=Errands(), origin=config.origin, policy=policy, pinned=pinned)
        return
    with ExitStack() as stack:
        signer = Ed25519NoteSigner(config.origin, load_or_create_log_key(config.key))
        policy = _embedded_policy(config.policy, signer)
        log = stack.enter_context(open_log_store(config.log, signer))
        counting = None if counter is None else open_log_counter(counter, base)
        if counting is not None:
            stack.callback(counting.close)
        medium, news = open_counted(log, counting)
        yield LedgerParts(medium=medium, origin=config.origin, policy=policy, news=news)


def check_ledger(config: LedgerConfig, *, environment: Mapping[str, str]) -> str:
    """Judge everything an operator wrote for the log and say in a line where records go; raises `ConfigError`."""
    if not config.url:
        return f"records go into the embedded ledger {config.origin}"
    _policy, pinned = read_online_log(origin=config.origin, policy=config.policy, pinned=config.pinned)
    token = read_ledger_token(config.token, environment=environment)
    extras = [words for words, is_there in (("pinned", pinned), ("with a token", token)) if is_there]
    return f"records go into the log {config.origin} at {', '.join(config.url)}" + (f" ({', '.join(extras)})" if extras else "")


@asynccontextmanager
async def open_courier(
    config: LedgerConfig,
    errands: Errands,
    *,
    environment: Mapping[str, str],
    clock: Clock,
    on_answers: Callable[[], Awaitable[None]],
) -> AsyncIterator[tuple[LedgerHttp, LedgerCourier]]:
    """Open the way to a log on a network; the caller runs the courier; raises `ConfigError` for a token that is none."""
    token = read_ledger_token(config.token, environment=environment)
    async with LedgerHttp(config.url, clock=clock, token=token) as http:
        yield (
            http,
            LedgerCourier(errands, http, submit_delay_s=config.delay_s, lot=SystemRandom(), on_answers=on_answers),
        )


def _embedded_policy(path: Path, signer: Ed25519NoteSigner) -> Policy:
    """Read the policy file; at first start write the one that trusts our embedded log and asks for no witness."""
    if not path.exists():
        write_new_file(path, f"log {signer.key.text}\nquorum none\n".encode(), mode=POLICY_MODE)
    policy = read_policy(path)
    if signer.key not in policy.log_keys(signer.key.name):
        raise ConfigError(str(path), f"does not name the embedded log's key {signer.key.text}")
    return policy
