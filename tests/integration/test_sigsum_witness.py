"""An independent witness agrees: sigsum-witness cosigns our checkpoints as they grow, and nothing that contradicts them."""

import asyncio
import os
from functools import partial
from pathlib import Path
from random import Random

from shared.core.clock import TimeSource
from shared.ledger.add_checkpoint import AddCheckpoint
from shared.ledger.cosignature import find_cosignature
from shared.ledger.note import parse_note
from shared.service.log_proofs import prove_consistent
from shared.service.log_store import LogStore, open_log_store
from shared.service.system_clock import SystemClock
from shared.transport.bounded_http import BoundedHttp, HttpAnswer
from shared.transport.witness_http import WitnessAddress, WitnessPool
from tests.helpers.ledger import ed25519_key
from tests.helpers.sigsum_witness import sigsum_signer, sigsum_witness

CHECKPOINTS = 100
LOG_KEY = ed25519_key("log that sigsum-witness watches")
WITNESS_KEY = ed25519_key("sigsum-witness")
CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)


def pool_of(*witnesses: WitnessAddress) -> WitnessPool:
    return WitnessPool(witnesses, clock=CLOCK, entropy=os.urandom, patience_s=30.0)


def ask(witness: WitnessAddress, old_size: int, log: LogStore) -> HttpAnswer:
    """Say by hand what the log would not."""
    new_size = log.size
    proof = prove_consistent(log, old_size, new_size) if 0 < old_size < new_size else ()
    body = AddCheckpoint(old_size=old_size, proof=proof, note=log.checkpoint_note).encode()

    async def exchange() -> HttpAnswer:
        async with BoundedHttp() as http:
            return await http.answer("POST", f"{witness.url}/add-checkpoint", headers={}, body=body, maximum=10_000)

    return asyncio.run(exchange())


def is_cosigned(note: bytes, witness: WitnessAddress) -> bool:
    return find_cosignature(parse_note(note), witness.key) is not None


async def grow(log: LogStore, witness: WitnessAddress, checkpoints: int) -> int:
    """Let a log grow by a few entries at a time; return how many of its checkpoints came back cosigned."""
    draw, cosigned = Random(6), 0
    async with pool_of(witness) as pool:
        for number in range(checkpoints):
            log.append([b"%d of %d" % (n, number) for n in range(draw.choice((1, 1, 2, 3, 40, 300)))])
            cosigned += is_cosigned(await pool.cosign(log.checkpoint_note, partial(prove_consistent, log)), witness)
    return cosigned


async def cosigned_once(log: LogStore, witness: WitnessAddress) -> tuple[bool, str]:
    """Ask one time; return whether it cosigned, and what it said instead."""
    async with pool_of(witness) as pool:
        note = await pool.cosign(log.checkpoint_note, partial(prove_consistent, log))
        (status,) = pool.status().values()
    return is_cosigned(note, witness), str(status["last_failure"])


def test_it_cosigns_a_hundred_checkpoints_and_neither_fork_nor_rollback(tmp_path: Path) -> None:
    signer = sigsum_signer(LOG_KEY)
    with sigsum_witness(tmp_path, witness=WITNESS_KEY, log=LOG_KEY) as witness:
        log = open_log_store(tmp_path / "log", signer)
        assert asyncio.run(grow(log, witness, CHECKPOINTS)) == CHECKPOINTS
        cosigned_size = log.size

        behind = open_log_store(tmp_path / "behind", signer)
        behind.append([b"%d of 0" % n for n in range(3)])
        is_cosigned_now, why = asyncio.run(cosigned_once(behind, witness))
        assert not is_cosigned_now
        assert f"{cosigned_size} entries already" in why
        assert ask(witness, 1, behind).status == 409
        assert ask(witness, cosigned_size, behind).status == 400

        forked = open_log_store(tmp_path / "forked", signer)
        for start in range(0, cosigned_size, 1000):
            forked.append([b"another %d" % n for n in range(start, min(start + 1000, cosigned_size))])
        assert ask(witness, cosigned_size, forked).status in (409, 422)
        forked.append([b"and one more"])
        assert ask(witness, cosigned_size, forked).status == 422
        assert asyncio.run(cosigned_once(forked, witness))[0] is False

        assert asyncio.run(cosigned_once(log, witness))[0] is True
    with sigsum_witness(tmp_path, witness=WITNESS_KEY, log=LOG_KEY) as again:
        log.append([b"after it was started anew"])
        assert asyncio.run(cosigned_once(log, again))[0] is True
        assert asyncio.run(cosigned_once(forked, again))[0] is False
    for each in (log, behind, forked):
        each.close()
