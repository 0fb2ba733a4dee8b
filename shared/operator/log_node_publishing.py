"""Once a second: the committed tree, cosigned by whoever witnesses it, is handed out, if that is enough.

    newest_note -> the witnesses -> our own policy's quorum -> kept as published -> served

Nothing below the quorum is served, and nothing smaller than before. A witness that has cosigned more of this log than the file has
shows that the file was put back from a backup: signing on would make a second history. What counts as shown is a checkpoint under
our own key that is larger than our tree, or the word of as many witnesses as the policy trusts together; the word of fewer is
counted and told, and stops nothing. Then the file is marked, and takes no entries until it has all that it ever signed for.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from shared.core.errors import ConfigError, ProofError, StorageError, V2xError
from shared.ledger.note import VerifierKey, parse_note, signatures_by
from shared.ledger.policy import NO_QUORUM, Policy, PolicyLog, PolicyWitness
from shared.ledger.verify import QuorumError, SignedCheckpoint, check_quorum, verify_signed
from shared.ledger.witnessing import Consistency
from shared.operator.log_node_files import NEWER_FILE, LogFiles
from shared.service.counters import Counters
from shared.service.log import Availability
from shared.transport.bounded_http import BoundedHttp
from shared.transport.witness_http import WitnessAddress
from shared.transport.witness_line import HttpWitness

ROUND_S = 1.0
"""Seconds between two checkpoints that are handed out."""

LEAST_REST_S = 0.1
"""Seconds between two rounds where witnesses take their time."""


def own_policy(policy: Policy | None, keys: tuple[VerifierKey, ...], witnesses: tuple[WitnessAddress, ...]) -> Policy:
    """Return the policy by which a log judges its own checkpoints: its keys alone, the quorum of `policy`, and all witnesses.

    Args:
        policy: the operator's; None asks for no witness.
        keys: of the log.
        witnesses: asked beside those of the policy; they count for no quorum.

    Raises:
        ConfigError: the policy is for this log under other keys.
    """
    base = Policy(logs=(), witnesses=(), groups=(), quorum=None) if policy is None else policy
    named = base.log_keys(keys[0].name)
    if named and not set(named) & set(keys):
        lacking = f"names {keys[0].name} with another key than this log's; beside that line it needs: log {keys[0].text}"
        raise ConfigError("--policy", lacking)
    known = {witness.key for witness in base.witnesses}
    further = [PolicyWitness(name=w.key.text, key=w.key, url=w.url) for w in witnesses if w.key not in known]
    return replace(base, logs=tuple(PolicyLog(key=key) for key in keys), witnesses=(*base.witnesses, *further))


class Cosigners(Protocol):
    """The witnesses: `shared.transport.witness_http.WitnessPool`."""

    async def cosign(self, note: bytes, consistency: Consistency) -> bytes:
        """Return the note with the cosignatures there are."""
        ...

    def take_ahead(self) -> tuple[WitnessAddress, ...]:
        """Return those that have said since that they have cosigned a larger tree."""
        ...


class LogPublishing:
    """Makes checkpoints that may be handed out.

    Args:
        files: of the log.
        folder: where a newer checkpoint than the log has is kept.
        policy: `own_policy`.
        pool: its witnesses.
        counters: `published`, `publishing.quorum`, `publishing.storage`, `witnesses.ahead`.
        log: told of changes.
        now_s: interval time, seconds.
    """

    def __init__(
        self,
        files: LogFiles,
        *,
        folder: Path,
        policy: Policy,
        pool: Cosigners,
        counters: Counters,
        log: FilteringBoundLogger,
        now_s: Callable[[], float],
    ) -> None:
        self._files = files
        self._folder = folder
        self._policy = policy
        self._pool = pool
        self._counters = counters
        self._log = log
        self._now_s = now_s
        self._quorum, self._disk = Availability(log, "quorum"), Availability(log, "checkpoint")
        self._published: SignedCheckpoint | None = None
        self._seen = b""
        self._ahead: set[str] = set()
        self.restored: str | None = None
        """Why nothing may be appended; None while it may."""

    @property
    def note(self) -> bytes | None:
        """The checkpoint that is served; None while there is none."""
        return None if self._published is None else self._published.note

    @property
    def may_not_sign(self) -> bool:
        """Whether the log was put back from a backup and lacks what it signed since."""
        return self.restored is not None

    @property
    def size(self) -> int | None:
        """Entries of the tree that is served."""
        return None if self._published is None else self._published.checkpoint.tree_size

    @property
    def quorum(self) -> str:
        """What the policy asks for, and who cosigned what is served."""
        wanted = NO_QUORUM if self._policy.quorum is None else self._policy.quorum
        have = () if self._published is None else self._published.witnesses
        return f"{wanted}; cosigned by {len(have)} of {len(self._policy.witnesses)}"

    async def begin(self) -> None:
        """Go on from what was handed out last, and hear whether a witness has seen more; before anything is appended."""
        note = self._files.published_note
        if self._files.is_restored:
            self._stop("was put back from a backup and is not known to be the newest there is")
        if note is not None:
            try:
                signed = verify_signed(note, self._policy)
                check_quorum(signed, self._policy)
                self._published = signed
            except V2xError as error:
                self._log.warning("published_checkpoint_not_enough", reason=str(error))
        await self.round()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            begun_s = self._now_s()
            await self.round()
            await asyncio.sleep(max(LEAST_REST_S, ROUND_S - (self._now_s() - begun_s)))

    async def round(self) -> None:
        """Publish once; what fails is counted and tried again in the next round."""
        if self.may_not_sign:
            return
        newest = self._files.newest_note
        cosigned = await self._pool.cosign(newest, self._files.consistency)
        if self._ahead:  # who cosigns again is not
            names = verify_signed(cosigned, self._policy).witnesses
            self._ahead -= {w.key.text for w in self._policy.witnesses if w.name in names}
        if ahead := self._pool.take_ahead():
            await self._look_at(ahead, newest)
        await self._try_to_publish(cosigned)

    async def _try_to_publish(self, note: bytes) -> None:
        if self.may_not_sign or note == self._seen:
            return
        try:
            await self._publish(note)
            self._disk.works()
        except QuorumError as error:
            self._counters.add("publishing.quorum")
            self._quorum.lost(str(error))
        except StorageError as error:
            self._counters.add("publishing.storage")
            self._disk.lost(str(error))

    async def _publish(self, note: bytes) -> None:
        signed, before = verify_signed(note, self._policy), self._published
        check_quorum(signed, self._policy)
        self._quorum.works()
        is_worse = before is not None and self._is_worse(signed, before)
        if not is_worse:
            await self._files.publish(note)
            self._published = signed
            self._counters.add("published")
        self._seen = note

    def _is_worse(self, signed: SignedCheckpoint, before: SignedCheckpoint) -> bool:
        """Whether it says the same as the one before, with fewer cosignatures and no other key."""
        keys = [{log.key for log in self._policy.logs if _has_line(each.note, log.key)} for each in (signed, before)]
        return signed.checkpoint == before.checkpoint and set(signed.witnesses) < set(before.witnesses) and keys[0] == keys[1]

    async def _look_at(self, ahead: tuple[WitnessAddress, ...], newest: bytes) -> None:
        """See what witnesses have that say they have cosigned a larger tree of this log."""
        size = verify_signed(newest, self._policy).checkpoint.tree_size
        for witness in ahead:
            self._counters.add("witnesses.ahead")
            self._ahead.add(witness.key.text)
            try:
                shown = await self._shown_by(witness)
            except V2xError as error:
                self._log.warning("witness_is_ahead", witness=witness.key.name, reason=f"and does not show it: {error}")
                continue
            if shown.checkpoint.tree_size > size:
                _keep(self._folder / NEWER_FILE, shown.note)
                sentence = f"this log signed {shown.checkpoint.tree_size} entries ({witness.key.name} shows it) and has {size}"
                await self._mark(sentence)
                return
        names = {w.name for w in self._policy.witnesses if w.key.text in self._ahead}
        if self._policy.quorum is not None and self._policy.is_quorum(names):
            await self._mark(f"{' and '.join(sorted(names))} have cosigned more of this log than its {size} entries")

    async def _shown_by(self, witness: WitnessAddress) -> SignedCheckpoint:
        origin = self._files.origin
        async with BoundedHttp(exchange_timeout_s=5.0) as http:
            note = await HttpWitness(witness, http).newest(origin)
        if note is None:
            raise ProofError("there is no such document")
        signed = verify_signed(note, replace(self._policy, witnesses=(), groups=(), quorum=None))
        if signed.checkpoint.origin != origin:
            raise ProofError(f"is of {signed.checkpoint.origin}")
        return signed

    async def _mark(self, sentence: str) -> None:
        self._stop(f"was put back from a backup: {sentence}")
        try:
            await self._files.mark_restored()
        except StorageError as error:
            self._log.error("not_marked_as_restored", reason=str(error))

    def _stop(self, sentence: str) -> None:
        self.restored = sentence
        self._log.error("appending_stopped", reason=f"the log {sentence}")


def _has_line(note: bytes, key: VerifierKey) -> bool:
    return bool(signatures_by(parse_note(note), key))


def _keep(path: Path, note: bytes) -> None:
    """Keep what helps whoever restores the log; that it stops does not depend on it."""
    fresh = path.with_name(path.name + ".new")
    with suppress(OSError):
        fresh.write_bytes(note)
        fresh.replace(path)
