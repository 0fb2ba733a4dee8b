"""A log changes its key: which keys there are, and the two steps from one to the next (docs/log-keys.md).

    KEY          signs
    KEY.next     signs too, from the node's next start after `begin` on
    KEY.<id>.old the former key, after `finish`; needed once more only to put back a backup from its time

Nothing is lost wherever the power goes: a key exists complete or not at all, the newest tree is signed anew in one transaction, and
each step may be done again. A step that would leave readers with neither key is refused. Left out: telling readers, which is what
takes the time between the two steps.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import ConfigError, StorageError
from shared.ledger.note import Ed25519NoteSigner, VerifierKey, parse_note, parse_vkey, signatures_by
from shared.service.database import storage_errors, sync_path
from shared.service.log_reader import LogReader, open_log_reader
from shared.service.log_store import load_or_create_log_key, open_log_store
from shared.service.state_lock import locked

NEXT_SUFFIX = ".next"
OLD_SUFFIX = ".old"

TAKEN = "is in use by a running node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Where a log stands.

    Attributes:
        origin: the log's.
        key: the key that stays, or is the only one.
        following: the next key; None where no change is under way.
        signing: the keys that the log's newest tree is signed with.
        published: the keys that what was handed out last is signed with; None where nothing was.
    """

    origin: str
    key: VerifierKey
    following: VerifierKey | None
    signing: tuple[VerifierKey, ...]
    published: tuple[VerifierKey, ...] | None

    @property
    def is_signed_with_both(self) -> bool:
        """Whether whoever has the next key alone can verify all that is handed out."""
        return self.following in self.signing and (self.published is None or self.following in self.published)


def next_key_path(key: Path) -> Path:
    """Return where the next key of a log lies."""
    return key.with_name(key.name + NEXT_SUFFIX)


def old_key_path(key: Path, old: VerifierKey) -> Path:
    """Return where a former key of a log is kept."""
    return key.with_name(f"{key.name}.{old.key_id.hex()}{OLD_SUFFIX}")


def rotation_of(store: Path, key: Path) -> Rotation:
    """Return where a log stands; others may append meanwhile.

    Args:
        store: the log's file.
        key: its key's file.

    Raises:
        ConfigError: there is no key, or others may read it.
        StorageError: a file is damaged, or the key is another log's.
    """
    with open_log_reader(store) as reader:
        return _rotation(reader, key)


def begin_rotation(store: Path, key: Path) -> tuple[Rotation, bool]:
    """Make the next key, and sign with both unless a node runs, which does so after its next start; doing it again changes nothing.

    Returns:
        Where the log stands, and whether a node runs and must be started anew.

    Raises:
        ConfigError, StorageError: as `rotation_of`; or the log is a copy that must not sign.
    """
    before = rotation_of(store, key)
    _refuse_copies(store)
    load_or_create_log_key(next_key_path(key))
    after = rotation_of(store, key)
    if after.is_signed_with_both:
        return after, False
    try:
        with locked(store, taken=TAKEN):
            _open_with(store, before.origin, key, next_key_path(key))
    except StorageError as error:
        if error.reason != TAKEN:
            raise
        return after, True
    return rotation_of(store, key), False


def finish_rotation(store: Path, key: Path) -> tuple[Rotation, Path]:
    """Let the next key be the key: it alone signs from now on. The former one is kept beside it.

    Returns:
        Where the log stands, and the former key's file.

    Raises:
        ConfigError: no change is under way, or what was handed out last is not signed with both keys yet.
        StorageError: a node runs, or a file failed; doing it again is harmless.
    """
    with locked(store, taken=f"{TAKEN}; stop it first, it has both keys in hand"):
        now, following = rotation_of(store, key), next_key_path(key)
        _refuse_copies(store)
        if now.following is None and now.key in now.signing and len(now.signing) > 1:
            return _finished(store, key, now)  # it was begun, and the power went
        if now.following is None:
            raise ConfigError(
                str(following), "is not there: no change of the key is under way; `v2x ledger rotate begin` begins one"
            )
        if not now.is_signed_with_both:
            raise ConfigError(
                str(following),
                "has not signed what was handed out last, so readers with the new key alone could verify nothing: "
                "let the node run until it has published with both",
            )
        old = old_key_path(key, now.key)
        with storage_errors(key):
            if not old.exists():
                os.link(key, old)
            following.rename(key)
            sync_path(key.parent)
        return _finished(store, key, now)


def _finished(store: Path, key: Path, before: Rotation) -> tuple[Rotation, Path]:
    _open_with(store, before.origin, key, None)
    after = rotation_of(store, key)
    former = next(each for each in before.signing if each != after.key)
    return after, old_key_path(key, former)


def _rotation(reader: LogReader, key: Path) -> Rotation:
    origin = reader.stored_origin
    own = _key_at(key, origin)
    signing = tuple(map(parse_vkey, reader.stored_keys))
    following = _key_at(next_key_path(key), origin) if next_key_path(key).exists() else None
    if own not in signing and following not in signing:
        raise StorageError(str(key), f"is not a key of this log, which has {' and '.join(each.text for each in signing)}")
    note = reader.published_note
    known = dict.fromkeys((*signing, own, *(() if following is None else (following,))))
    published = None if note is None else tuple(each for each in known if signatures_by(parse_note(note), each))
    return Rotation(origin=origin, key=own, following=following, signing=signing, published=published)


def _key_at(path: Path, origin: str) -> VerifierKey:
    if not path.exists():
        raise ConfigError(str(path), "is not there; name the log's key with --key")
    return Ed25519NoteSigner(origin, load_or_create_log_key(path)).key


def _open_with(store: Path, origin: str, key: Path, following: Path | None) -> None:
    """Have the newest tree signed with these keys."""
    signers = [Ed25519NoteSigner(origin, load_or_create_log_key(path)) for path in (key, following) if path is not None]
    open_log_store(store, signers[0], next_signer=signers[1] if len(signers) > 1 else None).close()


def _refuse_copies(store: Path) -> None:
    with open_log_reader(store) as reader:
        if reader.is_restored:
            raise ConfigError(str(store), "was put back from a backup and must not sign; restore it first (v2x ledger restore)")
