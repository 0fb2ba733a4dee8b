"""`v2x ledger rotate`: change the key of a log, in steps that no reader notices (docs/log-keys.md).

v2x ledger rotate begin DIR      the next key: start the node anew, it signs with both; give every reader both lines
v2x ledger rotate status DIR
v2x ledger rotate finish DIR     once every reader has them: the next key alone signs
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.ledger_files import key_of, say, store_of
from shared.service.log_rotation import Rotation, begin_rotation, finish_rotation, next_key_path, rotation_of

app = typer.Typer(help="Change the key of a log.", no_args_is_help=True)

_Log = Annotated[Path, typer.Argument(help="Directory of the log's node, or the log's file.", metavar="DIR")]
_Key = Annotated[Path | None, typer.Option("--key", help="Its key; default: DIR/log.key.", metavar="FILE")]


@app.command()
def begin(log: _Log, *, key: _Key = None) -> None:
    """Make the next key and sign with both from now on."""
    path = key_of(log, key)
    rotation, is_running = begin_rotation(store_of(log), path)
    say(f"the next key of {rotation.origin} is in {next_key_path(path)}")
    if is_running:
        say("the node runs: start it anew, and it signs with both")
    say("give every reader and every witness a policy with both lines:")
    _say_policy(rotation)


@app.command()
def finish(log: _Log, *, key: _Key = None) -> None:
    """Let the next key alone sign; the node is stopped."""
    path = key_of(log, key)
    rotation, old = finish_rotation(store_of(log), path)
    say(f"{rotation.origin} signs with {rotation.key.text} alone; start its node")
    say(f"the former key is in {old}: keep it apart until no backup from its time is left, then destroy it")
    say("whoever verifies old proofs keeps the former line in the policy")


@app.command()
def status(log: _Log, *, key: _Key = None, as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Say which keys there are, and which of them sign."""
    rotation = rotation_of(store_of(log), key_of(log, key))
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "origin": rotation.origin,
                    "key": rotation.key.text,
                    "next": None if rotation.following is None else rotation.following.text,
                    "signing": [each.text for each in rotation.signing],
                    "published": None if rotation.published is None else [each.text for each in rotation.published],
                }
            )
        )
        return
    _say_policy(rotation)
    say(f"the newest tree is signed with {' and '.join(each.key_id.hex() for each in rotation.signing)}")
    if rotation.published is not None:
        say(
            f"what was handed out last is signed with {' and '.join(each.key_id.hex() for each in rotation.published) or 'neither'}"
        )
    if rotation.following is None:
        say("no change of the key is under way")
    elif rotation.is_signed_with_both:
        say("a change is under way: when every reader has both lines, stop the node and finish it")
    else:
        say("a change was begun, and the next key does not sign yet: start the node anew")


def _say_policy(rotation: Rotation) -> None:
    for key in (rotation.key, *(() if rotation.following is None else (rotation.following,))):
        say(f"log {key.text}")
