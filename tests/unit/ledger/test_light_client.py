"""The light client against logs in memory that grow, lag, lie, fork and forget."""

import pytest

from shared.core.errors import DecodeError, EncodeError, ProofError, SplitViewError, TransportError
from shared.ledger.light_client import (
    MAX_ROUND_PROOFS,
    MAX_WAITING_ENTRIES,
    Advanced,
    Behind,
    ClientEvent,
    LightClient,
    NotAtIndex,
    NotWitnessed,
)
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.proof import parse_proof, proof_of, verify_proof
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.ledger.verify import Included
from tests.helpers.ledger import ORIGIN, MemoryLog, policy_of

POLICY = policy_of()
WITNESSES = ("w1.example", "w2.example", "w3.example")


def client_of(policy: Policy | None = None, trusted_note: bytes | None = None) -> LightClient:
    return LightClient(origin=ORIGIN, policy=policy or POLICY, trusted_note=trusted_note)


def round_of(client: LightClient, log: MemoryLog, tiles: MemoryLog | None = None) -> list[ClientEvent]:
    """Carry out one round; `tiles` may come from elsewhere than the checkpoint."""
    client.begin()
    events: list[ClientEvent] = []
    while wanted := client.wants():
        for path in wanted:
            events += client.give(path, (log if path == CHECKPOINT_PATH else tiles or log).read(path))
    return events


def grown(count: int, *, prefix: str = "entry", witnesses: tuple[str, ...] = ()) -> MemoryLog:
    log = MemoryLog(witnesses=witnesses)
    log.entries = [f"{prefix} {n}".encode() for n in range(count)]
    log.publish()
    return log


def test_entries_of_a_growing_log_are_proven_against_ever_newer_checkpoints() -> None:
    log, client = grown(0), client_of()
    for size in (1, 2, 3, 8, 200, 256, 257, 300, 700):
        log.entries += [b"entry %d" % n for n in range(len(log.entries), size)]
        log.publish()
        client.prove(log.entries[-1], size - 1)
        client.prove(log.entries[0], 0)
        events = round_of(client, log)
        assert isinstance(events[0], Advanced)
        included = [event for event in events if isinstance(event, Included)]
        assert {(i.entry, i.index) for i in included} == {(log.entries[-1], size - 1), (log.entries[0], 0)}
        for i in included:
            verify_proof(parse_proof(proof_of(i).encode()), i.entry, policy_of())
        assert client.waiting == 0
        assert client.trusted is not None
        assert client.trusted.checkpoint.tree_size == size


def test_every_step_from_every_size_to_every_larger_one_is_checked() -> None:
    logs = [grown(size) for size in range(41)]
    for old in range(41):
        for new in range(old, 41, 3):
            client = client_of(trusted_note=logs[old].note)
            round_of(client, logs[new])
            assert client.trusted is not None
            assert client.trusted.note == logs[new].note


def test_a_fork_is_noticed_from_every_size_to_every_size() -> None:
    """The same 20 first entries, then two histories; an older fork against the tiles of the trusted tree."""
    honest = [grown(size) for size in range(41)]
    for new in range(21, 41):
        forked = MemoryLog()
        forked.entries = honest[new].entries[:20] + [b"other %d" % n for n in range(20, new)]
        forked.publish()
        for old in range(21, 41):
            client = client_of(trusted_note=honest[old].note)
            with pytest.raises(SplitViewError) as caught:
                round_of(client, forked, honest[old] if new < old else forked)
            assert {caught.value.trusted_note, caught.value.conflicting_note} == {honest[old].note, forked.note}


def test_a_log_that_forgot_what_it_signed_cannot_move_a_client() -> None:
    """Put back from a backup: until it grows past what it signed before it has nothing to show, and then it contradicts itself."""
    client = client_of(trusted_note=grown(30).note)
    restored = grown(20)
    with pytest.raises(TransportError):
        round_of(client, restored)
    restored.entries += [b"other %d" % n for n in range(20)]
    restored.publish()
    with pytest.raises(SplitViewError):
        round_of(client, restored)


def test_a_contradiction_stops_the_client_and_keeps_both_notes() -> None:
    honest, forked = grown(10), grown(10, prefix="other")
    client = client_of(trusted_note=honest.note)
    with pytest.raises(SplitViewError, match="two different roots") as caught:
        round_of(client, forked)
    assert (caught.value.trusted_note, caught.value.conflicting_note) == (honest.note, forked.note)
    assert client.stopped is caught.value
    client.begin()
    assert client.wants() == ()
    assert client.give(CHECKPOINT_PATH, honest.note) == ()
    assert client.trusted is not None
    assert client.trusted.note == honest.note


def test_a_lagging_answer_is_no_contradiction_and_moves_nothing() -> None:
    log, old = grown(300), grown(90)
    client = client_of(trusted_note=log.note)
    client.prove(log.entries[7], 7)
    events = round_of(client, old, tiles=log)
    assert events[0] == Behind(90, 300)
    assert [type(event) for event in events[1:]] == [Included]
    assert client.trusted is not None
    assert client.trusted.checkpoint.tree_size == 300


def test_a_wrong_tile_is_the_servers_fault_not_a_split_view() -> None:
    """A path that does not lead to the signed root says nothing about the log; the next round is as good as new."""
    old, log = grown(100), grown(700)
    client = client_of(trusted_note=old.note)
    client.prove(log.entries[600], 600)
    for path in ("tile/0/000", "tile/1/000.p/2", "tile/0/002.p/188"):
        good = log.read(path)
        log.falsified[path] = good[:-1] + bytes([good[-1] ^ 1])
        with pytest.raises(ProofError) as caught:
            round_of(client, log)
        assert not isinstance(caught.value, SplitViewError)
        log.falsified[path] = good[:-32]
        with pytest.raises(DecodeError):
            round_of(client, log)
        log.falsified.clear()
        assert client.stopped is None
        assert client.waiting == 1
    assert any(isinstance(event, Included) for event in round_of(client, log))


def test_a_checkpoint_that_is_not_the_logs_is_refused() -> None:
    log = grown(5)
    client = client_of(trusted_note=log.note)
    for note in (b"", log.note[:-5], log.note.replace(b"\n5\n", b"\n6\n"), MemoryLog("other.example").note):
        log.falsified[CHECKPOINT_PATH] = note
        with pytest.raises((DecodeError, ProofError)):
            round_of(client, log)
    assert client.stopped is None


def test_another_log_of_the_policy_is_not_this_log() -> None:
    text = b"".join(f"log {MemoryLog(o)._signer.key.text}\n".encode() for o in (ORIGIN, "other.example")) + b"quorum none\n"
    client = client_of(parse_policy(text))
    with pytest.raises(ProofError, match="not of"):
        round_of(client, MemoryLog("other.example"))


def test_trust_waits_for_the_quorum_and_old_trust_still_proves() -> None:
    policy = policy_of(witnesses=WITNESSES, quorum="2")
    log = grown(10, witnesses=WITNESSES)
    client = client_of(policy)
    round_of(client, log)
    trusted = client.trusted
    assert trusted is not None
    log.entries += [b"more %d" % n for n in range(10)]
    log.witnesses = WITNESSES[:1]
    log.publish()
    client.prove(log.entries[3], 3)
    client.prove(log.entries[15], 15)
    events = round_of(client, log)
    assert [type(event) for event in events] == [NotWitnessed, Included]
    assert client.trusted is trusted
    assert client.waiting == 1
    log.witnesses = WITNESSES[1:]
    log.publish()
    events = round_of(client, log)
    assert [type(event) for event in events] == [Advanced, Included]
    assert client.trusted.witnesses == WITNESSES[1:]


def test_an_unwitnessed_fork_is_noticed_all_the_same() -> None:
    policy = policy_of(witnesses=WITNESSES, quorum="2")
    client = client_of(policy)
    round_of(client, grown(10, witnesses=WITNESSES))
    with pytest.raises(SplitViewError):
        round_of(client, grown(20, prefix="other"))


def test_a_forged_cosignature_spoils_the_checkpoint() -> None:
    policy = policy_of(witnesses=WITNESSES, quorum="1")
    log = grown(3, witnesses=WITNESSES)
    at = log.note.rindex(b" ") + 12
    log.falsified[CHECKPOINT_PATH] = log.note[:at] + (b"A" if log.note[at : at + 1] != b"A" else b"B") + log.note[at + 1 :]
    with pytest.raises(ProofError, match="does not hold"):
        round_of(client_of(policy), log)


def test_a_wrong_index_is_told_from_a_missing_entry() -> None:
    log, client = grown(20), client_of()
    client.prove(b"not there", 4)
    client.prove(log.entries[2], 3)
    client.prove(log.entries[9], 9)
    client.prove(b"not yet", 20)
    events = round_of(client, log)
    assert [e for e in events if isinstance(e, NotAtIndex)] == [NotAtIndex(b"not there", 4), NotAtIndex(log.entries[2], 3)]
    assert [e.entry for e in events if isinstance(e, Included)] == [log.entries[9]]
    assert client.waiting == 1


def test_only_so_many_entries_are_proven_in_one_round() -> None:
    log, client = grown(3 * MAX_ROUND_PROOFS), client_of()
    for index, entry in enumerate(log.entries):
        client.prove(entry, index)
    rounds = [sum(isinstance(e, Included) for e in round_of(client, log)) for _ in range(4)]
    assert rounds == [MAX_ROUND_PROOFS] * 3 + [0]


def test_only_so_many_entries_may_wait() -> None:
    client = client_of()
    for n in range(MAX_WAITING_ENTRIES):
        client.prove(b"%d" % n, n)
    client.prove(b"7", 70)
    with pytest.raises(EncodeError):
        client.prove(b"one more", 0)
    with pytest.raises(EncodeError):
        client_of().prove(b"negative", -1)


def test_a_round_given_up_leaves_nothing_behind() -> None:
    log, client = grown(700), client_of()
    client.prove(log.entries[5], 5)
    client.begin()
    client.give(CHECKPOINT_PATH, log.note)
    assert client.wants()
    client.abandon()
    assert client.wants() == ()
    assert client.give("tile/0/000", log.read("tile/0/000")) == ()
    assert [type(e) for e in round_of(client, log)] == [Included]


def test_what_was_not_asked_for_is_ignored() -> None:
    log, client = grown(5), client_of()
    assert client.give(CHECKPOINT_PATH, log.note) == ()
    client.begin()
    assert client.give("tile/0/000.p/5", log.read("tile/0/000.p/5")) == ()
    assert client.wants() == (CHECKPOINT_PATH,)


def test_a_stored_checkpoint_that_is_not_the_logs_does_not_start_a_client() -> None:
    with pytest.raises(ProofError):
        client_of(trusted_note=MemoryLog("other.example").note)
    with pytest.raises(DecodeError):
        client_of(trusted_note=b"garbage")
    with pytest.raises(ProofError, match="knows no log"):
        LightClient(origin="unknown.example", policy=policy_of(), trusted_note=None)


def test_a_memory_log_withholds_what_it_has_not() -> None:
    with pytest.raises(TransportError):
        grown(3).read("tile/0/000.p/4")
