"""`v2x ledger serve`: a log as a process, with a directory of its own.

    log.key           its Ed25519 key, PKCS#8 PEM of mode 0600, made at the first start (`--key`: somewhere else)
    log.key.next      the key it changes to, while it does
    log.sqlite        entries, tiles and checkpoints, with its write-ahead log
    log.sqlite.index  follows from the log and is made anew where it is missing
    newer.note        only after a restore that went wrong: a checkpoint that this log has signed and does not have

A copy of the log while it runs is `v2x ledger backup`'s business: copies of the files under a running node are none, and what is
put back must be marked as restored before it is served (`docs/log-operation.md`). One writer, in a process of its own
(`log_writer`), group commit, answers after the commit (`group_commit`); one node, because two would sign two histories.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Clock
from shared.core.entropy import Entropy
from shared.core.errors import ConfigError, StorageError
from shared.ledger.policy import Policy
from shared.operator.http_server import listen, url_of
from shared.operator.log_access import Access
from shared.operator.log_http import LogHttpServer
from shared.operator.log_node_answers import LogAnswers
from shared.operator.log_node_files import KEY_FILE, STORE_FILE, LogFiles, open_log_signers
from shared.operator.log_node_publishing import LogPublishing, own_policy
from shared.service.counters import Counters
from shared.service.database import Connect, connect_sqlite, storage_errors
from shared.service.log import Availability
from shared.service.log_reader import size_of_note
from shared.service.log_store import open_log_store
from shared.service.run import Service, settle_heap
from shared.service.state_lock import locked
from shared.transport.witness_http import WitnessAddress, WitnessPool, addresses_of

SYNC_INDEX_EVERY_S = 60
TELL_EVERY_S = 10
"""Seconds between two lines of status for systemd."""

TAKEN = "is in use by another program; two would sign two histories of one log"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What the operator chose.

    Attributes:
        directory: of the log.
        origin: of the log, and the name of its key.
        key: file of the key; None for the one in the directory.
        is_new: an empty log may begin with a key that is there already.
        host: address to listen on.
        port: 0 lets the system choose.
        policy: what its own checkpoints must have before they are served; None for no witness.
        witnesses: asked beside those of the policy.
    """

    directory: Path
    origin: str
    key: Path | None
    is_new: bool
    host: str
    port: int
    policy: Policy | None
    witnesses: tuple[WitnessAddress, ...]

    @property
    def store_path(self) -> Path:
        """The log's file."""
        return self.directory / STORE_FILE

    @property
    def key_path(self) -> Path:
        """The file of its key."""
        return self.directory / KEY_FILE if self.key is None else self.key


def make_log(options: LogOptions, connect: Connect = connect_sqlite) -> tuple[str, ...]:
    """Make key and log where there are none, and return the verifier keys; raises `ConfigError`, `StorageError`."""
    _make_directory(options.directory)
    with locked(options.store_path, taken=TAKEN):
        signers = open_log_signers(options.store_path, options.key_path, options.origin, is_new=options.is_new)
        if not options.store_path.exists():
            open_log_store(options.store_path, signers[0], connect).close()
    return tuple(signer.key.text for signer in signers)


def _make_directory(path: Path) -> None:
    with storage_errors(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


async def _until_the_writer_ends(files: LogFiles) -> None:
    await asyncio.shield(files.ended)


class LogNode:
    """One process.

    Args:
        options: what the operator chose.
        access: who may append.
        clock: judges the dates of cosignatures.
        entropy: spreads out attempts with witnesses that are away.
        log: told of events.
        on_key: told each verifier key, before anything is served.
        on_ready: told the address listened on.
        connect: opens SQLite.
    """

    def __init__(
        self,
        options: LogOptions,
        *,
        access: Access,
        clock: Clock,
        entropy: Entropy,
        log: FilteringBoundLogger,
        on_key: Callable[[str], None],
        on_ready: Callable[[str], None],
        connect: Connect = connect_sqlite,
    ) -> None:
        self._options = options
        self._access = access
        self._clock = clock
        self._entropy = entropy
        self._log = log
        self._on_key = on_key
        self._on_ready = on_ready
        self._connect = connect
        self._counters = Counters()
        self._access_file = Availability(log, "access")
        self._seconds = 0

    async def run(self, service: Service) -> None:
        """Serve until cancelled: the body for `run_service`."""
        options, now_s = self._options, asyncio.get_running_loop().time
        _make_directory(options.directory)
        async with AsyncExitStack() as stack:
            stack.enter_context(locked(options.store_path, taken=TAKEN))
            signers = open_log_signers(options.store_path, options.key_path, options.origin, is_new=options.is_new)
            keys = tuple(signer.key for signer in signers)
            policy = own_policy(options.policy, keys, options.witnesses)
            files = LogFiles(options.store_path, signers, self._connect)
            await files.open()
            stack.push_async_callback(files.close)
            sock = listen(options.host, options.port)
            stack.callback(sock.close)
            pool = WitnessPool(addresses_of(policy), clock=self._clock, entropy=self._entropy)
            await stack.enter_async_context(pool)
            publishing = LogPublishing(
                files,
                folder=options.directory,
                policy=policy,
                pool=pool,
                counters=self._counters,
                log=self._log,
                now_s=now_s,
            )
            answers = LogAnswers(
                read=files.read,
                append=files.append,
                checkpoint=lambda: publishing.note,
                restored=lambda: publishing.restored,
                status=lambda: self._status(files, publishing, pool, answers, server),
                access=self._access,
                counters=self._counters,
                log=self._log,
                now_s=now_s,
            )
            files.commit = answers.commit
            stack.push_async_callback(answers.commit.settled)
            server = LogHttpServer(
                answers.on_request,
                max_body_octets=self._access.max_entry_octets,
                counters=self._counters,
                log=self._log,
                on_second=lambda: self._second(service, files, publishing),
            )
            answers.is_held_up = lambda: server.is_held_up
            for key in keys:
                self._on_key(key.text)
            await publishing.begin()
            service.tasks.create_task(publishing.run())
            service.tasks.create_task(self._sync_index(files))
            service.tasks.create_task(_until_the_writer_ends(files))
            url = url_of(sock)
            self._log.info("serving", address=url, vkey=keys[0].text, size=size_of_note(files.newest_note))
            settle_heap()
            service.notifier.ready(f"serving {url}")
            self._on_ready(url)
            await server.serve(sock)

    def _second(self, service: Service, files: LogFiles, publishing: LogPublishing) -> None:
        """Do what is done once a second."""
        self._seconds += 1
        service.watchdog.feed(self._clock.now().monotonic)
        try:
            if self._access.reload():
                self._access_file.works()
                self._log.info("access_read", append=self._access.words)
        except ConfigError as error:
            self._counters.add("access.unreadable")
            self._access_file.lost(str(error))
        if self._seconds % TELL_EVERY_S == 0:
            size = size_of_note(files.newest_note)
            state = "serving" if publishing.restored is None else "NOT APPENDING"
            service.notifier.status(f"{state}: {size} entries, checkpoint of {publishing.size}, quorum {publishing.quorum}")

    async def _sync_index(self, files: LogFiles) -> None:
        while True:
            await asyncio.sleep(SYNC_INDEX_EVERY_S)
            with suppress(StorageError):  # it costs the next start some time, nothing else
                await files.sync_index()

    def _status(
        self, files: LogFiles, publishing: LogPublishing, pool: WitnessPool, answers: LogAnswers, server: LogHttpServer
    ) -> Mapping[str, object]:
        return {
            "origin": files.origin,
            "vkey": files.vkey,
            "state": "serving" if publishing.restored is None else f"not appending: the log {publishing.restored}",
            "size": size_of_note(files.newest_note),
            "published_size": publishing.size,
            "quorum": publishing.quorum,
            "append": self._access.words,
            "waiting": answers.commit.waiting,
            "largest_group": answers.commit.largest_group,
            "http": server.status(),
            "counts": self._counters.snapshot(),
            "witnesses": pool.status(),
        }
