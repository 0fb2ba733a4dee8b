"""The light client follows a log of a trillion entries as it follows a small one: a few tiles, a few megabytes."""

import tracemalloc
from random import Random

import pytest

from shared.core.errors import SplitViewError
from shared.ledger.light_client import MAX_ROUND_PROOFS, ClientEvent, LightClient
from shared.ledger.proof import parse_proof, proof_of, verify_proof
from shared.ledger.verify import Included
from tests.helpers.ledger import ORIGIN, policy_of
from tests.helpers.sparse_log import SparseLog

SIZE = 1 << 40
MAX_OCTETS = 10_000_000
"""What the light client may add to the agent, at any size of the log."""


def round_of(client: LightClient, log: SparseLog) -> list[ClientEvent]:
    client.begin()
    events: list[ClientEvent] = []
    while wanted := client.wants():
        for path in wanted:
            events += client.give(path, log.read(path))
    return events


def test_a_round_of_proofs_all_over_a_trillion_entries_takes_little_memory() -> None:
    log = SparseLog(SIZE // 2 - 12_345)
    client = LightClient(origin=ORIGIN, policy=policy_of(), trusted_note=log.read("checkpoint"))
    log.entries = {index: b"mine %d" % index for index in Random(40).sample(range(log.size, SIZE), MAX_ROUND_PROOFS)}
    log.size = SIZE + 98_765
    log.octets = 0
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for index, entry in log.entries.items():
            client.prove(entry, index)
        events = round_of(client, log)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert sum(isinstance(event, Included) for event in events) == MAX_ROUND_PROOFS
    assert client.trusted is not None
    assert client.trusted.checkpoint.tree_size == log.size
    assert log.octets > MAX_OCTETS // 10
    assert peak < MAX_OCTETS


@pytest.mark.parametrize("power", [10, 20, 30, 40, 50])
def test_moving_on_reads_no_more_than_the_logarithm_of_the_size(power: int) -> None:
    log = SparseLog((1 << power) + 77)
    client = LightClient(origin=ORIGIN, policy=policy_of(), trusted_note=log.read("checkpoint"))
    log.entries[log.size + 5] = b"mine"
    log.size *= 2
    client.prove(b"mine", (1 << power) + 82)
    log.reads = 0
    events = round_of(client, log)
    (included,) = [event for event in events if isinstance(event, Included)]
    proof = proof_of(included).encode()
    assert verify_proof(parse_proof(proof), b"mine", policy_of()).index == (1 << power) + 82
    assert log.reads <= 1 + 4 * (power // 8 + 1)
    assert len(proof) <= 400 + 45 * (power + 1)


def test_a_fork_in_a_trillion_entries_is_noticed() -> None:
    log = SparseLog(SIZE)
    client = LightClient(origin=ORIGIN, policy=policy_of(), trusted_note=log.read("checkpoint"))
    log.entries[SIZE // 3] = b"replaced"
    log.size += 1_000_000
    with pytest.raises(SplitViewError):
        round_of(client, log)
