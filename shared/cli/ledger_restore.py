"""`v2x ledger restore`: put a log back from a backup, and let it go on only when it has all it ever showed.

    v2x ledger restore /backup/log.sqlite /var/lib/v2x-log --policy policy.txt --mirror https://mirror.example/log/

Witnesses are those of the policy, at the addresses it names. What cannot be made sure is refused with a sentence, and nothing is
lost by trying again: a log that was put back and may not go on yet is gone on with. The same command repairs a directory whose node
stopped because the log in it was found to be an old copy.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.ledger_files import say
from shared.cli.ledger_source import wall_clock
from shared.core.errors import ConfigError, StorageError
from shared.ledger.note import MAX_NOTE_BYTES, Ed25519NoteSigner
from shared.ledger.policy import NO_QUORUM, Policy
from shared.operator.auditor_source import DirectorySource, HttpSource, directory_of
from shared.operator.log_node_files import KEY_FILE, NEWER_FILE, STORE_FILE
from shared.operator.log_node_publishing import own_policy
from shared.operator.log_restore import LogRestore, Mirror, Restored
from shared.service.database import storage_errors
from shared.service.keystore import PRIVATE_MODE, read_bounded, read_private_file, write_new_file
from shared.service.log_backup import KEY_SUFFIX, MAX_KEY_BYTES, copy_marked, drop_index
from shared.service.log_reader import open_log_reader
from shared.service.log_rotation import next_key_path
from shared.service.log_store import LogStore, load_or_create_log_key, open_log_store
from shared.service.online_log import read_policy
from shared.service.state_lock import locked
from shared.transport.bounded_http import MAX_CONNECTIONS, BoundedHttp
from shared.transport.witness_http import WitnessAddress
from shared.transport.witness_line import HttpWitness

WITNESS_TIMEOUT_S = 20.0
"""For one exchange with a witness: here is time to wait."""


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", metavar="FILE")],
    directory: Annotated[Path, typer.Argument(help="Directory of the log's node; made if absent.", metavar="DIR")],
    *,
    policy: Annotated[
        Path | None, typer.Option(help="The tlog-policy under which the log was published: witnesses, addresses, quorum.")
    ] = None,
    mirror: Annotated[
        list[str] | None, typer.Option(help="A place with its entries: an export, a mirror; again for each.", metavar="URL|DIR")
    ] = None,
    newest: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint of the log that somebody has; again for each.", metavar="NOTE")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key; default: DIR/log.key, else FILE.key.", metavar="FILE")] = None,
    on_my_word: Annotated[
        bool,
        typer.Option("--on-my-word", help="With no quorum: nothing newer than what is found was ever shown. If it was, it forks."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Put a log back from a backup; its node is stopped."""
    store_path = directory / STORE_FILE
    if not file.exists() and not store_path.exists():
        raise ConfigError(str(file), "does not exist")
    notes = {str(path): read_bounded(path, MAX_NOTE_BYTES) for path in newest or ()}
    rules = None if policy is None else read_policy(policy)
    with storage_errors(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(store_path, taken="is in use by a running node; stop it first"):
        _put_back(file, store_path)
        signers = _signers(store_path, _key(file, directory, key))
        shown = directory / NEWER_FILE
        if shown.exists():
            notes[str(shown)] = read_bounded(shown, MAX_NOTE_BYTES)
        trusted = own_policy(rules, tuple(signer.key for signer in signers), ())
        with _opened(store_path, signers) as store:
            done = asyncio.run(_restore(store, directory, trusted, mirror or (), notes, has_word=on_my_word))
        _opened(store_path, signers).close()  # while the key changes: the newest tree is signed with both again
        shown.unlink(missing_ok=True)
    _tell(done, trusted, as_json=as_json)


def _put_back(file: Path, store_path: Path) -> None:
    if not store_path.exists():
        drop_index(store_path)
        copy_marked(file, store_path)
        return
    with open_log_reader(store_path) as reader:
        if not reader.is_restored:
            raise StorageError(
                str(store_path), "is there already and is no copy: nothing was changed; move it away if it is to be replaced"
            )
    typer.echo(f"{store_path} was put back before: going on with it (move it away to begin anew from {file})", err=True)


def _key(file: Path, directory: Path, given: Path | None) -> Path:
    """Return the file of the key, which is put into its place if it came with the backup."""
    if given is not None:
        return given
    key, beside = directory / KEY_FILE, file.with_name(file.name + KEY_SUFFIX)
    if not key.exists():
        if not beside.exists():
            raise ConfigError(
                str(key),
                f"is not there and {beside} neither: put the log's key there, or name it with --key; without its key a log"
                " is over, and a new one begins under a new origin",
            )
        pem = read_private_file(beside, MAX_KEY_BYTES, what="log's key", may_group_read=False)
        write_new_file(key, pem, mode=PRIVATE_MODE)
    return key


def _signers(store_path: Path, key: Path) -> tuple[Ed25519NoteSigner, ...]:
    with open_log_reader(store_path) as reader:
        origin = reader.stored_origin
    if not key.exists():
        raise ConfigError(str(key), "is not there")
    paths = [path for path in (key, next_key_path(key)) if path.exists()]
    return tuple(Ed25519NoteSigner(origin, load_or_create_log_key(path)) for path in paths)


def _opened(path: Path, signers: Sequence[Ed25519NoteSigner]) -> LogStore:
    return open_log_store(path, signers[0], next_signer=signers[1] if len(signers) > 1 else None)


async def _restore(
    store: LogStore, directory: Path, policy: Policy, places: Sequence[str], notes: dict[str, bytes], *, has_word: bool
) -> Restored:
    async with AsyncExitStack() as stack:
        mirrors: list[Mirror] = []
        for place in places:
            folder = directory_of(place)
            source = DirectorySource(folder) if folder is not None else await stack.enter_async_context(HttpSource(place))
            mirrors.append(Mirror(name=place, source=source))
        http = BoundedHttp(exchange_timeout_s=WITNESS_TIMEOUT_S, kept_connections=MAX_CONNECTIONS)
        await stack.enter_async_context(http)
        witnesses = {
            each.name: HttpWitness(WitnessAddress(key=each.key, url=each.url), http)
            for each in policy.witnesses
            if each.url is not None
        }
        return await LogRestore(
            store,
            folder=directory,
            policy=policy,
            witnesses=witnesses,
            mirrors=mirrors,
            notes=notes,
            clock=wall_clock(),
            has_operators_word=has_word,
        ).run()


def _tell(done: Restored, policy: Policy, *, as_json: bool) -> None:
    if as_json:
        document = {
            "origin": done.origin,
            "old_size": done.old_size,
            "tree_size": done.tree_size,
            "heard": done.heard,
            "not_heard": done.not_heard,
        }
        typer.echo(json.dumps(document))
        return
    say(f"{done.origin}: {done.tree_size:,} entries, {done.tree_size - done.old_size:,} of them from a mirror; it may go on")
    say(f"{', '.join(done.heard) or 'no witness'} cosigned where it stands; the quorum asked for is {policy.quorum or NO_QUORUM}")
    for name, reason in done.not_heard.items():
        say(f"not heard: {name} ({reason})")
    say("start its node; whatever was submitted in its last second before it was lost may have to be submitted again")
