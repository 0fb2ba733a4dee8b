"""`v2x ledger witness`: a witness as a process, with a directory of its own.

    witness.key       its Ed25519 key, PKCS#8 PEM of mode 0600, made at the first start
    witness.sqlite    what it has cosigned, and the contradictions it was shown

The two belong together: a key without what it has cosigned could cosign a second history, so it is refused. Whoever lost the file
makes a new key, whoever restores one puts back the newest or none. Without a trusted clock it cosigns nothing and says so.
A roadside unit has one too (`rsu_agent.witness`).
Left out: gathering checkpoints by itself (logs ask), and keys in a token.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_S, Clock
from shared.core.errors import ConfigError
from shared.ledger.note import KeyKind, VerifierKey
from shared.ledger.policy import Policy
from shared.ledger.witness import Witness
from shared.operator.http_server import listen, serve, url_of
from shared.operator.rate_limits import Rate, RateLimiter
from shared.operator.witness_http_app import make_witness_app
from shared.service.counters import Counters
from shared.service.log_store import load_or_create_log_key
from shared.service.run import Service
from shared.service.state_lock import locked
from shared.service.witness_store import WitnessFile, open_witness_file

KEY_FILE = "witness.key"
STORE_FILE = "witness.sqlite"

BURST_S = 5
"""Seconds' worth of requests that a client may send at once."""

OVERALL_FACTOR = 5
"""All clients together get this many times what one gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessOptions:
    """What the operator chose.

    Attributes:
        directory: of the witness.
        name: of its key, as policies write it.
        logs: the logs it cosigns for.
        host: address to listen on.
        port: 0 lets the system choose.
        requests_per_s: from one client address.
    """

    directory: Path
    name: str
    logs: Policy
    host: str
    port: int
    requests_per_s: float


def open_witness_key(directory: Path) -> Ed25519PrivateKey:
    """Return the key of the witness in a directory; make key and store if neither is there.

    Raises:
        ConfigError: others may read the key, or it is there without what it has cosigned.
        StorageError: it cannot be read or made.
    """
    key, store = directory / KEY_FILE, directory / STORE_FILE
    if not store.exists():
        if key.exists():
            raise ConfigError(
                str(store),
                f"is not there, and without it {KEY_FILE} could cosign a second history; put back the newest {STORE_FILE},"
                " or remove the key and have a new one made",
            )
        open_witness_file(store).close()
    return load_or_create_log_key(key)


def witness_vkey(name: str, key: Ed25519PrivateKey) -> VerifierKey:
    """Return what policies call a witness by; raises `DecodeError` for a name that is none."""
    return VerifierKey(name=name, kind=KeyKind.COSIGNATURE, public_key=key.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWitness:
    """A witness that listens; `run` serves.

    Attributes:
        url: what reaches it from this machine.
        key: what policies call it by.
        origins: of the logs it cosigns for.
        store: what it has cosigned.
        app: answers.
        sock: listens.
        clock: dates cosignatures.
        counters: counts by what was asked and answered.
    """

    url: str
    key: VerifierKey
    origins: tuple[str, ...]
    store: WitnessFile
    app: ASGIApp
    sock: socket.socket
    clock: Clock
    counters: Counters

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve(self.app, self.sock, counters=self.counters)

    def status(self) -> dict[str, object]:
        """Return what it has cosigned and was asked, as JSON values."""
        return _status(self.key, self.origins, self.store, self.clock, self.counters)


@contextmanager
def open_witness(options: WitnessOptions, *, clock: Clock, log: FilteringBoundLogger, counters: Counters) -> Iterator[OpenWitness]:
    """Open a witness's files, which are its own until the block ends, and listen.

    Args:
        options: what the operator chose.
        clock: dates cosignatures.
        log: told of events.
        counters: counts by what was asked and answered.

    Raises:
        ConfigError: the address cannot be listened on, or the key is not what it should be.
        StorageError: another program has the files, or they are damaged.
    """
    with ExitStack() as stack:
        taken = "is in use by another program; a witness has it to itself"
        stack.enter_context(locked(options.directory / STORE_FILE, taken=taken))
        key = open_witness_key(options.directory)
        store = stack.enter_context(open_witness_file(options.directory / STORE_FILE))
        witness = Witness(name=options.name, private_key=key, logs=options.logs, store=store)
        origins = tuple(dict.fromkeys(each.key.name for each in options.logs.logs))
        sock = listen(options.host, options.port)
        stack.callback(sock.close)
        app = make_witness_app(
            witness=witness,
            store=store,
            origins=origins,
            status=lambda: _status(witness.key, origins, store, clock, counters),
            rates=_rates(options.requests_per_s),
            counters=counters,
            clock=clock,
            log=log,
        )
        yield OpenWitness(
            url=url_of(sock), key=witness.key, origins=origins, store=store, app=app, sock=sock, clock=clock, counters=counters
        )


class WitnessNode:
    """One process.

    Args:
        options: what the operator chose.
        clock: dates cosignatures.
        log: told of events.
        on_key: told the verifier key, before anything is served.
        on_ready: told the address listened on.
    """

    def __init__(
        self,
        options: WitnessOptions,
        *,
        clock: Clock,
        log: FilteringBoundLogger,
        on_key: Callable[[str], None],
        on_ready: Callable[[str], None],
    ) -> None:
        self._options = options
        self._clock = clock
        self._log = log
        self._on_key = on_key
        self._on_ready = on_ready

    async def run(self, service: Service) -> None:
        """Serve until cancelled: the body for `run_service`."""
        with open_witness(self._options, clock=self._clock, log=self._log, counters=Counters()) as opened:
            service.tasks.create_task(self._feed(service))
            self._on_key(opened.key.text)
            self._log.info("serving", address=opened.url, vkey=opened.key.text, logs=list(opened.origins))
            if self._clock.now().utc is None:
                self._log.warning(
                    "clock_not_trusted",
                    reason="nothing is cosigned until the kernel's clock is synchronised (in a lab: --time-source assume_trusted)",
                )
            service.notifier.ready(f"serving {opened.url}")
            self._on_ready(opened.url)
            await opened.run()

    async def _feed(self, service: Service) -> None:
        every_ns = service.watchdog.feed_every_ns
        while every_ns is not None:
            service.watchdog.feed(self._clock.now().monotonic)
            await asyncio.sleep(every_ns / 2 / NS_PER_S)


def _rates(per_s: float) -> RateLimiter:
    burst = max(1, round(per_s * BURST_S))
    overall = Rate(per_s=per_s * OVERALL_FACTOR, burst=burst * OVERALL_FACTOR)
    return RateLimiter(per_client=Rate(per_s=per_s, burst=burst), overall=overall)


def _status(key: VerifierKey, origins: tuple[str, ...], store: WitnessFile, clock: Clock, counters: Counters) -> dict[str, object]:
    heads = {origin: store.cosigned(origin) for origin in origins}
    return {
        "witness": key.text,
        "clock": "not trusted: nothing is cosigned" if clock.now().utc is None else "trusted",
        "logs": {origin: None if head is None else {"size": head.tree_size} for origin, head in heads.items()},
        "forks": len(store.forks()),
        "requests": counters.snapshot(),
    }
